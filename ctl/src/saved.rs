//! A plan in a file: what `ctl plan --out` writes, and `ctl apply` holds the server to.
//!
//! It says which catalog each node was planned with, and which kinds of change were shown: no
//! diffs, so that no content of a file leaves by it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use brine_model::converge::Approval;
use brine_model::digest::Digest;
use brine_model::name::NodeName;
use brine_model::resource::ResourceId;
use brine_wire::job::RunId;
use brine_wire::operator::{Agreed, AgreedNode};
use brine_wire::run::{RunDetail, RunPhase};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::show::plan::has_failures;

/// How such files are called, for `ctl apply FILE` to know one.
pub const SUFFIX: &str = "plan";

/// Raised when an older ctl would misread the document.
const FORMAT: u32 = 1;

/// A thousand nodes with a hundred changes each are a quarter of this.
const MAX_SIZE: u64 = 64 << 20;

#[derive(Debug, Clone, PartialEq)]
pub struct SavedPlan {
    /// Of the state tree that was planned with.
    pub snapshot: String,
    pub target: String,
    pub run: RunId,
    pub agreed: Agreed,
}

#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    #[error("the plan is not saved: {0}")]
    Unfit(&'static str),
    #[error("cannot write the plan to {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read the plan {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no plan that `ctl plan --out` has written", path.display())]
    Malformed {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("{} has format {format}, and this ctl knows {FORMAT}", path.display())]
    Format { path: PathBuf, format: u32 },
}

impl SavedError {
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unfit(_) => "mend what failed, then plan again".to_owned(),
            Self::Write { .. } => "name another file with --out".to_owned(),
            Self::Read { .. } | Self::Malformed { .. } => {
                "plan again: `ctl plan TARGET --out FILE`".to_owned()
            }
            Self::Format { .. } => "apply it with the ctl that has written it".to_owned(),
        }
    }
}

/// The document itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    brine_plan: u32,
    snapshot: String,
    target: String,
    run: u64,
    nodes: BTreeMap<NodeName, Node>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    #[serde(with = "hexadecimal")]
    catalog: Digest,
    /// Kinds of change by resource.
    approved: BTreeMap<ResourceId, BTreeSet<String>>,
}

/// What is read first, so that a newer document is not called malformed.
#[derive(Debug, Deserialize)]
struct Head {
    brine_plan: u32,
}

impl SavedPlan {
    /// # Errors
    /// The run is no plan that could be applied as it is.
    pub fn of(run: &RunDetail) -> Result<Self, SavedError> {
        if run.summary.phase != RunPhase::Succeeded || has_failures(run) {
            return Err(SavedError::Unfit("not everything could be planned"));
        }
        let mut nodes = BTreeMap::new();
        for (node, plan) in &run.plans {
            let catalog = run.catalogs.iter().find(|(name, _)| name == node);
            let (_, catalog) = catalog.ok_or(SavedError::Unfit("the server named no catalog"))?;
            let agreed = AgreedNode {
                catalog: *catalog,
                approval: plan.approval(),
            };
            nodes.insert(node.clone(), agreed);
        }
        Ok(Self {
            snapshot: run.summary.snapshot.clone(),
            target: run.summary.target.clone(),
            run: run.summary.id,
            agreed: Agreed { nodes },
        })
    }

    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), SavedError> {
        let failed = |source| SavedError::Write {
            path: path.to_owned(),
            source,
        };
        let node = |(name, node): (&NodeName, &AgreedNode)| {
            let saved = Node {
                catalog: node.catalog,
                approved: node.approval.0.clone(),
            };
            (name.clone(), saved)
        };
        let document = Document {
            brine_plan: FORMAT,
            snapshot: self.snapshot.clone(),
            target: self.target.clone(),
            run: self.run.0,
            nodes: self.agreed.nodes.iter().map(node).collect(),
        };
        let mut bytes = serde_json::to_vec_pretty(&document)
            .map_err(|error| failed(io::Error::other(error)))?;
        bytes.push(b'\n');
        files::replace(path, &bytes).map_err(failed)
    }

    /// # Errors
    /// The file cannot be read, or holds no such document.
    pub fn read(path: &Path) -> Result<Self, SavedError> {
        let malformed = |source| SavedError::Malformed {
            path: path.to_owned(),
            source,
        };
        let bytes = bytes(path).map_err(|source| SavedError::Read {
            path: path.to_owned(),
            source,
        })?;
        let head: Head = serde_json::from_slice(&bytes).map_err(malformed)?;
        if head.brine_plan != FORMAT {
            return Err(SavedError::Format {
                path: path.to_owned(),
                format: head.brine_plan,
            });
        }
        let document: Document = serde_json::from_slice(&bytes).map_err(malformed)?;
        let node = |(name, node): (NodeName, Node)| {
            let agreed = AgreedNode {
                catalog: node.catalog,
                approval: Approval(node.approved),
            };
            (name, agreed)
        };
        Ok(Self {
            snapshot: document.snapshot,
            target: document.target,
            run: RunId(document.run),
            agreed: Agreed {
                nodes: document.nodes.into_iter().map(node).collect(),
            },
        })
    }
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = File::open(path)?.take(MAX_SIZE + 1);
    file.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is larger than any plan",
        ));
    }
    Ok(bytes)
}

/// As people see digests, whatever the wire does.
mod hexadecimal {
    use brine_model::digest::Digest;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        digest: &Digest,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(digest)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use brine_model::converge::PlanOutcome;
    use brine_wire::run::{NodeState, RunKind};

    use super::*;
    use crate::testing::{change, changes, name, node, plan, planned, run};

    fn planned_run() -> RunDetail {
        let nodes = [node("lb01", NodeState::Planned, None)];
        let mut run = run(RunKind::Plan, RunPhase::Succeeded, &nodes);
        let create = changes("file:/a", &[change("create", "create /a")]);
        run.plans = vec![(name("lb01"), plan(&[create]))];
        run.catalogs = vec![(name("lb01"), Digest::of(b"new"))];
        run
    }

    #[test]
    fn written_and_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lb.plan");
        let saved = SavedPlan::of(&planned_run()).expect("fit");
        saved.write(&path).expect("written");
        assert_eq!(SavedPlan::read(&path).expect("readable"), saved);
        let text = std::fs::read_to_string(&path).expect("readable");
        assert!(!text.contains("create /a"), "no words, no diffs: {text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn only_what_could_be_applied_as_it_is() {
        let check = |run: &RunDetail| {
            let error = SavedPlan::of(run).expect_err("unfit");
            assert!(matches!(error, SavedError::Unfit(_)), "{error}");
        };
        let mut broken = planned_run();
        broken.plans[0].1 = plan(&[planned("file:/a", PlanOutcome::Failed("no".to_owned()))]);
        check(&broken);
        let mut failed = planned_run();
        failed.summary.phase = RunPhase::Failed;
        check(&failed);
        let mut nameless = planned_run();
        nameless.catalogs.clear();
        check(&nameless);
    }

    #[test]
    fn what_is_no_plan() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.plan");
        let read = |text: &str| {
            std::fs::write(&path, text).expect("written");
            SavedPlan::read(&path).expect_err("no plan")
        };
        for text in [
            "",
            "{}",
            r#"{"brine_plan": 1}"#,
            r#"{"brine_plan": 1, "snapshot": "", "target": "", "run": 1, "nodes": {"../x": {}}}"#,
        ] {
            let error = read(text);
            assert!(matches!(error, SavedError::Malformed { .. }), "{error}");
        }
        let error = read(r#"{"brine_plan": 2, "new": true}"#);
        assert!(matches!(error, SavedError::Format { format: 2, .. }));
        let error = SavedPlan::read(folder.path()).expect_err("a folder");
        assert!(matches!(error, SavedError::Read { .. }));
    }
}
