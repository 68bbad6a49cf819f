//! A disk that fails when it is told to, and remembers what a loss of power would leave of it.
//!
//! SQLite reaches its files through a VFS. This one becomes the default of the process, hands every call
//! on to the real one, and for the files of a watched directory counts it first, fails it if it is the
//! one to fail, and writes it down. Syncs are written down and not handed on: what a sync is worth is
//! decided by [`platter`], and so a run with thousands of them is fast.

pub(crate) mod platter;
mod vfs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// What SQLite asks a disk for. Locks are left out: they are no matter of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Open,
    Delete,
    Read,
    Write,
    Truncate,
    Sync,
    /// The index of the log, which lies in shared memory, is made or grows.
    Share,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// No space left on the device.
    Full,
    /// An input/output error.
    Broken,
    /// Half of what is written gets there, then the space is used up. Calls that write nothing break.
    Short,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasts {
    Once,
    UntilHealed,
}

/// Which call fails: of the kinds named, the `nth` from now on, counted from 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) calls: &'static [Call],
    pub(crate) nth: u64,
    pub(crate) damage: Damage,
    pub(crate) lasts: Lasts,
}

/// What happened to the files of a directory, as far as a loss of power could undo it.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A name was given to a new, empty file.
    Linked {
        name: String,
        file: usize,
    },
    Unlinked {
        name: String,
    },
    DirectorySynced,
    Written {
        file: usize,
        offset: u64,
        bytes: Vec<u8>,
    },
    Truncated {
        file: usize,
        size: u64,
    },
    Synced {
        file: usize,
    },
    /// The system was told to sync, failed, and now takes what it could not write for clean.
    SyncFailed {
        file: usize,
    },
    /// The test noted something.
    Marked(Mark),
}

/// What the test notes among the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Began { deed: usize },
    Acknowledged { deed: usize },
}

/// The disk under one directory.
#[derive(Debug)]
pub(crate) struct Disk {
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    fault: Option<Fault>,
    /// How many calls there were that the fault could have been.
    calls: u64,
    failed: u64,
    recording: bool,
    events: Vec<Event>,
    /// Which file has which name now.
    names: BTreeMap<String, usize>,
    files: usize,
}

static DISKS: RwLock<BTreeMap<PathBuf, Arc<Disk>>> = RwLock::new(BTreeMap::new());

/// A disk that is watched until this goes.
#[derive(Debug)]
pub(crate) struct Watched(Arc<Disk>);

impl std::ops::Deref for Watched {
    type Target = Disk;

    fn deref(&self) -> &Disk {
        &self.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        DISKS.write().unwrap_or_else(PoisonError::into_inner).remove(&self.0.directory);
    }
}

impl Disk {
    /// Watches the files that are opened in a directory from now on.
    pub(crate) fn watch(directory: &Path) -> Watched {
        vfs::register();
        // SQLite resolves links before it opens a file.
        let directory = std::fs::canonicalize(directory).unwrap();
        let names: BTreeMap<_, _> = names_in(&directory).into_iter().zip(0..).collect();
        let state = State { files: names.len(), names, ..State::default() };
        let disk = Arc::new(Disk { directory: directory.clone(), state: Mutex::new(state) });
        DISKS.write().unwrap().insert(directory, Arc::clone(&disk));
        Watched(disk)
    }

    fn of(path: &Path) -> Option<Arc<Disk>> {
        DISKS.read().unwrap_or_else(PoisonError::into_inner).get(path.parent()?).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call fail. Counting begins anew.
    pub(crate) fn fail(&self, fault: Fault) {
        let mut state = self.state();
        (state.fault, state.calls, state.failed) = (Some(fault), 0, 0);
    }

    /// From now on nothing fails.
    pub(crate) fn heal(&self) {
        self.state().fault = None;
    }

    /// How many calls have failed since the fault was set.
    pub(crate) fn failed(&self) -> u64 {
        self.state().failed
    }

    /// Writes down what happens from now on.
    pub(crate) fn record(&self) {
        self.state().recording = true;
    }

    pub(crate) fn mark(&self, mark: Mark) {
        self.state().note(Event::Marked(mark));
    }

    pub(crate) fn recorded(&self) -> Vec<Event> {
        std::mem::take(&mut self.state().events)
    }

    /// Whether this call is to fail, and how.
    fn verdict(&self, call: Call) -> Option<Damage> {
        self.state().verdict(call)
    }
}

/// The files that a directory has to begin with, by number. The index of the log is memory and no file.
fn names_in(directory: &Path) -> Vec<String> {
    let files = std::fs::read_dir(directory).unwrap();
    let names = files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| !name.ends_with("-shm")).collect();
    names.sort();
    names
}

impl State {
    fn verdict(&mut self, call: Call) -> Option<Damage> {
        let fault = self.fault.filter(|fault| fault.calls.contains(&call))?;
        self.calls += 1;
        let fails = match fault.lasts {
            Lasts::Once => self.calls == fault.nth,
            Lasts::UntilHealed => self.calls >= fault.nth,
        };
        self.failed += u64::from(fails);
        fails.then_some(fault.damage)
    }

    fn note(&mut self, event: Event) {
        if self.recording {
            self.events.push(event);
        }
    }

    /// The file of a name, which is made if there is none.
    fn file(&mut self, name: &str) -> usize {
        if let Some(&file) = self.names.get(name) {
            return file;
        }
        let file = self.files;
        self.files += 1;
        self.names.insert(name.to_owned(), file);
        self.note(Event::Linked { name: name.to_owned(), file });
        file
    }
}
