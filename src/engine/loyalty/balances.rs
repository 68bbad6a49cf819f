//! Balances of another system, what is said of them, and what is wrong with them.

use crm_core::loyalty::{ImportFault, ImportName, ImportPoints, ImportSums, ImportedLot, ProgramId, Qualifying};
use crm_core::{CustomerId, Remark, Source};

use crate::incoming::Who;
use crate::points_csv::RowFault;

/// How many problems of an import are told one by one.
pub const PROBLEMS_MAX: usize = 100;

/// One customer's points in another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedBalance {
    /// Whose.
    pub who: Who,
    /// What is left of what was earned.
    pub lots: Vec<ImportedLot>,
    /// What counts towards tiers, by when it was earned.
    pub qualifying: Vec<Qualifying>,
    /// What the customer owes.
    pub owed: i64,
    /// The balance as the other system states it: it has to be what the lots come to that are not over, less what is
    /// owed. None where it states none.
    pub stated: Option<i128>,
}

impl ImportedBalance {
    /// One of some lots.
    #[must_use]
    pub fn new(who: impl Into<Who>, lots: Vec<ImportedLot>) -> Self {
        ImportedBalance { who: who.into(), lots, qualifying: Vec::new(), owed: 0, stated: None }
    }

    /// With points that count towards tiers.
    #[must_use]
    pub fn with_qualifying(mut self, qualifying: Vec<Qualifying>) -> Self {
        self.qualifying = qualifying;
        self
    }

    /// With a debt.
    #[must_use]
    pub const fn owing(mut self, owed: i64) -> Self {
        self.owed = owed;
        self
    }

    /// With the balance as the other system states it.
    #[must_use]
    pub const fn stated(mut self, balance: i128) -> Self {
        self.stated = Some(balance);
        self
    }
}

/// A balance as it was read, or why it could not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceRow {
    /// In which line of a table, from 1; none where there is no table.
    pub line: Option<u64>,
    /// The balance.
    pub balance: Result<ImportedBalance, RowFault>,
}

impl From<ImportedBalance> for BalanceRow {
    fn from(balance: ImportedBalance) -> Self {
        BalanceRow { line: None, balance: Ok(balance) }
    }
}

/// What becomes of balances of identifiers that nobody has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum UnknownCustomers {
    /// They are problems, and nothing is taken in.
    #[default]
    Refused,
    /// They are new customers, introduced by a fact of this source.
    Introduced(Source),
}

/// What an import has to come to; what is none is not compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExpectedPoints {
    /// How many balances.
    pub balances: Option<u64>,
    /// Points of lots that are not over.
    pub points: Option<i128>,
    /// Points of lots that are over.
    pub expired: Option<i128>,
    /// Points that are owed.
    pub owed: Option<i128>,
    /// Points that count towards tiers.
    pub qualifying: Option<i128>,
}

/// An import of balances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointsImport {
    /// Into which programme; it has to be in force.
    pub program: ProgramId,
    /// Its name. Under the same name each customer's balance is taken in once.
    pub name: ImportName,
    /// As the balances are called where they come from; it is with each posting.
    pub reason: Remark,
    /// What it has to come to.
    pub expected: ExpectedPoints,
    /// What becomes of identifiers that nobody has.
    pub unknown: UnknownCustomers,
}

impl PointsImport {
    /// One of customers who are known, with nothing to compare it with.
    #[must_use]
    pub fn new(program: ProgramId, name: ImportName, reason: Remark) -> Self {
        let (expected, unknown) = Default::default();
        PointsImport { program, name, reason, expected, unknown }
    }

    pub(super) fn command(&self, balance: ImportedBalance) -> ImportPoints {
        let ImportedBalance { who: _, lots, qualifying, owed, stated: _ } = balance;
        ImportPoints { program: self.program.clone(), reason: self.reason.clone(), lots, qualifying, owed }
    }

    /// The key of each customer's request: two names of at most 64 bytes fit in, and no two pairs of names are alike.
    pub(super) fn key(&self) -> String {
        let program = self.program.as_str();
        format!("import-points:{}:{program}:{}", program.len(), self.name.as_str())
    }
}

/// What is wrong with one balance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportProblemKind {
    /// It could not be read.
    #[error(transparent)]
    Row(#[from] RowFault),
    /// It is none.
    #[error(transparent)]
    Balance(#[from] ImportFault),
    /// Nobody is found.
    #[error("there is no such customer")]
    Unknown,
    /// The same customer's came before.
    #[error("the same customer has balance {first} already")]
    Twice {
        /// Which one that was, from 0.
        first: u64,
    },
    /// It is not what the other system states.
    #[error("the lots come to {found} points, and {stated} are stated")]
    Stated {
        /// As stated.
        stated: i128,
        /// As found.
        found: i128,
    },
    /// Another balance of this customer was taken in under the same name before.
    #[error("another balance of this customer was taken in before under this name")]
    Before,
}

/// A problem, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("balance {place}{}: {kind}", line_of(*.line))]
pub struct ImportProblem {
    /// Which balance, from 0, of those that were read and those that could not be.
    pub place: u64,
    /// In which line of a table.
    pub line: Option<u64>,
    /// What it is.
    pub kind: ImportProblemKind,
}

fn line_of(line: Option<u64>) -> String {
    line.map(|line| format!(" in line {line}")).unwrap_or_default()
}

/// A total that is not what it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportDifference {
    /// Of what.
    pub what: &'static str,
    /// As expected.
    pub expected: i128,
    /// As found.
    pub found: i128,
}

/// Why balances were not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PointsImportError {
    /// They were looked at, and nothing was written.
    #[error("{} of the balances have problems, and {} of the totals differ", .0.problems_in_all, .0.differences.len())]
    Refused(Box<PointsImportChecked>),
    /// What was read the second time is not what was looked at before. Those before it were taken in.
    #[error("balance {place} was another one when it was looked at")]
    Changed {
        /// Which balance, from 0.
        place: u64,
    },
}

/// What looking at balances came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PointsImportChecked {
    /// What those come to that are without a fault.
    pub sums: ImportSums,
    /// How many of them were taken in under this name before.
    pub known: u64,
    /// How many of them are of identifiers that nobody has.
    pub newcomers: u64,
    /// The first [`PROBLEMS_MAX`] problems.
    pub problems: Vec<ImportProblem>,
    /// How many there are in all.
    pub problems_in_all: u64,
    /// Totals that are not what they have to be.
    pub differences: Vec<ImportDifference>,
}

impl PointsImportChecked {
    /// Whether it can be taken in.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.problems_in_all == 0 && self.differences.is_empty()
    }

    pub(super) fn problem(&mut self, place: u64, line: Option<u64>, kind: impl Into<ImportProblemKind>) {
        self.problems_in_all += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(ImportProblem { place, line, kind: kind.into() });
        }
    }

    pub(super) fn compare(&mut self, expected: &ExpectedPoints) {
        let ExpectedPoints { balances, points, expired, owed, qualifying } = *expected;
        let all = [
            ("balances", balances.map(i128::from), self.sums.balances.into()),
            ("points", points, self.sums.points),
            ("expired points", expired, self.sums.expired),
            ("points owed", owed, self.sums.owed),
            ("qualifying points", qualifying, self.sums.qualifying),
        ];
        let differ = all.into_iter().filter_map(|(what, expected, found)| {
            let expected = expected.filter(|expected| *expected != found)?;
            Some(ImportDifference { what, expected, found })
        });
        self.differences = differ.collect();
    }
}

/// What taking in balances came to. What was known already is in the sums, and was not posted again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PointsImported {
    /// What all come to.
    pub sums: ImportSums,
    /// How many were taken in now.
    pub taken: u64,
    /// How many had been before.
    pub known: u64,
    /// How many customers are new.
    pub introduced: u64,
}

/// What an import tells while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportStep {
    /// So many balances were looked at.
    Checked {
        /// How many.
        balances: u64,
    },
    /// A customer's balance was taken in.
    Taken {
        /// Which one, from 0.
        place: u64,
        /// Whose.
        customer: CustomerId,
        /// What it comes to.
        sums: ImportSums,
        /// Whether it had been before.
        known: bool,
    },
}
