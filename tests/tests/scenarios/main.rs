//! Scenarios on real hosts: each starts from the converged reference fleet and ends wherever it
//! likes; the next one begins by converging again.
//!
//! They need root and run only where `BRINE_LAB` is set: `cargo lab test` does that.

mod apply;
mod crash;
mod drift;
mod durability;
mod reload;
mod rolling;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use lab::fleet::Fleet;

/// The fleet, converged, for one scenario at a time; none where `BRINE_LAB` is not set.
fn fleet() -> Option<MutexGuard<'static, Fleet>> {
    static FLEET: OnceLock<Mutex<Fleet>> = OnceLock::new();
    std::env::var_os("BRINE_LAB")?;
    let fleet = FLEET.get_or_init(|| {
        let nodes = lab::nodes::fleet();
        let fleet = Fleet::start("scenarios", &nodes).expect("the fleet starts");
        apply::from_bare_hosts(&fleet);
        Mutex::new(fleet)
    });
    // A scenario that failed before may have left anything: converging again is the reset.
    let fleet = fleet.lock().unwrap_or_else(PoisonError::into_inner);
    fleet
        .converge()
        .expect("the fleet converges before the scenario");
    Some(fleet)
}

/// How often a repeating scenario repeats: its short form, or what `BRINE_LONG` asks for.
fn rounds(short: usize, long: usize) -> usize {
    if std::env::var_os("BRINE_LONG").is_some() {
        long
    } else {
        short
    }
}
