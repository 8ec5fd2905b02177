//! The agent about itself: out of its state directory, so that also an agent that does not run is told of.

use std::path::PathBuf;

use brine_exposition::Exposition;
use brine_model::drift::State;
use brine_model::time::Timestamp;
use brine_node_metrics::Roots;
use brine_node_metrics::collector::{CollectError, Collector};
use brine_transport::connection::Connection;
use tokio::sync::watch;

use crate::VERSION;
use crate::state::{identity, last, ledger};

/// What it is told from.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    pub(crate) root: PathBuf,
    pub(crate) state: PathBuf,
    /// None where no agent runs in this process.
    pub(crate) link: Option<watch::Receiver<Option<Connection>>>,
}

impl Collector for Own {
    fn collect(&self, _: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        self.tell(out);
        Ok(())
    }
}

impl Own {
    /// Reads files: not for the network's thread. What cannot be read is left out.
    fn tell(&self, out: &mut Exposition) {
        out.gauge("brine_agent_build_info", "The agent's version; always 1.")
            .add(&[("version", VERSION)], 1_u64);
        if let Some(link) = &self.link {
            out.gauge(
                "brine_agent_connected",
                "Whether the agent is connected to its server.",
            )
            .add(&[], link.borrow().is_some());
            brine_exposition::process::tell(out);
        }
        self.last_apply(out);
        self.drift(out);
        super::heals::tell(&self.root, out);
        if let Ok(Some(certificate)) = identity::read_certificate(&self.state)
            && let Some(expires) = certificate.peer.expires
        {
            out.gauge(
                "brine_agent_certificate_expiry_timestamp_seconds",
                "When the node's certificate ends, since unix epoch.",
            )
            .add(&[], seconds(expires));
        }
    }

    fn last_apply(&self, out: &mut Exposition) {
        let Ok(Some(last)) = last::read(&self.state) else {
            return;
        };
        out.gauge(
            "brine_agent_last_apply_timestamp_seconds",
            "When the last apply on this node ended, since unix epoch.",
        )
        .add(&[], seconds(last.at));
        #[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
        let took = last.took as f64 / 1000.0;
        out.gauge(
            "brine_agent_last_apply_duration_seconds",
            "How long the last apply worked on this node.",
        )
        .add(&[], took);
        out.gauge(
            "brine_agent_last_apply_success",
            "Whether the last apply on this node succeeded.",
        )
        .add(&[], last.succeeded);
        out.gauge(
            "brine_agent_last_apply_changed_resources",
            "Resources that the last apply changed.",
        )
        .add(&[], last.changed);
        out.gauge(
            "brine_agent_last_apply_failed_resources",
            "Resources on which the last apply failed.",
        )
        .add(&[], last.failed);
    }

    fn drift(&self, out: &mut Exposition) {
        let Ok(ledger) = ledger::read(&self.state) else {
            return;
        };
        out.gauge(
            "brine_agent_drift_blind",
            "Whether the agent cannot find out whether anything drifted.",
        )
        .add(&[], ledger.blind.is_some());
        let mut drifted = out.gauge(
            "brine_agent_drifted_resources",
            "Resources that differ from the catalog applied last, by what will become of it.",
        );
        for state in State::ALL {
            let count = ledger.drifted.values();
            let count = count.filter(|drifted| drifted.state == state);
            drifted.add(&[("state", state.word())], count.count());
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
fn seconds(at: Timestamp) -> f64 {
    (at.0 / 1_000_000) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_never_ran_says_little() {
        let directory = tempfile::tempdir().unwrap();
        let own = Own {
            root: directory.path().to_owned(),
            state: directory.path().to_owned(),
            link: None,
        };
        let mut out = Exposition::new();
        own.tell(&mut out);
        let text = out.text();
        assert!(
            text.contains("brine_agent_drifted_resources{state=\"drifted\"} 0\n"),
            "{text}"
        );
        assert!(
            !text.contains("last_apply") && !text.contains("process_"),
            "{text}"
        );
    }
}
