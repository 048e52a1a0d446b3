//! Makes machine code of components: from what is kept on disk, or with the compiler, which works for a minute on a large
//! one.
//!
//! Whatever runs on this machine goes first (`compiling`): a few compilations at a time, each on threads of its own. What is
//! kept on disk waits for none of them.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rayon::ThreadPoolBuilder;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use wasmtime::{Engine, component::Component};

use super::{cache::Cache, compiling};
use crate::{
    domain::{limits::Limits, plugin::Digest},
    ports::sandbox::{Making, PrepareError},
};

/// Compilations at a time: a second one, so that a small component need not wait for a large one. Each takes memory, up to
/// a hundred times its component's size.
const AT_ONCE: usize = 2;

pub struct Compiler {
    engine: Engine,
    cache: Option<Arc<Cache>>,
    /// What components may start with.
    maxima: Limits,
    turns: Arc<Semaphore>,
    /// Whether anything has ever been activated. Before that there is nobody to disturb, and a start waits for the compiler.
    serving: AtomicBool,
    /// Where threads wait for it: a runtime that ends without waiting for them.
    runtime: Handle,
}

impl Compiler {
    pub fn new(engine: &Engine, cache_dir: Option<PathBuf>, maxima: Limits, runtime: Handle) -> Compiler {
        Compiler {
            engine: engine.clone(),
            cache: cache_dir.and_then(|folder| Cache::open(folder, engine)).map(Arc::new),
            maxima,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            serving: AtomicBool::new(false),
            runtime,
        }
    }

    /// Somebody runs, or will again: a core is left free from now on.
    pub fn beside_activations(&self) {
        // Asked at each activation, and changed once.
        if !self.serving.load(Relaxed) {
            self.serving.store(true, Relaxed);
        }
    }

    /// Machine code for the component with this digest, and how long that took. Dropping the future does not end a
    /// compilation that has begun; what it makes is kept on disk.
    pub async fn compile(&self, digest: Digest, component: Vec<u8>) -> Result<(Component, Making), PrepareError> {
        let mut making = Making::default();
        let began = Instant::now();
        if let Some(kept) = self.kept(digest).await? {
            making.cached = true;
            making.compiled = began.elapsed();
            return Ok((kept, making));
        }
        let waiting = Instant::now();
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| PrepareError::Host("the compiler is closed".to_owned()))?;
        making.waited = waiting.elapsed();
        let compiling = Instant::now();
        // Whoever had the turn may have compiled the very same.
        let kept = if making.waited > Duration::from_millis(1) {
            self.kept(digest).await?
        } else {
            None
        };
        making.cached = kept.is_some();
        let compiled = match kept {
            Some(kept) => kept,
            None => self.compile_anew(digest, component, turn).await?,
        };
        making.compiled = compiling.elapsed();
        Ok((compiled, making))
    }

    async fn kept(&self, digest: Digest) -> Result<Option<Component>, PrepareError> {
        let Some(cache) = self.cache.clone() else {
            return Ok(None);
        };
        let engine = self.engine.clone();
        let load = self.runtime.spawn_blocking(move || cache.load(&engine, digest));
        load.await.map_err(|error| PrepareError::failed(&error))
    }

    async fn compile_anew(
        &self,
        digest: Digest,
        component: Vec<u8>,
        turn: OwnedSemaphorePermit,
    ) -> Result<Component, PrepareError> {
        let (engine, cache) = (self.engine.clone(), self.cache.clone());
        let threads = compiling::threads(self.serving.load(Relaxed));
        let compile = self.runtime.spawn_blocking(move || {
            // Kept to the end of the work: whoever asked for it may be gone long before.
            let _turn = turn;
            let artifact = precompile(&engine, &component, threads)?;
            if let Some(cache) = cache {
                cache.store(digest, &artifact);
            }
            // SAFETY: the bytes come from this engine's compiler, a few lines above.
            #[allow(unsafe_code)]
            let compiled = unsafe { Component::deserialize(&engine, &artifact) };
            Ok(compiled)
        });
        let compiled = compile.await.map_err(|error| PrepareError::failed(&error))??;
        compiled.map_err(|error| self.too_large(&error))
    }

    /// What is left to go wrong with sound code is the pool's limits.
    fn too_large(&self, error: &wasmtime::Error) -> PrepareError {
        let Limits {
            memory,
            table_elements,
            instances,
            memories,
            ..
        } = self.maxima;
        PrepareError::TooLarge(format!(
            "it starts with more than the operator's maxima (memory {memory}, table elements {table_elements}, \
             instances {instances}, memories {memories}): {error:#}"
        ))
    }
}

/// Validate and compile, on threads that are there for this alone.
fn precompile(engine: &Engine, component: &[u8], threads: usize) -> Result<Vec<u8>, PrepareError> {
    let threads = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|n| format!("warren-compile-{n}"))
        .start_handler(|_| compiling::step_back())
        .build()
        .map_err(|error| PrepareError::Host(format!("the compiler can't start its threads: {error}")))?;
    threads
        .install(|| engine.precompile_component(component))
        .map_err(|error| PrepareError::Invalid(format!("it is not a valid component: {error:#}")))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use wasmtime::Config;

    use super::*;

    /// A component that takes the compiler a while.
    fn large() -> Vec<u8> {
        let mut text = String::from("(component (core module");
        for n in 0..500 {
            let sum = "i32.const 7 i32.add ".repeat(20);
            write!(text, "(func (export \"f{n}\") (result i32) i32.const {n} {sum})").unwrap();
        }
        text.push_str("))");
        wat::parse_str(text).unwrap()
    }

    #[tokio::test]
    async fn who_goes_away_does_not_make_room_for_one_more_compilation() {
        let engine = Engine::new(&Config::new()).unwrap();
        let compiler = Compiler::new(&engine, None, Limits::default(), Handle::current());
        let mut asked = Box::pin(compiler.compile(Digest([0; 32]), large()));
        while compiler.turns.available_permits() == AT_ONCE {
            assert!(futures_util::poll!(&mut asked).is_pending());
        }
        // Given up right after it has begun, as by an operator's Ctrl-C.
        drop(asked);
        assert_eq!(compiler.turns.available_permits(), AT_ONCE - 1);
        let all = u32::try_from(AT_ONCE).unwrap();
        drop(compiler.turns.acquire_many(all).await.unwrap());
        // It was sound, so that it was the compiler's time that was waited for.
        let compiled = compiler.compile(Digest([0; 32]), large()).await;
        assert!(compiled.is_ok_and(|(_, making)| !making.cached));
    }
}
