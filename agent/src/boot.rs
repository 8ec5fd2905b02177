//! Which boot of the machine this is.

use crate::state::atomic;

/// New at every boot; empty where the kernel does not tell.
///
/// The kernel's own id, and when process 1 started by the kernel's clock: a container shares the
/// former with its host and boots all the same.
pub(crate) fn id() -> String {
    let kernel = text("/proc/sys/kernel/random/boot_id");
    let init = text("/proc/1/stat");
    match started(&init) {
        Some(started) => format!("{}-{started}", kernel.trim()),
        None => kernel.trim().to_owned(),
    }
}

fn text(path: &str) -> String {
    let bytes = atomic::read(path.as_ref()).ok().flatten();
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

/// The 22nd field of /proc/PID/stat; the second is in parentheses and may hold anything.
fn started(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_found_behind_any_name() {
        let fields: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        let stat = format!("1 (a) b (c) {}\n", fields.join(" "));
        assert_eq!(started(&stat), Some(22));
        assert_eq!(started(""), None);
        assert_eq!(id(), id());
        assert!(!id().is_empty());
    }
}
