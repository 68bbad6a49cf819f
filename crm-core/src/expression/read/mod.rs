//! Reading the text of a rule: parsed as CEL, checked for names and types, and compiled.
//!
//! Here is the way through CEL's tree. A part of it is a [`Term`] (`term.rs`); what names and functions stand for is in
//! `functions.rs`, what stands behind a dot in `methods.rs`, operators in `comparing.rs`, and what is expected in a place,
//! such as a date or the name of a segment, in `values.rs`.

#![allow(clippy::wildcard_enum_match_arm, reason = "whatever a rule does not take is refused")]

mod comparing;
mod functions;
mod methods;
mod term;
mod values;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, SourceInfo, operators};
use cel::parser::Parser;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use smol_str::SmolStr;

use super::error::{ExpressionError, Problem};
use super::number::{Number, Operation};
use super::predicate::{Comparison, Predicate};
use super::scan;
use super::vocabulary::{Vocabulary, nearest};
use crate::text::TextError;

pub(super) use self::term::{Term, all_of, any_of, unit_name};

impl Predicate {
    /// The longest text of a rule, in bytes.
    pub const SOURCE_MAX: usize = 16 << 10;

    /// Reads a rule in the Common Expression Language, as told in [the module](super).
    ///
    /// Beyond CEL it takes what query builders write in its name: `recency_days == null` is `!known(recency_days)`,
    /// `tags.contains("vip")` is `"vip" in tags`, and a text beside an instant is a date.
    ///
    /// ```
    /// use crm_core::expression::{Predicate, Vocabulary};
    /// use crm_core::{Definitions, Timestamp};
    ///
    /// let vocabulary = Vocabulary::of(&Definitions::default(), Timestamp::MIN);
    /// let rule = Predicate::parse(r#"stage == "purchase" && orders.in_last("90d") >= 3"#, &vocabulary)?;
    /// assert_eq!(rule.to_string(), r#"stage == "purchase" && orders.in_last("90d").count() >= 3"#);
    ///
    /// let wrong = Predicate::parse("recency_day > 3", &vocabulary).unwrap_err();
    /// assert_eq!(wrong.to_string(), r#"line 1, column 1: there is no name "recency_day"; did you mean "recency_days"?"#);
    /// # Ok::<(), crm_core::expression::ExpressionError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `ExpressionError` with line and column if it cannot be read, names what there is not, compares what cannot be
    /// compared, or exceeds a limit. Time and memory are bounded by the limits, whatever the text.
    pub fn parse(text: &str, vocabulary: &Vocabulary) -> Result<Self, ExpressionError> {
        let (tree, info) = tree_of(text)?;
        let reader = Reader { vocabulary, given: &[] };
        let rule = reader.rule(&tree).map_err(|wrong| wrong.placed(text, &info))?;
        rule.check().map_err(|limit| at_start(limit.into()))?;
        Ok(rule)
    }
}

/// What a text stands for that is a part of a rule, such as `orders.in_last("90d")`.
pub(super) fn term_of(text: &str, vocabulary: &Vocabulary) -> Result<Term, ExpressionError> {
    let (tree, info) = tree_of(text)?;
    Reader { vocabulary, given: &[] }.term(&tree).map_err(|wrong| wrong.placed(text, &info))
}

const fn at_start(problem: Problem) -> ExpressionError {
    ExpressionError { line: 1, column: 1, problem }
}

/// The text as CEL's own tree, if it keeps to the limits.
fn tree_of(text: &str) -> Result<(IdedExpr, SourceInfo), ExpressionError> {
    if text.len() > Predicate::SOURCE_MAX {
        return Err(at_start(Problem::TooLong { max: Predicate::SOURCE_MAX }));
    }
    scan::check(text).map_err(|(byte, problem)| place(text, byte, problem))?;
    let parser = Parser::new().max_recursion_depth(96).error_recovery_limit(4);
    parser.parse_with_source_info(text).map_err(|errors| {
        let first = errors.errors.into_iter().next();
        let Some(first) = first else { return at_start(Problem::Syntax("not an expression".to_owned())) };
        let problem = Problem::Syntax(unexpected(&first.msg));
        let number = |n: isize| u32::try_from(n).unwrap_or(1).max(1);
        ExpressionError { line: number(first.pos.0), column: number(first.pos.1), problem }
    })
}

/// What a parser's message says, without what it would rather have had, which is a list of tokens.
fn unexpected(message: &str) -> String {
    let told = message.trim_start_matches("Syntax error: ");
    let told = told.split(" expecting ").next().unwrap_or_default();
    let inputs =
        ["mismatched input ", "extraneous input ", "token recognition error at: ", "no viable alternative at input "];
    let what = inputs.iter().find_map(|input| told.strip_prefix(input)).map(|what| what.replace("'<EOF>'", "end"));
    what.map_or_else(|| told.to_owned(), |what| format!("unexpected {what}")).chars().take(200).collect()
}

/// Where something is in a text, by the number of bytes before it.
fn place(text: &str, bytes: usize, problem: Problem) -> ExpressionError {
    let before = text.get(..text.floor_char_boundary(bytes)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    ExpressionError { line: line as u32, column: column as u32, problem }
}

/// Reads CEL's tree. It knows the parts of the tree by number only, so that the tree need not come of one text.
pub(super) struct Reader<'r> {
    pub(super) vocabulary: &'r Vocabulary,
    /// What the unspecified nodes of a tree stand for, by their number: values that were never text.
    pub(super) given: &'r [Term],
}

/// What is wrong, and with which part of the tree.
pub(super) struct Wrong {
    pub(super) id: u64,
    pub(super) problem: Problem,
}

impl Wrong {
    fn placed(self, text: &str, info: &SourceInfo) -> ExpressionError {
        place(text, info.offset_for(self.id).map_or(0, |(start, _)| start as usize), self.problem)
    }
}

pub(super) type Read<T> = Result<T, Wrong>;

impl Reader<'_> {
    #[allow(clippy::unused_self, reason = "it reads like what stands beside it")]
    const fn wrong(&self, id: u64, problem: Problem) -> Wrong {
        Wrong { id, problem }
    }

    fn expected<T>(&self, id: u64, expected: impl Into<String>, found: &Term) -> Read<T> {
        Err(self.wrong(id, Problem::Type { expected: expected.into(), found: found.kind().to_owned() }))
    }

    fn unknown<'n, T>(
        &self,
        id: u64,
        what: &'static str,
        name: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Read<T> {
        let nearest = nearest(name, names);
        Err(self.wrong(id, Problem::Unknown { what, name: name.chars().take(64).collect(), nearest }))
    }

    fn unsupported<T>(&self, id: u64, what: &str) -> Read<T> {
        Err(self.wrong(id, Problem::Unsupported(what.to_owned())))
    }

    #[allow(clippy::unused_self, reason = "it reads like what stands beside it")]
    fn malformed(&self, id: u64) -> impl FnOnce(TextError) -> Wrong {
        move |error| Wrong { id, problem: Problem::Malformed(error.to_string()) }
    }

    fn rule(&self, tree: &IdedExpr) -> Read<Predicate> {
        match self.term(tree)? {
            Term::Rule(rule) => Ok(rule),
            Term::Bool(true) => Ok(Predicate::All(Vec::new())),
            Term::Bool(false) => Ok(Predicate::Any(Vec::new())),
            other => self.expected(tree.id, "a yes or no", &other),
        }
    }

    fn term(&self, tree: &IdedExpr) -> Read<Term> {
        match &tree.expr {
            Expr::Literal(literal) => self.literal(tree.id, literal),
            Expr::Ident(name) => self.name(tree.id, name),
            Expr::Select(select) if !select.test => match &select.operand.expr {
                Expr::Ident(root) if root == "customer" => self.name(tree.id, &select.field),
                // A function without its brackets is what it would be with them, if it takes nothing.
                _ => self.unknown(tree.id, "field", &select.field, []),
            },
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(root) if root == "customer" => {
                    let term = self.name(tree.id, &select.field)?;
                    Ok(Term::Rule(Predicate::Known(self.number(tree.id, term)?)))
                }
                _ => self.unsupported(tree.id, "`has` of anything but a field of `customer`"),
            },
            Expr::List(list) => {
                let terms = list.elements.iter().map(|part| Ok((part.id, self.term(part)?)));
                Ok(Term::List(terms.collect::<Read<Vec<_>>>()?))
            }
            Expr::Call(call) => self.call(tree.id, call),
            Expr::Comprehension(comprehension) => self.exists(tree.id, comprehension),
            Expr::Map(_) => self.unsupported(tree.id, "a map"),
            Expr::Struct(_) => self.unsupported(tree.id, "a message"),
            Expr::Unspecified => match usize::try_from(tree.id).ok().and_then(|n| self.given.get(n)) {
                Some(term) => Ok(term.clone()),
                None => self.unsupported(tree.id, "nothing"),
            },
        }
    }

    fn literal(&self, id: u64, literal: &LiteralValue) -> Read<Term> {
        match literal {
            LiteralValue::Boolean(value) => Ok(Term::Bool(*value.inner())),
            LiteralValue::Int(value) => Ok(Term::Whole(*value.inner())),
            LiteralValue::UInt(value) => match i64::try_from(*value.inner()) {
                Ok(value) => Ok(Term::Whole(value)),
                Err(_) => Err(self.wrong(id, Problem::Malformed("a number is too large".to_owned()))),
            },
            // The shortest decimal that is this number is what was written, up to 15 digits.
            LiteralValue::Double(value) => match Decimal::from_f64(*value.inner()) {
                Some(value) => Ok(Term::Decimal(value.normalize())),
                None => Err(self.wrong(id, Problem::Malformed("a number is too large".to_owned()))),
            },
            LiteralValue::String(value) => Ok(Term::Text(SmolStr::new(value.inner()))),
            LiteralValue::Null => self.unsupported(id, "null; `!known(…)` asks for what is missing,"),
            LiteralValue::Bytes(_) => self.unsupported(id, "a literal of bytes"),
        }
    }

    fn call(&self, id: u64, call: &CallExpr) -> Read<Term> {
        let CallExpr { func_name, target, args } = call;
        if let Some(target) = target {
            return self.method(id, func_name, target, args);
        }
        match (func_name.as_str(), args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, parts) => {
                let parts = parts.iter().map(|part| self.rule(part)).collect::<Read<Vec<_>>>()?;
                let all = func_name == operators::LOGICAL_AND;
                Ok(Term::Rule(if all { all_of(parts) } else { any_of(parts) }))
            }
            (operators::LOGICAL_NOT, [part]) => Ok(Term::Rule(Predicate::Not(Box::new(self.rule(part)?)))),
            (operators::EQUALS, [left, right]) => self.compare(id, left, Comparison::Eq, right),
            (operators::NOT_EQUALS, [left, right]) => self.compare(id, left, Comparison::Ne, right),
            (operators::LESS, [left, right]) => self.compare(id, left, Comparison::Lt, right),
            (operators::LESS_EQUALS, [left, right]) => self.compare(id, left, Comparison::Le, right),
            (operators::GREATER, [left, right]) => self.compare(id, left, Comparison::Gt, right),
            (operators::GREATER_EQUALS, [left, right]) => self.compare(id, left, Comparison::Ge, right),
            (operators::ADD, [left, right]) => self.calculate(id, left, Operation::Plus, right),
            (operators::SUBSTRACT, [left, right]) => self.calculate(id, left, Operation::Minus, right),
            (operators::MULTIPLY, [left, right]) => self.calculate(id, left, Operation::Times, right),
            (operators::DIVIDE, [left, right]) => self.calculate(id, left, Operation::By, right),
            (operators::MODULO, [left, right]) => self.calculate(id, left, Operation::Rest, right),
            (operators::NEGATE, [part]) => match self.term(part)? {
                Term::Whole(number) => match number.checked_neg() {
                    Some(number) => Ok(Term::Whole(number)),
                    None => Err(self.wrong(id, Problem::Malformed("a number is too large".to_owned()))),
                },
                Term::Decimal(number) => Ok(Term::Decimal(-number)),
                other => {
                    let number = self.number(part.id, other)?;
                    let minus = Number::Calculate(Box::new(0.into()), Operation::Minus, Box::new(number));
                    Ok(Term::Number(minus))
                }
            },
            (operators::IN, [left, right]) => self.is_in(left, right),
            (operators::CONDITIONAL, _) => self.unsupported(id, "`? :`; `&&` and `||` say the same"),
            (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, _) => self.unsupported(id, "`[ ]`"),
            (name, args) => self.function(id, name, args),
        }
    }
}
