//! Built files by the content of what they are made of: the same sources give the same file without a build.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::BuildError;
use crate::tool::directory;

/// What a guest is made of, in the order in which it was named.
#[derive(Default)]
pub(crate) struct Inputs(Sha256);

impl Inputs {
    /// Another word that the result depends on, such as the compiler's version or its flags.
    pub(crate) fn word(mut self, word: &str) -> Self {
        self.0.update((word.len() as u64).to_le_bytes());
        self.0.update(word);
        self
    }

    /// A file, by its name and content.
    pub(crate) fn file(self, path: &Path) -> Result<Self, BuildError> {
        let content = fs::read(path).map_err(BuildError::file(path))?;
        let mut inputs = self.word(&path.file_name().unwrap_or_default().to_string_lossy());
        inputs.0.update((content.len() as u64).to_le_bytes());
        inputs.0.update(content);
        Ok(inputs)
    }

    /// A name for what comes of them.
    fn digest(self) -> String {
        self.0.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// The file that `build` makes of `inputs`, from an earlier build if there was one. One process builds at a time.
pub(crate) fn kept(
    name: &str,
    inputs: Inputs,
    build: impl FnOnce(&Path) -> Result<(), BuildError>,
) -> Result<Vec<u8>, BuildError> {
    let folder = directory().join("kept");
    fs::create_dir_all(&folder).map_err(BuildError::file(&folder))?;
    let path = folder.join(format!("{name}-{}.wasm", inputs.digest()));
    let _lock = Lock::take(&folder.join("lock"))?;
    if !path.exists() {
        // Under another name until it is whole.
        let unfinished = folder.join(format!("{name}.unfinished"));
        build(&unfinished)?;
        fs::rename(&unfinished, &path).map_err(BuildError::file(&path))?;
    }
    fs::read(&path).map_err(BuildError::file(path))
}

/// Held until it is dropped, or its process ends.
struct Lock(#[expect(dead_code, reason = "closing the file gives the lock back")] File);

impl Lock {
    fn take(path: &PathBuf) -> Result<Self, BuildError> {
        let file = File::create(path).map_err(BuildError::file(path))?;
        file.lock().map_err(BuildError::file(path))?;
        Ok(Lock(file))
    }
}
