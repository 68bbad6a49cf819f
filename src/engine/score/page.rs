//! One page of customers: what is known of them as columns, the scores, and which of these are new.
//!
//! What stores keep beside a state is enough for every attribute, so states are read only where these numbers cannot be
//! trusted (a state of an older shape, or money in what was another currency then), or where the state has to know the
//! score: a rule asks about it, or a workflow listens.

use crm_core::attribute::{Attribute, Unit};
use crm_core::customer::{Customer, STATE_SHAPE};
use crm_core::score::ScoreInputs;
use crm_core::{Column, CustomerId, Definitions, Digest, SetKey, SmolStr, Timestamp};
use crm_storage::{Expected, OutputScores, Scanned, ScannedRow, ScoreKey, ScoreRow, ScoresAsked};

use super::super::{ATTEMPTS_MAX, Base, Crm};
use super::keep::{Given, Giving};
use super::{ScoreReport, held, is_asked, score_name, terms};
use crate::error::Error;
use crate::scorer::{ScoreBatch, Scorer, score_checked, score_seed};

/// Somebody who is to be scored.
pub(super) struct Asked {
    pub(super) row: ScannedRow,
    /// Read where the columns are not enough.
    pub(super) base: Option<Base>,
}

/// What the scores of a batch have in common.
struct Made {
    recorded_at: Timestamp,
    terms: SmolStr,
}

impl Crm {
    /// Customers to be scored, at most `limit` of them after one; none at the end.
    pub(super) async fn scan_to_score(
        &self,
        scorer: &dyn Scorer,
        as_of: Timestamp,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Option<Scanned>, Error> {
        let plugin = scorer.stamp().name.clone().into();
        let asked = ScoresAsked { plugin, outputs: scorer.outputs().to_vec(), at: as_of };
        let page = self.store().scan(&self.tenant, after, limit, Some(&asked)).await?;
        Ok(Some(page).filter(|page| !page.rows.is_empty()))
    }

    /// Scores a page that was scanned after somebody.
    pub(super) async fn score_page(
        &self,
        scorer: &mut dyn Scorer,
        as_of: Timestamp,
        after: Option<CustomerId>,
        mut page: Scanned,
    ) -> Result<ScoreReport, Error> {
        let Some(last) = page.rows.last().map(|row| row.customer) else { return Ok(ScoreReport::of(scorer.outputs())) };
        let count = page.rows.len();
        for _ in 0..ATTEMPTS_MAX {
            let definitions = self.definitions_at(page.definitions).await?;
            let follows = self.state_follows(scorer, &definitions);
            let report = self.score_rows(scorer, as_of, page.rows, &definitions, follows).await?;
            // Whoever read these customers before their scores were there, and since a rule asks about them, has
            // written states without them: such a rule is in the definitions by now.
            if follows || !self.state_follows(scorer, &*self.definitions_now().await?) {
                return Ok(report);
            }
            page = self.scan_to_score(scorer, as_of, after, count).await?.unwrap_or_default();
            page.rows.retain(|row| row.customer <= last);
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Whether a state has to know the scores: a rule asks about one, a policy makes them anew, or a workflow is told of
    /// them.
    pub(super) fn state_follows(&self, scorer: &dyn Scorer, definitions: &Definitions) -> bool {
        is_asked(scorer, definitions)
            || definitions.has_score_policy(&scorer.stamp().name)
            || self.inner.plugins.workflows.iter().any(|one| one.workflow.listens("scored"))
    }

    async fn score_rows(
        &self,
        scorer: &mut dyn Scorer,
        as_of: Timestamp,
        rows: Vec<ScannedRow>,
        definitions: &Definitions,
        follows: bool,
    ) -> Result<ScoreReport, Error> {
        let mut report = ScoreReport::of(scorer.outputs());
        let plugin = scorer.stamp().name.clone();
        let until = self.now();
        let terms = terms(scorer, held(scorer, definitions, as_of, until));
        let giving = Giving { plugin: &plugin, as_of, until, definitions, terms: &terms, follows };
        let asked = self.may_be_scored(scorer, giving, rows, &mut report).await?;
        self.score_asked(scorer, giving, asked, &mut report).await?;
        Ok(report)
    }

    /// Scores customers of whom all is known that the scorer wants to know, and writes what came of it.
    pub(super) async fn score_asked(
        &self,
        scorer: &mut dyn Scorer,
        giving: Giving<'_>,
        asked: Vec<Asked>,
        report: &mut ScoreReport,
    ) -> Result<(), Error> {
        let Giving { as_of, until, definitions, .. } = giving;
        if asked.is_empty() {
            return Ok(());
        }
        let currency = definitions.currency(as_of);
        // What is not granted is missing for everybody.
        let held = held(scorer, definitions, as_of, until);
        let value = |attribute: &Attribute, one: &Asked| match &one.base {
            _ if !held.sees(attribute.name()) => None,
            Some(base) => attribute.of(&base.customer, as_of, currency),
            None => attribute.of_columns(&one.row.traits.columns, as_of),
        };
        let column = |attribute| asked.iter().map(|one| value(attribute, one)).collect();
        let customers: Vec<CustomerId> = asked.iter().map(|one| one.row.customer).collect();
        let columns = scorer.attributes().iter().map(column).collect();
        let seed = score_seed(&scorer.stamp().name, as_of);
        let batch = ScoreBatch { as_of, seed, currency, customers: &customers, columns };
        let scores = match score_checked(scorer, &batch) {
            Ok(scores) => scores,
            Err(fault) => {
                tracing::warn!(plugin = %scorer.stamp().name, %fault, "a scorer failed");
                report.failed += asked.len() as u64;
                report.faults.push(fault);
                return Ok(());
            }
        };
        if !giving.terms.purposes.is_empty() && !definitions.has_purposes(giving.plugin) {
            self.note_purposes(giving.plugin).await?;
        }
        let made = Made { recorded_at: self.now(), terms: giving.terms.encode() };
        let mut given = Vec::with_capacity(asked.len());
        for (place, one) in asked.into_iter().enumerate() {
            let Asked { row, base } = one;
            given.extend(self.given(scorer, &batch, &scores, place, &row, base, (definitions, &made), report));
        }
        self.keep_scores(giving, given).await
    }

    /// Leaves out who is no customer, and who may not be scored, and reads the states that are needed.
    async fn may_be_scored(
        &self,
        scorer: &dyn Scorer,
        giving: Giving<'_>,
        rows: Vec<ScannedRow>,
        report: &mut ScoreReport,
    ) -> Result<Vec<Asked>, Error> {
        let Giving { as_of, definitions, follows, .. } = giving;
        // Whom a purpose bars only the state says.
        let for_purpose = held(scorer, definitions, as_of, giving.until).purposes().next().is_some();
        let unscored = SetKey::unscored();
        let money = scorer.attributes().iter().any(|attribute| attribute.unit() == Unit::MinorUnits);
        let same_currency = definitions.currency_since(as_of);
        // The state is at least as recent as the newest fact.
        let in_currency = |row: &ScannedRow| {
            let last_seen = row.traits.columns.get(Column::LastSeen);
            !money || same_currency.is_some_and(|from| from == Timestamp::MIN || last_seen >= Some(from.as_millis()))
        };
        let mut asked = Vec::with_capacity(rows.len());
        let mut to_load = Vec::new();
        for row in rows {
            // All customers have a number of orders; what is kept like customers and is none has no numbers.
            if row.traits.columns.get(Column::Orders).is_none() || !self.is_customer(row.customer) {
                continue;
            }
            let is_known = row.shape == STATE_SHAPE;
            if is_known && row.traits.sets.binary_search(&unscored).is_ok() {
                report.skipped += 1;
                continue;
            }
            if follows || for_purpose || !is_known || !in_currency(&row) {
                to_load.push(row.customer);
            }
            asked.push(Asked { row, base: None });
        }
        if to_load.is_empty() {
            return Ok(asked);
        }
        let loaded = self.store().load(&self.tenant, &to_load).await?;
        let mut bases = std::collections::HashMap::with_capacity(to_load.len());
        for row in loaded.rows.into_iter().flatten() {
            let base = self.whole(self.decode(&row, definitions).await?, definitions).await?;
            bases.insert(row.customer, base);
        }
        for one in &mut asked {
            one.base = bases.remove(&one.row.customer);
        }
        let before = asked.len();
        // Meanwhile somebody may have been merged into another, who comes by themselves.
        let is_own = |one: &Asked| one.base.as_ref().is_none_or(|base| base.customer.id() == one.row.customer);
        asked.retain(is_own);
        let merged = before - asked.len();
        asked.retain(|one| one.base.as_ref().is_none_or(|base| may_score(scorer, giving, &base.customer)));
        report.skipped += (before - merged - asked.len()) as u64;
        Ok(asked)
    }

    /// What one customer was given, if it is to be written.
    #[allow(clippy::too_many_arguments, reason = "a row of a batch, and all that is known of it")]
    fn given(
        &self,
        scorer: &dyn Scorer,
        batch: &ScoreBatch<'_>,
        scores: &[Vec<Option<f64>>],
        place: usize,
        row: &ScannedRow,
        base: Option<Base>,
        (definitions, made): (&Definitions, &Made),
        report: &mut ScoreReport,
    ) -> Option<Given> {
        let expected = base.as_ref().map_or(Expected::At(row.version), |base| base.expected);
        // That the plugin was asked is noted where a policy goes by it.
        let noted = definitions.has_score_policy(&scorer.stamp().name);
        let cells =
            scorer.attributes().iter().zip(&batch.columns).map(|(attribute, column)| (*attribute, column[place]));
        let mut inputs = Vec::with_capacity(1 + 6 * batch.columns.len());
        ScoreInputs::write(cells, &mut inputs);
        let input = Digest::of(&inputs);
        let count = scores.iter().filter(|column| column[place].is_some()).count();
        if count == 0 {
            report.without += 1;
            return nothing(row.customer, expected, base.filter(|_| noted));
        }
        let (mut rows, mut gone) = (Vec::with_capacity(count), Vec::new());
        let mut is_known = true;
        for (number, (output, column)) in scorer.outputs().iter().zip(scores).enumerate() {
            let Some(value) = column[place] else { continue };
            report.outputs[number].add(value);
            let score = score_row(scorer, output, batch.as_of, value, (input, inputs.clone()), made);
            let Some(kept) = row.scores.get(number) else { continue };
            if !self.has_room(kept, &score, &mut gone) {
                continue;
            }
            is_known &= kept.known.as_ref().is_some_and(|known| known.says_the_same(&score))
                && base.as_ref().is_none_or(|base| knows(base, &score, definitions));
            rows.push(score);
        }
        if is_known {
            report.known += 1;
            return nothing(
                row.customer,
                expected,
                base.filter(|base| noted && !base.customer.was_asked(&scorer.stamp().name, batch.as_of)),
            );
        }
        report.scored += 1;
        Some(Given { customer: row.customer, expected, base, rows, gone })
    }

    /// Whether a score is among those that are kept; notes which of the older ones are not any more.
    fn has_room(&self, kept: &OutputScores, score: &ScoreRow, gone: &mut Vec<ScoreKey>) -> bool {
        let most = usize::from(self.inner.scores_kept.get());
        let count = kept.instants.len() + usize::from(kept.known.is_none());
        let Some(surplus) = count.checked_sub(most).filter(|surplus| *surplus > 0) else { return true };
        let older = kept.instants.iter().filter(|at| **at < score.at).count();
        if older < surplus {
            return false;
        }
        let key = |at: &Timestamp| ScoreKey { plugin: score.plugin.clone(), output: score.output.clone(), at: *at };
        gone.extend(kept.instants.iter().take(surplus).map(key));
        true
    }
}

/// Whether a customer may be shown to a scorer: their data may be processed, for profiling and for its purpose.
pub(super) fn may_score(scorer: &dyn Scorer, giving: Giving<'_>, customer: &Customer) -> bool {
    let Giving { as_of, until, definitions, .. } = giving;
    let purposes = held(scorer, definitions, as_of, until).purposes();
    customer.unscored().is_none() && customer.may_process(purposes, false, until, definitions).is_ok()
}

/// What somebody was given who got no new score, if that is to be noted in their state.
pub(super) fn nothing(customer: CustomerId, expected: Expected, base: Option<Base>) -> Option<Given> {
    base.map(|base| Given { customer, expected, base: Some(base), rows: Vec::new(), gone: Vec::new() })
}

/// Whether a state has a score, or a newer one, as far as states have it at all.
fn knows(base: &Base, score: &ScoreRow, definitions: &Definitions) -> bool {
    let name = score_name(&score.plugin, &score.output).filter(|name| definitions.asked_scores().contains(name));
    let Some(name) = name else { return true };
    let own = base.customer.scores().find(|(own, _)| **own == name);
    own.is_some_and(|(_, own)| own.at > score.at || super::score_of(score).as_ref() == Some(own))
}

fn score_row(
    scorer: &dyn Scorer,
    output: &SmolStr,
    at: Timestamp,
    value: f64,
    (input, inputs): (Digest, Vec<u8>),
    made: &Made,
) -> ScoreRow {
    let stamp = scorer.stamp();
    ScoreRow {
        plugin: stamp.name.clone().into(),
        output: output.clone(),
        at,
        // Negative zero and zero are one score.
        value: value + 0.0,
        version: stamp.version.clone(),
        digest: stamp.digest,
        input,
        inputs,
        recorded_at: Some(made.recorded_at),
        terms: made.terms.clone(),
    }
}
