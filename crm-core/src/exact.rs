//! Encoding into exactly as many bytes as it takes. What is encoded is kept, often for long, so it is
//! first written to a buffer that is used again and again, and then copied once.

use std::cell::RefCell;

/// A buffer that grew beyond this is not kept: what was written is handed over in it.
const KEPT_MAX: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What `write` writes. It may not call this function itself.
pub(crate) fn exact(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        write(buffer);
        if buffer.capacity() > KEPT_MAX {
            let mut bytes = std::mem::take(buffer);
            bytes.shrink_to_fit();
            return bytes;
        }
        buffer.as_slice().to_vec()
    })
}

/// JSON of values with text keys and no floats, which is all that JSON can fail on.
pub(crate) fn json<T: serde::Serialize + ?Sized>(value: &T) -> Vec<u8> {
    exact(|buffer| {
        if serde_json::to_writer(&mut *buffer, value).is_err() {
            buffer.clear();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back_without_slack_however_often() {
        for length in [0, 10, 100_000, 3] {
            let bytes = exact(|buffer| buffer.extend(std::iter::repeat_n(7, length)));
            assert_eq!((bytes.len(), bytes.capacity()), (length, length));
        }
        assert_eq!(json(&[1, 2]), b"[1,2]");
    }
}
