//! What is noted about a customer. So far: tags.

mod event;

pub use event::{Tagged, Untagged};
