//! The fold of what was said about consent, member by member, and what it comes to.
//!
//! A customer is one member, or several that were merged. What each said is kept apart, and the strictest
//! counts. What is kept of a member for one target (a purpose, a channel, a scope) is the newest yes, the
//! newest no, and the newest request: a yes counts if it is newer than every no that covers its target.
//!
//! Members who are merged are one person from then on, and a yes is said for the whole person: it takes back what
//! any of those said before with whom its member was one by then, and nothing of those who joined later. So the
//! strictest counts between those who are merged, as each of them stands at that moment, and whoever is merged in
//! with nothing said changes nothing. Since when two are one is looked up for the two, not for the whole: in which
//! order several are merged at one time does not matter, nor does merging again. When they are parted, each keeps
//! what was said through them, and a yes of the other covers them no more. A switch that is turned off, such as an
//! objection that is taken back, covers as a yes does.
//!
//! From strict to lenient: **withdrawn, denied, expired, granted, pending, unknown**. Silence says nothing,
//! so a member who was never asked takes nothing away from one who said yes; nor does one who was asked and
//! has not answered yet. A request takes nothing back either way: until it is confirmed, what was said before
//! counts. For a purpose that one has to opt out of, only withdrawn and denied bar.

use serde::{Deserialize, Serialize};

use super::event::{Basis, Objection, Which};
use super::name::{Purpose, Scope};
use super::policy::ConsentPolicy;
use super::{ConsentKey, ConsentStanding, ConsentStatus};
use crate::definitions::Definitions;
use crate::event::Fact;
use crate::flat::FlatMap;
use crate::id::{CustomerId, EventId};
use crate::identity::{IdentifierKey, Join};
use crate::interaction::Channel;
use crate::time::{Span, Timestamp};

/// When something was said, and by which event: the order of the fold.
type Stamp = (Timestamp, EventId);

/// What a statement is about. A no can be about all purposes or channels, a yes is about one of each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Which purposes.
    pub purpose: Which<Purpose>,
    /// Which channels.
    pub channel: Which<Channel>,
    /// Which scope. For a no, none is all of them.
    pub scope: Option<Scope>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Given {
    stamp: Stamp,
    basis: Basis,
    address: Option<IdentifierKey>,
    /// When it ends, used or not.
    ends_at: Option<Timestamp>,
    /// When it ends unless it is used before.
    idle_at: Option<Timestamp>,
}

impl Given {
    fn end(&self) -> Option<Timestamp> {
        self.ends_at.into_iter().chain(self.idle_at).min()
    }

    fn is_over(&self, at: Timestamp) -> bool {
        self.end().is_some_and(|end| end <= at)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Denied {
    stamp: Stamp,
    withdrawn: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    stamp: Stamp,
    until: Timestamp,
}

/// What a member said about a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    given: Option<Given>,
    denied: Option<Denied>,
    pending: Option<Pending>,
}

/// Something that is on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Switch {
    stamp: Stamp,
    on: bool,
}

/// What bars a member as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Bars {
    restricted: Option<Switch>,
    marketing: Option<Switch>,
    profiling: Option<Switch>,
}

/// What a customer said about consent, and how often they were contacted lately.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentBook {
    said: FlatMap<Target, FlatMap<CustomerId, Said>>,
    bars: FlatMap<CustomerId, Bars>,
    /// As many as caps count, oldest first.
    contacts: FlatMap<(Purpose, Channel), Vec<Timestamp>>,
}

/// What a member's words come to, and how strict that is.
struct Word<'a> {
    rank: u8,
    stamp: Stamp,
    status: ConsentStatus,
    given: Option<&'a Given>,
}

const WITHDRAWN: u8 = 5;
const DENIED: u8 = 4;
const EXPIRED: u8 = 3;
const GRANTED: u8 = 2;
const PENDING: u8 = 1;

impl ConsentBook {
    /// The most targets that are kept of one customer. Beyond it a no is kept as one to all purposes on its
    /// channel, and a yes is not kept.
    pub const TARGETS_MAX: usize = 512;

    /// Forgets for which addresses consent was given.
    pub(crate) fn forget_addresses(&mut self) {
        for said in self.said.values_mut().flat_map(FlatMap::values_mut) {
            if let Some(given) = &mut said.given {
                given.address = None;
            }
        }
    }

    /// Folds a fact that came through a member. Facts come in the order of their time and id.
    #[allow(clippy::wildcard_enum_match_arm, reason = "every fact that is not about consent is left alone")]
    pub(crate) fn fold(
        &mut self,
        member: CustomerId,
        id: EventId,
        at: Timestamp,
        fact: &Fact,
        definitions: &Definitions,
    ) {
        let stamp = (at, id);
        match fact {
            Fact::ConsentGiven(given) => {
                let key =
                    ConsentKey { purpose: given.purpose.clone(), channel: given.channel, scope: given.scope.clone() };
                let rule = definitions.consent(at).rule(&key.purpose);
                let confirmed = rule.is_none_or(|rule| !rule.double_opt_in.contains(&key.channel))
                    || given.proof.is_double_opt_in();
                let lasts = rule.and_then(|rule| rule.lasts);
                let Some(said) = self.said_of(key.target(), member) else { return };
                if confirmed {
                    said.given = Some(Given {
                        stamp,
                        basis: given.basis,
                        address: given.address,
                        ends_at: given.expires_at,
                        idle_at: lasts.map(|lasts| at.plus(lasts)),
                    });
                    said.pending = None;
                } else {
                    said.pending = Some(Pending { stamp, until: given.expires_at.unwrap_or(Timestamp::MAX) });
                }
            }
            Fact::ConsentRequested(asked) => {
                let key =
                    ConsentKey { purpose: asked.purpose.clone(), channel: asked.channel, scope: asked.scope.clone() };
                if let Some(said) = self.said_of(key.target(), member) {
                    said.pending = Some(Pending { stamp, until: asked.confirm_by });
                }
            }
            Fact::ConsentRefused(no) => {
                let target =
                    Target { purpose: no.purpose.clone(), channel: no.channel.clone(), scope: no.scope.clone() };
                self.deny(target, member, Denied { stamp, withdrawn: false });
            }
            Fact::ConsentWithdrawn(no) => {
                let target =
                    Target { purpose: no.purpose.clone(), channel: no.channel.clone(), scope: no.scope.clone() };
                self.deny(target, member, Denied { stamp, withdrawn: true });
            }
            Fact::Restricted(_) => self.bars.get_or_default(&member).restricted = Some(Switch { stamp, on: true }),
            Fact::RestrictionLifted(_) => {
                self.bars.get_or_default(&member).restricted = Some(Switch { stamp, on: false });
            }
            Fact::Objected(objected) => self.object(member, objected.to, Switch { stamp, on: true }),
            Fact::ObjectionWithdrawn(back) => self.object(member, back.to, Switch { stamp, on: false }),
            Fact::Contacted(contact) => {
                let key = ConsentKey {
                    purpose: contact.purpose.clone(),
                    channel: contact.channel,
                    scope: contact.scope.clone(),
                };
                self.used(&key, at, definitions);
                self.count(&key, at, definitions);
            }
            _ => {}
        }
    }

    fn said_of(&mut self, target: Target, member: CustomerId) -> Option<&mut Said> {
        if self.said.get(&target).is_none() && self.said.iter().count() >= Self::TARGETS_MAX {
            return None;
        }
        Some(self.said.get_or_default(&target).get_or_default(&member))
    }

    fn deny(&mut self, target: Target, member: CustomerId, denied: Denied) {
        let full = self.said.get(&target).is_none() && self.said.iter().count() >= Self::TARGETS_MAX;
        // There are as many of these as channels, and one more.
        let target = if full { Target { purpose: Which::All, scope: None, ..target } } else { target };
        self.said.get_or_default(&target).get_or_default(&member).denied = Some(denied);
    }

    fn object(&mut self, member: CustomerId, to: Objection, switch: Switch) {
        let bars = self.bars.get_or_default(&member);
        match to {
            Objection::Marketing => bars.marketing = Some(switch),
            Objection::Profiling => bars.profiling = Some(switch),
        }
    }

    /// A consent was used: it lasts from there, unless it was over.
    fn used(&mut self, key: &ConsentKey, at: Timestamp, definitions: &Definitions) {
        let Some(members) = self.said.get_mut(&key.target()) else { return };
        for given in members.values_mut().filter_map(|said| said.given.as_mut()).filter(|given| !given.is_over(at)) {
            let rule = definitions.consent(given.stamp.0).rule(&key.purpose);
            if let (Some(_), Some(lasts)) = (given.idle_at, rule.and_then(|rule| rule.lasts)) {
                given.idle_at = Some(at.plus(lasts));
            }
        }
    }

    /// Keeps as many contacts as any cap counts, and no older ones than any cap looks back on.
    fn count(&mut self, key: &ConsentKey, at: Timestamp, definitions: &Definitions) {
        let transactional = |policy: &ConsentPolicy| policy.rule(&key.purpose).is_some_and(|rule| rule.transactional);
        if transactional(definitions.consent(at)) {
            return;
        }
        let caps = definitions.consent_versions().flat_map(|policy| &policy.caps);
        let (mut most, mut longest) = (0, Span::millis(0));
        for cap in caps.filter(|cap| cap.counts(&key.purpose, key.channel)) {
            most = most.max(cap.count as usize);
            longest = longest.max(cap.per);
        }
        if most == 0 {
            return;
        }
        let contacts = self.contacts.get_or_default(&(key.purpose.clone(), key.channel));
        contacts.push(at);
        let too_many = contacts.len().saturating_sub(most);
        let from = at.minus(longest);
        let too_old = contacts.iter().take_while(|contact| **contact <= from).count();
        contacts.drain(..too_many.max(too_old));
    }

    /// Every exact target that something was said about.
    pub fn keys(&self) -> impl Iterator<Item = ConsentKey> {
        self.said.iter().filter_map(|(target, _)| match (&target.purpose, &target.channel) {
            (Which::One(purpose), Which::One(channel)) => {
                Some(ConsentKey { purpose: purpose.clone(), channel: *channel, scope: target.scope.clone() })
            }
            (Which::All, _) | (_, Which::All) => None,
        })
    }

    /// What the words of all members come to at an instant: the strictest of them. A yes covers what those said
    /// before it with whom its member was one by then, which `joins` tell; a stricter word that came later still
    /// counts. `transactional` is whether a no to everything leaves the purpose alone. Costs a few look-ups for each
    /// member, and for each two of them one over the joins.
    #[must_use]
    pub fn standing(&self, key: &ConsentKey, joins: &[Join], at: Timestamp, transactional: bool) -> ConsentStanding {
        let exact = self.said.get(&key.target());
        // Whether a yes for a member as well came after a word of theirs.
        let is_covered = |member: CustomerId, word: Stamp| {
            let given = exact.into_iter().flat_map(FlatMap::iter);
            let mut given = given.filter_map(|(by, said)| Some((*by, said.given.as_ref()?.stamp)));
            given.any(|(by, yes)| yes > word && speaks_for(joins, by, yes.0, member))
        };
        let covering = key.covering(transactional);
        let covering: Vec<_> = covering.iter().filter_map(|target| self.said.get(target)).collect();
        let mut strictest: Option<Word<'_>> = None;
        for member in covering.iter().flat_map(|members| members.iter().map(|(member, _)| member)) {
            let denied = covering.iter().filter_map(|members| members.get(member)?.denied);
            let denied = denied.max_by_key(|denied| denied.stamp).filter(|no| !is_covered(*member, no.stamp));
            let said = exact.and_then(|members| members.get(member));
            let stands = |stamp: Stamp| denied.is_none_or(|no| stamp > no.stamp) && !is_covered(*member, stamp);
            let given = said.and_then(|said| said.given.as_ref()).filter(|given| stands(given.stamp));
            let pending = said.and_then(|said| said.pending);
            let pending = pending.filter(|pending| pending.until > at && stands(pending.stamp));
            let Some(word) = word(at, given, denied, pending) else { continue };
            let stricter = |than: &Word<'_>| (word.rank, word.stamp) > (than.rank, than.stamp);
            if strictest.as_ref().is_none_or(stricter) {
                strictest = Some(word);
            }
        }
        match strictest {
            None => ConsentStanding::UNKNOWN,
            Some(Word { rank, stamp, status, given }) => ConsentStanding {
                status,
                since: Some(stamp.0),
                event: Some(stamp.1),
                refused: rank >= DENIED,
                basis: given.map(|given| given.basis),
                address: given.and_then(|given| given.address),
                ends_at: given.and_then(Given::end),
            },
        }
    }

    /// Since when the customer's data may not be used, if so: the strictest of the members, as for consent.
    #[must_use]
    pub fn restricted(&self, joins: &[Join]) -> Option<Timestamp> {
        self.switched(joins, |bars| bars.restricted)
    }

    /// Since when the customer objects, if they do: the strictest of the members, as for consent.
    #[must_use]
    pub fn objects(&self, to: Objection, joins: &[Join]) -> Option<Timestamp> {
        self.switched(joins, |bars| match to {
            Objection::Marketing => bars.marketing,
            Objection::Profiling => bars.profiling,
        })
    }

    fn switched(&self, joins: &[Join], of: impl Fn(&Bars) -> Option<Switch>) -> Option<Timestamp> {
        let switches = || self.bars.iter().filter_map(|(member, bars)| Some((*member, of(bars)?)));
        let is_off = |member: CustomerId, on: Stamp| {
            let mut off = switches().filter(|(_, switch)| !switch.on && switch.stamp > on);
            off.any(|(by, switch)| speaks_for(joins, by, switch.stamp.0, member))
        };
        let on = switches().filter(|(member, switch)| switch.on && !is_off(*member, switch.stamp));
        on.map(|(_, switch)| switch.stamp.0).min()
    }

    /// Whether a no to a target is the last word about everything it covers, so that another would say
    /// nothing new.
    #[must_use]
    pub fn is_refused(&self, target: &Target) -> bool {
        self.no_is_last(target, |_| true)
    }

    /// Whether it is the last word of one member, whatever others said.
    #[must_use]
    pub fn is_refused_by(&self, member: CustomerId, target: &Target) -> bool {
        self.no_is_last(target, |other| other == member)
    }

    fn no_is_last(&self, target: &Target, counts: impl Fn(CustomerId) -> bool) -> bool {
        let said_of = |members| {
            let members: &FlatMap<CustomerId, Said> = members;
            members.iter().filter(|(member, _)| counts(**member)).map(|(_, said)| said)
        };
        let no = self.said.get(target).into_iter().flat_map(said_of).filter_map(|said| said.denied);
        let Some(no) = no.map(|denied| denied.stamp).max() else { return false };
        let covered = self.said.iter().filter(|(other, _)| other.is_within(target));
        let yes = covered.flat_map(|(_, members)| said_of(members)).flat_map(|said| {
            let given = said.given.as_ref().map(|given| given.stamp);
            given.into_iter().chain(said.pending.map(|pending| pending.stamp))
        });
        yes.max().is_none_or(|yes| yes < no)
    }

    /// The earliest instant after another at which a consent or a request ends.
    pub(crate) fn next_change(&self, after: Timestamp) -> Option<Timestamp> {
        let said = self.said.iter().flat_map(|(_, members)| members.iter()).map(|(_, said)| said);
        let ends = said.flat_map(|said| {
            let given = said.given.as_ref().and_then(Given::end);
            given.into_iter().chain(said.pending.map(|pending| pending.until))
        });
        ends.filter(|end| *end > after).min()
    }

    /// Until when caps hold a contact up; none if they do not.
    pub(crate) fn capped_until(&self, key: &ConsentKey, at: Timestamp, policy: &ConsentPolicy) -> Option<Timestamp> {
        let caps = policy.caps.iter().filter(|cap| cap.counts(&key.purpose, key.channel));
        let until = |cap: &super::policy::Cap| {
            let counted = self.contacts.iter().filter(|((purpose, channel), _)| cap.counts(purpose, *channel));
            let ends = counted.flat_map(|(_, contacts)| contacts).map(|contact| contact.plus(cap.per));
            // A contact counts until its span has passed.
            let mut ends: Vec<Timestamp> = ends.filter(|end| *end > at).collect();
            ends.sort_unstable();
            let free = ends.len().checked_sub(cap.count as usize)?;
            ends.get(free).copied()
        };
        caps.filter_map(until).max()
    }

    /// How many contacts are kept.
    #[must_use]
    pub fn contacts(&self) -> usize {
        self.contacts.iter().map(|(_, contacts)| contacts.len()).sum()
    }
}

/// Whether what one member said at an instant was said for another one too: the two were one person by then.
fn speaks_for(joins: &[Join], by: CustomerId, at: Timestamp, other: CustomerId) -> bool {
    if by == other {
        return true;
    }
    // Of two who were parted and merged again the last time counts.
    let apart = |join: &&Join| {
        let [one, rest] = [&join.one, &join.other];
        (one.contains(&by) && rest.contains(&other)) || (rest.contains(&by) && one.contains(&other))
    };
    joins.iter().rev().find(apart).is_some_and(|join| at > join.at)
}

/// What one member's words come to; none if they said nothing that counts.
fn word<'a>(
    at: Timestamp,
    given: Option<&'a Given>,
    denied: Option<Denied>,
    pending: Option<Pending>,
) -> Option<Word<'a>> {
    let said = match (given, denied) {
        (Some(given), _) if given.is_over(at) => {
            Some(Word { rank: EXPIRED, stamp: given.stamp, status: ConsentStatus::Expired, given: Some(given) })
        }
        (Some(given), _) => {
            Some(Word { rank: GRANTED, stamp: given.stamp, status: ConsentStatus::Granted, given: Some(given) })
        }
        (None, Some(Denied { stamp, withdrawn: true })) => {
            Some(Word { rank: WITHDRAWN, stamp, status: ConsentStatus::Withdrawn, given: None })
        }
        (None, Some(Denied { stamp, withdrawn: false })) => {
            Some(Word { rank: DENIED, stamp, status: ConsentStatus::Denied, given: None })
        }
        (None, None) => None,
    };
    match (said, pending) {
        (Some(said), Some(_)) if said.status == ConsentStatus::Granted => Some(said),
        // It shows as pending, and is as strict as what it does not take back yet.
        (said, Some(pending)) => {
            let rank = said.map_or(PENDING, |said| said.rank);
            Some(Word { rank, stamp: pending.stamp, status: ConsentStatus::Pending, given: None })
        }
        (said, None) => said,
    }
}

impl Target {
    /// Whether all of it is covered by a no to another.
    fn is_within(&self, other: &Target) -> bool {
        fn within<T: PartialEq>(own: &Which<T>, other: &Which<T>) -> bool {
            *other == Which::All || own == other
        }
        within(&self.purpose, &other.purpose)
            && within(&self.channel, &other.channel)
            && (other.scope.is_none() || self.scope == other.scope)
    }
}

impl ConsentKey {
    pub(crate) fn target(&self) -> Target {
        Target {
            purpose: Which::One(self.purpose.clone()),
            channel: Which::One(self.channel),
            scope: self.scope.clone(),
        }
    }

    /// Every target by which a no covers this one.
    fn covering(&self, transactional: bool) -> Vec<Target> {
        let mut targets = Vec::with_capacity(8);
        let scopes = [None, self.scope.clone()];
        let scopes = &scopes[..if self.scope.is_some() { 2 } else { 1 }];
        for scope in scopes {
            for channel in [Which::One(self.channel), Which::All] {
                let purpose = Which::One(self.purpose.clone());
                targets.push(Target { purpose, channel: channel.clone(), scope: scope.clone() });
                if !transactional {
                    targets.push(Target { purpose: Which::All, channel, scope: scope.clone() });
                }
            }
        }
        targets
    }
}
