//! Paging: the counters of the memory management that an expression chooses.

use brine_exposition::Exposition;
use regex_lite::Regex;

use crate::collector::{CollectError, Collector, Definition, Opt, Value};
use crate::pattern::compile;
use crate::remembered::{Remembered, Title};
use crate::roots::Roots;
use crate::words::number;

pub(super) const DEFINITION: Definition = Definition {
    name: "vmstat",
    enabled: true,
    options: &[Opt {
        name: "fields",
        help: "Regexp of fields to return for vmstat collector.",
        default: Value::Text("^(oom_kill|pgpg|pswp|pg.*fault).*"),
    }],
    new: |options| {
        Ok(Box::new(Vmstat {
            fields: compile(options, "fields", options.text("fields"))?,
            titles: Remembered::default(),
        }))
    },
};

const FILE: &str = "vmstat";

struct Vmstat {
    fields: Option<Regex>,
    /// None for those that are not wanted.
    titles: Remembered<Option<Title>>,
}

impl Collector for Vmstat {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let text = roots.proc(FILE)?;
        let mut titles = self.titles.recall();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let key = words.next().unwrap_or_default();
            let value: u64 = number(FILE, words.next())?;
            if let Some(Title { name, help }) = titles.of(key, |key| self.title(key)) {
                out.untyped(name.clone(), help.clone()).add(&[], value);
            }
        }
        Ok(())
    }
}

impl Vmstat {
    fn title(&self, key: &str) -> Option<Title> {
        let fields = self.fields.as_ref();
        let is_wanted = fields.is_none_or(|fields| fields.is_match(key));
        is_wanted.then(|| {
            let help = format!("/proc/vmstat information field {key}.");
            Title::new(format!("node_vmstat_{key}"), help)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected, collected_with};

    #[test]
    fn fields_are_chosen() {
        let machine = Machine::new(&[("proc/vmstat", "nr_dirty 5\npgpgin 77\npgmajfault 8\n")]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(
            text.contains(
                "# HELP node_vmstat_pgpgin /proc/vmstat information field pgpgin.\n# TYPE node_vmstat_pgpgin untyped\nnode_vmstat_pgpgin 77\n"
            ),
            "{text}"
        );
        assert!(text.contains("\nnode_vmstat_pgmajfault 8\n"), "{text}");
        assert!(!text.contains("nr_dirty"), "{text}");
        let text = collected_with(&DEFINITION, &[("fields", "")], &machine).unwrap();
        assert!(text.contains("\nnode_vmstat_nr_dirty 5\n"), "{text}");
    }

    #[test]
    fn odd_lines_are_failures() {
        for odd in ["pgpgin\n", "pgpgin x\n", "\n"] {
            let machine = Machine::new(&[("proc/vmstat", odd)]);
            assert!(collected(&DEFINITION, &machine).is_err(), "{odd}");
        }
    }
}
