//! What can be read about money: a statement of one customer's, and the trial balance of the base.

use std::collections::BTreeMap;

use crm_core::credit::{CreditStatement, CreditTotals};
use crm_core::customer::Customer;
use crm_core::{Currency, Timestamp};

use super::super::Crm;
use crate::error::Error;
use crate::incoming::Who;

/// The accounts of all customers, by currency. What was issued is somewhere: see [`CreditTotals`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditTrialBalance {
    /// The instant it was asked for.
    pub at: Timestamp,
    /// The totals of each currency that something ever moved in.
    pub currencies: BTreeMap<Currency, CreditTotals>,
    /// In how many books.
    pub books: u64,
}

impl Crm {
    /// Every movement of somebody's store credit in a currency, with its time, cause and amount, who decided it, and
    /// what was there after it; none if nobody is found. It is as of the last time anything happened or was due. Costs
    /// a read of their history.
    ///
    /// ```
    /// use crm::{Channel, Crm, Currency, GrantCredit, Identifier, Incoming, Money, Source, SpendCredit, Visited};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let ana = Identifier::email("ana@example.com")?;
    /// let visit = Visited { channel: Channel::Web, place: None };
    /// let ana = crm.record(Incoming::new(&ana, crm.now(), Source::new("shop")?, visit)).await?.customer;
    ///
    /// let euros = |minor| Money::new(minor, Currency::EUR);
    /// let grant = GrantCredit { amount: euros(2_000), reason: "late parcel".parse()?, expires_at: None };
    /// crm.execute(ana, grant.into(), "parcel 17").await?;
    /// let spend = SpendCredit { amount: euros(1_500), order: Some("A-18".parse()?) };
    /// crm.execute(ana, spend.into(), "payment A-18").await?;
    ///
    /// let statement = crm.credit_statement(ana, Currency::EUR).await?.expect("met above");
    /// let lines: Vec<_> = statement.lines.iter().map(|line| (line.cause.name(), line.balance_after)).collect();
    /// assert_eq!(lines, [("granted", 2_000), ("spent", 500)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn credit_statement(
        &self,
        who: impl Into<Who> + Send,
        currency: Currency,
    ) -> Result<Option<CreditStatement>, Error> {
        let Some(customer) = self.customer(who).await? else { return Ok(None) };
        let history = self.whole_history(&customer).await?;
        Ok(Some(CreditStatement::of(customer.id(), currency, history.iter())))
    }

    /// The accounts of all customers by currency: what the shop owes, and what became of the rest of what was issued.
    /// Reads every customer's state once, in pages, as of the last time anything happened or was due; call
    /// [`advance`](Self::advance) first where time has passed. In each customer's book everything adds up at any time;
    /// what is [transferred](CreditTotals::transferred) while it is read may have been seen on one side only.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn credit_trial_balance(&self) -> Result<CreditTrialBalance, Error> {
        let mut report = CreditTrialBalance { at: self.now(), currencies: BTreeMap::new(), books: 0 };
        let add = |customer: &Customer| {
            for (currency, book) in customer.credit().into_iter().flat_map(|books| books.iter()) {
                *report.currencies.entry(currency).or_default() += book.totals();
                report.books += 1;
            }
        };
        self.for_each_customer(add).await?;
        Ok(report)
    }
}
