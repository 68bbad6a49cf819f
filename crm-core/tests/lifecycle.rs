//! The life cycle counted: histories, funnels, transitions and forecasts, and windows by the customer's own rhythm.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use crm_core::change::{Cause, Change, ChangeBody};
use crm_core::custom::{CustomFact, KindName, KindSchema};
use crm_core::customer::FactState;
use crm_core::event::Fact;
use crm_core::interaction::{Channel, Enquired};
use crm_core::lifecycle::{
    Cohort, CohortBy, Conversion, FunnelStep, GAPS_MAX, LifecycleError, LifecyclePolicy, Newcomers, OwnRhythm, Period,
    Phase, RhythmError, STAGES_AND_NONE, Stage, StageCause, StageHistory, StageMove, StagePath, StageSizes,
    TransitionMatrix, Typical, cohorts, conversions, parts_per_million,
};
use crm_core::order::{OrderPlaced, OrderRef, Refunded};
use crm_core::{
    Currency, CustomerId, Definition, DefinitionError, DefinitionVersion, Definitions, EventId, Money, Source, Span,
    TenantId, Timestamp,
};
use proptest::prelude::*;

const PROSPECT: Option<Stage> = Some(Stage::Prospect);
const INTENT: Option<Stage> = Some(Stage::Intent);
const PURCHASE: Option<Stage> = Some(Stage::Purchase);
const HISTORICAL: Option<Stage> = Some(Stage::Historical);

fn day(day: i64) -> Timestamp {
    hour(day * 24)
}

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour * 3_600_000).unwrap()
}

fn path(steps: &[(i64, Option<Stage>)]) -> StagePath {
    steps.iter().map(|(at, stage)| (day(*at), *stage)).collect()
}

fn id(n: usize) -> EventId {
    EventId::of_fact(&TenantId::default(), &Source::new("test").unwrap(), &n.to_string())
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn folded(facts: &[(Timestamp, Fact)], until: Timestamp, definitions: &Definitions) -> FactState {
    FactState::refold(told(facts), until, definitions)
}

fn told(facts: &[(Timestamp, Fact)]) -> impl Iterator<Item = (CustomerId, EventId, Timestamp, &Fact)> {
    let customer = CustomerId::new(day(0), [7; 10]);
    facts.iter().enumerate().map(move |(n, (at, fact))| (customer, id(n), *at, fact))
}

/// Quiet after 60 days, or by a rhythm.
fn quiet(own_rhythm: Option<OwnRhythm>) -> Definitions {
    let policy = LifecyclePolicy { quiet_after: Span::days(60), own_rhythm, ..LifecyclePolicy::default() };
    let mut definitions = Definitions::default();
    definitions.add(DefinitionVersion { from: day(0), definition: Definition::Lifecycle(policy) }).unwrap();
    definitions
}

/// Two and a half times the typical gap, from 7 to 40 days.
fn rhythm(typical: Typical, gaps_min: u8) -> OwnRhythm {
    OwnRhythm { typical, times_percent: 250, at_least: Span::days(7), at_most: Span::days(40), gaps_min }
}

fn orders(days: &[i64]) -> Vec<(Timestamp, Fact)> {
    days.iter().map(|at| (day(*at), Fact::from(OrderPlaced::new(eur(100))))).collect()
}

fn deadline(days: &[i64], own_rhythm: Option<OwnRhythm>) -> Option<Timestamp> {
    let last = *days.last().unwrap();
    folded(&orders(days), day(last), &quiet(own_rhythm)).lifecycle().deadline()
}

#[test]
fn each_stage_has_a_phase_of_its_own() {
    for (stage, phase) in Stage::ALL.into_iter().zip(Phase::ALL) {
        assert_eq!((stage.phase(), phase.stage()), (phase, stage));
    }
    let names = Phase::ALL.map(Phase::name);
    assert_eq!(names, ["attraction", "acquisition", "management", "retention"]);
    assert_eq!(serde_json::to_string(&Phase::ALL).unwrap(), serde_json::to_string(&names).unwrap());
}

#[test]
fn a_history_tells_how_long_how_often_and_how_soon() {
    let path =
        path(&[(0, PROSPECT), (5, INTENT), (10, PURCHASE), (40, HISTORICAL), (100, PURCHASE), (150, HISTORICAL)]);
    let history = StageHistory::of(&path, day(130));
    let of = |stage| (history.at(stage).dwell, history.at(stage).entries);
    assert_eq!(of(Stage::Prospect), (Span::days(5), 1));
    assert_eq!(of(Stage::Intent), (Span::days(5), 1));
    assert_eq!(of(Stage::Purchase), (Span::days(60), 2));
    assert_eq!(of(Stage::Historical), (Span::days(60), 1));
    assert_eq!((history.life, history.stage, history.since), (Span::days(130), PURCHASE, Some(day(100))));
    assert_eq!(history.time_to_first_purchase(), Some(Span::days(10)));
    assert_eq!((history.won_back, history.won_back_at, history.is_won_back()), (1, Some(day(100)), true));

    let quiet_again = StageHistory::of(&path, day(150));
    assert_eq!((quiet_again.won_back, quiet_again.is_won_back()), (1, false));
    let before = StageHistory::of(&path, day(-1));
    assert_eq!((before.stage, before.first_contact, before.life), (None, None, Span::days(0)));
}

#[test]
fn a_move_dated_before_the_last_one_counts_from_the_last_one_on() {
    // The order of day 100 was refunded, and the one before it had been too long ago since day 90.
    let path = path(&[(0, PURCHASE), (90, HISTORICAL), (100, PURCHASE), (90, HISTORICAL)]);
    let history = StageHistory::of(&path, day(110));
    assert_eq!(history.at(Stage::Historical).dwell, Span::days(20));
    assert_eq!((history.at(Stage::Purchase).dwell, history.at(Stage::Purchase).entries), (Span::days(90), 2));
    assert_eq!((history.life, path.at(day(100))), (Span::days(110), HISTORICAL));
}

#[test]
fn stored_changes_and_moves_make_the_same_path() {
    let cause = StageCause::Ordered(id(0));
    let moves = [
        StageMove { at: day(1), from: None, to: PURCHASE, cause },
        StageMove { at: day(9), from: PURCHASE, to: HISTORICAL, cause: StageCause::WentQuiet },
    ];
    let changes = moves.map(|StageMove { at, from, to, cause }| Change {
        at,
        cause: Cause::Event(id(0)),
        body: ChangeBody::StageChanged { from, to, cause },
    });
    assert_eq!(StagePath::of(&moves), path(&[(1, PURCHASE), (9, HISTORICAL)]));
    assert_eq!(StagePath::of_changes(&changes), StagePath::of(&moves));
}

#[test]
fn cohorts_begin_at_midnight_on_mondays_and_on_the_first() {
    let at = Timestamp::parse("2024-02-29T23:59:59Z").unwrap();
    let begin = |by: CohortBy| by.cohort_of(at).to_string();
    assert_eq!(begin(CohortBy::Day), "2024-02-29T00:00:00Z");
    assert_eq!(begin(CohortBy::Week), "2024-02-26T00:00:00Z");
    assert_eq!(begin(CohortBy::Month), "2024-02-01T00:00:00Z");
    for by in [CohortBy::Day, CohortBy::Week, CohortBy::Month] {
        assert_eq!(by.cohort_of(Timestamp::MIN), Timestamp::MIN);
    }
}

#[test]
fn a_cohort_is_counted_step_by_step_within_its_window() {
    let base = [
        path(&[(0, PROSPECT), (3, INTENT), (8, PURCHASE)]),
        // Bought at once, went quiet, and came back.
        path(&[(2, PURCHASE), (12, HISTORICAL), (20, PURCHASE)]),
        // Bought only after the window.
        path(&[(4, PROSPECT), (34, PURCHASE)]),
        // Of February, whose window has not ended.
        path(&[(33, PROSPECT), (34, INTENT)]),
        // Before and after the period.
        path(&[(-1, PURCHASE)]),
        path(&[(40, PURCHASE)]),
    ];
    let period = Period { from: day(0), until: day(40) };
    let counted = cohorts(&base, period, Span::days(30), CohortBy::Month);
    let reached = |cohort: &Cohort| FunnelStep::ALL.map(|step| cohort.reached(step));
    assert_eq!(counted.keys().copied().collect::<Vec<_>>(), [day(0), day(31)]);
    let (january, february) = (&counted[&day(0)], &counted[&day(31)]);
    assert_eq!((reached(january), january.open), ([3, 2, 2, 1, 1], 0));
    assert_eq!((reached(february), february.open), ([1, 1, 0, 0, 0], 1));
    assert_eq!(january.rate_ppm(FunnelStep::Purchase), Some(666_667));
}

#[test]
fn each_stage_tells_how_many_it_let_go_on() {
    let base = [
        // Prospect from before the period: the window runs from its beginning.
        path(&[(-50, PROSPECT), (9, INTENT), (15, PURCHASE)]),
        // Too late for the window of ten days.
        path(&[(0, PROSPECT), (10, PURCHASE)]),
        // Still time when the period ends.
        path(&[(25, INTENT)]),
        // Gone quiet before the period, won back in it.
        path(&[(-100, PURCHASE), (-60, HISTORICAL), (5, PURCHASE)]),
        // Gone from prospect at the very instant at which the period begins.
        path(&[(-3, PROSPECT), (0, HISTORICAL)]),
    ];
    let period = Period { from: day(0), until: day(30) };
    let all = conversions(&base, period, Span::days(10), CohortBy::Month);
    let of = |stage| {
        all.values().map(|row| row.of(stage)).fold((0, 0, 0), |sum, Conversion { there, moved_on, open, .. }| {
            (sum.0 + there, sum.1 + moved_on, sum.2 + open)
        })
    };
    assert_eq!(of(Stage::Prospect), (2, 1, 0));
    assert_eq!(of(Stage::Intent), (2, 1, 1));
    assert_eq!(of(Stage::Purchase), (3, 0, 0));
    assert_eq!(of(Stage::Historical), (2, 1, 0));
    assert_eq!(all[&day(0)].of(Stage::Prospect).rate_ppm(), Some(0));
    assert_eq!(all[&day(0)].of(Stage::Historical).rate_ppm(), None);
}

#[test]
fn a_share_is_rounded_to_the_nearest_millionth() {
    assert_eq!(parts_per_million(1, 3), Some(333_333));
    assert_eq!(parts_per_million(2, 3), Some(666_667));
    assert_eq!(parts_per_million(1, 2_000_000), Some(1));
    assert_eq!(parts_per_million(u64::MAX, u64::MAX), Some(1_000_000));
    assert_eq!(parts_per_million(0, 0), None);
}

#[test]
fn a_matrix_counts_where_everybody_was_and_is() {
    let base = [
        path(&[(0, PROSPECT)]),
        path(&[(0, PROSPECT), (5, INTENT), (10, PURCHASE)]),
        path(&[(7, INTENT)]),
        path(&[(0, PURCHASE), (6, None)]),
        path(&[(11, PROSPECT)]),
    ];
    let matrix = TransitionMatrix::between(&base, day(1), day(10));
    assert_eq!(matrix.count(PROSPECT, PROSPECT), 1);
    assert_eq!(matrix.count(PROSPECT, PURCHASE), 1);
    assert_eq!(matrix.count(PROSPECT, INTENT), 0);
    assert_eq!(matrix.count(None, INTENT), 1);
    assert_eq!(matrix.count(PURCHASE, None), 1);
    assert_eq!(matrix.at_start(), StageSizes::new([1, 2, 0, 1, 0]));
    assert_eq!(matrix.at_end(), StageSizes::new([1, 1, 1, 1, 0]));
    assert_eq!(matrix.rate_ppm(PROSPECT, PURCHASE), Some(500_000));
    assert_eq!(matrix.rate_ppm(HISTORICAL, PURCHASE), None);
}

#[test]
fn a_forecast_goes_on_as_the_matrix_did_and_rounds_by_the_largest_remainder() {
    // Of 10 prospects 6 stayed, 1 showed intent, 3 bought; of 4 who bought 1 went quiet.
    let counts = [[0; 5], [0, 6, 1, 3, 0], [0; 5], [0, 0, 0, 3, 1], [0; 5]];
    let matrix = TransitionMatrix::from_counts(counts);
    assert_eq!(matrix.at_end(), StageSizes::new([0, 6, 1, 6, 1]));
    // 3.6, 1.6, 6.3 and 2.5; then 2.16, 1.96, 5.805 and 4.075.
    let expected = [StageSizes::new([0, 4, 2, 6, 2]), StageSizes::new([0, 2, 2, 6, 4])];
    assert_eq!(matrix.forecast(matrix.at_end(), 2, Newcomers::None), expected);

    let growing = TransitionMatrix::from_counts([[0, 2, 0, 0, 0], counts[1], counts[2], counts[3], counts[4]]);
    let sizes = growing.forecast(matrix.at_end(), 1, Newcomers::AsBefore);
    assert_eq!(sizes, [StageSizes::new([0, 6, 2, 6, 2])]);
    assert_eq!(growing.forecast(matrix.at_end(), 2, Newcomers::None), expected);
}

#[test]
fn who_has_a_rhythm_is_quiet_by_it() {
    // Gaps of 10, 10 and 30 days.
    let days = [0, 10, 20, 50];
    assert_eq!(deadline(&days, None), Some(day(110)));
    assert_eq!(deadline(&days, Some(rhythm(Typical::Median, 3))), Some(day(75)));
    // 50 days by 3, two and a half times: 41 days and 16 hours, above the bound.
    assert_eq!(deadline(&days, Some(rhythm(Typical::Mean, 3))), Some(day(90)));
    let wide = OwnRhythm { at_most: Span::days(400), ..rhythm(Typical::Mean, 3) };
    assert_eq!(deadline(&days, Some(wide)), Some(hour(50 * 24 + 41 * 24 + 16)));
    // Gaps of 10 and 20 days: 15 in the middle.
    assert_eq!(deadline(&[0, 10, 30], Some(rhythm(Typical::Median, 2))), Some(hour(30 * 24 + 900)));
    // Every day, and so the lower bound.
    assert_eq!(deadline(&[0, 1, 2, 3], Some(rhythm(Typical::Median, 1))), Some(day(10)));
}

#[test]
fn who_has_no_rhythm_yet_is_quiet_by_the_fixed_window() {
    assert_eq!(deadline(&[0, 10], Some(rhythm(Typical::Median, 2))), Some(day(70)));
    // Orders of one instant are one.
    assert_eq!(deadline(&[0, 10, 10], Some(rhythm(Typical::Median, 2))), Some(day(70)));
    assert_eq!(deadline(&[0, 10, 20], Some(rhythm(Typical::Median, 2))), Some(day(45)));
}

#[test]
fn only_the_newest_gaps_make_the_rhythm() {
    // A gap of 100 days, and then as many of 4 days as are looked at.
    let mut days = vec![-100];
    days.extend((0..=i64::from(GAPS_MAX)).map(|n| n * 4));
    let last = *days.last().unwrap();
    let mean = rhythm(Typical::Mean, GAPS_MAX);
    assert_eq!(deadline(&days, Some(mean)), Some(day(last + 10)));
}

#[test]
fn a_refund_changes_the_rhythm_with_the_orders_that_stand() {
    let name = |n: usize| OrderRef::new(format!("o{n}")).unwrap();
    let mut facts: Vec<(Timestamp, Fact)> = [0, 10, 20, 30]
        .into_iter()
        .enumerate()
        .map(|(n, at)| (day(at), Fact::from(OrderPlaced::new(eur(100)).with_order(name(n)))))
        .collect();
    let definitions = quiet(Some(OwnRhythm { at_most: Span::days(400), ..rhythm(Typical::Mean, 2) }));
    assert_eq!(folded(&facts, day(30), &definitions).lifecycle().deadline(), Some(day(55)));
    // Without the order of day 10 the gaps are 20 and 10 days: 37 days and 12 hours.
    facts.push((day(31), Fact::from(Refunded { order: Some(name(1)), amount: eur(100) })));
    assert_eq!(folded(&facts, day(31), &definitions).lifecycle().deadline(), Some(hour(30 * 24 + 37 * 24 + 12)));
    // Without that of day 30 as well there is one gap, and the fixed window from day 20.
    facts.push((day(32), Fact::from(Refunded { order: Some(name(3)), amount: eur(100) })));
    assert_eq!(folded(&facts, day(32), &definitions).lifecycle().deadline(), Some(day(80)));
}

#[test]
fn a_relation_that_the_shop_ended_is_historical_at_once_and_won_back_by_an_order() {
    let closed = KindName::new("account_closed").unwrap();
    let schema = KindSchema { ends_relation: true, ..KindSchema::default() };
    let mut definitions = quiet(None);
    let definition = Definition::Kind(closed.clone(), Some(schema));
    definitions.add(DefinitionVersion { from: day(0), definition }).unwrap();
    let enquiry = || Fact::from(Enquired { channel: Channel::Phone, subject: None });
    let ending = || Fact::from(CustomFact { kind: closed.clone(), fields: Default::default() });

    let mut facts = orders(&[0]);
    facts.push((day(5), enquiry()));
    facts.push((day(10), ending()));
    let state = folded(&facts, day(20), &definitions);
    let life = state.lifecycle();
    assert_eq!((life.stage(), life.since(), life.deadline()), (HISTORICAL, Some(day(10)), None));
    let moves = FactState::stage_moves(told(&facts), day(20), &definitions);
    assert_eq!(moves.last().map(|last| last.cause), Some(StageCause::Ended(id(2))));

    // The enquiry was before the end, so that it is no interest any more.
    let undone = [facts.as_slice(), &[(day(21), Fact::from(Refunded { order: None, amount: eur(100) }))]].concat();
    assert_eq!(folded(&undone, day(21), &definitions).lifecycle().stage(), PROSPECT);

    facts.extend(orders(&[30]));
    let path = StagePath::of(&FactState::stage_moves(told(&facts), day(31), &definitions));
    assert!(StageHistory::of(&path, day(31)).is_won_back());

    let asked = [(day(0), enquiry()), (day(1), ending())];
    assert_eq!(folded(&asked, day(1), &definitions).lifecycle().stage(), PROSPECT);
    assert_eq!(folded(&asked[1..], day(1), &definitions).lifecycle().stage(), PROSPECT);
}

#[test]
fn a_policy_from_before_there_were_rhythms_is_read() {
    let old = r#"{"intent_fades_after":1000,"quiet_after":2000}"#;
    let policy: LifecyclePolicy = serde_json::from_str(old).unwrap();
    assert_eq!(policy.own_rhythm, None);
    assert_eq!(serde_json::to_string(&policy).unwrap(), old);
    let new = LifecyclePolicy { own_rhythm: Some(rhythm(Typical::Median, 2)), ..policy.clone() };
    assert_eq!(serde_json::from_str::<LifecyclePolicy>(&serde_json::to_string(&new).unwrap()).unwrap(), new);
}

#[test]
fn a_rhythm_that_cannot_be_kept_is_refused() {
    let good = rhythm(Typical::Median, 2);
    let refused = |own_rhythm| {
        let policy = LifecyclePolicy { own_rhythm: Some(own_rhythm), ..LifecyclePolicy::default() };
        let version = DefinitionVersion { from: day(0), definition: Definition::Lifecycle(policy) };
        let answer = Definitions::default().add(version);
        if let Err(DefinitionError::Lifecycle(LifecycleError::Rhythm(error))) = answer { Some(error) } else { None }
    };
    assert_eq!(refused(good), None);
    let bounds = RhythmError::Bounds { at_least: Span::days(41), at_most: Span::days(40) };
    assert_eq!(refused(OwnRhythm { at_least: Span::days(41), ..good }), Some(bounds));
    assert_eq!(refused(OwnRhythm { times_percent: 0, ..good }), Some(RhythmError::Multiple));
    for gaps_min in [0, GAPS_MAX + 1] {
        assert_eq!(refused(OwnRhythm { gaps_min, ..good }), Some(RhythmError::Gaps { gaps_min }));
    }
}

fn stage() -> impl Strategy<Value = Option<Stage>> {
    proptest::sample::select(STAGES_AND_NONE.as_slice())
}

fn any_path() -> impl Strategy<Value = StagePath> {
    proptest::collection::vec((0..400_i64, stage()), 0..8)
        .prop_map(|steps| steps.into_iter().map(|(at, stage)| (hour(at), stage)).collect())
}

fn base() -> impl Strategy<Value = Vec<StagePath>> {
    proptest::collection::vec(any_path(), 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Nothing of a life is lost and nothing counts twice.
    #[test]
    fn dwell_times_add_up_to_the_life(path in any_path(), at in 0..500_i64) {
        let history = StageHistory::of(&path, hour(at));
        let dwelt: i64 = Stage::ALL.iter().map(|stage| history.at(*stage).dwell.as_millis()).sum();
        prop_assert_eq!(dwelt + history.without.dwell.as_millis(), history.life.as_millis());
        prop_assert_eq!(history.stage, path.at(hour(at)));
        let entries: u32 = Stage::ALL.iter().map(|stage| history.at(*stage).entries).sum();
        let stays = path.stays().filter(|stay| stay.from <= hour(at)).count();
        prop_assert_eq!((entries + history.without.entries) as usize, stays);
    }

    /// The rows come to the sizes at the start, the columns to those at the end.
    #[test]
    fn the_rows_of_a_matrix_sum_to_the_sizes(base in base(), start in 0..400_i64, length in 0..100_i64) {
        let (start, end) = (hour(start), hour(start + length));
        let matrix = TransitionMatrix::between(&base, start, end);
        for stage in STAGES_AND_NONE.into_iter().filter(Option::is_some) {
            let at = |instant| base.iter().filter(|path| path.at(instant) == stage).count() as u64;
            prop_assert_eq!(matrix.at_start().of(stage), at(start));
            prop_assert_eq!(matrix.at_end().of(stage), at(end));
        }
        prop_assert_eq!(matrix.at_start().total(), matrix.at_end().total());
    }

    /// Nobody is lost and nobody is made, however many periods ahead.
    #[test]
    fn a_forecast_preserves_the_total(
        counts in proptest::array::uniform5(proptest::array::uniform5(prop_oneof![0..4_u32, any::<u32>()])),
        sizes in proptest::array::uniform5(0..1_000_000_000_000_u64),
        periods in 0..30_u16,
    ) {
        let matrix = TransitionMatrix::from_counts(counts);
        let from = StageSizes::new(sizes);
        let closed = matrix.forecast(from, periods, Newcomers::None);
        prop_assert_eq!(closed.len(), usize::from(periods));
        for sizes in closed {
            prop_assert_eq!(sizes.total(), from.total());
        }
        let new: u128 = counts[0][1..].iter().map(|count| u128::from(*count)).sum();
        for (n, sizes) in (1..).zip(matrix.forecast(from, periods, Newcomers::AsBefore)) {
            prop_assert_eq!(sizes.total(), from.total() + n * new);
        }
    }

    /// One period ahead of where it was measured from, a base is where it was measured to.
    #[test]
    fn one_period_from_the_start_is_the_end(counts in proptest::array::uniform5(proptest::array::uniform5(any::<u32>()))) {
        let mut counts = counts;
        counts[0] = [0; 5];
        let matrix = TransitionMatrix::from_counts(counts);
        prop_assert_eq!(matrix.forecast(matrix.at_start(), 1, Newcomers::None), vec![matrix.at_end()]);
    }

    /// Along the funnel there are never more, and everybody new is in one cohort.
    #[test]
    fn a_funnel_never_widens(base in base(), from in 0..300_i64, length in 0..200_i64, window in 0..300_u64) {
        let period = Period { from: hour(from), until: hour(from + length) };
        let window = Span::millis(window * 3_600_000);
        let counted = cohorts(&base, period, window, CohortBy::Day);
        for cohort in counted.values() {
            for steps in FunnelStep::ALL.windows(2) {
                prop_assert!(cohort.reached(steps[0]) >= cohort.reached(steps[1]));
            }
            prop_assert!(cohort.open <= cohort.size());
        }
        let new = |path: &&StagePath| path.first_contact().is_some_and(|at| period.from <= at && at < period.until);
        prop_assert_eq!(counted.values().map(Cohort::size).sum::<u64>(), base.iter().filter(new).count() as u64);
        for row in conversions(&base, period, window, CohortBy::Week).values() {
            for stage in Stage::ALL {
                let of = row.of(stage);
                prop_assert!(of.moved_on + of.open <= of.there);
            }
        }
    }

    /// The alarm is at the very instant at which a customer becomes historical, by gaps counted on one's fingers.
    #[test]
    fn the_alarm_of_a_rhythm_is_exact(
        hours in proptest::collection::btree_set(0..2_000_i64, 1..20),
        median in any::<bool>(),
        gaps_min in 1..5_u8,
    ) {
        let typical = if median { Typical::Median } else { Typical::Mean };
        let rule = rhythm(typical, gaps_min);
        let definitions = quiet(Some(rule));
        let facts: Vec<_> = hours.iter().map(|at| (hour(*at), Fact::from(OrderPlaced::new(eur(100))))).collect();
        let hours: Vec<i64> = hours.into_iter().collect();
        let mut gaps: Vec<i64> = hours.windows(2).map(|pair| (pair[1] - pair[0]) * 3_600_000).collect();
        gaps.sort_unstable();
        let n = gaps.len();
        let window = if n < usize::from(gaps_min) {
            Span::days(60).as_millis()
        } else {
            let typical = if median { (gaps[(n - 1) / 2] + gaps[n / 2]) / 2 } else { gaps.iter().sum::<i64>() / n as i64 };
            (typical * 5 / 2).clamp(Span::days(7).as_millis(), Span::days(40).as_millis())
        };
        let last = hour(*hours.last().unwrap());
        let due = Timestamp::from_millis(last.as_millis() + window).unwrap();
        prop_assert_eq!(folded(&facts, last, &definitions).lifecycle().deadline(), Some(due));
        let just_before = due.minus(Span::millis(1));
        prop_assert_eq!(folded(&facts, just_before, &definitions).lifecycle().stage(), PURCHASE);
        prop_assert_eq!(folded(&facts, due, &definitions).lifecycle().stage(), HISTORICAL);
    }

    /// The moves of a fold lead to its stage, each from where the one before led to.
    #[test]
    fn the_moves_of_a_fold_lead_to_its_stage(kinds in proptest::collection::vec((0..2_000_i64, 0..3_u8), 0..20)) {
        let definitions = quiet(Some(rhythm(Typical::Median, 1)));
        let facts: Vec<_> = kinds
            .into_iter()
            .map(|(at, kind)| {
                let fact = match kind {
                    0 => Fact::from(OrderPlaced::new(eur(100))),
                    1 => Fact::from(Refunded { order: None, amount: eur(100) }),
                    _ => Fact::from(Enquired { channel: Channel::Phone, subject: None }),
                };
                (hour(at), fact)
            })
            .collect();
        let moves = FactState::stage_moves(told(&facts), hour(2_500), &definitions);
        let stage = folded(&facts, hour(2_500), &definitions).lifecycle().stage();
        prop_assert_eq!(moves.last().and_then(|last| last.to), stage);
        prop_assert_eq!(StagePath::of(&moves).at(hour(2_500)), stage);
        prop_assert!(moves.first().is_none_or(|first| first.from.is_none()));
        prop_assert!(moves.windows(2).all(|pair| pair[0].to == pair[1].from));
    }
}
