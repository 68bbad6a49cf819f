//! A rule as a store can be asked it: what columns and sets say exactly, and of the rest a superset.
//!
//! A rule answers yes, no or that something is missing; a store knows whom it means and whom it does not. So each part
//! is asked for either answer by itself, and whom neither means is where something is missing.

#![allow(clippy::wildcard_enum_match_arm, reason = "whatever stores are not asked is finished in memory")]

use crm_core::attribute::Attribute;
use crm_core::expression::{Comparison, Events, Happenings, Moment, Number, Predicate, Take, TextTest, Texts, Window};
use crm_core::lifecycle::Stage;
use crm_core::score::ScoreName;
use crm_core::segment::SegmentName;
use crm_core::{Column, Definitions, Millionths, SetKey, SetKind, Timestamp};
use crm_storage::Selection;

use super::select::customers;

/// A rule as a store can be asked it.
pub(super) struct Pushed {
    pub(super) selection: Selection,
    /// Whether it means the same customers, and not some more.
    pub(super) exact: bool,
}

/// As of when a store is asked, and what for.
#[derive(Debug, Clone, Copy)]
struct Asked<'d> {
    at: Timestamp,
    definitions: &'d Definitions,
    /// Whether whom a rule does not mean yet and comes to mean by time alone is asked for as well; then segments are
    /// those of the versions that are asked, and not of those that answer.
    to_fill: bool,
}

impl Asked<'_> {
    fn sets_of(&self, name: &SegmentName) -> Vec<SetKey> {
        let newest = self.to_fill.then(|| self.definitions.segment_version(name, self.at)).flatten();
        newest.map_or_else(|| self.definitions.segment_sets(name), |version| vec![SetKey::segment(name, version)])
    }
}

impl Pushed {
    /// The customers that a rule means, or all of them if it takes more clauses than a store can be asked.
    pub(super) fn of(rule: &Predicate, at: Timestamp, definitions: &Definitions) -> Self {
        Self::asked(rule, Asked { at, definitions, to_fill: false })
    }

    /// The customers that a new rule means, and those that it will mean although nothing happens. It is exact only if
    /// the rule never changes its mind by time alone.
    pub(super) fn to_fill(rule: &Predicate, at: Timestamp, definitions: &Definitions) -> Self {
        Self::asked(rule, Asked { at, definitions, to_fill: true })
    }

    fn asked(rule: &Predicate, asked: Asked<'_>) -> Self {
        let Pushed { selection, exact } = push(rule, true, asked);
        let selection = Selection::All(vec![customers(), selection]);
        if selection.check().is_ok() { Pushed { selection, exact } } else { Pushed::superset(customers()) }
    }

    const fn exact(selection: Selection) -> Self {
        Pushed { selection, exact: true }
    }

    const fn superset(selection: Selection) -> Self {
        Pushed { selection, exact: false }
    }
}

/// Whom a rule answers by yes, or by no.
fn push(rule: &Predicate, yes: bool, asked: Asked<'_>) -> Pushed {
    match rule {
        Predicate::All(parts) | Predicate::Any(parts) => {
            let pushed: Vec<Pushed> = parts.iter().map(|part| push(part, yes, asked)).collect();
            let exact = pushed.iter().all(|part| part.exact);
            let parts = pushed.into_iter().map(|part| part.selection).collect();
            // It is not true that all hold where one does not.
            let all = matches!(rule, Predicate::All(_)) == yes;
            Pushed { selection: if all { Selection::All(parts) } else { Selection::Any(parts) }, exact }
        }
        Predicate::Not(part) => push(part, !yes, asked),
        Predicate::Compare(number, is, Number::Constant(limit)) => {
            compare(number, if yes { *is } else { is.negated() }, *limit, asked)
        }
        Predicate::Compare(Number::Constant(limit), is, number) => {
            let is = is.turned();
            compare(number, if yes { is } else { is.negated() }, *limit, asked)
        }
        Predicate::Known(number) => match place(number) {
            Place::Number(column) | Place::Instant(column) | Place::DaysSince(column) => {
                let missing = Selection::Missing(column);
                Pushed::exact(if yes { Selection::Not(Box::new(missing)) } else { missing })
            }
            Place::Nowhere => match number {
                Number::Score(name) => {
                    let known = usable(name, score(name, Comparison::Ge, i64::MIN), asked);
                    match yes {
                        true => known,
                        false if known.exact => Pushed::exact(Selection::Not(Box::new(known.selection))),
                        // Whoever has one that a purpose bars has none.
                        false => Pushed::superset(Selection::EVERYBODY),
                    }
                }
                _ => Pushed::superset(Selection::EVERYBODY),
            },
        },
        Predicate::StageIn(stages) => {
            let asked = Stage::ALL.into_iter().filter(|stage| stages.contains(stage) == yes);
            Pushed::exact(Selection::OneOf(Column::Stage, asked.map(Stage::rank).collect()))
        }
        Predicate::Text(Texts::Tags, TextTest::OneOf(tags)) => sets(SetKind::Tag, tags, yes),
        Predicate::Text(Texts::Lists, TextTest::OneOf(lists)) => sets(SetKind::List, lists, yes),
        Predicate::Text(Texts::Roles, TextTest::OneOf(roles)) => sets(SetKind::Role, roles, yes),
        Predicate::InSegment(name) => any_of(asked.sets_of(name), yes),
        // The store knows who is in now.
        Predicate::WasIn(name, _) if !yes => Pushed { exact: false, ..any_of(asked.sets_of(name), false) },
        Predicate::InFor(name, _) if yes => Pushed { exact: false, ..any_of(asked.sets_of(name), true) },
        Predicate::Consents(key) => one_set(SetKey::consent(key), yes),
        _ => Pushed::superset(Selection::EVERYBODY),
    }
}

fn one_set(set: SetKey, yes: bool) -> Pushed {
    let within = Selection::In(set);
    Pushed::exact(if yes { within } else { Selection::Not(Box::new(within)) })
}

/// Whoever is in one of some sets, or in none of them.
fn sets(kind: SetKind, names: impl IntoIterator<Item = impl AsRef<str>>, yes: bool) -> Pushed {
    // Nobody is in a set that cannot be.
    any_of(names.into_iter().filter_map(|name| SetKey::new(kind, name.as_ref()).ok()).collect(), yes)
}

fn any_of(sets: Vec<SetKey>, yes: bool) -> Pushed {
    let any = Selection::Any(sets.into_iter().map(Selection::In).collect());
    Pushed::exact(if yes { any } else { Selection::Not(Box::new(any)) })
}

fn compare(number: &Number, is: Comparison, limit: i64, asked: Asked<'_>) -> Pushed {
    match (place(number), number) {
        (Place::Number(column) | Place::Instant(column), _) => Pushed::exact(Selection::Compare(column, is, limit)),
        (Place::DaysSince(column), _) if asked.to_fill => {
            Pushed::superset(days_from_now_on(column, is, limit, asked.at))
        }
        (Place::DaysSince(column), _) => Pushed::exact(days(column, is, limit, asked.at)),
        (Place::Nowhere, Number::Constant(constant)) => {
            let everybody_or_nobody = if is.holds(*constant, limit) { Selection::EVERYBODY } else { nobody() };
            Pushed::exact(everybody_or_nobody)
        }
        (Place::Nowhere, Number::Attribute(Attribute::AverageOrder)) => {
            Pushed::superset(Selection::Compare(Column::Orders, Comparison::Gt, 0))
        }
        (Place::Nowhere, Number::Score(name)) => usable(name, score(name, is, limit), asked),
        (Place::Nowhere, Number::Over(happenings, take)) => {
            let of_none = match take {
                Take::Count | Take::Sum | Take::Products | Take::Categories => Some(0),
                // Missing where there is none; and so is whatever may be added.
                _ => None,
            };
            if of_none.is_some_and(|none| is.holds(none, limit)) {
                return Pushed::superset(Selection::EVERYBODY);
            }
            Pushed::superset(some(happenings, asked.at))
        }
        (Place::Nowhere, _) => Pushed::superset(Selection::EVERYBODY),
    }
}

const fn nobody() -> Selection {
    Selection::Any(Vec::new())
}

/// Whoever may have some of what is asked for within its window, and perhaps others.
fn some(happenings: &Happenings, at: Timestamp) -> Selection {
    let (count, first, last) = match happenings.what {
        Events::Orders | Events::OrdersOf(_) | Events::OrdersIn(_) => {
            (Some(Column::Orders), Column::FirstOrder, Column::LastOrder)
        }
        Events::Visits => (Some(Column::Visits), Column::FirstSeen, Column::LastSeen),
        Events::Enquiries => (Some(Column::Enquiries), Column::FirstSeen, Column::LastSeen),
        Events::Carts => (Some(Column::Carts), Column::FirstSeen, Column::LastSeen),
        _ => (None, Column::FirstSeen, Column::LastSeen),
    };
    let mut all: Vec<Selection> =
        count.map(|column| Selection::Compare(column, Comparison::Gt, 0)).into_iter().collect();
    match happenings.within {
        Window::Ever => {}
        Window::Last(span) => {
            let after = at.as_millis().saturating_sub(span.as_millis());
            all.push(Selection::Compare(last, Comparison::Gt, after));
        }
        Window::Between { from, until } => {
            all.extend(from.map(|from| Selection::Compare(last, Comparison::Ge, from.as_millis())));
            all.extend(until.map(|until| Selection::Compare(first, Comparison::Lt, until.as_millis())));
        }
    }
    Selection::All(all)
}

/// Where a number is in the store.
enum Place {
    Number(Column),
    /// Milliseconds since 1970.
    Instant(Column),
    /// Whole days since the instant in a column.
    DaysSince(Column),
    Nowhere,
}

fn place(number: &Number) -> Place {
    match number {
        Number::Attribute(attribute) => place_of(*attribute),
        Number::Over(Happenings { what, within: Window::Ever }, Take::Count) => match what {
            Events::Orders => Place::Number(Column::Orders),
            Events::Visits => Place::Number(Column::Visits),
            Events::Enquiries => Place::Number(Column::Enquiries),
            Events::Carts => Place::Number(Column::Carts),
            _ => Place::Nowhere,
        },
        Number::DaysSince(moment) => column_of(moment).map_or(Place::Nowhere, Place::DaysSince),
        Number::Instant(moment) => column_of(moment).map_or(Place::Nowhere, Place::Instant),
        _ => Place::Nowhere,
    }
}

fn column_of(moment: &Moment) -> Option<Column> {
    match moment {
        Moment::FirstSeen => Some(Column::FirstSeen),
        Moment::LastSeen => Some(Column::LastSeen),
        Moment::First(Happenings { what: Events::Orders, within: Window::Ever }) => Some(Column::FirstOrder),
        Moment::Last(Happenings { what: Events::Orders, within: Window::Ever }) => Some(Column::LastOrder),
        _ => None,
    }
}

const fn place_of(attribute: Attribute) -> Place {
    match attribute {
        Attribute::RecencyDays => Place::DaysSince(Column::LastOrder),
        Attribute::TenureDays => Place::DaysSince(Column::FirstOrder),
        Attribute::AgeDays => Place::DaysSince(Column::FirstSeen),
        Attribute::Orders => Place::Number(Column::Orders),
        Attribute::Refunds => Place::Number(Column::Refunds),
        Attribute::Spend => Place::Number(Column::Spend),
        Attribute::GrossSpend => Place::Number(Column::GrossSpend),
        Attribute::Visits => Place::Number(Column::Visits),
        Attribute::Enquiries => Place::Number(Column::Enquiries),
        Attribute::Carts => Place::Number(Column::Carts),
        Attribute::Points => Place::Number(Column::Points),
        Attribute::PointsEarned => Place::Number(Column::PointsEarned),
        // The average, and whatever has no column yet.
        Attribute::AverageOrder | _ => Place::Nowhere,
    }
}

/// A score, rounded to millionths, compares so with a number of them. Stores compare the score itself.
fn score(name: &ScoreName, is: Comparison, limit: i64) -> Selection {
    let compared = |is: Comparison, value: f64| Selection::Score {
        plugin: name.plugin.clone().into(),
        output: name.output.clone().into(),
        is,
        value,
    };
    let least = |limit: i64| Millionths::new(limit).least_score();
    // There is a least score for every limit, and nothing above the greatest one.
    let at_least = |limit: i64| least(limit).map_or_else(nobody, |value| compared(Comparison::Ge, value));
    let above = |limit: i64| limit.checked_add(1).map_or_else(nobody, at_least);
    let below = |limit: i64| least(limit).map_or_else(nobody, |value| compared(Comparison::Lt, value));
    let at_most = |limit: i64| limit.checked_add(1).map_or_else(|| at_least(i64::MIN), below);
    match is {
        Comparison::Ge => at_least(limit),
        Comparison::Gt => above(limit),
        Comparison::Lt => below(limit),
        Comparison::Le => at_most(limit),
        Comparison::Eq => Selection::All(vec![at_least(limit), at_most(limit)]),
        Comparison::Ne => Selection::Any(vec![above(limit), below(limit)]),
    }
}

/// Of whom no score is used, none is known. Where a plugin is for some purpose, who may be judged by it is for the rule to
/// say.
fn usable(name: &ScoreName, score: Selection, asked: Asked<'_>) -> Pushed {
    let unscored = Selection::In(SetKey::unscored());
    let selection = Selection::All(vec![Selection::Not(Box::new(unscored)), score]);
    Pushed { selection, exact: !asked.definitions.has_purposes(&name.plugin) }
}

/// Days since an instant compare so with a number now, or will some day: days only grow.
fn days_from_now_on(column: Column, is: Comparison, number: i64, at: Timestamp) -> Selection {
    match is {
        Comparison::Le | Comparison::Lt => days(column, is, number, at),
        Comparison::Eq => days(column, Comparison::Le, number, at),
        Comparison::Ge | Comparison::Gt | Comparison::Ne => Selection::Not(Box::new(Selection::Missing(column))),
    }
}

/// Days since an instant compare so with a number: days are whole, rounded down, and 0 for the future.
fn days(column: Column, is: Comparison, number: i64, at: Timestamp) -> Selection {
    let number = i128::from(number);
    let present = || Selection::Not(Box::new(Selection::Missing(column)));
    // So many days ago, or the first instant there is.
    let ago = |days: i128| i64::try_from(i128::from(at.as_millis()) - days * 86_400_000).unwrap_or(i64::MIN);
    let at_least = |days: i128| match days {
        ..=0 => present(),
        days => Selection::Compare(column, Comparison::Le, ago(days)),
    };
    let at_most = |days: i128| match days {
        ..0 => nobody(),
        days => Selection::Compare(column, Comparison::Gt, ago(days + 1)),
    };
    match is {
        Comparison::Ge => at_least(number),
        Comparison::Gt => at_least(number + 1),
        Comparison::Le => at_most(number),
        Comparison::Lt => at_most(number - 1),
        Comparison::Eq => Selection::All(vec![at_least(number), at_most(number)]),
        Comparison::Ne => Selection::Any(vec![at_least(number + 1), at_most(number - 1)]),
    }
}
