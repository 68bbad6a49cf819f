//! Double opt-in: the holder of an address confirms, by a token that was sent there, what was asked for in
//! their name.
//!
//! A token is 32 random bytes. What is stored of it is a keyed hash, as a claim of the customer's by the event
//! of the request; so it cannot be made from a copy of the database. The event of the confirmation has an id
//! that follows from the token, so that there is one, however often and at whatever moments it is used.

use crm_core::change::Change;
use crm_core::consent::{
    Basis, Collector, ConsentGiven, ConsentKey, ConsentRequested, Evidence, Method, Proof, Purpose, Scope, Which,
};
use crm_core::customer::Customer;
use crm_core::event::{Event, EventBody, Fact};
use crm_core::identity::{Assurance, Identified, Identifier, IdentifierKey, Seen, VerificationMethod};
use crm_core::interaction::Channel;
use crm_core::{CustomerId, EventId, SmolStr, Source, Span, Timestamp};
use crm_storage::{Claim, ClaimKey, CommitError};
use zeroize::Zeroizing;

use super::{ConsentRefusal, VALID_MAX, VALID_MIN, Written, from_hex, own_source, to_hex};
use crate::engine::{ATTEMPTS_MAX, Crm};
use crate::error::Error;
use crate::plan::{Prepared, identifier_claim};

/// What somebody is asked to confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptIn {
    /// For what.
    pub purpose: Purpose,
    /// By which way.
    pub channel: Channel,
    /// Within which part of the business; none is the shop as a whole.
    pub scope: Option<Scope>,
    /// On which basis.
    pub basis: Basis,
    /// The address that the token is sent to.
    pub address: Identifier,
    /// How, by which words and by whom it was asked for.
    pub proof: Proof,
    /// How long the token lives: from a minute to ninety days.
    pub valid_for: Span,
}

impl OptIn {
    /// Consent for the shop as a whole, by a token that lives for a week.
    #[must_use]
    pub const fn new(purpose: Purpose, channel: Channel, address: Identifier, proof: Proof) -> Self {
        let valid_for = Span::days(7);
        OptIn { purpose, channel, scope: None, basis: Basis::Consent, address, proof, valid_for }
    }
}

/// The secret that is sent to an address. It prints masked, and is wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct OptInToken(Zeroizing<[u8; 32]>);

impl OptInToken {
    fn random() -> Result<Self, ConsentRefusal> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(|_| ConsentRefusal::Random)?;
        Ok(OptInToken(bytes))
    }

    /// Reads what came back: 64 digits in hexadecimal.
    ///
    /// # Errors
    ///
    /// `BadToken` for anything else.
    pub fn parse(text: &str) -> Result<Self, ConsentRefusal> {
        from_hex(text).map(|bytes| OptInToken(Zeroizing::new(bytes))).ok_or(ConsentRefusal::BadToken)
    }

    /// The text that goes into the link, to be kept nowhere else: 64 digits in hexadecimal.
    #[must_use]
    pub fn expose(&self) -> String {
        to_hex(&*self.0)
    }
}

impl std::fmt::Debug for OptInToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OptInToken(***)")
    }
}

/// A request that was recorded, and the token to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct OptInRequested {
    /// The event of the request.
    pub event: EventId,
    /// Until when it can be confirmed.
    pub confirm_by: Timestamp,
    /// To be sent to the address, and nowhere else.
    pub token: OptInToken,
    /// What moved.
    pub changes: Vec<Change>,
}

/// What a token is about, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptInPeek {
    /// Whom it was given for.
    pub customer: CustomerId,
    /// What it confirms.
    pub key: ConsentKey,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Until when it can be used.
    pub confirm_by: Timestamp,
    /// What became of it.
    pub state: OptInState,
}

/// What became of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptInState {
    /// It can be used.
    Open,
    /// It was used.
    Confirmed {
        /// The event of the consent.
        event: EventId,
        /// When.
        at: Timestamp,
    },
    /// The customer said no after it was asked for.
    Superseded {
        /// By which event.
        by: EventId,
    },
    /// Its time is over.
    Expired,
}

/// Who says that a token was used, and what is known about its use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmProof {
    /// Who or what takes the confirmation: a page, a mailbox.
    pub collected_by: Collector,
    /// The address that it came from, where that is known; it has to be the one that was asked.
    pub address: Option<Identifier>,
}

/// What became of a confirmation.
#[derive(Debug, Clone, PartialEq)]
pub enum Confirmation {
    /// The consent is given.
    Confirmed {
        /// By whom.
        customer: CustomerId,
        /// The event of the consent.
        event: EventId,
        /// Whether the customer is known by the address now.
        address: ConfirmedAddress,
        /// What moved.
        changes: Vec<Change>,
    },
    /// The token was used before, and nothing changed: not even if the consent was taken back since.
    AlreadyConfirmed {
        /// By whom.
        customer: CustomerId,
        /// The event of the consent.
        event: EventId,
        /// When it was used.
        at: Timestamp,
    },
}

/// Whether a customer is known by an address whose holder confirmed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmedAddress {
    /// They were already.
    Known,
    /// They are now.
    New,
    /// Somebody else is.
    Taken {
        /// Who.
        by: CustomerId,
    },
}

/// A token's request, with the history of whoever it is about.
struct Request {
    customer: CustomerId,
    event: EventId,
    at: Timestamp,
    asked: ConsentRequested,
    history: Vec<Event>,
}

impl Request {
    fn key(&self) -> ConsentKey {
        ConsentKey { purpose: self.asked.purpose.clone(), channel: self.asked.channel, scope: self.asked.scope.clone() }
    }

    /// What became of it, given the id that its confirmation has.
    fn state(&self, confirmation: EventId, now: Timestamp) -> OptInState {
        if let Some(event) = self.history.iter().find(|event| event.id == confirmation) {
            return OptInState::Confirmed { event: event.id, at: event.at };
        }
        let facts = || {
            self.history.iter().filter_map(|event| match &event.body {
                EventBody::Fact(fact) => Some((event, fact)),
                EventBody::Decision(_) | EventBody::Unrecognised { .. } => None,
            })
        };
        let voids = |id: EventId| facts().find(|(_, fact)| matches!(fact, Fact::Voided(voided) if voided.event == id));
        if let Some((voiding, _)) = voids(self.event) {
            return OptInState::Superseded { by: voiding.id };
        }
        let no = facts().find(|(event, fact)| {
            (event.at, event.id) > (self.at, self.event) && self.is_refused_by(fact) && voids(event.id).is_none()
        });
        match no {
            Some((event, _)) => OptInState::Superseded { by: event.id },
            None if now >= self.asked.confirm_by => OptInState::Expired,
            None => OptInState::Open,
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "every other fact is no refusal")]
    fn is_refused_by(&self, fact: &Fact) -> bool {
        let (purpose, channel, scope) = match fact {
            Fact::ConsentRefused(no) => (&no.purpose, &no.channel, &no.scope),
            Fact::ConsentWithdrawn(no) => (&no.purpose, &no.channel, &no.scope),
            _ => return false,
        };
        (*purpose == Which::All || *purpose == Which::One(self.asked.purpose.clone()))
            && (*channel == Which::All || *channel == Which::One(self.asked.channel))
            && (scope.is_none() || *scope == self.asked.scope)
    }
}

impl Crm {
    /// Records that a customer is to confirm something, and gives the token to be sent to the address. Until
    /// it is used nothing is allowed by it. Asking again gives another token, and the first stays good.
    ///
    /// There is none for an address that is suppressed, for whatever reason: anybody can type an address into a form,
    /// and the mail that would find out whether it was its holder is one that they are not to be sent. Show whoever
    /// filled in the form the same as to everybody else. A holder who wants to be written to again says so some other
    /// way: [`unsuppress`](Self::unsuppress).
    ///
    /// ```
    /// use crm::{Channel, Confirmation, ConfirmProof, ContactQuery, Crm, Digest, Identifier, Incoming, Locale};
    /// use crm::{Method, OptIn, OptInToken, Proof, Purpose, Source, Visited, Wording};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let address = Identifier::email("ana@example.com")?;
    /// let visit = Visited { channel: Channel::Web, place: None };
    /// let ana = crm.record(Incoming::new(&address, crm.now(), Source::new("shop")?, visit)).await?.customer;
    ///
    /// let wording = Wording {
    ///     version: "2026-01".parse()?,
    ///     sha256: Digest::of(b"Send me the newsletter."),
    ///     locale: Locale::new("en")?,
    /// };
    /// let marketing = Purpose::new("marketing")?;
    /// let proof = Proof::new(Method::Form, wording, "footer".parse()?);
    /// let asked = OptIn::new(marketing.clone(), Channel::Email, address.clone(), proof);
    /// let link = crm.request_opt_in(ana, asked).await?.token.expose();
    ///
    /// // A GET shows what it is about; the button on that page sends the POST that confirms.
    /// let token = OptInToken::parse(&link)?;
    /// assert_eq!(crm.peek_opt_in(&token).await?.customer, ana);
    /// let by = ConfirmProof { collected_by: "confirmation page".parse()?, address: None };
    /// assert!(matches!(crm.confirm_opt_in(&token, by.clone()).await?, Confirmation::Confirmed { .. }));
    /// assert!(matches!(crm.confirm_opt_in(&token, by).await?, Confirmation::AlreadyConfirmed { .. }));
    ///
    /// let query = ContactQuery::new(marketing, Channel::Email, crm.now());
    /// assert!(crm.may_contact(ana, &query, Some(&address)).await?.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Consent` with `ValidFor`, `Suppressed`, `Erased` or `Random`, `Fact` if it does not fit the policy, `NoCustomer`,
    /// `Storage` if the store failed, `Busy`.
    pub async fn request_opt_in(&self, customer: CustomerId, asked: OptIn) -> Result<OptInRequested, Error> {
        let OptIn { purpose, channel, scope, basis, address, proof, valid_for } = asked;
        if valid_for < VALID_MIN || valid_for > VALID_MAX {
            let (min, max) = (VALID_MIN.as_millis(), VALID_MAX.as_millis());
            return Err(ConsentRefusal::ValidFor { millis: valid_for.as_millis(), min, max }.into());
        }
        if let Some(suppressed) = self.is_suppressed(&address).await? {
            return Err(ConsentRefusal::Suppressed(suppressed).into());
        }
        let token = OptInToken::random()?;
        let key = self.opt_in_claim(&token);
        let source = own_source("opt-in")?;
        let event = EventId::of_fact(&self.tenant, &source, &format!("request {}", to_hex(&key.key)));
        let address = self.inner.lookup_key.hash(&self.tenant, &address);
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base_there(customer).await?;
            if base.customer.is_erased() {
                return Err(ConsentRefusal::Erased { customer }.into());
            }
            let at = self.now();
            let confirm_by = at.plus(valid_for);
            let (purpose, scope, proof) = (purpose.clone(), scope.clone(), proof.clone());
            let fact = Fact::from(ConsentRequested { purpose, channel, scope, basis, address, proof, confirm_by });
            let prepared = Prepared { id: event, at, source: source.clone(), fact };
            let claim = Claim { key: key.clone(), customer, event };
            match self
                .write_facts(&base, &definitions, &[&prepared], |writing| writing.commit.claims.push(claim))
                .await?
            {
                Written::Done(changes) => return Ok(OptInRequested { event, confirm_by, token, changes }),
                Written::Again => {}
                Written::Known => return Err(Error::corrupt("a random token that came twice")),
                Written::Keys(error) => return Err(Error::corrupt(error)),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// What a token is about. It reads and changes nothing: this is all that a GET may do, which mail scanners
    /// follow before anybody reads the mail. Costs a read of the customer's history.
    ///
    /// # Errors
    ///
    /// `Consent` with `BadToken`, `Storage` if the store failed.
    pub async fn peek_opt_in(&self, token: &OptInToken) -> Result<OptInPeek, Error> {
        let request = self.opt_in_request(token).await?;
        let state = request.state(self.confirmation_id(token)?, self.now());
        let (requested_at, confirm_by) = (request.at, request.asked.confirm_by);
        Ok(OptInPeek { customer: request.customer, key: request.key(), requested_at, confirm_by, state })
    }

    /// Records that the holder of the address confirmed what a token is about. However often, and at whatever
    /// moments it comes, there is one consent; if it was taken back since, it stays so. Costs a read of the
    /// customer's history.
    ///
    /// # Errors
    ///
    /// `Consent` with `BadToken`, `Expired`, `Superseded`, `OtherAddress` or `Erased`, `Fact` if it no longer
    /// fits the policy, `Storage` if the store failed, `Busy`.
    pub async fn confirm_opt_in(&self, token: &OptInToken, by: ConfirmProof) -> Result<Confirmation, Error> {
        let event = self.confirmation_id(token)?;
        let source = own_source("opt-in")?;
        let mut taken = None;
        let mut joined = false;
        for _ in 0..ATTEMPTS_MAX {
            let customer = self.opt_in_owner(token).await?.0;
            // The customer is read before the history: what comes between the two makes the commit fail.
            let (base, definitions) = self.base_there(customer).await?;
            let request = self.opt_in_request(token).await?;
            let at = self.now();
            match request.state(event, at) {
                OptInState::Open => {}
                OptInState::Confirmed { event, at } => {
                    return Ok(Confirmation::AlreadyConfirmed { customer, event, at });
                }
                OptInState::Superseded { by } => return Err(ConsentRefusal::Superseded { by }.into()),
                OptInState::Expired => return Err(ConsentRefusal::Expired { at: request.asked.confirm_by }.into()),
            }
            let address = request.asked.address;
            let came_from = by.address.as_ref().map(|address| self.inner.lookup_key.hash(&self.tenant, address));
            if came_from.is_some_and(|from| from != address) {
                return Err(ConsentRefusal::OtherAddress.into());
            }
            if base.customer.is_erased() {
                return Err(ConsentRefusal::Erased { customer }.into());
            }
            // Whoever has the address, or gave it, is one person with its holder where the rules say so.
            if !joined {
                joined = true;
                if self.join_by(customer, address, request.event, at).await? {
                    continue;
                }
            }
            let ConsentRequested { purpose, channel, scope, basis, proof, .. } = request.asked;
            let evidence = Evidence::new(request.event.to_string()).map_err(Error::corrupt)?;
            let proof = Proof::new(Method::DoubleOptIn, proof.wording, by.collected_by.clone()).with_evidence(evidence);
            let given =
                ConsentGiven { purpose, channel, scope, basis, proof, address: Some(address), expires_at: None };
            let given = Prepared { id: event, at, source: source.clone(), fact: Fact::from(given) };
            let confirmed = match taken {
                Some(_) => None,
                None => self.confirmed_address(&base.customer, address, at, &source),
            };
            let facts: Vec<&Prepared> = std::iter::once(&given).chain(&confirmed).collect();
            match self.write_facts(&base, &definitions, &facts, |_| {}).await? {
                Written::Done(changes) => {
                    let address = match (taken, confirmed) {
                        (Some(by), _) => ConfirmedAddress::Taken { by },
                        (None, Some(_)) => ConfirmedAddress::New,
                        (None, None) => ConfirmedAddress::Known,
                    };
                    return Ok(Confirmation::Confirmed { customer, event, address, changes });
                }
                Written::Keys(CommitError::Claimed { key, owner }) if key == identifier_claim(&address) => {
                    taken = Some(owner.customer);
                }
                Written::Keys(error) => return Err(Error::corrupt(error)),
                // Somebody else has just used the token: the history tells now.
                Written::Known | Written::Again => {}
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// The fact that a customer is known by an address whose holder confirmed it; none if they are already.
    /// This is the one place that knows an address to be verified.
    fn confirmed_address(
        &self,
        customer: &Customer,
        address: IdentifierKey,
        at: Timestamp,
        source: &Source,
    ) -> Option<Prepared> {
        let verified = |seen: &Seen| matches!(seen.assurance, Assurance::Verified { .. });
        let known = customer.identifier_seen(&address).any(verified);
        let name = format!("address {} {} {}", customer.id(), to_hex(&address.hash), at.as_millis());
        let id = EventId::of_fact(&self.tenant, source, &name);
        let by = VerificationMethod::new("double_opt_in").ok()?;
        let fact = Fact::from(Identified::new(address).assured(Assurance::Verified { by }));
        (!known).then(|| Prepared { id, at, source: source.clone(), fact })
    }

    /// The key under which a token is known.
    fn opt_in_claim(&self, token: &OptInToken) -> ClaimKey {
        let text = Zeroizing::new(token.expose());
        let tag = self.inner.lookup_key.tag(&self.tenant, "opt-in", &text);
        ClaimKey { kind: SmolStr::new_static("opt_in"), key: tag.to_vec() }
    }

    /// The id of the consent that a token gives.
    fn confirmation_id(&self, token: &OptInToken) -> Result<EventId, Error> {
        let key = self.opt_in_claim(token);
        Ok(EventId::of_fact(&self.tenant, &own_source("opt-in")?, &format!("confirmed {}", to_hex(&key.key))))
    }

    async fn opt_in_owner(&self, token: &OptInToken) -> Result<(CustomerId, EventId), Error> {
        self.check_lookup_key().await?;
        let key = self.opt_in_claim(token);
        let owner = self.store().resolve(&self.tenant, &[key]).await?.into_iter().next().flatten();
        let owner = owner.ok_or(ConsentRefusal::BadToken)?;
        Ok((owner.customer, owner.event))
    }

    async fn opt_in_request(&self, token: &OptInToken) -> Result<Request, Error> {
        let (customer, id) = self.opt_in_owner(token).await?;
        let history = self.whole_history(&self.base_there(customer).await?.0.customer).await?;
        let found = history.iter().find(|event| event.id == id).map(|event| (event.at, event.body.clone()));
        match found {
            Some((at, EventBody::Fact(Fact::ConsentRequested(asked)))) => {
                Ok(Request { customer, event: id, at, asked, history })
            }
            Some(_) | None => Err(Error::corrupt("a token whose request is not there")),
        }
    }
}
