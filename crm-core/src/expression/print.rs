//! A rule as text again.

use std::fmt::{Display, Formatter, Result};

use super::number::{Events, Happenings, MessagesOf, Moment, Number, Operation, Window};
use super::predicate::{Predicate, TextTest, Texts};
use crate::attribute::Unit;
use crate::declared::DeclaredName;
use crate::fixed::Millionths;
use crate::lifecycle::Stage;
use crate::messaging::MessageDirection;
use crate::money::Currency;
use crate::time::{Span, Timestamp};

/// A rule as text, with amounts in a currency.
#[derive(Debug, Clone, Copy)]
pub struct Printed<'p> {
    rule: &'p Predicate,
    currency: Currency,
}

impl Predicate {
    /// As text that reads as the same rule where amounts are in this currency.
    #[must_use]
    pub const fn in_currency(&self, currency: Currency) -> Printed<'_> {
        Printed { rule: self, currency }
    }
}

impl Display for Predicate {
    /// As text that reads as the same rule where amounts have two decimals.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        Display::fmt(&self.in_currency(Currency::EUR), f)
    }
}

/// How tightly an expression holds together; what is looser than where it stands takes brackets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tightness {
    Or,
    And,
    Comparison,
    Sum,
    Product,
    Unary,
}

impl Display for Printed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.rule(f, self.rule, Tightness::Or)
    }
}

impl Printed<'_> {
    fn rule(&self, f: &mut Formatter<'_>, rule: &Predicate, within: Tightness) -> Result {
        match rule {
            Predicate::All(parts) => self.joined(f, parts, " && ", "true", Tightness::And, within),
            Predicate::Any(parts) => self.joined(f, parts, " || ", "false", Tightness::Or, within),
            Predicate::Not(part) => {
                if let Predicate::StageIn(stages) = &**part
                    && let [stage] = *stages.iter().collect::<Vec<_>>()
                {
                    return bracketed(f, Tightness::Comparison, within, |f| {
                        write!(f, "stage != {}", quoted(stage.name()))
                    });
                }
                f.write_str("!")?;
                self.rule(f, part, Tightness::Unary)
            }
            Predicate::Compare(left, is, right) => bracketed(f, Tightness::Comparison, within, |f| {
                let unit = match (left, right) {
                    (Number::Constant(_), other) | (other, _) => other.unit(),
                };
                self.number(f, left, unit, Tightness::Sum)?;
                write!(f, " {} ", is.sign())?;
                self.number(f, right, unit, Tightness::Sum)
            }),
            Predicate::Known(number) => {
                f.write_str("known(")?;
                self.number(f, number, number.unit(), Tightness::Or)?;
                f.write_str(")")
            }
            Predicate::StageIn(stages) => {
                let names: Vec<&str> = stages.iter().copied().map(Stage::name).collect();
                bracketed(f, Tightness::Comparison, within, |f| one_of(f, "stage", &names))
            }
            Predicate::Text(texts, test) => self.text(f, texts, test, within),
            Predicate::InSegment(name) => write!(f, "segment({})", quoted(name.as_str())),
            Predicate::WasIn(name, None) => write!(f, "was_in({})", quoted(name.as_str())),
            Predicate::WasIn(name, Some(span)) => {
                write!(f, "was_in({}, \"{}\")", quoted(name.as_str()), span_text(*span))
            }
            Predicate::InFor(name, span) => {
                write!(f, "in_for({}, \"{}\")", quoted(name.as_str()), span_text(*span))
            }
            Predicate::Consents(key) => {
                write!(f, "consent({}, {}", quoted(key.purpose.as_str()), quoted(key.channel.name()))?;
                if let Some(scope) = &key.scope {
                    write!(f, ", {}", quoted(scope.as_str()))?;
                }
                f.write_str(")")
            }
            Predicate::DeclaredFlag(attribute) => write_declared(f, attribute),
            Predicate::DeclaredKnown(attribute) => {
                f.write_str("known(")?;
                write_declared(f, attribute)?;
                f.write_str(")")
            }
        }
    }

    fn joined(
        &self,
        f: &mut Formatter<'_>,
        parts: &[Predicate],
        by: &str,
        nothing: &str,
        own: Tightness,
        within: Tightness,
    ) -> Result {
        match parts {
            [] => f.write_str(nothing),
            [part] => self.rule(f, part, within),
            parts => bracketed(f, own, within, |f| {
                for (n, part) in parts.iter().enumerate() {
                    f.write_str(if n > 0 { by } else { "" })?;
                    self.rule(f, part, own)?;
                }
                Ok(())
            }),
        }
    }

    fn number(&self, f: &mut Formatter<'_>, number: &Number, unit: Unit, within: Tightness) -> Result {
        match number {
            Number::Constant(constant) => match unit {
                Unit::MinorUnits => {
                    write!(f, "{}", crate::money::minor_to_decimal((*constant).into(), self.currency).normalize())
                }
                Unit::Millis => match Timestamp::from_millis(*constant) {
                    Ok(instant) => write!(f, "timestamp({})", quoted(&instant.to_string())),
                    Err(_) => write!(f, "{constant}"),
                },
                Unit::Millionths => write!(f, "{}", Millionths::new(*constant)),
                Unit::Count | Unit::Days | Unit::Points => write!(f, "{constant}"),
            },
            Number::Attribute(attribute) => {
                // These names are those of what can be counted, too.
                use crate::attribute::Attribute::{Carts, Enquiries, Orders, Visits};
                let counted = matches!(attribute, Orders | Visits | Enquiries | Carts);
                write!(f, "{}{}", attribute.name(), if counted { ".count()" } else { "" })
            }
            Number::Over(happenings, super::Take::Products | super::Take::Categories) => {
                let Number::Over(_, take) = number else { return Ok(()) };
                write_happenings(f, happenings)?;
                write!(f, ".{}().size()", take.name())
            }
            Number::Over(happenings, take) => {
                write_happenings(f, happenings)?;
                write!(f, ".{}()", take.name())
            }
            Number::DaysSince(moment) => {
                f.write_str("days_since(")?;
                write_moment(f, moment)?;
                f.write_str(")")
            }
            Number::Instant(moment) => write_moment(f, moment),
            Number::Points(program) => write!(f, "points({})", quoted(program.as_str())),
            Number::Credit(currency) => write!(f, "credit({})", quoted(&currency.to_string())),
            Number::Vouchers(coupon) => write!(f, "vouchers({})", quoted(coupon.as_str())),
            Number::CouponUses(coupon) => write!(f, "coupon_uses({})", quoted(coupon.as_str())),
            Number::DeclaredWhole(attribute) | Number::DeclaredDecimal(attribute) => write_declared(f, attribute),
            Number::Score(name) => {
                write!(f, "score({}, {})", quoted(name.plugin.as_str()), quoted(name.output.as_str()))
            }
            Number::Bucket { name, of } => write!(f, "bucket({}, {of})", quoted(name.as_str())),
            Number::Calculate(left, operation, right) => {
                let own = match operation {
                    Operation::Plus | Operation::Minus => Tightness::Sum,
                    Operation::Times | Operation::By | Operation::Rest => Tightness::Product,
                };
                let (one, other) = match operation {
                    Operation::Times | Operation::By => (left.unit(), right.unit()),
                    Operation::Plus | Operation::Minus | Operation::Rest => {
                        let unit = if matches!(**left, Number::Constant(_)) { right.unit() } else { left.unit() };
                        (unit, unit)
                    }
                };
                bracketed(f, own, within, |f| {
                    self.number(f, left, one, own)?;
                    write!(f, " {} ", operation.sign())?;
                    // What stands to the right is taken first.
                    let tighter = if own == Tightness::Sum { Tightness::Product } else { Tightness::Unary };
                    self.number(f, right, other, tighter)
                })
            }
        }
    }

    fn text(&self, f: &mut Formatter<'_>, texts: &Texts, test: &TextTest, within: Tightness) -> Result {
        let list = |f: &mut Formatter<'_>| match texts {
            Texts::Tags => f.write_str("tags"),
            Texts::Lists => f.write_str("lists"),
            Texts::Badges => f.write_str("badges"),
            Texts::Roles => f.write_str("roles"),
            Texts::Tier(program) => write!(f, "tier({})", quoted(program.as_str())),
            Texts::Declared(attribute) => write_declared(f, attribute),
            Texts::Products(happenings) => {
                write_happenings(f, happenings)?;
                f.write_str(".products()")
            }
            Texts::Categories(happenings) => {
                write_happenings(f, happenings)?;
                f.write_str(".categories()")
            }
        };
        let (name, part) = match test {
            TextTest::OneOf(listed) => {
                let listed: Vec<&str> = listed.iter().map(|text| text.as_str()).collect();
                return match listed.as_slice() {
                    [one] if !texts.is_single() => bracketed(f, Tightness::Comparison, within, |f| {
                        write!(f, "{} in ", quoted(one))?;
                        list(f)
                    }),
                    listed if texts.is_single() => bracketed(f, Tightness::Comparison, within, |f| {
                        list(f)?;
                        one_of(f, "", listed)
                    }),
                    listed => {
                        list(f)?;
                        f.write_str(".exists(one, ")?;
                        one_of(f, "one", listed)?;
                        f.write_str(")")
                    }
                };
            }
            TextTest::StartsWith(part) => ("startsWith", part.as_str()),
            TextTest::EndsWith(part) => ("endsWith", part.as_str()),
            TextTest::Contains(part) => ("contains", part.as_str()),
            TextTest::Matches(pattern) => ("matches", pattern.as_str()),
        };
        list(f)?;
        if texts.is_single() {
            return write!(f, ".{name}({})", quoted(part));
        }
        write!(f, ".exists(one, one.{name}({}))", quoted(part))
    }
}

fn bracketed(
    f: &mut Formatter<'_>,
    own: Tightness,
    within: Tightness,
    inner: impl FnOnce(&mut Formatter<'_>) -> Result,
) -> Result {
    let brackets = own < within;
    f.write_str(if brackets { "(" } else { "" })?;
    inner(f)?;
    f.write_str(if brackets { ")" } else { "" })
}

fn one_of(f: &mut Formatter<'_>, what: &str, texts: &[&str]) -> Result {
    if let [one] = texts {
        return write!(f, "{what} == {}", quoted(one));
    }
    let listed: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    write!(f, "{what} in [{}]", listed.join(", "))
}

fn write_happenings(f: &mut Formatter<'_>, happenings: &Happenings) -> Result {
    match &happenings.what {
        Events::Orders => f.write_str("orders")?,
        Events::OrdersOf(product) => write!(f, "orders.of_product({})", quoted(product.as_str()))?,
        Events::OrdersIn(category) => write!(f, "orders.of_category({})", quoted(category.as_str()))?,
        Events::Visits => f.write_str("visits")?,
        Events::Enquiries => f.write_str("enquiries")?,
        Events::Carts => f.write_str("carts")?,
        Events::Messages(MessagesOf { direction, channel }) => {
            f.write_str("messages")?;
            f.write_str(match direction {
                Some(MessageDirection::Sent) => ".sent()",
                Some(MessageDirection::Received) => ".received()",
                None => "",
            })?;
            if let Some(channel) = channel {
                write!(f, ".of_channel({})", quoted(channel.name()))?;
            }
        }
        Events::Cases(kind) | Events::OpenCases(kind) => {
            f.write_str("cases")?;
            if let Some(kind) = kind {
                write!(f, ".of_kind({})", quoted(kind.name()))?;
            }
            f.write_str(if matches!(happenings.what, Events::OpenCases(_)) { ".open()" } else { "" })?;
        }
        Events::Custom(kind) => write!(f, "events({})", quoted(kind.as_str()))?,
    }
    let quoted = |instant: &Timestamp| quoted(&instant.to_string());
    match &happenings.within {
        Window::Ever | Window::Between { from: None, until: None } => Ok(()),
        Window::Last(span) => write!(f, ".in_last(\"{}\")", span_text(*span)),
        Window::Between { from: Some(from), until: Some(until) } => {
            write!(f, ".between({}, {})", quoted(from), quoted(until))
        }
        Window::Between { from: Some(from), until: None } => write!(f, ".after({})", quoted(from)),
        Window::Between { from: None, until: Some(until) } => write!(f, ".before({})", quoted(until)),
    }
}

fn write_moment(f: &mut Formatter<'_>, moment: &Moment) -> Result {
    match moment {
        Moment::FirstSeen => f.write_str("first_seen"),
        Moment::LastSeen => f.write_str("last_seen"),
        Moment::First(happenings) => {
            write_happenings(f, happenings)?;
            f.write_str(".first()")
        }
        Moment::Last(happenings) => {
            write_happenings(f, happenings)?;
            f.write_str(".last()")
        }
        Moment::Declared(attribute) => write_declared(f, attribute),
    }
}

fn write_declared(f: &mut Formatter<'_>, attribute: &DeclaredName) -> Result {
    write!(f, "attribute({})", quoted(attribute.as_str()))
}

/// A length of time in the largest units that say it. What is left below a second is dropped: text has none.
fn span_text(span: Span) -> String {
    let mut seconds = span.as_millis() / 1_000;
    let mut text = String::new();
    for (unit, each) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if seconds >= each || (each == 1 && text.is_empty()) {
            text.push_str(&format!("{}{unit}", seconds / each));
            seconds %= each;
        }
    }
    text
}

/// A text as CEL writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_control() => quoted.push_str(&format!("\\U{:08x}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
