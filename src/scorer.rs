//! What scores customers: plugins, or the host's own code.

use crm_core::attribute::Attribute;
use crm_core::workflow::{Grants, PluginName, PluginStamp};
use crm_core::{Currency, CustomerId, Digest, SmolStr, Timestamp};

use crate::workflow::{Breaker, PluginFault};

/// Attributes of many customers, as columns.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreBatch<'a> {
    /// As of when.
    pub as_of: Timestamp,
    /// Where to draw chance from: [`score_seed`] of the plugin and the instant, so the same for all batches of a run, and
    /// for whoever scores again.
    pub seed: u64,
    /// What amounts are in: the shop's currency of the instant, the euro where none was defined.
    pub currency: Currency,
    /// Whose; as long as each column.
    pub customers: &'a [CustomerId],
    /// One column for each attribute that the scorer asked for, in its order. What is not granted is missing for all.
    pub columns: Vec<Vec<Option<i64>>>,
}

/// Where a plugin draws chance from that scores as of an instant: the first eight bytes, big-endian, of the SHA-256 of
/// `score seed`, a zero byte, the plugin's name, a zero byte, and the instant in milliseconds since 1970-01-01 UTC as eight
/// bytes, big-endian. All versions of a plugin have the same, so what two of them say can be compared; no customer has a part
/// in it.
///
/// ```
/// use crm::{PluginName, Timestamp, score_seed};
///
/// let (churn, lead) = (PluginName::new("churn")?, PluginName::new("lead")?);
/// let day = Timestamp::parse("2026-01-31")?;
/// assert_eq!(score_seed(&churn, day), score_seed(&churn, day));
/// assert_ne!(score_seed(&churn, day), score_seed(&lead, day));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn score_seed(plugin: &PluginName, as_of: Timestamp) -> u64 {
    let text = [b"score seed\0", plugin.as_str().as_bytes(), b"\0", &as_of.as_millis().to_be_bytes()].concat();
    let [a, b, c, d, e, f, g, h, ..] = *Digest::of(&text).as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The scores of a batch: for each output a column.
pub(crate) type ScoreColumns = Vec<Vec<Option<f64>>>;

/// Scores a batch and checks what came back: a column for each output, a cell for each customer, and finite numbers.
pub(crate) fn score_checked(scorer: &mut dyn Scorer, batch: &ScoreBatch<'_>) -> Result<ScoreColumns, PluginFault> {
    let scores = scorer.score(batch)?;
    if scores.len() != scorer.outputs().len() {
        return Err(PluginFault::new("wrong number of outputs"));
    }
    if scores.iter().any(|column| column.len() != batch.customers.len()) {
        return Err(PluginFault::new("wrong number of rows"));
    }
    if scores.iter().flatten().flatten().any(|score| !score.is_finite()) {
        return Err(PluginFault::new("a score that is not finite"));
    }
    Ok(scores)
}

/// Gives customers scores. It has to be a pure function of each row.
pub trait Scorer: std::fmt::Debug + Send {
    /// Who it is.
    fn stamp(&self) -> &PluginStamp;

    /// What it wants to know.
    fn attributes(&self) -> &[Attribute];

    /// What it returns, in this order.
    fn outputs(&self) -> &[SmolStr];

    /// What it was granted when it was loaded; none if that is whatever it asks for. What is defined for its name
    /// narrows that. Of a batch it is shown the features that it is granted, and nobody whose data may not be processed
    /// for its purpose.
    fn grants(&self) -> Option<&Grants> {
        None
    }

    /// The features that it would like to see, those included that it is not granted. What it is not granted is noted with
    /// each of its scores.
    fn asks(&self) -> Vec<SmolStr> {
        self.attributes().iter().map(|attribute| SmolStr::new_static(attribute.name())).collect()
    }

    /// Whether it is run. Code of the shop's own always is.
    fn breaker(&self) -> Breaker {
        Breaker::Closed
    }

    /// Scores a batch: one column for each output, as long as the batch. None is no score.
    ///
    /// # Errors
    ///
    /// `PluginFault` if it failed; the customers of the batch keep the scores they had.
    fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault>;
}
