//! Settings of the kernel that somebody has asked for, as numbers or as words.

use brine_exposition::{Exposition, Kind};

use crate::collector::{CollectError, Collector, Definition, Opt, Value, metric_name};
use crate::roots::{Directory, Roots, signed};

pub(super) const DEFINITION: Definition = Definition {
    name: "sysctl",
    enabled: false,
    options: &[
        Opt {
            name: NUMBERS,
            help: "A setting to tell as a number: NAME, or NAME:KEY,KEY… for several numbers. May be given again.",
            default: Value::Text(""),
        },
        Opt {
            name: WORDS,
            help: "A setting to tell as words. May be given again.",
            default: Value::Text(""),
        },
    ],
    new: |options| {
        Ok(Box::new(Sysctl {
            numbers: settings(options.texts(NUMBERS)),
            words: settings(options.texts(WORDS)),
        }))
    },
};

const NUMBERS: &str = "include";
const WORDS: &str = "include-info";

struct Sysctl {
    numbers: Vec<Setting>,
    words: Vec<Setting>,
}

struct Setting {
    name: String,
    /// Under procfs.
    file: String,
    /// Names of the numbers, where it has several.
    keys: Vec<String>,
}

/// Who asks for the same twice is told it once.
fn settings(given: &[String]) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (place, text) in given.iter().enumerate() {
        if given[..place].contains(text) {
            continue;
        }
        let (name, keys) = match text.split_once(':') {
            Some((name, keys)) => (name, keys.split(',').map(str::to_owned).collect()),
            None => (text.as_str(), Vec::new()),
        };
        settings.push(Setting {
            name: name.to_owned(),
            file: name.replace('.', "/"),
            keys,
        });
    }
    settings
}

impl Collector for Sysctl {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let directory = Directory::open(&roots.procfs.join("sys"))?;
        for setting in &self.numbers {
            setting.numbers(&directory, out)?;
        }
        for setting in &self.words {
            setting.words(&directory, out)?;
        }
        Ok(())
    }
}

impl Setting {
    fn numbers(&self, directory: &Directory, out: &mut Exposition) -> Result<(), CollectError> {
        let value = directory.value(&self.file)?;
        let numbers = value.split_whitespace().map(signed);
        let numbers: Option<Vec<i64>> = numbers.collect();
        let numbers = numbers.ok_or_else(|| self.malformed(&value))?;
        let metric = format!("node_sysctl_{}", metric_name(&self.name));
        if self.keys.is_empty() {
            let help = format!("sysctl {}", self.name);
            if numbers.is_empty() {
                return Err(self.malformed("there is none"));
            }
            // Two names may make one metric: whoever came first has it.
            if let Some(mut samples) = out.new_family(metric, Kind::Untyped, help) {
                match numbers.as_slice() {
                    [number] => {
                        samples.add(&[], *number);
                    }
                    numbers => {
                        for (index, number) in numbers.iter().enumerate() {
                            samples.add(&[("index", &index.to_string())], *number);
                        }
                    }
                }
            }
            return Ok(());
        }
        if numbers.len() < 2 || numbers.len() != self.keys.len() {
            return Err(self.malformed("not as many as there are keys"));
        }
        for (field, (key, number)) in self.keys.iter().zip(numbers).enumerate() {
            let metric = format!("{metric}_{key}");
            let help = format!("sysctl {}, field {field}", self.name);
            if let Some(mut samples) = out.new_family(metric, Kind::Untyped, help) {
                samples.add(&[], number);
            }
        }
        Ok(())
    }

    fn words(&self, directory: &Directory, out: &mut Exposition) -> Result<(), CollectError> {
        let value = directory.value(&self.file)?;
        if value.is_empty() || !self.keys.is_empty() {
            return Err(self.malformed(&value));
        }
        for (index, word) in value.split_whitespace().enumerate() {
            let index = index.to_string();
            let labels = [("index", &*index), ("name", &self.name), ("value", word)];
            out.gauge("node_sysctl_info", "sysctl info")
                .add(&labels, 1_u64);
        }
        Ok(())
    }

    fn malformed(&self, what: &str) -> CollectError {
        CollectError::malformed(&self.name, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected_with};

    #[test]
    fn numbers_keys_and_words() {
        let machine = Machine::new(&[
            ("proc/sys/kernel/threads-max", "7801\n"),
            ("proc/sys/fs/file-nr", "1024\t0\t-1631329\n"),
            ("proc/sys/kernel/actions", "kill trap\n"),
            ("proc/sys/kernel/none", "\n"),
        ]);
        let told = |given: &[(&str, &str)]| collected_with(&DEFINITION, given, &machine);
        let text = told(&[
            (NUMBERS, "kernel.threads-max"),
            (NUMBERS, "kernel.threads-max"),
            (NUMBERS, "fs.file-nr"),
            (NUMBERS, "fs.file-nr:total,current,max"),
            (WORDS, "kernel.actions"),
        ]);
        let text = text.unwrap();
        for line in [
            "# HELP node_sysctl_fs_file_nr_max sysctl fs.file-nr, field 2",
            "# TYPE node_sysctl_kernel_threads_max untyped",
            "node_sysctl_kernel_threads_max 7801",
            "node_sysctl_fs_file_nr{index=\"0\"} 1024",
            "node_sysctl_fs_file_nr_max -1.631329e+06",
            "node_sysctl_info{index=\"1\",name=\"kernel.actions\",value=\"trap\"} 1",
        ] {
            assert_eq!(text.matches(&format!("\n{line}\n")).count(), 1, "{text}");
        }
        for odd in [
            (NUMBERS, "kernel.actions"),
            (NUMBERS, "kernel.none"),
            (NUMBERS, "kernel.missing"),
            (NUMBERS, "kernel.threads-max:one"),
            (NUMBERS, "fs.file-nr:one,two"),
            (WORDS, "kernel.actions:one,two"),
            (WORDS, "kernel.none"),
        ] {
            assert!(told(&[odd]).is_err(), "{odd:?}");
        }
    }
}
