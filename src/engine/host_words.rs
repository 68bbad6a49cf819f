//! What can be done inside the shop's transaction: consent, ties, cards, vouchers, what customers do together, and gift
//! cards. One list for both kinds of transaction, so that they do not part.

#[cfg(feature = "postgres")]
use super::InPostgresTransaction;
#[cfg(feature = "sqlite")]
use super::InTransaction;
use super::{
    AddressWithdrawn, CardChange, CardTold, CardUpdated, ConfirmProof, Confirmation, Crm, DoneTogether, DrawEntries,
    Drawn, Executed, GiftCard, GiftCardBlocked, GiftCardCode, GiftCardIssued, GiftCardRedeemed, GiftCardSale, OptIn,
    OptInPeek, OptInRequested, OptInToken, Suppressed, SuppressionReason, TieRecorded, Unsubscribe, UnsubscribeToken,
    VoucherBatch, VoucherGiven, Withdrawal,
};
use crate::error::Error;
use crate::incoming::Who;
use crm_core::audit::AuditActor;
use crm_core::consent::{Allowed, Barred, ConsentWithdrawn, ContactQuery, Proof, Purpose, Which};
use crm_core::credit::GiftCardId;
use crm_core::customer::Quote;
use crm_core::identity::Identifier;
use crm_core::interaction::Channel;
use crm_core::loyalty::{
    Cart, CouponCode, Draw, DrawName, GivePoints, PoolCommand, ProgramId, ReferralName, RewardOffer, Seed, UseName,
    VoucherCode,
};
use crm_core::order::OrderRef;
use crm_core::privacy::ViewName;
use crm_core::profile::{Card, CardUpdate, Completeness};
use crm_core::relationship::{Tie, Untie};
use crm_core::{CustomerId, FactKey, Remark, Source, Timestamp};

macro_rules! words {
    ($(fn $name:ident($($arg:ident: $of:ty),*) -> $out:ty;)*) => {
        #[cfg(feature = "sqlite")]
        impl InTransaction<'_> {
            $(
                #[doc = concat!("See [`Crm::", stringify!($name), "`].")]
                ///
                /// # Errors
                ///
                /// The same, and `Conflict`.
                pub fn $name(&mut self, $($arg: $of),*) -> Result<$out, Error> {
                    self.run(async move |crm| crm.$name($($arg),*).await)
                }
            )*
        }

        #[cfg(feature = "postgres")]
        impl InPostgresTransaction<'_> {
            $(
                #[doc = concat!("See [`Crm::", stringify!($name), "`].")]
                ///
                /// # Errors
                ///
                /// The same, and `Conflict`.
                pub async fn $name(&self, $($arg: $of),*) -> Result<$out, Error> {
                    self.run(async move |crm| crm.$name($($arg),*).await).await
                }
            )*
        }
    };
}

words! {
    fn may_contact(customer: CustomerId, query: &ContactQuery, address: Option<&Identifier>) -> Result<Allowed, Barred>;
    fn request_opt_in(customer: CustomerId, asked: OptIn) -> OptInRequested;
    fn peek_opt_in(token: &OptInToken) -> OptInPeek;
    fn redeem_voucher(
        customer: CustomerId,
        code: &VoucherCode,
        name: UseName,
        order: Option<OrderRef>,
        key: &str
    ) -> Executed;
    fn reserve_voucher(
        customer: CustomerId,
        code: &VoucherCode,
        name: UseName,
        expires_at: Timestamp,
        key: &str
    ) -> Executed;
    fn issue_vouchers(batch: &VoucherBatch, vouchers: u32) -> Vec<VoucherCode>;
    fn issue_voucher(customer: CustomerId, coupon: &CouponCode, expires_at: Option<Timestamp>) -> VoucherGiven;
    fn rewards_for(customer: CustomerId) -> Vec<RewardOffer>;
    fn give_points(from: CustomerId, to: CustomerId, give: GivePoints, key: &str) -> DoneTogether;
    fn pool(owner: CustomerId, program: &ProgramId, command: PoolCommand, key: &str) -> DoneTogether;
    fn refer(name: &ReferralName, by: CustomerId, who: CustomerId, key: &str) -> DoneTogether;
    fn announce_draw(name: &DrawName, draw: Draw) -> bool;
    fn draw(name: &DrawName, entries: &DrawEntries, seed: &Seed, key: &str) -> Drawn;
    fn issue_gift_card(buyer: CustomerId, code: &GiftCardCode, sale: GiftCardSale, key: &str) -> GiftCardIssued;
    fn redeem_gift_card(customer: CustomerId, code: &GiftCardCode, key: &str) -> GiftCardRedeemed;
    fn block_gift_card(card: GiftCardId, reason: Remark, key: &str) -> GiftCardBlocked;
    fn gift_card(card: GiftCardId) -> Option<GiftCard>;
    fn quote(who: Who, program: &ProgramId, cart: &Cart) -> Quote;
    fn confirm_opt_in(token: &OptInToken, by: ConfirmProof) -> Confirmation;
    fn withdraw_by_token(token: &str) -> Withdrawal;
    fn withdraw_by_address(
        address: &Identifier,
        withdrawn: ConsentWithdrawn,
        at: Timestamp,
        source: &Source
    ) -> AddressWithdrawn;
    fn suppress(address: &Identifier, reason: SuppressionReason, source: &Source) -> bool;
    fn is_suppressed(address: &Identifier) -> Option<Suppressed>;
    fn unsuppress(customer: CustomerId, address: &Identifier, proof: Proof) -> bool;
    fn tie(tie: Tie, at: Timestamp, source: Source, key: FactKey) -> TieRecorded;
    fn untie(untie: Untie, at: Timestamp, source: Source, key: FactKey) -> TieRecorded;
    fn update_card(customer: CustomerId, update: CardUpdate, source: &Source, at: Timestamp) -> CardUpdated;
    fn update_cards(told: &[CardTold]) -> Vec<Result<CardUpdated, Error>>;
    fn rectify(
        customer: CustomerId,
        update: CardUpdate,
        source: &Source,
        at: Timestamp,
        by: AuditActor
    ) -> CardUpdated;
    fn card(customer: CustomerId) -> Card;
    fn cards(customers: &[CustomerId]) -> Vec<Card>;
    fn card_for(customer: CustomerId, view: &ViewName, by: AuditActor) -> Card;
    fn card_history(customer: CustomerId) -> Vec<CardChange>;
    fn completeness(customer: CustomerId) -> Completeness;
}

/// What asks nothing of the store, and a list that comes from outside.
macro_rules! others {
    ($inside:ident) => {
        impl $inside<'_> {
            /// See [`Crm::unsubscribe_token`].
            #[must_use]
            pub fn unsubscribe_token(
                &self,
                customer: CustomerId,
                purpose: impl Into<Which<Purpose>>,
                channel: impl Into<Which<Channel>>,
            ) -> UnsubscribeToken {
                self.crm().unsubscribe_token(customer, purpose, channel)
            }

            /// See [`Crm::unsubscribe_token_for`].
            #[must_use]
            pub fn unsubscribe_token_for(&self, what: &Unsubscribe) -> UnsubscribeToken {
                self.crm().unsubscribe_token_for(what)
            }

            /// See [`Crm::peek_unsubscribe`].
            ///
            /// # Errors
            ///
            /// The same.
            pub fn peek_unsubscribe(&self, token: &str) -> Result<Unsubscribe, Error> {
                self.crm().peek_unsubscribe(token)
            }
        }
    };
}

#[cfg(feature = "sqlite")]
others!(InTransaction);
#[cfg(feature = "postgres")]
others!(InPostgresTransaction);

#[cfg(feature = "sqlite")]
impl InTransaction<'_> {
    /// See [`Crm::suppress_all`].
    ///
    /// # Errors
    ///
    /// The same, and `Conflict`.
    pub fn suppress_all<I>(&mut self, addresses: I, reason: SuppressionReason, source: &Source) -> Result<u64, Error>
    where
        I: IntoIterator<Item = Identifier>,
        I::IntoIter: Send,
    {
        self.run(async move |crm: Crm| crm.suppress_all(addresses, reason, source).await)
    }
}

#[cfg(feature = "postgres")]
impl InPostgresTransaction<'_> {
    /// See [`Crm::suppress_all`].
    ///
    /// # Errors
    ///
    /// The same, and `Conflict`.
    pub async fn suppress_all<I>(&self, addresses: I, reason: SuppressionReason, source: &Source) -> Result<u64, Error>
    where
        I: IntoIterator<Item = Identifier>,
        I::IntoIter: Send,
    {
        self.run(async move |crm: Crm| crm.suppress_all(addresses, reason, source).await).await
    }
}
