//! Scores that a purpose bars: whoever objects to what a score was made for, or to what its plugin is for by now, is not
//! judged by it, in states and in stores alike.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Attribute, Barred, Channel, ConsentPolicy, Currency, CustomerId, Definition, DerivedIds, Digest, ExternalSystem,
    Fact, Grants, Identifier, Incoming, ManualClock, MemoryStore, Money, Names, Objected, Objection,
    ObjectionWithdrawn, OrderPlaced, PluginFault, PluginName, PluginStamp, Purpose, ScoreBatch, ScoreName, ScoreOutput,
    ScoreTerms, Scorer, SegmentName, SmolStr, Source, Span, Store, Timestamp, Visited,
};

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::days(day))
}

fn worth() -> ScoreName {
    ScoreName { plugin: PluginName::new("worth").unwrap(), output: ScoreOutput::new("sum").unwrap() }
}

fn dear() -> SegmentName {
    SegmentName::new("dear").unwrap()
}

fn marketing() -> Purpose {
    Purpose::new("marketing").unwrap()
}

fn for_marketing() -> Grants {
    let mut grants = Grants::all();
    grants.purpose = Some(marketing());
    grants
}

/// What was spent, in hundreds.
#[derive(Debug)]
struct Worth(PluginStamp, [SmolStr; 1], Option<Grants>);

impl Worth {
    fn granted(grants: Option<Grants>) -> Self {
        let stamp = PluginStamp { name: worth().plugin, version: "1".into(), digest: Digest::of(b"worth") };
        Worth(stamp, ["sum".into()], grants)
    }
}

impl Scorer for Worth {
    fn stamp(&self) -> &PluginStamp {
        &self.0
    }

    fn attributes(&self) -> &[Attribute] {
        &[Attribute::Spend, Attribute::Visits]
    }

    fn outputs(&self) -> &[SmolStr] {
        &self.1
    }

    fn grants(&self) -> Option<&Grants> {
        self.2.as_ref()
    }

    fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
        Ok(vec![batch.columns[0].iter().map(|spent| spent.map(|spent| spent as f64 / 100.0)).collect()])
    }
}

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
}

impl Shop {
    fn over(store: Arc<dyn Store>) -> Self {
        let clock = Arc::new(ManualClock::at(day(1)));
        let crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds).shared_store(store).build();
        Shop { crm: Crm::from(crm), clock }
    }

    fn tell(&self, who: &str, on: u32, fact: impl Into<Fact>) -> CustomerId {
        self.clock.set(day(on));
        let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), who).unwrap();
        self.crm.record(Incoming::new(who, day(on), Source::new("shop").unwrap(), fact)).unwrap().customer
    }

    fn order(&self, who: &str, on: u32, minor: i64) -> CustomerId {
        self.tell(who, on, OrderPlaced::new(Money::new(minor, Currency::EUR)))
    }

    fn visit(&self, who: &str, on: u32) {
        self.tell(who, on, Visited { channel: Channel::Web, place: None });
    }

    fn score(&self, on: u32, grants: Option<Grants>) -> crm::ScoreReport {
        self.clock.set(day(on));
        self.crm.score(&mut Worth::granted(grants), day(on)).unwrap()
    }

    fn define(&self, on: u32, definition: Definition) {
        self.clock.set(self.crm.now().max(day(on)));
        self.crm.define(day(on), definition).unwrap();
    }

    fn declare(&self) {
        self.define(0, Definition::Scorer(worth().plugin, Some([worth().output].into())));
    }

    /// The segment of those who are worth more than five.
    fn ask(&self) {
        self.declare();
        let rule = self.crm.rule(r#"score("worth") > 5.0"#).unwrap();
        self.define(0, Definition::Segment(dear(), Some(rule)));
    }

    /// Two whose scores were made for marketing, which was said when the plugin was loaded, or by a definition; and what
    /// was said when it was loaded.
    fn scored_for_marketing(&self, loaded: bool) -> ([CustomerId; 2], Option<Grants>) {
        self.ask();
        let all = [self.order("ana", 1, 900), self.order("ben", 1, 900)];
        if !loaded {
            self.define(2, Definition::Grants(worth().plugin, Some(Box::new(for_marketing()))));
        }
        let grants = loaded.then(for_marketing);
        assert_eq!(self.score(10, grants.clone()).scored, 2);
        (all, grants)
    }

    fn selected(&self, text: &str) -> BTreeSet<CustomerId> {
        let rule = self.crm.rule(text).unwrap();
        let all = self.crm.select(&rule, None, 10).unwrap().customers.into_iter().collect::<BTreeSet<_>>();
        assert_eq!(self.crm.count(&rule).unwrap(), all.len() as u64, "{text}");
        all
    }

    /// Who is dear as states have it.
    fn noted(&self, all: &[CustomerId]) -> BTreeSet<CustomerId> {
        let is_in = |id: &&CustomerId| self.crm.customer(**id).unwrap().unwrap().standing().is_in(&dear());
        all.iter().filter(is_in).copied().collect()
    }

    /// Who is dear, however that is asked.
    fn dear(&self, all: &[CustomerId]) -> BTreeSet<CustomerId> {
        let noted = self.noted(all);
        assert_eq!(self.selected(r#"score("worth") > 5.0"#), noted);
        assert_eq!(self.selected(r#"known(score("worth"))"#), noted);
        assert_eq!(self.selected(r#"segment("dear")"#), noted);
        let without: BTreeSet<_> = all.iter().filter(|id| !noted.contains(id)).copied().collect();
        assert_eq!(self.selected(r#"!known(score("worth"))"#), without);
        assert!(self.selected(r#"!(score("worth") > 5.0)"#).is_empty(), "of whom there is none it is not known");
        noted
    }

    fn barred(&self, id: CustomerId) -> Option<Barred> {
        self.crm.explain_score(id, &worth()).unwrap().unwrap().barred
    }
}

fn over_each_store(check: impl Fn(&Shop)) {
    check(&Shop::over(Arc::new(MemoryStore::new())));
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        check(&Shop::over(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap())));
    }
}

#[test]
fn whoever_objects_to_what_a_score_was_made_for_is_not_judged_by_it_until_they_do_no_more() {
    for loaded in [true, false] {
        over_each_store(|shop| {
            let (all, grants) = shop.scored_for_marketing(loaded);
            let [ana, ben] = all;
            assert_eq!(shop.dear(&all), all.into());
            shop.tell("ana", 12, Objected { to: Objection::Marketing });
            assert_eq!(shop.dear(&all), [ben].into());
            let objected = Barred::Objected { to: Objection::Marketing, since: day(12) };
            assert_eq!((shop.barred(ana), shop.barred(ben)), (Some(objected), None));
            let left = shop.crm.story(ana).unwrap().unwrap().changes.pop().unwrap();
            assert!(matches!(left.body, crm::ChangeBody::SegmentLeft { .. }), "{left:?}");
            assert_eq!((shop.score(13, grants).skipped, shop.dear(&all)), (1, [ben].into()));
            shop.tell("ana", 14, ObjectionWithdrawn { to: Objection::Marketing });
            assert_eq!((shop.dear(&all), shop.barred(ana)), (all.into(), None));
        });
    }
}

#[test]
fn a_score_for_no_purpose_counts_whatever_somebody_says_of_marketing() {
    over_each_store(|shop| {
        shop.ask();
        let all = [shop.order("ana", 1, 900)];
        shop.score(10, None);
        shop.tell("ana", 12, Objected { to: Objection::Marketing });
        assert_eq!((shop.dear(&all), shop.barred(all[0])), (all.into(), None));
    });
}

#[test]
fn a_purpose_that_the_policy_does_not_have_any_more_bars_the_scores_that_were_made_for_it() {
    for loaded in [true, false] {
        over_each_store(|shop| {
            let (all, _) = shop.scored_for_marketing(loaded);
            let [ana, _] = all;
            let mut policy = ConsentPolicy::default();
            policy.purposes.retain(|rule| rule.purpose != marketing());
            shop.define(20, Definition::Consent(policy));
            assert_eq!(shop.barred(ana), Some(Barred::UnknownPurpose { purpose: marketing() }));
            assert!(shop.selected(r#"score("worth") > 5.0"#).is_empty(), "a rule is asked by what is defined now");
            shop.visit("ana", 21);
            assert!(!shop.noted(&all).contains(&ana), "who is there follows with the next event");
            shop.crm.refresh().unwrap();
            assert!(shop.dear(&all).is_empty(), "and all do at once where that is asked for");
        });
    }
}

#[test]
fn what_a_plugin_is_for_by_now_counts_as_well_as_what_a_score_was_made_for() {
    over_each_store(|shop| {
        shop.ask();
        let all = [shop.order("ana", 1, 900), shop.order("ben", 1, 900)];
        let [_, ben] = all;
        shop.score(10, None);
        shop.tell("ana", 12, Objected { to: Objection::Marketing });
        shop.define(20, Definition::Grants(worth().plugin, Some(Box::new(for_marketing()))));
        assert_eq!(shop.selected(r#"score("worth") > 5.0"#), [ben].into());
        shop.visit("ana", 21);
        assert_eq!(shop.dear(&all), [ben].into());
        // Scores of before are as they were made when the plugin is for nothing any more.
        shop.define(22, Definition::Grants(worth().plugin, None));
        shop.visit("ana", 23);
        assert_eq!(shop.dear(&all), all.into());
    });
}

#[test]
fn a_question_that_no_definition_asks_goes_by_what_the_rows_were_made_for() {
    over_each_store(|shop| {
        shop.declare();
        let all = [shop.order("ana", 1, 900), shop.order("ben", 1, 900)];
        let [ana, ben] = all;
        shop.score(10, Some(for_marketing()));
        shop.tell("ana", 12, Objected { to: Objection::Marketing });
        assert_eq!(shop.selected(r#"score("worth") > 5.0"#), [ben].into());
        assert_eq!(shop.selected(r#"!known(score("worth"))"#), [ana].into());
        // A rule that comes later has the rows as well.
        shop.ask();
        shop.crm.fill(|_| ()).unwrap();
        assert_eq!(shop.dear(&all), [ben].into());
    });
}

#[test]
fn what_a_score_was_made_for_and_what_was_withheld_is_shown_with_it_and_goes_along_with_an_export() {
    over_each_store(|shop| {
        shop.ask();
        let ana = shop.order("ana", 1, 900);
        let mut grants = for_marketing();
        grants.features = Names::these(["spend", "orders"]);
        shop.score(10, Some(grants.clone()));
        let why = shop.crm.explain_score(ana, &worth()).unwrap().unwrap();
        let terms = ScoreTerms { purposes: [marketing()].into(), withheld: ["visits".into()].into() };
        assert_eq!((why.terms.as_ref(), why.recorded_at), (Ok(&terms), Some(day(10))));
        shop.clock.set(day(11));
        let again = shop.crm.score(&mut Worth::granted(Some(grants)), day(10)).unwrap();
        assert_eq!((again.scored, again.known), (0, 1), "the same again is known, whenever it was kept");
        let export = shop.crm.export(ana).unwrap().unwrap();
        let other = Shop::over(Arc::new(MemoryStore::new()));
        other.clock.set(day(11));
        other.ask();
        // What is refused leaves nothing behind, and says nothing of the plugin either.
        let mut spoiled = export.clone();
        spoiled["digest"] = "00".repeat(32).into();
        assert!(other.crm.import(&spoiled).is_err());
        let is_noted = || other.crm.definitions().unwrap().has_purposes(&worth().plugin);
        assert!(!is_noted());
        other.crm.import(&export).unwrap();
        assert!(is_noted());
        let explained = |shop: &Shop| shop.crm.explain_score(ana, &worth()).unwrap();
        assert_eq!(explained(&other), explained(shop));
        let more = shop.crm.score(&mut Worth::granted(Some(Grants::all())), day(10)).unwrap();
        assert_eq!(more.scored, 1, "under other terms it is another score");
    });
}
