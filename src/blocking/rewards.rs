//! The catalogue of rewards, and vouchers by their codes.

use crm_core::loyalty::{BatchName, CouponCode, RewardOffer, UseName, VoucherCode};
use crm_core::order::OrderRef;
use crm_core::{CustomerId, Timestamp};

use super::{Crm, wait};
use crate::engine::{Executed, VoucherBatch, VoucherGiven};
use crate::error::Error;

impl Crm {
    /// See [`crate::Crm::rewards_for`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn rewards_for(&self, customer: CustomerId) -> Result<Vec<RewardOffer>, Error> {
        wait(self.0.rewards_for(customer))
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
}
