//! The engine and its pool: everything that an activation needs is set aside once, so that starting one takes
//! microseconds and never fails for want of a place. The numbers follow from the places times the operator's maxima.

use std::{io, num::NonZeroUsize, thread, time::Duration};

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Result};

use crate::domain::limits::Limits;

/// Tables of one component. Guests of today's toolchains have two or three.
pub const TABLES: usize = 32;

/// How much of each memory and table stays resident between activations: what a small agent touches. Resetting it by
/// copying is cheaper than giving it back to the kernel and faulting it in again.
const KEEP_RESIDENT: usize = 512 * 1024;

/// An engine with a pool of `slots` places, each up to `maxima`.
pub fn engine(slots: u32, maxima: &Limits) -> Result<Engine> {
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(slots, maxima)))
        .concurrency_support(false)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .memory_init_cow(true)
        // Only whether an error came up inside a guest is of interest (`stop`).
        .wasm_backtrace_max_frames(NonZeroUsize::new(1))
        .generate_address_map(false)
        .wasm_component_model(true)
        .wasm_memory64(false);
    Engine::new(&config)
}

fn pool(slots: u32, maxima: &Limits) -> PoolingAllocationConfig {
    let total = |each: u32| slots.saturating_mul(each);
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_stacks(slots)
        .total_core_instances(total(maxima.instances))
        .total_memories(total(maxima.memories))
        .total_tables(total(TABLES as u32))
        .max_core_instances_per_component(maxima.instances)
        .max_memories_per_component(maxima.memories)
        .max_tables_per_component(TABLES as u32)
        .max_memories_per_module(maxima.memories)
        .max_tables_per_module(TABLES as u32)
        .max_memory_size(bytes(maxima.memory))
        .table_elements(bytes(maxima.table_elements))
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        // Where the kernel can tell which pages were written (6.7 and newer), only those are reset.
        .pagemap_scan(Enabled::Auto);
    pool
}

/// `limits`, each at most what the pool is made for and the operator allows.
pub fn within(limits: &Limits, maxima: &Limits) -> Limits {
    Limits {
        memory: limits.memory.min(maxima.memory),
        table_elements: limits.table_elements.min(maxima.table_elements),
        instances: limits.instances.min(maxima.instances),
        memories: limits.memories.min(maxima.memories),
        cpu: limits.cpu.min(maxima.cpu),
        deadline: limits.deadline.min(maxima.deadline),
        copy: limits.copy.min(maxima.copy),
        outcome: limits.outcome.min(maxima.outcome),
        log_lines: limits.log_lines.min(maxima.log_lines),
        log_bytes: limits.log_bytes.min(maxima.log_bytes),
        hub_calls: limits.hub_calls.min(maxima.hub_calls),
        metric_series: limits.metric_series.min(maxima.metric_series),
        metric_labels: limits.metric_labels.min(maxima.metric_labels),
        state_bytes: limits.state_bytes.min(maxima.state_bytes),
        state_keys: limits.state_keys.min(maxima.state_keys),
        state_value: limits.state_value.min(maxima.state_value),
        workspace_bytes: limits.workspace_bytes.min(maxima.workspace_bytes),
        workspace_entries: limits.workspace_entries.min(maxima.workspace_entries),
    }
}

/// Advance the engine's epoch from a thread of its own for as long as the engine lives: at each tick every guest yields.
pub fn start_ticking(engine: &Engine, tick: Duration) -> io::Result<()> {
    let engine = engine.weak();
    thread::Builder::new().name("warren-epoch".to_owned()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(tick);
        }
    })?;
    Ok(())
}
