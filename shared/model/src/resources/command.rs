//! `command`: a program that is run when its guard says so.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::declare::{Declaration, Place};
use super::field::{Account, Argv, Period};
use super::program::{LOOK_TIMEOUT, in_words};
use crate::deserialize::{Error, OneOrMany, TextOrSecret};
use crate::digest::Digest;
use crate::host::{Fingerprint, Host, HostError, HostResult, Program, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Effect, Resource, ResourceId, Subject};
use crate::time::Timestamp;
use crate::value::SecretText;

/// `command: initialise the database`. Exactly one of `creates`, `unless`, `only_if` and
/// `on_change` says when to run it; without, it would run every time.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// The program and its arguments; no shell looks at them.
    argv: Argv,
    /// Run while nothing is at this path.
    creates: Option<AbsolutePath>,
    /// Run while this program, which changes nothing, does not exit with 0.
    unless: Option<Argv>,
    /// Run while this program, which changes nothing, exits with 0.
    only_if: Option<Argv>,
    /// Run once for each state of these resources, and of the command itself.
    on_change: Option<OneOrMany<ResourceId>>,
    /// Default: /.
    directory: Option<AbsolutePath>,
    /// Default: root.
    user: Option<Account>,
    #[serde(default)]
    environment: BTreeMap<String, TextOrSecret>,
    /// Default: 5m.
    timeout: Option<Period>,
}

struct Command {
    id: ResourceId,
    /// Without the secrets of its environment.
    program: Program,
    secrets: BTreeMap<String, Secret>,
    guard: Guard,
}

struct Secret {
    version: Digest,
    /// None on the server.
    text: Option<SecretText>,
}

enum Guard {
    Creates(AbsolutePath),
    /// Runs until the program exits with 0 (`true`), or no longer does (`false`).
    Asks {
        argv: Vec<String>,
        until: bool,
    },
    OnChange(Vec<ResourceId>),
}

impl Declaration for Fields {
    const NAME: &'static str = "command";
    const DOC: &'static str = "A program that is run when its guard says so.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let guards = [
            self.creates.map(Guard::Creates),
            self.unless.map(|argv| Guard::Asks {
                argv: argv.0,
                until: true,
            }),
            self.only_if.map(|argv| Guard::Asks {
                argv: argv.0,
                until: false,
            }),
            self.on_change.map(|ids| Guard::OnChange(ids.0)),
        ];
        let mut guards = guards.into_iter().flatten();
        let guard = match (guards.next(), guards.next()) {
            (Some(Guard::OnChange(ids)), None) if ids.is_empty() => {
                return Err(place.error("on_change", "`on_change` names nothing to watch"));
            }
            (Some(guard), None) => guard,
            (None, _) => {
                let error = Error::new(place.fields.span, "this command would run every time");
                return Err(error.with_help(
                    "say when to run it: `creates`, `unless`, `only_if` or `on_change`",
                ));
            }
            (Some(_), Some(_)) => {
                let message = "only one of `creates`, `unless`, `only_if` and `on_change` decides";
                return Err(Error::new(place.fields.span, message));
            }
        };
        let mut environment = BTreeMap::new();
        let mut secrets = BTreeMap::new();
        for (name, value) in self.environment {
            if name.is_empty() || name.contains(['=', '\0']) {
                let message = format!("`{name}` is not the name of a variable");
                return Err(place.error("environment", message));
            }
            match value {
                TextOrSecret::Text(text) => drop(environment.insert(name, text)),
                TextOrSecret::Secret(secret) => {
                    let text = place
                        .materials
                        .and_then(|materials| (materials.secret)(&secret));
                    if place.materials.is_some() && text.is_none() {
                        let message = format!("the secret `{}` did not come along", secret.name);
                        return Err(place.error("environment", message));
                    }
                    secrets.insert(
                        name,
                        Secret {
                            version: secret.version,
                            text,
                        },
                    );
                }
            }
        }
        let program = Program {
            argv: self.argv.0,
            environment,
            directory: self.directory,
            user: self.user.map(|user| user.0),
            timeout: self
                .timeout
                .map_or(Duration::from_secs(300), |timeout| timeout.0),
        };
        Ok(Box::new(Command {
            id: place.id.clone(),
            program,
            secrets,
            guard,
        }))
    }
}

impl Command {
    /// The program with all it needs; for the moment of running it only.
    fn complete(&self, argv: &[String], timeout: Duration) -> Program {
        let mut program = Program {
            argv: argv.to_vec(),
            timeout,
            ..self.program.clone()
        };
        for (name, secret) in &self.secrets {
            if let Some(text) = &secret.text {
                program
                    .environment
                    .insert(name.clone(), text.reveal().to_owned());
            }
        }
        program
    }

    /// What a program says, without our secrets in it.
    fn discreet(&self, mut text: String) -> String {
        for secret in self
            .secrets
            .values()
            .filter_map(|secret| secret.text.as_ref())
        {
            if !secret.reveal().is_empty() {
                text = text.replace(secret.reveal(), "(secret)");
            }
        }
        text
    }

    fn discreet_error(&self, error: HostError) -> HostError {
        match error {
            HostError::Failed { operation, cause } => HostError::Failed {
                operation,
                cause: self.discreet(cause),
            },
            HostError::Program {
                operation,
                status,
                output,
            } => HostError::Program {
                operation,
                status,
                output: self.discreet(output),
            },
            error @ HostError::NotYet(_) => error,
        }
    }

    /// The state that an `on_change` command is run once for.
    fn watched(&self, ids: &[ResourceId], host: &dyn ReadHost) -> HostResult<Digest> {
        let mut parts = vec![self.definition().as_bytes().to_vec()];
        for id in ids {
            parts.push(id.to_string().into_bytes());
            parts.push(host.fingerprint(id)?.digest.as_bytes().to_vec());
        }
        Ok(Digest::of_parts(parts.iter().map(Vec::as_slice)))
    }

    fn definition(&self) -> Digest {
        let Program {
            argv,
            environment,
            directory,
            user,
            timeout: _,
        } = &self.program;
        let secrets: Vec<_> = self.secrets.iter().map(|(k, v)| (k, v.version)).collect();
        let text = format!("{argv:?} {environment:?} {directory:?} {user:?} ");
        let secrets = secrets
            .iter()
            .flat_map(|(name, version)| [name.as_bytes(), version.as_bytes().as_slice()]);
        Digest::of_parts(std::iter::once(text.as_bytes()).chain(secrets))
    }

    fn done_mark(&self) -> String {
        format!("{}/done-for", self.id)
    }

    fn runs_mark(&self) -> String {
        format!("{}/runs", self.id)
    }

    /// Why it is to be run; none if it is not.
    fn due(&self, host: &dyn ReadHost) -> HostResult<Option<String>> {
        Ok(match &self.guard {
            Guard::Creates(path) => host
                .stat(path)?
                .is_none()
                .then(|| format!("{path} does not exist")),
            Guard::Asks { argv, until } => {
                let program = self.complete(argv, LOOK_TIMEOUT);
                let output = host
                    .observe(&program)
                    .map_err(|error| self.discreet_error(error))?;
                let words = in_words(argv);
                ((output.code == 0) != *until)
                    .then(|| format!("`{words}` exits with {}", output.code))
            }
            Guard::OnChange(ids) => {
                let done = host.mark(&self.done_mark())?;
                (done != Some(self.watched(ids, host)?)).then(|| {
                    let ids = ids.iter().map(ToString::to_string).collect::<Vec<_>>();
                    format!("not yet run for the present {}", ids.join(", "))
                })
            }
        })
    }

    fn run(&self, why: &str) -> Vec<Change> {
        vec![
            Change::new(
                "run",
                format!("run `{}`: {why}", in_words(&self.program.argv)),
            )
            .with_effects([Effect::Unknown]),
        ]
    }
}

impl Resource for Command {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Nothing(self.id.clone())]
    }

    fn needs(&self) -> Vec<Subject> {
        let user = self.program.user.clone().map(Subject::User);
        user.into_iter()
            .chain(self.program.directory.clone().map(Subject::Path))
            .collect()
    }

    fn watches(&self) -> Vec<ResourceId> {
        match &self.guard {
            Guard::OnChange(ids) => ids.clone(),
            Guard::Creates(_) | Guard::Asks { .. } => Vec::new(),
        }
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        Ok(self
            .due(host)?
            .map(|why| self.run(&why))
            .unwrap_or_default())
    }

    fn intent(&self) -> Vec<Change> {
        self.run("if its guard says so then")
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        let watched = match &self.guard {
            Guard::OnChange(ids) => Some(self.watched(ids, host.as_read())?),
            Guard::Creates(_) | Guard::Asks { .. } => None,
        };
        // Before, not after: a crash in between makes a dependant's restart one too many, the other
        // way round it would be lost.
        let runs = host
            .mark(&self.runs_mark())?
            .map_or([0; 32], |runs| *runs.as_bytes());
        let definition = self.definition();
        host.set_mark(
            &self.runs_mark(),
            Digest::of_parts([runs.as_slice(), definition.as_bytes().as_slice()]),
        )?;
        let program = self.complete(&self.program.argv, self.program.timeout);
        let output = host
            .execute(&program)
            .map_err(|error| self.discreet_error(error))?;
        if output.code != 0 {
            return Err(HostError::Program {
                operation: format!("run `{}`", in_words(&self.program.argv)),
                status: format!("exit code {}", output.code),
                output: self.discreet(format!("{}{}", output.stdout, output.stderr)),
            });
        }
        match watched {
            Some(watched) => host.set_mark(&self.done_mark(), watched),
            None => Ok(()),
        }
    }

    /// How often it was run: what watches a command is owed a restart after each time.
    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        let mark = self.runs_mark();
        Ok(match host.mark(&mark)? {
            Some(digest) => Fingerprint {
                digest,
                changed_at: host.marked_at(&mark)?,
            },
            None => Fingerprint {
                digest: Digest::of(b""),
                changed_at: Some(Timestamp(i64::MIN)),
            },
        })
    }
}
