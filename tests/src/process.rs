//! A process whose output is collected while it runs, and which does not outlive its test.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{SOON, eventually};

/// How much of a process's output is shown when its test fails.
const TAIL: usize = 80;

/// How a command ended and what it said.
#[derive(Clone, Debug)]
pub struct Finished {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// The standard output, if it ended with this code.
    #[track_caller]
    pub fn expect(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:#?}");
        &self.stdout
    }

    /// The standard error, if the command failed with this code.
    #[track_caller]
    pub fn refused(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:#?}");
        &self.stderr
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Collects what comes, until the other side closes it.
    fn follow(&self, from: impl Read + Send + 'static) -> JoinHandle<()> {
        let lines = self.0.clone();
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                line.clear();
            }
        })
    }
}

/// A process of this test. Dropping it kills it; if the test fails, the end of its output is shown.
pub struct Process {
    name: String,
    child: Child,
    stdout: Lines,
    stderr: Lines,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a command. `name` is what it is called when its output is shown.
    pub fn spawn(name: &str, command: &mut Command) -> Process {
        Process::spawn_with(name, command, Stdio::null())
    }

    fn spawn_with(name: &str, command: &mut Command, stdin: Stdio) -> Process {
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} can't be started: {error}"));
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let readers = vec![
            stdout.follow(child.stdout.take().expect("the output is a pipe")),
            stderr.follow(child.stderr.take().expect("the output is a pipe")),
        ];
        Process {
            name: name.to_owned(),
            child,
            stdout,
            stderr,
            readers,
        }
    }

    /// Runs a command to its end, which must come within [`SOON`].
    #[track_caller]
    pub fn run(command: &mut Command) -> Finished {
        Process::spawn("command", command).finish()
    }

    /// The same, with something on its standard input.
    #[track_caller]
    pub fn run_with_input(command: &mut Command, input: &[u8]) -> Finished {
        let mut process = Process::spawn_with("command", command, Stdio::piped());
        let mut stdin = process.child.stdin.take().expect("the input is a pipe");
        // A command that has read enough closes the pipe; what it says about that is the test's to judge.
        let _ = stdin.write_all(input);
        drop(stdin);
        process.finish()
    }

    #[track_caller]
    fn finish(mut self) -> Finished {
        let code = self.wait_exit(SOON).code();
        Finished {
            code,
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub fn stdout(&self) -> String {
        self.stdout.all().join("\n")
    }

    pub fn stderr(&self) -> String {
        self.stderr.all().join("\n")
    }

    pub fn stdout_lines(&self) -> Vec<String> {
        self.stdout.all()
    }

    pub fn stderr_lines(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// The status, if it has ended; its output is complete then.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child can be waited for")?;
        for reader in self.readers.drain(..) {
            // A reader only collects lines; one that panicked has said so.
            let _ = reader.join();
        }
        Some(status)
    }

    #[track_caller]
    pub fn wait_exit(&mut self, within: Duration) -> ExitStatus {
        let what = format!("the end of {} (process {})", self.name, self.child.id());
        eventually(what, within, || self.exited())
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&mut self, signal: Signal) {
        if self.exited().is_none() {
            kill_process(Pid::from_child(&self.child), signal).expect("a child can be sent signals");
        }
    }

    /// `kill -9`, and gone when this returns.
    #[track_caller]
    pub fn kill9(&mut self) {
        self.signal(Signal::KILL);
        self.wait_exit(SOON);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Nothing can be done about a process that can't be killed.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if thread::panicking() {
            let (out, err) = (self.stdout.all(), self.stderr.all());
            eprintln!("--- {}: the end of its output", self.name);
            for line in out.iter().skip(out.len().saturating_sub(TAIL)) {
                eprintln!("{line}");
            }
            for line in err.iter().skip(err.len().saturating_sub(TAIL)) {
                eprintln!("{line}");
            }
            eprintln!("---");
        }
    }
}
