//! Changing the fake machine.

use std::time::Duration;

use super::{FakeFile, FakeHost, FakeRequest, fake_user};
use crate::digest::Digest;
use crate::host::{
    CertificateOrder, CertificateState, Content, Credentials, FileKind, GroupState, Host,
    HostError, HostResult, HttpAnswer, HttpRequest, Ownership, PackageRequest, Program,
    ProgramOutput, ReadHost, RestartRecord, UnitVerb, UserRequest,
};
use crate::path::AbsolutePath;
use crate::resources::key_ownership;

impl FakeHost {
    fn lay(
        &mut self,
        path: &AbsolutePath,
        kind: FileKind,
        content: Vec<u8>,
        ownership: &Ownership,
    ) -> HostResult<()> {
        let refuse = |why: String| Err(HostError::failed(format!("write {path}"), why));
        if !self.users.contains_key(&ownership.owner) {
            return refuse(format!("there is no user {}", ownership.owner));
        }
        if !self.groups.contains_key(&ownership.group) {
            return refuse(format!("there is no group {}", ownership.group));
        }
        if self
            .files
            .get(path)
            .is_some_and(|file| file.kind == FileKind::Directory)
        {
            return refuse("there is a directory".to_owned());
        }
        let Ownership { mode, owner, group } = ownership.clone();
        let changed_at = self.present();
        let file = FakeFile {
            kind,
            content,
            mode,
            owner,
            group,
            changed_at,
        };
        self.files.insert(path.clone(), file);
        // As the directory's ctime would tell.
        if let Some(parent) = path.parent().and_then(|parent| self.files.get_mut(&parent)) {
            parent.changed_at = changed_at;
        }
        Ok(())
    }

    fn validate(&self, content: &[u8], program: &Program) -> HostResult<()> {
        let path = super::fake_path("/validated");
        let argv = program
            .argv
            .iter()
            .map(|word| word.replace("{}", path.as_str()))
            .collect();
        let mut copy = self.clone();
        copy.files
            .insert(path, FakeFile::new(content, self.present()));
        let output = copy.run(&Program {
            argv,
            ..program.clone()
        })?;
        if output.code == 0 {
            return Ok(());
        }
        Err(HostError::Program {
            operation: "validate".to_owned(),
            status: format!("exit code {}", output.code),
            output: output.stderr,
        })
    }
}

impl Host for FakeHost {
    fn as_read(&self) -> &dyn ReadHost {
        self
    }

    fn write_file(
        &mut self,
        path: &AbsolutePath,
        content: &Content,
        ownership: &Ownership,
        validate: Option<&Program>,
    ) -> HostResult<()> {
        let content = match content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Blob(digest) => self.blob(digest)?,
        };
        if let Some(program) = validate {
            self.validate(&content, program)?;
        }
        self.step(format!("write {path}"), |host| {
            host.lay(path, FileKind::File, content, ownership)
        })
    }

    fn set_ownership(&mut self, path: &AbsolutePath, ownership: &Ownership) -> HostResult<()> {
        self.step(format!("chown {path}"), |host| {
            let now = host.present();
            let Some(file) = host.files.get_mut(path) else {
                return Err(HostError::failed(
                    format!("chown {path}"),
                    "nothing is there",
                ));
            };
            let Ownership { mode, owner, group } = ownership.clone();
            *file = FakeFile {
                mode,
                owner,
                group,
                changed_at: now,
                ..file.clone()
            };
            Ok(())
        })
    }

    fn make_directory(&mut self, path: &AbsolutePath, ownership: &Ownership) -> HostResult<()> {
        self.step(format!("mkdir {path}"), |host| {
            host.lay(path, FileKind::Directory, Vec::new(), ownership)
        })
    }

    fn make_symlink(&mut self, path: &AbsolutePath, target: &str) -> HostResult<()> {
        self.step(format!("link {path}"), |host| {
            let kind = FileKind::Symlink {
                target: target.to_owned(),
            };
            let root = "root".to_owned();
            let ownership = Ownership {
                mode: 0o777,
                owner: root.clone(),
                group: root,
            };
            host.lay(path, kind, Vec::new(), &ownership)
        })
    }

    fn remove(&mut self, path: &AbsolutePath, recursive: bool) -> HostResult<()> {
        self.step(format!("remove {path}"), |host| {
            let directory = host
                .files
                .get(path)
                .is_some_and(|file| file.kind == FileKind::Directory);
            if directory && !recursive {
                return Err(HostError::failed(
                    format!("remove {path}"),
                    "it is a directory",
                ));
            }
            host.files
                .retain(|other, _| !other.as_path().starts_with(path.as_path()));
            Ok(())
        })
    }

    fn packages(&mut self, requests: &[PackageRequest]) -> HostResult<()> {
        self.transaction(requests)
    }

    fn unit_verb(&mut self, unit: &str, verb: UnitVerb) -> HostResult<()> {
        let word = format!("{verb:?}").to_lowercase();
        self.step(format!("{word} {unit}"), |host| host.verb(unit, verb))
    }

    fn daemon_reload(&mut self) -> HostResult<()> {
        self.step("daemon-reload".to_owned(), |host| {
            host.load_all();
            Ok(())
        })
    }

    fn set_restart_record(&mut self, unit: &str, record: &RestartRecord) -> HostResult<()> {
        self.step(format!("record {unit}"), |host| {
            host.records.insert(unit.to_owned(), record.clone());
            Ok(())
        })
    }

    fn set_mark(&mut self, key: &str, digest: Digest) -> HostResult<()> {
        self.step(format!("mark {key}"), |host| {
            host.marks.insert(key.to_owned(), (digest, host.present()));
            Ok(())
        })
    }

    fn set_user(&mut self, name: &str, request: &UserRequest) -> HostResult<()> {
        self.step(format!("user {name}"), |host| {
            let free = host.numbers().last().copied().unwrap_or_default().max(99) + 1;
            let fresh = fake_user(free, name);
            if !host.users.contains_key(name) && request.group.is_none() {
                host.groups
                    .entry(name.to_owned())
                    .or_insert(GroupState { gid: free });
            }
            let user = host.users.entry(name.to_owned()).or_insert(fresh);
            let request = request.clone();
            user.uid = request.uid.unwrap_or(user.uid);
            user.group = request.group.unwrap_or_else(|| user.group.clone());
            user.home = request.home.unwrap_or_else(|| user.home.clone());
            user.shell = request.shell.unwrap_or_else(|| user.shell.clone());
            user.comment = request.comment.unwrap_or_else(|| user.comment.clone());
            user.groups = request.groups.unwrap_or_else(|| user.groups.clone());
            let now = host.present();
            let passwd = super::fake_path("/etc/passwd");
            host.files.insert(passwd, FakeFile::new(b"", now));
            Ok(())
        })
    }

    fn set_group(&mut self, name: &str, gid: Option<u32>, _: bool) -> HostResult<()> {
        self.step(format!("group {name}"), |host| {
            let free = host.numbers().last().copied().unwrap_or_default().max(99) + 1;
            host.groups.insert(
                name.to_owned(),
                GroupState {
                    gid: gid.unwrap_or(free),
                },
            );
            Ok(())
        })
    }

    fn http_send(&mut self, request: &HttpRequest) -> HostResult<HttpAnswer> {
        let method = format!("{:?}", request.method).to_uppercase();
        let credentials = request.credentials.as_ref().map(|credentials| {
            let Credentials { user, password } = credentials;
            format!("{user}:{}", password.reveal())
        });
        self.step(format!("{method} {}", request.url), |host| {
            host.request(&FakeRequest {
                method: &method,
                url: &request.url,
                body: request.body.as_deref(),
                credentials: credentials.as_deref(),
            })
        })
    }

    /// For the names in `certified`, and for 90 days. The files hold the time it was ordered.
    fn order_certificate(&mut self, order: &CertificateOrder) -> HostResult<()> {
        let (certificate, ownership) = (&order.certificate, &order.ownership);
        let content = format!("ordered at {}", self.clock).into_bytes();
        let key = key_ownership(ownership);
        self.step(format!("write {}", order.key), |host| {
            if let Some(state) = host.certificates.get_mut(certificate) {
                state.consistent = false;
            }
            host.lay(&order.key, FileKind::File, content.clone(), &key)
        })?;
        self.step(format!("write {certificate}"), |host| {
            let starts = host.present();
            let state = CertificateState {
                names: host.certified.clone(),
                starts,
                expires: starts.plus(Duration::from_secs(90 * 24 * 3600)),
                consistent: false,
            };
            host.certificates.insert(certificate.clone(), state);
            host.lay(certificate, FileKind::File, content.clone(), ownership)
        })?;
        self.step(format!("write {}", order.authority), |host| {
            if let Some(state) = host.certificates.get_mut(certificate) {
                state.consistent = true;
            }
            host.lay(&order.authority, FileKind::File, content.clone(), ownership)
        })
    }

    fn execute(&mut self, program: &Program) -> HostResult<ProgramOutput> {
        self.step(format!("run {}", program.argv.join(" ")), |host| {
            host.run(program)
        })
    }

    fn pause(&mut self, span: Duration) {
        self.clock = self
            .clock
            .saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX));
    }

    fn elapsed(&self) -> Duration {
        self.since_start()
    }
}
