//! The code of a gift card.

use crm_core::credit::CreditError;
use zeroize::Zeroizing;

/// The 32 digits of Crockford's base 32: none looks like another one.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// How many of them a random code has: 100 bits.
const RANDOM: usize = 20;
const MIN: usize = 8;
const MAX: usize = 64;

/// The secret by which whoever holds a gift card redeems it: 8 to 64 letters and digits of ASCII. Case, spaces and
/// hyphens do not count, and `O` is `0`, `I` and `L` are `1`, as people write them. It prints masked, and is wiped from
/// memory when dropped. Only a keyed hash of it is ever kept.
///
/// ```
/// use crm::GiftCardCode;
///
/// let code = GiftCardCode::random()?;
/// assert_eq!(code.expose().len(), 24);
/// assert_eq!(GiftCardCode::parse(&code.expose().to_lowercase())?, code);
/// assert_eq!(GiftCardCode::parse("xmas 2026-0001")?.expose(), "XMAS-2026-0001");
/// assert!(GiftCardCode::parse("1234567").is_err());
/// # Ok::<(), crm::CreditError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct GiftCardCode(Zeroizing<String>);

impl GiftCardCode {
    /// A new one, of 100 random bits. A shop that gives codes of its own should not make them easier to guess, or let
    /// nobody try many.
    ///
    /// # Errors
    ///
    /// `Random` if the system has no random numbers.
    pub fn random() -> Result<Self, CreditError> {
        let mut bytes = Zeroizing::new([0_u8; RANDOM]);
        getrandom::fill(&mut *bytes).map_err(|_| CreditError::Random)?;
        Ok(GiftCardCode(Zeroizing::new(bytes.iter().map(|byte| char::from(DIGITS[usize::from(byte & 31)])).collect())))
    }

    /// Reads one, as somebody wrote it.
    ///
    /// # Errors
    ///
    /// `BadCode` if it is none.
    pub fn parse(text: &str) -> Result<Self, CreditError> {
        let mut code = Zeroizing::new(String::with_capacity(MAX));
        for letter in text.chars().filter(|letter| !matches!(letter, ' ' | '-')) {
            if !letter.is_ascii_alphanumeric() || code.len() == MAX {
                return Err(CreditError::BadCode);
            }
            code.push(match letter.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                letter => letter,
            });
        }
        if code.len() < MIN { Err(CreditError::BadCode) } else { Ok(GiftCardCode(code)) }
    }

    /// The code in groups of four, to be given to the buyer and kept nowhere else.
    #[must_use]
    pub fn expose(&self) -> String {
        let mut text = String::with_capacity(self.0.len() * 5 / 4);
        for (place, letter) in self.0.chars().enumerate() {
            if place > 0 && place.is_multiple_of(4) {
                text.push('-');
            }
            text.push(letter);
        }
        text
    }

    /// What it is hashed by.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for GiftCardCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GiftCardCode(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_write_it() {
        let same = ["abcd-0011-efgh", "ABCDOOILEFGH", " abcd 00 11 efgh ", "AbCd-oO-iL-eFgH"];
        for text in same {
            assert_eq!(GiftCardCode::parse(text).unwrap().expose(), "ABCD-0011-EFGH", "{text}");
        }
        let long = "A".repeat(65);
        for bad in
            ["", "-------", "ABCDEFG", "ABCDEFG\u{0}H", "ＡＢＣＤＥＦＧＨ", "ABCDEFG\u{200d}H", "ABCDEFGH\n", &long]
        {
            assert_eq!(GiftCardCode::parse(bad), Err(CreditError::BadCode), "{bad:?}");
        }
        assert_eq!(GiftCardCode::parse(&"A".repeat(64)).unwrap().expose().len(), 64 + 15);
    }

    #[test]
    fn a_random_code_is_another_each_time_and_prints_masked() {
        let codes = [(); 50].map(|()| GiftCardCode::random().unwrap().expose());
        assert_eq!(codes.iter().collect::<std::collections::BTreeSet<_>>().len(), 50);
        assert_eq!(format!("{:?}", GiftCardCode::parse("CANARY-2026").unwrap()), "GiftCardCode(***)");
    }
}
