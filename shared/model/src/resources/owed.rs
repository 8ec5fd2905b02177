//! Restarts are level-triggered: whether one is owed is read off the machine, not remembered.
//!
//! The record is *(unit's InvocationID, fingerprint of each thing it reads)*, written after a
//! restart succeeded. From it and from what is now, [`owed`] decides for each watched resource:
//!
//! 1. The record is of the process that runs now and knows the resource: owed if it differs.
//! 2. It is of this process, the resource is read at reloads as well, and the unit's state has changed
//!    since: somebody has reloaded it, on whatever was there then. Owed if it differs, or has changed since
//!    the record: whoever edits a file, reloads, and has the file put back, is not left with a process that
//!    runs on the edited one. At worst that is one reload too many.
//! 3. It is of this process and does not know the resource, but one of the same kind that is
//!    watched no more: it has moved (a release in a directory of its own), so owed.
//! 4. Otherwise (reboot, restart by hand, adoption, a crash before the record): owed if the main
//!    process started before the content last changed.
//! 5. Where that is not to be told either: owed if it differs from the last record, of whatever
//!    process, or if there is none.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::digest::Digest;
use crate::host::{Fingerprint, Host, HostResult, ReadHost, RestartRecord, UnitState};
use crate::resource::ResourceId;

/// The kernel stamps files by a coarse clock that is up to one tick (10 ms at 100 Hz) behind the
/// one that stamps processes: content written just after a start may look older than that start.
const TOLERANCE: Duration = Duration::from_millis(10);

/// When a process reads what it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    AtStart,
    OnReload,
}

/// What a service reads, as it is now.
pub(super) type Watched = BTreeMap<ResourceId, Fingerprint>;

pub(super) fn look<'a>(
    ids: impl IntoIterator<Item = &'a ResourceId>,
    host: &dyn ReadHost,
) -> HostResult<Watched> {
    ids.into_iter()
        .map(|id| Ok((id.clone(), host.fingerprint(id)?)))
        .collect()
}

/// The record that says: the process of `unit` runs on `watched`.
fn record(unit: &UnitState, watched: &Watched) -> RestartRecord {
    RestartRecord {
        invocation: unit.invocation.clone(),
        state_changed_at: unit.state_changed_at,
        watched: watched
            .iter()
            .map(|(id, print)| (id.clone(), print.digest))
            .collect(),
    }
}

/// Notes that the process of `unit`, in this state, runs on `watched`, where that is not noted yet.
pub(super) fn note(
    unit: &str,
    state: &UnitState,
    watched: &Watched,
    host: &mut dyn Host,
) -> HostResult<()> {
    let due = record(state, watched);
    if host.restart_record(unit)?.as_ref() != Some(&due) {
        host.set_restart_record(unit, &due)?;
    }
    Ok(())
}

/// The process of a unit: what watches it is owed a restart once it was started anew.
pub(super) fn process(unit: &str, host: &dyn ReadHost) -> HostResult<Fingerprint> {
    let state = host.unit(unit)?;
    Ok(Fingerprint {
        digest: Digest::of(state.invocation.as_bytes()),
        changed_at: state.started_at,
    })
}

/// Those of `ids` that the process of `unit` has not read as they are now.
pub(super) fn owed<'a>(
    ids: &'a [ResourceId],
    unit: &UnitState,
    record: Option<&RestartRecord>,
    watched: &Watched,
    reads: Reads,
) -> Vec<&'a ResourceId> {
    ids.iter()
        .filter(|id| {
            watched
                .get(id)
                .is_some_and(|now| is_owed(id, now, unit, record, watched, reads))
        })
        .collect()
}

fn is_owed(
    id: &ResourceId,
    now: &Fingerprint,
    unit: &UnitState,
    record: Option<&RestartRecord>,
    watched: &Watched,
    reads: Reads,
) -> bool {
    let known = record.and_then(|record| record.watched.get(id));
    if let Some(record) = record.filter(|record| record.invocation == unit.invocation) {
        let left = |other: &ResourceId| other.kind() == id.kind() && !watched.contains_key(other);
        // Not by when they reloaded: theirs may have failed, or have read what was put back meanwhile.
        if let Some(then) = known
            && reads == Reads::OnReload
            && reloaded_by_others(unit, record)
            && let (Some(noted), Some(changed)) = (record.state_changed_at, now.changed_at)
        {
            return *then != now.digest || noted <= changed.plus(TOLERANCE);
        }
        match known {
            Some(then) => return *then != now.digest,
            None if record.watched.keys().any(left) => return true,
            None => {}
        }
    }
    match (unit.started_at, now.changed_at) {
        (Some(started), Some(changed)) => started <= changed.plus(TOLERANCE),
        _ => known != Some(&now.digest),
    }
}

fn reloaded_by_others(unit: &UnitState, record: &RestartRecord) -> bool {
    let (now, then) = (unit.state_changed_at, record.state_changed_at);
    matches!((now, then), (Some(now), Some(then)) if now != then)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::time::Timestamp;

    const START: i64 = 1_000_000_000_000;
    const MS: i64 = 1_000_000;

    fn id(text: &str) -> ResourceId {
        text.parse().unwrap()
    }

    fn unit(started: Option<i64>) -> UnitState {
        let started_at = started.map(Timestamp);
        UnitState {
            invocation: "now".into(),
            started_at,
            ..UnitState::default()
        }
    }

    fn watched(list: &[(&str, &str, Option<i64>)]) -> Watched {
        let print = |text: &str, at: Option<i64>| Fingerprint {
            digest: Digest::of(text.as_bytes()),
            changed_at: at.map(Timestamp),
        };
        list.iter()
            .map(|(name, text, at)| (id(name), print(text, *at)))
            .collect()
    }

    fn recorded(invocation: &str, list: &[(&str, &str)]) -> RestartRecord {
        let watched = list
            .iter()
            .map(|(name, text)| (id(name), Digest::of(text.as_bytes())))
            .collect();
        RestartRecord {
            invocation: invocation.into(),
            state_changed_at: Some(Timestamp(START)),
            watched,
        }
    }

    #[track_caller]
    fn check(
        expected: bool,
        started: Option<i64>,
        record: Option<RestartRecord>,
        now: &[(&str, &str, Option<i64>)],
    ) {
        let ids = [id("file:/a")];
        let owed = owed(
            &ids,
            &unit(started),
            record.as_ref(),
            &watched(now),
            Reads::AtStart,
        );
        assert_eq!(!owed.is_empty(), expected);
    }

    #[test]
    fn a_record_of_this_process_decides_by_content_alone() {
        for changed in [None, Some(0), Some(i64::MAX)] {
            let record = recorded("now", &[("file:/a", "x")]);
            check(
                false,
                Some(START),
                Some(record.clone()),
                &[("file:/a", "x", changed)],
            );
            check(
                true,
                Some(START),
                Some(record),
                &[("file:/a", "y", changed)],
            );
        }
    }

    #[test]
    fn otherwise_time_decides() {
        for record in [None, Some(recorded("old", &[("file:/a", "x")]))] {
            for (changed, owed) in [
                (START - 3600 * 1000 * MS, false),
                (START - 11 * MS, false),
                // Within the coarse clock's error: rather once too often.
                (START - 10 * MS, true),
                (START, true),
                (START + 1, true),
                (i64::MAX, true),
                (i64::MIN, false),
            ] {
                check(
                    owed,
                    Some(START),
                    record.clone(),
                    &[("file:/a", "x", Some(changed))],
                );
            }
        }
    }

    #[test]
    fn a_reload_by_others_is_of_what_was_there_then() {
        let check = |reads, reloaded: i64, text: &str, changed: i64, expected: bool| {
            let unit = UnitState {
                state_changed_at: Some(Timestamp(reloaded)),
                ..unit(Some(START))
            };
            let ids = [id("file:/a")];
            let record = recorded("now", &[("file:/a", "x")]);
            let now = watched(&[("file:/a", text, Some(changed))]);
            let owed = owed(&ids, &unit, Some(&record), &now, reads);
            assert_eq!(
                !owed.is_empty(),
                expected,
                "{reads:?} {reloaded} {text} {changed}"
            );
        };
        let later = START + 1000 * MS;
        // Put back after the reload; or the reload was an innocent one.
        check(Reads::OnReload, later, "x", later + 1000 * MS, true);
        check(Reads::OnReload, later, "x", START - 1000 * MS, false);
        // A reload that failed, or that read the other content while it was put back.
        check(Reads::OnReload, later, "y", later - 500 * MS, true);
        check(Reads::OnReload, later, "x", later - 500 * MS, true);
        // Nobody has reloaded it, or that does not matter.
        check(Reads::OnReload, START, "x", later, false);
        check(Reads::OnReload, START, "y", START - 1000 * MS, true);
        check(Reads::AtStart, later, "x", later + 1000 * MS, false);
    }

    #[test]
    fn without_time_the_last_record_decides() {
        let old = || Some(recorded("old", &[("file:/a", "x")]));
        check(true, Some(START), None, &[("file:/a", "x", None)]);
        check(false, Some(START), old(), &[("file:/a", "x", None)]);
        check(true, Some(START), old(), &[("file:/a", "y", None)]);
        check(false, None, old(), &[("file:/a", "x", Some(START))]);
        check(true, None, None, &[("file:/a", "x", Some(START))]);
    }

    #[test]
    fn one_thing_more_to_watch_is_no_reason_but_a_moved_one_is() {
        let before = recorded("now", &[("file:/b", "b")]);
        let both = [("file:/a", "x", Some(0)), ("file:/b", "b", Some(0))];
        check(false, Some(START), Some(before.clone()), &both);
        let both = [("file:/a", "x", Some(START + 1)), ("file:/b", "b", Some(0))];
        check(true, Some(START), Some(before.clone()), &both);
        check(
            true,
            Some(START),
            Some(before),
            &[("file:/a", "x", Some(0))],
        );
        let other_kind = recorded("now", &[("package:b", "b")]);
        check(
            false,
            Some(START),
            Some(other_kind),
            &[("file:/a", "x", Some(0))],
        );
    }
}
