//! Choosing customers by a predicate. What the store keeps in columns and sets it is asked itself; what
//! they can't say is asked as a superset, and finished here.

use crm_core::attribute::Attribute;
use crm_core::segment::{Comparison, Predicate};
use crm_core::{Column, CustomerId, SetKey, SetKind, Timestamp};
use crm_storage::Selection;

use super::{Crm, PAGE};
use crate::error::Error;

/// A page of the customers that a predicate means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// In the order of their ids.
    pub customers: Vec<CustomerId>,
    /// After whom to go on; none at the end.
    pub next: Option<CustomerId>,
}

impl Crm {
    /// The customers for whom a predicate holds now, in the order of their ids, about `limit` of them after
    /// one. They are judged as of the last time anything happened to them or was due: call
    /// [`advance`](Self::advance) first where time has passed.
    ///
    /// Costs a scan of the store's columns, in the store; only averages and windows of days are finished by
    /// reading the customers who come into question.
    ///
    /// # Errors
    ///
    /// `Predicate` if it exceeds a limit, `Storage` if the store failed.
    pub async fn select(
        &self,
        predicate: &Predicate,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Selected, Error> {
        predicate.check()?;
        let now = self.now();
        let Pushed { selection, exact } = Pushed::of(predicate, now);
        let mut selected = Selected { customers: Vec::new(), next: after };
        while selected.customers.len() < limit.max(1) {
            let missing = limit.max(1) - selected.customers.len();
            let page = if exact { missing.min(PAGE) } else { PAGE };
            let mut ids = self.store().select(&self.tenant, &selection, selected.next, page).await?;
            let mut last = ids.last().copied();
            let mut more = ids.len() == page;
            if !exact {
                ids = self.finish(predicate, &ids, now).await?;
                if ids.len() > missing {
                    ids.truncate(missing);
                    (last, more) = (ids.last().copied(), true);
                }
            }
            selected.customers.append(&mut ids);
            selected.next = last.filter(|_| more);
            if !more {
                break;
            }
        }
        Ok(selected)
    }

    /// How many customers a predicate holds for now, as in [`select`](Self::select).
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn count(&self, predicate: &Predicate) -> Result<u64, Error> {
        predicate.check()?;
        let Pushed { selection, exact } = Pushed::of(predicate, self.now());
        if exact {
            return Ok(self.store().count(&self.tenant, &selection).await?);
        }
        let mut count = 0;
        let mut after = None;
        loop {
            let page = self.select(predicate, after, PAGE).await?;
            count += page.customers.len() as u64;
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Those of some customers for whom the predicate really holds.
    async fn finish(
        &self,
        predicate: &Predicate,
        ids: &[CustomerId],
        now: Timestamp,
    ) -> Result<Vec<CustomerId>, Error> {
        let loaded = self.store().load(&self.tenant, ids).await?;
        let definitions = self.definitions_at(loaded.definitions).await?;
        let currency = definitions.currency(now);
        let mut held = Vec::new();
        for row in loaded.rows.into_iter().flatten() {
            let customer = self.decode(&row, &definitions).await?.customer;
            if predicate.holds(&customer, now, currency) {
                held.push(customer.id());
            }
        }
        Ok(held)
    }
}

/// Whoever is a customer. All customers have a number of orders; rows that are kept like customers and are none,
/// such as the audit log, have no numbers.
pub(super) fn customers() -> Selection {
    Selection::Not(Box::new(Selection::Missing(Column::Orders)))
}

/// A predicate as a store can be asked it.
struct Pushed {
    selection: Selection,
    /// Whether it means the same customers, and not some more.
    exact: bool,
}

impl Pushed {
    /// The customers that a predicate means, or all of them if it takes more clauses than a store can be asked.
    fn of(predicate: &Predicate, at: Timestamp) -> Self {
        let Pushed { selection, exact } = push(predicate, at);
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

fn push(predicate: &Predicate, at: Timestamp) -> Pushed {
    let all = |parts: &[Predicate]| -> (Vec<Selection>, bool) {
        let parts: Vec<Pushed> = parts.iter().map(|part| push(part, at)).collect();
        let exact = parts.iter().all(|part| part.exact);
        (parts.into_iter().map(|part| part.selection).collect(), exact)
    };
    match predicate {
        Predicate::All(parts) => {
            let (parts, exact) = all(parts);
            Pushed { selection: Selection::All(parts), exact }
        }
        Predicate::Any(parts) => {
            let (parts, exact) = all(parts);
            Pushed { selection: Selection::Any(parts), exact }
        }
        // What is more than meant would be less than meant under a negation.
        Predicate::Not(part) => match push(part, at) {
            Pushed { selection, exact: true } => Pushed::exact(Selection::Not(Box::new(selection))),
            Pushed { exact: false, .. } => Pushed::superset(Selection::EVERYBODY),
        },
        Predicate::StageIn(stages) => {
            Pushed::exact(Selection::OneOf(Column::Stage, stages.iter().map(|stage| stage.rank()).collect()))
        }
        Predicate::HasTag(tag) => match SetKey::new(SetKind::Tag, tag.as_str()) {
            Ok(set) => Pushed::exact(Selection::In(set)),
            Err(_) => Pushed::superset(Selection::EVERYBODY),
        },
        Predicate::Compare(attribute, is, number) => match place(*attribute) {
            Place::Number(column) => Pushed::exact(Selection::Compare(column, *is, *number)),
            Place::DaysSince(column) => Pushed::exact(days(column, *is, *number, at)),
            Place::Nowhere => Pushed::superset(Selection::Compare(Column::Orders, Comparison::Gt, 0)),
        },
        Predicate::Missing(attribute) => match place(*attribute) {
            Place::Number(column) | Place::DaysSince(column) => Pushed::exact(Selection::Missing(column)),
            Place::Nowhere => Pushed::exact(Selection::Compare(Column::Orders, Comparison::Le, 0)),
        },
        Predicate::OrdersInLast { days: window, is, count } => {
            if is.holds(0, *count) {
                return Pushed::superset(Selection::EVERYBODY);
            }
            // Without an order it does not hold, so there is one, and the newest is within the window.
            Pushed::superset(days(Column::LastOrder, Comparison::Le, i64::from(*window), at))
        }
    }
}

/// Where an attribute is in the store.
enum Place {
    Number(Column),
    /// Whole days since the instant in a column.
    DaysSince(Column),
    /// Nowhere; it has a value only with an order that stands.
    Nowhere,
}

const fn place(attribute: Attribute) -> Place {
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
        ..0 => Selection::Any(Vec::new()),
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
