//! Goes through a list of calls and logs every answer, so that a test can lay two hosts' answers side by side: the real
//! one's and that of the SDK's `testing`. What no two hosts share stays out: ids become `#n` in order of appearance,
//! and times are not shown.

mod hub_calls;
mod own_calls;
mod transcript;

use warren_guest_sdk::prelude::*;

use transcript::Transcript;

/// Does what its payload, or else its configuration, says.
pub struct Script;

impl Agent for Script {
    fn activate(item: WorkItem) -> Result<Outcome> {
        let scenario = match &item.payload {
            Some(payload) => payload.clone(),
            None => config::require("scenario")?,
        };
        let mut said = Transcript::default();
        match scenario.as_str() {
            "reading" => hub_calls::reading(&mut said),
            "writing" => return Ok(hub_calls::writing(&mut said)),
            "refused" => hub_calls::refused(&mut said),
            "few-calls" => hub_calls::until_refused(&mut said),
            "state" => own_calls::state(&mut said),
            "config" => own_calls::config(&mut said),
            "logs" => own_calls::logs(),
            "metrics" => own_calls::metrics(),
            "permanent" => return Err(Error::permanent("for ever")),
            "upstream" => return Err(Error::upstream("believe me")),
            "panic" => panic!("on purpose"),
            "long-outcome" => return Ok(Outcome::new().summary("x".repeat(300_000))),
            "long-list" => return Ok(long_list()),
            "copy" => drop(state::get(&"k".repeat(5 << 20))),
            other => return Err(Error::permanent(format!("there is no scenario {other:?}"))),
        }
        Ok(Outcome::new().summary(format!("{scenario} of {}", item.agent_name)))
    }
}

/// Short ids, but so many of them that their places alone are over the limit.
fn long_list() -> Outcome {
    Outcome {
        summary: String::new(),
        handled: vec!["x".into(); 12_000],
    }
}

warren_guest_sdk::export!(Script);
