//! Who may be contacted: opt-ins, unsubscribing, suppressed addresses.

use crm_core::consent::{Allowed, Barred, ConsentWithdrawn, ContactQuery, Proof, Purpose, Which};
use crm_core::identity::Identifier;
use crm_core::interaction::Channel;
use crm_core::{CustomerId, Source, Timestamp};

use super::{Crm, wait};
use crate::engine::{
    AddressWithdrawn, ConfirmProof, Confirmation, OptIn, OptInPeek, OptInRequested, OptInToken, Suppressed,
    SuppressionReason, Unsubscribe, UnsubscribeToken, Withdrawal,
};
use crate::error::Error;

impl Crm {
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
}
