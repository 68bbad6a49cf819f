//! Vouchers with codes: batches of them, and such that a customer was given.
//!
//! A code is 64 random bits and a check letter. What is stored is a keyed hash, as a claim: of the batch that the
//! voucher is of, a row that is no customer; of the customer whom it was given to; or of whoever has used it. Whoever
//! uses a voucher of a batch takes the claim from it in the same commit, so that of two who do so at once one does.

use crm_core::customer::{Customer, Refusal};
use crm_core::event::{Deed, JsonProblem};
use crm_core::loyalty::{
    BatchName, CouponCode, LoyaltyError, RedeemCoupon, ReserveCoupon, UseName, VoucherCode, VoucherFrom, VoucherId,
    VoucherIssued, VoucherTicket, VoucherWithdrawn, WithdrawCause,
};
use crm_core::order::OrderRef;
use crm_core::{CustomerId, Definitions, EventId, Timestamp};
use crm_storage::{Claim, Commit, CustomerWrite, Expected, Release, StateRow};
use serde::{Deserialize, Serialize};

use super::command::Asked;
use super::{ATTEMPTS_MAX, Crm, Executed};
use crate::error::Error;
use crate::plan::{Need, Planner, voucher_claim};

/// The most vouchers that are issued at once.
pub const VOUCHERS_AT_ONCE_MAX: u32 = 100_000;
/// How many of them a commit claims.
const IN_A_COMMIT: usize = 500;
/// The shape of a batch's row, which is no customer's.
const BATCH_SHAPE: u16 = 60_002;

/// Vouchers that are issued together. Issuing more under the same name adds to the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoucherBatch {
    /// The shop's own name of it, unique for the coupon.
    pub name: BatchName,
    /// Of which coupon.
    pub coupon: CouponCode,
    /// Until before when they can be used; none means for ever. The same each time.
    pub expires_at: Option<Timestamp>,
}

/// A voucher that a customer was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoucherGiven {
    /// Which.
    pub voucher: VoucherId,
    /// Its code: to be shown to them, and kept nowhere.
    pub code: VoucherCode,
    /// The decision.
    pub event: EventId,
}

/// What is kept of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchRow {
    coupon: CouponCode,
    expires_at: Option<Timestamp>,
    issued: u64,
    blocked: bool,
}

/// A use of a voucher that is asked for.
#[derive(Serialize)]
pub(super) struct VoucherAsked {
    pub(super) voucher: VoucherId,
    name: UseName,
    what: VoucherUse,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum VoucherUse {
    Reserve { expires_at: Timestamp },
    Redeem { order: Option<OrderRef> },
}

/// Where a voucher is.
pub(super) enum FoundVoucher {
    /// In its batch, or used by the customer who wants to use it.
    InBatch(VoucherTicket),
    /// With the customer who wants to use it, by their own state.
    Own(CouponCode),
    /// Nowhere that this customer can use it.
    Refused(LoyaltyError),
}

impl VoucherAsked {
    pub(super) fn decide(
        &self,
        found: Option<&FoundVoucher>,
        customer: &Customer,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<Vec<Deed>, Refusal> {
        let (ticket, coupon, voucher) = match found {
            Some(FoundVoucher::InBatch(ticket)) => (Some(ticket), ticket.coupon.clone(), None),
            Some(FoundVoucher::Own(coupon)) => (None, coupon.clone(), Some(self.voucher)),
            Some(FoundVoucher::Refused(refusal)) => return Err(refusal.clone().into()),
            None => return Err(LoyaltyError::NoVoucher.into()),
        };
        // Under one name there is one use: another voucher under it would be lost to its owner without being used.
        let other = customer.rewards().use_named(&coupon, &self.name).and_then(|used| used.by);
        if other.is_some_and(|other| other.voucher != self.voucher) {
            return Err(LoyaltyError::UseNameTaken { coupon, name: self.name.clone() }.into());
        }
        let name = self.name.clone();
        let deed = match &self.what {
            VoucherUse::Reserve { expires_at } => {
                let reserve = ReserveCoupon { coupon, name, expires_at: *expires_at, voucher };
                reserve.decide(ticket, customer, at, definitions)?.map(Deed::CouponReserved)
            }
            VoucherUse::Redeem { order } => {
                let redeem = RedeemCoupon { coupon, name, order: order.clone(), voucher };
                redeem.decide(ticket, customer, at, definitions)?.map(Deed::CouponRedeemed)
            }
        };
        Ok(deed.into_iter().collect())
    }
}

impl Crm {
    /// Issues vouchers of a coupon to nobody in particular, and gives their codes: this is the only time that anybody
    /// sees them. Each can be used once, by whoever has it. When the store fails between, some were issued whose codes
    /// nobody knows: they are never used, and issuing goes on under the same name.
    ///
    /// Costs a commit for each 500.
    ///
    /// ```
    /// use crm::{BatchName, Benefit, Channel, Coupon, CouponCode, Crm, Definition, Identifier, Incoming, Source};
    /// use crm::{Timestamp, UseName, Visited, VoucherBatch, VoucherCode};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let coupon = CouponCode::new("tv-summer")?;
    /// let ten_off = Coupon::new(Benefit::PercentOff(10)).by_voucher();
    /// crm.define(Timestamp::MIN, Definition::Coupon(coupon.clone(), Some(Box::new(ten_off)))).await?;
    /// let batch = VoucherBatch { name: BatchName::new("flyer")?, coupon: coupon.clone(), expires_at: None };
    /// let printed: Vec<String> = crm.issue_vouchers(&batch, 3).await?.iter().map(VoucherCode::expose).collect();
    ///
    /// let ana = Identifier::email("ana@example.com")?;
    /// let visit = Visited { channel: Channel::Web, place: None };
    /// let ana = crm.record(Incoming::new(&ana, crm.now(), Source::new("shop")?, visit)).await?.customer;
    /// let typed = VoucherCode::parse(&printed[0].to_lowercase())?;
    /// crm.redeem_voucher(ana, &typed, UseName::new("order 1001")?, None, "voucher of order 1001").await?;
    /// let again = crm.redeem_voucher(ana, &typed, UseName::new("order 1002")?, None, "voucher of order 1002").await;
    /// assert!(again.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Refused` with `NoCoupon`, `VouchersAtOnce`, or `BatchTaken` if a batch of that name has another end or was
    /// blocked; `Random`; `Storage` if the store failed; `Busy`.
    pub async fn issue_vouchers(&self, batch: &VoucherBatch, vouchers: u32) -> Result<Vec<VoucherCode>, Error> {
        if !(1..=VOUCHERS_AT_ONCE_MAX).contains(&vouchers) {
            return Err(refused(LoyaltyError::VouchersAtOnce { vouchers, max: VOUCHERS_AT_ONCE_MAX }));
        }
        let definitions = self.definitions().await?;
        if definitions.coupon(&batch.coupon, self.now()).is_none() {
            return Err(refused(LoyaltyError::NoCoupon { coupon: batch.coupon.clone() }));
        }
        let id = self.batch_id(&batch.coupon, &batch.name);
        let codes = (0..vouchers).map(|_| self.draw_code()).collect::<Result<Vec<_>, _>>()?;
        for codes in codes.chunks(IN_A_COMMIT) {
            self.keep_batch(id, codes, |row| {
                let kept = row.unwrap_or_else(|| BatchRow {
                    coupon: batch.coupon.clone(),
                    expires_at: batch.expires_at,
                    issued: 0,
                    blocked: false,
                });
                if kept.blocked || kept.expires_at != batch.expires_at {
                    return Err(refused(LoyaltyError::BatchTaken { batch: batch.name.clone() }));
                }
                Ok(BatchRow { issued: kept.issued + codes.len() as u64, ..kept })
            })
            .await?;
        }
        Ok(codes)
    }

    /// Gives a voucher of a coupon to one customer: nobody else can use it, and they need not have its code.
    ///
    /// # Errors
    ///
    /// `NoCustomer`, `Refused` with `NoCoupon`, `Random`, `Storage` if the store failed, `Busy`.
    pub async fn issue_voucher(
        &self,
        customer: CustomerId,
        coupon: &CouponCode,
        expires_at: Option<Timestamp>,
    ) -> Result<VoucherGiven, Error> {
        let definitions = self.definitions().await?;
        if definitions.coupon(coupon, self.now()).is_none() {
            return Err(refused(LoyaltyError::NoCoupon { coupon: coupon.clone() }));
        }
        let code = self.draw_code()?;
        let voucher = self.voucher_id(&code);
        let issue = |planner: &mut Planner<'_>| {
            planner.decide_by(|_, _, at, _| {
                let (coupon, from) = (coupon.clone(), VoucherFrom::Shop);
                Ok(vec![Deed::VoucherIssued(VoucherIssued { voucher, coupon, at, expires_at, from })])
            })
        };
        let event = self.decide_about_voucher(customer, issue).await?;
        let event = event.ok_or_else(|| Error::corrupt("a voucher that was not issued"))?;
        Ok(VoucherGiven { voucher, code, event })
    }

    /// Uses a voucher in the name of a customer, once under the key. What they reserved it for is used up by it.
    ///
    /// Codes can be tried out: it is for the host to see to it that nobody tries many.
    ///
    /// # Errors
    ///
    /// `Refused` with `NoVoucher`, `VoucherUsed`, `VoucherExpired`, `VoucherNotTheirs`, `VoucherBlocked`, `UseNameTaken`,
    /// or what its coupon does not admit; otherwise as for [`execute`](Self::execute).
    pub async fn redeem_voucher(
        &self,
        customer: CustomerId,
        code: &VoucherCode,
        name: UseName,
        order: Option<OrderRef>,
        key: &str,
    ) -> Result<Executed, Error> {
        self.use_voucher(customer, code, name, VoucherUse::Redeem { order }, key).await
    }

    /// Keeps a voucher for a customer until an instant; otherwise as [`redeem_voucher`](Self::redeem_voucher). One of a
    /// batch goes back to it when it is released, or its time is over.
    ///
    /// # Errors
    ///
    /// The same, and `ReservationOver`.
    pub async fn reserve_voucher(
        &self,
        customer: CustomerId,
        code: &VoucherCode,
        name: UseName,
        expires_at: Timestamp,
        key: &str,
    ) -> Result<Executed, Error> {
        self.use_voucher(customer, code, name, VoucherUse::Reserve { expires_at }, key).await
    }

    async fn use_voucher(
        &self,
        customer: CustomerId,
        code: &VoucherCode,
        name: UseName,
        what: VoucherUse,
        key: &str,
    ) -> Result<Executed, Error> {
        self.check_lookup_key().await?;
        let asked = VoucherAsked { voucher: self.voucher_id(code), name, what };
        let body = serde_json::to_vec(&asked).map_err(Error::corrupt)?;
        Box::pin(self.carry_out(customer, &Asked::Voucher(asked), &body, key)).await
    }

    /// Blocks a voucher that was not used. Answers whether it was there to be blocked.
    ///
    /// # Errors
    ///
    /// `Refused` with `NoVoucher` or `VoucherUsed`, `Storage` if the store failed, `Busy`.
    pub async fn block_voucher(&self, code: &VoucherCode) -> Result<bool, Error> {
        self.check_lookup_key().await?;
        let voucher = self.voucher_id(code);
        let key = voucher_claim(voucher);
        let blocked = CustomerId::of_blocked_vouchers(&self.tenant);
        for _ in 0..ATTEMPTS_MAX {
            let owner =
                self.store().resolve(&self.tenant, std::slice::from_ref(&key)).await?.into_iter().next().flatten();
            let owner = owner.ok_or_else(|| refused(LoyaltyError::NoVoucher))?;
            if owner.customer == blocked {
                return Ok(false);
            }
            if !owner.customer.is_of_vouchers() {
                let block = |planner: &mut Planner<'_>| {
                    planner.decide_by(|customer, _, _, _| block(customer, voucher).map_err(Refusal::from))
                };
                return Ok(self.decide_about_voucher(owner.customer, block).await?.is_some());
            }
            let releases = vec![Release { key: key.clone(), customer: owner.customer }];
            let claims = vec![Claim { key: key.clone(), customer: blocked, event: owner.event }];
            if self.try_settle(Commit { releases, claims, ..Commit::default() }).await? {
                return Ok(true);
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Blocks all vouchers of a batch that were not used. Answers how many were issued, used ones included. A use that
    /// began before may still be made.
    ///
    /// # Errors
    ///
    /// `Refused` with `NoVoucher` if there is no such batch, `Storage` if the store failed, `Busy`.
    pub async fn block_vouchers(&self, coupon: &CouponCode, batch: &BatchName) -> Result<u64, Error> {
        let id = self.batch_id(coupon, batch);
        let block = |row: Option<BatchRow>| {
            let row = row.ok_or_else(|| refused(LoyaltyError::NoVoucher))?;
            Ok(BatchRow { blocked: true, ..row })
        };
        self.keep_batch(id, &[], block).await.map(|row| row.issued)
    }

    /// Writes the row of a batch, with claims for some codes.
    async fn keep_batch(
        &self,
        id: CustomerId,
        codes: &[VoucherCode],
        change: impl Fn(Option<BatchRow>) -> Result<BatchRow, Error> + Send + Sync,
    ) -> Result<BatchRow, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let (row, expected) = self.batch(id).await?;
            let row = change(row)?;
            let bytes = serde_json::to_vec(&row).map_err(Error::corrupt)?;
            let write = CustomerWrite::new(id, expected, StateRow { shape: BATCH_SHAPE, bytes });
            let event = EventId::of_decision(id, row.issued);
            let claims = codes.iter().map(|code| voucher_claim(self.voucher_id(code)));
            let claims = claims.map(|key| Claim { key, customer: id, event }).collect();
            if self.try_settle(Commit { writes: vec![write], claims, ..Commit::default() }).await? {
                return Ok(row);
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    async fn batch(&self, id: CustomerId) -> Result<(Option<BatchRow>, Expected), Error> {
        let loaded = self.store().load(&self.tenant, &[id]).await?;
        let Some(row) = loaded.rows.into_iter().next().flatten() else { return Ok((None, Expected::New)) };
        if row.state.shape != BATCH_SHAPE {
            return Err(Error::corrupt(format!("a batch of vouchers of shape {}", row.state.shape)));
        }
        let kept = serde_json::from_slice(&row.state.bytes)
            .map_err(|e| Error::corrupt(format!("a batch of vouchers: {}", JsonProblem::from(&e))))?;
        Ok((Some(kept), Expected::At(row.version)))
    }

    /// Looks up who has a voucher, for a customer who wants to use it.
    pub(super) async fn find_voucher(&self, voucher: VoucherId, customer: &Customer) -> Result<FoundVoucher, Error> {
        let key = voucher_claim(voucher);
        let owner = self.store().resolve(&self.tenant, &[key]).await?.into_iter().next().flatten();
        let Some(owner) = owner.map(|owner| owner.customer) else {
            return Ok(FoundVoucher::Refused(LoyaltyError::NoVoucher));
        };
        if owner == CustomerId::of_blocked_vouchers(&self.tenant) {
            return Ok(FoundVoucher::Refused(LoyaltyError::VoucherBlocked));
        }
        if owner.is_of_vouchers() {
            let (row, _) = self.batch(owner).await?;
            // Of somebody who was taken in from elsewhere a voucher may go back to a batch that is not here.
            let Some(row) = row else { return Ok(FoundVoucher::Refused(LoyaltyError::NoVoucher)) };
            if row.blocked {
                return Ok(FoundVoucher::Refused(LoyaltyError::VoucherBlocked));
            }
            let BatchRow { coupon, expires_at, .. } = row;
            return Ok(FoundVoucher::InBatch(VoucherTicket { voucher, coupon, expires_at, batch: owner }));
        }
        if customer.is(owner) {
            return self.own_voucher(voucher, customer).await;
        }
        let (other, _) = self.base(owner).await?;
        let others = other.as_ref().map(|base| base.customer.rewards());
        let refusal = match others {
            Some(others) if others.is_taken(voucher) => LoyaltyError::VoucherUsed,
            Some(others) if others.voucher(voucher).is_some_and(|own| own.withdrawn.is_some()) => {
                LoyaltyError::VoucherBlocked
            }
            Some(_) | None => LoyaltyError::VoucherNotTheirs,
        };
        Ok(FoundVoucher::Refused(refusal))
    }

    /// A voucher that a customer has, or one of a batch that they use. The latter may be over by the time of the plan, and
    /// then it is as good as one in its batch.
    async fn own_voucher(&self, voucher: VoucherId, customer: &Customer) -> Result<FoundVoucher, Error> {
        let rewards = customer.rewards();
        if let Some(own) = rewards.voucher(voucher) {
            return Ok(FoundVoucher::Own(own.coupon.clone()));
        }
        let used =
            rewards.all_uses().find_map(|(coupon, used)| Some((coupon, used.by.filter(|by| by.voucher == voucher)?)));
        let Some((coupon, held)) = used else { return Ok(FoundVoucher::Refused(LoyaltyError::NoVoucher)) };
        let coupon = coupon.clone();
        let Some(batch) = held.batch else { return Ok(FoundVoucher::Own(coupon)) };
        Ok(match self.batch(batch).await?.0.filter(|row| !row.blocked) {
            Some(BatchRow { expires_at, .. }) => {
                FoundVoucher::InBatch(VoucherTicket { voucher, coupon, expires_at, batch })
            }
            None => FoundVoucher::Own(coupon),
        })
    }

    /// Commits a decision about a customer's voucher; none if it is so already.
    async fn decide_about_voucher<F>(&self, customer: CustomerId, decide: F) -> Result<Option<EventId>, Error>
    where
        F: Fn(&mut Planner<'_>) -> Result<Result<Vec<EventId>, Refusal>, Need> + Send + Sync,
    {
        let now = self.now();
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base(customer).await?;
            let base = base.ok_or(Error::NoCustomer { customer })?;
            let context = self.context(&definitions, now, false);
            let planned = self
                .plan(context, &base, |mut planner| Ok(decide(&mut planner)?.map(|events| (events, planner.finish()))));
            let (events, plan) = planned.await??;
            let Some(event) = events.into_iter().next() else { return Ok(None) };
            let plan = plan.ok_or_else(|| Error::corrupt("a decision that changes nothing"))?;
            let (writing, _) = self.written(plan, &base).await?;
            if self.try_settle(writing).await? {
                return Ok(Some(event));
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    fn batch_id(&self, coupon: &CouponCode, batch: &BatchName) -> CustomerId {
        CustomerId::of_vouchers(&self.tenant, coupon.as_str(), batch.as_str())
    }

    fn draw_code(&self) -> Result<VoucherCode, Error> {
        let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
        let mut place = bytes.len();
        let code = VoucherCode::draw(|| {
            if place == bytes.len() {
                self.inner.ids.secret(&mut *bytes)?;
                place = 0;
            }
            place += 1;
            Ok::<u8, crate::ids::NoRandom>(bytes[place - 1])
        });
        Ok(code?)
    }

    fn voucher_id(&self, code: &VoucherCode) -> VoucherId {
        let text = zeroize::Zeroizing::new(code.expose());
        let tag = self.inner.lookup_key.tag(&self.tenant, "voucher", &text);
        let mut hash = [0; 16];
        hash.copy_from_slice(&tag[..16]);
        VoucherId::of_hash(hash)
    }
}

fn block(customer: &Customer, voucher: VoucherId) -> Result<Vec<Deed>, LoyaltyError> {
    let rewards = customer.rewards();
    if rewards.is_taken(voucher) {
        return Err(LoyaltyError::VoucherUsed);
    }
    let own = rewards.voucher(voucher).ok_or(LoyaltyError::NoVoucher)?;
    let cause = WithdrawCause::Blocked;
    let deed = Deed::VoucherWithdrawn(VoucherWithdrawn { voucher, cause });
    Ok(if own.withdrawn.is_some() { Vec::new() } else { vec![deed] })
}

fn refused(refusal: LoyaltyError) -> Error {
    Error::Refused(refusal.into())
}
