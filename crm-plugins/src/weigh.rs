//! How much work a function is for the compiler, by an estimate before any of it is done.
//!
//! What a compiler does is not linear in what it is given. Where paths meet, every variable that differs between them and is
//! read later becomes a value of its own, which each jump hands over; giving these values registers takes time with the
//! number of blocks for each of them, and memory with the square of the number of loops. Three kilobytes of loops
//! that hand a hundred values on took 2.7 seconds and 1.7 GB. So this finds out what lives where (the usual
//! backward analysis, which structured code makes easy), and counts.
//!
//! A unit is about a microsecond of the processor's time, measured with code that was made to be dear. The
//! examples' guests have 56,000 to 155,000 of them and take 0.06 to 0.12 s.

use wasmparser::{
    BinaryReaderError, BlockType, FunctionBody, FunctionSectionReader, Operator, TypeRef, TypeSectionReader,
};

/// The types of a module's functions, as far as they were read.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    /// How many values each type takes and gives.
    types: Vec<(usize, usize)>,
    /// The type of each function, imported ones first.
    functions: Vec<u32>,
    imported: usize,
    bodies: usize,
}

impl Shapes {
    pub(crate) fn add_types(&mut self, section: &TypeSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for group in section.clone() {
            for kind in group?.into_types() {
                let shape = match &kind.composite_type.inner {
                    wasmparser::CompositeInnerType::Func(func) => (func.params().len(), func.results().len()),
                    // The validator refuses them.
                    wasmparser::CompositeInnerType::Array(_)
                    | wasmparser::CompositeInnerType::Struct(_)
                    | wasmparser::CompositeInnerType::Cont(_) => (0, 0),
                };
                self.types.push(shape);
            }
        }
        Ok(())
    }

    pub(crate) fn add_import(&mut self, import: TypeRef) {
        if let TypeRef::Func(index) | TypeRef::FuncExact(index) = import {
            self.functions.push(index);
            self.imported += 1;
        }
    }

    pub(crate) fn add_functions(&mut self, section: &FunctionSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for index in section.clone() {
            self.functions.push(index?);
        }
        Ok(())
    }

    /// The work that the next body is.
    pub(crate) fn weigh(&mut self, body: &FunctionBody<'_>) -> Result<u64, BinaryReaderError> {
        let own = self.function(self.imported + self.bodies);
        self.bodies += 1;
        let mut reading = Reading::of(self);
        reading.read(body, own)?;
        Ok(reading.weigh())
    }

    /// What a type takes and gives; nothing if there is none, which the validator refuses.
    fn shape(&self, of_type: u32) -> (usize, usize) {
        self.types.get(of_type as usize).copied().unwrap_or_default()
    }

    fn function(&self, index: usize) -> (usize, usize) {
        self.functions.get(index).map_or((0, 0), |of_type| self.shape(*of_type))
    }

    fn block(&self, kind: BlockType) -> (usize, usize) {
        match kind {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(of_type) => self.shape(of_type),
        }
    }
}

/// What matters of an instruction.
#[derive(Debug, Clone, Copy)]
enum Step {
    Get(u32),
    Set(u32),
    /// A block, a loop or a condition begins, with so many values that its label takes.
    Open(usize),
    Else,
    /// It ends.
    Close(Kind),
    /// Goes to these of `Reading::labels`, or on if it is conditional.
    Jump {
        first: usize,
        count: usize,
        is_conditional: bool,
    },
    /// Never goes on.
    Leave,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Block,
    Loop,
    If,
}

/// A function as it was read.
struct Reading<'a> {
    shapes: &'a Shapes,
    steps: Vec<Step>,
    labels: Vec<u32>,
    variables: usize,
    loops: u64,
    /// Where the compiler makes a block.
    blocks: u64,
    /// Calls of the host's own functions, off the usual path.
    asides: u64,
    /// What each instruction costs by itself.
    linear: u64,
}

/// How often loops are gone through before all that is read anywhere is taken to live in them.
const PASSES: usize = 4;

impl<'a> Reading<'a> {
    fn of(shapes: &'a Shapes) -> Self {
        Reading {
            shapes,
            steps: Vec::new(),
            labels: Vec::new(),
            variables: 0,
            loops: 0,
            blocks: 1,
            asides: 0,
            linear: 0,
        }
    }

    fn read(&mut self, body: &FunctionBody<'_>, (takes, gives): (usize, usize)) -> Result<(), BinaryReaderError> {
        self.variables = takes;
        for group in body.get_locals_reader()? {
            self.variables = self.variables.saturating_add(group?.0 as usize);
        }
        self.linear = 60 + (takes + gives) as u64 / 2 + self.variables as u64 / 8;
        let mut open = Vec::new();
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            self.instruction(&operators.read()?, &mut open);
        }
        Ok(())
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "what is not named costs as much as most do")]
    fn instruction(&mut self, operator: &Operator<'_>, open: &mut Vec<Kind>) {
        use Operator::*;
        let moved = |(takes, gives): (usize, usize)| 3 * (takes + gives) as u64;
        self.linear += match operator {
            LocalGet { local_index } => {
                self.steps.push(Step::Get(*local_index));
                1
            }
            LocalSet { local_index } | LocalTee { local_index } => {
                self.steps.push(Step::Set(*local_index));
                1
            }
            I32Const { .. } | I64Const { .. } | F32Const { .. } | F64Const { .. } | Drop | Nop => 1,
            Block { blockty } => self.open(Kind::Block, *blockty, open),
            Loop { blockty } => {
                self.loops += 1;
                self.open(Kind::Loop, *blockty, open)
            }
            If { blockty } => self.open(Kind::If, *blockty, open),
            Else => {
                self.steps.push(Step::Else);
                1
            }
            End => {
                // The last one ends the function.
                if let Some(kind) = open.pop() {
                    self.steps.push(Step::Close(kind));
                }
                1
            }
            Br { relative_depth } => self.jump(&[*relative_depth], false),
            BrIf { relative_depth } => self.jump(&[*relative_depth], true),
            BrTable { targets } => {
                let mut labels: Vec<u32> = targets.targets().filter_map(Result::ok).collect();
                labels.push(targets.default());
                let count = labels.len() as u64;
                labels.sort_unstable();
                labels.dedup();
                self.jump(&labels, false) + count / 2
            }
            Return | Unreachable => {
                self.steps.push(Step::Leave);
                2
            }
            Call { function_index } => 8 + moved(self.shapes.function(*function_index as usize)),
            CallIndirect { type_index, .. } => {
                self.asides += 1;
                150 + moved(self.shapes.shape(*type_index))
            }
            TableGet { .. }
            | TableSet { .. }
            | TableGrow { .. }
            | TableFill { .. }
            | TableCopy { .. }
            | TableInit { .. }
            | ElemDrop { .. }
            | RefFunc { .. }
            | MemoryGrow { .. } => {
                self.asides += 1;
                150
            }
            MemoryInit { .. } | MemoryCopy { .. } | MemoryFill { .. } | DataDrop { .. } => 30,
            I32DivS | I32DivU | I32RemS | I32RemU | I64DivS | I64DivU | I64RemS | I64RemU | I32TruncF32S
            | I32TruncF32U | I32TruncF64S | I32TruncF64U | I64TruncF32S | I64TruncF32U | I64TruncF64S
            | I64TruncF64U => 12,
            _ => 6,
        };
    }

    fn open(&mut self, kind: Kind, shape: BlockType, open: &mut Vec<Kind>) -> u64 {
        let (takes, gives) = self.shapes.block(shape);
        self.steps.push(Step::Open(if kind == Kind::Loop { takes } else { gives }));
        open.push(kind);
        self.blocks += 1;
        let handed = 2 * (takes + gives) as u64;
        // A loop looks at the clock.
        handed + if kind == Kind::Loop { 40 } else { 4 }
    }

    fn jump(&mut self, labels: &[u32], is_conditional: bool) -> u64 {
        self.steps.push(Step::Jump { first: self.labels.len(), count: labels.len(), is_conditional });
        self.labels.extend(labels);
        self.blocks += labels.len() as u64;
        4 * labels.len() as u64
    }

    fn weigh(&self) -> u64 {
        let mut living = Living::new(self);
        while living.passes < PASSES && living.pass(self) {}
        if living.passes == PASSES && living.pass(self) {
            living.assume_all(self);
            living.pass(self);
        }
        let Counts { handed, looked_for, looked_for_in_loops } = living.counts;
        let steep = [
            handed.saturating_mul(2 + self.blocks / 16),
            looked_for / 4,
            looked_for_in_loops.saturating_mul(2),
            self.loops.saturating_mul(self.loops) / 12,
            self.asides.saturating_mul(self.asides) / 80,
        ];
        steep.into_iter().fold(self.linear, u64::saturating_add)
    }
}

/// Which variables are read later, found by going backwards.
struct Living {
    /// Where the function is looked at: what is read from here on before it is written.
    live: Bits,
    /// What lives at the beginning of each loop, in the order in which loops end, last first.
    heads: Vec<Bits>,
    counts: Counts,
    passes: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    /// Values that jumps hand over where paths meet.
    handed: u64,
    /// Values that are looked for where paths meet.
    looked_for: u64,
    looked_for_in_loops: u64,
}

/// A block, loop or condition that is around.
struct Around {
    kind: Kind,
    /// Its number among the loops.
    number: usize,
    /// What lives where a jump to it goes.
    label: Bits,
    /// What lives at the beginning of the other branch.
    otherwise: Option<Bits>,
    /// What is written in it.
    written: Bits,
    jumps: u64,
}

impl Living {
    fn new(reading: &Reading<'_>) -> Living {
        let none = Bits::none(reading.variables);
        let heads = vec![none.clone(); usize::try_from(reading.loops).unwrap_or(0)];
        Living { live: none, heads, counts: Counts::default(), passes: 0 }
    }

    /// All that is read anywhere lives in all loops.
    fn assume_all(&mut self, reading: &Reading<'_>) {
        let mut all = Bits::none(reading.variables);
        for step in &reading.steps {
            if let Step::Get(variable) = step {
                all.insert(*variable);
            }
        }
        self.heads.iter_mut().for_each(|head| head.clone_from(&all));
    }

    /// Goes through the function once; whether more lives in a loop than was thought.
    fn pass(&mut self, reading: &Reading<'_>) -> bool {
        self.passes += 1;
        self.counts = Counts::default();
        let none = Bits::none(reading.variables);
        self.live.clone_from(&none);
        let mut more = false;
        let mut number = 0;
        let mut around: Vec<Around> = Vec::new();
        for step in reading.steps.iter().rev() {
            match *step {
                Step::Get(variable) => self.live.insert(variable),
                Step::Set(variable) => {
                    self.live.remove(variable);
                    if let Some(inner) = around.last_mut() {
                        inner.written.insert(variable);
                    }
                }
                Step::Close(kind) => {
                    let label = if kind == Kind::Loop { self.heads[number].clone() } else { self.live.clone() };
                    let written = none.clone();
                    around.push(Around { kind, number, label, otherwise: None, written, jumps: 0 });
                    number += usize::from(kind == Kind::Loop);
                }
                Step::Else => {
                    let Some(inner) = around.last_mut() else { continue };
                    inner.otherwise = Some(std::mem::replace(&mut self.live, inner.label.clone()));
                }
                Step::Open(takes) => more |= self.open(takes, &mut around),
                Step::Jump { first, count, is_conditional } => {
                    if !is_conditional {
                        self.live.clone_from(&none);
                    }
                    for label in &reading.labels[first..first + count] {
                        // The outermost label is the end of the function.
                        let Some(place) = around.len().checked_sub(1 + *label as usize) else { continue };
                        self.live.add(&around[place].label);
                        around[place].jumps += 1;
                    }
                }
                Step::Leave => self.live.clone_from(&none),
            }
        }
        more
    }

    fn open(&mut self, takes: usize, around: &mut Vec<Around>) -> bool {
        let Some(inner) = around.pop() else { return false };
        if let Some(outer) = around.last_mut() {
            outer.written.add(&inner.written);
        }
        let mut more = false;
        if inner.kind == Kind::If {
            self.live.add(inner.otherwise.as_ref().unwrap_or(&inner.label));
        } else if inner.kind == Kind::Loop {
            let head = &mut self.heads[inner.number];
            more = *head != self.live;
            head.clone_from(&self.live);
        }
        let label = if inner.kind == Kind::Loop { &self.live } else { &inner.label };
        // A block that nobody leaves early is no place where paths meet.
        let meets = inner.kind == Kind::If || inner.jumps > 0;
        let (differ, looked_for) = if meets { (label.count_with(&inner.written), label.count()) } else { (0, 0) };
        // Those who jump hand them over, and so does who comes along.
        self.counts.handed += (differ + takes as u64).saturating_mul(1 + inner.jumps);
        if inner.kind == Kind::Loop {
            self.counts.looked_for_in_loops += looked_for;
        } else {
            self.counts.looked_for += looked_for;
        }
        more
    }
}

/// A set of variables.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bits(Vec<u64>);

impl Bits {
    fn none(variables: usize) -> Bits {
        Bits(vec![0; variables.div_ceil(64)])
    }

    fn insert(&mut self, variable: u32) {
        if let Some(word) = self.0.get_mut(variable as usize / 64) {
            *word |= 1 << (variable % 64);
        }
    }

    fn remove(&mut self, variable: u32) {
        if let Some(word) = self.0.get_mut(variable as usize / 64) {
            *word &= !(1 << (variable % 64));
        }
    }

    fn add(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    fn count_with(&self, other: &Bits) -> u64 {
        self.0.iter().zip(&other.0).map(|(word, other)| u64::from((word & other).count_ones())).sum()
    }
}

#[cfg(test)]
#[allow(clippy::wildcard_enum_match_arm, reason = "the other sections say nothing here")]
mod tests {
    use super::*;

    /// What is counted of the only function of a module with this body.
    fn counts(parameters: &str, body: &str) -> (u64, u64, u64) {
        let wasm = wat::parse_str(format!("(module (func {parameters} {body}))")).unwrap();
        let mut shapes = Shapes::default();
        for payload in wasmparser::Parser::new(0).parse_all(&wasm) {
            match payload.unwrap() {
                wasmparser::Payload::TypeSection(section) => shapes.add_types(&section).unwrap(),
                wasmparser::Payload::FunctionSection(section) => shapes.add_functions(&section).unwrap(),
                wasmparser::Payload::CodeSectionEntry(body) => {
                    let mut reading = Reading::of(&shapes);
                    reading.read(&body, shapes.function(0)).unwrap();
                    let mut living = Living::new(&reading);
                    while living.pass(&reading) {}
                    let Counts { handed, looked_for, looked_for_in_loops } = living.counts;
                    return (handed, looked_for, looked_for_in_loops);
                }
                _ => {}
            }
        }
        unreachable!("there is a function")
    }

    #[test]
    fn a_variable_that_differs_where_paths_meet_and_is_read_later_is_handed_over() {
        let read = "(drop (local.get 1))";
        let written = "(local.set 1 (i32.const 5))";
        let either = |then: &str, after: &str| {
            counts("(param i32) (local i32)", &format!("(if (local.get 0) (then {then})) {after}"))
        };
        assert_eq!(either(written, read), (1, 1, 0));
        assert_eq!(either(written, ""), (0, 0, 0), "nobody reads it");
        assert_eq!(either("", read), (0, 1, 0), "nobody writes it");
        assert_eq!(either(written, &format!("{written} {read}")), (0, 0, 0), "it is written anew before it is read");
        assert_eq!(either("(return)", read), (0, 1, 0));
        // Once for each way out, and for who comes to the end.
        let left =
            format!("(block {written} (br_if 0 (local.get 0)) {written} (br_if 0 (local.get 0)) {written}) {read}");
        assert_eq!(counts("(param i32) (local i32)", &left), (3, 1, 0));
        let nobody_leaves = format!("(block {written}) {read}");
        assert_eq!(counts("(param i32) (local i32)", &nobody_leaves), (0, 0, 0));
    }

    #[test]
    fn what_a_loop_reads_again_lives_through_it() {
        let count = "(loop (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0)))";
        assert_eq!(counts("(param i32)", count), (2, 0, 1), "by who comes, and by who comes again");
        let once = "(loop (local.set 0 (i32.sub (local.get 0) (i32.const 1))))";
        assert_eq!(counts("(param i32)", once), (0, 0, 0), "nobody comes again");
        // The inner one is read at the beginning of the outer one, which only a second look can tell.
        let inner = "(loop $out (drop (local.get 0)) (loop $in (local.set 0 (i32.const 1)) (br_if $in (local.get 1))) (br_if $out (local.get 1)))";
        assert_eq!(counts("(param i32 i32)", inner), (2, 0, 3));
    }

    #[test]
    fn values_that_blocks_and_loops_take_are_handed_over() {
        let handed = counts("(param i32)", "(local.get 0) (loop (param i32) (result i32)) (drop)").0;
        assert_eq!(handed, 1);
    }
}
