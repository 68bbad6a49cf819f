//! Compiled code: shared in memory, kept in a folder, and worth nothing to whoever lacks the key.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crm_plugins::{CodeFolder, Host, Limits, LoadError};
use support::{answer_of, scorer_that_answers};
use tempfile::TempDir;

/// A folder that is gone when the test is over.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    /// Where code is kept; made by whoever keeps the first there.
    fn path(&self) -> PathBuf {
        self.0.path().join("code")
    }

    fn host(&self, secret: u8) -> Host {
        let mut limits = Limits::default();
        limits.deadline = std::time::Duration::from_secs(5);
        Host::with_code_folder(limits, CodeFolder::open(self.path(), &[secret; 32]).unwrap()).unwrap()
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn only(&self) -> PathBuf {
        let files = self.files();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }
}

fn scores(host: &Host, wasm: &[u8]) -> Vec<Option<f64>> {
    support::score_as_it_is(host, wasm).unwrap()
}

fn wasm() -> Vec<u8> {
    scorer_that_answers(&answer_of(&[0.25, 0.75]))
}

/// Whether loading took the file as it is, rather than writing it anew.
fn is_taken(folder: &Folder, secret: u8, file: &Path) -> bool {
    let before = fs::read(file).unwrap();
    // What is written anew is another file that takes its name.
    let number = || fs::metadata(file).unwrap().ino();
    let written = number();
    assert_eq!(scores(&folder.host(secret), &wasm()), [Some(0.25), Some(0.75)]);
    let is_taken = number() == written;
    assert!(!is_taken || fs::read(file).unwrap() == before);
    is_taken
}

#[test]
fn code_is_kept_and_taken_by_the_next_host() {
    let folder = Folder::new();
    scores(&folder.host(1), &wasm());
    let file = folder.only();
    assert!(is_taken(&folder, 1, &file));
    assert!(is_taken(&folder, 1, &file));
}

#[test]
fn a_file_that_was_touched_is_a_miss_and_is_replaced() {
    let folder = Folder::new();
    scores(&folder.host(1), &wasm());
    let file = folder.only();
    let good = fs::read(&file).unwrap();
    let places = [0, 7, 8, 39, 40, good.len() / 2, good.len() - 1];
    for place in places {
        let mut flipped = good.clone();
        flipped[place] ^= 1;
        fs::write(&file, flipped).unwrap();
        assert!(!is_taken(&folder, 1, &file), "byte {place} of {}", good.len());
        assert_eq!(fs::read(&file).unwrap(), good, "compiling the same gives the same");
    }
    for length in [0, 8, 39, 40, 41, good.len() - 1] {
        fs::write(&file, &good[..length]).unwrap();
        assert!(!is_taken(&folder, 1, &file), "{length} bytes of {}", good.len());
    }
    fs::write(&file, [good.as_slice(), b"x"].concat()).unwrap();
    assert!(!is_taken(&folder, 1, &file));
    assert!(is_taken(&folder, 1, &file));
}

#[test]
fn a_file_under_another_key_or_of_another_plugin_is_a_miss() {
    let folder = Folder::new();
    scores(&folder.host(1), &wasm());
    let file = folder.only();
    assert!(!is_taken(&folder, 2, &file));
    assert!(is_taken(&folder, 2, &file));

    // Of another plugin: proper in itself, and under the wrong name.
    let other = scorer_that_answers(&answer_of(&[0.5, 0.5]));
    scores(&folder.host(2), &other);
    let other = folder.files().into_iter().find(|path| *path != file).unwrap();
    fs::copy(&other, &file).unwrap();
    assert!(!is_taken(&folder, 2, &file));
}

#[test]
fn a_file_that_others_may_write_is_a_miss_and_is_replaced_by_one_that_they_may_not() {
    let folder = Folder::new();
    scores(&folder.host(1), &wasm());
    let file = folder.only();
    for mode in [0o646, 0o664, 0o666, 0o777] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        assert!(!is_taken(&folder, 1, &file), "{mode:o}");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o022, 0);
        assert!(is_taken(&folder, 1, &file));
    }
}

/// Only root can give files away, so elsewhere this finds out nothing. That root's files are taken by other users is not
/// tested: it takes two users.
#[test]
fn a_file_of_another_user_is_a_miss_and_is_replaced() {
    let folder = Folder::new();
    scores(&folder.host(1), &wasm());
    let file = folder.only();
    let own = fs::metadata(&file).unwrap().uid();
    if std::os::unix::fs::chown(&file, Some(own + 4_711), None).is_err() {
        return;
    }
    assert!(!is_taken(&folder, 1, &file));
    assert_eq!(fs::metadata(&file).unwrap().uid(), own);
    assert!(is_taken(&folder, 1, &file));
}

#[test]
fn a_folder_that_cannot_be_written_costs_nothing_but_time() {
    let folder = Folder::new();
    let host = folder.host(1);
    fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(scores(&host, &wasm()), [Some(0.25), Some(0.75)]);
    // Nor does one where a directory stands in a file's place.
    fs::create_dir_all(folder.path()).unwrap();
    scores(&folder.host(1), &wasm());
    let file = folder.only();
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(scores(&folder.host(1), &wasm()), [Some(0.25), Some(0.75)]);
    assert_eq!(folder.files(), [file], "nothing half-written stays");
}

#[test]
fn what_a_process_that_was_killed_left_half_written_is_in_nobodys_way() {
    let folder = Folder::new();
    let host = folder.host(1);
    scores(&host, &wasm());
    let file = folder.only();
    fs::remove_file(&file).unwrap();
    // As a process of the same number had it, in another container for example, and may still be writing it.
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let left = |count: u32| folder.path().join(format!("{name}.{}-{count}.new", std::process::id()));
    (0..100).for_each(|count| fs::write(left(count), "half").unwrap());
    assert_eq!(scores(&folder.host(1), &wasm()), [Some(0.25), Some(0.75)]);
    assert!(file.exists(), "the code is kept");
    assert!((0..100).all(|count| fs::read(left(count)).unwrap() == b"half"), "and what is another's is left alone");
}

#[test]
fn hosts_that_share_a_folder_with_each_other_and_with_a_vandal_score_as_ever() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path()).unwrap();
    let guests: Vec<(Vec<u8>, f64)> =
        [0.125, 0.25, 0.5].map(|score| (scorer_that_answers(&answer_of(&[score, score])), score)).to_vec();
    let rounds = if std::env::var_os("CRM_SOAK").is_some() { 200 } else { 10 };
    std::thread::scope(|scope| {
        let hosts: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        let host = folder.host(1);
                        for (wasm, score) in &guests {
                            assert_eq!(scores(&host, wasm), [Some(*score); 2]);
                        }
                    }
                })
            })
            .collect();
        // Truncates, swaps, removes and lengthens whatever is there while the others read and write it.
        let mut step = 0_usize;
        while hosts.iter().any(|host| !host.is_finished()) {
            let files = folder.files();
            let of = |place: usize| files.get(place % files.len().max(1));
            if let (Some(one), Some(other)) = (of(step), of(step + 1)) {
                // Any of it may be gone by now.
                let _ = match step % 4 {
                    0 => fs::File::options().write(true).open(one).and_then(|file| file.set_len(step as u64 % 99)),
                    1 => fs::copy(one, other).map(drop),
                    2 => fs::remove_file(one),
                    _ => fs::write(one, [fs::read(one).unwrap_or_default(), vec![7; 9]].concat()),
                };
            }
            step += 1;
            std::thread::yield_now();
        }
        assert!(step > rounds, "{step} acts of vandalism");
    });
    // What the next host finds it takes or replaces, and then it is taken.
    for (wasm, score) in &guests {
        assert_eq!(scores(&folder.host(1), wasm), [Some(*score); 2]);
    }
    assert_eq!(folder.files().iter().filter(|file| file.extension().is_some_and(|end| end == "scorer")).count(), 3);
}

#[test]
fn compiled_code_is_refused_by_name_whoever_made_it() {
    let folder = Folder::new();
    scores(&folder.host(1), &wasm());
    let ours = fs::read(folder.only()).unwrap();
    let engine = wasmtime::Engine::default();
    let component = wasmtime::component::Component::new(&engine, wat::parse_str("(component)").unwrap()).unwrap();
    for compiled in [ours, component.serialize().unwrap()] {
        let refusal = folder.host(1).load(&compiled).unwrap_err();
        assert!(matches!(refusal, LoadError::Precompiled), "{refusal}");
        assert_eq!(refusal.kind(), "precompiled");
    }
}

#[test]
fn scorers_and_workflows_are_kept_apart() {
    let folder = Folder::new();
    let host = folder.host(1);
    scores(&host, &wasm());
    support::poke(&host.load(&support::workflow_that_answers(&[0; 5], "")).unwrap()).unwrap();
    let endings: Vec<_> = folder.files().iter().map(|file| file.extension().unwrap().to_owned()).collect();
    assert!(endings.iter().any(|ending| ending == "scorer") && endings.iter().any(|ending| ending == "workflow"));
}
