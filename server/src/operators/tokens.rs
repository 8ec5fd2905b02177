//! Pool tokens.

use brine_wire::operator::{AddToken, OperatorReply, TokenInfo};

use super::refuse::Refused;
use super::validate;
use crate::clock;
use crate::context::Context;
use crate::enrol::is_pattern;
use crate::store::TokenRecord;

const USES: u32 = 10_000;

pub(super) async fn add(token: AddToken, context: &Context) -> Result<OperatorReply, Refused> {
    if !is_pattern(&token.names) {
        let names = token.names.escape_debug();
        return Err(Refused::bad(format!("`{names}` is no pattern for names"))
            .help("use a-z, 0-9, -, * and ?, as in `backend*`"));
    }
    if !(1..=USES).contains(&token.uses) {
        return Err(Refused::bad(format!(
            "a token has 1 to {USES} uses, not {}",
            token.uses
        )));
    }
    validate::labels(&token.labels)?;
    validate::roles(&token.roles, context).await?;
    let expires = validate::expiry(token.ttl)?;
    let minted = context.mint()?;
    let record = TokenRecord {
        id: minted.id.clone(),
        hash: minted.hash,
        node: None,
        roles: token.roles,
        labels: token.labels,
        names: token.names,
        uses_left: token.uses,
        expires,
    };
    context.store.add_token(record).await?;
    Ok(OperatorReply::Token {
        id: minted.id,
        token: minted.text,
        expires,
    })
}

pub(super) async fn list(context: &Context) -> Result<OperatorReply, Refused> {
    let tokens = context.store.tokens(clock::now()).await?;
    let info = |token: TokenRecord| TokenInfo {
        id: token.id,
        roles: token.roles,
        names: token.names,
        uses_left: token.uses_left,
        expires: token.expires,
    };
    Ok(OperatorReply::Tokens(
        tokens.into_iter().map(info).collect(),
    ))
}

pub(super) async fn revoke(id: String, context: &Context) -> Result<OperatorReply, Refused> {
    if context.store.revoke_token(id.clone()).await? {
        Ok(OperatorReply::Done)
    } else {
        Err(
            Refused::not_found(format!("there is no token `{}`", id.escape_debug()))
                .help("see `ctl tokens list`"),
        )
    }
}
