//! What is told about consent, restriction, objection and contacts, and the proof that has to come with a
//! consent.

use serde::{Deserialize, Serialize};

use super::error::ConsentError;
use super::name::{Collector, Evidence, Locale, Purpose, Scope, WordingVersion, could_be_personal};
use crate::id::Digest;
use crate::identity::IdentifierKey;
use crate::interaction::Channel;
use crate::text::Remark;
use crate::time::Timestamp;

/// Why the law lets personal data be used (GDPR, Art. 6(1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The person consented (a).
    Consent,
    /// It is needed for a contract with the person (b).
    Contract,
    /// The law demands it (c).
    LegalObligation,
    /// Somebody's life depends on it (d).
    VitalInterests,
    /// A task in the public interest (e).
    PublicTask,
    /// A legitimate interest that the person's own do not outweigh (f).
    LegitimateInterests,
}

/// How a statement reached the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A form on a page or in the app.
    Form,
    /// A link in a message to the address, followed by its holder.
    DoubleOptIn,
    /// On paper, signed.
    Paper,
    /// By telephone.
    Call,
    /// Face to face, at a till or a stand.
    InPerson,
    /// A message in reply, such as STOP or START.
    Reply,
    /// One click on what a message offers (RFC 8058), or a link of its footer.
    OneClick,
    /// Taken over from another system.
    Import,
}

/// The words that somebody agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wording {
    /// Which version.
    pub version: WordingVersion,
    /// SHA-256 of the text as it was shown, so that it cannot be exchanged later.
    pub sha256: Digest,
    /// In which language it was shown.
    pub locale: Locale,
}

/// How a consent that was taken over was first given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// How it was collected; not by an import.
    pub method: Method,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub collected_by: Collector,
}

/// What proves a consent (GDPR, Art. 7(1)): how, which words, and who collected it. Who gave it and when
/// are the customer and the time of the fact that it comes with. There is no way to leave a part out.
///
/// It holds no personal data: no name, no address, no IP address. Such evidence goes where personal values
/// go (`keep_personal`, sealed and erasable), or stays in the system that has it, and
/// [`evidence`](Self::evidence) refers to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// How.
    pub method: Method,
    /// Which words.
    pub wording: Wording,
    /// Who or what collected it.
    pub collected_by: Collector,
    /// Where evidence is kept, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// How it was first given, for one that is taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
}

impl Proof {
    /// A proof without a reference to evidence.
    #[must_use]
    pub const fn new(method: Method, wording: Wording, collected_by: Collector) -> Self {
        Proof { method, wording, collected_by, evidence: None, original: None }
    }

    /// With a reference to evidence.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Evidence) -> Self {
        self.evidence = Some(evidence);
        self
    }

    /// Of a consent that was first given elsewhere.
    #[must_use]
    pub fn first_given(mut self, original: Original) -> Self {
        self.original = Some(original);
        self
    }

    /// Whether the holder of the address confirmed it, here or where it was first given.
    #[must_use]
    pub fn is_double_opt_in(&self) -> bool {
        let first = self.original.as_ref().map(|original| original.method);
        self.method == Method::DoubleOptIn || (self.method == Method::Import && first == Some(Method::DoubleOptIn))
    }

    /// Checks that nothing in it looks personal: no `@`, no telephone number, no IP address.
    ///
    /// # Errors
    ///
    /// `Personal` with the name of the part.
    pub fn check(&self) -> Result<(), ConsentError> {
        let first = self.original.as_ref().map(|original| original.collected_by.as_str());
        let parts = [
            ("wording version", Some(self.wording.version.as_str())),
            ("collector", Some(self.collected_by.as_str())),
            ("evidence", self.evidence.as_ref().map(Evidence::as_str)),
            ("first collector", first),
        ];
        match parts.into_iter().find(|(_, text)| text.is_some_and(could_be_personal)) {
            Some((part, _)) => Err(ConsentError::Personal { part }),
            None => Ok(()),
        }
    }
}

/// One of a kind, or all of them. It has to be said which: a body that leaves it out is malformed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which<T> {
    /// All of them.
    All,
    /// This one.
    One(T),
}

impl<T> From<T> for Which<T> {
    fn from(one: T) -> Self {
        Which::One(one)
    }
}

/// The customer allowed something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentGiven {
    /// For what.
    pub purpose: Purpose,
    /// By which way: [`Channel::Letter`] is post, [`Channel::App`] messages pushed to the app.
    pub channel: Channel,
    /// Within which part of the business; none is the shop as a whole, and no part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// On which basis.
    pub basis: Basis,
    /// What proves it.
    pub proof: Proof,
    /// For which address it was given, as its keyed hash; none is whichever the customer has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IdentifierKey>,
    /// When it ends by itself, whatever the policy says beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl ConsentGiven {
    /// Consent (Art. 6(1)(a)) for the shop as a whole, until it is withdrawn.
    #[must_use]
    pub const fn new(purpose: Purpose, channel: Channel, proof: Proof) -> Self {
        ConsentGiven { purpose, channel, scope: None, basis: Basis::Consent, proof, address: None, expires_at: None }
    }

    /// Within a part of the business only.
    #[must_use]
    pub fn within(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Until an instant.
    #[must_use]
    pub const fn until(mut self, instant: Timestamp) -> Self {
        self.expires_at = Some(instant);
        self
    }
}

/// The customer was asked, and said no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentRefused {
    /// For what.
    pub purpose: Which<Purpose>,
    /// By which way.
    pub channel: Which<Channel>,
    /// Within which part of the business; none is all of it, each part included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// How it was said.
    pub how: Method,
}

/// The customer took back what they allowed, or opted out. It takes no proof, and is never refused
/// (GDPR, Art. 7(3): withdrawing is as easy as giving).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentWithdrawn {
    /// For what. All purposes are all but those that are transactional, which have to be named.
    pub purpose: Which<Purpose>,
    /// By which way.
    pub channel: Which<Channel>,
    /// Within which part of the business; none is all of it, each part included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// How it was said.
    pub how: Method,
}

impl ConsentWithdrawn {
    /// From one purpose or all, by one channel or all.
    #[must_use]
    pub fn new(purpose: impl Into<Which<Purpose>>, channel: impl Into<Which<Channel>>, how: Method) -> Self {
        ConsentWithdrawn { purpose: purpose.into(), channel: channel.into(), scope: None, how }
    }
}

/// The customer was asked to confirm, by a message to the address (double opt-in).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentRequested {
    /// For what.
    pub purpose: Purpose,
    /// By which way.
    pub channel: Channel,
    /// Within which part of the business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// On which basis.
    pub basis: Basis,
    /// The address that was asked, as its keyed hash.
    pub address: IdentifierKey,
    /// What proves that it was asked for.
    pub proof: Proof,
    /// Until when it can be confirmed.
    pub confirm_by: Timestamp,
}

/// The customer's data may be kept and not used, for now (GDPR, Art. 18).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restricted {
    /// Why, in few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Remark>,
}

/// The restriction is lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestrictionLifted {
    /// Why, in few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Remark>,
}

/// To what somebody objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objection {
    /// To marketing (GDPR, Art. 21(2)).
    Marketing,
    /// To profiling (GDPR, Art. 21(1)).
    Profiling,
}

/// The customer objects. It holds until they take it back, whatever they consent to beside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objected {
    /// To what.
    pub to: Objection,
}

/// The customer took an objection back. What they did not consent to stays so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectionWithdrawn {
    /// To what.
    pub to: Objection,
}

/// The shop sent the customer something. Frequency caps count these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contacted {
    /// For what.
    pub purpose: Purpose,
    /// By which way.
    pub channel: Channel,
    /// Within which part of the business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

/// An address of the customer is no longer suppressed: its holder asked for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuppressionLifted {
    /// The address, as its keyed hash.
    pub address: IdentifierKey,
    /// What proves that its holder asked for it.
    pub proof: Proof,
}
