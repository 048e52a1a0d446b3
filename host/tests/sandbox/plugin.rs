//! Plugins written by hand, for what no compiler would make.

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

/// A plugin without imports.
pub fn component(contents: &str, body: &str) -> Vec<u8> {
    let plugin = Plugin {
        contents,
        body,
        ..Plugin::default()
    };
    plugin.component()
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
