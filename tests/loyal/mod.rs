//! A shop with a programme, and customers who have points in it.

use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    AwardPoints, Command, Currency, Customer, CustomerId, Definition, Error, EventId, ExternalSystem, GiftPolicy,
    Identifier, Incoming, LoyaltyError, ManualClock, MemoryStore, Money, OrderPlaced, OrderRef, PoolPolicy, Program,
    ProgramId, Refunded, Refusal, Source, Span, Store, TenantId, Timestamp, Visited, Voided,
};

pub(crate) fn at(hour: u64) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::millis(hour * 3_600_000))
}

pub(crate) fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

/// One that allows everything and gives a point for a euro.
#[allow(dead_code, reason = "each test file uses its part")]
pub(crate) fn generous() -> Program {
    let pools = PoolPolicy { members: 100, each: None, on_leaving: crm::OnLeaving::Stay, share_millionths: 0 };
    Program { gifts: Some(GiftPolicy::default()), pools: Some(pools), ..Program::point_per_unit(Currency::EUR) }
}

pub(crate) struct Shop {
    pub(crate) crm: Crm,
    pub(crate) clock: Arc<ManualClock>,
}

#[allow(dead_code, reason = "each test file uses its part")]
impl Shop {
    pub(crate) fn new(program: Program) -> Self {
        Self::over(Arc::new(MemoryStore::new()), program)
    }

    pub(crate) fn over(store: Arc<dyn Store>, program: Program) -> Self {
        let clock = Arc::new(ManualClock::at(at(0)));
        let crm: Crm = crm::Crm::builder().shared_store(store).clock(Arc::clone(&clock)).build().into();
        crm.define(Timestamp::MIN, Definition::Program(points(), Some(program))).unwrap();
        Shop { crm, clock }
    }

    fn incoming(&self, who: &str, at: Timestamp, key: &str, fact: impl Into<crm::Fact>) -> CustomerId {
        let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), who).unwrap();
        let told = Incoming::new(who, at, Source::new("shop").unwrap(), fact).with_key(key.parse().unwrap());
        self.crm.record(told).unwrap().customer
    }

    /// Somebody who looked in.
    pub(crate) fn visitor(&self, who: &str) -> CustomerId {
        let visit = Visited { channel: crm::Channel::Web, place: None };
        self.incoming(who, self.crm.now(), &format!("visit of {who}"), visit)
    }

    /// Somebody who has points.
    pub(crate) fn rich(&self, who: &str, points: i64) -> CustomerId {
        let id = self.visitor(who);
        self.award(id, points, "start");
        id
    }

    pub(crate) fn award(&self, id: CustomerId, amount: i64, key: &str) {
        let award = AwardPoints { program: points(), points: amount, reason: "start".parse().unwrap() };
        self.crm.execute(id, Command::AwardPoints(award), key).unwrap();
    }

    /// A command, by which one event came about at least; or the rule that is against it.
    pub(crate) fn ask(&self, id: CustomerId, command: Command, key: &str) -> Result<EventId, LoyaltyError> {
        refused(self.crm.execute(id, command, key)).map(|done| done.events[0])
    }

    pub(crate) fn order(&self, who: &str, number: &str, euros: i64, at: Timestamp) -> CustomerId {
        let placed = OrderPlaced::new(Money::new(euros * 100, Currency::EUR));
        self.incoming(who, at, number, placed.with_order(OrderRef::new(number).unwrap()))
    }

    /// Under the number of one that was cancelled.
    pub(crate) fn order_again(&self, who: &str, number: &str, euros: i64, at: Timestamp) -> CustomerId {
        let placed = OrderPlaced::new(Money::new(euros * 100, Currency::EUR));
        self.incoming(who, at, &format!("{number} again"), placed.with_order(OrderRef::new(number).unwrap()))
    }

    pub(crate) fn refund(&self, who: &str, number: &str, euros: i64, at: Timestamp) {
        let refunded =
            Refunded { order: Some(OrderRef::new(number).unwrap()), amount: Money::new(euros * 100, Currency::EUR) };
        self.incoming(who, at, &format!("refund of {number} at {at}"), refunded);
    }

    /// The order never was.
    pub(crate) fn void(&self, who: &str, number: &str, at: Timestamp) {
        let event = EventId::of_fact(&TenantId::default(), &Source::new("shop").unwrap(), number);
        self.incoming(who, at, &format!("void of {number}"), Voided { event, reason: None });
    }

    pub(crate) fn customer(&self, id: CustomerId) -> Customer {
        self.crm.customer(id).unwrap().unwrap()
    }

    pub(crate) fn balance(&self, id: CustomerId) -> i128 {
        self.customer(id).book(&points()).map_or(0, crm::PointsBook::balance)
    }

    /// The balance of one of several who are merged.
    pub(crate) fn own_balance(&self, id: CustomerId) -> i128 {
        self.customer(id).book_of(id, &points()).map_or(0, crm::PointsBook::balance)
    }

    pub(crate) fn advance(&self, to: Timestamp) -> u64 {
        self.clock.set(to);
        self.crm.advance(to).unwrap()
    }

    /// What all customers have, and that it is what was given out and not used up; what they gave each other is nothing
    /// in all.
    pub(crate) fn check_totals(&self) -> i128 {
        let totals = self.crm.overview().unwrap().points;
        assert_eq!(totals.transferred, 0, "what one gives another one gets");
        totals.outstanding()
    }

    /// Whoever is stored is what their history says.
    pub(crate) fn check_replay(&self, id: CustomerId) {
        let story = self.crm.story(id).unwrap().unwrap();
        let events: Vec<_> = story.events.iter().map(|e| (e.customer, e.id, e.at, &e.body)).collect();
        let clock = story.customer.clock().unwrap_or(Timestamp::MIN);
        let definitions = self.crm.definitions().unwrap();
        let again = Customer::replay(story.customer.id(), events.into_iter(), clock, &definitions);
        assert_eq!(again.digest(), story.customer.digest(), "folded anew it is another customer");
    }
}

/// What a rule of loyalty refused; a test asks about nothing else that may be wrong.
#[allow(dead_code, reason = "each test file uses its part")]
pub(crate) fn refused<T>(answer: Result<T, Error>) -> Result<T, LoyaltyError> {
    match answer {
        Ok(answer) => Ok(answer),
        Err(Error::Refused(Refusal::Loyalty(refusal))) => Err(refusal),
        Err(error) => panic!("{error:?}"),
    }
}

/// Many at once, each with their number; gives what each came to.
#[allow(dead_code, reason = "each test file uses its part")]
pub(crate) fn all_at_once<T: Send>(tasks: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = (0..tasks).map(|n| scope.spawn(move || work(n))).collect();
        running.into_iter().map(|task| task.join().unwrap()).collect()
    })
}
