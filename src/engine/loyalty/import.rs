//! Points that another system kept, for many customers: looked at as a whole first, and taken in then.

use std::collections::HashMap;

use crm_core::customer::Command;
use crm_core::identity::IdentifierKey;
use crm_core::loyalty::{ImportPoints, ImportSums};
use crm_core::{CustomerId, Digest, Timestamp};
use crm_storage::{Commit, CommitError, Committed, CustomerWrite, Expected, IdempotencyKey, Request, Version};
use futures_util::future::join_all;

use super::super::record::Found;
use super::balances::{
    BalanceRow, ImportProblem, ImportProblemKind, ImportStep, PointsImport, PointsImportChecked, PointsImportError,
    PointsImported, UnknownCustomers,
};
use super::{Crm, no_program};
use crate::error::Error;
use crate::incoming::{Incoming, Who};

/// How many balances are looked at together.
const CHECKED_AT_ONCE: usize = 250;

/// How many are taken in at once.
const TAKEN_AT_ONCE: usize = 32;

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
    /// import that was cut off is sent again as it was, and what is there already stays as it is.
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
        let mut seen = seen.into_iter();
        let mut rows = balances().map(Into::into).zip(0..);
        loop {
            let mut page = Vec::with_capacity(TAKEN_AT_ONCE);
            for (row, place) in rows.by_ref().take(TAKEN_AT_ONCE) {
                let sound = sound(import, row, place, now).map_err(|_| PointsImportError::Changed { place })?;
                if seen.next() != Some(print(&self.fingerprint(&sound.who), &sound.points)?) {
                    return Err(PointsImportError::Changed { place }.into());
                }
                page.push(sound);
            }
            if page.is_empty() {
                break;
            }
            // Each is boxed: what becomes of a customer is a large future.
            let taken = page.into_iter().map(|sound| Box::pin(self.take_in(import, sound, now)));
            for taken in join_all(taken).await {
                let (step, introduced) = taken?;
                if let ImportStep::Taken { sums, known, .. } = step {
                    report.sums += sums;
                    *(if known { &mut report.known } else { &mut report.taken }) += 1;
                    report.introduced += u64::from(introduced);
                }
                progress(step);
            }
        }
        match seen.next() {
            Some(_) => Err(PointsImportError::Changed { place: report.sums.balances }.into()),
            None => Ok(report),
        }
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
            let page: Vec<(BalanceRow, u64)> = rows.by_ref().take(CHECKED_AT_ONCE).collect();
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
        let sought: Vec<_> = sounds.iter().map(|sound| self.sought(&sound.who)).collect();
        let claims: Vec<_> = sought.iter().filter_map(|sought| sought.claim()).collect();
        let mut owners = self.store().resolve(&self.tenant, &claims).await?.into_iter();
        let mut found: Vec<Option<Owner>> = Vec::with_capacity(sounds.len());
        for (sought, sound) in sought.iter().zip(sounds) {
            let owner = if sought.is_claimed() { owners.next().flatten() } else { None };
            let introduced =
                matches!((&import.unknown, &sound.who), (UnknownCustomers::Introduced(_), Who::Identifier(_)));
            found.push(match sought.found(owner) {
                Ok(Found::Known(customer)) => Some(Owner::Known(customer)),
                Ok(Found::New(identifier)) => introduced.then_some(Owner::New(identifier)),
                Err(_) => None,
            });
        }
        // An id that was given may be nobody's.
        let ids: Vec<CustomerId> = found.iter().filter_map(|owner| known_of(*owner)).collect();
        let rows = self.store().load(&self.tenant, &ids).await?.rows;
        let mut there = ids.iter().zip(rows).map(|(id, row)| row.is_some() && self.is_customer(*id));
        for owner in &mut found {
            if known_of(*owner).is_some() && !there.next().unwrap_or(false) {
                *owner = None;
            }
        }
        Ok(found)
    }

    /// Asks the store which of these were carried out before: by commits that expect a version that never was, so that
    /// nothing is written.
    async fn ask_keys(
        &self,
        import: &PointsImport,
        asked: Vec<(CustomerId, Sound)>,
        checked: &mut PointsImportChecked,
    ) -> Result<(), Error> {
        let text = import.key();
        let key = IdempotencyKey::new(&text).ok_or(Error::KeyLength { bytes: text.len() })?;
        let mut places = Vec::with_capacity(asked.len());
        let mut commits = Vec::with_capacity(asked.len());
        for (customer, Sound { place, line, points, .. }) in asked {
            let body = serde_json::to_vec(&Command::ImportPoints(points)).map_err(Error::corrupt)?;
            let request = Request { customer, key: key.clone(), digest: Digest::of(&body), answer: Vec::new() };
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
