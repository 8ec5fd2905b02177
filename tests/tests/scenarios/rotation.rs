//! Passwords are rotated as documented, while the application serves.

use crate::database::{self, prober, sql, whole};

const SECRETS: &str = "/var/lib/brine-server/secrets.yaml";

fn secret(fleet: &lab::fleet::Fleet, name: &str) -> String {
    let line = fleet
        .brine01()
        .succeed(&format!("grep ' {name}:' {SECRETS}"));
    let (_, value) = line.trim().split_once(": ").expect("name: value");
    value.trim_matches(['"', '\'']).to_owned()
}

#[test]
fn every_password_of_the_database_is_rotated() {
    let Some(fleet) = super::fleet() else { return };
    let names = [
        "app_password",
        "replication_password",
        "rewind_password",
        "superuser_password",
        "api_password",
    ];
    let before = whole(&fleet);
    let old = names.map(|name| secret(&fleet, name));
    let running = database::MEMBERS.map(|host| database::processes(&fleet, host));
    let clients = prober(&fleet, "/db");

    // As docs/operations.md says it.
    let mut shown = String::new();
    let mut ctl = |arguments: &str| {
        let output = fleet.ctl(arguments);
        assert_eq!(output.code, 0, "{output}");
        shown.push_str(&output.to_string());
    };
    fleet.brine01().succeed(&format!(
        "sed -i -e '/app_password_before:/d' -e 's/app_password:/app_password_before:/' {SECRETS}"
    ));
    ctl("plan role=backend");
    ctl("apply role=backend --yes");
    ctl("apply role=db --yes");
    fleet.brine01().succeed(&format!(
        "sed -i -e '/replication_password:/d' -e '/rewind_password:/d' -e '/superuser_password:/d' \
         -e '/api_password:/d' {SECRETS}"
    ));
    ctl("plan role=db");
    ctl("apply role=db --yes");

    let report = clients.stop().expect("the prober's report");
    super::figure(&format!(
        "all passwords rotated: {} of {} requests of /db failed, within {} ms, the slowest took {} ms",
        report.failed, report.requests, report.failing_ms, report.slowest_ms
    ));
    assert_eq!(report.failed, 0, "{report:?}");
    let new = names.map(|name| secret(&fleet, name));
    for index in 0..names.len() {
        assert_ne!(new[index], old[index], "{} is another", names[index]);
        assert!(!shown.contains(&new[index]), "{} is shown", names[index]);
    }
    let after = whole(&fleet);
    assert_eq!(after.leader, before.leader, "nobody had to hand over");
    assert_eq!(
        database::MEMBERS.map(|host| database::processes(&fleet, host)),
        running,
        "no database restarted"
    );
    // The old one opens nothing, the new one does: asked as the application is, by TCP.
    let login = |password: &str| {
        let command = format!(
            "PGPASSWORD='{password}' psql -h 127.0.0.1 -U webapp -d webapp -Atc 'select 1' 2>&1 || true"
        );
        fleet.host(&after.leader).succeed(&command)
    };
    assert_eq!(login(&new[0]).trim(), "1");
    assert!(login(&old[0]).contains("password authentication failed"));
    // Replicas that start anew find the new one too.
    let replica = after.replicas()[0];
    fleet.host(replica).reboot().expect("it reboots");
    whole(&fleet);
    assert_eq!(sql(&fleet, replica, "select pg_is_in_recovery()"), "t");
    let again = fleet.ctl("plan --detailed-exit-code all");
    assert_eq!(again.code, 0, "nothing is left to do:\n{again}");
}
