//! Every statement that SQLite begins in this process, by its own tracing: whoever opens a connection is traced.
#![allow(unsafe_code, reason = "SQLite takes the function that it calls as a pointer")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::{Mutex, Once, PoisonError};

use rusqlite::ffi;

static STATEMENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What is run while something is done. Not for two at a time.
pub(crate) fn captured(work: impl FnOnce()) -> Vec<String> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: `trace` is such a function as SQLite calls with each connection that is opened.
        let code = unsafe { ffi::sqlite3_auto_extension(Some(trace)) };
        assert_eq!(code, ffi::SQLITE_OK);
    });
    STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner).clear();
    work();
    std::mem::take(&mut *STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Called with each new connection.
unsafe extern "C" fn trace(db: *mut ffi::sqlite3, _: *mut *mut c_char, _: *const ffi::sqlite3_api_routines) -> c_int {
    // SAFETY: the connection is open, and `note` is such a function as SQLite calls with each statement.
    unsafe { ffi::sqlite3_trace_v2(db, ffi::SQLITE_TRACE_STMT as c_uint, Some(note), std::ptr::null_mut()) }
}

/// Called with each statement that begins to run. Of a trigger the text is a comment with its name.
unsafe extern "C" fn note(_: c_uint, _: *mut c_void, _: *mut c_void, text: *mut c_void) -> c_int {
    // SAFETY: for this event SQLite passes the statement's text, which ends in a zero, before parameters are put in.
    let text = unsafe { CStr::from_ptr(text.cast::<c_char>()) };
    STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_string_lossy().into_owned());
    0
}
