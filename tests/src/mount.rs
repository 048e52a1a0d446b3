//! File systems of a test's own: small ones, and one that stands still. Mounting needs root; elsewhere a test does without,
//! loudly.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// A file system that is unmounted at the end.
pub struct Mount {
    at: PathBuf,
    frozen: bool,
}

impl Mount {
    /// In memory, with these options of tmpfs, such as `size=1m`. Nothing, and words about it, where this is not allowed.
    pub fn small(at: PathBuf, options: &str) -> Option<Mount> {
        Mount::new(at, &["-t", "tmpfs", "-o", options, "tmpfs"])
    }

    /// In a file, of some megabytes: one that can be made to stand still.
    pub fn in_file(file: &Path, at: PathBuf) -> Option<Mount> {
        File::create(file)
            .and_then(|image| image.set_len(16 << 20))
            .expect("a file can be made");
        let made = Command::new("mkfs.ext4").arg("-q").arg(file).output();
        if !made.as_ref().is_ok_and(|made| made.status.success()) {
            skipped(&format!("mkfs.ext4 can't be used here: {made:?}"));
            return None;
        }
        Mount::new(at, &["-o", "loop", file.to_str()?])
    }

    fn new(at: PathBuf, arguments: &[&str]) -> Option<Mount> {
        fs::create_dir_all(&at).expect("a folder can be made");
        match Command::new("mount").args(arguments).arg(&at).output() {
            Ok(output) if output.status.success() => Some(Mount { at, frozen: false }),
            refused => {
                skipped(&format!(
                    "a file system can't be mounted here, which needs root: {refused:?}"
                ));
                None
            }
        }
    }

    pub fn at(&self) -> &Path {
        &self.at
    }

    pub fn remount(&self, option: &str) {
        let done = Command::new("mount")
            .args(["-o", &format!("remount,{option}")])
            .arg(&self.at)
            .status();
        assert!(done.is_ok_and(|status| status.success()), "remount {option}");
    }

    /// From now on whoever writes waits, and can't be killed, until it is thawed.
    pub fn freeze(&mut self) {
        assert!(self.command("fsfreeze", "-f"), "freeze");
        self.frozen = true;
    }

    pub fn thaw(&mut self) {
        assert!(self.command("fsfreeze", "-u"), "thaw");
        self.frozen = false;
    }

    fn command(&self, program: &str, option: &str) -> bool {
        let done = Command::new(program).arg(option).arg(&self.at).status();
        done.is_ok_and(|status| status.success())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.frozen && !self.command("fsfreeze", "-u") {
            eprintln!("{} could not be thawed", self.at.display());
        }
        // Lazily: a host that is being killed may still have files open.
        if !self.command("umount", "-l") {
            eprintln!("{} could not be unmounted", self.at.display());
        }
    }
}

/// Says that a test does not test. Not by the macro, whose output the test runner would keep to itself.
fn skipped(why: &str) {
    let words = format!("SKIPPED: {why}\n");
    std::io::stderr()
        .write_all(words.as_bytes())
        .expect("there is a standard error");
}
