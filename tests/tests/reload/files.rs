//! What lies in the folder: broken, half written, new, gone; and the machine code that is kept of it.

use std::{fs, io::Write, thread, time::Duration};

use warren_tests::{
    components::{manifest, saying},
    guests,
    hub::HubProcess,
};

use super::{host, plugins, put, reload};

#[test]
fn what_is_broken_is_refused_with_its_reason_and_the_old_generation_goes_on() {
    let hub = HubProcess::start(&["a"]);
    let host = host(&hub, &["a"]).start_ready();
    let path = |name: &str| host.setup().path(&format!("plugins/p/{name}"));
    let two = saying("two");
    let wrong: [(&str, &[u8], &str); 6] = [
        ("plugin.wasm", b"no component at all", "this is not WebAssembly"),
        ("plugin.wasm", b"", "this is not WebAssembly"),
        ("plugin.wasm", &two[..two.len() / 2], "the file is cut off"),
        (
            "plugin.wasm",
            &guests::component("guest-undeclared"),
            "which its manifest does not declare",
        ),
        ("plugin.toml", b"name = \"p\"\n", "missing field `version`"),
        ("plugin.toml", b"name = [", "plugin.toml:1"),
    ];
    for (file, content, words) in wrong {
        let good = fs::read(path(file)).unwrap();
        put(&path(file), content);
        let refused = host.cli(&["plugin", "reload", "p"]);
        let said = refused.refused(1);
        assert!(
            said.contains(words) && said.contains("generation 1 goes on"),
            "{words}: {said}"
        );
        let listed = host.cli(&["plugin", "list"]).expect(0).to_owned();
        assert!(
            listed.contains("ready, newer content refused") && listed.contains(words),
            "{listed}"
        );
        assert_eq!(host.submit("a", "x").expect(0), "done: ok: one");
        put(&path(file), &good);
    }
    // Bytes in the middle that the parser gets past and the validator does not.
    let mut corrupt = two.clone();
    let middle = corrupt
        .windows(5)
        .position(|bytes| bytes == [0x41, 0xc0, 0x00, 0x0b, 0x00]);
    if let Some(at) = middle {
        corrupt[at] = 0x7c;
        put(&path("plugin.wasm"), &corrupt);
        let refused = host.cli(&["plugin", "reload", "--all"]);
        assert!(
            refused.refused(1).contains("it is not a valid component"),
            "{refused:?}"
        );
    }
    put(&path("plugin.wasm"), &two);
    let done = host.cli(&["plugin", "reload", "--all"]);
    assert!(done.expect(0).starts_with("p: generation 1 -> 2"), "{done:?}");
    assert_eq!(host.submit("a", "x").expect(0), "done: ok: two");
    assert_eq!(
        host.cli(&["plugin", "reload", "p"]).expect(0),
        "p: unchanged, generation 2"
    );

    let unknown = host.cli(&["plugin", "reload", "q"]);
    assert!(
        unknown
            .refused(3)
            .contains("there is no plugin q: host.plugin_dir of this host holds p"),
        "{unknown:?}"
    );
    host.cli(&["plugin", "reload"]).refused(2);
    host.cli(&["plugin", "reload", "p", "--all"]).refused(2);
}

#[test]
fn a_file_that_is_being_written_is_waited_for() {
    let hub = HubProcess::start(&["a"]);
    let host = host(&hub, &["a"]).start_ready();
    let file = host.setup().path("plugins/p/plugin.wasm");
    let mut writer = fs::File::create(&file).unwrap();
    let begun = writer.write(b"\0as").unwrap();
    let component = saying("two");
    let writing = thread::spawn(move || {
        for part in component[begun..].chunks(component.len() / 10) {
            writer.write_all(part).unwrap();
            thread::sleep(Duration::from_millis(150));
        }
    });
    let reloaded = host.cli(&["plugin", "reload", "p"]);
    assert!(reloaded.expect(0).starts_with("p: generation 1 -> 2"), "{reloaded:?}");
    writing.join().unwrap();
    assert_eq!(host.submit("a", "x").expect(0), "done: ok: two");
}

#[test]
fn a_plugin_that_comes_runs_and_one_whose_files_go_does_not() {
    let hub = HubProcess::start(&["a"]);
    let host = host(&hub, &["a"]).start_ready();
    let new = host.setup().path("plugins/new");
    fs::create_dir(&new).unwrap();
    fs::write(new.join("plugin.toml"), manifest("new")).unwrap();
    put(&new.join("plugin.wasm"), &saying("new"));
    let done = host.cli(&["plugin", "reload", "--all"]);
    let lines: Vec<&str> = done.expect(0).lines().collect();
    assert!(lines[0].starts_with("new: generation 1 runs (compiled"), "{lines:?}");
    assert_eq!(lines[1..], ["p: unchanged, generation 1"]);
    fs::remove_dir_all(&new).unwrap();
    let done = host.cli(&["plugin", "reload", "new"]);
    assert!(done.expect(0).starts_with("new: its files are gone"), "{done:?}");
    assert_eq!(plugins(&host)["plugins"].as_array().unwrap().len(), 1);
}

/// Machine code on disk is taken only where it is sound: whatever lies there, the host compiles anew and says so.
#[test]
fn machine_code_that_is_spoilt_or_anothers_is_compiled_anew() {
    let hub = HubProcess::start(&["a"]);
    let host = host(&hub, &["a"]).start_ready();
    let file = host.setup().path("plugins/p/plugin.wasm");
    let kept = || {
        let files = fs::read_dir(host.data().join("compiled"))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|extension| extension == "cwasm"))
            .collect::<Vec<_>>()
    };
    put(&file, &saying("two"));
    assert_eq!(reload(&host, "p")["cached"], false);
    put(&file, &saying("one"));
    assert_eq!(reload(&host, "p")["cached"], true);
    for artifact in kept() {
        let code = fs::read(&artifact).unwrap();
        fs::write(&artifact, &code[..code.len() / 2]).unwrap();
    }
    put(&file, &saying("two"));
    assert_eq!(reload(&host, "p")["cached"], false);
    host.wait_logged("a cached component is unusable and is compiled anew");
    assert_eq!(host.submit("a", "x").expect(0), "done: ok: two");
    // Of another engine: its name says so, and it is not even looked at.
    for artifact in kept() {
        let name = artifact.file_name().unwrap().to_str().unwrap();
        let (digest, _) = name.split_once('-').unwrap();
        for extension in ["cwasm", "sha256"] {
            let other = artifact.with_file_name(format!("{digest}-0123456789abcdef.{extension}"));
            fs::rename(artifact.with_extension(extension), other).unwrap();
        }
    }
    put(&file, &saying("one"));
    assert_eq!(reload(&host, "p")["cached"], false);
    assert_eq!(host.submit("a", "x").expect(0), "done: ok: one");
}
