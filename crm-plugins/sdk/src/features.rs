//! What a plugin can be told of a customer, each with its unit and meaning. `docs/features.md` has
//! the same as a page.
//!
//! The names are constants, so that a misspelled one does not compile:
//!
//! ```
//! use crm_plugin_sdk::{Batch, Column, features};
//!
//! # fn main() -> Result<(), crm_plugin_sdk::Failure> {
//! let batch = Batch::new(1).with(features::ORDERS, Column::floats([Some(3.0)]));
//! assert_eq!(batch.floats(features::ORDERS)?.get(0), Some(3.0));
//! # Ok(())
//! # }
//! ```
//!
//! A scorer is shorter with [`features!`](crate::features!), which makes a row of them.

use alloc::vec::Vec;

use crate::batch::{Batch, Column};
use crate::failure::Failure;

macro_rules! catalogue {
    ($($constant:ident, $name:ident, $unit:ident, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: &str = stringify!($name);
        )*

        /// All of them, in the order of the catalogue.
        pub const ALL: &[crate::features::Feature] = &[$(crate::features::Feature {
            name: $constant,
            unit: crate::features::Unit::$unit,
            meaning: $meaning,
        }),*];

        /// The same names as a manifest spells them, for the macro: what is not here does not compile.
        #[doc(hidden)]
        #[allow(non_upper_case_globals, reason = "looked up by the name itself")]
        pub mod named {
            $(pub const $name: &str = stringify!($name);)*
        }
    };
}
mod catalogue;

pub use catalogue::*;

/// Where the customer stands in the life cycle, a text. For workflows only.
pub const STAGE: &str = "stage";

/// What the customer is called to this plugin, a text: the same each time, and another name to every other plugin. For
/// workflows only.
pub const CUSTOMER: &str = "customer";

/// Something that is known of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// The name by which a manifest asks for it.
    pub name: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// What it means, and when it is missing.
    pub meaning: &'static str,
}

/// What a feature is counted in. All are whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// A number of things; never negative.
    Count,
    /// Whole days of 24 hours.
    Days,
    /// Minor units of the shop's currency: 1050 in EUR is €10.50.
    MinorUnits,
    /// Points.
    Points,
    /// Milliseconds since 1970-01-01 UTC.
    Millis,
    /// Millionths of one.
    Millionths,
}

/// The feature of a name, if this version of the SDK knows it.
pub fn by_name(name: &str) -> Option<&'static Feature> {
    ALL.iter().find(|feature| feature.name == name)
}

/// Features that are read together. [`features!`](crate::features!) writes it.
pub trait FeatureSet: Sized {
    /// Their names, in the order of the columns.
    const NAMES: &'static [&'static str];
    /// The names for a manifest; for the macros.
    #[doc(hidden)]
    const JSON: &'static str;
    /// The columns of a batch.
    type Columns<'a>;

    /// The columns of these features.
    ///
    /// # Errors
    ///
    /// If the batch has one of them not, or not as numbers.
    fn columns(batch: &Batch) -> Result<Self::Columns<'_>, Failure>;

    /// What the columns hold for `row`.
    fn row(columns: &Self::Columns<'_>, row: usize) -> Self;
}

impl Batch {
    /// A column of scores, customer by customer; `None` where the scorer has nothing to say.
    /// `F` is made by [`features!`](crate::features!).
    ///
    /// # Errors
    ///
    /// If the manifest asks for other features than `F` names.
    pub fn score<F: FeatureSet>(&self, mut score: impl FnMut(F) -> Option<f64>) -> Result<Column, Failure> {
        let columns = F::columns(self)?;
        Ok(self.map(|row| score(F::row(&columns, row))))
    }
}

/// Makes a struct of the features that a scorer looks at: one `Option<f64>` for each, `None` where it
/// is missing. A name that is not in the [catalogue](mod@crate::features) does not compile. The struct also
/// stands for the list of features in a manifest.
///
/// ```
/// use crm_plugin_sdk::{Batch, Column, Failure, Scorer, features, register_scorer};
///
/// features! {
///     /// What the score is made of.
///     struct Inputs { recency_days, orders }
/// }
///
/// #[derive(Default)]
/// struct Pace;
///
/// impl Scorer for Pace {
///     fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
///         Ok(vec![batch.score(|customer: Inputs| Some(customer.recency_days? / customer.orders?.max(1.0)))?])
///     }
/// }
///
/// register_scorer!(Pace { name: "pace", features: Inputs, outputs: ["pace": float] });
/// # fn main() {
/// let batch = Batch::sample(1, 16);
/// assert_eq!(Pace.score(&batch).unwrap()[0].rows(), 16);
/// # }
/// ```
///
/// ```compile_fail
/// crm_plugin_sdk::features! {
///     struct Inputs { recncy_days }
/// }
/// ```
#[macro_export]
macro_rules! features {
    ($(#[$attribute:meta])* $visibility:vis struct $inputs:ident { $($feature:ident),+ $(,)? }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        $visibility struct $inputs {
            $(
                #[doc = concat!("The feature `", stringify!($feature), "`; none if it is missing.")]
                pub $feature: Option<f64>,
            )+
        }

        impl $crate::FeatureSet for $inputs {
            const NAMES: &'static [&'static str] = &[$($crate::features::named::$feature),+];
            const JSON: &'static str = concat!($("\"", stringify!($feature), "\","),+);
            type Columns<'a> = [$crate::Floats<'a>; [$(stringify!($feature)),+].len()];

            fn columns(batch: &$crate::Batch) -> Result<Self::Columns<'_>, $crate::Failure> {
                Ok([$(batch.floats($crate::features::named::$feature)?),+])
            }

            #[inline]
            fn row(columns: &Self::Columns<'_>, row: usize) -> Self {
                let [$($feature),+] = columns;
                $inputs { $($feature: $feature.get(row)),+ }
            }
        }
    };
}

/// How a feature's samples are made: what is asked of every scorer whatever the unit, then by chance.
pub(crate) fn sample(unit: Unit, dice: &mut crate::sample::Dice, rows: usize) -> Column {
    // The largest whole number that a column of floats holds exactly.
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    let is_signed = matches!(unit, Unit::MinorUnits | Unit::Points | Unit::Millis | Unit::Millionths);
    let usual = match unit {
        Unit::Count => 50.0,
        Unit::Days => 1_500.0,
        Unit::MinorUnits => 500_000.0,
        Unit::Points => 20_000.0,
        Unit::Millis => 2e12,
        Unit::Millionths => 2e6,
    };
    let edges = [None, Some(0.0), Some(1.0), Some(LARGEST), Some(if is_signed { -LARGEST } else { 2.0 })];
    let start = dice.below(edges.len() as u64) as usize;
    let cell = |row: usize| match edges.get(row.wrapping_sub(start)) {
        Some(edge) => *edge,
        None if dice.below(16) == 0 => None,
        None if dice.below(16) == 0 => edges[dice.below(edges.len() as u64) as usize],
        None => {
            let number = dice.below(usual as u64 + 1) as f64;
            Some(if is_signed && dice.below(8) == 0 { -number } else { number })
        }
    };
    Column::floats((0..rows).map(cell).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_found_by_its_name() {
        let feature = by_name("spend").unwrap();
        assert_eq!((feature.name, feature.unit), (SPEND, Unit::MinorUnits));
        assert_eq!(by_name("spent"), None);
    }

    features! { struct Two { orders, spend } }

    #[test]
    fn a_row_of_features_is_read_by_name_whatever_the_order_of_the_columns() {
        let batch = Batch::new(2)
            .with(SPEND, Column::floats([Some(5.0), None]))
            .with(ORDERS, Column::floats([Some(1.0), Some(2.0)]));
        let columns = Two::columns(&batch).unwrap();
        assert_eq!(Two::row(&columns, 0), Two { orders: Some(1.0), spend: Some(5.0) });
        assert_eq!(Two::row(&columns, 1), Two { orders: Some(2.0), spend: None });
        assert_eq!(Two::NAMES, ["orders", "spend"]);
        let fewer = Batch::new(0).with(ORDERS, Column::floats([]));
        assert_eq!(Two::columns(&fewer).unwrap_err().code(), "no-such-feature");
    }
}
