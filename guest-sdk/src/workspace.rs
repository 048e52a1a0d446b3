//! The agent's workspace: files of its own, for `std::fs`.
//!
//! Needs `workspace:write`, or `workspace:read` where the agent only reads. The files belong to the agent, and no other
//! agent sees them; they are scratch space of the host that it runs on, and what must last belongs into
//! [`state`](crate::state). Limits of the host are 16 MiB and 1,000 files and directories unless the operator set
//! others. There are no links, and directories lie at most 32 deep.
//!
//! What is over a limit fails with [`QuotaExceeded`](std::io::ErrorKind::QuotaExceeded), and what a full disk has no room
//! for with [`StorageFull`](std::io::ErrorKind::StorageFull): all but a write. Of a write the C library below `std` says "I/O
//! error", whatever the reason was. To be told the reason, make room with [`File::set_len`](std::fs::File::set_len) first.
//! The agent's log names the limit in any case.
//!
//! ```no_run
//! # use warren_guest_sdk::prelude::*;
//! # fn activate(thread: &str) -> Result<()> {
//! std::fs::create_dir_all(workspace::path("notes"))?;
//! let file = workspace::path("notes").join(workspace::file_name(thread));
//! std::fs::write(file, "seen")?;
//! # Ok(())
//! # }
//! ```

use std::path::{Path, PathBuf};

use crate::imports::workspace as host;

/// The longest name that is the whole id; file systems take 255 bytes.
const LONGEST: usize = 200;

/// Where the file or directory of this name is. On a host that is the name below `/`; in a test it is below a folder of
/// that test ([`testing::Host::workspace`](crate::testing::Host::workspace)), so that the same code works in both.
pub fn path(name: impl AsRef<Path>) -> PathBuf {
    let name = name.as_ref();
    host::root().join(name.strip_prefix("/").unwrap_or(name))
}

/// A name for the file of something that has an opaque id, such as a post: the id itself as far as it is letters, digits,
/// `-` and `_`, with the other bytes as `%` and two digits. Of a very long one the beginning and a checksum.
pub fn file_name(id: &str) -> String {
    let mut name = String::new();
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            other => name.push_str(&format!("%{other:02x}")),
        }
    }
    if name.len() > LONGEST {
        name.truncate(LONGEST);
        name.push_str(&format!("~{:016x}", checksum(id)));
    }
    name
}

/// FNV-1a.
fn checksum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_plain() {
        assert_eq!(file_name("post-1_A"), "post-1_A");
        assert_eq!(file_name("../é"), "%2e%2e%2f%c3%a9");
        let (one, other) = (file_name(&"/".repeat(300)), file_name(&"/".repeat(301)));
        assert!(one != other && one.len() <= 255, "{one} {other}");
    }
}
