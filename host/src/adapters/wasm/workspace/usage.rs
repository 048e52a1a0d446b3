//! What a workspace holds: bytes and entries, kept exact from call to call so that no call has to measure.
//!
//! Pure: the files themselves are the caller's. A file that was unlinked but is still open goes on taking its bytes until
//! the last handle is closed, as it does on the disk.

use std::collections::HashMap;

/// What a file is known by while it is open: its inode.
pub type FileId = u64;

/// What a workspace may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The lengths of all files together.
    pub bytes: u64,
    /// Files and directories together.
    pub entries: u64,
}

/// A change that would go over the quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    Bytes,
    Entries,
}

#[derive(Debug, Default)]
pub struct Usage {
    bytes: u64,
    entries: u64,
    open: HashMap<FileId, OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    length: u64,
    handles: usize,
    linked: bool,
}

impl Usage {
    /// What was found on the disk, while nothing is open.
    pub fn measured(bytes: u64, entries: u64) -> Usage {
        Usage {
            bytes,
            entries,
            open: HashMap::new(),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Whether one more file or directory fits.
    pub fn may_add(&self, quota: Quota) -> Result<(), Over> {
        if self.entries < quota.entries {
            Ok(())
        } else {
            Err(Over::Entries)
        }
    }

    /// Whether a file of `from` bytes may become `to` bytes long. Becoming no longer always fits, also in a workspace that
    /// holds more than it may by now.
    pub fn may_grow(&self, from: u64, to: u64, quota: Quota) -> Result<(), Over> {
        let more = to.saturating_sub(from);
        if more == 0 || self.bytes.saturating_add(more) <= quota.bytes {
            Ok(())
        } else {
            Err(Over::Bytes)
        }
    }

    /// There is a new file or directory.
    pub fn added(&mut self) {
        self.entries += 1;
    }

    pub fn removed_directory(&mut self) {
        self.entries = self.entries.saturating_sub(1);
    }

    /// A file that was `length` bytes long has lost its name.
    pub fn removed_file(&mut self, id: FileId, length: u64) {
        self.entries = self.entries.saturating_sub(1);
        match self.open.get_mut(&id) {
            Some(open) => open.linked = false,
            None => self.bytes = self.bytes.saturating_sub(length),
        }
    }

    /// There is one more handle of a file, which is `length` bytes long.
    pub fn opened(&mut self, id: FileId, length: u64) {
        if let Some(open) = self.open.get_mut(&id) {
            open.handles += 1;
            return self.resized(id, length);
        }
        self.open.insert(
            id,
            OpenFile {
                length,
                handles: 1,
                linked: true,
            },
        );
    }

    /// An open file is `length` bytes long now.
    pub fn resized(&mut self, id: FileId, length: u64) {
        if let Some(open) = self.open.get_mut(&id) {
            self.bytes = self.bytes.saturating_sub(open.length).saturating_add(length);
            open.length = length;
        }
    }

    /// A handle of a file is closed.
    pub fn closed(&mut self, id: FileId) {
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        open.handles -= 1;
        if open.handles == 0 {
            if !open.linked {
                self.bytes = self.bytes.saturating_sub(open.length);
            }
            self.open.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUOTA: Quota = Quota { bytes: 100, entries: 4 };

    /// What may happen to a workspace; numbers pick among what there is.
    #[derive(Clone, Debug)]
    enum Step {
        Create,
        MakeDirectory,
        RemoveDirectory,
        Open(usize),
        Close(usize),
        Resize(usize, u64),
        Unlink(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let pick = 0..8_usize;
        let step = prop_oneof![
            2 => Just(Step::Create),
            1 => Just(Step::MakeDirectory),
            1 => Just(Step::RemoveDirectory),
            2 => pick.clone().prop_map(Step::Open),
            2 => pick.clone().prop_map(Step::Close),
            4 => (pick.clone(), 0..120_u64).prop_map(|(n, length)| Step::Resize(n, length)),
            2 => pick.prop_map(Step::Unlink),
        ];
        prop::collection::vec(step, 0..80)
    }

    #[derive(Clone, Debug)]
    struct File {
        id: FileId,
        length: u64,
        handles: usize,
        linked: bool,
    }

    /// The plain truth: every file there is, counted anew at each question.
    #[derive(Default)]
    struct Model {
        files: Vec<File>,
        directories: u64,
        next: FileId,
    }

    impl Model {
        fn bytes(&self) -> u64 {
            self.files.iter().map(|file| file.length).sum()
        }

        fn entries(&self) -> u64 {
            self.directories + self.files.iter().filter(|file| file.linked).count() as u64
        }

        fn pick(&mut self, n: usize, of: impl Fn(&File) -> bool) -> Option<&mut File> {
            let count = self.files.iter().filter(|file| of(file)).count();
            self.files.iter_mut().filter(|file| of(file)).nth(n.checked_rem(count)?)
        }
    }

    /// Do a step with both, as the workspace does it: ask first, then tell.
    fn perform(step: &Step, usage: &mut Usage, model: &mut Model) {
        let (bytes, entries) = (model.bytes(), model.entries());
        match *step {
            Step::Create => {
                assert_eq!(usage.may_add(QUOTA).is_ok(), entries < QUOTA.entries);
                if entries < QUOTA.entries {
                    let id = model.next;
                    model.next += 1;
                    usage.added();
                    usage.opened(id, 0);
                    model.files.push(File {
                        id,
                        length: 0,
                        handles: 1,
                        linked: true,
                    });
                }
            }
            Step::MakeDirectory if usage.may_add(QUOTA).is_ok() => {
                usage.added();
                model.directories += 1;
            }
            Step::RemoveDirectory if model.directories > 0 => {
                usage.removed_directory();
                model.directories -= 1;
            }
            Step::MakeDirectory | Step::RemoveDirectory => {}
            Step::Open(n) => {
                if let Some(file) = model.pick(n, |file| file.linked) {
                    usage.opened(file.id, file.length);
                    file.handles += 1;
                }
            }
            Step::Close(n) => {
                if let Some(file) = model.pick(n, |file| file.handles > 0) {
                    usage.closed(file.id);
                    file.handles -= 1;
                }
            }
            Step::Resize(n, length) => {
                if let Some(file) = model.pick(n, |file| file.handles > 0) {
                    let fits = length <= file.length || bytes - file.length + length <= QUOTA.bytes;
                    assert_eq!(usage.may_grow(file.length, length, QUOTA).is_ok(), fits);
                    if fits {
                        usage.resized(file.id, length);
                        file.length = length;
                    }
                }
            }
            Step::Unlink(n) => {
                if let Some(file) = model.pick(n, |file| file.linked) {
                    usage.removed_file(file.id, file.length);
                    file.linked = false;
                }
            }
        }
        model.files.retain(|file| file.linked || file.handles > 0);
    }

    proptest! {
        #[test]
        fn usage_is_what_there_is_after_any_steps(steps in steps()) {
            let (mut usage, mut model) = (Usage::default(), Model::default());
            for step in &steps {
                perform(step, &mut usage, &mut model);
                prop_assert_eq!((usage.bytes(), usage.entries()), (model.bytes(), model.entries()), "after {:?}", step);
                prop_assert!(usage.bytes() <= QUOTA.bytes && usage.entries() <= QUOTA.entries);
            }
        }
    }

    #[test]
    fn nothing_overflows_and_shrinking_always_fits() {
        let mut usage = Usage::measured(500, 9);
        assert_eq!(usage.may_add(QUOTA), Err(Over::Entries));
        usage.opened(1, 300);
        assert_eq!(usage.may_grow(300, u64::MAX, QUOTA), Err(Over::Bytes));
        assert_eq!(usage.may_grow(300, 301, QUOTA), Err(Over::Bytes));
        assert_eq!(usage.may_grow(300, 10, QUOTA), Ok(()));
        usage.resized(1, 10);
        assert_eq!(usage.bytes(), 210);
    }

    #[test]
    fn a_file_that_somebody_else_made_longer_counts_at_its_next_opening() {
        let mut usage = Usage::measured(10, 1);
        usage.opened(1, 10);
        usage.opened(1, 50);
        assert_eq!(usage.bytes(), 50);
    }
}
