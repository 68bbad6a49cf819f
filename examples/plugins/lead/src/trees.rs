//! Boosted trees out of a file.

use std::fmt;

/// What the file begins with.
const MAGIC: &[u8; 6] = b"TREES1";

/// Questions of one tree after each other, at most.
const DEPTH_MAX: u8 = 8;

/// Trees of one depth, whose answers are added up.
#[derive(Debug, Clone, PartialEq)]
pub struct Trees {
    features: usize,
    depth: u32,
    base: f64,
    questions: Vec<Question>,
    leaves: Vec<f64>,
}

/// Whether a feature is at or above a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Question {
    feature: usize,
    threshold: f64,
}

/// Why a file holds no trees.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TreesError {
    /// It begins otherwise.
    NoTrees,
    /// It is shorter or longer than its header says.
    Length {
        /// How long it should be, in bytes.
        expected: usize,
        /// How long it is.
        actual: usize,
    },
    /// The trees are deeper than eight questions, or have none.
    Depth(u8),
    /// A question is about a feature that the header does not count.
    Feature(u8),
    /// A number is NaN or infinite.
    NotFinite,
}

impl fmt::Display for TreesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TreesError::NoTrees => f.write_str("the file does not begin with TREES1"),
            TreesError::Length { expected, actual } => write!(f, "the file has {actual} bytes instead of {expected}"),
            TreesError::Depth(depth) => write!(f, "trees of depth {depth}, which is not between 1 and {DEPTH_MAX}"),
            TreesError::Feature(feature) => write!(f, "a question about feature {feature}, which there is not"),
            TreesError::NotFinite => f.write_str("a number that is not finite"),
        }
    }
}

impl std::error::Error for TreesError {}

impl Trees {
    /// Reads a file: `TREES1`, the number of features (one byte), the depth (one byte), the number of trees (two bytes),
    /// the base (a number); then for each tree its questions from the root on, level by level, each a feature (one byte)
    /// and a threshold (a number), and its leaves from left to right (numbers). Numbers are 32-bit floats, and all is in
    /// little-endian order.
    ///
    /// # Errors
    ///
    /// [`TreesError`], with what is wrong.
    pub fn read(file: &[u8]) -> Result<Trees, TreesError> {
        let rest = file.strip_prefix(MAGIC).ok_or(TreesError::NoTrees)?;
        let too_short = TreesError::Length { expected: MAGIC.len() + 8, actual: file.len() };
        let (header, mut rest) = rest.split_first_chunk::<8>().ok_or(too_short)?;
        let [features, depth, low, high, base @ ..] = *header;
        if !(1..=DEPTH_MAX).contains(&depth) {
            return Err(TreesError::Depth(depth));
        }
        let (count, leaves_each) = (usize::from(u16::from_le_bytes([low, high])), 1 << depth);
        let expected = count * ((leaves_each - 1) * 5 + leaves_each * 4);
        if rest.len() != expected {
            let header = file.len() - rest.len();
            return Err(TreesError::Length { expected: header + expected, actual: file.len() });
        }
        let (mut questions, mut leaves) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (asked, after) = rest.split_at((leaves_each - 1) * 5);
            for [feature, threshold @ ..] in asked.as_chunks::<5>().0 {
                if *feature >= features {
                    return Err(TreesError::Feature(*feature));
                }
                questions.push(Question { feature: usize::from(*feature), threshold: number(*threshold)? });
            }
            let (answers, after) = after.split_at(leaves_each * 4);
            for answer in answers.as_chunks::<4>().0 {
                leaves.push(number(*answer)?);
            }
            rest = after;
        }
        let features = usize::from(features);
        Ok(Trees { features, depth: u32::from(depth), base: number(base)?, questions, leaves })
    }

    /// How many features the questions are about.
    pub fn features(&self) -> usize {
        self.features
    }

    /// How many trees there are.
    pub fn count(&self) -> usize {
        self.leaves.len() >> self.depth
    }

    /// The base and each tree's answer, added up in the order of the file. A feature that `row` lacks counts as less than
    /// everything.
    pub fn sum(&self, row: &[f64]) -> f64 {
        let leaves_each = 1 << self.depth;
        let trees = self.questions.chunks_exact(leaves_each - 1).zip(self.leaves.chunks_exact(leaves_each));
        trees.fold(self.base, |sum, (questions, leaves)| {
            let mut node = 0;
            for _ in 0..self.depth {
                let Question { feature, threshold } = questions[node];
                // The children of a node stand at twice its place, the one for "yes" second.
                node = 2 * node + 1 + usize::from(row.get(feature).is_some_and(|cell| *cell >= threshold));
            }
            sum + leaves[node - questions.len()]
        })
    }
}

fn number(bytes: [u8; 4]) -> Result<f64, TreesError> {
    let number = f64::from(f32::from_le_bytes(bytes));
    if number.is_finite() { Ok(number) } else { Err(TreesError::NotFinite) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One tree of two questions' depth over one feature: below 1, below 2, below 3, and the rest.
    fn file() -> Vec<u8> {
        let mut file = [MAGIC.as_slice(), &[1, 2, 1, 0]].concat();
        file.extend(0.5_f32.to_le_bytes());
        for threshold in [2.0_f32, 1.0, 3.0] {
            file.push(0);
            file.extend(threshold.to_le_bytes());
        }
        file.extend([10.0_f32, 20.0, 30.0, 40.0].iter().flat_map(|leaf| leaf.to_le_bytes()));
        file
    }

    #[test]
    fn a_tree_answers_by_its_questions() {
        let trees = Trees::read(&file()).unwrap();
        let sums = [f64::NEG_INFINITY, 0.5, 1.0, 2.0, 3.0, 9.0].map(|cell| trees.sum(&[cell]));
        assert_eq!(sums, [10.5, 10.5, 20.5, 30.5, 40.5, 40.5]);
        assert_eq!((trees.sum(&[]), trees.count()), (10.5, 1));
    }

    #[test]
    fn a_file_that_is_no_model_is_refused_with_what_is_wrong() {
        let change = |place: usize, byte: u8| {
            let mut file = file();
            file[place] = byte;
            Trees::read(&file)
        };
        assert_eq!(change(0, b'L'), Err(TreesError::NoTrees));
        assert_eq!(change(6, 0), Err(TreesError::Feature(0)));
        assert_eq!(change(7, 0), Err(TreesError::Depth(0)));
        assert_eq!(change(7, 200), Err(TreesError::Depth(200)));
        assert_eq!(change(8, 2), Err(TreesError::Length { expected: 76, actual: 45 }));
        assert_eq!(change(13, 0x7f).map(|_| ()), Ok(()));
        assert_eq!(Trees::read(&file()[..20]), Err(TreesError::Length { expected: 45, actual: 20 }));
        assert_eq!(Trees::read(b"TREES1"), Err(TreesError::Length { expected: 14, actual: 6 }));
        let mut nan = file();
        nan[10..14].copy_from_slice(&f32::NAN.to_le_bytes());
        assert_eq!(Trees::read(&nan), Err(TreesError::NotFinite));
    }
}
