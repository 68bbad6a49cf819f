//! What the tests need that fit the example models again: orders out of the files in `examples/data`, what was known of
//! a customer on a day, and how well scores rank.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read as _;
use std::path::Path;

/// One line of a file: what a customer paid, or got back if it is negative, on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Days since 1970-01-01.
    pub day: i64,
    /// Minor units.
    pub amount: i64,
}

/// The orders of each customer in `examples/data/<file>`, a gzipped CSV: the customer in column `customer`, the day and
/// the amount in the columns `date` and `amount`.
///
/// # Errors
///
/// If the file is not there or a line is not of this form.
pub fn orders(file: &str, customer: &str) -> Result<BTreeMap<String, Vec<Order>>, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data").join(file);
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().ok_or("no header")?;
    let place = |name: &str| header.iter().position(|column| *column == name).ok_or(format!("no column {name}"));
    let (customer, date, amount) = (place(customer)?, place("date")?, place("amount")?);
    let mut orders: BTreeMap<String, Vec<Order>> = BTreeMap::new();
    for line in lines {
        let order = Order { day: day(line[date])?, amount: cents(line[amount])? };
        orders.entry(line[customer].to_owned()).or_default().push(order);
    }
    Ok(orders)
}

/// A date as days since 1970-01-01, by the proleptic Gregorian calendar.
///
/// # Errors
///
/// If it is not written `1997-10-01`.
pub fn day(date: &str) -> Result<i64, Box<dyn Error>> {
    let mut parts = date.splitn(3, '-').map(str::parse::<i64>);
    let mut next = || parts.next().ok_or("a date has three parts")?.map_err(Box::<dyn Error>::from);
    let (year, month, day) = (next()?, next()?, next()?);
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    Ok(365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day
        - 719_469)
}

fn cents(amount: &str) -> Result<i64, Box<dyn Error>> {
    let (whole, part) = amount.split_once('.').unwrap_or((amount, "0"));
    let (sign, whole) = whole.strip_prefix('-').map_or((1, whole), |whole| (-1, whole));
    let part: i64 = format!("{part:0<2}").parse()?;
    Ok(sign * (whole.parse::<i64>()? * 100 + part))
}

/// The area under the ROC curve: how often somebody of whom it is true scores above somebody of whom it is not, ties
/// counted half. By ranks (Mann and Whitney 1947).
pub fn auc(scored: &[(f64, bool)]) -> f64 {
    let mut scored = scored.to_vec();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = scored.iter().filter(|(_, is)| *is).count() as f64;
    let negatives = scored.len() as f64 - positives;
    let (mut ranks, mut at) = (0.0, 0);
    while at < scored.len() {
        let tied = scored[at..].iter().take_while(|(score, _)| score.total_cmp(&scored[at].0).is_eq()).count();
        // Those that are tied share the mean of their ranks, which are counted from 1.
        let mean = at as f64 + (tied as f64 + 1.0) / 2.0;
        ranks += mean * scored[at..at + tied].iter().filter(|(_, is)| *is).count() as f64;
        at += tied;
    }
    (ranks - positives * (positives + 1.0) / 2.0) / (positives * negatives)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_over_leap_years() {
        let days = ["1970-01-01", "1970-12-31", "1972-02-29", "1972-03-01", "2000-03-01", "1997-10-01"];
        assert_eq!(days.map(|date| day(date).unwrap()), [0, 364, 789, 790, 11_017, 10_135]);
    }

    #[test]
    fn amounts_are_cents() {
        assert_eq!(["29.33", "5", "-0.5"].map(|amount| cents(amount).unwrap()), [2_933, 500, -50]);
    }

    #[test]
    fn ranks_are_measured_from_wrong_to_right() {
        assert_eq!(auc(&[(0.1, false), (0.2, true)]), 1.0);
        assert_eq!(auc(&[(0.2, false), (0.1, true)]), 0.0);
        assert_eq!(auc(&[(0.1, false), (0.1, true)]), 0.5);
        // One pair of six is the wrong way round.
        assert!((auc(&[(0.1, false), (0.3, true), (0.4, false), (0.5, true), (0.6, true)]) - 5.0 / 6.0).abs() < 1e-12);
    }
}
