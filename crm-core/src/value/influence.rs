//! Influence: who matters among customers by whom they are tied to (PageRank: Brin and Page, The anatomy of a large-scale
//! hypertextual Web search engine, 1998; with weights of ties as in Langville and Meyer, Google's PageRank and Beyond,
//! 2006, chapter 5, of the matrix H).
//!
//! A customer's influence is the share of time that somebody spends with them who goes from customer to customer along
//! ties: with probability `damping` to one that the present one gives credit to, in proportion to the strength of the
//! ties, and else to anybody. From a customer who gives nobody credit they go to anybody.
//!
//! # The numbers
//!
//! This is the only place of this crate that reckons in floats. They never leave it: results are whole parts per
//! million, rounded half to even. Customers are taken in the order of their ids, ties that are told twice are added up
//! as whole numbers first, and the number of rounds is fixed, so that the same ties in any order give the same
//! numbers. After 100 rounds with a damping of 0.85 what is still missing is below 0.85^100, a tenth of one part per
//! million.
//!
//! `petgraph` keeps the graph. Its own `page_rank` is not used: it knows no strength, takes time that grows with the
//! square of the number of customers, and leaves out the jump to anybody for those who are tied.

use std::collections::BTreeMap;

use petgraph::csr::Csr;
use serde::{Deserialize, Serialize};

use crate::id::CustomerId;
use crate::relationship::{Strength, Tie, TieKind};

/// Which side of a tie gives the other one credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credit {
    /// `from` gives it to `to`: who follows makes the followed matter.
    Forward,
    /// `to` gives it to `from`: who was referred makes the referrer matter.
    Backward,
    /// Each gives it to the other.
    Both,
    /// Nobody gives any.
    None,
}

impl Credit {
    /// What a kind of tie means unless the shop says otherwise: backward for who refers, manages, decides or buys, both ways for
    /// a household, none for kinds of the shop's own, and forward for the rest.
    #[must_use]
    pub const fn of(kind: &TieKind) -> Self {
        match kind {
            TieKind::Referred | TieKind::Manages | TieKind::DecidesFor | TieKind::BuysFor => Credit::Backward,
            TieKind::Follows | TieKind::WorksFor => Credit::Forward,
            TieKind::Household => Credit::Both,
            TieKind::Other(_) => Credit::None,
        }
    }
}

/// One customer gives another one credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Who gives it.
    pub from: CustomerId,
    /// Who gets it.
    pub to: CustomerId,
    /// How much.
    pub strength: Strength,
}

impl Link {
    /// The links of a tie, none, one or two.
    pub fn of(tie: &Tie, credit: Credit) -> impl Iterator<Item = Link> + use<> {
        let (from, to, strength) = (tie.from, tie.to, tie.strength);
        let forward = matches!(credit, Credit::Forward | Credit::Both).then_some(Link { from, to, strength });
        let backward =
            matches!(credit, Credit::Backward | Credit::Both).then_some(Link { from: to, to: from, strength });
        forward.into_iter().chain(backward)
    }
}

/// How influence is reckoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfluencePolicy {
    /// How likely it is to go on along a tie, in per mille; more than 1,000 is 1,000.
    pub damping_per_mille: u16,
    /// How many rounds are reckoned.
    pub rounds: u16,
}

impl Default for InfluencePolicy {
    /// 0.85, as Brin and Page have it, and 100 rounds.
    fn default() -> Self {
        InfluencePolicy { damping_per_mille: 850, rounds: 100 }
    }
}

/// The influence of one customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Influence {
    /// Who.
    pub customer: CustomerId,
    /// Their share of all influence, in parts per million. Rounded one by one: all together may miss a million by half
    /// a part for each customer.
    pub share: u32,
    /// The same beside the average customer, who has 1,000,000: the number that stays telling in a large base.
    pub relative: u64,
}

impl InfluencePolicy {
    /// The influence of everybody who has a link, by id. Links that are told more than once are added up; those of
    /// no strength, or from somebody to themself, count for nothing, though their customers are there. Costs a sort of
    /// the links, and per round a look at each.
    #[must_use]
    pub fn influence(&self, links: impl IntoIterator<Item = Link>) -> Vec<Influence> {
        let mut ids: Vec<CustomerId> = Vec::new();
        let mut told: BTreeMap<(CustomerId, CustomerId), u64> = BTreeMap::new();
        for link in links {
            ids.extend([link.from, link.to]);
            if link.from != link.to && link.strength.per_mille() > 0 {
                *told.entry((link.from, link.to)).or_default() += u64::from(link.strength.per_mille());
            }
        }
        ids.sort_unstable();
        ids.dedup();
        let index = |id: &CustomerId| ids.binary_search(id).ok().and_then(|place| u32::try_from(place).ok());
        let edges: Vec<(u32, u32, u64)> =
            told.iter().filter_map(|((from, to), strength)| Some((index(from)?, index(to)?, *strength))).collect();
        // Edges are in the order of both ids, each once, as `from_sorted_edges` wants them; added one by one each would
        // take a walk over all customers. It makes nodes up to the last that has an edge.
        let mut graph: Csr<(), u64> = Csr::from_sorted_edges(&edges).unwrap_or_else(|_| Csr::new());
        while graph.node_count() < ids.len() {
            graph.add_node(());
        }
        let ranks = self.ranks(&graph);
        let n = ids.len() as f64;
        let millionths = |rank: f64| (rank * 1e6).round_ties_even();
        ids.iter()
            .zip(ranks)
            .map(|(customer, rank)| Influence {
                customer: *customer,
                // Ranks are between 0 and 1; a cast stops at the ends of its type.
                share: millionths(rank) as u32,
                relative: millionths(rank * n) as u64,
            })
            .collect()
    }

    fn ranks(&self, graph: &Csr<(), u64>) -> Vec<f64> {
        let n = graph.node_count();
        let damping = f64::from(self.damping_per_mille.min(1_000)) / 1_000.0;
        let even = 1.0 / n.max(1) as f64;
        let mut ranks = vec![even; n];
        let mut next = vec![0.0; n];
        // A node's index fits: there are no more than `with_nodes` made.
        let total = |node: usize| graph.edges_slice(node as u32).iter().sum::<u64>();
        let totals: Vec<u64> = (0..n).map(total).collect();
        for _ in 0..self.rounds {
            next.fill(0.0);
            let mut stuck = 0.0;
            for (node, rank) in ranks.iter().enumerate() {
                if totals[node] == 0 {
                    stuck += rank;
                    continue;
                }
                let each = damping * rank / totals[node] as f64;
                let (targets, strengths) = (graph.neighbors_slice(node as u32), graph.edges_slice(node as u32));
                for (target, strength) in targets.iter().zip(strengths) {
                    next[*target as usize] += each * *strength as f64;
                }
            }
            let anybody = (1.0 - damping + damping * stuck) * even;
            next.iter_mut().for_each(|rank| *rank += anybody);
            std::mem::swap(&mut ranks, &mut next);
        }
        ranks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u32) -> CustomerId {
        CustomerId::from_uuid(uuid::Uuid::from_u128(n.into()))
    }

    fn link(from: u32, to: u32, per_mille: u16) -> Link {
        Link { from: id(from), to: id(to), strength: Strength::new(per_mille).unwrap() }
    }

    fn shares(links: impl IntoIterator<Item = Link>) -> Vec<u32> {
        InfluencePolicy::default().influence(links).iter().map(|influence| influence.share).collect()
    }

    /// The members of Zachary's karate club (An information flow model for conflict and fission in small groups, 1977).
    #[test]
    fn a_club_of_friends_has_the_published_ranks() {
        let friends: [&[u32]; 33] = [
            &[1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 17, 19, 21, 31],
            &[2, 3, 7, 13, 17, 19, 21, 30],
            &[3, 7, 8, 9, 13, 27, 28, 32],
            &[7, 12, 13],
            &[6, 10],
            &[6, 10, 16],
            &[16],
            &[],
            &[30, 32, 33],
            &[33],
            &[],
            &[],
            &[],
            &[33],
            &[32, 33],
            &[32, 33],
            &[],
            &[],
            &[32, 33],
            &[33],
            &[32, 33],
            &[],
            &[32, 33],
            &[25, 27, 29, 32, 33],
            &[25, 27, 31],
            &[31],
            &[29, 33],
            &[33],
            &[31, 33],
            &[32, 33],
            &[32, 33],
            &[32, 33],
            &[33],
        ];
        let links = (0..)
            .zip(friends)
            .flat_map(|(a, friends)| friends.iter().flat_map(move |b| [link(a, *b, 1_000), link(*b, a, 1_000)]));
        let shares = shares(links);
        assert_eq!(shares.len(), 34);
        assert_eq!([shares[33], shares[0], shares[32]], [100_919, 96_997, 71_693]);
    }

    #[test]
    fn credit_for_referrals_flows_up_to_who_began() {
        let referred = [(1, 2), (1, 3), (2, 4), (2, 5), (3, 6), (5, 7)];
        let links = referred.into_iter().flat_map(|(from, to)| {
            let tie = Tie { from: id(from), to: id(to), kind: TieKind::Referred, strength: Strength::FULL };
            Link::of(&tie, Credit::of(&tie.kind))
        });
        assert_eq!(shares(links), [351_293, 219_333, 118_558, 64_086, 118_558, 64_086, 64_086]);
    }

    #[test]
    fn a_stronger_tie_gives_more_credit() {
        let shares = shares([link(0, 1, 750), link(0, 2, 250), link(0, 0, 1_000), link(0, 3, 0)]);
        assert!(shares[1] > shares[2] && shares[2] > shares[3] && shares[3] == shares[0], "{shares:?}");
    }

    #[test]
    fn nobody_has_no_influence_and_any_policy_gives_numbers() {
        assert!(shares([]).is_empty());
        for policy in [(0, 0), (0, 9), (1_000, 9), (u16::MAX, 9)] {
            let policy = InfluencePolicy { damping_per_mille: policy.0, rounds: policy.1 };
            let both = policy.influence([link(1, 2, 5), link(2, 1, 5)]);
            assert!(both.iter().all(|one| (one.share, one.relative) == (500_000, 1_000_000)), "{both:?}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_links_does_not_matter_and_shares_add_up(
            links in proptest::collection::vec((0..12_u32, 0..12_u32, 0..=1_000_u16), 1..60),
        ) {
            let links: Vec<Link> = links.into_iter().map(|(from, to, strength)| link(from, to, strength)).collect();
            let policy = InfluencePolicy::default();
            let influence = policy.influence(links.iter().copied());
            prop_assert_eq!(&influence, &policy.influence(links.iter().rev().copied()));
            let n = influence.len() as u64;
            let sum: u64 = influence.iter().map(|one| u64::from(one.share)).sum();
            prop_assert!(sum.abs_diff(1_000_000) <= n, "{sum}");
            let relative: u64 = influence.iter().map(|one| one.relative).sum();
            prop_assert!(relative.abs_diff(n * 1_000_000) <= n, "{relative}");
        }

        #[test]
        fn only_proportions_of_strength_matter(
            links in proptest::collection::vec((0..12_u32, 0..12_u32, 0..=100_u16), 1..60), times in 1..=10_u16,
        ) {
            let of = |times: u16| shares(links.iter().map(|(from, to, strength)| link(*from, *to, strength * times)));
            let near = of(1).iter().zip(of(times)).all(|(a, b)| a.abs_diff(b) <= 1);
            prop_assert!(near);
        }
    }
}
