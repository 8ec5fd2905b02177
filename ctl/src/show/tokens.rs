//! Join tokens; their secret part is shown once, when they are made.

use brine_wire::operator::TokenInfo;

use super::nodes::joined;
use super::page::Page;
use super::style::{Style, Tone};
use super::table::{Table, cell};
use super::time::left;

#[must_use]
pub fn tokens(tokens: &[TokenInfo], style: Style) -> String {
    let mut page = Page::new(style);
    if tokens.is_empty() {
        page.line(Tone::Dim, "no tokens that are still good");
        return page.finish();
    }
    let mut table = Table::new(&["TOKEN", "NAMES", "ROLES", "USES LEFT", "EXPIRES"]);
    for token in tokens {
        table.row(vec![
            (Tone::Strong, token.id.clone()),
            cell(token.names.clone()),
            cell(joined(&token.roles)),
            cell(token.uses_left.to_string()),
            cell(left(style.now, token.expires)),
        ]);
    }
    table.draw(&mut page);
    page.finish()
}
