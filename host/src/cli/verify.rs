//! `warren verify`: the verification plan of a cluster, carried out on live hosts, as a report in Markdown.
//!
//! Without `--disruptive` it only reads. With it, the leadership is handed over and back while hosts run probes in a scope
//! of their own ([`crate::app::verify`]), which is destroyed at the end. Everything goes over the hosts' APIs: what is
//! judged is what an operator could see, and each row of the report says how.

mod by_hand;
mod cluster;
mod disturbing;
mod handing_over;
mod judging;
mod looking;
mod metrics;
mod probing;
mod report;

use std::time::Instant;

use self::{
    by_hand::Hands,
    cluster::Cluster,
    report::{Report, Row},
};
use super::{
    Global, block_on,
    client::{Client, HostArgs},
    exit::{Exit, Failure},
    output::{json, print},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also hand the leadership over and back, let a probe agent fail, and run some load of probes.
    #[arg(long)]
    disruptive: bool,
    #[command(flatten)]
    host: HostArgs,
}

pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let client = Client::new(global, &args.host)?;
    let report = block_on(verify(&client, args.disruptive))??;
    print(&if global.json { json(&report)? } else { report.markdown() })?;
    Ok(if report.holds { Exit::Ok } else { Exit::Failed })
}

async fn verify(client: &Client, disruptive: bool) -> Result<Report, Failure> {
    let began = Instant::now();
    let cluster = Cluster::find(client).await?;
    let hands = Hands::of(&cluster);
    eprintln!("warren: looking at {} live hosts", cluster.members.len());
    let mut rows = looking::rows(&cluster, &hands, disruptive).await;
    rows.extend(if disruptive {
        disturbing::rows(&cluster, &hands).await?
    } else {
        skipped(&hands)
    });
    Ok(Report::of(&cluster, rows, disruptive, began.elapsed()))
}

fn skipped(hands: &Hands) -> Vec<Row> {
    let why = "not looked at: it disturbs the cluster, and needs --disruptive";
    disturbing::plan(hands)
        .into_iter()
        .map(|planned| planned.row(report::Judged::skipped(why)))
        .collect()
}
