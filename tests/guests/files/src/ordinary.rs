//! What ordinary programs do with files, through the standard library.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    time::{Duration, SystemTime},
};

pub fn perform(what: &str) -> Result<String, String> {
    let (what, path) = what.split_once(' ').unwrap_or((what, ""));
    let done = match what {
        "tour" => tour(),
        "get" => fs::read_to_string(path),
        "put" => {
            let (path, content) = path.split_once(' ').unwrap_or((path, ""));
            fs::write(path, content).map(|()| String::new())
        }
        "fill" => fill(path),
        "grow" => {
            let (path, length) = path.split_once(' ').unwrap_or((path, ""));
            let length = length.parse().map_err(|error| format!("{length}: {error}"))?;
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .and_then(|file| file.set_len(length))
                .map(|()| String::new())
        }
        "dir" => fs::create_dir(path).map(|()| String::new()),
        other => return Err(format!("no such thing: {other}")),
    };
    done.map_err(|error| format!("{:?}: {error}", error.kind()))
}

/// Everything once. A wrong answer is an error that names it.
fn tour() -> std::io::Result<String> {
    let wrong = |what: &str| Err(std::io::Error::other(format!("wrong: {what}")));
    fs::write("relative.txt", "one\n")?;
    if fs::read_to_string("/relative.txt")? != "one\n" {
        return wrong("relative and absolute paths differ");
    }
    OpenOptions::new()
        .append(true)
        .open("relative.txt")?
        .write_all(b"two\n")?;
    if fs::read_to_string("relative.txt")? != "one\ntwo\n" {
        return wrong("append");
    }
    fs::create_dir_all("a/b/c")?;
    fs::rename("relative.txt", "a/b/c/moved.txt")?;
    if fs::exists("relative.txt")? || fs::metadata("a/b/c/moved.txt")?.len() != 8 {
        return wrong("rename");
    }
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open("a/seek")?;
    file.write_all(&vec![7; 200_000])?;
    file.seek(SeekFrom::Start(199_999))?;
    file.write_all(&[8, 9])?;
    file.seek(SeekFrom::End(-3))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    if end != [7, 8, 9] {
        return wrong("seek");
    }
    file.set_len(5)?;
    file.sync_all()?;
    let earlier = SystemTime::now() - Duration::from_secs(3600);
    file.set_modified(earlier)?;
    let metadata = File::open("a/seek")?.metadata()?;
    let off = metadata.modified()?.duration_since(earlier).unwrap_or_default();
    if metadata.len() != 5 || !metadata.is_file() || off > Duration::from_secs(1) {
        return wrong("metadata");
    }
    fs::copy("a/seek", "a/copied")?;
    let mut names: Vec<_> = fs::read_dir("a")?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, _>>()?;
    names.sort();
    if names != ["b", "copied", "seek"] {
        return wrong("read_dir");
    }
    if fs::canonicalize("a/../a/b").is_ok_and(|path| path.to_string_lossy() != "/a/b") {
        return wrong("canonicalize");
    }
    fs::remove_file("a/copied")?;
    fs::remove_dir_all("a")?;
    if fs::read_dir("/")?.count() != 0 {
        return wrong("remove_dir_all");
    }
    Ok("toured".to_owned())
}

/// Write to one file until that fails; how much went in, and that a smaller file can be written then.
fn fill(path: &str) -> std::io::Result<String> {
    let mut file = File::create(path)?;
    let mut written = 0;
    let error = loop {
        match file.write(&[b'x'; 65_536]) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    file.set_len(1)?;
    file.seek(SeekFrom::Start(1))?;
    file.write_all(b"again")?;
    Ok(format!("{written} {} {error}", file.metadata()?.len()))
}
