//! What only somebody else can have put into a workspace: refused with words, never followed, opened or waited for.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    process::Command,
};

use super::{Given, Rig};
use crate::sandbox::harness::{FakeHost, Hub, summary};

#[tokio::test]
async fn links_pipes_and_the_like_are_refused() {
    let rig = Rig::new().await;
    let (folder, secret) = (rig.folder("agent"), rig.outside().join("secret"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("own"), "own").unwrap();
    symlink(&secret, folder.join("to-file")).unwrap();
    symlink(rig.outside(), folder.join("to-dir")).unwrap();
    symlink("own", folder.join("to-own")).unwrap();
    symlink("to-itself", folder.join("to-itself")).unwrap();
    fs::hard_link(&secret, folder.join("second-name")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(folder.join("pipe"))
            .status()
            .unwrap()
            .success()
    );
    fs::write(folder.join(OsStr::from_bytes(b"\xff\xfe")), "").unwrap();
    let before = rig.surroundings();
    let mut script = String::new();
    for (name, code) in [
        ("to-file", "loop"),
        ("to-dir", "loop"),
        ("to-own", "loop"),
        ("to-itself", "loop"),
        ("second-name", "too-many-links"),
        ("pipe", "not-permitted"),
    ] {
        for flags in ["r", "rf", "w", "rw", "rwc", "rwcf", "rwt", "rwtf", "rd", "rdf"] {
            script.push_str(&format!("open x {name} {flags} => {code}\n"));
        }
        script.push_str(&format!("rename {name} moved => {code}\n"));
    }
    script.push_str(
        "open x to-dir/secret r => loop
         open x to-dir/new rwc => loop
         mkdir to-dir/new => loop
         unlink to-dir/secret => loop
         rename own to-dir/own => loop
         stat to-dir/secret => loop
         stat to-dir/ => not-directory
         stat to-file => ok link
         stat pipe => ok special
         readlink to-file => not-permitted
         open x to-dir/../own r => loop
         list . => illegal-byte-sequence
         touch-at to-file => ok
         std get own => ok own",
    );
    rig.check(&script).await;
    assert_eq!(rig.surroundings(), before);
    // Taking them away does nothing to what they lead to.
    rig.check("unlink to-file => ok\n unlink to-dir => ok\n unlink second-name => ok\n unlink pipe => ok")
        .await;
    assert_eq!(fs::read_to_string(secret).unwrap(), "the host's");
    assert_eq!(rig.on_disk(), (3, 4));
}

#[tokio::test]
async fn the_log_names_what_is_refused() {
    let rig = Rig::new().await;
    fs::create_dir_all(rig.folder("agent")).unwrap();
    symlink("/etc", rig.folder("agent").join("etc")).unwrap();
    let host = FakeHost::new(Hub::Answers);
    let activated = rig
        .activate(&host, Given::default(), "list etc\n stat etc/passwd")
        .await;
    assert_eq!(summary(&activated), "loop\nloop");
    let lines = host.lines();
    assert_eq!(
        lines,
        ["\"etc\" in the workspace is a link: agents can't use it, take it away"]
    );
}
