//! What names and functions stand for.

use std::collections::BTreeSet;

use cel::IdedExpr;
use smol_str::SmolStr;

use super::super::error::Problem;
use super::super::number::{BucketName, Events, Happenings, MessagesOf, Moment, Number};
use super::super::predicate::{Predicate, TextTest, Texts};
use super::term::Term;
use super::{Read, Reader};
use crate::attribute::Attribute;
use crate::consent::{ConsentKey, Purpose, Scope};
use crate::custom::KindName;
use crate::declared::{DeclaredKind, DeclaredName};
use crate::score::{ScoreName, ScoreOutput};
use crate::workflow::PluginName;

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

impl Reader<'_> {
    pub(super) fn name(&self, id: u64, name: &str) -> Read<Term> {
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

    pub(super) fn function(&self, id: u64, name: &str, args: &[IdedExpr]) -> Read<Term> {
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
    pub(in crate::expression) fn known(&self, part: &IdedExpr) -> Read<Predicate> {
        match self.term(part)? {
            Term::Rule(Predicate::DeclaredFlag(attribute)) | Term::Texts(Texts::Declared(attribute)) => {
                Ok(Predicate::DeclaredKnown(attribute))
            }
            term => Ok(Predicate::Known(self.number(part.id, term)?)),
        }
    }

    /// An attribute that the shop declared, as what it was declared as.
    pub(super) fn attribute(&self, tree: &IdedExpr) -> Read<Term> {
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
    pub(super) fn score(&self, plugin: &IdedExpr, output: Option<&IdedExpr>) -> Read<Term> {
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

    pub(super) fn consent(&self, purpose: &IdedExpr, channel: &IdedExpr, scope: Option<&IdedExpr>) -> Read<Term> {
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
}
