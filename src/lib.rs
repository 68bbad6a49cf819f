#![doc = include_str!("../README.md")]

mod audit;
pub mod blocking;
mod builder;
mod clock;
mod engine;
mod error;
mod ids;
mod incoming;
mod installed;
mod ledger;
mod lookup;
mod personal;
mod plan;
#[cfg(feature = "plugins")]
pub mod plugins;
mod points_csv;
mod scorer;
#[cfg(feature = "vcard")]
pub mod vcard;
mod workflow;

pub use audit::{CheckpointSigner, SignError};
pub use builder::CrmBuilder;
pub use clock::{Clock, ManualClock, SystemClock};
/// How good scores are.
pub use crm_core::analysis;
pub use crm_core::attribute::{Attribute, Unit};
pub use crm_core::audit::{
    ActionName, ActorName, AuditAction, AuditActor, AuditEntry, AuditError, AuditRecord, BadKey, Checkpoint, Detail,
    DetailName, DetailText, Ed25519Signer, Head, ReadPurpose, Signature, Tampering, Verified, Verifier, VerifyingKey,
};
pub use crm_core::change::{Cause, Change, ChangeBody};
pub use crm_core::consent::{
    Allowed, Arrival, Barred, Basis, Cap, Choice, Collector, ConsentBook, ConsentError, ConsentGiven, ConsentKey,
    ConsentPolicy, ConsentRefused, ConsentRequested, ConsentStanding, ConsentStatus, ConsentWithdrawn, ContactQuery,
    Contacted, Day, Evidence, LocalTime, Locale, Method, NoLocale, NoName, NoTime, Objected, Objection,
    ObjectionWithdrawn, Original, PolicyError, Proof, Purpose, PurposeRule, QuietHours, Reply, Restricted,
    RestrictionLifted, Scope, SuppressionLifted, Target, Tz, Unproved, Which, Wording, WordingVersion,
};
pub use crm_core::contract::{
    Contract, ContractEnded, ContractError, ContractRef, ContractRenewed, ContractSigned, Contracts, Renewals,
};
/// Store credit and gift cards.
pub use crm_core::credit;
pub use crm_core::credit::{
    AdjustCredit, CREDIT_AMOUNT_MAX, CREDIT_BALANCE_MAX, CREDIT_HOLDS_MAX, CaptureCredit, CreditAccount, CreditBook,
    CreditBooks, CreditCause, CreditCommand, CreditError, CreditHold, CreditHoldName, CreditLine, CreditLot,
    CreditMove, CreditOrigin, CreditPosting, CreditStatement, CreditTerms, CreditTotals, GiftCardId, GiftCardKind,
    GiftCardPosting, GiftCardState, GrantCredit, HoldCredit, ReleaseCredit, ReverseCredit, SettledOf, SpendCredit,
};
pub use crm_core::custom::{CustomError, CustomFact, FieldRule, FieldType, KindName, KindSchema};
pub use crm_core::customer::{Command, Customer, MergeRefusal, Quote, Refusal, Standing};
pub use crm_core::declared::{
    AttributeSet, DeclarationError, DeclaredError, DeclaredKind, DeclaredName, DeclaredText, DeclaredValue,
};
pub use crm_core::event::{Decision, Deed, Event, EventBody, Fact, Voided};
pub use crm_core::expression::{
    Clause, Comparison, ExpressionError, LimitError, Number, Predicate, Problem, QueryError, Subject, Vocabulary,
};
pub use crm_core::identity::{
    Agreement, Aside, Assurance, Clue, ClueField, Disagreement, ExternalSystem, Identified, Identifier,
    IdentifierAttached, IdentifierError, IdentifierKey, IdentifierKind, IdentifierSetAside, IdentityRules,
    IdentityRulesError, Join, KindRule, Limit, LookupKey, MEMBERS_MAX, MergeReason, Merged, Parted, Pattern,
    PatternError, PhoneError, Presented, Region, Seen, Suggestion, VerificationMethod,
};
pub use crm_core::interaction::{Channel, Enquired, Visited};
pub use crm_core::lifecycle;
pub use crm_core::lifecycle::{
    IntentRules, LifecycleError, LifecyclePolicy, OwnRhythm, Phase, Repeated, SegmentPolicy, Stage, StageCause, Typical,
};
pub use crm_core::loyalty;
pub use crm_core::loyalty::{
    Allowance, AwardPoints, BenefitName, Cart, ClaimCoupon, Counted, CouponClaimed, CouponCode, Downgrade, Draw,
    DrawError, DrawName, DrawWon, EarningRule, Entries, Expiry, Formula, GiftExpiry, GiftPolicy, GivePoints,
    InviteToTier, KeptWhy, LapseReason, Lot, LotMove, LoyaltyError, MemberAllowance, Multiplier, NextTier, OnLeaving,
    PointsBook, PointsTotals, Pool, PoolCommand, PoolKind, PoolMoved, PoolPolicy, PoolStep, Posting, PostingKind,
    Program, ProgramId, Projected, RedeemPoints, Referral, ReferralMoved, ReferralName, ReferralStanding, ReferralStep,
    Referred, RevokeTier, Rises, RuleName, Seed, TierError, TierKept, TierName, TierOutlook, TierRefusal, TierRule,
    Tiers, TogetherError,
};
pub use crm_core::loyalty::{
    Badge, BadgeEarned, BadgeName, BadgePoints, BatchName, Benefit, CancelReward, ClaimReward, Coupon, CouponBy,
    CouponRedeemed, CouponReleased, CouponReserved, CouponUse, Lines, Period, RedeemCoupon, ReleaseCause,
    ReleaseCoupon, ReserveCoupon, Reward, RewardCancelled, RewardClaim, RewardClaimed, RewardGives, RewardName,
    RewardOffer, RewardRuleError, RewardsHeld, StampCard, StampCardName, Stamps, UseName, UsesPer, Voucher,
    VoucherCode, VoucherCodeError, VoucherFrom, VoucherHeld, VoucherId, VoucherIssued, VoucherWithdrawn, WhenUndone,
    WithdrawCause,
};
pub use crm_core::messaging::{MessageDirection, MessageReceived};
pub use crm_core::order::{
    CartUpdated, CategoryName, Line, LineKind, Order, OrderDelivered, OrderError, OrderPlaced, OrderRef, Orders,
    PaymentReceived, ProductRef, Refunded, Turnover,
};
pub use crm_core::privacy::{
    Blocked, Blocker, Erased, ErasureAttempt, ErasureRecord, ErasureTag, Forget, Forgotten, HoldPlaced, HoldRefusal,
    HoldReleased, IdentifierCorrected, LEGAL_HOLDS_MAX, LegalHoldName, PersonalKept, PrivacyError, PrivacyPolicy,
    Record, RecordError, Removal, Removed, RetentionAction, RetentionDue, RetentionMark, RetentionName, RetentionOf,
    RetentionPolicy, RetentionSince, Unscored, View, ViewName,
};
pub use crm_core::profile::{
    Address, Asked, AttributeChoice, AttributeKind, AttributeName, AttributeValue, Birthday, Card, CardChanged,
    CardError, CardLine, CardSchema, CardText, CardUpdate, CardValue, Completeness, CompletenessRules, ContactKind,
    ContactPoint, Country, CustomPreference, Field, Language, LeapDay, Matched, Membership, Name, Party,
    PartyDescribed, PartyError, PartyKind, Place, Preference, Role, SchemaError, SearchQuery, Sourced, Tagged,
    TimeZone, Untagged, Want, Wanted,
};
pub use crm_core::relationship::{
    Direction, PAST_TIES_MAX, Strength, TIES_MAX, Tie, TieError, TieKind, TieName, TieSide, Tied, Ties, Untie, Untied,
};
pub use crm_core::score::{
    InputsError, Score, ScoreInputs, ScoreName, ScoreOutput, ScorePolicy, ScoreRunName, ScoreSchedule, ScoreTerms,
    TermsError,
};
pub use crm_core::segment::{
    Enlisted, ListAbout, ListError, ListName, ListText, MemberDay, MemberDays, Override, OverrideCleared,
    OverrideRefusal, OverrideSegment, ReferenceError, SegmentName, SegmentOverridden, Spell, Stay, TooManyDays,
    Unfilled, Unlisted,
};
pub use crm_core::service::{CaseClosed, CaseKind, CaseOpened, CaseOutcome, CaseRef, CaseReopened};
/// What customers are worth.
pub use crm_core::value;
pub use crm_core::value::{Rfm, RfmGroup, RfmPolicy, RfmScore, rfm_scores};
pub use crm_core::workflow::{
    ActionLimits, Actor, DECISIONS_A_DAY, Faulted, FieldName, FieldValue, Fields, Grants, GrantsError, Held,
    Identities, LOOKUP_KEY_BYTES_MAX, LOOKUP_KEYS_MAX, LookedUp, LookupKeyHash, Names, NotGranted, Notified,
    PluginKept, PluginName, PluginStamp, Remembered, SourceName, TagAdded, TagRemoved, TookOver, Topic, Usage,
};
pub use crm_core::{
    Alarm, AlarmKind, Currency, CustomerId, Decimal, Definition, DefinitionError, DefinitionVersion, Definitions,
    Digest, EventId, FactKey, Millionths, Money, MoneyError, Remark, Rounded, SmolStr, Source, Span, Tag, TenantId,
    TextError, TimeError, Timestamp, minor_to_decimal,
};
pub use crm_storage::{Copies, DeadLetter, MemoryStore, ScoreRow, Selection, StorageError, Store};
#[cfg(feature = "postgres")]
pub use crm_storage::{Dialect, PostgresOptions, PostgresStore, postgres};
#[cfg(feature = "sqlite")]
pub use crm_storage::{SqliteOptions, SqliteStore, sqlite};
#[cfg(feature = "postgres")]
pub use engine::InPostgresTransaction;
#[cfg(feature = "sqlite")]
pub use engine::InTransaction;
pub use engine::{
    ATTEMPTS, AddressWithdrawn, AuditCursor, AuditPage, CANDIDATES_MAX, CARDS_AT_A_TIME, CardChange, CardTold,
    CardUpdated, CardsImported, ConfirmProof, Confirmation, ConfirmedAddress, ConsentRefusal, Crm, Delivered, Delivery,
    DoneTogether, DrawEntries, Drawn, Erasure, ErasureRequest, Executed, FillProgress, FillReport, Found, ImportError,
    Imported, IngestReport, Ingestion, ListReport, MergeOutcome, OptIn, OptInPeek, OptInRequested, OptInState,
    OptInToken, Overview, PartOutcome, PluginInstalled, PluginRole, PluginStanding, RUNS_MAX, Recorded, Rectification,
    RectifyRefusal, RetentionCount, RetentionOverview, SCORE_BATCH, ScoreExplained, ScoreProgress, ScoreReport,
    ScoreRun, ScoreRunError, ScoreSummary, Selected, Story, Suppressed, SuppressionReason, TieRecorded, ToFill,
    Unsubscribe, UnsubscribeToken, VOUCHERS_AT_ONCE_MAX, VoucherBatch, VoucherGiven, Withdrawal,
};
pub use engine::{
    AskedThen, INSTANTS_MAX, InstantScores, Known, MovedScore, Outlook, OutputBacktest, OutputShadow, ReplayCost,
    ReplayError, ReplayGaps, ReplayProgress, ReplayedAction, ScoreReplay, ScorerBacktest, ScorerShadow, Verdict,
    WorkflowBacktest, WorkflowReplay, WorkflowShadow,
};
pub use engine::{
    BalanceRow, ExpectedPoints, ImportDifference, ImportProblem, ImportProblemKind, ImportStep, ImportedBalance,
    PROBLEMS_MAX, PointsImport, PointsImportChecked, PointsImportError, PointsImported, Statement, UnknownCustomers,
};
pub use engine::{
    BringsReport, DebtReport, Debtor, GroupSize, KeyCustomer, Past, RfmReport, RfmRow, SocialReport, SocialRow,
    StageForecast, StageStory, ValueReport,
};
pub use engine::{
    CreditTrialBalance, GiftCard, GiftCardBlocked, GiftCardCode, GiftCardIssued, GiftCardRedeemed, GiftCardSale,
};
pub use error::Error;
pub use ids::{DerivedIds, IdSource, NoRandom, RandomIds};
pub use incoming::{Incoming, Who};
pub use ledger::{ErasureLedger, FileLedger, LedgerError};
pub use lookup::{LOOKUP_ROUNDS_MAX, LookupFault, LookupSource, SourceFailed};
pub use personal::{KeyError, PersonKey, PersonKeys, PersonalError};
pub use plan::{CALLS_MAX, CHAIN_MAX, FactRefusal, Outcome};
pub use points_csv::{BalanceTable, ROW_BYTES_MAX, RowFault};
pub use scorer::{ScoreBatch, Scorer, score_seed};
pub use workflow::{Asks, Breaker, PluginFault, Trigger, TriggerValue, Workflow, WorkflowCall, WorkflowReply};

/// The guide for embedders, whose code is tested with everything else.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../docs/embedding.md")]
mod embedding {}

/// The guide to plugins for shops, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/plugins-for-hosts.md")]
mod plugins_for_hosts {}

/// The guide to earning points, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/earning.md")]
mod earning {}

/// The guide to what is private, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/privacy.md")]
mod privacy {}

/// The guide to tiers, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/loyalty-tiers.md")]
mod tiers {}

/// The guide to coupons, rewards, stamps and badges, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/loyalty-rewards.md")]
mod rewards {}

/// The guide to trying plugins on the past, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/backtest.md")]
mod backtests {}

/// The guide to rules, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/rules.md")]
mod rules {}

/// The guide to what customers are worth, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/value.md")]
mod worth {}

/// The guide to scores, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/scores.md")]
mod scores {}

/// The guide to what customers do together, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/loyalty-together.md")]
mod together {}

/// The guide to the life cycle, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/lifecycle.md")]
mod stages {}

/// The guide to the books of points, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/loyalty-books.md")]
mod loyalty_books {}

/// The guide to PostgreSQL, likewise.
#[cfg(all(doctest, feature = "postgres"))]
#[doc = include_str!("../docs/postgres.md")]
mod postgresql {}

/// The guide to the shop's own transactions, likewise.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../docs/transactions.md")]
mod transactions {}

/// The guide to store credit and gift cards, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/loyalty-credit.md")]
mod store_credit {}
