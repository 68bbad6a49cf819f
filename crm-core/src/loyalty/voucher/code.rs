//! The codes of vouchers: letters that are not taken for each other, with one more that says whether it was typed as it
//! was printed.

/// Digits and letters without 0 and O, 1, I and L. There are 31, a prime: that is what makes the check below complete.
const LETTERS: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";
/// Letters that are drawn: more than 64 bits.
const DRAWN: usize = 13;
const LENGTH: usize = DRAWN + 1;

/// The code of a voucher, such as `7KQ2M-X4BPD-9TSWA`. Who has it can use the voucher: it is shown once, kept as a
/// keyed hash, and prints masked.
#[derive(Clone, PartialEq, Eq)]
pub struct VoucherCode([u8; LENGTH]);

/// A text that is no code of a voucher, by itself: it was not looked up. It says nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VoucherCodeError {
    /// Too short or too long.
    #[error("a voucher's code has {LENGTH} letters, not {letters}")]
    Length {
        /// How many letters it has.
        letters: usize,
    },
    /// A letter that no code has.
    #[error("letter {place} is in no voucher's code")]
    Letter {
        /// Which letter, from 1.
        place: usize,
    },
    /// The last letter does not fit the others: it was mistyped.
    #[error("the code was mistyped")]
    Mistyped,
}

impl VoucherCode {
    /// A code of random bytes, each drawn evenly: 64 bits and a little more. Takes bytes until it has enough.
    ///
    /// # Errors
    ///
    /// What the source of bytes failed with.
    pub fn draw<E>(mut byte: impl FnMut() -> Result<u8, E>) -> Result<Self, E> {
        let mut values = [0; LENGTH];
        let mut drawn = 0;
        while drawn < DRAWN {
            let value = byte()?;
            // Eight times 31; what is above would favour some letters.
            if value < 248 {
                values[drawn] = value % 31;
                drawn += 1;
            }
        }
        values[DRAWN] = check_value(&values[..DRAWN]);
        Ok(VoucherCode(values.map(|value| LETTERS[usize::from(value)])))
    }

    /// Reads a code as people type it: in letters of either case, with blanks and hyphens anywhere.
    ///
    /// # Errors
    ///
    /// `VoucherCodeError`; a single wrong letter, and two that were swapped, are always found.
    pub fn parse(text: &str) -> Result<Self, VoucherCodeError> {
        let letters = || text.chars().filter(|letter| !matches!(letter, ' ' | '-'));
        // A long text is not read to its end.
        let count = letters().take(LENGTH + 1).count();
        if count != LENGTH {
            return Err(VoucherCodeError::Length { letters: count });
        }
        let mut values = [0_u8; LENGTH];
        for (place, letter) in letters().enumerate() {
            let known = LETTERS.iter().position(|known| char::from(*known) == letter.to_ascii_uppercase());
            values[place] = known.ok_or(VoucherCodeError::Letter { place: place + 1 })? as u8;
        }
        if check_value(&values[..DRAWN]) != values[DRAWN] {
            return Err(VoucherCodeError::Mistyped);
        }
        Ok(VoucherCode(values.map(|value| LETTERS[usize::from(value)])))
    }

    /// The text as it is printed, in groups of five; to be kept nowhere else.
    #[must_use]
    pub fn expose(&self) -> String {
        let groups = self.0.chunks(5).map(|group| group.iter().copied().map(char::from).collect::<String>());
        groups.collect::<Vec<_>>().join("-")
    }
}

/// The letters weighed by 1 to 13, less the last one, come to nothing modulo 31. Every weight and every difference of
/// two has an inverse there, so that no single wrong letter and no swapped pair fits.
fn check_value(values: &[u8]) -> u8 {
    let sum: usize = values.iter().zip(1..).map(|(value, weight)| usize::from(*value) * weight).sum();
    (sum % 31) as u8
}

impl std::fmt::Debug for VoucherCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VoucherCode(***)")
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn code(seed: u8) -> VoucherCode {
        let mut next = seed;
        let byte = || {
            next = next.wrapping_mul(73).wrapping_add(91);
            Ok::<u8, Infallible>(next)
        };
        VoucherCode::draw(byte).unwrap()
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let own = code(7);
        let text = own.expose();
        assert_eq!(text.len(), LENGTH + 2);
        for typed in [text.clone(), text.to_lowercase(), text.replace('-', " "), text.replace('-', "")] {
            assert_eq!(VoucherCode::parse(&typed), Ok(own.clone()));
        }
        assert_eq!(format!("{own:?}"), "VoucherCode(***)");
    }

    #[test]
    fn every_wrong_letter_and_every_swapped_pair_is_found() {
        for seed in 0..=255 {
            let text: Vec<u8> = code(seed).expose().bytes().filter(|byte| *byte != b'-').collect();
            let parse = |bytes: &[u8]| VoucherCode::parse(std::str::from_utf8(bytes).unwrap());
            for place in 0..LENGTH {
                for letter in LETTERS.iter().filter(|letter| **letter != text[place]) {
                    let mut wrong = text.clone();
                    wrong[place] = *letter;
                    assert_eq!(parse(&wrong), Err(VoucherCodeError::Mistyped));
                }
                for other in (place + 1..LENGTH).filter(|other| text[*other] != text[place]) {
                    let mut swapped = text.clone();
                    swapped.swap(place, other);
                    assert_eq!(parse(&swapped), Err(VoucherCodeError::Mistyped), "{place} {other}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_code_is_told_from_the_text_alone() {
        let long = "A".repeat(1_000_000);
        assert_eq!(VoucherCode::parse(&long), Err(VoucherCodeError::Length { letters: LENGTH + 1 }));
        assert_eq!(VoucherCode::parse(""), Err(VoucherCodeError::Length { letters: 0 }));
        assert_eq!(VoucherCode::parse("0KQ2M-X4BPD-9TSW"), Err(VoucherCodeError::Letter { place: 1 }));
        assert_eq!(VoucherCode::parse("7KQ2M-X4BPD-9TÖW"), Err(VoucherCodeError::Letter { place: 13 }));
    }

    #[test]
    fn letters_are_drawn_evenly() {
        let mut byte = 0_u8;
        let mut counts = [0_u32; 31];
        // Every byte comes as often as any other.
        for _ in 0..248 * 2 {
            let next = || {
                byte = byte.wrapping_add(1);
                Ok::<u8, Infallible>(byte)
            };
            let drawn = VoucherCode::draw(next).unwrap();
            for letter in &drawn.0[..DRAWN] {
                counts[LETTERS.iter().position(|known| known == letter).unwrap()] += 1;
            }
        }
        assert!(counts.iter().all(|count| count == &counts[0]), "{counts:?}");
    }
}
