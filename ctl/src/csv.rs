//! Comma-separated values (RFC 4180), for spreadsheets and scripts.

use brine_model::inventory::Cell;
use brine_wire::operator::Answer;

/// A heading, and a line for each row.
#[must_use]
pub fn text(answer: &Answer) -> String {
    let mut text = String::new();
    let headings = answer.columns.iter().map(|name| field(name));
    line(&mut text, headings);
    for row in &answer.rows {
        let cells = row.iter().map(|cell| match cell {
            Cell::Null => String::new(),
            Cell::Integer(number) => number.to_string(),
            Cell::Text(text) => field(text),
        });
        line(&mut text, cells);
    }
    text
}

fn line(text: &mut String, fields: impl Iterator<Item = String>) {
    text.push_str(&fields.collect::<Vec<_>>().join(","));
    text.push_str("\r\n");
}

/// In quotes where it must be. Spreadsheets take what begins with these signs for a formula, and
/// nodes decide what is in here.
fn field(text: &str) -> String {
    let formula =
        text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let text = match formula {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    let text = crate::escape::line(&text);
    if text.contains([',', '"']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_formulas() {
        let cell = |text: &str| Cell::Text(text.to_owned());
        let answer = Answer {
            columns: vec!["node".to_owned(), "a,b".to_owned()],
            rows: vec![
                vec![cell("x\"y"), Cell::Integer(-1)],
                vec![cell("=cmd()"), Cell::Null],
                vec![cell("-5"), cell("a\nb\u{1b}[2J")],
            ],
            truncated: false,
            reports: Vec::new(),
        };
        assert_eq!(
            text(&answer),
            "node,\"a,b\"\r\n\"x\"\"y\",-1\r\n'=cmd(),\r\n-5,a\\nb\\u{1b}[2J\r\n"
        );
    }
}
