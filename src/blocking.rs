//! The same CRM for hosts without an async runtime: each call returns when it is done.

use std::collections::BTreeMap;
use std::sync::Arc;

use crm_core::audit::{AuditActor, AuditEntry, AuditRecord, Checkpoint, Verified, VerifyingKey};
use crm_core::consent::{Allowed, Barred, ConsentWithdrawn, ContactQuery, Proof, Purpose, Which};
use crm_core::contract::Renewals;
use crm_core::credit::{CreditStatement, GiftCardId};
use crm_core::customer::{Command, Customer, Quote};
use crm_core::expression::{Clause, Predicate};
use crm_core::identity::{Identified, Identifier, Presented, Suggestion};
use crm_core::interaction::Channel;
use crm_core::lifecycle::{Cohort, CohortBy, Conversions, Newcomers, Period, Stage, TransitionMatrix};
use crm_core::loyalty::report::{Bands, Liability, PointsStanding, TrialBalance};
use crm_core::loyalty::{
    BatchName, Cart, CouponCode, Draw, DrawName, GivePoints, PoolCommand, ProgramId, ReferralName, RewardOffer, Seed,
    TierOutlook, UseName, VoucherCode,
};
use crm_core::order::OrderRef;
use crm_core::privacy::{HoldName, HoldPlaced, RetentionDue, RetentionName, RetentionPolicy, ViewName};
use crm_core::profile::{Card, CardUpdate, Completeness, Role, SearchQuery, TimeZone};
use crm_core::relationship::{Tie, Untie};
use crm_core::score::{ScoreName, ScoreRunName};
use crm_core::segment::{ListName, MemberDay, OverrideCleared, OverrideSegment, SegmentName, Stay};
use crm_core::workflow::{FieldName, Grants, PluginName, PluginStamp};
use crm_core::{
    Currency, CustomerId, Definition, Definitions, Digest, FactKey, Remark, Source, Span, TenantId, Timestamp,
};
use crm_storage::DeadLetter;

use crate::Workflow;
use crate::engine::{
    AddressWithdrawn, AuditCursor, AuditPage, CardChange, CardTold, CardUpdated, CardsImported, ConfirmProof,
    Confirmation, Delivered, Delivery, DoneTogether, DrawEntries, Drawn, Erasure, ErasureRequest, Executed,
    FillProgress, FillReport, Found, Imported, IngestReport, Ingestion, ListReport, MergeOutcome, OptIn, OptInPeek,
    OptInRequested, OptInToken, Overview, PartOutcome, PluginInstalled, PluginStanding, Recorded, Rectification,
    RetentionOverview, ScoreExplained, ScoreProgress, ScoreReport, ScoreRun, Selected, Story, Suppressed,
    SuppressionReason, TieRecorded, ToFill, Unsubscribe, UnsubscribeToken, VoucherBatch, VoucherGiven, Withdrawal,
};
use crate::engine::{BalanceRow, ImportStep, PointsImport, PointsImportChecked, PointsImported, Statement};
use crate::engine::{
    BringsReport, DebtReport, Debtor, Past, RfmReport, RfmRow, SocialReport, StageForecast, StageStory, ValueReport,
};
use crate::engine::{
    CreditTrialBalance, GiftCard, GiftCardBlocked, GiftCardCode, GiftCardIssued, GiftCardRedeemed, GiftCardSale,
};
use crate::engine::{
    ReplayProgress, ScoreReplay, ScorerBacktest, ScorerShadow, WorkflowBacktest, WorkflowReplay, WorkflowShadow,
};
use crate::error::Error;
use crate::incoming::{Incoming, Who};
use crate::ledger::ErasureLedger;
use crate::scorer::Scorer;

/// Waits for a future on this thread. Not to be called from within an async runtime's own threads.
pub fn wait<F: Future>(future: F) -> F::Output {
    crm_storage::block_on(future)
}

/// A [`crate::Crm`] whose calls block.
///
/// ```
/// use crm::{Channel, Identifier, Incoming, Source, Stage, Visited, blocking::Crm};
///
/// let crm = Crm::in_memory();
/// let ana = Identifier::email("ana@example.com")?;
/// let visit = Visited { channel: Channel::Web, place: None };
/// crm.record(Incoming::new(&ana, crm.now(), Source::new("shop")?, visit))?;
/// assert_eq!(crm.customer(&ana)?.and_then(|customer| customer.stage()), Some(Stage::Prospect));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Crm(crate::Crm);

impl From<crate::Crm> for Crm {
    fn from(crm: crate::Crm) -> Self {
        Crm(crm)
    }
}

impl Crm {
    /// One that keeps everything in memory, for tests.
    #[must_use]
    pub fn in_memory() -> Self {
        Crm(crate::Crm::in_memory())
    }

    /// The CRM whose calls are futures.
    #[must_use]
    pub const fn as_async(&self) -> &crate::Crm {
        &self.0
    }

    /// See [`crate::Crm::tenant`].
    #[must_use]
    pub fn tenant(&self, tenant: TenantId) -> Self {
        Crm(self.0.tenant(tenant))
    }

    /// See [`crate::Crm::now`].
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// See [`crate::Crm::record`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn record(&self, incoming: Incoming) -> Result<Recorded, Error> {
        wait(self.0.record(incoming))
    }

    /// See [`crate::Crm::ingest`]; the facts come from an iterator.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn ingest<I>(&self, facts: I, how: Ingestion) -> Result<IngestReport, Error>
    where
        I: IntoIterator<Item = Incoming>,
        I::IntoIter: Send,
    {
        wait(self.0.ingest(futures_util::stream::iter(facts), how))
    }

    /// See [`crate::Crm::ingest_with_progress`]; the facts come from an iterator.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn ingest_with_progress<I, P>(&self, facts: I, how: Ingestion, progress: P) -> Result<IngestReport, Error>
    where
        I: IntoIterator<Item = Incoming>,
        I::IntoIter: Send,
        P: FnMut(&IngestReport) + Send,
    {
        wait(self.0.ingest_with_progress(futures_util::stream::iter(facts), how, progress))
    }

    /// See [`crate::Crm::execute`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn execute(&self, customer: CustomerId, command: Command, key: &str) -> Result<Executed, Error> {
        wait(self.0.execute(customer, command, key))
    }

    /// See [`crate::Crm::issue_vouchers`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn issue_vouchers(&self, batch: &VoucherBatch, vouchers: u32) -> Result<Vec<VoucherCode>, Error> {
        wait(self.0.issue_vouchers(batch, vouchers))
    }

    /// See [`crate::Crm::issue_voucher`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn issue_voucher(
        &self,
        customer: CustomerId,
        coupon: &CouponCode,
        expires_at: Option<Timestamp>,
    ) -> Result<VoucherGiven, Error> {
        wait(self.0.issue_voucher(customer, coupon, expires_at))
    }

    /// See [`crate::Crm::redeem_voucher`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn redeem_voucher(
        &self,
        customer: CustomerId,
        code: &VoucherCode,
        name: UseName,
        order: Option<OrderRef>,
        key: &str,
    ) -> Result<Executed, Error> {
        wait(self.0.redeem_voucher(customer, code, name, order, key))
    }

    /// See [`crate::Crm::reserve_voucher`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn reserve_voucher(
        &self,
        customer: CustomerId,
        code: &VoucherCode,
        name: UseName,
        expires_at: Timestamp,
        key: &str,
    ) -> Result<Executed, Error> {
        wait(self.0.reserve_voucher(customer, code, name, expires_at, key))
    }

    /// See [`crate::Crm::block_voucher`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn block_voucher(&self, code: &VoucherCode) -> Result<bool, Error> {
        wait(self.0.block_voucher(code))
    }

    /// See [`crate::Crm::block_vouchers`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn block_vouchers(&self, coupon: &CouponCode, batch: &BatchName) -> Result<u64, Error> {
        wait(self.0.block_vouchers(coupon, batch))
    }

    /// See [`crate::Crm::rewards_for`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn rewards_for(&self, customer: CustomerId) -> Result<Vec<RewardOffer>, Error> {
        wait(self.0.rewards_for(customer))
    }

    /// See [`crate::Crm::issue_gift_card`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn issue_gift_card(
        &self,
        buyer: CustomerId,
        code: &GiftCardCode,
        sale: GiftCardSale,
        key: &str,
    ) -> Result<GiftCardIssued, Error> {
        wait(self.0.issue_gift_card(buyer, code, sale, key))
    }

    /// See [`crate::Crm::redeem_gift_card`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn redeem_gift_card(
        &self,
        customer: CustomerId,
        code: &GiftCardCode,
        key: &str,
    ) -> Result<GiftCardRedeemed, Error> {
        wait(self.0.redeem_gift_card(customer, code, key))
    }

    /// See [`crate::Crm::block_gift_card`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn block_gift_card(&self, card: GiftCardId, reason: Remark, key: &str) -> Result<GiftCardBlocked, Error> {
        wait(self.0.block_gift_card(card, reason, key))
    }

    /// See [`crate::Crm::gift_card`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn gift_card(&self, card: GiftCardId) -> Result<Option<GiftCard>, Error> {
        wait(self.0.gift_card(card))
    }

    /// See [`crate::Crm::gift_card_id`].
    #[must_use]
    pub fn gift_card_id(&self, code: &GiftCardCode) -> GiftCardId {
        self.0.gift_card_id(code)
    }

    /// See [`crate::Crm::credit_statement`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn credit_statement(
        &self,
        who: impl Into<Who> + Send,
        currency: Currency,
    ) -> Result<Option<CreditStatement>, Error> {
        wait(self.0.credit_statement(who, currency))
    }

    /// See [`crate::Crm::credit_trial_balance`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn credit_trial_balance(&self) -> Result<CreditTrialBalance, Error> {
        wait(self.0.credit_trial_balance())
    }

    /// See [`crate::Crm::override_segment`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn override_segment(&self, customer: CustomerId, asked: OverrideSegment, key: &str) -> Result<Executed, Error> {
        wait(self.0.override_segment(customer, asked, key))
    }

    /// See [`crate::Crm::clear_override`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn clear_override(&self, customer: CustomerId, cleared: OverrideCleared, key: &str) -> Result<Executed, Error> {
        wait(self.0.clear_override(customer, cleared, key))
    }

    /// See [`crate::Crm::points`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn points(&self, who: impl Into<Who> + Send, program: &ProgramId) -> Result<Option<PointsStanding>, Error> {
        wait(self.0.points(who, program))
    }

    /// See [`crate::Crm::statement`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn statement(
        &self,
        who: impl Into<Who> + Send,
        program: &ProgramId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Statement>, Error> {
        wait(self.0.statement(who, program, from, until))
    }

    /// See [`crate::Crm::trial_balance`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn trial_balance(&self, program: &ProgramId, at: Timestamp) -> Result<TrialBalance, Error> {
        wait(self.0.trial_balance(program, at))
    }

    /// See [`crate::Crm::trial_balance_with_progress`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn trial_balance_with_progress(
        &self,
        program: &ProgramId,
        at: Timestamp,
        progress: impl FnMut(u64) + Send,
    ) -> Result<TrialBalance, Error> {
        wait(self.0.trial_balance_with_progress(program, at, progress))
    }

    /// See [`crate::Crm::liability`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn liability(&self, program: &ProgramId, at: Timestamp) -> Result<Liability, Error> {
        wait(self.0.liability(program, at))
    }

    /// See [`crate::Crm::liability_in`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn liability_in(
        &self,
        program: &ProgramId,
        at: Timestamp,
        bands: Bands,
        progress: impl FnMut(u64) + Send,
    ) -> Result<Liability, Error> {
        wait(self.0.liability_in(program, at, bands, progress))
    }

    /// See [`crate::Crm::check_points_import`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn check_points_import<I>(&self, import: &PointsImport, balances: I) -> Result<PointsImportChecked, Error>
    where
        I: Iterator<Item: Into<BalanceRow>> + Send,
    {
        wait(self.0.check_points_import(import, balances))
    }

    /// See [`crate::Crm::import_points`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn import_points<B, I>(
        &self,
        import: &PointsImport,
        balances: B,
        progress: impl FnMut(ImportStep) + Send,
    ) -> Result<PointsImported, Error>
    where
        B: Fn() -> I + Send,
        I: Iterator<Item: Into<BalanceRow>> + Send,
    {
        wait(self.0.import_points(import, balances, progress))
    }

    /// See [`crate::Crm::memberships_of`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn memberships_of(&self, who: impl Into<Who> + Send) -> Result<Option<Vec<Stay>>, Error> {
        wait(self.0.memberships_of(who))
    }

    /// See [`crate::Crm::members_at`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn members_at(
        &self,
        segment: &SegmentName,
        at: Timestamp,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Selected, Error> {
        wait(self.0.members_at(segment, at, after, limit))
    }

    /// See [`crate::Crm::membership`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn membership(
        &self,
        segment: &SegmentName,
        first: Timestamp,
        last: Timestamp,
        zone: &TimeZone,
    ) -> Result<Vec<MemberDay>, Error> {
        wait(self.0.membership(segment, first, last, zone))
    }

    /// See [`crate::Crm::enlist`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn enlist<W: Into<Who>>(
        &self,
        list: &ListName,
        customers: impl IntoIterator<Item = W, IntoIter: Send> + Send,
        source: &Source,
    ) -> Result<ListReport, Error> {
        wait(self.0.enlist(list, customers, source))
    }

    /// See [`crate::Crm::unlist`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn unlist<W: Into<Who>>(
        &self,
        list: &ListName,
        customers: impl IntoIterator<Item = W, IntoIter: Send> + Send,
        source: &Source,
    ) -> Result<ListReport, Error> {
        wait(self.0.unlist(list, customers, source))
    }

    /// See [`crate::Crm::identified`].
    #[must_use]
    pub fn identified(&self, identifier: &Identifier) -> Identified {
        self.0.identified(identifier)
    }

    /// See [`crate::Crm::may_contact`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn may_contact(
        &self,
        customer: CustomerId,
        query: &ContactQuery,
        address: Option<&Identifier>,
    ) -> Result<Result<Allowed, Barred>, Error> {
        wait(self.0.may_contact(customer, query, address))
    }

    /// See [`crate::Crm::request_opt_in`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn request_opt_in(&self, customer: CustomerId, asked: OptIn) -> Result<OptInRequested, Error> {
        wait(self.0.request_opt_in(customer, asked))
    }

    /// See [`crate::Crm::peek_opt_in`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn peek_opt_in(&self, token: &OptInToken) -> Result<OptInPeek, Error> {
        wait(self.0.peek_opt_in(token))
    }

    /// See [`crate::Crm::confirm_opt_in`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn confirm_opt_in(&self, token: &OptInToken, by: ConfirmProof) -> Result<Confirmation, Error> {
        wait(self.0.confirm_opt_in(token, by))
    }

    /// See [`crate::Crm::unsubscribe_token`].
    #[must_use]
    pub fn unsubscribe_token(
        &self,
        customer: CustomerId,
        purpose: impl Into<Which<Purpose>>,
        channel: impl Into<Which<Channel>>,
    ) -> UnsubscribeToken {
        self.0.unsubscribe_token(customer, purpose, channel)
    }

    /// See [`crate::Crm::unsubscribe_token_for`].
    #[must_use]
    pub fn unsubscribe_token_for(&self, what: &Unsubscribe) -> UnsubscribeToken {
        self.0.unsubscribe_token_for(what)
    }

    /// See [`crate::Crm::peek_unsubscribe`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn peek_unsubscribe(&self, token: &str) -> Result<Unsubscribe, Error> {
        self.0.peek_unsubscribe(token)
    }

    /// See [`crate::Crm::withdraw_by_token`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn withdraw_by_token(&self, token: &str) -> Result<Withdrawal, Error> {
        wait(self.0.withdraw_by_token(token))
    }

    /// See [`crate::Crm::withdraw_by_address`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn withdraw_by_address(
        &self,
        address: &Identifier,
        withdrawn: ConsentWithdrawn,
        at: Timestamp,
        source: &Source,
    ) -> Result<AddressWithdrawn, Error> {
        wait(self.0.withdraw_by_address(address, withdrawn, at, source))
    }

    /// See [`crate::Crm::suppress`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn suppress(&self, address: &Identifier, reason: SuppressionReason, source: &Source) -> Result<bool, Error> {
        wait(self.0.suppress(address, reason, source))
    }

    /// See [`crate::Crm::suppress_all`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn suppress_all<I>(&self, addresses: I, reason: SuppressionReason, source: &Source) -> Result<u64, Error>
    where
        I: IntoIterator<Item = Identifier>,
        I::IntoIter: Send,
    {
        wait(self.0.suppress_all(addresses, reason, source))
    }

    /// See [`crate::Crm::is_suppressed`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn is_suppressed(&self, address: &Identifier) -> Result<Option<Suppressed>, Error> {
        wait(self.0.is_suppressed(address))
    }

    /// See [`crate::Crm::unsuppress`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn unsuppress(&self, customer: CustomerId, address: &Identifier, proof: Proof) -> Result<bool, Error> {
        wait(self.0.unsuppress(customer, address, proof))
    }

    /// See [`crate::Crm::advance`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn advance(&self, now: Timestamp) -> Result<u64, Error> {
        wait(self.0.advance(now))
    }

    /// See [`crate::Crm::deliver`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn deliver<H>(&self, now: Timestamp, handler: H) -> Result<u64, Error>
    where
        H: FnMut(&Delivery) -> Delivered + Send,
    {
        wait(self.0.deliver(now, handler))
    }

    /// See [`crate::Crm::dead_letters`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn dead_letters(&self, after: Option<&DeadLetter>, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        wait(self.0.dead_letters(after, limit))
    }

    /// See [`crate::Crm::revive`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn revive(&self, letter: &DeadLetter, at: Option<Timestamp>) -> Result<bool, Error> {
        wait(self.0.revive(letter, at))
    }

    /// See [`crate::Crm::select`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn select(&self, predicate: &Predicate, after: Option<CustomerId>, limit: usize) -> Result<Selected, Error> {
        wait(self.0.select(predicate, after, limit))
    }

    /// See [`crate::Crm::count`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn count(&self, predicate: &Predicate) -> Result<u64, Error> {
        wait(self.0.count(predicate))
    }

    /// See [`crate::Crm::merge`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn merge(&self, one: CustomerId, other: CustomerId, reason: Remark) -> Result<MergeOutcome, Error> {
        wait(self.0.merge(one, other, reason))
    }

    /// See [`crate::Crm::merge_by`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn merge_by(
        &self,
        one: CustomerId,
        other: CustomerId,
        reason: Remark,
        by: AuditActor,
    ) -> Result<MergeOutcome, Error> {
        wait(self.0.merge_by(one, other, reason, by))
    }

    /// See [`crate::Crm::part_by`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn part_by(
        &self,
        customer: CustomerId,
        from: CustomerId,
        reason: Remark,
        by: AuditActor,
    ) -> Result<PartOutcome, Error> {
        wait(self.0.part_by(customer, from, reason, by))
    }

    /// See [`crate::Crm::suggest_duplicates`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn suggest_duplicates(&self, customer: CustomerId) -> Result<Vec<Suggestion>, Error> {
        wait(self.0.suggest_duplicates(customer))
    }

    /// See [`crate::Crm::reject_duplicate`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn reject_duplicate(&self, one: CustomerId, other: CustomerId, reason: Remark) -> Result<(), Error> {
        wait(self.0.reject_duplicate(one, other, reason))
    }

    /// See [`crate::Crm::part`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn part(&self, customer: CustomerId, from: CustomerId, reason: Remark) -> Result<PartOutcome, Error> {
        wait(self.0.part(customer, from, reason))
    }

    /// See [`crate::Crm::keep_personal`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn keep_personal(&self, customer: CustomerId, fields: &[(FieldName, Option<&str>)]) -> Result<(), Error> {
        wait(self.0.keep_personal(customer, fields))
    }

    /// See [`crate::Crm::personal`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn personal(&self, customer: CustomerId) -> Result<BTreeMap<FieldName, String>, Error> {
        wait(self.0.personal(customer))
    }

    /// See [`crate::Crm::update_card`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn update_card(
        &self,
        customer: CustomerId,
        update: CardUpdate,
        source: &Source,
        at: Timestamp,
    ) -> Result<CardUpdated, Error> {
        wait(self.0.update_card(customer, update, source, at))
    }

    /// See [`crate::Crm::update_cards`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn update_cards(&self, told: &[CardTold]) -> Result<Vec<Result<CardUpdated, Error>>, Error> {
        wait(self.0.update_cards(told))
    }

    /// See [`crate::Crm::import_cards`]; the updates come from an iterator.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn import_cards<I>(&self, told: I, how: Ingestion) -> Result<CardsImported, Error>
    where
        I: IntoIterator<Item = CardTold>,
        I::IntoIter: Send,
    {
        wait(self.0.import_cards(futures_util::stream::iter(told), how))
    }

    /// See [`crate::Crm::import_cards_with_progress`]; the updates come from an iterator.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn import_cards_with_progress<I, P>(&self, told: I, how: Ingestion, progress: P) -> Result<CardsImported, Error>
    where
        I: IntoIterator<Item = CardTold>,
        I::IntoIter: Send,
        P: FnMut(&CardsImported) + Send,
    {
        wait(self.0.import_cards_with_progress(futures_util::stream::iter(told), how, progress))
    }

    /// See [`crate::Crm::card`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn card(&self, customer: CustomerId) -> Result<Card, Error> {
        wait(self.0.card(customer))
    }

    /// See [`crate::Crm::cards`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn cards(&self, customers: &[CustomerId]) -> Result<Vec<Card>, Error> {
        wait(self.0.cards(customers))
    }

    /// See [`crate::Crm::card_history`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn card_history(&self, customer: CustomerId) -> Result<Vec<CardChange>, Error> {
        wait(self.0.card_history(customer))
    }

    /// See [`crate::Crm::completeness`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn completeness(&self, customer: CustomerId) -> Result<Completeness, Error> {
        wait(self.0.completeness(customer))
    }

    /// See [`crate::Crm::search`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn search(&self, query: &SearchQuery, limit: usize) -> Result<Vec<Found>, Error> {
        wait(self.0.search(query, limit))
    }

    /// See [`crate::Crm::import_vcards`].
    ///
    /// # Errors
    ///
    /// The same.
    #[cfg(feature = "vcard")]
    pub fn import_vcards(
        &self,
        text: &str,
        source: &Source,
        at: Timestamp,
    ) -> Result<Vec<crate::vcard::VcardImported>, Error> {
        wait(self.0.import_vcards(text, source, at))
    }

    /// See [`crate::Crm::vcard`].
    ///
    /// # Errors
    ///
    /// The same.
    #[cfg(feature = "vcard")]
    pub fn vcard(&self, customer: CustomerId) -> Result<String, Error> {
        wait(self.0.vcard(customer))
    }

    /// See [`crate::Crm::in_role`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn in_role(
        &self,
        role: Role,
        of: Option<CustomerId>,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Vec<CustomerId>, Error> {
        wait(self.0.in_role(role, of, after, limit))
    }

    /// See [`crate::Crm::erase`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn erase(&self, customer: CustomerId) -> Result<Erasure, Error> {
        wait(self.0.erase(customer))
    }

    /// See [`crate::Crm::erase_with`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn erase_with(&self, customer: CustomerId, request: ErasureRequest) -> Result<Erasure, Error> {
        wait(self.0.erase_with(customer, request))
    }

    /// See [`crate::Crm::reapply_erasures`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn reapply_erasures(&self, ledger: &dyn ErasureLedger) -> Result<u64, Error> {
        wait(self.0.reapply_erasures(ledger))
    }

    /// See [`crate::Crm::erased_at`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn erased_at(&self, identifier: &Identifier, ledger: &dyn ErasureLedger) -> Result<Option<Timestamp>, Error> {
        wait(self.0.erased_at(identifier, ledger))
    }

    /// See [`crate::Crm::hold`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn hold(&self, customer: CustomerId, hold: HoldPlaced, by: AuditActor) -> Result<(), Error> {
        wait(self.0.hold(customer, hold, by))
    }

    /// See [`crate::Crm::release_hold`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn release_hold(&self, customer: CustomerId, name: &HoldName, by: AuditActor) -> Result<bool, Error> {
        wait(self.0.release_hold(customer, name, by))
    }

    /// See [`crate::Crm::rectify`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn rectify(
        &self,
        customer: CustomerId,
        update: CardUpdate,
        source: &Source,
        at: Timestamp,
        how: impl Into<Rectification> + Send,
    ) -> Result<CardUpdated, Error> {
        wait(self.0.rectify(customer, update, source, at, how))
    }

    /// See [`crate::Crm::rectify_identifier`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn rectify_identifier(
        &self,
        customer: CustomerId,
        wrong: &Identifier,
        right: &Presented,
        how: impl Into<Rectification> + Send,
    ) -> Result<(), Error> {
        wait(self.0.rectify_identifier(customer, wrong, right, how))
    }

    /// See [`crate::Crm::retention_of`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn retention_of(&self, customer: CustomerId) -> Result<Vec<RetentionDue>, Error> {
        wait(self.0.retention_of(customer))
    }

    /// See [`crate::Crm::retention_overview`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn retention_overview(&self, until: Timestamp) -> Result<RetentionOverview, Error> {
        wait(self.0.retention_overview(until))
    }

    /// See [`crate::Crm::retention_preview`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn retention_preview(
        &self,
        from: Timestamp,
        name: RetentionName,
        policy: RetentionPolicy,
        until: Timestamp,
    ) -> Result<RetentionOverview, Error> {
        wait(self.0.retention_preview(from, name, policy, until))
    }

    /// See [`crate::Crm::card_for`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn card_for(&self, customer: CustomerId, view: &ViewName, by: AuditActor) -> Result<Card, Error> {
        wait(self.0.card_for(customer, view, by))
    }

    /// See [`crate::Crm::export_for`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn export_for(&self, customer: CustomerId, by: AuditActor) -> Result<Option<serde_json::Value>, Error> {
        wait(self.0.export_for(customer, by))
    }

    /// See [`crate::Crm::import`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn import(&self, export: &serde_json::Value) -> Result<Imported, Error> {
        wait(self.0.import(export))
    }

    /// See [`crate::Crm::export_definitions`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn export_definitions(&self) -> Result<serde_json::Value, Error> {
        wait(self.0.export_definitions())
    }

    /// See [`crate::Crm::import_definitions`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn import_definitions(&self, export: &serde_json::Value) -> Result<u64, Error> {
        wait(self.0.import_definitions(export))
    }

    /// See [`crate::Crm::export`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn export(&self, customer: CustomerId) -> Result<Option<serde_json::Value>, Error> {
        wait(self.0.export(customer))
    }

    /// See [`crate::Crm::give_points`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn give_points(
        &self,
        from: CustomerId,
        to: CustomerId,
        give: GivePoints,
        key: &str,
    ) -> Result<DoneTogether, Error> {
        wait(self.0.give_points(from, to, give, key))
    }

    /// See [`crate::Crm::pool`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn pool(
        &self,
        owner: CustomerId,
        program: &ProgramId,
        command: PoolCommand,
        key: &str,
    ) -> Result<DoneTogether, Error> {
        wait(self.0.pool(owner, program, command, key))
    }

    /// See [`crate::Crm::refer`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn refer(
        &self,
        name: &ReferralName,
        by: CustomerId,
        who: CustomerId,
        key: &str,
    ) -> Result<DoneTogether, Error> {
        wait(self.0.refer(name, by, who, key))
    }

    /// See [`crate::Crm::announce_draw`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn announce_draw(&self, name: &DrawName, draw: Draw) -> Result<bool, Error> {
        wait(self.0.announce_draw(name, draw))
    }

    /// See [`crate::Crm::draw`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn draw(&self, name: &DrawName, entries: &DrawEntries, seed: &Seed, key: &str) -> Result<Drawn, Error> {
        wait(self.0.draw(name, entries, seed, key))
    }

    /// See [`crate::Crm::tie`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn tie(&self, tie: Tie, at: Timestamp, source: Source, key: FactKey) -> Result<TieRecorded, Error> {
        wait(self.0.tie(tie, at, source, key))
    }

    /// See [`crate::Crm::untie`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn untie(&self, untie: Untie, at: Timestamp, source: Source, key: FactKey) -> Result<TieRecorded, Error> {
        wait(self.0.untie(untie, at, source, key))
    }

    /// See [`crate::Crm::audit`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn audit(&self, entry: AuditEntry) -> Result<AuditRecord, Error> {
        wait(self.0.audit(entry))
    }

    /// See [`crate::Crm::audit_log`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn audit_log(&self, after: Option<AuditCursor>, limit: usize) -> Result<AuditPage, Error> {
        wait(self.0.audit_log(after, limit))
    }

    /// See [`crate::Crm::audit_checkpoint`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn audit_checkpoint(&self) -> Result<Checkpoint, Error> {
        wait(self.0.audit_checkpoint())
    }

    /// See [`crate::Crm::verify_audit`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn verify_audit(&self, kept: &[Checkpoint], keys: &[VerifyingKey]) -> Result<Verified, Error> {
        wait(self.0.verify_audit(kept, keys))
    }

    /// See [`crate::Crm::within`].
    ///
    /// # Errors
    ///
    /// The same.
    #[cfg(feature = "sqlite")]
    pub fn within<'t>(
        &self,
        transaction: &'t crate::sqlite::rusqlite::Connection,
    ) -> Result<crate::InTransaction<'t>, Error> {
        self.0.within(transaction)
    }

    /// See [`crate::Crm::score`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn score(&self, scorer: &mut dyn Scorer, as_of: Timestamp) -> Result<ScoreReport, Error> {
        wait(self.0.score(scorer, as_of))
    }

    /// See [`crate::Crm::backtest_scorer`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn backtest_scorer<P>(
        &self,
        scorer: &mut dyn Scorer,
        replay: ScoreReplay,
        progress: P,
    ) -> Result<ScorerBacktest, Error>
    where
        P: FnMut(&ReplayProgress) + Send,
    {
        wait(self.0.backtest_scorer(scorer, replay, progress))
    }

    /// See [`crate::Crm::backtest_workflow`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn backtest_workflow<P>(
        &self,
        workflow: &dyn Workflow,
        replay: WorkflowReplay,
        progress: P,
    ) -> Result<WorkflowBacktest, Error>
    where
        P: FnMut(&ReplayProgress) + Send,
    {
        wait(self.0.backtest_workflow(workflow, replay, progress))
    }

    /// See [`crate::Crm::shadow_scorers`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn shadow_scorers<P>(
        &self,
        old: &mut dyn Scorer,
        new: &mut dyn Scorer,
        replay: ScoreReplay,
        progress: P,
    ) -> Result<ScorerShadow, Error>
    where
        P: FnMut(&ReplayProgress) + Send,
    {
        wait(self.0.shadow_scorers(old, new, replay, progress))
    }

    /// See [`crate::Crm::shadow_workflows`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn shadow_workflows<P>(
        &self,
        old: &dyn Workflow,
        new: &dyn Workflow,
        replay: WorkflowReplay,
        progress: P,
    ) -> Result<WorkflowShadow, Error>
    where
        P: FnMut(&ReplayProgress) + Send,
    {
        wait(self.0.shadow_workflows(old, new, replay, progress))
    }

    /// See [`crate::Crm::score_run`]; [`score_step`](Self::score_step) takes its next page.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn score_run(&self, name: &ScoreRunName, scorer: &PluginStamp, as_of: Timestamp) -> Result<ScoreRun, Error> {
        wait(self.0.score_run(name, scorer, as_of))
    }

    /// See [`crate::ScoreRun::step`]. Several threads may call it at once, each with a scorer of its own.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn score_step(&self, run: &ScoreRun, scorer: &mut dyn Scorer) -> Result<Option<ScoreProgress>, Error> {
        wait(run.step(scorer))
    }

    /// See [`crate::Crm::explain_score`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn explain_score(&self, customer: CustomerId, score: &ScoreName) -> Result<Option<ScoreExplained>, Error> {
        wait(self.0.explain_score(customer, score))
    }

    /// See [`crate::Crm::define`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn define(&self, from: Timestamp, definition: Definition) -> Result<bool, Error> {
        wait(self.0.define(from, definition))
    }

    /// See [`crate::Crm::rule`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn rule(&self, text: &str) -> Result<Predicate, Error> {
        wait(self.0.rule(text))
    }

    /// See [`crate::Crm::definitions`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn definitions(&self) -> Result<Arc<Definitions>, Error> {
        wait(self.0.definitions())
    }

    /// See [`crate::Crm::refresh`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn refresh(&self) -> Result<u64, Error> {
        wait(self.0.refresh())
    }

    /// See [`crate::Crm::to_fill`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn to_fill(&self) -> Result<ToFill, Error> {
        wait(self.0.to_fill())
    }

    /// See [`crate::Crm::fill`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn fill(&self, shown: impl FnMut(&FillProgress) + Send) -> Result<FillReport, Error> {
        wait(self.0.fill(shown))
    }

    /// See [`crate::Crm::fill_page`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn fill_page(&self, limit: usize) -> Result<Option<FillProgress>, Error> {
        wait(self.0.fill_page(limit))
    }

    /// See [`crate::Crm::customer`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn customer(&self, who: impl Into<Who> + Send) -> Result<Option<Customer>, Error> {
        wait(self.0.customer(who))
    }

    /// See [`crate::Crm::with_workflow`].
    #[must_use]
    pub fn with_workflow(&self, workflow: impl Workflow + 'static, grants: Grants) -> Crm {
        Crm(self.0.with_workflow(workflow, grants))
    }

    /// See [`crate::Crm::without_workflow`].
    #[must_use]
    pub fn without_workflow(&self, name: &PluginName, digest: &Digest) -> Crm {
        Crm(self.0.without_workflow(name, digest))
    }

    /// See [`crate::Crm::plugins`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn plugins(&self) -> Result<Vec<PluginInstalled>, Error> {
        wait(self.0.plugins())
    }

    /// See [`crate::Crm::explain_plugin`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn explain_plugin(
        &self,
        who: impl Into<Who> + Send,
        plugin: &PluginName,
    ) -> Result<Option<PluginStanding>, Error> {
        wait(self.0.explain_plugin(who, plugin))
    }

    /// See [`crate::Crm::explain`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn explain(&self, who: impl Into<Who> + Send, segment: &SegmentName) -> Result<Option<Clause>, Error> {
        wait(self.0.explain(who, segment))
    }

    /// See [`crate::Crm::tier_outlook`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn tier_outlook(&self, who: impl Into<Who> + Send, program: &ProgramId) -> Result<Option<TierOutlook>, Error> {
        wait(self.0.tier_outlook(who, program))
    }

    /// See [`crate::Crm::story`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn story(&self, who: impl Into<Who> + Send) -> Result<Option<Story>, Error> {
        wait(self.0.story(who))
    }

    /// See [`crate::Crm::for_each_customer`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn for_each_customer<F>(&self, each: F) -> Result<(), Error>
    where
        F: FnMut(&Customer) + Send,
    {
        wait(self.0.for_each_customer(each))
    }

    /// See [`crate::Crm::quote`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn quote(&self, who: impl Into<Who> + Send, program: &ProgramId, cart: &Cart) -> Result<Quote, Error> {
        wait(self.0.quote(who, program, cart))
    }

    /// See [`crate::Crm::quotes`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn quotes(&self, who: impl Into<Who> + Send, cart: &Cart) -> Result<BTreeMap<ProgramId, Quote>, Error> {
        wait(self.0.quotes(who, cart))
    }

    /// See [`crate::Crm::overview`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn overview(&self) -> Result<Overview, Error> {
        wait(self.0.overview())
    }

    /// See [`crate::Crm::rfm`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn rfm(&self, currency: Currency) -> Result<RfmReport, Error> {
        wait(self.0.rfm(currency))
    }

    /// See [`crate::Crm::rfm_of`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn rfm_of(&self, who: impl Into<Who> + Send, currency: Currency) -> Result<Option<RfmRow>, Error> {
        wait(self.0.rfm_of(who, currency))
    }

    /// See [`crate::Crm::brings`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn brings(&self, currency: Currency) -> Result<BringsReport, Error> {
        wait(self.0.brings(currency))
    }

    /// See [`crate::Crm::debts`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn debts(&self, currency: Currency) -> Result<Option<DebtReport>, Error> {
        wait(self.0.debts(currency))
    }

    /// See [`crate::Crm::debt_of`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn debt_of(&self, who: impl Into<Who> + Send, currency: Currency) -> Result<Option<Debtor>, Error> {
        wait(self.0.debt_of(who, currency))
    }

    /// See [`crate::Crm::social`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn social(&self, currency: Currency) -> Result<SocialReport, Error> {
        wait(self.0.social(currency))
    }

    /// See [`crate::Crm::values`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn values(&self, currency: Currency) -> Result<Option<ValueReport>, Error> {
        wait(self.0.values(currency))
    }

    /// See [`crate::Crm::cohorts`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn cohorts(
        &self,
        period: Period,
        window: Span,
        by: CohortBy,
        past: Past,
    ) -> Result<BTreeMap<Timestamp, Cohort>, Error> {
        wait(self.0.cohorts(period, window, by, past))
    }

    /// See [`crate::Crm::conversions`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn conversions(
        &self,
        period: Period,
        window: Span,
        by: CohortBy,
        past: Past,
    ) -> Result<BTreeMap<Timestamp, Conversions>, Error> {
        wait(self.0.conversions(period, window, by, past))
    }

    /// See [`crate::Crm::transitions`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn transitions(&self, period: Period, past: Past) -> Result<TransitionMatrix, Error> {
        wait(self.0.transitions(period, past))
    }

    /// See [`crate::Crm::stage_forecast`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn stage_forecast(
        &self,
        measured: Period,
        periods: u16,
        newcomers: Newcomers,
        past: Past,
    ) -> Result<StageForecast, Error> {
        wait(self.0.stage_forecast(measured, periods, newcomers, past))
    }

    /// See [`crate::Crm::stage_story`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn stage_story(&self, who: impl Into<Who> + Send, past: Past) -> Result<Option<StageStory>, Error> {
        wait(self.0.stage_story(who, past))
    }

    /// See [`crate::Crm::completeness_by_stage`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn completeness_by_stage(&self, customer: CustomerId) -> Result<BTreeMap<Stage, Completeness>, Error> {
        wait(self.0.completeness_by_stage(customer))
    }

    /// See [`crate::Crm::renewals`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn renewals(&self, period: Period) -> Result<Renewals, Error> {
        wait(self.0.renewals(period))
    }
}
