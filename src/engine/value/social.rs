//! What customers are worth to others: whom they brought, who is tied to them, and what they do in the community.

use std::collections::BTreeMap;

use crm_core::attribute::Attribute;
use crm_core::customer::Customer;
use crm_core::relationship::{Direction, Tie, TieKind};
use crm_core::value::{Influence, Link, Popularity, Referral, ReferralValue, ValuePolicy, referral_values};
use crm_core::{Currency, CustomerId, Timestamp};

use super::super::Crm;
use crate::error::Error;

/// The social value of a base. Keeps a row for each who has any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocialReport {
    /// The instant it is as of.
    pub at: Timestamp,
    /// The currency in which the spend of the referred is counted.
    pub currency: Currency,
    /// Everybody who has any social value, by id.
    rows: Vec<SocialRow>,
}

/// The social value of one customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocialRow {
    /// Who.
    pub customer: CustomerId,
    /// How many ties last.
    pub ties: u32,
    /// The strength of these together, in per mille of one of full strength.
    pub strength: u64,
    /// Their influence; none for somebody whose ties give nobody credit.
    pub influence: Option<Influence>,
    /// Whom they brought, and what these spend.
    pub referrals: ReferralValue,
    /// What they do in the community.
    pub popularity: Popularity,
}

impl SocialReport {
    /// Everybody who has any social value, by id.
    #[must_use]
    pub fn rows(&self) -> &[SocialRow] {
        &self.rows
    }

    /// One customer.
    #[must_use]
    pub fn of(&self, customer: CustomerId) -> Option<&SocialRow> {
        let place = self.rows.binary_search_by_key(&customer, |row| row.customer).ok()?;
        self.rows.get(place)
    }
}

/// What follows from the ties of a whole base, while it is gathered: for each tie about 40 bytes, and 24 for each who
/// ever ordered.
#[derive(Default)]
pub(super) struct Ties {
    links: Vec<Link>,
    referrals: Vec<Referral>,
    /// What customers spent, by id.
    spend: Vec<(CustomerId, i64)>,
    /// As whom those go on who were merged.
    heads: BTreeMap<CustomerId, CustomerId>,
}

impl Ties {
    pub(super) fn add(&mut self, customer: &Customer, policy: &ValuePolicy, currency: Currency, at: Timestamp) {
        let head = customer.id();
        if customer.is_merged() {
            self.heads.extend(customer.members().filter(|member| *member != head).map(|member| (member, head)));
        }
        if let Some(minor) = Attribute::Spend.of(customer, at, currency).filter(|minor| *minor != 0) {
            self.spend.push((head, minor));
        }
        for tie in customer.ties() {
            // Each tie has two sides: one of them tells of it.
            let tells = match tie.direction {
                Direction::Outgoing => true,
                Direction::Incoming => false,
                Direction::Mutual => tie.own < tie.other,
            };
            if !tells {
                continue;
            }
            if *tie.kind == TieKind::Referred {
                self.referrals.push(Referral { referrer: head, referred: tie.other, since: tie.since });
            }
            let credit = policy.credit(tie.kind);
            let tie = Tie { from: head, to: tie.other, kind: tie.kind.clone(), strength: tie.strength };
            self.links.extend(Link::of(&tie, credit));
        }
    }

    /// Everybody's influence, by id, and the value of everybody's referrals.
    pub(super) fn settle(self, policy: &ValuePolicy) -> (Vec<Influence>, BTreeMap<CustomerId, ReferralValue>) {
        let Ties { links, referrals, spend, heads } = self;
        // Ties are told by the ids of then.
        let now = |id: CustomerId| heads.get(&id).copied().unwrap_or(id);
        let links = links.into_iter().map(|link| Link { from: now(link.from), to: now(link.to), ..link });
        let influence = policy.influence.influence(links);
        let referrals = referrals.into_iter().map(|tie| Referral { referred: now(tie.referred), ..tie });
        let spent = |id: CustomerId| spend.binary_search_by_key(&id, |(own, _)| *own).map_or(0, |place| spend[place].1);
        (influence, referral_values(referrals, spent))
    }
}

impl Crm {
    /// Ties and their strength, influence, referrals with what the referred spend in a currency, and popularity, of
    /// everybody who has any of these, by the policy in force. Influence is by nature about the whole base: this costs a
    /// read of all states, and a look at each tie for every round of the policy.
    ///
    /// Only ties that last count. Whoever was merged is one here, with all their ties.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn social(&self, currency: Currency) -> Result<SocialReport, Error> {
        let mut walk = self.walk().await?;
        let (at, policy) = (walk.at, walk.policy());
        let (mut all, mut rows) = (Ties::default(), Vec::new());
        loop {
            let page = walk.next().await?;
            if page.is_empty() {
                break;
            }
            for customer in &page {
                all.add(customer, &policy, currency, at);
                let (ties, strength) = customer
                    .ties()
                    .fold((0_u32, 0_u64), |(n, sum), tie| (n + 1, sum + u64::from(tie.strength.per_mille())));
                let popularity = policy.popularity.of(customer.facts(), customer.ties(), at);
                if ties > 0 || popularity.thousandths > 0 {
                    let (customer, referrals) = (customer.id(), ReferralValue::default());
                    rows.push(SocialRow { customer, ties, strength, influence: None, referrals, popularity });
                }
            }
        }
        let (influence, mut referrals) = all.settle(&policy);
        for row in &mut rows {
            let place = influence.binary_search_by_key(&row.customer, |influence| influence.customer).ok();
            row.influence = place.and_then(|place| influence.get(place)).copied();
            row.referrals = referrals.remove(&row.customer).unwrap_or_default();
        }
        Ok(SocialReport { at, currency, rows })
    }
}
