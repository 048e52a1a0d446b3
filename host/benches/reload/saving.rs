//! From the saving of a source to the first reply of what it became, in a `warren dev` as people have it.

use std::{
    env, fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use warren_tests::{binary::warren, guests, http::Client, process::Process};

use super::{spread::Spread, store};

const TIMES: usize = 10;

/// How long anything may take before the bench gives up: at first the SDK is built as well.
const WITHIN: Duration = Duration::from_secs(600);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);

/// Where the time went, one after the other.
struct Stages {
    /// Noticing, and waiting for the end of the burst.
    noticed: Duration,
    cargo: Duration,
    /// Leaving the new component alone, and reading it.
    read: Duration,
    compile: Duration,
    /// The rest of the reload.
    swap: Duration,
    /// From a mention that is written then.
    reply: Duration,
    all: Duration,
}

pub fn measure() {
    let folder = store::folder();
    lay_out(folder.path());
    let dev = Dev::start(&folder);
    let stages: Vec<Stages> = (1..=TIMES).map(|n| dev.save(n)).collect();
    println!(
        "{:<28} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}   (ms, medians of {TIMES})",
        "`warren dev`: save to reply", "noticed", "cargo", "read", "compile", "swap", "reply", "ALL", "longest"
    );
    let parts: [fn(&Stages) -> Duration; 7] = [
        |stages| stages.noticed,
        |stages| stages.cargo,
        |stages| stages.read,
        |stages| stages.compile,
        |stages| stages.swap,
        |stages| stages.reply,
        |stages| stages.all,
    ];
    print!("{:<28}", "plugins/echo/src/lib.rs");
    for part in parts {
        print!(" {:>9.1}", Spread::of(stages.iter().map(part)).median() / 1e3);
    }
    let longest = stages.iter().map(|stages| stages.all).max().unwrap();
    println!(" {:>9.1}\n", longest.as_secs_f64() * 1e3);
    dev.stop();
}

/// The crate of `echo`, outside of the workspace and with its profile, and the agent.
fn lay_out(folder: &Path) {
    let crate_of = folder.join("echo");
    copy(&guests::folder("echo"), &crate_of);
    copy(
        &guests::folder("echo").join("../../agents/echo"),
        &folder.join("agents/echo"),
    );
    let sdk = guests::folder("echo").join("../../guest-sdk").canonicalize().unwrap();
    let manifest = format!(
        "[package]\nname = \"echo\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n[lib]\n\
         crate-type = [\"cdylib\"]\n[dependencies]\nwarren-guest-sdk = {{ path = {sdk:?} }}\n[profile.guest]\n\
         inherits = \"release\"\nopt-level = \"s\"\nlto = true\ncodegen-units = 1\nstrip = true\npanic = \"abort\"\n"
    );
    fs::write(crate_of.join("Cargo.toml"), manifest).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

struct Dev {
    process: Process,
    hub: Client,
    code: std::path::PathBuf,
    text: String,
}

impl Dev {
    fn start(folder: &TempDir) -> Dev {
        let path = |name: &str| folder.path().join(name);
        let mut command = warren();
        for kept in ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
            if let Some(value) = env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command
            .args(["dev", "--hub-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"])
            .args(["--sources".as_ref(), path("echo").as_os_str()])
            .args(["--agents-dir".as_ref(), path("agents").as_os_str()])
            .args(["--data-dir".as_ref(), path("data").as_os_str()])
            .env("CARGO", env!("CARGO"))
            .env("CARGO_TARGET_DIR", guests::built_by_others())
            .env("CARGO_NET_OFFLINE", "true")
            .env("WARREN_LOG_FORMAT", "json")
            .current_dir(folder.path());
        let process = Process::spawn("warren dev", &mut command);
        let page = wait("the Hub's address", || {
            let lines = process.stderr_lines();
            let line = lines.iter().find_map(|line| line.trim().strip_prefix("Hub page"))?;
            Some(line.trim().trim_end_matches('/').to_owned())
        });
        let code = path("echo/src/lib.rs");
        let dev = Dev {
            hub: Client::new(page, None),
            text: fs::read_to_string(&code).unwrap(),
            code,
            process,
        };
        wait("the watching", || (dev.logged("watching").len() == 4).then_some(()));
        wait("the first plugin", || dev.logged("plugin ready").pop());
        dev
    }

    fn logged(&self, message: &str) -> Vec<Value> {
        let lines = self.process.stderr_lines();
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }

    /// Save the source, so that it says something new, and have it mentioned as soon as it is there.
    fn save(&self, n: usize) -> Stages {
        let says = format!("edited {n} times");
        let (built, reloaded) = (self.logged("built").len(), self.logged("plugin reloaded").len());
        let began = Instant::now();
        fs::write(
            &self.code,
            self.text
                .replace("answer::text(&greeting,", &format!("answer::text({says:?},")),
        )
        .unwrap();
        let build = wait("the build", || self.logged("built").into_iter().nth(built));
        let at_build = began.elapsed();
        let reload = wait("the reload", || {
            self.logged("plugin reloaded").into_iter().nth(reloaded)
        });
        let at_reload = began.elapsed();
        self.reply(&says);
        let all = began.elapsed();
        let took = |line: &Value, field: &str| duration(line[field].as_str().unwrap());
        let (cargo, whole) = (took(&build, "took"), took(&reload, "took"));
        let (read, compile) = (took(&reload, "reading"), took(&reload, "compiling"));
        Stages {
            noticed: at_build.saturating_sub(cargo),
            cargo,
            read,
            compile,
            swap: whole.saturating_sub(read + compile),
            reply: all - at_reload,
            all,
        }
    }

    fn reply(&self, says: &str) {
        let post = json!({ "author_name": "ada", "title": "Hello", "content": "Hello @echo" });
        let post = self.hub.post("/api/v1/posts", &post).expect(201).json();
        let path = format!("/api/v1/posts/{}?include_comments=true", post["id"].as_str().unwrap());
        wait("the reply", || {
            let thread = self.hub.get(&path).expect(200).json();
            let comment = thread["comments"].as_array()?.first()?["content"].as_str()?.to_owned();
            assert!(comment.starts_with(says), "not of the new generation: {comment}");
            Some(())
        });
    }

    fn stop(mut self) {
        self.process.signal(Signal::TERM);
        self.process.wait_exit(WITHIN);
    }
}

fn wait<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < WITHIN, "{what} did not come within {WITHIN:?}");
        thread::sleep(LOOK);
    }
}

/// As `Duration`'s own `Debug` writes it.
fn duration(text: &str) -> Duration {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap();
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "s" => 1.0,
        "ms" => 1e-3,
        "µs" => 1e-6,
        "ns" => 1e-9,
        other => panic!("{other:?} is no unit of {text:?}"),
    };
    Duration::from_secs_f64(number.parse::<f64>().unwrap() * seconds)
}
