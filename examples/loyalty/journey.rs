//! The baskets of some households, and the coupons that they redeemed.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read as _;
use std::path::Path;

use crm::loyalty::Cart;
use crm::{CategoryName, Currency, Line, LineKind, Money, OrderPlaced, OrderRef, Timestamp};

type Failure = Box<dyn Error>;

/// What a household bought at one time.
pub(crate) struct Basket {
    pub(crate) at: Timestamp,
    pub(crate) household: String,
    pub(crate) number: String,
    pub(crate) lines: Vec<Line>,
}

/// A coupon that a household redeemed.
pub(crate) struct Redeemed {
    pub(crate) on: Timestamp,
    pub(crate) household: String,
    pub(crate) campaign: String,
    pub(crate) coupon: String,
}

impl Basket {
    fn total(&self) -> Money {
        Money::new(self.lines.iter().map(|line| line.minor).sum(), Currency::USD)
    }

    /// The basket as it lies before the till.
    pub(crate) fn cart(&self, points_minor: i64) -> Cart {
        Cart { lines: self.lines.clone(), points_minor, ..Cart::new(self.total()) }
    }

    /// The basket as it was bought.
    pub(crate) fn order(&self, points_minor: i64) -> Result<OrderPlaced, Failure> {
        let placed = OrderPlaced::new(self.total()).with_order(OrderRef::new(&self.number)?);
        Ok(OrderPlaced { points_minor, ..placed.with_lines(self.lines.clone()) })
    }
}

fn read(path: &Path) -> Result<csv::Reader<std::io::Cursor<String>>, Failure> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if path.extension().is_some_and(|end| end == "gz") {
        flate2::read::GzDecoder::new(file).read_to_string(&mut text)?;
    } else {
        std::io::BufReader::new(file).read_to_string(&mut text)?;
    }
    Ok(csv::Reader::from_reader(std::io::Cursor::new(text)))
}

/// All baskets, by their time.
pub(crate) fn baskets(path: &Path) -> Result<Vec<Basket>, Failure> {
    let mut baskets: BTreeMap<(Timestamp, String), Basket> = BTreeMap::new();
    for row in read(path)?.deserialize() {
        let (time, household, number, department, pieces, minor): (String, String, String, String, i64, i64) = row?;
        let at = Timestamp::parse(&format!("{}Z", time.replace(' ', "T")))?;
        let category = Some(CategoryName::new(if department.is_empty() { "unknown" } else { &department })?);
        let line = Line { category, quantity: Some(pieces), minor, kind: LineKind::Goods, ..Line::default() };
        let key = (at, number.clone());
        baskets.entry(key).or_insert(Basket { at, household, number, lines: Vec::new() }).lines.push(line);
    }
    Ok(baskets.into_values().collect())
}

/// All coupons that were redeemed, by their day.
pub(crate) fn redemptions(path: &Path) -> Result<Vec<Redeemed>, Failure> {
    let mut all = Vec::new();
    for row in read(path)?.deserialize() {
        let (day, household, campaign, coupon): (String, String, String, String) = row?;
        all.push(Redeemed { on: Timestamp::parse(&day)?, household, campaign, coupon });
    }
    Ok(all)
}
