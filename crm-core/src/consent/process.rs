//! May somebody's data be processed for a purpose? That is asked before a plugin is called, and about no way of
//! contact: consents are for messages, which are asked about when they are sent.

use super::contact::Barred;
use super::event::Objection;
use super::name::Purpose;
use crate::customer::Customer;
use crate::definitions::Definitions;
use crate::time::Timestamp;

impl Customer {
    /// Whether the customer's data may be processed at an instant for each of some purposes, or for none that was
    /// named. Restriction bars all of it, unless the purpose is one for which the law lets it go on
    /// (`though_restricted`: GDPR, Art. 18(2)). An objection bars the purposes that the policy in force says are
    /// marketing or profiling (Art. 21).
    ///
    /// # Errors
    ///
    /// `Barred`: `Restricted`, `UnknownPurpose` or `Objected`.
    pub fn may_process<'p>(
        &self,
        purposes: impl IntoIterator<Item = &'p Purpose>,
        though_restricted: bool,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<(), Barred> {
        let (policy, book) = (definitions.consent(at), self.facts().consents());
        if let Some(since) = book.restricted(self.joins()).filter(|_| !though_restricted) {
            return Err(Barred::Restricted { since });
        }
        for purpose in purposes {
            let rule = policy.rule(purpose).ok_or_else(|| Barred::UnknownPurpose { purpose: purpose.clone() })?;
            for (to, barred) in [(Objection::Marketing, rule.marketing), (Objection::Profiling, rule.profiling)] {
                if let Some(since) = book.objects(to, self.joins()).filter(|_| barred) {
                    return Err(Barred::Objected { to, since });
                }
            }
        }
        Ok(())
    }
}
