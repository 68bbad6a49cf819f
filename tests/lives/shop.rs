//! The shop to which it happens.

use std::sync::Arc;

use crm::blocking::Crm;
use crm::loyalty::Period;
use crm::{
    Allowance, AttributeSet, AuditActor, AwardPoints, BatchName, CancelReward, CaptureCredit, CardLine, CardUpdate,
    CartUpdated, CaseClosed, CaseKind, CaseOpened, CaseOutcome, CaseReopened, Channel, ClaimCoupon, ClaimReward,
    Command, ConfirmProof, ConsentGiven, ConsentWithdrawn, ContactPoint, Contacted, Counted, CreditHoldName, Currency,
    CustomerId, DeclaredKind, DeclaredValue, Definition, ErasureRequest, Error, EventId, FieldName, GiftCardCode,
    GiftCardSale, GiftPolicy, GrantCredit, HoldCredit, HoldPlaced, Incoming, Ingestion, InviteToTier, LegalHoldName,
    ManualClock, MemberAllowance, MessageReceived, Method, Money, Name, Objected, Objection, OnLeaving, OptIn,
    OptInToken, OrderPlaced, Party, PartyDescribed, PaymentReceived, PersonalError, PoolCommand, PoolKind, PoolPolicy,
    Presented, Program, ProgramId, Record, RedeemCoupon, RedeemPoints, Referral, Refunded, ReleaseCoupon,
    ReleaseCredit, ReserveCoupon, Restricted, RestrictionLifted, RevokeTier, Role, SegmentName, Span, SpendCredit,
    Store, Strength, SuppressionReason, Tag, TenantId, Tie, TieKind, Untie, UseName, Visited, Voided, VoucherBatch,
    VoucherCode, Which, Who,
};

use super::by_function::ByFunction;
use super::definitions::{kept_tiers, predicates, rewards};
use super::names::{
    MANY, address, bring, case_number, device, email, euros, hour, marketing, mug, number, order_number, points, proof,
    risk, size, source, ten_off, tier, why,
};
use super::steps::{By, Step, Told};

pub(super) struct Shop {
    pub(super) crm: Crm,
    pub(super) clock: Arc<ManualClock>,
    pub(super) met: Vec<CustomerId>,
    pub(super) sent: Vec<Incoming>,
    pub(super) tokens: Vec<OptInToken>,
    pub(super) codes: Vec<VoucherCode>,
    /// Whether anybody was parted or erased: an identifier that two were told of then leads to one of them or nobody.
    pub(super) divided: bool,
}

pub(super) fn shop_on(store: Arc<dyn Store>) -> (Arc<ManualClock>, Crm) {
    let clock = Arc::new(ManualClock::at(hour(0)));
    let crm = crm::Crm::builder().shared_store(store).clock(Arc::clone(&clock)).ids(crm::DerivedIds).build();
    (clock, Crm::from(crm))
}

/// Goes on where the library says that something cannot be, and panics where it failed.
fn or_refused<T>(answer: Result<T, Error>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(
            Error::Fact(_)
            | Error::Refused(_)
            | Error::Merge(_)
            | Error::Consent(_)
            | Error::Blocked(_)
            | Error::Hold(_)
            | Error::Card(_)
            | Error::Personal(PersonalError::Erased { .. }),
        ) => None,
        Err(error) => panic!("{error:?}"),
    }
}

impl Shop {
    pub(super) fn on(store: Arc<dyn Store>) -> Self {
        let (clock, crm) = shop_on(store);
        let mut program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(3));
        program.tiers = kept_tiers();
        let pools = PoolPolicy { members: 3, each: None, on_leaving: OnLeaving::TakeOwn, share_millionths: 400_000 };
        let program = Program { gifts: Some(GiftPolicy::default()), pools: Some(pools), ..program };
        let referral = Referral {
            program: points(),
            referrer: 30,
            referred: 20,
            at_least: None,
            wait: Span::days(1),
            each: Some(Allowance { points: 1, per: Period::Week }),
        };
        crm.define(hour(0), Definition::Referral(bring(), Some(referral))).unwrap();
        crm.define(hour(0), Definition::Program(points(), Some(program))).unwrap();
        // And another one, which has nothing but tiers, and looks at them at once.
        let mut program = Program::new(Currency::EUR).with_tier(tier("bronze"), 5_000);
        program.tiers.counted = Counted::Spend;
        program.tiers.window = crm::loyalty::Window::Rolling(Span::days(4));
        program.tiers.notice = Some(Span::millis(20 * 3_600_000));
        crm.define(hour(0), Definition::Program(ProgramId::new("spenders").unwrap(), Some(program))).unwrap();
        for (name, rule) in [("golden", r#"tier("points") == "gold""#), ("bronzed", r#"tier("spenders") == "bronze""#)]
        {
            let rule = crm.rule(rule).unwrap();
            crm.define(hour(0), Definition::Segment(SegmentName::new(name).unwrap(), Some(rule))).unwrap();
        }
        crm.define(hour(0), Definition::Attribute(size(), Some(DeclaredKind::Whole))).unwrap();
        for definition in rewards() {
            crm.define(hour(0), definition).unwrap();
        }
        for (n, predicate) in predicates().into_iter().enumerate() {
            let name = SegmentName::new(format!("s-{n}")).unwrap();
            crm.define(hour(0), Definition::Segment(name, Some(predicate))).unwrap();
        }
        let mut shop = Shop {
            crm,
            clock,
            met: Vec::new(),
            sent: Vec::new(),
            tokens: Vec::new(),
            codes: Vec::new(),
            divided: false,
        };
        for n in 0..MANY {
            shop.tell(&By::Number(n), 0, &Told::Visit);
        }
        shop
    }

    pub(super) fn met(&self, n: u8) -> CustomerId {
        self.met[usize::from(n) % self.met.len()]
    }

    pub(super) fn incoming(&self, by: &By, at: i64, told: &Told) -> Incoming {
        let who = match by {
            By::Number(n) => Who::from(number(*n)),
            By::Presented(address, proved, on, known_as) => {
                let address = if *proved { email(*address).verified() } else { email(*address).unverified() };
                let mut all = vec![address];
                all.extend(on.map(|n| Presented::from(device(n))));
                all.extend(known_as.map(|n| Presented::from(number(n))));
                Who::from(all)
            }
            By::Order(n) => Who::Order(order_number(*n)),
            By::Case(n) => Who::Case(case_number(*n)),
            By::Met(n) => Who::from(self.met(*n)),
        };
        let at = hour(at);
        let fact = match told {
            Told::Visit => Visited { channel: Channel::Web, place: None }.into(),
            Told::Cart(items) => CartUpdated { items: *items, value: None }.into(),
            Told::Order(n, minor) => OrderPlaced::new(euros(*minor)).with_order(order_number(*n)).into(),
            Told::Refund(n, minor) => crm::Fact::from(Refunded { order: n.map(order_number), amount: euros(*minor) }),
            Told::Payment(n, minor) => PaymentReceived { order: n.map(order_number), amount: euros(*minor) }.into(),
            Told::Void(n) => {
                let key = format!("f-{}", usize::from(*n) % self.sent.len().max(1));
                Voided { event: EventId::of_fact(&TenantId::default(), &source(), &key), reason: None }.into()
            }
            Told::Identified(n) => self.crm.identified(&email(*n)).into(),
            Told::Consent(until) => {
                let given = ConsentGiven::new(marketing(), Channel::Email, proof());
                until.map_or(given.clone(), |until| given.until(at.plus(Span::millis(until as u64 * 3_600_000)))).into()
            }
            Told::Withdrawn => ConsentWithdrawn::new(marketing(), Which::All, Method::Call).into(),
            Told::Restricted(true) => Restricted { reason: None }.into(),
            Told::Restricted(false) => RestrictionLifted { reason: None }.into(),
            Told::Objected => Objected { to: Objection::Marketing }.into(),
            Told::Attribute(number) => {
                AttributeSet { attribute: size(), value: number.map(DeclaredValue::Whole) }.into()
            }
            Told::Case(n, 0) => CaseOpened { case: case_number(*n), kind: CaseKind::Return, topic: None }.into(),
            Told::Case(n, 1) => CaseOpened { case: case_number(*n), kind: CaseKind::Complaint, topic: None }.into(),
            Told::Case(n, 2) => CaseClosed { case: case_number(*n), outcome: CaseOutcome::Resolved }.into(),
            Told::Case(n, _) => CaseReopened { case: case_number(*n), reason: None }.into(),
            Told::Message(true) => MessageReceived { channel: Channel::Sms, subject: None }.into(),
            Told::Message(false) => Contacted { purpose: marketing(), channel: Channel::Email, scope: None }.into(),
            Told::Party(n) if *n % 2 == 0 => {
                let party = Party::person().member_of(self.met(*n), Role::Buyer).unwrap();
                PartyDescribed { party }.into()
            }
            Told::Party(_) => PartyDescribed { party: Party::organisation().with_role(Role::Supplier) }.into(),
        };
        Incoming::new(who, at, source(), fact)
    }

    pub(super) fn keyed(&mut self, by: &By, at: i64, told: &Told) -> Incoming {
        let key = format!("f-{}", self.sent.len()).parse().unwrap();
        let incoming = self.incoming(by, at, told).with_key(key);
        self.sent.push(incoming.clone());
        incoming
    }

    pub(super) fn meet(&mut self, customer: CustomerId) {
        if !self.met.contains(&customer) {
            self.met.push(customer);
        }
    }

    pub(super) fn tell(&mut self, by: &By, at: i64, told: &Told) {
        let incoming = self.keyed(by, at, told);
        if let Some(recorded) = or_refused(self.crm.record(incoming)) {
            self.meet(recorded.customer);
        }
    }

    pub(super) fn step(&mut self, turn: usize, step: &Step) {
        let key = turn.to_string();
        let execute = |shop: &Shop, n: u8, command| drop(or_refused(shop.crm.execute(shop.met(n), command, &key)));
        let kind = |mutual: bool| if mutual { TieKind::Household } else { TieKind::Follows };
        match step {
            Step::Tell(by, at, told) => self.tell(by, *at, told),
            Step::Batch(batch, live) => {
                let facts: Vec<_> = batch.iter().map(|(by, at, told)| self.keyed(by, *at, told)).collect();
                let how = if *live { Ingestion::live() } else { Ingestion::history() };
                self.crm.ingest(facts, how).unwrap();
                let mut all = Vec::new();
                self.crm.for_each_customer(|customer| all.extend(customer.members())).unwrap();
                all.into_iter().for_each(|customer| self.meet(customer));
            }
            Step::Again(n) => {
                let again = self.sent[usize::from(*n) % self.sent.len()].clone();
                if let Some(recorded) = or_refused(self.crm.record(again)) {
                    self.meet(recorded.customer);
                }
            }
            Step::Tag(n, on) => {
                let tag = Tag::new("vip").unwrap();
                execute(self, *n, if *on { Command::AddTag(tag) } else { Command::RemoveTag(tag) });
            }
            Step::Award(n, count) => {
                execute(
                    self,
                    *n,
                    Command::AwardPoints(AwardPoints { program: points(), points: *count, reason: why() }),
                );
            }
            Step::Score(at, scores) => {
                let of = |(n, score): &(u8, f64)| (self.crm.customer(self.met(*n)).unwrap().unwrap().id(), *score);
                let mut scorer = ByFunction::told(risk().plugin.as_str(), "risk", scores.iter().map(of));
                assert!(self.crm.score(&mut scorer, hour(*at)).unwrap().faults.is_empty());
            }
            Step::Redeem(n, count) => {
                execute(
                    self,
                    *n,
                    Command::RedeemPoints(RedeemPoints {
                        program: points(),
                        points: *count,
                        reason: why(),
                        order: None,
                        total: None,
                    }),
                );
            }
            Step::Invite(n, hours) => {
                let until = hours.map(|hours| self.crm.now().plus(Span::millis(hours as u64 * 3_600_000)));
                let invite = InviteToTier { program: points(), tier: tier("black"), until };
                execute(self, *n, Command::InviteToTier(invite));
            }
            Step::Revoke(n) => {
                execute(self, *n, Command::RevokeTier(RevokeTier { program: points(), tier: tier("black") }));
            }
            Step::Give(one, other, count) => {
                let give = crm::GivePoints { program: points(), points: *count, reason: why() };
                or_refused(self.crm.give_points(self.met(*one), self.met(*other), give, &key));
            }
            Step::Pool(one, other, what) => {
                let member = self.met(*other);
                let command = match what {
                    0 => PoolCommand::Open { kind: PoolKind::Household },
                    1 => PoolCommand::Join { member, allowance: MemberAllowance::AsAll },
                    2 => PoolCommand::Leave { member },
                    3 => PoolCommand::Contribute { member, points: 5, reason: why() },
                    _ => PoolCommand::Redeem { member, points: 7, reason: why() },
                };
                or_refused(self.crm.pool(self.met(*one), &points(), command, &key));
            }
            Step::Refer(one, other) => {
                or_refused(self.crm.refer(&bring(), self.met(*one), self.met(*other), &key));
            }
            Step::Coupon(n, uses) => {
                let claim = ClaimCoupon { coupon: format!("c{uses}").parse().unwrap(), uses: u32::from(*uses) };
                execute(self, *n, Command::ClaimCoupon(claim));
            }
            Step::Credit(n, what, minor) => {
                let (amount, until) =
                    (Money::new(*minor, Currency::EUR), hour(self.crm.now().as_millis() / 3_600_000 + minor));
                let hold = CreditHoldName::new((minor % 3).to_string()).unwrap();
                let command: Command = match what {
                    0..=2 => {
                        let expires_at = Some(until).filter(|_| *what > 0);
                        GrantCredit { amount, reason: why(), expires_at }.into()
                    }
                    3 | 4 => SpendCredit { amount, order: None }.into(),
                    5 => HoldCredit { hold, amount, until, order: None }.into(),
                    6 => CaptureCredit { hold, amount: None }.into(),
                    _ => ReleaseCredit { hold }.into(),
                };
                execute(self, *n, command);
            }
            Step::Gift(n, card, what) => {
                let code = GiftCardCode::parse(&format!("gift card {card}")).unwrap();
                let sale = GiftCardSale::new(Money::new(i64::from(*card) + 10, Currency::EUR));
                match what {
                    0 => drop(or_refused(self.crm.issue_gift_card(self.met(*n), &code, sale, &key))),
                    1 => drop(or_refused(self.crm.redeem_gift_card(self.met(*n), &code, &key))),
                    _ => drop(or_refused(self.crm.block_gift_card(self.crm.gift_card_id(&code), why(), &key))),
                }
            }
            Step::Use(n, what, order) => {
                let (coupon, name) = (ten_off(), UseName::new(format!("u{order}")).unwrap());
                let (order, expires_at) = (Some(order_number(*order)), self.crm.now().plus(Span::days(2)));
                let command = match what {
                    0 => Command::ReserveCoupon(ReserveCoupon { coupon, name, expires_at, voucher: None }),
                    1 => Command::RedeemCoupon(RedeemCoupon { coupon, name, order, voucher: None }),
                    _ => Command::ReleaseCoupon(ReleaseCoupon { coupon, name }),
                };
                execute(self, *n, command);
            }
            Step::Reward(n) => execute(self, *n, Command::ClaimReward(ClaimReward { reward: mug() })),
            Step::GiveBack(n) => {
                let customer = self.crm.customer(self.met(*n)).unwrap().unwrap();
                if let Some((claim, _)) = customer.rewards().claims().next() {
                    execute(self, *n, Command::CancelReward(CancelReward { claim }));
                }
            }
            Step::Voucher(n) => {
                if self.codes.len().is_multiple_of(2) {
                    self.codes.push(self.crm.issue_voucher(self.met(*n), &ten_off(), None).unwrap().code);
                } else {
                    let name = BatchName::new("flyer").unwrap();
                    let batch = VoucherBatch { name, coupon: ten_off(), expires_at: None };
                    self.codes.extend(self.crm.issue_vouchers(&batch, 1).unwrap());
                }
            }
            Step::Code(n, code) => {
                if let Some(code) = self.codes.get(usize::from(*code) % self.codes.len().max(1)) {
                    let name = UseName::new(format!("code {}", *n % 3)).unwrap();
                    or_refused(self.crm.redeem_voucher(self.met(*n), code, name, None, &format!("code {key}")));
                }
            }
            Step::Notify(n) => {
                execute(self, *n, Command::Notify { topic: "mail".parse().unwrap(), fields: crm::Fields::new() });
            }
            Step::Ask(n, address) => {
                let asked = OptIn::new(marketing(), Channel::Email, email(*address), proof());
                if let Some(asked) = or_refused(self.crm.request_opt_in(self.met(*n), asked)) {
                    self.tokens.push(asked.token);
                }
            }
            Step::Confirm(n) => {
                if let Some(token) = self.tokens.get(usize::from(*n) % self.tokens.len().max(1)) {
                    let by = ConfirmProof { collected_by: "page".parse().unwrap(), address: None };
                    or_refused(self.crm.confirm_opt_in(token, by));
                }
            }
            Step::Suppress(address) => {
                self.crm.suppress(&email(*address), SuppressionReason::Bounced, &source()).unwrap();
            }
            Step::Unsuppress(n, address) => {
                or_refused(self.crm.unsuppress(self.met(*n), &email(*address), proof()));
            }
            Step::Card(n, what, at) => {
                let update = match what % 3 {
                    0 => CardUpdate::new().name(Name::new("Ana", &format!("Silva{what}")).unwrap()),
                    1 => CardUpdate::new().employer(CardLine::new(format!("Acme {what}")).unwrap()),
                    _ => CardUpdate::new()
                        .contact_points(vec![ContactPoint::email(&address(*what % MANY)).unwrap()])
                        .without(crm::Field::Name),
                };
                or_refused(self.crm.update_card(self.met(*n), update, &source(), hour(*at)));
            }
            Step::Personal(n, what) => {
                let value = what.map(|what| format!("Porto {what}"));
                let field = FieldName::new("city").unwrap();
                or_refused(self.crm.keep_personal(self.met(*n), &[(field, value.as_deref())]));
            }
            Step::Tie(one, other, mutual, at) => {
                let (from, to) = (self.met(*one), self.met(*other));
                let tie = Tie { from, to, kind: kind(*mutual), strength: Strength::FULL };
                or_refused(self.crm.tie(tie, hour(*at), source(), format!("t-{key}").parse().unwrap()));
            }
            Step::Untie(one, other, mutual, at) => {
                let untie = Untie { from: self.met(*one), to: self.met(*other), kind: kind(*mutual) };
                or_refused(self.crm.untie(untie, hour(*at), source(), format!("t-{key}").parse().unwrap()));
            }
            Step::Merge(one, other) => drop(or_refused(self.crm.merge(self.met(*one), self.met(*other), why()))),
            Step::Part(one, other) => {
                self.divided |= or_refused(self.crm.part(self.met(*one), self.met(*other), why())).is_some();
            }
            Step::Reject(one, other) => self.crm.reject_duplicate(self.met(*one), self.met(*other), why()).unwrap(),
            Step::Hold(n, placed) => {
                let name = LegalHoldName::new("audit").unwrap();
                let hold = HoldPlaced { name: name.clone(), record: Record::Everything, until: None };
                if *placed {
                    or_refused(self.crm.hold(self.met(*n), hold, AuditActor::Rule));
                } else {
                    self.crm.release_hold(self.met(*n), &name, AuditActor::Rule).unwrap();
                }
            }
            Step::Erase(n) => {
                let request = ErasureRequest::new(AuditActor::Rule).forced();
                self.divided |= or_refused(self.crm.erase_with(self.met(*n), request)).is_some();
            }
            Step::Wait(hours) => self.wait(*hours),
            Step::Refresh => drop(self.crm.refresh().unwrap()),
        }
    }

    pub(super) fn wait(&self, hours: i64) {
        let now = hour(self.crm.now().as_millis() / 3_600_000 + hours);
        self.clock.set(now);
        self.crm.advance(now).unwrap();
    }
}
