//! What an order or an action earns by the rules of a programme, and why.

use serde::Serialize;
use smallvec::SmallVec;

use super::super::period::Period;
use super::super::{LOYALTY_POINTS_MAX, Pending, Program, RuleShare, TierName};
use super::basket::{Counted, Counting, Part, Share};
use super::rounded::Fraction;
use super::{
    Cap, Counts, EarningRule, Factor, Formula, Multiplier, On, Per, Purchase, Rounding, RoundingPlace, RuleName,
};
use crate::custom::KindName;
use crate::declared::DeclaredName;
use crate::event::Fact;
use crate::expression::{Clause, Predicate, Subject};
use crate::interaction::Channel;
use crate::time::Timestamp;

/// What may earn points.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Happening<'a> {
    /// An order.
    Order(&'a Purchase<'a>),
    /// A visit.
    Visit(Channel),
    /// An event of a kind that the shop declared.
    Custom(&'a KindName),
    /// The first thing ever told of the customer, and by which channel it came.
    SignUp(Option<Channel>),
    /// The day of the year that an attribute tells.
    Yearly(&'a DeclaredName),
}

impl<'a> Happening<'a> {
    /// What a fact is but an order, if any rule can answer to it.
    pub(crate) const fn action(fact: &'a Fact) -> Option<Self> {
        if let Fact::Visited(visited) = fact {
            return Some(Happening::Visit(visited.channel));
        }
        if let Fact::Custom(custom) = fact {
            return Some(Happening::Custom(&custom.kind));
        }
        None
    }

    /// By which channel it came.
    const fn channel(&self) -> Option<Channel> {
        match self {
            Happening::Order(purchase) => purchase.channel,
            Happening::Visit(channel) => Some(*channel),
            Happening::SignUp(channel) => *channel,
            Happening::Custom(_) | Happening::Yearly(_) => None,
        }
    }

    const fn purchase(&self) -> Option<&'a Purchase<'a>> {
        match self {
            Happening::Order(purchase) => Some(purchase),
            Happening::Visit(_) | Happening::Custom(_) | Happening::SignUp(_) | Happening::Yearly(_) => None,
        }
    }
}

impl On {
    fn answers_to(&self, happening: &Happening<'_>) -> bool {
        match (self, happening) {
            (On::Order, Happening::Order(_))
            | (On::Visit, Happening::Visit(_))
            | (On::SignUp, Happening::SignUp(_)) => true,
            (On::Custom(kind), Happening::Custom(own)) => kind == *own,
            (On::Yearly(attribute), Happening::Yearly(own)) => attribute == *own,
            (On::Order | On::Visit | On::SignUp | On::Custom(_) | On::Yearly(_), _) => false,
        }
    }
}

/// Who did what, and when.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// The customer as they were before it, at its instant.
    pub subject: Subject<'a>,
    /// Their tier in the programme then.
    pub tier: Option<&'a TierName>,
    /// What they did.
    pub what: Happening<'a>,
}

/// Why a rule gives what it gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// It gave so many.
    Gave {
        /// How many; 0 where it came to less than a point.
        points: i64,
        /// For an order: what the lines that count cost, less the share that was paid with points, in minor units and
        /// rounded down.
        counted_minor: Option<i64>,
        /// What multiplied them.
        multiplied_by: Vec<(RuleName, Factor)>,
    },
    /// It gave fewer than it would have, because it gave so many before.
    CappedAt {
        /// How many it gave.
        points: i64,
        /// How many it would have given.
        would: i64,
        /// The most that it gives.
        cap: Cap,
    },
    /// It gave fewer than it would have, because nothing earns more than [`LOYALTY_POINTS_MAX`].
    Limit {
        /// How many it gave.
        points: i64,
        /// How many it would have given.
        would: i64,
    },
    /// The programme is paused.
    Paused,
    /// The programme or the rule does not hold at that time.
    OutsideOfTime,
    /// The programme does not hold where the order is sold, or the order does not say where.
    OtherCountry,
    /// It came by another channel, or does not say by which.
    OtherChannel,
    /// The order is in another currency than the programme.
    OtherCurrency,
    /// The order has no line that counts for it: none that it asks for, or none but what is excluded.
    NothingCounts,
    /// What counts for it costs less than it asks for.
    BelowMinimum {
        /// How much that is, in minor units and rounded down.
        counted_minor: i64,
        /// How much it has to be.
        minimum: u64,
    },
    /// It is not for this customer.
    NotForThem(Clause),
}

impl std::fmt::Display for Reason {
    /// In a few words, for the shop's own people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reason::Gave { points, multiplied_by, .. } => {
                write!(f, "{points} points")?;
                multiplied_by.iter().try_for_each(|(name, by)| write!(f, ", times {} ‰ by {name}", by.0))
            }
            Reason::CappedAt { points, would, cap } => {
                write!(f, "{points} points instead of {would}, as it gives no more than {}", cap.points)
            }
            Reason::Limit { points, would } => {
                write!(f, "{points} points instead of {would}, the most that anything earns")
            }
            Reason::Paused => f.write_str("nothing: the programme is paused"),
            Reason::OutsideOfTime => f.write_str("nothing at this time"),
            Reason::OtherCountry => f.write_str("nothing in this country"),
            Reason::OtherChannel => f.write_str("nothing by this channel"),
            Reason::OtherCurrency => f.write_str("nothing in this currency"),
            Reason::NothingCounts => f.write_str("nothing: no line counts for it"),
            Reason::BelowMinimum { counted_minor, minimum } => {
                write!(f, "nothing: {counted_minor} of {minimum} minor units count for it")
            }
            Reason::NotForThem(clause) => write!(f, "nothing for this customer: not {}", clause.text),
        }
    }
}

/// What something earns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Earning {
    /// Points that can be redeemed; a share of them may go to a [pool](crate::loyalty::PoolPolicy).
    pub points: i64,
    /// Points that count towards a tier.
    pub qualifying: i64,
    /// Which rules gave them: those that gave any, in the order of the programme.
    pub by_rule: Vec<RuleShare>,
    /// From when on they can be spent; none while an order has to be delivered first.
    pub active_from: Option<Timestamp>,
    /// When they expire, if that is fixed then.
    pub expires_at: Option<Timestamp>,
    /// What of the order counts for no rule, in minor units.
    pub excluded_minor: i64,
    /// For each rule that answers to what happened why it gave what it gave, in the order of the programme.
    pub reasons: Vec<(RuleName, Reason)>,
}

impl Earning {
    /// Whether nothing is earned.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.points == 0 && self.qualifying == 0
    }
}

/// A stretch of time, from its first instant to the first one after it; none is all of it.
pub(crate) type Stretch = Option<(Timestamp, Timestamp)>;

/// Why a rule gives nothing.
#[derive(Debug, Clone, Copy)]
enum Refusal<'r> {
    Paused,
    OutsideOfTime,
    OtherCountry,
    OtherChannel,
    OtherCurrency,
    NothingCounts,
    BelowMinimum { counted_minor: i64, minimum: u64 },
    NotForThem(&'r Predicate),
}

/// What a rule gives before caps.
struct Gain {
    points: i64,
    counted_minor: Option<i64>,
}

/// Stretches of time that caps hold for.
type Stretches = SmallVec<[(Period, Stretch); 2]>;

impl Program {
    /// What something earns, with the reasons. `given` answers how many points a rule gave the customer in a stretch of
    /// time, less what was taken back of them; it is asked only for rules with a [cap](Cap) for longer than one event.
    ///
    /// Each rule that [answers](On) works out its points exactly and rounds them [once](Rounding), after multipliers and
    /// before its cap. The sum stops at [`LOYALTY_POINTS_MAX`].
    #[must_use]
    pub fn earn(&self, occasion: &Occasion<'_>, given: impl Fn(&RuleName, Stretch) -> i64) -> Earning {
        let mut reasons = Vec::with_capacity(self.earning.len());
        let mut earning = self.work_out(occasion, given, |rule, reason| reasons.push((rule.clone(), reason())));
        earning.reasons = reasons;
        earning
    }

    /// The same without reasons, at less cost.
    pub(crate) fn earn_silently(&self, occasion: &Occasion<'_>, given: impl Fn(&RuleName, Stretch) -> i64) -> Earning {
        self.work_out(occasion, given, |_, _| {})
    }

    /// Whether any rule answers to something.
    pub(crate) fn answers_to(&self, what: &Happening<'_>) -> bool {
        self.earning.iter().any(|rule| rule.on.answers_to(what))
    }

    /// Whether what an order earns depends on anything but the order.
    pub(crate) fn asks_about_customers(&self) -> bool {
        let asks = |rule: &EarningRule| {
            let capped = rule.cap.is_some_and(|cap| cap.per != Per::Event);
            rule.on == On::Order && (rule.when.is_some() || capped)
        };
        self.earning.iter().any(asks)
            || self.multipliers.iter().any(|multiplier| multiplier.when.is_some() || !multiplier.tiers.is_empty())
    }

    fn work_out(
        &self,
        occasion: &Occasion<'_>,
        given: impl Fn(&RuleName, Stretch) -> i64,
        mut tell: impl FnMut(&RuleName, &dyn Fn() -> Reason),
    ) -> Earning {
        let Occasion { subject, tier, what } = occasion;
        let mut earning = Earning::default();
        let mut rules = self.earning.iter().filter(|rule| rule.on.answers_to(what)).peekable();
        if rules.peek().is_none() {
            return earning;
        }
        let counting = what.purchase().map(|purchase| purchase.counting(&self.exclusions));
        earning.by_rule.reserve(self.earning.len());
        earning.excluded_minor = counting.as_ref().map_or(0, |counting| clamp(counting.excluded));
        let multipliers: SmallVec<[&Multiplier; 4]> =
            self.multipliers.iter().filter(|multiplier| multiplier.holds(subject, *tier)).collect();
        let mut stretches = Stretches::new();
        // The most that is left to be given, of either kind.
        let (mut left, mut left_qualifying) = (LOYALTY_POINTS_MAX, LOYALTY_POINTS_MAX);
        for rule in rules {
            let gain = match self.gain(rule, occasion, counting.as_ref(), &multipliers) {
                Ok(gain) => gain,
                Err(refusal) => {
                    tell(&rule.name, &|| refusal.told(subject));
                    continue;
                }
            };
            let would = gain.points;
            let capped = rule.cap.map_or(would, |cap| {
                let stretch = self.stretch(cap.per, subject.at, &mut stretches);
                would.min(cap.room(stretch.map_or(0, |stretch| given(&rule.name, stretch))))
            });
            let room = match rule.counts {
                Counts::Both => left.min(left_qualifying),
                Counts::Redeemable => left,
                Counts::Qualifying => left_qualifying,
            };
            let points = capped.min(room);
            tell(&rule.name, &|| match rule.cap {
                Some(cap) if capped < would => Reason::CappedAt { points, would, cap },
                _ if points < would => Reason::Limit { points, would },
                _ => Reason::Gave {
                    points,
                    counted_minor: gain.counted_minor,
                    multiplied_by: rule.multiplied_by(&multipliers).map(|one| (one.name.clone(), one.by)).collect(),
                },
            });
            let (redeemable, qualifying) = match rule.counts {
                Counts::Both => (points, points),
                Counts::Redeemable => (points, 0),
                Counts::Qualifying => (0, points),
            };
            if points > 0 {
                let action = counting.is_none();
                earning.by_rule.push(RuleShare { rule: rule.name.clone(), points: redeemable, qualifying, action });
            }
            left -= redeemable;
            left_qualifying -= qualifying;
        }
        earning.points = LOYALTY_POINTS_MAX - left;
        earning.qualifying = LOYALTY_POINTS_MAX - left_qualifying;
        let delivered_at = what.purchase().map(|purchase| purchase.delivered_at);
        earning.active_from = match (self.pending, delivered_at) {
            (Pending::No, _) | (_, None) => Some(subject.at),
            (Pending::For(span), _) => Some(subject.at.plus(span)),
            (Pending::AfterDelivery(span), Some(delivered_at)) => delivered_at.map(|at| at.plus(span)),
        };
        earning.expires_at = self.expires_at(subject.at, *tier);
        earning
    }

    /// What a rule gives before its cap.
    fn gain<'p>(
        &'p self,
        rule: &'p EarningRule,
        Occasion { subject, what, .. }: &Occasion<'_>,
        counting: Option<&Counting<'_>>,
        multipliers: &[&Multiplier],
    ) -> Result<Gain, Refusal<'p>> {
        let at = subject.at;
        if self.validity.paused {
            return Err(Refusal::Paused);
        }
        let during = |from: Option<Timestamp>, until: Option<Timestamp>| {
            from.is_none_or(|from| from <= at) && until.is_none_or(|until| at < until)
        };
        if !during(self.validity.from, self.validity.until) || !during(rule.from, rule.until) {
            return Err(Refusal::OutsideOfTime);
        }
        if !rule.channels.is_empty() && !what.channel().is_some_and(|channel| rule.channels.contains(&channel)) {
            return Err(Refusal::OtherChannel);
        }
        let mut share = Share::ALL;
        let counted = match what.purchase().zip(counting) {
            Some((purchase, counting)) => {
                if !self.validity.covers(at, purchase.country) {
                    return Err(Refusal::OtherCountry);
                }
                let by_money = matches!(rule.gives, Formula::PerMoney { .. }) || rule.minimum.is_some();
                if by_money && purchase.currency() != self.currency {
                    return Err(Refusal::OtherCurrency);
                }
                share = purchase.share();
                let counted = counting.of(&rule.lines).filter(|_| share.over > 0).ok_or(Refusal::NothingCounts)?;
                if let Some(minimum) = rule.minimum
                    && counted.is_below(minimum, share)
                {
                    return Err(Refusal::BelowMinimum { counted_minor: counted.paid(share), minimum });
                }
                Some(counted)
            }
            None => None,
        };
        if let Some(when) = &rule.when
            && !when.holds(subject)
        {
            return Err(Refusal::NotForThem(when));
        }
        let points = self.points(rule, counted.as_ref(), share, multipliers);
        Ok(Gain { points, counted_minor: counted.map(|counted| counted.paid(share)) })
    }

    /// What a formula comes to, rounded.
    fn points(
        &self,
        rule: &EarningRule,
        counted: Option<&Counted<'_, '_>>,
        share: Share,
        multipliers: &[&Multiplier],
    ) -> i64 {
        let gives = rule.gives;
        let multiplied = |fraction: Fraction| {
            rule.multiplied_by(multipliers)
                .fold(fraction, |fraction, Multiplier { by: Factor(by), .. }| fraction.times(u64::from(*by)).per(1_000))
        };
        let shared = |fraction: Fraction, Share { over, under }: Share| fraction.times(over).per(under);
        let Some(counted) = counted else {
            // Actions have neither lines nor money.
            let Formula::Fixed(points) = gives else { return 0 };
            return self.rounding.of(&multiplied(Fraction::of(points.into())));
        };
        let each = |amount: u64, reduced: Share| match gives {
            Formula::Fixed(points) => Fraction::of(points.into()),
            Formula::PerMoney { points, per_minor } => {
                let money = shared(shared(Fraction::of(amount), share), reduced);
                money.times(points.into()).per(per_minor.into())
            }
            Formula::PerItem(points) => shared(Fraction::of(amount), share).times(points.into()),
        };
        match (gives, self.rounding) {
            (Formula::Fixed(_), _) => self.rounding.of(&multiplied(each(1, Share::ALL))),
            (Formula::PerMoney { points, per_minor }, Rounding::FullSteps) => {
                let steps = shared(Fraction::of(counted.minor), share).per(per_minor.into()).whole();
                multiplied(Fraction::of(steps).times(points.into())).down()
            }
            (_, Rounding::Down(RoundingPlace::Line) | Rounding::HalfEven(RoundingPlace::Line)) => {
                let money = matches!(gives, Formula::PerMoney { .. });
                let of_part = |sum: i64, part: Part| {
                    let (amount, taken) = if money {
                        (u64::try_from(part.minor.unsigned_abs()).unwrap_or(u64::MAX), part.minor < 0)
                    } else {
                        (part.pieces, false)
                    };
                    let points = multiplied(each(amount, counted.reduced));
                    let points = if taken { -self.rounding.taken(&points) } else { self.rounding.of(&points) };
                    sum.saturating_add(points)
                };
                counted.parts().fold(0, of_part).clamp(0, LOYALTY_POINTS_MAX)
            }
            (Formula::PerMoney { .. }, _) => self.rounding.of(&multiplied(each(counted.minor, Share::ALL))),
            (Formula::PerItem(_), _) => self.rounding.of(&multiplied(each(counted.pieces, Share::ALL))),
        }
    }

    /// The stretch of time that a cap holds for around an instant; none where it is of one order or action. Rules mostly
    /// have the same, so those that were worked out are kept.
    fn stretch(&self, per: Per, at: Timestamp, known: &mut Stretches) -> Option<Stretch> {
        let period = match per {
            Per::Event => return None,
            Per::Ever => return Some(None),
            Per::Period(period) => period,
        };
        let there = known.iter().find(|(own, _)| *own == period).map(|(_, stretch)| *stretch);
        Some(there.unwrap_or_else(|| {
            let stretch = Some((period.begin(at, self.zone), period.end(at, self.zone)));
            known.push((period, stretch));
            stretch
        }))
    }
}

impl Cap {
    /// How many points a rule may give yet that gave so many before.
    fn room(self, before: i64) -> i64 {
        i64::try_from(self.points).unwrap_or(i64::MAX).saturating_sub(before.max(0)).max(0)
    }
}

impl Rounding {
    fn of(self, fraction: &Fraction) -> i64 {
        match self {
            Rounding::FullSteps | Rounding::Down(_) => fraction.down(),
            Rounding::HalfEven(_) => fraction.half_even(),
        }
    }

    /// The same for what is taken off: down is away from zero then.
    fn taken(self, fraction: &Fraction) -> i64 {
        match self {
            Rounding::FullSteps | Rounding::Down(_) => fraction.up(),
            Rounding::HalfEven(_) => fraction.half_even(),
        }
    }
}

impl EarningRule {
    /// What multiplies it, of what multiplies anything.
    fn multiplied_by<'m>(&self, multipliers: &[&'m Multiplier]) -> impl Iterator<Item = &'m Multiplier> {
        let own = |multiplier: &&Multiplier| multiplier.rules.is_empty() || multiplier.rules.contains(&self.name);
        multipliers.iter().copied().filter(own)
    }
}

impl Multiplier {
    fn holds(&self, subject: &Subject<'_>, tier: Option<&TierName>) -> bool {
        let Multiplier { name: _, by: _, tiers, when, rules: _, from, until } = self;
        from.is_none_or(|from| from <= subject.at)
            && until.is_none_or(|until| subject.at < until)
            && (tiers.is_empty() || tier.is_some_and(|tier| tiers.contains(tier)))
            && when.as_ref().is_none_or(|when| when.holds(subject))
    }
}

impl Refusal<'_> {
    fn told(self, subject: &Subject<'_>) -> Reason {
        match self {
            Refusal::Paused => Reason::Paused,
            Refusal::OutsideOfTime => Reason::OutsideOfTime,
            Refusal::OtherCountry => Reason::OtherCountry,
            Refusal::OtherChannel => Reason::OtherChannel,
            Refusal::OtherCurrency => Reason::OtherCurrency,
            Refusal::NothingCounts => Reason::NothingCounts,
            Refusal::BelowMinimum { counted_minor, minimum } => Reason::BelowMinimum { counted_minor, minimum },
            Refusal::NotForThem(when) => Reason::NotForThem(when.explain(subject)),
        }
    }
}

impl Counted<'_, '_> {
    /// What was paid of it in money, in minor units and rounded down.
    fn paid(&self, Share { over, under }: Share) -> i64 {
        let paid = u128::from(self.minor) * u128::from(over) / u128::from(under.max(1));
        i64::try_from(paid).unwrap_or(i64::MAX)
    }

    fn is_below(&self, minimum: u64, Share { over, under }: Share) -> bool {
        u128::from(self.minor) * u128::from(over) < u128::from(minimum) * u128::from(under)
    }
}

fn clamp(minor: i128) -> i64 {
    i64::try_from(minor).unwrap_or(if minor < 0 { i64::MIN } else { i64::MAX })
}
