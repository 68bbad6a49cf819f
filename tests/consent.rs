//! Consent as a shop meets it: asking before each message, double opt-in, unsubscribing, and addresses that
//! nobody writes to any more.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind among all")]

use std::sync::{Arc, Barrier};

use crm::blocking::Crm;
use crm::{
    AddressWithdrawn, Barred, Cap, ChangeBody, Channel, ConfirmProof, Confirmation, ConfirmedAddress, ConsentGiven,
    ConsentPolicy, ConsentRefusal, ConsentStatus, ConsentWithdrawn, ContactQuery, Contacted, CustomerId, Definition,
    Digest, Error, Event, Evidence, FactKey, FactRefusal, Identifier, Incoming, Ingestion, Locale, ManualClock, Method,
    OptIn, OptInState, OptInToken, Original, Proof, Purpose, Source, Span, SuppressionReason, TenantId, Timestamp,
    Visited, Which, Wording,
};

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    /// Where its file is, if it has one.
    folder: Option<tempfile::TempDir>,
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn noon() -> Timestamp {
    at("2026-01-05T12:00:00Z")
}

/// The same shop on each store.
fn shops() -> Vec<Shop> {
    let clock = || Arc::new(ManualClock::at(noon()));
    let memory = clock();
    let crm = Crm::from(crm::Crm::builder().clock(Arc::clone(&memory)).build());
    #[cfg_attr(not(feature = "sqlite"), allow(unused_mut, reason = "there is no other store then"))]
    let mut shops = vec![Shop { crm, clock: memory, folder: None }];
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        let store = crm::SqliteStore::open(folder.path().join("crm.db")).unwrap();
        let clock = clock();
        let crm = Crm::from(crm::Crm::builder().store(store).clock(Arc::clone(&clock)).build());
        shops.push(Shop { crm, clock, folder: Some(folder) });
    }
    shops
}

fn source() -> Source {
    Source::new("shop").unwrap()
}

fn marketing() -> Purpose {
    Purpose::new("marketing").unwrap()
}

fn email() -> Identifier {
    Identifier::email("canary-ana@example.com").unwrap()
}

fn number() -> Identifier {
    Identifier::phone("+4915112345678").unwrap()
}

fn proof(method: Method) -> Proof {
    let (version, locale) = ("2026-01".parse().unwrap(), Locale::new("de-DE").unwrap());
    let wording = Wording { version, sha256: Digest::of(b"Ja, ich will."), locale };
    Proof::new(method, wording, "web shop".parse().unwrap())
}

fn by() -> ConfirmProof {
    ConfirmProof { collected_by: "confirmation page".parse().unwrap(), address: None }
}

impl Shop {
    fn visitor(&self, who: &Identifier) -> CustomerId {
        let visit = Visited { channel: Channel::Web, place: None };
        self.crm.record(Incoming::new(who, self.crm.now(), source(), visit)).unwrap().customer
    }

    fn may(&self, customer: CustomerId, channel: Channel) -> Result<(), Barred> {
        let address = match channel {
            Channel::Email => Some(email()),
            Channel::Sms | Channel::Phone => Some(number()),
            _ => None,
        };
        let query = ContactQuery::new(marketing(), channel, self.crm.now());
        self.crm.may_contact(customer, &query, address.as_ref()).unwrap().map(|_| ())
    }

    fn may_at(&self, customer: CustomerId, channel: Channel, address: &Identifier) -> Result<(), Barred> {
        let query = ContactQuery::new(marketing(), channel, self.crm.now());
        self.crm.may_contact(customer, &query, Some(address)).unwrap().map(|_| ())
    }

    fn asks(&self, customer: CustomerId) -> OptInToken {
        let asked = OptIn::new(marketing(), Channel::Email, email(), proof(Method::Form));
        self.crm.request_opt_in(customer, asked).unwrap().token
    }

    fn events(&self, customer: CustomerId) -> Vec<Event> {
        self.crm.story(customer).unwrap().unwrap().events
    }

    fn count(&self, customer: CustomerId, kind: &str) -> usize {
        self.events(customer).iter().filter(|event| event.body.kind() == kind).count()
    }

    fn later(&self, span: Span) {
        self.clock.set(self.crm.now().plus(span));
    }

    fn withdraws(&self, customer: CustomerId) {
        let withdrawn = ConsentWithdrawn::new(marketing(), Which::All, Method::Call);
        self.crm.record(Incoming::new(customer, self.crm.now(), source(), withdrawn)).unwrap();
    }
}

const HOUR: Span = Span::millis(3_600_000);

fn withdrawn() -> Result<(), Barred> {
    Err(Barred::NoConsent { status: ConsentStatus::Withdrawn })
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Error>) -> ConsentRefusal {
    match answer {
        Err(Error::Consent(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_is_looked_at_without_effect_and_used_once() {
    for shop in shops() {
        let crm = &shop.crm;
        let ana = shop.visitor(&number());
        let token = shop.asks(ana);
        assert_eq!(shop.may(ana, Channel::Email), Err(Barred::NoConsent { status: ConsentStatus::Pending }));
        let before = crm.story(ana).unwrap();
        let digest = crm.overview().unwrap();
        for _ in 0..3 {
            let peek = crm.peek_opt_in(&OptInToken::parse(&token.expose()).unwrap()).unwrap();
            assert_eq!((peek.customer, peek.state), (ana, OptInState::Open));
        }
        assert_eq!((crm.story(ana).unwrap(), crm.overview().unwrap()), (before, digest), "a GET changes nothing");

        shop.later(HOUR);
        let Confirmation::Confirmed { customer, event, address, changes } = crm.confirm_opt_in(&token, by()).unwrap()
        else {
            panic!("not confirmed")
        };
        assert_eq!((customer, address), (ana, ConfirmedAddress::New));
        assert!(matches!(
            changes[0].body,
            ChangeBody::ConsentChanged { from: ConsentStatus::Pending, to: ConsentStatus::Granted, .. }
        ));
        assert_eq!(crm.customer(email()).unwrap().unwrap().id(), ana, "the address is theirs now");
        assert_eq!(shop.may_at(ana, Channel::Email, &email()), Ok(()));
        let other = Identifier::email("other@example.com").unwrap();
        assert_eq!(shop.may_at(ana, Channel::Email, &other), Err(Barred::OtherAddress));

        let confirmed_at = crm.now();
        shop.later(HOUR);
        let before = shop.events(ana);
        let again = crm.confirm_opt_in(&token, by()).unwrap();
        assert_eq!(again, Confirmation::AlreadyConfirmed { customer: ana, event, at: confirmed_at });
        shop.withdraws(ana);
        let again = crm.confirm_opt_in(&token, by()).unwrap();
        assert_eq!(again, Confirmation::AlreadyConfirmed { customer: ana, event, at: confirmed_at });
        assert_eq!(shop.may(ana, Channel::Email), withdrawn(), "an old link brings nothing back");
        assert_eq!(shop.events(ana).len(), before.len() + 1);
        assert_eq!(shop.count(ana, "consent_given"), 1);
    }
}

#[test]
fn a_token_that_is_wrong_late_overtaken_or_for_another_address_is_refused() {
    for shop in shops() {
        let crm = &shop.crm;
        let ana = shop.visitor(&email());
        let token = shop.asks(ana);
        let wrong = OptInToken::parse(&"0".repeat(64)).unwrap();
        assert_eq!(refused(crm.confirm_opt_in(&wrong, by())), ConsentRefusal::BadToken);
        assert_eq!(refused(crm.peek_opt_in(&wrong)), ConsentRefusal::BadToken);
        for text in ["", "00", &"g".repeat(64), &"A".repeat(64), &"é".repeat(32)] {
            assert_eq!(OptInToken::parse(text), Err(ConsentRefusal::BadToken));
        }
        let tenant = crm.tenant(TenantId::new("other").unwrap());
        assert_eq!(refused(tenant.confirm_opt_in(&token, by())), ConsentRefusal::BadToken);
        let from = |address: &str| ConfirmProof { address: Some(Identifier::email(address).unwrap()), ..by() };
        assert_eq!(refused(crm.confirm_opt_in(&token, from("ben@example.com"))), ConsentRefusal::OtherAddress);

        shop.later(HOUR);
        shop.withdraws(ana);
        let overtaken = refused(crm.confirm_opt_in(&token, by()));
        assert!(matches!(overtaken, ConsentRefusal::Superseded { .. }), "{overtaken:?}");
        assert_eq!(shop.may(ana, Channel::Email), withdrawn());

        shop.later(HOUR);
        let second = shop.asks(ana);
        let confirm_by = crm.peek_opt_in(&second).unwrap().confirm_by;
        shop.clock.set(confirm_by);
        assert_eq!(refused(crm.confirm_opt_in(&second, by())), ConsentRefusal::Expired { at: confirm_by });
        assert_eq!(crm.peek_opt_in(&second).unwrap().state, OptInState::Expired);
        assert_eq!(shop.count(ana, "consent_given"), 0);

        let third = shop.asks(ana);
        let confirmed = crm.confirm_opt_in(&third, from("CANARY-ana@example.com")).unwrap();
        // It was vouched for before; now it is proved.
        assert!(matches!(confirmed, Confirmation::Confirmed { address: ConfirmedAddress::New, .. }));
        for valid_for in [Span::millis(59_999), Span::days(91)] {
            let asked = OptIn { valid_for, ..OptIn::new(marketing(), Channel::Email, email(), proof(Method::Form)) };
            assert!(matches!(refused(crm.request_opt_in(ana, asked)), ConsentRefusal::ValidFor { .. }));
        }
    }
}

#[test]
fn whoever_proves_an_address_is_one_person_with_its_holder() {
    for shop in shops() {
        let (ana, ben) = (shop.visitor(&number()), shop.visitor(&email()));
        let token = shop.asks(ana);
        let confirmed = shop.crm.confirm_opt_in(&token, by()).unwrap();
        assert!(matches!(confirmed, Confirmation::Confirmed { address: ConfirmedAddress::New, .. }), "{confirmed:?}");
        let both = shop.crm.customer(email()).unwrap().unwrap();
        assert!(both.is(ana) && both.is(ben));
        assert_eq!(shop.may(ben, Channel::Email), Ok(()));
    }
}

#[test]
fn an_address_that_is_somebody_elses_stays_theirs() {
    for shop in shops() {
        let (ana, ben) = (shop.visitor(&number()), shop.visitor(&email()));
        // They have different numbers of one system, so nothing makes them one.
        for (who, key) in [(ana, "one"), (ben, "another")] {
            let key = Identifier::external(&crm::ExternalSystem::new("shop").unwrap(), key).unwrap();
            let fact = Incoming::new(who, shop.crm.now(), Source::new("shop").unwrap(), shop.crm.identified(&key));
            shop.crm.record(fact).unwrap();
        }
        let token = shop.asks(ana);
        let confirmed = shop.crm.confirm_opt_in(&token, by()).unwrap();
        assert!(
            matches!(confirmed, Confirmation::Confirmed { address: ConfirmedAddress::Taken { by }, .. } if by == ben),
            "{confirmed:?}"
        );
        assert_eq!(shop.crm.customer(email()).unwrap().unwrap().id(), ben);
        assert_eq!(shop.may(ana, Channel::Email), Ok(()));
    }
}

#[test]
fn two_confirmations_at_the_same_moment_are_one_event() {
    for shop in shops() {
        let ana = shop.visitor(&number());
        for round in 1..=20 {
            let token = shop.asks(ana);
            let barrier = Barrier::new(2);
            let answers: Vec<Confirmation> = std::thread::scope(|scope| {
                let confirm = || {
                    barrier.wait();
                    shop.crm.confirm_opt_in(&token, by()).unwrap()
                };
                let threads = [scope.spawn(confirm), scope.spawn(confirm)];
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let first = answers.iter().filter(|answer| matches!(answer, Confirmation::Confirmed { .. })).count();
            assert_eq!(first, 1, "{answers:?}");
            assert_eq!(shop.count(ana, "consent_given"), round);
        }
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn neither_tokens_nor_addresses_are_in_the_file() {
    for shop in shops().into_iter().filter(|shop| shop.folder.is_some()) {
        let ana = shop.visitor(&number());
        let token = shop.asks(ana);
        shop.crm.confirm_opt_in(&token, by()).unwrap();
        shop.crm
            .suppress(&Identifier::email("canary-ben@example.com").unwrap(), SuppressionReason::Asked, &source())
            .unwrap();
        let unused = shop.asks(ana).expose();
        let raw: Vec<u8> = (0..32).map(|n| u8::from_str_radix(&unused[2 * n..2 * n + 2], 16).unwrap()).collect();
        let path = shop.folder.as_ref().unwrap().path().join("crm.db");
        let mut bytes = Vec::new();
        for end in ["", "-wal"] {
            bytes.extend(std::fs::read(format!("{}{end}", path.display())).unwrap_or_default());
        }
        let holds = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
        assert!(holds(b"consent_requested"), "the file is read");
        for canary in [token.expose().as_bytes(), unused.as_bytes(), &raw, b"canary", b"4915112345678"] {
            assert!(!holds(canary), "{}", String::from_utf8_lossy(canary));
        }
        assert!(!format!("{token:?}").contains(&token.expose()));
    }
}

#[test]
fn suppression_survives_erasing_and_coming_back() {
    for shop in shops() {
        let crm = &shop.crm;
        let ana = shop.visitor(&email());
        let token = shop.asks(ana);
        crm.confirm_opt_in(&token, by()).unwrap();
        assert_eq!(shop.may_at(ana, Channel::Email, &email()), Ok(()));
        let before = crm.overview().unwrap();
        let provider = Source::new("provider").unwrap();
        assert!(crm.suppress(&email(), SuppressionReason::Complaint, &provider).unwrap());
        shop.later(HOUR);
        assert!(!crm.suppress(&email(), SuppressionReason::Asked, &source()).unwrap());
        assert_eq!(crm.overview().unwrap(), before, "nobody came to be");
        let since = |crm: &Crm| crm.is_suppressed(&email()).unwrap().unwrap();
        assert_eq!((since(crm).since, since(crm).reason), (noon(), SuppressionReason::Complaint));
        assert!(since(crm).is_from(&provider) && !since(crm).is_from(&source()));
        assert_eq!(shop.may_at(ana, Channel::Email, &email()), Err(Barred::Suppressed));
        assert_eq!(crm.tenant(TenantId::new("other").unwrap()).is_suppressed(&email()).unwrap(), None);

        crm.erase(ana).unwrap();
        assert_eq!(shop.may_at(ana, Channel::Email, &email()), Err(Barred::Erased));
        assert_eq!(since(crm).since, noon());
        let again = shop.visitor(&email());
        assert_ne!(again, ana);
        assert_eq!(shop.may_at(again, Channel::Email, &email()), Err(Barred::Suppressed), "whoever has it now");

        assert!(matches!(
            crm.unsuppress(again, &email(), proof(Method::Import)),
            Err(Error::Fact(FactRefusal::Consent(_)))
        ));
        assert!(crm.is_suppressed(&email()).unwrap().is_some());
        assert!(crm.unsuppress(again, &email(), proof(Method::Call)).unwrap());
        assert!(!crm.unsuppress(again, &email(), proof(Method::Call)).unwrap());
        assert_eq!((crm.is_suppressed(&email()).unwrap(), shop.count(again, "suppression_lifted")), (None, 1));
        assert!(matches!(shop.may_at(again, Channel::Email, &email()), Err(Barred::NoConsent { .. })));
        // On and off again: each time is told apart.
        assert!(crm.suppress(&email(), SuppressionReason::Bounced, &source()).unwrap());
        assert!(crm.unsuppress(again, &email(), proof(Method::Call)).unwrap());
        assert_eq!(shop.count(again, "suppression_lifted"), 2);
    }
}

#[test]
fn nobody_is_asked_at_an_address_that_is_suppressed_for_whatever_reason() {
    for shop in shops() {
        let crm = &shop.crm;
        let ana = shop.visitor(&email());
        let asked = || OptIn::new(marketing(), Channel::Email, email(), proof(Method::Form));
        for reason in [
            SuppressionReason::Asked,
            SuppressionReason::Complaint,
            SuppressionReason::Bounced,
            SuppressionReason::Deceased,
            SuppressionReason::PublicList,
            SuppressionReason::Decided,
        ] {
            assert!(crm.suppress(&email(), reason, &source()).unwrap());
            let events = crm.story(ana).unwrap().unwrap().events.len();
            let refusal = refused(crm.request_opt_in(ana, asked()));
            let ConsentRefusal::Suppressed(suppressed) = refusal else { panic!("{refusal:?}") };
            assert_eq!(suppressed.reason, reason);
            assert_eq!(crm.story(ana).unwrap().unwrap().events.len(), events, "nothing was recorded");
            assert!(crm.unsuppress(ana, &email(), proof(Method::Call)).unwrap());
        }
        crm.request_opt_in(ana, asked()).unwrap();
    }
}

#[test]
fn a_hundred_thousand_addresses_are_suppressed_once_each() {
    for shop in shops() {
        let all = |count: u32| (0..count).map(|n| Identifier::email(&format!("n{}@example.com", n % 100_000)).unwrap());
        let suppress = |count| shop.crm.suppress_all(all(count), SuppressionReason::PublicList, &source()).unwrap();
        assert_eq!(suppress(60_000), 60_000);
        // As after being cut off, with the whole list again and a part of it twice.
        assert_eq!(suppress(101_500), 40_000);
        assert_eq!(suppress(1_000), 0);
        assert!(shop.crm.is_suppressed(&all(100_000).next_back().unwrap()).unwrap().is_some());
        assert_eq!(shop.crm.overview().unwrap().customers, 0);
    }
}

#[test]
fn erased_is_erased_for_open_tokens_too() {
    for shop in shops() {
        let ana = shop.visitor(&email());
        let token = shop.asks(ana);
        shop.crm.erase(ana).unwrap();
        assert_eq!(refused(shop.crm.confirm_opt_in(&token, by())), ConsentRefusal::Erased { customer: ana });
        assert_eq!(shop.may(ana, Channel::Email), Err(Barred::Erased));
        assert_eq!(shop.crm.customer(email()).unwrap(), None, "nobody is found by it again");
        let nobody = CustomerId::new(noon(), [9; 10]);
        assert_eq!(shop.may(nobody, Channel::Email), Err(Barred::Erased));
    }
}

#[test]
fn one_click_withdraws_once_and_works_again_after_a_new_consent() {
    for shop in shops() {
        let crm = &shop.crm;
        let ana = shop.visitor(&email());
        let link = crm.unsubscribe_token(ana, marketing(), Channel::Email);
        let consents = || {
            shop.later(HOUR);
            let token = shop.asks(ana);
            crm.confirm_opt_in(&token, by()).unwrap();
            shop.later(HOUR);
        };
        consents();
        let before = shop.events(ana);
        assert_eq!(crm.peek_unsubscribe(link.as_str()).unwrap().customer, ana);
        assert_eq!(shop.events(ana), before, "a GET changes nothing");
        assert!(crm.withdraw_by_token(link.as_str()).unwrap().event.is_some());
        shop.later(HOUR);
        assert_eq!(crm.withdraw_by_token(link.as_str()).unwrap().event, None, "a second POST finds it so");
        assert_eq!((shop.may(ana, Channel::Email), shop.count(ana, "consent_withdrawn")), (withdrawn(), 1));
        consents();
        assert_eq!(shop.may(ana, Channel::Email), Ok(()));
        assert!(crm.withdraw_by_token(link.as_str()).unwrap().event.is_some());
        assert_eq!((shop.may(ana, Channel::Email), shop.count(ana, "consent_withdrawn")), (withdrawn(), 2));

        let everything = crm.unsubscribe_token(ana, Which::All, Which::All);
        assert!(crm.withdraw_by_token(everything.as_str()).unwrap().event.is_some());
        assert!(crm.withdraw_by_token(everything.as_str()).unwrap().event.is_none());

        let text = link.as_str();
        let forged = [
            text.replace("marketing", "service"),
            text[..text.len() - 1].to_owned(),
            format!("{text}0"),
            text.replace('1', "2"),
            everything.as_str().replace("~~", "~marketing~"),
            String::new(),
            "~~~~~~".to_owned(),
        ];
        for forged in forged.iter().filter(|forged| forged.as_str() != text) {
            assert_eq!(refused(crm.withdraw_by_token(forged)), ConsentRefusal::BadToken, "{forged}");
        }
        let other = crm.tenant(TenantId::new("other").unwrap());
        assert_eq!(refused(other.withdraw_by_token(text)), ConsentRefusal::BadToken);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        assert!(text.bytes().all(plain) && text.len() <= 300, "{text}");
    }
}

#[test]
fn stop_holds_whenever_it_arrives_and_from_whomever() {
    for shop in shops() {
        let crm = &shop.crm;
        let ana = shop.visitor(&number());
        let stop = || ConsentWithdrawn::new(Which::All, Channel::Sms, Method::Reply);
        let start = || ConsentGiven::new(marketing(), Channel::Sms, proof(Method::Reply));
        let stop_at = crm.now().plus(HOUR);
        let start_at = stop_at.plus(HOUR);
        shop.clock.set(start_at.plus(HOUR));
        crm.record(Incoming::new(ana, start_at, source(), start())).unwrap();
        // The STOP from before START is delivered late: what was said last counts.
        for new in [true, false] {
            let told = crm.withdraw_by_address(&number(), stop(), stop_at, &source()).unwrap();
            let AddressWithdrawn::Customer(told) = told else { panic!("{told:?}") };
            assert_eq!((told.customer, told.event.is_some()), (ana, new), "the same STOP twice is one");
        }
        assert_eq!(shop.may(ana, Channel::Sms), Ok(()));
        crm.withdraw_by_address(&number(), stop(), crm.now(), &source()).unwrap();
        assert_eq!(shop.may(ana, Channel::Sms), withdrawn());

        let unknown = Identifier::phone("+4915100000000").unwrap();
        let told = crm.withdraw_by_address(&unknown, stop(), crm.now(), &source()).unwrap();
        assert_eq!(told, AddressWithdrawn::Suppressed);
        let ben = shop.visitor(&unknown);
        shop.later(HOUR);
        crm.record(Incoming::new(ben, crm.now(), source(), start())).unwrap();
        assert_eq!(shop.may_at(ben, Channel::Sms, &unknown), Err(Barred::Suppressed));
    }
}

#[test]
fn history_cannot_allow_what_it_does_not_prove() {
    for shop in shops() {
        let crm = &shop.crm;
        let ana = shop.visitor(&email());
        let given_at = at("2019-05-01T10:00:00Z");
        let key = |key: &str| key.parse::<FactKey>().unwrap();
        let original = |method| Original { method, at: given_at, collected_by: "old shop".parse().unwrap() };
        let yes = |proof| ConsentGiven::new(marketing(), Channel::Sms, proof);
        let proved = || yes(proof(Method::Import).first_given(original(Method::Paper)));
        let now = crm.now();
        let unproved = [
            Incoming::new(ana, given_at, source(), yes(proof(Method::Import))).with_key(key("1")),
            Incoming::new(ana, given_at, source(), yes(proof(Method::Form))).with_key(key("2")),
            Incoming::new(ana, now, source(), proved()).with_key(key("3")),
        ];
        let report = crm.ingest(unproved, Ingestion::history()).unwrap();
        assert_eq!((report.recorded, report.refused.get("consent_unproved")), (0, Some(&3)));
        assert!(shop.may(ana, Channel::Sms).is_err());

        // The old shop's consent is from before the customer withdrew here, and comes after.
        shop.withdraws(ana);
        let import = Incoming::new(ana, given_at, source(), proved()).with_key(key("4"));
        let report = crm.ingest([import], Ingestion::history()).unwrap();
        assert_eq!(report.recorded, 1);
        assert_eq!(shop.may(ana, Channel::Sms), withdrawn());

        // Somebody who never said no has what they proved to have given, as long as it was used.
        let ben = shop.visitor(&Identifier::email("ben@example.com").unwrap());
        let given_at = crm.now().minus(Span::days(30));
        let original = Original { at: given_at, ..original(Method::Paper) };
        let yes = yes(proof(Method::Import).first_given(original));
        crm.ingest([Incoming::new(ben, given_at, source(), yes)], Ingestion::history()).unwrap();
        assert_eq!(shop.may(ben, Channel::Sms), Ok(()));
        let no = ConsentWithdrawn::new(marketing(), Channel::Sms, Method::Import);
        crm.ingest([Incoming::new(ben, crm.now(), source(), no)], Ingestion::history()).unwrap();
        assert_eq!(shop.may(ben, Channel::Sms), withdrawn(), "a no needs no proof");
    }
}

#[test]
fn a_consent_lapses_by_itself_and_one_from_the_future_waits() {
    for shop in shops() {
        let crm = &shop.crm;
        let ana = shop.visitor(&email());
        let tomorrow = crm.now().plus(Span::days(1));
        let until = tomorrow.plus(Span::days(10));
        let yes = ConsentGiven::new(marketing(), Channel::Sms, proof(Method::Form)).until(until);
        crm.record(Incoming::new(ana, tomorrow, source(), yes)).unwrap();
        assert!(shop.may(ana, Channel::Sms).is_err());
        // Nobody called `advance` meanwhile: the answer is right all the same.
        shop.clock.set(tomorrow);
        assert_eq!(shop.may(ana, Channel::Sms), Ok(()));
        crm.advance(tomorrow).unwrap();
        shop.clock.set(until);
        assert_eq!(shop.may(ana, Channel::Sms), Err(Barred::NoConsent { status: ConsentStatus::Expired }));
        assert_eq!(crm.advance(until).unwrap(), 1);
        let moved: Vec<_> = crm
            .story(ana)
            .unwrap()
            .unwrap()
            .changes
            .into_iter()
            .filter_map(|change| match change.body {
                ChangeBody::ConsentChanged { from, to, .. } => Some((change.at, from, to)),
                _ => None,
            })
            .collect();
        use ConsentStatus::{Expired, Granted, Unknown};
        assert_eq!(moved, [(tomorrow, Unknown, Granted), (until, Granted, Expired)]);
        let surveys = ConsentGiven::new(Purpose::new("surveys").unwrap(), Channel::Sms, proof(Method::Form));
        assert!(matches!(
            crm.record(Incoming::new(ana, crm.now(), source(), surveys)),
            Err(Error::Fact(refusal)) if refusal.reason() == "consent_unknown_purpose"
        ));
        let personal = proof(Method::Form).with_evidence(Evidence::new("203.0.113.9").unwrap());
        let personal = ConsentGiven::new(marketing(), Channel::Sms, personal);
        assert!(matches!(
            crm.record(Incoming::new(ana, crm.now(), source(), personal)),
            Err(Error::Fact(refusal)) if refusal.reason() == "consent_personal"
        ));
    }
}

#[test]
fn messages_are_counted_and_nights_are_quiet_where_the_customer_is() {
    for shop in shops() {
        let crm = &shop.crm;
        let policy = ConsentPolicy {
            time_zone: "Europe/Berlin".parse().unwrap(),
            caps: vec![Cap::overall(2, Span::days(1))],
            ..ConsentPolicy::default()
        };
        crm.define(Timestamp::MIN, Definition::Consent(policy)).unwrap();
        let ana = shop.visitor(&number());
        let yes = ConsentGiven::new(marketing(), Channel::Sms, proof(Method::Form));
        crm.record(Incoming::new(ana, crm.now(), source(), yes)).unwrap();
        shop.clock.set(at("2026-01-05T20:30:00Z"));
        assert_eq!(
            shop.may(ana, Channel::Sms),
            Err(Barred::QuietHours { until: at("2026-01-06T07:00:00Z") }),
            "half past nine in Berlin"
        );
        let in_new_york =
            ContactQuery::new(marketing(), Channel::Sms, crm.now()).in_zone("America/New_York".parse().unwrap());
        assert!(crm.may_contact(ana, &in_new_york, Some(&number())).unwrap().is_ok());
        for _ in 0..2 {
            shop.later(HOUR);
            let sent = Contacted { purpose: marketing(), channel: Channel::Sms, scope: None };
            crm.record(Incoming::new(ana, crm.now(), source(), sent)).unwrap();
        }
        let until = at("2026-01-06T21:30:00Z");
        assert_eq!(shop.may(ana, Channel::Sms), Err(Barred::Capped { until }));
        shop.clock.set(until);
        assert_eq!(shop.may(ana, Channel::Sms), Err(Barred::QuietHours { until: at("2026-01-07T07:00:00Z") }));
        shop.clock.set(at("2026-01-07T07:00:00Z"));
        assert_eq!(shop.may(ana, Channel::Sms), Ok(()));
    }
}

#[test]
fn nobody_is_allowed_by_a_channel_whose_address_is_not_known() {
    for shop in shops() {
        let ana = shop.visitor(&email());
        // By what a message goes out, and for what nobody has to allow.
        let service = Purpose::new("service").unwrap();
        for channel in Channel::ALL {
            let may = |address: Option<&Identifier>| {
                let query = ContactQuery::new(service.clone(), channel, shop.crm.now());
                shop.crm.may_contact(ana, &query, address).unwrap()
            };
            assert_eq!(may(None).is_ok(), !channel.has_address(), "{channel:?}");
            if channel.has_address() {
                assert_eq!(may(None), Err(Barred::NoAddress { channel }));
            }
            let other = if channel == Channel::Email { number() } else { email() };
            assert_eq!(may(Some(&other)).is_ok(), !channel.has_address() || channel.goes_to(other.kind()));
        }
        // What speaks against it for good comes first, and what passes by itself does not.
        let may = |channel| {
            let query = ContactQuery::new(marketing(), channel, shop.crm.now());
            shop.crm.may_contact(ana, &query, None).unwrap()
        };
        assert_eq!(may(Channel::Sms), Err(Barred::NoConsent { status: ConsentStatus::Unknown }));
        let given = ConsentGiven::new(marketing(), Channel::Sms, proof(Method::Form));
        shop.crm.record(Incoming::new(ana, shop.crm.now(), source(), given)).unwrap();
        let no_address = Err(Barred::NoAddress { channel: Channel::Sms });
        assert_eq!(may(Channel::Sms), no_address);
        shop.clock.set(at("2026-01-05T23:00:00Z"));
        assert_eq!(may(Channel::Sms), no_address);
        let with = |address: &Identifier| shop.may_at(ana, Channel::Sms, address);
        assert!(matches!(with(&number()), Err(Barred::QuietHours { .. })));
        shop.crm.suppress(&number(), SuppressionReason::Complaint, &source()).unwrap();
        assert_eq!(with(&number()), Err(Barred::Suppressed));
    }
}
