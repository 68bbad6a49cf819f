//! What has to hold, whatever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crm::blocking::Crm;
use crm::{Clock, Customer, CustomerId, LookupKey, Predicate, SearchQuery, SegmentName, Store, Subject, TenantId, Who};

use super::definitions::predicates;
use super::names::{case_number, hour, identifiers, order_number, ten_off};
use super::shop::{Shop, shop_on};

impl Shop {
    pub(super) fn all(&self) -> Vec<Customer> {
        let mut all = Vec::new();
        self.crm.for_each_customer(|customer| all.push(customer.clone())).unwrap();
        all
    }

    /// All that has to hold at any time.
    pub(super) fn check(&self) {
        let crm = &self.crm;
        let definitions = crm.definitions().unwrap();
        let all = self.all();
        let mut everybody = BTreeSet::new();
        let mut outstanding = 0;
        for customer in &all {
            assert!(customer.members().all(|member| everybody.insert(member)), "everybody is there once");
            let mut events = crm.story(customer.id()).unwrap().unwrap().events;
            events.sort_by_key(|event| event.customer);
            let told = events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
            let again = Customer::replay(customer.id(), told, customer.clock().unwrap(), &definitions);
            // They are no events; whether they are those of the rows is seen where the store chooses.
            let scores = customer.scores().map(|(name, score)| (name.clone(), score.clone()));
            let again = again.with_scores(scores, &definitions);
            assert_eq!(again.facts(), customer.facts());
            assert_eq!(again.waiting().collect::<Vec<_>>(), customer.waiting().collect::<Vec<_>>());
            assert_eq!((again.digest(), again.joins()), (customer.digest(), customer.joins()));
            assert_eq!(customer.next_alarm(&definitions), customer.alarm());
            for (_, book) in customer.books() {
                let held: i128 = book.lots().iter().map(|lot| i128::from(lot.left())).sum();
                assert_eq!(held - i128::from(book.owed()), book.balance());
                outstanding += book.totals().outstanding();
            }
            if customer.is_erased() {
                assert_eq!(customer.identifiers().count() + customer.stated_identifiers().count(), 0);
                assert!(crm.personal(customer.id()).unwrap().is_empty() && crm.card(customer.id()).unwrap().is_empty());
            }
            // Of somebody who was merged the last word of any of them holds, which the other side heard of one.
            for tie in customer.ties().filter(|_| !customer.is_merged()) {
                let other = crm.customer(tie.other).unwrap().unwrap();
                if other.is_merged() {
                    continue;
                }
                let is_mirror = |side: &crm::TieSide<'_>| {
                    customer.is(side.other) && side.kind == tie.kind && side.direction == tie.direction.mirrored()
                };
                assert!(other.ties().any(|side| is_mirror(&side)), "{tie:?}");
            }
        }
        assert_eq!(everybody, self.met.iter().copied().collect());
        for id in &self.met {
            assert!(crm.customer(*id).unwrap().unwrap().is(*id));
        }
        for totals in crm.credit_trial_balance().unwrap().currencies.values() {
            assert_eq!((totals.transferred, totals.difference()), (0, 0));
        }
        // What all share is counted as what each has.
        if let Some(one) = all.first() {
            let claims: usize = all.iter().map(|customer| customer.rewards().claims().count()).sum();
            let left = crm.rewards_for(one.id()).unwrap()[0].left;
            assert_eq!(left, Some(3 - claims as u64));
        }
        let uses: usize = all.iter().map(|customer| customer.coupon_uses(&ten_off()).len()).sum();
        assert!(uses <= 4);
        let overview = crm.overview().unwrap();
        assert_eq!((overview.customers, overview.points.outstanding()), (all.len() as u64, outstanding));
        self.check_finding(&all);
        crm.verify_audit(&[], &[]).unwrap();
    }

    /// Whoever is known by an identifier is found by it.
    pub(super) fn check_finding(&self, all: &[Customer]) {
        for identifier in identifiers() {
            let key = LookupKey::public().hash(&TenantId::default(), &identifier);
            let known: Vec<CustomerId> =
                all.iter().filter(|customer| customer.identifiers().any(|own| *own == key)).map(Customer::id).collect();
            let found = self.crm.customer(&identifier).unwrap().map(|customer| customer.id());
            let is_one = known.len() <= 1 && known.iter().all(|id| Some(*id) == found);
            assert!(is_one || self.divided, "{key:?}: {known:?}, {found:?}");
            assert!(
                found.is_none_or(|id| all.iter().any(|one| one.id() == id && !one.is_erased())),
                "{key:?}: {found:?}"
            );
        }
    }

    /// What the store chooses once everything due is worked off, and who is found by name.
    pub(super) fn check_choosing(&self) {
        self.wait(0);
        let now = self.crm.now();
        let all = self.all();
        let definitions = self.crm.definitions().unwrap();
        let holds = |rule: &Predicate, customer: &Customer| rule.holds(&Subject::new(customer, now, &definitions));
        for predicate in predicates() {
            let held: BTreeSet<CustomerId> =
                all.iter().filter(|customer| holds(&predicate, customer)).map(Customer::id).collect();
            let selected = self.crm.select(&predicate, None, 100).unwrap().customers;
            assert_eq!(selected.into_iter().collect::<BTreeSet<_>>(), held, "{predicate:?}");
        }
        for (n, predicate) in predicates().into_iter().enumerate() {
            let name = SegmentName::new(format!("s-{n}")).unwrap();
            for customer in &all {
                assert_eq!(
                    customer.standing().is_in(&name),
                    holds(&predicate, customer),
                    "{predicate:?} {}",
                    customer.id()
                );
            }
        }
        assert!(all.iter().all(|customer| customer.alarm().is_none_or(|alarm| alarm.due_at > now)));
        for found in self.crm.search(&SearchQuery::new("silva").unwrap(), 50).unwrap() {
            let customer = self.crm.customer(found.customer).unwrap().unwrap();
            assert!(!customer.is_erased());
        }
        assert_eq!(self.crm.refresh().unwrap(), 0, "nothing is left to reconsider");
    }

    /// What is given out of everybody is taken in elsewhere as what it was.
    pub(super) fn check_exporting(&self, stores: Vec<Arc<dyn Store>>) {
        let lasting = |mut export: serde_json::Value| {
            let object = export.as_object_mut().unwrap();
            for not_theirs in ["exported_at", "alarm", "suppressed"] {
                object.remove(not_theirs);
            }
            export
        };
        let crm = &self.crm;
        let definitions = crm.export_definitions().unwrap();
        for store in stores {
            let (clock, again) = shop_on(store);
            clock.set(self.clock.now());
            again.import_definitions(&definitions).unwrap();
            for customer in self.all() {
                let export = crm.export(customer.id()).unwrap().unwrap();
                again.import(&export).unwrap();
                assert_eq!(again.customer(customer.id()).unwrap().unwrap().digest(), customer.digest());
                assert_eq!(lasting(again.export(customer.id()).unwrap().unwrap()), lasting(export));
            }
            let found = |crm: &Crm| -> BTreeMap<String, Option<CustomerId>> {
                let by = |who: Who| crm.customer(who).unwrap().map(|customer| customer.id());
                let mut all: BTreeMap<_, _> = identifiers()
                    .map(|one| (format!("{:?}", LookupKey::public().hash(&TenantId::default(), &one)), by(one.into())))
                    .collect();
                all.extend((0..6).map(|n| (format!("order {n}"), by(Who::Order(order_number(n))))));
                all.extend((0..4).map(|n| (format!("case {n}"), by(Who::Case(case_number(n))))));
                all
            };
            assert_eq!(found(&again), found(crm));
            let (before, after) = (crm.overview().unwrap(), again.overview().unwrap());
            assert_eq!((after.digest, after.points), (before.digest, before.points));
            // What was given out once more is the same, whatever was worked off since.
            for crm in [crm, &again] {
                crm.advance(hour(24 * 400)).unwrap();
            }
            assert_eq!(again.overview().unwrap(), crm.overview().unwrap());
        }
    }
}
