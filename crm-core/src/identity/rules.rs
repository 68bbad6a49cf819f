//! How identifiers decide who is who, as data: a shop changes them from an instant on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{Identifier, IdentifierKind, Pattern};
use crate::time::Span;

/// How many of a kind a person may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many, from 1 to 1,000; for kinds that somebody issues, of each issuer.
    pub count: u16,
    /// Only those count that were first seen within this span before now; none means all there ever were.
    #[serde(default)]
    pub within: Option<Span>,
}

/// What it means that two people share an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// They are one person.
    Merges,
    /// They are one person if one of them is anonymous: known by nothing that names a person.
    MergesAnonymous,
    /// A human is asked.
    Suggests,
    /// Nothing by itself.
    Supports,
}

/// What it means that two people both have identifiers of a kind, of one issuer, and share none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disagreement {
    /// They are two people, whatever else they share, until a human says otherwise.
    Blocks,
    /// Nothing.
    Ignored,
}

/// The rules for one kind of identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindRule {
    /// Which of two identifiers is believed when they lead to different people: the higher one. Of equals,
    /// the kind that comes first in [`IdentifierKind`].
    pub priority: u16,
    /// How many a person may have; none for any number.
    #[serde(default)]
    pub limit: Option<Limit>,
    /// What it means to share one.
    pub agreement: Agreement,
    /// What it means to share none.
    pub disagreement: Disagreement,
    /// Values that name nobody; at most [`IdentityRules::BLOCKED_MAX`].
    #[serde(default)]
    pub blocked: Vec<Pattern>,
}

/// Why a pattern was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It would match every value.
    #[error("matches every value")]
    Everything,
    /// Its text is too long.
    #[error("has {bytes} bytes, more than {max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// It calls too few repetitions one.
    #[error("asks for {least} repetitions, fewer than {min}")]
    TooFew {
        /// How many it asks for.
        least: u8,
        /// The limit.
        min: u8,
    },
}

/// Why rules were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityRulesError {
    /// A limit outside 1 to 1,000, or over no time at all.
    #[error("the limit of {kind} is to be 1 to {max}, over some time", kind = kind.name())]
    Limit {
        /// Of which kind.
        kind: IdentifierKind,
        /// The largest.
        max: u16,
    },
    /// Too many patterns.
    #[error("{kind} has {count} patterns, more than {max}", kind = kind.name())]
    TooMany {
        /// Of which kind.
        kind: IdentifierKind,
        /// How many there are.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A pattern that is none.
    #[error("pattern {at} of {kind}", kind = kind.name())]
    Pattern {
        /// Of which kind.
        kind: IdentifierKind,
        /// Which, from 0.
        at: usize,
        /// What is wrong with it.
        source: PatternError,
    },
}

/// The rules for every kind; a kind that is not mentioned has its default.
///
/// | kind | priority | limit | shared | none shared |
/// |---|---|---|---|---|
/// | external | 80 | 1 per system | merges | blocks |
/// | OpenID | 70 | 1 per issuer | merges | blocks |
/// | card | 60 | 5 | merges | ignored |
/// | e-mail | 50 | 5 | merges | ignored |
/// | phone | 40 | 5 | merges | ignored |
/// | messaging | 30 | 5 per service | merges | ignored |
/// | RFID | 20 | 20 | suggests | ignored |
/// | device | 10 | 20 in 30 days | merges an anonymous one | ignored |
///
/// The limits follow what a customer-data platform recommends (Twilio Segment, identity resolution
/// settings: one user id ever, five of other identifiers, short windows for what changes all the time),
/// with room for devices, which browsers renew. A tag is on a thing, and things are given away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdentityRules(BTreeMap<IdentifierKind, KindRule>);

impl IdentityRules {
    /// The most patterns for one kind.
    pub const BLOCKED_MAX: usize = 256;
    /// The highest limit.
    pub const LIMIT_MAX: u16 = 1_000;

    /// The default rules.
    #[must_use]
    pub const fn defaults() -> Self {
        IdentityRules(BTreeMap::new())
    }

    /// With another rule for a kind.
    #[must_use]
    pub fn with(mut self, kind: IdentifierKind, rule: KindRule) -> Self {
        self.0.insert(kind, rule);
        self
    }

    /// The rule for a kind.
    #[must_use]
    pub fn rule(&self, kind: IdentifierKind) -> &KindRule {
        self.0.get(&kind).unwrap_or_else(|| &DEFAULTS[kind as usize])
    }

    /// Whether an identifier names nobody.
    #[must_use]
    pub fn blocks(&self, identifier: &Identifier) -> bool {
        self.rule(identifier.kind).blocked.iter().any(|pattern| pattern.matches(&identifier.value))
    }

    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// `IdentityRulesError`, naming the kind.
    pub fn check(&self) -> Result<(), IdentityRulesError> {
        for (&kind, rule) in &self.0 {
            if let Some(limit) = rule.limit
                && (limit.count == 0
                    || limit.count > Self::LIMIT_MAX
                    || limit.within.is_some_and(|span| span.as_millis() == 0))
            {
                return Err(IdentityRulesError::Limit { kind, max: Self::LIMIT_MAX });
            }
            let count = rule.blocked.len();
            if count > Self::BLOCKED_MAX {
                return Err(IdentityRulesError::TooMany { kind, count, max: Self::BLOCKED_MAX });
            }
            for (at, pattern) in rule.blocked.iter().enumerate() {
                pattern.check().map_err(|source| IdentityRulesError::Pattern { kind, at, source })?;
            }
        }
        Ok(())
    }
}

impl Default for IdentityRules {
    fn default() -> Self {
        Self::defaults()
    }
}

impl KindRule {
    /// The default rule of a kind.
    #[must_use]
    pub fn default_of(kind: IdentifierKind) -> Self {
        use Agreement::{Merges, MergesAnonymous, Suggests};
        use Disagreement::{Blocks, Ignored};
        let ever = |count| Some(Limit { count, within: None });
        let (priority, limit, agreement, disagreement) = match kind {
            IdentifierKind::External => (80, ever(1), Merges, Blocks),
            IdentifierKind::OpenId => (70, ever(1), Merges, Blocks),
            IdentifierKind::Card => (60, ever(5), Merges, Ignored),
            IdentifierKind::Email => (50, ever(5), Merges, Ignored),
            IdentifierKind::Phone => (40, ever(5), Merges, Ignored),
            IdentifierKind::Messaging => (30, ever(5), Merges, Ignored),
            IdentifierKind::Rfid => (20, ever(20), Suggests, Ignored),
            IdentifierKind::Device => {
                (10, Some(Limit { count: 20, within: Some(Span::days(30)) }), MergesAnonymous, Ignored)
            }
        };
        KindRule { priority, limit, agreement, disagreement, blocked: blocked(kind) }
    }
}

static DEFAULTS: std::sync::LazyLock<[KindRule; 8]> =
    std::sync::LazyLock::new(|| IdentifierKind::ALL.map(KindRule::default_of));

/// What programs write when they have nothing to write, in any kind of identifier.
const NOTHING: [&str; 8] = ["null", "nil", "none", "undefined", "nan", "n/a", "unknown", "[object object]"];

/// The same for ids that programs make: they are nobody's name there. In other kinds some are: there are
/// people whose account is called `guest` or `test`. Twilio Segment suggests to block `-1`, `null`,
/// `anonymous` and `^[0-]*$`; PostHog refuses to merge `anonymous`, `guest`, `distinct_id`, `id`, `email`,
/// `true`, `false`, `undefined`, `none`, `null`, `0`, `NaN` and `[object Object]`.
const NOBODY: [&str; 14] = [
    "anonymous",
    "anon",
    "guest",
    "visitor",
    "test",
    "void",
    "-1",
    "true",
    "false",
    "id",
    "user_id",
    "distinct_id",
    "email",
    "not_authenticated",
];

fn blocked(kind: IdentifierKind) -> Vec<Pattern> {
    let exact = |texts: &[&'static str]| -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::Exact(SmolStr::new_static(text))).collect()
    };
    let only = |set| vec![Pattern::OnlyOf(SmolStr::new_static(set))];
    let prefixes = |texts: &[&'static str]| -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::Prefix(SmolStr::new_static(text))).collect()
    };
    let globs = |texts: &[&'static str]| -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::Glob(SmolStr::new_static(text))).collect()
    };
    match kind {
        // The senders that nobody reads, the mailboxes that RFC 2142 gives to a function, the domain that
        // RFC 6761 promises will never exist, and what people type into a field they have to fill in.
        // `example.com` is not here: no customer is reached there, and demonstrations live on it.
        IdentifierKind::Email => [
            prefixes(&[
                "noreply@",
                "no-reply@",
                "no_reply@",
                "donotreply@",
                "do-not-reply@",
                "mailer-daemon@",
                "postmaster@",
                "noemail@",
                "no-email@",
                "null@",
                "undefined@",
            ]),
            globs(&["*@invalid", "*@*.invalid"]),
            exact(&["test@test.com", "none@none.com", "no@no.com", "a@a.com", "aa@aa.com"]),
        ]
        .concat(),
        // One digit over and over, and the numbers that Ofcom keeps for plays and films.
        IdentifierKind::Phone => [vec![Pattern::Repeated(8)], prefixes(&["+447700900", "+441632960"])].concat(),
        IdentifierKind::Card => [exact(&NOTHING), exact(&["test"]), only("0"), vec![Pattern::Repeated(6)]].concat(),
        // Zeros are what phones give when advertising ids are off, and `02:00:00:00:00:00` when asked for the
        // address of their radio; the long number was the same on a whole line of Android phones (issue 10603).
        IdentifierKind::Device => [
            exact(&NOTHING),
            exact(&NOBODY),
            only("0-:"),
            only("f-:"),
            exact(&["02:00:00:00:00:00", "9774d56d682e549c"]),
        ]
        .concat(),
        // A tag that was erased or never written.
        IdentifierKind::Rfid => [exact(&NOTHING), only("0"), only("F")].concat(),
        IdentifierKind::Messaging | IdentifierKind::OpenId => [exact(&NOTHING), only("0-")].concat(),
        IdentifierKind::External => [exact(&NOTHING), exact(&NOBODY), only("0-")].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::ExternalSystem;

    #[test]
    fn the_defaults_keep_their_own_limits() {
        let all = IdentifierKind::ALL
            .into_iter()
            .fold(IdentityRules::default(), |rules, kind| rules.with(kind, KindRule::default_of(kind)));
        assert_eq!(all.check(), Ok(()));
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<IdentityRules>(&json).unwrap(), all);
        for kind in IdentifierKind::ALL {
            assert_eq!(IdentityRules::default().rule(kind), all.rule(kind));
        }
    }

    #[test]
    fn what_programs_write_for_nobody_is_blocked() {
        let rules = IdentityRules::default();
        let erp = ExternalSystem::new("erp").unwrap();
        for value in ["null", "NULL", "0", "0000", "00000000-0000-0000-0000-000000000000", "undefined", "-1", "Guest"] {
            assert!(rules.blocks(&Identifier::external(&erp, value).unwrap()), "{value}");
            assert!(rules.blocks(&Identifier::device(value).unwrap()), "{value}");
        }
        for value in ["noreply@shop.example", "x@y.invalid", "test@test.com"] {
            assert!(rules.blocks(&Identifier::email(value).unwrap()), "{value}");
        }
        assert!(rules.blocks(&Identifier::phone("+1111111111").unwrap()));
        assert!(rules.blocks(&Identifier::card("999-999").unwrap()));
        assert!(rules.blocks(&Identifier::rfid("FFFF FFFF").unwrap()));
    }

    #[test]
    fn what_names_somebody_is_not() {
        let rules = IdentityRules::default();
        let erp = ExternalSystem::new("erp").unwrap();
        for value in ["7", "11", "777", "1000", "testarossa", "null-7", "Anna"] {
            assert!(!rules.blocks(&Identifier::external(&erp, value).unwrap()), "{value}");
        }
        for value in [
            "ana@example.com",
            "test@firma.de",
            "noreply.fan@web.de",
            "nulla@web.de",
            "anonymous@proton.me",
            "info@firma.de",
            "0@web.de",
        ] {
            assert!(!rules.blocks(&Identifier::email(value).unwrap()), "{value}");
        }
        for value in ["+4930777777", "+12127365000", "+8613888888888"] {
            assert!(!rules.blocks(&Identifier::phone(value).unwrap()), "{value}");
        }
        let telegram = ExternalSystem::new("telegram").unwrap();
        assert!(!rules.blocks(&Identifier::messaging(&telegram, "guest").unwrap()));
    }

    #[test]
    fn rules_beyond_their_limits_are_refused_by_kind() {
        let kind = IdentifierKind::Email;
        let with = |change: fn(&mut KindRule)| {
            let mut rule = KindRule::default_of(kind);
            change(&mut rule);
            IdentityRules::default().with(kind, rule).check()
        };
        let limit = Err(IdentityRulesError::Limit { kind, max: 1_000 });
        assert_eq!(with(|rule| rule.limit = Some(Limit { count: 0, within: None })), limit);
        assert_eq!(with(|rule| rule.limit = Some(Limit { count: 1_001, within: None })), limit);
        assert_eq!(with(|rule| rule.limit = Some(Limit { count: 1, within: Some(Span::days(0)) })), limit);
        assert!(matches!(
            with(|rule| rule.blocked = vec![Pattern::Repeated(9); 257]),
            Err(IdentityRulesError::TooMany { count: 257, .. })
        ));
        assert!(matches!(
            with(|rule| rule.blocked = vec![Pattern::Repeated(9), Pattern::Glob("*".into())]),
            Err(IdentityRulesError::Pattern { at: 1, source: PatternError::Everything, .. })
        ));
    }
}
