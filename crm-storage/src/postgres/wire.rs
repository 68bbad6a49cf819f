//! Sending statements. Several go out together, so that a list of them costs one round trip; the server
//! carries them out one after the other, each seeing what the ones before it did.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::BytesMut;
use deadpool_postgres::StatementCache;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error, Row, Transaction};
use uuid::Uuid;

use super::list::List;

/// A statement with the values of its parameters.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) text: Arc<str>,
    pub(super) values: Vec<Value<'a>>,
    /// Whether the text will hardly come again, so that it is not worth keeping it prepared.
    pub(super) once: bool,
}

/// The value of a parameter, with the type that it is sent as.
#[derive(Debug)]
pub(super) struct Value<'a> {
    value: Box<dyn ToSql + Sync + Send + 'a>,
    kind: Type,
}

/// A value as it is sent. It prints nothing: the client logs the values of prepared statements, and they may tell of a
/// person.
struct Unseen<T>(T);

impl<T> std::fmt::Debug for Unseen<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl<T: ToSql> ToSql for Unseen<T> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.0.to_sql(kind, out)
    }

    fn accepts(kind: &Type) -> bool {
        T::accepts(kind)
    }

    fn encode_format(&self, kind: &Type) -> Format {
        self.0.encode_format(kind)
    }

    to_sql_checked!();
}

/// What can be the value of a parameter.
pub(super) trait Typed: ToSql + Sync + Send {
    const ONE: Type;
    const LIST: Type;
}

macro_rules! typed {
    ($($rust:ty: $one:ident, $list:ident;)*) => {$(
        impl Typed for $rust {
            const ONE: Type = Type::$one;
            const LIST: Type = Type::$list;
        }
    )*};
}
typed! {
    i16: INT2, INT2_ARRAY;
    i32: INT4, INT4_ARRAY;
    i64: INT8, INT8_ARRAY;
    f64: FLOAT8, FLOAT8_ARRAY;
    Uuid: UUID, UUID_ARRAY;
    &[u8]: BYTEA, BYTEA_ARRAY;
    Vec<u8>: BYTEA, BYTEA_ARRAY;
    &str: TEXT, TEXT_ARRAY;
    Cow<'_, str>: TEXT, TEXT_ARRAY;
    String: TEXT, TEXT_ARRAY;
}

impl<T: Typed> Typed for Option<T> {
    const ONE: Type = T::ONE;
    const LIST: Type = T::LIST;
}

/// One value.
pub(super) fn one<'a, T: Typed + 'a>(value: T) -> Value<'a> {
    Value { value: Box::new(Unseen(value)), kind: T::ONE }
}

/// A list as one value.
pub(super) fn list<'a, T: Typed + 'a>(values: Vec<T>) -> Value<'a> {
    Value { value: Box::new(Unseen(values)), kind: T::LIST }
}

/// A list that is encoded already, as one value.
pub(super) fn encoded(list: List<'_>) -> Value<'_> {
    let kind = list.sent_as();
    Value { value: Box::new(Unseen(list)), kind }
}

/// Makes a call of a text and its values.
macro_rules! call {
    ($text:expr $(, $value:expr)* $(,)?) => {
        $crate::postgres::wire::Call { text: std::sync::Arc::clone(&$text), values: vec![$($value),*], once: false }
    };
}
pub(super) use call;

/// Where statements are sent.
#[derive(Clone, Copy)]
pub(super) enum Wire<'a> {
    /// To a connection. With a cache its statements are prepared once; without one, each time.
    Connection(&'a Client, Option<&'a StatementCache>),
    /// Into a transaction of the host's, at whose connection nothing is left behind.
    Transaction(&'a Transaction<'a>),
}

impl Wire<'_> {
    /// Sends calls in order, all in one round trip, and gives the rows of each. Stops at the first that
    /// fails; whether those after it are carried out depends on whether there is a transaction.
    pub(super) async fn send(&self, calls: &[Call<'_>]) -> Result<Vec<Vec<Row>>, Error> {
        match *self {
            Wire::Connection(client, Some(cache)) => {
                let mut statements = Vec::with_capacity(calls.len());
                for Call { text, values, once } in calls {
                    let kinds: Vec<Type> = values.iter().map(|value| value.kind.clone()).collect();
                    statements.push(if *once { None } else { Some(cache.prepare_typed(client, text, &kinds).await?) });
                }
                in_order(calls.iter().zip(&statements).map(|(call, statement)| async move {
                    let Some(statement) = statement else { return client.query_typed(&call.text, &call.typed()).await };
                    let values: Vec<&(dyn ToSql + Sync)> = call.values.iter().map(Value::get).collect();
                    client.query(statement, &values).await
                }))
                .await
            }
            Wire::Connection(client, None) => {
                in_order(calls.iter().map(|call| async move { client.query_typed(&call.text, &call.typed()).await }))
                    .await
            }
            Wire::Transaction(transaction) => {
                in_order(
                    calls.iter().map(|call| async move { transaction.query_typed(&call.text, &call.typed()).await }),
                )
                .await
            }
        }
    }
}

impl Call<'_> {
    fn typed(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.values.iter().map(|value| (value.get(), value.kind.clone())).collect()
    }
}

impl Value<'_> {
    fn get(&self) -> &(dyn ToSql + Sync) {
        &*self.value
    }
}

/// Polls each future once, which sends its statement, and then waits for one after the other.
async fn in_order<T>(futures: impl Iterator<Item = impl Future<Output = Result<T, Error>>>) -> Result<Vec<T>, Error> {
    let mut pending: Vec<Pin<Box<_>>> = futures.map(Box::pin).collect();
    let mut early = Vec::with_capacity(pending.len());
    std::future::poll_fn(|context| {
        early.clear();
        early.extend(pending.iter_mut().map(|future| match future.as_mut().poll(context) {
            Poll::Ready(ready) => Some(ready),
            Poll::Pending => None,
        }));
        Poll::Ready(())
    })
    .await;
    let mut done = Vec::with_capacity(pending.len());
    for (future, early) in pending.into_iter().zip(early) {
        done.push(match early {
            Some(ready) => ready?,
            None => future.await?,
        });
    }
    Ok(done)
}
