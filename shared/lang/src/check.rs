//! `ctl check`: everything that can be found out about a tree without a server.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::diagnostic::{Diagnostic, Severity};
use brine_model::facts::{Cpu, Disk, Facts, Interface, Kernel, Memory, Network, Os};
use brine_model::name::{FormulaName, NodeName};

use crate::compile::{Compiler, Strictness};
use crate::data::{ENV, LayerName};
use crate::fleet::{DummySecrets, NodeInput};
use crate::library::Library;
use crate::report::Report;
use crate::tree::StateTree;

/// Checks a tree against an invented fleet: for each role as many Debian nodes as it needs, and
/// one node for each formula that no role has; all of it once for each environment.
#[must_use]
pub fn check(tree: &StateTree) -> Vec<Diagnostic> {
    let library = Library::load(tree);
    let environments = library.data.layers.keys().filter_map(|layer| match layer {
        LayerName::Env(name) => Some(name.as_str()),
        _ => None,
    });
    let environments = environments.map(Some).collect::<Vec<_>>();
    let environments = if environments.is_empty() {
        vec![None]
    } else {
        environments
    };
    let mut report = Report::default();
    for environment in environments {
        let (nodes, unused) = invent(&library, environment);
        let strictness = Strictness {
            artifacts: false,
            values: unused,
        };
        let mut compiler = Compiler::new(&library, nodes, &DummySecrets, strictness);
        compiler.run();
        report.merge(compiler.report);
    }
    let findings = report.into_findings(&library.sources);
    findings
        .into_iter()
        .map(|finding| finding.diagnostic)
        .collect()
}

/// Whether any of the findings is an error.
#[must_use]
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error)
}

type Invented = (Vec<(NodeInput, Vec<FormulaName>)>, BTreeSet<FormulaName>);

fn invent(library: &Library<'_>, environment: Option<&str>) -> Invented {
    let mut nodes = Vec::new();
    let mut unused = library.formulas.keys().cloned().collect::<BTreeSet<_>>();
    for (name, role) in &library.roles {
        let formulas = library.formulas_of([name]);
        formulas.iter().for_each(|formula| {
            unused.remove(formula);
        });
        // Beyond a handful, one member more tells nothing new.
        for number in 1..=role.members.clamp(1, 254) {
            let node = node(&format!("{name}{number:02}"), nodes.len(), environment);
            let node = node.map(|node| NodeInput {
                roles: vec![name.clone()],
                ..node
            });
            nodes.extend(node.map(|node| (node, formulas.clone())));
        }
    }
    for formula in &unused {
        let node = node(&format!("{formula}-without-role"), nodes.len(), environment);
        nodes.extend(node.map(|node| (node, vec![formula.clone()])));
    }
    (nodes, unused)
}

fn node(name: &str, index: usize, environment: Option<&str>) -> Option<NodeInput> {
    let shortened = name.get(name.len().saturating_sub(63)..).unwrap_or(name);
    let name: NodeName = shortened.trim_start_matches('-').parse().ok()?;
    // TEST-NET-1, as many hosts as it has; beyond that addresses repeat, which nothing checks.
    let address = format!("192.0.2.{}", index % 254 + 1);
    let labels = environment.map(|env| (ENV.to_owned(), env.to_owned()));
    let labels: BTreeMap<_, _> = labels.into_iter().collect();
    let facts = Some(facts(&name, &address));
    Some(NodeInput {
        name,
        address: Some(address),
        roles: Vec::new(),
        labels,
        facts,
        generation: 0,
    })
}

/// What a small Debian machine reports.
fn facts(name: &NodeName, address: &str) -> Facts {
    Facts {
        os: Os {
            family: "debian".into(),
            id: "debian".into(),
            version: "12".into(),
            name: "Debian GNU/Linux 12 (bookworm)".into(),
        },
        kernel: Kernel {
            release: "6.1.0-18-amd64".into(),
            architecture: "amd64".into(),
        },
        cpu: Cpu {
            count: 2,
            model: "invented".into(),
        },
        memory: Memory {
            total: 4 << 30,
            swap: 0,
        },
        network: Network {
            hostname: name.to_string(),
            interfaces: vec![Interface {
                name: "eth0".into(),
                mac: "02:00:00:00:00:01".into(),
                addresses: vec![format!("{address}/24")],
            }],
        },
        disks: vec![Disk {
            mount: "/".into(),
            device: "/dev/vda1".into(),
            file_system: "ext4".into(),
            total: 32 << 30,
        }],
        ..Facts::default()
    }
}
