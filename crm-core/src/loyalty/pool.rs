//! Pools: points that a household or a company has together. A pool is the book of one customer, its owner: the head of a
//! household, or the organisation. Members put points in, and spend of them within what each is allowed; whatever
//! happens is a decision in the owner's history, so that there is one order in which it happens.

use serde::{Deserialize, Serialize};

use super::allowance::Used;
use super::{Allowance, CountedAt, ProgramId};
use crate::flat::FlatMap;
use crate::id::{CustomerId, EventId};
use crate::text::Remark;

/// The most members that a pool remembers, those who left after they had spent or put in something included.
pub const POOL_MEMBERS_MAX: usize = 256;

/// What becomes of points when a member leaves a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLeaving {
    /// They stay in the pool.
    #[default]
    Stay,
    /// What the member put in and has not spent goes with them, as far as the pool has it.
    TakeOwn,
}

/// Whether and how customers may have points together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolPolicy {
    /// How many members a pool may have beside its owner, at most [`POOL_MEMBERS_MAX`].
    pub members: u16,
    /// How much each may spend, where the pool says nothing of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Allowance>,
    /// What becomes of points when somebody leaves.
    #[serde(default)]
    pub on_leaving: OnLeaving,
    /// What share of the points that facts earn a member goes to the pool, in millionths, at most 1,000,000: all of them.
    /// Of the points of each fact it is rounded down. It goes there once the points can be spent, by
    /// [`advance`](https://docs.rs/crm); until then nobody can spend it. What is taken back of a fact later is taken
    /// back from where it went. What counts towards tiers is the member's.
    #[serde(default, skip_serializing_if = "is_none")]
    pub share_millionths: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_none(share: &u32) -> bool {
    *share == 0
}

/// Who has points together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKind {
    /// People who live together.
    #[default]
    Household,
    /// Those who buy for a company.
    Company,
}

/// How much a member may spend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberAllowance {
    /// What the programme allows each.
    #[default]
    AsAll,
    /// So much.
    Own(Allowance),
    /// Whatever is there.
    Any,
}

impl MemberAllowance {
    /// As it is under a policy; none means without a limit.
    pub(crate) fn under(self, policy: Option<&PoolPolicy>) -> Option<Allowance> {
        match self {
            MemberAllowance::AsAll => policy.and_then(|policy| policy.each),
            MemberAllowance::Own(own) => Some(own),
            MemberAllowance::Any => None,
        }
    }
}

/// What can be done with a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PoolCommand {
    /// Have the owner's points be a pool. Again it changes nothing, or what kind it is.
    Open {
        /// Of which kind.
        kind: PoolKind,
    },
    /// Take in a member. Who is one already stays one, with this allowance.
    Join {
        /// Who.
        member: CustomerId,
        /// How much they may spend.
        allowance: MemberAllowance,
    },
    /// Have a member leave. What they put in stays, unless the programme says otherwise.
    Leave {
        /// Who.
        member: CustomerId,
    },
    /// A member puts points of their own in.
    Contribute {
        /// Who.
        member: CustomerId,
        /// How many.
        points: i64,
        /// What for.
        reason: Remark,
    },
    /// A member spends points of the pool.
    Redeem {
        /// Who.
        member: CustomerId,
        /// How many.
        points: i64,
        /// What for.
        reason: Remark,
    },
}

impl PoolCommand {
    /// The member that it is about.
    #[must_use]
    pub const fn member(&self) -> Option<CustomerId> {
        match self {
            PoolCommand::Open { .. } => None,
            PoolCommand::Join { member, .. }
            | PoolCommand::Leave { member }
            | PoolCommand::Contribute { member, .. }
            | PoolCommand::Redeem { member, .. } => Some(*member),
        }
    }
}

/// Something about a pool was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolMoved {
    /// Of which programme.
    pub program: ProgramId,
    /// What.
    pub step: PoolStep,
}

/// What was decided about a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PoolStep {
    /// The customer's points are a pool from now on.
    Opened {
        /// Of which kind.
        kind: PoolKind,
    },
    /// Somebody came in.
    Joined {
        /// Who.
        member: CustomerId,
        /// How much they may spend.
        allowance: MemberAllowance,
    },
    /// A member may spend another amount.
    Allowed {
        /// Who.
        member: CustomerId,
        /// How much.
        allowance: MemberAllowance,
    },
    /// Somebody left.
    Left {
        /// Who.
        member: CustomerId,
        /// How many points went with them.
        points: i64,
    },
    /// A member put points in.
    Contributed {
        /// Who.
        member: CustomerId,
        /// How many.
        points: i64,
    },
    /// A member spent points.
    Spent {
        /// Who.
        member: CustomerId,
        /// How many.
        points: i64,
        /// When, for what each is allowed.
        counted: CountedAt,
        /// The posting that spent them: the first of several where the owner was merged of several.
        posting: EventId,
    },
    /// What a member spent was undone: it is theirs to spend again, if the stretch of the calendar that it counted in is
    /// not over.
    Unspent {
        /// Who had spent it.
        member: CustomerId,
        /// How many points came back.
        points: i64,
        /// When they had been spent.
        counted: CountedAt,
        /// The posting that had spent them.
        posting: EventId,
    },
    /// In a member's own history: they are in somebody's pool.
    Entered {
        /// Whose.
        pool: CustomerId,
    },
    /// In a member's own history: they left it.
    Quit {
        /// Whose.
        pool: CustomerId,
    },
}

impl PoolStep {
    /// The member that it is about, in the owner's history.
    #[must_use]
    pub const fn member(&self) -> Option<CustomerId> {
        match self {
            PoolStep::Opened { .. } | PoolStep::Entered { .. } | PoolStep::Quit { .. } => None,
            PoolStep::Joined { member, .. }
            | PoolStep::Allowed { member, .. }
            | PoolStep::Left { member, .. }
            | PoolStep::Contributed { member, .. }
            | PoolStep::Spent { member, .. }
            | PoolStep::Unspent { member, .. } => Some(*member),
        }
    }
}

/// A pool, as its owner has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    kind: PoolKind,
    members: FlatMap<CustomerId, PoolMember>,
}

/// A member of a pool, by the id they came in under.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolMember {
    here: bool,
    allowance: MemberAllowance,
    used: Used,
    contributed: i64,
    spent: i64,
}

impl PoolMember {
    /// How much they may spend, as the pool says.
    #[must_use]
    pub const fn allowance(&self) -> MemberAllowance {
        self.allowance
    }

    /// How many points they put in.
    #[must_use]
    pub const fn contributed(&self) -> i64 {
        self.contributed
    }

    /// How many they spent.
    #[must_use]
    pub const fn spent(&self) -> i64 {
        self.spent
    }

    /// How many they spent in the stretch of the calendar that an instant is in.
    #[must_use]
    pub fn spent_within(&self, period: super::Period, counted: CountedAt) -> i64 {
        self.used.within(period, counted)
    }
}

impl Pool {
    /// Of which kind it is.
    #[must_use]
    pub const fn kind(&self) -> PoolKind {
        self.kind
    }

    /// Who is in it, by the ids they came in under, in the order of the ids.
    pub fn members(&self) -> impl Iterator<Item = (CustomerId, &PoolMember)> {
        self.members.iter().filter(|(_, member)| member.here).map(|(id, member)| (*id, member))
    }

    /// All that it remembers: who left too.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = (CustomerId, &PoolMember)> {
        self.members.iter().map(|(id, member)| (*id, member))
    }

    /// Somebody who is in it.
    #[must_use]
    pub fn member(&self, id: CustomerId) -> Option<&PoolMember> {
        self.members.get(&id).filter(|member| member.here)
    }

    pub(super) fn note(&mut self, step: &PoolStep) {
        match step {
            PoolStep::Opened { kind } => self.kind = *kind,
            PoolStep::Joined { member, allowance } | PoolStep::Allowed { member, allowance } => {
                let own = self.members.get_or_default(member);
                own.here = true;
                own.allowance = *allowance;
            }
            PoolStep::Left { member, points } => {
                let own = self.members.get_or_default(member);
                own.here = false;
                own.contributed = own.contributed.saturating_sub(*points);
                // What they spent counts still, should they come back.
                if own.used.is_empty() && own.contributed == 0 {
                    self.members.remove(member);
                }
            }
            PoolStep::Contributed { member, points } => {
                let own = self.members.get_or_default(member);
                own.contributed = own.contributed.saturating_add(*points);
            }
            PoolStep::Spent { member, points, counted, posting: _ } => {
                let own = self.members.get_or_default(member);
                own.spent = own.spent.saturating_add(*points);
                own.used.note(*counted, *points);
            }
            PoolStep::Unspent { member, points, counted, posting: _ } => {
                if let Some(own) = self.members.get_mut(member) {
                    own.spent = own.spent.saturating_sub(*points).max(0);
                    own.used.note(*counted, points.saturating_neg());
                }
            }
            // These are in a member's history.
            PoolStep::Entered { .. } | PoolStep::Quit { .. } => {}
        }
    }

    /// Two whose owners are one now.
    pub(super) fn join(&mut self, other: &Self) {
        self.kind = other.kind;
        for (id, theirs) in other.members.iter() {
            let own = self.members.get_or_default(id);
            if theirs.here || !own.here {
                own.allowance = theirs.allowance;
            }
            own.here |= theirs.here;
            own.used.join(&theirs.used);
            own.contributed = own.contributed.saturating_add(theirs.contributed);
            own.spent = own.spent.saturating_add(theirs.spent);
        }
    }
}
