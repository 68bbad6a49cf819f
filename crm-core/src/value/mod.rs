//! What customers are worth to the shop, as pure functions: of plain values where a whole base is compared, and of a
//! customer's state where one is measured. Nothing here reads a store.
//!
//! - [`RfmPolicy`] scores by recency, frequency and monetary value, and [`RfmGroup`] names eleven groups by these.
//! - [`Pareto`] finds the key customers, how concentrated a base is, and who costs more than they bring.
//! - [`CostPolicy`] tells margin where cost is known, and [`Debt`] what was not paid in time.
//! - [`InfluencePolicy`] ranks by ties, and [`referral_values`] by what the referred spend.
//! - [`CompositePolicy`] makes one value of several, with tiers.
//! - [`PopularityPolicy`] counts what somebody does in the shop's community, and [`Contribution`] what a customer brings.
//! - [`ValuePolicy`] is all of these as one definition.
//!
//! Money is whole minor units throughout, and a share is parts per million or per mille, rounded half to even.

mod composite;
mod contribution;
mod debt;
mod groups;
mod influence;
mod margin;
mod measure;
mod pareto;
mod policy;
mod popularity;
mod ratio;
mod referral;
mod rfm;

pub use composite::{
    Better, Composite, CompositeError, CompositePolicy, CompositeScale, PARTS_MAX, PartName, PartRule, TreatmentName,
    ValuePart, ValueTier,
};
pub use contribution::{Brings, Contribution};
pub use debt::{Debt, Paid};
pub use groups::RfmGroup;
pub use influence::{Credit, Influence, InfluencePolicy, Link};
pub use margin::{Cost, CostPolicy, Margin, Returned, ServiceCosts};
pub use measure::Measure;
pub use pareto::{Pareto, ParetoPlace, ShareOf};
pub use policy::{CreditRule, DebtPolicy, KeyPolicy, ValueError, ValuePolicy};
pub use popularity::{Popularity, PopularityPolicy};
pub use referral::{Referral, ReferralValue, referral_values};
pub use rfm::{Rfm, RfmBands, RfmError, RfmPolicy, RfmScale, RfmScore, TILES_MAX, Tiles, rfm_scores};
