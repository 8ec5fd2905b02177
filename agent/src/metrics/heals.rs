//! How many files of this node's GlusterFS bricks wait to be copied to their replicas.
//!
//! A brick keeps a link for each in `.glusterfs/indices/xattrop`, beside a file that all of them are links of: counting
//! them asks no daemon and takes no lock, as `gluster volume heal` would.

use std::collections::BTreeSet;
use std::path::Path;

use brine_exposition::Exposition;

const VOLUMES: &str = "var/lib/glusterd/vols";
const INDEX: &str = ".glusterfs/indices/xattrop";

/// What all links are links of.
const BASE: &str = "xattrop-";

/// Nobody needs to know exactly from here on.
const ENOUGH: usize = 10_000;

pub(super) fn tell(root: &Path, out: &mut Exposition) {
    let Ok(volumes) = std::fs::read_dir(root.join(VOLUMES)) else {
        return;
    };
    for volume in volumes.flatten() {
        let name = volume.file_name().to_string_lossy().into_owned();
        for brick in bricks(&volume.path()) {
            let index = root.join(brick.trim_start_matches('/')).join(INDEX);
            // Other members' bricks are listed too.
            let Ok(links) = std::fs::read_dir(index) else {
                continue;
            };
            let links = links
                .flatten()
                .filter(|link| !link.file_name().to_string_lossy().starts_with(BASE));
            out.gauge(
                "brine_gluster_pending_heals",
                "Files of the node's brick that wait to be copied to its replicas; no more than 10000 are counted.",
            )
            .add(
                &[("volume", &name), ("brick", &brick)],
                links.take(ENOUGH).count(),
            );
        }
    }
}

fn bricks(volume: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(volume.join("bricks"));
    let files = files.into_iter().flatten().flatten();
    let paths = files.filter_map(|file| {
        let text = std::fs::read_to_string(file.path()).ok()?;
        let path = text.lines().find_map(|line| line.strip_prefix("path="))?;
        Some(path.to_owned())
    });
    paths.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_counted_and_not_what_they_are_links_of() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let mut out = Exposition::new();
        tell(root.path(), &mut out);
        assert_eq!(out.text(), "", "without GlusterFS nothing is said");
        for host in ["a", "b"] {
            write(
                &format!("var/lib/glusterd/vols/files/bricks/{host}:-srv-brick"),
                &format!("uuid=1\nhostname={host}\npath=/srv/brick\n"),
            );
        }
        write("var/lib/glusterd/vols/other/bricks/b:-far", "path=/far\n");
        for name in ["xattrop-1234", "0001", "0002"] {
            write(&format!("srv/brick/{INDEX}/{name}"), "");
        }
        tell(root.path(), &mut out);
        let text = out.text();
        let line = "brine_gluster_pending_heals{volume=\"files\",brick=\"/srv/brick\"} 2\n";
        assert!(text.ends_with(line), "{text}");
        assert_eq!(text.lines().count(), 3);
    }
}
