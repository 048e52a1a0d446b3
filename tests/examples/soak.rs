//! `cargo xtask soak --minutes N --seed S`: runs of the nemesis, one after another, each with a seed of its own; ends at the
//! first that proves a promise broken.

use std::{
    env, fs,
    process::ExitCode,
    time::{Duration, Instant},
};

use warren_tests::{
    checkers::{self, Rules},
    history::{Record, What},
    interrupt,
    nemesis::Run,
};

/// How long things go wrong in one run: long enough for every fault, short enough for an excerpt to be understood.
const SPAN: Duration = Duration::from_secs(60);
const USAGE: &str = "\
Usage: cargo xtask soak [--minutes N] [--seed S] [--hosts N]

  --minutes N  go on with the next seed for so long (default 10; 0 is one run)
  --seed S     the first run's seed; the next ones count up (default: random)
  --hosts N    hosts of the cluster (default 3)
";

struct Args {
    minutes: u64,
    seed: u64,
    hosts: usize,
}

fn main() -> ExitCode {
    let args = match parse(env::args().skip(1)) {
        Ok(args) => args,
        Err(why) => {
            eprint!("soak: {why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = interrupt::note_signals() {
        eprintln!("soak: can't listen for signals: {error}");
        return ExitCode::FAILURE;
    }
    let ends = Instant::now() + Duration::from_secs(60 * args.minutes);
    let mut seed = args.seed;
    loop {
        let run = Run {
            seed,
            hosts: args.hosts,
            span: SPAN,
        };
        println!("seed {seed}: {} hosts, {SPAN:?} of trouble", args.hosts);
        let history = run.history();
        let broken = checkers::judge(&history, &Rules::of_the_harness());
        if !broken.is_empty() {
            for record in history.iter().filter(|record| matches!(record.what, What::Nemesis(_))) {
                println!("  {record}");
            }
            for violation in &broken {
                print!("{violation}");
            }
            println!(
                "seed {seed}: {} proofs of broken promises in {} records, {}",
                broken.len(),
                history.len(),
                kept(&history, seed)
            );
            return ExitCode::FAILURE;
        }
        println!("seed {seed}: every promise kept in {} records", history.len());
        if Instant::now() >= ends {
            return ExitCode::SUCCESS;
        }
        seed = seed.wrapping_add(1);
    }
}

/// Write the whole history to a file: a seed decides what goes wrong and when, and not what each process does in between. Where
/// it is, in words.
fn kept(history: &[Record], seed: u64) -> String {
    let file = env::temp_dir().join(format!("warren-soak-{seed}.txt"));
    let lines: String = history.iter().map(|record| format!("{record}\n")).collect();
    match fs::write(&file, lines) {
        Ok(()) => format!("which are in {}", file.display()),
        Err(error) => format!("which can't be written to {}: {error}", file.display()),
    }
}

fn parse(mut given: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut args = Args {
        minutes: 10,
        seed: rand::random(),
        hosts: 3,
    };
    while let Some(name) = given.next() {
        let value = given.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number: u64 = value
            .parse()
            .map_err(|_| format!("{name} is {value:?}, which is no number"))?;
        match name.as_str() {
            "--minutes" => args.minutes = number,
            "--seed" => args.seed = number,
            "--hosts" if (1..=20).contains(&number) => args.hosts = usize::try_from(number).unwrap_or(1),
            "--hosts" => return Err(format!("--hosts is {number}; 1 to 20 is allowed")),
            other => return Err(format!("there is no option {other:?}")),
        }
    }
    Ok(args)
}
