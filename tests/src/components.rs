//! Plugins written by hand: for what no compiler would make, versions of one that say who they are, and one that takes
//! long to compile.

use std::fmt::Write;

/// A plugin without imports whose outcome says this.
pub fn saying(text: &str) -> Vec<u8> {
    component(text, "")
}

/// The same with so many functions of some 5 KB each, which nobody calls and the compiler compiles all the same.
pub fn laborious(text: &str, functions: usize) -> Vec<u8> {
    let mut contents = String::new();
    for n in 0..functions {
        let _ = write!(
            contents,
            "(func (export \"f{n}\") (param i64 i64) (result i64) (local i64 i64)"
        );
        for step in 0..400 {
            let (to, from, by) = (step % 4, (step + 1) % 4, n * 400 + step);
            let _ = write!(
                contents,
                "local.get {to} local.get {from} i64.const {by} i64.xor i64.mul local.set {to} "
            );
        }
        contents.push_str("local.get 0)");
    }
    component(text, &contents)
}

/// The manifest of a plugin without capabilities.
pub fn manifest(name: &str) -> String {
    format!(
        "name = {name:?}\nversion = \"1\"\nworld = \"warren:agent/agent@0.1.0\"\ncomponent = \"plugin.wasm\"\ncapabilities = []\n"
    )
}

/// The parameters of `activate` are the fields of a work item one after the other. At 64 there is what it returns: an
/// outcome (0), its summary as address and length, and no handled notifications.
fn component(summary: &str, contents: &str) -> Vec<u8> {
    let length = u32::try_from(summary.len()).expect("a summary is short");
    let word = |number: u32| {
        let bytes = number.to_le_bytes();
        bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>()
    };
    let outcome: String = [0, 128, length, 0, 0].into_iter().map(word).collect();
    let data = format!("(data (i32.const 64) \"{outcome}\") (data (i32.const 128) \"{summary}\")");
    handwritten(&format!("{data} {contents}"), "(i32.const 64)")
}

/// A plugin without imports, as in [`Plugin`].
pub fn handwritten(contents: &str, body: &str) -> Vec<u8> {
    let plugin = Plugin {
        contents,
        body,
        ..Plugin::default()
    };
    plugin.component()
}

/// A component of the world with one core module.
#[derive(Default)]
pub struct Plugin<'a> {
    /// Imports of the component besides the contract's types, and what makes core functions of them.
    pub imports: &'a str,
    /// What the core module is instantiated with.
    pub with: &'a str,
    /// What the core module has besides its memory and its two functions.
    pub contents: &'a str,
    /// What `activate` does, to end in the address of its result.
    pub body: &'a str,
}

impl Plugin<'_> {
    pub fn component(&self) -> Vec<u8> {
        let Plugin {
            imports,
            with,
            contents,
            body,
        } = self;
        let text = format!(
            r#"(component
  (import "warren:agent/types@0.1.0" (instance $types
    (type $task (enum "inbox" "discovery" "direct"))
    (export "task-type" (type $task-type (eq $task)))
    (type $item' (record (field "id" string) (field "agent-id" string) (field "agent-name" string)
      (field "task-type" $task-type) (field "attempt" u32) (field "inbox-count" u32) (field "created-at" string)
      (field "payload" (option string))))
    (export "work-item" (type $item (eq $item')))
    (type $outcome' (record (field "summary" string) (field "handled" (list string))))
    (export "outcome" (type $outcome (eq $outcome')))
    (type $failure' (variant (case "transient" string) (case "permanent" string) (case "upstream" string)))
    (export "failure" (type $failure (eq $failure')))))
  (alias export $types "work-item" (type $item))
  (alias export $types "outcome" (type $outcome))
  (alias export $types "failure" (type $failure))
  {imports}
  (core module $main
    {contents}
    (memory $main 1)
    (export "main" (memory $main))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "activate")
      (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {body}))
  (core instance $instance (instantiate $main {with}))
  (func $activate (param "item" $item) (result (result $outcome (error $failure)))
    (canon lift (core func $instance "activate") (memory (core memory $instance "main"))
      (realloc (core func $instance "realloc"))))
  (export "activate" (func $activate)))"#
        );
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }
}
