//! The files of a new agent, and how they get to where they belong: all of them or none.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{name, place::Place};
use crate::domain::ids::AgentName;

const CODE: &str = include_str!("template/lib.rs.txt");
const MANIFEST: &str = include_str!("template/plugin.toml.txt");
const DEFINITION: &str = include_str!("template/config.yaml.txt");
const CRATE_IN_WORKSPACE: &str = include_str!("template/Cargo.member.toml.txt");
const CRATE_ALONE: &str = include_str!("template/Cargo.alone.toml.txt");
const IGNORED: &str = include_str!("template/gitignore.txt");

/// Where cargo puts the component of a crate that stands alone.
const BUILT: &str = "target/wasm32-wasip2/release";

/// What is to be made.
pub struct Files {
    /// New folders, which hold everything else: none of them exists yet.
    folders: Vec<PathBuf>,
    files: Vec<(PathBuf, String)>,
    /// A link, and what it points to.
    link: Option<(PathBuf, PathBuf)>,
}

impl Files {
    /// The files of an agent in its place. `here` is the folder that the command is run in.
    pub fn new(agent: &AgentName, place: &Place, here: &Path) -> Result<Files, String> {
        let file = agent.as_str().replace('-', "_");
        let sdk = match place {
            Place::Repository(_) => String::new(),
            Place::Alone { sdk } => toml_text(sdk)?,
        };
        let fill = |template: &str| {
            let named = template.replace("@SDK@", &sdk).replace("@FILE@", &file);
            named
                .replace("@TYPE@", &name::type_name(agent))
                .replace("@NAME@", agent.as_str())
        };
        Ok(match place {
            Place::Repository(root) => {
                let crate_folder = root.join("plugins").join(agent.as_str());
                let definition = root.join("agents").join(agent.as_str());
                Files {
                    files: vec![
                        (crate_folder.join("src/lib.rs"), fill(CODE)),
                        (crate_folder.join("Cargo.toml"), fill(CRATE_IN_WORKSPACE)),
                        (crate_folder.join("plugin.toml"), fill(MANIFEST)),
                        (definition.join("config.yaml"), fill(DEFINITION)),
                    ],
                    folders: vec![crate_folder, definition],
                    link: None,
                }
            }
            Place::Alone { .. } => {
                let folder = here.join(agent.as_str());
                let plugin = folder.join("plugins").join(agent.as_str());
                // A host looks for the component beside the manifest; cargo has its own place for it.
                let component = format!("{file}.wasm");
                let built = Path::new("../..").join(BUILT).join(&component);
                Files {
                    files: vec![
                        (folder.join("src/lib.rs"), fill(CODE)),
                        (folder.join("Cargo.toml"), fill(CRATE_ALONE)),
                        (plugin.join("plugin.toml"), fill(MANIFEST)),
                        (
                            folder.join("agents").join(agent.as_str()).join("config.yaml"),
                            fill(DEFINITION),
                        ),
                        (folder.join(".gitignore"), fill(IGNORED)),
                    ],
                    link: Some((plugin.join(component), built)),
                    folders: vec![folder],
                }
            }
        })
    }

    /// Make them. If something goes wrong, what was made is taken away again.
    pub fn make(&self) -> Result<(), String> {
        if let Some(folder) = self.folders.iter().find(|folder| folder.symlink_metadata().is_ok()) {
            let shown = folder.display();
            return Err(format!(
                "{shown} exists already: choose another name, or remove it first"
            ));
        }
        self.write().map_err(|(path, error)| {
            for folder in &self.folders {
                // Best effort: the error that is told is the one that made this necessary.
                let _ = fs::remove_dir_all(folder);
            }
            format!("{} can't be made: {error}", path.display())
        })
    }

    fn write(&self) -> Result<(), (PathBuf, io::Error)> {
        let make_parent = |path: &Path| path.parent().map_or(Ok(()), fs::create_dir_all);
        for (path, content) in &self.files {
            make_parent(path)
                .and_then(|()| fs::write(path, content))
                .map_err(|error| (path.clone(), error))?;
        }
        if let Some((link, target)) = &self.link {
            make_parent(link)
                .and_then(|()| symlink(target, link))
                .map_err(|error| (link.clone(), error))?;
        }
        Ok(())
    }

    /// Every path, as seen from `here`.
    pub fn paths(&self, here: &Path) -> Vec<String> {
        let files = self.files.iter().map(|(path, _)| path);
        let links = self.link.iter().map(|(path, _)| path);
        let shown = |path: &PathBuf| path.strip_prefix(here).unwrap_or(path).display().to_string();
        files.chain(links).map(shown).collect()
    }
}

/// A path as the content of a TOML string.
fn toml_text(path: &Path) -> Result<String, String> {
    match path.to_str() {
        Some(text) if !text.contains(|c: char| c.is_control()) => Ok(text.replace('\\', "\\\\").replace('"', "\\\"")),
        _ => Err(format!(
            "{} can't be written into a Cargo.toml: move it to a path that is plain text",
            path.display()
        )),
    }
}
