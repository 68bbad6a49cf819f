//! Where the coefficients come from: a logistic regression over the purchases of CDNOW's customers.
//!
//! On 1 October 1997, what is known of each of 2,357 customers, and whether they ordered in the 182 days after. Every
//! other customer is fitted on; the rest say how good the fit is.

use churn::{COEFFICIENTS, Churn, features};
use crm_plugin_sdk::{Batch, Column, Scorer};
use fitting::{Order, auc, day, orders};

const DAYS: i64 = 182;

/// A customer as of the day, and whether they did not come back.
struct Known {
    recency_days: f64,
    orders: i64,
    average_order: f64,
    is_gone: bool,
}

fn known() -> Vec<Known> {
    let as_of = day("1997-10-01").unwrap();
    let of = |orders: &Vec<Order>| {
        let before: Vec<&Order> = orders.iter().filter(|order| order.day < as_of).collect();
        let newest = before.iter().map(|order| order.day).max().unwrap();
        let count = before.len() as i64;
        Known {
            recency_days: (as_of - newest) as f64,
            orders: count,
            average_order: (before.iter().map(|order| order.amount).sum::<i64>() / count) as f64,
            is_gone: !orders.iter().any(|order| (as_of..as_of + DAYS).contains(&order.day)),
        }
    };
    orders("cdnow_sample.csv.gz", "master_id").unwrap().values().map(of).collect()
}

/// Maximum likelihood by Newton's steps, which for a logistic regression is iteratively reweighted least squares.
fn fit(known: &[&Known]) -> [f64; 4] {
    let mut weights = [0.0; 4];
    for _ in 0..12 {
        let (mut slope, mut curve) = ([0.0; 4], [[0.0; 4]; 4]);
        for customer in known {
            let [r, f, m] = features(customer.recency_days, customer.orders as f64, customer.average_order);
            let row = [1.0, r, f, m];
            let z: f64 = row.iter().zip(weights).map(|(cell, weight)| cell * weight).sum();
            let p = 1.0 / (1.0 + (-z).exp());
            for i in 0..4 {
                slope[i] += (f64::from(u8::from(customer.is_gone)) - p) * row[i];
                for j in 0..4 {
                    curve[i][j] += p * (1.0 - p) * row[i] * row[j];
                }
            }
        }
        let step = solve(curve, slope);
        weights = std::array::from_fn(|i| weights[i] + step[i]);
    }
    weights
}

/// Gauss and Jordan's elimination. The matrix is symmetric and positive, so every pivot is.
fn solve(mut matrix: [[f64; 4]; 4], mut right: [f64; 4]) -> [f64; 4] {
    for pivot in 0..4 {
        for row in (0..4).filter(|row| *row != pivot) {
            let times = matrix[row][pivot] / matrix[pivot][pivot];
            for column in pivot..4 {
                matrix[row][column] -= times * matrix[pivot][column];
            }
            right[row] -= times * right[pivot];
        }
    }
    std::array::from_fn(|row| right[row] / matrix[row][row])
}

/// How well the plugin itself ranks these customers.
fn measured(known: &[&Known]) -> f64 {
    let batch = Batch::new(known.len())
        .with("recency_days", Column::floats(known.iter().map(|customer| Some(customer.recency_days))))
        .with("orders", Column::ints(known.iter().map(|customer| Some(customer.orders))))
        .with("average_order", Column::floats(known.iter().map(|customer| Some(customer.average_order))));
    let scores = Churn.score(&batch).unwrap();
    let scored = known.iter().enumerate().map(|(row, customer)| (scores[0].float(row).unwrap(), customer.is_gone));
    auc(&scored.collect::<Vec<_>>())
}

#[test]
fn the_coefficients_are_those_of_the_customers_that_were_fitted_on() {
    let known = known();
    let fitted: Vec<&Known> = known.iter().step_by(2).collect();
    for (coefficient, fitted) in COEFFICIENTS.iter().zip(fit(&fitted)) {
        assert!((coefficient - fitted).abs() <= 0.0005, "{coefficient} is {fitted} to more digits");
    }
}

#[test]
fn the_scores_rank_customers_that_were_not_fitted_on() {
    let known = known();
    let fitted: Vec<&Known> = known.iter().step_by(2).collect();
    let held_out: Vec<&Known> = known.iter().skip(1).step_by(2).collect();
    let (fitted, held_out) = (measured(&fitted), measured(&held_out));
    assert_eq!(format!("{fitted:.4} {held_out:.4}"), "0.7817 0.7834");
}
