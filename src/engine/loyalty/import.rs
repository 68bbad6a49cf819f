//! Points that another system kept, for many customers: looked at as a whole first, and taken in then.

use std::collections::HashMap;

use crm_core::customer::Command;
use crm_core::identity::IdentifierKey;
use crm_core::loyalty::{ImportPoints, ImportSums};
use crm_core::{CustomerId, Digest, Timestamp};
use crm_storage::{
    Commit, CommitError, Committed, CustomerRow, CustomerWrite, Expected, IdempotencyKey, Parts, Version,
};

use super::super::Base;
use super::super::command::request;
use super::super::record::{Found, prepare};
use super::balances::{
    BalanceRow, ImportProblem, ImportProblemKind, ImportStep, PointsImport, PointsImportChecked, PointsImportError,
    PointsImported, UnknownCustomers,
};
use super::{Crm, no_program};
use crate::error::Error;
use crate::incoming::{Incoming, Who};
use crate::plan::{Context, Outcome, Planner};

/// How many balances are looked at together, and then written together.
const AT_ONCE: usize = 256;

/// Somebody whose balance it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    Known(CustomerId),
    New(IdentifierKey),
}

/// A balance without a fault.
struct Sound {
    place: u64,
    line: Option<u64>,
    who: Who,
    points: ImportPoints,
    sums: ImportSums,
}

impl Crm {
    /// Looks at balances as [`import_points`](Self::import_points) does before it takes them in, and writes nothing.
    ///
    /// # Errors
    ///
    /// `Refused` with `NoProgram` if the programme is not in force, `Storage` if the store failed.
    pub async fn check_points_import<I>(&self, import: &PointsImport, balances: I) -> Result<PointsImportChecked, Error>
    where
        I: Iterator<Item: Into<BalanceRow>> + Send,
    {
        Ok(self.check_balances(import, balances, self.now(), &mut |_| {}).await?.0)
    }

    /// Takes in the points of many customers that another system kept, lot by lot. `balances` is called twice and gives
    /// the same each time: all of them are looked at first, and unless everything is right nothing is written. Then
    /// each is a [request](Self::execute) of its own, under a key that follows from the name of the import, so that an
    /// import that was cut off is sent again as it was, and what is there already stays as it is. Somebody new is
    /// introduced in the same commit. The store is asked and written to once for each 256 balances.
    ///
    /// Points are posted as imported, with the times at which they were earned and expire. Lots that are over by now
    /// are counted apart and not posted. Fills no more memory than about sixty bytes for each balance.
    ///
    /// ```
    /// use crm::loyalty::ImportedLot;
    /// use crm::{Crm, Currency, Definition, Error, ExpectedPoints, Identifier, ImportedBalance, PointsImport};
    /// use crm::{PointsImportError, Program, ProgramId, Source, Timestamp, UnknownCustomers};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let points = ProgramId::new("points")?;
    /// let program = Definition::Program(points.clone(), Some(Program::point_per_unit(Currency::EUR)));
    /// crm.define(Timestamp::parse("2020-01-01")?, program).await?;
    ///
    /// let ana = Identifier::email("ana@example.com")?;
    /// let lots = vec![ImportedLot::new(120, Timestamp::parse("2021-05-01")?)];
    /// let balances = [ImportedBalance::new(&ana, lots).stated(120)];
    /// let mut import = PointsImport::new(points.clone(), "till-2026".parse()?, "balance of the till".parse()?);
    /// import.unknown = UnknownCustomers::Introduced(Source::new("till")?);
    /// import.expected = ExpectedPoints { points: Some(121), ..ExpectedPoints::default() };
    ///
    /// let refused = crm.import_points(&import, || balances.iter().cloned(), |_| {}).await;
    /// let Err(Error::PointsImport(PointsImportError::Refused(checked))) = refused else { panic!("not the total") };
    /// assert_eq!((checked.differences[0].expected, checked.differences[0].found), (121, 120));
    ///
    /// import.expected.points = Some(120);
    /// let imported = crm.import_points(&import, || balances.iter().cloned(), |_| {}).await?;
    /// assert_eq!((imported.taken, imported.introduced), (1, 1));
    /// let again = crm.import_points(&import, || balances.iter().cloned(), |_| {}).await?;
    /// assert_eq!((again.taken, again.known), (0, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `PointsImport` with all that is wrong, or with the first balance that is another one when it is read again;
    /// `Refused` with `NoProgram` if the programme is not in force; `KeyReused` if somebody took in another balance
    /// under the same name meanwhile; `Storage` if the store failed. After each of the last two, what was taken in
    /// stays.
    pub async fn import_points<B, I>(
        &self,
        import: &PointsImport,
        balances: B,
        mut progress: impl FnMut(ImportStep) + Send,
    ) -> Result<PointsImported, Error>
    where
        B: Fn() -> I + Send,
        I: Iterator<Item: Into<BalanceRow>> + Send,
    {
        let now = self.now();
        let (checked, seen) = self.check_balances(import, balances(), now, &mut progress).await?;
        if !checked.is_clean() {
            return Err(PointsImportError::Refused(Box::new(checked)).into());
        }
        let mut report = PointsImported::default();
        let mut taken = |step: ImportStep, introduced: bool| {
            if let ImportStep::Taken { sums, known, .. } = step {
                report.sums += sums;
                *(if known { &mut report.known } else { &mut report.taken }) += 1;
                report.introduced += u64::from(introduced);
            }
            progress(step);
        };
        let mut seen = seen.into_iter();
        let mut rows = balances().map(Into::into).zip(0..);
        loop {
            let mut page = Vec::with_capacity(AT_ONCE);
            let mut changed = None;
            for (row, place) in rows.by_ref().take(AT_ONCE) {
                let sound = sound(import, row, place, now).ok();
                let print =
                    sound.as_ref().map(|sound| print(&self.fingerprint(&sound.who), &sound.points)).transpose()?;
                match sound.filter(|_| print.is_some() && print == seen.next()) {
                    Some(sound) => page.push(sound),
                    None => {
                        changed = Some(place);
                        break;
                    }
                }
            }
            let is_last = page.len() < AT_ONCE;
            self.take_in_page(import, page, now, &mut taken).await?;
            if let Some(place) = changed {
                return Err(PointsImportError::Changed { place }.into());
            }
            if is_last {
                break;
            }
        }
        match seen.next() {
            Some(_) => Err(PointsImportError::Changed { place: report.sums.balances }.into()),
            None => Ok(report),
        }
    }

    /// Takes in balances together: who they are of is asked for all, and each has a commit in one call. Whoever takes
    /// more than that, or was changed meanwhile, goes by themselves.
    async fn take_in_page(
        &self,
        import: &PointsImport,
        page: Vec<Sound>,
        now: Timestamp,
        taken: &mut (impl FnMut(ImportStep, bool) + Send),
    ) -> Result<(), Error> {
        if page.is_empty() {
            return Ok(());
        }
        let owners = self.named(&page, import).await?;
        let ids: Vec<CustomerId> = owners.iter().filter_map(|owner| known_of(*owner)).collect();
        let loaded = self.store().load(&self.tenant, &ids).await?;
        let definitions = self.definitions_at(loaded.definitions).await?;
        let context = self.context(&definitions, self.now(), false);
        let key = key(import)?;
        let mut rows = loaded.rows.into_iter();
        let mut commits = Vec::with_capacity(page.len());
        let mut ready = Vec::with_capacity(page.len());
        for (sound, owner) in page.iter().zip(owners) {
            let row = known_of(owner).and_then(|_| rows.next().flatten());
            let commit = match owner {
                Some(owner) => self.import_commit(context, import, &key, sound, (owner, row), now).await?,
                None => None,
            };
            ready.push(commit.map(|(customer, commit)| {
                commits.push(commit);
                (customer, matches!(owner, Some(Owner::New(_))))
            }));
        }
        let mut answers = self.store().commit(&self.tenant, commits).await?.into_iter();
        for (sound, ready) in page.into_iter().zip(ready) {
            let answer = ready.and_then(|(customer, is_new)| Some((customer, is_new, answers.next()?.ok()?)));
            let (step, introduced) = match answer {
                Some((customer, is_new, answer)) => {
                    let known = matches!(answer, Committed::Replayed { .. });
                    (ImportStep::Taken { place: sound.place, customer, sums: sound.sums, known }, is_new && !known)
                }
                // Boxed: what becomes of a customer is a large future.
                None => Box::pin(self.take_in(import, sound, now)).await?,
            };
            taken(step, introduced);
        }
        Ok(())
    }

    /// The commit that takes in a balance, and whose it is; none if it takes more than what is at hand.
    async fn import_commit(
        &self,
        context: Context<'_>,
        import: &PointsImport,
        key: &IdempotencyKey,
        sound: &Sound,
        (owner, row): (Owner, Option<CustomerRow>),
        now: Timestamp,
    ) -> Result<Option<(CustomerId, Commit)>, Error> {
        let newcomer = match (owner, &sound.who, &import.unknown) {
            (Owner::New(hashed), Who::Identifier(identifier), UnknownCustomers::Introduced(source)) => {
                let incoming = Incoming::new(identifier, now, source.clone(), self.identified(identifier));
                let id = incoming.event_id(&self.tenant, None);
                Some((hashed, prepare(incoming, id)))
            }
            _ => None,
        };
        let base = match (&newcomer, row) {
            (Some((hashed, _)), _) => self.newcomer_after(hashed, now, 0),
            (None, Some(row)) if self.is_customer(row.customer) => self.decode(&row, context.definitions).await?,
            (None, _) => return Ok(None),
        };
        let Base { customer, expected, .. } = base;
        // Several of the page may be one customer.
        if customer.is_merged() || customer.merged_into().is_some() {
            return Ok(None);
        }
        let id = customer.id();
        let mut planner = Planner::new(context, customer, newcomer.is_some().then_some(&[][..]));
        if let Some((hashed, fact)) = &newcomer {
            if !matches!(planner.fact(fact), Ok(Outcome::Recorded)) {
                return Ok(None);
            }
            planner.introduce(*hashed, fact.id);
        }
        let command = Command::ImportPoints(sound.points.clone());
        let body = serde_json::to_vec(&command).map_err(Error::corrupt)?;
        let Ok(Ok(events)) = planner.command(command) else {
            return Ok(None);
        };
        let plan = planner.finish();
        if plan.as_ref().is_some_and(|plan| plan.leads_elsewhere() || !plan.refused.is_empty()) {
            return Ok(None);
        }
        let mut commit = plan.map(|plan| plan.into_commit(expected, &[]).0).unwrap_or_default();
        commit.request = Some(request(id, key, Digest::of(&body), &events)?);
        Ok(Some((id, commit)))
    }

    async fn take_in(&self, import: &PointsImport, sound: Sound, now: Timestamp) -> Result<(ImportStep, bool), Error> {
        let Sound { place, who, points, sums, line: _ } = sound;
        let (customer, introduced) = match (self.find(&who).await??, &who, &import.unknown) {
            (Found::Known(customer), _, _) => (customer, false),
            (Found::New(_), Who::Identifier(identifier), UnknownCustomers::Introduced(source)) => {
                let known_by = self.identified(identifier);
                let recorded = self.record(Incoming::new(identifier, now, source.clone(), known_by)).await?;
                (recorded.customer, !recorded.known)
            }
            (Found::New(_), _, _) => return Err(PointsImportError::Changed { place }.into()),
        };
        let executed = self.execute(customer, Command::ImportPoints(points), &import.key()).await?;
        Ok((ImportStep::Taken { place, customer, sums, known: executed.replayed }, introduced))
    }

    /// Looks at all balances, and gives a fingerprint of each that is without a fault.
    async fn check_balances<I>(
        &self,
        import: &PointsImport,
        balances: I,
        now: Timestamp,
        progress: &mut (impl FnMut(ImportStep) + Send),
    ) -> Result<(PointsImportChecked, Vec<u64>), Error>
    where
        I: Iterator<Item: Into<BalanceRow>> + Send,
    {
        self.definitions_now().await?.program(&import.program, now).ok_or_else(|| no_program(&import.program))?;
        self.check_lookup_key().await?;
        let mut checked = PointsImportChecked::default();
        let mut first: HashMap<Owner, u64> = HashMap::new();
        let mut prints = Vec::new();
        let mut rows = balances.map(Into::into).zip(0..);
        let mut read = 0;
        loop {
            let page: Vec<(BalanceRow, u64)> = rows.by_ref().take(AT_ONCE).collect();
            if page.is_empty() {
                break;
            }
            read += page.len() as u64;
            let mut sounds = Vec::with_capacity(page.len());
            for (row, place) in page {
                match sound(import, row, place, now) {
                    Ok(sound) => sounds.push(sound),
                    Err(problem) => checked.problem(problem.place, problem.line, problem.kind),
                }
            }
            let owners = self.owners(&sounds, import).await?;
            let mut asked = Vec::with_capacity(sounds.len());
            for (sound, owner) in sounds.into_iter().zip(owners) {
                let Sound { place, line, .. } = sound;
                prints.push(print(&self.fingerprint(&sound.who), &sound.points)?);
                let Some(owner) = owner else {
                    checked.problem(place, line, ImportProblemKind::Unknown);
                    continue;
                };
                if let Some(first) = first.get(&owner) {
                    checked.problem(place, line, ImportProblemKind::Twice { first: *first });
                    continue;
                }
                first.insert(owner, place);
                checked.sums += sound.sums;
                match owner {
                    Owner::Known(customer) => asked.push((customer, sound)),
                    Owner::New(_) => checked.newcomers += 1,
                }
            }
            self.ask_keys(import, asked, &mut checked).await?;
            progress(ImportStep::Checked { balances: read });
        }
        checked.compare(&import.expected);
        Ok((checked, prints))
    }

    /// Whose balances they are; none for nobody.
    async fn owners(&self, sounds: &[Sound], import: &PointsImport) -> Result<Vec<Option<Owner>>, Error> {
        let mut owners = self.named(sounds, import).await?;
        // An id that was given may be nobody's.
        let ids: Vec<CustomerId> = owners.iter().filter_map(|owner| known_of(*owner)).collect();
        let details = self.store().details(&self.tenant, &ids, Parts::default()).await?;
        let mut there = ids.iter().zip(details).map(|(id, details)| details.is_some() && self.is_customer(*id));
        for owner in &mut owners {
            if known_of(*owner).is_some() && !there.next().unwrap_or(false) {
                *owner = None;
            }
        }
        Ok(owners)
    }

    /// Who is meant, by id or by what they are known by; none for nobody.
    async fn named(&self, sounds: &[Sound], import: &PointsImport) -> Result<Vec<Option<Owner>>, Error> {
        let sought: Vec<_> = sounds.iter().map(|sound| self.sought(&sound.who)).collect();
        let claims: Vec<_> = sought.iter().filter_map(|sought| sought.claim()).collect();
        let mut owners = self.store().resolve(&self.tenant, &claims).await?.into_iter();
        let mut named = Vec::with_capacity(sounds.len());
        for (sought, sound) in sought.iter().zip(sounds) {
            let owner = if sought.is_claimed() { owners.next().flatten() } else { None };
            let introduced =
                matches!((&import.unknown, &sound.who), (UnknownCustomers::Introduced(_), Who::Identifier(_)));
            named.push(match sought.found(owner) {
                Ok(Found::Known(customer)) => Some(Owner::Known(customer)),
                Ok(Found::New(identifier)) => introduced.then_some(Owner::New(identifier)),
                Err(_) => None,
            });
        }
        Ok(named)
    }

    /// Asks the store which of these were carried out before: by commits that expect a version that never was, so that
    /// nothing is written.
    async fn ask_keys(
        &self,
        import: &PointsImport,
        asked: Vec<(CustomerId, Sound)>,
        checked: &mut PointsImportChecked,
    ) -> Result<(), Error> {
        let key = key(import)?;
        let mut places = Vec::with_capacity(asked.len());
        let mut commits = Vec::with_capacity(asked.len());
        for (customer, Sound { place, line, points, .. }) in asked {
            let body = serde_json::to_vec(&Command::ImportPoints(points)).map_err(Error::corrupt)?;
            let request = request(customer, &key, Digest::of(&body), &[])?;
            let probe = CustomerWrite::scores(customer, Expected::At(Version(0)), Vec::new());
            commits.push(Commit { request: Some(request), writes: vec![probe], ..Commit::default() });
            places.push((place, line));
        }
        if commits.is_empty() {
            return Ok(());
        }
        let answers = self.store().commit(&self.tenant, commits).await?;
        for ((place, line), answer) in places.into_iter().zip(answers) {
            match answer {
                Ok(Committed::Replayed { .. }) => checked.known += 1,
                Err(CommitError::KeyReused) => checked.problem(place, line, ImportProblemKind::Before),
                Err(CommitError::Conflict { .. }) => {}
                Ok(Committed::Done { .. }) => return Err(Error::corrupt("a commit on a version that never was")),
                Err(error) => return Err(Error::corrupt(error)),
            }
        }
        Ok(())
    }

    /// By what a balance's customer is told from others, without what is personal.
    fn fingerprint(&self, who: &Who) -> String {
        if let Who::Customer(id) = who {
            return id.to_string();
        }
        self.sought(who).claim().map_or_else(String::new, |claim| format!("{}:{:?}", claim.kind, claim.key))
    }
}

/// The key of each customer's request.
fn key(import: &PointsImport) -> Result<IdempotencyKey, Error> {
    let key = import.key();
    IdempotencyKey::new(&key).ok_or(Error::KeyLength { bytes: key.len() })
}

const fn known_of(owner: Option<Owner>) -> Option<CustomerId> {
    match owner {
        Some(Owner::Known(customer)) => Some(customer),
        Some(Owner::New(_)) | None => None,
    }
}

/// A balance that has nothing wrong in itself.
fn sound(import: &PointsImport, row: BalanceRow, place: u64, now: Timestamp) -> Result<Sound, ImportProblem> {
    let BalanceRow { line, balance } = row;
    let problem = |kind: ImportProblemKind| ImportProblem { place, line, kind };
    let balance = balance.map_err(|fault| problem(fault.into()))?;
    let (who, stated) = (balance.who.clone(), balance.stated);
    let points = import.command(balance);
    let sums = points.sums(now).map_err(|fault| problem(fault.into()))?;
    match stated.filter(|stated| *stated != sums.outstanding()) {
        Some(stated) => Err(problem(ImportProblemKind::Stated { stated, found: sums.outstanding() })),
        None => Ok(Sound { place, line, who, points, sums }),
    }
}

/// A short digest of a balance, which tells whether it is the same when it is read again.
fn print(who: &str, points: &ImportPoints) -> Result<u64, Error> {
    let mut body = serde_json::to_vec(points).map_err(Error::corrupt)?;
    body.extend_from_slice(who.as_bytes());
    let digest = Digest::of(&body);
    Ok(digest.as_bytes().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
}
