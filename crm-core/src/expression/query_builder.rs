//! Rules as forms on a shop's own screens produce them: what react-querybuilder
//! (<https://react-querybuilder.js.org>, versions 6 to 8) keeps and exports.
//!
//! Three of its forms are read, and what one screen shows means the same in each:
//!
//! - its own tree, by [`Predicate::from_query_builder`]: groups of `combinator`, `not` and `rules`, also with a
//!   combinator between each two rules, where `and` binds tighter than `or`; `muted` parts are left out, as its
//!   exports leave them out;
//! - `formatQuery(query, "jsonlogic")`, by [`Predicate::from_json_logic`]: `and`, `or`, `!`, `==`, `!=`, `===`, `!==`,
//!   `<`, `<=`, `>`, `>=`, three arguments of `<` and `<=`, `in`, `startsWith`, `endsWith`, and `var`;
//! - `formatQuery(query, { format: "cel", parseNumbers: true })`, by [`Predicate::parse`]. Without `parseNumbers` it
//!   writes numbers in quotes, which are texts to CEL. It does not escape backslashes, and of a query without rules
//!   it makes `1 == 1`, which holds for everybody, so that the other two forms are the safer ones.
//!
//! A field's name is what would stand there in text: `stage`, `recency_days`, or `orders.in_last("90d").count()`. A
//! value is never read as text of the language. It is taken as what the field is compared with: a number, also when it
//! was sent as a text; a date or an instant, as RFC 3339 writes it; `true`, `false`; or a text as it is.
//!
//! | operator | beside a number or an instant | beside a text | beside many texts, such as `tags` |
//! |---|---|---|---|
//! | `=`, `!=` | equal | equal | refused |
//! | `<`, `<=`, `>`, `>=`, `between` | compared; `between` has both ends | refused | refused |
//! | `in` | equals one of them | is one of them | one of the many is one of them |
//! | `contains` | refused | is in it | is one of the many, whole |
//! | `beginsWith`, `endsWith` | refused | begins, ends so | one of the many does |
//! | `null` | is missing | refused | refused |
//!
//! Operators that begin with `not` or `doesNot` say the opposite, and what is missing is neither, as told at
//! [`Predicate`]. Yes-or-no fields, such as `segment("buyers")`, take `=` and `!=`. Two numbers of a `between` are put
//! in order, as the library's exports do.
//!
//! Nothing is guessed: a group without rules, a rule whose field, operator or value is not chosen yet, and whatever
//! else cannot be said is an error, and never a rule that holds for everybody.

#![allow(clippy::wildcard_enum_match_arm, reason = "whatever a query does not take is refused")]

use cel::IdedExpr;
use cel::common::ast::Expr;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::error::{LimitError, Problem};
use super::number::Number;
use super::predicate::{Comparison, Predicate, TextTest, Texts};
use super::read::{self, Read, Reader, Term};
use super::vocabulary::{Vocabulary, nearest};
use crate::attribute::Unit;
use crate::time::Timestamp;

/// What is wrong with a query, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", if .path.is_empty() { "the query" } else { .path.as_str() })]
pub struct QueryError {
    /// The way to it in the JSON, such as `rules[2].rules[0].value`; empty is all of it.
    pub path: String,
    /// What.
    pub problem: Problem,
}

type Parsed<T> = Result<T, QueryError>;

fn wrong<T>(path: &str, problem: Problem) -> Parsed<T> {
    Err(QueryError { path: path.to_owned(), problem })
}

fn type_error<T>(path: &str, expected: &str, found: &Value) -> Parsed<T> {
    wrong(path, Problem::Type { expected: expected.to_owned(), found: kind(found).to_owned() })
}

/// The way to a part of what is at a path.
fn at(path: &str, step: &str) -> String {
    if path.is_empty() || step.starts_with('[') { format!("{path}{step}") } else { format!("{path}.{step}") }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a yes or no",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl Predicate {
    /// The longest JSON of a query, in bytes.
    pub const QUERY_MAX: usize = 256 << 10;

    /// Reads the tree of a react-querybuilder as JSON, as told in [the module](self).
    ///
    /// ```
    /// use crm_core::expression::{Predicate, Vocabulary};
    /// use crm_core::{Definitions, Timestamp};
    ///
    /// let vocabulary = Vocabulary::of(&Definitions::default(), Timestamp::MIN);
    /// let query = r#"{"combinator": "and", "rules": [
    ///     {"field": "stage", "operator": "in", "value": "purchase,intent"},
    ///     {"field": "orders.in_last(\"90d\")", "operator": ">=", "value": "3"}
    /// ]}"#;
    /// let rule = Predicate::from_query_builder(query, &vocabulary)?;
    /// assert_eq!(rule.to_string(), r#"stage in ["intent", "purchase"] && orders.in_last("90d").count() >= 3"#);
    ///
    /// let query = r#"{"combinator": "and", "rules": [{"field": "tag", "operator": "contains", "value": "vip"}]}"#;
    /// let wrong = Predicate::from_query_builder(query, &vocabulary).unwrap_err();
    /// assert_eq!(wrong.to_string(), r#"rules[0].field: there is no name "tag"; did you mean "tags"?"#);
    /// # Ok::<(), crm_core::expression::QueryError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `QueryError` with the way to what is wrong if it cannot be read, names what there is not, is not filled in, or
    /// exceeds a limit. Time and memory are bounded by the limits, whatever the JSON.
    pub fn from_query_builder(json: &str, vocabulary: &Vocabulary) -> Result<Self, QueryError> {
        Self::from_query_builder_value(&value_of(json)?, vocabulary)
    }

    /// The same of JSON that was parsed already.
    ///
    /// # Errors
    ///
    /// As [`from_query_builder`](Self::from_query_builder).
    pub fn from_query_builder_value(query: &Value, vocabulary: &Vocabulary) -> Result<Self, QueryError> {
        let mut form = Form { vocabulary, left: Self::CLAUSES_MAX };
        let Value::Object(root) = query else { return type_error("", "a group with rules", query) };
        if !root.contains_key("rules") {
            return type_error("rules", "a list of rules", &Value::Null);
        }
        match form.part(query, "", 1)? {
            Some(rule) => checked(rule),
            None => wrong("", Problem::Empty),
        }
    }

    /// Reads what a react-querybuilder exports as JsonLogic (<https://jsonlogic.com>), as told in
    /// [the module](self).
    ///
    /// ```
    /// use crm_core::expression::{Predicate, Vocabulary};
    /// use crm_core::{Definitions, Timestamp};
    ///
    /// let vocabulary = Vocabulary::of(&Definitions::default(), Timestamp::MIN);
    /// let logic = r#"{"and": [{"<=": [1, {"var": "orders"}, 3]}, {"!": {"in": ["vip", {"var": "tags"}]}}]}"#;
    /// let rule = Predicate::from_json_logic(logic, &vocabulary)?;
    /// assert_eq!(rule.to_string(), r#"orders.count() >= 1 && orders.count() <= 3 && !("vip" in tags)"#);
    /// # Ok::<(), crm_core::expression::QueryError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`from_query_builder`](Self::from_query_builder). `false`, which the library exports for a query without
    /// rules, is refused as well.
    pub fn from_json_logic(json: &str, vocabulary: &Vocabulary) -> Result<Self, QueryError> {
        Self::from_json_logic_value(&value_of(json)?, vocabulary)
    }

    /// The same of JSON that was parsed already.
    ///
    /// # Errors
    ///
    /// As [`from_json_logic`](Self::from_json_logic).
    pub fn from_json_logic_value(logic: &Value, vocabulary: &Vocabulary) -> Result<Self, QueryError> {
        let mut form = Form { vocabulary, left: Self::CLAUSES_MAX };
        checked(form.logic(logic, "", 1)?)
    }
}

fn value_of(json: &str) -> Parsed<Value> {
    if json.len() > Predicate::QUERY_MAX {
        return wrong("", Problem::TooLong { max: Predicate::QUERY_MAX });
    }
    serde_json::from_str(json)
        .map_err(|error| QueryError { path: String::new(), problem: Problem::Syntax(error.to_string()) })
}

fn checked(rule: Predicate) -> Parsed<Predicate> {
    match rule.check() {
        Ok(()) => Ok(rule),
        Err(limit) => wrong("", limit.into()),
    }
}

/// The longest name of a field, in bytes.
const FIELD_MAX: usize = 1_024;

/// What is asked of a field.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Is(Comparison),
    /// By the function of texts that CEL has for it.
    Text(&'static str),
    Known,
    In,
    Between,
}

/// The operators that react-querybuilder begins with, and whether they say the opposite.
const OPERATORS: [(&str, bool, Asked); 18] = [
    ("=", false, Asked::Is(Comparison::Eq)),
    ("!=", false, Asked::Is(Comparison::Ne)),
    ("<", false, Asked::Is(Comparison::Lt)),
    (">", false, Asked::Is(Comparison::Gt)),
    ("<=", false, Asked::Is(Comparison::Le)),
    (">=", false, Asked::Is(Comparison::Ge)),
    ("contains", false, Asked::Text("contains")),
    ("beginsWith", false, Asked::Text("startsWith")),
    ("endsWith", false, Asked::Text("endsWith")),
    ("doesNotContain", true, Asked::Text("contains")),
    ("doesNotBeginWith", true, Asked::Text("startsWith")),
    ("doesNotEndWith", true, Asked::Text("endsWith")),
    ("null", true, Asked::Known),
    ("notNull", false, Asked::Known),
    ("in", false, Asked::In),
    ("notIn", true, Asked::In),
    ("between", false, Asked::Between),
    ("notBetween", true, Asked::Between),
];

/// What JsonLogic is read as far as.
const LOGIC: [&str; 14] =
    ["and", "or", "!", "==", "===", "!=", "!==", "<", "<=", ">", ">=", "in", "startsWith", "endsWith"];

fn not(negated: bool, rule: Predicate) -> Predicate {
    if negated { Predicate::Not(Box::new(rule)) } else { rule }
}

/// The only one of several, or all of them together.
fn together(mut parts: Vec<Predicate>, all: bool) -> Option<Predicate> {
    if parts.len() < 2 {
        return parts.pop();
    }
    Some(if all { read::all_of(parts) } else { read::any_of(parts) })
}

/// A query that is being read.
struct Form<'v> {
    vocabulary: &'v Vocabulary,
    /// How many more rules, groups and values it may have.
    left: usize,
}

impl Form<'_> {
    fn spend(&mut self, path: &str, parts: usize) -> Parsed<()> {
        match self.left.checked_sub(parts) {
            Some(left) => self.left = left,
            None => return wrong(path, LimitError::TooLarge { max: Predicate::CLAUSES_MAX }.into()),
        }
        Ok(())
    }

    fn deeper(&mut self, path: &str, depth: usize) -> Parsed<()> {
        self.spend(path, 1)?;
        if depth > Predicate::DEPTH_MAX {
            return wrong(path, LimitError::TooDeep { max: Predicate::DEPTH_MAX }.into());
        }
        Ok(())
    }

    /// A group or a rule; nothing if it is muted.
    fn part(&mut self, part: &Value, path: &str, depth: usize) -> Parsed<Option<Predicate>> {
        self.deeper(path, depth)?;
        let Value::Object(part) = part else { return type_error(path, "a rule or a group", part) };
        if flag(part, "muted", path)? {
            return Ok(None);
        }
        let Some(rules) = part.get("rules") else { return self.rule(part, path).map(Some) };
        let own = at(path, "rules");
        let Value::Array(rules) = rules else { return type_error(&own, "a list of rules", rules) };
        if rules.is_empty() {
            return wrong(&own, Problem::Empty);
        }
        let negated = flag(part, "not", path)?;
        let group = match part.get("combinator") {
            None | Some(Value::Null) => self.strung(rules, &own, depth)?,
            Some(combinator) => {
                let all = is_and(combinator, &at(path, "combinator"))?;
                let mut parts = Vec::new();
                for (n, rule) in rules.iter().enumerate() {
                    parts.extend(self.part(rule, &at(&own, &format!("[{n}]")), depth + 1)?);
                }
                together(parts, all)
            }
        };
        Ok(group.map(|group| not(negated, group)))
    }

    /// Rules with a combinator between each two: `and` binds tighter than `or`.
    fn strung(&mut self, rules: &[Value], path: &str, depth: usize) -> Parsed<Option<Predicate>> {
        let mut either = Vec::new();
        let mut run = Vec::new();
        for (n, rule) in rules.iter().enumerate() {
            let path = at(path, &format!("[{n}]"));
            if n % 2 == 0 {
                run.extend(self.part(rule, &path, depth + 1)?);
                continue;
            }
            if !is_and(rule, &path)? {
                either.extend(together(std::mem::take(&mut run), true));
            }
            if n + 1 == rules.len() {
                return wrong(&path, Problem::Empty);
            }
        }
        either.extend(together(run, true));
        Ok(together(either, false))
    }

    fn rule(&mut self, rule: &Map<String, Value>, path: &str) -> Parsed<Predicate> {
        let part = |name: &str| (at(path, name), rule.get(name).unwrap_or(&Value::Null));
        let (place, value) = part("match");
        if !value.is_null() {
            return wrong(&place, Problem::Unsupported("a query about the parts of a field".to_owned()));
        }
        let (place, value) = part("operator");
        let (negated, asked) = match value {
            Value::String(name) if unchosen(name) => return wrong(&place, Problem::Empty),
            Value::String(name) => {
                let known = OPERATORS.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(name));
                let Some((_, negated, asked)) = known else {
                    return unknown(&place, "operator", name, OPERATORS.iter().map(|(known, _, _)| *known));
                };
                (*negated, *asked)
            }
            other => return type_error(&place, "the name of an operator", other),
        };
        let mut question = Question::new(self.vocabulary, place);
        let (place, value) = part("field");
        let field = question.field(place, value)?;
        let (place, value) = part("valueSource");
        let fields = match value {
            Value::Null => false,
            Value::String(source) if source == "value" => false,
            Value::String(source) if source == "field" => true,
            Value::String(source) => return unknown(&place, "source of values", source, ["value", "field"]),
            other => return type_error(&place, "the source of a value", other),
        };
        let (place, value) = part("value");
        let rule = match asked {
            Asked::Known => question.known(&field)?,
            Asked::Is(is) => {
                let value = question.value(place, value, &field, fields, false)?;
                question.compare(&field, is, &value)?
            }
            Asked::Text(_) if fields => {
                return wrong(&place, Problem::Unsupported("a field as a part of a text".to_owned()));
            }
            Asked::Text(name) => {
                let value = question.value(place, value, &field, false, true)?;
                question.text_test(&field, name, &value)?
            }
            Asked::In => {
                let values = self.values(&place, value)?;
                let many = question.is_many(&field);
                let values = values
                    .into_iter()
                    .map(|(place, value)| question.value(place, &value, &field, fields, many))
                    .collect::<Parsed<Vec<_>>>()?;
                question.one_of(&field, values)?
            }
            Asked::Between => {
                let values = self.values(&place, value)?;
                let [(from_at, from), (to_at, to)] = values.as_slice() else {
                    return wrong(&place, Problem::Malformed("`between` takes two values".to_owned()));
                };
                let mut from = question.value(from_at.clone(), from, &field, fields, false)?;
                let mut to = question.value(to_at.clone(), to, &field, fields, false)?;
                if question.out_of_order(&from, &to) {
                    std::mem::swap(&mut from, &mut to);
                }
                let (below, above) =
                    if negated { (Comparison::Lt, Comparison::Gt) } else { (Comparison::Ge, Comparison::Le) };
                let ends = vec![question.compare(&field, below, &from)?, question.compare(&field, above, &to)?];
                return Ok(if negated { Predicate::Any(ends) } else { Predicate::All(ends) });
            }
        };
        Ok(not(negated, rule))
    }

    /// Several values, as a list or as a text with commas, where `\,` is a comma in a value.
    fn values(&mut self, path: &str, value: &Value) -> Parsed<Vec<(String, Value)>> {
        let mut values = Vec::new();
        match value {
            Value::Array(listed) => {
                self.spend(path, listed.len())?;
                for (n, value) in listed.iter().enumerate() {
                    values.push((at(path, &format!("[{n}]")), value.clone()));
                }
            }
            Value::String(text) => {
                let mut one = String::new();
                let mut rest = text.as_str();
                while let Some((before, after)) = rest.split_once(',') {
                    rest = after;
                    if let Some(before) = before.strip_suffix('\\') {
                        one.push_str(before);
                        one.push(',');
                        continue;
                    }
                    one.push_str(before);
                    self.spend(path, 1)?;
                    values.push((path.to_owned(), Value::String(std::mem::take(&mut one))));
                }
                one.push_str(rest);
                self.spend(path, 1)?;
                values.push((path.to_owned(), Value::String(one)));
                // As the library takes them: nothing between two commas is no value, and blanks beside one are not.
                values.retain_mut(|(_, value)| match value {
                    Value::String(text) => {
                        *text = text.trim().to_owned();
                        !text.is_empty()
                    }
                    _ => true,
                });
            }
            Value::Number(_) => values.push((path.to_owned(), value.clone())),
            Value::Null => {}
            Value::Bool(_) | Value::Object(_) => return type_error(path, "a list of values", value),
        }
        if values.is_empty() { wrong(path, Problem::Empty) } else { Ok(values) }
    }

    /// A rule of JsonLogic: an object with an operator as its one key.
    fn logic(&mut self, logic: &Value, path: &str, depth: usize) -> Parsed<Predicate> {
        self.deeper(path, depth)?;
        let single = logic.as_object().filter(|object| object.len() == 1).and_then(|object| object.iter().next());
        let Some((name, args)) = single else {
            return match logic {
                // What is exported for no rules at all.
                Value::Bool(false) | Value::Null => wrong(path, Problem::Empty),
                other => type_error(path, "an object with one operator", other),
            };
        };
        let Some(name) = LOGIC.into_iter().find(|known| known == name) else {
            return unknown(path, "operator", name, LOGIC);
        };
        let path = at(path, name);
        let is = match name {
            "and" | "or" => {
                let Value::Array(parts) = args else { return type_error(&path, "a list of rules", args) };
                let mut rules = Vec::new();
                for (n, part) in parts.iter().enumerate() {
                    rules.push(self.logic(part, &at(&path, &format!("[{n}]")), depth + 1)?);
                }
                return together(rules, name == "and").map_or_else(|| wrong(&path, Problem::Empty), Ok);
            }
            "!" => {
                let part = match args {
                    Value::Array(parts) => match parts.as_slice() {
                        [part] => self.logic(part, &at(&path, "[0]"), depth + 1)?,
                        _ => return type_error(&path, "one rule", args),
                    },
                    part => self.logic(part, &path, depth + 1)?,
                };
                return Ok(not(true, part));
            }
            "==" | "===" => Comparison::Eq,
            "!=" | "!==" => Comparison::Ne,
            "<" => Comparison::Lt,
            "<=" => Comparison::Le,
            ">" => Comparison::Gt,
            ">=" => Comparison::Ge,
            _ => return self.of_text(name, args, &path),
        };
        let places: [String; 3] = [0, 1, 2].map(|n| at(&path, &format!("[{n}]")));
        let [first, second, third] = &places;
        match args.as_array().map(Vec::as_slice) {
            Some([left, right]) => self.pair(&path, (first, left), is, (second, right)),
            Some([low, middle, high]) if matches!(is, Comparison::Lt | Comparison::Le) => {
                let above = self.pair(&path, (first, low), is, (second, middle))?;
                Ok(Predicate::All(vec![above, self.pair(&path, (second, middle), is, (third, high))?]))
            }
            _ => type_error(&path, "a list of two operands", args),
        }
    }

    /// One thing compared with another.
    fn pair(
        &mut self,
        path: &str,
        left: (&String, &Value),
        is: Comparison,
        right: (&String, &Value),
    ) -> Parsed<Predicate> {
        let (field, is, other) = match (variable(left.1), variable(right.1)) {
            (Some(field), _) => ((left.0, field), is, right),
            (None, Some(field)) => ((right.0, field), is.turned(), left),
            (None, None) => return wrong(path, Problem::Unsupported("a comparison of two constants".to_owned())),
        };
        let mut question = Question::new(self.vocabulary, path.to_owned());
        let field = question.field(at(field.0, "var"), field.1)?;
        if other.1.is_null() && matches!(is, Comparison::Eq | Comparison::Ne) {
            return Ok(not(is == Comparison::Eq, question.known(&field)?));
        }
        let other = match variable(other.1) {
            Some(name) => question.field(at(other.0, "var"), name)?,
            None => question.value(other.0.clone(), other.1, &field, false, false)?,
        };
        question.compare(&field, is, &other)
    }

    /// `in`, `startsWith` and `endsWith`.
    fn of_text(&mut self, name: &'static str, args: &Value, path: &str) -> Parsed<Predicate> {
        let Some([left, right]) = args.as_array().map(Vec::as_slice) else {
            return type_error(path, "a list of two operands", args);
        };
        let (first, second) = (at(path, "[0]"), at(path, "[1]"));
        let mut question = Question::new(self.vocabulary, path.to_owned());
        match (variable(left), variable(right), right) {
            (Some(field), None, Value::Array(listed)) if name == "in" => {
                let field = question.field(at(&first, "var"), field)?;
                if listed.is_empty() {
                    return wrong(&second, Problem::Empty);
                }
                self.spend(&second, listed.len())?;
                let many = question.is_many(&field);
                let mut values = Vec::new();
                for (n, value) in listed.iter().enumerate() {
                    let place = at(&second, &format!("[{n}]"));
                    values.push(match variable(value) {
                        Some(name) => question.field(at(&place, "var"), name)?,
                        None => question.value(place, value, &field, false, many)?,
                    });
                }
                question.one_of(&field, values)
            }
            (None, Some(field), _) if name == "in" => {
                let field = question.field(at(&second, "var"), field)?;
                let part = question.value(first, left, &field, false, true)?;
                question.text_test(&field, "contains", &part)
            }
            (Some(field), None, _) if name != "in" => {
                let field = question.field(at(&first, "var"), field)?;
                let part = question.value(second, right, &field, false, true)?;
                question.text_test(&field, name, &part)
            }
            (Some(_), Some(_), _) => wrong(path, Problem::Unsupported("a field as a part of a text".to_owned())),
            _ => wrong(path, Problem::Unsupported(format!("`{name}` of these"))),
        }
    }
}

/// The name in `{"var": "name"}`.
fn variable(value: &Value) -> Option<&Value> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    match object.get("var")? {
        Value::Array(parts) if parts.len() == 1 => parts.first(),
        name => Some(name),
    }
}

/// Something that is on or off, and off when it is not there.
fn flag(part: &Map<String, Value>, name: &str, path: &str) -> Parsed<bool> {
    match part.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(on)) => Ok(*on),
        Some(other) => type_error(&at(path, name), "a yes or no", other),
    }
}

fn is_and(combinator: &Value, path: &str) -> Parsed<bool> {
    match combinator {
        Value::String(name) if name.eq_ignore_ascii_case("and") => Ok(true),
        Value::String(name) if name.eq_ignore_ascii_case("or") => Ok(false),
        Value::String(name) => unknown(path, "combinator", name, ["and", "or"]),
        other => type_error(path, "`and` or `or`", other),
    }
}

fn unknown<'n, T>(path: &str, what: &'static str, name: &str, names: impl IntoIterator<Item = &'n str>) -> Parsed<T> {
    // A name may be as long as a query; what it is most like is looked for with as many letters as are told.
    let name: String = name.chars().take(64).collect();
    let nearest = nearest(&name, names);
    wrong(path, Problem::Unknown { what, name, nearest })
}

/// What stands in a list from which nothing was chosen.
fn unchosen(name: &str) -> bool {
    name.is_empty() || name == "~"
}

/// What a field is compared with.
enum Wanted {
    Number(Unit),
    Instant,
    YesOrNo,
    Text,
}

/// One rule that is being read: a field, an operator, values. The parts are given to the reader of text as what they
/// stand for, by their number, so that they mean what they would mean in text and are never text.
struct Question<'v> {
    vocabulary: &'v Vocabulary,
    terms: Vec<Term>,
    /// Where each of them is.
    places: Vec<String>,
    /// Where the operator is.
    place: String,
}

/// The node of the operator.
const OPERATOR: u64 = u64::MAX;

impl<'v> Question<'v> {
    const fn new(vocabulary: &'v Vocabulary, place: String) -> Self {
        Question { vocabulary, terms: Vec::new(), places: Vec::new(), place }
    }

    fn put(&mut self, place: String, term: Term) -> IdedExpr {
        let id = self.terms.len() as u64;
        self.terms.push(term);
        self.places.push(place);
        IdedExpr { id, expr: Expr::Unspecified }
    }

    fn term(&self, node: &IdedExpr) -> Option<&Term> {
        self.terms.get(usize::try_from(node.id).ok()?)
    }

    fn ask<T>(&self, read: impl FnOnce(&Reader<'_>) -> Read<T>) -> Parsed<T> {
        read(&Reader { vocabulary: self.vocabulary, given: &self.terms }).map_err(|wrong| {
            let place = usize::try_from(wrong.id).ok().and_then(|n| self.places.get(n)).unwrap_or(&self.place);
            QueryError { path: place.clone(), problem: wrong.problem }
        })
    }

    fn ask_rule(&self, read: impl FnOnce(&Reader<'_>) -> Read<Term>) -> Parsed<Predicate> {
        match self.ask(read)? {
            Term::Rule(rule) => Ok(rule),
            other => {
                let problem = Problem::Type { expected: "a yes or no".to_owned(), found: other.kind().to_owned() };
                wrong(&self.place, problem)
            }
        }
    }

    fn field(&mut self, place: String, name: &Value) -> Parsed<IdedExpr> {
        let Value::String(name) = name else { return type_error(&place, "the name of a field", name) };
        if unchosen(name.trim()) {
            return wrong(&place, Problem::Empty);
        }
        if name.len() > FIELD_MAX {
            return wrong(&place, Problem::TooLong { max: FIELD_MAX });
        }
        match read::term_of(name, self.vocabulary) {
            Ok(term) if wanted(&term, false).is_some() => Ok(self.put(place, term)),
            Ok(term) => {
                let expected = "something that is known of a customer".to_owned();
                wrong(&place, Problem::Type { expected, found: term.kind().to_owned() })
            }
            Err(error) => wrong(&place, error.problem),
        }
    }

    /// A value as what the field is compared with, or another field.
    fn value(&mut self, place: String, value: &Value, field: &IdedExpr, other: bool, texts: bool) -> Parsed<IdedExpr> {
        if other {
            return self.field(place, value);
        }
        let Some(wanted) = self.term(field).and_then(|field| wanted(field, texts)) else {
            return wrong(&place, Problem::Unsupported("this".to_owned()));
        };
        if let (true, Some(found), false) = (texts, self.term(field), matches!(wanted, Wanted::Text)) {
            let problem = Problem::Type { expected: "a text".to_owned(), found: found.kind().to_owned() };
            return wrong(&self.place, problem);
        }
        let term = match (wanted, value) {
            (Wanted::Text, Value::String(text)) if text.len() > Predicate::TEXT_MAX => {
                return wrong(&place, LimitError::TextTooLong { max: Predicate::TEXT_MAX }.into());
            }
            // Every text contains the empty one.
            (Wanted::Text, Value::String(text)) if text.is_empty() => return wrong(&place, Problem::Empty),
            (Wanted::Text, Value::String(text)) => Term::Text(SmolStr::new(text)),
            (Wanted::Text, other) => return type_error(&place, "a text", other),
            (Wanted::YesOrNo, Value::Bool(yes)) => Term::Bool(*yes),
            (Wanted::YesOrNo, Value::String(text)) if text == "true" || text == "false" => Term::Bool(text == "true"),
            (_, Value::String(text)) if text.trim().is_empty() => return wrong(&place, Problem::Empty),
            (_, Value::Null) => return wrong(&place, Problem::Empty),
            (Wanted::YesOrNo, other) => return type_error(&place, "a yes or no", other),
            (Wanted::Instant, Value::String(text)) => match Timestamp::parse(text.trim()) {
                Ok(instant) => Term::Instant(instant),
                Err(error) => return wrong(&place, Problem::Malformed(error.to_string())),
            },
            (Wanted::Instant, other) => return type_error(&place, "a date", other),
            (Wanted::Number(unit), value) => match number(value) {
                Some(term) => term,
                None => return type_error(&place, read::unit_name(unit), value),
            },
        };
        Ok(self.put(place, term))
    }

    fn compare(&self, left: &IdedExpr, is: Comparison, right: &IdedExpr) -> Parsed<Predicate> {
        let countable = |term: &Term| matches!(term, Term::Texts(Texts::Products(_) | Texts::Categories(_)));
        if self.term(left).is_some_and(|term| term.holds_many() && !countable(term)) {
            let told = "a comparison of a list of texts; `contains` and `in` ask what is in it, and it";
            return wrong(&self.place, Problem::Unsupported(told.to_owned()));
        }
        self.ask_rule(|reader| reader.compare(OPERATOR, left, is, right))
    }

    fn known(&self, field: &IdedExpr) -> Parsed<Predicate> {
        self.ask(|reader| reader.known(field))
    }

    fn is_many(&self, field: &IdedExpr) -> bool {
        self.term(field).is_some_and(Term::holds_many)
    }

    fn text_test(&self, field: &IdedExpr, name: &str, part: &IdedExpr) -> Parsed<Predicate> {
        match self.term(field) {
            Some(Term::Texts(texts)) if !texts.is_single() && name != "contains" => {
                match self.ask(|reader| reader.text_test(name, part))? {
                    Some(test) => Ok(Predicate::Text(texts.clone(), test)),
                    None => wrong(&self.place, Problem::Unsupported(format!("`{name}`"))),
                }
            }
            _ => {
                let part = IdedExpr { id: part.id, expr: Expr::Unspecified };
                self.ask_rule(|reader| reader.method(OPERATOR, name, field, &[part]))
            }
        }
    }

    fn one_of(&mut self, field: &IdedExpr, values: Vec<IdedExpr>) -> Parsed<Predicate> {
        match self.term(field) {
            Some(Term::Texts(texts)) if !texts.is_single() => {
                let listed = values.iter().filter_map(|value| match self.term(value) {
                    Some(Term::Text(text)) => Some(text.clone()),
                    _ => None,
                });
                let rule = Predicate::Text(texts.clone(), TextTest::OneOf(listed.collect()));
                let other = values.iter().find(|value| !matches!(self.term(value), Some(Term::Text(_))));
                match other
                    .and_then(|other| Some((self.places.get(usize::try_from(other.id).ok()?)?, self.term(other)?)))
                {
                    None => Ok(rule),
                    Some((place, term)) => {
                        let problem = Problem::Type { expected: "a text".to_owned(), found: term.kind().to_owned() };
                        wrong(place, problem)
                    }
                }
            }
            Some(Term::Segments | Term::Consents) => {
                let each = values.iter().map(|value| self.ask_rule(|reader| reader.is_in(value, field)));
                let rules = each.collect::<Parsed<Vec<_>>>()?;
                together(rules, false).map_or_else(|| wrong(&self.place, Problem::Empty), Ok)
            }
            _ => {
                let listed = values.iter().filter_map(|value| Some((value.id, self.term(value)?.clone()))).collect();
                let list = self.put(self.place.clone(), Term::List(listed));
                match self.ask_rule(|reader| reader.is_in(field, &list))? {
                    Predicate::Any(parts) => {
                        together(parts, false).map_or_else(|| wrong(&self.place, Problem::Empty), Ok)
                    }
                    rule => Ok(rule),
                }
            }
        }
    }

    /// Whether two numbers are the greater one first.
    fn out_of_order(&self, from: &IdedExpr, to: &IdedExpr) -> bool {
        let number = |node: &IdedExpr| match self.term(node) {
            Some(Term::Whole(number)) => Some(Decimal::from(*number)),
            Some(Term::Decimal(number)) => Some(*number),
            _ => None,
        };
        matches!((number(from), number(to)), (Some(from), Some(to)) if to < from)
    }
}

/// What a field is compared with; nothing if it is no field. What is both a list of texts and their number depends on
/// the operator.
fn wanted(field: &Term, texts: bool) -> Option<Wanted> {
    match field {
        Term::Rule(_) => Some(Wanted::YesOrNo),
        Term::Number(number) => match (number, number.unit()) {
            (Number::Constant(_), _) => None,
            (_, Unit::Millis) => Some(Wanted::Instant),
            (_, unit) => Some(Wanted::Number(unit)),
        },
        Term::Texts(Texts::Products(_) | Texts::Categories(_)) if !texts => Some(Wanted::Number(Unit::Count)),
        Term::Stage | Term::Texts(_) | Term::Segments | Term::Consents => Some(Wanted::Text),
        Term::Happenings(_) => Some(Wanted::Number(Unit::Count)),
        Term::Moment(_) => Some(Wanted::Instant),
        Term::Bool(_)
        | Term::Whole(_)
        | Term::Decimal(_)
        | Term::Text(_)
        | Term::List(_)
        | Term::Instant(_)
        | Term::Span(_) => None,
    }
}

/// A number, also one that was sent as a text, in digits with or without decimals.
fn number(value: &Value) -> Option<Term> {
    let decimal = match value {
        Value::Number(number) => match number.as_i64() {
            Some(whole) => return Some(Term::Whole(whole)),
            // The shortest decimal that is this number is what was written, up to 15 digits.
            None => Decimal::from_f64(number.as_f64().filter(|_| !number.is_u64())?)?,
        },
        Value::String(text) => {
            let text = text.trim();
            if let Ok(whole) = text.parse::<i64>() {
                return Some(Term::Whole(whole));
            }
            if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-')) {
                return None;
            }
            Decimal::from_str_exact(text).ok()?
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let decimal = decimal.normalize();
    if decimal.is_integer()
        && let Ok(whole) = i64::try_from(decimal)
    {
        return Some(Term::Whole(whole));
    }
    Some(Term::Decimal(decimal))
}
