//! `warren hub`: the development Hub alone.

use std::{net::SocketAddr, path::PathBuf};

use super::{
    Global, block_on,
    exit::{Exit, Failure},
    output::print,
};
use crate::{
    app::{signals::Signals, telemetry},
    devhub::{Data, DevHub, DevHubConfig},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The address to listen on; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Keep posts in this file; without it they are gone when the Hub stops.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Ask callers for this key.
    #[arg(long, env = "HUB_API_KEY", hide_env_values = true, value_name = "KEY")]
    api_key: Option<String>,
    /// Register an agent; may be repeated.
    #[arg(long = "agent", value_name = "NAME")]
    agents: Vec<String>,
}

pub fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    telemetry::start(&global.load()?.config.log).map_err(anyhow::Error::from)?;
    block_on(serve(args))??;
    Ok(Exit::Ok)
}

async fn serve(args: Args) -> Result<(), Failure> {
    let failed = |error: crate::devhub::Error| Failure::new(Exit::Failed, error.to_string());
    let mut signals = Signals::install()?;
    let mut hub = DevHub::start(DevHubConfig {
        data: args.data.map_or(Data::Memory, Data::File),
        api_key: args.api_key.filter(|key| !key.is_empty()),
        agents: args.agents.into_iter().map(|name| (name.clone(), name)).collect(),
        ..DevHubConfig::new(args.listen)
    })
    .await
    .map_err(failed)?;
    print(&format!("The Hub's page: {}/\nStop it with Ctrl-C.", hub.url()))?;
    tokio::select! {
        _ = signals.next() => {}
        ended = hub.stopped() => ended.map_err(failed)?,
    }
    signals.exit_on_next();
    hub.shutdown().await.map_err(failed)
}
