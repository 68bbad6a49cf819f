//! The report: for people, and as JSON.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt;

use crm::{Attribute, CustomerId, Overview, ScoreReport, Turnover, minor_to_decimal};
use serde_json::{Value, json};

use crate::incoming::identifier;
use crate::orders::OrderFile;
use crate::replay::Replay;
use crate::shop::Shop;

/// How many of the most valuable customers are shown.
const TOP: usize = 10;

/// A customer worth showing.
struct Valuable {
    id: String,
    orders: i64,
    spend: i64,
    points: i64,
    stage: &'static str,
}

/// What the CRM makes of the orders.
pub(crate) struct Report {
    read: u64,
    accepted: u64,
    refused: BTreeMap<&'static str, u64>,
    rounded: u64,
    rounding: String,
    recorded: u64,
    known: u64,
    as_of: String,
    currency: crm::Currency,
    turnover: Turnover,
    overview: Overview,
    scores: Option<crm::ScoreSummary>,
    score_faults: u64,
    top: Vec<Valuable>,
}

impl Report {
    pub(crate) fn new(
        shop: &Shop,
        file: &OrderFile,
        replay: &Replay,
        scores: &ScoreReport,
    ) -> Result<Self, Box<dyn Error>> {
        let overview = shop.crm.overview()?;
        let mut refused = file.rows.refused.clone();
        for (reason, rows) in &replay.refused_rows {
            *refused.entry(reason).or_default() += rows;
        }
        let none = Turnover { currency: shop.currency, gross: 0, refunds: 0, payments: 0 };
        Ok(Report {
            read: file.rows.read,
            accepted: file.rows.accepted - replay.refused_rows.values().sum::<u64>(),
            refused,
            rounded: file.rows.rounded,
            rounding: file.rows.rounding.normalize().to_string(),
            recorded: replay.recorded,
            known: replay.known,
            as_of: replay.as_of.to_string(),
            currency: shop.currency,
            turnover: overview.turnover.get(&shop.currency).copied().unwrap_or(none),
            scores: scores.outputs.first().cloned(),
            score_faults: scores.failed,
            top: most_valuable(shop, file)?,
            overview,
        })
    }

    fn money(&self, minor: i128) -> String {
        minor_to_decimal(minor, self.currency).to_string()
    }

    pub(crate) fn to_json(&self) -> Value {
        let points = &self.overview.points;
        let stages: BTreeMap<&str, u64> = self.overview.stages.iter().map(|(stage, n)| (stage.name(), *n)).collect();
        let segments: BTreeMap<&str, u64> =
            self.overview.segments.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        let actions: BTreeMap<&str, u64> = self.overview.actions.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
        let top = |customer: &Valuable| {
            json!({
                "customer": customer.id,
                "orders": customer.orders,
                "spend": self.money(i128::from(customer.spend)),
                "points": customer.points,
                "stage": customer.stage,
            })
        };
        json!({
            "rows": {
                "read": self.read,
                "accepted": self.accepted,
                "refused": self.refused,
                "rounded": self.rounded,
                "rounding": self.rounding,
            },
            "facts": { "recorded": self.recorded, "known": self.known },
            "customers": self.overview.customers,
            "orders": self.overview.orders,
            "refunds": self.overview.refunds,
            "currency": self.currency.code(),
            "revenue": {
                "gross": self.money(self.turnover.gross),
                "refunds": self.money(self.turnover.refunds),
                "net": self.money(self.turnover.net()),
            },
            "stages": stages,
            "segments": segments,
            "points": {
                "earned": whole(points.earned),
                "spent": whole(points.spent),
                "reversed": whole(points.reversed),
                "expired": whole(points.expired),
                "outstanding": whole(points.outstanding()),
            },
            "scores": {
                "count": self.scores.as_ref().map_or(0, |scores| scores.count),
                "min": self.scores.as_ref().and_then(|scores| scores.min),
                "mean": self.scores.as_ref().and_then(|scores| scores.mean),
                "max": self.scores.as_ref().and_then(|scores| scores.max),
                "failed": self.score_faults,
            },
            "actions": actions,
            "top": self.top.iter().map(top).collect::<Vec<_>>(),
            "as_of": self.as_of,
            "digest": self.overview.digest.map(|digest| digest.to_string()),
        })
    }
}

/// A whole number in JSON; as text where 64 bits do not hold it.
fn whole(number: i128) -> Value {
    i64::try_from(number).map_or_else(|_| Value::from(number.to_string()), Value::from)
}

/// The customers with the highest net spend, by the shop's own numbers.
fn most_valuable(shop: &Shop, file: &OrderFile) -> Result<Vec<Valuable>, Box<dyn Error>> {
    let now = shop.crm.now();
    let mut ranked: Vec<(i64, CustomerId)> = Vec::new();
    shop.crm.for_each_customer(|customer| {
        let spend = Attribute::Spend.of(customer, now, shop.currency).unwrap_or(0);
        ranked.push((spend, customer.id()));
        if ranked.len() > 10_000 {
            ranked.sort_unstable_by_key(|(spend, id)| (std::cmp::Reverse(*spend), *id));
            ranked.truncate(TOP);
        }
    })?;
    ranked.sort_unstable_by_key(|(spend, id)| (std::cmp::Reverse(*spend), *id));
    ranked.truncate(TOP);

    // The CRM keeps hashes of the shop's numbers; the file has the numbers.
    let mut numbers = HashMap::new();
    for entry in &file.entries {
        let id = file.customer(entry);
        if !numbers.contains_key(id) {
            numbers.insert(id, shop.crm.identified(&identifier(id)?).identifier);
        }
    }
    let mut top = Vec::new();
    for (spend, id) in ranked {
        let Some(customer) = shop.crm.customer(id)? else { continue };
        let known_by = |key| customer.identifiers().any(|own| own == key);
        let number = numbers.iter().find(|(_, key)| known_by(*key)).map(|(id, _)| (*id).to_owned());
        let count = |attribute: Attribute| attribute.of(&customer, now, shop.currency).unwrap_or(0);
        top.push(Valuable {
            id: number.unwrap_or_else(|| id.to_string()),
            orders: count(Attribute::Orders),
            spend,
            points: count(Attribute::Points),
            stage: customer.stage().map_or("none", |stage| stage.name()),
        });
    }
    Ok(top)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let currency = self.currency;
        writeln!(f, "{} rows read, {} accepted", self.read, self.accepted)?;
        for (reason, rows) in &self.refused {
            writeln!(f, "  {rows} refused: {}", reason.replace('_', " "))?;
        }
        if self.rounded > 0 {
            writeln!(f, "  {} rounded to the minor unit, {} {currency} in all", self.rounded, self.rounding)?;
        }
        writeln!(f, "{} orders and refunds were new, {} known already", self.recorded, self.known)?;
        writeln!(
            f,
            "\n{} customers as of {}: {} orders of {} {currency}, {} refunds of {}, net {}",
            self.overview.customers,
            self.as_of,
            self.overview.orders,
            self.money(self.turnover.gross),
            self.overview.refunds,
            self.money(self.turnover.refunds),
            self.money(self.turnover.net()),
        )?;
        writeln!(f, "\nLife cycle")?;
        for (stage, count) in &self.overview.stages {
            let share = *count as f64 / self.overview.customers.max(1) as f64;
            writeln!(f, "  {:<12}{count:>8}  {}", stage.name(), "█".repeat((share * 40.0).round() as usize))?;
        }
        writeln!(f, "\nSegments")?;
        for (segment, count) in &self.overview.segments {
            writeln!(f, "  {segment:<16}{count:>8}", segment = segment.as_str())?;
        }
        let points = &self.overview.points;
        writeln!(f, "\nPoints outstanding: {}", points.outstanding())?;
        writeln!(
            f,
            "  {} earned, {} spent, {} reversed, {} expired",
            points.earned, points.spent, points.reversed, points.expired
        )?;
        if let Some(scores) = &self.scores
            && let (Some(min), Some(mean), Some(max)) = (scores.min, scores.mean, scores.max)
        {
            writeln!(f, "\nChurn scores: {} from {min:.3} to {max:.3}, mean {mean:.3}", scores.count)?;
        }
        writeln!(f, "\nMost valuable customers{:>14}{:>12}{:>10}", "orders", "spend", "points")?;
        for customer in &self.top {
            let spend = self.money(i128::from(customer.spend));
            writeln!(
                f,
                "  {:<21}{:>14}{spend:>12}{:>10}  {}",
                customer.id, customer.orders, customer.points, customer.stage
            )?;
        }
        writeln!(f, "\nWhat the win-back workflow had done")?;
        for (action, count) in &self.overview.actions {
            writeln!(f, "  {:<16}{count:>8}", action.as_str())?;
        }
        match self.overview.digest {
            Some(digest) => writeln!(f, "\nDigest of all customers: {digest}"),
            None => Ok(()),
        }
    }
}
