//! Laws of consent: neither the order in which things became known nor the order of members counts, the
//! strictest word does, and nothing that is taken over makes a yes of what was none.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use crm_core::change::{Cause, Change, ChangeBody};
use crm_core::consent::{
    Arrival, Barred, Basis, Cap, Choice, ConsentBook, ConsentError, ConsentGiven, ConsentKey, ConsentPolicy,
    ConsentRefused, ConsentRequested, ConsentStatus, ConsentWithdrawn, ContactQuery, Contacted, Evidence, LocalTime,
    Locale, Method, Objected, Objection, ObjectionWithdrawn, Original, PolicyError, Proof, Purpose, PurposeRule,
    QuietHours, Restricted, RestrictionLifted, Scope, Unproved, Which, Wording, check,
};
use crm_core::customer::{Customer, FactState};
use crm_core::event::{EventBody, Fact, Voided};
use crm_core::identity::{Identifier, IdentifierKey, Join, LookupKey};
use crm_core::interaction::Channel;
use crm_core::{
    AlarmKind, CustomerId, Definition, DefinitionVersion, Definitions, Digest, EventId, Source, Span, TenantId,
    Timestamp,
};
use proptest::prelude::*;

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour * 3_600_000).unwrap()
}

fn id(n: usize) -> EventId {
    EventId::of_fact(&TenantId::default(), &Source::new("test").unwrap(), &n.to_string())
}

fn purpose(name: &str) -> Purpose {
    Purpose::new(name).unwrap()
}

fn address() -> IdentifierKey {
    LookupKey::public().hash(&TenantId::default(), &Identifier::email("ana@example.com").unwrap())
}

fn wording() -> Wording {
    let (version, locale) = ("2026-01".parse().unwrap(), Locale::new("de-AT").unwrap());
    Wording { version, sha256: Digest::of(b"Yes, please."), locale }
}

fn proof(method: Method) -> Proof {
    Proof::new(method, wording(), "shop".parse().unwrap())
}

fn confirmed() -> Proof {
    proof(Method::DoubleOptIn).with_evidence(Evidence::new("request-7").unwrap())
}

fn original(method: Method, at: Timestamp) -> Original {
    Original { method, at, collected_by: "old shop".parse().unwrap() }
}

/// `news` takes double opt-in by e-mail, lasts 300 hours unused, and has two brands; `offers` is opt-out;
/// `parcel` is transactional.
fn policy() -> ConsentPolicy {
    ConsentPolicy {
        purposes: vec![
            PurposeRule { lasts: Some(Span::millis(300 * 3_600_000)), ..PurposeRule::marketing(purpose("news")) },
            PurposeRule::existing_customers(purpose("offers")),
            PurposeRule::transactional(purpose("parcel")),
        ],
        scopes: vec![Scope::new("a").unwrap(), Scope::new("b").unwrap()],
        quiet_hours: Vec::new(),
        ..ConsentPolicy::default()
    }
}

fn define(policy: ConsentPolicy) -> Definitions {
    let mut definitions = Definitions::default();
    definitions.add(DefinitionVersion { from: Timestamp::MIN, definition: Definition::Consent(policy) }).unwrap();
    definitions
}

fn definitions() -> Definitions {
    define(ConsentPolicy { caps: vec![Cap::overall(3, Span::days(2))], ..policy() })
}

fn any_purpose() -> impl Strategy<Value = Purpose> {
    prop_oneof![4 => Just("news"), 2 => Just("offers"), 1 => Just("parcel")].prop_map(purpose)
}

fn any_channel() -> impl Strategy<Value = Channel> {
    prop_oneof![3 => Just(Channel::Email), 2 => Just(Channel::Sms), 1 => Just(Channel::Phone)]
}

fn any_scope() -> impl Strategy<Value = Option<Scope>> {
    prop_oneof![4 => Just(None), 1 => Just(Some("a")), 1 => Just(Some("b"))]
        .prop_map(|scope| scope.map(|scope| Scope::new(scope).unwrap()))
}

fn any_key() -> impl Strategy<Value = ConsentKey> {
    (any_purpose(), any_channel(), any_scope()).prop_map(|(purpose, channel, scope)| ConsentKey {
        purpose,
        channel,
        scope,
    })
}

fn which<T: Clone + std::fmt::Debug>(one: impl Strategy<Value = T>) -> impl Strategy<Value = Which<T>> {
    (one, 0..4_u8).prop_map(|(one, n)| if n == 0 { Which::All } else { Which::One(one) })
}

fn any_no() -> impl Strategy<Value = Fact> {
    (which(any_purpose()), which(any_channel()), any_scope(), any::<bool>()).prop_map(
        |(purpose, channel, scope, took)| {
            let how = Method::Reply;
            match took {
                true => Fact::from(ConsentWithdrawn { purpose, channel, scope, how }),
                false => Fact::from(ConsentRefused { purpose, channel, scope, how }),
            }
        },
    )
}

fn given(key: ConsentKey, proof: Proof) -> ConsentGiven {
    let ConsentKey { purpose, channel, scope } = key;
    let basis = match purpose.as_str() {
        "news" => Basis::Consent,
        "offers" => Basis::LegitimateInterests,
        _ => Basis::Contract,
    };
    ConsentGiven { scope, basis, ..ConsentGiven::new(purpose, channel, proof) }
}

fn requested(key: ConsentKey, confirm_by: Timestamp) -> ConsentRequested {
    let ConsentGiven { purpose, channel, scope, basis, proof, .. } = given(key, proof(Method::Form));
    ConsentRequested { purpose, channel, scope, basis, address: address(), proof, confirm_by }
}

/// What a shop can tell as it happens, by the hour; some of it about what came before.
fn any_fact() -> impl Strategy<Value = (i64, Fact)> {
    (0..600_i64).prop_flat_map(|at| {
        let what = prop_oneof![
            4 => (any_key(), any::<bool>(), proptest::option::of(1..200_i64)).prop_map(move |(key, twice, lasts)| {
                let proof = if twice { confirmed() } else { proof(Method::Form) };
                Fact::from(ConsentGiven { expires_at: lasts.map(|lasts| hour(at + lasts)), ..given(key, proof) })
            }),
            2 => (any_key(), 1..100_i64).prop_map(move |(key, valid)| Fact::from(requested(key, hour(at + valid)))),
            3 => any_no(),
            2 => any_key().prop_map(|ConsentKey { purpose, channel, scope }| {
                Fact::from(Contacted { purpose, channel, scope })
            }),
            1 => prop_oneof![
                Just(Fact::from(Restricted { reason: None })),
                Just(Fact::from(RestrictionLifted { reason: None })),
                Just(Fact::from(Objected { to: Objection::Marketing })),
                Just(Fact::from(ObjectionWithdrawn { to: Objection::Marketing })),
            ],
        ];
        what.prop_map(move |fact| (at, fact))
    })
}

fn ana() -> CustomerId {
    CustomerId::new(hour(0), [1; 10])
}

fn replayed(facts: &[(EventId, Timestamp, Fact)], until: Timestamp, definitions: &Definitions) -> Customer {
    let events: Vec<_> = facts.iter().map(|(id, at, fact)| (*id, *at, EventBody::Fact(fact.clone()))).collect();
    Customer::replay(ana(), events.iter().map(|(id, at, body)| (ana(), *id, *at, body)), until, definitions)
}

fn numbered(facts: Vec<(i64, Fact)>) -> Vec<(EventId, Timestamp, Fact)> {
    facts.into_iter().enumerate().map(|(n, (at, fact))| (id(n), hour(at), fact)).collect()
}

fn member(n: u8) -> CustomerId {
    CustomerId::new(hour(0), [n; 10])
}

fn join(at: i64, one: &[u8], other: &[u8]) -> Join {
    let [one, other] = [one, other].map(|side| side.iter().map(|n| member(*n)).collect());
    Join { at: hour(at), one, other }
}

/// The book of facts that came through one of two members each.
fn book(facts: &[(bool, EventId, Timestamp, Fact)], swapped: bool, definitions: &Definitions) -> ConsentBook {
    let facts: Vec<_> =
        facts.iter().map(|(first, id, at, fact)| (u8::from(*first != swapped), *id, *at, fact.clone())).collect();
    book_of(&facts, definitions)
}

/// The book of facts that came through several members.
fn book_of(facts: &[(u8, EventId, Timestamp, Fact)], definitions: &Definitions) -> ConsentBook {
    let facts = facts.iter().map(|(by, id, at, fact)| (member(*by), *id, *at, fact));
    FactState::refold(facts, Timestamp::MAX, definitions).consents().clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Any order of arrival gives the same state, with voided facts too, and a stored state is the same.
    #[test]
    fn the_order_of_arrival_does_not_matter(
        facts in proptest::collection::vec(any_fact(), 0..30),
        voids in proptest::collection::vec((0..30_usize, 0..600_i64), 0..3),
        order in any::<prop::sample::Index>(),
    ) {
        let definitions = definitions();
        let mut facts = facts;
        facts.extend(voids.into_iter().map(|(n, at)| (at, Fact::from(Voided { event: id(n), reason: None }))));
        let facts = numbered(facts);
        let expected = replayed(&facts, hour(1_000), &definitions);
        let mut turned = facts.clone();
        if !turned.is_empty() {
            let middle = order.index(turned.len());
            turned.rotate_left(middle);
            turned.reverse();
        }
        prop_assert_eq!(&replayed(&turned, hour(1_000), &definitions), &expected);
        // One by one, folding anew only where that is called for.
        let mut customer = Customer::new(ana());
        let mut moves = Vec::new();
        for (n, (id, at, fact)) in turned.iter().enumerate() {
            if customer.facts().takes(*id, *at, fact) {
                customer.fold_fact(ana(), *id, *at, fact, &definitions, &mut moves);
            } else {
                customer.refold(turned[..=n].iter().map(|(id, at, fact)| (ana(), *id, *at, fact)), *at, &definitions);
            }
        }
        prop_assert_eq!(customer.facts().consents(), expected.facts().consents());
        let state = expected.encode();
        let read = Customer::decode(crm_core::customer::STATE_SHAPE, &state, &expected.sets(), &definitions);
        prop_assert_eq!(read.unwrap(), expected);
    }

    /// Which of two members is which does not matter; the strictest of them counts, and silence does not.
    #[test]
    fn the_strictest_member_counts_whichever_it_is(
        facts in proptest::collection::vec((any::<bool>(), any_fact()), 0..24),
        key in any_key(),
        at in 0..900_i64,
        merged in proptest::option::of(0..600_i64),
    ) {
        let definitions = definitions();
        let facts: Vec<_> =
            facts.into_iter().enumerate().map(|(n, (first, (at, fact)))| (first, id(n), hour(at), fact)).collect();
        // A message uses the consent of the whole customer, through whomever it went: apart they cannot be told.
        let facts: Vec<_> = facts.into_iter().filter(|fact| !matches!(fact.3, Fact::Contacted(_))).collect();
        let (both, swapped) = (book(&facts, false, &definitions), book(&facts, true, &definitions));
        let merged = &merged.map(|at| join(at, &[0], &[1])).into_iter().collect::<Vec<_>>();
        for transactional in [false, true] {
            let standing = both.standing(&key, merged, hour(at), transactional);
            prop_assert_eq!(&standing, &swapped.standing(&key, merged, hour(at), transactional));
            let alone = |first: bool| {
                let own: Vec<_> = facts.iter().filter(|fact| fact.0 == first).cloned().collect();
                book(&own, false, &definitions).standing(&key, &[], hour(at), transactional)
            };
            let (one, other) = (alone(true), alone(false));
            let apart = both.standing(&key, &[], hour(at), transactional);
            prop_assert_eq!(apart.refused, one.refused || other.refused);
            if apart.status == ConsentStatus::Granted {
                for member in [&one, &other] {
                    use ConsentStatus::{Granted, Pending, Unknown};
                    prop_assert!(matches!(member.status, Granted | Pending | Unknown) && !member.refused, "{member:?}");
                }
            }
            for (member, silent) in [(&one, &other), (&other, &one)] {
                if silent.status == ConsentStatus::Unknown {
                    prop_assert_eq!(member, &apart);
                }
            }
        }
        prop_assert_eq!(both.restricted(merged), swapped.restricted(merged));
        prop_assert_eq!(both.objects(Objection::Marketing, merged), swapped.objects(Objection::Marketing, merged));
    }

    /// A yes of either member after the merge covers both, unless a no came later still.
    #[test]
    fn a_yes_after_the_merge_covers_all(
        before in proptest::collection::vec((any::<bool>(), any_fact()), 0..16),
        first in any::<bool>(),
        key in any_key(),
        no in proptest::option::of(any::<bool>()),
    ) {
        let definitions = definitions();
        let mut facts: Vec<_> =
            before.into_iter().enumerate().map(|(n, (first, (at, fact)))| (first, id(n), hour(at), fact)).collect();
        facts.push((first, id(100), hour(700), Fact::from(given(key.clone(), confirmed()))));
        if let Some(member) = no {
            let no = ConsentWithdrawn::new(key.purpose.clone(), Which::All, Method::Call);
            facts.push((member, id(101), hour(710), no.into()));
        }
        let status = book(&facts, false, &definitions).standing(&key, &[join(650, &[0], &[1])], hour(720), false).status;
        let expected = if no.is_some() { ConsentStatus::Withdrawn } else { ConsentStatus::Granted };
        prop_assert_eq!(status, expected);
    }

    /// Merging comes to the stricter of the two as they stood, whatever covered what before; in which order those
    /// come together who come together at one time does not matter, nor does their coming together twice.
    #[test]
    fn merging_comes_to_the_stricter_of_the_two_as_they_stood(
        facts in proptest::collection::vec((0..3_u8, any_fact()), 0..24),
        key in any_key(),
        first in 0..600_i64,
        at in 600..900_i64,
    ) {
        let definitions = definitions();
        // A message uses the consent of the whole customer, through whomever it went: apart they cannot be told.
        let facts: Vec<_> = facts
            .into_iter()
            .enumerate()
            .map(|(n, (by, (at, fact)))| (by, id(n), hour(at), fact))
            .filter(|fact| !matches!(fact.3, Fact::Contacted(_)))
            .collect();
        let of = |members: &[u8]| -> Vec<_> {
            facts.iter().filter(|(by, ..)| members.contains(by)).cloned().collect()
        };
        let two = [join(first, &[0], &[1])];
        let all = [two[0].clone(), join(600, &[0, 1], &[2])];
        let (pair, third) = (book_of(&of(&[0, 1]), &definitions), book_of(&of(&[2]), &definitions));
        let whole = book_of(&facts, &definitions);
        for transactional in [false, true] {
            let pair = pair.standing(&key, &two, hour(at), transactional);
            let third = third.standing(&key, &[], hour(at), transactional);
            let whole_now = whole.standing(&key, &all, hour(at), transactional);
            prop_assert_eq!(whole_now.refused, pair.refused || third.refused);
            for (one, silent) in [(&pair, &third), (&third, &pair)] {
                if silent.status == ConsentStatus::Unknown {
                    prop_assert_eq!(one, &whole_now);
                }
            }
            if whole_now.status == ConsentStatus::Granted {
                for side in [&pair, &third] {
                    use ConsentStatus::{Granted, Pending, Unknown};
                    prop_assert!(matches!(side.status, Granted | Pending | Unknown) && !side.refused, "{side:?}");
                }
            }
            let orders = [
                [join(first, &[0], &[1]), join(first, &[0, 1], &[2])],
                [join(first, &[1], &[2]), join(first, &[1, 2], &[0])],
                [join(first, &[2], &[0]), join(first, &[1], &[0, 2])],
            ];
            for order in &orders {
                let twice = [order.as_slice(), order.as_slice()].concat();
                for joins in [order.as_slice(), twice.as_slice()] {
                    prop_assert_eq!(
                        whole.standing(&key, joins, hour(at), transactional),
                        whole.standing(&key, &orders[0], hour(at), transactional)
                    );
                    prop_assert_eq!(whole.restricted(joins), whole.restricted(&orders[0]));
                }
            }
        }
        let objects = |book: &ConsentBook, joins: &[Join]| book.objects(Objection::Marketing, joins);
        let sides = [objects(&pair, &two), objects(&third, &[])];
        prop_assert_eq!(objects(&whole, &all), sides.into_iter().flatten().min());
    }

    /// A no is heard whatever came before it, and time alone never makes a yes.
    #[test]
    fn time_alone_never_makes_a_yes(
        facts in proptest::collection::vec(any_fact(), 0..24),
        key in any_key(),
        at in 600..900_i64,
        later in 0..900_i64,
    ) {
        let definitions = definitions();
        let customer = replayed(&numbered(facts), hour(600), &definitions);
        let status = |at| customer.consent(&key, hour(at), &definitions).status;
        if status(at) != ConsentStatus::Granted {
            prop_assert_ne!(status(at + later), ConsentStatus::Granted);
        }
    }
}

/// What comes as history, or says it was imported, and proves nothing: whatever else it may be.
fn unproved() -> impl Strategy<Value = (i64, bool, Fact)> {
    let lame = |n: u8, at: i64| match n {
        0 => proof(Method::Import),
        1 => proof(Method::Import).first_given(original(Method::Form, hour(at - 1))),
        2 => proof(Method::Import).first_given(original(Method::Import, hour(at))),
        3 => proof(Method::Import).first_given(original(Method::DoubleOptIn, hour(at))),
        _ => proof(Method::Paper),
    };
    let yes = (0..600_i64, any_key(), 0..5_u8).prop_map(move |(at, key, n)| {
        // A paper is as good as any proof as it is signed, but not as history.
        (at, n == 4, Fact::from(given(key, lame(n, at))))
    });
    let asked = (0..600_i64, any_key(), 1..400_i64)
        .prop_map(|(at, key, valid)| (at, true, Fact::from(requested(key, hour(at + valid)))));
    let other = (any_fact(), any::<bool>()).prop_map(|((at, fact), quiet)| (at, quiet, fact));
    let not_a_yes = other.prop_filter("no yes", |(_, _, fact)| !matches!(fact, Fact::ConsentGiven(_)));
    prop_oneof![4 => yes, 1 => asked, 2 => not_a_yes]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12_000))]

    /// Whatever is imported without proof, what was not granted is not granted afterwards.
    #[test]
    fn imports_without_proof_never_make_a_yes(
        lived in proptest::collection::vec(any_fact(), 0..12),
        imported in proptest::collection::vec(unproved(), 1..12),
        keys in proptest::collection::vec(any_key(), 4),
        at in 600..800_i64,
    ) {
        let definitions = definitions();
        let lived = numbered(lived);
        let before = replayed(&lived, hour(at), &definitions);
        let mut all = lived;
        for (n, (at, quiet, fact)) in imported.into_iter().enumerate() {
            let arrival = if quiet { Arrival::History } else { Arrival::Live };
            let yes = matches!(fact, Fact::ConsentGiven(_));
            let checked = check(&fact, hour(at), arrival, &definitions);
            prop_assert!(!yes || matches!(checked, Err(ConsentError::Unproved { .. })), "{checked:?}");
            // A message that was sent lets a consent that is in force last longer; that is no import.
            if checked.is_ok() && !matches!(fact, Fact::Contacted(_)) {
                all.push((id(1_000 + n), hour(at), fact));
            }
        }
        let after = replayed(&all, hour(at), &definitions);
        for key in keys {
            let status = |customer: &Customer| customer.consent(&key, hour(at), &definitions).status;
            if status(&before) != ConsentStatus::Granted {
                prop_assert_ne!(status(&after), ConsentStatus::Granted);
            }
            if before.consent(&key, hour(at), &definitions).refused {
                prop_assert!(after.consent(&key, hour(at), &definitions).refused);
            }
        }
    }
}

fn news(channel: Channel) -> ConsentKey {
    ConsentKey::new(purpose("news"), channel)
}

fn asks(key: ConsentKey, at: Timestamp) -> ContactQuery {
    ContactQuery { key, ..ContactQuery::new(purpose("news"), Channel::Sms, at) }
}

#[test]
fn silence_bars_what_one_opts_into_and_allows_what_one_opts_out_of() {
    let definitions = definitions();
    let nobody = replayed(&[], hour(1), &definitions);
    let may = |name| nobody.may_contact(&asks(ConsentKey::new(purpose(name), Channel::Sms), hour(1)), &definitions);
    assert_eq!(may("news"), Err(Barred::NoConsent { status: ConsentStatus::Unknown }));
    let allowed = may("offers").unwrap();
    assert_eq!((allowed.basis, allowed.consent), (Basis::LegitimateInterests, None));
    assert_eq!(may("parcel").unwrap().basis, Basis::Contract);
    assert_eq!(may("surveys"), Err(Barred::UnknownPurpose { purpose: purpose("surveys") }));
    let elsewhere = asks(news(Channel::Sms), hour(1)).within(Scope::new("c").unwrap());
    assert!(matches!(nobody.may_contact(&elsewhere, &definitions), Err(Barred::UnknownScope { .. })));
}

#[test]
fn reasons_come_in_their_order() {
    let cap = Cap { purpose: Some(purpose("news")), ..Cap::overall(1, Span::days(1)) };
    let night = QuietHours::at_night(Channel::Sms);
    let definitions = define(ConsentPolicy { caps: vec![cap], quiet_hours: vec![night], ..policy() });
    let yes = Fact::from(given(news(Channel::Sms), proof(Method::Form)));
    let sent = Fact::from(Contacted { purpose: purpose("news"), channel: Channel::Sms, scope: None });
    let mut facts = vec![(id(1), hour(10), yes)];
    // Midnight, at which it is quiet.
    let may = |facts: &[(EventId, Timestamp, Fact)]| {
        replayed(facts, hour(24), &definitions).may_contact(&asks(news(Channel::Sms), hour(24)), &definitions)
    };
    assert_eq!(may(&facts), Err(Barred::QuietHours { until: hour(32) }));
    facts.push((id(2), hour(12), sent));
    assert_eq!(may(&facts), Err(Barred::Capped { until: hour(36) }));
    facts.push((id(3), hour(13), ConsentWithdrawn::new(purpose("news"), Channel::Sms, Method::Reply).into()));
    assert_eq!(may(&facts), Err(Barred::NoConsent { status: ConsentStatus::Withdrawn }));
    facts.push((id(4), hour(14), Objected { to: Objection::Profiling }.into()));
    assert!(matches!(may(&facts), Err(Barred::NoConsent { .. })), "news is no profiling");
    facts.push((id(5), hour(14), Objected { to: Objection::Marketing }.into()));
    assert_eq!(may(&facts), Err(Barred::Objected { to: Objection::Marketing, since: hour(14) }));
    facts.push((id(6), hour(15), Restricted { reason: None }.into()));
    assert_eq!(may(&facts), Err(Barred::Restricted { since: hour(15) }));
}

#[test]
fn an_objection_holds_until_it_is_taken_back_whatever_is_consented_to() {
    let definitions = definitions();
    let mut facts = vec![
        (id(1), hour(1), Fact::from(Objected { to: Objection::Marketing })),
        (id(2), hour(2), Fact::from(given(news(Channel::Sms), proof(Method::Form)))),
    ];
    let may = |facts: &[_]| {
        replayed(facts, hour(9), &definitions).may_contact(&asks(news(Channel::Sms), hour(9)), &definitions)
    };
    assert!(matches!(may(&facts), Err(Barred::Objected { .. })));
    facts.push((id(3), hour(3), ObjectionWithdrawn { to: Objection::Marketing }.into()));
    assert_eq!(may(&facts).unwrap().consent, Some(id(2)));
}

#[test]
fn a_no_to_everything_leaves_what_is_transactional_alone_unless_it_is_named() {
    let definitions = definitions();
    let refused = |facts: &[_], name: &str| {
        let customer = replayed(facts, hour(9), &definitions);
        let key = ConsentKey::new(purpose(name), Channel::Email).clone();
        customer.may_contact(&asks(key, hour(9)), &definitions).is_err()
    };
    let mut facts = vec![(id(1), hour(1), Fact::from(ConsentWithdrawn::new(Which::All, Which::All, Method::OneClick)))];
    assert!(refused(&facts, "offers") && refused(&facts, "news") && !refused(&facts, "parcel"));
    facts.push((id(2), hour(2), ConsentWithdrawn::new(purpose("parcel"), Which::All, Method::Call).into()));
    assert!(refused(&facts, "parcel"));
}

#[test]
fn a_part_of_the_business_is_asked_for_by_itself_and_a_no_to_the_whole_is_one_to_each_part() {
    let definitions = definitions();
    let key =
        |scope: Option<&str>| ConsentKey { scope: scope.map(|name| Scope::new(name).unwrap()), ..news(Channel::Sms) };
    let status =
        |facts: &[_], scope| replayed(facts, hour(9), &definitions).consent(&key(scope), hour(9), &definitions).status;
    let yes = |n, at, scope| (id(n), hour(at), Fact::from(given(key(scope), proof(Method::Form))));
    let no = |n, at, scope: Option<&str>| {
        let no = ConsentWithdrawn::new(purpose("news"), Channel::Sms, Method::Reply);
        (id(n), hour(at), Fact::from(ConsentWithdrawn { scope: scope.map(|name| Scope::new(name).unwrap()), ..no }))
    };
    use ConsentStatus::{Granted, Unknown, Withdrawn};
    assert_eq!(status(&[yes(1, 1, None)], Some("a")), Unknown);
    assert_eq!(status(&[yes(1, 1, Some("a")), no(2, 2, None)], Some("a")), Withdrawn);
    assert_eq!(status(&[yes(1, 1, Some("a")), no(2, 2, Some("b"))], Some("a")), Granted);
    // A yes to the whole does not undo what was said about a part.
    assert_eq!(status(&[yes(1, 1, Some("a")), no(2, 2, None), yes(3, 3, None)], Some("a")), Withdrawn);
}

#[test]
fn where_it_takes_double_opt_in_a_form_is_not_enough() {
    let definitions = definitions();
    let status = |proof: Proof| {
        let fact = Fact::from(given(news(Channel::Email), proof));
        assert_eq!(check(&fact, hour(1), Arrival::Live, &definitions), Ok(()));
        replayed(&[(id(1), hour(1), fact)], hour(2), &definitions)
            .consent(&news(Channel::Email), hour(2), &definitions)
            .status
    };
    assert_eq!(status(proof(Method::Form)), ConsentStatus::Pending);
    assert_eq!(status(confirmed()), ConsentStatus::Granted);
    let import = proof(Method::Import).with_evidence(Evidence::new("old-7").unwrap());
    assert_eq!(status(import.clone().first_given(original(Method::DoubleOptIn, hour(1)))), ConsentStatus::Granted);
    assert_eq!(status(import.first_given(original(Method::Paper, hour(1)))), ConsentStatus::Pending);
}

#[test]
fn what_is_taken_over_has_to_prove_itself() {
    let definitions = definitions();
    let checked =
        |proof: Proof, arrival| check(&Fact::from(given(news(Channel::Sms), proof)), hour(5), arrival, &definitions);
    let refused = |why| Err(ConsentError::Unproved { why });
    let import = || proof(Method::Import);
    assert_eq!(checked(import(), Arrival::Live), refused(Unproved::NoOriginal));
    assert_eq!(checked(proof(Method::Form), Arrival::History), refused(Unproved::NoOriginal));
    assert_eq!(
        checked(import().first_given(original(Method::Form, hour(4))), Arrival::Live),
        refused(Unproved::OtherTime)
    );
    assert_eq!(
        checked(import().first_given(original(Method::Import, hour(5))), Arrival::Live),
        refused(Unproved::ImportOfImport)
    );
    assert_eq!(
        checked(import().first_given(original(Method::DoubleOptIn, hour(5))), Arrival::Live),
        refused(Unproved::NoConfirmation)
    );
    assert_eq!(checked(proof(Method::DoubleOptIn), Arrival::Live), refused(Unproved::NoConfirmation));
    assert_eq!(checked(import().first_given(original(Method::Form, hour(5))), Arrival::History), Ok(()));
    let lifted = Fact::from(RestrictionLifted { reason: None });
    assert!(check(&lifted, hour(5), Arrival::History, &definitions).is_err());
    let no = Fact::from(ConsentWithdrawn::new(purpose("nobody.defined"), Which::All, Method::Import));
    assert_eq!(check(&no, hour(5), Arrival::History, &definitions), Ok(()), "a no is never refused");
}

#[test]
fn a_consent_is_of_a_purpose_scope_and_basis_of_the_policy_then() {
    let definitions = definitions();
    let checked = |given: ConsentGiven| check(&Fact::from(given), hour(5), Arrival::Live, &definitions);
    let yes = || given(news(Channel::Sms), proof(Method::Form));
    assert_eq!(checked(ConsentGiven { basis: Basis::Contract, ..yes() }).unwrap_err().reason(), "consent_basis");
    assert_eq!(checked(yes().within(Scope::new("c").unwrap())).unwrap_err().reason(), "consent_unknown_scope");
    let surveys = ConsentGiven::new(purpose("surveys"), Channel::Sms, proof(Method::Form));
    assert_eq!(checked(surveys).unwrap_err().reason(), "consent_unknown_purpose");
    assert_eq!(checked(yes().until(hour(5))), Err(ConsentError::EndsBefore));
    for personal in ["ana@example.com", "+49 30 123456", "192.0.2.7", "2001:db8::7"] {
        let proof = proof(Method::Form).with_evidence(Evidence::new(personal).unwrap());
        let refused = checked(given(news(Channel::Sms), proof)).unwrap_err();
        assert_eq!(refused, ConsentError::Personal { part: "evidence" });
        assert!(!refused.to_string().contains(personal));
    }
}

#[test]
fn a_consent_lapses_unless_it_is_used_and_an_alarm_says_when() {
    let definitions = definitions();
    let yes = (id(1), hour(10), Fact::from(given(news(Channel::Sms), proof(Method::Form))));
    let sent = |n, at| {
        (id(n), hour(at), Fact::from(Contacted { purpose: purpose("news"), channel: Channel::Sms, scope: None }))
    };
    let ends = |facts: &[_]| {
        replayed(facts, hour(20), &definitions).consent(&news(Channel::Sms), hour(20), &definitions).ends_at
    };
    assert_eq!(ends(std::slice::from_ref(&yes)), Some(hour(310)));
    assert_eq!(ends(&[yes.clone(), sent(2, 15)]), Some(hour(315)));
    let late = replayed(&[yes.clone(), sent(2, 310)], hour(310), &definitions);
    assert_eq!(late.consent(&news(Channel::Sms), hour(310), &definitions).status, ConsentStatus::Expired, "too late");

    let mut customer = replayed(&[yes], hour(20), &definitions);
    let set = || crm_core::SetKey::parse("consent:news/sms").unwrap();
    assert!(customer.sets().contains(&set()));
    let alarm = customer.next_alarm(&definitions).unwrap();
    assert_eq!((alarm.due_at, alarm.kind), (hour(310), AlarmKind::Consent));
    let (mut moves, mut changes) = (Vec::new(), Vec::new());
    customer.elapse(alarm.due_at, &mut moves);
    customer.derive(alarm.due_at, Cause::Alarm(alarm.kind), &mut moves, &definitions, &mut changes);
    let body = ChangeBody::ConsentChanged {
        purpose: purpose("news"),
        channel: Channel::Sms,
        scope: None,
        from: ConsentStatus::Granted,
        to: ConsentStatus::Expired,
    };
    assert_eq!(changes, [Change { at: hour(310), cause: Cause::Alarm(AlarmKind::Consent), body }]);
    assert!(!customer.sets().contains(&set()));
    assert_eq!(customer.next_alarm(&definitions), None);
}

#[test]
fn a_request_that_nobody_confirms_leaves_what_was_said_before() {
    let definitions = definitions();
    let no = Fact::from(ConsentWithdrawn::new(purpose("news"), Channel::Email, Method::OneClick));
    let ask = Fact::from(requested(news(Channel::Email), hour(20)));
    let customer = replayed(&[(id(1), hour(5), no), (id(2), hour(10), ask)], hour(10), &definitions);
    let standing = |at| customer.consent(&news(Channel::Email), hour(at), &definitions);
    assert_eq!((standing(19).status, standing(19).refused), (ConsentStatus::Pending, true));
    assert_eq!(standing(20).status, ConsentStatus::Withdrawn);
    assert_eq!(customer.next_alarm(&definitions).unwrap().due_at, hour(20));
}

#[test]
fn caps_count_what_was_sent_lately_and_keep_no_more_than_they_count() {
    let by_text = Cap { channel: Some(Channel::Sms), ..Cap::overall(2, Span::days(1)) };
    let definitions = define(ConsentPolicy { caps: vec![by_text, Cap::overall(3, Span::days(7))], ..policy() });
    let sent = |n: usize, at, name, channel| {
        (id(n), hour(at), Fact::from(Contacted { purpose: purpose(name), channel, scope: None }))
    };
    let may = |facts: &[_], channel, at| {
        let key = ConsentKey::new(purpose("offers"), channel);
        replayed(facts, hour(at), &definitions).may_contact(&asks(key, hour(at)), &definitions)
    };
    let mut facts = vec![sent(1, 10, "offers", Channel::Sms), sent(2, 12, "news", Channel::Sms)];
    assert_eq!(may(&facts, Channel::Sms, 33), Err(Barred::Capped { until: hour(34) }));
    assert!(may(&facts, Channel::Sms, 34).is_ok(), "the first has passed by then");
    assert!(may(&facts, Channel::Email, 33).is_ok());
    facts.push(sent(3, 20, "parcel", Channel::Sms));
    assert!(may(&facts, Channel::Email, 33).is_ok(), "what is transactional does not count");
    facts.push(sent(4, 21, "offers", Channel::Email));
    assert_eq!(may(&facts, Channel::Email, 33), Err(Barred::Capped { until: hour(10 + 7 * 24) }));
    // Both caps hold, and the later one tells until when.
    assert_eq!(may(&facts, Channel::Sms, 33), Err(Barred::Capped { until: hour(10 + 7 * 24) }));
    facts.extend((0..1_000).map(|n| sent(10 + n, 40 + n as i64 / 100, "offers", Channel::Sms)));
    let customer = replayed(&facts, hour(60), &definitions);
    assert!(customer.facts().consents().contacts() <= 6, "{}", customer.facts().consents().contacts());
    // Without a cap nothing is counted.
    assert_eq!(replayed(&facts, hour(60), &define(policy())).facts().consents().contacts(), 0);
}

#[test]
fn what_is_kept_of_a_customer_is_bounded_and_a_no_is_never_lost() {
    let definitions = definitions();
    let no = |n: usize| {
        let no = ConsentWithdrawn::new(purpose(&format!("p{n}")), Channel::Sms, Method::Reply);
        (id(n), hour(n as i64 / 100), Fact::from(no))
    };
    let facts: Vec<_> = (0..ConsentBook::TARGETS_MAX + 50).map(no).collect();
    let customer = replayed(&facts, hour(100), &definitions);
    assert!(customer.facts().consents().keys().count() <= ConsentBook::TARGETS_MAX);
    for n in [0, ConsentBook::TARGETS_MAX + 49] {
        let key = ConsentKey::new(purpose(&format!("p{n}")), Channel::Sms);
        assert!(customer.consent(&key, hour(100), &definitions).refused, "{n}");
    }
    // A yes beyond the limit is not kept; what stands there before goes on.
    let mut more = facts;
    more.push((id(9_000), hour(90), Fact::from(given(news(Channel::Sms), proof(Method::Form)))));
    let customer = replayed(&more, hour(100), &definitions);
    assert!(customer.may_contact(&asks(news(Channel::Sms), hour(100)), &definitions).is_err());
}

#[test]
fn a_policy_is_sound_or_refused() {
    let refused = |policy: ConsentPolicy| policy.check().unwrap_err();
    let of = |rule| ConsentPolicy { purposes: vec![rule], ..policy() };
    let rule = || PurposeRule::marketing(purpose("news"));
    assert_eq!(ConsentPolicy::default().check(), Ok(()));
    assert!(matches!(refused(of(PurposeRule { bases: vec![], ..rule() })), PolicyError::NoBasis { .. }));
    let silent = PurposeRule { choice: Choice::OptOut, double_opt_in: vec![], ..rule() };
    assert!(matches!(refused(of(silent)), PolicyError::SilentConsent { .. }));
    let waits = PurposeRule { double_opt_in: vec![Channel::Email], ..PurposeRule::existing_customers(purpose("news")) };
    assert!(matches!(refused(of(waits)), PolicyError::ConfirmedSilence { .. }));
    assert!(matches!(refused(of(PurposeRule { transactional: true, ..rule() })), PolicyError::NotTransactional { .. }));
    let twice = ConsentPolicy { purposes: vec![rule(), rule()], ..policy() };
    assert_eq!(refused(twice), PolicyError::Twice { what: "purpose" });
    let many = (0..33).map(|n| PurposeRule::marketing(purpose(&format!("p{n}")))).collect();
    assert!(matches!(refused(ConsentPolicy { purposes: many, ..policy() }), PolicyError::TooMany { count: 33, .. }));
    let cap = |cap| ConsentPolicy { caps: vec![cap], ..policy() };
    assert!(matches!(refused(cap(Cap::overall(65, Span::days(1)))), PolicyError::CapCount { count: 65, .. }));
    assert!(matches!(refused(cap(Cap::overall(0, Span::days(1)))), PolicyError::CapCount { .. }));
    assert!(matches!(refused(cap(Cap::overall(1, Span::days(401)))), PolicyError::CapSpan { .. }));
    assert!(matches!(refused(cap(Cap::overall(1, Span::millis(0)))), PolicyError::CapSpan { .. }));
    let unknown = Cap { purpose: Some(purpose("surveys")), ..Cap::overall(1, Span::days(1)) };
    assert!(matches!(refused(cap(unknown)), PolicyError::CapPurpose { .. }));
    let at = |hour| LocalTime::new(hour, 0).unwrap();
    let always = QuietHours { from: at(8), to: at(8), ..QuietHours::at_night(Channel::Sms) };
    let always = ConsentPolicy { quiet_hours: vec![always], ..policy() };
    assert_eq!(refused(always), PolicyError::AlwaysQuiet { channel: Channel::Sms });
}

#[test]
fn a_policy_is_stored_as_it_is_read() {
    let stored = serde_json::to_string(&Definition::Consent(ConsentPolicy {
        time_zone: "Europe/Berlin".parse().unwrap(),
        caps: vec![Cap::overall(3, Span::days(7))],
        ..policy()
    }))
    .unwrap();
    assert!(stored.contains(r#""time_zone":"Europe/Berlin""#), "{stored}");
    let read: Definition = serde_json::from_str(&stored).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), stored);
    let nowhere = stored.replace("Europe/Berlin", "Europe/Atlantis");
    assert!(serde_json::from_str::<Definition>(&nowhere).is_err());
}
