//! `ctl render`: what a file would hold.

use brine_model::name::NodeName;
use brine_wire::operator::{OperatorReply, OperatorRequest};
use clap::Args;
use serde_json::json;

use super::Context;
use crate::client::{Server, ask};
use crate::error::CtlError;
use crate::exit::Exit;
use crate::show::page::Page;
use crate::show::style::Tone;

const EXAMPLES: &str = "\
Examples:
  ctl render lb01 /etc/haproxy/haproxy.cfg
  ctl render db01 /etc/patroni/config.yml > config.yml

Secrets are masked. What is on the node now is not looked at: that is `ctl plan`.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct RenderArgs {
    /// The node that the file is for
    pub node: NodeName,
    /// Path of the file on the node
    #[arg(value_name = "FILE")]
    pub path: String,
}

/// # Errors
/// The server cannot be asked, or knows no such node or file.
pub async fn run<S: Server>(args: RenderArgs, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    let request = OperatorRequest::Render {
        node: args.node,
        path: args.path,
    };
    let (text, sensitive) = ask!(
        context.server, request,
        OperatorReply::Rendered { text, sensitive } => (text, sensitive)
    )?;
    if context.output.is_json() {
        context
            .output
            .json(&json!({ "text": text, "sensitive": sensitive }))?;
    } else if context.output.out_is_terminal() {
        let drawn = |style| {
            let mut page = Page::new(style);
            page.block(Tone::Plain, 0, &text);
            page.finish()
        };
        context.output.data_of(drawn)?;
    } else {
        // Byte for byte: this may become a file.
        context.output.data(&text)?;
    }
    if sensitive {
        context.output.say("secrets in it are masked");
    }
    Ok(Exit::Ok)
}
