//! Takes memory and stack: as allocations, by the instruction, and without having it.

use std::hint::black_box;
use std::mem::ManuallyDrop;

use warren_guest_sdk::prelude::*;

const ONE_MIB: usize = 1 << 20;
const WASM_PAGE: usize = 64 << 10;

/// Recurses without end on the stack of the engine: no frame takes linear memory, and the multiplication keeps the
/// compiler from making it a loop.
pub fn recurse() -> ! {
    fn deeper(depth: u64) -> u64 {
        if depth == u64::MAX {
            0
        } else {
            deeper(depth + 1).wrapping_mul(31).rotate_left(7) ^ depth
        }
    }
    panic!("came back from endless recursion with {}", deeper(1))
}

/// Recurses without end through frames in linear memory, until they run over its lower end.
pub fn recurse_frames() -> ! {
    fn deeper(depth: u64) -> u64 {
        let frame = black_box([depth; 512]);
        if depth == u64::MAX {
            0
        } else {
            deeper(depth + 1) ^ black_box(frame)[7]
        }
    }
    panic!("came back from endless recursion with {}", deeper(1))
}

/// Allocates until refused; std aborts then.
pub fn grow() -> ! {
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1_u8; ONE_MIB]));
    }
}

/// Grows memory by the instruction until refused, and reports how far it got.
pub fn grow_quietly() -> Result<Outcome> {
    let mut pages = 0;
    while grow_by_pages(16) {
        pages += 16;
    }
    Ok(Outcome::new().summary(format!("grew by {} bytes", pages * WASM_PAGE)))
}

#[cfg(target_family = "wasm")]
fn grow_by_pages(pages: usize) -> bool {
    std::arch::wasm32::memory_grow::<0>(pages) != usize::MAX
}

#[cfg(not(target_family = "wasm"))]
fn grow_by_pages(_pages: usize) -> bool {
    false
}

/// Returns 100,000 ids of 1 MiB each that are all the same bytes: some 100 GB for a host that copies them, little more
/// than 2 MiB here.
pub fn aliased() -> Outcome {
    let bytes = ManuallyDrop::new("x".repeat(ONE_MIB));
    let alias = || {
        // SAFETY: this breaks the ownership of `String` on purpose. It holds as long as no alias is dropped or written,
        // and the only way on from here is the lowering of the result, which does neither.
        #[allow(unsafe_code, reason = "a hostile guest need not be written in safe Rust")]
        unsafe {
            String::from_raw_parts(bytes.as_ptr().cast_mut(), bytes.len(), bytes.len())
        }
    };
    let mut outcome = Outcome::new();
    outcome.handled = (0..100_000).map(|_| alias()).collect();
    outcome
}
