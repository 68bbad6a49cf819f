//! Choosing customers by what a store keeps of them in columns and sets.
//!
//! A comparison with a missing number is false, whichever it is; so `Not` of it is true. Every store
//! answers alike: [`Selection::holds`] is what a selection means.

use crm_core::expression::Comparison;
use crm_core::{Column, SetKey, SmolStr};
use serde::{Deserialize, Serialize};

use crate::commit::{Token, Traits};
use crate::error::StorageError;

/// Which customers of a tenant are meant. `Selection::All` of nothing means everybody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// All of these hold; true when there are none.
    All(Vec<Selection>),
    /// At least one of these holds; false when there are none.
    Any(Vec<Selection>),
    /// This does not hold.
    Not(Box<Selection>),
    /// A column compares so with a number.
    Compare(Column, Comparison, i64),
    /// A column has one of these numbers.
    OneOf(Column, Vec<i64>),
    /// A column has no number.
    Missing(Column),
    /// The customer is in a set.
    In(SetKey),
    /// The newest score of a plugin's output compares so with a number. False without a score.
    Score {
        /// The plugin's name.
        plugin: SmolStr,
        /// Which of its outputs.
        output: SmolStr,
        /// How.
        is: Comparison,
        /// With what: a finite number.
        value: f64,
    },
    /// The customer can be found by a token.
    Found(Token),
}

/// What a selection is asked about.
pub trait Selectable {
    /// The customer's numbers and sets.
    fn traits(&self) -> &Traits;
    /// The newest score of a plugin's output.
    fn score(&self, plugin: &str, output: &str) -> Option<f64>;
    /// Whether the customer can be found by a token.
    fn has_token(&self, token: Token) -> bool;
}

impl Selection {
    /// How deep selections may be nested.
    pub const DEPTH_MAX: usize = 64;
    /// How many clauses a selection may have, connectives and listed numbers included.
    pub const CLAUSES_MAX: usize = 1_000;

    /// Everybody.
    pub const EVERYBODY: Selection = Selection::All(Vec::new());

    /// Checks the limits, as each store does before anything else.
    ///
    /// # Errors
    ///
    /// `Malformed` if it is nested too deep, has too many clauses, or compares with a number that is not finite.
    pub fn check(&self) -> Result<(), StorageError> {
        let malformed = |what: String| Err(StorageError::Malformed { what });
        let mut open = vec![(self, 1)];
        let mut clauses = 0;
        while let Some((selection, depth)) = open.pop() {
            clauses += 1;
            if depth > Self::DEPTH_MAX {
                return malformed(format!("a selection nested deeper than {}", Self::DEPTH_MAX));
            }
            match selection {
                Selection::All(parts) | Selection::Any(parts) => open.extend(parts.iter().map(|p| (p, depth + 1))),
                Selection::Not(part) => open.push((part, depth + 1)),
                Selection::OneOf(_, numbers) => clauses += numbers.len(),
                Selection::Score { value, .. } if !value.is_finite() => {
                    return malformed("a score compared with a number that is not finite".into());
                }
                Selection::Compare(..)
                | Selection::Missing(_)
                | Selection::In(_)
                | Selection::Score { .. }
                | Selection::Found(_) => {}
            }
            if clauses + open.len() > Self::CLAUSES_MAX {
                return malformed(format!("a selection of more than {} clauses", Self::CLAUSES_MAX));
            }
        }
        Ok(())
    }

    /// Whether it means a customer. A store without a query language of its own asks this of each.
    #[must_use]
    pub fn holds(&self, customer: &impl Selectable) -> bool {
        let number = |column| customer.traits().columns.get(column);
        match self {
            Selection::All(parts) => parts.iter().all(|part| part.holds(customer)),
            Selection::Any(parts) => parts.iter().any(|part| part.holds(customer)),
            Selection::Not(part) => !part.holds(customer),
            Selection::Compare(column, is, value) => number(*column).is_some_and(|number| is.holds(number, *value)),
            Selection::OneOf(column, numbers) => number(*column).is_some_and(|number| numbers.contains(&number)),
            Selection::Missing(column) => number(*column).is_none(),
            Selection::In(set) => customer.traits().sets.binary_search(set).is_ok(),
            Selection::Score { plugin, output, is, value } => {
                let ordering = customer.score(plugin, output).and_then(|score| score.partial_cmp(value));
                ordering.is_some_and(|ordering| is.holds(ordering as i64, 0))
            }
            Selection::Found(token) => customer.has_token(*token),
        }
    }
}
