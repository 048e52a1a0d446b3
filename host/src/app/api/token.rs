//! The token that changing calls need: configured, or made at the first start where the commands find it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, anyhow};

use crate::{
    app::config::{Config, secret},
    domain::secret::Secret,
};

/// Only its owner may read it.
const MODE: u32 = 0o600;

/// The token; nothing if none is configured and no host has made one yet.
pub fn load(config: &Config) -> anyhow::Result<Option<Secret>> {
    if let Some(token) = &config.api.token {
        return Ok(Some(token.clone()));
    }
    let path = config.token_file();
    match path.try_exists() {
        Ok(false) => Ok(None),
        Ok(true) => secret::read(&path)
            .map(Some)
            .map_err(|message| anyhow!("the API token: {message}")),
        Err(error) => Err(error).with_context(|| format!("the API token: {} can't be read", path.display())),
    }
}

/// The token, which is made if there is none: what a host does at its start.
pub fn load_or_create(config: &Config) -> anyhow::Result<Secret> {
    if let Some(token) = load(config)? {
        return Ok(token);
    }
    let path = config.token_file();
    create(&path).with_context(|| {
        format!(
            "the API token: {} can't be made; check that its folder can be written to and has space left",
            path.display()
        )
    })?;
    secret::read(&path).map_err(|message| anyhow!("the API token: {message}"))
}

/// The file appears with its whole content or not at all, and never replaces another's.
fn create(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(MODE)
            .open(&draft)?;
        let random: [u8; 32] = rand::random();
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(file, "{token}")?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    })();
    let removed = fs::remove_file(&draft);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.host.data_dir = folder.path().join("not/there/yet");
        assert!(load(&config).unwrap().is_none());
        let token = load_or_create(&config).unwrap();
        assert_eq!(token.expose().len(), 64);
        assert_eq!(load_or_create(&config).unwrap(), token);
        assert_eq!(load(&config).unwrap(), Some(token));
        let mode = fs::metadata(config.token_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        assert_eq!(
            fs::read_dir(&config.host.data_dir).unwrap().count(),
            1,
            "no draft is left"
        );

        config.api.token = Some(Secret::from("configured-instead".to_owned()));
        assert_eq!(load_or_create(&config).unwrap().expose(), "configured-instead");
    }

    #[test]
    fn an_empty_file_is_an_error_not_an_empty_token() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.api.token_file = Some(folder.path().join("token"));
        fs::write(config.token_file(), "\n").unwrap();
        assert!(load_or_create(&config).unwrap_err().to_string().contains("is empty"));
    }
}
