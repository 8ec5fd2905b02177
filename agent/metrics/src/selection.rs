//! Which collectors run.

use crate::collector::Definition;
use crate::options::Options;

/// Which collectors run, with which options.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Collectors that were named, and whether they are to run.
    pub named: Vec<(&'static str, bool)>,
    /// `--collector.disable-defaults`: only those that were named.
    pub no_defaults: bool,
    /// Of collectors of which something was said.
    pub options: Vec<(&'static str, Options)>,
}

impl Selection {
    pub(crate) fn takes(&self, definition: &Definition) -> bool {
        let named = self.named.iter().rev();
        let mut named = named.filter(|(name, _)| *name == definition.name);
        named
            .next()
            .map_or(definition.enabled && !self.no_defaults, |(_, on)| *on)
    }

    pub(crate) fn options(&self, definition: &'static Definition) -> Options {
        let mut options = self.options.iter();
        options
            .find(|(name, _)| *name == definition.name)
            .map_or_else(|| Options::of(definition), |(_, options)| options.clone())
    }
}

/// A word of `collect[]` that names no collector, or one that does not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCollector {
    #[error("missing collector: {0}")]
    Missing(String),
    #[error("disabled collector: {0}")]
    Disabled(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::COLLECTORS;

    #[test]
    fn what_is_said_last_of_a_collector_counts() {
        let names = |selection: &Selection| -> Vec<&str> {
            let taken = COLLECTORS.iter().filter(|one| selection.takes(one));
            taken.map(|one| one.name).collect()
        };
        let selection = Selection {
            named: vec![("systemd", true), ("cpu", true), ("cpu", false)],
            no_defaults: true,
            options: Vec::new(),
        };
        assert_eq!(names(&selection), ["systemd"]);
        let usual = names(&Selection::default());
        assert!(usual.contains(&"cpu") && !usual.contains(&"systemd"));
    }
}
