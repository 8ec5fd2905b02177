//! systemd's services.

use super::{Machine, Row, Table, column};

pub(super) const TABLE: Table = Table {
    name: "services",
    doc: "A systemd service that is loaded or has a unit file.",
    columns: &[
        column("name", "with .service"),
        column("active", "active, inactive, failed"),
        column("state", "running, exited, dead"),
        column(
            "enabled",
            "enabled, disabled, static, masked; null without a unit file",
        ),
        column("description", "its description"),
    ],
    key: 1,
    asked: &[],
    times: &[],
    fleeting: &[],
    collect,
};

fn collect(machine: &dyn Machine) -> Result<Vec<Row>, String> {
    let services = machine.units()?.into_iter();
    let services = services.filter(|unit| unit.name.ends_with(".service"));
    Ok(services
        .map(|unit| {
            vec![
                unit.name.into(),
                unit.active.into(),
                unit.sub.into(),
                unit.enabled.into(),
                unit.description.into(),
            ]
        })
        .collect())
}
