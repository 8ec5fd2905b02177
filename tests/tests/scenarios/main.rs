//! Scenarios on real hosts: each starts from the converged reference fleet and ends wherever it
//! likes; the next one begins by converging again.
//!
//! They need root and run only where `BRINE_LAB` is set: `cargo lab test` does that. With
//! `BRINE_LAB_ATTACH` they use the lab of that name, which is running already.

mod any_host;
mod apply;
mod backends;
mod cold_boot;
mod crash;
mod database;
mod drift;
mod durability;
mod failover;
mod formation;
mod front;
mod grafana;
mod interrupted;
mod inventory;
mod metrics;
mod monitoring;
mod release;
mod reload;
mod replace;
mod rolling;
mod rotation;
mod seed;
mod settings;
mod volume;
mod watched;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use lab::fleet::Fleet;

/// The fleet, converged, for one scenario at a time; none where `BRINE_LAB` is not set.
fn fleet() -> Option<MutexGuard<'static, Fleet>> {
    static FLEET: OnceLock<Mutex<Fleet>> = OnceLock::new();
    std::env::var_os("BRINE_LAB")?;
    let fleet = FLEET.get_or_init(|| {
        Mutex::new(match std::env::var("BRINE_LAB_ATTACH") {
            Ok(name) => Fleet::attach(&name).expect("the lab runs"),
            Err(_) => start(),
        })
    });
    // A scenario that failed before may have left anything: converging again is the reset.
    let fleet = fleet.lock().unwrap_or_else(PoisonError::into_inner);
    fleet
        .converge()
        .expect("the fleet converges before the scenario");
    Some(fleet)
}

fn start() -> Fleet {
    let fleet = Fleet::start("scenarios", &lab::nodes::fleet()).expect("the fleet starts");
    apply::from_bare_hosts(&fleet);
    fleet
}

/// Prints what a scenario measured: figures are for people, no test asserts a time.
fn figure(text: &str) {
    lab::prerequisites::progress(&format!("measured: {text}"));
}

/// How often a repeating scenario repeats: its short form, or what `BRINE_LONG` asks for.
fn rounds(short: usize, long: usize) -> usize {
    if std::env::var_os("BRINE_LONG").is_some() {
        long
    } else {
        short
    }
}
