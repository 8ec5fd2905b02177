//! How many control groups each controller has.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "cgroups",
    enabled: false,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const FILE: &str = "cgroups";

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let text = roots.proc(FILE)?;
    let mut controllers = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let controller = controller(line);
        controllers.push(controller.ok_or_else(|| CollectError::malformed(FILE, line))?);
    }
    for (name, groups, enabled) in controllers {
        let labels = [("subsys_name", name)];
        out.gauge(
            "node_cgroups_cgroups",
            "Current cgroup number of the subsystem.",
        )
        .add(&labels, groups);
        out.gauge(
            "node_cgroups_enabled",
            "Current cgroup number of the subsystem.",
        )
        .add(&labels, enabled);
    }
    Ok(())
}

/// Name, hierarchy, number of groups, and whether it is enabled.
fn controller(line: &str) -> Option<(&str, i64, i64)> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next()?;
    let mut number = || words.next()?.parse::<i64>().ok();
    let (_, groups, enabled) = (number()?, number()?, number()?);
    Some((name, groups, enabled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn controllers() {
        let table =
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t0\t147\t1\nnet_prio\t0\t3\t0\n";
        let machine = Machine::new(&[("proc/cgroups", table)]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(text.contains("\nnode_cgroups_cgroups{subsys_name=\"cpu\"} 147\n"));
        assert!(text.contains("\nnode_cgroups_enabled{subsys_name=\"net_prio\"} 0\n"));
        let machine = Machine::new(&[("proc/cgroups", "cpu 1 2\n")]);
        assert!(collected(&DEFINITION, &machine).is_err());
    }
}
