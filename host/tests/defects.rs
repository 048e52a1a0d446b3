//! The system that Warren replaces had 28 known defects. The table in `services.rs` says which test would catch each; this
//! holds the table to the tests that there are.

use std::{
    fs,
    path::{Path, PathBuf},
};

const DEFECTS: usize = 28;

#[test]
fn each_defect_is_named_with_tests_that_exist() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(host.join("tests/services.rs")).unwrap();
    let rows: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("//! | ")).collect();
    // The heading and the line below it are no defects.
    let rows = &rows[2..];
    assert_eq!(rows.len(), DEFECTS);
    let mut sources = Vec::new();
    for folder in ["src", "tests", "../tests/src", "../tests/tests"] {
        collect(&host.join(folder), &mut sources);
    }
    for (at, row) in rows.iter().enumerate() {
        let number = row.split(' ').next().unwrap();
        assert_eq!(number, (at + 1).to_string(), "{row}");
        let (_, guards) = row.split_once(" | ").unwrap();
        let named = named(guards);
        assert!(!named.is_empty(), "{row}");
        for test in named {
            assert!(exists(&test, &sources), "defect {number}: there is no test {test}");
        }
    }
}

/// Every `module::test` between backticks, with `{a, b}` taken apart.
fn named(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .flat_map(|path| match path.trim_end_matches('}').split_once("::{") {
            Some((module, tests)) => tests.split(", ").map(|test| format!("{module}::{test}")).collect(),
            None => vec![path.to_owned()],
        })
        .collect()
}

/// Whether it is a file of tests, or a function in one.
fn exists(path: &str, sources: &[(PathBuf, String)]) -> bool {
    let file = |module: &str| {
        let name = PathBuf::from(format!("{}.rs", module.replace("::", "/")));
        sources.iter().filter(move |(path, _)| path.ends_with(&name))
    };
    let function = path.rsplit_once("::").is_some_and(|(module, test)| {
        file(module).any(|(_, text)| {
            [format!("fn {test}("), format!("fn {test}<")]
                .iter()
                .any(|head| text.contains(head))
        })
    });
    function || file(path).next().is_some()
}

fn collect(folder: &Path, sources: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a readable source");
            sources.push((path, text));
        }
    }
}

#[test]
fn a_test_that_is_gone_is_noticed() {
    let sources = [(PathBuf::from("tests/services/runner.rs"), "fn a_test() {}".to_owned())];
    assert_eq!(
        named("`runner::{a_test, gone}`; tests of `x`"),
        ["runner::a_test", "runner::gone", "x"]
    );
    assert!(exists("runner::a_test", &sources) && exists("services::runner", &sources));
    assert!(!exists("runner::gone", &sources) && !exists("runner::a", &sources) && !exists("x", &sources));
}
