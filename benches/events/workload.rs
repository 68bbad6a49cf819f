//! The workload: what a shop's customers do over a year, in the order in which it happens.

use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Attribute, CartUpdated, Channel, Comparison, Currency, Definition, DerivedIds, ExternalSystem, Identifier,
    Incoming, Line, ManualClock, Money, OrderPlaced, OrderRef, Predicate, ProductRef, Program, ProgramId, Refunded,
    SegmentName, Source, Span, Stage, Store, Timestamp, Visited,
};

/// How many facts are taken in at once.
pub(crate) const BATCH: usize = 1_024;
/// How many facts there are of each customer.
pub(crate) const EVENTS_PER_CUSTOMER: usize = 5;

/// A CRM with points, three segments, and a clock that follows the facts.
pub(crate) struct Shop {
    pub(crate) crm: Crm,
    clock: Arc<ManualClock>,
    facts: u64,
}

impl Shop {
    pub(crate) fn open(store: Arc<dyn Store>, customers: u32) -> Self {
        let clock = Arc::new(ManualClock::at(year()));
        let crm = open(store, Arc::clone(&clock));
        Shop { crm, clock, facts: u64::from(customers) * EVENTS_PER_CUSTOMER as u64 }
    }

    /// Sets the clock to the time of the n-th fact.
    pub(crate) fn set_clock(&self, n: u64) {
        self.clock.set(time_of(n, self.facts));
    }
}

fn open(store: Arc<dyn Store>, clock: Arc<ManualClock>) -> Crm {
    let start = Timestamp::MIN;
    let crm = crm::Crm::builder().shared_store(store).clock(clock).ids(DerivedIds).build();
    let crm = Crm::from(crm);
    let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(730));
    let segments = [
        ("regulars", Predicate::orders_in_last(90, Comparison::Ge, 2)),
        ("big-spenders", Predicate::compare(Attribute::Spend, Comparison::Ge, 20_000)),
        (
            "lapsing",
            Predicate::All(vec![
                Predicate::stage(Stage::Purchase),
                Predicate::compare(Attribute::RecencyDays, Comparison::Ge, 120),
            ]),
        ),
    ];
    crm.define(start, Definition::Program(ProgramId::new("points").expect("a name"), Some(program))).expect("defined");
    for (name, predicate) in segments {
        let name = SegmentName::new(name).expect("a name");
        crm.define(start, Definition::Segment(name, Some(predicate))).expect("defined");
    }
    crm
}

fn year() -> Timestamp {
    Timestamp::parse("2025-01-01").expect("a date")
}

/// The facts are spread evenly over 300 days.
fn time_of(n: u64, facts: u64) -> Timestamp {
    year().plus(Span::millis(n * (300 * 86_400_000 / facts)))
}

/// The facts: of 20, eight are visits, four are carts, seven are orders of two lines and one is a
/// refund. Customers take turns in an order that jumps about.
pub(crate) fn facts(customers: u32) -> Vec<Incoming> {
    let total = u64::from(customers) * EVENTS_PER_CUSTOMER as u64;
    let system = ExternalSystem::new("shop").expect("a name");
    let source = Source::new("shop").expect("a name");
    let fact = |n: u64| {
        // A prime far from the number of customers walks through all of them before it returns.
        let customer = (n * 7_919 + n / u64::from(customers)) % u64::from(customers);
        let who = Identifier::external(&system, &customer.to_string()).expect("a number");
        let at = time_of(n, total);
        let key = n.to_string().parse().expect("a number");
        let price = i64::try_from(n % 97).expect("small") * 100 + 999;
        let fact = match n * 31 % 20 {
            0..8 => Incoming::new(who, at, source.clone(), Visited { channel: Channel::Web, place: None }),
            8..12 => Incoming::new(who, at, source.clone(), CartUpdated { items: 2, value: None }),
            12..19 => {
                let line = |product: &str, minor| Line {
                    product: Some(ProductRef::new(product).expect("a name")),
                    quantity: Some(1),
                    minor,
                    ..Line::default()
                };
                let placed = OrderPlaced::new(Money::new(price, Currency::EUR))
                    .with_order(OrderRef::new(n.to_string()).expect("a number"))
                    .with_lines(vec![line("85123A", price - 500), line("22423", 500)]);
                Incoming::new(who, at, source.clone(), placed)
            }
            _ => {
                let refund = Refunded { order: None, amount: Money::new(price, Currency::EUR) };
                Incoming::new(who, at, source.clone(), refund)
            }
        };
        fact.with_key(key)
    };
    (0..total).map(fact).collect()
}
