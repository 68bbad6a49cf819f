//! What a score was made from.

use crm_core::attribute::Attribute;
use crm_core::consent::Barred;
use crm_core::privacy::Unscored;
use crm_core::score::{InputsError, ScoreInputs, ScoreName, ScoreTerms, TermsError};
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
    /// The same with the purposes that the score was made for, and that the plugin is defined to be for by now.
    pub barred: Option<Barred>,
    /// When it was kept; none if that is older than that this is noted.
    pub recorded_at: Option<Timestamp>,
    /// What it was made for, and what the plugin asked for and was not granted, when it was loaded or by definition.
    pub terms: Result<ScoreTerms, TermsError>,
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
        let (base, definitions) = self.base(customer).await?;
        let base = base.ok_or(Error::NoCustomer { customer })?;
        let customer = base.customer.id();
        let rows = self.scores_of(customer).await?.into_iter();
        let own = rows.filter(|row| row.plugin == score.plugin.as_str() && row.output == score.output.as_str());
        Ok(own.last().map(|row| {
            let terms = ScoreTerms::decode(&row.terms);
            let made_for = terms.iter().flat_map(|terms| &terms.purposes);
            let barred = base.customer.bars_score(score, made_for, self.now(), &definitions);
            ScoreExplained {
                customer,
                at: row.at,
                value: row.value,
                version: row.version,
                digest: row.digest,
                agrees: Digest::of(&row.inputs) == row.input,
                inputs: ScoreInputs::decode(&row.inputs).map(|inputs| inputs.0),
                unscored: base.customer.unscored(),
                barred,
                recorded_at: row.recorded_at,
                terms,
            }
        }))
    }
}
