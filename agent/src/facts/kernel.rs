//! The kernel and the machine's architecture.

use brine_model::facts::Kernel;

pub(super) fn collect() -> Kernel {
    Kernel {
        release: sysinfo::System::kernel_version().unwrap_or_default(),
        architecture: debian_name(&sysinfo::System::cpu_arch()),
    }
}

/// Debian's word for a machine; the kernel's own where Debian's is the same or unknown.
fn debian_name(machine: &str) -> String {
    let name = match machine {
        "x86_64" => "amd64",
        "aarch64" | "arm64" => "arm64",
        "i386" | "i586" | "i686" | "x86" => "i386",
        "armv7l" | "armv8l" | "arm" => "armhf",
        "ppc64le" => "ppc64el",
        other => other,
    };
    name.to_owned()
}
