//! Compiled code in a folder, so that a process that starts again need not compile.
//!
//! Compiled code is run as it stands: whoever could slip in a file could run anything. So each file
//! carries an HMAC-SHA256 (RFC 2104) under a key of the host, over the code and over what it was made
//! from and for. A file that is cut off, flipped, foreign, of another plugin or of another engine does
//! not verify; it is then as if there were none, and the next compilation replaces it.
//!
//! Nor is a file taken that belongs to somebody else than this process's user or root, or that others may write, where
//! files have owners: the key is what it rests on, and this is a second wall in case the key gets out.

use std::fmt;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Begins each file; the last byte is the version of the format.
pub(crate) const MAGIC: [u8; 8] = *b"crmcode\x01";

const TAG_BYTES: usize = 32;

/// What is larger was not written by this host.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// A folder that keeps compiled code between runs. Several processes may share one.
///
/// Nothing is ever taken out of it but what is replaced: code of plugins that are gone, and what a process that was
/// killed left half-written (`*.new`), stays until somebody deletes it, which may be done at any time. Whoever else can write
/// into the folder can make loading slow and use memory, by up to a GiB for each load, and can do no more. Files are taken
/// that belong to this process's user or to root, and that nobody else may write.
#[derive(Clone)]
pub struct CodeFolder {
    folder: PathBuf,
    hmac: Hmac<Sha256>,
    /// As whom this process writes files; none where they have no owners, or nothing can be written here.
    user: Option<u32>,
}

/// What code was made from and for.
pub(crate) struct CodeId {
    /// Names the file: one for each plugin and role, so that new code replaces old.
    pub(crate) name: String,
    /// Covers content, role, engine and target.
    pub(crate) identity: [u8; 32],
}

/// Bytes that this host wrote itself, for this very [`CodeId`].
pub(crate) struct OwnCode(Vec<u8>);

impl OwnCode {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl CodeFolder {
    /// A folder, made if it is missing. `secret` must be known to nobody who may not run code in this
    /// process; with another one, what is in the folder is worth nothing.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made.
    pub fn open(folder: impl Into<PathBuf>, secret: &[u8; 32]) -> io::Result<CodeFolder> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        // HMAC pads a key that is shorter than a block with zeros.
        let mut block = [0_u8; 64];
        block[..32].copy_from_slice(secret);
        let user = user(&folder);
        Ok(CodeFolder { folder, hmac: Hmac::new(&block.into()), user })
    }

    /// The code for `id`, if it is there and this host wrote it.
    pub(crate) fn read(&self, id: &CodeId) -> Option<OwnCode> {
        let path = self.folder.join(&id.name);
        let about = fs::metadata(&path).ok()?;
        if !about.is_file() || about.len() > FILE_BYTES_MAX {
            return None;
        }
        let file = File::open(&path).ok()?;
        if !is_trusted(&file.metadata().ok()?, self.user) {
            tracing::warn!(code = id.name, "compiled code that belongs to another user, or that others may write");
            return None;
        }
        // Read as a whole before it is verified, so that it cannot change afterwards.
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        let (tag, code) = bytes.strip_prefix(&MAGIC)?.split_at_checked(TAG_BYTES)?;
        self.mac(id, code).verify_slice(tag).ok()?;
        Some(OwnCode(code.to_vec()))
    }

    /// Keeps code for `id`, in one step: a reader sees the old file or the new one.
    pub(crate) fn write(&self, id: &CodeId, code: &[u8]) -> io::Result<()> {
        // By chance, and not by the process's number: processes that share a folder may each have the same one, in
        // containers of their own.
        let chance = RandomState::new().hash_one(&id.name);
        let temporary = self.folder.join(format!("{}.{chance:016x}.new", id.name));
        let tag = self.mac(id, code).finalize().into_bytes();
        let file = create_new(&temporary)?;
        let written =
            write_all(file, &[&MAGIC, &tag, code]).and_then(|()| fs::rename(&temporary, self.folder.join(&id.name)));
        if written.is_err() {
            // Best effort: what stays is never read.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn mac(&self, id: &CodeId, code: &[u8]) -> Hmac<Sha256> {
        self.hmac.clone().chain_update(MAGIC).chain_update(id.identity).chain_update(code)
    }
}

impl fmt::Debug for CodeFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeFolder").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Makes a file that nobody else may write, whatever the process's mask says.
#[cfg(unix)]
fn create_new(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().write(true).create_new(true).mode(0o644).open(path)
}

#[cfg(not(unix))]
fn create_new(path: &Path) -> io::Result<File> {
    File::create_new(path)
}

/// Whose the files are that this process makes, as one that it makes tells.
#[cfg(unix)]
fn user(folder: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let path = folder.join(format!("{:016x}.new", RandomState::new().hash_one(folder)));
    let user = create_new(&path).and_then(|file| file.metadata()).ok().map(|about| about.uid());
    // Best effort: what stays is never read.
    let _ = fs::remove_file(&path);
    user
}

#[cfg(not(unix))]
fn user(_: &Path) -> Option<u32> {
    None
}

/// Whether a file is this user's or root's, and nobody else may write it.
#[cfg(unix)]
fn is_trusted(about: &fs::Metadata, user: Option<u32>) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (about.uid() == 0 || Some(about.uid()) == user) && about.mode() & 0o022 == 0
}

#[cfg(not(unix))]
fn is_trusted(_: &fs::Metadata, _: Option<u32>) -> bool {
    true
}

fn write_all(mut file: File, parts: &[&[u8]]) -> io::Result<()> {
    parts.iter().try_for_each(|part| file.write_all(part))
}
