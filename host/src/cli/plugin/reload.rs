//! `warren plugin reload`: one host, or every live one after the other.

use std::time::Duration;

use crate::{
    app::api::types::{ReloadAnswer, ReloadRequest, ReloadedPlugin},
    cli::{
        Global,
        client::{Client, HostArgs},
        exit::{Exit, Failure},
        reloading::{self, Reloaded},
    },
};

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true)))]
pub struct Args {
    /// The plugin.
    #[arg(group = "what")]
    name: Option<String>,
    /// Every plugin of the host; those whose files are gone are forgotten.
    #[arg(long, group = "what")]
    all: bool,
    /// On every live host of the cluster, one after the other.
    #[arg(long)]
    all_hosts: bool,
    /// How many seconds a host may take; a large component is compiled for a minute.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
    #[command(flatten)]
    host: HostArgs,
}

pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let client = Client::new(global, &args.host)?;
    let request = ReloadRequest {
        plugin: args.name.clone(),
    };
    let within = Duration::from_secs(args.timeout);
    reloading::run::<ReloadAnswer>(global, &client, args.all_hosts, async |client| {
        client.post_for(&["plugins", "reload"], &request, within).await
    })
}

impl Reloaded for ReloadAnswer {
    const THINGS: &'static str = "plugins";
    const NONE: (&'static str, &'static str) = ("has no plugins", "they are looked for in host.plugin_dir");

    fn words(&self) -> Vec<Result<String, String>> {
        self.plugins.iter().map(words).collect()
    }
}

fn words(plugin: &ReloadedPlugin) -> Result<String, String> {
    let name = &plugin.name;
    let number = |generation: Option<u32>| generation.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let (now, was) = (number(plugin.generation), number(plugin.was));
    let how = if plugin.cached { "compiled before" } else { "compiled" };
    let took = format!("{how}, {:.0} ms", plugin.seconds.total * 1e3);
    if let Some(error) = &plugin.error {
        let goes_on = match plugin.generation {
            Some(generation) => format!("generation {generation} goes on"),
            None => "nothing of it runs".to_owned(),
        };
        // One whose manifest can't be read goes by its path, which the error begins with.
        return Err(if error.starts_with(name.as_str()) {
            format!("{error}; {goes_on}")
        } else {
            format!("{name}: {error}; {goes_on}")
        });
    }
    Ok(match plugin.result.as_str() {
        "new" => format!("{name}: generation {now} runs ({took})"),
        "replaced" => format!("{name}: generation {was} -> {now} ({took})"),
        "manifest" => format!("{name}: generation {now}, with another manifest"),
        "gone" => format!("{name}: its files are gone, and nothing more is run by it"),
        _ => format!("{name}: unchanged, generation {now}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_has_its_words() {
        let plugin = |result: &str, error: Option<&str>, generation| ReloadedPlugin {
            name: "echo".to_owned(),
            origin: "plugins/echo".to_owned(),
            result: result.to_owned(),
            generation,
            was: Some(3),
            error: error.map(str::to_owned),
            cached: false,
            seconds: Default::default(),
        };
        let said = |result, error, generation| words(&plugin(result, error, generation));
        assert_eq!(
            said("replaced", None, Some(4)).unwrap(),
            "echo: generation 3 -> 4 (compiled, 0 ms)"
        );
        assert_eq!(
            said("unchanged", None, Some(4)).unwrap(),
            "echo: unchanged, generation 4"
        );
        assert_eq!(
            said("refused", Some("cut off"), Some(3)).unwrap_err(),
            "echo: cut off; generation 3 goes on"
        );
        assert_eq!(
            said("refused", Some("echo/plugin.toml: no"), None).unwrap_err(),
            "echo/plugin.toml: no; nothing of it runs"
        );
    }
}
