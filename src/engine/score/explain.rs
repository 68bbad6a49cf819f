//! What a score was made from.

use crm_core::attribute::Attribute;
use crm_core::privacy::Unscored;
use crm_core::score::{InputsError, ScoreInputs, ScoreName};
use crm_core::{CustomerId, Digest, SmolStr, Timestamp};

use super::super::Crm;
use crate::error::Error;

/// A score of one customer, and what it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreExplained {
    /// Whose: of several who were merged, the one they go on as.
    pub customer: CustomerId,
    /// As of when.
    pub at: Timestamp,
    /// The score.
    pub value: f64,
    /// The version the plugin gave itself.
    pub version: SmolStr,
    /// SHA-256 of the plugin.
    pub digest: Digest,
    /// What the plugin was given, in the order in which it asked, as it was kept with the score; none is a value that was
    /// missing.
    pub inputs: Result<Vec<(Attribute, Option<i64>)>, InputsError>,
    /// Whether what was kept has the digest that was noted when the score was made.
    pub agrees: bool,
    /// Why the score is not used any more, and no other is made; none if nothing stands against it.
    pub unscored: Option<Unscored>,
}

impl Crm {
    /// The newest score of a customer, with what the plugin was given for it: not what the same attributes would be
    /// today, which a fact that came late may have changed. None if there is no such score.
    ///
    /// What is shown is what a person may ask for who was profiled (GDPR, Art. 15(1)(h)).
    ///
    /// # Errors
    ///
    /// `NoCustomer` if there is no such customer, `Storage` if the store failed.
    pub async fn explain_score(
        &self,
        customer: CustomerId,
        score: &ScoreName,
    ) -> Result<Option<ScoreExplained>, Error> {
        let (base, _) = self.base(customer).await?;
        let base = base.ok_or(Error::NoCustomer { customer })?;
        let customer = base.customer.id();
        let rows = self.scores_of(customer).await?.into_iter();
        let own = rows.filter(|row| row.plugin == score.plugin.as_str() && row.output == score.output.as_str());
        Ok(own.last().map(|row| ScoreExplained {
            customer,
            at: row.at,
            value: row.value,
            version: row.version,
            digest: row.digest,
            agrees: Digest::of(&row.inputs) == row.input,
            inputs: ScoreInputs::decode(&row.inputs).map(|inputs| inputs.0),
            unscored: base.customer.unscored(),
        }))
    }
}
