//! Vouchers: each is good for one use of a coupon. One that is a customer's own is known by its id, and used in their
//! name; one of a batch, or one that was handed out as a text, is known to whoever has its [code](VoucherCode).

mod code;
mod event;

use serde::{Deserialize, Serialize};

pub use code::{VoucherCode, VoucherCodeError};
pub use event::{VoucherFrom, VoucherIssued, VoucherWithdrawn, WithdrawCause};

use super::{CouponCode, StampCardName};
use crate::id::{CustomerId, Digest, EventId, hex_bytes};
use crate::text::text_type;
use crate::time::Timestamp;

text_type!(
    /// The shop's own name of a batch of vouchers, unique for its coupon.
    BatchName, "voucher batch", 64
);

/// Which voucher: the keyed hash of its code, or something derived from what a customer got it for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VoucherId(#[serde(with = "hex_bytes")] [u8; 16]);

impl VoucherId {
    /// The id of the voucher whose code has a hash.
    #[must_use]
    pub const fn of_hash(hash: [u8; 16]) -> Self {
        VoucherId(hash)
    }

    /// Its 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Of the voucher that a reward gave.
    pub(super) fn of_reward(claim: EventId) -> Self {
        Self::derived(&format!("reward {claim}"))
    }

    /// Of the `ordinal`th voucher that a stamp card gave somebody.
    pub(crate) fn of_stamps(holder: CustomerId, card: &StampCardName, since: Timestamp, ordinal: usize) -> Self {
        Self::derived(&format!("stamps {holder} {} {ordinal} {card}", since.as_millis()))
    }

    fn derived(what: &str) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&Digest::of(what.as_bytes()).as_bytes()[..16]);
        VoucherId(id)
    }
}

impl std::fmt::Display for VoucherId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for VoucherId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VoucherId({self})")
    }
}

/// A voucher of a customer's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voucher {
    /// Of which coupon.
    pub coupon: CouponCode,
    /// Since when they have it.
    pub issued_at: Timestamp,
    /// Until before when it can be used; none means for ever.
    pub expires_at: Option<Timestamp>,
    /// What they got it for.
    pub from: VoucherFrom,
    /// Whether it was taken back or blocked.
    pub withdrawn: Option<WithdrawCause>,
}
