//! A second set of books, kept as simply as can be: a list of points with what is known of them, and nothing that is
//! worked out cleverly. It knows the rules of a programme from its documentation and not from the library's code.

use std::collections::BTreeMap;

/// Instants in milliseconds.
pub(crate) type At = i64;
/// A day in milliseconds.
pub(crate) const DAY: At = 86_400_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Pending(At),
    Active,
    Held(u32),
}

#[derive(Debug, Clone)]
pub(crate) struct Points {
    pub(crate) points: i64,
    pub(crate) place: Place,
    pub(crate) earned: At,
    pub(crate) expires: Option<At>,
    /// Which lot it is of, in the order in which lots were opened.
    lot: u32,
    /// When they were given first: later they may have expired and been given back.
    first: At,
    order: Option<u32>,
}

/// What becomes of what is to be taken back and is not there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Missing {
    Owed,
    OwedUpTo(i64),
    Borne,
}

/// The rules, as plain numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) pending: Option<At>,
    pub(crate) expires: Option<At>,
    pub(crate) missing: Missing,
    pub(crate) reinstate: Option<At>,
}

#[derive(Debug, Clone, Default)]
struct Order {
    euros: i64,
    refunded: i64,
    posted: i64,
    expired: i64,
    voided: bool,
    /// What was spent for it, each with what had been refunded before.
    spent: Vec<(i64, i64)>,
    /// How often all that was spent for it was back.
    rounds: u32,
    /// What was spent for it and did not come back: what lot, when it was earned, when it expires, of which order.
    out: Vec<Points>,
}

impl Points {
    /// Whether what comes back goes into one lot with it.
    fn is_like(&self, other: &Self) -> bool {
        let of = |points: &Self| (points.earned, points.expires, points.order, points.first);
        of(self) == of(other)
    }
}

impl Order {
    /// How many of the points that were spent for it are to be back by what was refunded.
    fn share(&self) -> i64 {
        let of = |(points, before): &(i64, i64)| points * (self.refunded - before) / (self.euros - before).max(1);
        self.spent.iter().map(of).sum()
    }

    /// How many are.
    fn back(&self) -> i64 {
        let spent: i64 = self.spent.iter().map(|(points, _)| points).sum();
        spent - self.out.iter().map(|points| points.points).sum::<i64>()
    }
}

/// What expired at one time: until when it can be given back, how much, and how much of it which orders had earned, or was
/// given when.
type Gone = (At, i64, Vec<(Option<u32>, At, i64)>);

/// Something that can be undone.
#[derive(Debug, Clone)]
enum Doing {
    /// How many points, and when.
    Gave(i64, At),
    Took(Vec<Points>, Option<Paid>),
}

/// What was paid with points.
#[derive(Debug, Clone, Copy)]
struct Paid {
    order: u32,
    /// What had been refunded before.
    before: i64,
    /// In which round.
    round: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Book {
    rules: Rules,
    pub(crate) all: Vec<Points>,
    pub(crate) owed: i64,
    pub(crate) earned: i128,
    pub(crate) spent: i128,
    pub(crate) reversed: i128,
    pub(crate) expired: i128,
    pub(crate) adjusted: i128,
    orders: BTreeMap<u32, Order>,
    holds: BTreeMap<u32, Option<At>>,
    gone: Vec<Gone>,
    /// How much has expired of what no order had earned, by when it was given.
    given_gone: BTreeMap<At, i64>,
    done: Vec<Option<Doing>>,
    lots: u32,
}

impl Book {
    pub(crate) fn new(rules: Rules) -> Self {
        Book {
            rules,
            all: Vec::new(),
            owed: 0,
            earned: 0,
            spent: 0,
            reversed: 0,
            expired: 0,
            adjusted: 0,
            orders: BTreeMap::new(),
            holds: BTreeMap::new(),
            gone: Vec::new(),
            given_gone: BTreeMap::new(),
            done: Vec::new(),
            lots: 0,
        }
    }

    pub(crate) fn sum(&self, of: impl Fn(&Place) -> bool) -> i128 {
        self.all.iter().filter(|points| of(&points.place)).map(|points| i128::from(points.points)).sum()
    }

    pub(crate) fn balance(&self) -> i128 {
        self.sum(|place| *place == Place::Active) - i128::from(self.owed)
    }

    pub(crate) fn held_under(&self, hold: u32) -> i64 {
        self.all.iter().filter(|points| points.place == Place::Held(hold)).map(|points| points.points).sum()
    }

    /// Everything that is due by an instant, one instant after another.
    pub(crate) fn tick(&mut self, now: At) {
        loop {
            let holds = self.holds.values().flatten().copied();
            let points = self.all.iter().flat_map(|points| match points.place {
                Place::Pending(until) => [Some(until), points.expires],
                Place::Active => [points.expires, None],
                Place::Held(_) => [None, None],
            });
            let Some(at) = holds.chain(points.flatten()).min().filter(|at| *at <= now) else { return };
            self.due(at);
        }
    }

    fn due(&mut self, at: At) {
        let ended: Vec<u32> = self
            .holds
            .iter()
            .filter(|(_, until)| until.is_some_and(|until| until <= at))
            .map(|(hold, _)| *hold)
            .collect();
        ended.into_iter().for_each(|hold| self.let_go(hold));
        for n in 0..self.all.len() {
            if matches!(self.all[n].place, Place::Pending(until) if until <= at) {
                self.all[n].place = Place::Active;
                self.pay(n);
            }
        }
        let mut gone = 0;
        let mut of = Vec::new();
        for points in &mut self.all {
            let free = !matches!(points.place, Place::Held(_));
            if free && points.expires.is_some_and(|expires| expires <= at) {
                gone += points.points;
                match points.order {
                    Some(order) => self.orders.entry(order).or_default().expired += points.points,
                    None => *self.given_gone.entry(points.first).or_default() += points.points,
                }
                of.push((
                    (points.order.is_none(), points.expires, points.earned, points.lot),
                    points.order,
                    points.first,
                    points.points,
                ));
                points.points = 0;
            }
        }
        self.expired += i128::from(gone);
        if let Some(window) = self.rules.reinstate.filter(|_| gone > 0) {
            // What orders had earned is given back first, in the order in which it would have been spent.
            of.sort();
            let of = of.into_iter().map(|(_, order, first, points)| (order, first, points));
            self.gone.push((at + window, gone, of.collect()));
            if self.gone.len() > 16 {
                self.gone.remove(0);
            }
        }
        self.sweep();
    }

    fn sweep(&mut self) {
        self.all.retain(|points| points.points != 0);
    }

    /// Points that have become active pay what is owed.
    fn pay(&mut self, n: usize) {
        let pays = self.all[n].points.min(self.owed);
        self.owed -= pays;
        self.all[n].points -= pays;
    }

    fn come(&mut self, points: i64, place: Place, earned: At, expires: Option<At>, order: Option<u32>) {
        self.come_back_of(points, place, earned, expires, (order, earned));
    }

    fn come_back_of(&mut self, points: i64, place: Place, earned: At, expires: Option<At>, of: (Option<u32>, At)) {
        let (order, first) = of;
        self.all.push(Points { points, place, earned, expires, lot: self.lots, first, order });
        self.lots += 1;
        if self.all.last().is_some_and(|points| points.place == Place::Active) {
            self.pay(self.all.len() - 1);
        }
        self.sweep();
    }

    /// Takes from a place those that expire soonest, then the oldest; those of one order first. Gives what it took.
    fn go(&mut self, mut points: i64, from: &Place, first: Option<u32>) -> Vec<Points> {
        let mut places: Vec<usize> = (0..self.all.len()).filter(|n| self.all[*n].place == *from).collect();
        places.sort_by_key(|n| {
            let one = &self.all[*n];
            let own = first.is_some() && one.order == first;
            (!own, one.expires.is_none(), one.expires, one.earned, one.lot)
        });
        let mut gone = Vec::new();
        for n in places {
            let part = points.min(self.all[n].points);
            if part > 0 {
                points -= part;
                self.all[n].points -= part;
                gone.push(Points { points: part, ..self.all[n].clone() });
            }
        }
        self.sweep();
        gone
    }

    fn take_back(&mut self, points: i64, order: Option<u32>) {
        let mut left = points;
        if let Some(order) = order {
            let own: Vec<usize> = (0..self.all.len()).filter(|n| self.all[*n].order == Some(order)).collect();
            for n in own {
                if matches!(self.all[n].place, Place::Pending(_)) {
                    let part = left.min(self.all[n].points);
                    left -= part;
                    self.all[n].points -= part;
                }
            }
            self.sweep();
        }
        left -= self.go(left, &Place::Active, order).iter().map(|gone| gone.points).sum::<i64>();
        let owed = match self.rules.missing {
            Missing::Owed => left,
            Missing::OwedUpTo(most) => left.min((most - self.owed).max(0)),
            Missing::Borne => 0,
        };
        self.owed += owed;
        self.adjusted += i128::from(left - owed);
    }

    fn let_go(&mut self, hold: u32) {
        self.holds.remove(&hold);
        for n in 0..self.all.len() {
            if self.all[n].place == Place::Held(hold) {
                self.all[n].place = Place::Active;
                self.pay(n);
            }
        }
        self.sweep();
    }

    // ---- what the shop does; each says whether it is allowed ----

    pub(crate) fn order(&mut self, order: u32, euros: i64, now: At) {
        self.orders.insert(order, Order { euros, posted: euros, ..Order::default() });
        self.earned += i128::from(euros);
        let expires = self.rules.expires.map(|lasts| now + lasts);
        let place = self.rules.pending.map_or(Place::Active, |wait| Place::Pending(now + wait));
        self.come(euros, place, now, expires, Some(order));
    }

    /// The order never was: all that it gave goes, and all that was paid for it and is not back comes back.
    pub(crate) fn void(&mut self, order: u32) {
        let Some(known) = self.orders.get_mut(&order).filter(|known| !known.voided) else { return };
        known.voided = true;
        self.follow(order);
        let back = self.orders[&order].out.iter().map(|points| points.points).sum();
        self.come_back(order, back);
    }

    /// What an order gave and is not entitled to any more goes, but for what expired.
    fn follow(&mut self, order: u32) {
        let known = self.orders.entry(order).or_default();
        let entitled = if known.voided { 0 } else { known.euros - known.refunded };
        let due = (known.posted - entitled).min(known.posted - known.expired).max(0);
        known.posted -= due;
        self.reversed += i128::from(due);
        self.take_back(due, Some(order));
    }

    fn is_voided(&self, order: Option<u32>) -> bool {
        order.and_then(|order| self.orders.get(&order)).is_some_and(|known| known.voided)
    }

    pub(crate) fn refund(&mut self, order: u32, euros: i64) {
        let Some(known) = self.orders.get_mut(&order).filter(|known| !known.voided) else { return };
        known.refunded = (known.refunded + euros).min(known.euros);
        self.follow(order);
        let known = &self.orders[&order];
        let back = (known.share() - known.back()).max(0);
        self.come_back(order, back);
    }

    /// So much of what was spent for an order comes back, the last first.
    fn come_back(&mut self, order: u32, mut points: i64) {
        self.spent -= i128::from(points);
        while points > 0 {
            let known = self.orders.entry(order).or_default();
            let mut last = known.out.pop().unwrap();
            let part = points.min(last.points);
            points -= part;
            last.points -= part;
            let back = Points { points: part, ..last.clone() };
            if last.points > 0 {
                known.out.push(last);
            }
            self.restore(back);
        }
        self.forget_paid(order);
    }

    /// When all that was spent for an order is back, what is spent for it from then on stands by itself.
    fn forget_paid(&mut self, order: u32) {
        let known = self.orders.entry(order).or_default();
        if known.out.is_empty() {
            known.spent.clear();
            known.rounds += 1;
        }
    }

    fn restore(&mut self, back: Points) {
        let there = self.all.iter().find(|one| one.is_like(&back));
        let lot = there.map(|one| one.lot);
        self.come_back_of(back.points, Place::Active, back.earned, back.expires, (back.order, back.first));
        if let (Some(lot), Some(last)) = (lot, self.all.last_mut())
            && last.is_like(&back)
        {
            last.lot = lot;
        }
    }

    pub(crate) fn award(&mut self, points: i64, now: At) {
        self.earned += i128::from(points);
        self.done.push(Some(Doing::Gave(points, now)));
        self.come(points, Place::Active, now, self.rules.expires.map(|lasts| now + lasts), None);
    }

    pub(crate) fn adjust(&mut self, points: i64, now: At) -> bool {
        if points < 0 && self.balance() < i128::from(-points) {
            return false;
        }
        self.adjusted += i128::from(points);
        if points > 0 {
            self.come(points, Place::Active, now, self.rules.expires.map(|lasts| now + lasts), None);
        } else {
            self.go(-points, &Place::Active, None);
        }
        true
    }

    pub(crate) fn redeem(&mut self, points: i64, order: Option<u32>) -> bool {
        if self.balance() < i128::from(points) || self.is_voided(order) {
            return false;
        }
        let gone = self.go(points, &Place::Active, None);
        self.spend(gone, order);
        true
    }

    fn spend(&mut self, gone: Vec<Points>, order: Option<u32>) {
        let points: i64 = gone.iter().map(|points| points.points).sum();
        self.spent += i128::from(points);
        let mut paid = None;
        if let Some(order) = order {
            let known = self.orders.entry(order).or_default();
            match known.spent.last_mut().filter(|(_, before)| *before == known.refunded) {
                Some((there, _)) => *there += points,
                None => known.spent.push((points, known.refunded)),
            }
            known.out.extend(gone.iter().cloned());
            paid = Some(Paid { order, before: known.refunded, round: known.rounds });
        }
        self.done.push(Some(Doing::Took(gone, paid)));
    }

    pub(crate) fn hold(&mut self, hold: u32, points: i64, until: Option<At>, now: At) -> bool {
        let taken = self.holds.contains_key(&hold) || self.holds.len() >= 64;
        if taken || self.balance() < i128::from(points) || until.is_some_and(|until| until <= now) {
            return false;
        }
        let gone = self.go(points, &Place::Active, None);
        self.all.extend(gone.into_iter().map(|points| Points { place: Place::Held(hold), ..points }));
        self.holds.insert(hold, until);
        true
    }

    pub(crate) fn capture(&mut self, hold: u32, points: Option<i64>, order: Option<u32>) -> bool {
        let held = self.held_under(hold);
        let points = points.unwrap_or(held);
        if !self.holds.contains_key(&hold) || points > held || points < 1 || self.is_voided(order) {
            return false;
        }
        let gone = self.go(points, &Place::Held(hold), None);
        self.spend(gone, order);
        self.let_go(hold);
        true
    }

    pub(crate) fn release(&mut self, hold: u32) -> bool {
        let there = self.holds.contains_key(&hold);
        self.let_go(hold);
        there
    }

    pub(crate) fn reinstate(&mut self, points: i64, now: At) -> bool {
        let open: i64 = self.gone.iter().filter(|(until, ..)| *until > now).map(|(_, points, _)| *points).sum();
        if points > open || self.rules.reinstate.is_none() {
            return false;
        }
        let mut left = points;
        let mut back = Vec::new();
        for (_, points, of) in self.gone.iter_mut().filter(|(until, ..)| *until > now) {
            for (order, first, there) in of {
                let part = left.min(*there);
                *there -= part;
                *points -= part;
                left -= part;
                back.push((*order, *first, part));
            }
        }
        self.gone.retain(|(_, points, _)| *points > 0);
        self.expired -= i128::from(points);
        let expires = self.rules.expires.map(|lasts| now + lasts);
        let mut orders: Vec<u32> = back.iter().filter_map(|(order, ..)| *order).collect();
        for (order, first, points) in back.into_iter().filter(|(.., points)| *points > 0) {
            match order {
                Some(order) => self.orders.entry(order).or_default().expired -= points,
                None => *self.given_gone.entry(first).or_default() -= points,
            }
            self.come_back_of(points, Place::Active, now, expires, (order, first));
        }
        // Some of it may be of orders that came back meanwhile: those that never were first.
        orders.sort_by_key(|order| (!self.is_voided(Some(*order)), *order));
        orders.dedup();
        orders.into_iter().for_each(|order| self.follow(order));
        true
    }

    /// How many things were done that can be undone.
    pub(crate) fn done(&self) -> usize {
        self.done.len()
    }

    pub(crate) fn undo(&mut self, which: usize) -> bool {
        match self.done[which].take() {
            None => false,
            Some(Doing::Gave(points, given)) => {
                // What has expired by itself is not taken once more, and counts for one of those that were given then.
                let own = self.given_gone.entry(given).or_default();
                let mut gone = points.min(*own);
                *own -= gone;
                let points = points - gone;
                // Nor is it given back any more, what could be for longest first.
                for (_, open, of) in self.gone.iter_mut().rev() {
                    for (order, first, there) in of {
                        if order.is_none() && *first == given {
                            let part = gone.min(*there);
                            gone -= part;
                            *there -= part;
                            *open -= part;
                        }
                    }
                }
                self.gone.retain(|(_, points, _)| *points > 0);
                self.earned -= i128::from(points);
                self.take_back(points, None);
                true
            }
            Some(Doing::Took(gone, None)) => {
                self.spent -= gone.iter().map(|points| i128::from(points.points)).sum::<i128>();
                gone.into_iter().rev().for_each(|points| self.restore(points));
                true
            }
            Some(Doing::Took(gone, Some(Paid { order, before, round }))) => {
                let points: i64 = gone.iter().map(|points| points.points).sum();
                let known = self.orders.entry(order).or_default();
                // All of it came back, and what was paid since is none of it.
                if known.rounds != round {
                    return true;
                }
                // The order was not paid with it: what came back is that of the others first, as far as it is their share.
                let back = known.back();
                let mut less = points;
                for own in [true, false] {
                    for (points, _) in known.spent.iter_mut().rev().filter(|(_, told)| !own || *told == before) {
                        let part = less.min(*points);
                        *points -= part;
                        less -= part;
                    }
                }
                known.spent.retain(|(points, _)| *points > 0);
                let out: i64 = known.out.iter().map(|points| points.points).sum();
                let left = (points - (back - known.share())).clamp(0, points).min(out);
                self.come_back(order, left);
                true
            }
        }
    }
}
