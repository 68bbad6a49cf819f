//! From a file on disk to CSV records: gzip or not, byte-order mark or not, never the whole text at once.

use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use flate2::read::MultiGzDecoder;

use super::error::OrderFileError;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
/// No order row is this long. Without a limit, one quote left open would pull the rest into memory.
const ROW_BYTES_MAX: usize = 1 << 20;

/// The records of one file, header first.
pub(super) struct Source<'a> {
    reader: csv::Reader<Text<'a>>,
    path: PathBuf,
    line: u64,
}

/// The decompressed text without a byte-order mark. It hands out a limited number of bytes per record.
struct Text<'a> {
    inner: Box<dyn Read + 'a>,
    is_gzip: bool,
    allowance: usize,
    is_exhausted: bool,
    /// The bytes handed out last, and how many there were up to their end.
    latest: Vec<u8>,
    handed_out: u64,
}

impl<'a> Source<'a> {
    /// Starts reading. Gzip is recognised by its first bytes, whatever the file is called.
    pub(super) fn new(input: impl Read + 'a, path: &Path) -> Result<Self, OrderFileError> {
        let mut is_gzip = false;
        let inner = plain_text(input, &mut is_gzip).map_err(|cause| failed(path, is_gzip, cause))?;
        let text = Text { inner, is_gzip, allowance: 0, is_exhausted: false, latest: Vec::new(), handed_out: 0 };
        let reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(1 << 16).from_reader(text);
        Ok(Self { reader, path: path.to_owned(), line: 0 })
    }

    /// Reads the next record into `record`; false at the end. Blank lines are skipped.
    pub(super) fn next_record(&mut self, record: &mut ByteRecord) -> Result<bool, OrderFileError> {
        let next_line = self.reader.position().line() + u64::from(!self.is_at_line_start());
        self.reader.get_mut().allowance = ROW_BYTES_MAX;
        match self.reader.read_byte_record(record) {
            Ok(is_record) => {
                self.line = self.line_of(record);
                Ok(is_record)
            }
            Err(_) if self.reader.get_ref().is_exhausted => Err(OrderFileError::RowTooLong { line: next_line }),
            Err(error) => {
                // With byte records of any width, reading is all that can fail.
                let is_gzip = self.reader.get_ref().is_gzip;
                let cause =
                    if let csv::ErrorKind::Io(cause) = error.into_kind() { cause } else { io::ErrorKind::Other.into() };
                Err(failed(&self.path, is_gzip, cause))
            }
        }
    }

    /// The line on which the record read last begins, 1 being the file's first.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The position a csv record carries is where the one before it ended, which is a line early after CRLF
    /// and after blank lines. So count back from the record's own end.
    fn line_of(&self, record: &ByteRecord) -> u64 {
        let line_breaks = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        let end = self.reader.position().line() - u64::from(self.is_at_line_start());
        end.saturating_sub(line_breaks).max(1)
    }

    /// Whether what was read ends in a line feed: not at the end of a CRLF file's record, whose line feed
    /// is read with the next record, nor after a last line without one.
    fn is_at_line_start(&self) -> bool {
        let text = self.reader.get_ref();
        let unread = text.handed_out.saturating_sub(self.reader.position().byte());
        let last_read = usize::try_from(unread)
            .ok()
            .and_then(|unread| text.latest.len().checked_sub(unread + 1))
            .and_then(|index| text.latest.get(index));
        last_read.is_none_or(|byte| *byte == b'\n')
    }
}

impl Read for Text<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.allowance == 0 {
            self.is_exhausted = true;
            return Err(io::Error::other("row too long"));
        }
        let wanted = buffer.len().min(self.allowance);
        let count = self.inner.read(&mut buffer[..wanted])?;
        self.allowance -= count;
        if count > 0 {
            self.latest.clear();
            self.latest.extend_from_slice(&buffer[..count]);
            self.handed_out += count as u64;
        }
        Ok(count)
    }
}

fn plain_text<'a>(mut input: impl Read + 'a, is_gzip: &mut bool) -> io::Result<Box<dyn Read + 'a>> {
    let head = head_of(&mut input, GZIP_MAGIC.len() as u64)?;
    *is_gzip = head == GZIP_MAGIC;
    let whole = Cursor::new(head).chain(input);
    let mut text: Box<dyn Read + 'a> = if *is_gzip {
        // A gzip file may be several, one after the other, as `cat a.gz b.gz` leaves them.
        Box::new(MultiGzDecoder::new(whole))
    } else {
        Box::new(whole)
    };
    let head = head_of(&mut text, BYTE_ORDER_MARK.len() as u64)?;
    if head == BYTE_ORDER_MARK { Ok(text) } else { Ok(Box::new(Cursor::new(head).chain(text))) }
}

/// The first `length` bytes of `input`, or all if there are fewer.
fn head_of(input: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    input.take(length).read_to_end(&mut head)?;
    Ok(head)
}

/// Tells a damaged file from a disk that failed: the decompressor reports only these kinds.
fn failed(path: &Path, is_gzip: bool, cause: io::Error) -> OrderFileError {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    let path = path.to_owned();
    if is_gzip && matches!(cause.kind(), InvalidData | InvalidInput | UnexpectedEof) {
        OrderFileError::Gzip { path, cause }
    } else {
        OrderFileError::Read { path, cause }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// Line and first field of each record.
    fn records(bytes: &[u8]) -> Result<Vec<(u64, String)>, OrderFileError> {
        let mut source = Source::new(bytes, Path::new("orders.csv"))?;
        let mut record = ByteRecord::new();
        let mut records = Vec::new();
        while source.next_record(&mut record)? {
            records.push((source.line(), String::from_utf8_lossy(&record[0]).into_owned()));
        }
        Ok(records)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn lines_are_counted_as_an_editor_counts_them() {
        let expected =
            |lines: [u64; 4]| lines.into_iter().zip(["h", "x", "y\nY", "z"].map(str::to_owned)).collect::<Vec<_>>();
        let cases: [(&str, [u64; 4]); 5] = [
            ("h,a\nx,1\n\"y\nY\",2\nz,3\n", [1, 2, 3, 5]),
            ("h,a\nx,1\n\n\n\"y\nY\",2\nz,3", [1, 2, 5, 7]),
            ("h,a\r\nx,1\r\n\"y\nY\",2\r\nz,3\r\n", [1, 2, 3, 5]),
            ("h,a\r\nx,1\r\n\r\n\r\n\"y\nY\",2\r\nz,3", [1, 2, 5, 7]),
            ("\n\nh,a\nx,1\n\"y\nY\",2\nz,3", [3, 4, 5, 7]),
        ];
        for (text, lines) in cases {
            assert_eq!(records(text.as_bytes()).unwrap(), expected(lines), "{text:?}");
        }
    }

    #[test]
    fn gzip_is_recognised_by_content_and_the_byte_order_mark_is_dropped_in_both() {
        let text = b"\xef\xbb\xbf\"h\",a\nx,1\n";
        let expected = vec![(1, "h".to_owned()), (2, "x".to_owned())];
        assert_eq!(records(text).unwrap(), expected);
        assert_eq!(records(&gzip(text)).unwrap(), expected);
        let two_members = [gzip(b"h,a\n"), gzip(b"x,1\n")].concat();
        assert_eq!(records(&two_members).unwrap(), expected);
        for nothing in [b"".as_slice(), b"\xef\xbb\xbf", b"\n\r\n\n", &gzip(b"")] {
            assert_eq!(records(nothing).unwrap(), vec![], "{nothing:?}");
        }
    }

    #[test]
    fn a_gzip_file_cut_anywhere_or_damaged_is_an_error_and_never_a_shorter_file() {
        let text: String = (0..300).map(|row| format!("customer {row},{}\n", row * row)).collect();
        let whole = gzip(text.as_bytes());
        for length in 2..whole.len() {
            let cut = records(&whole[..length]);
            assert!(matches!(cut, Err(OrderFileError::Gzip { .. })), "{length}: {cut:?}");
        }
        let mut damaged = whole.clone();
        let checksum = damaged.len() - 6;
        damaged[checksum] ^= 1;
        assert!(matches!(records(&damaged), Err(OrderFileError::Gzip { .. })));
    }

    #[test]
    fn a_quote_left_open_stops_at_the_row_and_does_not_swallow_the_file() {
        let mut text = String::from("h,a\r\nx,1\r\n\"y,2\r\n");
        text.push_str(&"z,3\r\n".repeat(1 << 19));
        let error = records(text.as_bytes()).unwrap_err();
        assert!(matches!(error, OrderFileError::RowTooLong { line: 3 }), "{error}");
    }
}
