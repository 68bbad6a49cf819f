//! The pure domain of an embeddable CRM: what happened to a customer, what follows from it, and what
//! may be done next. No async, no I/O, no clock, no randomness: time and ids come in as arguments, so
//! everything can be tested with plain values and replayed.
//!
//! Hosts use the crate `crm`, which drives this one. Used by itself it folds events into a customer:
//!
//! ```
//! use crm_core::customer::Customer;
//! use crm_core::event::{EventBody, Fact};
//! use crm_core::lifecycle::Stage;
//! use crm_core::order::OrderPlaced;
//! use crm_core::{Currency, CustomerId, Definitions, EventId, Money, Source, Span, TenantId, Timestamp};
//!
//! let placed_at = Timestamp::parse("1997-01-01")?;
//! let order = EventBody::Fact(Fact::from(OrderPlaced::new(Money::parse("11.77", Currency::USD)?)));
//! let id = EventId::of_fact(&TenantId::default(), &Source::new("shop")?, "order 1");
//! let customer_id = CustomerId::new(placed_at, [0; 10]);
//! let history = [(customer_id, id, placed_at, &order)];
//!
//! let at = |days| {
//!     Customer::replay(customer_id, history.into_iter(), placed_at.plus(Span::days(days)), &Definitions::default())
//! };
//! assert_eq!(at(10).stage(), Some(Stage::Purchase));
//! assert_eq!(at(365).stage(), Some(Stage::Historical));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod analysis;
pub mod attribute;
pub mod audit;
pub mod change;
mod column;
pub mod consent;
pub mod contract;
pub mod credit;
pub mod custom;
pub mod customer;
pub mod declared;
mod definitions;
pub mod event;
mod exact;
pub mod expression;
mod fixed;
mod flat;
mod id;
pub mod identity;
pub mod interaction;
pub mod lifecycle;
pub mod loyalty;
pub mod messaging;
mod money;
pub mod order;
pub mod privacy;
pub mod profile;
pub mod relationship;
pub mod score;
pub mod segment;
pub mod service;
mod text;
mod time;
mod timer;
pub mod value;
pub mod workflow;

pub use column::{Column, ColumnKind, Columns, NoSet, SetKey, SetKind};
pub use definitions::{Definition, DefinitionError, DefinitionVersion, Definitions};
pub use fixed::Millionths;
pub use id::{CustomerId, Digest, EventId, FactKey, Source, TenantId};
pub use money::{Currency, Money, MoneyError, Rounded, minor_to_decimal};
pub use rust_decimal::Decimal;
pub use smol_str::SmolStr;
pub use text::{Remark, Tag, TextError};
pub use time::{Span, TimeError, Timestamp};
pub use timer::{Alarm, AlarmKind};
