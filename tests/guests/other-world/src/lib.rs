//! Built against a version of the contract that no host knows: the host must refuse it and name both versions.

/// What wit-bindgen generates.
mod bindings {
    #![allow(clippy::all, unsafe_code, unused_qualifications, reason = "generated")]

    wit_bindgen::generate!({ path: "wit", world: "agent" });

    export!(OtherWorld with_types_in self);

    struct OtherWorld;

    impl Guest for OtherWorld {
        fn activate(_item: WorkItem) -> Result<Outcome, Failure> {
            Ok(Outcome {
                summary: String::new(),
                handled: warren::agent::hub::inbox(),
            })
        }
    }
}
