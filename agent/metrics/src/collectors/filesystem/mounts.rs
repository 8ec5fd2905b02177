//! What is mounted, as the kernel lists it.

use crate::collector::CollectError;
use crate::roots::Roots;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) device: String,
    /// As it is below `--path.rootfs`.
    pub(super) point: String,
    pub(super) kind: String,
    pub(super) read_only: bool,
}

/// Those of the first process, which is in no container; where that one is hidden, our own.
pub(super) fn read(roots: &Roots) -> Result<Vec<Mount>, CollectError> {
    let file = "1/mounts";
    let text = match roots.proc(file) {
        Err(error) if error.is_missing() => roots.proc("mounts")?,
        text => text?,
    };
    let root = roots.rootfs.to_string_lossy();
    let parsed = text.lines().map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (Some(device), Some(point), Some(kind), Some(options)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(CollectError::malformed(file, line));
        };
        Ok(Mount {
            device: device.to_owned(),
            point: if point.contains('\\') {
                let point = point.replace("\\040", " ").replace("\\011", "\t");
                below(&point, &root)
            } else {
                below(point, &root)
            },
            kind: kind.to_owned(),
            read_only: options.split(',').any(|option| option == "ro"),
        })
    });
    parsed.collect()
}

fn below(point: &str, root: &str) -> String {
    if root == "/" {
        return point.to_owned();
    }
    match point.strip_prefix(root) {
        Some("") => "/".to_owned(),
        Some(rest) => rest.to_owned(),
        None => point.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_as_the_host_has_them() {
        assert_eq!(below("/data", "/"), "/data");
        assert_eq!(below("/host/data", "/host"), "/data");
        assert_eq!(below("/host", "/host"), "/");
        assert_eq!(below("/run", "/host"), "/run");
    }
}
