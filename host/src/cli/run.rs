//! `warren run`: a host, until SIGTERM or Ctrl-C.

use super::{
    Global,
    exit::{Exit, Failure},
    host_runtime,
};
use crate::app::{run as app, telemetry};

pub fn run(global: &Global) -> Result<Exit, Failure> {
    let loaded = global.load()?;
    loaded.require_hub()?;
    telemetry::start(&loaded.config.log).map_err(anyhow::Error::from)?;
    host_runtime()?.block_on(app::run(&loaded.config))?;
    Ok(Exit::Ok)
}
