//! `warren hosts`: the hosts of a cluster, as any of them knows them.

use std::fmt::Write;

use super::{
    Global, block_on,
    client::{Client, HostArgs},
    exit::{Exit, Failure},
    output::{json, one_line, print, span, table},
};
use crate::app::api::types::{HostList, HostView};

/// Characters of an instance that tell processes of one name apart.
const SHORT: usize = 8;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    host: HostArgs,
}

pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let client = Client::new(global, &args.host)?;
    let list: HostList = block_on(client.get(&["hosts"], Default::default()))??;
    print(&if global.json {
        json(&list.hosts)?
    } else {
        screen(&list.hosts)
    })?;
    Ok(Exit::Ok)
}

fn screen(hosts: &[HostView]) -> String {
    let rows = hosts.iter().map(|host| row(host, name(host, hosts)));
    let mut screen = table(
        [
            "NAME",
            "STATE",
            "VERSION",
            "ROLES",
            "LABELS",
            "ADDRESS",
            "RUNNING/SLOTS",
            "PLUGINS",
            "UP",
        ],
        rows,
    );
    for host in hosts {
        if let Some(error) = &host.error {
            let _ = write!(
                screen,
                "\n\n{}/{}: {}",
                one_line(&host.name),
                one_line(&host.instance),
                one_line(error)
            );
        }
    }
    screen
}

/// The name; with the instance where others have the same.
pub fn name(host: &HostView, all: &[HostView]) -> String {
    if all.iter().filter(|other| other.name == host.name).count() < 2 {
        return host.name.clone();
    }
    let instance: String = host.instance.chars().take(SHORT).collect();
    format!("{}/{instance}", host.name)
}

fn row(host: &HostView, name: String) -> [String; 9] {
    let state = match host.state.as_str() {
        state @ ("gone" | "left") => format!("{state} {} ago", span(host.seconds_since_seen)),
        state => state.to_owned(),
    };
    let known = |text: String| {
        if text.is_empty() { "-".to_owned() } else { text }
    };
    let labels: Vec<String> = host
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let plugins: Vec<String> = host
        .plugins
        .iter()
        .map(|plugin| format!("{}@{}", plugin.name, plugin.generation))
        .collect();
    [
        name,
        if host.leader { format!("{state}, leads") } else { state },
        known(host.version.clone()),
        known(host.roles.join("+")),
        known(labels.join(",")),
        known(host.address.clone()),
        match host.slots {
            0 => "-".to_owned(),
            slots => format!("{}/{slots}", host.in_flight),
        },
        known(plugins.join(",")),
        match &host.error {
            Some(_) => "-".to_owned(),
            None => span(host.uptime_seconds as f64),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, instance: &str, state: &str) -> HostView {
        HostView {
            name: name.to_owned(),
            instance: instance.to_owned(),
            state: state.to_owned(),
            leader: false,
            seconds_since_seen: 12.4,
            version: "0.1.0".to_owned(),
            roles: vec!["runner".to_owned()],
            labels: Default::default(),
            address: "http://h:9090".to_owned(),
            in_flight: 1,
            slots: 32,
            plugins: Vec::new(),
            uptime_seconds: 60,
            error: None,
        }
    }

    #[test]
    fn processes_of_one_name_are_told_apart_and_what_can_t_be_read_is_said() {
        let mut hosts = [
            host("a", "01234567-89", "live"),
            host("b", "11111111-11", "gone"),
            host("b", "22222222-22", "live"),
            host("c", "33333333-33", "left"),
        ];
        hosts[2].leader = true;
        hosts[3].error = Some("what it says\nis nonsense".to_owned());
        hosts[0].labels.insert("zone".to_owned(), "a".to_owned());
        let shown = screen(&hosts);
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            lines[1],
            [
                "a",
                "live",
                "0.1.0",
                "runner",
                "zone=a",
                "http://h:9090",
                "1/32",
                "-",
                "1m"
            ]
        );
        assert_eq!(lines[2][..5], ["b/11111111", "gone", "12s", "ago", "0.1.0"]);
        assert_eq!(lines[3][..3], ["b/22222222", "live,", "leads"]);
        assert!(
            shown.ends_with("\n\nc/33333333-33: what it says is nonsense"),
            "{shown}"
        );
    }
}
