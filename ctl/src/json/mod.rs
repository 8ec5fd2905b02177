//! Documents for programs. Their shape is a promise of its own: written out here, so that a wire
//! type may change without changing what scripts read. Times are RFC 3339, digests hexadecimal.

mod answer;
mod node;
mod run;

use brine_model::diagnostic::{Diagnostic, Severity};
use brine_model::time::Timestamp;
use brine_wire::operator::TokenInfo;
use serde_json::{Value, json};

pub use answer::answer;
pub use node::{behind, node, nodes, status};
pub use run::{event, plan, report, run, runs, summary};

use crate::error::CtlError;
use crate::show::time::rfc3339;

#[must_use]
pub fn diagnostics(diagnostics: &[Diagnostic]) -> Value {
    diagnostics.iter().map(diagnostic).collect()
}

fn diagnostic(diagnostic: &Diagnostic) -> Value {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let label = |label: &brine_model::diagnostic::Label| {
        let (line, column) = label.line_column();
        let file = label.file.as_ref();
        json!({ "file": file, "line": line, "column": column, "message": label.message })
    };
    json!({
        "severity": severity,
        "message": diagnostic.message,
        "places": diagnostic.labels.iter().map(label).collect::<Vec<_>>(),
        "help": diagnostic.help,
    })
}

#[must_use]
pub fn tokens(tokens: &[TokenInfo]) -> Value {
    let token = |token: &TokenInfo| {
        json!({
            "id": token.id,
            "roles": token.roles,
            "names": token.names,
            "uses_left": token.uses_left,
            "expires": rfc3339(token.expires),
        })
    };
    tokens.iter().map(token).collect()
}

/// For standard error.
#[must_use]
pub fn error(error: &CtlError) -> Value {
    let found = match error {
        CtlError::Invalid(found) => diagnostics(found),
        _ => Value::Array(Vec::new()),
    };
    json!({ "error": {
        "message": error.to_string(),
        "causes": error.causes(),
        "hint": error.hint(),
        "exit_code": error.exit().code(),
        "diagnostics": found,
    }})
}

fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(rfc3339)
}
