//! Restarting PostgreSQL so that nobody misses it, and what goes with that.

use std::time::Duration;

use serde_json::json;

use super::api::refused;
use super::member::{Look, PatroniMember};
use super::view::{Member, Role};
use crate::host::{Host, HostError, HostResult, HttpMethod, UnitVerb};

/// For a member to be what it should be again, and between two looks.
const COMES_BACK: Duration = Duration::from_secs(120);
const AGAIN: Duration = Duration::from_secs(1);

/// Stopping waits for a checkpoint.
const RESTART: Duration = Duration::from_secs(300);
const SWITCHOVER: Duration = Duration::from_secs(90);

/// How long Patroni may need to see that a replica is fit to lead.
const FIT_TO_LEAD: Duration = Duration::from_secs(60);

/// A copy of everything.
const REINIT: Duration = Duration::from_secs(60 * 60);

/// Bytes that a replica may be behind and still count as back.
const LITTLE_LAG: i64 = 16 << 20;

impl PatroniMember {
    /// A leader first hands over to a replica, unless a setting shrinks: that has to happen on
    /// the leader first. What was done, in words.
    pub(super) fn restart(&self, host: &mut dyn Host) -> HostResult<String> {
        let look = self.look(host.as_read())?;
        let before = look.own.started.clone();
        let mut done = String::new();
        if successor(&look).is_some() {
            done = self.hand_over(host)?;
            let now = self.look(host.as_read())?;
            // A leader that steps down starts anew as a replica.
            if now.own.started != before && !now.is_pending() {
                return Ok(format!("{done}, which restarted it"));
            }
            done.push_str(", then ");
        }
        let method = HttpMethod::Post;
        let answer = self
            .api
            .send(method, "/restart", &json!({}), RESTART, host)?;
        if answer.status != 200 {
            return Err(refused(
                &format!("restart PostgreSQL of {}", self.name),
                &answer,
            ));
        }
        self.wait_until(host, COMES_BACK, &|look| {
            look.own.started != before && is_back(look)
        })?;
        Ok(format!("{done}restarted PostgreSQL"))
    }

    /// Makes another member the leader, and waits until this one follows it.
    pub(super) fn hand_over(&self, host: &mut dyn Host) -> HostResult<String> {
        let doing = format!("hand over the leadership of {}", self.name);
        let start = host.elapsed();
        let candidate = loop {
            let look = self.look(host.as_read())?;
            if !look.own.leads {
                return Ok(format!("{} leads no more", self.name));
            }
            let waited = host.elapsed().saturating_sub(start);
            let Some(candidate) = candidate(&look).map(|member| member.name.clone()) else {
                if waited < FIT_TO_LEAD {
                    host.pause(AGAIN);
                    continue;
                }
                return Err(HostError::failed(doing, "no replica is fit to lead"));
            };
            let order = json!({"leader": self.name, "candidate": candidate});
            let method = HttpMethod::Post;
            let answer = self
                .api
                .send(method, "/switchover", &order, SWITCHOVER, host)?;
            match answer.status {
                200 => break candidate,
                // Not now, says Patroni: it takes a while until it counts a replica as fit again.
                412 if waited < FIT_TO_LEAD => host.pause(AGAIN),
                _ => return Err(refused(&doing, &answer)),
            }
        };
        self.wait_until(host, COMES_BACK, &|look| {
            !look.own.leads && look.cluster.leader().is_some() && is_back(look)
        })?;
        Ok(format!("handed over to {candidate}"))
    }

    /// Hands over where it leads, and stops for good; its data stays where it is.
    pub(super) fn leave(&self, host: &mut dyn Host) -> HostResult<String> {
        let unit = &self.api.unit;
        let mut done = String::new();
        if host.unit(unit)?.is_active() && self.look(host.as_read())?.own.leads {
            done = self.hand_over(host)?;
            done.push_str(", then ");
        }
        host.unit_verb(unit, UnitVerb::Stop)?;
        host.unit_verb(unit, UnitVerb::Disable)?;
        Ok(format!("{done}stopped for good"))
    }

    /// Throws a replica's data away and has it copied from the leader.
    pub(super) fn reinit(&self, host: &mut dyn Host) -> HostResult<String> {
        let doing = format!("reinitialise {}", self.name);
        if self.look(host.as_read())?.own.leads {
            let why = "it is the leader: its data is what the others copy";
            return Err(HostError::failed(doing, why));
        }
        let order = json!({"force": true});
        let method = HttpMethod::Post;
        let answer = self
            .api
            .send(method, "/reinitialize", &order, SWITCHOVER, host)?;
        if answer.status != 200 {
            return Err(refused(&doing, &answer));
        }
        // It still runs on the old data for a moment.
        host.pause(AGAIN * 10);
        self.wait_until(host, REINIT, &is_back)?;
        Ok("copied the leader's data anew".to_owned())
    }

    fn wait_until(
        &self,
        host: &mut dyn Host,
        limit: Duration,
        holds: &dyn Fn(&Look) -> bool,
    ) -> HostResult<()> {
        let start = host.elapsed();
        loop {
            // Silence for a moment is part of it.
            let look = self.look(host.as_read());
            if look.as_ref().is_ok_and(holds) {
                return Ok(());
            }
            if host.elapsed().saturating_sub(start) >= limit {
                let why = match look {
                    Ok(look) => look.in_words(),
                    Err(error) => error.to_string(),
                };
                return Err(HostError::failed(
                    format!("see {} back within {} s", self.name, limit.as_secs()),
                    why,
                ));
            }
            host.pause(AGAIN);
        }
    }
}

/// Runs, and takes part: as the leader, or as a replica that keeps up.
fn is_back(look: &Look) -> bool {
    let keeps_up = look.lag().is_none_or(|lag| lag <= LITTLE_LAG);
    look.own.runs() && look.streaming == Some(true) && keeps_up
}

/// Who could take over: a synchronous standby where there is one, else who is least behind.
fn candidate(look: &Look) -> Option<&Member> {
    let able = look.cluster.members.iter().filter(|member| {
        let streams = look.own.streaming.contains(&member.name) || member.state == "streaming";
        member.role != Role::Leader && member.runs() && !member.no_failover && streams
    });
    able.min_by_key(|member| {
        let lag = member.lag.unwrap_or(i64::MAX);
        (member.role != Role::SyncStandby, lag, member.name.clone())
    })
}

/// Whom a restart makes the leader first; none where it happens in place.
pub(super) fn successor(look: &Look) -> Option<&str> {
    let hands_over = look.own.leads && !look.shrinks();
    let member = candidate(look).filter(|_| hands_over)?;
    Some(&member.name)
}
