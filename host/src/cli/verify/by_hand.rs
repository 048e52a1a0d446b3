//! The commands by which a person sees what a check has seen, with this cluster's addresses, server and key prefix.

use super::cluster::Cluster;

/// Hosts that are named in one row; what holds for three can be done for the others.
const NAMED: usize = 3;

pub struct Hands {
    redis_cli: Option<String>,
    prefix: String,
    asked: String,
    hosts: Vec<String>,
    leader: Option<String>,
}

impl Hands {
    pub fn of(cluster: &Cluster) -> Hands {
        let address = |host: &crate::app::api::types::HostView| host.address.trim_end_matches('/').to_owned();
        let views = || cluster.members.iter().map(|member| &member.view);
        Hands {
            redis_cli: cluster.facts.redis_cli.clone(),
            prefix: cluster.facts.key_prefix.clone(),
            asked: cluster.asked.address().to_owned(),
            hosts: views().map(address).collect(),
            leader: views().find(|view| view.leader).map(address),
        }
    }

    /// A metric of each host.
    pub fn metric_of_all(&self, pattern: &str) -> Vec<String> {
        self.metric_of(self.hosts.iter(), pattern)
    }

    /// Of each that did not lead.
    pub fn metric_of_followers(&self, pattern: &str) -> Vec<String> {
        let followers = self.hosts.iter().filter(|host| Some(*host) != self.leader.as_ref());
        self.metric_of(followers, pattern)
    }

    pub fn metric_of_leader(&self, pattern: &str) -> Vec<String> {
        self.metric_of(self.leader.iter(), pattern)
    }

    fn metric_of<'h>(&self, hosts: impl Iterator<Item = &'h String>, pattern: &str) -> Vec<String> {
        let hosts: Vec<&String> = hosts.collect();
        let named = hosts.iter().take(NAMED);
        let mut commands: Vec<String> = named
            .map(|host| format!("curl -s {host}/metrics | grep {}", quoted(pattern)))
            .collect();
        if hosts.len() > NAMED {
            commands.push(format!("# and so on: {} more hosts", hosts.len() - NAMED));
        }
        commands
    }

    /// A command on one key of the cluster; none where there is no Redis.
    pub fn redis(&self, command: &str, key: &str) -> Vec<String> {
        let key = quoted(&format!("{}{key}", self.prefix));
        let redis_cli = self.redis_cli.iter();
        redis_cli.map(|redis| format!("{redis} {command} {key}")).collect()
    }

    /// A command of this program.
    pub fn warren(&self, command: &str) -> String {
        format!("warren {command} --host {}", self.asked)
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-:./".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hands(prefix: &str, hosts: &[&str]) -> Hands {
        Hands {
            redis_cli: Some("redis-cli -h r -p 6379".to_owned()),
            prefix: prefix.to_owned(),
            asked: "http://h1:9090".to_owned(),
            hosts: hosts.iter().map(ToString::to_string).collect(),
            leader: hosts.first().map(ToString::to_string),
        }
    }

    #[test]
    fn keys_carry_the_prefix_and_are_one_word_of_a_shell() {
        assert_eq!(
            hands("", &[]).redis("LLEN", "work:queue:high"),
            ["redis-cli -h r -p 6379 LLEN work:queue:high"]
        );
        assert_eq!(
            hands("{it's}:", &[]).redis("GET", "k"),
            [r"redis-cli -h r -p 6379 GET '{it'\''s}:k'"]
        );
    }

    #[test]
    fn many_hosts_are_not_all_named_and_the_leader_is_no_follower() {
        let hands = hands("", &["http://a", "http://b", "http://c", "http://d", "http://e"]);
        let commands = hands.metric_of_all("x");
        assert_eq!(commands.len(), NAMED + 1);
        assert_eq!(commands[3], "# and so on: 2 more hosts");
        assert_eq!(
            hands.metric_of_followers("x y")[0],
            "curl -s http://b/metrics | grep 'x y'"
        );
        assert_eq!(hands.metric_of_leader("x"), ["curl -s http://a/metrics | grep x"]);
    }
}
