//! Values of a real base: the customers of a British gift wholesaler from December 2010 to June 2011.
//!
//! `data/online_retail_rfm.csv` has for each customer the whole days from the last purchase to 2011-07-01, the number of
//! invoices, and the spend in thousandths of a pound, as prices have three decimals; credit notes and lines without
//! quantity or price are left out. It was made from the data set Online Retail (Daqing Chen, UCI Machine Learning
//! Repository, 2015, doi:10.24432/C5BW33, CC BY 4.0).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is the failure report")]

use std::collections::BTreeMap;

use crm_core::Currency;
use crm_core::value::{Pareto, Rfm, RfmGroup, RfmPolicy, RfmScore, ShareOf};

fn base() -> Vec<(u32, Rfm)> {
    let row = |line: &str| {
        let fields: Vec<i64> = line.split(',').map(|field| field.parse().unwrap()).collect();
        let [customer, recency_days, frequency, monetary_minor] = fields[..] else { panic!("{line}") };
        let frequency = u32::try_from(frequency).unwrap();
        (u32::try_from(customer).unwrap(), Rfm { recency_days, frequency, monetary_minor })
    };
    include_str!("data/online_retail_rfm.csv").lines().skip(1).map(row).collect()
}

fn scores() -> Vec<RfmScore> {
    let base: Vec<(Currency, Rfm)> = base().into_iter().map(|(_, rfm)| (Currency::GBP, rfm)).collect();
    RfmPolicy::default().scores(&base).into_iter().map(Option::unwrap).collect()
}

/// How many have the scores 1 to 5.
fn sizes(of: impl Fn(&RfmScore) -> u8) -> [usize; 5] {
    let scores = scores();
    [1, 2, 3, 4, 5].map(|wanted| scores.iter().filter(|score| of(score) == wanted).count())
}

#[test]
fn quintiles_with_ties_are_those_counted_before() {
    assert_eq!(sizes(|score| score.recency), [592, 586, 585, 604, 593]);
    assert_eq!(sizes(|score| score.frequency), [0, 0, 1357, 953, 650]);
    assert_eq!(sizes(|score| score.monetary), [592; 5]);
    let scores = scores();
    let best = RfmScore { recency: 5, frequency: 5, monetary: 5 };
    assert_eq!(scores.iter().filter(|score| **score == best).count(), 218);
    let digits: u32 = scores.iter().map(|s| u32::from(s.recency + s.frequency + s.monetary)).sum();
    assert_eq!(digits, 28_913);
}

#[test]
fn everybody_is_in_one_group() {
    let mut sizes: BTreeMap<RfmGroup, usize> = BTreeMap::new();
    scores().iter().for_each(|score| *sizes.entry(RfmGroup::of(*score)).or_default() += 1);
    assert_eq!(sizes.values().sum::<usize>(), 2_960);
    assert!(sizes[&RfmGroup::Champions] >= 218);
    // Ties leave the two lowest scores of frequency empty, and with them what they would lead to.
    assert_eq!((sizes.get(&RfmGroup::New), sizes.get(&RfmGroup::Lost)), (None, None));
}

#[test]
fn the_top_fifth_holds_what_was_counted_before() {
    let revenue = Pareto::of(base().into_iter().map(|(customer, rfm)| (customer, rfm.monetary_minor)));
    assert_eq!(revenue.whole(ShareOf::Net), 3_993_805_651);
    assert_eq!(revenue.share_of_top(592, ShareOf::Net), Some(716_940));
    assert_eq!(revenue.gini(), Some(681_978));
    let first: Vec<(u32, i64)> = revenue.places()[..3].iter().map(|place| (place.customer, place.minor)).collect();
    assert_eq!(first, [(14646, 136_002_110), (18102, 106_601_550), (12346, 77_183_600)]);
    let key = revenue.key(716_940, ShareOf::Net);
    assert_eq!(key.len(), 592);
    assert!(revenue.costly().is_empty());
}
