//! A question about a customer that is answered by yes, no, or that something is missing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::error::LimitError;
use super::number::{Events, Happenings, Moment, Number, Take};
use super::pattern::Pattern;
use crate::attribute::Attribute;
use crate::consent::ConsentKey;
use crate::declared::DeclaredName;
use crate::lifecycle::Stage;
use crate::loyalty::ProgramId;
use crate::segment::SegmentName;
use crate::text::Tag;
use crate::time::Span;

/// How a number is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
}

impl Comparison {
    /// Whether it holds between two numbers.
    #[must_use]
    pub const fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Comparison::Eq => left == right,
            Comparison::Ne => left != right,
            Comparison::Lt => left < right,
            Comparison::Le => left <= right,
            Comparison::Gt => left > right,
            Comparison::Ge => left >= right,
        }
    }

    /// What holds exactly when this does not.
    #[must_use]
    pub const fn negated(self) -> Self {
        match self {
            Comparison::Eq => Comparison::Ne,
            Comparison::Ne => Comparison::Eq,
            Comparison::Lt => Comparison::Ge,
            Comparison::Le => Comparison::Gt,
            Comparison::Gt => Comparison::Le,
            Comparison::Ge => Comparison::Lt,
        }
    }

    /// What holds between two numbers when this holds between them the other way round.
    #[must_use]
    pub const fn turned(self) -> Self {
        match self {
            Comparison::Eq => Comparison::Eq,
            Comparison::Ne => Comparison::Ne,
            Comparison::Lt => Comparison::Gt,
            Comparison::Le => Comparison::Ge,
            Comparison::Gt => Comparison::Lt,
            Comparison::Ge => Comparison::Le,
        }
    }

    /// The sign it is written with.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Comparison::Eq => "==",
            Comparison::Ne => "!=",
            Comparison::Lt => "<",
            Comparison::Le => "<=",
            Comparison::Gt => ">",
            Comparison::Ge => ">=",
        }
    }
}

/// A rule about a customer, compiled: what the text of a rule is read into, and what a rule is stored as.
///
/// # What is missing
///
/// As in CEL, asking for what is not there is neither yes nor no, and that spreads as far as it matters: `!` of it is
/// missing as well, `&&` is *no* if another part is, `||` is *yes* if another part is, and otherwise they are missing
/// too. A customer is meant by a rule whose answer is yes. So `recency_days != 3` does not mean those who never
/// ordered, and neither does `!(recency_days == 3)`; `!known(recency_days)` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Predicate {
    /// All of these hold; true when there are none.
    All(Vec<Predicate>),
    /// At least one of these holds; false when there are none.
    Any(Vec<Predicate>),
    /// This does not hold.
    Not(Box<Predicate>),
    /// One number compares so with another.
    Compare(Number, Comparison, Number),
    /// The number is not missing.
    Known(Number),
    /// The customer is at one of these stages; missing for who is at none, because every fact was voided.
    StageIn(BTreeSet<Stage>),
    /// One of these texts passes a test; missing where there is one at most, and it is not there.
    Text(Texts, TextTest),
    /// The customer is in another segment, which is asked at the same instant.
    InSegment(SegmentName),
    /// The customer is in another segment or was in it at any instant before, as the past is known now; with a length
    /// of time, at any instant of the last so long.
    WasIn(SegmentName, Option<Span>),
    /// The customer is in another segment and was so without interruption for so long at least.
    InFor(SegmentName, Span),
    /// What was said comes to that they may be contacted so.
    Consents(ConsentKey),
    /// An attribute that the shop declared as a yes or no is yes; missing where nothing is known of it.
    DeclaredFlag(DeclaredName),
    /// Something is known of an attribute that the shop declared.
    DeclaredKnown(DeclaredName),
}

/// Texts that are known of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Texts {
    /// All their tags.
    Tags,
    /// What they are to the shop: see [`Party::set_names`](crate::profile::Party::set_names).
    Roles,
    /// The lists that the shop put them on.
    Lists,
    /// The badges that they earned.
    Badges,
    /// Their tier in a programme: one at most.
    Tier(ProgramId),
    /// An attribute that the shop declared as a text: one at most.
    Declared(DeclaredName),
    /// The products of their orders, each once.
    Products(Happenings),
    /// The categories of their orders, each once.
    Categories(Happenings),
}

impl Texts {
    /// Whether there is one at most.
    #[must_use]
    pub const fn is_single(&self) -> bool {
        matches!(self, Texts::Tier(_) | Texts::Declared(_))
    }
}

/// What is asked of a text. Letters are compared as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TextTest {
    /// It is one of these.
    OneOf(BTreeSet<SmolStr>),
    /// It begins so.
    StartsWith(SmolStr),
    /// It ends so.
    EndsWith(SmolStr),
    /// This is in it.
    Contains(SmolStr),
    /// A regular expression matches somewhere in it.
    Matches(Pattern),
}

impl TextTest {
    /// Whether a text passes.
    #[must_use]
    pub fn passes(&self, text: &str) -> bool {
        match self {
            TextTest::OneOf(texts) => texts.contains(text),
            TextTest::StartsWith(part) => text.starts_with(part.as_str()),
            TextTest::EndsWith(part) => text.ends_with(part.as_str()),
            TextTest::Contains(part) => text.contains(part.as_str()),
            TextTest::Matches(pattern) => pattern.matches(text),
        }
    }
}

impl Predicate {
    /// How deep predicates may be nested; calculations count.
    pub const DEPTH_MAX: usize = 32;
    /// How many clauses a predicate may have; connectives, calculations and listed texts count.
    pub const CLAUSES_MAX: usize = 1_000;

    /// One number compares so with another.
    #[must_use]
    pub fn compare(left: impl Into<Number>, is: Comparison, right: impl Into<Number>) -> Self {
        Predicate::Compare(left.into(), is, right.into())
    }

    /// At this stage.
    #[must_use]
    pub fn stage(stage: Stage) -> Self {
        Predicate::StageIn(BTreeSet::from([stage]))
    }

    /// The shop or the CRM put this tag on.
    #[must_use]
    pub fn tag(tag: &Tag) -> Self {
        Predicate::Text(Texts::Tags, TextTest::OneOf(BTreeSet::from([SmolStr::new(tag.as_str())])))
    }

    /// The attribute has no value.
    #[must_use]
    pub fn missing(attribute: Attribute) -> Self {
        Predicate::Not(Box::new(Predicate::Known(attribute.into())))
    }

    /// The number of orders that stand, placed within the last so many days, compares so with a number.
    #[must_use]
    pub fn orders_in_last(days: u32, is: Comparison, count: i64) -> Self {
        Predicate::compare(Number::in_last(Events::Orders, Span::days(days)), is, count)
    }

    /// Checks the limits of depth and size.
    ///
    /// # Errors
    ///
    /// `LimitError` if it exceeds one.
    pub fn check(&self) -> Result<(), LimitError> {
        enum Part<'p> {
            Rule(&'p Predicate),
            Number(&'p Number),
        }
        let mut open = vec![(Part::Rule(self), 1)];
        let mut clauses = 0;
        while let Some((part, depth)) = open.pop() {
            // A number is a part of its comparison, and counts where it is calculated.
            clauses += usize::from(matches!(part, Part::Rule(_) | Part::Number(Number::Calculate(..))));
            if depth > Self::DEPTH_MAX {
                return Err(LimitError::TooDeep { max: Self::DEPTH_MAX });
            }
            match part {
                Part::Rule(Predicate::All(parts) | Predicate::Any(parts)) => {
                    open.extend(parts.iter().map(|part| (Part::Rule(part), depth + 1)));
                }
                Part::Rule(Predicate::Not(part)) => open.push((Part::Rule(part), depth + 1)),
                Part::Rule(Predicate::Compare(left, _, right)) => {
                    open.extend([(Part::Number(left), depth), (Part::Number(right), depth)]);
                }
                Part::Number(Number::Calculate(left, _, right)) => {
                    open.extend([(Part::Number(left), depth + 1), (Part::Number(right), depth + 1)]);
                }
                Part::Rule(Predicate::Known(number)) => open.push((Part::Number(number), depth)),
                Part::Rule(Predicate::Text(texts, test)) => {
                    if let Texts::Products(happenings) | Texts::Categories(happenings) = texts {
                        happenings.check_orders()?;
                    }
                    if let TextTest::OneOf(listed) = test {
                        clauses += listed.len();
                        if listed.iter().any(|text| text.len() > Self::TEXT_MAX) {
                            return Err(LimitError::TextTooLong { max: Self::TEXT_MAX });
                        }
                    }
                    let (TextTest::StartsWith(text) | TextTest::EndsWith(text) | TextTest::Contains(text)) = test
                    else {
                        continue;
                    };
                    if text.len() > Self::TEXT_MAX {
                        return Err(LimitError::TextTooLong { max: Self::TEXT_MAX });
                    }
                }
                Part::Number(Number::Over(happenings, take)) if *take != Take::Count => happenings.check_orders()?,
                Part::Number(_)
                | Part::Rule(
                    Predicate::StageIn(_)
                    | Predicate::InSegment(_)
                    | Predicate::WasIn(..)
                    | Predicate::InFor(..)
                    | Predicate::Consents(_)
                    | Predicate::DeclaredFlag(_)
                    | Predicate::DeclaredKnown(_),
                ) => {}
            }
            if clauses > Self::CLAUSES_MAX {
                return Err(LimitError::TooLarge { max: Self::CLAUSES_MAX });
            }
        }
        Ok(())
    }

    /// The longest text that is compared with, in bytes.
    pub const TEXT_MAX: usize = 1_024;

    /// The segments that it asks about, each once, now or in the past.
    #[must_use]
    pub fn segments(&self) -> BTreeSet<&SegmentName> {
        self.named(|_| true)
    }

    /// Those of them of which it asks who was in before.
    #[must_use]
    pub fn remembered(&self) -> BTreeSet<&SegmentName> {
        self.named(|part| !matches!(part, Predicate::InSegment(_)))
    }

    fn named(&self, counts: impl Fn(&Predicate) -> bool) -> BTreeSet<&SegmentName> {
        let mut named = BTreeSet::new();
        let mut open = vec![self];
        while let Some(part) = open.pop() {
            match part {
                Predicate::All(parts) | Predicate::Any(parts) => open.extend(parts),
                Predicate::Not(part) => open.push(part),
                Predicate::InSegment(name) | Predicate::WasIn(name, _) | Predicate::InFor(name, _) => {
                    if counts(part) {
                        named.insert(name);
                    }
                }
                Predicate::Compare(..)
                | Predicate::Known(_)
                | Predicate::StageIn(_)
                | Predicate::Text(..)
                | Predicate::Consents(_)
                | Predicate::DeclaredFlag(_)
                | Predicate::DeclaredKnown(_) => {}
            }
        }
        named
    }
}

impl Happenings {
    /// All there ever were.
    #[must_use]
    pub const fn ever(what: Events) -> Self {
        Happenings { what, within: super::Window::Ever }
    }

    const fn check_orders(&self) -> Result<(), LimitError> {
        if self.what.are_orders() { Ok(()) } else { Err(LimitError::OrdersOnly) }
    }
}

impl Moment {
    /// When the newest order that stands was placed.
    pub const LAST_ORDER: Moment = Moment::Last(Happenings::ever(Events::Orders));
    /// When the oldest order that stands was placed.
    pub const FIRST_ORDER: Moment = Moment::First(Happenings::ever(Events::Orders));
}
