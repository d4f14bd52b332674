//! The folder that outlives the process: certificate and key files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::clock;

/// A folder that exists and can be written to.
#[derive(Clone, Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
}

/// Something about the folder that does not work.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub(crate) struct FolderError {
    pub(crate) path: PathBuf,
    pub(crate) error: io::Error,
}

impl DataFolder {
    /// Creates the folder if it is missing, and makes sure that files can be created in it.
    pub(crate) fn open(path: &Path) -> Result<DataFolder, FolderError> {
        let failed = |error| FolderError {
            path: path.to_owned(),
            error,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        let folder = DataFolder { path };
        folder.write(PROBE, b"")?;
        fs::remove_file(folder.file(PROBE)).map_err(failed)?;
        Ok(folder)
    }

    /// Where it is, absolutely.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Replaces a file at once or not at all; only we may read it.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<(), FolderError> {
        let path = self.file(name);
        let new = self.file(&format!("{name}.new"));
        let failed = |error| FolderError {
            path: path.clone(),
            error,
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .map_err(failed)?;
        file.write_all(content)
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        fs::rename(&new, &path).map_err(failed)
    }

    /// The key in this file; drawn and written at the first call.
    pub(crate) fn key(&self, name: &str) -> Result<[u8; 32], FolderError> {
        let path = self.file(name);
        match fs::read(&path) {
            Ok(bytes) => bytes.try_into().map_err(|bytes: Vec<u8>| FolderError {
                path,
                error: io::Error::other(format!(
                    "a key has 32 bytes, this file has {}; delete it and a new one is made",
                    bytes.len()
                )),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = clock::seed();
                self.write(name, &key)?;
                Ok(key)
            }
            Err(error) => Err(FolderError { path, error }),
        }
    }
}

const PROBE: &str = ".writable";

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_kept_and_private() {
        let path = std::env::temp_dir().join(format!("tertulia-{}-keys", std::process::id()));
        let folder = DataFolder::open(&path).unwrap();
        let key = folder.key("resumption.key").unwrap();
        assert_eq!(
            DataFolder::open(&path)
                .unwrap()
                .key("resumption.key")
                .unwrap(),
            key
        );
        let mode = fs::metadata(folder.file("resumption.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(folder.file("resumption.key"), b"short").unwrap();
        assert!(
            folder
                .key("resumption.key")
                .unwrap_err()
                .to_string()
                .contains("32 bytes")
        );
        fs::remove_dir_all(&path).unwrap();
    }
}
