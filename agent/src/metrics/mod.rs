//! The machine's metrics, and what is said of the agent itself: for whoever scrapes this node.
//!
//! ```text
//! flags      the command line of `brine-agent metrics`, and the lines of /etc/brine/metrics.conf: the same
//! scraper    one answer: the machine's families (the crate brine-node-metrics), then the agent's own
//! own        the agent about itself    heals    what waits in GlusterFS bricks
//! endpoint   GET /metrics where the file says; listens anew when the file changes
//! ```
//!
//! Without the file nothing listens: who is to see a node's metrics is the operator's word.

mod endpoint;
pub(crate) mod flags;
mod heals;
mod own;
mod scraper;

pub(crate) use self::endpoint::run;
pub(crate) use self::own::Own;
pub(crate) use self::scraper::Node;

/// Where the endpoint's flags are, one a line, below the root.
pub(crate) const FILE: &str = "etc/brine/metrics.conf";
