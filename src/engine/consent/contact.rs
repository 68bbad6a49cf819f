//! The one door that messages go through.

use crm_core::consent::{Allowed, Barred, ContactQuery};
use crm_core::customer::Customer;
use crm_core::identity::Identifier;
use crm_core::{CustomerId, Timestamp};

use super::suppression::suppression_claim;
use crate::engine::Crm;
use crate::error::Error;

impl Crm {
    /// Whether a customer may be contacted for a purpose by a channel at an instant, and on what basis, or why
    /// not. Everything that sends asks this first, and right before it sends: an hour later the answer may be
    /// another. The address that is to be written to is looked up among those that are suppressed; a channel
    /// that has [no address of its own](crm_core::interaction::Channel::has_address) is asked without one. Any other
    /// that is asked without, or with one that it does not go to, is never allowed: the answer is `NoAddress` if
    /// nothing else speaks against it for good. It changes nothing; record a
    /// [`Contacted`](crm_core::consent::Contacted) once the message is on its way, which caps count.
    ///
    /// Costs two reads by key, one of them for the suppressed address, and the whole history only when a fact that was recorded for the future has come due since.
    ///
    /// ```
    /// use crm::{Barred, Channel, ContactQuery, ConsentStatus, Crm, Identifier, Incoming, Purpose, Source, Visited};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let address = Identifier::email("ana@example.com")?;
    /// let visit = Visited { channel: Channel::Web, place: None };
    /// let ana = crm.record(Incoming::new(&address, crm.now(), Source::new("shop")?, visit)).await?.customer;
    ///
    /// let may = |purpose| ContactQuery::new(purpose, Channel::Email, crm.now());
    /// let asked = crm.may_contact(ana, &may(Purpose::new("marketing")?), Some(&address)).await?;
    /// assert_eq!(asked, Err(Barred::NoConsent { status: ConsentStatus::Unknown }));
    /// assert!(crm.may_contact(ana, &may(Purpose::new("service")?), Some(&address)).await?.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed: it is not known, so nothing is to be sent. That somebody is not to be
    /// contacted is an answer, not an error of the call.
    pub async fn may_contact(
        &self,
        customer: CustomerId,
        query: &ContactQuery,
        address: Option<&Identifier>,
    ) -> Result<Result<Allowed, Barred>, Error> {
        self.check_lookup_key().await?;
        let (Some(base), definitions) = self.base(customer).await? else { return Ok(Err(Barred::Erased)) };
        if base.customer.is_erased() {
            return Ok(Err(Barred::Erased));
        }
        if let Some(address) = address {
            let key = suppression_claim(&self.inner.lookup_key, &self.tenant, address);
            if self.store().resolve(&self.tenant, &[key]).await?.iter().any(Option::is_some) {
                return Ok(Err(Barred::Suppressed));
            }
        }
        let mut query = query.clone();
        if let Some(address) = address {
            query.address = Some(self.inner.lookup_key.hash(&self.tenant, address));
        }
        let customer = match base.customer.fact_due(query.at) {
            Some(_) => self.as_of(base.customer, query.at, &definitions).await?,
            None => base.customer,
        };
        let answer = customer.may_contact(&query, &definitions);
        let channel = query.key.channel;
        if !channel.has_address() || address.is_some_and(|address| channel.goes_to(address.kind())) {
            return Ok(answer);
        }
        // Whether the address is suppressed is not known. What passes by itself is no answer then.
        Ok(match answer {
            Ok(_) | Err(Barred::Capped { .. } | Barred::QuietHours { .. }) => Err(Barred::NoAddress { channel }),
            barred @ Err(_) => barred,
        })
    }

    /// A customer with what was recorded for the future and has come since.
    async fn as_of(
        &self,
        customer: Customer,
        at: Timestamp,
        definitions: &crm_core::Definitions,
    ) -> Result<Customer, Error> {
        let history = self.whole_history(&customer).await?;
        let events = history.iter().map(|event| (event.customer, event.id, event.at, &event.body));
        Ok(Customer::replay(customer.id(), events, at, definitions))
    }
}
