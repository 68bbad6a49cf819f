//! Files that say little and are much work for a compiler, by an encoder of their own: as text they would be as much work
//! for the reader of the text.

#![allow(dead_code, reason = "each test file uses a part")]

use super::support::{SCORER, SCORER_MANIFEST};

/// A module whose functions are given as bytes.
#[derive(Clone)]
pub(crate) struct Module {
    /// How many numbers each type takes and gives.
    types: Vec<(usize, usize)>,
    /// The type of each function, and its body.
    functions: Vec<(usize, Vec<u8>)>,
}

/// The type `() -> ()`.
pub(crate) const NOTHING: usize = 3;
/// The first type that is a test's own.
pub(crate) const OWN: usize = 4;

impl Module {
    /// A scorer that answers nonsense, and these types.
    pub(crate) fn new(own: &[(usize, usize)]) -> Module {
        let mut types = vec![(4, 1), (2, 1), (5, 1), (0, 0)];
        types.extend(own);
        let answer = || body(0, &[0x41, 0]);
        Module { types, functions: vec![(0, answer()), (1, answer()), (2, answer())] }
    }

    /// Adds a function, and says its number.
    pub(crate) fn add(&mut self, of_type: usize, body: Vec<u8>) -> usize {
        self.functions.push((of_type, body));
        self.functions.len() - 1
    }

    /// Adds `function` as often as `bytes` of code have room for it, `most` times at most.
    pub(crate) fn fill(mut self, of_type: usize, function: &[u8], bytes: usize, most: usize) -> Module {
        for _ in 0..(bytes / (function.len() + 4)).min(most) {
            self.add(of_type, function.to_vec());
        }
        self
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let numbers = |count: usize| [number(count), vec![0x7f; count]].concat();
        let types = self.types.iter().map(|(takes, gives)| [vec![0x60], numbers(*takes), numbers(*gives)].concat());
        let functions = self.functions.iter().map(|(of_type, _)| number(*of_type));
        let exports =
            [("cabi_realloc".to_owned(), 0), (format!("{SCORER}#configure"), 1), (format!("{SCORER}#score"), 2)];
        let exports = exports.iter().map(|(name, index)| [text(name), vec![0, *index]].concat());
        let exports = exports.chain([[text("memory"), vec![2, 0]].concat()]);
        let codes = self.functions.iter().map(|(_, body)| [number(body.len()), body.clone()].concat());
        [
            b"\0asm\x01\0\0\0".to_vec(),
            section(1, types),
            section(3, functions),
            section(4, [vec![0x70, 0, 1]].into_iter()),
            section(5, [vec![0, 1]].into_iter()),
            section(6, [vec![0x7f, 1, 0x41, 0, 0x0b]].into_iter()),
            section(7, exports),
            section(10, codes),
            [vec![0], sized([text("crm:manifest"), SCORER_MANIFEST.into()].concat())].concat(),
        ]
        .concat()
    }
}

/// A body with so many local numbers, and these instructions.
pub(crate) fn body(locals: usize, code: &[u8]) -> Vec<u8> {
    let locals = if locals == 0 { vec![0] } else { [vec![1], number(locals), vec![0x7f]].concat() };
    [locals, code.to_vec(), vec![0x0b]].concat()
}

/// `code` as often as it takes to fill `bytes`.
pub(crate) fn repeat(code: &[u8], bytes: usize) -> Vec<u8> {
    code.repeat(bytes / code.len())
}

/// `local.get`, `local.set`, `br_if` and the like: an instruction with a number.
pub(crate) fn with(instruction: u8, operand: usize) -> Vec<u8> {
    [vec![instruction], number(operand)].concat()
}

fn section(id: u8, items: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let items: Vec<_> = items.collect();
    [vec![id], sized([number(items.len()), items.concat()].concat())].concat()
}

fn sized(bytes: Vec<u8>) -> Vec<u8> {
    [number(bytes.len()), bytes].concat()
}

fn text(text: &str) -> Vec<u8> {
    sized(text.as_bytes().to_vec())
}

/// A number as WebAssembly writes it (LEB128).
pub(crate) fn number(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
