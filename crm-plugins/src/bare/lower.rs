//! The contract's types on their way into a guest.

use wasmtime::{TypedFunc, WasmParams};

use super::Functions;
use super::heap::{Heap, Place};
use crate::wire::{BatchIn, CellsIn, ColumnIn, DictionaryIn, EntryIn, EventIn, FailureAnswer, ValueAnswer, ValueIn};

/// A list, flat: its address and its length.
pub(super) type ListArgs = (u32, u32);
/// A batch, flat: rows, context, columns.
pub(super) type BatchArgs = (u32, u32, u32, u32, u32);
/// An event (id, kind, time, seed, fields), its customer and the memory, flat.
pub(super) type EventArgs = (u32, u32, u32, u32, i64, u64, u32, u32, u32, u32, u32, u32);

/// The arguments of one of the contract's functions.
pub(crate) trait Arguments {
    /// The parameters of the core function.
    type Flat: WasmParams;
    /// Whether they are those of `configure`.
    const CONFIGURES: bool;

    /// Which function takes them; none if this plugin has none.
    fn function(functions: &Functions) -> Option<&TypedFunc<Self::Flat, u32>>;

    /// Puts them into the guest's memory.
    fn lower(&self, heap: &mut Heap<'_>) -> wasmtime::Result<Self::Flat>;
}

impl Arguments for (&[EntryIn<'_>],) {
    type Flat = ListArgs;
    const CONFIGURES: bool = true;

    fn function(functions: &Functions) -> Option<&TypedFunc<ListArgs, u32>> {
        Some(&functions.configure)
    }

    fn lower(&self, heap: &mut Heap<'_>) -> wasmtime::Result<ListArgs> {
        let params = entries(heap, self.0)?;
        Ok((params.at, params.length))
    }
}

impl Arguments for (BatchIn<'_>,) {
    type Flat = BatchArgs;
    const CONFIGURES: bool = false;

    fn function(functions: &Functions) -> Option<&TypedFunc<BatchArgs, u32>> {
        functions.score.as_ref()
    }

    fn lower(&self, heap: &mut Heap<'_>) -> wasmtime::Result<BatchArgs> {
        let (BatchIn { rows, context, columns },) = *self;
        let context = entries(heap, context)?;
        let columns = list(heap, columns, COLUMN_SIZE, 4, column)?;
        Ok((rows, context.at, context.length, columns.at, columns.length))
    }
}

impl Arguments for (EventIn<'_>, &[EntryIn<'_>], &[u8]) {
    type Flat = EventArgs;
    const CONFIGURES: bool = false;

    fn function(functions: &Functions) -> Option<&TypedFunc<EventArgs, u32>> {
        functions.handle.as_ref()
    }

    fn lower(&self, heap: &mut Heap<'_>) -> wasmtime::Result<EventArgs> {
        let (EventIn { id, kind, at_ms, seed, fields }, customer, memory) = *self;
        let (id, kind) = (bytes(heap, id.as_bytes())?, bytes(heap, kind.as_bytes())?);
        let (fields, customer) = (entries(heap, fields)?, entries(heap, customer)?);
        let memory = bytes(heap, memory)?;
        Ok((
            id.at,
            id.length,
            kind.at,
            kind.length,
            at_ms,
            seed,
            fields.at,
            fields.length,
            customer.at,
            customer.length,
            memory.at,
            memory.length,
        ))
    }
}

/// Bytes of the contract's records; [`lift`](super::lift) has those of the answers.
const VALUE_SIZE: usize = 16;
const ENTRY_SIZE: usize = 8 + VALUE_SIZE;
const COLUMN_SIZE: usize = 28;
const TEXT_SIZE: usize = 8;
/// A result of a list or a failure.
pub(super) const ANSWER_SIZE: usize = 20;

/// What a look-up returns to the guest, as the bytes of a result.
pub(super) fn lookup_answer(
    heap: &mut Heap<'_>,
    answer: &Result<Vec<ValueAnswer>, FailureAnswer>,
) -> wasmtime::Result<[u8; ANSWER_SIZE]> {
    let mut slot = [0; ANSWER_SIZE];
    match answer {
        Ok(values) => {
            let values = list(heap, values, VALUE_SIZE, 8, |heap, value, slot| value_of(heap, borrowed(value), slot))?;
            place(&mut slot, 4, values);
        }
        Err(FailureAnswer { code, message }) => {
            word(&mut slot, 0, 1);
            place(&mut slot, 4, bytes(heap, code.as_bytes())?);
            place(&mut slot, 12, bytes(heap, message.as_bytes())?);
        }
    }
    Ok(slot)
}

fn borrowed(value: &ValueAnswer) -> ValueIn<'_> {
    match value {
        ValueAnswer::Null => ValueIn::Null,
        ValueAnswer::Boolean(value) => ValueIn::Boolean(*value),
        ValueAnswer::Int(value) => ValueIn::Int(*value),
        ValueAnswer::Float(value) => ValueIn::Float(*value),
        ValueAnswer::Text(value) => ValueIn::Text(value),
        ValueAnswer::Bytes(value) => ValueIn::Bytes(value),
    }
}

#[inline]
fn entries(heap: &mut Heap<'_>, entries: &[EntryIn<'_>]) -> wasmtime::Result<Place> {
    list(heap, entries, ENTRY_SIZE, 8, |heap, entry, slot| {
        place(slot, 0, bytes(heap, entry.name.as_bytes())?);
        value_of(heap, entry.value, slot.get_mut(8..).unwrap_or_default())
    })
}

/// A variant: its case in the first byte, what it holds from the eighth on.
fn value_of(heap: &mut Heap<'_>, value: ValueIn<'_>, slot: &mut [u8]) -> wasmtime::Result<()> {
    match value {
        ValueIn::Null => word(slot, 0, 0),
        ValueIn::Boolean(value) => {
            word(slot, 0, 1);
            word(slot, 8, u32::from(value));
        }
        ValueIn::Int(value) => {
            word(slot, 0, 2);
            write(slot, 8, value.to_le_bytes());
        }
        ValueIn::Float(value) => {
            word(slot, 0, 3);
            write(slot, 8, value.to_le_bytes());
        }
        ValueIn::Text(value) => {
            word(slot, 0, 4);
            place(slot, 8, bytes(heap, value.as_bytes())?);
        }
        ValueIn::Bytes(value) => {
            word(slot, 0, 5);
            place(slot, 8, bytes(heap, value)?);
        }
    }
    Ok(())
}

/// The cells, a variant whose cases hold from the fourth byte on, and then which are missing.
fn column(heap: &mut Heap<'_>, column: &ColumnIn<'_>, slot: &mut [u8]) -> wasmtime::Result<()> {
    match column.cells {
        CellsIn::Floats(cells) => {
            word(slot, 0, 0);
            place(slot, 4, scalars(heap, cells, f64::to_le_bytes)?);
        }
        CellsIn::Ints(cells) => {
            word(slot, 0, 1);
            place(slot, 4, scalars(heap, cells, i64::to_le_bytes)?);
        }
        CellsIn::Booleans(cells) => {
            word(slot, 0, 2);
            place(slot, 4, scalars(heap, cells, |cell| [u8::from(cell)])?);
        }
        CellsIn::Words(DictionaryIn { codes, words }) => {
            word(slot, 0, 3);
            place(slot, 4, scalars(heap, codes, u32::to_le_bytes)?);
            let words = list(heap, words, TEXT_SIZE, 4, |heap, text, slot| {
                place(slot, 0, bytes(heap, text.as_bytes())?);
                Ok(())
            })?;
            place(slot, 12, words);
        }
    }
    place(slot, 20, bytes(heap, column.nulls)?);
    Ok(())
}

/// A list of records. What they hold is put before them.
#[inline]
fn list<T>(
    heap: &mut Heap<'_>,
    items: &[T],
    size: usize,
    align: u32,
    mut write: impl FnMut(&mut Heap<'_>, &T, &mut [u8]) -> wasmtime::Result<()>,
) -> wasmtime::Result<Place> {
    if items.is_empty() {
        return Ok(Place::empty(align));
    }
    let mut slots = vec![0; items.len().saturating_mul(size)];
    for (item, slot) in items.iter().zip(slots.chunks_exact_mut(size)) {
        write(heap, item, slot)?;
    }
    heap.put(items.len(), size, align, |room| room.copy_from_slice(&slots))
}

fn bytes(heap: &mut Heap<'_>, bytes: &[u8]) -> wasmtime::Result<Place> {
    heap.put(bytes.len(), 1, 1, |room| room.copy_from_slice(bytes))
}

/// A list of what has `N` bytes and is aligned to as many.
fn scalars<T: Copy, const N: usize>(
    heap: &mut Heap<'_>,
    items: &[T],
    to_bytes: impl Fn(T) -> [u8; N],
) -> wasmtime::Result<Place> {
    heap.put(items.len(), N, N as u32, |room| {
        let (slots, _) = room.as_chunks_mut::<N>();
        for (slot, item) in slots.iter_mut().zip(items) {
            *slot = to_bytes(*item);
        }
    })
}

fn place(slot: &mut [u8], offset: usize, place: Place) {
    word(slot, offset, place.at);
    word(slot, offset + 4, place.length);
}

fn word(slot: &mut [u8], offset: usize, word: u32) {
    write(slot, offset, word.to_le_bytes());
}

fn write<const N: usize>(slot: &mut [u8], offset: usize, bytes: [u8; N]) {
    if let Some(room) = slot.get_mut(offset..).and_then(|rest| rest.first_chunk_mut()) {
        *room = bytes;
    }
}
