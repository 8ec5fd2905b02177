//! Asks both balancers at a fixed pace, whether or not earlier requests have been answered.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::process::{LoadProcess, is_stopped};
use super::{http, now_ms};
use crate::Lab;

/// What a prober asks for.
#[derive(Debug, Clone)]
pub struct ProberOptions {
    pub balancers: Vec<String>,
    pub path: String,
    /// Between two requests to one balancer.
    pub pace: Duration,
    /// How long a client waits for the whole answer.
    pub patience: Duration,
    /// It ends when this file exists.
    pub stop: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ProberReport {
    pub requests: usize,
    /// Those without status 200 in time.
    pub failed: usize,
    pub slowest_ms: u64,
    /// Answers that took more than a second.
    pub slow: usize,
    /// From the first to the last failure.
    pub failing_ms: u64,
    /// How often each text was the answer.
    pub answers: BTreeMap<String, usize>,
    /// The first failures.
    pub failures: Vec<Failure>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    /// Milliseconds of the wall clock when it was sent.
    pub at: u64,
    pub balancer: String,
    pub after_ms: u64,
    pub error: String,
}

/// More would be noise.
const SHOWN: usize = 50;

struct Outcome {
    at: u64,
    took: Duration,
    balancer: String,
    answer: Result<String, String>,
}

/// Probes until it is told to stop; then waits for the answers under way.
pub async fn probe(options: &ProberOptions) -> ProberReport {
    let mut outcomes = JoinSet::new();
    let mut ticks = interval(options.pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !is_stopped(&options.stop) {
        ticks.tick().await;
        for balancer in &options.balancers {
            let (balancer, path) = (balancer.clone(), options.path.clone());
            outcomes.spawn(ask(balancer, path, options.patience));
        }
    }
    let mut outcomes = outcomes.join_all().await;
    outcomes.sort_by_key(|outcome| outcome.at);
    summarise(&outcomes)
}

async fn ask(balancer: String, path: String, patience: Duration) -> Outcome {
    let (at, begun) = (now_ms(), Instant::now());
    let answer = match timeout(patience, http::get(&balancer, &path)).await {
        Err(_) => Err("no answer in time".to_owned()),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Ok(Ok(answer)) if answer.status != 200 => Err(format!("status {}", answer.status)),
        Ok(Ok(answer)) => Ok(answer.body),
    };
    Outcome {
        at,
        took: begun.elapsed(),
        balancer,
        answer,
    }
}

fn summarise(outcomes: &[Outcome]) -> ProberReport {
    let mut report = ProberReport::default();
    let mut first_failure = None;
    for outcome in outcomes {
        let took = u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX);
        report.requests += 1;
        report.slowest_ms = report.slowest_ms.max(took);
        report.slow += usize::from(took > 1000);
        match &outcome.answer {
            Ok(body) => {
                let shown: String = body.trim().chars().take(80).collect();
                *report.answers.entry(shown).or_default() += 1;
            }
            Err(error) => {
                report.failed += 1;
                report.failing_ms = outcome.at - *first_failure.get_or_insert(outcome.at);
                if report.failures.len() < SHOWN {
                    report.failures.push(Failure {
                        at: outcome.at,
                        balancer: outcome.balancer.clone(),
                        after_ms: took,
                        error: error.clone(),
                    });
                }
            }
        }
    }
    report
}

/// A prober under way in a lab.
#[derive(Debug)]
pub struct Prober(LoadProcess);

impl Prober {
    /// Starts asking both balancers for `path`, each every `pace`, with three seconds of patience.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(lab: &Lab, balancers: &[&str], path: &str, pace: Duration) -> Result<Self> {
        let (hosts, pace) = (balancers.join(","), pace.as_millis().to_string());
        let name = format!("prober-{}", now_ms());
        let arguments = [
            "probe",
            "--hosts",
            &hosts,
            "--path",
            path,
            "--pace-ms",
            &pace,
        ];
        LoadProcess::start(lab, &name, &arguments, &[]).map(Self)
    }

    /// Ends it and says what came of it.
    ///
    /// # Errors
    /// It ended with an error.
    pub fn stop(self) -> Result<ProberReport> {
        self.0.stop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(at: u64, took: u64, answer: Result<&str, &str>) -> Outcome {
        Outcome {
            at,
            took: Duration::from_millis(took),
            balancer: "balancer01".to_owned(),
            answer: answer.map(str::to_owned).map_err(str::to_owned),
        }
    }

    #[test]
    fn failures_and_slow_answers_are_counted() {
        let report = summarise(&[
            outcome(0, 5, Ok("a\n")),
            outcome(100, 1500, Ok("b")),
            outcome(200, 3000, Err("no answer in time")),
            outcome(700, 1, Err("status 503")),
            outcome(900, 5, Ok("a")),
        ]);
        assert_eq!((report.requests, report.failed, report.slow), (5, 2, 2));
        assert_eq!((report.slowest_ms, report.failing_ms), (3000, 500));
        assert_eq!(report.answers["a"], 2);
        assert_eq!(report.failures[1].error, "status 503");
    }
}
