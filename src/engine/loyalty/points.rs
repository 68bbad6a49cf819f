//! How many points a customer has, at the cost of a read of their row.

use crm_core::customer::{Customer, PointsGlance};
use crm_core::loyalty::report::PointsStanding;
use crm_core::loyalty::{Lot, PointsBook, PointsEnd, ProgramId};

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

    /// The points that a customer has in a programme, lot by lot in the order in which they are spent, and when each lot ends
    /// as of now; none if nobody is found. It is as of the last time anything happened or was due, as [`points`](Self::points)
    /// are. Where points end so long after the last activity, whatever the customer does next puts the end off.
    ///
    /// ```
    /// use crm::loyalty::PointsEnd;
    /// use crm::{Crm, Currency, Definition, Expiry, Identifier, Incoming, Money, OrderPlaced, Program, ProgramId, Source};
    /// use crm::{Span, Timestamp};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let points = ProgramId::new("points")?;
    /// let expiry = Expiry::AfterActivity(Span::days(365));
    /// let program = Program { expiry, ..Program::point_per_unit(Currency::EUR) };
    /// crm.define(Timestamp::MIN, Definition::Program(points.clone(), Some(program))).await?;
    /// let ana = Identifier::email("ana@example.com")?;
    /// let (order, now) = (OrderPlaced::new(Money::parse("49.90", Currency::EUR)?), crm.now());
    /// crm.record(Incoming::new(&ana, now, Source::new("shop")?, order)).await?;
    ///
    /// let ends = crm.points_ends(&ana, &points).await?.expect("just recorded");
    /// let ends: Vec<_> = ends.iter().map(|(lot, end)| (lot.active, *end)).collect();
    /// assert_eq!(ends, [(49, PointsEnd::UnlessActive(now.plus(Span::days(365))))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn points_ends(
        &self,
        who: impl Into<Who> + Send,
        program: &ProgramId,
    ) -> Result<Option<Vec<(Lot, PointsEnd)>>, Error> {
        let definitions = self.definitions().await?;
        let customer = self.customer(who).await?;
        let ends = |customer: Customer| {
            let ends = customer.points_ends(program, &definitions).into_iter();
            ends.map(|(lot, end)| (lot.clone(), end)).collect()
        };
        Ok(customer.map(ends))
    }
}
