//! The host's side of `wasi:filesystem`, generated: streams, pollables and times are those of `wasmtime_wasi`, so that a
//! guest can pass them on to its other interfaces.

wasmtime::component::bindgen!({
    path: "../wit/wasi-0.2.12",
    world: "imports",
    imports: { default: async | trappable },
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:filesystem/types.descriptor": super::handles::Descriptor,
        "wasi:filesystem/types.directory-entry-stream": super::listing::Listing,
    },
    trappable_error_type: { "wasi:filesystem/types.error-code" => super::failure::CallError },
});
