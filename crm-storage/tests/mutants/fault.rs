//! What can be wrong with a store.

use crm_core::expression::Comparison;
use crm_core::{Digest, SetKey};
use crm_storage::{Claim, ClaimKey, Commit, Selection};

/// One thing that a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Of several events of a write the last is dropped.
    DropsAnEvent,
    /// When scores were kept, and what they were made for, is forgotten.
    ForgetsTermsOfScores,
    /// Scores that are to go stay.
    KeepsOldScores,
    /// A scan brings no scores as of other instants than the one that was asked for.
    ScansOneInstant,
    /// A scan does not go on after its first page.
    ScansOnePage,
    /// Of several claims of a commit the last is lost.
    LosesAClaim,
    /// What a commit with writes tells the host is lost.
    LosesTheOutbox,
    /// What was given up elsewhere is lost.
    BuriesNothing,
    /// All events of a write stand before its changes, whatever is said.
    PutsChangesLast,
    /// The writes of a commit whose claims or counters are refused are applied.
    AppliesHalfARefusedCommit,
    /// What comes after a refused commit in the same call is refused, too.
    StopsAtARefusal,
    /// The answer of a request that comes again is empty.
    ForgetsTheAnswer,
    /// A request is known by its key alone, whatever its body.
    ReplaysAChangedRequest,
    /// A refused commit uses up its key.
    RemembersARefusedRequest,
    /// A counter may pass its limit by one.
    PassesTheLimit,
    /// The alarm of before is not removed.
    KeepsAlarms,
    /// A write is applied whatever the version is.
    ChecksNoVersion,
    /// Claims are judged before versions.
    JudgesClaimsFirst,
    /// A body longer than 64 KiB is cut.
    CutsLongBodies,
    /// Keys differ by their letters, not by their case.
    FoldsTheCaseOfKeys,
    /// A key that is given up stays its owner's.
    ReleasesNothing,
    /// A key can be given up by anybody.
    ReleasesForAnybody,
    /// Numbers that a write does not name stay.
    MergesColumns,
    /// Tenants differ by their letters, not by their case.
    FoldsTheCaseOfTenants,
    /// A key that a tenant does not have is looked for among the other tenants.
    ResolvesAcrossTenants,
    /// Customers are loaded in the order of their ids.
    LoadsInItsOwnOrder,
    /// Details come whether they were asked for or not.
    AnswersEveryPart,
    /// A page of a history is turned round.
    TurnsPagesRound,
    /// A page goes on one row too late if something was written since.
    SkipsARowUnderWrites,
    /// A history goes on with that of the tenant whose customer of the same id was read last.
    MixesHistories,
    /// A missing number counts as 0.
    TakesMissingForZero,
    /// Numbers are compared as floats.
    ComparesAsFloats,
    /// Sets differ by their letters, not by their case.
    FoldsTheCaseOfSets,
    /// Of several tokens only the first is looked for.
    SearchesByOneToken,
    /// Who is selected comes with the highest id first.
    SelectsBackwards,
    /// A count stops at a page.
    CountsOnePage,
    /// A malformed selection means nobody.
    AnswersMalformedSelections,
    /// Customers of other tenants are added to a set as well.
    EnrolsAcrossTenants,
    /// A page of an enrolment is taken for the last one.
    EnrolsOnePage,
    /// Whoever is in a set already is told so again.
    EnrolsAgain,
    /// An alarm at the very instant is not yet due.
    MissesTheInstant,
    /// A lease has ended when it is given, so that another gets the same entry.
    LeasesTwice,
    /// Entries are leased latest first.
    LeasesBackwards,
    /// An older token is as good as the latest.
    SettlesWithAStaleToken,
    /// Whatever is settled, the answer is that it was.
    SaysThatAllIsSettled,
    /// A dead letter is due again.
    LeasesTheDead,
    /// An attempt counts that was given back.
    CountsWhatIsGivenBack,
    /// A page of dead letters begins with the one it should begin after.
    RepeatsADeadLetter,
    /// A definition is added whatever the revision is.
    ChecksNoRevision,
    /// Search tokens are left when a customer is erased.
    ErasesNoTokens,
    /// The keys named are left when a customer is erased.
    ErasesNoKeys,
    /// Keys that are named go whoever has them.
    ErasesKeysOfOthers,
    /// A store with logs says that nothing is left of somebody of whom it finds nothing.
    CallsLogsGone,
    /// A write that was decided before an erasure is applied.
    AppliesAfterAnErasure,
    /// Every fifth position of the feed is left out.
    LeavesGapsInTheFeed,
    /// A row is seen in the feed before one that was written earlier.
    ShowsLaterRowsFirst,
    /// All rows of the feed are the first tenant's.
    MixesTenantsInTheFeed,
    /// Of several writes of one commit, the later ones are not in the feed.
    FeedsTheFirstWriteOnly,
    /// Whoever took a cursor can move it for ever.
    FencesNobody,
    /// A cursor can be moved past the end of its lane.
    PassesTheEnd,
    /// A consumer has one cursor for all lanes.
    SharesCursorsBetweenLanes,
    /// Where consumers stood is forgotten when the store is opened again.
    ForgetsCursors,
    /// Requests are forgotten when the store is opened again.
    ForgetsRequests,
}

impl Fault {
    /// What the faulty store makes of a commit before it looks at anything.
    pub(crate) fn corrupt(self, commit: &mut Commit) {
        match self {
            Fault::DropsAnEvent => {
                for write in commit.writes.iter_mut().filter(|write| write.events.len() > 1) {
                    write.events.pop();
                }
            }
            Fault::LosesAClaim if commit.claims.len() > 1 => drop(commit.claims.pop()),
            Fault::ForgetsTermsOfScores => {
                for score in commit.writes.iter_mut().flat_map(|write| &mut write.scores) {
                    (score.recorded_at, score.terms) = (None, crm_core::SmolStr::default());
                }
            }
            Fault::KeepsOldScores => commit.writes.iter_mut().for_each(|write| write.scores_gone.clear()),
            Fault::BuriesNothing => commit.dead_letters.clear(),
            Fault::PutsChangesLast => {
                let sound = commit.check().is_ok();
                commit.writes.iter_mut().filter(|_| sound).for_each(|write| write.changes_after.clear());
            }
            Fault::LosesTheOutbox if !commit.writes.is_empty() => commit.outbox.clear(),
            Fault::ReplaysAChangedRequest => {
                commit.request.iter_mut().for_each(|request| request.digest = Digest::of(b""));
            }
            Fault::PassesTheLimit => {
                for step in commit.counters.iter_mut().filter(|step| step.limit >= 0) {
                    step.limit = step.limit.saturating_add(1);
                }
            }
            Fault::KeepsAlarms => {
                commit.writes.iter_mut().filter_map(|write| write.alarm.as_mut()).for_each(|moved| moved.from = None);
            }
            Fault::CutsLongBodies => {
                commit
                    .writes
                    .iter_mut()
                    .flat_map(|write| &mut write.events)
                    .for_each(|event| event.body.truncate(65_535));
            }
            Fault::FoldsTheCaseOfKeys => {
                commit.claims.iter_mut().map(|claim| &mut claim.key).for_each(fold);
                commit.releases.iter_mut().map(|release| &mut release.key).for_each(fold);
            }
            Fault::ReleasesNothing => {
                let claimed = |key: &ClaimKey, claims: &[Claim]| claims.iter().any(|claim| claim.key == *key);
                commit.releases.retain(|release| claimed(&release.key, &commit.claims));
            }
            _ => {}
        }
    }

    /// What the faulty store makes of a selection, knowing some sets.
    pub(crate) fn distort(self, selection: &Selection, known: &[SetKey]) -> Selection {
        let all = |parts: &[Selection]| parts.iter().map(|part| self.distort(part, known)).collect();
        match selection {
            Selection::All(parts) if self == Fault::SearchesByOneToken => {
                let is_token = |part: &Selection| matches!(part, Selection::Found(_));
                let first = parts.iter().position(is_token);
                let wanted = |&(at, part): &(usize, &Selection)| !is_token(part) || Some(at) == first;
                Selection::All(parts.iter().enumerate().filter(wanted).map(|(_, part)| part.clone()).collect())
            }
            Selection::All(parts) => Selection::All(all(parts)),
            Selection::Any(parts) => Selection::Any(all(parts)),
            Selection::Not(part) => Selection::Not(Box::new(self.distort(part, known))),
            Selection::Compare(column, is, value) if self == Fault::TakesMissingForZero && is.holds(0, *value) => {
                Selection::Any(vec![selection.clone(), Selection::Missing(*column)])
            }
            Selection::Compare(column, is, value) if self == Fault::ComparesAsFloats => {
                float_compare(*is, *value, |is, value| Selection::Compare(*column, is, value))
            }
            Selection::In(set) if self == Fault::FoldsTheCaseOfSets => {
                let same = known.iter().filter(|other| other.as_str().eq_ignore_ascii_case(set.as_str()));
                Selection::Any(same.cloned().map(Selection::In).collect())
            }
            other => other.clone(),
        }
    }
}

/// Compares with the nearest number that a float has.
fn float_compare(is: Comparison, value: i64, compare: impl Fn(Comparison, i64) -> Selection) -> Selection {
    compare(is, value as f64 as i64)
}

pub(crate) fn fold(key: &mut ClaimKey) {
    key.key.make_ascii_lowercase();
}
