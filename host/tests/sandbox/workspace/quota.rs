//! The quota holds whichever way a guest writes, and however many ways at once.

use std::fs;

use warren::domain::limits::Limits;

use super::{Given, Rig};
use crate::sandbox::harness::{FakeHost, Hub, summary};

fn given(bytes: u64, entries: u32) -> Given {
    Given {
        limits: Limits {
            workspace_bytes: bytes,
            workspace_entries: entries,
            ..Limits::default()
        },
        ..Given::default()
    }
}

#[tokio::test]
async fn bytes_are_bounded_however_a_file_grows() {
    let rig = Rig::new().await;
    rig.check_as(
        given(10_000, 10),
        "open f file rwc => ok
         write f 0 10000 => ok
         write f 10000 1 => quota
         write f 0 10000 => ok
         write f 9999 2 => quota
         write f 18446744073709551614 1 => quota
         write f 18446744073709551615 1 => file-too-large
         write f 18446744073709551615 2 => file-too-large
         write f 9223372036854775807 1 => quota
         stream f 10000 1 => quota
         append f 1 => quota
         resize f 10001 => quota
         resize f 18446744073709551615 => quota
         resize f 4000 => ok
         append f 6000 => ok
         append f 1 => quota
         resize f 0 => ok
         resize f 10000 => ok
         open g other rwc => ok
         write g 0 1 => quota
         write g 0 0 => ok
         write g 18446744073709551615 0 => ok
         resize f 0 => ok
         write g 9999 1 => ok
         write f 0 1 => quota
         open g other rwt => ok
         write f 9000 1 => ok
         open f file rt => ok
         write g 0 10000 => ok
         stat other => ok file 10000",
    )
    .await;
    assert_eq!(rig.on_disk(), (10_000, 2));
}

#[tokio::test]
async fn an_unlinked_file_takes_its_bytes_until_it_is_closed() {
    let rig = Rig::new().await;
    rig.check_as(
        given(10_000, 3),
        "open f file rwc => ok
         open g file rw => ok
         write f 0 8000 => ok
         unlink file => ok
         open h file rwc => ok
         write h 0 8000 => quota
         write g 8000 2000 => ok
         read f 9999 10 => ok 1 more
         close f => ok
         write h 0 1 => quota
         close g => ok
         write h 0 8000 => ok
         open i over rwc => ok
         write i 0 2000 => ok
         rename over file => ok
         append i 1 => quota
         close h => ok
         append i 8000 => ok
         stat file => ok file 10000",
    )
    .await;
    assert_eq!(rig.on_disk(), (10_000, 1));
}

#[tokio::test]
async fn many_handles_and_streams_at_once_do_not_pass_it() {
    let rig = Rig::new().await;
    // 40 streams on one file, and a file written through 20 handles.
    let script = "open f file rwc\n race f 40 4096\n repeat 20 open h# shared rwc\n repeat 20 append h# 4096\n \
                  repeat 20 append h# 1024\n std fill third";
    let results = rig.run_as(given(100_000, 10), script).await;
    assert_eq!(results[1], "ok 24 quota", "{results:?}");
    assert_eq!(
        (results[3].as_str(), results[4].as_str()),
        ("ok 0 quota", "ok 1 quota"),
        "{results:?}"
    );
    let (bytes, entries) = rig.on_disk();
    assert!(bytes <= 100_000 && bytes > 90_000, "{bytes}");
    assert_eq!(entries, 3);
}

#[tokio::test]
async fn two_activations_of_one_agent_share_it() {
    let rig = Rig::new().await;
    let hosts = [FakeHost::new(Hub::Answers), FakeHost::new(Hub::Answers)];
    let scripts = ["A", "B"].map(|name| {
        format!("open f {name} rwc\n until append f 1000\n resize f 10\n until mkdir {name}#\n until append f 1000\n stat {name}")
    });
    let [first, second] = [0, 1].map(|n| rig.activate(&hosts[n], given(500_000, 100), &scripts[n]));
    let (first, second) = tokio::join!(first, second);
    for activated in [first, second] {
        let lines: Vec<_> = summary(&activated).lines().collect();
        assert!(lines[1].ends_with("quota") && lines[3].ends_with("quota"), "{lines:?}");
    }
    let (bytes, entries) = rig.on_disk();
    assert!((400_000..=500_000).contains(&bytes), "{bytes}");
    assert_eq!(entries, 100);
}

#[tokio::test]
async fn entries_are_bounded() {
    let rig = Rig::new().await;
    let results = rig
        .run("repeat 600 mkdir d#\n until open f f# rwc\n close f\n mkdir more\n open f f0 rwc\n list .\n unlink f0\n mkdir more\n open f f0 rwc")
        .await;
    assert_eq!(results[0], "ok 600");
    assert_eq!(results[1], "ok 400 quota");
    assert_eq!(results[3..5], ["quota", "ok"]);
    assert!(results[5].starts_with("ok 1000 "), "{}", results[5]);
    assert_eq!(results[6..], ["ok", "ok", "quota"]);
    assert_eq!(rig.on_disk(), (0, 1000));
}

#[tokio::test]
async fn directories_lie_only_so_deep() {
    let rig = Rig::new().await;
    let down = |levels: usize| vec!["d"; levels].join("/");
    let mut script: String = (1..=32).map(|level| format!("mkdir {}\n", down(level))).collect();
    script.push_str(&format!("mkdir {}\nopen f {}/file rwc\n", down(33), down(32)));
    // By handle, and by moving what is deep already.
    script.push_str(&format!("open d {} rm\nmkdir d:more\n", down(32)));
    script.push_str("mkdir e\nrename d e/d\nmkdir e/x\nrename e/x d/x\n");
    script.push_str(&format!("rename e {}\nrename e {}", down(32) + "/e", down(31) + "/e"));
    let results = rig.run(&script).await;
    assert_eq!(results[..32], vec!["ok"; 32]);
    assert_eq!(
        results[32..],
        ["quota", "ok", "ok", "quota", "ok", "quota", "ok", "ok", "quota", "ok"]
    );
    assert_eq!(rig.on_disk(), (0, 35));
    assert_eq!(rig.run("std tour").await.len(), 1);
}

#[tokio::test]
async fn what_is_open_is_bounded() {
    let rig = Rig::new().await;
    let results = rig
        .run("repeat 1 open f file rwc\n until open h# file rw\n list .\n close h0\n close h1\n list .\n race f 65 1")
        .await;
    assert_eq!(
        results,
        ["ok 1", "ok 63 quota", "quota", "ok", "ok", "ok 1 file", "quota"]
    );
}

#[tokio::test]
async fn what_is_there_already_counts() {
    let rig = Rig::new().await;
    fs::create_dir_all(rig.folder("agent").join("by/hand")).unwrap();
    fs::write(rig.folder("agent").join("by/hand/file"), vec![0; 9_000]).unwrap();
    rig.check_as(
        given(10_000, 4),
        "open f new rwc => ok
         write f 0 1001 => quota
         write f 0 1000 => ok
         mkdir more => quota
         unlink by/hand/file => ok
         append f 9000 => ok
         rmdir by/hand => ok
         list by => ok 0",
    )
    .await;
    assert_eq!(rig.on_disk(), (10_000, 2));
    // Over a limit that was lowered since: reading and making room go on.
    rig.check_as(
        given(100, 1),
        "open f new rw => ok
         read f 0 10 => ok 10 more
         write f 0 10 => ok
         append f 1 => quota
         resize f 99 => ok
         append f 1 => ok
         mkdir by/more => quota",
    )
    .await;
}

#[tokio::test]
async fn ordinary_programs_work() {
    let rig = Rig::new().await;
    assert_eq!(rig.run("std tour").await, ["ok toured"]);
    assert_eq!(rig.on_disk(), (0, 0));
    let host = FakeHost::new(Hub::Answers);
    let activated = rig
        .activate(&host, given(100_000, 10), "std fill file\n std put other x")
        .await;
    let results: Vec<_> = summary(&activated).lines().collect();
    // What the C library makes of any failure of a stream, be it a full disk; the log is where the reason is.
    assert!(results[0].starts_with("ok 65536 6 I/O error"), "{results:?}");
    assert_eq!(results[1], "ok");
    let lines = host.lines();
    assert!(
        lines.iter().any(|line| line.contains("`workspace_bytes` is 100000")),
        "{lines:?}"
    );
}

/// Every call but a write can say which of the two it was: `QuotaExceeded`, and `StorageFull` where the disk is full.
#[tokio::test]
async fn the_standard_library_hears_of_the_quota_before_a_write() {
    let rig = Rig::new().await;
    let script = "std grow file 10001\n std grow file 10000\n std dir a\n std dir b\n std dir c\n std put other x\n std put file x";
    let results = rig.run_as(given(10_000, 3), script).await;
    let over = |n: usize| results[n].starts_with("QuotaExceeded: Quota exceeded");
    assert!(over(0) && over(4) && over(5), "{results:#?}");
    let rest: Vec<_> = [1, 2, 3, 6].map(|n| results[n].as_str()).into();
    assert_eq!(rest, ["ok"; 4], "{results:#?}");
    assert_eq!(rig.on_disk(), (1, 3));
}
