//! `warren dev`: everything on this machine, to try things out.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    Global,
    exit::{Exit, Failure},
    host_runtime,
    output::print,
};
use crate::app::{
    config::{Config, store::StoreKind},
    dev::{DevOptions, dev},
    telemetry,
};

/// What `--once` may take if nothing else is said: the first compilation of a plugin included.
const ONCE_WITHIN: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the Hub listens [default: 127.0.0.1:8080, with --once any free port].
    #[arg(long, value_name = "ADDRESS")]
    hub_listen: Option<SocketAddr>,
    /// Where the host's API listens [default: api.listen, with --once any free port].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The folder of plugins [default: host.plugin_dir].
    #[arg(long, value_name = "FOLDER")]
    plugin_dir: Option<PathBuf>,
    /// A plugin's crate, or a folder of them: built now and whenever something is saved, and reloaded. With it, --plugin-dir
    /// is where the components go [default: a folder in the data folder]. May be repeated.
    #[arg(long, value_name = "FOLDER")]
    sources: Vec<PathBuf>,
    /// The folder of agents' definitions [default: host.agents_dir].
    #[arg(long, value_name = "FOLDER")]
    agents_dir: Option<PathBuf>,
    /// Where the host keeps its data, and the Hub its posts [default: host.data_dir, with --once a temporary folder].
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The agent that the welcome post mentions.
    #[arg(long, default_value = "echo", value_name = "AGENT")]
    mention: String,
    /// Write the welcome post, wait for the reply, print the thread and end.
    #[arg(long)]
    once: bool,
    /// How many seconds `--once` waits for the reply [default: 60].
    #[arg(long, value_name = "SECONDS", requires = "once")]
    timeout: Option<u64>,
}

pub fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let mut config = global.load()?.config;
    telemetry::start(&config.log).map_err(anyhow::Error::from)?;
    let scratch = if args.once && args.data_dir.is_none() {
        Some(scratch()?)
    } else {
        None
    };
    let data_dir = scratch
        .as_ref()
        .map(|folder| folder.path().to_owned())
        .or(args.data_dir.clone());
    let options = configure(&mut config, &args, data_dir);
    let ended = host_runtime()?.block_on(dev(config, &options));
    if let Some(text) = ended? {
        print(&text)?;
    }
    Ok(Exit::Ok)
}

fn configure(config: &mut Config, args: &Args, data_dir: Option<PathBuf>) -> DevOptions {
    let free: SocketAddr = ([127, 0, 0, 1], 0).into();
    match args.listen {
        Some(listen) => config.api.listen = listen,
        None if args.once => config.api.listen = free,
        None => {}
    }
    // Everything on this machine, whatever REDIS_URL says.
    config.store.kind = StoreKind::Sqlite;
    if let Some(folder) = &args.agents_dir {
        config.host.agents_dir.clone_from(folder);
    }
    if let Some(folder) = data_dir {
        config.move_data_dir(folder);
    }
    match &args.plugin_dir {
        Some(folder) => config.host.plugin_dir.clone_from(folder),
        None if args.sources.is_empty() => {}
        None => config.host.plugin_dir = config.host.data_dir.join("plugins"),
    }
    let hub_default = if args.once { free } else { ([127, 0, 0, 1], 8080).into() };
    DevOptions {
        hub_listen: args.hub_listen.unwrap_or(hub_default),
        mention: args.mention.clone(),
        once: args.once.then(|| args.timeout.map_or(ONCE_WITHIN, Duration::from_secs)),
        sources: args.sources.clone(),
        hub_data: Some(config.host.data_dir.join("hub.db")),
    }
}

/// A folder that is gone when this run is over.
fn scratch() -> Result<tempfile::TempDir, Failure> {
    tempfile::Builder::new()
        .prefix("warren-dev-")
        .tempdir()
        .map_err(|error| Failure::new(Exit::Failed, format!("can't make a temporary folder: {error}")))
}
