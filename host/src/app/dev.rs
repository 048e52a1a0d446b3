//! `warren dev`: a development Hub, a host on SQLite and the plugins of a folder or of their sources, in one process on this
//! machine. What is saved while it runs is built and reloaded.

mod reloading;
mod sources;
mod watch;

use std::{
    fmt::Write,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use tokio::time;
use tracing::{error, info, warn};

use self::reloading::Reloading;
use super::{
    config::{Config, hub::Idempotency},
    host::Host,
    parts::make_data_dir,
    plain_http,
    signals::Signals,
};
use crate::{
    adapters::{boot_clock::BootClock, files::AgentFiles},
    devhub::{self, Data, DevHub, DevHubConfig, RunningHub},
    domain::ids::AgentName,
    ports::definitions::Definitions,
};

/// What the host is asked while it waits for the reply.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Clone, Debug)]
pub struct DevOptions {
    pub hub_listen: SocketAddr,
    /// The agent that the welcome post mentions.
    pub mention: String,
    /// End with the reply, or with an error after this time.
    pub once: Option<Duration>,
    /// Crates of plugins, or folders of them: built at the start and whenever they change, into `host.plugin_dir`.
    pub sources: Vec<PathBuf>,
    /// Where the Hub keeps its posts; in memory without it.
    pub hub_data: Option<PathBuf>,
}

/// Run until a signal, or with `once` until the reply is there; then what there is to print.
pub async fn dev(mut config: Config, options: &DevOptions) -> anyhow::Result<Option<String>> {
    let mut signals = Signals::install()?;
    // The Hub's posts stand beside the host's data, and the Hub starts first.
    make_data_dir(&config)?;
    let sources = sources::find(&options.sources)?;
    let mut hub = start_hub(&config, options).await?;
    config.hub.url = Some(hub.url());
    // It is our own Hub: it honours keys, which otherwise only an answer to a write could tell.
    config.hub.idempotency = Idempotency::Yes;
    let starting = async {
        if !sources.is_empty() {
            let folder = &config.host.plugin_dir;
            std::fs::create_dir_all(folder)
                .with_context(|| format!("can't make {} (--plugin-dir)", folder.display()))?;
        }
        for source in &sources {
            if let Err(error) = source.rebuild(&config.host.plugin_dir).await {
                // Who waits for one reply gets none from it; others mend it while everything runs.
                if options.once.is_some() {
                    return Err(error);
                }
                error!(plugin = source.name(), error = format!("{error:#}"), "not built");
            }
        }
        Host::start(&config).await
    };
    let mut host = tokio::select! {
        host = starting => host?,
        _ = signals.next() => return Ok(None),
    };
    let visitor = Visitor::new(hub.url())?;
    announce(&hub, &host);
    let work = async {
        let welcome = visitor.welcome(&options.mention, options.once.is_some()).await?;
        match (options.once, welcome) {
            (Some(within), Some(post)) => visitor.wait_for_reply(&post, &options.mention, within).await.map(Some),
            _ => std::future::pending().await,
        }
    };
    let reloading = match options.once {
        Some(_) => None,
        None => Some(Reloading::new(
            &host,
            sources,
            &config.host.plugin_dir,
            &config.host.agents_dir,
        )),
    };
    let watching = async {
        if let Some(reloading) = reloading
            && let Err(error) = reloading.run().await
        {
            warn!(
                error = format!("{error:#}"),
                "nothing is watched: what is saved needs a reload by hand"
            );
        }
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = work => ended,
        () = watching => Ok(None),
        _ = signals.next() => Ok(None),
        fault = host.fault() => return Err(fault),
        stopped = hub.stopped() => return Err(stopped.err().map_or_else(|| anyhow!("the Hub ended"), Into::into)),
    };
    signals.exit_on_next();
    host.stop().await?;
    hub.shutdown().await?;
    ended
}

async fn start_hub(config: &Config, options: &DevOptions) -> anyhow::Result<RunningHub> {
    let agents = agents(config, options)?;
    let hub = DevHubConfig {
        data: options.hub_data.clone().map_or(Data::Memory, Data::File),
        agents: agents.into_iter().map(|name| (name.clone(), name)).collect(),
        ..DevHubConfig::new(options.hub_listen)
    };
    DevHub::start(hub).await.map_err(|error| {
        let option = match &error {
            devhub::Error::Bind { .. } => " (--hub-listen)",
            devhub::Error::Data { .. } => " (--data-dir)",
            _ => "",
        };
        anyhow::Error::new(error).context(format!("starting the development Hub{option}"))
    })
}

/// The agents that the Hub is to know: those whose folder has a name that it takes, whatever is in it. The host says what
/// is wrong with the others.
fn agents(config: &Config, options: &DevOptions) -> anyhow::Result<Vec<String>> {
    let folder = &config.host.agents_dir;
    std::fs::read_dir(folder).with_context(|| {
        format!(
            "the folder of agents {} can't be read (name another with --agents-dir)",
            folder.display()
        )
    })?;
    let mut all = AgentFiles::new(folder.clone(), Arc::new(BootClock)).all();
    all.retain(|(name, _)| AgentName::new(name.as_str()).is_ok());
    let mentioned = all.iter().find(|(name, _)| *name == options.mention);
    if let (Some((_, Err(error))), Some(_)) = (mentioned, options.once) {
        bail!("@{} would not answer: {error}", options.mention);
    }
    let found = mentioned.is_some();
    let names: Vec<String> = all.into_iter().map(|(name, _)| name).collect();
    if found {
        return Ok(names);
    }
    let has = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    bail!(
        "there is no agent {:?} to mention: {} has {has}; name another with --mention, or another folder with --agents-dir",
        options.mention,
        folder.display(),
    );
}

fn announce(hub: &RunningHub, host: &Host) {
    let api = host.address;
    let text = format!(
        "\n  Hub page   {}/\n  metrics    http://{api}/metrics\n  API        http://{api}/api/v1/status\n\n  \
         Write a post that mentions an agent on the page. Ctrl-C stops everything.\n",
        hub.url()
    );
    eprintln!("{text}");
}

/// The person who writes the first post, over HTTP like everybody.
struct Visitor {
    http: reqwest::Client,
    hub: String,
}

impl Visitor {
    fn new(hub: String) -> anyhow::Result<Visitor> {
        let http = plain_http::client()?;
        Ok(Visitor { http, hub })
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.hub);
        let answer = self
            .http
            .get(&url)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        answer
            .with_context(|| format!("GET {url}"))?
            .json()
            .await
            .with_context(|| format!("GET {url}: the answer"))
    }

    /// Write the welcome post, unless there are posts already and nobody waits for this one. Its id.
    async fn welcome(&self, agent: &str, always: bool) -> anyhow::Result<Option<String>> {
        let posts = self.get("/api/v1/posts?limit=1").await?;
        let empty = posts["posts"].as_array().is_none_or(Vec::is_empty);
        if !empty && !always {
            return Ok(None);
        }
        let url = format!("{}/api/v1/posts", self.hub);
        let post = json!({
            "author_name": "warren",
            "title": "Welcome to Warren",
            "content": format!("Hello @{agent}, say something so that people see that agents answer here."),
        });
        let created = self
            .http
            .post(&url)
            .json(&post)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        let created: Value = created.with_context(|| format!("POST {url}"))?.json().await?;
        let id = created["id"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| anyhow!("POST {url}: the answer has no id"))?;
        info!(post = id, agent, "wrote the welcome post");
        Ok(Some(id))
    }

    /// Read the thread until the agent has answered; the thread as text.
    async fn wait_for_reply(&self, post: &str, agent: &str, within: Duration) -> anyhow::Result<String> {
        let started = Instant::now();
        let path = format!("/api/v1/posts/{post}?include_comments=true");
        loop {
            let thread = self.get(&path).await?;
            let comments = thread["comments"].as_array().map_or(&[][..], Vec::as_slice);
            if comments.iter().any(|comment| comment["author"]["name"] == agent) {
                return Ok(show(&thread, comments, started.elapsed()));
            }
            if started.elapsed() > within {
                bail!(
                    "@{agent} did not answer within {within:?}; the log above says what happened to its item, and a longer \
                     --timeout may help on a slow machine"
                );
            }
            time::sleep(LOOK_EVERY).await;
        }
    }
}

fn show(thread: &Value, comments: &[Value], took: Duration) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut shown = format!(
        "{}\n  {}: {}\n",
        text(&thread["title"]),
        text(&thread["author"]["name"]),
        text(&thread["content"])
    );
    for comment in comments {
        let lines = text(&comment["content"]).replace('\n', "\n      ");
        // Writing to a string does not fail.
        let _ = writeln!(shown, "    {}: {lines}", text(&comment["author"]["name"]));
    }
    let _ = write!(
        shown,
        "\nAnswered {:.0} ms after the post was written.",
        took.as_secs_f64() * 1e3
    );
    shown
}
