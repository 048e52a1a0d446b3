//! Reads files once nobody writes to them: a copy that is under way is waited for, and what changes while it is read is read
//! again.
//!
//! Nothing tells a reader that a writer has finished. Files that have not changed for a while count as whole, by their own
//! times, or, where those lie in the future, by being looked at again. What was moved into its place keeps its time of
//! writing, and is not waited for.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::{
    task,
    time::{self, Instant},
};

/// The longest that files are waited for.
const AT_MOST: Duration = Duration::from_secs(30);

/// How often they are looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a file stands.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    written: SystemTime,
    size: u64,
    inode: u64,
}

/// How files stand; nothing for one that is not there.
#[derive(PartialEq, Eq)]
struct Stamp(Vec<(PathBuf, Option<Seen>)>);

impl Stamp {
    fn of(files: Vec<PathBuf>) -> Stamp {
        let look = |file: &Path| -> io::Result<Seen> {
            let metadata = fs::metadata(file)?;
            Ok(Seen {
                written: metadata.modified()?,
                size: metadata.len(),
                inode: metadata.ino(),
            })
        };
        let seen = |file: PathBuf| {
            let seen = look(&file).ok();
            (file, seen)
        };
        Stamp(files.into_iter().map(seen).collect())
    }

    /// The file that was written last.
    fn newest(&self) -> Option<(&Path, Seen)> {
        let there = self
            .0
            .iter()
            .filter_map(|(file, seen)| Some((file.as_path(), (*seen)?)));
        there.max_by_key(|(_, seen)| seen.written)
    }

    /// Since the last of them was written, by the clock that files have; zero if that is still to come.
    fn age(&self) -> Duration {
        match self.newest() {
            Some((_, seen)) => seen.written.elapsed().unwrap_or_default(),
            // Nothing is there, and nothing says that something will be.
            None => Duration::MAX,
        }
    }

    /// What was written last, with its size.
    fn says(&self) -> String {
        match self.newest() {
            Some((file, seen)) => format!("{} (now {} bytes)", file.display(), seen.size),
            None => "its files".to_owned(),
        }
    }
}

/// What `read` answers once none of `files` has changed for `still`, and none did while it read. `files` is asked again and
/// again: what belongs together may depend on what stands in one of them. Both may block.
///
/// # Errors
/// In words, if they were still changing after 30 s.
pub(super) async fn read<T, F, R>(files: F, still: Duration, read: R) -> Result<T, String>
where
    T: Send + 'static,
    F: Fn() -> Vec<PathBuf> + Clone + Send + 'static,
    R: Fn() -> T + Clone + Send + 'static,
{
    let began = Instant::now();
    let mut since = began;
    let mut last = look(&files).await?;
    loop {
        let unchanged_for = since.elapsed().max(last.age());
        if unchanged_for >= still {
            let (read, files) = (read.clone(), files.clone());
            let (content, after) = blocking(move || (read(), Stamp::of(files()))).await?;
            if after == last {
                return Ok(content);
            }
            (last, since) = (after, Instant::now());
        } else {
            if began.elapsed() > AT_MOST {
                return Err(format!(
                    "{} was still being written after {AT_MOST:?}; reload again when it is complete",
                    last.says()
                ));
            }
            time::sleep((still - unchanged_for).min(LOOK_EVERY)).await;
            let now = look(&files).await?;
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
    }
}

/// Since this file was written; for ever, if it is not there.
pub(super) fn age(file: &Path) -> Duration {
    Stamp::of(vec![file.to_owned()]).age()
}

async fn look<F: Fn() -> Vec<PathBuf> + Clone + Send + 'static>(files: &F) -> Result<Stamp, String> {
    let files = files.clone();
    blocking(move || Stamp::of(files())).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    task::spawn_blocking(work)
        .await
        .map_err(|error| format!("reading the files failed: {error}"))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write};

    use super::*;

    const STILL: Duration = Duration::from_millis(100);

    fn text(file: &Path) -> impl Fn() -> String + Clone + Send + 'static {
        let file = file.to_owned();
        move || fs::read_to_string(&file).unwrap_or_default()
    }

    fn only(file: &Path) -> impl Fn() -> Vec<PathBuf> + Clone + Send + 'static {
        let file = file.to_owned();
        move || vec![file.clone()]
    }

    #[tokio::test]
    async fn a_file_that_grows_is_read_once_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        let mut writer = File::create(&file).unwrap();
        let writing = task::spawn_blocking(move || {
            for _ in 0..20 {
                writer.write_all(b"x").unwrap();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let seen = read(only(&file), STILL, text(&file)).await.unwrap();
        writing.await.unwrap();
        assert_eq!(seen.len(), 20);
    }

    #[tokio::test]
    async fn an_old_file_and_one_that_is_not_there_are_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        fs::write(&file, "x").unwrap();
        File::open(&file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let began = Instant::now();
        let hour = Duration::from_secs(3600);
        assert_eq!(read(only(&file), hour, text(&file)).await.unwrap(), "x");
        let absent = folder.path().join("absent");
        assert_eq!(read(only(&absent), hour, text(&absent)).await.unwrap(), "");
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn a_file_of_the_future_counts_as_whole_when_it_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        fs::write(&file, "x").unwrap();
        let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
        File::open(&file).unwrap().set_modified(tomorrow).unwrap();
        assert_eq!(read(only(&file), STILL, text(&file)).await.unwrap(), "x");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_never_stops_changing_is_given_up_on_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        fs::write(&file, "").unwrap();
        let restless = file.clone();
        let files = move || {
            let mut file = fs::OpenOptions::new().append(true).open(&restless).unwrap();
            file.write_all(b"x").unwrap();
            vec![restless.clone()]
        };
        let why = read(files, STILL, text(&file)).await.unwrap_err();
        assert!(why.contains("still being written after 30s"), "{why}");
        assert!(
            why.contains(&file.display().to_string()) && why.contains("bytes"),
            "{why}"
        );
    }
}
