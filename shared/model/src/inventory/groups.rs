//! Groups of the machine's own, with their members.

use super::{Machine, Row, Table, column, passwd};

pub(super) const TABLE: Table = Table {
    name: "groups",
    doc: "A group of /etc/group, once for each member, and once without any.",
    columns: &[
        column("name", "its name"),
        column("member", "an account that is in it; null where nobody is"),
        column("id", "its number"),
    ],
    key: 2,
    asked: &[],
    times: &[],
    fleeting: &[],
    collect,
};

fn collect(machine: &dyn Machine) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for group in passwd::entries(machine, "/etc/group", 4)? {
        let id = group[2].parse::<i64>().ok();
        let members = group[3].split(',').filter(|member| !member.is_empty());
        let mut members: Vec<Option<&str>> = members.map(Some).collect();
        if members.is_empty() {
            members.push(None);
        }
        rows.extend(
            members
                .into_iter()
                .map(|member| vec![group[0].as_str().into(), member.into(), id.into()]),
        );
    }
    Ok(rows)
}
