//! `psql`: one child for each question.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;

use super::super::declare::Place;
use super::super::field::{Account, Unit};
use super::quote;
use crate::deserialize::Error;
use crate::digest::Digest;
use crate::host::{Fingerprint, Host, HostError, HostResult, Program, ProgramOutput, ReadHost};
use crate::resource::{ResourceId, Subject};
use crate::time::Timestamp;
use crate::value::SecretText;

const LIMIT: Duration = Duration::from_secs(60);

/// What PostgreSQL says to whoever has the wrong password.
const WRONG_PASSWORD: &str = "password authentication failed";

/// A server on this machine.
pub(super) struct Psql {
    /// The user of the system that its socket lets in.
    user: String,
    port: u16,
    services: Vec<Subject>,
}

impl Psql {
    pub(super) fn new(user: Option<Account>, port: Option<u16>, service: Option<Unit>) -> Self {
        let named = service.map(|unit| vec![unit.0]);
        let usual = || {
            vec![
                "patroni.service".to_owned(),
                "postgresql.service".to_owned(),
            ]
        };
        Self {
            user: user.map_or_else(|| "postgres".to_owned(), |user| user.0),
            port: port.unwrap_or(5432),
            services: named
                .unwrap_or_else(usual)
                .into_iter()
                .map(Subject::Service)
                .collect(),
        }
    }

    pub(super) fn needs(&self) -> Vec<Subject> {
        let user = Subject::User(self.user.clone());
        self.services.iter().cloned().chain([user]).collect()
    }

    /// A query that gives one JSON value; none where it gives no row.
    pub(super) fn ask(&self, sql: &str, host: &dyn ReadHost) -> HostResult<Option<Json>> {
        if let Some(earlier) = self.services.iter().find_map(|unit| host.coming(unit)) {
            return Err(HostError::NotYet(earlier));
        }
        let output = good("ask PostgreSQL", host.observe(&self.program(sql))?)?;
        let text = output.stdout.trim();
        if text.is_empty() {
            return Ok(None);
        }
        serde_json::from_str(text)
            .map(Some)
            .map_err(|error| HostError::failed("understand what psql says", error))
    }

    pub(super) fn run(&self, doing: &str, sql: &str, host: &mut dyn Host) -> HostResult<()> {
        good(doing, host.execute(&self.program(sql))?).map(drop)
    }

    /// Whether the role gets in with this password: asked by way of the network, for the socket
    /// asks for none.
    pub(super) fn gets_in(
        &self,
        role: &str,
        password: &SecretText,
        host: &dyn ReadHost,
    ) -> HostResult<bool> {
        let mut program = self.program("SELECT 1");
        program.argv.extend([
            "--host=127.0.0.1".to_owned(),
            format!("--username={role}"),
            "--no-password".to_owned(),
        ]);
        let environment = &mut program.environment;
        environment.insert("PGPASSWORD".to_owned(), password.reveal().to_owned());
        environment.insert("PGCONNECT_TIMEOUT".to_owned(), "10".to_owned());
        let output = host.observe(&program)?;
        // A role without any password is asked for one, too.
        if output.stderr.contains(WRONG_PASSWORD) {
            return Ok(false);
        }
        good(&format!("log in to PostgreSQL as {role}"), output).map(|_| true)
    }

    /// The password goes by the environment into a setting of the session, and from there into the
    /// role: it is in no argument and in no statement, so that nothing that shows those shows it.
    pub(super) fn set_password(
        &self,
        role: &str,
        password: &SecretText,
        host: &mut dyn Host,
    ) -> HostResult<()> {
        let role_name = quote::literal(role);
        // An error's context would have the statement that `format` makes: neither the log nor
        // the client is to get it.
        let sql = format!(
            "SET log_error_verbosity = terse; SET log_min_error_statement = panic; \
             SET log_min_duration_statement = -1; SET log_statement = none; \
             SET pg_stat_statements.track = none; \
             SET password_encryption = 'scram-sha-256'; \
             DO $brine$ BEGIN EXECUTE pg_catalog.format('ALTER ROLE %I PASSWORD %L', {role_name}, \
             pg_catalog.current_setting('brine.password')); END $brine$"
        );
        let mut program = self.program(&sql);
        program.environment.insert(
            "PGOPTIONS".to_owned(),
            format!("-c brine.password={}", quote::option(password.reveal())),
        );
        let doing = format!("set the password of role {role}");
        let discreet = |text: &str| -> String {
            // The error's own line, and nothing that could quote us.
            let lines = text
                .lines()
                .filter(|line| line.contains("ERROR:") || line.contains("FATAL:"));
            let text = lines.collect::<Vec<_>>().join("\n");
            text.replace(password.reveal(), "(secret)")
                .replace(&quote::option(password.reveal()), "(secret)")
        };
        let output = host.execute(&program).map_err(|error| match error {
            error @ HostError::NotYet(_) => error,
            HostError::Failed { operation, cause } => HostError::Failed {
                operation,
                cause: cause.replace(password.reveal(), "(secret)"),
            },
            HostError::Program { status, output, .. } => HostError::Program {
                operation: doing.clone(),
                status,
                output: discreet(&output),
            },
        })?;
        let output = ProgramOutput {
            stdout: String::new(),
            stderr: discreet(&output.stderr),
            ..output
        };
        good(&doing, output).map(drop)
    }

    fn program(&self, sql: &str) -> Program {
        let argv = [
            "psql",
            "--no-psqlrc",
            "--no-align",
            "--tuples-only",
            "--quiet",
            "--set=ON_ERROR_STOP=1",
            "--set=VERBOSITY=terse",
            "--dbname=postgres",
            &format!("--port={}", self.port),
            &format!("--command={sql}"),
        ];
        Program {
            argv: argv.map(str::to_owned).into(),
            environment: BTreeMap::new(),
            directory: None,
            user: Some(self.user.clone()),
            timeout: LIMIT,
        }
    }
}

fn good(doing: &str, output: ProgramOutput) -> HostResult<ProgramOutput> {
    if output.code == 0 {
        return Ok(output);
    }
    Err(HostError::Program {
        operation: doing.to_owned(),
        status: format!("psql exits with {}", output.code),
        output: output.stderr.trim().to_owned(),
    })
}

/// What was found in the catalog of PostgreSQL; it does not say since when.
pub(super) fn fingerprint(found: Option<Json>) -> Fingerprint {
    let found = found.unwrap_or_default();
    Fingerprint {
        digest: Digest::of(found.to_string().as_bytes()),
        changed_at: Some(Timestamp(i64::MIN)),
    }
}

/// The identity as a name in PostgreSQL.
pub(super) fn name(id: &ResourceId, place: &Place<'_>) -> Result<String, Error> {
    quote::checked(id.name()).map_err(|why| Error::new(place.fields.span, why))
}
