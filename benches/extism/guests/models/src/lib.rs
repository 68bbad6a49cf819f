//! The three models that native code and both kinds of guest compute, over the same six columns.

/// How many columns there are.
pub const FEATURES: usize = 6;

/// Six columns of one length.
pub type Columns<'a> = [&'a [f64]; FEATURES];

const WEIGHTS: [f64; FEATURES] = [0.31, -0.17, 0.05, 0.23, -0.41, 0.02];
const TREES: usize = 100;
const DEPTH: usize = 5;
const NODES: usize = (1 << DEPTH) - 1;
const LEAVES: usize = 1 << DEPTH;

/// A model that scores columns.
pub trait Model {
    /// One score for each row. The columns have one length.
    fn score(&self, columns: &Columns<'_>) -> Vec<f64>;
}

/// A weighted sum.
#[derive(Debug)]
pub struct Linear;

impl Model for Linear {
    fn score(&self, columns: &Columns<'_>) -> Vec<f64> {
        rows(columns, sum)
    }
}

/// A weighted sum as a probability.
#[derive(Debug)]
pub struct Logistic;

impl Model for Logistic {
    fn score(&self, columns: &Columns<'_>) -> Vec<f64> {
        rows(columns, |row| 1.0 / (1.0 + libm::exp(-sum(row))))
    }
}

/// A hundred trees of five questions.
#[derive(Debug)]
pub struct Trees {
    trees: Vec<Tree>,
}

#[derive(Debug)]
struct Tree {
    features: [u8; NODES],
    thresholds: [f64; NODES],
    leaves: [f64; LEAVES],
}

impl Trees {
    /// Trees that a small generator makes up: which ones they are is no matter, only how many.
    pub fn new() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32
        };
        let trees = (0..TREES)
            .map(|_| Tree {
                features: std::array::from_fn(|_| (next() % FEATURES as u32) as u8),
                thresholds: std::array::from_fn(|_| f64::from(next() % 1_000) / 1_000.0),
                leaves: std::array::from_fn(|_| f64::from(next() % 1_000) / 100_000.0),
            })
            .collect();
        Trees { trees }
    }
}

impl Default for Trees {
    fn default() -> Self {
        Trees::new()
    }
}

impl Model for Trees {
    fn score(&self, columns: &Columns<'_>) -> Vec<f64> {
        rows(columns, |row| self.trees.iter().map(|tree| tree.leaf(row)).sum())
    }
}

impl Tree {
    #[inline]
    fn leaf(&self, row: &[f64; FEATURES]) -> f64 {
        let mut node = 0;
        for _ in 0..DEPTH {
            let feature = self.features[node] as usize % FEATURES;
            node = 2 * node + 1 + usize::from(row[feature] >= self.thresholds[node]);
        }
        self.leaves[node - NODES]
    }
}

#[inline]
fn sum(row: &[f64; FEATURES]) -> f64 {
    row.iter().zip(WEIGHTS).map(|(cell, weight)| cell * weight).sum()
}

#[cfg(not(target_arch = "wasm32"))]
#[inline]
fn rows(columns: &Columns<'_>, score: impl Fn(&[f64; FEATURES]) -> f64) -> Vec<f64> {
    let [a, b, c, d, e, f] = columns;
    let length = columns.iter().map(|column| column.len()).min().unwrap_or(0);
    // One bound for all, so that the loop asks no more.
    let (a, b, c, d, e, f) = (&a[..length], &b[..length], &c[..length], &d[..length], &e[..length], &f[..length]);
    (0..length).map(|row| score(&[a[row], b[row], c[row], d[row], e[row], f[row]])).collect()
}

/// A guest asks at each turn of a loop whether its time is up, and keeps nothing in registers meanwhile: so it takes
/// several rows at each turn, which lie within their columns by then, so that nothing asks for each cell.
#[cfg(target_arch = "wasm32")]
#[inline]
fn rows(columns: &Columns<'_>, score: impl Fn(&[f64; FEATURES]) -> f64) -> Vec<f64> {
    const AT_ONCE: usize = if cfg!(target_feature = "simd128") { 16 } else { 8 };
    let length = columns.iter().map(|column| column.len()).min().unwrap_or(0);
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest), (e, e_rest), (f, f_rest)] =
        columns.map(|column| column[..length].as_chunks::<AT_ONCE>());
    let mut scores = vec![0.0; length];
    let (places, places_rest) = scores.as_chunks_mut::<AT_ONCE>();
    for ((((((place, a), b), c), d), e), f) in places.iter_mut().zip(a).zip(b).zip(c).zip(d).zip(e).zip(f) {
        // Addresses that come from memory stay as they are, and each cell lies at a constant offset from one, which costs
        // nothing. The compiler would count from the columns' beginnings instead, and add for each cell.
        let [a, b, c, d, e, f] = std::hint::black_box([a, b, c, d, e, f]);
        for (row, place) in place.iter_mut().enumerate() {
            *place = score(&[a[row], b[row], c[row], d[row], e[row], f[row]]);
        }
    }
    for ((((((place, a), b), c), d), e), f) in
        places_rest.iter_mut().zip(a_rest).zip(b_rest).zip(c_rest).zip(d_rest).zip(e_rest).zip(f_rest)
    {
        *place = score(&[*a, *b, *c, *d, *e, *f]);
    }
    scores
}
