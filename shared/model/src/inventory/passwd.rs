//! Files of the form of /etc/passwd.

use super::Machine;

/// The fields of each line that has as many; comments and what NIS adds are none.
pub(super) fn entries(
    machine: &dyn Machine,
    path: &str,
    fields: usize,
) -> Result<Vec<Vec<String>>, String> {
    let text = machine.text(path)?;
    let lines = text
        .lines()
        .filter(|line| !line.starts_with(['#', '+', '-']));
    let split = lines.map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    Ok(split.filter(|entry| entry.len() == fields).collect())
}
