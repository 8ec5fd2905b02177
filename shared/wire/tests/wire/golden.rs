//! The bytes of every variant are on record: a change that an older peer would not understand
//! shows here. New variants add lines; an existing line never changes.

use std::fmt::Debug;

use brine_model::converge::{PlanOutcome, ResourceOutcome};
use brine_model::diagnostic::Severity;
use brine_model::host::Probe;
use brine_model::resource::{Diff, Impact};
use brine_wire::agent::{AgentReply, AgentRequest, ServerReply, ServerRequest};
use brine_wire::blob::BlobReply;
use brine_wire::codec;
use brine_wire::enroll::{EnrollReply, EnrollRequest};
use brine_wire::job::{JobResult, JobState, Task};
use brine_wire::operator::{ActionRequest, Enrollment, OperatorReply, OperatorRequest, Why};
use brine_wire::run::{Happening, NodeState, RunKind, RunPhase};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::samples::Samples;

const GOLDEN: &str = include_str!("../golden.txt");

#[test]
fn bytes_are_as_on_record() {
    let mut lines = Vec::new();
    record::<EnrollRequest>(&mut lines);
    record::<EnrollReply>(&mut lines);
    record::<AgentRequest>(&mut lines);
    record::<AgentReply>(&mut lines);
    record::<BlobReply>(&mut lines);
    record::<ServerRequest>(&mut lines);
    record::<ServerReply>(&mut lines);
    record::<Task>(&mut lines);
    record::<JobState>(&mut lines);
    record::<JobResult>(&mut lines);
    record::<OperatorRequest>(&mut lines);
    record::<OperatorReply>(&mut lines);
    record::<ActionRequest>(&mut lines);
    record::<Why>(&mut lines);
    record::<Enrollment>(&mut lines);
    record::<RunKind>(&mut lines);
    record::<RunPhase>(&mut lines);
    record::<NodeState>(&mut lines);
    record::<Happening>(&mut lines);
    record::<PlanOutcome>(&mut lines);
    record::<ResourceOutcome>(&mut lines);
    record::<Diff>(&mut lines);
    record::<Impact>(&mut lines);
    record::<Severity>(&mut lines);
    record::<Probe>(&mut lines);
    let now = lines.join("\n") + "\n";
    if now == GOLDEN {
        return;
    }
    let changed: Vec<_> = lines
        .iter()
        .filter(|line| !GOLDEN.contains(line.as_str()))
        .collect();
    update(&now);
    panic!("other bytes than in tests/golden.txt (BRINE_GOLDEN=1 rewrites it): {changed:#?}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test may rewrite its own record"
)]
fn update(text: &str) {
    if std::env::var("BRINE_GOLDEN").is_ok() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt");
        std::fs::write(path, text).expect("writable");
    }
}

fn record<T: Samples + Serialize + DeserializeOwned + PartialEq + Debug>(lines: &mut Vec<String>) {
    for (name, sample) in T::samples() {
        let bytes = codec::encode(&sample).expect("encodable");
        let back: T = codec::decode(&bytes, codec::MAX).expect("decodable");
        assert_eq!(back, sample);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        lines.push(format!("{name} {hex}"));
    }
}
