//! What is personal: kept sealed and apart, exported whole, and erased for good.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod drawer;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use crm::blocking::Crm;
use crm::{
    Channel, Copies, CustomerId, Error, FieldName, Identifier, Incoming, KeyError, PersonKey, PersonKeys,
    PersonalError, Source, TenantId, Timestamp, Visited,
};
use drawer::Drawer;

fn visit(who: &str) -> Incoming {
    let visit = Visited { channel: Channel::Web, place: None };
    let at = Timestamp::parse("2026-01-05").unwrap();
    Incoming::new(Identifier::email(who).unwrap(), at, Source::new("shop").unwrap(), visit)
}

fn field(name: &str) -> FieldName {
    FieldName::new(name).unwrap()
}

/// Keys of which somebody has one made just as it was destroyed.
#[derive(Debug, Clone, Default)]
struct Racing {
    drawer: Drawer,
    racer: Arc<Mutex<Option<crm::Crm>>>,
}

#[async_trait]
impl PersonKeys for Racing {
    async fn get(&self, tenant: &TenantId, customer: CustomerId) -> Result<Option<PersonKey>, KeyError> {
        self.drawer.get(tenant, customer).await
    }

    async fn keep(&self, tenant: &TenantId, customer: CustomerId, key: PersonKey) -> Result<PersonKey, KeyError> {
        self.drawer.keep(tenant, customer, key).await
    }

    async fn destroy(&self, tenant: &TenantId, customer: CustomerId) -> Result<(), KeyError> {
        self.drawer.destroy(tenant, customer).await?;
        let racer = self.racer.lock().unwrap().take();
        if let Some(crm) = racer {
            let kept = crm.keep_personal(customer, &[(field("name"), Some("Ana"))]).await;
            assert!(matches!(kept, Err(Error::Personal(PersonalError::Erased { .. }))), "{kept:?}");
        }
        Ok(())
    }
}

/// Tells the host of each visit, and by whom.
#[cfg(feature = "sqlite")]
#[derive(Debug)]
struct Telling(crm::PluginStamp);

#[cfg(feature = "sqlite")]
impl crm::Workflow for Telling {
    fn stamp(&self) -> &crm::PluginStamp {
        &self.0
    }

    fn listens(&self, kind: &str) -> bool {
        kind == "visited"
    }

    fn handle(&self, _: &crm::WorkflowCall<'_>) -> Result<crm::WorkflowReply, crm::PluginFault> {
        let fields = [(field("to"), crm::FieldValue::Text("Canary Ana".into()))].into_iter().collect();
        let notify = crm::Command::Notify { topic: "mail".parse().unwrap(), fields };
        Ok(crm::WorkflowReply { commands: vec![notify], memory: None })
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
    assert_eq!(crm.customer(Identifier::email("ana@example.com").unwrap()).unwrap(), None);
    let after = crm.story(ana).unwrap().unwrap();
    assert_eq!(after.events[..before.events.len()], before.events);
    assert_eq!(after.events.last().unwrap().body.kind(), "erased");
    assert_eq!(after.customer.identifiers().count() + after.customer.stated_identifiers().count(), 0);
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

#[test]
fn nothing_personal_is_kept_of_somebody_who_is_being_erased() {
    let keys = Racing::default();
    let crm = crm::Crm::builder().person_keys(keys.clone()).build();
    *keys.racer.lock().unwrap() = Some(crm.clone());
    let crm = Crm::from(crm);
    let ana = crm.record(visit("ana@example.com")).unwrap().customer;
    assert_eq!(crm.erase(ana).unwrap().fields, 0);
    assert!(crm.personal(ana).unwrap().is_empty());
    assert!(keys.drawer.0.lock().unwrap().is_empty());
}

#[test]
fn nothing_is_kept_beside_values_whose_key_is_gone() {
    let drawer = Drawer::default();
    let crm = Crm::from(crm::Crm::builder().person_keys(drawer.clone()).build());
    let ana = crm.record(visit("ana@example.com")).unwrap().customer;
    crm.keep_personal(ana, &[(field("name"), Some("Ana"))]).unwrap();
    // As when the key was destroyed and the store could not be reached then.
    drawer.0.lock().unwrap().clear();
    let keep = || crm.keep_personal(ana, &[(field("city"), Some("Porto"))]);
    assert!(matches!(keep(), Err(Error::Personal(PersonalError::NoKey))));
    assert!(drawer.0.lock().unwrap().is_empty(), "under a new key the name would look damaged");
    assert_eq!(crm.erase(ana).unwrap().fields, 1);
    assert!(matches!(keep(), Err(Error::Personal(PersonalError::Erased { .. }))));
}

#[cfg(feature = "sqlite")]
#[test]
fn what_the_host_was_to_be_told_is_erased_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crm.db");
    let stamp = crm::PluginStamp {
        name: crm::PluginName::new("telling").unwrap(),
        version: "1".into(),
        digest: crm::Digest::of(b"telling"),
    };
    let store = crm::SqliteStore::open(&path).unwrap();
    let crm = Crm::from(crm::Crm::builder().store(store).workflow(Telling(stamp)).build());
    let ana = crm.record(visit("ana@example.com")).unwrap().customer;
    let export = crm.export(ana).unwrap().unwrap();
    assert!(export["outbox"].to_string().contains("Canary"), "{export}");
    assert!(!export["events"].to_string().contains("Canary"), "{export}");
    let erased = crm.erase(ana).unwrap();
    assert_eq!((erased.outbox, erased.copies), (1, Copies::Gone));
    let export = crm.export(ana).unwrap().unwrap().to_string();
    assert!(export.contains("notified") && !export.contains("Canary"), "{export}");
    drop(crm);
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"Canary"));
}
