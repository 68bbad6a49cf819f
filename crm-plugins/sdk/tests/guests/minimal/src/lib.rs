//! A scorer without the standard library.
#![no_std]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use crm_plugin_sdk::{Batch, Column, Failure, Scorer, features, register_scorer};

features! {
    /// What the score is made of.
    struct Inputs { recency_days }
}

/// How much of a year has gone by since the last order.
#[derive(Default)]
pub struct Recency;

impl Scorer for Recency {
    fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
        Ok(vec![batch.score(|customer: Inputs| Some((customer.recency_days? / 365.0).min(1.0)))?])
    }
}

register_scorer!(Recency {
    name: "minimal",
    features: Inputs,
    outputs: ["recency": float in 0..=1],
});
