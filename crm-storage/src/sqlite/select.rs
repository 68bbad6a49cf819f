//! A selection as a condition in SQL. Numbers and names are parameters, never text.
//!
//! A comparison with NULL is NULL, which a condition takes for false, as a selection does; only under a
//! negation it would matter, so a negation asks whether it is true.

use crm_core::SetKey;
use crm_core::expression::Comparison;
use rusqlite::types::Value;

use super::indexes::Indexes;
use super::write::SEPARATOR;
use crate::selection::Selection;

/// A condition on the customer whose row is `c` and whose id is as given, where `?1` is the tenant.
#[derive(Debug)]
pub(super) struct Condition<'i> {
    pub(super) sql: String,
    /// The parameters from the first free one on.
    pub(super) parameters: Vec<Value>,
    /// Whether it asks for anything that is in the row.
    pub(super) reads_row: bool,
    /// Whether it asks other tables.
    pub(super) reads_others: bool,
    /// How many parameters there are before.
    before: usize,
    id: &'static str,
    /// What can be asked without the row.
    indexes: &'i Indexes,
}

impl<'i> Condition<'i> {
    /// A condition that says nothing yet, whose parameters begin after so many others.
    pub(super) const fn new(id: &'static str, indexes: &'i Indexes, before: usize) -> Self {
        Condition {
            sql: String::new(),
            parameters: Vec::new(),
            reads_row: false,
            reads_others: false,
            before,
            id,
            indexes,
        }
    }

    pub(super) fn place(&mut self, value: impl Into<Value>) -> String {
        self.parameters.push(value.into());
        format!("?{}", self.before + self.parameters.len())
    }

    pub(super) fn add(&mut self, selection: &Selection) {
        match selection {
            Selection::All(parts) => self.all(&parts.iter().collect::<Vec<_>>()),
            Selection::Any(parts) => self.join(&parts.iter().collect::<Vec<_>>(), " OR ", "0"),
            Selection::Not(part) => {
                self.sql.push_str("((");
                self.add(part);
                self.sql.push_str(") IS NOT TRUE)");
            }
            Selection::Compare(..) | Selection::OneOf(..) | Selection::Missing(_) => {
                self.reads_row = true;
                self.number("c", selection);
            }
            Selection::In(set) => self.member(set),
            Selection::Score { plugin, output, is, value } => {
                self.reads_others = true;
                let [plugin, output] = [plugin, output].map(|name| self.place(name.to_string()));
                let (value, is, id) = (self.place(*value), operator(*is), self.id);
                self.sql.push_str(&format!(
                    "(SELECT value FROM crm_score WHERE tenant = ?1 AND customer = {id} \
                     AND plugin = {plugin} AND output = {output} ORDER BY at DESC LIMIT 1) {is} {value}"
                ));
            }
            Selection::Found(token) => {
                self.reads_others = true;
                let (place, id) = (self.place(token.0.to_vec()), self.id);
                self.sql.push_str(&format!(
                    "EXISTS (SELECT 1 FROM crm_token WHERE tenant = ?1 AND token = {place} AND customer = {id})"
                ));
            }
        }
    }

    pub(super) fn all(&mut self, parts: &[&Selection]) {
        self.join(parts, " AND ", "1");
    }

    /// What is asked of a column of some table; nothing of anything else.
    pub(super) fn number(&mut self, table: &str, selection: &Selection) {
        let condition = match selection {
            Selection::Compare(column, is, number) => {
                format!("{table}.{} {} {}", column.name(), operator(*is), self.place(*number))
            }
            Selection::OneOf(column, numbers) => {
                let places: Vec<String> = numbers.iter().map(|number| self.place(*number)).collect();
                format!("{table}.{} IN ({})", column.name(), places.join(", "))
            }
            Selection::Missing(column) => format!("{table}.{} IS NULL", column.name()),
            Selection::All(_)
            | Selection::Any(_)
            | Selection::Not(_)
            | Selection::In(_)
            | Selection::Score { .. }
            | Selection::Found(_) => return,
        };
        self.sql.push_str(&condition);
    }

    fn member(&mut self, set: &SetKey) {
        if let Some(table) = self.indexes.members_of(set) {
            let (place, id) = (self.place(set.as_str().to_owned()), self.id);
            self.sql.push_str(&format!(
                "EXISTS (SELECT 1 FROM {table} WHERE tenant = ?1 AND name = {place} AND customer = {id})"
            ));
        } else {
            self.reads_row = true;
            let place = self.place(format!("{SEPARATOR}{}{SEPARATOR}", set.as_str()));
            self.sql.push_str(&format!("instr(c.sets, {place}) > 0"));
        }
    }

    /// Joins conditions as a balanced tree: SQLite bounds the depth of an expression, not its length.
    fn join(&mut self, parts: &[&Selection], word: &str, none: &str) {
        match parts {
            [] => self.sql.push_str(none),
            [one] => self.add(one),
            more => {
                let (left, right) = more.split_at(more.len() / 2);
                self.sql.push('(');
                self.join(left, word, none);
                self.sql.push_str(word);
                self.join(right, word, none);
                self.sql.push(')');
            }
        }
    }
}

pub(super) const fn operator(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Eq => "=",
        Comparison::Ne => "<>",
        Comparison::Lt => "<",
        Comparison::Le => "<=",
        Comparison::Gt => ">",
        Comparison::Ge => ">=",
    }
}
