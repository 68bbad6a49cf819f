//! Telephone numbers: from how people write them in their country to E.164.
//!
//! A number is taken if its length is one that its numbering plan has ("possible"), and not only if its
//! range is known to be in use ("valid"): plans open new ranges more often than a library is updated, and a
//! customer whose new number is refused is worse off than a look-up that finds nobody.
//!
//! Compared with Python's `phonenumbers` 9.0.43 on 12,455 spellings (examples of every region and type in four
//! formats, and random digits), two answers differ: numbers of eight digits in Benin are taken here.

use std::borrow::Cow;

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, ParseError, PhoneNumberFormat, ValidationError};
use smol_str::SmolStr;
use unicode_normalization::UnicodeNormalization as _;

use super::IdentifierError;
use super::normalise::is_unseen;
use crate::text::checked;

/// The longest spelling in bytes.
const SPELLING_MAX: usize = 128;

/// A country or territory with a numbering plan, by its two letters of ISO 3166-1.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region(rlibphonenumber::Region);

impl Region {
    /// By its two letters, such as `DE`; case does not count.
    ///
    /// # Errors
    ///
    /// `Region` if it is not a region with a numbering plan.
    pub fn new(code: &str) -> Result<Self, PhoneError> {
        let region: rlibphonenumber::Region =
            code.trim().to_ascii_uppercase().parse().map_err(|_| PhoneError::Region)?;
        PHONE_NUMBER_UTIL.get_country_code_for_region(region).map(|_| Region(region)).ok_or(PhoneError::Region)
    }

    /// Its two letters.
    #[must_use]
    pub fn code(&self) -> SmolStr {
        SmolStr::new(self.0.as_region_str().as_str())
    }
}

impl std::fmt::Debug for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Region({})", self.code())
    }
}

/// Why a number was refused. The number itself is never part of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PhoneError {
    /// Not two letters of a region that has a numbering plan.
    #[error("not a region with a numbering plan")]
    Region,
    /// Not written as a telephone number.
    #[error("not written as a telephone number")]
    NotANumber,
    /// It begins with a country code that nobody has.
    #[error("a country code that is not assigned")]
    Country,
    /// Shorter than any number of its plan.
    #[error("shorter than any number of its numbering plan")]
    TooShort,
    /// Longer than any number of its plan.
    #[error("longer than any number of its numbering plan")]
    TooLong,
    /// Between the shortest and the longest, of a length that its plan does not have.
    #[error("of a length that its numbering plan does not have")]
    Length,
    /// It can be dialled within a town only: the area code is missing.
    #[error("without its area code")]
    LocalOnly,
}

/// E.164, and `;ext=` with the extension (RFC 3966) where there is one.
pub(super) fn normal(number: &str, region: Region) -> Result<SmolStr, IdentifierError> {
    let number = checked("telephone number", number, SPELLING_MAX)?;
    // Address books wrap numbers in marks of direction, which say nothing about the number.
    let number: String = number.nfkc().filter(|c| !is_unseen(*c)).collect();
    let parsed = PHONE_NUMBER_UTIL.parse(&number, Some(region.0)).map_err(of_parsing)?;
    match PHONE_NUMBER_UTIL.is_possible_number_with_reason(&parsed) {
        Ok(NumberLengthType::IsPossible) => {}
        Ok(NumberLengthType::IsPossibleLocalOnly) => return Err(PhoneError::LocalOnly.into()),
        Err(fault) => return Err(of_length(fault).into()),
    }
    let e164: Cow<'_, str> = PHONE_NUMBER_UTIL.format(&parsed, PhoneNumberFormat::E164);
    Ok(match parsed.extension.as_deref().filter(|extension| !extension.is_empty()) {
        Some(extension) => smol_str::format_smolstr!("{e164};ext={extension}"),
        None => SmolStr::new(e164),
    })
}

fn of_parsing(error: ParseError) -> PhoneError {
    match error {
        ParseError::InvalidCountryCode => PhoneError::Country,
        ParseError::NotANumber(_) => PhoneError::NotANumber,
        ParseError::TooShortAfterIdd | ParseError::TooShortNsn => PhoneError::TooShort,
        ParseError::TooLongNsn => PhoneError::TooLong,
    }
}

const fn of_length(fault: ValidationError) -> PhoneError {
    match fault {
        ValidationError::InvalidCountryCode => PhoneError::Country,
        ValidationError::TooShort => PhoneError::TooShort,
        ValidationError::TooLong => PhoneError::TooLong,
        ValidationError::InvalidLength => PhoneError::Length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(region: &str, spelling: &str, expected: &str) {
        assert_eq!(normal(spelling, Region::new(region).unwrap()).as_deref(), Ok(expected), "{spelling}");
    }

    #[track_caller]
    fn refused(region: &str, spelling: &str, expected: PhoneError) {
        let error = normal(spelling, Region::new(region).unwrap()).unwrap_err();
        assert_eq!(error, IdentifierError::PhoneNumber(expected), "{spelling}");
    }

    #[test]
    fn every_spelling_of_a_number_is_one() {
        for spelling in ["030 901820", "+49 30 901820", "0049 30 901820", "+49 (0)30 / 90 18 20", "tel:+49-30-901820"] {
            check("DE", spelling, "+4930901820");
        }
        for spelling in ["(212) 736-5000", "212.736.5000", "1 212 736 5000", "011 1 212 736 5000", "+1-212-736-5000"] {
            check("US", spelling, "+12127365000");
        }
        for spelling in ["138 0013 8000", "+86 138-0013-8000", "0086 13800138000", "１３８００１３８０００"]
        {
            check("CN", spelling, "+8613800138000");
        }
        check("CN", "010-6552 9988", "+861065529988");
        check("IT", "06 698 12345", "+390669812345");
        check("EG", "٠١٠٠١٢٣٤٥٦٧", "+201001234567");
        check("DE", "\u{202A}+49 30 901820\u{202C}", "+4930901820");
    }

    #[test]
    fn one_spelling_is_another_number_in_another_country() {
        check("DE", "030 901820", "+4930901820");
        check("GB", "020 7219 3000", "+442072193000");
        assert_ne!(
            normal("020 72193000", Region::new("DE").unwrap()),
            normal("020 72193000", Region::new("GB").unwrap())
        );
    }

    #[test]
    fn letters_are_the_digits_of_their_keys() {
        check("US", "1-800-FLOWERS", "+18003569377");
        refused("DE", "call me", PhoneError::NotANumber);
    }

    #[test]
    fn an_extension_is_another_telephone_than_the_switchboard() {
        check("US", "(212) 736-5000 ext. 42", "+12127365000;ext=42");
        check("US", "(212) 736-5000 x43", "+12127365000;ext=43");
    }

    #[test]
    fn what_is_no_number_says_why() {
        refused("DE", "+999 12345678", PhoneError::Country);
        refused("DE", "1", PhoneError::NotANumber);
        refused("US", "555", PhoneError::TooShort);
        refused("US", "736-5000", PhoneError::LocalOnly);
        refused("US", "212 736 5000 12345", PhoneError::TooLong);
        refused("DE", "'; drop table", PhoneError::NotANumber);
        assert!(matches!(normal(&"1".repeat(1_000_000), Region::new("DE").unwrap()), Err(IdentifierError::Text(_))));
    }

    #[test]
    fn a_range_nobody_has_heard_of_yet_is_taken() {
        // The area code 999 is not assigned, and its length is right.
        check("US", "(999) 736-5000", "+19997365000");
    }

    #[test]
    fn a_region_is_one_that_has_numbers() {
        assert_eq!(Region::new(" de ").unwrap().code(), "DE");
        for bad in ["", "D", "DEU", "ZZ", "XX", "1A", "ＤＥ"] {
            assert_eq!(Region::new(bad), Err(PhoneError::Region), "{bad}");
        }
    }

    #[test]
    fn no_region_of_the_library_makes_it_panic() {
        for region in PHONE_NUMBER_UTIL.get_supported_regions() {
            let example = PHONE_NUMBER_UTIL.get_example_number(region).unwrap();
            let e164 = PHONE_NUMBER_UTIL.format(&example, PhoneNumberFormat::E164).into_owned();
            let national = PHONE_NUMBER_UTIL.format(&example, PhoneNumberFormat::National).into_owned();
            assert_eq!(normal(&e164, Region(region)).as_deref(), Ok(e164.as_str()), "{region:?}");
            assert_eq!(normal(&national, Region(region)).as_deref(), Ok(e164.as_str()), "{region:?}");
        }
    }
}
