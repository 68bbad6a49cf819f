//! What happened to an account lately, as the plugin remembers it.

use crm_plugin_sdk::Event;

use crate::rule::Reason;

/// How many happenings are remembered: the newest ones. A flood pushes out only what is older than itself.
const HAPPENINGS_MAX: usize = 200;
/// Kind, time and amount.
const HAPPENING_BYTES: usize = 1 + 8 + 8;
/// Another layout has another number.
const VERSION: u8 = 1;
const DAY_MS: i64 = 86_400_000;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Points came for an order, or as a bonus.
    Gained = 0,
    /// Points went for a reward or at a checkout.
    Spent = 1,
    /// Points went to another customer.
    Given = 2,
    /// Points came from another customer.
    Received = 3,
    /// Money went back.
    Refunded = 4,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Happening {
    /// Of what kind.
    pub kind: Kind,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// How many points, or minor units; never negative.
    pub amount: i64,
}

impl Happening {
    /// What an event says; none if it is nothing that is watched.
    pub fn of(event: &Event) -> Option<Self> {
        let kind = match (event.kind.as_str(), event.text("posting")) {
            ("refunded", _) => Kind::Refunded,
            ("points_posted", Some("earned" | "awarded")) => Kind::Gained,
            ("points_posted", Some("spent" | "captured")) => Kind::Spent,
            ("points_posted", Some("given")) => Kind::Given,
            ("points_posted", Some("received")) => Kind::Received,
            _ => return None,
        };
        let amount = event.int("points").or(event.int("amount")).unwrap_or(0);
        Some(Happening { kind, at_ms: event.at_ms, amount: amount.checked_abs().unwrap_or(i64::MAX) })
    }
}

/// The newest happenings, and when each reason was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    happenings: Vec<Happening>,
    told_ms: [Option<i64>; Reason::ALL.len()],
}

impl History {
    /// What [`History::write`] wrote. Anything else, such as another version's, is forgotten.
    pub fn read(bytes: &[u8]) -> Self {
        Self::parse(bytes).unwrap_or_default()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (told, rest) = rest.split_at_checked(8 * Reason::ALL.len())?;
        let (happenings, left) = rest.as_chunks::<HAPPENING_BYTES>();
        if *version != VERSION || !left.is_empty() {
            return None;
        }
        let mut told_ms = [None; Reason::ALL.len()];
        for (told_ms, bytes) in told_ms.iter_mut().zip(told.as_chunks::<8>().0) {
            *told_ms = Some(i64::from_le_bytes(*bytes)).filter(|at| *at != i64::MIN);
        }
        let happenings = happenings.iter().map(happening).collect::<Option<_>>()?;
        Some(History { happenings, told_ms })
    }

    /// As bytes, 3.5 KB at most.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.told_ms.iter().flat_map(|at| at.unwrap_or(i64::MIN).to_le_bytes()));
        for happening in &self.happenings {
            bytes.push(happening.kind as u8);
            bytes.extend(happening.at_ms.to_le_bytes());
            bytes.extend(happening.amount.to_le_bytes());
        }
        bytes
    }

    /// One more. Events may come late, so they are kept in the order of their time.
    pub fn add(&mut self, happening: Happening) {
        let place = self.happenings.partition_point(|known| known.at_ms <= happening.at_ms);
        self.happenings.insert(place, happening);
        if self.happenings.len() > HAPPENINGS_MAX {
            self.happenings.remove(0);
        }
    }

    /// Those of a kind within `days` before `at_ms`, the instant included.
    pub fn of(&self, kind: Kind, at_ms: i64, days: i64) -> impl Iterator<Item = &Happening> {
        let since = at_ms.saturating_sub(days * DAY_MS);
        self.happenings.iter().filter(move |known| known.kind == kind && known.at_ms > since && known.at_ms <= at_ms)
    }

    /// Whether a reason is to be told: not if it was within the day before. Notes that it is.
    pub fn tell(&mut self, reason: Reason, at_ms: i64) -> bool {
        let told = &mut self.told_ms[reason as usize];
        let is_new = told.is_none_or(|told| at_ms.saturating_sub(told) >= DAY_MS);
        if is_new {
            *told = Some(at_ms);
        }
        is_new
    }
}

fn happening(bytes: &[u8; HAPPENING_BYTES]) -> Option<Happening> {
    let [kind, rest @ ..] = bytes;
    let kind = match kind {
        0 => Kind::Gained,
        1 => Kind::Spent,
        2 => Kind::Given,
        3 => Kind::Received,
        4 => Kind::Refunded,
        _ => return None,
    };
    let (at, amount) = rest.split_first_chunk::<8>()?;
    let (at_ms, amount) = (i64::from_le_bytes(*at), i64::from_le_bytes(*amount.first_chunk()?));
    Some(Happening { kind, at_ms, amount })
}
