use serde_json::{Value as Json, json};

use super::super::tests::{check_fails, check_plan};
use crate::converge::fake::{FakeFile, FakeHost, Files, Scene, check_converges, exit, fake_path};
use crate::host::{Program, ProgramOutput};
use crate::time::Timestamp;

const SERVER: &str = "/fake/postgres";

/// With the roles `postgres` and `ops`.
fn host() -> FakeHost {
    let mut host = FakeHost::new();
    let state = json!({
        "roles": {"postgres": role("SUPERUSER"), "ops": role("CREATEDB")},
        "databases": {"old": {"owner": "postgres", "encoding": "SQL_ASCII"}},
    });
    host.put(SERVER, &state.to_string());
    host.program("psql", |program, files| {
        assert_eq!(program.user.as_deref(), Some("postgres"));
        let mut now = state_of(files);
        let output = psql(program, &mut now);
        let file = FakeFile::new(now.to_string().as_bytes(), Timestamp(0));
        files.insert(fake_path(SERVER), file);
        output
    });
    host.files
        .get_mut(&fake_path(SERVER))
        .expect("just put")
        .changed_at = Timestamp(0);
    host
}

fn role(attribute: &str) -> Json {
    let mut role = json!({
        "LOGIN": true, "SUPERUSER": false, "CREATEDB": false, "CREATEROLE": false,
        "REPLICATION": false, "limit": -1, "member_of": [], "password": null,
    });
    role[attribute] = json!(true);
    role
}

fn state_of(files: &Files) -> Json {
    serde_json::from_slice(&files[&fake_path(SERVER)].content).expect("JSON")
}

/// Takes the SQL apart as a server would, as far as it is ours.
fn psql(program: &Program, now: &mut Json) -> ProgramOutput {
    let say = |json: &Json| ProgramOutput {
        stdout: format!("{json}\n"),
        ..exit(0)
    };
    let option = |name: &str| {
        let prefix = format!("--{name}=");
        program
            .argv
            .iter()
            .find_map(|word| word.strip_prefix(&prefix))
    };
    let sql = option("command").expect("a command");
    if sql == "SELECT 1" {
        assert_eq!(option("host"), Some("127.0.0.1"));
        let role = option("username").expect("a user");
        let given = program.environment.get("PGPASSWORD").expect("a password");
        let right = now["roles"][role]["password"] == given.as_str();
        return if right {
            say(&json!(1))
        } else {
            ProgramOutput {
                stderr: format!(
                    "psql: error: FATAL:  password authentication failed for user \"{role}\""
                ),
                ..exit(2)
            }
        };
    }
    if let Some(at) = sql.find("r.rolname = ") {
        let name = literal(&sql[at + "r.rolname = ".len()..]);
        let found = now["roles"].get(&name).cloned();
        return found.map_or(exit(0), |role| say(&role));
    }
    if let Some(at) = sql.find("d.datname = ") {
        let name = literal(&sql[at + "d.datname = ".len()..]);
        let found = now["databases"].get(&name).cloned();
        return found.map_or(exit(0), |database| say(&database));
    }
    if let Some((_, rest)) = sql.split_once("PASSWORD %L', ") {
        let (name, _) = rest.split_once(", pg_catalog.").expect("our own form");
        let options = &program.environment["PGOPTIONS"];
        let password = options
            .strip_prefix("-c brine.password=")
            .expect("our own form");
        let password = unescaped(password);
        assert!(!program.argv.iter().any(|word| word.contains(&password)));
        if password == "refused" {
            return ProgramOutput {
                stderr: format!(
                    "ERROR:  refused: {password}\nCONTEXT: ALTER ROLE PASSWORD '{password}'"
                ),
                ..exit(3)
            };
        }
        now["roles"][literal(name)]["password"] = json!(password);
        return exit(0);
    }
    if let Some(rest) = sql.strip_prefix("GRANT ") {
        let (groups, member) = rest.split_once(" TO ").expect("our own form");
        let groups = groups.split(", ").map(|group| json!(identifier(group).0));
        now["roles"][identifier(member).0]["member_of"] = groups.collect();
        return exit(0);
    }
    if let Some(rest) = sql.strip_prefix("CREATE DATABASE ") {
        let (name, rest) = identifier(rest);
        let owner = rest.strip_prefix(" OWNER ").map(|rest| identifier(rest).0);
        let encoding = if rest.contains("ENCODING") {
            "UTF8"
        } else {
            "SQL_ASCII"
        };
        assert_eq!(rest.contains("TEMPLATE \"template0\""), encoding == "UTF8");
        now["databases"][name] = json!({"owner": owner, "encoding": encoding});
        return exit(0);
    }
    if let Some(rest) = sql.strip_prefix("ALTER DATABASE ") {
        let (name, rest) = identifier(rest);
        let owner = rest.strip_prefix(" OWNER TO ").expect("our own form");
        now["databases"][name]["owner"] = json!(identifier(owner).0);
        return exit(0);
    }
    let (creates, rest) = match (
        sql.strip_prefix("CREATE ROLE "),
        sql.strip_prefix("ALTER ROLE "),
    ) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => panic!("{sql}"),
    };
    let (name, words) = identifier(rest);
    let roles = now["roles"].as_object_mut().expect("a map");
    if creates {
        assert!(!roles.contains_key(&name));
        roles.insert(name.clone(), role("nothing"));
        roles[&name]["LOGIN"] = json!(false);
    }
    let mut words = words.split_whitespace();
    while let Some(word) = words.next() {
        match word.strip_prefix("NO") {
            Some(attribute) => roles[&name][attribute] = json!(false),
            None if word == "CONNECTION" => {
                assert_eq!(words.next(), Some("LIMIT"));
                let limit: i64 = words.next().expect("a number").parse().expect("a number");
                roles[&name]["limit"] = json!(limit);
            }
            None => roles[&name][word] = json!(true),
        }
    }
    exit(0)
}

/// A quoted name at the front, and what follows it.
fn identifier(sql: &str) -> (String, String) {
    let inner = sql.strip_prefix('"').expect("a quoted name");
    let mut name = String::new();
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '"' && chars.next_if_eq(&'"').is_none() {
            return (name, chars.collect());
        }
        name.push(c);
    }
    panic!("{sql}")
}

/// A quoted text that is all there is.
fn literal(sql: &str) -> String {
    let (inner, escapes) = match sql.strip_prefix("E'") {
        Some(inner) => (inner, true),
        None => (sql.strip_prefix('\'').expect("a quoted text"), false),
    };
    let inner = inner.strip_suffix('\'').expect("its end");
    let text = inner.replace("''", "'");
    assert_eq!(inner.replace("''", "").matches('\'').count(), 0, "{sql}");
    if escapes {
        text.replace("\\\\", "\\")
    } else {
        text
    }
}

fn unescaped(option: &str) -> String {
    let mut text = String::new();
    let mut chars = option.chars();
    while let Some(c) = chars.next() {
        assert!(!c.is_whitespace(), "it would end here");
        text.push(if c == '\\' {
            chars.next().expect("a character")
        } else {
            c
        });
    }
    text
}

const ID: &str = "postgres_role:app";

fn fields(password: &str) -> Json {
    json!({
        "password": {"$secret": password}, "createdb": true, "connection_limit": 5,
        "member_of": "ops",
    })
}

#[test]
fn a_role_comes_and_changes() {
    let mut host = host();
    let scene = |fields: Json| Scene::new(&[(ID, fields)]);
    let all = [
        "create role app",
        "set the password of app",
        "make app a member of ops",
    ];
    check_plan(&host, ID, fields("pass-1"), &all);
    check_converges(&scene(fields("pass-1")), &mut host);
    let app = &state_of(&host.files)["roles"]["app"];
    assert_eq!(
        (&app["LOGIN"], &app["CREATEDB"], &app["limit"]),
        (&json!(true), &json!(true), &json!(5))
    );
    check_plan(&host, ID, fields("pass-2"), &["set the password of app"]);
    check_converges(&scene(fields("pass-2")), &mut host);

    let mut other = fields("pass-2");
    other["createdb"] = json!(false);
    other["replication"] = json!(true);
    check_plan(
        &host,
        ID,
        other.clone(),
        &["alter app: NOCREATEDB, REPLICATION"],
    );
    check_converges(&scene(other), &mut host);
    // What is not named is left alone.
    check_plan(&host, "postgres_role:postgres", json!({"login": true}), &[]);
    let no_login = json!({"login": false});
    check_plan(&host, ID, no_login.clone(), &["alter app: NOLOGIN"]);
    check_converges(&scene(no_login), &mut host);
    // It cannot be asked for its password before it may log in again.
    let both = ["alter app: LOGIN", "set the password of app"];
    let again = json!({"login": true, "password": {"$secret": "pass-2"}});
    check_plan(&host, ID, again.clone(), &both);
    check_converges(&scene(again), &mut host);
}

#[test]
fn hostile_names_and_passwords() {
    for name in [
        "a\"b",
        "it's",
        "a\\'; DROP ROLE ops; --",
        "-U postgres",
        "é ü",
    ] {
        for password in ["a b\\c 'd'", "\"; --", "x\ty$brine$"] {
            let mut host = host();
            let id = format!("postgres_role:{name}");
            let database = format!("postgres_database:{name}");
            let mut fields = fields(password);
            fields["member_of"] = json!(["ops", "postgres"]);
            let owned = json!({"owner": name});
            check_converges(&Scene::new(&[(&id, fields), (&database, owned)]), &mut host);
            let now = state_of(&host.files);
            assert_eq!(now["roles"][name]["password"], password);
            assert_eq!(now["roles"].as_object().unwrap().len(), 3);
            assert_eq!(now["databases"][name]["owner"], name);
        }
    }
}

#[test]
fn a_password_is_shown_nowhere() {
    let mut host = host();
    let scene = Scene::new(&[(ID, fields("refused"))]);
    let report = scene.apply(&mut host);
    let text = format!("{:?} {:?}", report, scene.plan(&host));
    assert!(text.contains("ERROR:  (secret): (secret)"), "{text}");
    assert!(
        !text.contains("refused") && !text.contains("CONTEXT"),
        "{text}"
    );
    let steps = host.log.join("\n");
    assert!(!steps.contains("refused"), "{steps}");
}

#[test]
fn databases() {
    let mut host = host();
    let id = "postgres_database:app";
    let fields = json!({"owner": "ops", "encoding": "utf-8"});
    check_plan(&host, id, fields.clone(), &["create database app"]);
    check_converges(&Scene::new(&[(id, fields)]), &mut host);
    let fields = json!({"owner": "postgres"});
    check_plan(&host, id, fields.clone(), &["owner ops → postgres"]);
    check_converges(&Scene::new(&[(id, fields)]), &mut host);
    let why = "cannot have database old in UTF8: it is in SQL_ASCII, and PostgreSQL cannot change \
               that: dump it, drop it and restore it, or declare what it is";
    check_plan(
        &host,
        "postgres_database:old",
        json!({"encoding": "UTF8"}),
        &[why],
    );
    check_plan(&host, "postgres_database:old", json!({}), &[]);
}

#[test]
fn a_server_that_is_not_there() {
    let mut host = host();
    host.program("psql", |_, _| ProgramOutput {
        stderr: "psql: error: connection to server on socket failed".to_owned(),
        ..exit(2)
    });
    let why =
        "ask PostgreSQL: psql exits with 2\npsql: error: connection to server on socket failed";
    check_plan(&host, ID, json!({}), &[why]);
    check_plan(&host, "postgres_database:app", json!({}), &[why]);
}

#[test]
fn what_makes_no_sense() {
    let both = json!({"login": false, "password": "x"});
    check_fails(
        ID,
        both,
        "a role that cannot log in has no use for a password",
    );
    let long = "a".repeat(64);
    let why = format!("`{long}` is no name in PostgreSQL: expected 1 to 63 bytes");
    check_fails(&format!("postgres_role:{long}"), json!({}), &why);
    check_fails("postgres_database:a", json!({"owner": long}), &why);
    check_fails(
        "postgres_database:a",
        json!({"encoding": "a'b"}),
        "`a'b` is not an encoding",
    );
}
