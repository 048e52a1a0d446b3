//! `warren plugin list`: what runs, what still drains, and what can't be run and why.

use std::fmt::Write;

use crate::{
    app::api::types::{DrainingPlugin, PluginList, PluginView, RunningPlugin},
    cli::{
        Global, block_on,
        client::{Client, HostArgs},
        exit::{Exit, Failure},
        output::{json, one_line, print, span, table},
    },
};

pub fn run(global: &Global, host: &HostArgs) -> Result<Exit, Failure> {
    let client = Client::new(global, host)?;
    let list: PluginList = block_on(client.get(&["plugins"], Default::default()))??;
    print(&if global.json { json(&list)? } else { screen(&list) })?;
    Ok(Exit::Ok)
}

fn screen(list: &PluginList) -> String {
    if list.plugins.is_empty() && list.draining.is_empty() {
        return "this host has no plugins; they are looked for in host.plugin_dir".to_owned();
    }
    let header = [
        "PLUGIN",
        "VERSION",
        "GENERATION",
        "DIGEST",
        "STATE",
        "AGE",
        "RUNNING",
        "ACTIVATIONS",
        "FAILURES",
        "AGENTS",
    ];
    let draining = |name: &str| {
        let rows = list.draining.iter().filter(move |draining| draining.name == name);
        rows.map(draining_row).collect::<Vec<_>>()
    };
    let mut rows: Vec<[String; 10]> = Vec::new();
    for plugin in &list.plugins {
        rows.push(row(plugin));
        rows.extend(draining(&plugin.name));
    }
    let listed = |draining: &&DrainingPlugin| list.plugins.iter().any(|plugin| plugin.name == draining.name);
    rows.extend(
        list.draining
            .iter()
            .filter(|draining| !listed(draining))
            .map(draining_row),
    );
    let mut text = table(header, rows);
    for plugin in &list.plugins {
        if let Some(error) = &plugin.error {
            // One whose manifest can't be read goes by its path, which the error begins with.
            let named = if error.starts_with(&plugin.name) {
                String::new()
            } else {
                format!("{}: ", one_line(&plugin.name))
            };
            let _ = write!(text, "\n\n{named}{}", one_line(error));
        }
    }
    text
}

fn row(plugin: &PluginView) -> [String; 10] {
    let state = match (&plugin.running, &plugin.error) {
        (Some(_), None) => "ready",
        (Some(_), Some(_)) => "ready, newer content refused",
        (None, _) => "FAILED",
    };
    let running = plugin.running.as_ref();
    cells(&plugin.name, running, state, plugin.agents.join(", "))
}

fn draining_row(draining: &DrainingPlugin) -> [String; 10] {
    cells(&draining.name, Some(&draining.generation), "draining", String::new())
}

fn cells(name: &str, running: Option<&RunningPlugin>, state: &str, agents: String) -> [String; 10] {
    let of = |cell: fn(&RunningPlugin) -> String| running.map(cell).unwrap_or_default();
    let failures = |running: &RunningPlugin| {
        let each = running
            .failures
            .iter()
            .map(|(reason, count)| format!("{reason} {count}"));
        each.collect::<Vec<_>>().join(", ")
    };
    [
        name.to_owned(),
        of(|running| running.version.clone()),
        of(|running| running.generation.to_string()),
        of(|running| running.digest.chars().take(12).collect()),
        state.to_owned(),
        of(|running| span(running.age_seconds)),
        of(|running| running.running.to_string()),
        of(|running| running.activations.to_string()),
        of(failures),
        agents,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(name: &str, error: Option<&str>, running: Option<RunningPlugin>) -> PluginView {
        PluginView {
            name: name.into(),
            origin: "plugins/bad/plugin.toml".into(),
            running,
            error: error.map(Into::into),
            agents: Vec::new(),
        }
    }

    fn list(plugins: Vec<PluginView>) -> PluginList {
        PluginList {
            plugins,
            draining: Vec::new(),
        }
    }

    #[test]
    fn a_plugin_that_goes_by_its_path_is_named_once_beside_its_error() {
        let path = "plugins/bad/plugin.toml";
        let text = screen(&list(vec![view(
            path,
            Some("plugins/bad/plugin.toml:1: unclosed array"),
            None,
        )]));
        assert_eq!(text.matches(path).count(), 2, "in the table and below: {text}");
        let text = screen(&list(vec![view("echo", Some("not a component"), None)]));
        assert!(text.ends_with("echo: not a component"), "{text}");
    }

    #[test]
    fn what_drains_stands_below_what_replaced_it() {
        let generation = |generation, running| RunningPlugin {
            version: "1".into(),
            generation,
            digest: "ab".repeat(32),
            age_seconds: 61.0,
            running,
            activations: 7,
            failures: [("trap".to_owned(), 2), ("deadline".to_owned(), 1)].into(),
            ..RunningPlugin::default()
        };
        let draining = |name: &str, number| DrainingPlugin {
            name: name.into(),
            generation: generation(number, 1),
        };
        let shown = screen(&PluginList {
            plugins: vec![
                view("echo", None, Some(generation(3, 0))),
                view("other", None, Some(generation(1, 0))),
            ],
            draining: vec![draining("echo", 2), draining("removed", 9)],
        });
        let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        let states: Vec<_> = rows[1..].iter().map(|row| (row[0], row[2], row[4])).collect();
        assert_eq!(
            states,
            [
                ("echo", "3", "ready"),
                ("echo", "2", "draining"),
                ("other", "1", "ready"),
                ("removed", "9", "draining")
            ]
        );
        assert!(
            rows[1][3..].join(" ").ends_with("1m 1s 0 7 deadline 1, trap 2"),
            "{shown}"
        );
    }
}
