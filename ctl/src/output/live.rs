//! A run on the screen while it goes on: lines redrawn on a terminal, plain lines without one,
//! JSON lines for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use brine_model::name::NodeName;
use brine_wire::run::{Event, Happening};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::Output;
use crate::error::CtlError;
use crate::json;
use crate::show::live::{Board, event};
use crate::show::words::is_failed;

/// More nodes than this do not fit on a screen: then only those at work have a line.
const ROWS: usize = 16;

#[derive(Debug)]
pub struct Live<'a> {
    output: &'a Output,
    /// Programs get every event.
    events: bool,
    board: Board,
    screen: Option<Screen>,
}

impl<'a> Live<'a> {
    pub(super) fn new(output: &'a Output, events: bool) -> Self {
        Self {
            output,
            events,
            board: Board::default(),
            screen: None,
        }
    }

    /// Shows what has happened.
    ///
    /// # Errors
    /// Standard output is full or gone.
    pub fn take(&mut self, happened: &Event) -> Result<(), CtlError> {
        let node = self.board.take(&happened.what);
        if self.output.is_json() {
            return if self.events {
                self.output.json(&json::event(happened))
            } else {
                Ok(())
            };
        }
        if self.output.terminal.err_is_terminal() {
            self.draw(node.as_ref(), &happened.what);
        } else if let Some(line) = event(&happened.what, self.output.err) {
            self.output.terminal.err(&line);
        }
        Ok(())
    }

    /// Takes the redrawn lines away, so that something else can be written.
    pub fn clear(&mut self) {
        if let Some(screen) = self.screen.take() {
            screen.clear();
        }
    }

    fn draw(&mut self, node: Option<&NodeName>, what: &Happening) {
        let style = self.output.err;
        let screen = self.screen.get_or_insert_with(Screen::new);
        if let (Happening::Note(_), Some(line)) = (what, event(what, style)) {
            screen.say(line.trim_end());
        }
        let crowded = self.board.len() > ROWS;
        if crowded {
            screen.keep(|node| self.board.is_busy(node));
        }
        if let Some(node) = node {
            if !crowded || (self.board.is_busy(node) && screen.has_room_for(node)) {
                screen.line(node, self.board.line(node, style));
            } else if let (Happening::Node { state, .. }, Some(line)) = (what, event(what, style))
                && is_failed(*state)
            {
                // Without a line of its own it must not go unseen.
                screen.say(line.trim_end());
            }
        }
        screen.sum.set_message(self.board.sum());
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

#[derive(Debug)]
struct Screen {
    all: MultiProgress,
    lines: BTreeMap<NodeName, ProgressBar>,
    sum: ProgressBar,
}

impl Screen {
    fn new() -> Self {
        let all = MultiProgress::new();
        let template = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}");
        let sum = all.add(ProgressBar::new_spinner());
        sum.set_style(template.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        sum.enable_steady_tick(Duration::from_millis(250));
        Self {
            all,
            lines: BTreeMap::new(),
            sum,
        }
    }

    /// Lines stand in the order of names, above the sum.
    fn line(&mut self, node: &NodeName, text: String) {
        if !self.lines.contains_key(node) {
            let bar = ProgressBar::new_spinner();
            bar.set_style(plain());
            let bar = match self.lines.range(node.clone()..).next() {
                Some((_, next)) => self.all.insert_before(next, bar),
                None => self.all.insert_before(&self.sum, bar),
            };
            self.lines.insert(node.clone(), bar);
        }
        if let Some(bar) = self.lines.get(node) {
            bar.set_message(text);
            bar.tick();
        }
    }

    fn has_room_for(&self, node: &NodeName) -> bool {
        self.lines.len() < ROWS || self.lines.contains_key(node)
    }

    fn keep(&mut self, wanted: impl Fn(&NodeName) -> bool) {
        for (_, bar) in self.lines.extract_if(.., |node, _| !wanted(node)) {
            self.all.remove(&bar);
        }
    }

    fn say(&self, line: &str) {
        // A note that cannot be drawn is lost.
        let _ = self.all.println(line);
    }

    fn clear(self) {
        for bar in self.lines.values() {
            bar.finish_and_clear();
        }
        self.sum.finish_and_clear();
        let _ = self.all.clear();
    }
}

fn plain() -> ProgressStyle {
    ProgressStyle::with_template("  {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}
