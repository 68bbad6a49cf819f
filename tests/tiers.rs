//! Tiers over years: how they are reached, kept, lost and told of, through the public interface.
#![allow(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "a panic is how a test fails")]

use std::sync::{Arc, Mutex};

use crm::blocking::Crm;
use crm::loyalty::{EarningRule, Formula, On, Period, Window};
use crm::{
    Attribute, AttributeSet, AwardPoints, Badge, BadgeName, ChangeBody, Command, Comparison, Counted, Currency,
    CustomerId, DeclaredKind, DeclaredName, DeclaredValue, Deed, Definition, Downgrade, Error, EventBody,
    ExternalSystem, Identifier, Incoming, Ingestion, InviteToTier, KeptWhy, ManualClock, Money, OrderPlaced, OrderRef,
    PluginFault, PluginName, PluginStamp, PostingKind, Predicate, Program, ProgramId, Projected, Refunded, Refusal,
    RevokeTier, Rises, SegmentName, Source, Span, TierName, TierOutlook, TierRefusal, TierRule, Timestamp, Workflow,
    WorkflowCall, WorkflowReply,
};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn club() -> ProgramId {
    ProgramId::new("club").unwrap()
}

fn tier(name: &str) -> TierName {
    TierName::new(name).unwrap()
}

fn who(n: u8) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap()
}

/// Silver from 100 euros, gold from 300, platinum from 600, by what was spent.
fn by_spend() -> Program {
    let mut program = Program::new(Currency::EUR);
    program.tiers.counted = Counted::Spend;
    program.with_tier(tier("silver"), 10_000).with_tier(tier("gold"), 30_000).with_tier(tier("platinum"), 60_000)
}

/// The same, kept until the end of a calendar year, by what was spent in it.
fn by_year() -> Program {
    let mut program = by_spend();
    program.zone = "Europe/Berlin".parse().unwrap();
    program.tiers.window = Window::Calendar(Period::Year);
    program.tiers.kept_until_end_of = Some(Period::Year);
    program
}

struct Shop {
    clock: Arc<ManualClock>,
    crm: Crm,
    orders: Mutex<u32>,
}

impl Shop {
    fn new(program: Program) -> Self {
        Self::with(program, crm::Crm::builder())
    }

    fn with(program: Program, builder: crm::CrmBuilder) -> Self {
        let clock = Arc::new(ManualClock::at(at("2020-01-01")));
        let crm = Crm::from(builder.clock(Arc::clone(&clock)).ids(crm::DerivedIds).build());
        let shop = Shop { clock, crm, orders: Mutex::new(0) };
        shop.define("2020-01-01", program);
        shop
    }

    fn define(&self, from: &str, program: Program) {
        self.crm.define(at(from), Definition::Program(club(), Some(program))).unwrap();
    }

    /// Lets time pass.
    fn until(&self, time: &str) {
        self.clock.set(at(time));
        self.crm.advance(at(time)).unwrap();
    }

    /// An order at an instant, told then or now, whichever is later. Gives its number.
    fn order(&self, n: u8, time: &str, euros: i64) -> OrderRef {
        let number = {
            let mut orders = self.orders.lock().unwrap();
            *orders += 1;
            OrderRef::new(orders.to_string()).unwrap()
        };
        let placed = OrderPlaced::new(Money::new(euros * 100, Currency::EUR)).with_order(number.clone());
        self.tell(n, time, placed);
        number
    }

    fn refund(&self, n: u8, time: &str, order: &OrderRef, euros: i64) {
        self.tell(n, time, Refunded { order: Some(order.clone()), amount: Money::new(euros * 100, Currency::EUR) });
    }

    fn tell(&self, n: u8, time: &str, fact: impl Into<crm::Fact>) {
        if at(time) > self.crm.now() {
            self.until(time);
        }
        self.crm.record(Incoming::new(who(n), at(time), Source::new("shop").unwrap(), fact)).unwrap();
    }

    fn id(&self, n: u8) -> CustomerId {
        self.crm.customer(who(n)).unwrap().unwrap().id()
    }

    fn tier(&self, n: u8) -> Option<String> {
        let customer = self.crm.customer(who(n)).unwrap().unwrap();
        customer.standing().tier(&club()).map(ToString::to_string)
    }

    fn tier_on(&self, n: u8, time: &str) -> Option<String> {
        self.until(time);
        self.tier(n)
    }

    fn outlook(&self, n: u8) -> TierOutlook {
        self.crm.tier_outlook(who(n), &club()).unwrap().unwrap()
    }

    fn execute(&self, n: u8, command: Command, key: &str) -> Result<crm::Executed, Error> {
        self.crm.execute(self.id(n), command, key)
    }

    /// How a customer's tiers moved: when, from which, to which.
    fn moves(&self, n: u8) -> Vec<(String, String, String)> {
        let name = |tier: Option<&TierName>| tier.map_or("-".to_owned(), ToString::to_string);
        let story = self.crm.story(who(n)).unwrap().unwrap();
        let moved = |change: &crm::Change| match &change.body {
            ChangeBody::TierReached { from, to, .. } => Some((name(from.as_ref()), name(Some(to)))),
            ChangeBody::TierLost { from, to, .. } => Some((name(Some(from)), name(to.as_ref()))),
            _ => None,
        };
        let moves = story.changes.iter().filter_map(|change| Some((change.at.to_string(), moved(change)?)));
        moves.map(|(at, (from, to))| (at, from, to)).collect()
    }

    /// What was told of tiers that will be lost: when, which, for when, what is missing.
    fn warned(&self, n: u8) -> Vec<(String, String, String, Option<u64>)> {
        let story = self.crm.story(who(n)).unwrap().unwrap();
        let warned = story.changes.iter().filter_map(|change| match &change.body {
            ChangeBody::TierAtRisk { tier, on, missing, .. } => {
                Some((change.at.to_string(), tier.to_string(), on.to_string(), *missing))
            }
            _ => None,
        });
        warned.collect()
    }

    /// What is stored is the fold of what happened.
    fn is_its_fold(&self, n: u8) {
        let story = self.crm.story(who(n)).unwrap().unwrap();
        let events = story.events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
        let (id, until) = (story.customer.id(), story.customer.clock().unwrap());
        let again = crm::Customer::replay(id, events, until, &self.crm.definitions().unwrap());
        assert_eq!(again.digest(), story.customer.digest());
        let tiers = |customer: &crm::Customer| customer.standing().tier(&club()).cloned();
        assert_eq!(tiers(&again), tiers(&story.customer));
    }

    /// How many decisions about tiers there are.
    fn decisions(&self, n: u8) -> usize {
        let story = self.crm.story(who(n)).unwrap().unwrap();
        let kept = |body: &EventBody| matches!(body, EventBody::Decision(made) if made.deed.kind() == "tier_kept");
        story.events.iter().filter(|event| kept(&event.body)).count()
    }
}

fn moved(of: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    of.iter().map(|(at, from, to)| ((*at).to_owned(), (*from).to_owned(), (*to).to_owned())).collect()
}

#[test]
fn what_falls_out_of_a_rolling_window_moves_the_tier_at_that_very_instant() {
    let mut program = by_spend();
    program.tiers.window = Window::Rolling(Span::days(365));
    let shop = Shop::new(program);
    shop.order(1, "2024-02-29T10:00:00Z", 200);
    shop.order(1, "2024-06-01T09:30:00Z", 150);
    assert_eq!(
        shop.outlook(1).projected,
        Some(Projected { on: at("2025-02-28T10:00:00Z"), tier: Some(tier("silver")) })
    );
    shop.until("2030-01-01");
    assert_eq!(
        shop.moves(1),
        moved(&[
            ("2024-02-29T10:00:00Z", "-", "silver"),
            ("2024-06-01T09:30:00Z", "silver", "gold"),
            ("2025-02-28T10:00:00Z", "gold", "silver"),
            ("2025-06-01T09:30:00Z", "silver", "-"),
        ])
    );
    assert_eq!(shop.decisions(1), 0, "nothing of it has to be recorded");
    shop.is_its_fold(1);
}

#[test]
fn a_calendar_window_begins_anew_at_midnight_of_the_zone() {
    let mut program = by_spend();
    program.zone = "America/Sao_Paulo".parse().unwrap();
    program.tiers.window = Window::Calendar(Period::Month);
    let shop = Shop::new(program);
    // Until 2019 clocks were turned there; from then on it is three hours behind UTC.
    shop.order(1, "2024-02-10T12:00:00Z", 100);
    shop.order(1, "2024-03-01T02:59:59Z", 250);
    shop.order(1, "2024-03-01T03:00:00Z", 100);
    shop.until("2024-05-01");
    assert_eq!(
        shop.moves(1),
        moved(&[
            ("2024-02-10T12:00:00Z", "-", "silver"),
            ("2024-03-01T02:59:59Z", "silver", "gold"),
            ("2024-03-01T03:00:00Z", "gold", "-"),
            ("2024-03-01T03:00:00Z", "-", "silver"),
            ("2024-04-01T03:00:00Z", "silver", "-"),
        ])
    );
}

#[test]
fn a_refund_takes_back_at_once_what_nothing_keeps() {
    let shop = Shop::new(by_spend());
    let order = shop.order(1, "2024-01-01", 300);
    assert_eq!(shop.tier(1).as_deref(), Some("gold"));
    shop.refund(1, "2024-01-05", &order, 150);
    assert_eq!(shop.tier(1).as_deref(), Some("silver"));
    shop.refund(1, "2024-01-06", &order, 150);
    assert_eq!(shop.tier(1), None);
    shop.is_its_fold(1);
}

#[test]
fn who_reached_a_tier_keeps_it_until_the_end_of_the_period_and_of_the_next_if_the_count_was_there() {
    let shop = Shop::new(by_year());
    let order = shop.order(1, "2024-05-01", 300);
    // Sending it back does not take what was reached, but it counts at the end of the year.
    shop.refund(1, "2024-06-01", &order, 100);
    assert_eq!(shop.tier(1).as_deref(), Some("gold"));
    shop.order(2, "2024-05-01", 300);
    let outlook = shop.outlook(2);
    assert_eq!(outlook.kept_until, Some(at("2024-12-31T23:00:00Z")));
    assert_eq!((outlook.why, outlook.to_keep), (Some(KeptWhy::Reached), Some(0)));
    assert_eq!(outlook.projected, Some(Projected { on: at("2024-12-31T23:00:00Z"), tier: Some(tier("gold")) }));
    assert_eq!((shop.outlook(1).to_keep, shop.outlook(1).count), (Some(10_000), 20_000));
    shop.until("2027-06-01");
    assert_eq!(
        shop.moves(1)[1..],
        moved(&[("2024-12-31T23:00:00Z", "gold", "silver"), ("2025-12-31T23:00:00Z", "silver", "-")])
    );
    assert_eq!(shop.moves(2)[1..], moved(&[("2025-12-31T23:00:00Z", "gold", "-")]));
    for n in [1, 2] {
        shop.is_its_fold(n);
    }
}

#[test]
fn grace_keeps_a_tier_a_while_longer_and_who_is_back_in_time_stays() {
    let mut program = by_year();
    program.tiers.grace = Some(Span::days(60));
    let shop = Shop::new(program);
    for n in 1..=3 {
        shop.order(n, "2024-05-01", 300);
        shop.order(n, "2025-05-01", 100);
    }
    shop.until("2026-01-15");
    let outlook = shop.outlook(1);
    assert_eq!((outlook.tier, outlook.why), (Some(tier("gold")), Some(KeptWhy::Grace)));
    assert_eq!(outlook.kept_until, Some(at("2026-03-01T23:00:00Z")));
    // What they had the count for when the grace began is theirs when it ends.
    assert_eq!(outlook.projected, Some(Projected { on: at("2026-03-01T23:00:00Z"), tier: Some(tier("silver")) }));
    assert_eq!(outlook.to_keep, Some(30_000));
    shop.order(2, "2026-02-01", 300);
    shop.order(3, "2026-02-01", 299);
    shop.until("2027-06-01");
    let ends = "2026-03-01T23:00:00Z";
    assert_eq!(shop.moves(1)[1..], moved(&[(ends, "gold", "silver"), ("2027-03-01T23:00:00Z", "silver", "-")]));
    assert_eq!(shop.moves(2).len(), 1, "{:?}", shop.moves(2));
    assert_eq!(shop.moves(3)[1..], moved(&[(ends, "gold", "silver")]));
    for n in 1..=3 {
        shop.is_its_fold(n);
    }
}

#[test]
fn who_rises_at_the_end_of_a_period_has_the_count_back_when_the_grace_ends_and_not_before() {
    let mut program = by_year();
    program.tiers.grace = Some(Span::days(60));
    program.tiers.rises = Rises::AtPeriodEnd;
    let shop = Shop::new(program);
    let back = [1, 2].map(|n| {
        shop.order(n, "2024-05-01", 300);
        shop.order(n, "2025-05-01", 100);
        shop.order(n, "2026-02-01", 300)
    });
    let outlook = shop.outlook(1);
    assert_eq!((outlook.tier, outlook.why), (Some(tier("gold")), Some(KeptWhy::Grace)));
    shop.refund(1, "2026-02-20", &back[0], 300);
    shop.until("2026-06-01");
    assert_eq!(shop.moves(1)[1..], moved(&[("2026-03-01T23:00:00Z", "gold", "silver")]));
    assert_eq!(shop.moves(2).len(), 1, "{:?}", shop.moves(2));
    for n in [1, 2] {
        shop.is_its_fold(n);
    }
}

#[test]
fn grace_without_periods_begins_when_the_count_falls() {
    let mut program = by_spend();
    program.tiers.window = Window::Rolling(Span::days(100));
    program.tiers.grace = Some(Span::days(10));
    let shop = Shop::new(program);
    for n in [1, 2] {
        shop.order(n, "2024-01-01", 300);
    }
    shop.order(2, "2024-04-15", 300);
    shop.until("2024-12-31");
    // A hundred days from the first of January are over on the tenth of April, in a leap year.
    assert_eq!(shop.moves(1)[1..], moved(&[("2024-04-20T00:00:00Z", "gold", "-")]));
    assert_eq!(shop.moves(2)[1..], moved(&[("2024-08-03T00:00:00Z", "gold", "-")]));
    for n in [1, 2] {
        shop.is_its_fold(n);
    }
}

#[test]
fn who_falls_by_one_tier_at_a_time_is_looked_at_again_at_the_end_of_each_period() {
    let mut program = by_year();
    program.tiers.downgrade = Downgrade::OneStep;
    let shop = Shop::new(program);
    shop.order(1, "2024-05-01", 600);
    shop.until("2029-01-01");
    let moves = [
        ("2025-12-31T23:00:00Z", "platinum", "gold"),
        ("2026-12-31T23:00:00Z", "gold", "silver"),
        ("2027-12-31T23:00:00Z", "silver", "-"),
    ];
    assert_eq!(shop.moves(1)[1..], moved(&moves));
    shop.is_its_fold(1);
}

#[test]
fn who_falls_by_one_tier_at_once_stays_there_for_as_long_as_the_window() {
    let mut program = by_spend();
    program.tiers.downgrade = Downgrade::OneStep;
    program.tiers.window = Window::Rolling(Span::days(30));
    let shop = Shop::new(program);
    shop.order(1, "2024-01-01", 600);
    shop.until("2025-01-01");
    let moves = [
        ("2024-01-31T00:00:00Z", "platinum", "gold"),
        ("2024-03-01T00:00:00Z", "gold", "silver"),
        ("2024-03-31T00:00:00Z", "silver", "-"),
    ];
    assert_eq!(shop.moves(1)[1..], moved(&moves));
    shop.is_its_fold(1);
}

#[test]
fn where_nobody_falls_they_stay() {
    for period in [None, Some(Period::Month)] {
        let mut program = by_spend();
        program.tiers.downgrade = Downgrade::None;
        program.tiers.window = Window::Rolling(Span::days(30));
        program.tiers.kept_until_end_of = period;
        let shop = Shop::new(program);
        let order = shop.order(1, "2024-01-01", 300);
        shop.refund(1, "2024-01-02", &order, 300);
        assert_eq!(shop.tier_on(1, "2026-01-01").as_deref(), Some("gold"));
        assert_eq!(shop.moves(1).len(), 1);
        shop.is_its_fold(1);
    }
}

#[test]
fn a_tier_for_life_is_what_one_falls_back_to() {
    let mut program = by_year();
    program.tiers.rules[0].lifetime = true;
    let shop = Shop::new(program);
    let order = shop.order(1, "2024-05-01", 300);
    shop.refund(1, "2024-05-02", &order, 300);
    shop.until("2030-01-01");
    assert_eq!(shop.moves(1)[1..], moved(&[("2024-12-31T23:00:00Z", "gold", "silver")]));
    let outlook = shop.outlook(1);
    assert_eq!((outlook.why, outlook.kept_until, outlook.to_keep), (Some(KeptWhy::Lifetime), None, None));
    assert_eq!(outlook.projected, None);
    shop.is_its_fold(1);
}

#[test]
fn who_rises_may_be_looked_at_the_end_of_a_period_only() {
    let mut program = by_year();
    program.tiers.rises = Rises::AtPeriodEnd;
    let shop = Shop::new(program);
    shop.order(1, "2024-05-01", 300);
    assert_eq!(shop.tier(1), None);
    assert_eq!(shop.outlook(1).projected, Some(Projected { on: at("2024-12-31T23:00:00Z"), tier: Some(tier("gold")) }));
    shop.order(1, "2025-05-01", 600);
    shop.order(1, "2026-05-01", 100);
    shop.until("2030-01-01");
    let moves = [
        ("2024-12-31T23:00:00Z", "-", "gold"),
        ("2025-12-31T23:00:00Z", "gold", "platinum"),
        ("2026-12-31T23:00:00Z", "platinum", "silver"),
        ("2027-12-31T23:00:00Z", "silver", "-"),
    ];
    assert_eq!(shop.moves(1), moved(&moves));
    shop.is_its_fold(1);
}

/// Silver by counting, and a black one to be invited to.
fn with_black() -> Program {
    let mut program = by_spend();
    program.tiers.rules.push(TierRule { by_invitation: true, ..TierRule::new(tier("black"), 100_000) });
    program.tiers.notice = Some(Span::days(7));
    program
}

fn invite(name: &str, until: Option<&str>) -> Command {
    Command::InviteToTier(InviteToTier { program: club(), tier: tier(name), until: until.map(at) })
}

fn revoke(name: &str) -> Command {
    Command::RevokeTier(RevokeTier { program: club(), tier: tier(name) })
}

#[test]
fn who_is_invited_to_a_tier_has_it_until_the_invitation_ends_or_is_revoked() {
    let shop = Shop::new(with_black());
    shop.order(1, "2024-01-01", 5_000);
    assert_eq!(shop.tier(1).as_deref(), Some("platinum"), "nobody counts to one that is by invitation");
    shop.execute(1, invite("black", Some("2024-02-01")), "1").unwrap();
    assert_eq!(shop.tier(1).as_deref(), Some("black"));
    let before = shop.decisions(1);
    shop.execute(1, invite("black", Some("2024-02-01")), "2").unwrap();
    assert_eq!(shop.decisions(1), before, "it is so already");
    shop.until("2024-03-01");
    assert_eq!(shop.moves(1).last(), moved(&[("2024-02-01T00:00:00Z", "black", "platinum")]).last());
    let told = ("2024-01-25T00:00:00Z".to_owned(), "black".to_owned(), "2024-02-01T00:00:00Z".to_owned(), None);
    assert_eq!(shop.warned(1), [told]);

    shop.execute(1, invite("black", None), "3").unwrap();
    assert_eq!(shop.tier_on(1, "2029-01-01").as_deref(), Some("black"));
    shop.execute(1, revoke("black"), "4").unwrap();
    assert_eq!(shop.tier(1).as_deref(), Some("platinum"));
    let before = shop.decisions(1);
    shop.execute(1, revoke("black"), "5").unwrap();
    assert_eq!(shop.decisions(1), before, "there is none any more");
    shop.is_its_fold(1);
}

#[test]
fn nobody_is_invited_to_what_is_reached_by_counting_or_is_not_there() {
    let shop = Shop::new(with_black());
    shop.order(1, "2024-01-01", 1);
    let refused = |command, key: &str| match shop.execute(1, command, key) {
        Err(Error::Refused(Refusal::Tier(refusal))) => refusal,
        other => panic!("{other:?}"),
    };
    let by_counting = TierRefusal::NotByInvitation { program: club(), tier: tier("gold") };
    assert_eq!(refused(invite("gold", None), "1"), by_counting);
    assert_eq!(refused(revoke("gold"), "2"), by_counting);
    assert_eq!(refused(invite("red", None), "3"), TierRefusal::NoTier { program: club(), tier: tier("red") });
    let other = ProgramId::new("other").unwrap();
    let elsewhere = InviteToTier { program: other.clone(), tier: tier("black"), until: None };
    assert_eq!(refused(Command::InviteToTier(elsewhere), "4"), TierRefusal::NoProgram { program: other });
    let (until, now) = (at("2023-01-01"), at("2024-01-01"));
    assert_eq!(refused(invite("black", Some("2023-01-01")), "5"), TierRefusal::Over { until, now });
    assert_eq!(shop.tier(1), None);
}

#[test]
fn it_is_told_ahead_once_that_a_tier_will_be_lost() {
    let mut program = by_year();
    program.tiers.notice = Some(Span::days(30));
    let shop = Shop::new(program);
    for n in 1..=3 {
        shop.order(n, "2024-05-01", 300);
        shop.order(n, "2025-05-01", 120);
    }
    // One has the count again before it is told, another one after.
    shop.order(2, "2025-11-30", 180);
    shop.until("2025-12-05");
    shop.order(3, "2025-12-06", 180);
    shop.until("2026-11-15");
    let told = |when: &str, name: &str, on: &str, missing| (when.to_owned(), name.to_owned(), on.to_owned(), missing);
    let first = told("2025-12-01T23:00:00Z", "gold", "2025-12-31T23:00:00Z", Some(18_000));
    assert_eq!((shop.warned(1), shop.warned(2), shop.warned(3)), (vec![first.clone()], vec![], vec![first]));
    assert_eq!([1, 2, 3].map(|n| shop.tier(n).unwrap()), ["silver", "gold", "gold"]);
    shop.until("2027-06-01");
    let second = |name, missing| told("2026-12-01T23:00:00Z", name, "2026-12-31T23:00:00Z", Some(missing));
    assert_eq!(shop.warned(1)[1..], [second("silver", 10_000)]);
    assert_eq!(
        (shop.warned(2), shop.warned(3)[1..].to_vec()),
        (vec![second("gold", 30_000)], vec![second("gold", 30_000)])
    );
}

#[test]
fn a_notice_is_of_when_the_tier_is_lost_after_the_grace() {
    let mut program = by_spend();
    program.tiers.window = Window::Rolling(Span::days(100));
    program.tiers.grace = Some(Span::days(10));
    for (notice, when) in [(Span::days(30), "2024-03-21T00:00:00Z"), (Span::days(5), "2024-04-15T00:00:00Z")] {
        program.tiers.notice = Some(notice);
        let shop = Shop::new(program.clone());
        shop.order(1, "2024-01-01", 300);
        shop.until("2025-01-01");
        let told = (when.to_owned(), "gold".to_owned(), "2024-04-20T00:00:00Z".to_owned(), Some(30_000));
        assert_eq!(shop.warned(1), [told]);
    }
}

#[test]
fn a_refund_that_brings_a_loss_close_tells_of_it_at_once() {
    let mut program = by_year();
    program.tiers.notice = Some(Span::days(30));
    let shop = Shop::new(program);
    let order = shop.order(1, "2024-05-01", 300);
    shop.until("2024-12-24");
    shop.refund(1, "2024-12-24T08:00:00Z", &order, 20);
    let on = "2024-12-31T23:00:00Z".to_owned();
    let told = ("2024-12-24T08:00:00Z".to_owned(), "gold".to_owned(), on, Some(2_000));
    assert_eq!(shop.warned(1), [told]);
}

#[test]
fn a_fact_that_comes_late_raises_a_tier_from_now_on_and_takes_none_back() {
    let shop = Shop::new(by_year());
    shop.order(1, "2024-05-01", 100);
    shop.until("2025-03-01");
    assert_eq!(shop.tier(1).as_deref(), Some("silver"));
    // It belongs to the year before, which was looked at: it neither counts in this one nor changes what was decided.
    shop.order(1, "2024-06-01", 500);
    assert_eq!(shop.tier(1).as_deref(), Some("silver"));
    shop.until("2025-06-01");
    shop.order(1, "2025-02-01", 300);
    assert_eq!(shop.tier(1).as_deref(), Some("gold"));
    assert_eq!(shop.outlook(1).kept_until, Some(at("2025-12-31T23:00:00Z")));
    shop.is_its_fold(1);
}

#[test]
fn points_that_count_move_tiers_as_money_does() {
    let mut program = Program::point_per_unit(Currency::EUR).with_tier(tier("silver"), 100);
    program.tiers.window = Window::Rolling(Span::days(365));
    let shop = Shop::new(program);
    let order = shop.order(1, "2024-02-29T10:00:00Z", 60);
    let award = AwardPoints { program: club(), points: 40, reason: "welcome".parse().unwrap() };
    shop.until("2024-03-10");
    shop.execute(1, Command::AwardPoints(award), "1").unwrap();
    assert_eq!(shop.tier(1).as_deref(), Some("silver"));
    let loses = Projected { on: at("2025-02-28T10:00:00Z"), tier: None };
    assert_eq!((shop.outlook(1).count, shop.outlook(1).projected), (100, Some(loses)));
    shop.refund(1, "2024-04-01", &order, 1);
    assert_eq!((shop.tier(1), shop.outlook(1).next.unwrap().missing), (None, 1));
    shop.is_its_fold(1);
}

#[test]
fn what_a_tier_brings_is_told_with_it() {
    let mut program = by_spend();
    program.tiers.rules[1].benefits = [("free_shipping".parse().unwrap(), "always".parse().unwrap())].into();
    let shop = Shop::new(program.clone());
    shop.order(1, "2024-01-01", 150);
    assert!(shop.outlook(1).benefits.is_empty());
    assert_eq!(shop.outlook(1).next.unwrap().missing, 15_000);
    shop.order(1, "2024-01-02", 150);
    assert_eq!(shop.outlook(1).benefits, program.tiers.rules[1].benefits);
    assert_eq!(shop.crm.tier_outlook(who(9), &club()).unwrap(), None);
    assert_eq!(shop.crm.tier_outlook(who(1), &ProgramId::new("other").unwrap()).unwrap(), None);
}

#[test]
fn whoever_took_part_is_in_a_tier_that_takes_nothing() {
    let program = by_year().with_tier(tier("member"), 0);
    let shop = Shop::new(program);
    shop.order(1, "2024-05-01", 5);
    shop.tell(2, "2024-05-01", crm::Visited { channel: crm::Channel::Web, place: None });
    assert_eq!((shop.tier(1).as_deref(), shop.tier(2)), (Some("member"), None));
    assert_eq!(shop.decisions(1), 0);
    shop.order(1, "2024-06-01", 100);
    shop.until("2026-06-01");
    assert_eq!(
        shop.moves(1)[1..],
        moved(&[("2024-06-01T00:00:00Z", "member", "silver"), ("2025-12-31T23:00:00Z", "silver", "member"),])
    );
    shop.is_its_fold(1);
}

#[test]
fn another_version_of_a_programme_decides_from_then_on() {
    let shop = Shop::new(by_spend());
    shop.order(1, "2024-05-01", 300);
    assert_eq!(shop.decisions(1), 0);
    // From now on tiers are kept for a year.
    shop.until("2024-06-01");
    shop.define("2024-06-01", by_year());
    shop.crm.refresh().unwrap();
    assert_eq!(shop.outlook(1).kept_until, Some(at("2024-12-31T23:00:00Z")));
    // And from now on not any more: what is kept is kept until its end.
    shop.until("2024-07-01");
    let mut at_once = by_spend();
    at_once.tiers.window = Window::Rolling(Span::days(10));
    shop.define("2024-07-01", at_once);
    shop.crm.refresh().unwrap();
    assert_eq!(shop.tier(1).as_deref(), Some("gold"));
    shop.until("2026-01-01");
    assert_eq!(shop.moves(1)[1..], moved(&[("2024-12-31T23:00:00Z", "gold", "-")]));
    shop.is_its_fold(1);
}

#[test]
fn a_segment_about_a_tier_follows_it_through_time() {
    let mut program = by_spend();
    program.tiers.window = Window::Rolling(Span::days(100));
    let shop = Shop::new(program);
    let golden = SegmentName::new("golden").unwrap();
    let rule = shop.crm.rule(r#"tier("club") == "gold""#).unwrap();
    shop.crm.define(at("2020-01-01"), Definition::Segment(golden.clone(), Some(rule))).unwrap();
    shop.order(1, "2024-01-01", 300);
    let why = shop.crm.explain(who(1), &golden).unwrap().unwrap();
    assert_eq!((why.holds, why.next_change), (Some(true), Some(at("2024-04-10"))));
    shop.until("2024-12-31");
    let story = shop.crm.story(who(1)).unwrap().unwrap();
    let left = story.changes.iter().find(|change| matches!(change.body, ChangeBody::SegmentLeft { .. })).unwrap();
    assert_eq!(left.at, at("2024-04-10"));
    assert!(!story.customer.standing().is_in(&golden));
}

/// Gives points to whoever is about to lose a tier.
#[derive(Debug)]
struct Saver(PluginStamp);

impl Workflow for Saver {
    fn stamp(&self) -> &PluginStamp {
        &self.0
    }

    fn listens(&self, kind: &str) -> bool {
        kind == "tier_at_risk"
    }

    fn handle(&self, call: &WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> {
        let missing = call.trigger.fields.iter().find(|(name, _)| name == "missing").map(|(_, value)| value.clone());
        let Some(crm::TriggerValue::Int(points)) = missing else { return Err(PluginFault::new("nothing missing")) };
        let award = AwardPoints { program: club(), points, reason: "stay with us".parse().unwrap() };
        Ok(WorkflowReply { commands: vec![Command::AwardPoints(award)], memory: None })
    }
}

#[test]
fn a_workflow_that_listens_can_prevent_the_loss() {
    let mut program = Program::point_per_unit(Currency::EUR).with_tier(tier("silver"), 100);
    program.tiers.window = Window::Rolling(Span::days(100));
    program.tiers.notice = Some(Span::days(10));
    let name = PluginName::new("saver").unwrap();
    let saver = Saver(PluginStamp { name, version: "1".into(), digest: crm::Digest::of(b"saver") });
    let shop = Shop::with(program, crm::Crm::builder().workflow(saver));
    shop.order(1, "2024-01-01", 150);
    shop.until("2024-06-01");
    // It is told on the last of March, for the tenth of April; and again ten days before what was given then is over.
    assert_eq!(shop.tier(1).as_deref(), Some("silver"));
    assert_eq!(shop.moves(1).len(), 1);
    let told: Vec<_> = shop.warned(1).into_iter().map(|(at, ..)| at).collect();
    assert_eq!(told, ["2024-03-31T00:00:00Z"]);
    shop.is_its_fold(1);
}

#[test]
fn the_merged_have_the_highest_tier_and_count_together_and_the_parted_each_their_own() {
    let shop = Shop::new(by_year());
    shop.order(1, "2024-02-01", 120);
    shop.order(2, "2024-03-01", 200);
    shop.order(3, "2024-03-01", 700);
    let ids = [1, 2, 3].map(|n| shop.id(n));
    // Together they have 320 euros, which neither has alone.
    shop.crm.merge(ids[0], ids[1], "one person".parse().unwrap()).unwrap();
    assert_eq!([1, 2].map(|n| shop.tier(n).unwrap()), ["gold", "gold"]);
    shop.is_its_fold(1);
    shop.crm.merge(ids[0], ids[2], "the same again".parse().unwrap()).unwrap();
    assert_eq!(shop.tier(2).as_deref(), Some("platinum"));
    shop.is_its_fold(1);
    shop.crm.part(ids[2], ids[0], "not the same".parse().unwrap()).unwrap();
    assert_eq!(shop.tier(3).as_deref(), Some("platinum"));
    assert_eq!(shop.tier(1).as_deref(), Some("gold"), "it was decided while they were two");
    shop.crm.part(ids[1], ids[0], "not the same either".parse().unwrap()).unwrap();
    let mut both = [1, 2].map(|n| shop.tier(n).unwrap());
    both.sort();
    // What was reached together stays with the one under whose id they went on, until it is looked at.
    assert_eq!(both, ["gold", "silver"]);
    for n in 1..=3 {
        shop.is_its_fold(n);
    }
    shop.until("2025-01-02");
    assert_eq!([1, 2, 3].map(|n| shop.tier(n).unwrap()), ["silver", "silver", "platinum"]);
    for n in 1..=3 {
        shop.is_its_fold(n);
    }
}

#[test]
fn what_is_kept_of_the_merged_is_looked_at_by_what_they_have_together() {
    let shop = Shop::new(by_year());
    for n in [1, 2] {
        shop.order(n, "2024-02-01", 300);
        shop.order(n, "2025-02-01", 150);
    }
    let ids = [1, 2].map(|n| shop.id(n));
    shop.crm.merge(ids[0], ids[1], "one person".parse().unwrap()).unwrap();
    assert_eq!(shop.tier_on(1, "2026-06-01").as_deref(), Some("gold"));
    shop.crm.part(ids[0], ids[1], "two after all".parse().unwrap()).unwrap();
    assert_eq!([1, 2].map(|n| shop.tier(n).unwrap()), ["gold", "gold"]);
    assert_eq!(shop.tier_on(1, "2027-06-01"), None);
    for n in [1, 2] {
        shop.is_its_fold(n);
    }
}

#[test]
fn an_invitation_of_the_merged_is_one() {
    let shop = Shop::new(with_black());
    for n in [1, 2] {
        shop.order(n, "2024-01-01", 100);
    }
    shop.execute(1, invite("black", None), "1").unwrap();
    let ids = [1, 2].map(|n| shop.id(n));
    shop.crm.merge(ids[0], ids[1], "one person".parse().unwrap()).unwrap();
    assert_eq!(shop.tier(2).as_deref(), Some("black"));
    // The new one takes the place of the other, whomever each came through.
    shop.crm.execute(ids[1], invite("black", Some("2024-03-01")), "2").unwrap();
    assert_eq!(shop.tier_on(1, "2024-02-29").as_deref(), Some("black"));
    assert_eq!(shop.tier_on(1, "2024-03-01").as_deref(), Some("silver"));
    shop.crm.execute(ids[1], invite("black", None), "3").unwrap();
    shop.crm.execute(ids[0], revoke("black"), "4").unwrap();
    assert_eq!(shop.tier(2).as_deref(), Some("silver"));
    shop.is_its_fold(1);
}

/// What came of two orders and a birthday long ago: until when gold was kept each time, when the badge was earned, and how
/// often there were points for the birthday.
fn came_of(shop: &Shop, n: u8) -> (Vec<Option<Timestamp>>, Vec<Timestamp>, usize) {
    let story = shop.crm.story(shop.id(n)).unwrap().unwrap();
    let (mut kept, mut earned, mut birthdays) = (Vec::new(), Vec::new(), 0);
    for event in &story.events {
        let EventBody::Decision(decision) = &event.body else { continue };
        match &decision.deed {
            Deed::TierKept(own) if own.tier == Some(tier("gold")) => kept.push(own.until),
            Deed::BadgeEarned(own) => earned.push(own.at),
            Deed::PointsPosted(own) => birthdays += usize::from(matches!(own.kind, PostingKind::Awarded { .. })),
            _ => {}
        }
    }
    (kept, earned, birthdays)
}

#[test]
fn history_in_the_order_of_time_is_lived_as_it_was_and_what_comes_late_is_judged_as_of_now() {
    let birthday = DeclaredName::new("birthday").unwrap();
    let yearly = EarningRule {
        on: On::Yearly(birthday.clone()),
        ..EarningRule::new("birthday".parse().unwrap(), Formula::Fixed(5))
    };
    let shop = Shop::new(by_year().earning(yearly));
    let twice = Badge::new(Predicate::compare(Attribute::Orders, Comparison::Ge, 2));
    let twice = Definition::Badge(BadgeName::new("twice").unwrap(), Some(Box::new(twice)));
    shop.crm.define(at("2020-01-01"), twice).unwrap();
    shop.crm.define(at("2020-01-01"), Definition::Attribute(birthday.clone(), Some(DeclaredKind::Instant))).unwrap();
    shop.until("2026-06-01");
    let past = |n: u8| {
        let tell = |time: &str, fact: crm::Fact| Incoming::new(who(n), at(time), Source::new("old").unwrap(), fact);
        let order = |euros: i64| OrderPlaced::new(Money::new(euros * 100, Currency::EUR)).into();
        let born = AttributeSet { attribute: birthday.clone(), value: Some(DeclaredValue::Instant(at("1990-03-01"))) };
        [tell("2022-01-01", born.into()), tell("2023-05-01", order(300)), tell("2024-06-01", order(10))]
    };
    shop.crm.ingest(past(1), Ingestion::history()).unwrap();
    // The other one was met before, so that all of it comes late.
    shop.order(2, "2026-06-01", 1);
    shop.crm.ingest(past(2), Ingestion::history()).unwrap();
    shop.until("2026-06-02");
    let ends = ["2023-12-31T23:00:00Z", "2024-12-31T23:00:00Z"].map(|end| Some(at(end)));
    assert_eq!(came_of(&shop, 1), (ends.to_vec(), vec![at("2024-06-01")], 5));
    assert_eq!(came_of(&shop, 2), (Vec::new(), vec![at("2026-06-01")], 0));
    assert_eq!((shop.tier(1), shop.tier(2)), (None, None));
}
