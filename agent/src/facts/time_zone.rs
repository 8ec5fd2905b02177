//! The machine's time zone.

use std::path::Path;

/// By the link that /etc/localtime is; UTC where there is none.
pub(super) fn collect(root: &Path) -> String {
    let link = std::fs::read_link(root.join("etc/localtime")).unwrap_or_default();
    let link = link.to_string_lossy();
    match link.split_once("zoneinfo/") {
        Some((_, zone)) => zone.to_owned(),
        None => "UTC".to_owned(),
    }
}
