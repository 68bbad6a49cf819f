//! Which policy of the life cycle holds for somebody, by their facts alone.

use super::{Customer, FactState};
use crate::definitions::Definitions;
use crate::expression::{Events, Subject};
use crate::id::CustomerId;
use crate::lifecycle::LifecyclePolicy;
use crate::time::Timestamp;

impl FactState {
    /// The policy that holds at an instant by the facts folded so far: of the segments that have one the first that
    /// they are in, and else the one of everybody. Costs nothing where no segment has a policy.
    pub(super) fn policy<'d>(&mut self, at: Timestamp, definitions: &'d Definitions) -> &'d LifecyclePolicy {
        let list = definitions.lifecycle_segments(at);
        if list.is_empty() {
            return definitions.lifecycle(at);
        }
        // Rules ask about customers: this is one of whom nothing was decided.
        let mut nobody = Customer::new(CustomerId::new(Timestamp::MIN, [0; 10]));
        std::mem::swap(&mut *nobody.facts, self);
        let subject = Subject::new(&nobody, at, definitions);
        let is_in = |segment| definitions.segment(segment, at).is_some_and(|rule| rule.holds(&subject));
        let own = list.iter().find(|own| is_in(&own.segment));
        std::mem::swap(&mut *nobody.facts, self);
        own.map_or_else(|| definitions.lifecycle(at), |own| &own.policy)
    }

    /// Whether the newest of some events is a sign of intent by the number of them.
    pub(super) fn repeated(&mut self, what: &Events, at: Timestamp, definitions: &Definitions) -> bool {
        if !definitions.intent_by_number(at) {
            return false;
        }
        let intent = &self.policy(at, definitions).intent;
        let rule = match what {
            Events::Visits => intent.visits.as_ref(),
            Events::Custom(kind) => intent.kinds.get(kind),
            Events::Enquiries
            | Events::Carts
            | Events::Messages(_)
            | Events::Cases(_)
            | Events::OpenCases(_)
            | Events::Orders
            | Events::OrdersOf(_)
            | Events::OrdersIn(_) => None,
        };
        rule.zip(self.instants(what)).is_some_and(|(rule, instants)| rule.reached(instants))
    }
}
