//! What is personal: kept sealed and apart, exported whole, and erased for good.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use crm::blocking::Crm;
use crm::{
    Channel, Copies, CustomerId, Error, FieldName, Identifier, Incoming, KeyError, PersonKey, PersonKeys,
    PersonalError, Source, TenantId, Timestamp, Visited,
};

fn visit(who: &str) -> Incoming {
    let visit = Visited { channel: Channel::Web, place: None };
    let at = Timestamp::parse("2026-01-05").unwrap();
    Incoming::new(Identifier::email(who).unwrap(), at, Source::new("shop").unwrap(), visit)
}

fn field(name: &str) -> FieldName {
    FieldName::new(name).unwrap()
}

/// Keys in the host's own hands.
#[derive(Debug, Default, Clone)]
struct Drawer(Arc<Mutex<HashMap<(TenantId, CustomerId), PersonKey>>>);

#[async_trait]
impl PersonKeys for Drawer {
    async fn get(&self, tenant: &TenantId, customer: CustomerId) -> Result<Option<PersonKey>, KeyError> {
        Ok(self.0.lock().unwrap().get(&(tenant.clone(), customer)).cloned())
    }

    async fn keep(&self, tenant: &TenantId, customer: CustomerId, key: PersonKey) -> Result<PersonKey, KeyError> {
        Ok(self.0.lock().unwrap().entry((tenant.clone(), customer)).or_insert(key).clone())
    }

    async fn destroy(&self, tenant: &TenantId, customer: CustomerId) -> Result<(), KeyError> {
        self.0.lock().unwrap().remove(&(tenant.clone(), customer));
        Ok(())
    }
}

#[test]
fn personal_values_are_kept_replaced_and_taken_away() {
    let crm = Crm::in_memory();
    let ana = crm.record(visit("ana@example.com")).unwrap().customer;
    assert!(crm.personal(ana).unwrap().is_empty());
    crm.keep_personal(ana, &[(field("name"), Some("王小明")), (field("city"), Some("Porto"))]).unwrap();
    crm.keep_personal(
        ana,
        &[(field("city"), None), (field("name"), Some("Ana")), (field("name"), Some("Ana O'Brien"))],
    )
    .unwrap();
    let kept = crm.personal(ana).unwrap();
    assert_eq!(kept.into_iter().collect::<Vec<_>>(), [(field("name"), "Ana O'Brien".to_owned())]);
    let nobody = CustomerId::new(Timestamp::MIN, [9; 10]);
    assert!(matches!(crm.keep_personal(nobody, &[]), Err(Error::NoCustomer { .. })));
}

#[test]
fn erasing_takes_what_is_personal_and_leaves_what_happened() {
    let crm = Crm::in_memory();
    let ana = crm.record(visit("ana@example.com")).unwrap().customer;
    crm.keep_personal(ana, &[(field("name"), Some("Ana"))]).unwrap();
    let before = crm.story(ana).unwrap().unwrap();
    let erased = crm.erase(ana).unwrap();
    assert_eq!((erased.fields, erased.identifiers, erased.copies), (1, 1, Copies::Gone));
    assert!(crm.personal(ana).unwrap().is_empty());
    assert_eq!(crm.customer(&Identifier::email("ana@example.com").unwrap()).unwrap(), None);
    assert_eq!(crm.story(ana).unwrap().unwrap(), before);
    assert_ne!(crm.record(visit("ana@example.com")).unwrap().customer, ana, "whoever comes now is somebody new");
    let again = crm.erase(ana).unwrap();
    assert_eq!((again.fields, again.identifiers), (0, 0));
}

#[test]
fn a_key_that_is_destroyed_outside_takes_every_copy_with_it() {
    let drawer = Drawer::default();
    let crm = Crm::from(crm::Crm::builder().person_keys(drawer.clone()).build());
    let ana = crm.record(visit("ana@example.com")).unwrap().customer;
    crm.keep_personal(ana, &[(field("name"), Some("Ana"))]).unwrap();
    assert_eq!(crm.personal(ana).unwrap()[&field("name")], "Ana");
    // As with a copy of the store that was made before.
    drawer.0.lock().unwrap().clear();
    assert!(matches!(crm.personal(ana), Err(Error::Personal(PersonalError::NoKey))));
    drawer.0.lock().unwrap().insert((TenantId::default(), ana), PersonKey::random().unwrap());
    assert!(matches!(crm.personal(ana), Err(Error::Personal(PersonalError::Damaged { .. }))));
    crm.erase(ana).unwrap();
    assert!(drawer.0.lock().unwrap().is_empty());
    assert!(crm.personal(ana).unwrap().is_empty());
}

#[test]
fn an_export_holds_all_that_is_held() {
    let crm = Crm::in_memory();
    let ana = crm.record(visit("ana@example.com")).unwrap().customer;
    crm.keep_personal(ana, &[(field("name"), Some("Ana"))]).unwrap();
    crm.execute(ana, crm::Command::AddTag(crm::Tag::new("vip").unwrap()), "tag-ana").unwrap();
    let export = crm.export(ana).unwrap().unwrap();
    assert_eq!(export["personal"]["name"], "Ana");
    assert_eq!(export["numbers"]["visits"], 1);
    assert_eq!(export["sets"], serde_json::json!(["tag:vip"]));
    assert_eq!(export["identifiers"].as_array().unwrap().len(), 1);
    assert_eq!(export["requests"][0]["key"], "tag-ana");
    let kinds: Vec<_> = export["events"].as_array().unwrap().iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["visited", "identifier_attached", "tag_added"]);
    assert_eq!(export["changes"][0]["kind"], "stage_changed");
    assert_eq!(crm.export(CustomerId::new(Timestamp::MIN, [9; 10])).unwrap(), None);
}
