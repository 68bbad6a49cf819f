//! Gift cards: sold to one, redeemed by whoever holds the code, once.
//!
//! A card is found by the claim of its buyer to a keyed hash of the code. What redeems it writes both customers, the
//! buyer and whoever redeems it, in one commit; of two at a time one finds the buyer changed, and what the card is
//! then.

use crm_core::change::Change;
use crm_core::credit::{self, CreditError, GiftCardId, GiftCardState};
use crm_core::event::Deed;
use crm_core::order::OrderRef;
use crm_core::{Currency, CustomerId, Definitions, EventId, Money, Remark, Timestamp};
use crm_storage::CommitError;
use serde::{Deserialize, Serialize};

use super::super::writing::Writing;
use super::super::{ATTEMPTS_MAX, Base, Crm, Settled};
use super::{GiftCardCode, Once, read, refused};
use crate::error::Error;
use crate::plan::{Need, Plan, Planner, gift_card_claim};

/// A gift card to be issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GiftCardSale {
    /// What is on it, from 1 to [`CREDIT_AMOUNT_MAX`](crm_core::credit::CREDIT_AMOUNT_MAX) minor units.
    pub amount: Money,
    /// When it expires, at which instant it is gone; none means never. What is redeemed keeps the expiry.
    pub expires_at: Option<Timestamp>,
    /// The order that it is sold with.
    pub order: Option<OrderRef>,
}

impl GiftCardSale {
    /// One that never expires, and is sold with no order.
    #[must_use]
    pub const fn new(amount: Money) -> Self {
        GiftCardSale { amount, expires_at: None, order: None }
    }
}

/// A gift card that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GiftCardIssued {
    /// What it is known by from now on.
    pub card: GiftCardId,
    /// The decision.
    pub event: EventId,
    /// Whether it had been issued before, under the same key.
    pub replayed: bool,
}

/// A gift card that was redeemed.
#[derive(Debug, Clone, PartialEq)]
pub struct GiftCardRedeemed {
    /// Which.
    pub card: GiftCardId,
    /// What was on it, and is store credit now.
    pub amount: Money,
    /// The decision by which it became store credit.
    pub event: EventId,
    /// Whether it had been redeemed before, by the same customer and under the same key.
    pub replayed: bool,
    /// What moved for whoever redeemed it, and for whoever bought it, this time.
    pub changes: Vec<Change>,
}

/// A gift card that was blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GiftCardBlocked {
    /// The decision; none if it was blocked already.
    pub event: Option<EventId>,
    /// Whether it was done before, under the same key.
    pub replayed: bool,
}

/// A gift card as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GiftCard {
    /// Whoever bought it.
    pub buyer: CustomerId,
    /// The currency it is in.
    pub currency: Currency,
    /// What is on it, or what became of it.
    pub state: GiftCardState,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    event: Option<EventId>,
    amount: Option<Money>,
}

/// What a plan came to: what it led to, or why not.
type Planned<T> = Result<Result<T, CreditError>, Need>;

impl Crm {
    /// What a gift card is known by that has a code: a keyed hash, from which nobody gets the code.
    #[must_use]
    pub fn gift_card_id(&self, code: &GiftCardCode) -> GiftCardId {
        let tag = self.inner.lookup_key.tag(&self.tenant, "gift-card", code.as_str());
        let mut id = [0; 16];
        id.copy_from_slice(&tag[..16]);
        GiftCardId::from_bytes(id)
    }

    /// Issues a gift card to whoever buys it, under a code that the shop has of its own, or
    /// [draws](GiftCardCode::random). Under the same key the same card is issued once, however often that is asked for.
    /// The code is kept nowhere: it is the shop's to hand over, and if it is lost the card can be
    /// [blocked](Self::block_gift_card) and another one issued.
    ///
    /// ```
    /// use crm::{Channel, Crm, Currency, GiftCardCode, GiftCardSale, Identifier, Incoming, Money, Source, Visited};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let mut met = Vec::new();
    /// for who in ["ana@example.com", "ben@example.com"] {
    ///     let visit = Visited { channel: Channel::Web, place: None };
    ///     let visit = Incoming::new(Identifier::email(who)?, crm.now(), Source::new("shop")?, visit);
    ///     met.push(crm.record(visit).await?.customer);
    /// }
    /// let code = GiftCardCode::random()?;
    /// let sale = GiftCardSale::new(Money::parse("50.00", Currency::EUR)?);
    /// let card = crm.issue_gift_card(met[0], &code, sale, "order 17, line 1").await?.card;
    ///
    /// // Ana gives the code to Ben, who types it in.
    /// let code = GiftCardCode::parse(&code.expose())?;
    /// assert_eq!(crm.gift_card(card).await?.expect("just issued").buyer, met[0]);
    /// crm.redeem_gift_card(met[1], &code, "checkout 9").await?;
    /// assert!(crm.redeem_gift_card(met[0], &code, "checkout 10").await.is_err());
    /// let ben = crm.customer(met[1]).await?.expect("met above");
    /// assert_eq!(ben.credit_in(Currency::EUR).map(|book| book.balance()), Some(5_000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Refused` with `Amount`, `ExpiryPast`, `CodeTaken`, `TooManyCards` or `Erased`; `NoCustomer`, `KeyReused` if the
    /// key was used for something else, `KeyLength`, `LookupKey`, `Storage` if the store failed, `Busy`.
    pub async fn issue_gift_card(
        &self,
        buyer: CustomerId,
        code: &GiftCardCode,
        sale: GiftCardSale,
        key: &str,
    ) -> Result<GiftCardIssued, Error> {
        self.check_lookup_key().await?;
        let card = self.gift_card_id(code);
        let once = Once::new(buyer, key, &("issue_gift_card", card, &sale))?;
        let answered = |answer: Answer, replayed| {
            let event = answer.event.ok_or_else(|| Error::corrupt("a gift card issued by no decision"))?;
            Ok(GiftCardIssued { card, event, replayed })
        };
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base(buyer).await?;
            let base = base.ok_or(Error::NoCustomer { customer: buyer })?;
            let issue = |planner: &mut Planner<'_>| {
                let GiftCardSale { amount, expires_at, order } = sale.clone();
                let decided = planner.credit(|customer, through, at| {
                    if customer.is_erased() {
                        return Err(CreditError::Erased);
                    }
                    let own = customer.credit_of(through).and_then(|books| books.get(amount.currency()));
                    Ok(vec![Deed::GiftCardPosted(credit::issue(own, card, amount, expires_at, order, at)?)])
                })?;
                Ok(decided.map(|events| {
                    let event = events.into_iter().next();
                    event.into_iter().for_each(|event| planner.claim(gift_card_claim(card), event));
                    event
                }))
            };
            let (event, plan) = match self.plan_credit(&base, &definitions, issue).await? {
                Ok(planned) => planned,
                Err(error) => return answered(self.refuse(&once, error).await?, true),
            };
            let plan = plan.ok_or_else(|| Error::corrupt("a gift card that changes nothing"))?;
            let (mut writing, _) = self.written(plan, &base).await?;
            let answer = Answer { event, amount: Some(sale.amount) };
            writing.commit.request = Some(once.request(&answer)?);
            match self.settle(writing).await? {
                Settled::Done => return answered(answer, false),
                Settled::Replayed(answer) => return answered(read(&answer)?, true),
                Settled::Refused(CommitError::KeyReused) => return Err(Error::KeyReused),
                Settled::Refused(CommitError::Claimed { key, .. }) if key == gift_card_claim(card) => {
                    return Err(refused(CreditError::CodeTaken));
                }
                Settled::Refused(error) if error.is_lost_race() => self.lost()?,
                Settled::Refused(error) => return Err(Error::corrupt(error)),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Redeems a gift card: all that is on it becomes the store credit of whoever redeems it. Of several who try, exactly
    /// one succeeds. Both customers are written in one commit, after what was due for them. Under the same key the same
    /// card is redeemed once and answered alike, however often that is asked for.
    ///
    /// # Errors
    ///
    /// `Refused` with `NoCard`, `CardRedeemed`, `CardBlocked`, `CardExpired`, `TooMuch` or `Erased`; `NoCustomer`,
    /// `KeyReused` if the key was used for something else, `KeyLength`, `LookupKey`, `Storage` if the store failed,
    /// `Busy`.
    pub async fn redeem_gift_card(
        &self,
        customer: CustomerId,
        code: &GiftCardCode,
        key: &str,
    ) -> Result<GiftCardRedeemed, Error> {
        self.check_lookup_key().await?;
        let card = self.gift_card_id(code);
        let once = Once::new(customer, key, &("redeem_gift_card", card))?;
        let answered = |answer: Answer, replayed, changes| {
            let parts = answer.event.zip(answer.amount);
            let (event, amount) = parts.ok_or_else(|| Error::corrupt("a gift card redeemed by no decision"))?;
            Ok(GiftCardRedeemed { card, amount, event, replayed, changes })
        };
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base(customer).await?;
            let base = base.ok_or(Error::NoCustomer { customer })?;
            let planned = match self.buyer_of(card).await? {
                None => Err(CreditError::NoCard),
                Some(buyer) => self.plan_redeeming([buyer, base], customer, card, &definitions).await?,
            };
            let (answer, plans) = match planned {
                Ok(planned) => planned,
                Err(error) => return answered(self.refuse(&once, error).await?, true, Vec::new()),
            };
            let mut writing = Writing::default();
            let mut changes = Vec::new();
            for (plan, base) in plans {
                changes.extend(self.write(&mut writing, plan, &base).await?);
            }
            writing.commit.request = Some(once.request(&answer)?);
            match self.settle(writing).await? {
                Settled::Done => return answered(answer, false, changes),
                Settled::Replayed(answer) => return answered(read(&answer)?, true, Vec::new()),
                Settled::Refused(CommitError::KeyReused) => return Err(Error::KeyReused),
                Settled::Refused(error) if error.is_lost_race() => self.lost()?,
                Settled::Refused(error) => return Err(Error::corrupt(error)),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Blocks a gift card, such as one that was lost, or whose sale is refunded: nobody redeems it any more. One that is
    /// blocked already stays so.
    ///
    /// # Errors
    ///
    /// `Refused` with `NoCard`, `CardRedeemed` or `CardExpired`; `KeyReused` if the key was used for something else of
    /// its buyer's, `KeyLength`, `Storage` if the store failed, `Busy`.
    pub async fn block_gift_card(&self, card: GiftCardId, reason: Remark, key: &str) -> Result<GiftCardBlocked, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let base = self.buyer_of(card).await?.ok_or_else(|| refused(CreditError::NoCard))?;
            let once = Once::new(base.through, key, &("block_gift_card", card, &reason))?;
            let definitions = self.definitions().await?;
            let block = |planner: &mut Planner<'_>| {
                planner.credit(|customer, _, _| {
                    let (_, currency, state) = customer.gift_card(card).ok_or(CreditError::NoCard)?;
                    let posting = credit::block(state, card, currency, reason.clone())?;
                    Ok(posting.map(Deed::GiftCardPosted).into_iter().collect())
                })
            };
            let (events, plan) = match self.plan_credit(&base, &definitions, block).await? {
                Ok(planned) => planned,
                Err(error) => {
                    let Answer { event, .. } = self.refuse(&once, error).await?;
                    return Ok(GiftCardBlocked { event, replayed: true });
                }
            };
            let mut writing = Writing::default();
            if let Some(plan) = plan {
                self.write(&mut writing, plan, &base).await?;
            }
            let answer = Answer { event: events.into_iter().next(), amount: None };
            writing.commit.request = Some(once.request(&answer)?);
            match self.settle(writing).await? {
                Settled::Done => return Ok(GiftCardBlocked { event: answer.event, replayed: false }),
                Settled::Replayed(answer) => {
                    let Answer { event, .. } = read(&answer)?;
                    return Ok(GiftCardBlocked { event, replayed: true });
                }
                Settled::Refused(CommitError::KeyReused) => return Err(Error::KeyReused),
                Settled::Refused(error) if error.is_lost_race() => self.lost()?,
                Settled::Refused(error) => return Err(Error::corrupt(error)),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// What is on a gift card, or what became of it; none if there is none of that id, which
    /// [`gift_card_id`](Self::gift_card_id) tells of a code.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn gift_card(&self, card: GiftCardId) -> Result<Option<GiftCard>, Error> {
        let Some(base) = self.buyer_of(card).await? else { return Ok(None) };
        let found = base.customer.gift_card(card);
        let (_, currency, state) = found.ok_or_else(|| Error::corrupt("a gift card that its buyer does not have"))?;
        let now = self.now();
        // What is due may not have been worked off yet.
        let is_over = matches!(state, GiftCardState::Open { expires_at: Some(at), .. } if at <= now);
        let state = if is_over { GiftCardState::Expired } else { state };
        Ok(Some(GiftCard { buyer: base.customer.id(), currency, state }))
    }

    /// Whoever bought a card.
    async fn buyer_of(&self, card: GiftCardId) -> Result<Option<Base>, Error> {
        let owner = self.store().resolve(&self.tenant, &[gift_card_claim(card)]).await?.into_iter().next().flatten();
        let Some(owner) = owner else { return Ok(None) };
        let (base, _) = self.base(owner.customer).await?;
        base.map(Some).ok_or_else(|| Error::corrupt("a gift card of nobody"))
    }

    /// Plans something about one customer's money, with their history if it takes that.
    async fn plan_credit<T: Send>(
        &self,
        base: &Base,
        definitions: &Definitions,
        work: impl Fn(&mut Planner<'_>) -> Planned<T> + Send + Sync,
    ) -> Result<Result<(T, Option<Plan>), CreditError>, Error> {
        let context = self.context(definitions, self.now(), false);
        let planned =
            self.plan(context, base, |mut planner| Ok(work(&mut planner)?.map(|told| (told, planner.finish()))));
        planned.await
    }

    /// Plans that whoever redeems a card gets what is on it, for them and for whoever bought it.
    #[allow(clippy::type_complexity, reason = "it is an answer, and what leads to it")]
    async fn plan_redeeming(
        &self,
        [buyer, base]: [Base; 2],
        by: CustomerId,
        card: GiftCardId,
        definitions: &Definitions,
    ) -> Result<Result<(Answer, Vec<(Plan, Base)>), CreditError>, Error> {
        let nothing = || Error::corrupt("a gift card that changes nothing");
        if base.customer.is_erased() {
            return Ok(Err(CreditError::Erased));
        }
        let is_one = buyer.customer.id() == base.customer.id();
        // What becomes of the card, and what whoever redeems it gets, each decided on the customer as they are then.
        let redeem = |planner: &mut Planner<'_>| {
            let mut amount = None;
            let decided = planner.credit(|customer, through, at| {
                let (_, currency, state) = customer.gift_card(card).ok_or(CreditError::NoCard)?;
                let into = customer.credit_of(through).and_then(|books| books.get(currency)).filter(|_| is_one);
                let (of_card, loaded) = credit::redeem(state, card, currency, by, into, at)?;
                amount = Some((of_card.amount, state));
                let loaded = Some(Deed::CreditPosted(loaded)).filter(|_| is_one);
                Ok(std::iter::once(Deed::GiftCardPosted(of_card)).chain(loaded).collect())
            })?;
            Ok(decided.map(|events| (events.last().copied(), amount)))
        };
        // One who is both is planned as the one who redeems it.
        let first = if is_one { &base } else { &buyer };
        let ((event, amount), plan) = match self.plan_credit(first, definitions, redeem).await? {
            Ok(planned) => planned,
            Err(error) => return Ok(Err(error)),
        };
        let (plan, (amount, state)) = plan.zip(amount).ok_or_else(nothing)?;
        if is_one {
            return Ok(Ok((Answer { event, amount: Some(amount) }, vec![(plan, base)])));
        }
        let load = |planner: &mut Planner<'_>| {
            planner.credit(|customer, through, at| {
                let into = customer.credit_of(through).and_then(|books| books.get(amount.currency()));
                let (_, loaded) = credit::redeem(state, card, amount.currency(), by, into, at)?;
                Ok(vec![Deed::CreditPosted(loaded)])
            })
        };
        let (events, loaded) = match self.plan_credit(&base, definitions, load).await? {
            Ok(planned) => planned,
            Err(error) => return Ok(Err(error)),
        };
        let answer = Answer { event: events.into_iter().next(), amount: Some(amount) };
        Ok(Ok((answer, vec![(loaded.ok_or_else(nothing)?, base), (plan, buyer)])))
    }
}
