//! Points: what carts earn, what there is, reports, balances from elsewhere, and what customers do together.

use std::collections::BTreeMap;

use crm_core::customer::Quote;
use crm_core::loyalty::report::{Bands, Liability, PointsStanding, TrialBalance};
use crm_core::loyalty::{
    Cart, Draw, DrawName, GivePoints, Lot, PointsEnd, PoolCommand, ProgramId, ReferralName, Seed, TierOutlook,
};
use crm_core::{CustomerId, Timestamp};

use super::{Crm, wait};
use crate::engine::{
    BalanceRow, DoneTogether, DrawEntries, Drawn, ImportStep, PointsImport, PointsImportChecked, PointsImported,
    Statement,
};
use crate::error::Error;
use crate::incoming::Who;

impl Crm {
    /// See [`crate::Crm::points`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn points(&self, who: impl Into<Who> + Send, program: &ProgramId) -> Result<Option<PointsStanding>, Error> {
        wait(self.0.points(who, program))
    }

    /// See [`crate::Crm::points_ends`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn points_ends(
        &self,
        who: impl Into<Who> + Send,
        program: &ProgramId,
    ) -> Result<Option<Vec<(Lot, PointsEnd)>>, Error> {
        wait(self.0.points_ends(who, program))
    }

    /// See [`crate::Crm::quote`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn quote(&self, who: impl Into<Who> + Send, program: &ProgramId, cart: &Cart) -> Result<Quote, Error> {
        wait(self.0.quote(who, program, cart))
    }

    /// See [`crate::Crm::quotes`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn quotes(&self, who: impl Into<Who> + Send, cart: &Cart) -> Result<BTreeMap<ProgramId, Quote>, Error> {
        wait(self.0.quotes(who, cart))
    }

    /// See [`crate::Crm::tier_outlook`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn tier_outlook(&self, who: impl Into<Who> + Send, program: &ProgramId) -> Result<Option<TierOutlook>, Error> {
        wait(self.0.tier_outlook(who, program))
    }

    /// See [`crate::Crm::statement`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn statement(
        &self,
        who: impl Into<Who> + Send,
        program: &ProgramId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Statement>, Error> {
        wait(self.0.statement(who, program, from, until))
    }

    /// See [`crate::Crm::trial_balance`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn trial_balance(&self, program: &ProgramId, at: Timestamp) -> Result<TrialBalance, Error> {
        wait(self.0.trial_balance(program, at))
    }

    /// See [`crate::Crm::trial_balance_with_progress`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn trial_balance_with_progress(
        &self,
        program: &ProgramId,
        at: Timestamp,
        progress: impl FnMut(u64) + Send,
    ) -> Result<TrialBalance, Error> {
        wait(self.0.trial_balance_with_progress(program, at, progress))
    }

    /// See [`crate::Crm::liability`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn liability(&self, program: &ProgramId, at: Timestamp) -> Result<Liability, Error> {
        wait(self.0.liability(program, at))
    }

    /// See [`crate::Crm::liability_in`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn liability_in(
        &self,
        program: &ProgramId,
        at: Timestamp,
        bands: Bands,
        progress: impl FnMut(u64) + Send,
    ) -> Result<Liability, Error> {
        wait(self.0.liability_in(program, at, bands, progress))
    }

    /// See [`crate::Crm::check_points_import`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn check_points_import<I>(&self, import: &PointsImport, balances: I) -> Result<PointsImportChecked, Error>
    where
        I: Iterator<Item: Into<BalanceRow>> + Send,
    {
        wait(self.0.check_points_import(import, balances))
    }

    /// See [`crate::Crm::import_points`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn import_points<B, I>(
        &self,
        import: &PointsImport,
        balances: B,
        progress: impl FnMut(ImportStep) + Send,
    ) -> Result<PointsImported, Error>
    where
        B: Fn() -> I + Send,
        I: Iterator<Item: Into<BalanceRow>> + Send,
    {
        wait(self.0.import_points(import, balances, progress))
    }

    /// See [`crate::Crm::give_points`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn give_points(
        &self,
        from: CustomerId,
        to: CustomerId,
        give: GivePoints,
        key: &str,
    ) -> Result<DoneTogether, Error> {
        wait(self.0.give_points(from, to, give, key))
    }

    /// See [`crate::Crm::pool`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn pool(
        &self,
        owner: CustomerId,
        program: &ProgramId,
        command: PoolCommand,
        key: &str,
    ) -> Result<DoneTogether, Error> {
        wait(self.0.pool(owner, program, command, key))
    }

    /// See [`crate::Crm::refer`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn refer(
        &self,
        name: &ReferralName,
        by: CustomerId,
        who: CustomerId,
        key: &str,
    ) -> Result<DoneTogether, Error> {
        wait(self.0.refer(name, by, who, key))
    }

    /// See [`crate::Crm::announce_draw`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn announce_draw(&self, name: &DrawName, draw: Draw) -> Result<bool, Error> {
        wait(self.0.announce_draw(name, draw))
    }

    /// See [`crate::Crm::draw`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn draw(&self, name: &DrawName, entries: &DrawEntries, seed: &Seed, key: &str) -> Result<Drawn, Error> {
        wait(self.0.draw(name, entries, seed, key))
    }
}
