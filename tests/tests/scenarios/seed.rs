//! What the system that this one follows got wrong, one by one: data removed by a run, no TLS,
//! default passwords, a database open to the world. (Restarts on every run: see `apply`.)

use crate::database::{self, MEMBERS, sql, whole};

#[test]
fn no_apply_touches_etcds_data() {
    let Some(fleet) = super::fleet() else { return };
    let data = |host: &str| {
        fleet.host(host).succeed(
            "ls -di /var/lib/etcd/main /var/lib/etcd/main/member /var/lib/etcd/main/member/snap \
             /var/lib/etcd/main/member/snap/db; ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 \
             --cacert /etc/etcd/tls/ca.pem --cert /etc/etcd/tls/member.pem --key /etc/etcd/tls/member.key \
             member list",
        )
    };
    let before = MEMBERS.map(data);
    let kept = "ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/etcd/tls/ca.pem \
        --cert /etc/etcd/tls/member.pem --key /etc/etcd/tls/member.key";
    fleet
        .host("db01")
        .succeed(&format!("{kept} put lab/kept yes"));
    assert_eq!(fleet.ctl("apply role=db --yes").code, 0);
    // A change of etcd's own settings restarts each member and keeps what it has.
    let writer = database::writer(&fleet);
    fleet.write_state("data/roles/db.yaml", "etcd: { quota: 1073741824 }\n");
    let applied = fleet.ctl("apply role=db --yes");
    assert_eq!(applied.code, 0, "{applied}");
    database::nothing_lost(writer, "etcd restarted member by member");
    assert_eq!(MEMBERS.map(data), before);
    assert!(
        fleet
            .host("db03")
            .succeed(&format!("{kept} get --print-value-only lab/kept"))
            .contains("yes")
    );
}

#[test]
fn etcd_and_the_database_speak_tls_to_those_they_know() {
    let Some(fleet) = super::fleet() else { return };
    for member in MEMBERS {
        for port in [2379, 2380] {
            let plain = fleet
                .operator()
                .run(&format!("curl -s -m 3 http://{member}:{port}/health"));
            assert!(!plain.stdout.contains("true"), "{member}:{port}: {plain}");
            let nobody = fleet
                .operator()
                .run(&format!("curl -sk -m 3 https://{member}:{port}/health"));
            assert_ne!(
                nobody.code, 0,
                "{member}:{port} takes a client without a certificate"
            );
        }
    }
    // A certificate of the same authority that is another node's is not enough.
    let foreign = fleet.host("backend01").run(
        "curl -s -m 3 --cacert /etc/webapp/tls/ca.pem --cert /etc/webapp/tls/node.pem \
         --key /etc/webapp/tls/node.key https://db01:2379/v2/keys/",
    );
    assert!(
        !foreign.stdout.contains("\"action\""),
        "a backend reads etcd: {foreign}"
    );
    let leader = whole(&fleet).leader;
    let encrypted = "select bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid) \
        where client_addr is not null and client_addr <> '127.0.0.1'";
    assert_eq!(sql(&fleet, &leader, encrypted), "t");
}

#[test]
fn the_database_is_open_to_those_who_need_it_alone() {
    let Some(fleet) = super::fleet() else { return };
    let leader = whole(&fleet).leader;
    let password = fleet
        .host("backend01")
        .succeed("head -n 1 /etc/webapp/database-password");
    let (password, address) = (password.trim(), "PGCONNECT_TIMEOUT=5");
    // From a member, which has the client, as from anywhere else: straight, with the right password.
    let other = whole(&fleet).replicas()[0];
    let attempt = |database: &str, user: &str, mode: &str| {
        fleet.host(other).run(&format!(
            "{address} PGPASSWORD='{password}' PGSSLMODE={mode} psql -h {leader} -U {user} -d {database} \
             -Atc 'select 1' 2>&1"
        ))
    };
    for (database, user, mode) in [
        ("webapp", "webapp", "require"),
        ("postgres", "postgres", "require"),
        ("postgres", "postgres", "disable"),
    ] {
        let output = attempt(database, user, mode);
        assert!(
            output.stdout.contains("no pg_hba.conf entry"),
            "{user} gets in: {output}"
        );
    }
    for member in MEMBERS {
        let rules = sql(
            &fleet,
            member,
            "select count(*) from pg_hba_file_rules where address in ('0.0.0.0', '::', 'all') \
             or auth_method in ('trust', 'md5', 'password')",
        );
        assert_eq!(rules, "0", "{member} is open to the world");
    }
    let weak = sql(
        &fleet,
        &leader,
        "select count(*) from pg_authid where rolcanlogin and rolpassword not like 'SCRAM-SHA-256%'",
    );
    assert_eq!(weak, "0", "a password is not a SCRAM secret");
}

#[test]
fn no_password_is_a_default_and_none_is_readable() {
    let Some(fleet) = super::fleet() else { return };
    let text = fleet
        .brine01()
        .succeed("cat /var/lib/brine-server/secrets.yaml");
    let secrets: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("_password"))
        .filter_map(|line| {
            line.split_once(": ")
                .map(|(_, value)| value.trim_matches('"'))
        })
        .collect();
    assert_eq!(secrets.len(), 7, "each is made up");
    let mut distinct = secrets.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), secrets.len(), "each is its own");
    assert!(secrets.iter().all(|secret| secret.len() >= 20));
    let mode = fleet
        .brine01()
        .succeed("stat -c '%a %U' /var/lib/brine-server/secrets.yaml");
    assert_eq!(mode.trim(), "600 root");
    for host in MEMBERS.into_iter().chain(["backend01", "balancer01"]) {
        let host = fleet.host(host);
        for secret in &secrets {
            let readable = host.succeed(&format!(
                "grep -rlsF -e '{secret}' /etc /opt /run /var/log /var/lib/brine-agent 2>/dev/null \
                 | xargs -r stat -c '%A %n' | grep -v '^-r[w-]-------' || true"
            ));
            assert_eq!(readable, "", "on {}", host.name());
        }
        // Read as a whole and searched here: a search over there would find its own command line.
        let shown = host.succeed(
            "for p in /proc/[0-9]*; do cat $p/cmdline $p/environ; done 2>/dev/null | tr '\\0' '\\n'",
        );
        assert!(shown.contains("systemd"), "the processes were read");
        for secret in &secrets {
            assert!(
                !shown.contains(secret),
                "on {}: a secret is in an environment or a command line",
                host.name()
            );
        }
    }
}
