//! Store credit and gift cards.

use crm_core::credit::{CreditStatement, GiftCardId};
use crm_core::{Currency, CustomerId, Remark};

use super::{Crm, wait};
use crate::engine::{
    CreditTrialBalance, GiftCard, GiftCardBlocked, GiftCardCode, GiftCardIssued, GiftCardRedeemed, GiftCardSale,
};
use crate::error::Error;
use crate::incoming::Who;

impl Crm {
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
}
