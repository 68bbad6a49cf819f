//! Who may be one person without sharing an identifier: found by name, address, telephone and birthday.

use std::collections::BTreeSet;

use crm_core::CustomerId;
use crm_core::identity::{
    Address, Birth, DuplicateSuggested, Identifier, LIKENESS_MAX, Likeness, SUGGEST_FROM, Suggestion, suggest,
};
use crm_core::profile::{Card, ContactKind, SearchQuery};

use super::Crm;
use crate::error::Error;

/// How many customers with a similar name, number or address are compared for each of them.
const CANDIDATES: usize = 50;

/// What of a card is compared.
#[derive(Default)]
struct Compared {
    names: Vec<String>,
    birth: Option<Birth>,
    addresses: Vec<(String, String)>,
    phones: Vec<Identifier>,
    emails: Vec<Identifier>,
}

impl Compared {
    fn of(card: &Card) -> Self {
        let of_kind = |wanted: &dyn Fn(ContactKind) -> bool| -> Vec<String> {
            let points = card.contact_points().iter().filter(|point| wanted(point.kind()));
            points.map(|point| point.value().to_owned()).take(LIKENESS_MAX).collect()
        };
        let birthday = card.birthday();
        Compared {
            names: card.name().map(|name| name.display().to_string()).into_iter().collect(),
            birth: birthday.map(|day| Birth { year: day.year().map(i32::from), month: day.month(), day: day.day() }),
            addresses: card
                .addresses()
                .iter()
                .take(LIKENESS_MAX)
                .map(|address| {
                    let street = address.lines().collect::<Vec<_>>().join(" ");
                    (street, address.postal_code().unwrap_or_default().to_owned())
                })
                .collect(),
            phones: of_kind(&ContactKind::is_phone).iter().filter_map(|text| Identifier::phone(text).ok()).collect(),
            emails: of_kind(&|kind| kind == ContactKind::Email)
                .iter()
                .filter_map(|text| Identifier::email(text).ok())
                .collect(),
        }
    }

    fn likeness<T>(&self, then: impl FnOnce(&Likeness<'_>) -> T) -> T {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let addresses: Vec<Address<'_>> =
            self.addresses.iter().map(|(street, postcode)| Address { street, postcode }).collect();
        then(&Likeness {
            names: &names,
            birth: self.birth,
            addresses: &addresses,
            phones: &self.phones,
            emails: &self.emails,
        })
    }

    /// What somebody alike would be found by.
    fn queries(&self, card: &Card) -> Vec<SearchQuery> {
        let words = self.names.iter().map(String::as_str);
        let points = card.contact_points().iter().map(|point| point.value());
        let family = card.name().and_then(|name| name.family());
        words
            .chain(family)
            .chain(points)
            .filter_map(|text| SearchQuery::new(text).ok())
            .take(2 * LIKENESS_MAX)
            .collect()
    }
}

impl Crm {
    /// Looks for customers who may be the same person as one, by their cards: similar names, the same birthday,
    /// address, telephone or e-mail. Those who score [`SUGGEST_FROM`] or more and of whom nobody decided yet
    /// that they are somebody else are answered, the most alike first, with what makes them alike, and noted with
    /// both as [doubts](crm_core::customer::Customer::doubts) until a person decides: by
    /// [`merge`](Self::merge), or by [`reject_duplicate`](Self::reject_duplicate), which is remembered.
    ///
    /// Costs a search for each name, number and address of the card, and reads at most 50 cards for each.
    ///
    /// # Errors
    ///
    /// `NoCustomer`, `Personal` if a value cannot be opened, `Storage` if the store failed.
    pub async fn suggest_duplicates(&self, customer: CustomerId) -> Result<Vec<Suggestion>, Error> {
        let (base, _) = self.base(customer).await?;
        let base = base.ok_or(Error::NoCustomer { customer })?;
        let own = base.customer.id();
        let card = self.card(own).await?;
        let compared = Compared::of(&card);
        let mut candidates: BTreeSet<CustomerId> = BTreeSet::new();
        for query in compared.queries(&card) {
            candidates.extend(self.search(&query, CANDIDATES).await?.into_iter().map(|found| found.customer));
        }
        let mut suggestions = Vec::new();
        for other in candidates.into_iter().filter(|other| !base.customer.is(*other)) {
            let doubt = base.customer.doubt(other);
            if doubt.is_some_and(|doubt| doubt.rejected) {
                continue;
            }
            let theirs = Compared::of(&self.card(other).await?);
            let found = compared.likeness(|one| theirs.likeness(|two| suggest((own, one), (other, two), SUGGEST_FROM)));
            let Some(found) = found else { continue };
            if doubt.and_then(|doubt| doubt.score) != Some(found.score) {
                let suggested = DuplicateSuggested {
                    other,
                    score: Some(found.score),
                    clues: found.clues.clone(),
                    shared: None,
                    against: None,
                };
                self.suggest_both(own, other, &suggested).await?;
            }
            suggestions.push(found);
        }
        suggestions.sort_by(|one, other| (other.score, one.a, one.b).cmp(&(one.score, other.a, other.b)));
        Ok(suggestions)
    }
}
