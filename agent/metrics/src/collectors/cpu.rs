//! What processors spend their time on, of which kind they are, and how often they were throttled.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use brine_exposition::Exposition;

use crate::collector::{CollectError, Collector, Definition, Opt, Value};
use crate::options::{Invalid, Options};
use crate::pattern::Filter;
use crate::roots::{Directory, Roots, numbered};

const GUEST: &str = "guest";
const INFO: &str = "info";
const FLAGS: &str = "info.flags-include";
const BUGS: &str = "info.bugs-include";

pub(super) const DEFINITION: Definition = Definition {
    name: "cpu",
    enabled: true,
    options: &[
        Opt {
            name: GUEST,
            help: "Time spent in guests: node_cpu_guest_seconds_total.",
            default: Value::Switch(true),
        },
        Opt {
            name: INFO,
            help: "Which processors there are: node_cpu_info.",
            default: Value::Switch(false),
        },
        Opt {
            name: FLAGS,
            help: "Flags of /proc/cpuinfo to tell, as a regular expression; it includes the processors.",
            default: Value::Text(""),
        },
        Opt {
            name: BUGS,
            help: "Bugs of /proc/cpuinfo to tell, as a regular expression; it includes the processors.",
            default: Value::Text(""),
        },
    ],
    new: |options| Ok(Box::new(Cpu::new(options)?)),
};

struct Cpu {
    guest: bool,
    info: bool,
    flags: Option<Filter>,
    bugs: Option<Filter>,
    /// What was told last, by processor.
    told: Mutex<Vec<Ticks>>,
    /// Those are a matter of the kernel's command line: they are read once.
    isolated: OnceLock<Vec<u16>>,
}

impl Cpu {
    fn new(options: &Options) -> Result<Self, Invalid> {
        let flags = Filter::including(options, FLAGS)?;
        let bugs = Filter::including(options, BUGS)?;
        Ok(Self {
            guest: options.switch(GUEST),
            info: options.switch(INFO) || flags.is_some() || bugs.is_some(),
            flags,
            bugs,
            told: Mutex::default(),
            isolated: OnceLock::new(),
        })
    }
}

impl Collector for Cpu {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        if self.info {
            self.info(roots, out)?;
        }
        self.times(roots, out)?;
        let isolated = self.isolated.get_or_init(|| {
            let list = roots.sys("devices/system/cpu/isolated");
            cpu_list(list.unwrap_or_default().trim()).unwrap_or_default()
        });
        for cpu in isolated {
            out.gauge(
                "node_cpu_isolated",
                "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.",
            )
            .add(&[("cpu", &cpu.to_string())], 1_u64);
        }
        throttles(roots, out);
        Ok(())
    }
}

/// Ticks of one processor by mode, in the order of the file.
type Ticks = [u64; 10];

const MODES: [&str; 8] = [
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
];
const IDLE: usize = 3;
/// These two are also part of `user` and `nice`.
const GUEST_MODES: [(&str, usize); 2] = [("user", 8), ("nice", 9)];
/// `USER_HZ`, which is part of the kernel's interface.
const TICKS_PER_SECOND: u64 = 100;
/// Whose idle time falls back so far was taken away and came back.
const HOTPLUG: u64 = 3 * TICKS_PER_SECOND;

const STAT: &str = "stat";

impl Cpu {
    fn times(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let now = ticks(&roots.proc(STAT)?)?;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        advance(&mut told, &now);
        let labels: Vec<String> = (0..told.len()).map(|cpu| cpu.to_string()).collect();
        let mut seconds = out.counter(
            "node_cpu_seconds_total",
            "Seconds the CPUs spent in each mode.",
        );
        for (cpu, ticks) in labels.iter().zip(told.iter()) {
            for (mode, ticks) in MODES.into_iter().zip(ticks) {
                seconds.add(&[("cpu", cpu), ("mode", mode)], in_seconds(*ticks));
            }
        }
        if self.guest {
            let mut seconds = out.counter(
                "node_cpu_guest_seconds_total",
                "Seconds the CPUs spent in guests (VMs) for each mode.",
            );
            for (cpu, ticks) in labels.iter().zip(told.iter()) {
                for (mode, place) in GUEST_MODES {
                    seconds.add(&[("cpu", cpu), ("mode", mode)], in_seconds(ticks[place]));
                }
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
fn in_seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND as f64
}

/// Processors by number; those that are offline have nothing but zeros.
fn ticks(stat: &str) -> Result<Vec<Ticks>, CollectError> {
    let mut cpus: Vec<Ticks> = Vec::new();
    for line in stat.lines() {
        let Some(rest) = line.strip_prefix("cpu") else {
            // They come first, and what follows is long.
            if cpus.is_empty() {
                continue;
            }
            break;
        };
        let malformed = || CollectError::malformed(STAT, line);
        let mut words = rest.split_ascii_whitespace();
        if rest.starts_with([' ', '\t']) {
            continue;
        }
        let cpu = words.next().and_then(|word| word.parse::<u16>().ok());
        let cpu = usize::from(cpu.ok_or_else(malformed)?);
        if cpus.len() <= cpu {
            cpus.resize(cpu + 1, Ticks::default());
        }
        // Old kernels have fewer columns.
        for (ticks, word) in cpus[cpu].iter_mut().zip(words) {
            *ticks = word.parse().map_err(|_| malformed())?;
        }
    }
    Ok(cpus)
}

/// Counters of the kernel fall back a little at times, which would look like a restart: they stay where they were then.
fn advance(told: &mut Vec<Ticks>, now: &[Ticks]) {
    if told.len() != now.len() {
        told.clear();
        told.resize(now.len(), Ticks::default());
    }
    for (told, now) in told.iter_mut().zip(now) {
        if told[IDLE].saturating_sub(now[IDLE]) >= HOTPLUG {
            *told = Ticks::default();
        }
        for (told, now) in told.iter_mut().zip(now) {
            *told = (*told).max(*now);
        }
    }
}

/// `0-3,7`; none where it is not understood.
fn cpu_list(list: &str) -> Option<Vec<u16>> {
    let mut cpus = Vec::new();
    for part in list.split(',').filter(|part| !part.is_empty()) {
        match part.split_once('-') {
            Some((first, last)) => {
                let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
                cpus.extend(first..=last);
            }
            None => cpus.push(part.parse().ok()?),
        }
    }
    Some(cpus)
}

const CPUINFO: &str = "cpuinfo";

/// What /proc/cpuinfo says of one processor; architectures say different parts of it.
#[derive(Default)]
struct Processor<'a> {
    number: u32,
    package: &'a str,
    core: &'a str,
    vendor: &'a str,
    family: &'a str,
    model: &'a str,
    model_name: &'a str,
    microcode: &'a str,
    stepping: &'a str,
    cache: &'a str,
    flags: &'a str,
    bugs: &'a str,
}

impl Cpu {
    fn info(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let text = roots.proc(CPUINFO)?;
        let processors = processors(&text)?;
        let mut info = out.gauge("node_cpu_info", "CPU information from /proc/cpuinfo.");
        for processor in &processors {
            let labels = [
                ("package", processor.package),
                ("core", processor.core),
                ("cpu", &processor.number.to_string()),
                ("vendor", processor.vendor),
                ("family", processor.family),
                ("model", processor.model),
                ("model_name", processor.model_name),
                ("microcode", processor.microcode),
                ("stepping", processor.stepping),
                ("cachesize", processor.cache),
            ];
            info.add(&labels, 1_u64);
        }
        let Some(first) = processors.first() else {
            return Ok(());
        };
        if let Some(filter) = &self.flags {
            let mut flags = out.gauge(
                "node_cpu_flag_info",
                "The `flags` field of CPU information from /proc/cpuinfo taken from the first core.",
            );
            for flag in distinct(first.flags, filter) {
                flags.add(&[("flag", flag)], 1_u64);
            }
        }
        if let Some(filter) = &self.bugs {
            let mut bugs = out.gauge(
                "node_cpu_bug_info",
                "The `bugs` field of CPU information from /proc/cpuinfo taken from the first core.",
            );
            for bug in distinct(first.bugs, filter) {
                bugs.add(&[("bug", bug)], 1_u64);
            }
        }
        Ok(())
    }
}

fn distinct<'a>(words: &'a str, filter: &Filter) -> Vec<&'a str> {
    let words = words.split_ascii_whitespace();
    let mut words: Vec<&str> = words.filter(|word| filter.takes(word)).collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn processors(text: &str) -> Result<Vec<Processor<'_>>, CollectError> {
    let mut processors: Vec<Processor<'_>> = Vec::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(": ") else {
            continue;
        };
        let key = key.trim();
        if key == "processor" {
            let number = value.trim().parse();
            processors.push(Processor {
                number: number.map_err(|_| CollectError::malformed(CPUINFO, line))?,
                ..Processor::default()
            });
            continue;
        }
        let Some(processor) = processors.last_mut() else {
            continue;
        };
        match key {
            "physical id" => processor.package = value,
            "core id" => processor.core = value,
            // The last one is that of PowerPC.
            "vendor" | "vendor_id" | "cpu" => processor.vendor = value,
            "cpu family" => processor.family = value,
            "model" => processor.model = value,
            "model name" => processor.model_name = value,
            "microcode" => processor.microcode = value,
            "stepping" => processor.stepping = value,
            "cache size" => processor.cache = value,
            // The second one is that of ARM.
            "flags" | "Features" => processor.flags = value,
            "bugs" => processor.bugs = value,
            _ => {}
        }
    }
    if processors.is_empty() {
        let first = text.lines().next().unwrap_or_default();
        return Err(CollectError::malformed(CPUINFO, first));
    }
    Ok(processors)
}

fn throttles(roots: &Roots, out: &mut Exposition) {
    let cpus = roots.sysfs.join("devices/system/cpu");
    let mut packages: BTreeMap<u64, u64> = BTreeMap::new();
    let mut cores: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    for number in numbered(&cpus, "cpu") {
        let path = cpus.join(format!("cpu{number}"));
        // Few machines have it, and most virtual ones have none.
        let Ok(counts) = Directory::open(&path.join("thermal_throttle")) else {
            continue;
        };
        let Ok(topology) = Directory::open(&path.join("topology")) else {
            continue;
        };
        let (Some(package), Some(core)) = (
            natural(&topology, "physical_package_id"),
            natural(&topology, "core_id"),
        ) else {
            continue;
        };
        if !cores.contains_key(&(package, core))
            && let Some(count) = natural(&counts, "core_throttle_count")
        {
            cores.insert((package, core), count);
        }
        if !packages.contains_key(&package)
            && let Some(count) = natural(&counts, "package_throttle_count")
        {
            packages.insert(package, count);
        }
    }
    for (package, count) in packages {
        out.counter(
            "node_cpu_package_throttles_total",
            "Number of times this CPU package has been throttled.",
        )
        .add(&[("package", &package.to_string())], count);
    }
    for ((package, core), count) in cores {
        let (package, core) = (package.to_string(), core.to_string());
        out.counter(
            "node_cpu_core_throttles_total",
            "Number of times this CPU core has been throttled.",
        )
        .add(&[("package", &package), ("core", &core)], count);
    }
}

fn natural(directory: &Directory, name: &str) -> Option<u64> {
    directory.attribute(name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected, collected_with};

    const TOPOLOGY: &str = "sys/devices/system/cpu/cpu0/topology";
    const THROTTLE: &str = "sys/devices/system/cpu/cpu0/thermal_throttle";

    #[test]
    fn times_and_throttles() {
        let machine = Machine::new(&[
            (
                "proc/stat",
                "cpu  1 2 3 4\ncpu0 1050 0 7 90000 5 0 1 2 3 4\ncpu2 1 1 1 1\nintr 7 8\n",
            ),
            (&format!("{TOPOLOGY}/physical_package_id"), "0\n"),
            (&format!("{TOPOLOGY}/core_id"), "2\n"),
            (&format!("{THROTTLE}/core_throttle_count"), "17\n"),
            (&format!("{THROTTLE}/package_throttle_count"), "18\n"),
            ("sys/devices/system/cpu/cpu1/online", "0\n"),
            ("sys/devices/system/cpu/isolated", "1-2,4\n"),
        ]);
        let text = collected(&DEFINITION, &machine).unwrap();
        for line in [
            "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 10.5",
            "node_cpu_seconds_total{cpu=\"0\",mode=\"steal\"} 0.02",
            "node_cpu_seconds_total{cpu=\"1\",mode=\"idle\"} 0",
            "node_cpu_seconds_total{cpu=\"2\",mode=\"iowait\"} 0",
            "node_cpu_guest_seconds_total{cpu=\"0\",mode=\"nice\"} 0.04",
            "node_cpu_core_throttles_total{package=\"0\",core=\"2\"} 17",
            "node_cpu_package_throttles_total{package=\"0\"} 18",
            "node_cpu_isolated{cpu=\"2\"} 1",
            "node_cpu_isolated{cpu=\"4\"} 1",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
        }
        assert!(!text.contains("node_cpu_info"));
        let text = collected_with(&DEFINITION, &[(GUEST, "false")], &machine).unwrap();
        assert!(!text.contains("guest"));
    }

    #[test]
    fn what_is_not_understood_fails() {
        for stat in ["cpu0 1 x 3\n", "cpux 1 2 3\n", "cpu99999999999 1 2\n"] {
            let machine = Machine::new(&[("proc/stat", stat)]);
            assert!(collected(&DEFINITION, &machine).is_err(), "{stat}");
        }
        let machine = Machine::new(&[]);
        assert!(collected(&DEFINITION, &machine).is_err());
        let machine = Machine::new(&[("proc/stat", "cpu0 1 2 3 4\n"), ("proc/cpuinfo", "odd\n")]);
        assert!(collected(&DEFINITION, &machine).is_ok());
        assert!(collected_with(&DEFINITION, &[(INFO, "true")], &machine).is_err());
    }

    #[test]
    fn counters_fall_back_only_with_the_processor() {
        let mut told = Vec::new();
        let first = [100, 0, 0, 5000, 0, 0, 0, 0, 0, 0];
        advance(&mut told, &[first]);
        let mut later = first;
        later[IDLE] = 4900;
        later[0] = 90;
        advance(&mut told, &[later]);
        assert_eq!(told, [first], "a little is not told");
        later[IDLE] = 4700;
        advance(&mut told, &[later]);
        assert_eq!(told, [later], "it was away");
        advance(&mut told, &[Ticks::default(), later]);
        assert_eq!(told, [Ticks::default(), later], "there are more of them");
    }

    #[test]
    fn kinds_flags_and_bugs() {
        let cpuinfo = "processor\t: 0\nvendor_id\t: Brand\ncpu family\t: 6\nmodel\t\t: 142\n\
            model name\t: Brand 5 \nphysical id\t: 1\ncore id\t\t: 3\nflags\t\t: aes avx fpu aes\nbugs\t\t: mds\n\
            power management:\n\nprocessor\t: 1\nvendor_id\t: Brand\n";
        let machine = Machine::new(&[("proc/stat", "cpu0 1 2 3 4\n"), ("proc/cpuinfo", cpuinfo)]);
        let given = [(FLAGS, "^a"), (BUGS, "s$")];
        let text = collected_with(&DEFINITION, &given, &machine).unwrap();
        let line = "\nnode_cpu_info{package=\"1\",core=\"3\",cpu=\"0\",vendor=\"Brand\",family=\"6\",model=\"142\",\
            model_name=\"Brand 5 \",microcode=\"\",stepping=\"\",cachesize=\"\"} 1\n";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("cpu=\"1\",vendor=\"Brand\""));
        assert!(text.contains("node_cpu_flag_info{flag=\"avx\"} 1\n") && !text.contains("fpu"));
        assert_eq!(text.matches("node_cpu_flag_info{flag=\"aes\"}").count(), 1);
        assert!(text.contains("node_cpu_bug_info{bug=\"mds\"} 1\n"));
    }
}
