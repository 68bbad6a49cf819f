//! Lists as they are sent: one value after the other goes straight into the bytes of the array, and these into the
//! message; only long ones are copied when they are sent. A batch of a thousand commits has some thirty lists of a thousand
//! values.

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::part::Kind;
use super::writes::Cell;

/// A list of the values of one column.
#[derive(Debug)]
pub(super) struct List<'a> {
    kind: Kind,
    /// Each value with its length before it.
    values: Vec<u8>,
    /// Those of bytes, which are in nothing else.
    long: Vec<&'a [u8]>,
    count: usize,
    has_null: bool,
    /// Whether a text is longer than the protocol can say.
    too_long: bool,
}

impl<'a> List<'a> {
    /// None yet, with room for so many.
    pub(super) fn of(kind: Kind, many: usize) -> Self {
        let (short, long) = if kind == Kind::Bytes { (0, many) } else { (many, 0) };
        // Of text it is not known how long it is; it grows.
        let each = 4 + kind.size().unwrap_or(16);
        let values = Vec::with_capacity(short * each);
        List { kind, values, long: Vec::with_capacity(long), count: 0, has_null: false, too_long: false }
    }

    /// Adds a value, which is of the list's kind.
    pub(super) fn push(&mut self, cell: &Cell<'a>) {
        self.count += 1;
        match cell {
            Cell::Small(value) => self.put(value.to_be_bytes()),
            Cell::Int(Some(value)) => self.put(value.to_be_bytes()),
            Cell::Big(Some(value)) => self.put(value.to_be_bytes()),
            Cell::Float(value) => self.put(value.to_be_bytes()),
            Cell::Id(Some(value)) => self.put(*value.as_bytes()),
            Cell::Bytes(value) => self.long.push(value),
            Cell::Text(Some(value)) => {
                let length = i32::try_from(value.len());
                self.too_long |= length.is_err();
                self.values.extend_from_slice(&length.unwrap_or(0).to_be_bytes());
                self.values.extend_from_slice(value.as_bytes());
            }
            Cell::Int(None) | Cell::Big(None) | Cell::Id(None) | Cell::Text(None) => {
                self.has_null = true;
                self.values.extend_from_slice(&(-1_i32).to_be_bytes());
            }
        }
    }

    fn put<const N: usize>(&mut self, value: [u8; N]) {
        self.values.extend_from_slice(&(N as i32).to_be_bytes());
        self.values.extend_from_slice(&value);
    }

    /// The type that it is sent as.
    pub(super) const fn sent_as(&self) -> Type {
        match self.kind {
            Kind::Small => Type::INT2_ARRAY,
            Kind::Int => Type::INT4_ARRAY,
            Kind::Big => Type::INT8_ARRAY,
            Kind::Float => Type::FLOAT8_ARRAY,
            Kind::Id => Type::UUID_ARRAY,
            Kind::Bytes => Type::BYTEA_ARRAY,
            Kind::Text => Type::TEXT_ARRAY,
        }
    }

    const fn value_type(&self) -> Type {
        match self.kind {
            Kind::Small => Type::INT2,
            Kind::Int => Type::INT4,
            Kind::Big => Type::INT8,
            Kind::Float => Type::FLOAT8,
            Kind::Id => Type::UUID,
            Kind::Bytes => Type::BYTEA,
            Kind::Text => Type::TEXT,
        }
    }
}

impl ToSql for List<'_> {
    /// As `array_send` of PostgreSQL has it: dimensions, whether there are nulls, the type of the values, and for the one
    /// dimension how many there are and the number of the first.
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        if self.too_long {
            return Err("a text is too long to be sent".into());
        }
        let long: usize = self.long.iter().map(|value| 4 + value.len()).sum();
        out.reserve(20 + self.values.len() + long);
        out.put_i32(1);
        out.put_i32(self.has_null.into());
        out.put_u32(self.value_type().oid());
        out.put_i32(i32::try_from(self.count)?);
        out.put_i32(1);
        out.extend_from_slice(&self.values);
        for value in &self.long {
            out.put_i32(i32::try_from(value.len())?);
            out.extend_from_slice(value);
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use uuid::Uuid;

    use super::*;

    /// What the client itself makes of a list of the same values.
    fn alike<T: ToSql + std::fmt::Debug>(kind: Kind, values: Vec<T>, cells: &[Cell<'_>]) {
        let mut list = List::of(kind, 1);
        cells.iter().for_each(|cell| list.push(cell));
        let [mut ours, mut theirs] = [BytesMut::new(), BytesMut::new()];
        list.to_sql(&list.sent_as(), &mut ours).unwrap();
        values.to_sql_checked(&list.sent_as(), &mut theirs).unwrap();
        assert_eq!(ours, theirs, "{kind:?}");
    }

    #[test]
    fn a_list_is_sent_as_the_client_sends_one() {
        alike(Kind::Small, vec![1_i16, -2], &[Cell::Small(1), Cell::Small(-2)]);
        alike(Kind::Int, vec![Some(1_i32), None], &[Cell::Int(Some(1)), Cell::Int(None)]);
        alike(Kind::Big, vec![None, Some(i64::MIN)], &[Cell::Big(None), Cell::Big(Some(i64::MIN))]);
        alike(Kind::Big, vec![7_i64], &[Cell::Big(Some(7))]);
        alike(Kind::Float, vec![0.5], &[Cell::Float(0.5)]);
        let id = Uuid::from_u128(7);
        alike(Kind::Id, vec![Some(id), None], &[Cell::Id(Some(id)), Cell::Id(None)]);
        alike(Kind::Bytes, vec![&b""[..], &[0, 255]], &[Cell::Bytes(b""), Cell::Bytes(&[0, 255])]);
        let text = |text| Cell::Text(Some(Cow::Borrowed(text)));
        alike(Kind::Text, vec![Some(""), None, Some("ä")], &[text(""), Cell::Text(None), text("ä")]);
        alike(Kind::Text, Vec::<&str>::new(), &[]);
        alike(Kind::Bytes, Vec::<&[u8]>::new(), &[]);
    }
}
