//! The definitions of the agents that hosts of the tests run.

/// An agent's definition.
#[derive(Clone, Debug)]
pub struct Agent {
    pub(crate) name: String,
    pub(crate) plugin: String,
    grants: String,
    /// The section on how much it may do on the Hub.
    behavior: &'static str,
    more: String,
}

/// More than any test does.
const GENEROUS: &str = "behavior:\n  limits: {max_daily_posts: 1000, max_daily_comments: 100000, \
                        max_responses_per_thread: 1000, min_interval_seconds: 0}\n";

impl Agent {
    /// An agent that the bundled echo runs.
    pub fn echo(name: &str) -> Agent {
        Agent {
            name: name.to_owned(),
            plugin: "echo".to_owned(),
            grants: "hub:read, hub:write, config, logging, metrics".to_owned(),
            behavior: GENEROUS,
            more: String::new(),
        }
    }

    /// An agent that does to mentions what `mode` says, and what their payload says to direct items.
    pub fn hostile(name: &str, mode: &str) -> Agent {
        Agent {
            plugin: "hostile".to_owned(),
            grants: "hub:read, hub:write, keyvalue, config, logging, metrics".to_owned(),
            ..Agent::echo(name)
        }
        .with(&format!("config:\n  mode: \"{mode}\""))
    }

    pub fn grants(mut self, grants: &str) -> Agent {
        self.grants = grants.to_owned();
        self
    }

    pub fn plugin(mut self, plugin: &str) -> Agent {
        self.plugin = plugin.to_owned();
        self
    }

    /// Without the section `behavior`, which then may be given with [`Agent::with`].
    pub fn without_limits(mut self) -> Agent {
        self.behavior = "";
        self
    }

    /// Further sections of `config.yaml`.
    pub fn with(mut self, yaml: &str) -> Agent {
        self.more.push_str(yaml);
        self.more.push('\n');
        self
    }

    /// The text of `config.yaml`.
    pub fn yaml(&self) -> String {
        let Agent {
            name,
            plugin,
            grants,
            behavior,
            more,
        } = self;
        format!(
            "name: {name}\nplugin: {plugin}\ncache_ttl: 0\ncapabilities:\n  grants: [{grants}]\n\
             {behavior}{more}"
        )
    }
}
