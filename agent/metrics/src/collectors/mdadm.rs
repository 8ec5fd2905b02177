//! Software RAID: disks and state of each array.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "mdadm",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const FILE: &str = "mdstat";

/// As labels have them.
const STATES: [&str; 5] = ["active", "inactive", "recovering", "resync", "check"];

struct Array<'a> {
    name: &'a str,
    state: &'a str,
    active: u64,
    required: u64,
    failed: usize,
    spare: usize,
    blocks: u64,
    synced: u64,
}

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let text = match roots.proc(FILE) {
        Err(error) if error.is_missing() => return Err(CollectError::NoData),
        text => text?,
    };
    for array in arrays(&text)? {
        let device = ("device", array.name);
        out.gauge("node_md_disks_required", "Total number of disks of device.")
            .add(&[device], array.required);
        out.gauge(
            "node_md_disks",
            "Number of active/failed/spare disks of device.",
        )
        .add(&[device, ("state", "active")], array.active)
        .add(&[device, ("state", "failed")], array.failed)
        .add(&[device, ("state", "spare")], array.spare);
        let mut states = out.gauge("node_md_state", "Indicates the state of md-device.");
        for state in STATES {
            states.add(&[device, ("state", state)], state == array.state);
        }
        out.gauge("node_md_blocks", "Total number of blocks on device.")
            .add(&[device], array.blocks);
        out.gauge(
            "node_md_blocks_synced",
            "Number of blocks synced on device.",
        )
        .add(&[device], array.synced);
    }
    Ok(())
}

fn arrays(text: &str) -> Result<Vec<Array<'_>>, CollectError> {
    let mut arrays = Vec::new();
    let lines: Vec<&str> = text.split('\n').collect();
    for (place, line) in lines.iter().enumerate() {
        // What is told of an array after its first line is indented.
        if line.trim().is_empty()
            || line.starts_with(' ')
            || line.starts_with("Personalities")
            || line.starts_with("unused")
        {
            continue;
        }
        let behind = lines.get(place + 1..).unwrap_or_default();
        let array = array(line, behind);
        arrays.push(array.ok_or_else(|| CollectError::malformed(FILE, *line))?);
    }
    Ok(arrays)
}

/// One array: its first line, and those behind it.
fn array<'a>(line: &'a str, behind: &[&'a str]) -> Option<Array<'a>> {
    let mut words = line.split_ascii_whitespace();
    let (name, _, state) = (words.next()?, words.next()?, words.next()?);
    let [status, progress, more, ..] = behind else {
        return None;
    };
    let blocks = status.split_ascii_whitespace().next()?.parse().ok()?;
    let (active, required) = if line.contains("raid0") || line.contains("linear") {
        // Those do without a disk never: there is no count, but each disk has a number in brackets.
        let disks = u64::try_from(line.matches('[').count()).ok()?;
        (disks, disks)
    } else if line.contains("inactive") {
        (0, 0)
    } else {
        disks(status)?
    };
    let progress = if progress.contains("bitmap") {
        more
    } else {
        progress
    };
    let doing = [
        ("recovery", "recovering"),
        ("check", "check"),
        ("resync", "resync"),
    ];
    let doing = doing.iter().find(|(word, _)| progress.contains(word));
    let (state, synced) = match doing {
        None => (state, blocks),
        // It waits for its turn.
        Some((_, state)) if progress.contains("PENDING") || progress.contains("DELAYED") => {
            (*state, 0)
        }
        Some((_, state)) => (*state, synced(progress)?),
    };
    Some(Array {
        name,
        state,
        active,
        required,
        failed: line.matches("(F)").count(),
        spare: line.matches("(S)").count(),
        blocks,
        synced,
    })
}

/// `[2/1] [U_]`: one of two is active.
fn disks(status: &str) -> Option<(u64, u64)> {
    let words: Vec<&str> = status.split_ascii_whitespace().collect();
    let pairs = words.windows(2).rev();
    let mut counts = pairs.filter_map(|pair| {
        let [count, map] = pair else { return None };
        let map = map.strip_prefix('[')?.strip_suffix(']')?;
        if map.is_empty() || !map.bytes().all(|disk| matches!(disk, b'U' | b'_')) {
            return None;
        }
        let count = count.strip_prefix('[')?.strip_suffix(']')?;
        let (required, active) = count.split_once('/')?;
        Some((active.parse().ok()?, required.parse().ok()?))
    });
    counts.next()
}

/// `(1813475328/1953382912)`: so many blocks are done.
fn synced(progress: &str) -> Option<u64> {
    let words = progress.split_ascii_whitespace();
    let mut done = words.filter_map(|word| {
        let (done, _) = word.strip_prefix('(')?.strip_suffix(')')?.split_once('/')?;
        done.parse().ok()
    });
    done.next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    const STAT: &str = "Personalities : [raid1] [raid0]\n\
        md0 : active raid1 sdb1[1](F) sda1[0] sdc1[2](S)\n      2048 blocks super 1.2 [2/1] [U_]\n      \
        bitmap: 1/1 pages [4KB], 65536KB chunk\n      [=>...]  recovery =  8.5% (512/2048) finish=17min speed=9K/sec\n\n\
        md1 : active raid0 sdd1[0] sde1[1]\n      4096 blocks 64k chunks\n\n\
        md2 : inactive sdf1[0](S)\n      100 blocks\n\n\
        md3 : active raid1 sdg1[0] sdh1[1]\n      10 blocks [2/2] [UU]\n      resync=PENDING\n\n\
        unused devices: <none>\n";

    #[test]
    fn arrays_and_their_states() {
        let machine = Machine::new(&[("proc/mdstat", STAT)]);
        let text = collected(&DEFINITION, &machine).unwrap();
        for line in [
            "node_md_disks_required{device=\"md0\"} 2",
            "node_md_disks{device=\"md0\",state=\"active\"} 1",
            "node_md_disks{device=\"md0\",state=\"failed\"} 1",
            "node_md_disks{device=\"md0\",state=\"spare\"} 1",
            "node_md_state{device=\"md0\",state=\"recovering\"} 1",
            "node_md_state{device=\"md0\",state=\"active\"} 0",
            "node_md_blocks{device=\"md0\"} 2048",
            "node_md_blocks_synced{device=\"md0\"} 512",
            "node_md_disks{device=\"md1\",state=\"active\"} 2",
            "node_md_blocks_synced{device=\"md1\"} 4096",
            "node_md_state{device=\"md2\",state=\"inactive\"} 1",
            "node_md_state{device=\"md3\",state=\"resync\"} 1",
            "node_md_blocks_synced{device=\"md3\"} 0",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
        }
    }

    #[test]
    fn what_is_not_understood_fails() {
        let odd = [
            "md0 : active\n",
            "md0 :\n 1 blocks\n\n\n",
            "md0 : active raid1 a[0]\n      x blocks [1/1] [U]\n\n\n",
            "md0 : active raid1 a[0]\n      10 blocks\n\n\n",
            "md0 : active raid1 a[0]\n      10 blocks [1/1] [U]\n  recovery = 1%\n\n",
        ];
        for stat in odd {
            let machine = Machine::new(&[("proc/mdstat", stat)]);
            let error = collected(&DEFINITION, &machine).unwrap_err();
            assert!(matches!(error, CollectError::Malformed { .. }), "{stat}");
        }
        let error = collected(&DEFINITION, &Machine::new(&[])).unwrap_err();
        assert!(matches!(error, CollectError::NoData));
    }
}
