//! Accounts of the machine's own: what `getent passwd` says without a directory service.

use super::{Machine, Row, Table, column, passwd};

pub(super) const TABLE: Table = Table {
    name: "users",
    doc: "An account of /etc/passwd.",
    columns: &[
        column("name", "its name"),
        column("id", "its number"),
        column("group_id", "the number of its first group"),
        column("home", "its home directory"),
        column("shell", "what a login starts"),
        column("comment", "whose it is"),
        column(
            "password",
            "set, locked or none; null where /etc/shadow does not know it",
        ),
    ],
    key: 1,
    asked: &[],
    times: &[],
    fleeting: &[],
    collect,
};

fn collect(machine: &dyn Machine) -> Result<Vec<Row>, String> {
    let users = passwd::entries(machine, "/etc/passwd", 7)?;
    let shadow = passwd::entries(machine, "/etc/shadow", 9).unwrap_or_default();
    let password = |name: &str| {
        let entry = shadow.iter().find(|entry| entry[0] == name)?;
        Some(match entry[1].as_str() {
            "" => "none",
            hash if hash.starts_with(['!', '*']) => "locked",
            _ => "set",
        })
    };
    let number = |text: &str| text.parse::<i64>().ok();
    Ok(users
        .iter()
        .map(|user| {
            vec![
                user[0].as_str().into(),
                number(&user[2]).into(),
                number(&user[3]).into(),
                user[5].as_str().into(),
                user[6].as_str().into(),
                user[4].as_str().into(),
                password(&user[0]).into(),
            ]
        })
        .collect())
}
