//! What is otherwise than the last apply left it, node by node.

use brine_model::inventory::Cell;
use brine_wire::operator::Answer;

use super::page::Page;
use super::style::{Style, Tone};
use super::time::{parsed, span};
use super::{count::count, diff};

/// Rows are node, resource, state, since, how, formula, diff; sorted by node.
#[must_use]
pub fn drift(answer: &Answer, diffs: bool, style: Style) -> String {
    let mut page = Page::new(style);
    if answer.rows.is_empty() {
        page.line(Tone::Good, "nothing is known to be otherwise than applied");
        return page.finish();
    }
    let mut last = "";
    for row in &answer.rows {
        let cell = |column: usize| match row.get(column) {
            Some(Cell::Text(text)) => text.as_str(),
            _ => "",
        };
        if cell(0) != last {
            last = cell(0);
            let of_node = |row: &&Vec<Cell>| row.first() == Some(&Cell::from(last));
            let number = answer.rows.iter().filter(of_node).count();
            page.put(Tone::Strong, last)
                .line(Tone::Dim, &format!(": {}", count(number, "resource")));
        }
        let since = parsed(cell(3)).map(|at| format!(" for {}", span(style.now.since(at))));
        page.pad(2)
            .put(Tone::Plain, cell(1))
            .put(tone(cell(2)), &format!(" {}", cell(2)))
            .line(Tone::Dim, &since.unwrap_or_default());
        page.block(Tone::Plain, 4, cell(4));
        if diffs {
            diff::text(cell(6), 4, &mut page);
        }
    }
    page.finish()
}

fn tone(state: &str) -> Tone {
    match state {
        "healing" => Tone::Accent,
        "given up" | "unknown" => Tone::Bad,
        _ => Tone::Warn,
    }
}
