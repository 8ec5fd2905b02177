//! Screens: pure functions from wire types to text.

pub mod action;
pub mod answer;
pub mod apply;
pub mod behind;
pub mod count;
pub mod diagnostics;
pub mod diff;
pub mod drift;
pub mod failure;
pub mod group;
pub mod live;
pub mod names;
pub mod node;
pub mod nodes;
pub mod page;
pub mod plan;
pub mod resource;
pub mod runs;
pub mod status;
pub mod style;
pub mod table;
#[cfg(test)]
mod tests;
pub mod time;
pub mod tokens;
pub mod words;
