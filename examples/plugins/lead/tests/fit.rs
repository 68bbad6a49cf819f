//! Where `lead.trees` comes from: boosted trees over the orders of a wholesaler of gifts.
//!
//! On the first of March, of April and of May 2011, what is known of each customer, and whether they ordered in the 30
//! days after. June is held out. `FIT=1 cargo test -p lead --test fit` writes the file anew.

use std::path::Path;

use crm_plugin_sdk::{Batch, Column, Entries, Scorer};
use fitting::{Order, auc, day, orders};
use lead::{FEATURES, Lead, MODEL, Trees};

const DAYS: i64 = 30;
const TREES: usize = 60;
const DEPTH: usize = 3;
const BINS: usize = 32;
/// How far each tree goes towards what it found.
const RATE: f64 = 0.1;
/// Added to the curvature of a leaf, so that few customers say little.
const RIDGE: f64 = 5.0;

/// A customer as of a day, and whether they ordered in the days after.
struct Known {
    row: [f64; FEATURES.len()],
    orders: bool,
}

fn known(date: &str) -> Vec<Known> {
    let as_of = day(date).unwrap();
    let of = |orders: &Vec<Order>| {
        let before: Vec<&Order> = orders.iter().filter(|order| order.day < as_of).collect();
        let placed: Vec<&&Order> = before.iter().filter(|order| order.amount >= 0).collect();
        let (newest, oldest) =
            (placed.iter().map(|order| order.day).max()?, placed.iter().map(|order| order.day).min()?);
        let spend: i64 = before.iter().map(|order| order.amount).sum();
        let count = placed.len() as i64;
        let refunds = (before.len() - placed.len()) as i64;
        let row =
            [as_of - newest, as_of - oldest, count, refunds, spend, spend.div_euclid(count)].map(|cell| cell as f64);
        let orders = orders.iter().any(|order| order.amount > 0 && (as_of..as_of + DAYS).contains(&order.day));
        Some(Known { row, orders })
    };
    orders("retail_orders.csv.gz", "customer").unwrap().values().filter_map(of).collect()
}

fn probability(z: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-z))
}

/// Gradient boosting with Newton's steps (Friedman 2001; Chen and Guestrin 2016): each tree moves the sums towards what
/// lessens the logistic loss most, and is written as the file has it.
fn fit(known: &[Known]) -> Vec<u8> {
    let thresholds: Vec<Vec<f32>> = (0..FEATURES.len()).map(|feature| quantiles(known, feature)).collect();
    let bin =
        |feature: usize, cell: f64| thresholds[feature].partition_point(|threshold| f64::from(*threshold) <= cell);
    let bins: Vec<[usize; FEATURES.len()]> =
        known.iter().map(|known| std::array::from_fn(|feature| bin(feature, known.row[feature]))).collect();

    let mean = known.iter().filter(|known| known.orders).count() as f64 / known.len() as f64;
    let base = libm::log(mean / (1.0 - mean)) as f32;
    let mut sums = vec![f64::from(base); known.len()];
    let mut file = [b"TREES1".as_slice(), &[FEATURES.len() as u8, DEPTH as u8]].concat();
    file.extend((TREES as u16).to_le_bytes());
    file.extend(base.to_le_bytes());
    for _ in 0..TREES {
        let slopes: Vec<(f64, f64)> = known
            .iter()
            .zip(&sums)
            .map(|(known, sum)| {
                let p = probability(*sum);
                (f64::from(u8::from(known.orders)) - p, p * (1.0 - p))
            })
            .collect();
        let mut places = vec![0; known.len()];
        for level in 0..DEPTH {
            let first = (1 << level) - 1;
            let questions: Vec<(usize, usize)> =
                (0..1 << level).map(|at| best(&bins, &slopes, &places, first + at, &thresholds)).collect();
            for (place, bins) in places.iter_mut().zip(&bins) {
                let (feature, threshold) = questions[*place - first];
                *place = 2 * *place + 1 + usize::from(bins[feature] > threshold);
            }
            for (feature, threshold) in questions {
                file.push(feature as u8);
                file.extend(thresholds[feature][threshold].to_le_bytes());
            }
        }
        let first = (1 << DEPTH) - 1;
        let leaves: Vec<f32> = (first..2 * first + 1)
            .map(|leaf| {
                let here = slopes.iter().zip(&places).filter(|(_, place)| **place == leaf);
                let (slope, curve) = here.fold((0.0, 0.0), |(s, c), ((slope, curve), _)| (s + slope, c + curve));
                (RATE * slope / (curve + RIDGE)) as f32
            })
            .collect();
        for (sum, place) in sums.iter_mut().zip(&places) {
            *sum += f64::from(leaves[*place - first]);
        }
        file.extend(leaves.iter().flat_map(|leaf| leaf.to_le_bytes()));
    }
    file
}

/// The question that parts the customers at `place` best, as a feature and one of its thresholds.
fn best(
    bins: &[[usize; FEATURES.len()]],
    slopes: &[(f64, f64)],
    places: &[usize],
    place: usize,
    thresholds: &[Vec<f32>],
) -> (usize, usize) {
    let mut sums = vec![[(0.0, 0.0); BINS + 1]; FEATURES.len()];
    for ((bins, (slope, curve)), _) in bins.iter().zip(slopes).zip(places).filter(|(_, at)| **at == place) {
        for (sums, bin) in sums.iter_mut().zip(bins) {
            sums[*bin].0 += slope;
            sums[*bin].1 += curve;
        }
    }
    let gain = |(slope, curve): (f64, f64)| slope * slope / (curve + RIDGE);
    let mut found = (0, 0);
    let mut most = f64::NEG_INFINITY;
    for (feature, sums) in sums.iter().enumerate() {
        let whole = sums.iter().fold((0.0, 0.0), |all, sum| (all.0 + sum.0, all.1 + sum.1));
        let mut below = (0.0, 0.0);
        for threshold in 0..thresholds[feature].len() {
            below = (below.0 + sums[threshold].0, below.1 + sums[threshold].1);
            let gained = gain(below) + gain((whole.0 - below.0, whole.1 - below.1));
            if gained > most {
                (found, most) = ((feature, threshold), gained);
            }
        }
    }
    found
}

/// Up to 32 values that part the customers evenly.
fn quantiles(known: &[Known], feature: usize) -> Vec<f32> {
    let mut cells: Vec<f64> = known.iter().map(|known| known.row[feature]).collect();
    cells.sort_by(f64::total_cmp);
    let mut quantiles: Vec<f32> = (1..=BINS).map(|at| cells[at * (cells.len() - 1) / (BINS + 1)] as f32).collect();
    quantiles.dedup();
    quantiles
}

fn fitted_on() -> Vec<Known> {
    ["2011-03-01", "2011-04-01", "2011-05-01"].into_iter().flat_map(known).collect()
}

/// How well the plugin itself ranks these customers.
fn measured(known: &[Known]) -> f64 {
    let mut batch = Batch::new(known.len());
    for (place, name) in FEATURES.into_iter().enumerate() {
        batch = batch.with(name, Column::numbers(known.iter().map(|known| known.row[place]).collect()));
    }
    let mut lead = Lead::default();
    lead.configure(&Entries::new()).unwrap();
    let scores = lead.score(&batch).unwrap();
    let scored = known.iter().enumerate().map(|(row, known)| (scores[0].float(row).unwrap(), known.orders));
    auc(&scored.collect::<Vec<_>>())
}

#[test]
fn the_model_file_is_what_the_orders_give() {
    let file = fit(&fitted_on());
    if std::env::var_os("FIT").is_some() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("lead.trees"), &file).unwrap();
    } else {
        assert!(file == MODEL, "lead.trees is another model; FIT=1 writes it anew");
    }
}

#[test]
fn the_scores_rank_a_month_that_was_not_fitted_on() {
    let by_recency =
        |known: &[Known]| auc(&known.iter().map(|known| (-known.row[0], known.orders)).collect::<Vec<_>>());
    let june = known("2011-06-01");
    let shown = format!("{:.4} {:.4} {:.4}", measured(&fitted_on()), measured(&june), by_recency(&june));
    // The months fitted on, June, and June if one went by recency alone.
    assert_eq!(shown, "0.7571 0.7443 0.6444");
}

#[test]
fn the_file_holds_as_many_trees_as_were_fitted() {
    let trees = Trees::read(MODEL).unwrap();
    assert_eq!((trees.count(), trees.features()), (TREES, FEATURES.len()));
}
