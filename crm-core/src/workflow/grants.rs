//! What a plugin may see and do. What holds is what it asks for and the shop grants, both.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::consent::Purpose;
use crate::customer::Command;
use crate::event::Deed;
use crate::privacy::ViewName;

use super::Usage;

/// How many names one part of the grants may list.
pub const GRANTED_NAMES_MAX: usize = 256;

/// How many decisions of one plugin a customer's history takes in a day, unless the grants say otherwise. A busy
/// customer of a busy shop has a few dozen; a plugin that sets itself off again and again is stopped here.
pub const DECISIONS_A_DAY: u32 = 1_000;

/// Names that are granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    /// Each that there is.
    All,
    /// These. One that ends with `*` stands for all that begin like it: `wb-*` for `wb-1` and `wb-late`.
    These(BTreeSet<SmolStr>),
}

impl Names {
    /// No name at all.
    #[must_use]
    pub const fn none() -> Self {
        Names::These(BTreeSet::new())
    }

    /// These names.
    ///
    /// ```
    /// use crm_core::workflow::Names;
    ///
    /// let tags = Names::these(["vip", "wb-*"]);
    /// assert!(tags.has("vip") && tags.has("wb-late"));
    /// assert!(!tags.has("vip2"));
    /// ```
    pub fn these<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        Names::These(names.into_iter().map(SmolStr::new).collect())
    }

    /// Whether a name is among them.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Names::All => true,
            Names::These(names) => names.iter().any(|own| match own.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => own == name,
            }),
        }
    }

    fn len(&self) -> usize {
        match self {
            Names::All => 0,
            Names::These(names) => names.len(),
        }
    }
}

/// Who the customer is, to a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identities {
    /// A pseudonym: always the same for one plugin, and another one for each plugin, so that two of them cannot put
    /// together what they saw. Ids of events and numbers of orders, cases and contracts are pseudonyms too.
    Pseudonymous,
    /// The ids and numbers that the shop knows.
    Plain,
}

/// How much a plugin may do, for each customer. A day is one of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionLimits {
    /// Messages to the host (`notify`) in a day; none if they are not limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_a_day: Option<u32>,
    /// Points given for one event and whatever follows from it; none if they are not limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points_an_event: Option<u64>,
    /// Points given in a day; none if they are not limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points_a_day: Option<u64>,
    /// Decisions in a day of whatever kind: actions, what it keeps, what it looked up, its faults. When they are used
    /// up the plugin is not called for the customer until the next day.
    pub decisions_a_day: u32,
}

impl Default for ActionLimits {
    fn default() -> Self {
        ActionLimits {
            messages_a_day: None,
            points_an_event: None,
            points_a_day: None,
            decisions_a_day: DECISIONS_A_DAY,
        }
    }
}

impl ActionLimits {
    /// The stricter of two, limit by limit.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        fn least<N: Ord>(one: Option<N>, other: Option<N>) -> Option<N> {
            match (one, other) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            }
        }
        ActionLimits {
            messages_a_day: least(self.messages_a_day, other.messages_a_day),
            points_an_event: least(self.points_an_event, other.points_an_event),
            points_a_day: least(self.points_a_day, other.points_a_day),
            decisions_a_day: self.decisions_a_day.min(other.decisions_a_day),
        }
    }
}

/// What a shop grants a plugin.
///
/// ```
/// use crm_core::workflow::{Grants, Names};
///
/// let mut grants = Grants::none();
/// grants.features = Names::these(["spend", "stage"]);
/// grants.events = Names::these(["stage_changed"]);
/// grants.actions = Names::these(["add_tag", "notify"]);
/// grants.tags = Names::these(["wb-*"]);
/// grants.topics = Names::All;
/// grants.limits.messages_a_day = Some(1);
/// grants.check()?;
/// # Ok::<(), crm_core::workflow::GrantsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Grants {
    /// The features it sees. One that is not granted is not there.
    pub features: Names,
    /// The fields of the card it sees: those of this view; none if it sees no personal field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<ViewName>,
    /// The kinds of event and change that it is called for.
    pub events: Names,
    /// The actions it may ask for, by [the names of commands](Command::name).
    pub actions: Names,
    /// The tags that it may put on and take off.
    pub tags: Names,
    /// What it may tell the host about.
    pub topics: Names,
    /// The sources that it may look things up in.
    pub lookups: Names,
    /// Who customers are, to it.
    pub identities: Identities,
    /// What it is for. It is not called for customers who objected to that (GDPR, Art. 21).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// Whether it is called for customers whose processing is restricted: for legal claims, or to protect somebody
    /// (GDPR, Art. 18(2)).
    #[serde(default)]
    pub though_restricted: bool,
    /// How much it may do.
    pub limits: ActionLimits,
}

/// Why grants were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantsError {
    /// A part of them lists too many names.
    #[error("grants with {count} {what}, more than {GRANTED_NAMES_MAX}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
    },
}

impl Grants {
    /// Whatever a plugin asks for, but the card: for the shop's own. Identities are pseudonymous and it may do
    /// [`DECISIONS_A_DAY`] things a day.
    #[must_use]
    pub fn all() -> Self {
        Grants {
            features: Names::All,
            view: None,
            events: Names::All,
            actions: Names::All,
            tags: Names::All,
            topics: Names::All,
            lookups: Names::All,
            identities: Identities::Pseudonymous,
            purpose: None,
            though_restricted: false,
            limits: ActionLimits::default(),
        }
    }

    /// Nothing: what to begin with for a plugin of somebody else's.
    #[must_use]
    pub fn none() -> Self {
        Grants {
            features: Names::none(),
            events: Names::none(),
            actions: Names::none(),
            tags: Names::none(),
            topics: Names::none(),
            lookups: Names::none(),
            ..Grants::all()
        }
    }

    /// Checks their limits.
    ///
    /// # Errors
    ///
    /// `TooMany` if a part lists more than [`GRANTED_NAMES_MAX`] names.
    pub fn check(&self) -> Result<(), GrantsError> {
        let Grants { features, events, actions, tags, topics, lookups, .. } = self;
        let parts = [
            ("features", features),
            ("events", events),
            ("actions", actions),
            ("tags", tags),
            ("topics", topics),
            ("look-ups", lookups),
        ];
        match parts.into_iter().find(|(_, names)| names.len() > GRANTED_NAMES_MAX) {
            Some((what, names)) => Err(GrantsError::TooMany { what, count: names.len() }),
            None => Ok(()),
        }
    }
}

/// What holds for a plugin: what it was installed with, and what is defined for it, both.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a>([Option<&'a Grants>; 3]);

impl<'a> Held<'a> {
    /// By what it was installed with, and by what is defined, if anything is.
    #[must_use]
    pub const fn new(installed: &'a Grants, defined: Option<&'a Grants>) -> Self {
        Held([Some(installed), defined, None])
    }

    /// Asked about an instant that is not now: by what it was installed with, if that is known, by what is defined for
    /// then, and by what is defined now. Nobody is shown by way of the past what they are not granted any more.
    #[must_use]
    pub const fn of_then(installed: Option<&'a Grants>, then: Option<&'a Grants>, now: Option<&'a Grants>) -> Self {
        Held([installed, then, now])
    }

    fn each(self) -> impl Iterator<Item = &'a Grants> {
        self.0.into_iter().flatten()
    }

    /// Whether it sees a feature.
    #[must_use]
    pub fn sees(self, feature: &str) -> bool {
        self.each().all(|grants| grants.features.has(feature))
    }

    /// Whether it is called for a kind of event.
    #[must_use]
    pub fn hears(self, kind: &str) -> bool {
        self.each().all(|grants| grants.events.has(kind))
    }

    /// Whether it may ask for an action.
    #[must_use]
    pub fn may(self, action: &str) -> bool {
        self.each().all(|grants| grants.actions.has(action))
    }

    /// Whether it may look things up in a source.
    #[must_use]
    pub fn may_look_up(self, source: &str) -> bool {
        self.each().all(|grants| grants.lookups.has(source))
    }

    /// The view of the card that it sees: the one that all grants name.
    #[must_use]
    pub fn view(self) -> Option<&'a ViewName> {
        let mut views = self.each().map(|grants| grants.view.as_ref());
        let first = views.next()??;
        views.all(|view| view == Some(first)).then_some(first)
    }

    /// Who customers are, to it.
    #[must_use]
    pub fn identities(self) -> Identities {
        self.each().map(|grants| grants.identities).min().unwrap_or(Identities::Pseudonymous)
    }

    /// What it is for.
    pub fn purposes(self) -> impl Iterator<Item = &'a Purpose> {
        self.each().filter_map(|grants| grants.purpose.as_ref())
    }

    /// Whether it is called for customers whose processing is restricted.
    #[must_use]
    pub fn though_restricted(self) -> bool {
        self.each().all(|grants| grants.though_restricted)
    }

    /// How much it may do.
    #[must_use]
    pub fn limits(self) -> ActionLimits {
        self.each().map(|grants| grants.limits).reduce(ActionLimits::and).unwrap_or_default()
    }

    /// Whether a command is one that it may ask for.
    ///
    /// # Errors
    ///
    /// `NotGranted` with what is not.
    pub fn check(self, command: &Command) -> Result<(), NotGranted> {
        let action = command.name();
        if !self.may(action) {
            return Err(NotGranted::Action { action });
        }
        // Every other command is granted as a whole.
        let named = if let Command::AddTag(tag) | Command::RemoveTag(tag) = command {
            self.each().all(|grants| grants.tags.has(tag.as_str())).then_some(()).ok_or("tag")
        } else if let Command::Notify { topic, .. } = command {
            self.each().all(|grants| grants.topics.has(topic.as_str())).then_some(()).ok_or("topic")
        } else {
            Ok(())
        };
        named.map_err(|what| NotGranted::Name { action, what })
    }

    /// Whether what a command comes to is within the limits, after what the plugin did today and what it gave for this
    /// event already.
    ///
    /// # Errors
    ///
    /// `NotGranted` with the limit.
    pub fn check_limits(self, deeds: &[Deed], today: &Usage, given: u64) -> Result<(), NotGranted> {
        let limits = self.limits();
        let messages = deeds.iter().filter(|deed| matches!(deed, Deed::Notified(_))).count();
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        let points = deeds.iter().map(points_given).fold(0, u64::saturating_add);
        if let Some(max) = limits.messages_a_day.filter(|max| today.messages().saturating_add(messages) > *max)
            && messages > 0
        {
            return Err(NotGranted::Messages { max });
        }
        if points == 0 {
            return Ok(());
        }
        match (limits.points_an_event, limits.points_a_day) {
            (Some(max), _) if given.saturating_add(points) > max => Err(NotGranted::PointsAnEvent { max }),
            (_, Some(max)) if today.points().saturating_add(points) > max => Err(NotGranted::PointsADay { max }),
            _ => Ok(()),
        }
    }
}

/// The points that a deed gives.
#[must_use]
pub fn points_given(deed: &Deed) -> u64 {
    if let Deed::PointsPosted(posting) = deed { u64::try_from(posting.points()).unwrap_or(0) } else { 0 }
}

/// What a plugin asked for and was not granted. It says nothing that the plugin said itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotGranted {
    /// The action.
    #[error("the action {action}")]
    Action {
        /// Its name.
        action: &'static str,
    },
    /// The action with this tag or topic.
    #[error("the {what} of the action {action}")]
    Name {
        /// The action.
        action: &'static str,
        /// What was named.
        what: &'static str,
    },
    /// More messages.
    #[error("more than {max} messages a day")]
    Messages {
        /// The limit.
        max: u32,
    },
    /// More points for one event.
    #[error("more than {max} points an event")]
    PointsAnEvent {
        /// The limit.
        max: u64,
    },
    /// More points in a day.
    #[error("more than {max} points a day")]
    PointsADay {
        /// The limit.
        max: u64,
    },
    /// A look-up in a source.
    #[error("a look-up in a source")]
    LookUp,
}

impl NotGranted {
    /// A short name, to count by.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            NotGranted::Action { action } | NotGranted::Name { action, .. } => action,
            NotGranted::Messages { .. } => "messages_a_day",
            NotGranted::PointsAnEvent { .. } => "points_an_event",
            NotGranted::PointsADay { .. } => "points_a_day",
            NotGranted::LookUp => "look_up",
        }
    }
}
