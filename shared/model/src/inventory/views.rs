//! What `ctl query` offers beside the tables of the inventory.

use super::{Column, column};

/// A view that the server fills from its own records. Times are RFC 3339, and text.
#[derive(Debug)]
pub struct View {
    pub name: &'static str,
    /// What a row is.
    pub doc: &'static str,
    pub columns: &'static [Column],
}

const NODE: Column = column("node", "its name");

pub const VIEWS: &[View] = &[
    View {
        name: "nodes",
        doc: "A registered node.",
        columns: &[
            NODE,
            column("roles", "with spaces between"),
            column("labels", "as JSON: labels ->> 'zone'"),
            column("address", "where other nodes reach it"),
            column("agent_version", "of the agent that connected last"),
            column("generation", "how often another machine took its place"),
            column("last_seen", "when it last came or went"),
            column("applied_at", "when a catalog was last applied"),
            column("reported_at", "when it last told how it is"),
            column(
                "catalog",
                "up to date, behind, never applied; none: it does not compile",
            ),
        ],
    },
    View {
        name: "facts",
        doc: "A static fact of a node.",
        columns: &[
            NODE,
            column("path", "os.version, network.interfaces.0.addresses.1"),
            column("value", "a text or a number"),
        ],
    },
    View {
        name: "runs",
        doc: "A plan, an apply or an action.",
        columns: &[
            column("id", "as `ctl runs list` has it"),
            column("kind", "plan, apply, action"),
            column("target", "as it was typed"),
            column("operator", "who"),
            column("phase", "succeeded, failed, …"),
            column("started", "when"),
            column("ended", "when; null while it goes on"),
            column("reason", "why it ended as it did"),
        ],
    },
    View {
        name: "run_nodes",
        doc: "A node's part of a run.",
        columns: &[
            column("run", "the run's id"),
            NODE,
            column("state", "changed, in_sync, failed, …"),
            column("reason", "why"),
            column("changed", "resources that were changed"),
            column("failed", "resources that failed"),
        ],
    },
    View {
        name: "changes",
        doc: "A row of the inventory or a fact that became different.",
        columns: &[
            column("at", "when it was reported"),
            NODE,
            column("table", "packages, services, facts, …; quote it: \"table\""),
            column("key", "what tells the row apart"),
            column("before", "the rest of it as JSON; null if it is new"),
            column("after", "the same now; null if it is gone"),
        ],
    },
];
