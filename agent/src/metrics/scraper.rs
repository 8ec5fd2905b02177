//! One answer.

use std::sync::Arc;
use std::time::Duration;

use brine_exposition::Exposition;
use brine_node_metrics::collector::CollectError;
use brine_node_metrics::options::Invalid;
use brine_node_metrics::{Roots, Scraper, UnknownCollector};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::flags::Flags;
use super::own::Own;
use crate::VERSION;

/// What is told of this node. What collectors keep between scrapes lives here.
#[derive(Debug)]
pub(crate) struct Node(Scraper);

impl Node {
    /// # Errors
    /// A flag makes no sense.
    pub(crate) fn new(flags: Flags, own: Own) -> Result<Self, Invalid> {
        let mut machine = Scraper::new(flags.roots, &flags.selection)?;
        machine = machine.with("build", Box::new(build));
        if flags.own {
            machine = machine.with("agent", Box::new(own));
        }
        Ok(Self(machine))
    }

    /// All of it, or the collectors in `only`, within this time.
    ///
    /// # Errors
    /// A name is none of a collector that runs here.
    pub(crate) async fn text(
        &mut self,
        only: &[String],
        within: Duration,
    ) -> Result<String, UnknownCollector> {
        let done = Arc::new(Notify::new());
        let notify = Arc::clone(&done);
        let mut scrape = self.0.begin(only, within, move || notify.notify_one())?;
        while let Some(patience) = scrape.wait() {
            let _ = timeout(patience, done.notified()).await;
        }
        Ok(scrape.told().text())
    }
}

/// Dashboards find nodes by this family.
fn build(_: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let labels = [
        ("branch", ""),
        ("goarch", ""),
        ("goos", std::env::consts::OS),
        ("goversion", ""),
        ("revision", "brine-agent"),
        ("version", VERSION),
    ];
    out.gauge(
        "node_exporter_build_info",
        "A metric with a constant '1' value labeled by version, revision, branch, and goversion from which node_exporter was built.",
    )
    .add(&labels, 1_u64);
    Ok(())
}
