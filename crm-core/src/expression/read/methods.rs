//! What is asked of events and texts, behind a dot.

use std::collections::BTreeSet;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators};

use super::super::error::Problem;
use super::super::number::{Events, Happenings, Moment, Number, Take, Window};
use super::super::pattern::Pattern;
use super::super::predicate::{Predicate, TextTest, Texts};
use super::term::{Term, of_text};
use super::{Read, Reader};
use crate::messaging::MessageDirection;
use crate::order::{CategoryName, ProductRef};
use crate::service::CaseKind;

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
    pub(in crate::expression) fn method(
        &self,
        id: u64,
        name: &str,
        target: &IdedExpr,
        args: &[IdedExpr],
    ) -> Read<Term> {
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

    pub(super) fn of_happenings(
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
    pub(super) fn size(&self, id: u64, term: Term) -> Read<Term> {
        Ok(Term::Number(match term {
            Term::Happenings(happenings) => Number::Over(happenings, Take::Count),
            Term::Texts(Texts::Products(happenings)) => Number::Over(happenings, Take::Products),
            Term::Texts(Texts::Categories(happenings)) => Number::Over(happenings, Take::Categories),
            other => return self.expected(id, "something that can be counted", &other),
        }))
    }

    pub(in crate::expression) fn text_test(&self, name: &str, text: &IdedExpr) -> Read<Option<TextTest>> {
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

    /// `list.exists(one, one.startsWith(…))`: the one kind of loop over a list that rules have.
    pub(super) fn exists(&self, id: u64, comprehension: &ComprehensionExpr) -> Read<Term> {
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
