//! Taking consent back: by a link or one click (RFC 8058), by a reply, or through the shop. It takes no proof.

use crm_core::change::Change;
use crm_core::consent::{ConsentWithdrawn, Method, Purpose, Scope, Target, Which};
use crm_core::event::Fact;
use crm_core::identity::Identifier;
use crm_core::interaction::Channel;
use crm_core::{CustomerId, EventId, Source, Timestamp};

use super::suppression::SuppressionReason;
use super::{ConsentRefusal, Written, from_hex, own_source, to_hex};
use crate::engine::record::Found;
use crate::engine::{ATTEMPTS_MAX, Crm};
use crate::error::Error;
use crate::incoming::{Incoming, Who};
use crate::plan::Prepared;

/// What a link to unsubscribe by takes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Whose.
    pub customer: CustomerId,
    /// For what.
    pub purpose: Which<Purpose>,
    /// By which way.
    pub channel: Which<Channel>,
    /// Within which part of the business; none is all of it.
    pub scope: Option<Scope>,
}

/// What stands in a link to unsubscribe by. It is made of what it takes back and a keyed hash of that, so
/// that nothing is stored for it; it does not expire, and only the look-up key's holder can make one. Letters,
/// digits and `-._~`, at most 300 bytes: it goes into a URL as it is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UnsubscribeToken(String);

impl UnsubscribeToken {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for UnsubscribeToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UnsubscribeToken(***)")
    }
}

/// What became of a withdrawal.
#[derive(Debug, Clone, PartialEq)]
pub struct Withdrawal {
    /// Whose.
    pub customer: CustomerId,
    /// The event it became; none if that was their last word already.
    pub event: Option<EventId>,
    /// What moved.
    pub changes: Vec<Change>,
}

/// What became of a withdrawal from an address.
#[derive(Debug, Clone, PartialEq)]
pub enum AddressWithdrawn {
    /// A customer is known by the address, and it was recorded.
    Customer(Withdrawal),
    /// Nobody is known by it: it is suppressed, so that it holds for whoever will be.
    Suppressed,
}

const USAGE: &str = "unsubscribe";

impl Unsubscribe {
    /// `1~customer~purpose~channel~scope`; what is left out is all. No name has a tilde.
    fn text(&self) -> String {
        let purpose = match &self.purpose {
            Which::One(purpose) => purpose.as_str(),
            Which::All => "",
        };
        let channel = match self.channel {
            Which::One(channel) => channel.name(),
            Which::All => "",
        };
        let scope = self.scope.as_ref().map_or("", Scope::as_str);
        format!("1~{}~{purpose}~{channel}~{scope}", self.customer)
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('~');
        let mut next = || parts.next();
        let ("1", customer, purpose, channel, scope) = (next()?, next()?, next()?, next()?, next()?) else {
            return None;
        };
        let none = parts.next().is_none();
        let channel = match channel {
            "" => Which::All,
            name => Which::One(Channel::ALL.into_iter().find(|channel| channel.name() == name)?),
        };
        let purpose = match purpose {
            "" => Which::All,
            name => Which::One(Purpose::new(name).ok()?),
        };
        let scope = if scope.is_empty() { None } else { Some(Scope::new(scope).ok()?) };
        none.then_some(Unsubscribe { customer: customer.parse().ok()?, purpose, channel, scope })
    }
}

impl Crm {
    /// A token for a link to unsubscribe by. Costs nothing and stores nothing.
    ///
    /// ```
    /// use crm::{Channel, Crm, Identifier, Incoming, Purpose, Source, Visited};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let visit = Visited { channel: Channel::Web, place: None };
    /// let ana = Identifier::email("ana@example.com")?;
    /// let ana = crm.record(Incoming::new(ana, crm.now(), Source::new("shop")?, visit)).await?.customer;
    ///
    /// let token = crm.unsubscribe_token(ana, Purpose::new("marketing")?, Channel::Email);
    /// // GET shows what it is about, POST takes it back; a second POST finds it so.
    /// assert_eq!(crm.peek_unsubscribe(token.as_str())?.customer, ana);
    /// assert!(crm.withdraw_by_token(token.as_str()).await?.event.is_some());
    /// assert!(crm.withdraw_by_token(token.as_str()).await?.event.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn unsubscribe_token(
        &self,
        customer: CustomerId,
        purpose: impl Into<Which<Purpose>>,
        channel: impl Into<Which<Channel>>,
    ) -> UnsubscribeToken {
        self.unsubscribe_token_for(&Unsubscribe {
            customer,
            purpose: purpose.into(),
            channel: channel.into(),
            scope: None,
        })
    }

    /// The same, for a part of the business too.
    #[must_use]
    pub fn unsubscribe_token_for(&self, what: &Unsubscribe) -> UnsubscribeToken {
        let text = what.text();
        let tag = self.inner.lookup_key.tag(&self.tenant, USAGE, &text);
        UnsubscribeToken(format!("{text}~{}", to_hex(&tag[..16])))
    }

    /// What a token takes back. It reads nothing and changes nothing: this is all that a GET may do.
    ///
    /// # Errors
    ///
    /// `Consent` with `BadToken` unless this tenant made it.
    pub fn peek_unsubscribe(&self, token: &str) -> Result<Unsubscribe, Error> {
        let (text, tag) = token.rsplit_once('~').ok_or(ConsentRefusal::BadToken)?;
        let tag: [u8; 16] = from_hex(tag).ok_or(ConsentRefusal::BadToken)?;
        let own = self.inner.lookup_key.tag(&self.tenant, USAGE, text);
        // Every byte is compared, so that the time it takes tells nothing.
        let differs = own.iter().zip(&tag).fold(0, |differs, (own, given)| differs | (own ^ given));
        let what = Unsubscribe::read(text).filter(|_| differs == 0);
        Ok(what.ok_or(ConsentRefusal::BadToken)?)
    }

    /// Takes back what a token is about, as its holder asked by a POST (RFC 8058, section 3.2). Again it finds
    /// that it is so, unless they allowed it anew meanwhile.
    ///
    /// # Errors
    ///
    /// `Consent` with `BadToken`, `NoCustomer`, `Storage` if the store failed, `Busy`.
    pub async fn withdraw_by_token(&self, token: &str) -> Result<Withdrawal, Error> {
        let Unsubscribe { customer, purpose, channel, scope } = self.peek_unsubscribe(token)?;
        let withdrawn = ConsentWithdrawn { purpose, channel, scope, how: Method::OneClick };
        let target = Target {
            purpose: withdrawn.purpose.clone(),
            channel: withdrawn.channel.clone(),
            scope: withdrawn.scope.clone(),
        };
        let source = own_source("unsubscribe")?;
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base_there(customer).await?;
            // Of somebody who was merged the word of another is not theirs: it goes when they are parted.
            let consents = base.customer.facts().consents();
            if consents.is_refused(&target) && consents.is_refused_by(base.through, &target) {
                return Ok(Withdrawal { customer, event: None, changes: Vec::new() });
            }
            let at = self.now();
            let id = EventId::of_fact(&self.tenant, &source, &format!("{token} {}", at.as_millis()));
            let prepared = Prepared { id, at, source: source.clone(), fact: Fact::from(withdrawn.clone()) };
            match self.write_facts(&base, &definitions, &[&prepared], |_| {}).await? {
                Written::Done(changes) => return Ok(Withdrawal { customer, event: Some(id), changes }),
                Written::Known => return Ok(Withdrawal { customer, event: None, changes: Vec::new() }),
                Written::Again => {}
                Written::Keys(error) => return Err(Error::corrupt(error)),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Takes back what the holder of an address asks to be taken back, as by STOP in reply to a text message,
    /// at the time at which they sent it. If nobody is known by the address, it is suppressed.
    ///
    /// # Errors
    ///
    /// `Fact`, `Storage` if the store failed, `Busy`.
    pub async fn withdraw_by_address(
        &self,
        address: &Identifier,
        withdrawn: ConsentWithdrawn,
        at: Timestamp,
        source: &Source,
    ) -> Result<AddressWithdrawn, Error> {
        match self.find(&Who::Identifier(address.clone())).await? {
            Ok(Found::Known(customer)) => {
                let recorded = self.record(Incoming::new(customer, at, source.clone(), withdrawn)).await?;
                let event = (!recorded.known).then_some(recorded.event);
                Ok(AddressWithdrawn::Customer(Withdrawal { customer, event, changes: recorded.changes }))
            }
            Ok(Found::New(_)) | Err(_) => {
                self.suppress(address, SuppressionReason::Asked, source).await?;
                Ok(AddressWithdrawn::Suppressed)
            }
        }
    }
}
