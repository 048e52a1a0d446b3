//! Where a new agent goes: among the bundled ones, or into a folder of its own.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What the SDK's manifest is known by.
const SDK: &str = "name = \"warren-guest-sdk\"";

/// Where this program's own sources were when it was built; they may still be there.
const BUILT_FROM: &str = env!("CARGO_MANIFEST_DIR");

pub enum Place {
    /// In a clone of Warren, with the root of it: the crate becomes a member of the workspace.
    Repository(PathBuf),
    /// In a folder of its own, with the folder of the SDK.
    Alone { sdk: PathBuf },
}

/// Decide by where the command is run and what it was told; or what is missing, in words.
pub fn find(here: &Path, sdk: Option<&Path>) -> Result<Place, String> {
    match sdk {
        Some(folder) => alone(&here.join(folder)),
        None => match here.ancestors().find(|folder| is_repository(folder)) {
            Some(root) => Ok(Place::Repository(root.to_owned())),
            None => alone(&Path::new(BUILT_FROM).with_file_name("guest-sdk")).map_err(|_| {
                "nothing of Warren is published yet, so a new crate needs the SDK as a folder: run this in a clone of \
                 Warren, or name its folder guest-sdk with --sdk FOLDER"
                    .to_owned()
            }),
        },
    }
}

fn alone(sdk: &Path) -> Result<Place, String> {
    if !is_sdk(sdk) {
        let shown = sdk.display();
        return Err(format!(
            "{shown} is not Warren's SDK: name the folder guest-sdk of a clone, whose Cargo.toml says `{SDK}`"
        ));
    }
    let found = sdk.canonicalize();
    let sdk = found.map_err(|error| format!("{} can't be used: {error}", sdk.display()))?;
    Ok(Place::Alone { sdk })
}

fn is_repository(folder: &Path) -> bool {
    is_sdk(&folder.join("guest-sdk")) && folder.join("plugins").is_dir() && folder.join("agents").is_dir()
}

fn is_sdk(folder: &Path) -> bool {
    fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|text| text.lines().any(|line| line == SDK))
}
