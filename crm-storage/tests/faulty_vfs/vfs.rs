//! The VFS itself: one structure of SQLite's in front of another.
#![allow(unsafe_code, reason = "SQLite takes a VFS as a table of C functions")]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::{Arc, Once, OnceLock};

use rusqlite::ffi;

use super::{Call, Damage, Disk, Event};

/// An open file as SQLite sees it. The real one lies behind it in the same piece of memory.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    /// Whose it is; null for a file of no watched directory. Made by `Box::into_raw`.
    owner: *mut Owner,
}

struct Owner {
    disk: Arc<Disk>,
    file: usize,
    /// Whether the next sync takes the directory with it, as SQLite does for a new log or journal.
    syncs_directory: bool,
}

/// The VFS that does the work.
struct Real(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite never frees or changes a registered VFS, and lets any thread use it.
unsafe impl Send for Real {}
// SAFETY: as above.
unsafe impl Sync for Real {}

static REAL: OnceLock<Real> = OnceLock::new();

/// Puts this VFS before the default one, once.
pub(super) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: null asks for the default VFS; the answer lives as long as the process.
        let real = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
        assert!(!real.is_null(), "SQLite has a VFS");
        // SAFETY: `real` is a VFS, whose fields do not change but for `pNext`, which registering sets anew.
        let mut vfs = unsafe { *real };
        assert!(REAL.set(Real(real)).is_ok());
        vfs.szOsFile += c_int::try_from(size_of::<File>()).unwrap();
        vfs.zName = c"crm-faulty".as_ptr();
        vfs.pNext = null_mut();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        // SAFETY: the structure is complete and is never freed.
        let code = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1) };
        assert_eq!(code, ffi::SQLITE_OK);
    });
}

/// The tables differ in nothing but how many of their functions SQLite may use. Without the third version
/// it maps no file into memory, where it would be written past this VFS.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Calls a method of the real file.
macro_rules! real {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let real = real_file($file);
        // SAFETY: the real file was opened, so its table is there, and its functions take what SQLite gave.
        unsafe {
            match (*(*real).pMethods).$method {
                Some(method) => method(real $(, $argument)*),
                None => unreachable!("a VFS without {}", stringify!($method)),
            }
        }
    }};
}

fn real_file(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: SQLite gives `szOsFile` bytes for a file, which is this one and the real one behind it.
    unsafe { file.cast::<File>().add(1).cast() }
}

fn owner<'a>(file: *mut ffi::sqlite3_file) -> Option<&'a mut Owner> {
    // SAFETY: only `open` makes these files, and it sets the owner; SQLite uses a file in one thread at a
    // time, and no reference outlives the call that asked for it.
    unsafe { (*file.cast::<File>()).owner.as_mut() }
}

fn path<'a>(name: *const c_char) -> Option<&'a Path> {
    if name.is_null() {
        return None;
    }
    // SAFETY: SQLite gives names that end in a zero and stay until the call ends.
    let name = unsafe { CStr::from_ptr(name) };
    Some(Path::new(OsStr::from_bytes(name.to_bytes())))
}

fn own_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn real_vfs() -> *mut ffi::sqlite3_vfs {
    REAL.get().map_or(null_mut(), |real| real.0)
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let this = file.cast::<File>();
    // SAFETY: `file` is memory for a file, which SQLite looks at if the table is there.
    unsafe { this.write(File { base: ffi::sqlite3_file { pMethods: std::ptr::null() }, owner: null_mut() }) };
    let path = path(name);
    let disk = path.and_then(Disk::of);
    if let Some(disk) = &disk
        && disk.verdict(Call::Open).is_some()
    {
        return ffi::SQLITE_CANTOPEN;
    }
    let vfs = real_vfs();
    // SAFETY: the real VFS gets what SQLite gave, and memory of its own for the file.
    let code = unsafe {
        match (*vfs).xOpen {
            Some(open) => open(vfs, name, real_file(file), flags, out_flags),
            None => ffi::SQLITE_CANTOPEN,
        }
    };
    if code != ffi::SQLITE_OK {
        return code;
    }
    if let (Some(disk), Some(path)) = (disk, path) {
        let log = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL;
        let syncs_directory = flags & log != 0 && flags & ffi::SQLITE_OPEN_CREATE != 0;
        let number = disk.state().file(&own_name(path));
        let owner = Box::new(Owner { disk, file: number, syncs_directory });
        // SAFETY: as above.
        unsafe { (*this).owner = Box::into_raw(owner) };
    }
    // SAFETY: as above.
    unsafe { (*this).base.pMethods = &METHODS };
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync_directory: c_int) -> c_int {
    let path = path(name);
    let disk = path.and_then(Disk::of);
    if let Some(disk) = &disk
        && disk.verdict(Call::Delete).is_some()
    {
        return ffi::SQLITE_IOERR_DELETE;
    }
    let vfs = real_vfs();
    // SAFETY: the real VFS gets what SQLite gave.
    let code = unsafe {
        match (*vfs).xDelete {
            Some(delete) => delete(vfs, name, sync_directory),
            None => ffi::SQLITE_IOERR_DELETE,
        }
    };
    if code == ffi::SQLITE_OK
        && let (Some(disk), Some(path)) = (disk, path)
    {
        let mut state = disk.state();
        let name = own_name(path);
        state.names.remove(&name);
        state.note(Event::Unlinked { name });
        if sync_directory != 0 {
            state.note(Event::DirectorySynced);
        }
    }
    code
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let code = real!(file, xClose);
    let this = file.cast::<File>();
    // SAFETY: `open` made the owner by `Box::into_raw`, and a file is closed once.
    unsafe {
        if !(*this).owner.is_null() {
            drop(Box::from_raw((*this).owner));
            (*this).owner = null_mut();
        }
    }
    code
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buffer: *mut c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    if let Some(owner) = owner(file)
        && owner.disk.verdict(Call::Read).is_some()
    {
        return ffi::SQLITE_IOERR_READ;
    }
    real!(file, xRead, buffer, amount, offset)
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    buffer: *const c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    let Some(owner) = owner(file) else { return real!(file, xWrite, buffer, amount, offset) };
    // Held while the call is carried out, so that events are noted in the order in which they happened.
    let mut state = owner.disk.state();
    let (written, failure) = match state.verdict(Call::Write) {
        None => (amount, None),
        Some(Damage::Full) => (0, Some(ffi::SQLITE_FULL)),
        Some(Damage::Broken) => (0, Some(ffi::SQLITE_IOERR_WRITE)),
        Some(Damage::Short) => (amount / 2, Some(ffi::SQLITE_FULL)),
    };
    if written > 0 {
        let code = real!(file, xWrite, buffer, written, offset);
        if code != ffi::SQLITE_OK {
            return code;
        }
        // SAFETY: SQLite gives `amount` bytes, of which these are the first.
        let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), written.unsigned_abs() as usize) };
        state.note(Event::Written { file: owner.file, offset: offset.unsigned_abs(), bytes: bytes.to_vec() });
    }
    failure.unwrap_or(ffi::SQLITE_OK)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: ffi::sqlite3_int64) -> c_int {
    let Some(owner) = owner(file) else { return real!(file, xTruncate, size) };
    let mut state = owner.disk.state();
    if state.verdict(Call::Truncate).is_some() {
        return ffi::SQLITE_IOERR_TRUNCATE;
    }
    let code = real!(file, xTruncate, size);
    if code == ffi::SQLITE_OK {
        state.note(Event::Truncated { file: owner.file, size: size.unsigned_abs() });
    }
    code
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    let Some(owner) = owner(file) else { return real!(file, xSync, flags) };
    let mut state = owner.disk.state();
    if state.verdict(Call::Sync).is_some() {
        state.note(Event::SyncFailed { file: owner.file });
        return ffi::SQLITE_IOERR_FSYNC;
    }
    state.note(Event::Synced { file: owner.file });
    if std::mem::take(&mut owner.syncs_directory) {
        state.note(Event::DirectorySynced);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    if let Some(owner) = owner(file)
        && extend != 0
    {
        match owner.disk.verdict(Call::Share) {
            None => {}
            Some(Damage::Broken) => return ffi::SQLITE_IOERR_SHMMAP,
            Some(Damage::Full | Damage::Short) => return ffi::SQLITE_IOERR_SHMSIZE,
        }
    }
    real!(file, xShmMap, region, size, extend, out)
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // Writes that a file system makes atomic would bypass what is modelled here.
    real!(file, xDeviceCharacteristics) & !ffi::SQLITE_IOCAP_BATCH_ATOMIC
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut ffi::sqlite3_int64) -> c_int {
    real!(file, xFileSize, out)
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    real!(file, xLock, level)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    real!(file, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    real!(file, xCheckReservedLock, out)
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    real!(file, xFileControl, operation, argument)
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    real!(file, xSectorSize)
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    real!(file, xShmLock, offset, count, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    real!(file, xShmBarrier)
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    real!(file, xShmUnmap, delete)
}
