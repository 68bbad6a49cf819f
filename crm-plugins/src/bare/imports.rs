//! What a module may import, in core functions.

use wasmtime::{Caller, Engine, Linker, Trap};

use super::heap::Heap;
use super::lift::Reader;
use super::{Border, lower};
use crate::contract::{DIAG, LOOKUP};
use crate::fault::printable;
use crate::lookup::Need;
use crate::sandbox::{Sandbox, Stop};
use crate::wire::LevelOut;

/// What each module may import, and look-ups if its manifest names sources.
pub(crate) fn linker(engine: &Engine, has_lookups: bool) -> wasmtime::Result<Linker<Sandbox>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap(DIAG, "emit", emit)?;
    if has_lookups {
        linker.func_wrap(LOOKUP, "fetch", fetch)?;
    }
    Ok(linker)
}

/// The guest's border, if it may call the host at all now.
fn open(caller: &Caller<'_, Sandbox>) -> wasmtime::Result<Border> {
    let sandbox = caller.data();
    match &sandbox.border {
        Some(border) if !sandbox.is_closed => Ok(border.clone()),
        // While it makes room, and before it is there as a whole.
        _ => Err(Trap::CannotLeaveComponent.into()),
    }
}

fn emit(mut caller: Caller<'_, Sandbox>, level: u32, at: u32, length: u32) -> wasmtime::Result<()> {
    let border = open(&caller)?;
    let level = LevelOut::of(level).ok_or(Stop::Border("a case that a type does not have"))?;
    let (memory, sandbox) = border.memory.data_and_store_mut(&mut caller);
    let text = Reader::new(memory, sandbox.output_bytes()).text(at, length)?;
    if let Some(line_max) = sandbox.begin_line()? {
        sandbox.log(level, &printable(text, line_max));
    }
    Ok(())
}

#[allow(clippy::too_many_arguments, reason = "three texts or lists and where the answer goes, as the contract has it")]
fn fetch(
    mut caller: Caller<'_, Sandbox>,
    source_at: u32,
    source_length: u32,
    keys_at: u32,
    keys_length: u32,
    field_at: u32,
    field_length: u32,
    answer_at: u32,
) -> wasmtime::Result<()> {
    let border = open(&caller)?;
    let (memory, sandbox) = border.memory.data_and_store_mut(&mut caller);
    sandbox.count_host_call()?;
    let mut reader = Reader::new(memory, sandbox.output_bytes());
    let (source, field) = (reader.text(source_at, source_length)?, reader.text(field_at, field_length)?);
    let (keys, _) = reader.items(keys_at, keys_length, 8, 4)?.as_chunks::<8>();
    sandbox.check_lookup(source, field, keys.len())?;
    let mut bytes = sandbox.key_bytes();
    let keys = keys.iter().map(|[a, b, c, d, e, f, g, h]| {
        let key = reader.text(u32::from_le_bytes([*a, *b, *c, *d]), u32::from_le_bytes([*e, *f, *g, *h]))?;
        bytes.take(key)
    });
    let keys = keys.collect::<Result<_, Stop>>()?;
    let answer = sandbox.answer(Need { source: source.to_owned(), keys, field: field.to_owned() })?;
    let answer = lower::lookup_answer(&mut Heap::new(&mut caller, &border), &answer)?;
    let memory = border.memory.data_mut(&mut caller);
    let room = memory.get_mut(answer_at as usize..).and_then(|rest| rest.first_chunk_mut());
    match room {
        Some(room) if answer_at.is_multiple_of(4) => *room = answer,
        _ => return Err(Stop::Border("an answer that is not aligned or outside of the memory").into()),
    }
    Ok(())
}
