//! Commands about store credit.

use serde::{Deserialize, Serialize};

use super::lot::sum;
use super::take::{Debts, part};
use super::{
    CREDIT_AMOUNT_MAX, CREDIT_BALANCE_MAX, CREDIT_HOLDS_MAX, CreditBook, CreditBooks, CreditCause, CreditError,
    CreditHold, CreditHoldName, CreditMove, CreditOrigin, CreditPiece, CreditPosting, CreditTerms, HoldEnd,
};
use crate::customer::{Command, Customer};
use crate::flat::FlatMap;
use crate::id::{CustomerId, EventId};
use crate::money::{Currency, Money};
use crate::order::OrderRef;
use crate::text::Remark;
use crate::time::Timestamp;

/// What can be done to somebody's store credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditCommand {
    /// Give some.
    Grant(GrantCredit),
    /// Spend some.
    Spend(SpendCredit),
    /// Promise some to an order, to be captured or released later.
    Hold(HoldCredit),
    /// Spend what was promised.
    Capture(CaptureCredit),
    /// Give up what was promised.
    Release(ReleaseCredit),
    /// Take some back.
    Adjust(AdjustCredit),
    /// Have what was spent come back.
    Reverse(ReverseCredit),
}

/// Give somebody store credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantCredit {
    /// How much, from 1 to [`CREDIT_AMOUNT_MAX`] minor units.
    pub amount: Money,
    /// Why.
    pub reason: Remark,
    /// When it expires, at which instant it is gone; none means never.
    pub expires_at: Option<Timestamp>,
}

/// Spend store credit: what expires soonest first, then the oldest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendCredit {
    /// How much, from 1 to [`CREDIT_AMOUNT_MAX`] minor units.
    pub amount: Money,
    /// What for.
    pub order: Option<OrderRef>,
}

/// Promise store credit to an order: it cannot be spent otherwise, and does not expire, while it is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldCredit {
    /// What to call it: what no hold of the customer is called that is open, or of which it is remembered that it is
    /// over.
    pub hold: CreditHoldName,
    /// How much, from 1 to [`CREDIT_AMOUNT_MAX`] minor units.
    pub amount: Money,
    /// When it goes back by itself.
    pub until: Timestamp,
    /// What for.
    pub order: Option<OrderRef>,
}

/// Spend what was promised. What is left of it goes back, and the hold is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureCredit {
    /// Which hold.
    pub hold: CreditHoldName,
    /// How much of it; none means all.
    pub amount: Option<Money>,
}

/// Give up what was promised: it goes back to the lots it came from. What expired meanwhile is gone at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseCredit {
    /// Which hold.
    pub hold: CreditHoldName,
}

/// Take back store credit that should not have been given: what is spent next. Of several merged customers it is taken
/// from the one whom it comes through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdjustCredit {
    /// How much, from 1 to [`CREDIT_AMOUNT_MAX`] minor units.
    pub amount: Money,
    /// Why.
    pub reason: Remark,
}

/// Have what was spent come back, once for each spend: to the lots it was taken from, those that last longest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReverseCredit {
    /// The decision by which it was spent, or captured: the first of what the command was answered with.
    pub spend: EventId,
    /// How much of it; none means all.
    pub amount: Option<Money>,
    /// Why.
    pub reason: Remark,
    /// Until when that lasts whose own time is over by now; none has it expire at once.
    pub expired_until: Option<Timestamp>,
}

impl From<CreditCommand> for Command {
    fn from(command: CreditCommand) -> Self {
        Command::Credit(command)
    }
}

macro_rules! command_from {
    ($($command:ident => $variant:ident),*) => {$(
        impl From<$command> for Command {
            fn from(command: $command) -> Self {
                Command::Credit(CreditCommand::$variant(command))
            }
        }
    )*};
}
command_from!(
    GrantCredit => Grant,
    SpendCredit => Spend,
    HoldCredit => Hold,
    CaptureCredit => Capture,
    ReleaseCredit => Release,
    AdjustCredit => Adjust,
    ReverseCredit => Reverse
);

/// Whom a command is for, and through whom it came.
struct Asked<'c> {
    customer: &'c Customer,
    through: CustomerId,
    at: Timestamp,
}

impl CreditCommand {
    /// The name of the command.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            CreditCommand::Grant(_) => "grant_credit",
            CreditCommand::Spend(_) => "spend_credit",
            CreditCommand::Hold(_) => "hold_credit",
            CreditCommand::Capture(_) => "capture_credit",
            CreditCommand::Release(_) => "release_credit",
            CreditCommand::Adjust(_) => "adjust_credit",
            CreditCommand::Reverse(_) => "reverse_credit",
        }
    }

    /// The posting that carries it out at an instant. `through` is the one of several merged customers whom it came
    /// through: what is given is theirs, and what is spent is taken from all.
    ///
    /// # Errors
    ///
    /// `CreditError`, with the reason.
    pub fn decide(self, customer: &Customer, through: CustomerId, at: Timestamp) -> Result<CreditPosting, CreditError> {
        let asked = Asked { customer, through, at };
        let posting = match self {
            CreditCommand::Grant(grant) => asked.grant(grant),
            CreditCommand::Spend(spend) => asked.spend(spend),
            CreditCommand::Hold(hold) => asked.hold(hold),
            CreditCommand::Capture(capture) => asked.capture(capture),
            CreditCommand::Release(release) => asked.release(release),
            CreditCommand::Adjust(adjust) => asked.adjust(adjust),
            CreditCommand::Reverse(reverse) => asked.reverse(reverse),
        }?;
        Ok(if customer.is_merged() { posting } else { posting.alone() })
    }
}

fn amount(amount: Money) -> Result<i64, CreditError> {
    let minor = amount.minor();
    if (1..=CREDIT_AMOUNT_MAX).contains(&minor) {
        Ok(minor)
    } else {
        Err(CreditError::Amount { minor, max: CREDIT_AMOUNT_MAX })
    }
}

/// An amount in the currency of what it is about.
fn amount_in(given: Money, needed: Currency) -> Result<i64, CreditError> {
    if given.currency() != needed {
        return Err(CreditError::OtherCurrency { given: given.currency(), needed });
    }
    amount(given)
}

impl Asked<'_> {
    /// The id that the decision about whoever it came through will have.
    fn decision(&self) -> EventId {
        EventId::of_decision(self.through, self.customer.decisions_of(self.through))
    }

    fn future(&self, instant: Timestamp) -> Result<Timestamp, CreditError> {
        if instant > self.at { Ok(instant) } else { Err(CreditError::ExpiryPast { at: instant }) }
    }

    fn books(&self) -> impl Iterator<Item = (Currency, &CreditBook)> {
        self.customer.credit().into_iter().flat_map(CreditBooks::iter)
    }

    /// What each member owes.
    fn debts(&self, currency: Currency) -> Debts {
        let mut debts = Debts::default();
        for member in self.customer.members() {
            if let Some(book) = self.customer.credit_of(member).and_then(|books| books.get(currency)) {
                debts.add(self.customer.is_merged().then_some(member), book);
            }
        }
        debts
    }

    /// What some moves come to for several, of whom these get a part in any case.
    fn joint(
        &self,
        currency: Currency,
        cause: CreditCause,
        moves: Vec<CreditMove>,
        spender: Option<CustomerId>,
        first: impl IntoIterator<Item = CustomerId>,
    ) -> CreditPosting {
        let mut parts = Vec::new();
        for member in first.into_iter().chain(moves.iter().filter_map(|change| change.of)) {
            // Nobody else gets a part, though a stored posting may name them.
            if self.customer.is(member) && !parts.contains(&member) {
                parts.push(member);
            }
        }
        CreditPosting { spender, parts, ..CreditPosting::new(currency, cause, moves) }
    }

    fn grant(
        &self,
        GrantCredit { amount: money, reason, expires_at }: GrantCredit,
    ) -> Result<CreditPosting, CreditError> {
        let (minor, currency) = (amount(money)?, money.currency());
        let expires_at = expires_at.map(|at| self.future(at)).transpose()?;
        if self.customer.is_erased() {
            return Err(CreditError::Erased);
        }
        let empty = CreditBook::default();
        let book = self.customer.credit_of(self.through).and_then(|books| books.get(currency)).unwrap_or(&empty);
        if book.balance() + book.held() + i128::from(minor) > i128::from(CREDIT_BALANCE_MAX) {
            return Err(CreditError::TooMuch { max: CREDIT_BALANCE_MAX });
        }
        let origin = CreditOrigin::Grant { event: self.decision() };
        let terms = CreditTerms { origin, issued_at: self.at, expires_at };
        Ok(CreditPosting::new(currency, CreditCause::Granted { reason }, vec![book.give(minor, terms)]))
    }

    /// The book of all, if there is so much in it.
    fn enough(&self, minor: i64, currency: Currency) -> Result<&CreditBook, CreditError> {
        let not_enough = |available| CreditError::NotEnough { currency, asked: minor, available };
        let book = self.customer.credit().and_then(|books| books.get(currency)).ok_or_else(|| not_enough(0))?;
        if book.available() < i128::from(minor) { Err(not_enough(book.available())) } else { Ok(book) }
    }

    fn spend(&self, SpendCredit { amount: money, order }: SpendCredit) -> Result<CreditPosting, CreditError> {
        let (minor, currency) = (amount(money)?, money.currency());
        let moves = self.enough(minor, currency)?.take(minor, false);
        let cause = CreditCause::Spent { spend: self.decision(), order };
        Ok(self.joint(currency, cause, moves, Some(self.through), [self.through]))
    }

    fn hold(&self, HoldCredit { hold, amount: money, until, order }: HoldCredit) -> Result<CreditPosting, CreditError> {
        let (minor, currency) = (amount(money)?, money.currency());
        let until = self.future(until)?;
        let is_known = |(_, book): (Currency, &CreditBook)| {
            book.holds.iter().any(|own| own.name == hold) || book.closed.iter().any(|own| own.name == hold)
        };
        if self.books().any(is_known) {
            return Err(CreditError::HoldExists { hold });
        }
        let book = self.enough(minor, currency)?;
        let own = |open: &&CreditHold| open.by.is_none_or(|by| by == self.through);
        if book.holds.iter().filter(own).count() >= CREDIT_HOLDS_MAX {
            return Err(CreditError::TooManyHolds { max: CREDIT_HOLDS_MAX });
        }
        let moves = book.take(minor, true);
        let cause = CreditCause::Held { hold, until, order };
        Ok(self.joint(currency, cause, moves, Some(self.through), [self.through]))
    }

    /// The open hold of a name: the one of whoever it came through, or else the only one.
    fn open(&self, name: &CreditHoldName) -> Result<(Currency, &CreditHold), CreditError> {
        let is_own = |by: Option<CustomerId>| by.is_none_or(|by| by == self.through);
        let open = || {
            let all = self.books().flat_map(|(currency, book)| book.holds.iter().map(move |hold| (currency, hold)));
            all.filter(|(_, hold)| hold.name == *name)
        };
        if let Some(own) = open().find(|(_, hold)| is_own(hold.by)) {
            return Ok(own);
        }
        let closed = || self.books().flat_map(|(_, book)| &book.closed).filter(|closed| closed.name == *name);
        let own = closed().find(|closed| is_own(closed.by));
        let hold = name.clone();
        match (own, open().next(), open().nth(1)) {
            (None, Some(only), None) => Ok(only),
            (None, Some(_), Some(_)) => Err(CreditError::HoldAmbiguous { hold }),
            (own, ..) => Err(match own.or_else(|| closed().next()).map(|closed| closed.end) {
                Some(HoldEnd::Captured) => CreditError::HoldCaptured { hold },
                Some(HoldEnd::Released) => CreditError::HoldReleased { hold },
                Some(HoldEnd::Lapsed) => CreditError::HoldLapsed { hold },
                None => CreditError::NoHold { hold },
            }),
        }
    }

    fn capture(
        &self,
        CaptureCredit { hold: name, amount: money }: CaptureCredit,
    ) -> Result<CreditPosting, CreditError> {
        let (currency, hold) = self.open(&name)?;
        let held = hold.minor();
        let minor = match money {
            Some(money) => amount_in(money, currency)?,
            // What is held was held by an amount of one command, and by settling for it.
            None => i64::try_from(held).unwrap_or(i64::MAX),
        };
        if i128::from(minor) > held {
            return Err(CreditError::HoldShort { hold: name, asked: minor, held });
        }
        let mut pieces = hold.pieces.clone();
        pieces.sort_by_key(CreditPiece::rank);
        let (spent, rest) = part(&pieces, minor);
        let mut moves = self.debts(currency).back(rest, true);
        for CreditPiece { lot, minor, of, .. } in spent {
            // A lot of which a part goes back is one move.
            match moves.iter_mut().find(|change| (change.lot, change.of) == (lot, of)) {
                Some(change) => change.held -= minor,
                None => moves.push(CreditMove { held: -minor, of, ..CreditMove::of_lot(lot) }),
            }
        }
        let cause = CreditCause::Captured { hold: name, spend: self.decision() };
        Ok(self.joint(currency, cause, moves, hold.by, std::iter::once(self.through).chain(hold.by)))
    }

    fn release(&self, ReleaseCredit { hold: name }: ReleaseCredit) -> Result<CreditPosting, CreditError> {
        let (currency, hold) = self.open(&name)?;
        let moves = self.debts(currency).back(hold.pieces.clone(), true);
        Ok(self.joint(currency, CreditCause::Released { hold: name }, moves, hold.by, hold.by))
    }

    fn adjust(&self, AdjustCredit { amount: money, reason }: AdjustCredit) -> Result<CreditPosting, CreditError> {
        let (minor, currency) = (amount(money)?, money.currency());
        let own = self.customer.credit_of(self.through).and_then(|books| books.get(currency));
        let available = own.map_or(0, CreditBook::available);
        let enough = own.filter(|_| available >= i128::from(minor));
        let book = enough.ok_or(CreditError::NotEnough { currency, asked: minor, available })?;
        Ok(CreditPosting::new(currency, CreditCause::Adjusted { reason }, book.take(minor, false)))
    }

    fn reverse(&self, asked: ReverseCredit) -> Result<CreditPosting, CreditError> {
        let ReverseCredit { spend: id, amount: money, reason, expired_until } = asked;
        let found = self.books().find_map(|(currency, book)| Some((currency, book.spend(id)?)));
        let (currency, spend) = found.ok_or(CreditError::NoSpend { spend: id })?;
        let expired_until = expired_until.map(|at| self.future(at)).transpose()?;
        if spend.reversed {
            return Err(CreditError::AlreadyReversed { spend: id });
        }
        let spent = sum(&spend.pieces);
        let minor = match money {
            Some(money) => amount_in(money, currency)?,
            None => i64::try_from(spent).unwrap_or(i64::MAX),
        };
        if i128::from(minor) > spent {
            return Err(CreditError::ReversalTooLarge { spend: id, asked: minor, spent });
        }
        let mut pieces = spend.pieces.clone();
        pieces.sort_by_key(|piece| std::cmp::Reverse(piece.rank()));
        let (mut back, _) = part(&pieces, minor);
        let mut renewed = Vec::new();
        for piece in back.iter_mut().filter(|piece| piece.terms.is_due(self.at)) {
            if let Some(until) = expired_until {
                piece.terms.expires_at = Some(until);
                renewed.push((piece.of, piece.lot));
            }
        }
        let mut moves = self.debts(currency).back(back, false);
        // What lasts longer than its lot is a lot of its own.
        let mut opened: FlatMap<CustomerId, u32> = FlatMap::default();
        for change in moves.iter_mut().filter(|change| renewed.contains(&(change.of, change.lot))) {
            let of = change.of.unwrap_or(self.through);
            let book = self.customer.credit_of(of).and_then(|books| books.get(currency));
            let before = opened.get_or_default(&of);
            let next = book.map_or(0, |book| book.next_lot).saturating_add(*before);
            *before += 1;
            change.was = Some(std::mem::replace(&mut change.lot, next));
        }
        let has = |member: &CustomerId| {
            let book = self.customer.credit_of(*member).and_then(|books| books.get(currency));
            book.is_some_and(|book| book.spend(id).is_some())
        };
        let parts = self.customer.members().filter(has).collect::<Vec<_>>();
        Ok(self.joint(currency, CreditCause::Reversed { spend: id, reason }, moves, spend.by, parts))
    }
}
