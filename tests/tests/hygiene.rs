//! The rules of the house that no compiler checks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// Which of our crates each of our crates may use. Another arrow needs a reason in ARCHITECTURE.md.
#[test]
fn arrows_between_crates() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("brine-model", &[] as &[&str]),
        ("brine-lang", &["brine-model"]),
        ("brine-wire", &["brine-model"]),
        ("brine-transport", &["brine-model", "brine-wire"]),
        (
            "brine-server",
            &[
                "brine-model",
                "brine-lang",
                "brine-wire",
                "brine-transport",
                "brine-exposition",
                "brine-web",
            ],
        ),
        (
            "brine-agent",
            &[
                "brine-model",
                "brine-wire",
                "brine-transport",
                "brine-exposition",
                "brine-node-metrics",
                "brine-web",
            ],
        ),
        (
            "brine-ctl",
            &["brine-model", "brine-lang", "brine-wire", "brine-transport"],
        ),
        ("brine-exposition", &[]),
        ("brine-web", &[]),
        ("brine-node-metrics", &["brine-exposition"]),
        ("brine-tests", &[]),
    ]);
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert_eq!(
        packages.len(),
        allowed.len(),
        "a crate is missing in this test"
    );
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let target = dependency["name"].as_str().expect("a name");
            let development = dependency["kind"].as_str() == Some("dev");
            if target.starts_with("brine-") && !development {
                assert!(
                    allowed[name].contains(&target),
                    "{name} must not use {target}"
                );
            }
        }
    }
}

#[test]
fn only_one_module_names_each_replaceable_crate() {
    let only = [
        ("bincode::", vec!["shared/wire/src/codec.rs"]),
        ("quinn::", vec!["shared/transport/"]),
        ("rcgen::", vec!["shared/transport/"]),
        (
            "rustls::",
            vec!["shared/transport/", "tests/src/load/session.rs"],
        ),
        (
            "zbus::",
            vec!["agent/src/", "agent/metrics/src/collectors/systemd.rs"],
        ),
        ("rusqlite::", vec!["server/src/store"]),
    ];
    let mut files = Vec::new();
    sources(&root(), &mut files);
    for file in files {
        let relative = file
            .strip_prefix(root())
            .expect("inside")
            .to_string_lossy()
            .into_owned();
        if relative == "tests/tests/hygiene.rs" {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("readable");
        for (name, places) in &only {
            let here = text
                .lines()
                .any(|l| l.contains(name) && !l.trim_start().starts_with("//"));
            let allowed = places.iter().any(|place| relative.starts_with(place));
            assert!(!here || allowed, "{relative} must not name {name}");
        }
    }
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    for name in [
        "shared/model",
        "shared/lang",
        "shared/wire",
        "shared/transport",
        "server",
        "agent",
        "agent/metrics",
        "shared/exposition",
        "shared/web",
        "ctl",
        "tests",
    ] {
        let text = std::fs::read_to_string(root().join(name).join("Cargo.toml")).expect("readable");
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{name} has lints of its own"
        );
    }
}

#[test]
fn files_are_one_idea() {
    let mut files = Vec::new();
    sources(&root(), &mut files);
    for file in files {
        let lines = std::fs::read_to_string(&file)
            .expect("readable")
            .lines()
            .count();
        assert!(
            lines <= 800,
            "{} has {lines} lines: split it",
            file.display()
        );
    }
}
