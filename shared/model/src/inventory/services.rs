//! systemd's services.

use super::{Column, Machine, Row, Table};

pub(super) const TABLE: Table = Table {
    name: "services",
    doc: "A systemd service that is loaded or has a unit file.",
    columns: &[
        Column {
            name: "name",
            doc: "with .service",
        },
        Column {
            name: "active",
            doc: "active, inactive, failed",
        },
        Column {
            name: "state",
            doc: "running, exited, dead",
        },
        Column {
            name: "enabled",
            doc: "enabled, disabled, static, masked; null without a unit file",
        },
        Column {
            name: "description",
            doc: "its description",
        },
    ],
    key: 1,
    asked: &[],
    times: &[],
    history: true,
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
