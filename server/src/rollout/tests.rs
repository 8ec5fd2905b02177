//! Rollouts over a fleet that exists only as data.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use brine_model::name::NodeName;

use super::{Action, End, Input, Member, Rank, Rollout, Rule, Setup, Standing, Verdict, Work};
use crate::runs::outcome::StepOutcome;

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

/// A fleet, and what its members answer.
#[derive(Default, Clone)]
struct Fleet {
    setup: Setup,
    standings: BTreeMap<String, Standing>,
    ranks: BTreeMap<String, Rank>,
    applied: BTreeMap<String, StepOutcome>,
    settled: BTreeMap<String, String>,
    /// Goes away as soon as this other one begins its step.
    leaves_after: Option<(String, String)>,
    cancel_at: Option<String>,
}

impl Fleet {
    fn role(mut self, role: &str, max_unavailable: u32, after: &[&str]) -> Self {
        let after = after.iter().map(|role| name(role)).collect();
        self.setup.roles.insert(
            name(role),
            Rule {
                max_unavailable,
                after,
                forming: true,
            },
        );
        self
    }

    /// `formed` or bare, with work or only watched.
    fn node(mut self, node: &str, roles: &[&str], formed: bool, work: Option<Work>) -> Self {
        let roles: BTreeSet<_> = roles.iter().map(|role| name(role)).collect();
        let formed = if formed {
            for role in &roles {
                if let Some(rule) = self.setup.roles.get_mut(role) {
                    rule.forming = false;
                }
            }
            roles.clone()
        } else {
            BTreeSet::new()
        };
        self.setup.members.insert(
            name(node),
            Member {
                roles,
                formed,
                work,
            },
        );
        self
    }

    /// Three formed backends that all change.
    fn backends() -> Self {
        let work = Some(Work::Disturb);
        ["backend01", "backend02", "backend03"]
            .into_iter()
            .fold(Self::default().role("backend", 1, &[]), |fleet, node| {
                fleet.node(node, &["backend"], true, work)
            })
    }

    fn stands(mut self, node: &str, standing: Standing) -> Self {
        self.standings.insert(node.into(), standing);
        self
    }

    fn fails(mut self, node: &str, why: &str) -> Self {
        self.applied
            .insert(node.into(), StepOutcome::Failed(why.into()));
        self
    }

    /// Runs the rollout to its end; `lifo` answers the newest question first.
    fn run(&self, lifo: bool) -> Told {
        let mut fleet = self.clone();
        let mut rollout = Rollout::new(fleet.setup.clone());
        let mut queue: VecDeque<Action> = rollout.start().into();
        let mut told = Told::default();
        let mut out: BTreeSet<NodeName> = BTreeSet::new();
        for _ in 0..10_000 {
            let Some(action) = (if lifo {
                queue.pop_back()
            } else {
                queue.pop_front()
            }) else {
                panic!("it waits for nothing: {told:?}");
            };
            let input = match action {
                Action::Ask(node) => {
                    let standing = fleet.standings.get(node.as_str()).cloned();
                    let rank = fleet.ranks.get(node.as_str()).copied().unwrap_or_default();
                    Input::Standing(node, standing.unwrap_or(Standing::Available), rank)
                }
                // Applies take a while: they are answered when their check is due.
                Action::Apply(node) => {
                    told.trace.push(format!("apply {node}"));
                    if let Some((first, leaver)) = &fleet.leaves_after
                        && *first == node.as_str()
                    {
                        fleet
                            .standings
                            .insert(leaver.clone(), Standing::Disconnected);
                    }
                    out.insert(node.clone());
                    told.most_out = told.most_out.max(out.len());
                    if fleet.cancel_at.as_deref() == Some(node.as_str()) {
                        fleet.cancel_at = None;
                        fleet
                            .applied
                            .insert(node.as_str().into(), StepOutcome::Cancelled);
                        queue.push_back(Action::Apply(node));
                        queue.extend(rollout.input(Input::Cancel("admin".into())));
                        told.trace.push("cancel".into());
                        continue;
                    }
                    let outcome = fleet.applied.get(node.as_str()).cloned();
                    if outcome.as_ref().is_some_and(|outcome| !outcome.is_good()) {
                        out.remove(&node);
                    }
                    let confirmed = fleet.setup.members[&node].work == Some(Work::Confirm);
                    if confirmed {
                        out.remove(&node);
                    }
                    let good = if confirmed {
                        StepOutcome::InSync
                    } else {
                        StepOutcome::Changed
                    };
                    Input::Applied(node, outcome.unwrap_or(good))
                }
                Action::Check(node) => {
                    out.remove(&node);
                    fleet.standings.remove(node.as_str());
                    let settled = fleet.settled.get(node.as_str()).cloned();
                    Input::Settled(node, settled.map_or(Ok(()), Err))
                }
                Action::CancelJob(_) => continue,
                Action::Finish(end) => {
                    assert!(rollout.input(Input::Cancel("late".into())).is_empty());
                    told.end = Some(end);
                    return told;
                }
            };
            queue.extend(rollout.input(input));
        }
        panic!("it never ends: {told:?}");
    }

    fn check(&self, expected: &[&str], verdict: &str, untouched: &[&str]) {
        let told = self.run(false);
        let end = told.end.expect("an end");
        let words = match end.verdict {
            Verdict::Succeeded => "succeeded".to_owned(),
            Verdict::Failed(why) | Verdict::Closed(why) => format!("failed: {why}"),
            Verdict::Cancelled(who) => format!("cancelled by {who}"),
        };
        assert_eq!(told.trace, expected, "{words}");
        assert_eq!(words, verdict);
        let left: Vec<&str> = end.untouched.iter().map(NodeName::as_str).collect();
        assert_eq!(left, untouched);
    }
}

#[derive(Debug, Default)]
struct Told {
    trace: Vec<String>,
    most_out: usize,
    end: Option<End>,
}

#[test]
fn one_backend_at_a_time() {
    let fleet = Fleet::backends();
    fleet.check(
        &["apply backend01", "apply backend02", "apply backend03"],
        "succeeded",
        &[],
    );
    for lifo in [false, true] {
        assert_eq!(fleet.run(lifo).most_out, 1);
    }
}

#[test]
fn never_more_out_than_allowed_whoever_is_slow() {
    for max in 1..=4 {
        let fleet = (0..9).fold(Fleet::default().role("web", max, &[]), |fleet, number| {
            fleet.node(
                &format!("web{number}"),
                &["web"],
                number != 4,
                Some(Work::Disturb),
            )
        });
        for lifo in [false, true] {
            let told = fleet.run(lifo);
            assert_eq!(told.end.expect("an end").verdict, Verdict::Succeeded);
            assert!(told.most_out <= max as usize, "{max}: {}", told.most_out);
            assert_eq!(told.trace.len(), 9);
        }
    }
}

#[test]
fn a_dead_member_keeps_the_others_in_service() {
    Fleet::backends().stands("backend02", Standing::Disconnected).check(
        &[],
        "failed: backend02 is disconnected: taking out backend01 too would leave 1 of 3 members of \
         backend available, and at most 1 may be unavailable",
        &["backend01", "backend02", "backend03"],
    );
}

#[test]
fn members_that_are_not_targeted_count() {
    let mut fleet = Fleet::backends().stands("backend03", Standing::Unhealthy("500".into()));
    fleet
        .setup
        .members
        .get_mut("backend03")
        .expect("there")
        .work = None;
    fleet.check(
        &[],
        "failed: backend03 is not healthy (500): taking out backend01 too would leave 1 of 3 \
         members of backend available, and at most 1 may be unavailable",
        &["backend01", "backend02"],
    );
}

#[test]
fn who_is_unhealthy_is_mended_first() {
    Fleet::backends()
        .stands("backend03", Standing::Unhealthy("500".into()))
        .check(
            &["apply backend03", "apply backend01", "apply backend02"],
            "succeeded",
            &[],
        );
}

#[test]
fn who_serves_only_partly_is_missed() {
    let lags = || Standing::Partly("lags".into());
    // Alone it may be mended.
    Fleet::backends().stands("backend03", lags()).check(
        &["apply backend03", "apply backend01", "apply backend02"],
        "succeeded",
        &[],
    );
    // With another one gone, what it still does must not go as well.
    let mut fleet = Fleet::backends()
        .stands("backend01", Standing::Disconnected)
        .stands("backend03", lags());
    for (name, member) in &mut fleet.setup.members {
        if name.as_str() != "backend03" {
            member.work = None;
        }
    }
    fleet.check(
        &[],
        "failed: backend01 is disconnected: taking out backend03 too would leave 1 of 3 members of \
         backend available, and at most 1 may be unavailable",
        &["backend03"],
    );
}

#[test]
fn all_unhealthy_are_still_mended_one_by_one() {
    let sick = Standing::Unhealthy("new port".into());
    let fleet = Fleet::backends()
        .stands("backend01", sick.clone())
        .stands("backend02", sick.clone())
        .stands("backend03", sick);
    assert_eq!(fleet.run(true).most_out, 1);
    fleet.check(
        &["apply backend01", "apply backend02", "apply backend03"],
        "succeeded",
        &[],
    );
}

#[test]
fn a_member_that_dies_on_the_way_stops_the_next_step() {
    let mut fleet = Fleet::backends();
    fleet.leaves_after = Some(("backend01".into(), "backend03".into()));
    fleet.check(
        &["apply backend01"],
        "failed: backend03 is disconnected: taking out backend02 too would leave 1 of 3 members of \
         backend available, and at most 1 may be unavailable",
        &["backend02", "backend03"],
    );
}

#[test]
fn the_first_failure_stops_the_rest() {
    Fleet::backends()
        .fails("backend01", "service:webapp: it did not start")
        .check(
            &["apply backend01"],
            "failed: backend01 failed: service:webapp: it did not start",
            &["backend02", "backend03"],
        );
    let mut fleet = Fleet::backends();
    fleet.settled.insert("backend02".into(), "http: 503".into());
    fleet.check(
        &["apply backend01", "apply backend02"],
        "failed: backend02 did not become healthy after its step: http: 503",
        &["backend03"],
    );
}

#[test]
fn a_new_role_is_formed_all_at_once() {
    let fleet = ["db01", "db02", "db03"]
        .into_iter()
        .fold(Fleet::default().role("db", 1, &[]), |fleet, node| {
            fleet.node(node, &["db"], false, Some(Work::Disturb))
        });
    assert_eq!(fleet.run(false).most_out, 3);
    assert_eq!(fleet.run(true).trace.len(), 3);
}

#[test]
fn a_bare_member_joins_a_formed_role_in_its_turn() {
    // It is not missed before, and does not keep the others from changing either.
    Fleet::backends()
        .node("backend04", &["backend"], false, Some(Work::Disturb))
        .check(
            &[
                "apply backend01",
                "apply backend02",
                "apply backend03",
                "apply backend04",
            ],
            "succeeded",
            &[],
        );
    Fleet::backends()
        .node("backend04", &["backend"], false, None)
        .check(
            &["apply backend01", "apply backend02", "apply backend03"],
            "succeeded",
            &[],
        );
}

#[test]
fn what_disturbs_nobody_goes_in_parallel_and_first() {
    let mut fleet = Fleet::backends();
    fleet
        .setup
        .members
        .get_mut("backend03")
        .expect("there")
        .work = Some(Work::Confirm);
    fleet
        .setup
        .members
        .get_mut("backend02")
        .expect("there")
        .work = Some(Work::Quiet);
    fleet.check(
        &["apply backend02", "apply backend03", "apply backend01"],
        "succeeded",
        &[],
    );
    // Even while a member is dead.
    let mut quiet = Fleet::backends().stands("backend03", Standing::Disconnected);
    for node in ["backend01", "backend02"] {
        quiet.setup.members.get_mut(node).expect("there").work = Some(Work::Quiet);
    }
    quiet
        .setup
        .members
        .get_mut("backend03")
        .expect("there")
        .work = None;
    assert_eq!(
        quiet.run(false).end.expect("an end").verdict,
        Verdict::Succeeded
    );
}

#[test]
fn roles_follow_each_other() {
    Fleet::default()
        .role("balancer", 1, &["backend"])
        .role("backend", 1, &[])
        .node("a-balancer", &["balancer"], true, Some(Work::Disturb))
        .node(
            "b-both",
            &["balancer", "backend"],
            true,
            Some(Work::Disturb),
        )
        .node("c-backend", &["backend"], true, Some(Work::Disturb))
        .check(
            &["apply c-backend", "apply a-balancer", "apply b-both"],
            "succeeded",
            &[],
        );
}

#[test]
fn a_node_of_two_roles_obeys_both() {
    let fleet = Fleet::default()
        .role("db", 1, &[])
        .role("web", 3, &[])
        .node("n1", &["db", "web"], true, Some(Work::Disturb))
        .node("n2", &["db", "web"], true, Some(Work::Disturb))
        .node("n3", &["web"], true, Some(Work::Disturb));
    for lifo in [false, true] {
        let told = fleet.run(lifo);
        assert!(told.most_out <= 2, "n1 and n2 never together");
        assert_eq!(told.trace.len(), 3);
    }
}

#[test]
fn cancelling_ends_after_what_is_under_way() {
    let mut fleet = Fleet::backends();
    fleet.cancel_at = Some("backend02".into());
    fleet.check(
        &[
            "apply backend01",
            "apply backend02",
            "cancel",
            "apply backend02",
        ],
        "cancelled by admin",
        &["backend03"],
    );
}

/// Whatever the order of answers: nobody who is in service is taken out beyond the limit.
#[test]
fn the_limit_holds_in_every_order_of_answers() {
    for seed in 0..2000_u64 {
        let mut random = Random(seed);
        let (max, count) = (1 + random.below(3), 3 + random.below(6));
        let mut fleet = Fleet::default().role("web", max as u32, &[]);
        for number in 0..count {
            let node = format!("web{number}");
            let work = [
                None,
                Some(Work::Disturb),
                Some(Work::Disturb),
                Some(Work::Quiet),
            ];
            fleet = fleet.node(&node, &["web"], random.below(5) > 0, work[random.below(4)]);
            match random.below(8) {
                0 => fleet = fleet.stands(&node, Standing::Unhealthy("sick".into())),
                1 if seed % 3 == 0 => fleet = fleet.stands(&node, Standing::Disconnected),
                2 if seed % 5 == 0 => fleet = fleet.fails(&node, "broken"),
                _ => {}
            }
        }
        run_in_any_order(fleet, &mut random, max);
    }
}

fn run_in_any_order(mut fleet: Fleet, random: &mut Random, max: usize) {
    let formed = fleet
        .setup
        .members
        .values()
        .any(|member| !member.formed.is_empty());
    let mut rollout = Rollout::new(fleet.setup.clone());
    let mut open = rollout.start();
    let mut out: BTreeSet<NodeName> = BTreeSet::new();
    let mut applied = 0;
    loop {
        assert!(!open.is_empty(), "it waits for nothing");
        let action = open.swap_remove(random.below(open.len()));
        let input = match action {
            Action::Ask(node) => {
                let standing = fleet.standings.get(node.as_str()).cloned();
                let rank = if random.below(2) == 0 {
                    Rank::First
                } else {
                    Rank::Last
                };
                Input::Standing(node, standing.unwrap_or(Standing::Available), rank)
            }
            Action::Apply(node) => {
                let member = &fleet.setup.members[&node];
                if formed && member.work == Some(Work::Disturb) {
                    let counted = |name: &&NodeName| !fleet.setup.members[*name].formed.is_empty();
                    let sick = fleet
                        .standings
                        .keys()
                        .map(|name| name.parse().expect("a name"));
                    let sick: BTreeSet<NodeName> = sick.collect();
                    let missing = out
                        .union(&sick)
                        .filter(counted)
                        .filter(|name| **name != node);
                    let missed = !member.formed.is_empty() && !sick.contains(&node);
                    assert!(!missed || missing.count() < max, "{node} was taken out too");
                    assert!(out.len() < max, "{node} is one step too many");
                    assert_ne!(
                        fleet.standings.get(node.as_str()),
                        Some(&Standing::Disconnected)
                    );
                    out.insert(node.clone());
                }
                // The answer is late: something else may happen first.
                open.push(Action::Check(node));
                applied += 1;
                continue;
            }
            Action::Check(node) if fleet.applied.contains_key(node.as_str()) => {
                out.remove(&node);
                Input::Applied(node.clone(), fleet.applied[node.as_str()].clone())
            }
            Action::Check(node) => {
                let checked = rollout.input(Input::Applied(node.clone(), StepOutcome::Changed));
                open.extend(
                    checked
                        .into_iter()
                        .filter(|a| *a != Action::Check(node.clone())),
                );
                out.remove(&node);
                fleet.standings.remove(node.as_str());
                Input::Settled(node, Ok(()))
            }
            Action::CancelJob(_) => continue,
            Action::Finish(end) => {
                let work = fleet
                    .setup
                    .members
                    .values()
                    .filter(|m| m.work.is_some())
                    .count();
                assert_eq!(applied + end.untouched.len(), work, "{end:?}");
                assert!(end.verdict != Verdict::Succeeded || end.untouched.is_empty());
                return;
            }
        };
        open.extend(rollout.input(input));
    }
}

/// A small generator: the same seed gives the same rollout.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}
