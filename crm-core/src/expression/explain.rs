//! Why a rule answers as it does.

use super::evaluate::Subject;
use super::inputs::Inputs;
use super::number::Number;
use super::predicate::Predicate;
use crate::segment::{BY_OVERRIDE, Override, SegmentName};
use crate::time::Timestamp;

/// A clause of a rule with what it comes to for one customer at one instant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Clause {
    /// As text.
    pub text: String,
    /// Whether it holds; none where that depends on something that is missing.
    pub holds: Option<bool>,
    /// The number on the left of a comparison, in whole units (money in minor ones, decimals in millionths,
    /// instants in milliseconds). Where it is asked about the past of another segment: since when the customer is in it.
    pub left: Option<i64>,
    /// The number on the right. Where it is asked about the past of another segment: when the customer last left it.
    pub right: Option<i64>,
    /// When time alone will change it; none if it will not.
    pub next_change: Option<Timestamp>,
    /// The clauses that it is made of. Of another segment: its rule, and before it what overrides it.
    pub parts: Vec<Clause>,
}

/// What a membership of another segment comes to: what overrides its rule, if anything does, and the rule.
fn memberships(name: &SegmentName, subject: &Subject<'_>) -> Vec<Clause> {
    let overridden = subject.overridden(name).map(|overridden| Clause {
        text: format!("{BY_OVERRIDE}: {}", overridden.asked.to.name()),
        holds: Some(overridden.asked.to == Override::In),
        left: None,
        right: None,
        next_change: overridden.asked.until,
        parts: Vec::new(),
    });
    overridden.into_iter().chain(subject.segment(name).map(|rule| rule.explain(subject))).collect()
}

impl Predicate {
    /// What each clause comes to, and when it will next change.
    #[must_use]
    pub fn explain(&self, subject: &Subject<'_>) -> Clause {
        let value = |number: &Number| number.value(subject);
        let (mut left, mut right, mut parts) = (None, None, Vec::new());
        match self {
            Predicate::Compare(one, _, other) => (left, right) = (value(one), value(other)),
            Predicate::Known(number) => left = value(number),
            Predicate::All(of) | Predicate::Any(of) => parts = of.iter().map(|part| part.explain(subject)).collect(),
            Predicate::Not(part) => parts = vec![part.explain(subject)],
            Predicate::InSegment(name) => parts = memberships(name, subject),
            Predicate::WasIn(name, _) | Predicate::InFor(name, _) => {
                let spell = subject.spell(name);
                (left, right) = (spell.since.map(Timestamp::as_millis), spell.left.map(Timestamp::as_millis));
                parts = memberships(name, subject);
            }
            Predicate::StageIn(_)
            | Predicate::Text(..)
            | Predicate::Consents(_)
            | Predicate::DeclaredFlag(_)
            | Predicate::DeclaredKnown(_) => {}
        }
        Clause {
            text: self.in_currency(subject.currency).to_string(),
            holds: self.truth(subject),
            left,
            right,
            next_change: self.next_change(subject),
            parts,
        }
    }

    /// The clause that decided, given what was touched: of several that answer alike the first one that depends on
    /// it, or the first one where none does.
    pub(crate) fn deciding(&self, subject: &Subject<'_>, touched: Inputs) -> &Predicate {
        let (parts, by) = match self {
            Predicate::All(parts) => (parts, self.holds(subject)),
            Predicate::Any(parts) => (parts, self.holds(subject)),
            Predicate::Not(_)
            | Predicate::Compare(..)
            | Predicate::Known(_)
            | Predicate::StageIn(_)
            | Predicate::Text(..)
            | Predicate::InSegment(_)
            | Predicate::WasIn(..)
            | Predicate::InFor(..)
            | Predicate::Consents(_)
            | Predicate::DeclaredFlag(_)
            | Predicate::DeclaredKnown(_) => return self,
        };
        let alike = || parts.iter().filter(|part| part.holds(subject) == by);
        let first = alike().find(|part| part.inputs().meets(touched)).or_else(|| alike().next());
        first.map_or(self, |part| part.deciding(subject, touched))
    }
}
