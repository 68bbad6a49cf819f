//! Why a definition was refused.

use crate::consent::PolicyError;
use crate::declared::DeclarationError;
use crate::expression::LimitError;
use crate::identity::IdentityRulesError;
use crate::lifecycle::LifecycleError;
use crate::loyalty::{DrawError, LoyaltyError, ProgramError, ProgramId, RewardRuleError};
use crate::privacy::PrivacyError;
use crate::profile::SchemaError;
use crate::score::ScorePolicyError;
use crate::segment::{ReferenceError, SegmentName};
use crate::time::Timestamp;
use crate::value::ValueError;
use crate::workflow::{GrantsError, PluginName};

/// Why a definition was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionError {
    /// A segment's predicate exceeds a limit.
    #[error("segment {segment}")]
    Segment {
        /// Which.
        segment: SegmentName,
        /// What is wrong with it.
        source: LimitError,
    },
    /// A segment asks about others, or others about it, as they cannot.
    #[error("segment {segment}")]
    References {
        /// Which.
        segment: SegmentName,
        /// What is wrong.
        source: ReferenceError,
    },
    /// What cards may have or are to have exceeds a limit.
    #[error(transparent)]
    Card(#[from] SchemaError),
    /// A policy of consent exceeds a limit, or contradicts itself or the law.
    #[error("consent: {0}")]
    Consent(#[source] PolicyError),
    /// The rules for identifiers exceed a limit.
    #[error("identity")]
    Identity(#[from] IdentityRulesError),
    /// A policy of the life cycle cannot be kept.
    #[error("life cycle")]
    Lifecycle(#[from] LifecycleError),
    /// A policy of privacy or a view exceeds a limit.
    #[error(transparent)]
    Privacy(#[from] PrivacyError),
    /// An attribute for rules exceeds a limit, or was of another type before.
    #[error(transparent)]
    Declaration(#[from] DeclarationError),
    /// A plugin gives no score, or too many.
    #[error("{plugin} gives {count} scores, and may give 1 to {max}")]
    Scorer {
        /// Which plugin.
        plugin: PluginName,
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// When scores are made anew cannot be kept.
    #[error("scores of {plugin}")]
    ScorePolicy {
        /// Of which plugin.
        plugin: PluginName,
        /// What is wrong with it.
        source: ScorePolicyError,
    },
    /// A coupon, a reward, a stamp card or a badge exceeds a limit or contradicts itself.
    #[error("{kind} {name}")]
    Rewards {
        /// Which kind of definition.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: RewardRuleError,
    },
    /// A referral gives more points than can be given at once.
    #[error("referral")]
    Referral(#[source] LoyaltyError),
    /// A draw cannot be as it was announced.
    #[error("draw")]
    Draw(#[from] DrawError),
    /// What is granted to a plugin exceeds a limit.
    #[error("grants")]
    Grants(#[from] GrantsError),
    /// A policy about value contradicts itself or exceeds a limit.
    #[error("value")]
    Value(#[from] ValueError),
    /// A loyalty programme exceeds a limit, or contradicts itself.
    #[error("programme {program}")]
    Program {
        /// Which.
        program: ProgramId,
        /// What is wrong with it.
        source: ProgramError,
    },
    /// A later version is already there: the past is not rewritten.
    #[error("{name} already has a version from {latest}, later than {from}")]
    Older {
        /// Which definition.
        name: String,
        /// The instant asked for.
        from: Timestamp,
        /// The instant of the latest version.
        latest: Timestamp,
    },
    /// Another definition of that name already holds from that instant.
    #[error("{name} already has another version from {from}")]
    Taken {
        /// Which definition.
        name: String,
        /// The instant.
        from: Timestamp,
    },
}
