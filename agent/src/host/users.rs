//! Making and changing users and groups, by the system's own programs.

use std::time::Duration;

use brine_model::host::{HostError, HostResult, UserRequest};

use super::accounts::Accounts;
use super::programs;

const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn set_user(name: &str, request: &UserRequest, accounts: &Accounts) -> HostResult<()> {
    let exists = accounts.find_user(name)?.is_some();
    let mut request = request.clone();
    // `useradd` refuses to make the user's own group where one by that name is there already.
    if !exists && request.group.is_none() && accounts.group(name)?.is_some() {
        request.group = Some(name.to_owned());
    }
    run(&user_argv(name, &request, exists)?, accounts)
}

pub(super) fn set_group(
    name: &str,
    gid: Option<u32>,
    system: bool,
    accounts: &Accounts,
) -> HostResult<()> {
    let exists = accounts.group(name)?.is_some();
    run(&group_argv(name, gid, system, exists)?, accounts)
}

fn run(argv: &[String], accounts: &Accounts) -> HostResult<()> {
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    programs::demand(&programs::program(&argv, LIMIT), accounts).map(drop)
}

fn user_argv(name: &str, request: &UserRequest, exists: bool) -> HostResult<Vec<String>> {
    check_name(name)?;
    let mut argv = vec![if exists { "usermod" } else { "useradd" }.to_owned()];
    let mut option = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            argv.extend([name.to_owned(), value]);
        }
    };
    option("--uid", request.uid.map(|uid| uid.to_string()));
    option("--gid", request.group.clone());
    option(
        if exists { "--home" } else { "--home-dir" },
        request.home.clone(),
    );
    option("--shell", request.shell.clone());
    option("--comment", request.comment.clone());
    let groups = request.groups.as_ref().map(|groups| groups.join(","));
    option("--groups", groups.filter(|groups| !groups.is_empty()));
    if !exists {
        if request.system {
            argv.push("--system".to_owned());
        }
        // Said either way: what is the default is up to /etc/login.defs.
        let home = if request.create_home {
            "--create-home"
        } else {
            "--no-create-home"
        };
        argv.push(home.to_owned());
    }
    argv.push(name.to_owned());
    Ok(argv)
}

fn group_argv(name: &str, gid: Option<u32>, system: bool, exists: bool) -> HostResult<Vec<String>> {
    check_name(name)?;
    let mut argv = vec![if exists { "groupmod" } else { "groupadd" }.to_owned()];
    if let Some(gid) = gid {
        argv.extend(["--gid".to_owned(), gid.to_string()]);
    }
    if system && !exists {
        argv.push("--system".to_owned());
    }
    argv.push(name.to_owned());
    Ok(argv)
}

/// So that a name is never taken for an option.
fn check_name(name: &str) -> HostResult<()> {
    if name.is_empty() || name.starts_with('-') {
        return Err(HostError::failed(
            format!("set up `{name}`"),
            "that is not a name",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_user_and_a_changed_one() {
        let request = UserRequest {
            uid: Some(990),
            home: Some("/srv/web".to_owned()),
            groups: Some(vec!["adm".to_owned(), "ssl-cert".to_owned()]),
            system: true,
            ..UserRequest::default()
        };
        let new = user_argv("web", &request, false).unwrap().join(" ");
        assert_eq!(
            new,
            "useradd --uid 990 --home-dir /srv/web --groups adm,ssl-cert --system \
             --no-create-home web"
        );
        let changed = user_argv("web", &request, true).unwrap().join(" ");
        assert_eq!(
            changed,
            "usermod --uid 990 --home /srv/web --groups adm,ssl-cert web"
        );
        assert!(user_argv("-o", &request, true).is_err());
        assert_eq!(
            group_argv("web", None, true, false).unwrap().join(" "),
            "groupadd --system web"
        );
    }
}
