//! What was not paid in time.

use crm_core::customer::Customer;
use crm_core::event::{Event, EventBody, Fact};
use crm_core::value::{Debt, DebtPolicy, Paid};
use crm_core::{Currency, CustomerId, Timestamp};

use super::super::Crm;
use crate::error::Error;
use crate::incoming::Who;

/// What customers owe in one currency, in minor units. Keeps the unpaid orders of those who owe something that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebtReport {
    /// The instant it is as of.
    pub at: Timestamp,
    /// The currency.
    pub currency: Currency,
    /// When orders have to be paid.
    pub policy: DebtPolicy,
    /// What is not paid of all orders.
    pub open: i128,
    /// Of that, what is due.
    pub overdue: i128,
    /// Of that, what counts as lost.
    pub lost: i128,
    /// Payments beyond all orders of those who paid them.
    pub credit: i128,
    /// Everybody who owes something that is due, the most first, and of equal ones the lower id.
    pub debtors: Vec<Debtor>,
}

/// Somebody who owes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debtor {
    /// Who.
    pub customer: CustomerId,
    /// What they owe, order by order.
    pub debt: Debt,
    /// What of it counts as lost, in minor units.
    pub lost: i128,
}

impl Crm {
    /// What customers owe in a currency; none if the shop has no [policy](DebtPolicy) about it. Orders are settled by the
    /// payments that name them, and what is left by the oldest order first: see [`Debt`].
    ///
    /// Costs a read of all states, and of the histories of those who have not paid everything.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn debts(&self, currency: Currency) -> Result<Option<DebtReport>, Error> {
        let mut walk = self.walk().await?;
        let (at, Some(policy)) = (walk.at, walk.policy().debt) else { return Ok(None) };
        let mut report =
            DebtReport { at, currency, policy, open: 0, overdue: 0, lost: 0, credit: 0, debtors: Vec::new() };
        loop {
            let page = walk.next().await?;
            if page.is_empty() {
                break;
            }
            for customer in &page {
                let debtor = self.debt(customer, currency, policy, at).await?;
                report.open += debtor.debt.open;
                report.overdue += debtor.debt.overdue;
                report.lost += debtor.lost;
                report.credit += debtor.debt.credit;
                if debtor.debt.overdue > 0 {
                    report.debtors.push(debtor);
                }
            }
        }
        report.debtors.sort_by_key(|debtor| (std::cmp::Reverse(debtor.debt.overdue), debtor.customer));
        Ok(Some(report))
    }

    /// What one customer owes in a currency; none if nobody is found, or the shop has no policy about it.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn debt_of(&self, who: impl Into<Who> + Send, currency: Currency) -> Result<Option<Debtor>, Error> {
        let (at, definitions) = (self.now(), self.definitions().await?);
        let (Some(policy), Some(customer)) = (definitions.value(at).debt, self.customer(who).await?) else {
            return Ok(None);
        };
        self.debt(&customer, currency, policy, at).await.map(Some)
    }

    /// What a state says is enough where everything is paid; which order a payment was for is in the history.
    pub(super) async fn debt(
        &self,
        customer: &Customer,
        currency: Currency,
        policy: DebtPolicy,
        at: Timestamp,
    ) -> Result<Debtor, Error> {
        let orders = customer.facts().orders();
        let own = || orders.list().iter().filter(|order| order.total.currency() == currency);
        let ordered: i128 = own().map(|order| i128::from(order.net_minor())).sum();
        let paid = orders.turnover_in(currency).payments;
        if ordered <= paid {
            let debt = Debt { credit: paid - ordered, ..Debt::default() };
            return Ok(Debtor { customer: customer.id(), debt, lost: 0 });
        }
        let payments = match paid {
            0 => Vec::new(),
            _ => payments(&self.whole_history(customer).await?, customer, currency),
        };
        let of = |after| Debt::of(own(), &payments, currency, after, at);
        let lost = policy.lost_after.map_or(0, |after| of(after).overdue);
        Ok(Debtor { customer: customer.id(), debt: of(policy.due_after), lost })
    }
}

/// The payments in one currency that a history tells of, each once, without those that were voided.
fn payments(history: &[Event], customer: &Customer, currency: Currency) -> Vec<Paid> {
    let facts = history.iter().filter_map(|event| match &event.body {
        EventBody::Fact(Fact::PaymentReceived(payment)) => Some((event.id, event.at, payment)),
        EventBody::Fact(_) | EventBody::Decision(_) | EventBody::Unrecognised { .. } => None,
    });
    let mut facts: Vec<_> = facts
        .filter(|(id, _, payment)| payment.amount.currency() == currency && !customer.facts().is_voided(*id))
        .collect();
    facts.sort_unstable_by_key(|(id, at, _)| (*at, *id));
    facts.dedup_by_key(|(id, at, _)| (*at, *id));
    let paid = facts.into_iter().map(|(_, at, payment)| Paid {
        order: payment.order.clone(),
        at,
        minor: payment.amount.minor(),
    });
    paid.collect()
}
