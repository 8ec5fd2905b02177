//! What operators may give nodes and tokens. They are trusted, their typing is not.

use std::collections::BTreeMap;
use std::time::Duration;

use brine_model::diagnostic::did_you_mean;
use brine_model::name::RoleName;
use brine_model::time::Timestamp;
use brine_wire::operator::ActionRequest;

use super::refuse::Refused;
use crate::clock;
use crate::context::Context;

const TTL: u64 = 30 * 24 * 60 * 60;

/// Roles must be written down somewhere. Where the states cannot be read, that cannot be told.
pub(super) async fn roles(roles: &[RoleName], context: &Context) -> Result<(), Refused> {
    if roles.is_empty() {
        return Ok(());
    }
    let Ok(snapshot) = context.compiler.newest().await else {
        return Ok(());
    };
    let known = &snapshot.compilation.roles;
    if known.is_empty() {
        return Ok(());
    }
    match roles.iter().find(|role| !known.contains_key(*role)) {
        None => Ok(()),
        Some(role) => {
            let names = known.keys().map(RoleName::as_str);
            let help = match did_you_mean(role.as_str(), names.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there is {}", names.collect::<Vec<_>>().join(", ")),
            };
            Err(Refused::bad(format!("there is no role `{role}`")).help(help))
        }
    }
}

pub(super) fn labels(labels: &BTreeMap<String, String>) -> Result<(), Refused> {
    labels
        .iter()
        .try_for_each(|(key, value)| label(key, Some(value)))
}

pub(super) fn label(key: &str, value: Option<&str>) -> Result<(), Refused> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !(1..=63).contains(&key.len()) || !key.chars().all(plain) {
        return Err(Refused::bad(format!(
            "`{}` is no label",
            key.escape_debug()
        )));
    }
    match value {
        Some(value) if value.len() > 255 || value.chars().any(char::is_control) => {
            Err(Refused::bad(format!(
                "the value of label `{key}` is too long or not printable"
            )))
        }
        _ => Ok(()),
    }
}

pub(super) fn address(address: Option<&str>) -> Result<(), Refused> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.:%".contains(c);
    match address {
        Some(address) if address.len() > 253 || !address.chars().all(plain) => Err(Refused::bad(
            format!("`{}` is no address", address.escape_debug()),
        )),
        _ => Ok(()),
    }
}

/// What an action names goes to nodes as it is.
pub(super) fn action(action: &ActionRequest) -> Result<(), Refused> {
    const ARGUMENTS: usize = 64 << 10;
    match action {
        ActionRequest::Execute(argv) => {
            let size: usize = argv.iter().map(String::len).sum();
            if argv.first().is_none_or(String::is_empty) {
                return Err(Refused::bad("the program is missing")
                    .help("`ctl do TARGET exec -- PROGRAM ARGUMENTS`"));
            }
            if size > ARGUMENTS || argv.iter().any(|argument| argument.contains('\0')) {
                return Err(Refused::bad(
                    "the arguments are longer than 64 KiB or have a NUL character",
                ));
            }
            Ok(())
        }
        ActionRequest::RestartService(unit) if unit.is_empty() || unit.starts_with('-') => Err(
            Refused::bad(format!("`{}` is no unit", unit.escape_debug())),
        ),
        _ => Ok(()),
    }
}

/// How long a node may be paused.
pub(super) fn pause(until: Option<Timestamp>, reason: Option<&str>) -> Result<(), Refused> {
    let longest = clock::now().plus(Duration::from_secs(TTL));
    if until.is_some_and(|until| until > longest) {
        return Err(Refused::bad("a node is paused for 30 days at most"));
    }
    match reason {
        Some(reason) if reason.len() > 255 || reason.chars().any(char::is_control) => {
            Err(Refused::bad("the reason is too long or not printable"))
        }
        _ => Ok(()),
    }
}

/// When a token made now expires.
pub(super) fn expiry(ttl: u64) -> Result<Timestamp, Refused> {
    if (1..=TTL).contains(&ttl) {
        Ok(clock::now().plus(Duration::from_secs(ttl)))
    } else {
        Err(Refused::bad(format!(
            "a token is good for 1 s to 30 days, not {ttl} s"
        )))
    }
}
