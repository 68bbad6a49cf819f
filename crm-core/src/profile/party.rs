//! What kind of party a customer is. People and organisations, buyers and suppliers are parties of one kind.
//! None of this is personal: it is told by a fact, and stores choose customers by it.

use serde::{Deserialize, Serialize};

use crate::flat::FlatSet;
use crate::id::CustomerId;

/// A person or an organisation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartyKind {
    /// A person.
    #[default]
    Person,
    /// A company, a school, a household.
    Organisation,
}

/// What a party is to the shop, or a person to an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Buys for their own use.
    Consumer,
    /// Sells to the shop.
    Supplier,
    /// Sells on to retailers.
    Distributor,
    /// Sells on to consumers.
    Retailer,
    /// Works there.
    Employee,
    /// Orders for the organisation.
    Buyer,
    /// Decides what is bought.
    DecisionMaker,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 7] = [
        Role::Consumer,
        Role::Supplier,
        Role::Distributor,
        Role::Retailer,
        Role::Employee,
        Role::Buyer,
        Role::DecisionMaker,
    ];

    /// The name it is stored under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Consumer => "consumer",
            Role::Supplier => "supplier",
            Role::Distributor => "distributor",
            Role::Retailer => "retailer",
            Role::Employee => "employee",
            Role::Buyer => "buyer",
            Role::DecisionMaker => "decision_maker",
        }
    }
}

/// That a party has a role in an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// Which organisation: a party of this tenant.
    pub organisation: CustomerId,
    /// As what.
    pub role: Role,
}

/// What kind of party a customer is, in which roles. At most [`Party::MEMBERSHIPS_MAX`] memberships.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    kind: PartyKind,
    key_customer: bool,
    roles: FlatSet<Role>,
    memberships: FlatSet<Membership>,
}

/// Too many memberships.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a party is a member in more than {max} ways")]
pub struct PartyError {
    /// The limit.
    pub max: usize,
}

impl Party {
    /// The most memberships.
    pub const MEMBERSHIPS_MAX: usize = 32;

    /// A person without roles.
    #[must_use]
    pub fn person() -> Self {
        Party::default()
    }

    /// An organisation without roles.
    #[must_use]
    pub fn organisation() -> Self {
        Party { kind: PartyKind::Organisation, ..Party::default() }
    }

    /// With a role towards the shop.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.roles.insert(role);
        self
    }

    /// As a key customer.
    #[must_use]
    pub const fn key_customer(mut self) -> Self {
        self.key_customer = true;
        self
    }

    /// With a role in an organisation.
    ///
    /// # Errors
    ///
    /// `PartyError` beyond [`Party::MEMBERSHIPS_MAX`].
    pub fn member_of(mut self, organisation: CustomerId, role: Role) -> Result<Self, PartyError> {
        self.memberships.insert(Membership { organisation, role });
        if self.memberships.len() > Self::MEMBERSHIPS_MAX {
            return Err(PartyError { max: Self::MEMBERSHIPS_MAX });
        }
        Ok(self)
    }

    /// A person or an organisation.
    #[must_use]
    pub const fn kind(&self) -> PartyKind {
        self.kind
    }

    /// Whether it is a key customer.
    #[must_use]
    pub const fn is_key_customer(&self) -> bool {
        self.key_customer
    }

    /// The roles towards the shop.
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        self.roles.iter().copied()
    }

    /// The roles in organisations.
    pub fn memberships(&self) -> impl Iterator<Item = Membership> {
        self.memberships.iter().copied()
    }

    /// The names of the sets that the party is in: `organisation`, `key_customer`, each role, and each role in
    /// an organisation as `role/organisation`.
    pub fn set_names(&self) -> impl Iterator<Item = String> {
        let organisation = (self.kind == PartyKind::Organisation).then(|| "organisation".to_owned());
        let key = self.key_customer.then(|| "key_customer".to_owned());
        let roles = self.roles.iter().map(|role| role.name().to_owned());
        let members = self.memberships.iter().map(|member| Self::set_of(member.role, member.organisation));
        organisation.into_iter().chain(key).chain(roles).chain(members)
    }

    /// The name of the set of those who have a role in an organisation.
    #[must_use]
    pub fn set_of(role: Role, organisation: CustomerId) -> String {
        format!("{}/{organisation}", role.name())
    }
}

/// The shop says what kind of party a customer is. The newest says all of it: what it leaves out is so no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Told", into = "Told")]
pub struct PartyDescribed {
    /// What.
    pub party: Party,
}

#[derive(Serialize, Deserialize)]
struct Told {
    kind: PartyKind,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    key_customer: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<Role>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    memberships: Vec<Membership>,
}

impl TryFrom<Told> for PartyDescribed {
    type Error = PartyError;

    fn try_from(told: Told) -> Result<Self, PartyError> {
        let mut party = Party { kind: told.kind, key_customer: told.key_customer, ..Party::default() };
        party = told.roles.into_iter().fold(party, Party::with_role);
        for member in told.memberships {
            party = party.member_of(member.organisation, member.role)?;
        }
        Ok(PartyDescribed { party })
    }
}

impl From<PartyDescribed> for Told {
    fn from(PartyDescribed { party }: PartyDescribed) -> Told {
        Told {
            kind: party.kind,
            key_customer: party.key_customer,
            roles: party.roles().collect(),
            memberships: party.memberships().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_party_is_in_a_set_for_each_role() {
        let acme = CustomerId::new(Timestamp::MIN, [1; 10]);
        let buyer = Party::person().with_role(Role::Consumer).key_customer().member_of(acme, Role::Buyer).unwrap();
        let names: Vec<String> = buyer.set_names().collect();
        assert_eq!(names, ["key_customer", "consumer", &format!("buyer/{acme}")]);
        assert_eq!(Party::organisation().set_names().collect::<Vec<_>>(), ["organisation"]);
    }

    #[test]
    fn a_party_has_so_many_memberships_and_no_more() {
        let organisation = |n: u8| CustomerId::new(Timestamp::MIN, [n; 10]);
        let full = (0..32).try_fold(Party::person(), |party, n| party.member_of(organisation(n), Role::Employee));
        let full = full.unwrap();
        assert!(full.clone().member_of(organisation(0), Role::Employee).is_ok(), "the same again");
        assert!(full.clone().member_of(organisation(32), Role::Employee).is_err());
        let told = serde_json::to_string(&PartyDescribed { party: full }).unwrap();
        assert!(serde_json::from_str::<PartyDescribed>(&told).is_ok());
        let many = told.replacen(
            "\"role\":\"employee\"}",
            "\"role\":\"employee\"},{\"organisation\":\"00000000-0000-7000-9999-000000000000\",\"role\":\"buyer\"}",
            1,
        );
        assert!(serde_json::from_str::<PartyDescribed>(&many).is_err());
    }
}
