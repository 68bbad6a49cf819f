//! What a store keeps of a customer beside the encoded state, so that it can choose customers itself:
//! numbers in columns, and the names of the sets that the customer is in. Declared here once; every store
//! makes its columns from this list. All of it follows from the state, as of the last time anything
//! happened or was due, and none of it is personal.

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, SmolStrBuilder};

use crate::attribute::Attribute;
use crate::consent::{ConsentKey, ConsentStatus};
use crate::customer::Customer;
use crate::definitions::Definitions;
use crate::lifecycle::Stage;
use crate::loyalty::{ProgramId, TierName};
use crate::segment::SegmentName;
use crate::time::Timestamp;

/// What the number in a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A stage, by its [`Stage::rank`].
    Stage,
    /// An instant in milliseconds since 1970.
    Instant,
    /// A number of things, points or minor units.
    Number,
}

macro_rules! columns {
    ($($variant:ident, $name:literal, $kind:ident, $meaning:literal;)*) => {
        /// A number that a store keeps of each customer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Column {
            $(#[doc = $meaning] $variant,)*
        }

        impl Column {
            /// All of them, in the order in which stores keep them.
            pub const ALL: [Column; [$($name),*].len()] = [$(Column::$variant),*];

            /// Its name in a database.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Column::$variant => $name,)* }
            }

            /// What its number is.
            #[must_use]
            pub const fn kind(self) -> ColumnKind {
                match self { $(Column::$variant => ColumnKind::$kind,)* }
            }

            /// What it means, and when it has no value.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Column::$variant => $meaning,)* }
            }
        }
    };
}

columns! {
    Stage, "stage", Stage, "The stage in the life cycle; none if every fact was voided.";
    FirstSeen, "first_seen", Instant, "When the first fact happened; none if every fact was voided.";
    LastSeen, "last_seen", Instant, "When the newest fact happened; none if every fact was voided.";
    FirstOrder, "first_order", Instant, "When the oldest order that stands was placed; none without one.";
    LastOrder, "last_order", Instant, "When the newest order that stands was placed; none without one.";
    Orders, "orders", Number, "Orders that stand.";
    Refunds, "refunds", Number, "Refunds, matched or not.";
    Spend, "spend", Number, "Orders less refunds, in minor units of the shop's currency.";
    GrossSpend, "gross_spend", Number, "Orders before refunds, in minor units of the shop's currency.";
    Visits, "visits", Number, "Visits.";
    Enquiries, "enquiries", Number, "Enquiries.";
    Carts, "carts", Number, "Times a cart was filled or changed.";
    Points, "points", Number, "Points that can be spent, of all programmes; negative when points are owed.";
    PointsEarned, "points_earned", Number, "Points earned or awarded and not taken back, ever.";
}

/// The numbers of one customer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Columns([Option<i64>; Column::ALL.len()]);

impl Columns {
    /// No numbers.
    pub const NONE: Columns = Columns([None; Column::ALL.len()]);

    /// The number in a column, if it has one.
    #[must_use]
    pub const fn get(&self, column: Column) -> Option<i64> {
        self.0[column as usize]
    }

    /// Puts a number into a column, or takes it out.
    pub const fn set(&mut self, column: Column, value: Option<i64>) {
        self.0[column as usize] = value;
    }

    /// The numbers in the order of [`Column::ALL`].
    pub fn values(&self) -> impl ExactSizeIterator<Item = Option<i64>> {
        self.0.iter().copied()
    }
}

/// What kind of set a customer can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SetKind {
    /// Customers with a tag.
    Tag,
    /// Customers in a segment.
    Segment,
    /// Customers at a tier of a programme, as `programme/tier`: see [`SetKey::tier`].
    Tier,
    /// Customers who allow something, as `purpose/channel` or `purpose/channel/scope`.
    Consent,
    /// Parties of a kind or in a role: see [`crate::profile::Party::set_names`].
    Role,
    /// Customers on a list that the shop keeps by hand.
    List,
    /// Customers of whom somebody said something against the rule of a segment, by its name.
    Override,
    /// Customers who are given no scores: see [`SetKey::unscored`].
    Bar,
}

impl SetKind {
    /// All of them.
    pub const ALL: [SetKind; 8] = [
        SetKind::Tag,
        SetKind::Segment,
        SetKind::Tier,
        SetKind::Consent,
        SetKind::Role,
        SetKind::List,
        SetKind::Override,
        SetKind::Bar,
    ];

    /// The name it is stored under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SetKind::Tag => "tag",
            SetKind::Segment => "segment",
            SetKind::Tier => "tier",
            SetKind::Consent => "consent",
            SetKind::Role => "role",
            SetKind::List => "list",
            SetKind::Override => "override",
            SetKind::Bar => "bar",
        }
    }
}

/// A set that a customer can be in, written as `kind:name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct SetKey(SmolStr);

/// A text that is no [`SetKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a set: it takes a kind, a colon, and a name of 1 to {} bytes without control characters",
    SetKey::NAME_MAX
)]
pub struct NoSet;

impl SetKey {
    /// The longest name in bytes: that of a tier of which every byte is escaped has room.
    pub const NAME_MAX: usize = 400;

    /// The set of a kind and a name.
    ///
    /// # Errors
    ///
    /// `NoSet` if the name is empty, longer than [`SetKey::NAME_MAX`] bytes or has a control character.
    pub fn new(kind: SetKind, name: &str) -> Result<Self, NoSet> {
        let fits = (1..=Self::NAME_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
        if fits { Ok(Self::named(kind, name)) } else { Err(NoSet) }
    }

    /// Reads `kind:name`.
    ///
    /// # Errors
    ///
    /// `NoSet` if there is no such kind, or for the name as in [`SetKey::new`].
    pub fn parse(text: &str) -> Result<Self, NoSet> {
        let (kind, name) = text.split_once(':').ok_or(NoSet)?;
        let kind = SetKind::ALL.into_iter().find(|known| known.name() == kind).ok_or(NoSet)?;
        Self::new(kind, name)
    }

    /// The set of the customers at a tier of a programme: `tier:programme/tier`. A slash within either name is
    /// written as `%2F` and a percent sign as `%25`, so that no two tiers have one set.
    #[must_use]
    pub fn tier(program: &ProgramId, tier: &TierName) -> Self {
        let mut text = SmolStrBuilder::new();
        text.push_str(SetKind::Tier.name());
        for (before, name) in [(':', program.as_str()), ('/', tier.as_str())] {
            text.push(before);
            for letter in name.chars() {
                match letter {
                    '/' => text.push_str("%2F"),
                    '%' => text.push_str("%25"),
                    plain => text.push(plain),
                }
            }
        }
        SetKey(text.finish())
    }

    /// The set of the customers who are [given no scores](Customer::unscored), as a restriction or an objection says.
    #[must_use]
    pub const fn unscored() -> Self {
        SetKey(SmolStr::new_static("bar:scores"))
    }

    /// The set of the customers who allow something: `consent:purpose/channel` or `consent:purpose/channel/scope`.
    #[must_use]
    pub fn consent(key: &ConsentKey) -> Self {
        // None of the names has a slash in it.
        let scope = key.scope.as_ref().map_or("", |scope| scope.as_str());
        let before = if scope.is_empty() { "" } else { "/" };
        let name = smol_str::format_smolstr!("{}/{}{before}{scope}", key.purpose.as_str(), key.channel.name());
        Self::named(SetKind::Consent, &name)
    }

    /// The set of the customers in a segment, as one of its versions has it: `segment:name` for the first, and
    /// `segment:name#2` and so on for those after it. A number sign within the name is written as `%23` and a percent
    /// sign as `%25`, so that no two have one set.
    #[must_use]
    pub fn segment(name: &SegmentName, version: u32) -> Self {
        let mut text = SmolStrBuilder::new();
        text.push_str(SetKind::Segment.name());
        text.push(':');
        for letter in name.as_str().chars() {
            match letter {
                '#' => text.push_str("%23"),
                '%' => text.push_str("%25"),
                plain => text.push(plain),
            }
        }
        if version > 1 {
            text.push_str(&smol_str::format_smolstr!("#{version}"));
        }
        SetKey(text.finish())
    }

    /// The segment and the version that it is the set of; none for any other set.
    #[must_use]
    pub fn as_segment(&self) -> Option<(SegmentName, u32)> {
        let name = self.0.strip_prefix(SetKind::Segment.name())?.strip_prefix(':')?;
        let (name, version) = match name.split_once('#') {
            Some((name, version)) => (name, version.parse().ok().filter(|version| *version > 1)?),
            None => (name, 1),
        };
        let name = if name.contains('%') { name.replace("%23", "#").replace("%25", "%") } else { name.to_owned() };
        Some((SegmentName::new(name).ok()?, version))
    }

    /// As `kind:name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The set of a name that was checked before.
    fn named(kind: SetKind, name: &str) -> Self {
        let mut text = SmolStrBuilder::new();
        text.push_str(kind.name());
        text.push(':');
        text.push_str(name);
        SetKey(text.finish())
    }
}

impl TryFrom<SmolStr> for SetKey {
    type Error = NoSet;

    fn try_from(text: SmolStr) -> Result<Self, NoSet> {
        Self::parse(&text)
    }
}

impl From<SetKey> for SmolStr {
    fn from(key: SetKey) -> SmolStr {
        key.0
    }
}

impl Stage {
    /// A number that is stored for it; it never changes, and it rises along the life cycle.
    #[must_use]
    pub const fn rank(self) -> i64 {
        match self {
            Stage::Prospect => 1,
            Stage::Intent => 2,
            Stage::Purchase => 3,
            Stage::Historical => 4,
        }
    }
}

impl Attribute {
    /// Its value at an instant as the columns of a customer have it, money in the currency that they are in. It is what
    /// [`of`](Attribute::of) finds in the state that was written with them.
    #[must_use]
    pub fn of_columns(self, columns: &Columns, at: Timestamp) -> Option<i64> {
        let days_since = |column| {
            let since = Timestamp::from_millis(columns.get(column)?).ok()?;
            Some(at.days_since(since))
        };
        match self {
            Attribute::RecencyDays => days_since(Column::LastOrder),
            Attribute::TenureDays => days_since(Column::FirstOrder),
            Attribute::AgeDays => days_since(Column::FirstSeen),
            Attribute::Orders => columns.get(Column::Orders),
            Attribute::Refunds => columns.get(Column::Refunds),
            Attribute::Spend => columns.get(Column::Spend),
            Attribute::GrossSpend => columns.get(Column::GrossSpend),
            Attribute::AverageOrder => {
                let orders = columns.get(Column::Orders).filter(|orders| *orders > 0)?;
                Some(columns.get(Column::Spend)?.div_euclid(orders))
            }
            Attribute::Visits => columns.get(Column::Visits),
            Attribute::Enquiries => columns.get(Column::Enquiries),
            Attribute::Carts => columns.get(Column::Carts),
            Attribute::Points => columns.get(Column::Points),
            Attribute::PointsEarned => columns.get(Column::PointsEarned),
        }
    }
}

impl Customer {
    /// The numbers that stores keep beside the state.
    #[must_use]
    pub fn columns(&self, definitions: &Definitions) -> Columns {
        let at = self.clock().unwrap_or(Timestamp::MIN);
        let currency = definitions.currency(at);
        let instant = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
        let number = |attribute: Attribute| attribute.of(self, at, currency);
        let mut columns = Columns::default();
        for column in Column::ALL {
            columns.set(
                column,
                match column {
                    Column::Stage => self.stage().map(Stage::rank),
                    Column::FirstSeen => instant(self.facts().first_at()),
                    Column::LastSeen => instant(self.facts().last_at()),
                    Column::FirstOrder => instant(Attribute::TenureDays.since(self)),
                    Column::LastOrder => instant(Attribute::RecencyDays.since(self)),
                    Column::Orders => number(Attribute::Orders),
                    Column::Refunds => number(Attribute::Refunds),
                    Column::Spend => number(Attribute::Spend),
                    Column::GrossSpend => number(Attribute::GrossSpend),
                    Column::Visits => number(Attribute::Visits),
                    Column::Enquiries => number(Attribute::Enquiries),
                    Column::Carts => number(Attribute::Carts),
                    Column::Points => number(Attribute::Points),
                    Column::PointsEarned => number(Attribute::PointsEarned),
                },
            );
        }
        columns
    }

    /// The sets that the customer is in, in order.
    #[must_use]
    pub fn sets(&self) -> Vec<SetKey> {
        let tags = self.tags().map(|tag| SetKey::named(SetKind::Tag, tag.as_str()));
        let segments = self.standing().memberships().map(|(name, version)| SetKey::segment(name, version));
        let tiers = self.standing().tiers().map(|(program, tier)| SetKey::tier(program, tier));
        let granted = self.standing().consents().filter(|(_, status)| *status == ConsentStatus::Granted);
        let consents = granted.map(|(key, _)| SetKey::consent(key));
        let roles = self.facts().party().into_iter().flat_map(crate::profile::Party::set_names);
        let roles = roles.map(|name| SetKey::named(SetKind::Role, &name));
        let lists = self.facts().lists().map(|list| SetKey::named(SetKind::List, list.as_str()));
        let overridden = self.overrides().map(|overridden| &overridden.asked.segment);
        let overrides = overridden.map(|segment| SetKey::named(SetKind::Override, segment.as_str()));
        let bar = self.unscored().map(|_| SetKey::unscored());
        let mut sets: Vec<SetKey> = tags
            .chain(segments)
            .chain(tiers)
            .chain(consents)
            .chain(roles)
            .chain(lists)
            .chain(overrides)
            .chain(bar)
            .collect();
        sets.sort_unstable();
        sets.dedup();
        sets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_told_apart_by_kind_and_name() {
        let vip = SetKey::new(SetKind::Tag, "vip").unwrap();
        assert_eq!(vip.as_str(), "tag:vip");
        assert_eq!(SetKey::parse("tag:vip"), Ok(vip));
        assert_eq!(SetKey::parse("tag:a:b").unwrap(), SetKey::new(SetKind::Tag, "a:b").unwrap());
        for text in
            ["vip", "tag:", "mark:vip", "tag:a\u{1f}b", ":vip", &format!("tag:{}", "x".repeat(SetKey::NAME_MAX + 1))]
        {
            assert_eq!(SetKey::parse(text), Err(NoSet), "{text}");
        }
    }

    #[test]
    fn tiers_of_names_with_slashes_have_sets_of_their_own() {
        let names = ["a", "b", "a/b", "a%2Fb", "a%", "%", "/", "//", "a/", "/a", "%2F", "%25", "%252F"];
        let mut sets = std::collections::BTreeSet::new();
        for program in names {
            for tier in names {
                let set = SetKey::tier(&ProgramId::new(program).unwrap(), &TierName::new(tier).unwrap());
                assert_eq!(SetKey::parse(set.as_str()).as_ref(), Ok(&set));
                assert!(sets.insert(set), "{program} and {tier}");
            }
        }
        let tier = |program: &str, tier: &str| {
            SetKey::tier(&ProgramId::new(program).unwrap(), &TierName::new(tier).unwrap()).as_str().to_owned()
        };
        assert_eq!(tier("club", "gold plus"), "tier:club/gold plus", "plain names stay as they are");
        assert_eq!(tier("a/b", "c%"), "tier:a%2Fb/c%25");
        let longest = "/".repeat(64);
        assert!(SetKey::parse(&tier(&longest, &longest)).is_ok(), "the longest names fit");
    }

    #[test]
    fn a_customer_about_whom_nothing_is_known_has_counts_and_nothing_else() {
        let customer = Customer::new(crate::CustomerId::new(Timestamp::MIN, [0; 10]));
        let columns = customer.columns(&Definitions::default());
        for column in Column::ALL {
            let expected = if column.kind() == ColumnKind::Number { Some(0) } else { None };
            assert_eq!(columns.get(column), expected, "{}", column.name());
        }
        assert!(customer.sets().is_empty());
    }
}
