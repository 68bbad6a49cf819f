//! A selection as a condition in SQL. Numbers and names are parameters, never text.
//!
//! A comparison with NULL is NULL, which a condition takes for false, as a selection does; only under a
//! negation it would matter, so a negation asks whether it is true.

use crm_core::segment::Comparison;
use rusqlite::types::Value;

use super::write::SEPARATOR;
use crate::selection::Selection;

/// A condition on `crm_customer`, where `?1` is the tenant.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) sql: String,
    /// The parameters from the first free one on.
    pub(super) parameters: Vec<Value>,
}

impl Condition {
    /// The condition of a selection, whose parameters begin after so many others.
    pub(super) fn of(selection: &Selection, before: usize) -> Self {
        let mut condition = Condition { sql: String::new(), parameters: Vec::new() };
        condition.add(selection, before);
        condition
    }

    fn place(&mut self, before: usize, value: impl Into<Value>) -> String {
        self.parameters.push(value.into());
        format!("?{}", before + self.parameters.len())
    }

    fn add(&mut self, selection: &Selection, before: usize) {
        match selection {
            Selection::All(parts) => self.join(parts, " AND ", "1", before),
            Selection::Any(parts) => self.join(parts, " OR ", "0", before),
            Selection::Not(part) => {
                self.sql.push_str("((");
                self.add(part, before);
                self.sql.push_str(") IS NOT TRUE)");
            }
            Selection::Compare(column, is, number) => {
                let place = self.place(before, *number);
                self.sql.push_str(&format!("{} {} {place}", column.name(), operator(*is)));
            }
            Selection::OneOf(column, numbers) => {
                let places: Vec<String> = numbers.iter().map(|number| self.place(before, *number)).collect();
                self.sql.push_str(&format!("{} IN ({})", column.name(), places.join(", ")));
            }
            Selection::Missing(column) => self.sql.push_str(&format!("{} IS NULL", column.name())),
            Selection::In(set) => {
                let place = self.place(before, format!("{SEPARATOR}{}{SEPARATOR}", set.as_str()));
                self.sql.push_str(&format!("instr(sets, {place}) > 0"));
            }
            Selection::Score { plugin, output, is, value } => {
                let [plugin, output] = [plugin, output].map(|name| self.place(before, name.to_string()));
                let value = self.place(before, *value);
                self.sql.push_str(&format!(
                    "(SELECT value FROM crm_score WHERE tenant = ?1 AND customer = crm_customer.id \
                     AND plugin = {plugin} AND output = {output} ORDER BY at DESC LIMIT 1) {} {value}",
                    operator(*is)
                ));
            }
            Selection::Found(token) => {
                let place = self.place(before, token.0.to_vec());
                self.sql.push_str(&format!(
                    "EXISTS (SELECT 1 FROM crm_token \
                     WHERE tenant = ?1 AND token = {place} AND customer = crm_customer.id)"
                ));
            }
        }
    }

    /// Joins conditions as a balanced tree: SQLite bounds the depth of an expression, not its length.
    fn join(&mut self, parts: &[Selection], word: &str, none: &str, before: usize) {
        match parts {
            [] => self.sql.push_str(none),
            [one] => self.add(one, before),
            more => {
                let (left, right) = more.split_at(more.len() / 2);
                self.sql.push('(');
                self.join(left, word, none, before);
                self.sql.push_str(word);
                self.join(right, word, none, before);
                self.sql.push(')');
            }
        }
    }
}

const fn operator(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Eq => "=",
        Comparison::Ne => "<>",
        Comparison::Lt => "<",
        Comparison::Le => "<=",
        Comparison::Gt => ">",
        Comparison::Ge => ">=",
    }
}
