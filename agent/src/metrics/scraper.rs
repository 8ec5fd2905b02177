//! One answer.

use std::time::Duration;

use brine_exposition::Exposition;
use brine_node_metrics::{Scraper, UnknownCollector};

use super::flags::Flags;
use super::own::Own;
use crate::VERSION;

/// What is told of this node. What collectors keep between scrapes lives here.
#[derive(Debug)]
pub(crate) struct Scrape {
    machine: Scraper,
    own: Option<Own>,
}

impl Scrape {
    /// # Errors
    /// A flag makes no sense.
    pub(crate) fn new(
        flags: Flags,
        own: Own,
    ) -> Result<Self, brine_node_metrics::options::Invalid> {
        Ok(Self {
            machine: Scraper::new(flags.roots, &flags.selection)?,
            own: flags.own.then_some(own),
        })
    }

    /// All of it, or the collectors in `only`. It blocks, for `within` at most.
    ///
    /// # Errors
    /// A name is none of a collector that runs here.
    pub(crate) fn text(
        &self,
        only: &[String],
        within: Duration,
    ) -> Result<String, UnknownCollector> {
        let mut out = self.machine.scrape(only, within)?;
        build(&mut out);
        if let Some(own) = &self.own {
            own.tell(&mut out);
        }
        Ok(out.text())
    }
}

/// Dashboards find nodes by this family.
fn build(out: &mut Exposition) {
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
}
