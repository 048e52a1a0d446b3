//! Keeps a guest within its memory: all linear memories together, all tables together.
//!
//! A refused growth traps instead of returning −1, so that the reason of the end is the limit, and not whatever a guest
//! makes of a failed allocation (mostly an abort).

use wasmtime::{Error, ResourceLimiter, Result};

use super::stop::Stop;
use crate::domain::limits::Limits;

/// What a guest may hold and holds.
pub struct MemoryMeter {
    memory_limit: u64,
    /// Bytes of all linear memories; memories never shrink, so this is also the most that it was.
    memory: u64,
    element_limit: u64,
    elements: u64,
    instances: usize,
    memories: usize,
    tables: usize,
}

impl MemoryMeter {
    pub fn new(limits: &Limits, tables: usize) -> MemoryMeter {
        MemoryMeter {
            memory_limit: limits.memory,
            memory: 0,
            element_limit: limits.table_elements,
            elements: 0,
            instances: limits.instances as usize,
            memories: limits.memories as usize,
            tables,
        }
    }

    pub fn memory(&self) -> u64 {
        self.memory
    }
}

/// Whether a memory or table would outgrow the maximum that it was declared with (or that the pool has, which is no
/// smaller than the limits): that is between the guest and its compiler, and answered with −1. It is looked at after the
/// limits, since at the pool's maximum both are reached at once.
fn beyond(desired: usize, maximum: Option<usize>) -> bool {
    maximum.is_some_and(|maximum| desired > maximum)
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let wanted = self.memory + desired.saturating_sub(current) as u64;
        if wanted > self.memory_limit {
            let limit = self.memory_limit;
            return Err(Error::new(Stop::Memory(format!(
                "it asked for {wanted} bytes of memory, over the limit `memory` of {limit}"
            ))));
        }
        if beyond(desired, maximum) {
            return Ok(false);
        }
        self.memory = wanted;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        Err(Error::new(Stop::Memory(format!("its memory can't grow: {error:#}"))))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let wanted = self.elements + desired.saturating_sub(current) as u64;
        if wanted > self.element_limit {
            let limit = self.element_limit;
            return Err(Error::new(Stop::Memory(format!(
                "it asked for {wanted} table elements, over the limit of {limit}"
            ))));
        }
        if beyond(desired, maximum) {
            return Ok(false);
        }
        self.elements = wanted;
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        Err(Error::new(Stop::Memory(format!("its table can't grow: {error:#}"))))
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}
