//! A scorer of the shop's own, by a function of one customer.
#![allow(dead_code, reason = "each test uses some of it")]

use std::collections::BTreeMap;

use crm::{Attribute, CustomerId, Digest, PluginFault, PluginName, PluginStamp, ScoreBatch, Scorer, SmolStr};

type Each = dyn Fn(CustomerId, &[Option<i64>]) -> Vec<Option<f64>> + Send;

pub(crate) struct ByFunction {
    stamp: PluginStamp,
    attributes: Vec<Attribute>,
    outputs: Vec<SmolStr>,
    each: Box<Each>,
}

impl std::fmt::Debug for ByFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ByFunction({})", self.stamp.name)
    }
}

impl ByFunction {
    /// The function is told whose the row is, with what was asked for, and gives a score for each output.
    pub(crate) fn new(
        name: &str,
        attributes: &[Attribute],
        outputs: &[&str],
        each: impl Fn(CustomerId, &[Option<i64>]) -> Vec<Option<f64>> + Send + 'static,
    ) -> Self {
        let digest = Digest::of(name.as_bytes());
        let stamp = PluginStamp { name: PluginName::new(name).unwrap(), version: "1".into(), digest };
        let outputs = outputs.iter().map(SmolStr::new).collect();
        ByFunction { stamp, attributes: attributes.to_vec(), outputs, each: Box::new(each) }
    }

    /// Gives the scores that it is told, and the others none.
    pub(crate) fn told(name: &str, output: &str, scores: impl IntoIterator<Item = (CustomerId, f64)>) -> Self {
        let scores: BTreeMap<CustomerId, f64> = scores.into_iter().collect();
        Self::new(name, &[], &[output], move |id, _| vec![scores.get(&id).copied()])
    }
}

impl Scorer for ByFunction {
    fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    fn outputs(&self) -> &[SmolStr] {
        &self.outputs
    }

    fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
        let mut columns = vec![Vec::with_capacity(batch.customers.len()); self.outputs.len()];
        for (place, id) in batch.customers.iter().enumerate() {
            let row: Vec<Option<i64>> = batch.columns.iter().map(|column| column[place]).collect();
            for (column, score) in columns.iter_mut().zip((self.each)(*id, &row)) {
                column.push(score);
            }
        }
        Ok(columns)
    }
}
