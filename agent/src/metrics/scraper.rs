//! One answer.

use std::sync::Arc;
use std::time::Duration;

use brine_exposition::Exposition;
use brine_node_metrics::collector::CollectError;
use brine_node_metrics::options::Invalid;
use brine_node_metrics::{Roots, Scraper, UnknownCollector};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::flags::Flags;
use super::own::Own;
use crate::{VERSION, memory};

/// Bytes of samples: to put together more takes longer than the network's thread should be busy with it.
const LARGE: usize = 1 << 20;

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
        let told = scrape.told();
        if told.size() < LARGE {
            return Ok(told.text());
        }
        let text = spawn_blocking(move || {
            let text = told.text();
            drop(told);
            memory::trim();
            text
        })
        .await;
        Ok(text.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())))
    }
}

/// This architecture, as Go calls it.
fn goarch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Dashboards find nodes by this family.
fn build(_: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let labels = [
        ("branch", ""),
        ("goarch", goarch()),
        ("goos", std::env::consts::OS),
        ("goversion", ""),
        ("revision", "brine-agent"),
        ("version", VERSION),
    ];
    out.gauge(
        "node_exporter_build_info",
        "A metric with a constant '1' value labeled by version, revision, branch, goversion from which node_exporter was built, and the goos and goarch for the build.",
    )
    .add(&labels, 1_u64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_large_answer_is_whole() {
        let root = tempfile::tempdir().unwrap();
        let lines =
            (0..60_000).map(|number| format!("batch_rows{{table=\"{number}\"}} {number}\n"));
        let lines: String = lines.collect();
        std::fs::write(root.path().join("rows.prom"), &lines).unwrap();
        let directory = root.path().display();
        let flags = format!(
            "--collector.disable-defaults\n--collector.textfile\n--collector.textfile.directory={directory}\n"
        );
        let own = Own {
            root: root.path().to_owned(),
            state: root.path().to_owned(),
            link: None,
        };
        let mut node = Node::new(Flags::parse(&flags).unwrap(), own).unwrap();
        for _ in 0..2 {
            let text = node.text(&[], Duration::from_secs(60)).await.unwrap();
            assert!(text.len() > LARGE && text.contains(&lines));
        }
    }
}
