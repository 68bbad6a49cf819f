//! E-mail addresses. The domain is compared as the ASCII form of its internationalised name, the local part
//! in NFC and lower case. Dots and `+tags` in the local part stay: whether `a.na@` and `ana@` are one
//! mailbox is the provider's to say (RFC 5321, section 2.3.11), and taking two people for one is worse than
//! taking one for two.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use smol_str::SmolStr;

use super::normalise::{nfc, plain};
use super::{Identifier, IdentifierError};

/// The longest local part in octets (RFC 5321, section 4.5.3.1.1).
const LOCAL_MAX: usize = 64;
/// The longest domain in octets (RFC 5321, section 4.5.3.1.2).
const DOMAIN_MAX: usize = 255;

/// The one spelling of an address.
pub(super) fn normal(address: &str) -> Result<SmolStr, IdentifierError> {
    let address = plain("e-mail address", address, Identifier::MAX_BYTES)?;
    let (local, domain) = address.rsplit_once('@').ok_or(IdentifierError::Email)?;
    // Refused here: U+FF20, the full-width sign, is not `@`, and NFC leaves it as it is.
    if local.contains('\u{FF20}') || domain.contains('\u{FF20}') {
        return Err(IdentifierError::Email);
    }
    let local = local_part(local);
    let domain = host(domain)?;
    if local.len() > LOCAL_MAX || domain.len() > DOMAIN_MAX {
        return Err(IdentifierError::Email);
    }
    let normal = SmolStr::new(format!("{local}@{domain}"));
    let options = email_address::Options::default().without_display_text().without_domain_literal();
    email_address::EmailAddress::parse_with_options(&normal, options).map_err(|_| IdentifierError::Email)?;
    Ok(normal)
}

/// NFC and lower case: RFC 5321 lets case count, and no provider in use does; RFC 6532, section 3.1, asks
/// for NFC. Quotes that are not needed are dropped, because `"ana"@` and `ana@` are one mailbox (RFC 5321,
/// section 4.1.2).
fn local_part(local: &str) -> String {
    let lower = nfc(&local.to_lowercase());
    let quoted = lower.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        Some(inner) if is_dot_atom(inner) => inner.to_owned(),
        Some(_) | None => lower,
    }
}

fn is_dot_atom(text: &str) -> bool {
    let is_atom_char = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_char))
}

/// The ASCII form of a host name by UTS 46, non-transitional, with the rules of STD 3: letters, digits and
/// hyphens, labels of at most 63 octets, no empty one and so no dot at the end. A last label of digits is
/// an IP address and no name (RFC 1123, section 2.1).
fn host(domain: &str) -> Result<String, IdentifierError> {
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .map_err(|_| IdentifierError::Email)?;
    let last = ascii.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(IdentifierError::Email);
    }
    Ok(ascii.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn same(one: &str, other: &str) {
        assert_eq!(normal(one).unwrap(), normal(other).unwrap());
    }

    #[test]
    fn a_domain_is_one_in_any_script_it_is_written_in() {
        same("ana@Bücher.example", "ana@xn--bcher-kva.example");
        same("ana@BU\u{308}CHER.example", "ana@b\u{fc}cher.example");
        same("ana@例え.jp", "ana@xn--r8jz45g.jp");
        same("ana@ｅｘａｍｐｌｅ．com", "ana@example.com");
    }

    #[test]
    fn a_local_part_is_one_in_either_normal_form_and_case() {
        same("JOSÉ@example.com", "jose\u{301}@example.com");
        same("\"ana\"@example.com", "ana@example.com");
        assert_eq!(normal("\"A na\"@example.com").as_deref(), Ok("\"a na\"@example.com"));
    }

    #[test]
    fn dots_and_tags_are_part_of_the_address() {
        assert_ne!(normal("a.na@example.com").unwrap(), normal("ana@example.com").unwrap());
        assert_ne!(normal("ana+shop@example.com").unwrap(), normal("ana@example.com").unwrap());
    }

    #[test]
    fn a_letter_that_only_looks_latin_makes_another_address() {
        let cyrillic = normal("ana@ex\u{430}mple.com").unwrap();
        assert!(cyrillic.contains("@xn--"));
        assert_ne!(cyrillic, normal("ana@example.com").unwrap());
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        for domain in [
            "example.com.",
            "-a.example",
            "a-.example",
            "a..example",
            ".example",
            "a_b.example",
            "192.0.2.1",
            "[192.0.2.1]",
            "ex ample.com",
            "xn--a.example",
            "a\u{200D}b.example",
            "",
        ] {
            assert!(normal(&format!("ana@{domain}")).is_err(), "{domain}");
        }
        assert!(normal(&format!("ana@{}.com", "a".repeat(64))).is_err());
        assert!(normal(&format!("ana@{}com", "a.".repeat(130))).is_err());
    }

    #[test]
    fn the_limits_hold_for_what_is_kept() {
        assert!(normal(&format!("{}@example.com", "a".repeat(64))).is_ok());
        assert!(normal(&format!("{}@example.com", "a".repeat(65))).is_err());
        // Forty octets in UTF-8 letters are eighty: the limit counts octets.
        assert!(normal(&format!("{}@example.com", "é".repeat(40))).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// What is normal stays as it is, and nothing panics.
        #[test]
        fn normalising_twice_is_normalising_once(
            local in "[a-zA-Zé\u{301}ÜßİΣ.+\" ]{1,12}",
            domain in "[a-zA-Z0-9é\u{308}ß例＠。-]{1,12}(\\.[a-zA-Z]{2,4})?",
        ) {
            if let Ok(once) = normal(&format!("{local}@{domain}")) {
                prop_assert_eq!(normal(&once), Ok(once.clone()));
                prop_assert!(once.len() <= Identifier::MAX_BYTES);
            }
        }
    }
}
