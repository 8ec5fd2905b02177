//! Memory of each NUMA node, and how often it was that of another node that was taken.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition, whole};
use crate::roots::{Roots, names, read};

pub(super) const DEFINITION: Definition = Definition {
    name: "meminfo_numa",
    enabled: false,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let nodes = roots.sysfs.join("devices/system/node");
    whole(out, |out| {
        for name in names(&nodes)? {
            let Some(node) = number_of(&name) else {
                continue;
            };
            let path = nodes.join(&name);
            for line in read(&path.join("meminfo"))?.lines() {
                memory(line, out)?;
            }
            for line in read(&path.join("numastat"))?.lines() {
                statistic(node, line, out)?;
            }
        }
        Ok(())
    })
}

/// `node0` is one, `has_memory` is none.
fn number_of(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("node")?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit());
    let digits = &rest[..end.unwrap_or(rest.len())];
    (!digits.is_empty()).then_some(digits)
}

/// `Node 0 MemTotal:  134182340 kB`
fn memory(line: &str, out: &mut Exposition) -> Result<(), CollectError> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (node, field, number, unit) = match words.as_slice() {
        [] => return Ok(()),
        [_, node, field, number] => (node, field, number, 1.0),
        [_, node, field, number, "kB"] => (node, field, number, 1024.0),
        _ => return Err(CollectError::malformed("meminfo", line)),
    };
    let number: Result<f64, _> = number.parse();
    let number = number.map_err(|_| CollectError::malformed("meminfo", line))?;
    let field = field_name(field.trim_end_matches(':'));
    out.gauge(
        format!("node_memory_numa_{field}"),
        format!("Memory information field {field}."),
    )
    .add(&[("node", node)], number * unit);
    Ok(())
}

/// `Active(anon)` is told as `Active_anon`.
fn field_name(field: &str) -> String {
    match (field.find('('), field.rfind(')')) {
        (Some(open), Some(close)) if open < close => {
            let (before, within) = (&field[..open], &field[open + 1..close]);
            format!("{before}_{within}{}", &field[close + 1..])
        }
        _ => field.to_owned(),
    }
}

/// `numa_hit 193460335812`
fn statistic(node: &str, line: &str, out: &mut Exposition) -> Result<(), CollectError> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (field, number) = match words.as_slice() {
        [] => return Ok(()),
        [field, number] => (field, number.parse::<u64>()),
        _ => return Err(CollectError::malformed("numastat", line)),
    };
    let number = number.map_err(|_| CollectError::malformed("numastat", line))?;
    out.counter(
        format!("node_memory_numa_{field}_total"),
        format!("Memory information field {field}_total."),
    )
    .add(&[("node", node)], number);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn memory_by_node() {
        let memory = "\nNode 3 MemTotal:       8192 kB\nNode 3 Active(anon):   2 kB\nNode 3 HugePages_Total:     7\n";
        let mut files = [
            ("sys/devices/system/node/node3/meminfo", memory),
            (
                "sys/devices/system/node/node3/numastat",
                "numa_hit 193\nother_node 5\n",
            ),
            ("sys/devices/system/node/has_memory", "3\n"),
        ];
        let text = collected(&DEFINITION, &Machine::new(&files)).unwrap();
        for line in [
            "node_memory_numa_MemTotal{node=\"3\"} 8.388608e+06",
            "node_memory_numa_Active_anon{node=\"3\"} 2048",
            "node_memory_numa_HugePages_Total{node=\"3\"} 7",
            "# HELP node_memory_numa_numa_hit_total Memory information field numa_hit_total.",
            "node_memory_numa_other_node_total{node=\"3\"} 5",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        for (place, odd) in [
            (0, "Node 3 MemTotal:\n"),
            (0, "Node 3 MemTotal: x kB\n"),
            (0, "Node 3 MemTotal: 1 MB\n"),
            (1, "numa_hit\n"),
        ] {
            let before = std::mem::replace(&mut files[place].1, odd);
            let error = collected(&DEFINITION, &Machine::new(&files)).unwrap_err();
            assert!(matches!(error, CollectError::Malformed { .. }), "{error}");
            files[place].1 = before;
        }
        assert!(collected(&DEFINITION, &Machine::new(&files[..1])).is_err());
        assert_eq!(collected(&DEFINITION, &Machine::new(&[])).unwrap(), "");
    }
}
