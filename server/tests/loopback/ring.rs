//! A role that is a cluster: it tells whether it exists and who leads, its leader does one thing for
//! all, its members are drained before a step, and a change that fails is taken back.

use std::path::Path;

use crate::agent::{Agent, Log};
use crate::fixture::Fixture;
use crate::script::tells;

const FORMULA: &str = "
description: Ring.
parameters:
  word: { type: string, default: hello, description: A word. }
resources:
  - patroni_member: member
    data: /var/lib/ring
  - file: /etc/once.conf
    once: NAME.role = \"leader\"
    content: once
  - file: /etc/word.conf
    content: ${{ NAME.word }}
actions:
  restart: { do: \"patroni_member:member\", verb: restart }
  leave: { do: \"patroni_member:member\", verb: leave, leaves: true }
cluster:
  formed: NAME.formed
  healthy:
    - { tcp: \"127.0.0.1:80\", within: 2s }
    - { tcp: \"127.0.0.1:81\", within: 2s }
  max_unavailable: 1
  drain: [{ command: [drain] }]
  undrain: [{ command: [undrain] }]
  on_failure: revert
";

/// What has to be approved on one member and is done by the leader.
pub(crate) const ONCE: &str = "file:/etc/once.conf";

/// The roles `ring` and, after it, `edge`, whose formulas are alike.
fn write_states(root: &Path) {
    let write = |path: String, text: String| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    for (role, after) in [("ring", ""), ("edge", "after: [ring]\n")] {
        write(
            format!("formulas/{role}/formula.yaml"),
            format!("formula: {role}{}", FORMULA.replace("NAME", role)),
        );
        write(
            format!("roles/{role}.yaml"),
            format!("role: {role}\ndescription: A ring.\n{after}formulas: [{role}]\n"),
        );
    }
}

pub(crate) fn write_word(fixture: &Fixture, word: &str) {
    let path = fixture.folder.path().join("states/data/common.yaml");
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    std::fs::write(path, format!("ring: {{ word: {word} }}\n")).expect("written");
}

pub(crate) async fn fixture() -> (Fixture, Log) {
    let fixture = Fixture::new().await;
    write_states(&fixture.folder.path().join("states"));
    (fixture, Log::default())
}

/// Machines of these names with these roles, which are not formed.
pub(crate) async fn join(
    fixture: &Fixture,
    log: &Log,
    names: &[&str],
    roles: &[&str],
) -> Vec<Agent> {
    let token = fixture.pool_token("*", roles, 20).await;
    let mut agents = Vec::new();
    for name in names {
        let agent = Agent::join(fixture, &token, name, log).await;
        for role in roles {
            agent.script(|script| script.live = tells(role, &[("formed", "false")]));
        }
        agents.push(agent);
    }
    agents
}

/// All of it applied once; the first member leads.
pub(crate) async fn formed(fixture: &Fixture, log: &Log, names: &[&str], role: &str) -> Vec<Agent> {
    let agents = join(fixture, log, names, &[role]).await;
    for (number, agent) in agents.iter().enumerate() {
        let place = if number == 0 { "leader" } else { "replica" };
        let live = tells(role, &[("formed", "true"), ("role", place)]);
        agent.script(|script| script.becomes = Some(("patroni_member:member".into(), live)));
    }
    let run = fixture.apply(&format!("role={role}")).await;
    fixture.succeeds(run).await;
    log.lock().expect("unpoisoned").clear();
    agents
}

/// What was noted of the node that begins with this word, without its name.
pub(crate) fn noted(log: &Log, node: &str, word: &str) -> Vec<String> {
    let log = log.lock().expect("unpoisoned");
    log.iter()
        .filter_map(|line| line.strip_prefix(node)?.strip_prefix(' '))
        .filter(|what| what.starts_with(word))
        .map(str::to_owned)
        .collect()
}
