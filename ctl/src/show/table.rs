//! Columns.

use super::page::Page;
use super::style::Tone;

/// One cell: a tone and a text.
pub type Cell = (Tone, String);

/// Rows under headings; a column with nothing in it is left out.
#[derive(Debug)]
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

#[must_use]
pub fn cell(text: impl Into<String>) -> Cell {
    (Tone::Plain, text.into())
}

impl Table {
    #[must_use]
    pub fn new<T: AsRef<str>>(headings: &[T]) -> Self {
        Self {
            headings: headings.iter().map(|one| one.as_ref().to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub fn row(&mut self, cells: Vec<Cell>) -> &mut Self {
        self.rows.push(cells);
        self
    }

    pub fn draw(&self, page: &mut Page) {
        let widths = self.widths();
        for (column, heading) in self.headings.iter().enumerate() {
            put(page, Tone::Dim, heading, widths[column]);
        }
        page.end();
        for row in &self.rows {
            for (column, (tone, text)) in row.iter().enumerate().take(widths.len()) {
                put(page, *tone, text, widths[column]);
            }
            page.end();
        }
    }

    /// Zero for a column that is empty throughout.
    fn widths(&self) -> Vec<usize> {
        let width = |text: &str| crate::escape::line(text).chars().count();
        let widest = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|(_, text)| width(text))
                .max()
        };
        let of = |(column, heading): (usize, &String)| match widest(column) {
            None | Some(0) => 0,
            Some(widest) => widest.max(width(heading)),
        };
        self.headings.iter().enumerate().map(of).collect()
    }
}

fn put(page: &mut Page, tone: Tone, text: &str, width: usize) {
    if width == 0 {
        return;
    }
    let used = crate::escape::line(text).chars().count();
    page.put(tone, text).pad(width.saturating_sub(used) + 2);
}
