//! What a plugin was given for a score, so that it can be shown beside the score for as long as that is kept: written
//! down as it was used, because a fact that comes late changes what the same instant would give today.
//!
//! It begins with a byte that says how it is written, which is 1. Then each cell: the number of the attribute, a byte
//! that is 1 if there is a value and 0 if it is missing, and the value as a zigzag LEB128 number (the varint of Protocol
//! Buffers' `sint64`). The digest of a score's input is the SHA-256 of these bytes.

use crate::attribute::Attribute;
use crate::id::Digest;

/// How it is written now.
const FORM: u8 = 1;

/// What a plugin was given of one customer, in the order in which it asked; none is a value that was missing.
///
/// ```
/// use crm_core::attribute::Attribute;
/// use crm_core::score::ScoreInputs;
///
/// let inputs = ScoreInputs(vec![(Attribute::Orders, Some(3)), (Attribute::RecencyDays, None)]);
/// let bytes = inputs.encode();
/// assert_eq!(bytes, [1, 4, 1, 6, 1, 0]);
/// assert_eq!(ScoreInputs::decode(&bytes)?, inputs);
/// # Ok::<(), crm_core::score::InputsError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScoreInputs(pub Vec<(Attribute, Option<i64>)>);

/// Inputs that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputsError {
    /// They were not kept: the score is older than that.
    #[error("the inputs of this score were not kept")]
    NotKept,
    /// They are written in a way that this version does not know.
    #[error("inputs in form {form}, this version knows {FORM}")]
    Form {
        /// In which.
        form: u8,
    },
    /// They name an attribute that this version does not know.
    #[error("there is no attribute number {number}")]
    Attribute {
        /// Its number.
        number: u8,
    },
    /// They end too early, or hold a number without an end.
    #[error("the inputs of this score are damaged")]
    Damaged,
}

impl ScoreInputs {
    /// As they are kept.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + 4 * self.0.len());
        Self::write(self.0.iter().copied(), &mut bytes);
        bytes
    }

    /// Writes cells as they are kept, after what is there.
    pub fn write(cells: impl IntoIterator<Item = (Attribute, Option<i64>)>, to: &mut Vec<u8>) {
        to.push(FORM);
        for (attribute, value) in cells {
            to.extend_from_slice(&[number(attribute), u8::from(value.is_some())]);
            let Some(value) = value else { continue };
            let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
            while rest >= 0x80 {
                to.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            to.push(rest as u8);
        }
    }

    /// Reads what was kept.
    ///
    /// # Errors
    ///
    /// `NotKept` of nothing, `Form` or `Attribute` if a later version wrote it, `Damaged` if it is cut off.
    pub fn decode(bytes: &[u8]) -> Result<Self, InputsError> {
        let (&form, mut rest) = bytes.split_first().ok_or(InputsError::NotKept)?;
        if form != FORM {
            return Err(InputsError::Form { form });
        }
        let mut cells = Vec::new();
        while let [number, is_there, after @ ..] = rest {
            rest = after;
            let attribute = by_number(*number).ok_or(InputsError::Attribute { number: *number })?;
            let value = match is_there {
                0 => None,
                1 => Some(take(&mut rest).ok_or(InputsError::Damaged)?),
                _ => return Err(InputsError::Damaged),
            };
            cells.push((attribute, value));
        }
        if rest.is_empty() { Ok(ScoreInputs(cells)) } else { Err(InputsError::Damaged) }
    }

    /// The digest of the input.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }
}

fn take(rest: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    None
}

/// A number that is stored for an attribute; it never changes, and a new one takes the next.
const fn number(attribute: Attribute) -> u8 {
    match attribute {
        Attribute::RecencyDays => 1,
        Attribute::TenureDays => 2,
        Attribute::AgeDays => 3,
        Attribute::Orders => 4,
        Attribute::Refunds => 5,
        Attribute::Spend => 6,
        Attribute::GrossSpend => 7,
        Attribute::AverageOrder => 8,
        Attribute::Visits => 9,
        Attribute::Enquiries => 10,
        Attribute::Carts => 11,
        Attribute::Points => 12,
        Attribute::PointsEarned => 13,
    }
}

fn by_number(wanted: u8) -> Option<Attribute> {
    Attribute::ALL.iter().copied().find(|attribute| number(*attribute) == wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_attribute_has_a_number_of_its_own() {
        let numbers: std::collections::BTreeSet<u8> = Attribute::ALL.iter().map(|one| number(*one)).collect();
        assert_eq!(numbers.len(), Attribute::ALL.len());
        assert!(!numbers.contains(&0));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        assert_eq!(ScoreInputs::decode(&[]), Err(InputsError::NotKept));
        assert_eq!(ScoreInputs::decode(&[2]), Err(InputsError::Form { form: 2 }));
        assert_eq!(ScoreInputs::decode(&[1, 200, 0]), Err(InputsError::Attribute { number: 200 }));
        for damaged in [&[1, 4][..], &[1, 4, 1], &[1, 4, 1, 0x80], &[1, 4, 2, 0]] {
            assert_eq!(ScoreInputs::decode(damaged), Err(InputsError::Damaged), "{damaged:?}");
        }
        let endless = [&[1, 4, 1][..], &[0xff; 10], &[0]].concat();
        assert_eq!(ScoreInputs::decode(&endless), Err(InputsError::Damaged));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(cells in prop::collection::vec((0..Attribute::ALL.len(), any::<Option<i64>>()), 0..20)) {
            let inputs = ScoreInputs(cells.into_iter().map(|(at, value)| (Attribute::ALL[at], value)).collect());
            prop_assert_eq!(ScoreInputs::decode(&inputs.encode()), Ok(inputs));
        }

        #[test]
        fn no_bytes_are_read_in_two_ways(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(inputs) = ScoreInputs::decode(&bytes) {
                prop_assert_eq!(ScoreInputs::decode(&inputs.encode()), Ok(inputs));
            }
        }
    }
}
