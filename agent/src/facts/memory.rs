//! Memory: how much there is, not how much is used.

use brine_model::facts::Memory;
use sysinfo::System;

pub(super) fn collect(system: Option<&System>) -> Memory {
    system.map_or_else(Memory::default, |system| Memory {
        total: system.total_memory(),
        swap: system.total_swap(),
    })
}
