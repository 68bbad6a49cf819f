//! What is decided about money.

use crm_core::change::Cause;
use crm_core::credit::{CreditError, GiftCardId};
use crm_core::customer::Customer;
use crm_core::event::Deed;
use crm_core::workflow::Actor;
use crm_core::{CustomerId, EventId, SmolStr, Timestamp};
use crm_storage::ClaimKey;

use super::{Chain, Need, Planner};

impl Planner<'_> {
    /// Works off the holds, lots and gift cards that are over at or before an instant.
    pub(super) fn expire_credit(&mut self, due_at: Timestamp) {
        let at = self.instant().max(due_at);
        // Each is over once it is decided, so that there is an end.
        while let Some((member, deed)) = self.customer.credit_due(due_at) {
            self.decide_of(member, at, Actor::Rule, deed, None, &Chain::NEW);
        }
    }

    /// Carries out what the shop asked about money, after what is due. Gives the decisions it led to; none if it is so
    /// already.
    pub(crate) fn credit(
        &mut self,
        decide: impl FnOnce(&Customer, CustomerId, Timestamp) -> Result<Vec<Deed>, CreditError>,
    ) -> Result<Result<Vec<EventId>, CreditError>, Need> {
        self.elapse(self.context.now)?;
        let at = self.instant();
        let deeds = match decide(&self.customer, self.through, at) {
            Ok(deeds) => deeds,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut ids = Vec::with_capacity(deeds.len());
        for deed in deeds {
            // What happens to a card happens to whoever bought it.
            let card = if let Deed::GiftCardPosted(posting) = &deed { Some(posting.card) } else { None };
            let buyer = card.and_then(|card| self.customer.gift_card(card));
            match buyer {
                Some((member, ..)) => ids.push(self.decide_of(member, at, Actor::Shop, deed, None, &Chain::NEW)),
                None => ids.extend(self.decide(at, &Actor::Shop, deed, None, &Chain::NEW)),
            }
        }
        if let Some(first) = ids.first().copied() {
            self.follow(at, Cause::Event(first), &Chain::NEW)?;
            self.react()?;
        }
        self.elapse(self.context.now)?;
        Ok(Ok(ids))
    }
}

/// The key under which a gift card is found.
pub(crate) fn gift_card_claim(card: GiftCardId) -> ClaimKey {
    ClaimKey { kind: SmolStr::new_static("gift_card"), key: card.as_bytes().to_vec() }
}

/// The gift card that a decision issued, whose buyer has the key then.
pub(crate) fn issued_card(deed: &Deed) -> Option<ClaimKey> {
    let Deed::GiftCardPosted(posting) = deed else { return None };
    let issued = matches!(posting.kind, crm_core::credit::GiftCardKind::Issued { .. });
    issued.then(|| gift_card_claim(posting.card))
}
