//! Nothing personal gets out by the way: no log line, no error, no `Debug` output has it.
#![cfg(feature = "vcard")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[cfg(feature = "postgres")]
#[path = "../crm-storage/tests/postgres_server/mod.rs"]
mod postgres_server;

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use crm::blocking::Crm;
use crm::{
    ActorName, Address, AuditActor, CardTold, CardUpdate, Channel, Command, ConfirmProof, ContactPoint, ContactQuery,
    CustomerId, Definition, Delivered, Digest, ErasureRequest, Field, FieldName, FieldValue, Identifier, Incoming,
    Ingestion, Locale, Method, Name, OptIn, OptInToken, PluginFault, PluginName, PluginStamp, Proof, Purpose, Remark,
    ScoreBatch, Scorer, SearchQuery, Source, SuppressionReason, TriggerValue, View, ViewName, Visited, Wording,
    Workflow, WorkflowCall, WorkflowReply,
};
use tracing::field::{Field as LogField, Visit};

/// Every line that is logged, at every level.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &LogField, value: &dyn Debug) {
        writeln!(self.0, "{field}={value:?}").unwrap();
    }
}

impl tracing::Subscriber for Captured {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let mut all = self.0.lock().unwrap();
        writeln!(all, "span {}", span.metadata().name()).unwrap();
        span.record(&mut Line(&mut all));
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut Line(&mut self.0.lock().unwrap()));
    }
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut all = self.0.lock().unwrap();
        writeln!(all, "event {}", event.metadata().target()).unwrap();
        event.record(&mut Line(&mut all));
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// What was planted, each with its own word, and everything that was seen.
#[derive(Default)]
struct Patch {
    planted: Vec<String>,
    seen: String,
}

impl Patch {
    fn plant(&mut self, word: &str) -> String {
        self.planted.push(word.to_owned());
        word.to_owned()
    }

    /// What a call answered, or why it failed, with all its causes.
    fn saw<T: Debug, E: std::error::Error>(&mut self, answer: Result<T, E>) -> Option<T> {
        match answer {
            Ok(answer) => {
                writeln!(self.seen, "{answer:?} {answer:#?}").unwrap();
                Some(answer)
            }
            Err(error) => {
                writeln!(self.seen, "{error} {error:?} {error:#?}").unwrap();
                let mut cause = error.source();
                while let Some(source) = cause {
                    writeln!(self.seen, "{source} {source:?}").unwrap();
                    cause = source.source();
                }
                None
            }
        }
    }

    /// The words that got out, in any of the forms in which they can.
    fn out(&self, text: &str) -> Vec<String> {
        let lower = text.to_lowercase();
        let of = |word: &String| {
            let utf16: Vec<u8> = word.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let bytes = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
            let spelled: String = word.chars().map(|c| format!("\\u{{{:x}}}", u32::from(c))).collect();
            let mut forms = vec![word.to_lowercase(), bytes(word.as_bytes()), bytes(&utf16), spelled];
            forms.extend([hex(word.as_bytes()), hex(&utf16)]);
            forms.iter().any(|form| lower.contains(form)) || in_base64(text, word.as_bytes())
        };
        self.planted.iter().filter(|word| of(word)).cloned().collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Whether the base64 of some bytes is in a text, at any of the three places at which they can begin: without the
/// characters at both ends that others have a part in.
fn in_base64(text: &str, bytes: &[u8]) -> bool {
    (0..3).any(|before| {
        let padded = [vec![0; before], bytes.to_vec()].concat();
        let whole = padded.len() / 3 * 4;
        let first = (before * 8).div_ceil(6);
        let encoded = base64(&padded);
        text.contains(&encoded[first..whole])
    })
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut block = [0_u8; 3];
        block[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, block[0], block[1], block[2]]);
        text.extend((0..4).map(|n| char::from(DIGITS[(bits >> (18 - 6 * n)) as usize & 63])));
    }
    text
}

#[test]
fn the_search_finds_each_form_in_which_a_word_can_get_out() {
    let mut field = Patch::default();
    field.plant("CanaryWord");
    let utf16: Vec<u8> = "CanaryWord".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let forms = [
        "xxCANARYWORDxx".to_owned(),
        format!("{:?}", "CanaryWord".as_bytes()),
        format!("{utf16:?}"),
        hex(b"xCanaryWord"),
        base64(b"CanaryWord"),
        base64(b"x CanaryWord y"),
        base64(b"an e-mail of CanaryWord"),
    ];
    for form in forms {
        assert_eq!(field.out(&form), ["CanaryWord"], "{form}");
    }
    assert!(field.out("Canary Word").is_empty());
}

fn by() -> AuditActor {
    AuditActor::Host(ActorName::new("support:17").unwrap())
}

fn source() -> Source {
    Source::new("shop").unwrap()
}

fn walk(crm: &Crm, field: &mut Patch) {
    let visit = || Visited { channel: Channel::Web, place: None };
    let email = field.plant("canarymail");
    let email = Identifier::email(&format!("{email}@example.com")).unwrap();
    let phone = Identifier::phone(&format!("+{}", field.plant("351912345670"))).unwrap();
    writeln!(field.seen, "{email:?} {phone:?} {:?}", crm.identified(&email)).unwrap();
    let incoming = Incoming::new(&email, crm.now(), source(), visit()).with_key("visit".parse().unwrap());
    writeln!(field.seen, "{incoming:?}").unwrap();
    let ana = field.saw(crm.record(incoming.clone())).unwrap().customer;
    field.saw(crm.record(Incoming::new(ana, crm.now(), source(), crm.identified(&phone))));
    let other = field.saw(crm.record(Incoming::new(&phone, crm.now(), source(), visit()))).unwrap().customer;
    assert_eq!(other, ana);
    let ben = field.plant("canaryben");
    let ben = Identifier::email(&format!("{ben}@example.com")).unwrap();
    let ben = field.saw(crm.record(Incoming::new(&ben, crm.now(), source(), visit()))).unwrap().customer;
    // An identifier that is taken, another content under a key, and nobody there.
    field.saw(crm.record(Incoming::new(ben, crm.now(), source(), crm.identified(&email))));
    let enquiry = crm::Enquired { channel: Channel::Web, subject: None };
    field.saw(crm.record(Incoming::new(&email, crm.now(), source(), enquiry).with_key("visit".parse().unwrap())));
    let nobody = CustomerId::new(crm.now(), [9; 10]);
    field.saw(crm.record(Incoming::new(nobody, crm.now(), source(), crm.identified(&email))));
    field.saw(crm.ingest([incoming], Ingestion::history()));

    let given = field.plant("Canarygiven");
    let street = field.plant("Canarystreet 7");
    let line = field.plant("Canaryfirma");
    let web = field.plant("canarypoint");
    let address = Address::new(&[&street], "Porto", "", "", None).unwrap();
    let card = CardUpdate::new()
        .name(Name::new(&given, "Silva").unwrap())
        .addresses(vec![address])
        .contact_points(vec![ContactPoint::email(&format!("{web}@example.org")).unwrap()])
        .employer(crm::CardLine::new(&line).unwrap());
    writeln!(field.seen, "{card:?}").unwrap();
    field.saw(crm.update_card(ana, card.clone(), &source(), crm.now()));
    field.saw(crm.update_card(nobody, card.clone(), &source(), crm.now()));
    let told = CardTold { customer: ben, update: card.clone(), source: source(), at: crm.now() };
    writeln!(field.seen, "{told:?}").unwrap();
    field.saw(crm.update_cards(&[told]));
    field.saw(crm.rectify(ana, card.clone(), &source(), crm.now(), by()));
    field.saw(crm.update_card(ana, card, &source(), crm.now().plus(crm::Span::days(9))));
    // Cards print masked.
    field.saw(crm.card(ana));
    field.saw(crm.card_history(ana));
    field.saw(crm.completeness(ana));
    let view = ViewName::new("greeting").unwrap();
    field.saw(crm.card_for(ana, &view, by()));
    field.saw(crm.define(crm.now(), Definition::View(view.clone(), Some(View::of([Field::Name])))));
    field.saw(crm.card_for(ana, &view, by()));
    for text in [format!("{given} Silva"), format!("{web}@example.org"), "x".repeat(9_000) + &given] {
        if let Some(query) = field.saw(SearchQuery::new(&text)) {
            field.saw(crm.search(&query, 10));
        }
    }
    // Values that are refused.
    for wrong in ["canarywrong@@x", "canarywrong", "+canarywrong", "\u{0}canarywrong"] {
        field.saw(Identifier::email(wrong));
        field.saw(Identifier::phone(wrong));
        field.saw(ContactPoint::email(wrong));
        field.saw(ContactPoint::phone(wrong));
        field.saw(Name::new(&wrong.repeat(2_000), wrong));
        field.saw(OptInToken::parse(wrong));
    }
    field.plant("canarywrong");
    let note = field.plant("Canarynote");
    let named = |name: &str| FieldName::new(name).unwrap();
    field.saw(crm.keep_personal(ana, &[(named("note"), Some(&note))]));
    field.saw(crm.keep_personal(ana, &[(named("card.name"), Some(&note))]));
    field.saw(crm.keep_personal(nobody, &[(named("note"), Some(&note))]));
    let told = field.plant("Canarytold");
    let fields = [(named("to"), FieldValue::Text(told.into()))].into_iter().collect::<crm::Fields>();
    let notify = Command::Notify { topic: "mail".parse().unwrap(), fields };
    field.saw(crm.execute(ana, notify.clone(), "tell"));
    field.saw(crm.execute(ben, notify.clone(), "tell"));
    field.saw(crm.execute(nobody, notify.clone(), "tell"));
    field.saw(crm.execute(ana, Command::AddTag(crm::Tag::new("vip").unwrap()), "tell"));
    let vcard = field.plant("Canaryvcard");
    for text in [
        format!("BEGIN:VCARD\r\nVERSION:4.0\r\nFN:{vcard}\r\nEMAIL:{vcard}@example.com\r\nEND:VCARD\r\n"),
        format!("BEGIN:VCARD\r\nVERSION:4.0\r\nFN:{vcard}\r\nBDAY:{vcard}"),
        vcard,
    ] {
        field.saw(crm::vcard::read(&text));
        field.saw(crm.import_vcards(&text, &source(), crm.now()));
    }

    let wording =
        Wording { version: "1".parse().unwrap(), sha256: Digest::of(b"yes"), locale: Locale::new("en").unwrap() };
    let proof = || Proof::new(Method::Form, wording.clone(), "form".parse().unwrap());
    let marketing = Purpose::new("marketing").unwrap();
    let opt_in = OptIn::new(marketing.clone(), Channel::Email, email.clone(), proof());
    writeln!(field.seen, "{opt_in:?}").unwrap();
    field.saw(crm.request_opt_in(nobody, opt_in.clone()));
    let asked = field.saw(crm.request_opt_in(ana, opt_in)).unwrap();
    field.plant(&asked.token.expose());
    field.saw(crm.peek_opt_in(&asked.token));
    let wrong = ConfirmProof { collected_by: "page".parse().unwrap(), address: Some(phone.clone()) };
    field.saw(crm.confirm_opt_in(&asked.token, wrong));
    let right = ConfirmProof { collected_by: "page".parse().unwrap(), address: Some(email.clone()) };
    field.saw(crm.confirm_opt_in(&asked.token, right));
    let query = ContactQuery::new(marketing, Channel::Email, crm.now());
    field.saw(crm.may_contact(ana, &query, Some(&email)));
    field.saw(crm.suppress(&email, SuppressionReason::Asked, &source()));
    field.saw(crm.is_suppressed(&email));
    field.saw(crm.may_contact(ana, &query, Some(&email)));
    field.saw(crm.unsuppress(ana, &email, proof()));

    field.saw(crm.customer(&email));
    field.saw(crm.story(ana));
    field.saw(crm.merge(ana, ben, "one".parse().unwrap()));
    field.saw(crm.part(ana, ben, "two".parse().unwrap()));
    field.saw(crm.overview());
    let mut export = crm.export_for(ana, by()).unwrap().unwrap();
    assert!(export.to_string().contains("Canarygiven"), "what is given out on purpose has them");
    field.saw(crm.import(&export));
    for wrong in ["/personal_rows/0/value", "/events/0/body", "/outbox/0/topic", "/claims/0/kind"] {
        *export.pointer_mut(wrong).unwrap() = serde_json::json!({ "canarywrong": "Canarygiven" });
        field.saw(crm.import(&export));
    }
    field.saw(crm.erase_with(ana, ErasureRequest::new(by()).because("she asked".parse().unwrap())));
    field.saw(crm.keep_personal(ana, &[(named("note"), Some(&note))]));
    field.saw(crm.export(ana).map(|export| export.unwrap().to_string()));
    field.saw(crm.audit_log(None, 100));
    field.saw(crm.advance(crm.now().plus(crm::Span::days(900))));
    field.saw(crm.customer(ana));
    let mut handed = Vec::new();
    let later = crm.now().plus(crm::Span::days(901));
    field.saw(crm.deliver(later, |delivery| {
        handed.push(format!("{delivery:?}"));
        Delivered::Dead("refused".into())
    }));
    field.saw(crm.dead_letters(None, 10));
    writeln!(field.seen, "{handed:?}").unwrap();
    writeln!(field.seen, "{crm:?}").unwrap();
}

fn leaks(crm: &Crm, walk: impl Fn(&Crm, &mut Patch)) -> Vec<String> {
    let log = Captured::default();
    let mut field = Patch::default();
    tracing::subscriber::with_default(log.clone(), || walk(crm, &mut field));
    let logged = log.0.lock().unwrap().clone();
    assert!(logged.contains("span record") && logged.contains("span execute"), "the log was caught: {logged}");
    let mut out = field.out(&logged);
    #[cfg(feature = "postgres")]
    out.extend(field.out(&LOGGED.lock().unwrap()));
    out.extend(field.out(&field.seen));
    if !out.is_empty() {
        for word in &out {
            let lower = field.seen.to_lowercase();
            let at = lower.find(&word.to_lowercase()).unwrap_or(0);
            let from = (0..=at.saturating_sub(300)).rev().find(|at| lower.is_char_boundary(*at)).unwrap_or(0);
            out_line(&lower[from..], word);
        }
    }
    out
}

#[allow(clippy::print_stderr, reason = "says where, when the test fails")]
fn out_line(text: &str, word: &str) {
    eprintln!("{word}: {}", text.chars().take(400).collect::<String>());
}

/// All that is logged by `log`, which PostgreSQL's client uses, from any thread.
#[cfg(feature = "postgres")]
static LOGGED: Mutex<String> = Mutex::new(String::new());

#[cfg(feature = "postgres")]
struct Logger;

#[cfg(feature = "postgres")]
impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        writeln!(LOGGED.lock().unwrap(), "{} {}", record.target(), record.args()).unwrap();
    }
    fn flush(&self) {}
}

/// A store on PostgreSQL, with all that its client logs caught, and where its database is.
#[cfg(feature = "postgres")]
fn on_postgres() -> Option<(crm::PostgresStore, String)> {
    let server = postgres_server::server()?;
    static LOGGER: Logger = Logger;
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
    let url = server.url(&server.database());
    let options = crm::PostgresOptions::default().lanes(16).schema("canary");
    Some((postgres_server::block_on(crm::PostgresStore::connect(&url, &options)).unwrap(), url))
}

/// Takes a walk over memory, over SQLite and over PostgreSQL.
fn over_each_store(build: impl Fn() -> crm::CrmBuilder, walk: impl Fn(&Crm, &mut Patch)) {
    #[cfg(feature = "postgres")]
    if let Some((store, _)) = on_postgres() {
        assert_eq!(leaks(&Crm::from(build().store(store).build()), &walk), Vec::<String>::new());
    }
    assert_eq!(leaks(&Crm::from(build().build()), &walk), Vec::<String>::new());
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        let store = crm::SqliteStore::open(folder.path().join("crm.db")).unwrap();
        assert_eq!(leaks(&Crm::from(build().store(store).build()), &walk), Vec::<String>::new());
    }
}

#[test]
fn no_canary_gets_out_of_any_call() {
    over_each_store(crm::Crm::builder, walk);
}

/// Prints whatever it is called with and whatever it answers, and repeats what it hears.
#[derive(Debug)]
struct Nosy {
    stamp: PluginStamp,
    printed: Mutex<String>,
}

impl Workflow for Nosy {
    fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    fn listens(&self, kind: &str) -> bool {
        kind.starts_with("shop.")
    }

    fn handle(&self, call: &WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> {
        let mut printed = self.printed.lock().unwrap();
        writeln!(printed, "{call:?} {call:#?}").unwrap();
        let texts = call.trigger.fields.iter().filter_map(|(name, value)| match value {
            TriggerValue::Text(text) | TriggerValue::Reference(text) => {
                Some((FieldName::new(name).unwrap(), FieldValue::Text(text.clone())))
            }
            TriggerValue::Bool(_) | TriggerValue::Int(_) | TriggerValue::Float(_) => None,
        });
        let notify = Command::Notify { topic: "heard".parse().unwrap(), fields: texts.collect() };
        let reply = WorkflowReply { commands: vec![notify], memory: Some(b"Canarymemory".to_vec()) };
        writeln!(printed, "{reply:?}").unwrap();
        Ok(reply)
    }
}

/// Prints whatever it scores.
#[derive(Debug)]
struct Counting(PluginStamp, String);

impl Scorer for Counting {
    fn stamp(&self) -> &PluginStamp {
        &self.0
    }

    fn attributes(&self) -> &[crm::Attribute] {
        crm::Attribute::ALL
    }

    fn outputs(&self) -> &[crm::SmolStr] {
        const OUTPUTS: &[crm::SmolStr] = &[crm::SmolStr::new_static("visits")];
        OUTPUTS
    }

    fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
        writeln!(self.1, "{batch:?}").unwrap();
        Ok(vec![batch.columns[0].iter().map(|_| Some(0.5)).collect()])
    }
}

fn stamp(name: &str) -> PluginStamp {
    PluginStamp { name: PluginName::new(name).unwrap(), version: "1".into(), digest: Digest::of(b"") }
}

fn remark(field: &mut Patch, word: &str) -> Remark {
    Remark::new(format!("{} said so", field.plant(word))).unwrap()
}

/// Attributes for rules, messages and cases, and rules that ask about them.
fn walk_attributes_and_cases(crm: &Crm, field: &mut Patch, ana: crm::CustomerId) {
    use crm::{DeclaredKind, DeclaredName, DeclaredText, DeclaredValue};
    let [note, number] = ["note", "number"].map(|name| DeclaredName::new(name).unwrap());
    field.saw(crm.define(crm.now(), Definition::Attribute(note.clone(), Some(DeclaredKind::Text))));
    field.saw(crm.define(crm.now(), Definition::Attribute(number.clone(), Some(DeclaredKind::Whole))));
    let text = DeclaredValue::Text(DeclaredText::new(field.plant("Canarynote")).unwrap());
    let whole = DeclaredValue::Whole(4_479_111_222_333);
    let case = crm::CaseRef::new("C-1").unwrap();
    let (topic, reason) = (Some(remark(field, "Canarytopic")), Some(remark(field, "Canaryreopened")));
    let subject = Some(remark(field, "Canarymessage"));
    let facts: [crm::Fact; 8] = [
        crm::AttributeSet::new(note.clone(), text.clone()).into(),
        crm::AttributeSet::new(note, whole.clone()).into(),
        crm::AttributeSet::new(number.clone(), whole).into(),
        crm::AttributeSet::new(number, text).into(),
        crm::MessageReceived { channel: Channel::Email, subject }.into(),
        crm::CaseOpened { case: case.clone(), kind: crm::CaseKind::Question, topic: topic.clone() }.into(),
        crm::CaseOpened { case: case.clone(), kind: crm::CaseKind::Return, topic }.into(),
        crm::CaseReopened { case, reason }.into(),
    ];
    for (n, fact) in facts.into_iter().enumerate() {
        let incoming = Incoming::new(ana, crm.now(), source(), fact).with_key(format!("asked {n}").parse().unwrap());
        writeln!(field.seen, "{incoming:?} {incoming:#?}").unwrap();
        field.saw(crm.record(incoming));
    }
    let known =
        field.saw(crm.rule(r#"known(attribute("note")) && attribute("number") > 0 && cases.open() == 1"#)).unwrap();
    assert_eq!(field.saw(crm.count(&known)).unwrap(), 1);
    writeln!(field.seen, "{:?}", crm.customer(ana).unwrap()).unwrap();
}

/// What people write into remarks, what kinds of the shop's own have, what plugins are given, and what comes from
/// whoever follows a link.
fn walk_further(crm: &Crm, field: &mut Patch) {
    let visit = |place| Visited { channel: Channel::Web, place };
    let [ana, ben] = ["canaryana", "canarybert"].map(|name| {
        let email = Identifier::email(&format!("{}@example.com", field.plant(name))).unwrap();
        field.saw(crm.record(Incoming::new(&email, crm.now(), source(), visit(None)))).unwrap().customer
    });
    let email = Identifier::email("canaryana@example.com").unwrap();
    // Remarks.
    let place = remark(field, "Canaryplace");
    let subject = remark(field, "Canarysubject");
    let incoming = Incoming::new(ana, crm.now(), source(), visit(Some(place))).with_key("place".parse().unwrap());
    writeln!(field.seen, "{incoming:?}").unwrap();
    let visited = field.saw(crm.record(incoming)).unwrap();
    let enquired = crm::Enquired { channel: Channel::Store, subject: Some(subject) };
    field.saw(crm.record(Incoming::new(ana, crm.now(), source(), enquired)));
    let reason = Some(remark(field, "Canaryvoided"));
    let voided = crm::Voided { event: visited.event, reason };
    field.saw(crm.record(Incoming::new(ana, crm.now(), source(), voided)));
    let restricted = crm::Restricted { reason: Some(remark(field, "Canaryrestricted")) };
    field.saw(crm.record(Incoming::new(ana, crm.now().minus(crm::Span::millis(1)), source(), restricted)));
    let lifted = crm::RestrictionLifted { reason: Some(remark(field, "Canarylifted")) };
    field.saw(crm.record(Incoming::new(ana, crm.now(), source(), lifted)));
    let program = crm::ProgramId::new("points").unwrap();
    let award = crm::AwardPoints { program, points: 5, reason: remark(field, "Canaryaward") };
    field.saw(crm.execute(ana, Command::AwardPoints(award.clone()), "no such programme"));
    writeln!(field.seen, "{award:?}").unwrap();
    let because = remark(field, "Canaryduplicate");
    field.saw(crm.reject_duplicate(ana, ben, because));
    let because = remark(field, "Canarymerged");
    field.saw(crm.merge(ana, ben, because));
    let because = remark(field, "Canaryparted");
    field.saw(crm.part(ana, ben, because));
    field.saw(crm.suggest_duplicates(ana));

    // Kinds of the shop's own, and who listens to them.
    let kind = crm::KindName::new("poll").unwrap();
    let answer = FieldName::new("answer").unwrap();
    let rule = crm::FieldRule { field_type: crm::FieldType::Text, required: true };
    let schema =
        crm::KindSchema { fields: [(answer.clone(), rule)].into(), shows_interest: false, ends_relation: false };
    field.saw(crm.define(crm.now(), Definition::Kind(kind.clone(), Some(schema))));
    let poll = |name: &FieldName, value: FieldValue| crm::CustomFact::new(kind.clone()).with(name.clone(), value);
    let text = FieldValue::Text(field.plant("Canaryanswer").into());
    field.plant("Canarymemory");
    field.plant("4479111222333");
    let other = FieldName::new("other").unwrap();
    for fact in [
        poll(&answer, text.clone()),
        poll(&other, text.clone()),
        poll(&answer, FieldValue::Int(4_479_111_222_333)),
        poll(&answer, FieldValue::Text("Canaryanswer".repeat(9_000).into())),
    ] {
        let incoming = Incoming::new(ana, crm.now(), source(), fact);
        writeln!(field.seen, "{incoming:?} {incoming:#?}").unwrap();
        field.saw(crm.record(incoming));
    }
    walk_attributes_and_cases(crm, field, ana);
    let long = FieldValue::Text("Canaryanswer".repeat(9_000).into());
    let notify = Command::Notify { topic: "mail".parse().unwrap(), fields: [(answer, long)].into() };
    field.saw(crm.execute(ana, notify, "too long"));
    let later = crm.now().plus(crm::Span::days(1));
    field.plant("Canaryreason");
    let mut handed = Vec::new();
    field.saw(crm.deliver(later, |delivery| {
        let answer = Delivered::Dead("550 no box Canaryreason@example.com".into());
        handed.push(format!("{delivery:?} {answer:?}"));
        answer
    }));
    writeln!(field.seen, "{handed:?}").unwrap();
    let letters = field.saw(crm.dead_letters(None, 10)).unwrap();
    assert!(!letters.is_empty(), "the workflow told of what it heard");
    field.saw(crm.revive(&letters[0], None));
    let mut scorer = Counting(stamp("counting"), String::new());
    field.saw(crm.score(&mut scorer, crm.now()));
    field.seen.push_str(&scorer.1);

    // Ties and choosing.
    let tie = |from, to| crm::Tie { from, to, kind: crm::TieKind::Referred, strength: crm::Strength::FULL };
    field.saw(crm.tie(tie(ana, ben), crm.now(), source(), "tie".parse().unwrap()));
    field.saw(crm.tie(tie(ana, ana), crm.now(), source(), "self".parse().unwrap()));
    let untie = crm::Untie { from: ana, to: ben, kind: crm::TieKind::Referred };
    field.saw(crm.untie(untie, crm.now(), source(), "end".parse().unwrap()));
    let many = crm::Predicate::compare(crm::Attribute::Visits, crm::Comparison::Ge, 1);
    field.saw(crm.select(&many, None, 10));
    field.saw(crm.count(&many));
    let segment = crm::SegmentName::new("visitors").unwrap();
    field.saw(crm.define(crm.now(), Definition::Segment(segment, Some(many))));

    // Links, right and wrong ones.
    let token = crm.unsubscribe_token(ana, Purpose::new("marketing").unwrap(), Channel::Email);
    field.plant(token.as_str());
    let tag = token.as_str().rsplit('~').next().unwrap().to_owned();
    field.plant(&tag);
    writeln!(field.seen, "{token:?}").unwrap();
    for link in [
        token.as_str().to_owned(),
        format!("{}0", token.as_str()),
        format!("canarylink~{}", token.as_str()),
        "canarylink".to_owned(),
        "1~canarylink~~~~00".to_owned(),
    ] {
        field.saw(crm.peek_unsubscribe(&link));
        field.saw(crm.withdraw_by_token(&link));
        field.saw(OptInToken::parse(&link));
    }
    field.plant("canarylink");
    let stop = crm::ConsentWithdrawn::new(Purpose::new("marketing").unwrap(), Channel::Email, Method::Reply);
    let stranger = Identifier::email(&format!("{}@example.com", field.plant("canarystranger"))).unwrap();
    for address in [&email, &stranger] {
        field.saw(crm.withdraw_by_address(address, stop.clone(), crm.now(), &source()));
    }
    field.saw(crm.suppress_all([email.clone(), stranger.clone()], SuppressionReason::Bounced, &source()));
    field.saw(crm.is_suppressed(&stranger));

    // Columns that were mixed up.
    field.plant("canarycolumn");
    field.saw(crm::Timestamp::parse("canarycolumn"));
    field.saw(crm::Currency::new("canarycolumn"));
    field.saw(crm::Money::parse("canarycolumn", crm::Currency::EUR));
    field.saw("canarycolumn\u{7}".parse::<crm::Tag>());
    field.saw(Source::new("canarycolumn".repeat(90)));
    field.saw(crm::Identifier::device(&"canarycolumn".repeat(900)));
    field.saw(crm.import_definitions(&serde_json::json!({
        "format": "crm-definitions/1", "definitions": [{ "from": "canarycolumn", "definition": "canarycolumn" }],
    })));
    let told = |customer| {
        let name = Name::new("Canaryimported", "Silva").unwrap();
        CardTold { customer, update: CardUpdate::new().name(name), source: source(), at: crm.now() }
    };
    field.plant("Canaryimported");
    let nobody = CustomerId::new(crm.now(), [9; 10]);
    field.saw(crm.import_cards([told(ana), told(nobody), told(ana)], Ingestion::history()));
    field.saw(crm.story(ana));
    field.saw(crm.customer(ana));
    let mut export = crm.export(ana).unwrap().unwrap();
    let text = export.to_string();
    for word in ["Canaryplace", "Canaryanswer", "Canaryimported"] {
        assert!(text.contains(word), "what is given out on purpose has {word}");
    }
    for wrong in ["/listed", "/changes/0/after", "/outbox/0/dead", "/events/0/at"] {
        if let Some(place) = export.pointer_mut(wrong) {
            *place = serde_json::json!([{ "canarycolumn": "Canaryanswer" }]);
            field.saw(crm.import(&export));
        }
    }
    // The workflow printed what it was given.
    let printed = format!("{crm:?}");
    assert!(printed.contains("WorkflowCall"), "it was called");
    field.seen.push_str(&printed);
}

#[test]
fn no_canary_gets_out_of_remarks_plugins_ties_and_links() {
    let nosy = || Nosy { stamp: stamp("nosy"), printed: Mutex::default() };
    over_each_store(|| crm::Crm::builder().workflow(nosy()), walk_further);
}

/// A value for each field of the card, with a word of its own in each part that is text.
fn card_value(field: &Field, patch: &mut Patch) -> crm::CardValue {
    let line = |patch: &mut Patch, word: &str| crm::CardLine::new(patch.plant(word)).unwrap();
    match field {
        Field::Name => {
            let name = Name::new(&patch.plant("Canaryvorname"), &patch.plant("Canaryfamily")).unwrap();
            let titles = [patch.plant("Canarydr"), patch.plant("Canarymiddle"), patch.plant("Canaryjunior")];
            crm::CardValue::Name(name.with_titles(&titles[0], &titles[1], &titles[2]).unwrap())
        }
        Field::Employer => crm::CardValue::Line(line(patch, "Canaryemployer")),
        Field::Position => crm::CardValue::Line(line(patch, "Canaryposition")),
        Field::Birthday => crm::CardValue::Birthday(crm::Birthday::parse(&patch.plant("1987-03-21")).unwrap()),
        Field::Language => crm::CardValue::Language(crm::Language::new(&patch.plant("de-CH-1996")).unwrap()),
        Field::TimeZone => {
            crm::CardValue::TimeZone(crm::TimeZone::new(&patch.plant("America/Argentina/Ushuaia")).unwrap())
        }
        Field::Addresses => {
            let [street, city, region, code] =
                ["Canaryroad 9", "Canarycity", "Canaryregion", "CNRY-4711"].map(|word| patch.plant(word));
            crm::CardValue::Addresses(vec![Address::new(&[&street], &city, &region, &code, None).unwrap()])
        }
        Field::ContactPoints => {
            let messaging = format!("xmpp:{}@example.com", patch.plant("canaryxmpp"));
            let web = format!("https://{}.example.com/", patch.plant("canaryweb"));
            crm::CardValue::ContactPoints(vec![
                ContactPoint::email(&format!("{}@example.com", patch.plant("canarybox"))).unwrap(),
                ContactPoint::phone(&format!("+{}", patch.plant("351912345999"))).unwrap(),
                ContactPoint::new(crm::ContactKind::Messaging, &messaging).unwrap(),
                ContactPoint::new(crm::ContactKind::Web, &web).unwrap(),
            ])
        }
        Field::MemberNumbers => crm::CardValue::Lines(vec![line(patch, "CNRY-MEMBER-77")]),
        Field::Preferences => crm::CardValue::Preferences(vec![crm::CustomPreference {
            name: line(patch, "Canarypreference"),
            value: line(patch, "Canaryevenings"),
        }]),
        Field::Interests => crm::CardValue::Lines(vec![line(patch, "Canaryinterest")]),
        Field::Keywords => crm::CardValue::Lines(vec![line(patch, "Canarykeyword")]),
        Field::OwnKeywords => crm::CardValue::Lines(vec![line(patch, "Canaryown")]),
        Field::Attribute(name) if name.as_str() == "shoe" => {
            crm::CardValue::Attribute(crm::AttributeValue::OneOf("Canarychoice".parse().unwrap()))
        }
        Field::Attribute(_) => {
            let text = crm::CardText::new(patch.plant("Canaryattribute")).unwrap();
            crm::CardValue::Attribute(crm::AttributeValue::Text(text))
        }
        other => panic!("plant a canary in {other:?}"),
    }
}

fn identifier(kind: crm::IdentifierKind, patch: &mut Patch) -> Identifier {
    use crm::IdentifierKind::{Card, Device, Email, External, Messaging, OpenId, Phone, Rfid};
    let system = crm::ExternalSystem::new("erp").unwrap();
    let planted = match kind {
        Email => Identifier::email(&format!("{}@example.com", patch.plant("canaryid"))),
        Phone => Identifier::phone(&format!("+{}", patch.plant("351912345888"))),
        Card => Identifier::card(&patch.plant("CNRY4711CARD")),
        Device => Identifier::device(&patch.plant("canarydevice4711")),
        Messaging => Identifier::messaging(&system, &patch.plant("canaryaccount")),
        OpenId => Identifier::open_id("https://id.example.com", &patch.plant("canarysubject")),
        Rfid => Identifier::rfid(&patch.plant("E2003412DC03011804711CAF")),
        External => Identifier::external(&system, &patch.plant("CNRY-EXT-4711")),
        other => panic!("plant a canary in {other:?}"),
    };
    planted.unwrap()
}

/// Every field of the card and every kind of identifier goes in, out, wrong and away.
fn walk_every_field(crm: &Crm, field: &mut Patch) {
    let visit = || Visited { channel: Channel::Web, place: None };
    let names = ["diet", "shoe"].map(|name| crm::AttributeName::new(name).unwrap());
    let choice: crm::AttributeChoice = "Canarychoice".parse().unwrap();
    let kinds = [crm::AttributeKind::Text { max_bytes: 64 }, crm::AttributeKind::OneOf(vec![choice])];
    let schema = crm::CardSchema { attributes: names.iter().cloned().zip(kinds).collect() };
    crm.define(crm.now(), Definition::CardSchema(schema)).unwrap();
    let mut all = Vec::new();
    for kind in crm::IdentifierKind::ALL {
        let known = identifier(kind, field);
        writeln!(field.seen, "{known:?} {known:#?} {:?}", crm.identified(&known)).unwrap();
        let who = field.saw(crm.record(Incoming::new(&known, crm.now(), source(), visit()))).unwrap().customer;
        field.saw(crm.customer(&known));
        all.push((who, known));
    }
    let ana = all[0].0;
    for (_, known) in &all {
        // Of the others it is taken.
        field.saw(crm.record(Incoming::new(ana, crm.now(), source(), crm.identified(known))));
    }
    let fields: Vec<Field> = Field::plain().chain(names.into_iter().map(Field::Attribute)).collect();
    let values: Vec<crm::CardValue> = fields.iter().map(|of| card_value(of, field)).collect();
    let mut card = CardUpdate::new();
    for (n, (of, value)) in fields.iter().zip(&values).enumerate() {
        writeln!(field.seen, "{value:?} {value:#?}").unwrap();
        card = card.set(of.clone(), value.clone());
        // The value of another field is refused.
        let wrong = CardUpdate::new().set(of.clone(), values[(n + 1) % values.len()].clone());
        field.saw(crm.update_card(ana, wrong, &source(), crm.now()));
    }
    writeln!(field.seen, "{card:?} {card:#?}").unwrap();
    field.saw(crm.update_card(ana, card.clone(), &source(), crm.now())).unwrap();
    field.saw(crm.rectify(ana, card.clone(), &source(), crm.now(), by()));
    let told = CardTold { customer: all[1].0, update: card, source: source(), at: crm.now() };
    writeln!(field.seen, "{told:?}").unwrap();
    field.saw(crm.import_cards([told], Ingestion::history()));
    let read = field.saw(crm.card(ana)).unwrap();
    assert_eq!(read.fields().count(), fields.len(), "all of them are there");
    field.saw(crm.card_history(ana));
    field.saw(crm.completeness(ana));
    for text in ["Canaryvorname", "canarybox@example.com", "345999", "CNRY-MEMBER-77"] {
        field.saw(crm.search(&SearchQuery::new(text).unwrap(), 10));
    }
    field.saw(crm.merge(ana, all[1].0, "one".parse().unwrap()));
    field.saw(crm.part(ana, all[1].0, "two".parse().unwrap()));
    let mut export = crm.export(ana).unwrap().unwrap();
    assert!(export.to_string().contains("Canaryattribute"), "what is given out on purpose has them");
    let rows = export["personal_rows"].as_array().unwrap().len();
    for n in 0..rows {
        let place = format!("/personal_rows/{n}/value");
        let value = export.pointer(&place).unwrap().clone();
        *export.pointer_mut(&place).unwrap() = serde_json::json!(format!("{value}}}"));
        field.saw(crm.import(&export));
        *export.pointer_mut(&place).unwrap() = value;
    }
    field.saw(crm.story(ana));
    for (who, _) in &all {
        field.saw(crm.erase_with(*who, ErasureRequest::new(by())));
    }
    field.saw(crm.audit_log(None, 100));
    writeln!(field.seen, "{crm:?}").unwrap();
    // The log is looked for these two.
    let notify = Command::Notify { topic: "mail".parse().unwrap(), fields: crm::Fields::default() };
    field.saw(crm.execute(ana, notify, "tell"));
}

#[test]
fn no_canary_gets_out_of_any_field_of_the_card_or_any_kind_of_identifier() {
    over_each_store(crm::Crm::builder, walk_every_field);
}

/// PostgreSQL quotes the row that broke a constraint, and a value that it cannot read.
#[cfg(feature = "postgres")]
#[test]
fn what_postgresql_quotes_of_a_row_it_refuses_gets_out_nowhere() {
    let Some((store, url)) = on_postgres() else { return };
    let shop = Crm::from(crm::Crm::builder().store(store).build());
    let walk = |crm: &Crm, field: &mut Patch| {
        let visit = Visited { channel: Channel::Web, place: None };
        let email = Identifier::email("canarymail@example.com").unwrap();
        let ana = crm.record(Incoming::new(&email, crm.now(), source(), visit)).unwrap().customer;
        let told = field.plant("Canarytold");
        let fields = [(FieldName::new("to").unwrap(), FieldValue::Text(told.into()))].into_iter().collect();
        let notify = Command::Notify { topic: "mail".parse().unwrap(), fields };
        postgres_server::block_on(async {
            let raw = postgres_server::connect(&url).await;
            let broken = "ALTER TABLE canary.outbox ADD CONSTRAINT never CHECK (false) NOT VALID";
            raw.batch_execute(broken).await.unwrap();
        });
        assert!(field.saw(crm.execute(ana, notify.clone(), "refused")).is_none());
        assert!(field.seen.contains("23514") && field.seen.contains("never"), "it says what broke: {}", field.seen);
        postgres_server::block_on(async {
            let raw = postgres_server::connect(&url).await;
            // What somebody's trigger says may quote the row as well.
            let quotes = "ALTER TABLE canary.outbox DROP CONSTRAINT never; \
                CREATE FUNCTION canary.quotes() RETURNS trigger LANGUAGE plpgsql AS \
                $$ BEGIN RAISE EXCEPTION 'no: %', convert_from(NEW.body, 'UTF8'); END $$; \
                CREATE TRIGGER quotes BEFORE INSERT ON canary.outbox FOR EACH ROW EXECUTE FUNCTION canary.quotes()";
            raw.batch_execute(quotes).await.unwrap();
        });
        assert!(field.saw(crm.execute(ana, notify, "quoted")).is_none());
        assert!(field.seen.contains("P0001"), "{}", field.seen);
    };
    assert_eq!(leaks(&shop, walk), Vec::<String>::new());
}
