//! Trees in one text, and findings as plain text.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::fmt::Write;

use brine_lang::{Compilation, DummySecrets, Fleet, NodeInput, StateTree};
use brine_model::diagnostic::{Diagnostic, Label, Severity, line_column};
use brine_model::facts::{Facts, Os};

/// Reads files that each start with a line `--- path`.
pub fn tree(text: &str) -> StateTree {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("--- "), files.last_mut()) {
            (Some(path), _) => files.push((path.to_owned(), String::new())),
            (None, Some((_, content))) => {
                content.push_str(line);
                content.push('\n');
            }
            (None, None) => assert!(line.trim().is_empty(), "text before the first file: {line}"),
        }
    }
    files.into_iter().collect()
}

/// Nodes as `name: role, role`; addresses and facts made up.
pub fn fleet(lines: &str) -> Fleet {
    let nodes = lines
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .enumerate();
    let nodes = nodes.map(|(index, line)| {
        let (name, roles) = line.split_once(':').unwrap();
        NodeInput {
            name: name.trim().parse().unwrap(),
            address: Some(format!("10.0.0.{}", index + 1)),
            roles: roles
                .split(',')
                .map(|role| role.trim().parse().unwrap())
                .collect(),
            labels: std::collections::BTreeMap::new(),
            facts: Some(facts()),
            generation: 0,
        }
    });
    Fleet {
        nodes: nodes.collect(),
    }
}

pub fn facts() -> Facts {
    let os = Os {
        family: "debian".into(),
        id: "debian".into(),
        version: "12".into(),
        ..Os::default()
    };
    Facts {
        os,
        ..Facts::default()
    }
}

/// Compiles without any finding.
#[track_caller]
pub fn check_compiles(text: &str, nodes: &str) -> Compilation {
    let compilation = brine_lang::compile(&tree(text), &fleet(nodes), &DummySecrets);
    let findings = compilation
        .findings
        .iter()
        .map(|finding| &finding.diagnostic);
    assert_eq!(render(findings), "");
    compilation
}

/// Everything that an offline check finds.
#[track_caller]
pub fn check_fails(text: &str) -> String {
    let diagnostics = brine_lang::check(&tree(text));
    assert!(!diagnostics.is_empty(), "nothing was found");
    render(&diagnostics)
}

/// The ids of a node's catalog, in order.
#[track_caller]
pub fn ids(compilation: &Compilation, node: &str) -> Vec<String> {
    let catalog = &compilation.catalogs[node].catalog;
    catalog
        .resources
        .iter()
        .map(|entry| entry.id.to_string())
        .collect()
}

pub fn render<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(text, "{severity}: {}", diagnostic.message).unwrap();
        diagnostic
            .labels
            .iter()
            .for_each(|label| render_label(&mut text, label));
        if let Some(help) = &diagnostic.help {
            writeln!(text, "  = help: {help}").unwrap();
        }
        text.push('\n');
    }
    text
}

fn render_label(text: &mut String, label: &Label) {
    let (line, column) = line_column(&label.text, label.start);
    writeln!(text, "  --> {}:{line}:{column}", label.file).unwrap();
    let source = label
        .text
        .lines()
        .nth(line as usize - 1)
        .unwrap_or_default();
    let carets = "^".repeat((label.end - label.start).max(1) as usize);
    let indent = " ".repeat(column as usize - 1);
    writeln!(text, "{line:4} | {source}").unwrap();
    writeln!(text, "     | {indent}{carets} {}", label.message).unwrap();
    *text = text.trim_end().to_owned();
    text.push('\n');
}
