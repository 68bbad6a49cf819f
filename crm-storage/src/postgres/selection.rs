//! A selection as a condition of a statement. Whatever it compares with is sent beside the text.
//!
//! A comparison with a missing number is NULL, which a WHERE takes for false, and so do AND and OR on the
//! way there. Only NOT would turn it into NULL again; so it is written as IS NOT TRUE.

use std::fmt::Write as _;

use crm_core::expression::Comparison;
use uuid::Uuid;

use super::wire::{Value, list, one};
use crate::selection::Selection;

/// A statement's text as it grows, with its values.
#[derive(Debug, Default)]
pub(super) struct Condition<'a> {
    pub(super) text: String,
    pub(super) values: Vec<Value<'a>>,
    /// How many look-ups in other tables may be planned as joins already.
    joins: usize,
}

/// So many look-ups of a token or a score may be planned as joins, which makes their index the beginning of the
/// search. The time for planning grows much faster than their number.
const JOINS_MAX: usize = 4;

/// Where a part of a selection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// Whoever is meant meets this part.
    Always,
    /// It is one of several ways, or is turned around.
    Within,
}

impl<'a> Condition<'a> {
    /// Adds a value, and says how the text refers to it.
    pub(super) fn value(&mut self, value: Value<'a>) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// Adds what a selection means of the customer `c`.
    pub(super) fn selects(&mut self, selection: &'a Selection) {
        self.part(selection, Stands::Always);
    }

    fn part(&mut self, selection: &'a Selection, stands: Stands) {
        match selection {
            Selection::All(parts) => self.joined(parts, " AND ", "TRUE", stands),
            Selection::Any(parts) => self.joined(parts, " OR ", "FALSE", Stands::Within),
            Selection::Not(part) => {
                self.text.push('(');
                self.part(part, Stands::Within);
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
                let (is, value) = (operator(*is), self.value(one(*value)));
                let of_customer = format!(
                    "FROM @.score s WHERE s.lane = c.lane AND s.tenant = c.tenant AND s.customer = c.id \
                     AND s.plugin = {plugin} AND s.output = {output}"
                );
                let _ = if self.may_join(stands) {
                    // The newest is the one that no other is newer than.
                    write!(
                        self.text,
                        "EXISTS (SELECT 1 {of_customer} AND s.value {is} {value} AND NOT EXISTS (SELECT 1 FROM @.score n \
                         WHERE n.lane = s.lane AND n.tenant = s.tenant AND n.customer = s.customer \
                         AND n.plugin = {plugin} AND n.output = {output} AND n.at > s.at OFFSET 0))"
                    )
                } else {
                    write!(self.text, "(SELECT s.value {of_customer} ORDER BY s.at DESC LIMIT 1) {is} {value}")
                };
            }
            Selection::Found(token) => {
                let token = self.value(one(Uuid::from_bytes(token.0)));
                // An offset keeps the planner from making a join of it.
                let apart = if self.may_join(stands) { "" } else { " OFFSET 0" };
                let _ = write!(
                    self.text,
                    "EXISTS (SELECT 1 FROM @.token k WHERE k.lane = c.lane AND k.tenant = c.tenant \
                     AND k.customer = c.id AND k.token = {token}{apart})"
                );
            }
        }
    }

    /// Whether one more look-up may be planned as a join, which it can be only where it must hold.
    const fn may_join(&mut self, stands: Stands) -> bool {
        let may = matches!(stands, Stands::Always) && self.joins < JOINS_MAX;
        self.joins += may as usize;
        may
    }

    fn joined(&mut self, parts: &'a [Selection], with: &str, of_none: &str, stands: Stands) {
        if parts.is_empty() {
            self.text.push_str(of_none);
            return;
        }
        for (at, part) in parts.iter().enumerate() {
            self.text.push_str(if at == 0 { "(" } else { with });
            self.part(part, stands);
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
