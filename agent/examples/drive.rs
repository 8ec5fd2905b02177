#![allow(clippy::all, clippy::unwrap_used, clippy::print_stdout)]
use brine_agent::host::{RealHost, Transaction};
use brine_model::host::*;
use std::path::Path;
fn main() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let args: Vec<String> = std::env::args().collect();
    let a: Vec<&str> = args.iter().map(|s| s.as_str()).collect();
    if a[1] == "package-transaction" {
        Transaction::execute(Path::new(a[2])).unwrap();
        return;
    }
    let mut host = RealHost::new(Path::new("/var/lib/brine-agent"));
    let t = std::time::Instant::now();
    match a[1] {
        "unit" => {
            for u in &a[2..] {
                println!("{:#?}", host.unit(u))
            }
        }
        "verb" => {
            let v = match a[3] {
                "start" => UnitVerb::Start,
                "stop" => UnitVerb::Stop,
                "restart" => UnitVerb::Restart,
                "reload" => UnitVerb::Reload,
                "enable" => UnitVerb::Enable,
                "disable" => UnitVerb::Disable,
                "mask" => UnitVerb::Mask,
                "unmask" => UnitVerb::Unmask,
                _ => panic!(),
            };
            match host.unit_verb(a[2], v) {
                Ok(()) => println!("ok"),
                Err(e) => println!("ERR {e}"),
            }
            println!("{:?}", host.unit(a[2]));
        }
        "seq" => {
            for _ in 0..3 {
                println!("{:?}", host.unit(a[2]).map(|u| u.active));
                println!("{:?}", host.daemon_reload());
                std::thread::sleep(std::time::Duration::from_secs(3));
            }
        }
        "package" => println!("{:?} {:?}", host.package(a[2]), host.candidate(a[2])),
        "wait" => println!("{:?}", host.wait_for_transaction()),
        "user" => {
            println!("{:?}", host.set_group("grp", None, true));
            println!(
                "{:?}",
                host.set_user(
                    "webby",
                    &UserRequest {
                        system: true,
                        home: Some("/srv/w".into()),
                        create_home: true,
                        groups: Some(vec!["grp".into()]),
                        ..Default::default()
                    }
                )
            );
            println!("{:?}", host.user("webby"));
            println!(
                "{:?}",
                host.set_user(
                    "webby",
                    &UserRequest {
                        shell: Some("/bin/sh".into()),
                        ..Default::default()
                    }
                )
            );
            println!("{:?}", host.user("webby"));
            println!(
                "{:?}",
                host.execute(&Program {
                    argv: vec!["id".into()],
                    environment: Default::default(),
                    directory: None,
                    user: Some("webby".into()),
                    timeout: std::time::Duration::from_secs(5)
                })
            );
        }
        "install" => {
            // name[=version][!] ; keep:unit ; hold / unhold
            let mut reqs: Vec<PackageRequest> = Vec::new();
            for w in &a[2..] {
                if let Some(u) = w.strip_prefix("keep:") {
                    reqs.last_mut().unwrap().keep_stopped.push(u.into());
                    continue;
                }
                if *w == "hold" {
                    reqs.last_mut().unwrap().hold = Some(true);
                    continue;
                }
                if *w == "unhold" {
                    reqs.last_mut().unwrap().hold = Some(false);
                    continue;
                }
                if *w == "noinstall" {
                    reqs.last_mut().unwrap().install = false;
                    continue;
                }
                let (n, v) = w
                    .split_once('=')
                    .map_or((*w, None), |(n, v)| (n, Some(v.to_string())));
                reqs.push(PackageRequest {
                    name: n.into(),
                    version: v,
                    hold: None,
                    install: true,
                    keep_stopped: vec![],
                });
            }
            match host.packages(&reqs) {
                Ok(()) => println!("ok"),
                Err(e) => println!("ERR {e}"),
            }
        }
        _ => panic!(),
    }
    println!("took {:?}", t.elapsed());
}
