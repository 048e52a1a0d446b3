//! The commands. A path is `PATH` from the workspace's root or `HANDLE:PATH` from an open directory; in what `repeat` and
//! `until` do, `#` stands for the number of the round.

use std::collections::BTreeMap;

use crate::{
    ordinary,
    raw::{
        preopens,
        streams::{OutputStream, StreamError},
        types::{
            Descriptor, DescriptorFlags, DescriptorType, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
            filesystem_error_code,
        },
    },
};

/// What a command found, or why it failed.
type Done = Result<String, String>;

struct State {
    root: Descriptor,
    handles: BTreeMap<String, Descriptor>,
}

pub fn run(script: &str) -> String {
    let mut state = match preopens::get_directories().into_iter().next() {
        Some((root, _)) => State {
            root,
            handles: BTreeMap::new(),
        },
        None => return "no workspace".to_owned(),
    };
    let lines = script.lines().filter(|line| !line.trim().is_empty());
    let results = lines.map(|line| match state.perform(line.trim()) {
        Ok(found) => format!("ok {found}").trim_end().to_owned(),
        Err(why) => why,
    });
    results.collect::<Vec<_>>().join("\n")
}

fn words(error: ErrorCode) -> String {
    error.name().to_owned()
}

fn number(words: &mut std::str::SplitWhitespace<'_>) -> Result<u64, String> {
    let word = words.next().ok_or("a number is missing")?;
    word.parse().map_err(|error| format!("{word}: {error}"))
}

fn text<'a>(words: &mut std::str::SplitWhitespace<'a>) -> Result<&'a str, String> {
    words.next().ok_or_else(|| "a word is missing".to_owned())
}

impl State {
    fn perform(&mut self, line: &str) -> Done {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let args = &mut rest.split_whitespace();
        let done = |result: Result<(), ErrorCode>| result.map(|()| String::new()).map_err(words);
        match command {
            "repeat" => self.repeat(rest),
            "until" => self.until(rest),
            "open" => self.open(text(args)?, text(args)?, text(args)?),
            "close" => self
                .handles
                .remove(text(args)?)
                .map(|_| String::new())
                .ok_or("no handle".into()),
            "read" => self.read(text(args)?, number(args)?, number(args)?),
            "write" => self.write(text(args)?, number(args)?, number(args)?),
            "stream" => self.stream(text(args)?, Some(number(args)?), number(args)?),
            "append" => self.stream(text(args)?, None, number(args)?),
            "race" => self.race(text(args)?, number(args)?, number(args)?),
            "resize" => done(self.handle(text(args)?)?.set_size(number(args)?)),
            "touch" => done(
                self.handle(text(args)?)?
                    .set_times(NewTimestamp::NoChange, NewTimestamp::Now),
            ),
            "sync" => done(self.handle(text(args)?)?.sync()),
            "mkdir" => self.at(text(args)?, |dir, path| dir.create_directory_at(path)),
            "rmdir" => self.at(text(args)?, |dir, path| dir.remove_directory_at(path)),
            "unlink" => self.at(text(args)?, |dir, path| dir.unlink_file_at(path)),
            "touch-at" => self.at(text(args)?, |dir, path| {
                dir.set_times_at(PathFlags::SYMLINK_FOLLOW, path, NewTimestamp::Now, NewTimestamp::Now)
            }),
            "rename" => self.between(args, |from, old, to, new| from.rename_at(old, to, new)),
            "link" => self.between(args, |from, old, to, new| {
                from.link_at(PathFlags::empty(), old, to, new)
            }),
            "symlink" => self.between(args, |dir, target, _, path| dir.symlink_at(target, path)),
            "readlink" => self.readlink(text(args)?),
            "stat" => self.stat(text(args)?),
            "same" => self.same(text(args)?, text(args)?),
            "list" => self.list(text(args)?),
            "std" => ordinary::perform(rest),
            unknown => Err(format!("no such command: {unknown}")),
        }
    }

    /// Do it so often; how often it worked, and the last failure.
    fn repeat(&mut self, rest: &str) -> Done {
        let (times, line) = rest.split_once(' ').ok_or("repeat TIMES COMMAND")?;
        let times: u32 = times.parse().map_err(|error| format!("{times}: {error}"))?;
        let (mut worked, mut failure) = (0, String::new());
        for round in 0..times {
            match self.perform(&line.replace('#', &round.to_string())) {
                Ok(_) => worked += 1,
                Err(why) => failure = why,
            }
        }
        Ok(format!("{worked} {failure}"))
    }

    /// Do it until it fails; how often it worked, and the failure.
    fn until(&mut self, line: &str) -> Done {
        for round in 0_u32.. {
            if let Err(why) = self.perform(&line.replace('#', &round.to_string())) {
                return Ok(format!("{round} {why}"));
            }
        }
        Err("it never failed".into())
    }

    fn handle(&self, name: &str) -> Result<&Descriptor, String> {
        self.handles.get(name).ok_or_else(|| format!("no handle {name}"))
    }

    /// A path with what it starts from. `\0` and `\n` stand for themselves as one can't write them in a script.
    fn place(&self, path: &str) -> Result<(&Descriptor, String), String> {
        let (dir, path) = match path.split_once(':') {
            Some((handle, path)) => (self.handle(handle)?, path),
            None => (&self.root, path),
        };
        let path = path.replace("\\0", "\0").replace("\\n", "\n").replace("\\s", " ");
        Ok((dir, path))
    }

    fn at(&self, path: &str, call: impl Fn(&Descriptor, &str) -> Result<(), ErrorCode>) -> Done {
        let (dir, path) = self.place(path)?;
        call(dir, &path).map(|()| String::new()).map_err(words)
    }

    fn between(
        &self,
        args: &mut std::str::SplitWhitespace<'_>,
        call: impl Fn(&Descriptor, &str, &Descriptor, &str) -> Result<(), ErrorCode>,
    ) -> Done {
        let (from, old) = self.place(text(args)?)?;
        let (to, new) = self.place(text(args)?)?;
        call(from, &old, to, &new).map(|()| String::new()).map_err(words)
    }

    /// FLAGS are letters: read, write, create, x for exclusive, truncate, directory, follow.
    fn open(&mut self, name: &str, path: &str, flags: &str) -> Done {
        let (dir, path) = self.place(path)?;
        let mut how = OpenFlags::empty();
        let mut may = DescriptorFlags::empty();
        let mut follow = PathFlags::empty();
        for flag in flags.chars() {
            match flag {
                'r' => may = may | DescriptorFlags::READ,
                'w' => may = may | DescriptorFlags::WRITE,
                'm' => may = may | DescriptorFlags::MUTATE_DIRECTORY,
                'c' => how = how | OpenFlags::CREATE,
                'x' => how = how | OpenFlags::EXCLUSIVE,
                't' => how = how | OpenFlags::TRUNCATE,
                'd' => how = how | OpenFlags::DIRECTORY,
                'f' => follow = follow | PathFlags::SYMLINK_FOLLOW,
                unknown => return Err(format!("no such flag: {unknown}")),
            }
        }
        let opened = dir.open_at(follow, &path, how, may).map_err(words)?;
        self.handles.insert(name.to_owned(), opened);
        Ok(String::new())
    }

    fn read(&self, name: &str, offset: u64, count: u64) -> Done {
        let (bytes, end) = self.handle(name)?.read(count, offset).map_err(words)?;
        Ok(format!("{} {}", bytes.len(), if end { "end" } else { "more" }))
    }

    fn write(&self, name: &str, offset: u64, count: u64) -> Done {
        let bytes = vec![b'x'; count as usize];
        self.handle(name)?
            .write(&bytes, offset)
            .map(|_| String::new())
            .map_err(words)
    }

    /// Write through a stream, at an offset or at the end.
    fn stream(&self, name: &str, offset: Option<u64>, count: u64) -> Done {
        let file = self.handle(name)?;
        let stream = match offset {
            Some(offset) => file.write_via_stream(offset),
            None => file.append_via_stream(),
        };
        let stream = stream.map_err(words)?;
        let mut left = count as usize;
        while left > 0 {
            let now = left.min(4096);
            stream
                .blocking_write_and_flush(&vec![b'x'; now])
                .map_err(stream_error)?;
            left -= now;
        }
        Ok(String::new())
    }

    /// Write through so many streams at once, each its own part of the file; how many got through.
    fn race(&self, name: &str, count: u64, each: u64) -> Done {
        let file = self.handle(name)?;
        let mut streams: Vec<OutputStream> = Vec::new();
        for n in 0..count {
            let stream = file.write_via_stream(n * each).map_err(words)?;
            stream.write(&vec![b'x'; each as usize]).map_err(stream_error)?;
            streams.push(stream);
        }
        let mut through = 0;
        let mut failure = String::new();
        for stream in &streams {
            match stream.blocking_flush() {
                Ok(()) => through += 1,
                Err(error) => failure = stream_error(error),
            }
        }
        Ok(format!("{through} {failure}"))
    }

    fn readlink(&self, path: &str) -> Done {
        let (dir, path) = self.place(path)?;
        dir.readlink_at(&path).map_err(words)
    }

    fn stat(&self, path: &str) -> Done {
        let (dir, path) = self.place(path)?;
        let stat = dir.stat_at(PathFlags::empty(), &path).map_err(words)?;
        let kind = match stat.type_ {
            DescriptorType::Directory => "directory",
            DescriptorType::RegularFile => "file",
            DescriptorType::SymbolicLink => "link",
            _ => "special",
        };
        Ok(match stat.type_ {
            DescriptorType::RegularFile => format!("{kind} {}", stat.size),
            _ => kind.to_owned(),
        })
    }

    fn same(&self, one: &str, other: &str) -> Done {
        let (one, other) = (self.handle(one)?, self.handle(other)?);
        let hashes = (
            one.metadata_hash().map_err(words)?,
            other.metadata_hash().map_err(words)?,
        );
        let same_hash = (hashes.0.lower, hashes.0.upper) == (hashes.1.lower, hashes.1.upper);
        Ok(format!("{} {same_hash}", one.is_same_object(other)))
    }

    /// How many entries there are, and the names of a few.
    fn list(&self, path: &str) -> Done {
        let (dir, path) = self.place(path)?;
        let dir = dir
            .open_at(PathFlags::empty(), &path, OpenFlags::DIRECTORY, DescriptorFlags::READ)
            .map_err(words)?;
        let entries = dir.read_directory().map_err(words)?;
        let mut names = Vec::new();
        while let Some(entry) = entries.read_directory_entry().map_err(words)? {
            names.push(entry.name);
        }
        names.sort();
        let count = names.len();
        names.truncate(10);
        Ok(format!("{count} {}", names.join(" ")))
    }
}

fn stream_error(error: StreamError) -> String {
    match error {
        StreamError::Closed => "closed".to_owned(),
        StreamError::LastOperationFailed(error) => {
            filesystem_error_code(&error).map_or_else(|| error.to_debug_string(), words)
        }
    }
}
