//! What the scenarios of the database share: the cluster as its own API shows it, and a writer.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lab::fleet::Fleet;
use lab::load::{Login, Prober, Writer, WriterReport};
use lab::process::Running;
use lab::wait_until;
use serde_json::Value;

pub(crate) const MEMBERS: [&str; 3] = ["db01", "db02", "db03"];
pub(crate) const BALANCERS: [&str; 2] = ["balancer01", "balancer02"];

/// The cluster as Patroni shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topology {
    pub(crate) leader: String,
    pub(crate) timeline: u64,
    pub(crate) synchronous: BTreeSet<String>,
    /// Replicas that stream the leader's timeline.
    pub(crate) streaming: BTreeSet<String>,
}

impl Topology {
    /// As this member sees it.
    ///
    /// # Errors
    /// It does not answer, or knows no leader.
    pub(crate) fn seen_by(fleet: &Fleet, member: &str) -> Result<Self> {
        let url = format!("curl -sf -m 2 http://{member}:8008/cluster");
        let answer = fleet.operator().run(&url);
        ensure!(answer.code == 0, "{member} does not answer: {answer}");
        let cluster: Value = serde_json::from_str(&answer.stdout).context("not JSON")?;
        let members = cluster["members"].as_array().context("no members")?;
        // A machine that took another's place is `db02-g1`.
        let name = |member: &Value| {
            let name = member["name"].as_str().unwrap_or_default();
            name.split("-g").next().unwrap_or_default().to_owned()
        };
        let leader = members
            .iter()
            .find(|member| member["role"] == "leader" && member["state"] == "running");
        let leader = leader.with_context(|| format!("no leader: {cluster}"))?;
        let streaming = members.iter().filter(|member| {
            *member != leader
                && matches!(member["state"].as_str(), Some("running" | "streaming"))
                && member["timeline"] == leader["timeline"]
        });
        let synchronous = members.iter().filter(|m| m["role"] == "sync_standby");
        Ok(Self {
            leader: name(leader),
            timeline: leader["timeline"].as_u64().context("no timeline")?,
            synchronous: synchronous.map(name).collect(),
            streaming: streaming.map(name).collect(),
        })
    }

    /// As the first that answers sees it.
    pub(crate) fn of(fleet: &Fleet) -> Result<Self> {
        let mut last = None;
        for member in MEMBERS {
            match Self::seen_by(fleet, member) {
                Ok(topology) => return Ok(topology),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no members")?)
    }

    /// The members that do not lead.
    pub(crate) fn replicas(&self) -> Vec<&'static str> {
        let mut members = MEMBERS.to_vec();
        members.retain(|member| *member != self.leader);
        members
    }
}

/// Waits until one leads and the other two stream from it, one of them synchronously, and all three
/// say so: one that was cut off or frozen may still believe in what was.
pub(crate) fn whole(fleet: &Fleet) -> Topology {
    let seen = || MEMBERS.map(|member| Topology::seen_by(fleet, member).ok());
    let mut found = None;
    wait_until("the database to be whole", Duration::from_secs(120), || {
        let [first, second, third] = seen();
        found = first
            .filter(|seen| seen.streaming.len() == 2 && !seen.synchronous.is_empty())
            .filter(|first| second.as_ref() == Some(first) && third.as_ref() == Some(first));
        Ok(found.is_some())
    })
    .unwrap_or_else(|error| panic!("{error:#}: {:?}", seen()));
    found.expect("it was found")
}

/// A writer through both balancers that has begun to write.
pub(crate) fn writer(fleet: &Fleet) -> Writer {
    writer_through(fleet, &BALANCERS)
}

/// A writer through these that has begun to write.
pub(crate) fn writer_through(fleet: &Fleet, fronts: &[&str]) -> Writer {
    let login = Login::of_application(fleet.lab(), "backend01").expect("the application's login");
    let writer = Writer::start(fleet.lab(), fronts, &login).expect("a writer");
    wait_until("the writer writes", Duration::from_secs(30), || {
        Ok(writer.acked() > 20)
    })
    .expect("it writes");
    writer
}

/// Waits until the writer writes on, ends it, and insists that nothing acknowledged is lost.
pub(crate) fn nothing_lost(writer: Writer, what: &str) -> WriterReport {
    let before = writer.acked();
    let written = wait_until("the writer writes again", Duration::from_secs(90), || {
        Ok(writer.acked() > before + 50)
    });
    let report = writer.stop().expect("the writer's report");
    written.unwrap_or_else(|error| panic!("{what}: {error:#}: {report:?}"));
    assert!(
        report.missing.is_empty(),
        "{what}: {} acknowledged rows are lost: {report:?}",
        report.missing.len()
    );
    super::figure(&format!(
        "{what}: {} rows acknowledged, none lost; longest gap {} ms; gaps over half a second: {:?}",
        report.acked,
        report.longest_gap_ms,
        report.gaps.iter().map(|(_, gap)| *gap).collect::<Vec<_>>(),
    ));
    report
}

/// A client of the front door, ten requests a second to each balancer.
pub(crate) fn prober(fleet: &Fleet, path: &str) -> Prober {
    Prober::start(fleet.lab(), &BALANCERS, path, Duration::from_millis(100)).expect("a prober")
}

/// Watches from outside how many of these URLs do not answer at the same time.
pub(crate) struct Watch(Running);

impl Watch {
    pub(crate) fn start(fleet: &Fleet, urls: &[String]) -> Self {
        let urls = urls.join(" ");
        fleet.operator().succeed("rm -f /run/stop-watch");
        Self(fleet.operator().spawn(&format!(
            "worst=0; n=0; while [ ! -e /run/stop-watch ]; do out=0; for url in {urls}; do \
             curl -sf -m 3 -o /dev/null $url || out=$((out+1)); done; n=$((n+1)); \
             [ $out -gt $worst ] && worst=$out; sleep 0.1; done; echo $n $worst"
        )))
    }

    /// Every member's PostgreSQL.
    pub(crate) fn members(fleet: &Fleet) -> Self {
        Self::start(
            fleet,
            &MEMBERS.map(|member| format!("http://{member}:8008/health")),
        )
    }

    /// The most that were out at once.
    pub(crate) fn worst(self, fleet: &Fleet) -> u32 {
        fleet.operator().succeed("touch /run/stop-watch");
        let counted = self.0.wait_with_output();
        let counts: Vec<u32> = counted
            .stdout
            .split_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        assert!(counts.len() == 2 && counts[0] > 3, "it watched: {counted}");
        counts[1]
    }
}

/// The processes that hold a host's data or connections, and when they were started.
pub(crate) fn processes(fleet: &Fleet, host: &str) -> String {
    fleet.host(host).succeed(
        "systemctl show -p Id,MainPID,InvocationID etcd patroni haproxy webapp 2>/dev/null; \
         cat /var/lib/postgresql/15/main/postmaster.pid 2>/dev/null | sed -n '1p;3p' || true",
    )
}

/// What PostgreSQL on this host answers to one question.
pub(crate) fn sql(fleet: &Fleet, host: &str, question: &str) -> String {
    let command = format!("cd / && runuser -u postgres -- psql -Atc \"{question}\"");
    fleet.host(host).succeed(&command).trim().to_owned()
}
