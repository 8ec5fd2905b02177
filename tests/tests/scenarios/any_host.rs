//! Any one host dies, under people's load through the shared address, and comes back: what the
//! fleet promises holds for each of the nine.

use std::time::{Duration, Instant};

use lab::fleet::Fleet;
use lab::load::{Prober, ProberReport, WriterReport};
use lab::nodes::{self, FRONT};
use lab::wait_until;

use crate::{database, front, volume};

/// What a client may ask for: a page, a file of the volume, the database.
const PAGES: [&str; 3] = ["/", "/image", "/db"];

/// What a host had that is taken over by another.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Duty {
    HasTheAddress,
    LeadsTheDatabase,
    None,
}

struct Row {
    host: &'static str,
    duty: Duty,
    pages: Vec<ProberReport>,
    rows: WriterReport,
    whole_after: Duration,
}

impl Row {
    /// A line of the table.
    fn shown(&self) -> String {
        let pages = self.pages.iter().map(|page| {
            format!(
                "{} of {} within {} ms, slowest {} ms",
                page.failed, page.requests, page.failing_ms, page.slowest_ms
            )
        });
        format!(
            "{} | {:?} | {} | {} rows, {} lost, longest gap {} ms | {} s",
            self.host,
            self.duty,
            pages.collect::<Vec<_>>().join(" | "),
            self.rows.acked,
            self.rows.missing.len(),
            self.rows.longest_gap_ms,
            self.whole_after.as_secs()
        )
    }
}

#[test]
fn whichever_host_dies_the_service_goes_on() {
    let Some(fleet) = super::fleet() else { return };
    let mut hosts = nodes::fleet();
    // The balancers first: one of them has the address.
    hosts.truncate(super::rounds(2, hosts.len()));
    let rows: Vec<Row> = hosts.iter().map(|host| dies(&fleet, host.name)).collect();
    super::figure(
        "host | duty | / failed | /image failed | /db failed | rows written | whole again after",
    );
    for row in &rows {
        super::figure(&row.shown());
    }
    for row in &rows {
        assert!(row.rows.missing.is_empty(), "{}: {:?}", row.host, row.rows);
        let [page, image, asks_database] = row.pages.as_slice() else {
            panic!("three pages")
        };
        // Who has the address takes what is under way with it, who leads the database what asks it.
        let untouched = match row.duty {
            Duty::HasTheAddress => vec![],
            Duty::LeadsTheDatabase => vec![page, image],
            Duty::None => vec![page, image, asks_database],
        };
        for page in untouched {
            assert_eq!(page.failed, 0, "{}: {page:?}", row.host);
        }
    }
    let again = fleet.ctl("plan --detailed-exit-code all");
    assert_eq!(again.code, 0, "nothing is left to do:\n{again}");
}

fn dies(fleet: &Fleet, name: &'static str) -> Row {
    let leader = database::whole(fleet).leader;
    volume::whole(fleet);
    let duty = if front::holder(fleet) == name {
        Duty::HasTheAddress
    } else if leader == name {
        Duty::LeadsTheDatabase
    } else {
        Duty::None
    };
    let address = FRONT.to_string();
    let pages = PAGES.map(|path| {
        Prober::start(fleet.lab(), &[&address], path, Duration::from_millis(100)).expect("a prober")
    });
    let writer = database::writer_through(fleet, &[&address]);
    let host = fleet.host(name);
    host.power_cut().expect("the power is cut");
    // By then everybody who watches it has found out.
    wait_until("it to be missed", Duration::from_secs(90), || {
        Ok(fleet.node(name)?["connected"] == false)
    })
    .expect("the server misses it");
    serves(fleet);
    let acked = writer.acked();
    wait_until("rows to be written", Duration::from_secs(60), || {
        Ok(writer.acked() > acked + 20)
    })
    .expect("writes go on without it");
    let begin = Instant::now();
    host.power_on().expect("it boots");
    database::whole(fleet);
    volume::whole(fleet);
    front::holder(fleet);
    fleet
        .wait_connected(Duration::from_secs(90))
        .expect("its agent is back");
    let whole_after = begin.elapsed();
    let pages = pages.map(|page| page.stop().expect("the prober's report"));
    Row {
        host: name,
        duty,
        pages: pages.into(),
        rows: database::nothing_lost(writer, &format!("{name} died and came back")),
        whole_after,
    }
}

/// Waits until all pages are there for a new client of the shared address.
pub(crate) fn serves(fleet: &Fleet) {
    for path in PAGES {
        let url = format!("curl -sf -m 2 -o /dev/null http://{FRONT}{path}");
        wait_until("the front door", Duration::from_secs(60), || {
            Ok(fleet.operator().run(&url).code == 0)
        })
        .unwrap_or_else(|error| panic!("{path}: {error:#}"));
    }
}
