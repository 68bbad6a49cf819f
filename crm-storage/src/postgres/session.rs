//! A connection of the pool or a transaction of the host's, and one transaction of ours at a time on it.

use deadpool_postgres::Object;
use tokio_postgres::{Row, Transaction};

use super::fault::Fault;
use super::sql::Texts;
use super::wire::{Call, Wire, call, one};

/// Where the statements of one piece of work go.
pub(super) struct Session<'a> {
    link: Link<'a>,
    texts: &'a Texts,
    prepared: bool,
    /// What the second wall is told, if there is one.
    wall: Option<String>,
    /// Whether a transaction was begun and neither ended nor left.
    open: bool,
    /// Whether the connection is no longer to be trusted.
    broken: bool,
}

enum Link<'a> {
    /// Taken out when it cannot go back to the pool.
    Pooled(Option<Box<Object>>),
    /// Transactions within it are savepoints.
    Host(&'a Transaction<'a>),
}

impl<'a> Session<'a> {
    pub(super) fn pooled(object: Object, texts: &'a Texts, prepared: bool, wall: Option<String>) -> Self {
        Session { link: Link::Pooled(Some(Box::new(object))), texts, prepared, wall, open: false, broken: false }
    }

    pub(super) fn host(transaction: &'a Transaction<'a>, texts: &'a Texts, wall: Option<String>) -> Self {
        Session { link: Link::Host(transaction), texts, prepared: false, wall, open: false, broken: false }
    }

    /// Whether it is a transaction of the host's, in which nothing may be tried again.
    pub(super) fn is_host(&self) -> bool {
        matches!(self.link, Link::Host(_))
    }

    /// Whether each call needs a transaction around it: to tell the wall who asks, or to keep a failure from
    /// the host's transaction.
    fn needs_transaction(&self) -> bool {
        self.wall.is_some() || self.is_host()
    }

    async fn send(&mut self, calls: &[Call<'_>]) -> Result<Vec<Vec<Row>>, tokio_postgres::Error> {
        let wire = match &self.link {
            Link::Pooled(Some(object)) => Wire::Connection(object, self.prepared.then_some(&*object.statement_cache)),
            // It was given up, and nobody uses a session after that.
            Link::Pooled(None) => return Ok(calls.iter().map(|_| Vec::new()).collect()),
            Link::Host(transaction) => Wire::Transaction(transaction),
        };
        let sent = wire.send(calls).await;
        // The pool may not have noticed yet that a connection went away.
        self.broken |= sent.as_ref().is_err_and(Fault::is_loss);
        sent
    }

    /// Calls that read and need no transaction around them.
    pub(super) async fn read(&mut self, calls: Vec<Call<'_>>) -> Result<Vec<Vec<Row>>, Fault> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        if self.needs_transaction() {
            return Ok(self.whole(calls, Vec::new()).await?);
        }
        Ok(self.send(&calls).await?)
    }

    /// One call that reads, planned by its values even where statements of unknown values are planned once.
    pub(super) async fn read_planned(&mut self, call: Call<'_>) -> Result<Vec<Row>, Fault> {
        let settings = if self.prepared { vec![call!(self.texts.plan_by_values)] } else { Vec::new() };
        if settings.is_empty() {
            return Ok(self.read(vec![call]).await?.pop().unwrap_or_default());
        }
        Ok(self.whole(vec![call], settings).await?.pop().unwrap_or_default())
    }

    /// One call that writes, committed with it.
    pub(super) async fn write(&mut self, call: Call<'_>) -> Result<Vec<Row>, Fault> {
        let rows =
            if self.needs_transaction() { self.whole(vec![call], Vec::new()).await } else { self.send(&[call]).await };
        Ok(rows.map_err(Fault::committing)?.pop().unwrap_or_default())
    }

    /// Calls that write, all of them or none, in one round trip.
    pub(super) async fn write_together(&mut self, calls: Vec<Call<'_>>) -> Result<Vec<Vec<Row>>, Fault> {
        self.whole(calls, Vec::new()).await.map_err(Fault::committing)
    }

    /// A transaction in one round trip.
    async fn whole(
        &mut self,
        calls: Vec<Call<'_>>,
        settings: Vec<Call<'_>>,
    ) -> Result<Vec<Vec<Row>>, tokio_postgres::Error> {
        let mut all = self.opening();
        all.extend(settings);
        let first = all.len();
        all.extend(calls);
        let last = all.len();
        all.push(self.closing());
        self.open = true;
        let sent = self.send(&all).await;
        if sent.is_err() && !self.leave().await {
            self.discard();
        }
        let mut rows = sent?;
        self.open = false;
        rows.truncate(last);
        Ok(rows.split_off(first))
    }

    fn opening<'v>(&self) -> Vec<Call<'v>> {
        let begin = if self.is_host() { &self.texts.savepoint } else { &self.texts.begin };
        let wall = self.wall.clone().map(|wall| call!(self.texts.wall, one(wall)));
        [call!(begin)].into_iter().chain(wall).collect()
    }

    fn closing<'v>(&self) -> Call<'v> {
        if self.is_host() { call!(self.texts.release) } else { call!(self.texts.end) }
    }

    /// Begins a transaction with calls, in one round trip.
    pub(super) async fn begin(&mut self, calls: Vec<Call<'_>>) -> Result<Vec<Vec<Row>>, Fault> {
        let mut all = self.opening();
        let first = all.len();
        all.extend(calls);
        self.open = true;
        Ok(self.send(&all).await?.split_off(first))
    }

    /// Ends the transaction with calls, in one round trip. If one of them fails, all of it is undone.
    pub(super) async fn end(&mut self, mut calls: Vec<Call<'_>>) -> Result<Vec<Vec<Row>>, Fault> {
        calls.push(self.closing());
        let mut rows = self.send(&calls).await.map_err(Fault::committing)?;
        self.open = false;
        rows.pop();
        Ok(rows)
    }

    /// Leaves whatever transaction there is.
    pub(super) async fn roll_back(&mut self) {
        if self.open && !self.leave().await {
            self.discard();
        }
    }

    /// Whether the transaction could be left.
    async fn leave(&mut self) -> bool {
        let calls = if self.is_host() {
            vec![call!(self.texts.roll_back_to), call!(self.texts.release)]
        } else {
            vec![call!(self.texts.roll_back)]
        };
        let left = self.send(&calls).await.is_ok();
        self.open = !left;
        left
    }

    /// Ends the connection: it does not go back to the pool, and the server undoes what was not committed.
    fn discard(&mut self) {
        self.open = false;
        if let Link::Pooled(object) = &mut self.link
            && let Some(object) = object.take()
        {
            drop(Object::take(*object));
        }
    }
}

impl Drop for Session<'_> {
    /// Whoever was dropped in the middle of a transaction leaves no connection with one.
    fn drop(&mut self) {
        if self.open || self.broken {
            self.discard();
        }
    }
}
