//! Gifts of points: taken out of one book and put into another in one commit.

use crm_core::CustomerId;
use crm_core::event::Deed;
use crm_core::loyalty::GivePoints;
use crm_core::workflow::Actor;

use super::super::{ATTEMPTS_MAX, Crm};
use super::{Before, DoneTogether, Once, became_one};
use crate::error::Error;

impl Crm {
    /// Has one customer give points to another: what leaves the one arrives with the other, in one commit, however many
    /// give at once. What is due for the two before is worked off first. Under the same key (one of the giver's) the
    /// same gift is made once and answered alike.
    ///
    /// The programme says [whether and how](crm_core::loyalty::GiftPolicy); somebody who was merged gives of what all of
    /// them have, and whoever's points they were has given them when they part.
    ///
    /// ```
    /// use crm::{AwardPoints, Channel, Command, Crm, Currency, Definition, Identifier, Incoming, Program, ProgramId};
    /// use crm::{GiftPolicy, GivePoints, Source, Timestamp, Visited};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let points = ProgramId::new("points")?;
    /// let program = Program { gifts: Some(GiftPolicy::default()), ..Program::point_per_unit(Currency::EUR) };
    /// crm.define(Timestamp::parse("2020-01-01")?, Definition::Program(points.clone(), Some(program))).await?;
    /// let mut met = Vec::new();
    /// for who in ["ana@example.com", "ben@example.com"] {
    ///     let visit = Visited { channel: Channel::Web, place: None };
    ///     let visit = Incoming::new(Identifier::email(who)?, crm.now(), Source::new("shop")?, visit);
    ///     met.push(crm.record(visit).await?.customer);
    /// }
    /// let (ana, ben) = (met[0], met[1]);
    /// let award = AwardPoints { program: points.clone(), points: 50, reason: "welcome".parse()? };
    /// crm.execute(ana, Command::AwardPoints(award), "welcome").await?;
    ///
    /// let gift = GivePoints { program: points.clone(), points: 20, reason: "birthday".parse()? };
    /// crm.give_points(ana, ben, gift.clone(), "birthday-ben").await?;
    /// assert!(crm.give_points(ana, ben, gift, "birthday-ben").await?.replayed);
    /// let balance = |customer: Option<crm::Customer>| Some(customer?.book(&points)?.balance());
    /// assert_eq!(balance(crm.customer(ana).await?), Some(30));
    /// assert_eq!(balance(crm.customer(ben).await?), Some(20));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Refused` with the reason, `NoCustomer`, `KeyReused` if the key was used for something else, `KeyLength` unless it
    /// has 1 to 255 bytes, `Storage` if the store failed, `Busy` if other writers were first each time.
    pub async fn give_points(
        &self,
        from: CustomerId,
        to: CustomerId,
        give: GivePoints,
        key: &str,
    ) -> Result<DoneTogether, Error> {
        let once = Once::new(from, key, &("give points", from, to, &give))?;
        let now = self.now();
        for _ in 0..ATTEMPTS_MAX {
            let (giver, receiver, definitions) = match self.two([from, to]).await? {
                Ok(both) => both,
                Err(refusal) => match self.finish_two(&once, Err(refusal)).await? {
                    Some(done) => return Ok(done),
                    None => continue,
                },
            };
            if became_one(&giver, &receiver) {
                self.lost()?;
                continue;
            }
            let context = self.context(&definitions, now, false);
            let out = self
                .plan_together(&giver, context, &Actor::Shop, Before::Now, &|customer, at| {
                    let gift = customer.give(&give, [from, to], at, &definitions)?;
                    Ok((vec![(None, Deed::PointsPosted(gift.given.clone()))], gift))
                })
                .await?;
            let both = match out {
                Ok(out) => {
                    let gift = &out.came;
                    let into = self
                        .plan_together(&receiver, context, &Actor::Shop, Before::Now, &|customer, at| {
                            let posting = customer.receive(gift, &give.reason, [from, to], at, &definitions)?;
                            Ok((vec![(Some(to), Deed::PointsPosted(posting))], ()))
                        })
                        .await?;
                    into.map(|into| [(&giver, out.plan, out.events), (&receiver, into.plan, into.events)])
                }
                Err(refusal) => Err(refusal),
            };
            if let Some(done) = self.finish_two(&once, both).await? {
                return Ok(done);
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }
}
