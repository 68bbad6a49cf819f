//! Comparing, calculating, and being in a list, each in the unit of what it is about.

use std::collections::BTreeSet;

use cel::IdedExpr;
use cel::common::ast::{Expr, LiteralValue};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::super::error::Problem;
use super::super::number::{Number, Operation};
use super::super::predicate::{Comparison, Predicate, TextTest, Texts};
use super::term::{Term, is_list, of_text, unit_name};
use super::{Read, Reader};
use crate::attribute::Unit;
use crate::consent::{ConsentKey, Purpose, Scope};
use crate::declared::DeclaredKind;
use crate::fixed::Millionths;
use crate::interaction::Channel;
use crate::lifecycle::Stage;

impl Reader<'_> {
    pub(in crate::expression) fn compare(
        &self,
        id: u64,
        left: &IdedExpr,
        is: Comparison,
        right: &IdedExpr,
    ) -> Read<Term> {
        let equality = matches!(is, Comparison::Eq | Comparison::Ne);
        let signed =
            |rule: Predicate| Term::Rule(if is == Comparison::Eq { rule } else { Predicate::Not(Box::new(rule)) });
        let is_null = |tree: &IdedExpr| matches!(&tree.expr, Expr::Literal(LiteralValue::Null));
        if equality && (is_null(left) || is_null(right)) {
            let known = self.known(if is_null(left) { right } else { left })?;
            return Ok(Term::Rule(if is == Comparison::Ne { known } else { Predicate::Not(Box::new(known)) }));
        }
        let (one, other) = match (self.term(left)?, self.term(right)?) {
            (one @ Term::Moment(_), Term::Text(_)) => (one, Term::Instant(self.instant(right)?)),
            (Term::Text(_), other @ Term::Moment(_)) => (Term::Instant(self.instant(left)?), other),
            terms => terms,
        };
        match (&one, &other) {
            (Term::Stage | Term::Texts(_), Term::Text(text)) if equality && !is_list(&one) => {
                self.check_choice(right.id, &one, text)?;
                Ok(signed(of_text(one.clone(), TextTest::OneOf(BTreeSet::from([text.clone()])))))
            }
            (Term::Text(text), Term::Stage | Term::Texts(_)) if equality && !is_list(&other) => {
                self.check_choice(left.id, &other, text)?;
                Ok(signed(of_text(other.clone(), TextTest::OneOf(BTreeSet::from([text.clone()])))))
            }
            (Term::Rule(rule), Term::Bool(value)) | (Term::Bool(value), Term::Rule(rule)) if equality => {
                let rule = if *value { rule.clone() } else { Predicate::Not(Box::new(rule.clone())) };
                Ok(signed(rule))
            }
            (Term::Stage | Term::Text(_) | Term::Bool(_) | Term::Rule(_), _) if equality => {
                self.expected(right.id, one.kind(), &other)
            }
            (Term::Texts(texts), Term::Texts(_) | Term::Stage) if equality && texts.is_single() => {
                self.unsupported(id, "a comparison of two texts of the customer's")
            }
            (Term::Texts(texts), _) if equality && texts.is_single() => self.expected(right.id, one.kind(), &other),
            _ => {
                let (one, other) = self.alike(id, (left.id, one), (right.id, other))?;
                Ok(Term::Rule(Predicate::Compare(one, is, other)))
            }
        }
    }

    /// A stage is compared with the name of one, and an attribute that takes one of some texts with one of them.
    pub(super) fn check_choice(&self, id: u64, of: &Term, text: &str) -> Read<()> {
        let known = Stage::ALL.into_iter().any(|stage| stage.name() == text);
        if matches!(of, Term::Stage) && !known {
            return self.unknown(id, "stage", text, Stage::ALL.map(Stage::name));
        }
        if let Term::Texts(Texts::Declared(name)) = of
            && let Some(DeclaredKind::OneOf(listed)) = self.vocabulary.attributes.get(name.as_str())
            && !listed.iter().any(|known| known.as_str() == text)
        {
            return self.unknown(id, "choice", text, listed.iter().map(AsRef::as_ref));
        }
        Ok(())
    }

    /// Two numbers in one unit, ready to be compared or added.
    pub(super) fn alike(&self, id: u64, left: (u64, Term), right: (u64, Term)) -> Read<(Number, Number)> {
        match (&left.1, &right.1) {
            (Term::Whole(one), Term::Whole(other)) => Ok(((*one).into(), (*other).into())),
            (
                Term::Whole(_) | Term::Decimal(_) | Term::Instant(_),
                Term::Whole(_) | Term::Decimal(_) | Term::Instant(_),
            ) => self.unsupported(id, "a comparison of two constants"),
            (Term::Whole(_) | Term::Decimal(_) | Term::Instant(_), _) => {
                let number = self.number(right.0, right.1)?;
                Ok((self.constant(left.0, &left.1, number.unit())?, number))
            }
            (_, Term::Whole(_) | Term::Decimal(_) | Term::Instant(_)) => {
                let number = self.number(left.0, left.1)?;
                let constant = self.constant(right.0, &right.1, number.unit())?;
                Ok((number, constant))
            }
            _ => {
                let one = self.number(left.0, left.1)?;
                let found = right.1.kind();
                let other = self.number(right.0, right.1)?;
                if one.unit() == other.unit() {
                    return Ok((one, other));
                }
                let expected = unit_name(one.unit()).to_owned();
                Err(self.wrong(right.0, Problem::Type { expected, found: found.to_owned() }))
            }
        }
    }

    /// A constant in the unit of what it is put beside: money is written in whole units, with decimals.
    pub(super) fn constant(&self, id: u64, term: &Term, unit: Unit) -> Read<Number> {
        let written = match (term, unit) {
            (Term::Instant(instant), Unit::Millis) => return Ok(Number::Constant(instant.as_millis())),
            (Term::Whole(number), Unit::MinorUnits) => Decimal::from(*number),
            (Term::Decimal(number), Unit::MinorUnits) => *number,
            (Term::Whole(number), Unit::Millionths) => return self.millionths(id, Decimal::from(*number)),
            (Term::Decimal(number), Unit::Millionths) => return self.millionths(id, *number),
            (Term::Whole(number), Unit::Count | Unit::Days | Unit::Points) => return Ok(Number::Constant(*number)),
            (term, unit) => return self.expected(id, unit_name(unit), term),
        };
        let currency = self.vocabulary.currency;
        let minor = written.checked_mul(Decimal::from(10_i64.pow(currency.exponent())));
        match minor.filter(|minor| minor.is_integer()).and_then(|minor| minor.to_i64()) {
            Some(minor) => Ok(Number::Constant(minor)),
            None => {
                let told = format!("an amount in {currency} has at most {} decimals", currency.exponent());
                Err(self.wrong(id, Problem::Malformed(told)))
            }
        }
    }

    pub(super) fn millionths(&self, id: u64, number: Decimal) -> Read<Number> {
        let told = "a decimal number has at most 6 decimals, and less than 13 digits before them";
        let wrong = || self.wrong(id, Problem::Malformed(told.to_owned()));
        Millionths::of(number).map(|number| Number::Constant(number.get())).ok_or_else(wrong)
    }

    pub(super) fn calculate(&self, id: u64, left: &IdedExpr, operation: Operation, right: &IdedExpr) -> Read<Term> {
        let (one, other) = (self.term(left)?, self.term(right)?);
        let together =
            |one: Number, other: Number| Ok(Term::Number(Number::Calculate(Box::new(one), operation, Box::new(other))));
        if let (Term::Whole(one), Term::Whole(other)) = (&one, &other) {
            let result = operation.of(*one, *other);
            let none = || self.wrong(id, Problem::Malformed("a calculation has no result".to_owned()));
            return result.map(Term::Whole).ok_or_else(none);
        }
        match operation {
            Operation::Plus | Operation::Minus | Operation::Rest => {
                let (one, other) = self.alike(id, (left.id, one), (right.id, other))?;
                if one.unit() == Unit::Millis {
                    return self.unsupported(id, "a calculation with instants; `days_since` says how long ago");
                }
                together(one, other)
            }
            // By a number of times, or into so many parts; like by like is a number of times.
            Operation::Times | Operation::By => {
                let kinds = (one.kind(), other.kind());
                let (one, other) = (self.number(left.id, one)?, self.number(right.id, other)?);
                let (a, b) = (one.unit(), other.unit());
                let fits = match operation {
                    Operation::By => b == Unit::Count || a == b,
                    _ => a == Unit::Count || b == Unit::Count,
                };
                if !fits || a == Unit::Millis || b == Unit::Millis {
                    let found = kinds.1.to_owned();
                    return Err(
                        self.wrong(right.id, Problem::Type { expected: "a number of things".to_owned(), found })
                    );
                }
                together(one, other)
            }
        }
    }

    pub(in crate::expression) fn is_in(&self, left: &IdedExpr, right: &IdedExpr) -> Read<Term> {
        let list = self.term(right)?;
        match list {
            Term::Segments => Ok(Term::Rule(Predicate::InSegment(self.segment(left)?))),
            Term::Consents => {
                let name = self.text(left)?;
                let parts: Vec<&str> = name.split('/').collect();
                let malformed = |error: String| self.wrong(left.id, Problem::Malformed(error));
                let (purpose, channel, scope) = match parts.as_slice() {
                    [purpose, channel] => (*purpose, *channel, None),
                    [purpose, channel, scope] => (*purpose, *channel, Some(*scope)),
                    _ => return Err(malformed("a consent is `purpose/channel` or `purpose/channel/scope`".to_owned())),
                };
                let Some(by) = Channel::ALL.into_iter().find(|known| known.name() == channel) else {
                    return self.unknown(left.id, "channel", channel, Channel::ALL.map(Channel::name));
                };
                let purpose = Purpose::new(purpose).map_err(|error| malformed(error.to_string()))?;
                let scope = scope.map(Scope::new).transpose().map_err(|error| malformed(error.to_string()))?;
                Ok(Term::Rule(Predicate::Consents(ConsentKey { purpose, channel: by, scope })))
            }
            Term::Texts(texts) if !texts.is_single() => {
                let text = match texts {
                    Texts::Lists => self.list(left)?,
                    Texts::Badges => self.badge(left)?,
                    _ => self.text(left)?,
                };
                Ok(Term::Rule(Predicate::Text(texts, TextTest::OneOf(BTreeSet::from([text])))))
            }
            Term::List(parts) => {
                let one = self.term(left)?;
                if matches!(one, Term::Stage) || matches!(&one, Term::Texts(texts) if texts.is_single()) {
                    let mut texts = BTreeSet::new();
                    for (id, part) in parts {
                        let Term::Text(text) = part else { return self.expected(id, "a text in quotes", &part) };
                        self.check_choice(id, &one, &text)?;
                        texts.insert(text);
                    }
                    return Ok(Term::Rule(of_text(one, TextTest::OneOf(texts))));
                }
                let each = parts.into_iter().map(|(id, part)| {
                    let (one, other) = self.alike(id, (left.id, one.clone()), (id, part))?;
                    Ok(Predicate::Compare(one, Comparison::Eq, other))
                });
                Ok(Term::Rule(Predicate::Any(each.collect::<Read<Vec<_>>>()?)))
            }
            other => self.expected(right.id, "a list", &other),
        }
    }
}
