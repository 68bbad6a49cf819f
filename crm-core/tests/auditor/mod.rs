//! A naive auditor of store credit: every amount is a coin in one long list, and everything is looked up anew each time.
//! It shares nothing with the real book but the rules.

use std::collections::BTreeMap;

use crm_core::Timestamp;
use crm_core::credit::HoldEnd;

/// One of three people.
pub(crate) type Who = usize;
/// The name of an error.
pub(crate) type Error = &'static str;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Free,
    Held(usize),
    Spent(usize),
    /// It paid debt, expired, or was taken back.
    Gone,
}

#[derive(Debug, Clone, Copy)]
struct Coin {
    owner: Who,
    minor: i64,
    expires: Option<Timestamp>,
    issued: Timestamp,
    /// Coins of one lot have one number.
    lot: usize,
    place: Place,
}

#[derive(Debug, Clone)]
struct Hold {
    name: u8,
    by: Who,
    until: Timestamp,
    end: Option<HoldEnd>,
}

#[derive(Debug, Clone)]
struct Spend {
    by: Who,
    reversed: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Auditor {
    coins: Vec<Coin>,
    holds: Vec<Hold>,
    spends: Vec<Spend>,
    owed: BTreeMap<Who, i64>,
    /// With whom each is one: the same number.
    group: BTreeMap<Who, Who>,
    lots: usize,
}

/// What somebody has: balance, held, owed, and lots that can be spent by how much and until when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) balance: i64,
    pub(crate) held: i64,
    pub(crate) owed: i64,
    pub(crate) lots: Vec<(i64, Option<Timestamp>)>,
}

fn positive(minor: i64) -> Result<(), Error> {
    if minor >= 1 { Ok(()) } else { Err("Amount") }
}

impl Auditor {
    fn of_group(&self, who: Who) -> Vec<Who> {
        let of = |who: Who| self.group.get(&who).copied().unwrap_or(who);
        (0..3).filter(|other| of(*other) == of(who)).collect()
    }

    fn owed(&self, who: Who) -> i64 {
        self.owed.get(&who).copied().unwrap_or(0)
    }

    /// The coins of some people in some place, in the order in which they are spent.
    fn find(&self, owners: &[Who], place: impl Fn(Place) -> bool) -> Vec<usize> {
        let mut found: Vec<usize> = (0..self.coins.len())
            .filter(|n| owners.contains(&self.coins[*n].owner) && place(self.coins[*n].place))
            .collect();
        found.sort_by_key(|n| {
            let Coin { expires, issued, owner, lot, .. } = self.coins[*n];
            (expires.is_none(), expires, issued, owner, lot, *n)
        });
        found
    }

    fn sum(&self, coins: &[usize]) -> i64 {
        coins.iter().map(|n| self.coins[*n].minor).sum()
    }

    fn free(&self, owners: &[Who]) -> i64 {
        self.sum(&self.find(owners, |place| place == Place::Free))
    }

    /// Moves so much of some coins elsewhere, splitting the last one, and gives what is missing.
    fn shift(&mut self, coins: Vec<usize>, mut minor: i64, to: Place) -> i64 {
        for n in coins {
            let part = self.coins[n].minor.min(minor);
            if part == 0 {
                break;
            }
            minor -= part;
            if part < self.coins[n].minor {
                self.coins[n].minor -= part;
                self.coins.push(Coin { minor: part, place: to, ..self.coins[n] });
            } else {
                self.coins[n].place = to;
            }
        }
        minor
    }

    /// Coins go back to their owners, and pay what those owe.
    fn back(&mut self, coins: Vec<usize>) {
        for n in coins {
            let owner = self.coins[n].owner;
            let pays = self.owed(owner).min(self.coins[n].minor);
            self.coins[n].place = Place::Free;
            self.shift(vec![n], pays, Place::Gone);
            *self.owed.entry(owner).or_default() -= pays;
        }
    }

    pub(crate) fn grant(
        &mut self,
        who: Who,
        minor: i64,
        expires: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<(), Error> {
        positive(minor)?;
        if expires.is_some_and(|expires| expires <= at) {
            return Err("ExpiryPast");
        }
        self.lots += 1;
        self.coins.push(Coin { owner: who, minor, expires, issued: at, lot: self.lots, place: Place::Free });
        self.back(vec![self.coins.len() - 1]);
        Ok(())
    }

    fn take(&mut self, who: Who, minor: i64, to: Place) -> Result<(), Error> {
        let all = self.of_group(who);
        let owed: i64 = all.iter().map(|who| self.owed(*who)).sum();
        if self.free(&all) - owed < minor {
            return Err("NotEnough");
        }
        let coins = self.find(&all, |place| place == Place::Free);
        assert_eq!(self.shift(coins, minor, to), 0);
        Ok(())
    }

    pub(crate) fn spend(&mut self, who: Who, minor: i64) -> Result<(), Error> {
        positive(minor)?;
        self.take(who, minor, Place::Spent(self.spends.len()))?;
        self.spends.push(Spend { by: who, reversed: false });
        Ok(())
    }

    pub(crate) fn hold(
        &mut self,
        who: Who,
        name: u8,
        minor: i64,
        until: Timestamp,
        at: Timestamp,
    ) -> Result<(), Error> {
        positive(minor)?;
        if until <= at {
            return Err("ExpiryPast");
        }
        let all = self.of_group(who);
        if self.holds.iter().any(|hold| hold.name == name && all.contains(&hold.by)) {
            return Err("HoldExists");
        }
        self.take(who, minor, Place::Held(self.holds.len()))?;
        self.holds.push(Hold { name, by: who, until, end: None });
        Ok(())
    }

    fn open(&self, who: Who, name: u8) -> Result<usize, Error> {
        let all = self.of_group(who);
        let named: Vec<usize> =
            (0..self.holds.len()).filter(|n| self.holds[*n].name == name && all.contains(&self.holds[*n].by)).collect();
        let error = |n: usize| match self.holds[n].end {
            Some(HoldEnd::Captured) => "HoldCaptured",
            Some(HoldEnd::Released) => "HoldReleased",
            Some(HoldEnd::Lapsed) => "HoldLapsed",
            None => "open",
        };
        if let Some(own) = named.iter().find(|n| self.holds[**n].by == who) {
            return if self.holds[*own].end.is_none() { Ok(*own) } else { Err(error(*own)) };
        }
        let open: Vec<usize> = named.iter().copied().filter(|n| self.holds[*n].end.is_none()).collect();
        match open[..] {
            [only] => Ok(only),
            [] => Err(named.iter().min_by_key(|n| self.holds[**n].by).map_or("NoHold", |n| error(*n))),
            [_, _, ..] => Err("HoldAmbiguous"),
        }
    }

    pub(crate) fn capture(&mut self, who: Who, name: u8, minor: Option<i64>) -> Result<(), Error> {
        let hold = self.open(who, name)?;
        let held = self.find(&[0, 1, 2], |place| place == Place::Held(hold));
        let minor = minor.unwrap_or_else(|| self.sum(&held));
        positive(minor)?;
        if minor > self.sum(&held) {
            return Err("HoldShort");
        }
        self.shift(held, minor, Place::Spent(self.spends.len()));
        self.spends.push(Spend { by: self.holds[hold].by, reversed: false });
        self.end(hold, HoldEnd::Captured);
        Ok(())
    }

    pub(crate) fn release(&mut self, who: Who, name: u8) -> Result<(), Error> {
        let hold = self.open(who, name)?;
        self.end(hold, HoldEnd::Released);
        Ok(())
    }

    fn end(&mut self, hold: usize, end: HoldEnd) {
        let rest = self.find(&[0, 1, 2], |place| place == Place::Held(hold));
        self.back(rest);
        self.holds[hold].end = Some(end);
    }

    pub(crate) fn adjust(&mut self, who: Who, minor: i64) -> Result<(), Error> {
        positive(minor)?;
        let own = self.find(&[who], |place| place == Place::Free);
        if self.sum(&own) < minor {
            return Err("NotEnough");
        }
        self.shift(own, minor, Place::Gone);
        Ok(())
    }

    pub(crate) fn reverse(
        &mut self,
        who: Who,
        spend: usize,
        minor: Option<i64>,
        expired_until: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<(), Error> {
        if spend >= self.spends.len() || !self.of_group(who).contains(&self.spends[spend].by) {
            return Err("NoSpend");
        }
        if expired_until.is_some_and(|until| until <= at) {
            return Err("ExpiryPast");
        }
        if self.spends[spend].reversed {
            return Err("AlreadyReversed");
        }
        let mut gone = self.find(&[0, 1, 2], |place| place == Place::Spent(spend));
        let minor = minor.unwrap_or_else(|| self.sum(&gone));
        positive(minor)?;
        if minor > self.sum(&gone) {
            return Err("ReversalTooLarge");
        }
        self.spends[spend].reversed = true;
        // What lasts longest comes first; what stays behind stays spent.
        gone.reverse();
        let mark = Place::Held(usize::MAX);
        self.shift(gone, minor, mark);
        let is_over = |coin: &Coin| coin.expires.is_some_and(|expires| expires <= at);
        let mut renewed: Vec<usize> = self.find(&[0, 1, 2], |place| place == mark);
        renewed.retain(|n| is_over(&self.coins[*n]) && expired_until.is_some());
        renewed.iter().for_each(|n| self.coins[*n].expires = expired_until);
        renewed.sort_by_key(|n| (self.coins[*n].issued, self.coins[*n].owner, self.coins[*n].lot));
        // They are lots of their own.
        let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
        for n in renewed {
            let lot = self.coins[n].lot;
            self.lots += usize::from(!numbers.contains_key(&lot));
            self.coins[n].lot = *numbers.entry(lot).or_insert(self.lots);
        }
        let back = self.find(&[0, 1, 2], |place| place == mark);
        self.back(back);
        Ok(())
    }

    /// Everything that is over at an instant.
    pub(crate) fn pass(&mut self, at: Timestamp) {
        for hold in 0..self.holds.len() {
            if self.holds[hold].end.is_none() && self.holds[hold].until <= at {
                self.end(hold, HoldEnd::Lapsed);
            }
        }
        for coin in &mut self.coins {
            if coin.place == Place::Free && coin.expires.is_some_and(|expires| expires <= at) {
                coin.place = Place::Gone;
            }
        }
    }

    pub(crate) fn merge(&mut self, one: Who, other: Who) {
        let all: Vec<Who> = self.of_group(one).into_iter().chain(self.of_group(other)).collect();
        let first = all.iter().copied().min().unwrap_or(one);
        all.into_iter().for_each(|who| {
            self.group.insert(who, first);
        });
    }

    /// Those who leave are apart from now on, and everybody pays for themself.
    pub(crate) fn part(&mut self, leaving: &[Who], at: Timestamp) {
        let all = self.of_group(leaving[0]);
        let charge = |auditor: &mut Self, lender: Who, borrower: Who, place: Place| {
            let lent = auditor.find(&[lender], |own| own == place);
            let minor = auditor.sum(&lent);
            auditor.back(lent);
            let own = auditor.find(&[borrower], |place| place == Place::Free);
            let missing = auditor.shift(own, minor, place);
            if missing > 0 {
                *auditor.owed.entry(borrower).or_default() += missing;
                auditor.lots += 1;
                let (lot, expires) = (auditor.lots, None);
                auditor.coins.push(Coin { owner: borrower, minor: missing, expires, issued: at, lot, place });
            }
        };
        for lender in &all {
            for borrower in all.iter().filter(|other| leaving.contains(other) != leaving.contains(lender)) {
                for spend in 0..self.spends.len() {
                    if self.spends[spend].by == *borrower {
                        charge(self, *lender, *borrower, Place::Spent(spend));
                    }
                }
                for hold in 0..self.holds.len() {
                    if self.holds[hold].by == *borrower && self.holds[hold].end.is_none() {
                        charge(self, *lender, *borrower, Place::Held(hold));
                    }
                }
            }
        }
        let staying: Vec<Who> = all.into_iter().filter(|who| !leaving.contains(who)).collect();
        for side in [leaving, &staying] {
            let first = side.iter().copied().min().unwrap_or(0);
            side.iter().for_each(|who| {
                self.group.insert(*who, first);
            });
        }
    }

    pub(crate) fn see(&self, who: Who) -> Seen {
        let free = self.find(&[who], |place| place == Place::Free);
        let open = |hold: usize| self.holds.get(hold).is_some_and(|hold| hold.end.is_none());
        let held = self.find(&[who], |place| matches!(place, Place::Held(hold) if open(hold)));
        let mut lots: Vec<(usize, i64, Option<Timestamp>)> = Vec::new();
        for n in &free {
            let Coin { lot, minor, expires, .. } = self.coins[*n];
            match lots.iter_mut().find(|(own, ..)| *own == lot) {
                Some((_, sum, _)) => *sum += minor,
                None => lots.push((lot, minor, expires)),
            }
        }
        let lots = lots.into_iter().map(|(_, minor, expires)| (minor, expires)).collect();
        Seen { balance: self.sum(&free), held: self.sum(&held), owed: self.owed(who), lots }
    }
}
