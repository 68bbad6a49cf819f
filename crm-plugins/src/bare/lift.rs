//! The contract's types on their way out of a guest. Whatever the guest's memory holds, what comes of it is a value of the
//! contract or an error, and no more is read than allowed.
//!
//! What is inlined here is what each batch's answer goes through: it is some hundred bytes, which are otherwise moved from one
//! caller to the next.

use crate::sandbox::Stop;
use crate::wire::{ActionOut, CellsOut, ColumnOut, DictionaryOut, EntryOut, FailureOut, OutcomeOut, ValueOut};

/// A value of the contract that a guest returns.
pub(crate) trait FromGuest: Sized {
    /// Its bytes within a record or a list.
    const SIZE: usize;
    /// What its address is a multiple of.
    const ALIGN: usize;

    /// Reads it from `slot`, which has [`Self::SIZE`] bytes.
    fn lift(slot: &[u8], reader: &mut Reader<'_>) -> Result<Self, Stop>;

    /// Reads the items of a list.
    fn lift_all(slots: &[u8], reader: &mut Reader<'_>) -> Result<Vec<Self>, Stop> {
        let mut items = Vec::with_capacity(slots.len() / Self::SIZE);
        for slot in slots.chunks_exact(Self::SIZE) {
            items.push(Self::lift(slot, reader)?);
        }
        Ok(items)
    }
}

const OUTSIDE: Stop = Stop::Border("an address that is not aligned or outside of the memory");
const CASE: Stop = Stop::Border("a case that a type does not have");
const TEXT: Stop = Stop::Border("text that is not UTF-8");

/// Reads a guest's memory.
pub(crate) struct Reader<'a> {
    memory: &'a [u8],
    bytes_left: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(memory: &'a [u8], bytes_max: usize) -> Reader<'a> {
        Reader { memory, bytes_left: bytes_max }
    }

    /// The `length` items of `size` bytes at `at`.
    pub(super) fn items(&mut self, at: u32, length: u32, size: usize, align: usize) -> Result<&'a [u8], Stop> {
        let Some(bytes) = (length as usize).checked_mul(size) else { return Err(OUTSIDE) };
        let items = self.memory.get(at as usize..).and_then(|rest| rest.get(..bytes));
        let Some(items) = items.filter(|_| (at as usize).is_multiple_of(align)) else { return Err(OUTSIDE) };
        let Some(left) = self.bytes_left.checked_sub(bytes) else { return Err(Stop::TooMuch) };
        self.bytes_left = left;
        Ok(items)
    }

    pub(super) fn text(&mut self, at: u32, length: u32) -> Result<&'a str, Stop> {
        std::str::from_utf8(self.items(at, length, 1, 1)?).map_err(|_| TEXT)
    }

    #[inline]
    fn list<T: FromGuest>(&mut self, slot: &[u8], offset: usize) -> Result<Vec<T>, Stop> {
        let slots = self.items(word(slot, offset), word(slot, offset + 4), T::SIZE, T::ALIGN)?;
        T::lift_all(slots, self)
    }

    fn string(&mut self, slot: &[u8], offset: usize) -> Result<String, Stop> {
        Ok(self.text(word(slot, offset), word(slot, offset + 4))?.to_owned())
    }
}

/// What a function answered whose answer lies at `at`: a result, its case in the first byte.
#[inline]
pub(super) fn answer<T: FromGuest>(memory: &[u8], at: u32, bytes_max: usize) -> Result<Result<T, FailureOut>, Stop> {
    let mut reader = Reader::new(memory, bytes_max);
    let size = 4 + T::SIZE.max(FailureOut::SIZE);
    // The answer itself is not what its size is limited for.
    let slot = Reader::new(memory, size).items(at, 1, size, 4)?;
    match slot.split_at_checked(4) {
        Some(([0, ..], slot)) => T::lift(slot, &mut reader).map(Ok),
        Some(([1, ..], slot)) => FailureOut::lift(slot, &mut reader).map(Err),
        _ => Err(CASE),
    }
}

impl FromGuest for () {
    const SIZE: usize = 0;
    const ALIGN: usize = 1;

    fn lift(_: &[u8], _: &mut Reader<'_>) -> Result<(), Stop> {
        Ok(())
    }
}

impl FromGuest for FailureOut {
    const SIZE: usize = 16;
    const ALIGN: usize = 4;

    fn lift(slot: &[u8], reader: &mut Reader<'_>) -> Result<FailureOut, Stop> {
        Ok(FailureOut { code: reader.string(slot, 0)?, message: reader.string(slot, 8)? })
    }
}

impl<T: FromGuest> FromGuest for Vec<T> {
    const SIZE: usize = 8;
    const ALIGN: usize = 4;

    #[inline]
    fn lift(slot: &[u8], reader: &mut Reader<'_>) -> Result<Vec<T>, Stop> {
        reader.list(slot, 0)
    }
}

impl FromGuest for String {
    const SIZE: usize = 8;
    const ALIGN: usize = 4;

    fn lift(slot: &[u8], reader: &mut Reader<'_>) -> Result<String, Stop> {
        reader.string(slot, 0)
    }
}

impl FromGuest for OutcomeOut {
    const SIZE: usize = 16;
    const ALIGN: usize = 4;

    fn lift(slot: &[u8], reader: &mut Reader<'_>) -> Result<OutcomeOut, Stop> {
        Ok(OutcomeOut { actions: reader.list(slot, 0)?, memory: reader.list(slot, 8)? })
    }
}

impl FromGuest for ActionOut {
    const SIZE: usize = 16;
    const ALIGN: usize = 4;

    fn lift(slot: &[u8], reader: &mut Reader<'_>) -> Result<ActionOut, Stop> {
        Ok(ActionOut { kind: reader.string(slot, 0)?, args: reader.list(slot, 8)? })
    }
}

impl FromGuest for EntryOut {
    const SIZE: usize = 24;
    const ALIGN: usize = 8;

    fn lift(slot: &[u8], reader: &mut Reader<'_>) -> Result<EntryOut, Stop> {
        let name = reader.string(slot, 0)?;
        Ok(EntryOut { name, value: ValueOut::lift(slot.get(8..).unwrap_or_default(), reader)? })
    }
}

impl FromGuest for ValueOut {
    const SIZE: usize = 16;
    const ALIGN: usize = 8;

    fn lift(slot: &[u8], reader: &mut Reader<'_>) -> Result<ValueOut, Stop> {
        Ok(match case(slot) {
            0 => ValueOut::Null,
            1 => ValueOut::Boolean(slot.get(8).is_some_and(|&byte| byte != 0)),
            2 => ValueOut::Int(i64::from_le_bytes(bytes(slot, 8))),
            3 => ValueOut::Float(f64::from_le_bytes(bytes(slot, 8))),
            4 => ValueOut::Text(reader.string(slot, 8)?),
            5 => ValueOut::Bytes(reader.list(slot, 8)?),
            _ => return Err(CASE),
        })
    }
}

impl FromGuest for ColumnOut {
    const SIZE: usize = 28;
    const ALIGN: usize = 4;

    #[inline]
    fn lift(slot: &[u8], reader: &mut Reader<'_>) -> Result<ColumnOut, Stop> {
        let cells = match case(slot) {
            0 => CellsOut::Floats(reader.list(slot, 4)?),
            1 => CellsOut::Ints(reader.list(slot, 4)?),
            2 => CellsOut::Booleans(reader.list(slot, 4)?),
            3 => CellsOut::Words(DictionaryOut { codes: reader.list(slot, 4)?, words: reader.list(slot, 12)? }),
            _ => return Err(CASE),
        };
        Ok(ColumnOut { cells, nulls: reader.list(slot, 20)? })
    }
}

/// Numbers and truths, each aligned to its own size: lists of them are copied as a whole.
macro_rules! scalar {
    ($type:ty, $size:literal, $read:expr) => {
        impl FromGuest for $type {
            const SIZE: usize = $size;
            const ALIGN: usize = $size;

            fn lift(slot: &[u8], _: &mut Reader<'_>) -> Result<$type, Stop> {
                Ok($read(bytes(slot, 0)))
            }

            fn lift_all(slots: &[u8], _: &mut Reader<'_>) -> Result<Vec<$type>, Stop> {
                let (slots, _) = slots.as_chunks::<$size>();
                Ok(slots.iter().map(|slot| $read(*slot)).collect())
            }
        }
    };
}

scalar!(f64, 8, f64::from_le_bytes);
scalar!(i64, 8, i64::from_le_bytes);
scalar!(u32, 4, u32::from_le_bytes);
scalar!(u8, 1, u8::from_le_bytes);
scalar!(bool, 1, |[byte]: [u8; 1]| byte != 0);

fn case(slot: &[u8]) -> u8 {
    slot.first().copied().unwrap_or(u8::MAX)
}

fn word(slot: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes(slot, offset))
}

/// Slots have the size of what is in them, so the bytes are there.
fn bytes<const N: usize>(slot: &[u8], offset: usize) -> [u8; N] {
    slot.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}
