//! Processors.

use brine_model::facts::Cpu;
use sysinfo::System;

pub(super) fn collect(system: Option<&System>) -> Cpu {
    let model = system
        .and_then(|system| system.cpus().first())
        .map(|cpu| cpu.brand().trim());
    // What the affinity mask and the control group leave.
    let count = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    Cpu {
        count: u32::try_from(count).unwrap_or(u32::MAX),
        model: model.unwrap_or_default().to_owned(),
    }
}
