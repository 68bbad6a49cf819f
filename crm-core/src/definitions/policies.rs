//! Of what there is one for the whole shop: its currency, policies and views, and what cards may have.

use std::sync::Arc;

use super::Definitions;
use crate::consent::{ConsentPolicy, DEFAULT_POLICY};
use crate::identity::IdentityRules;
use crate::lifecycle::{LifecyclePolicy, SegmentPolicy};
use crate::money::Currency;
use crate::privacy::{PrivacyPolicy, RetentionName, RetentionPolicy, View, ViewName};
use crate::profile::{CardSchema, CompletenessRules};
use crate::time::Timestamp;
use crate::value::ValuePolicy;

impl Definitions {
    /// The currency in which spend is counted; the euro where none was defined.
    #[must_use]
    pub fn currency(&self, at: Timestamp) -> Currency {
        self.currency.at(at).copied().unwrap_or(Currency::EUR)
    }

    /// Since when the currency of an instant is that in which spend is counted, if it is to this day.
    #[must_use]
    pub fn currency_since(&self, at: Timestamp) -> Option<Timestamp> {
        match self.currency.0.last() {
            None => Some(Timestamp::MIN),
            Some((from, _)) => Some(*from).filter(|from| *from <= at),
        }
    }

    /// The windows of the life cycle; the default ones where none were defined.
    #[must_use]
    pub fn lifecycle(&self, at: Timestamp) -> &LifecyclePolicy {
        static DEFAULT: LifecyclePolicy = LifecyclePolicy::DEFAULT;
        self.lifecycle.at(at).unwrap_or(&DEFAULT)
    }

    /// Which segments have a policy of their own, the first that counts first.
    #[must_use]
    pub fn lifecycle_segments(&self, at: Timestamp) -> &[SegmentPolicy] {
        self.lifecycle_segments.at(at).map_or(&[], Vec::as_slice)
    }

    /// Whether any policy in force takes a number of visits or of the shop's own events as a sign of intent.
    pub(crate) fn intent_by_number(&self, at: Timestamp) -> bool {
        let own = self.lifecycle_segments(at).iter().map(|own| &own.policy);
        let mut all = own.chain([self.lifecycle(at)]).map(|policy| &policy.intent);
        all.any(|intent| intent.visits.is_some() || !intent.kinds.is_empty())
    }

    /// The rules for identifiers; the default ones where none were defined.
    #[must_use]
    pub fn identity(&self, at: Timestamp) -> &IdentityRules {
        static DEFAULT: IdentityRules = IdentityRules::defaults();
        self.identity.at(at).unwrap_or(&DEFAULT)
    }

    /// When somebody is not erased yet; the default where nothing was defined.
    #[must_use]
    pub fn privacy(&self, at: Timestamp) -> PrivacyPolicy {
        self.privacy.at(at).copied().unwrap_or_default()
    }

    /// A view in force.
    #[must_use]
    pub fn view(&self, name: &ViewName, at: Timestamp) -> Option<&View> {
        self.views.get(name)?.at(at)?.as_ref()
    }

    /// Every version of every retention policy: by name, and of each the oldest first, with from when until when it
    /// holds. What ends a policy is none.
    pub fn retention_versions(
        &self,
    ) -> impl Iterator<Item = (&RetentionName, &RetentionPolicy, Timestamp, Option<Timestamp>)> {
        self.retentions
            .iter()
            .flat_map(|(name, versions)| versions.held().map(move |(policy, from, until)| (name, policy, from, until)))
    }

    /// How customers are valued; the defaults where nothing was defined.
    #[must_use]
    pub fn value(&self, at: Timestamp) -> Arc<ValuePolicy> {
        self.value.at(at).cloned().unwrap_or_default()
    }

    /// The policy of consent in force; the default one where none was defined.
    #[must_use]
    pub fn consent(&self, at: Timestamp) -> &ConsentPolicy {
        self.consent.at(at).unwrap_or(&DEFAULT_POLICY)
    }

    /// Every policy of consent there ever was, oldest first.
    pub fn consent_versions(&self) -> impl Iterator<Item = &ConsentPolicy> {
        self.consent.0.iter().map(|(_, policy)| policy)
    }

    /// The free attributes of cards in force; none were ever declared if there are none.
    #[must_use]
    pub fn card_schema(&self, at: Timestamp) -> Option<&CardSchema> {
        self.card_schema.at(at)
    }

    /// What each stage wants to know of a card.
    #[must_use]
    pub fn completeness(&self, at: Timestamp) -> Option<&CompletenessRules> {
        self.completeness.at(at)
    }
}
