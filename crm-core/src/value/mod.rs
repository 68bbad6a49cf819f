//! What customers are worth to the shop, as functions of plain values: nothing here reads a state or a store.
//!
//! - [`RfmPolicy`] scores by recency, frequency and monetary value, and [`RfmGroup`] names eleven groups by these.
//! - [`Pareto`] finds the key customers, how concentrated a base is, and who costs more than they bring.
//! - [`CostPolicy`] tells margin where cost is known, and [`Debt`] what was not paid in time.
//! - [`InfluencePolicy`] ranks by ties, and [`referral_values`] by what the referred spend.
//! - [`CompositePolicy`] makes one value of several, with tiers.
//!
//! Money is whole minor units throughout, and a share is parts per million or per mille, rounded half to even.

mod composite;
mod debt;
mod groups;
mod influence;
mod margin;
mod pareto;
mod ratio;
mod referral;
mod rfm;

pub use composite::{
    Better, Composite, CompositeError, CompositePolicy, PARTS_MAX, PartName, PartRule, TreatmentName, ValuePart,
    ValueTier,
};
pub use debt::{Debt, Paid};
pub use groups::RfmGroup;
pub use influence::{Credit, Influence, InfluencePolicy, Link};
pub use margin::{Cost, CostPolicy, Margin, Returned};
pub use pareto::{Pareto, ParetoPlace, ShareOf};
pub use referral::{Referral, ReferralValue, referral_values};
pub use rfm::{Rfm, RfmBands, RfmError, RfmPolicy, RfmScale, RfmScore, TILES_MAX, Tiles, rfm_scores};
