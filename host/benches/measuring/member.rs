//! A host as operators run it: a process of the program, on Redis and a Hub, with nothing in between.

use warren_tests::{
    cluster::{self, TOKEN},
    host::{Agent, HostProcess, HostSetup},
    http::Client,
    hub::HubProcess,
    redis::free_address,
};

/// One host. Its address stays the same when it starts again.
pub struct Member {
    pub name: String,
    pub process: HostProcess,
}

impl Member {
    /// Without waiting for it to be ready. `settings` are keys of `warren.toml` with their values as TOML.
    pub fn start(name: &str, redis_url: &str, hub: &HubProcess, agents: &[Agent], settings: &[(&str, &str)]) -> Member {
        let mut setup = HostSetup::new(hub)
            .set("host.name", &format!("{name:?}"))
            .set("api.listen", &format!("\"{}\"", free_address()))
            .set("api.token", &format!("{TOKEN:?}"))
            .set("hub.idempotency", "\"yes\"")
            .set("store.kind", "\"redis\"")
            .set("store.url", &format!("{redis_url:?}"));
        for (key, value) in settings {
            setup = setup.set(key, value);
        }
        for agent in agents {
            setup = setup.agent(agent);
        }
        Member {
            name: name.to_owned(),
            process: setup.start(),
        }
    }

    /// Its API; gives up on a host that does not answer within two seconds.
    pub fn api(&self) -> Client {
        cluster::hasty(&self.process.url())
    }

    pub fn leads(&self) -> bool {
        cluster::leads(&self.api(), &self.name) == Some(true)
    }
}
