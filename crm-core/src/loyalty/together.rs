//! What is kept of a customer for what customers do together: gifts, pools, referrals.

use serde::{Deserialize, Serialize};

use super::draw::DrawError;
use super::event::{Posting, PostingKind};
use super::pool::{Pool, PoolMoved, PoolStep};
use super::referral::{CHAIN_LIMIT, ReferralMoved, ReferralName, ReferralStep, Referred};
use super::{DrawName, Period, ProgramId};
use crate::flat::{FlatMap, FlatSet};
use crate::id::CustomerId;

use super::allowance::Used;

/// Why something was refused that customers do together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TogetherError {
    /// The programme says nothing of gifts, so there are none.
    #[error("programme {program} allows no gifts")]
    NoGifts {
        /// The programme.
        program: ProgramId,
    },
    /// Fewer points than can be given, or more.
    #[error("{points} points are not between {at_least} and {at_most}")]
    GiftSize {
        /// How many were to be given.
        points: i64,
        /// The least.
        at_least: u64,
        /// The most.
        at_most: u64,
    },
    /// More than is left of what is allowed within a stretch of the calendar.
    #[error("{asked} points were asked for, {left} are allowed still in this {per:?}")]
    Allowance {
        /// How many were asked for.
        asked: i64,
        /// How many are left.
        left: i64,
        /// Of which stretch.
        per: Period,
    },
    /// Both are one customer, or were merged with each other.
    #[error("{customer} was asked to do it with themself")]
    WithThemself {
        /// Who.
        customer: CustomerId,
    },
    /// One of them was erased.
    #[error("{customer} was erased")]
    Erased {
        /// Who.
        customer: CustomerId,
    },
    /// The programme says nothing of pools, so there are none.
    #[error("programme {program} has no pools")]
    NoPools {
        /// The programme.
        program: ProgramId,
    },
    /// The customer has no pool in the programme.
    #[error("{customer} has no pool in programme {program}")]
    NoPool {
        /// Who.
        customer: CustomerId,
        /// The programme.
        program: ProgramId,
    },
    /// Somebody is no member of the pool.
    #[error("{customer} is no member of the pool")]
    NoMember {
        /// Who.
        customer: CustomerId,
    },
    /// Somebody shares points with others already: of each programme in one pool.
    #[error("{customer} is in the pool of {pool} already")]
    OtherPool {
        /// Who.
        customer: CustomerId,
        /// Whose pool it is.
        pool: CustomerId,
    },
    /// A pool has as many members as it may have.
    #[error("the pool has {max} members already")]
    Members {
        /// The limit: that of the programme, or [`POOL_MEMBERS_MAX`](super::POOL_MEMBERS_MAX) with those who left and are remembered.
        max: usize,
    },
    /// There is no referral of that name in force.
    #[error("there is no referral {name}")]
    NoReferral {
        /// The name given.
        name: ReferralName,
    },
    /// Only who has not ordered yet can be referred.
    #[error("{customer} has ordered before")]
    NotNew {
        /// Who.
        customer: CustomerId,
    },
    /// Nobody is referred twice.
    #[error("{customer} was referred before, by {by}")]
    ReferredBefore {
        /// Who.
        customer: CustomerId,
        /// By whom.
        by: CustomerId,
    },
    /// Somebody would have been brought by those whom they brought.
    #[error("{customer} brought those who would have brought them")]
    Ring {
        /// Who.
        customer: CustomerId,
    },
    /// Too many brought each other for it to be found out whether they are a ring.
    #[error("more than {CHAIN_LIMIT} customers brought each other")]
    Chain,
    /// There is no draw of that name.
    #[error("there is no draw {name}")]
    NoDraw {
        /// The name given.
        name: DrawName,
    },
    /// It was drawn before.
    #[error("{name} was drawn before")]
    Drawn {
        /// Which draw.
        name: DrawName,
    },
    /// The seed is not the one that the shop committed itself to, or the entries are not.
    #[error(transparent)]
    Draw(#[from] DrawError),
}

/// What customers did together, as one of them has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Together {
    /// How many points were given to others, and are counted.
    given: FlatMap<ProgramId, Used>,
    /// The pools that are this customer's own.
    pools: FlatMap<ProgramId, Pool>,
    /// Whose pools the customer is a member of: of one, unless they were merged.
    within: FlatMap<ProgramId, FlatSet<CustomerId>>,
    /// By whom they were brought.
    referred: Option<Referred>,
    /// How often they were rewarded for bringing somebody.
    rewarded: FlatMap<ReferralName, Used>,
}

impl Together {
    pub(crate) fn given(&self, program: &ProgramId) -> Option<&Used> {
        self.given.get(program)
    }

    pub(crate) fn pool(&self, program: &ProgramId) -> Option<&Pool> {
        self.pools.get(program)
    }

    pub(crate) fn pools(&self) -> impl Iterator<Item = (&ProgramId, &Pool)> {
        self.pools.iter()
    }

    pub(crate) fn within(&self, program: &ProgramId) -> impl Iterator<Item = CustomerId> + '_ {
        self.within.get(program).into_iter().flat_map(|pools| pools.iter().copied())
    }

    pub(crate) const fn referred(&self) -> Option<&Referred> {
        self.referred.as_ref()
    }

    pub(crate) fn rewarded(&self, name: &ReferralName) -> Option<&Used> {
        self.rewarded.get(name)
    }

    /// Points that are given count, and whoever's they were has given them.
    pub(crate) fn note_posting(together: &mut Option<Box<Self>>, posting: &Posting) {
        if let PostingKind::Given { counted: Some(counted), .. } = &posting.kind {
            let points = i64::try_from(-posting.points()).unwrap_or(i64::MAX);
            let own = together.get_or_insert_default();
            own.given.get_or_default(&posting.program).note(*counted, points);
        }
    }

    pub(crate) fn note_pool(&mut self, moved: &PoolMoved) {
        let PoolMoved { program, step } = moved;
        match step {
            PoolStep::Entered { pool } => self.within.get_or_default(program).insert(*pool),
            PoolStep::Quit { pool } => {
                let left = self.within.get_or_default(program);
                left.remove(pool);
                if left.len() == 0 {
                    self.within.remove(program);
                }
            }
            PoolStep::Opened { .. }
            | PoolStep::Joined { .. }
            | PoolStep::Allowed { .. }
            | PoolStep::Left { .. }
            | PoolStep::Contributed { .. }
            | PoolStep::Spent { .. }
            | PoolStep::Unspent { .. } => self.pools.get_or_default(program).note(step),
        }
    }

    pub(crate) fn note_referral(&mut self, moved: &ReferralMoved) {
        match &moved.step {
            ReferralStep::Brought { .. } => {}
            ReferralStep::Thanked { counted, .. } => {
                self.rewarded.get_or_default(&moved.name).note(*counted, 1);
            }
            ReferralStep::Referred { .. }
            | ReferralStep::Confirmed { .. }
            | ReferralStep::Rewarded { .. }
            | ReferralStep::Lapsed { .. } => Referred::note(&mut self.referred, moved),
        }
    }

    /// Whoever was erased is in nobody's pool and was brought by nobody.
    pub(crate) fn forget(&mut self) {
        self.within = FlatMap::default();
        self.referred = None;
    }

    /// That of several who are one.
    pub(crate) fn joined<'a>(all: impl Iterator<Item = &'a Self>) -> Option<Box<Self>> {
        let mut joined: Option<Box<Self>> = None;
        for own in all {
            let Together { given, pools, within, referred, rewarded } = own;
            let sum = joined.get_or_insert_default();
            given.iter().for_each(|(program, used)| sum.given.get_or_default(program).join(used));
            rewarded.iter().for_each(|(name, used)| sum.rewarded.get_or_default(name).join(used));
            pools.iter().for_each(|(program, pool)| sum.pools.get_or_default(program).join(pool));
            for (program, of) in within.iter() {
                of.iter().for_each(|pool| sum.within.get_or_default(program).insert(*pool));
            }
            // Of several referrals the first counts.
            let first = [sum.referred.take(), referred.clone()].into_iter().flatten();
            sum.referred = first.min_by_key(|referred| referred.at());
        }
        joined
    }
}
