//! What an order would earn, asked before it is placed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crm_core::customer::{Customer, Quote};
use crm_core::event::{Event, Fact};
use crm_core::loyalty::{Cart, LoyaltyError, ProgramId};
use crm_core::order::OrderPlaced;
use crm_core::{CustomerId, Definitions, Timestamp};
use crm_storage::Expected;

use super::{Base, Crm};
use crate::error::Error;
use crate::incoming::Who;
use crate::plan::{FactRefusal, Need, Planner};

impl Crm {
    /// What an order of this cart would earn in a programme if it were placed now, with the reason of each rule, and how
    /// many points could be redeemed for it. Placing it at the same instant, with nothing else in between, gives exactly
    /// these points. Nothing is written: what is due for the customer by now is worked off on a copy.
    ///
    /// Somebody unknown is quoted as somebody new: by an identifier that nobody has, or by none at all, as
    /// `Who::Presented(Vec::new())`. Where several identifiers come with an order that lead to different customers, it is
    /// the one whom the strongest leads to.
    ///
    /// ```
    /// use crm::{Cart, Crm, Currency, Definition, Identifier, Money, Program, ProgramId, Timestamp};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let points = ProgramId::new("points")?;
    /// let program = Definition::Program(points.clone(), Some(Program::point_per_unit(Currency::EUR)));
    /// crm.define(Timestamp::MIN, program).await?;
    /// let cart = Cart::new(Money::parse("49.90", Currency::EUR)?);
    /// let quote = crm.quote(Identifier::email("ana@example.com")?, &points, &cart).await?;
    /// assert_eq!((quote.points(), quote.redeemable.points), (49, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Refused` if no such programme is in force, `Fact` if an order of this cart would be refused, `NoCustomer` for an
    /// id that nobody has, `Storage` if the store failed.
    pub async fn quote(&self, who: impl Into<Who> + Send, program: &ProgramId, cart: &Cart) -> Result<Quote, Error> {
        let none = || LoyaltyError::NoProgram { program: program.clone() };
        let asked = |customer: &Customer, now: Timestamp, definitions: &Definitions| {
            customer.quote(program, cart, now, definitions)
        };
        self.quoted(who.into(), cart, asked).await?.ok_or_else(|| Error::Refused(none().into()))
    }

    /// The same for every programme in force.
    ///
    /// # Errors
    ///
    /// The same, but for a programme that is not in force.
    pub async fn quotes(&self, who: impl Into<Who> + Send, cart: &Cart) -> Result<BTreeMap<ProgramId, Quote>, Error> {
        let asked = |customer: &Customer, now: Timestamp, definitions: &Definitions| {
            let each = |id: &ProgramId| Some((id.clone(), customer.quote(id, cart, now, definitions)?));
            definitions.program_ids().filter_map(each).collect()
        };
        self.quoted(who.into(), cart, asked).await
    }

    async fn quoted<T: Send>(
        &self,
        who: Who,
        cart: &Cart,
        asked: impl Fn(&Customer, Timestamp, &Definitions) -> T + Send + Sync,
    ) -> Result<T, Error> {
        let now = self.now();
        Fact::OrderPlaced(OrderPlaced::from(cart.clone())).check().map_err(FactRefusal::from)?;
        let (base, definitions) = self.quoted_base(&who, now).await?;
        if let Ok(told) = self.quoted_at_once(base, &definitions, now, &asked) {
            return Ok(told);
        }
        let (base, definitions) = self.quoted_base(&who, now).await?;
        let context = self.context(&definitions, now, false);
        let planned = self.plan(context, &base, |mut planner| {
            planner.elapse(now)?;
            Ok(asked(planner.customer(), now, &definitions))
        });
        planned.await
    }

    /// By what was loaded alone: it is enough for nearly all, and need not be copied then.
    fn quoted_at_once<T>(
        &self,
        base: Base,
        definitions: &Definitions,
        now: Timestamp,
        asked: impl Fn(&Customer, Timestamp, &Definitions) -> T,
    ) -> Result<T, Need> {
        // Somebody new has no history, and that is the whole of it.
        let history: Option<&[Event]> = matches!(base.expected, Expected::New).then_some(&[]);
        let context = self.context(definitions, now, false);
        let mut planner = Planner::new(context, base.customer, history).through(base.through);
        planner.elapse(now)?;
        Ok(asked(planner.customer(), now, definitions))
    }

    async fn quoted_base(&self, who: &Who, now: Timestamp) -> Result<(Base, Arc<Definitions>), Error> {
        match self.find(who).await? {
            Ok(found) => self.base_of(found, now).await,
            Err(FactRefusal::NamesNobody) => {
                let nobody = Customer::new(CustomerId::new(now, [0; 10]));
                Ok((Base::of_one(nobody, Expected::New), self.definitions().await?))
            }
            Err(refusal) => Err(refusal.into()),
        }
    }
}
