//! Reading the text of a rule: parsed as CEL, checked for names and types, and compiled.

#![allow(clippy::wildcard_enum_match_arm, reason = "whatever a rule does not take is refused")]

use std::collections::BTreeSet;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, SourceInfo, operators};
use cel::parser::Parser;
use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use smol_str::SmolStr;

use super::error::{ExpressionError, Problem};
use super::number::{BucketName, Events, Happenings, MessagesOf, Moment, Number, Operation, Take, Window};
use super::pattern::Pattern;
use super::predicate::{Comparison, Predicate, TextTest, Texts};
use super::scan;
use super::vocabulary::{Vocabulary, nearest};
use crate::attribute::{Attribute, Unit};
use crate::consent::{ConsentKey, Purpose, Scope};
use crate::custom::KindName;
use crate::declared::{DeclaredKind, DeclaredName};
use crate::fixed::Millionths;
use crate::interaction::Channel;
use crate::lifecycle::Stage;
use crate::loyalty::{CouponCode, ProgramId};
use crate::messaging::MessageDirection;
use crate::money::Currency;
use crate::order::{CategoryName, ProductRef};
use crate::score::{ScoreName, ScoreOutput};
use crate::segment::SegmentName;
use crate::service::CaseKind;
use crate::text::TextError;
use crate::time::{Span, Timestamp};
use crate::workflow::PluginName;

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

/// What a part of the text is.
#[derive(Debug, Clone)]
pub(super) enum Term {
    Rule(Predicate),
    Bool(bool),
    Number(Number),
    /// A whole number as written, which takes the unit of what it is put beside.
    Whole(i64),
    Decimal(Decimal),
    Text(SmolStr),
    List(Vec<(u64, Term)>),
    Stage,
    Texts(Texts),
    Segments,
    Consents,
    Happenings(Happenings),
    Moment(Moment),
    Instant(Timestamp),
    Span(Span),
}

impl Term {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Term::Rule(_) | Term::Bool(_) => "a yes or no",
            Term::Number(number) => unit_name(number.unit()),
            Term::Whole(_) => "a whole number",
            Term::Decimal(_) => "a decimal number",
            Term::Text(_) | Term::Stage => "a text",
            Term::List(_) => "a list",
            Term::Texts(texts) if texts.is_single() => "a text",
            Term::Texts(_) | Term::Segments | Term::Consents => "a list of texts",
            Term::Happenings(happenings) if happenings.what.are_orders() => "orders",
            Term::Happenings(happenings) => match happenings.what {
                Events::Messages(_) => "messages",
                Events::Cases(_) | Events::OpenCases(_) => "cases",
                _ => "events",
            },
            Term::Moment(_) | Term::Instant(_) => "an instant",
            Term::Span(_) => "a length of time",
        }
    }

    /// Whether it is several texts, of which one can be asked whether it is among them.
    pub(super) fn holds_many(&self) -> bool {
        matches!(self, Term::Segments | Term::Consents) || is_list(self)
    }
}

pub(super) const fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "a number of things",
        Unit::Days => "a number of days",
        Unit::MinorUnits => "an amount of money",
        Unit::Points => "a number of points",
        Unit::Millis => "an instant",
        Unit::Millionths => "a decimal number",
    }
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

/// The names that stand for themselves.
const NAMES: [&str; 16] = [
    "stage",
    "tags",
    "lists",
    "badges",
    "roles",
    "segments",
    "consents",
    "orders",
    "visits",
    "enquiries",
    "carts",
    "messages",
    "cases",
    "first_seen",
    "last_seen",
    "customer",
];
/// The functions that stand before what they are asked of.
const FUNCTIONS: [&str; 21] = [
    "attribute",
    "badge",
    "bucket",
    "consent",
    "coupon_uses",
    "credit",
    "date",
    "days_since",
    "duration",
    "events",
    "in_for",
    "known",
    "list",
    "points",
    "score",
    "segment",
    "size",
    "tier",
    "timestamp",
    "vouchers",
    "was_in",
];
/// The functions of what happens.
const METHODS: [&str; 22] = [
    "after",
    "average",
    "before",
    "between",
    "categories",
    "count",
    "ever",
    "first",
    "in_last",
    "last",
    "max",
    "min",
    "of_category",
    "of_channel",
    "of_kind",
    "of_product",
    "open",
    "products",
    "received",
    "sent",
    "size",
    "sum",
];
/// The functions of texts.
const TEXT_METHODS: [&str; 4] = ["contains", "endsWith", "matches", "startsWith"];

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

    fn name(&self, id: u64, name: &str) -> Read<Term> {
        let ever = |what| Term::Happenings(Happenings::ever(what));
        Ok(match name {
            "stage" => Term::Stage,
            "tags" => Term::Texts(Texts::Tags),
            "lists" => Term::Texts(Texts::Lists),
            "badges" => Term::Texts(Texts::Badges),
            "roles" => Term::Texts(Texts::Roles),
            "segments" => Term::Segments,
            "consents" => Term::Consents,
            "orders" => ever(Events::Orders),
            "visits" => ever(Events::Visits),
            "enquiries" => ever(Events::Enquiries),
            "carts" => ever(Events::Carts),
            "messages" => ever(Events::Messages(MessagesOf::default())),
            "cases" => ever(Events::Cases(None)),
            "first_seen" => Term::Moment(Moment::FirstSeen),
            "last_seen" => Term::Moment(Moment::LastSeen),
            "first_order" => Term::Moment(Moment::FIRST_ORDER),
            "last_order" => Term::Moment(Moment::LAST_ORDER),
            name => match Attribute::by_name(name) {
                Some(attribute) => Term::Number(attribute.into()),
                None => {
                    let attributes = Attribute::ALL.iter().map(|attribute| attribute.name());
                    return self.unknown(id, "name", name, NAMES.into_iter().chain(attributes));
                }
            },
        })
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

    fn function(&self, id: u64, name: &str, args: &[IdedExpr]) -> Read<Term> {
        match (name, args) {
            ("days_since", [moment]) => {
                let moment = self.moment(moment)?;
                Ok(Term::Number(Number::DaysSince(moment)))
            }
            ("known", [part]) => Ok(Term::Rule(self.known(part)?)),
            ("date" | "timestamp", [text]) => Ok(Term::Instant(self.instant(text)?)),
            ("duration", [text]) => Ok(Term::Span(self.span(text)?)),
            ("events", [kind]) => {
                let name = self.text(kind)?;
                if !self.vocabulary.kinds.contains(&name) {
                    let kinds = self.vocabulary.kinds.iter().map(SmolStr::as_str);
                    return self.unknown(kind.id, "kind of event", &name, kinds);
                }
                let kind =
                    KindName::new(&name).map_err(|error| self.wrong(kind.id, Problem::Malformed(error.to_string())))?;
                Ok(Term::Happenings(Happenings::ever(Events::Custom(kind))))
            }
            ("attribute", [name]) => self.attribute(name),
            ("score", [plugin]) => self.score(plugin, None),
            ("score", [plugin, output]) => self.score(plugin, Some(output)),
            ("tier", [program]) => Ok(Term::Texts(Texts::Tier(self.program(program)?))),
            ("points", [program]) => Ok(Term::Number(Number::Points(self.program(program)?))),
            ("credit", [currency]) => Ok(Term::Number(Number::Credit(self.currency(currency)?))),
            ("vouchers", [coupon]) => Ok(Term::Number(Number::Vouchers(self.coupon(coupon)?))),
            ("coupon_uses", [coupon]) => Ok(Term::Number(Number::CouponUses(self.coupon(coupon)?))),
            ("badge", [name]) => {
                let earned = TextTest::OneOf(BTreeSet::from([self.badge(name)?]));
                Ok(Term::Rule(Predicate::Text(Texts::Badges, earned)))
            }
            ("segment", [name]) => Ok(Term::Rule(Predicate::InSegment(self.segment(name)?))),
            ("list", [name]) => {
                let on = TextTest::OneOf(BTreeSet::from([self.list(name)?]));
                Ok(Term::Rule(Predicate::Text(Texts::Lists, on)))
            }
            ("was_in", [name]) => Ok(Term::Rule(Predicate::WasIn(self.segment(name)?, None))),
            ("was_in", [name, span]) => Ok(Term::Rule(Predicate::WasIn(self.segment(name)?, Some(self.span(span)?)))),
            ("in_for", [name, span]) => Ok(Term::Rule(Predicate::InFor(self.segment(name)?, self.span(span)?))),
            ("consent", [purpose, channel]) => self.consent(purpose, channel, None),
            ("consent", [purpose, channel, scope]) => self.consent(purpose, channel, Some(scope)),
            ("bucket", [name, of]) => {
                let text = self.text(name)?;
                let name = BucketName::new(text).map_err(self.malformed(name.id))?;
                let parts = match self.term(of)? {
                    Term::Whole(parts) => u32::try_from(parts).ok().filter(|parts| *parts > 0),
                    _ => None,
                };
                match parts {
                    Some(of) => Ok(Term::Number(Number::Bucket { name, of })),
                    None => {
                        let expected = "a number of parts, 1 or more".to_owned();
                        Err(self.wrong(of.id, Problem::Type { expected, found: "something else".to_owned() }))
                    }
                }
            }
            ("size", [part]) => {
                let term = self.term(part)?;
                self.size(part.id, term)
            }
            (name, _) if FUNCTIONS.contains(&name) => {
                Err(self.wrong(id, Problem::Syntax(format!("`{name}` takes other arguments"))))
            }
            (name, _) => self.unknown(id, "function", name, FUNCTIONS),
        }
    }

    /// That a number or an instant is not missing.
    pub(super) fn known(&self, part: &IdedExpr) -> Read<Predicate> {
        match self.term(part)? {
            Term::Rule(Predicate::DeclaredFlag(attribute)) | Term::Texts(Texts::Declared(attribute)) => {
                Ok(Predicate::DeclaredKnown(attribute))
            }
            term => Ok(Predicate::Known(self.number(part.id, term)?)),
        }
    }

    /// An attribute that the shop declared, as what it was declared as.
    fn attribute(&self, tree: &IdedExpr) -> Read<Term> {
        let name = self.text(tree)?;
        let Some(kind) = self.vocabulary.attributes.get(&name) else {
            let names = self.vocabulary.attributes.keys().map(SmolStr::as_str);
            return self.unknown(tree.id, "attribute", &name, names);
        };
        let name = DeclaredName::new(&name).map_err(self.malformed(tree.id))?;
        Ok(match kind {
            DeclaredKind::Text | DeclaredKind::OneOf(_) => Term::Texts(Texts::Declared(name)),
            DeclaredKind::Whole => Term::Number(Number::DeclaredWhole(name)),
            DeclaredKind::Decimal => Term::Number(Number::DeclaredDecimal(name)),
            DeclaredKind::Instant => Term::Moment(Moment::Declared(name)),
            DeclaredKind::Flag => Term::Rule(Predicate::DeclaredFlag(name)),
        })
    }

    /// A score of a plugin; which one need not be said where the plugin gives one only.
    fn score(&self, plugin: &IdedExpr, output: Option<&IdedExpr>) -> Read<Term> {
        let name = self.text(plugin)?;
        let Some(outputs) = self.vocabulary.scorers.get(&name) else {
            let plugins = self.vocabulary.scorers.keys().map(SmolStr::as_str);
            return self.unknown(plugin.id, "scorer", &name, plugins);
        };
        let output = match output {
            Some(tree) => {
                let output = self.text(tree)?;
                if !outputs.iter().any(|known| known.as_str() == output) {
                    return self.unknown(tree.id, "score", &output, outputs.iter().map(ScoreOutput::as_str));
                }
                ScoreOutput::new(&output).map_err(self.malformed(tree.id))?
            }
            None => match (outputs.first(), outputs.len()) {
                (Some(only), 1) => only.clone(),
                _ => {
                    let listed: Vec<&str> = outputs.iter().map(ScoreOutput::as_str).collect();
                    let told =
                        format!("{name} gives several scores, of which one is to be named: {}", listed.join(", "));
                    return Err(self.wrong(plugin.id, Problem::Malformed(told.chars().take(300).collect())));
                }
            },
        };
        let plugin = PluginName::new(&name).map_err(self.malformed(plugin.id))?;
        Ok(Term::Number(Number::Score(ScoreName { plugin, output })))
    }

    pub(super) fn method(&self, id: u64, name: &str, target: &IdedExpr, args: &[IdedExpr]) -> Read<Term> {
        let term = self.term(target)?;
        match term {
            // CEL's lists have no such function, but query builders write it of whatever holds more than one.
            Term::Texts(_) | Term::Segments | Term::Consents if name == "contains" && term.holds_many() => {
                let [text] = args else {
                    return Err(self.wrong(id, Problem::Syntax(format!("`{name}` takes one text"))));
                };
                self.is_in(text, target)
            }
            Term::Happenings(happenings) => self.of_happenings(id, name, happenings, target.id, args),
            Term::Texts(texts) if !texts.is_single() => match (name, args) {
                ("size" | "count", []) => self.size(id, Term::Texts(texts)),
                _ => self.unknown(id, "function of a list", name, ["contains", "count", "exists", "size"]),
            },
            Term::Stage | Term::Texts(_) => {
                let [text] = args else {
                    return Err(self.wrong(id, Problem::Syntax(format!("`{name}` takes one text"))));
                };
                let Some(test) = self.text_test(name, text)? else {
                    return self.unknown(id, "function of a text", name, TEXT_METHODS);
                };
                Ok(Term::Rule(of_text(term, test)))
            }
            other => self.expected(target.id, "events or texts", &other),
        }
    }

    fn of_happenings(
        &self,
        id: u64,
        name: &str,
        mut happenings: Happenings,
        target: u64,
        args: &[IdedExpr],
    ) -> Read<Term> {
        let orders = happenings.what.are_orders();
        let orders_only = |this: &Self| -> Read<()> {
            if orders { Ok(()) } else { this.expected(target, "orders", &Term::Happenings(happenings.clone())) }
        };
        let unfiltered = |this: &Self| -> Read<()> {
            if matches!(happenings.what, Events::Orders) {
                Ok(())
            } else {
                this.unsupported(id, "a product and a category at once")
            }
        };
        match (name, args) {
            ("in_last" | "between" | "after" | "before", _) if happenings.within != Window::Ever => {
                self.unsupported(id, "a window within a window")
            }
            ("in_last", [span]) => {
                happenings.within = Window::Last(self.span(span)?);
                Ok(Term::Happenings(happenings))
            }
            ("between", [from, until]) => {
                let (from, until) = (self.instant(from)?, self.instant(until)?);
                happenings.within = Window::Between { from: Some(from), until: Some(until) };
                Ok(Term::Happenings(happenings))
            }
            ("after", [from]) => {
                happenings.within = Window::Between { from: Some(self.instant(from)?), until: None };
                Ok(Term::Happenings(happenings))
            }
            ("before", [until]) => {
                happenings.within = Window::Between { from: None, until: Some(self.instant(until)?) };
                Ok(Term::Happenings(happenings))
            }
            ("ever", []) => Ok(Term::Happenings(happenings)),
            ("of_product", [product]) => {
                orders_only(self)?;
                unfiltered(self)?;
                let text = self.text(product)?;
                happenings.what = Events::OrdersOf(ProductRef::new(text).map_err(self.malformed(product.id))?);
                Ok(Term::Happenings(happenings))
            }
            ("of_category", [category]) => {
                orders_only(self)?;
                unfiltered(self)?;
                let text = self.text(category)?;
                happenings.what = Events::OrdersIn(CategoryName::new(text).map_err(self.malformed(category.id))?);
                Ok(Term::Happenings(happenings))
            }
            ("sent" | "received", []) => {
                let Events::Messages(of) = &mut happenings.what else {
                    return self.expected(target, "messages", &Term::Happenings(happenings));
                };
                if of.direction.is_some() {
                    return self.unsupported(id, "a direction within a direction; `messages` alone is either,");
                }
                of.direction = Some(if name == "sent" { MessageDirection::Sent } else { MessageDirection::Received });
                Ok(Term::Happenings(happenings))
            }
            ("of_channel", [channel]) => {
                let Events::Messages(of) = &mut happenings.what else {
                    return self.expected(target, "messages", &Term::Happenings(happenings));
                };
                if of.channel.is_some() {
                    return self.unsupported(id, "a channel within a channel");
                }
                of.channel = Some(self.channel(channel)?);
                Ok(Term::Happenings(happenings))
            }
            ("of_kind", [tree]) => {
                let (Events::Cases(kind) | Events::OpenCases(kind)) = &mut happenings.what else {
                    return self.expected(target, "cases", &Term::Happenings(happenings));
                };
                if kind.is_some() {
                    return self.unsupported(id, "a kind within a kind");
                }
                let name = self.text(tree)?;
                let Some(known) = CaseKind::ALL.into_iter().find(|known| known.name() == name) else {
                    return self.unknown(tree.id, "kind of case", &name, CaseKind::ALL.map(CaseKind::name));
                };
                *kind = Some(known);
                Ok(Term::Happenings(happenings))
            }
            ("open", []) => {
                let (Events::Cases(kind) | Events::OpenCases(kind)) = happenings.what else {
                    return self.expected(target, "cases", &Term::Happenings(happenings));
                };
                happenings.what = Events::OpenCases(kind);
                Ok(Term::Happenings(happenings))
            }
            ("products", []) => {
                orders_only(self)?;
                Ok(Term::Texts(Texts::Products(happenings)))
            }
            ("categories", []) => {
                orders_only(self)?;
                Ok(Term::Texts(Texts::Categories(happenings)))
            }
            ("first", []) => Ok(Term::Moment(Moment::First(happenings))),
            ("last", []) => Ok(Term::Moment(Moment::Last(happenings))),
            ("size", []) => self.size(id, Term::Happenings(happenings)),
            (name, []) if Take::ALL.iter().any(|take| take.name() == name) => {
                let take = Take::ALL.into_iter().find(|take| take.name() == name).unwrap_or(Take::Count);
                if take != Take::Count {
                    orders_only(self)?;
                }
                Ok(Term::Number(Number::Over(happenings, take)))
            }
            (name, _) if METHODS.contains(&name) => {
                Err(self.wrong(id, Problem::Syntax(format!("`{name}` takes other arguments"))))
            }
            (name, _) => self.unknown(id, "function of events", name, METHODS),
        }
    }

    /// How many there are of what can be counted.
    fn size(&self, id: u64, term: Term) -> Read<Term> {
        Ok(Term::Number(match term {
            Term::Happenings(happenings) => Number::Over(happenings, Take::Count),
            Term::Texts(Texts::Products(happenings)) => Number::Over(happenings, Take::Products),
            Term::Texts(Texts::Categories(happenings)) => Number::Over(happenings, Take::Categories),
            other => return self.expected(id, "something that can be counted", &other),
        }))
    }

    /// What stands where a number is expected.
    fn number(&self, id: u64, term: Term) -> Read<Number> {
        match term {
            Term::Number(number) => Ok(number),
            Term::Whole(number) => Ok(Number::Constant(number)),
            Term::Moment(moment) => Ok(Number::Instant(moment)),
            Term::Happenings(_) | Term::Texts(Texts::Products(_) | Texts::Categories(_)) => {
                let Term::Number(number) = self.size(id, term)? else {
                    return self.unsupported(id, "this");
                };
                Ok(number)
            }
            other => self.expected(id, "a number", &other),
        }
    }

    fn moment(&self, tree: &IdedExpr) -> Read<Moment> {
        match self.term(tree)? {
            Term::Moment(moment) => Ok(moment),
            other => self.expected(tree.id, "an instant of the customer's", &other),
        }
    }

    fn text(&self, tree: &IdedExpr) -> Read<SmolStr> {
        match self.term(tree)? {
            Term::Text(text) => Ok(text),
            other => self.expected(tree.id, "a text in quotes", &other),
        }
    }

    /// A date, or an instant, as RFC 3339 writes them; a date is its first instant in UTC.
    fn instant(&self, tree: &IdedExpr) -> Read<Timestamp> {
        let text = match self.term(tree)? {
            Term::Instant(instant) => return Ok(instant),
            Term::Text(text) => text,
            other => return self.expected(tree.id, "a date", &other),
        };
        Timestamp::parse(&text).map_err(|error| self.wrong(tree.id, Problem::Malformed(error.to_string())))
    }

    /// A length of time: whole numbers of weeks, days of 24 hours, hours, minutes, seconds.
    fn span(&self, tree: &IdedExpr) -> Read<Span> {
        let text = match self.term(tree)? {
            Term::Span(span) => return Ok(span),
            Term::Text(text) => text,
            other => return self.expected(tree.id, "a length of time, such as \"90d\"", &other),
        };
        span_of(&text).ok_or_else(|| {
            let told = "a length of time is whole numbers with w, d, h, m or s, such as \"90d\" or \"1h30m\"";
            self.wrong(tree.id, Problem::Malformed(told.to_owned()))
        })
    }

    fn program(&self, tree: &IdedExpr) -> Read<ProgramId> {
        let name = self.text(tree)?;
        if !self.vocabulary.programs.contains(&name) {
            let programs = self.vocabulary.programs.iter().map(SmolStr::as_str);
            return self.unknown(tree.id, "programme", &name, programs);
        }
        ProgramId::new(&name).map_err(self.malformed(tree.id))
    }

    fn badge(&self, tree: &IdedExpr) -> Read<SmolStr> {
        let name = self.text(tree)?;
        if self.vocabulary.badges.contains(&name) {
            return Ok(name);
        }
        self.unknown(tree.id, "badge", &name, self.vocabulary.badges.iter().map(SmolStr::as_str))
    }

    /// Any code will do: a shop may keep its coupons itself.
    fn coupon(&self, tree: &IdedExpr) -> Read<CouponCode> {
        CouponCode::new(self.text(tree)?).map_err(self.malformed(tree.id))
    }

    /// Amounts are written with as many decimals as the shop's currency has.
    fn currency(&self, tree: &IdedExpr) -> Read<Currency> {
        let own = self.vocabulary.currency;
        let malformed = |told: String| self.wrong(tree.id, Problem::Malformed(told));
        let currency = Currency::new(&self.text(tree)?).map_err(|error| malformed(error.to_string()))?;
        if currency.exponent() == own.exponent() {
            return Ok(currency);
        }
        Err(malformed(format!("{currency} has not as many decimals as {own}, in which amounts are written")))
    }

    fn list(&self, tree: &IdedExpr) -> Read<SmolStr> {
        let name = self.text(tree)?;
        if self.vocabulary.lists.contains(&name) {
            return Ok(name);
        }
        self.unknown(tree.id, "list", &name, self.vocabulary.lists.iter().map(SmolStr::as_str))
    }

    fn segment(&self, tree: &IdedExpr) -> Read<SegmentName> {
        let name = self.text(tree)?;
        if !self.vocabulary.segments.contains(&name) {
            let segments = self.vocabulary.segments.iter().map(SmolStr::as_str);
            return self.unknown(tree.id, "segment", &name, segments);
        }
        SegmentName::new(&name).map_err(self.malformed(tree.id))
    }

    fn consent(&self, purpose: &IdedExpr, channel: &IdedExpr, scope: Option<&IdedExpr>) -> Read<Term> {
        let name = self.text(purpose)?;
        let malformed = |id: u64, text: String| self.wrong(id, Problem::Malformed(text));
        let own = Purpose::new(&name).map_err(|error| malformed(purpose.id, error.to_string()))?;
        let mut key = ConsentKey::new(own, self.channel(channel)?);
        if let Some(tree) = scope {
            let text = self.text(tree)?;
            key.scope = Some(Scope::new(&text).map_err(|error| malformed(tree.id, error.to_string()))?);
        }
        Ok(Term::Rule(Predicate::Consents(key)))
    }

    fn channel(&self, tree: &IdedExpr) -> Read<Channel> {
        let name = self.text(tree)?;
        match Channel::ALL.into_iter().find(|known| known.name() == name) {
            Some(channel) => Ok(channel),
            None => self.unknown(tree.id, "channel", &name, Channel::ALL.map(Channel::name)),
        }
    }

    pub(super) fn text_test(&self, name: &str, text: &IdedExpr) -> Read<Option<TextTest>> {
        if !TEXT_METHODS.contains(&name) {
            return Ok(None);
        }
        let part = self.text(text)?;
        Ok(Some(match name {
            "startsWith" => TextTest::StartsWith(part),
            "endsWith" => TextTest::EndsWith(part),
            "contains" => TextTest::Contains(part),
            _ => TextTest::Matches(
                Pattern::new(&part).map_err(|error| self.wrong(text.id, Problem::Malformed(error.to_string())))?,
            ),
        }))
    }

    pub(super) fn compare(&self, id: u64, left: &IdedExpr, is: Comparison, right: &IdedExpr) -> Read<Term> {
        let equality = matches!(is, Comparison::Eq | Comparison::Ne);
        let signed =
            |rule: Predicate| Term::Rule(if is == Comparison::Eq { rule } else { Predicate::Not(Box::new(rule)) });
        let is_null = |tree: &IdedExpr| matches!(&tree.expr, Expr::Literal(LiteralValue::Null));
        if equality && (is_null(left) || is_null(right)) {
            let known = self.known(if is_null(left) { right } else { left })?;
            return Ok(Term::Rule(if is == Comparison::Ne { known } else { Predicate::Not(Box::new(known)) }));
        }
        let (one, other) = match (self.term(left)?, self.term(right)?) {
            (one @ Term::Moment(_), Term::Text(_)) => (one, Term::Instant(self.instant(right)?)),
            (Term::Text(_), other @ Term::Moment(_)) => (Term::Instant(self.instant(left)?), other),
            terms => terms,
        };
        match (&one, &other) {
            (Term::Stage | Term::Texts(_), Term::Text(text)) if equality && !is_list(&one) => {
                self.check_choice(right.id, &one, text)?;
                Ok(signed(of_text(one.clone(), TextTest::OneOf(BTreeSet::from([text.clone()])))))
            }
            (Term::Text(text), Term::Stage | Term::Texts(_)) if equality && !is_list(&other) => {
                self.check_choice(left.id, &other, text)?;
                Ok(signed(of_text(other.clone(), TextTest::OneOf(BTreeSet::from([text.clone()])))))
            }
            (Term::Rule(rule), Term::Bool(value)) | (Term::Bool(value), Term::Rule(rule)) if equality => {
                let rule = if *value { rule.clone() } else { Predicate::Not(Box::new(rule.clone())) };
                Ok(signed(rule))
            }
            (Term::Stage | Term::Text(_) | Term::Bool(_) | Term::Rule(_), _) if equality => {
                self.expected(right.id, one.kind(), &other)
            }
            (Term::Texts(texts), Term::Texts(_) | Term::Stage) if equality && texts.is_single() => {
                self.unsupported(id, "a comparison of two texts of the customer's")
            }
            (Term::Texts(texts), _) if equality && texts.is_single() => self.expected(right.id, one.kind(), &other),
            _ => {
                let (one, other) = self.alike(id, (left.id, one), (right.id, other))?;
                Ok(Term::Rule(Predicate::Compare(one, is, other)))
            }
        }
    }

    /// A stage is compared with the name of one, and an attribute that takes one of some texts with one of them.
    fn check_choice(&self, id: u64, of: &Term, text: &str) -> Read<()> {
        let known = Stage::ALL.into_iter().any(|stage| stage.name() == text);
        if matches!(of, Term::Stage) && !known {
            return self.unknown(id, "stage", text, Stage::ALL.map(Stage::name));
        }
        if let Term::Texts(Texts::Declared(name)) = of
            && let Some(DeclaredKind::OneOf(listed)) = self.vocabulary.attributes.get(name.as_str())
            && !listed.iter().any(|known| known.as_str() == text)
        {
            return self.unknown(id, "choice", text, listed.iter().map(AsRef::as_ref));
        }
        Ok(())
    }

    /// Two numbers in one unit, ready to be compared or added.
    fn alike(&self, id: u64, left: (u64, Term), right: (u64, Term)) -> Read<(Number, Number)> {
        match (&left.1, &right.1) {
            (Term::Whole(one), Term::Whole(other)) => Ok(((*one).into(), (*other).into())),
            (
                Term::Whole(_) | Term::Decimal(_) | Term::Instant(_),
                Term::Whole(_) | Term::Decimal(_) | Term::Instant(_),
            ) => self.unsupported(id, "a comparison of two constants"),
            (Term::Whole(_) | Term::Decimal(_) | Term::Instant(_), _) => {
                let number = self.number(right.0, right.1)?;
                Ok((self.constant(left.0, &left.1, number.unit())?, number))
            }
            (_, Term::Whole(_) | Term::Decimal(_) | Term::Instant(_)) => {
                let number = self.number(left.0, left.1)?;
                let constant = self.constant(right.0, &right.1, number.unit())?;
                Ok((number, constant))
            }
            _ => {
                let one = self.number(left.0, left.1)?;
                let found = right.1.kind();
                let other = self.number(right.0, right.1)?;
                if one.unit() == other.unit() {
                    return Ok((one, other));
                }
                let expected = unit_name(one.unit()).to_owned();
                Err(self.wrong(right.0, Problem::Type { expected, found: found.to_owned() }))
            }
        }
    }

    /// A constant in the unit of what it is put beside: money is written in whole units, with decimals.
    fn constant(&self, id: u64, term: &Term, unit: Unit) -> Read<Number> {
        let written = match (term, unit) {
            (Term::Instant(instant), Unit::Millis) => return Ok(Number::Constant(instant.as_millis())),
            (Term::Whole(number), Unit::MinorUnits) => Decimal::from(*number),
            (Term::Decimal(number), Unit::MinorUnits) => *number,
            (Term::Whole(number), Unit::Millionths) => return self.millionths(id, Decimal::from(*number)),
            (Term::Decimal(number), Unit::Millionths) => return self.millionths(id, *number),
            (Term::Whole(number), Unit::Count | Unit::Days | Unit::Points) => return Ok(Number::Constant(*number)),
            (term, unit) => return self.expected(id, unit_name(unit), term),
        };
        let currency = self.vocabulary.currency;
        let minor = written.checked_mul(Decimal::from(10_i64.pow(currency.exponent())));
        match minor.filter(|minor| minor.is_integer()).and_then(|minor| minor.to_i64()) {
            Some(minor) => Ok(Number::Constant(minor)),
            None => {
                let told = format!("an amount in {currency} has at most {} decimals", currency.exponent());
                Err(self.wrong(id, Problem::Malformed(told)))
            }
        }
    }

    fn millionths(&self, id: u64, number: Decimal) -> Read<Number> {
        let told = "a decimal number has at most 6 decimals, and less than 13 digits before them";
        let wrong = || self.wrong(id, Problem::Malformed(told.to_owned()));
        Millionths::of(number).map(|number| Number::Constant(number.get())).ok_or_else(wrong)
    }

    fn calculate(&self, id: u64, left: &IdedExpr, operation: Operation, right: &IdedExpr) -> Read<Term> {
        let (one, other) = (self.term(left)?, self.term(right)?);
        let together =
            |one: Number, other: Number| Ok(Term::Number(Number::Calculate(Box::new(one), operation, Box::new(other))));
        if let (Term::Whole(one), Term::Whole(other)) = (&one, &other) {
            let result = operation.of(*one, *other);
            let none = || self.wrong(id, Problem::Malformed("a calculation has no result".to_owned()));
            return result.map(Term::Whole).ok_or_else(none);
        }
        match operation {
            Operation::Plus | Operation::Minus | Operation::Rest => {
                let (one, other) = self.alike(id, (left.id, one), (right.id, other))?;
                if one.unit() == Unit::Millis {
                    return self.unsupported(id, "a calculation with instants; `days_since` says how long ago");
                }
                together(one, other)
            }
            // By a number of times, or into so many parts; like by like is a number of times.
            Operation::Times | Operation::By => {
                let kinds = (one.kind(), other.kind());
                let (one, other) = (self.number(left.id, one)?, self.number(right.id, other)?);
                let (a, b) = (one.unit(), other.unit());
                let fits = match operation {
                    Operation::By => b == Unit::Count || a == b,
                    _ => a == Unit::Count || b == Unit::Count,
                };
                if !fits || a == Unit::Millis || b == Unit::Millis {
                    let found = kinds.1.to_owned();
                    return Err(
                        self.wrong(right.id, Problem::Type { expected: "a number of things".to_owned(), found })
                    );
                }
                together(one, other)
            }
        }
    }

    pub(super) fn is_in(&self, left: &IdedExpr, right: &IdedExpr) -> Read<Term> {
        let list = self.term(right)?;
        match list {
            Term::Segments => Ok(Term::Rule(Predicate::InSegment(self.segment(left)?))),
            Term::Consents => {
                let name = self.text(left)?;
                let parts: Vec<&str> = name.split('/').collect();
                let malformed = |error: String| self.wrong(left.id, Problem::Malformed(error));
                let (purpose, channel, scope) = match parts.as_slice() {
                    [purpose, channel] => (*purpose, *channel, None),
                    [purpose, channel, scope] => (*purpose, *channel, Some(*scope)),
                    _ => return Err(malformed("a consent is `purpose/channel` or `purpose/channel/scope`".to_owned())),
                };
                let Some(by) = Channel::ALL.into_iter().find(|known| known.name() == channel) else {
                    return self.unknown(left.id, "channel", channel, Channel::ALL.map(Channel::name));
                };
                let purpose = Purpose::new(purpose).map_err(|error| malformed(error.to_string()))?;
                let scope = scope.map(Scope::new).transpose().map_err(|error| malformed(error.to_string()))?;
                Ok(Term::Rule(Predicate::Consents(ConsentKey { purpose, channel: by, scope })))
            }
            Term::Texts(texts) if !texts.is_single() => {
                let text = match texts {
                    Texts::Lists => self.list(left)?,
                    Texts::Badges => self.badge(left)?,
                    _ => self.text(left)?,
                };
                Ok(Term::Rule(Predicate::Text(texts, TextTest::OneOf(BTreeSet::from([text])))))
            }
            Term::List(parts) => {
                let one = self.term(left)?;
                if matches!(one, Term::Stage) || matches!(&one, Term::Texts(texts) if texts.is_single()) {
                    let mut texts = BTreeSet::new();
                    for (id, part) in parts {
                        let Term::Text(text) = part else { return self.expected(id, "a text in quotes", &part) };
                        self.check_choice(id, &one, &text)?;
                        texts.insert(text);
                    }
                    return Ok(Term::Rule(of_text(one, TextTest::OneOf(texts))));
                }
                let each = parts.into_iter().map(|(id, part)| {
                    let (one, other) = self.alike(id, (left.id, one.clone()), (id, part))?;
                    Ok(Predicate::Compare(one, Comparison::Eq, other))
                });
                Ok(Term::Rule(Predicate::Any(each.collect::<Read<Vec<_>>>()?)))
            }
            other => self.expected(right.id, "a list", &other),
        }
    }

    /// `list.exists(one, one.startsWith(…))`: the one kind of loop over a list that rules have.
    fn exists(&self, id: u64, comprehension: &ComprehensionExpr) -> Read<Term> {
        let loops = "a loop other than `list.exists(one, …)` with one test of a text";
        let Expr::Call(step) = &comprehension.loop_step.expr else { return self.unsupported(id, loops) };
        let starts_false =
            matches!(&comprehension.accu_init.expr, Expr::Literal(LiteralValue::Boolean(value)) if !*value.inner());
        let [_, test] = step.args.as_slice() else { return self.unsupported(id, loops) };
        if step.func_name != operators::LOGICAL_OR || !starts_false {
            return self.unsupported(id, loops);
        }
        let texts = match self.term(&comprehension.iter_range)? {
            Term::Texts(texts) if !texts.is_single() => texts,
            other => return self.expected(comprehension.iter_range.id, "a list of texts", &other),
        };
        let variable = comprehension.iter_var.as_str();
        let is_variable = |tree: &IdedExpr| matches!(&tree.expr, Expr::Ident(name) if name == variable);
        let Expr::Call(CallExpr { func_name, target, args }) = &test.expr else {
            return self.unsupported(test.id, loops);
        };
        let asked = match (func_name.as_str(), target, args.as_slice()) {
            (operators::EQUALS, None, [one, text]) if is_variable(one) => {
                Some(TextTest::OneOf(BTreeSet::from([self.text(text)?])))
            }
            (operators::EQUALS, None, [text, one]) if is_variable(one) => {
                Some(TextTest::OneOf(BTreeSet::from([self.text(text)?])))
            }
            (operators::IN, None, [one, list]) if is_variable(one) => match self.term(list)? {
                Term::List(parts) => {
                    let mut texts = BTreeSet::new();
                    for (id, part) in parts {
                        let Term::Text(text) = part else { return self.expected(id, "a text in quotes", &part) };
                        texts.insert(text);
                    }
                    Some(TextTest::OneOf(texts))
                }
                other => return self.expected(list.id, "a list", &other),
            },
            (name, Some(target), [text]) if is_variable(target) => self.text_test(name, text)?,
            _ => None,
        };
        match asked {
            Some(asked) => Ok(Term::Rule(Predicate::Text(texts, asked))),
            None => self.unsupported(test.id, loops),
        }
    }
}

fn is_list(term: &Term) -> bool {
    matches!(term, Term::Texts(texts) if !texts.is_single())
}

/// All of these; what is all of several itself is not nested.
pub(super) fn all_of(parts: Vec<Predicate>) -> Predicate {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Predicate::All(inner) if !inner.is_empty() => flat.extend(inner),
            rule => flat.push(rule),
        }
    }
    Predicate::All(flat)
}

/// One of these; what is one of several itself is not nested.
pub(super) fn any_of(parts: Vec<Predicate>) -> Predicate {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Predicate::Any(inner) if !inner.is_empty() => flat.extend(inner),
            rule => flat.push(rule),
        }
    }
    Predicate::Any(flat)
}

/// A test of the one text that a term is.
fn of_text(term: Term, test: TextTest) -> Predicate {
    match term {
        Term::Texts(texts) => Predicate::Text(texts, test),
        // The stages are known, so that the test can be made now.
        _ => Predicate::StageIn(Stage::ALL.into_iter().filter(|stage| test.passes(stage.name())).collect()),
    }
}

fn span_of(text: &str) -> Option<Span> {
    let mut rest = text;
    let mut millis = 0_u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let unit = after.chars().next()?;
        let each = match unit {
            'w' => 604_800_000,
            'd' => 86_400_000,
            'h' => 3_600_000,
            'm' => 60_000,
            's' => 1_000,
            _ => return None,
        };
        millis = number.parse::<u64>().ok()?.checked_mul(each)?.checked_add(millis)?;
        rest = after.get(unit.len_utf8()..)?;
    }
    (!text.is_empty()).then(|| Span::millis(millis))
}
