//! How the kernel disciplines its clock.

use brine_exposition::{Exposition, Kind};
use nix::errno::Errno;
use nix::libc;

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "timex",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const MICROSECONDS: f64 = 1e6;
const NANOSECONDS: f64 = 1e9;

/// Frequencies are in millionths of a ratio, with 16 bits behind the point.
const SCALED_MILLIONTHS: f64 = 1e6 * 65536.0;

fn collect(_: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let (clock, state) = read().map_err(|errno| match errno {
        Errno::EPERM | Errno::EACCES => CollectError::NoData,
        other => CollectError::malformed("adjtimex", other.to_string()),
    })?;
    tell(&clock, state, out);
    Ok(())
}

/// What the kernel says without being told anything, and the state of the clock.
#[expect(
    unsafe_code,
    reason = "adjtimex is a C function; nothing safe wraps it"
)]
fn read() -> Result<(libc::timex, i32), Errno> {
    // SAFETY: all fields are integers, of which zero is one; no modes are set, so that adjtimex(2) changes nothing, and
    // it writes to this structure only.
    let (clock, state) = unsafe {
        let mut clock: libc::timex = std::mem::zeroed();
        let state = libc::adjtimex(&raw mut clock);
        (clock, state)
    };
    Errno::result(state).map(|state| (clock, state))
}

fn tell(clock: &libc::timex, state: i32, out: &mut Exposition) {
    let unit = if clock.status & libc::STA_NANO == 0 {
        MICROSECONDS
    } else {
        NANOSECONDS
    };
    for (kind, name, help, value) in [
        (
            Kind::Gauge,
            "node_timex_sync_status",
            "Is clock synchronized to a reliable server (1 = yes, 0 = no).",
            f64::from(state != libc::TIME_ERROR),
        ),
        (
            Kind::Gauge,
            "node_timex_offset_seconds",
            "Time offset in between local system and reference clock.",
            clock.offset as f64 / unit,
        ),
        (
            Kind::Gauge,
            "node_timex_frequency_adjustment_ratio",
            "Local clock frequency adjustment.",
            1.0 + clock.freq as f64 / SCALED_MILLIONTHS,
        ),
        (
            Kind::Gauge,
            "node_timex_maxerror_seconds",
            "Maximum error in seconds.",
            clock.maxerror as f64 / MICROSECONDS,
        ),
        (
            Kind::Gauge,
            "node_timex_estimated_error_seconds",
            "Estimated error in seconds.",
            clock.esterror as f64 / MICROSECONDS,
        ),
        (
            Kind::Gauge,
            "node_timex_status",
            "Value of the status array bits.",
            f64::from(clock.status),
        ),
        (
            Kind::Gauge,
            "node_timex_loop_time_constant",
            "Phase-locked loop time constant.",
            clock.constant as f64,
        ),
        (
            Kind::Gauge,
            "node_timex_tick_seconds",
            "Seconds between clock ticks.",
            clock.tick as f64 / MICROSECONDS,
        ),
        (
            Kind::Gauge,
            "node_timex_pps_frequency_hertz",
            "Pulse per second frequency.",
            clock.ppsfreq as f64 / SCALED_MILLIONTHS,
        ),
        (
            Kind::Gauge,
            "node_timex_pps_jitter_seconds",
            "Pulse per second jitter.",
            clock.jitter as f64 / unit,
        ),
        (
            Kind::Gauge,
            "node_timex_pps_shift_seconds",
            "Pulse per second interval duration.",
            f64::from(clock.shift),
        ),
        (
            Kind::Gauge,
            "node_timex_pps_stability_hertz",
            "Pulse per second stability, average of recent frequency changes.",
            clock.stabil as f64 / SCALED_MILLIONTHS,
        ),
        (
            Kind::Counter,
            "node_timex_pps_jitter_total",
            "Pulse per second count of jitter limit exceeded events.",
            clock.jitcnt as f64,
        ),
        (
            Kind::Counter,
            "node_timex_pps_calibration_total",
            "Pulse per second count of calibration intervals.",
            clock.calcnt as f64,
        ),
        (
            Kind::Counter,
            "node_timex_pps_error_total",
            "Pulse per second count of calibration errors.",
            clock.errcnt as f64,
        ),
        (
            Kind::Counter,
            "node_timex_pps_stability_exceeded_total",
            "Pulse per second count of stability limit exceeded events.",
            clock.stbcnt as f64,
        ),
        (
            Kind::Gauge,
            "node_timex_tai_offset_seconds",
            "International Atomic Time (TAI) offset.",
            f64::from(clock.tai),
        ),
    ] {
        out.family(name, kind, help).add(&[], value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    fn told(change: impl FnOnce(&mut libc::timex), state: i32) -> String {
        let (mut clock, _) = read().unwrap();
        change(&mut clock);
        let mut out = Exposition::new();
        tell(&clock, state, &mut out);
        out.text()
    }

    #[test]
    fn units_are_those_that_the_status_says() {
        let change = |clock: &mut libc::timex| {
            clock.offset = 2500;
            clock.freq = 65_536_000;
            clock.status = libc::STA_NANO;
        };
        let text = told(change, libc::TIME_OK);
        assert!(text.contains("\nnode_timex_offset_seconds 2.5e-06\n"));
        assert!(text.contains("\nnode_timex_frequency_adjustment_ratio 1.001\n"));
        assert!(text.contains("\nnode_timex_sync_status 1\n"), "{text}");
        let change = |clock: &mut libc::timex| {
            clock.offset = 2500;
            clock.status = libc::STA_UNSYNC;
        };
        let text = told(change, libc::TIME_ERROR);
        assert!(text.contains("\nnode_timex_offset_seconds 0.0025\n"));
        assert!(text.contains("\nnode_timex_status 64\n"), "{text}");
        assert!(text.contains("\nnode_timex_sync_status 0\n"), "{text}");
    }

    #[test]
    fn this_machine_has_a_clock() {
        let text = collected(&DEFINITION, &Machine::new(&[])).unwrap();
        assert!(text.contains("\nnode_timex_tick_seconds 0.01\n"), "{text}");
    }
}
