//! What rules gave, as a book keeps it: for each fact by rule, so that the same share comes back of each, and so that caps
//! know what was given before.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::super::event::RuleShare;
use super::RuleName;
use super::earn::Stretch;
use crate::order::Order;
use crate::time::Timestamp;

/// The names of rules, each once. Elsewhere a rule is its place here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::loyalty) struct RuleNames(Vec<RuleName>);

impl RuleNames {
    fn place(&self, rule: &RuleName) -> Option<u32> {
        self.0.iter().position(|name| name == rule).map(|place| place as u32)
    }

    /// `near` is where it may well be.
    fn place_or_add(&mut self, rule: &RuleName, near: u32) -> u32 {
        if self.name(near) == Some(rule) {
            return near;
        }
        self.place(rule).unwrap_or_else(|| {
            self.0.push(rule.clone());
            (self.0.len() - 1) as u32
        })
    }

    /// The places of rules, each added that is not there. What is told of one fact is told in the order of its rules, so
    /// that each is mostly the one after the one before.
    fn places<'r>(&mut self, told: &'r [RuleShare]) -> impl Iterator<Item = (u32, &'r RuleShare)> {
        let mut near = 0;
        told.iter().map(move |share| {
            let place = self.place_or_add(&share.rule, near);
            near = place.saturating_add(1);
            (place, share)
        })
    }

    fn name(&self, place: u32) -> Option<&RuleName> {
        self.0.get(place as usize)
    }
}

/// What one rule gave for one fact, and what of it was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
struct Share {
    rule: u32,
    action: bool,
    points: i64,
    qualifying: i64,
    taken: i64,
    taken_qualifying: i64,
}

/// The same as a state keeps it. There is one for each rule and order, and of nearly all nothing was taken back and as many
/// points count towards a tier.
#[derive(Serialize, Deserialize)]
enum Kept {
    Order(u32, i64),
    Action(u32, i64),
    Other { rule: u32, action: bool, points: i64, qualifying: i64, taken: i64, taken_qualifying: i64 },
}

impl From<Kept> for Share {
    fn from(kept: Kept) -> Self {
        let whole =
            |rule, points, action| Share { rule, action, points, qualifying: points, taken: 0, taken_qualifying: 0 };
        match kept {
            Kept::Order(rule, points) => whole(rule, points, false),
            Kept::Action(rule, points) => whole(rule, points, true),
            Kept::Other { rule, action, points, qualifying, taken, taken_qualifying } => {
                Share { rule, action, points, qualifying, taken, taken_qualifying }
            }
        }
    }
}

impl From<Share> for Kept {
    fn from(Share { rule, action, points, qualifying, taken, taken_qualifying }: Share) -> Self {
        match action {
            _ if qualifying != points || (taken, taken_qualifying) != (0, 0) => {
                Kept::Other { rule, action, points, qualifying, taken, taken_qualifying }
            }
            false => Kept::Order(rule, points),
            true => Kept::Action(rule, points),
        }
    }
}

/// What rules gave for one fact.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::loyalty) struct Shares(SmallVec<[Share; 1]>);

impl Clone for Shares {
    /// All at once; a small vector would otherwise copy one after another.
    fn clone(&self) -> Self {
        Shares(SmallVec::from_slice(&self.0))
    }
}

/// What is left of something that points were given for.
#[derive(Debug, Clone, Copy)]
pub(in crate::loyalty) enum Left {
    /// All of it.
    All,
    /// Nothing.
    Nothing,
    /// So much of so much, in minor units; the second is above 0.
    Part(i64, i64),
}

impl Left {
    /// What is left of an order; of one that cost nothing all.
    pub(in crate::loyalty) const fn of(order: &Order) -> Self {
        match (order.net_minor(), order.total.minor()) {
            (_, ..=0) => Left::All,
            (net, total) => Left::Part(net, total),
        }
    }

    /// The same share of points, down to a whole one.
    fn share(self, points: i64) -> i64 {
        match self {
            Left::All => points,
            Left::Nothing => 0,
            Left::Part(net, total) => {
                let share = i128::from(points) * i128::from(net) / i128::from(total.max(1));
                i64::try_from(share).unwrap_or(points)
            }
        }
    }
}

/// By how much what was given for a fact differs from what it is entitled to.
#[derive(Debug, Clone, Default)]
pub(in crate::loyalty) struct Difference {
    /// How many points it is entitled to.
    pub(in crate::loyalty) entitled: i64,
    /// How many qualifying points are still to be given, or to be taken back.
    pub(in crate::loyalty) qualifying: i64,
    /// The rules of which something is to be given (positive) or taken back.
    pub(in crate::loyalty) by_rule: Vec<RuleShare>,
}

impl Shares {
    /// Rules gave so much: what was taken back of it before, or for the first time.
    pub(in crate::loyalty) fn give(&mut self, names: &mut RuleNames, given: &[RuleShare]) {
        if self.0.is_empty() {
            self.0.reserve_exact(given.len());
        }
        for (rule, given) in names.places(given) {
            match self.0.iter_mut().find(|share| share.rule == rule && share.action == given.action) {
                Some(share) => {
                    share.taken = share.taken.saturating_sub(given.points);
                    share.taken_qualifying = share.taken_qualifying.saturating_sub(given.qualifying);
                }
                None => {
                    let RuleShare { rule: _, points, qualifying, action } = *given;
                    self.0.push(Share { rule, action, points, qualifying, taken: 0, taken_qualifying: 0 });
                }
            }
        }
    }

    /// So much of what rules gave was taken back.
    pub(in crate::loyalty) fn take(&mut self, names: &mut RuleNames, taken: &[RuleShare]) {
        for (rule, taken) in names.places(taken) {
            if let Some(share) = self.0.iter_mut().find(|share| share.rule == rule && share.action == taken.action) {
                share.taken = share.taken.saturating_add(taken.points);
                share.taken_qualifying = share.taken_qualifying.saturating_add(taken.qualifying);
            }
        }
    }

    /// Whether an action, and not an order, was given anything for by this fact.
    pub(in crate::loyalty) fn has_action(&self) -> bool {
        self.0.iter().any(|share| share.action)
    }

    /// What is to be given or taken back when so much is left of the order, and of the action.
    pub(in crate::loyalty) fn difference(&self, names: &RuleNames, order: Left, action: Left) -> Difference {
        let mut difference = Difference::default();
        for share in &self.0 {
            let left = if share.action { action } else { order };
            let (points, qualifying) = (left.share(share.points), left.share(share.qualifying));
            difference.entitled = difference.entitled.saturating_add(points);
            let points = points - (share.points - share.taken);
            let qualifying = qualifying - (share.qualifying - share.taken_qualifying);
            difference.qualifying = difference.qualifying.saturating_add(qualifying);
            if (points, qualifying) != (0, 0)
                && let Some(rule) = names.name(share.rule)
            {
                difference.by_rule.push(RuleShare { rule: rule.clone(), points, qualifying, action: share.action });
            }
        }
        difference
    }

    /// How many points that can be redeemed all rules gave that were not taken back.
    pub(in crate::loyalty) fn standing(&self) -> i64 {
        self.0.iter().fold(0, |sum, share| sum.saturating_add(share.points - share.taken))
    }

    /// How many points a rule gave that were not taken back, of whichever kind it gives.
    fn of(&self, rule: u32) -> i64 {
        let own = self.0.iter().filter(|share| share.rule == rule);
        own.fold(0, |sum, share| {
            let left = (share.points - share.taken).max(share.qualifying - share.taken_qualifying);
            sum.saturating_add(left)
        })
    }
}

/// What a rule gave once in a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Once {
    rule: u32,
    at: Timestamp,
    points: i64,
}

/// What rules gave for no fact, but for a day of the year: one entry for each rule and year.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::loyalty) struct Yearly(Vec<Once>);

impl Yearly {
    pub(in crate::loyalty) fn give(&mut self, names: &mut RuleNames, given: &RuleShare, at: Timestamp) {
        let rule = names.place_or_add(&given.rule, 0);
        self.0.push(Once { rule, at, points: given.points.max(given.qualifying) });
    }

    /// When a rule gave last.
    pub(in crate::loyalty) fn last(&self, names: &RuleNames, rule: &RuleName) -> Option<Timestamp> {
        let rule = names.place(rule)?;
        self.0.iter().filter(|once| once.rule == rule).map(|once| once.at).max()
    }
}

/// How many points a rule gave in a stretch of time, less what was taken back.
pub(in crate::loyalty) fn given<'b>(
    names: &RuleNames,
    facts: impl Iterator<Item = (Option<Timestamp>, &'b Shares)>,
    yearly: &Yearly,
    rule: &RuleName,
    stretch: Stretch,
) -> i64 {
    let Some(rule) = names.place(rule) else { return 0 };
    let within = |at: Timestamp| stretch.is_none_or(|(from, until)| from <= at && at < until);
    let facts = facts.filter(|(at, _)| at.is_none_or(within)).map(|(_, shares)| shares.of(rule));
    let yearly = yearly.0.iter().filter(|once| once.rule == rule && within(once.at)).map(|once| once.points);
    facts.chain(yearly).fold(0, i64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(action: bool, points: i64, qualifying: i64) -> RuleShare {
        let name = if action { "visits" } else { "orders" };
        RuleShare { rule: RuleName::new(name).unwrap(), points, qualifying, action }
    }

    #[test]
    fn what_rules_gave_is_read_back_and_takes_few_bytes_while_nothing_is_taken_back() {
        let (mut names, mut shares) = (RuleNames::default(), Shares::default());
        let bytes = |shares: &Shares| {
            let bytes = postcard::to_allocvec(shares).unwrap();
            assert_eq!(postcard::from_bytes::<Shares>(&bytes).unwrap(), *shares);
            bytes.len()
        };
        shares.give(&mut names, &[share(false, 50, 50), share(true, 5, 5)]);
        assert_eq!(bytes(&shares), 1 + 2 * 3);
        shares.take(&mut names, &[share(true, 2, 2)]);
        assert_eq!(bytes(&shares), 1 + 3 + 7);
        shares.give(&mut names, &[share(true, 2, 2)]);
        shares.take(&mut names, &[share(false, 20, 0)]);
        assert_eq!((bytes(&shares), shares.standing()), (1 + 7 + 3, 35));
        let mut apart = Shares::default();
        apart.give(&mut names, &[share(false, 0, 50), share(true, 5, 0)]);
        assert_eq!((bytes(&apart), apart.of(0), apart.of(1)), (1 + 2 * 7, 50, 5));
    }
}
