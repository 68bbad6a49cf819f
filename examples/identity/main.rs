//! Who is who: one person from an anonymous visit to an erasure, and another one who was taken for her. It prints what
//! happened and why; the clock is fixed, and so are the ids.
//!
//! ```sh
//! cargo run --example identity              # in memory
//! cargo run --example identity -- shop.db   # in a new SQLite file
//! ```

mod words;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    ActorName, Address, AuditAction, AuditActor, AuditEntry, Birthday, CardUpdate, Channel, ConfirmProof, ContactPoint,
    ContactQuery, Country, Currency, CustomerId, Definition, DerivedIds, Digest, ExternalSystem, Fact, Identifier,
    Incoming, LeapDay, Locale, ManualClock, Method, Money, Name, OptIn, OptInToken, OrderPlaced, Program, ProgramId,
    Proof, Purpose, ReadPurpose, SearchQuery, Source, Span, SqliteStore, Strength, Tie, TieKind, Timestamp, Visited,
    Who, Wording,
};

use words::{Cast, say};

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let clock = Arc::new(ManualClock::at(Timestamp::parse("2026-03-02T09:00:00Z")?));
    let mut crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds);
    if let Some(path) = std::env::args_os().nth(1).map(PathBuf::from) {
        if path.exists() {
            return Err(format!("{} is there already: the story begins with nobody", path.display()).into());
        }
        crm = crm.store(SqliteStore::open(&path)?);
    }
    let mut shop = Shop { crm: Crm::from(crm.build()), clock, cast: Cast::default() };
    let points = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(365));
    shop.crm.define(shop.crm.now(), Definition::Program(points_id()?, Some(points)))?;

    let ana = shop.anonymous_visitor()?;
    shop.newsletter(ana)?;
    shop.guest_order(ana)?;
    shop.registration(ana)?;
    shop.shop_floor(ana)?;
    let anna = shop.another_one(ana)?;
    shop.wrong_merge_and_its_undoing(ana, anna)?;
    shop.access_request(ana)?;
    shop.erasure(ana, anna)
}

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    /// By which names the story calls customers: nothing that is printed tells who they are.
    cast: Cast,
}

fn points_id() -> Result<ProgramId, Box<dyn Error>> {
    Ok(ProgramId::new("points")?)
}

fn tablet() -> Result<Identifier, Box<dyn Error>> {
    Ok(Identifier::device("tablet-5f3a91c2")?)
}

fn phone() -> Result<Identifier, Box<dyn Error>> {
    Ok(Identifier::device("phone-77be0d14")?)
}

fn account(number: &str) -> Result<Identifier, Box<dyn Error>> {
    Ok(Identifier::external(&ExternalSystem::new("webshop")?, number)?)
}

fn loyalty_card() -> Result<Identifier, Box<dyn Error>> {
    Ok(Identifier::card("2600-4711")?)
}

fn email(name: &str) -> Result<Identifier, Box<dyn Error>> {
    Ok(Identifier::email(&format!("{name}.lopes@example.com"))?)
}

fn order(number: &str, amount: &str) -> Result<OrderPlaced, Box<dyn Error>> {
    Ok(OrderPlaced::new(Money::parse(amount, Currency::EUR)?).with_order(number.parse()?))
}

fn card_of(given: &str, address: &str) -> Result<CardUpdate, Box<dyn Error>> {
    let home = Address::new(&["Rua das Flores 12"], "Porto", "", "4050-262", Some(Country::new("PT")?))?;
    let points = vec![ContactPoint::email(address)?, ContactPoint::phone("+351 912 345 678")?];
    Ok(CardUpdate::new().name(Name::new(given, "Lopes")?).addresses(vec![home]).contact_points(points))
}

const VISIT: Visited = Visited { channel: Channel::Web, place: None };

impl Shop {
    /// A heading, and an hour later.
    fn act(&mut self, what: &str) {
        self.clock.set(self.crm.now().plus(Span::millis(3_600_000)));
        say(&format!("\n{what}"));
    }

    fn record(&self, who: impl Into<Who>, fact: impl Into<Fact>) -> Result<CustomerId, Box<dyn Error>> {
        // Each a second after the one before, so that the order of what happened is never in doubt.
        self.clock.set(self.crm.now().plus(Span::millis(1_000)));
        Ok(self.crm.record(Incoming::new(who, self.crm.now(), Source::new("shop")?, fact))?.customer)
    }

    fn tell(&self, customer: CustomerId, card: CardUpdate) -> Done {
        self.crm.update_card(customer, card, &Source::new("sign-up form")?, self.crm.now())?;
        Ok(())
    }

    fn support() -> Result<AuditActor, Box<dyn Error>> {
        Ok(AuditActor::Host(ActorName::new("support:17")?))
    }

    fn note(&self, action: AuditAction, customer: CustomerId) -> Done {
        self.crm.audit(AuditEntry::new(Self::support()?, action).about(customer))?;
        Ok(())
    }

    fn balance(&self, customer: CustomerId) -> Result<i128, Box<dyn Error>> {
        let customer = self.crm.customer(customer)?.ok_or("nobody")?;
        Ok(customer.book(&points_id()?).map_or(0, |book| book.balance()))
    }

    fn anonymous_visitor(&mut self) -> Result<CustomerId, Box<dyn Error>> {
        self.act("An anonymous visitor");
        let visitor = self.record(tablet()?, VISIT)?;
        let again = self.record(tablet()?, VISIT)?;
        let name = self.cast.name(visitor);
        say(&format!("  a tablet visits twice: both are {name} ({})", again == visitor));
        Ok(visitor)
    }

    fn may_we_write(&self, customer: CustomerId) -> Done {
        let query = ContactQuery::new(Purpose::new("marketing")?, Channel::Email, self.crm.now());
        match self.crm.may_contact(customer, &query, Some(&email("ana")?))? {
            Ok(_) => say("  may we write? yes"),
            Err(barred) => say(&format!("  may we write? no: {barred}")),
        }
        Ok(())
    }

    fn newsletter(&mut self, ana: CustomerId) -> Done {
        self.act("A newsletter sign-up with double opt-in");
        // What somebody typed into a form is unverified.
        let address = email("ana")?;
        let signed_up = self.record([tablet()?.into(), address.unverified()], VISIT)?;
        self.tell(ana, card_of("Ana", "ana.lopes@example.com")?.birthday(Birthday::parse("1984-05-17")?))?;
        say(&format!("  the tablet leads to {}; the address is noted as stated", self.cast.name(signed_up)));
        self.may_we_write(ana)?;

        let wording = Wording {
            version: "2026-01".parse()?,
            sha256: Digest::of(b"Yes, send me the newsletter."),
            locale: Locale::new("en")?,
        };
        let proof = Proof::new(Method::Form, wording, "footer".parse()?);
        let asked = OptIn::new(Purpose::new("marketing")?, Channel::Email, email("ana")?, proof);
        let link = self.crm.request_opt_in(ana, asked)?.token.expose();
        self.may_we_write(ana)?;

        self.act("She follows the link in the mail");
        let token = OptInToken::parse(&link)?;
        say(&format!("  the page shows a request that is {:?}", self.crm.peek_opt_in(&token)?.state).to_lowercase());
        let by = ConfirmProof { collected_by: "confirmation page".parse()?, address: None };
        self.crm.confirm_opt_in(&token, by)?;
        self.may_we_write(ana)?;
        let found = self.crm.customer(email("ana")?)?.map(|customer| customer.id());
        say(&format!("  the address is proved: it leads to {}", self.cast.name(found.ok_or("nobody")?)));
        Ok(())
    }

    fn guest_order(&mut self, ana: CustomerId) -> Done {
        self.act("A guest order");
        // Anybody can type her address: it opens nothing of hers.
        let guest = self.record([phone()?.into(), email("ana")?.unverified()], order("1001", "49.90")?)?;
        let name = self.cast.name(guest);
        say(&format!("  a phone and a stated address: {name}, not {}, who proved it", self.cast.name(ana)));
        say(&format!("  {name} has {} points", self.balance(guest)?));
        Ok(())
    }

    fn registration(&mut self, ana: CustomerId) -> Done {
        self.act("A registration");
        let presented = [phone()?.into(), email("ana")?.verified(), account("7")?.into()];
        let registered = self.record(presented, VISIT)?;
        let customer = self.crm.customer(registered)?.ok_or("nobody")?;
        let members: Vec<String> = customer.members().map(|id| self.cast.name(id)).collect();
        say(&format!("  phone, proved address and account: {} are one person", members.join(" and ")));
        say(&format!("  {} orders, {} points", customer.facts().orders().list().len(), self.balance(ana)?));
        Ok(())
    }

    fn shop_floor(&mut self, ana: CustomerId) -> Done {
        self.act("A purchase in the shop, by card");
        let at_the_till = Visited { channel: Channel::Store, place: None };
        self.record([account("7")?.into(), loyalty_card()?.into()], at_the_till)?;
        let bought = self.record(loyalty_card()?, order("2001", "30.00")?)?;
        let same = self.crm.customer(ana)?.is_some_and(|customer| customer.is(bought));
        say(&format!("  the card leads to {} ({same}), {} points now", self.cast.name(ana), self.balance(ana)?));
        Ok(())
    }

    fn another_one(&mut self, ana: CustomerId) -> Result<CustomerId, Box<dyn Error>> {
        self.act("Somebody else, on the same tablet");
        let anna = self.record([tablet()?.into(), email("anna")?.verified(), account("8")?.into()], VISIT)?;
        self.record(account("8")?, order("3001", "20.00")?)?;
        self.tell(anna, card_of("Anna", "anna.lopes@example.com")?)?;
        let name = self.cast.name(anna);
        say(&format!("  signed in with an account of their own: {name}, not {}", self.cast.name(ana)));
        for (key, reason) in self.crm.customer(anna)?.ok_or("nobody")?.set_aside() {
            say(&format!("  set aside: {} ({})", key.kind.name(), self.cast.why_aside(reason)));
        }
        Ok(anna)
    }

    fn suggestions(&mut self, customer: CustomerId) -> Done {
        let suggestions = self.crm.suggest_duplicates(customer)?;
        if suggestions.is_empty() {
            say("  likely duplicates: none");
        }
        for found in suggestions {
            let (one, other) = (self.cast.name(found.a), self.cast.name(found.b));
            let clues: Vec<String> = found.clues.iter().map(words::clue).collect();
            say(&format!("  likely duplicates: {one} and {other}, {} of 1000: {}", found.score, clues.join(", ")));
        }
        Ok(())
    }

    fn wrong_merge_and_its_undoing(&mut self, ana: CustomerId, anna: CustomerId) -> Done {
        self.act("A wrong merge");
        self.suggestions(anna)?;
        let why = "same household, looks like a typing error".parse()?;
        self.crm.merge_by(ana, anna, why, Self::support()?)?;
        say(&format!("  merged: {} points together", self.balance(ana)?));

        self.act("Its undoing");
        self.crm.part_by(anna, ana, "two sisters, both were at the till".parse()?, Self::support()?)?;
        self.crm.reject_duplicate(ana, anna, "two sisters".parse()?)?;
        let sisters = Tie { from: ana, to: anna, kind: TieKind::Household, strength: Strength::FULL };
        self.crm.tie(sisters, self.crm.now(), Source::new("till")?, "tie 1".parse()?)?;
        for customer in [ana, anna] {
            let ties = self.crm.customer(customer)?.ok_or("nobody")?.ties().count();
            let name = self.cast.name(customer);
            say(&format!("  {name} has {} points of their own, and {ties} tie", self.balance(customer)?));
        }
        self.suggestions(anna)
    }

    fn access_request(&mut self, ana: CustomerId) -> Done {
        self.act("An access request");
        self.note(AuditAction::PersonalRead { purpose: ReadPurpose::new("access request 1")? }, ana)?;
        let file = self.crm.export_for(ana, Self::support()?)?.ok_or("nobody")?;
        say("  her own file, for her eyes:");
        let card = self.crm.card(ana)?;
        let name = card.name().map(Name::display).unwrap_or_default();
        say(&format!("    name: {name}"));
        let born = card.birthday().and_then(|born| born.celebrated_in(2026, LeapDay::March1));
        say(&format!("    birthday this year: {}", born.map(|day| day.to_string()).unwrap_or_default()));
        card.contact_points().iter().for_each(|point| say(&format!("    reached at: {}", point.value())));
        let parts = file.as_object().map(|file| file.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
        say(&format!("    and as JSON: {}", parts.join(", ")));
        #[cfg(feature = "vcard")]
        say(&format!("    and as a vCard of {} lines", self.crm.vcard(ana)?.lines().count()));
        self.act("What happened to her, and why");
        self.cast.tell(&self.crm.story(ana)?.ok_or("nobody")?);
        self.act("What happened to the other one, and why");
        self.cast.tell(&self.crm.story(account("8")?)?.ok_or("nobody")?);
        Ok(())
    }

    fn erasure(&mut self, ana: CustomerId, anna: CustomerId) -> Done {
        self.act("An erasure");
        match self.crm.erase(ana) {
            Err(crm::Error::Blocked(blocked)) => {
                say(&format!("  not yet: {} orders can still be sent back", blocked.by.len()));
            }
            Err(error) => return Err(error.into()),
            Ok(_) => return Err("her orders were open".into()),
        }
        let month = self.crm.now().plus(crm::Span::days(30));
        self.clock.set(month);
        let erased = self.crm.erase(ana)?;
        say("  a month later:");
        say(&format!("  gone: {} values, {} search tokens", erased.fields, erased.tokens));
        for (what, who) in [("address", email("ana")?), ("account", account("7")?), ("card", loyalty_card()?)] {
            let found = self.crm.customer(who)?.map_or("nobody".to_owned(), |found| self.cast.name(found.id()));
            say(&format!("  her {what} leads to {found}"));
        }
        let found = self.crm.search(&SearchQuery::new("Lopes")?, 10)?;
        let found: Vec<String> = found.iter().map(|found| self.cast.name(found.customer)).collect();
        say(&format!("  a search for her name finds {} alone", found.join(" and ")));
        self.may_we_write(ana)?;
        let orders = self.crm.customer(ana)?.map_or(0, |customer| customer.facts().orders().list().len());
        say(&format!("  {orders} orders stay in the books, of nobody in particular"));
        let name = self.cast.name(anna);
        say(&format!("  {name} still has {} points", self.balance(anna)?));

        self.act("What was done with personal data");
        for record in self.crm.audit_log(None, 100)?.records {
            let entry = &record.entry;
            let about = entry.subject().map(|id| self.cast.name(id)).unwrap_or_default();
            say(&format!("  {} {} {about}", record.sequence, entry.action().name()));
        }
        let verified = self.crm.verify_audit(&[], &[])?;
        say(&format!("  the chain of {} entries is whole", verified.head.sequence));
        Ok(())
    }
}
