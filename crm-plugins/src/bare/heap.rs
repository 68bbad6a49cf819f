//! Room in a guest's memory, made by the guest.

use wasmtime::{AsContextMut, StoreContextMut};

use super::Border;
use crate::sandbox::{Sandbox, Stop};

/// Makes room in one guest. What is put there is the guest's from then on.
pub(crate) struct Heap<'a> {
    store: StoreContextMut<'a, Sandbox>,
    border: &'a Border,
}

/// Where a list or a text lies: its address, and how many items or bytes it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u32,
    pub(super) length: u32,
}

impl Place {
    /// That of nothing: an address that is aligned, and that nobody reads.
    pub(super) fn empty(align: u32) -> Place {
        Place { at: align, length: 0 }
    }
}

impl<'a> Heap<'a> {
    pub(super) fn new<S: AsContextMut<Data = Sandbox>>(store: &'a mut S, border: &'a Border) -> Heap<'a> {
        Heap { store: store.as_context_mut(), border }
    }

    /// Puts `items` items of `size` bytes each where the guest makes room for them; `fill` writes their bytes.
    pub(super) fn put(
        &mut self,
        items: usize,
        size: usize,
        align: u32,
        fill: impl FnOnce(&mut [u8]),
    ) -> wasmtime::Result<Place> {
        let too_large = || Stop::Border("more than a guest's memory can hold");
        let bytes = items.checked_mul(size).and_then(|bytes| u32::try_from(bytes).ok()).ok_or_else(too_large)?;
        // As many bytes as fit the guest's memory, and none has more than that.
        let length = items as u32;
        if bytes == 0 {
            return Ok(Place { length, ..Place::empty(align) });
        }
        let at = self.make_room(bytes, align)?;
        let memory = self.border.memory.data_mut(&mut self.store);
        let room = memory.get_mut(at as usize..).and_then(|rest| rest.get_mut(..bytes as usize));
        match room {
            Some(room) if at.is_multiple_of(align) => fill(room),
            _ => return Err(Stop::Border("room that is not aligned or outside of the memory").into()),
        }
        Ok(Place { at, length })
    }

    fn make_room(&mut self, bytes: u32, align: u32) -> wasmtime::Result<u32> {
        self.store.data_mut().is_closed = true;
        let at = self.border.realloc.call(&mut self.store, (0, 0, align, bytes));
        self.store.data_mut().is_closed = false;
        at
    }
}
