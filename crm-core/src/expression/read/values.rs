//! What stands where one kind of thing is expected: a number, a date, the name of something that the shop defined.

use cel::IdedExpr;
use smol_str::SmolStr;

use super::super::error::Problem;
use super::super::number::{Moment, Number};
use super::super::predicate::Texts;
use super::term::Term;
use super::{Read, Reader};
use crate::interaction::Channel;
use crate::loyalty::{CouponCode, ProgramId};
use crate::money::Currency;
use crate::segment::SegmentName;
use crate::time::{Span, Timestamp};

impl Reader<'_> {
    /// What stands where a number is expected.
    pub(super) fn number(&self, id: u64, term: Term) -> Read<Number> {
        match term {
            Term::Number(number) => Ok(number),
            Term::Whole(number) => Ok(Number::Constant(number)),
            Term::Moment(moment) => Ok(Number::Instant(moment)),
            Term::Happenings(_) | Term::Texts(Texts::Products(_) | Texts::Categories(_)) => {
                let Term::Number(number) = self.size(id, term)? else {
                    return self.unsupported(id, "this");
                };
                Ok(number)
            }
            other => self.expected(id, "a number", &other),
        }
    }

    pub(super) fn moment(&self, tree: &IdedExpr) -> Read<Moment> {
        match self.term(tree)? {
            Term::Moment(moment) => Ok(moment),
            other => self.expected(tree.id, "an instant of the customer's", &other),
        }
    }

    pub(super) fn text(&self, tree: &IdedExpr) -> Read<SmolStr> {
        match self.term(tree)? {
            Term::Text(text) => Ok(text),
            other => self.expected(tree.id, "a text in quotes", &other),
        }
    }

    /// A date, or an instant, as RFC 3339 writes them; a date is its first instant in UTC.
    pub(super) fn instant(&self, tree: &IdedExpr) -> Read<Timestamp> {
        let text = match self.term(tree)? {
            Term::Instant(instant) => return Ok(instant),
            Term::Text(text) => text,
            other => return self.expected(tree.id, "a date", &other),
        };
        Timestamp::parse(&text).map_err(|error| self.wrong(tree.id, Problem::Malformed(error.to_string())))
    }

    /// A length of time: whole numbers of weeks, days of 24 hours, hours, minutes, seconds.
    pub(super) fn span(&self, tree: &IdedExpr) -> Read<Span> {
        let text = match self.term(tree)? {
            Term::Span(span) => return Ok(span),
            Term::Text(text) => text,
            other => return self.expected(tree.id, "a length of time, such as \"90d\"", &other),
        };
        span_of(&text).ok_or_else(|| {
            let told = "a length of time is whole numbers with w, d, h, m or s, such as \"90d\" or \"1h30m\"";
            self.wrong(tree.id, Problem::Malformed(told.to_owned()))
        })
    }

    pub(super) fn program(&self, tree: &IdedExpr) -> Read<ProgramId> {
        let name = self.text(tree)?;
        if !self.vocabulary.programs.contains(&name) {
            let programs = self.vocabulary.programs.iter().map(SmolStr::as_str);
            return self.unknown(tree.id, "programme", &name, programs);
        }
        ProgramId::new(&name).map_err(self.malformed(tree.id))
    }

    pub(super) fn badge(&self, tree: &IdedExpr) -> Read<SmolStr> {
        let name = self.text(tree)?;
        if self.vocabulary.badges.contains(&name) {
            return Ok(name);
        }
        self.unknown(tree.id, "badge", &name, self.vocabulary.badges.iter().map(SmolStr::as_str))
    }

    /// Any code will do: a shop may keep its coupons itself.
    pub(super) fn coupon(&self, tree: &IdedExpr) -> Read<CouponCode> {
        CouponCode::new(self.text(tree)?).map_err(self.malformed(tree.id))
    }

    /// Amounts are written with as many decimals as the shop's currency has.
    pub(super) fn currency(&self, tree: &IdedExpr) -> Read<Currency> {
        let own = self.vocabulary.currency;
        let malformed = |told: String| self.wrong(tree.id, Problem::Malformed(told));
        let currency = Currency::new(&self.text(tree)?).map_err(|error| malformed(error.to_string()))?;
        if currency.exponent() == own.exponent() {
            return Ok(currency);
        }
        Err(malformed(format!("{currency} has not as many decimals as {own}, in which amounts are written")))
    }

    pub(super) fn list(&self, tree: &IdedExpr) -> Read<SmolStr> {
        let name = self.text(tree)?;
        if self.vocabulary.lists.contains(&name) {
            return Ok(name);
        }
        self.unknown(tree.id, "list", &name, self.vocabulary.lists.iter().map(SmolStr::as_str))
    }

    pub(super) fn segment(&self, tree: &IdedExpr) -> Read<SegmentName> {
        let name = self.text(tree)?;
        if !self.vocabulary.segments.contains(&name) {
            let segments = self.vocabulary.segments.iter().map(SmolStr::as_str);
            return self.unknown(tree.id, "segment", &name, segments);
        }
        SegmentName::new(&name).map_err(self.malformed(tree.id))
    }

    pub(super) fn channel(&self, tree: &IdedExpr) -> Read<Channel> {
        let name = self.text(tree)?;
        match Channel::ALL.into_iter().find(|known| known.name() == name) {
            Some(channel) => Ok(channel),
            None => self.unknown(tree.id, "channel", &name, Channel::ALL.map(Channel::name)),
        }
    }
}

fn span_of(text: &str) -> Option<Span> {
    let mut rest = text;
    let mut millis = 0_u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let unit = after.chars().next()?;
        let each = match unit {
            'w' => 604_800_000,
            'd' => 86_400_000,
            'h' => 3_600_000,
            'm' => 60_000,
            's' => 1_000,
            _ => return None,
        };
        millis = number.parse::<u64>().ok()?.checked_mul(each)?.checked_add(millis)?;
        rest = after.get(unit.len_utf8()..)?;
    }
    (!text.is_empty()).then(|| Span::millis(millis))
}
