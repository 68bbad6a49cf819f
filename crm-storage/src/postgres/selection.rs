//! A selection as a condition of a statement. Whatever it compares with is sent beside the text.
//!
//! A comparison with a missing number is NULL, which a WHERE takes for false, and so do AND and OR on the
//! way there. Only NOT would turn it into NULL again; so it is written as IS NOT TRUE.

use std::fmt::Write as _;

use crm_core::segment::Comparison;
use uuid::Uuid;

use super::wire::{Value, list, one};
use crate::selection::Selection;

/// A statement's text as it grows, with its values.
#[derive(Debug, Default)]
pub(super) struct Condition<'a> {
    pub(super) text: String,
    pub(super) values: Vec<Value<'a>>,
    /// How many tokens were asked for.
    tokens: usize,
}

/// So many look-ups of a token may be planned as joins, which makes the token's index the beginning of the
/// search. The time for planning grows much faster than their number.
const JOINS_MAX: usize = 4;

impl<'a> Condition<'a> {
    /// Adds a value, and says how the text refers to it.
    pub(super) fn value(&mut self, value: Value<'a>) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// Adds what a selection means of the customer `c`.
    pub(super) fn selects(&mut self, selection: &'a Selection) {
        match selection {
            Selection::All(parts) => self.joined(parts, " AND ", "TRUE"),
            Selection::Any(parts) => self.joined(parts, " OR ", "FALSE"),
            Selection::Not(part) => {
                self.text.push('(');
                self.selects(part);
                self.text.push_str(") IS NOT TRUE");
            }
            Selection::Compare(column, is, number) => {
                let number = self.value(one(*number));
                let _ = write!(self.text, "c.{} {} {number}", column.name(), operator(*is));
            }
            Selection::OneOf(column, numbers) => {
                let numbers = self.value(list(numbers.clone()));
                let _ = write!(self.text, "c.{} = ANY({numbers})", column.name());
            }
            Selection::Missing(column) => {
                let _ = write!(self.text, "c.{} IS NULL", column.name());
            }
            Selection::In(set) => {
                let set = self.value(list(vec![set.as_str()]));
                let _ = write!(self.text, "c.sets @> {set}");
            }
            Selection::Score { plugin, output, is, value } => {
                let (plugin, output) = (self.value(one(plugin.as_bytes())), self.value(one(output.as_bytes())));
                let value = self.value(one(*value));
                let _ = write!(
                    self.text,
                    "(SELECT s.value FROM @.score s WHERE s.lane = c.lane AND s.tenant = c.tenant \
                     AND s.customer = c.id AND s.plugin = {plugin} AND s.output = {output} \
                     ORDER BY s.at DESC LIMIT 1) {} {value}",
                    operator(*is)
                );
            }
            Selection::Found(token) => {
                let token = self.value(one(Uuid::from_bytes(token.0)));
                self.tokens += 1;
                // An offset keeps the planner from making a join of it.
                let apart = if self.tokens > JOINS_MAX { " OFFSET 0" } else { "" };
                let _ = write!(
                    self.text,
                    "EXISTS (SELECT 1 FROM @.token k WHERE k.lane = c.lane AND k.tenant = c.tenant \
                     AND k.customer = c.id AND k.token = {token}{apart})"
                );
            }
        }
    }

    fn joined(&mut self, parts: &'a [Selection], with: &str, of_none: &str) {
        if parts.is_empty() {
            self.text.push_str(of_none);
            return;
        }
        for (at, part) in parts.iter().enumerate() {
            self.text.push_str(if at == 0 { "(" } else { with });
            self.selects(part);
        }
        self.text.push(')');
    }
}

const fn operator(is: Comparison) -> &'static str {
    match is {
        Comparison::Eq => "=",
        Comparison::Ne => "<>",
        Comparison::Lt => "<",
        Comparison::Le => "<=",
        Comparison::Gt => ">",
        Comparison::Ge => ">=",
    }
}
