//! What a part of a rule's text is.

use rust_decimal::Decimal;
use smol_str::SmolStr;

use super::super::number::{Events, Happenings, Moment, Number};
use super::super::predicate::{Predicate, TextTest, Texts};
use crate::attribute::Unit;
use crate::lifecycle::Stage;
use crate::time::{Span, Timestamp};

/// What a part of the text is.
#[derive(Debug, Clone)]
pub(in crate::expression) enum Term {
    Rule(Predicate),
    Bool(bool),
    Number(Number),
    /// A whole number as written, which takes the unit of what it is put beside.
    Whole(i64),
    Decimal(Decimal),
    Text(SmolStr),
    List(Vec<(u64, Term)>),
    Stage,
    Texts(Texts),
    Segments,
    Consents,
    Happenings(Happenings),
    Moment(Moment),
    Instant(Timestamp),
    Span(Span),
}

impl Term {
    pub(in crate::expression) fn kind(&self) -> &'static str {
        match self {
            Term::Rule(_) | Term::Bool(_) => "a yes or no",
            Term::Number(number) => unit_name(number.unit()),
            Term::Whole(_) => "a whole number",
            Term::Decimal(_) => "a decimal number",
            Term::Text(_) | Term::Stage => "a text",
            Term::List(_) => "a list",
            Term::Texts(texts) if texts.is_single() => "a text",
            Term::Texts(_) | Term::Segments | Term::Consents => "a list of texts",
            Term::Happenings(happenings) if happenings.what.are_orders() => "orders",
            Term::Happenings(happenings) => match happenings.what {
                Events::Messages(_) => "messages",
                Events::Cases(_) | Events::OpenCases(_) => "cases",
                _ => "events",
            },
            Term::Moment(_) | Term::Instant(_) => "an instant",
            Term::Span(_) => "a length of time",
        }
    }

    /// Whether it is several texts, of which one can be asked whether it is among them.
    pub(in crate::expression) fn holds_many(&self) -> bool {
        matches!(self, Term::Segments | Term::Consents) || is_list(self)
    }
}

pub(in crate::expression) const fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "a number of things",
        Unit::Days => "a number of days",
        Unit::MinorUnits => "an amount of money",
        Unit::Points => "a number of points",
        Unit::Millis => "an instant",
        Unit::Millionths => "a decimal number",
    }
}

pub(super) fn is_list(term: &Term) -> bool {
    matches!(term, Term::Texts(texts) if !texts.is_single())
}

/// All of these; what is all of several itself is not nested.
pub(in crate::expression) fn all_of(parts: Vec<Predicate>) -> Predicate {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Predicate::All(inner) if !inner.is_empty() => flat.extend(inner),
            rule => flat.push(rule),
        }
    }
    Predicate::All(flat)
}

/// One of these; what is one of several itself is not nested.
pub(in crate::expression) fn any_of(parts: Vec<Predicate>) -> Predicate {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Predicate::Any(inner) if !inner.is_empty() => flat.extend(inner),
            rule => flat.push(rule),
        }
    }
    Predicate::Any(flat)
}

/// A test of the one text that a term is.
pub(super) fn of_text(term: Term, test: TextTest) -> Predicate {
    match term {
        Term::Texts(texts) => Predicate::Text(texts, test),
        // The stages are known, so that the test can be made now.
        _ => Predicate::StageIn(Stage::ALL.into_iter().filter(|stage| test.passes(stage.name())).collect()),
    }
}
