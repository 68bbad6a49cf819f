//! What a loss of power leaves of a disk: all that was synced, and of the rest whatever chance has it.
//!
//! The model is harsh and within what SQLite is promised: of the writes since the last sync any may be
//! there, whole or in part by sectors of 512 bytes; a file may have its new length without its new bytes;
//! names of files come and go when their directory is synced. Nothing outside a written range changes.

use std::collections::BTreeMap;
use std::path::Path;

use super::Event;

const SECTOR: usize = 512;

/// What is kept of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Nothing,
    Everything,
    /// Chance, from a seed.
    Some(u64),
}

/// A disk while events happen to it.
#[derive(Debug, Default)]
pub(crate) struct Platter {
    files: Vec<Inode>,
    names: BTreeMap<String, usize>,
    /// Changes of names since the directory was synced.
    renamed: Vec<(String, Option<usize>)>,
}

#[derive(Debug, Default, Clone)]
struct Inode {
    synced: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Size(usize),
}

impl Platter {
    /// A disk on which a directory is as it is.
    pub(crate) fn of(directory: &Path) -> Platter {
        let names = super::names_in(directory);
        let read = |name: &String| Inode { synced: std::fs::read(directory.join(name)).unwrap(), pending: Vec::new() };
        Platter {
            files: names.iter().map(read).collect(),
            names: names.into_iter().zip(0..).collect(),
            renamed: Vec::new(),
        }
    }

    pub(crate) fn happen(&mut self, event: &Event) {
        match event {
            Event::Linked { name, file } => {
                self.renamed.push((name.clone(), Some(*file)));
                self.files.resize(self.files.len().max(file + 1), Inode::default());
            }
            Event::Unlinked { name } => self.renamed.push((name.clone(), None)),
            Event::DirectorySynced => {
                for (name, file) in std::mem::take(&mut self.renamed) {
                    rename(&mut self.names, name, file);
                }
            }
            Event::Written { file, offset, bytes } => {
                let offset = usize::try_from(*offset).unwrap();
                self.files[*file].pending.push(Change::Write { offset, bytes: bytes.clone() });
            }
            Event::Truncated { file, size } => {
                self.files[*file].pending.push(Change::Size(usize::try_from(*size).unwrap()));
            }
            Event::Synced { file } => self.files[*file].settle(Keep::Everything),
            // What could not be written is clean to the system, so no later sync makes it durable.
            Event::SyncFailed { file } => {
                let seed = self.files[*file].pending.len() as u64;
                self.files[*file].settle(Keep::Some(seed));
            }
            Event::Marked(_) => {}
        }
    }

    /// Writes the files of the disk into a directory, as they are found when the power is back.
    pub(crate) fn image(&self, keep: Keep, into: &Path) {
        let mut names = self.names.clone();
        let mut chance = Chance::of(keep);
        for (name, file) in &self.renamed {
            if chance.keeps() {
                rename(&mut names, name.clone(), *file);
            }
        }
        for (name, file) in names {
            let mut inode = self.files[file].clone();
            inode.settle_by(&mut chance);
            std::fs::write(into.join(name), inode.synced).unwrap();
        }
    }
}

fn rename(names: &mut BTreeMap<String, usize>, name: String, file: Option<usize>) {
    match file {
        Some(file) => names.insert(name, file),
        None => names.remove(&name),
    };
}

impl Inode {
    fn settle(&mut self, keep: Keep) {
        self.settle_by(&mut Chance::of(keep));
    }

    fn settle_by(&mut self, chance: &mut Chance) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Size(size) => {
                    if chance.keeps() {
                        self.synced.resize(size, 0);
                    }
                }
                Change::Write { offset, bytes } => self.write(offset, &bytes, chance),
            }
        }
    }

    fn write(&mut self, offset: usize, bytes: &[u8], chance: &mut Chance) {
        let end = offset + bytes.len();
        let kept = chance.keeps();
        let torn = chance.tears();
        if end > self.synced.len() && (kept || chance.grows()) {
            // The length of a file can be there before its bytes; what stood in the blocks shows through.
            let old = chance.noise();
            self.synced.resize(end, old);
        }
        let mut at = offset;
        while kept && at < end {
            let next = (at / SECTOR + 1) * SECTOR;
            let next = next.min(end);
            if !torn || chance.keeps() {
                self.synced[at..next].copy_from_slice(&bytes[at - offset..next - offset]);
            }
            at = next;
        }
    }
}

/// Decides what is kept.
#[derive(Debug)]
struct Chance {
    keep: Keep,
    state: u64,
}

impl Chance {
    fn of(keep: Keep) -> Self {
        let state = match keep {
            Keep::Nothing | Keep::Everything => 0,
            Keep::Some(seed) => seed,
        };
        Chance { keep, state }
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// By the seed a disk keeps little, half, most or nearly all: what is lost alone is lost differently.
    fn keeps(&mut self) -> bool {
        match self.keep {
            Keep::Nothing => false,
            Keep::Everything => true,
            Keep::Some(seed) => {
                let kept = [4, 16, 28, 31][(seed % 4) as usize];
                self.next() % 32 < kept
            }
        }
    }

    fn tears(&mut self) -> bool {
        matches!(self.keep, Keep::Some(_)) && self.next().is_multiple_of(2)
    }

    fn grows(&mut self) -> bool {
        matches!(self.keep, Keep::Some(_)) && self.next().is_multiple_of(4)
    }

    fn noise(&mut self) -> u8 {
        if matches!(self.keep, Keep::Some(_)) && self.next().is_multiple_of(4) { 0xa5 } else { 0 }
    }
}
