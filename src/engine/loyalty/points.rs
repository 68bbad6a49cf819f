//! How many points a customer has, at the cost of a read of their row.

use crm_core::customer::{Customer, PointsGlance};
use crm_core::loyalty::report::PointsStanding;
use crm_core::loyalty::{PointsBook, ProgramId};

use super::super::record::Found;
use super::Crm;
use crate::error::Error;
use crate::incoming::Who;

impl Crm {
    /// How many points a customer has in a programme, by what can be done with them; nothing of anything where there never
    /// were any, and none if nobody is found. They are as of the last time anything happened or was due, as the
    /// [customer](Self::customer) is: call [`advance`](Self::advance) first where time has passed.
    ///
    /// Of the customer's state nothing else is read, so that it costs about as much as reading their row, however long their
    /// history is. Whoever was merged into somebody else takes a look at that one as well.
    ///
    /// ```
    /// use crm::{Crm, Currency, Definition, Identifier, Incoming, Money, OrderPlaced, Program, ProgramId, Source, Timestamp};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let points = ProgramId::new("points")?;
    /// let program = Definition::Program(points.clone(), Some(Program::point_per_unit(Currency::EUR)));
    /// crm.define(Timestamp::MIN, program).await?;
    /// let ana = Identifier::email("ana@example.com")?;
    /// let order = OrderPlaced::new(Money::parse("49.90", Currency::EUR)?);
    /// crm.record(Incoming::new(&ana, crm.now(), Source::new("shop")?, order)).await?;
    ///
    /// let standing = crm.points(&ana, &points).await?.expect("just recorded");
    /// assert_eq!((standing.balance(), standing.pending), (49, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn points(
        &self,
        who: impl Into<Who> + Send,
        program: &ProgramId,
    ) -> Result<Option<PointsStanding>, Error> {
        let Ok(Found::Known(id)) = self.find(&who.into()).await? else { return Ok(None) };
        let loaded = self.store().load(&self.tenant, &[id]).await?;
        let definitions = self.definitions_at(loaded.definitions).await?;
        let row = loaded.rows.into_iter().next().flatten().filter(|_| self.is_customer(id));
        let Some(row) = row else { return Ok(None) };
        if let Ok(PointsGlance::Own(standing)) =
            Customer::points_at_a_glance(row.state.shape, &row.state.bytes, program)
        {
            return Ok(Some(standing));
        }
        // Merged into somebody else, or to be folded anew. Boxed, so that it takes no room where it is neither.
        let whole = Box::pin(async {
            let base = self.decode(&row, &definitions).await?;
            self.whole(base, &definitions).await
        });
        let customer = whole.await?.customer;
        Ok(Some(customer.book(program).map(PointsBook::standing).unwrap_or_default()))
    }
}
