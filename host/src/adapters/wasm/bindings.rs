//! The host's side of `wit/0.1.0`, generated.

wasmtime::component::bindgen!({
    path: "../wit/0.1.0",
    world: "agent",
    imports: {
        // What only reads memory or hands something on.
        "warren:agent/metrics": trappable,
        "wasi:config/store": trappable,
        "wasi:logging/logging": trappable,
        "wasi:keyvalue/store.open": trappable,
        default: async | trappable,
    },
    exports: { default: async },
    with: { "wasi:keyvalue/store.bucket": super::keyvalue::Bucket },
});
