//! Answers about what nodes have, with their ages.

use std::time::Duration;

use brine_model::inventory::Cell;
use brine_wire::operator::{Answer, Report};

use super::page::Page;
use super::style::{Style, Tone};
use super::table::{Table, cell};
use super::time::ago;

/// A node that is connected reports more often than this.
const OLD: Duration = Duration::from_secs(15 * 60);

#[must_use]
pub fn table(answer: &Answer, style: Style) -> String {
    let mut page = Page::new(style);
    if answer.rows.is_empty() {
        return page.finish();
    }
    let headings = answer.columns.iter().map(|name| name.to_uppercase());
    let mut table = Table::new(&headings.collect::<Vec<_>>());
    for row in &answer.rows {
        table.row(row.iter().map(|one| cell(text(one))).collect());
    }
    table.draw(&mut page);
    page.finish()
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Null => "-".to_owned(),
        Cell::Integer(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
    }
}

/// How many rows.
#[must_use]
pub fn rows(answer: &Answer, style: Style) -> String {
    let mut page = Page::new(style);
    let rows = match answer.rows.len() {
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    };
    let more = if answer.truncated {
        ", and there are more: raise --limit, or narrow it down"
    } else {
        ""
    };
    page.line(Tone::Dim, &format!("{rows}{more}"));
    page.finish()
}

/// How old it is, and who has not told anything since.
#[must_use]
pub fn ages(answer: &Answer, style: Style) -> String {
    let mut page = Page::new(style);
    let is_old = |report: &&Report| match report.at {
        Some(at) => !report.connected || style.now.since(at) > OLD,
        None => true,
    };
    let oldest = answer.reports.iter().filter(|report| !is_old(report));
    if let Some(at) = oldest.filter_map(|report| report.at).min() {
        let old = answer.reports.iter().filter(is_old).count();
        let fresh = answer.reports.len() - old;
        let all = answer.reports.len();
        page.line(
            Tone::Dim,
            &format!(
                "{fresh} of {all} nodes reported, the first of them {}",
                ago(style.now, at)
            ),
        );
    }
    for report in answer.reports.iter().filter(is_old) {
        let told = match report.at {
            Some(at) => format!(
                "{}: silent, last reported {}",
                report.node,
                ago(style.now, at)
            ),
            None => format!("{}: never reported", report.node),
        };
        page.line(Tone::Warn, &told);
    }
    page.finish()
}
