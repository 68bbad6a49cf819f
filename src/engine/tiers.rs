//! Where customers stand in the tiers of programmes.

use crm_core::loyalty::{ProgramId, TierOutlook};

use super::Crm;
use crate::error::Error;
use crate::incoming::Who;

impl Crm {
    /// Where a customer stands in the tiers of a programme now: what they have and why, what is missing of the next one
    /// and to keep this one, what becomes of it if nothing more happens, and what it brings. None if nobody is found or
    /// no such programme is in force. What time alone did since [`advance`](Self::advance) is worked out.
    ///
    /// ```
    /// use crm::{
    ///     Counted, Crm, Currency, Definition, Identifier, Incoming, Money, OrderPlaced, Program, ProgramId, Source,
    ///     TierName, Timestamp,
    /// };
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let club = ProgramId::new("club")?;
    /// let mut program = Program::new(Currency::EUR)
    ///     .with_tier(TierName::new("silver")?, 100_00)
    ///     .with_tier(TierName::new("gold")?, 500_00);
    /// program.tiers.counted = Counted::Spend;
    /// crm.define(Timestamp::MIN, Definition::Program(club.clone(), Some(program))).await?;
    /// let (ana, now) = (Identifier::email("ana@example.com")?, crm.now());
    /// let order = OrderPlaced::new(Money::new(120_00, Currency::EUR));
    /// crm.record(Incoming::new(&ana, now, Source::new("shop")?, order)).await?;
    ///
    /// let outlook = crm.tier_outlook(&ana, &club).await?.expect("just recorded");
    /// assert_eq!(outlook.tier, Some(TierName::new("silver")?));
    /// assert_eq!(outlook.next.expect("there is gold").missing, 380_00);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn tier_outlook(
        &self,
        who: impl Into<Who> + Send,
        program: &ProgramId,
    ) -> Result<Option<TierOutlook>, Error> {
        let (now, definitions) = (self.now(), self.definitions().await?);
        let customer = self.customer(who).await?;
        Ok(customer.and_then(|customer| customer.tier_outlook(program, now.max(customer.clock()?), &definitions)))
    }
}
