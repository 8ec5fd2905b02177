//! What keeps this agent from its server or its work, checked one by one.
//!
//! Read-only, and fit to run beside the agent. Each check is a function in `checks` or `server`;
//! each failure says what to do.

mod checks;
mod server;

use serde::Serialize;

use crate::config::Config;

/// How one thing stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at: `state directory`.
    pub name: String,
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do about it; none where all is well.
    pub help: Option<String>,
}

impl Check {
    fn good(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ok: true,
            found: found.into(),
            help: None,
        }
    }

    fn bad(name: impl Into<String>, found: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ok: false,
            found: found.into(),
            help: Some(help.into()),
        }
    }
}

/// All checks, in the order in which they build on each other.
pub async fn examine(config: &Config) -> Vec<Check> {
    let mut checks = vec![
        checks::state_directory(config),
        checks::machine(config),
        checks::identity(config),
        checks::metrics(config),
    ];
    checks.extend(server::reach(config).await);
    let config = config.clone();
    // D-Bus is spoken to by a runtime of its own, which must not be inside this one.
    let local = tokio::task::spawn_blocking(move || {
        [
            checks::systemd(&config),
            checks::locks(&config),
            checks::lists(&config),
        ]
    });
    match local.await {
        Ok(local) => checks.extend(local),
        Err(error) => checks.push(Check::bad("machine", error.to_string(), "report this bug")),
    }
    checks
}
