//! Choosing customers: what a selection means is what [`Selection::holds`] says, in every store.

use std::collections::{BTreeMap, BTreeSet};

use crm_core::{Column, CustomerId, SetKey, SetKind};

use super::Fixture;
use super::dice::Dice;
use super::random_selection::{NUMBERS, OPERATORS, PLUGINS, SCORES, random_selection, random_traits};
use super::sample::{create, customer, score, tag, token, tokens, touch, update};
use super::shop::Shop;
use crate::commit::{Commit, CustomerWrite, Token, Traits};
use crate::error::StorageError;
use crate::row::Parts;
use crate::selection::{Selectable, Selection};

/// A customer as a plain evaluation sees them.
#[derive(Debug, Default)]
struct Known {
    traits: Traits,
    /// The newest of each plugin's output.
    scores: BTreeMap<(&'static str, &'static str), f64>,
    tokens: BTreeSet<Token>,
}

impl Selectable for Known {
    fn traits(&self) -> &Traits {
        &self.traits
    }

    fn score(&self, plugin: &str, output: &str) -> Option<f64> {
        self.scores.iter().find(|(key, _)| **key == (plugin, output)).map(|(_, value)| *value)
    }

    fn has_token(&self, token: Token) -> bool {
        self.tokens.contains(&token)
    }
}

type Everybody = BTreeMap<CustomerId, Known>;

/// 80 customers with random numbers, sets, scores and tokens, and what is known of them.
async fn crowd(fixture: &dyn Fixture, dice: &mut Dice) -> (Shop, Everybody) {
    let shop = Shop::open(fixture).await;
    let mut everybody = Everybody::new();
    let mut commits = Vec::new();
    for number in 0..80 {
        let mut known = Known { traits: random_traits(dice), ..Known::default() };
        let mut write = CustomerWrite { traits: known.traits.clone(), ..create(number) };
        for (plugin, output) in PLUGINS {
            // Newest first, so that the order of writing tells nothing.
            for at in (0..dice.below(3) as i64).rev() {
                let value = dice.one_of(&SCORES);
                write = write.score(score(plugin, output, at * 1000, value));
                known.scores.entry((plugin, output)).or_insert(value);
            }
        }
        let found_by: BTreeSet<u64> = (0..dice.below(4)).map(|_| dice.below(8)).collect();
        known.tokens = found_by.iter().map(|&number| token(number)).collect();
        commits.push(Commit::from(write.personal(tokens(found_by))));
        everybody.insert(customer(number), known);
    }
    assert!(shop.commits(commits).await.iter().all(Result::is_ok));
    (shop, everybody)
}

/// The store selects and counts as the plain evaluation does; gives how many it selected.
async fn agree(shop: &Shop, everybody: &Everybody, selection: &Selection) -> usize {
    let expected: Vec<CustomerId> =
        everybody.iter().filter(|(_, known)| selection.holds(*known)).map(|(id, _)| *id).collect();
    assert_eq!(shop.select(selection, None, usize::MAX).await, expected, "{selection:?}");
    assert_eq!(shop.count(selection).await, expected.len() as u64, "{selection:?}");
    expected.len()
}

/// 500 random selections of every kind, nested, on random customers.
pub async fn random_selections_agree_with_a_plain_evaluation(fixture: &dyn Fixture) {
    let dice = &mut Dice(5);
    let (shop, everybody) = crowd(fixture, dice).await;
    let mut middling = 0;
    for number in 0..500 {
        let selection = random_selection(dice, number % 5);
        assert!(selection.check().is_ok());
        middling += usize::from((1..80).contains(&agree(&shop, &everybody, &selection).await));
    }
    assert!(middling > 200, "most selections choose some and leave some: {middling}");
}

/// Tokens and sets that many have, few, and nobody: those who have all of several, in any order, with something
/// else asked of them or not, as a whole and in pages.
pub async fn searches_by_several_tokens_and_sets_agree(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let mut everybody = Everybody::new();
    let mut commits = Vec::new();
    for number in 1..=300 {
        let shared = |by: &u64| number % by == 0;
        let mut write = create(number).column(Column::Orders, number as i64 % 10);
        write = [1, 2, 3, 50].iter().filter(|by| shared(by)).fold(write, |write, by| write.set(tag(&by.to_string())));
        let found_by: BTreeSet<u64> = [1, 2, 3, 7, 40, 290].into_iter().filter(shared).collect();
        let known = Known {
            traits: write.traits.clone(),
            tokens: found_by.iter().map(|&number| token(number)).collect(),
            ..Known::default()
        };
        commits.push(Commit::from(write.personal(tokens(found_by))));
        everybody.insert(customer(number), known);
    }
    assert!(shop.commits(commits).await.iter().all(Result::is_ok));
    let dice = &mut Dice(11);
    let mut some = 0;
    for round in 0..120 {
        let mut parts: Vec<Selection> = (0..2 + dice.below(3))
            .map(|_| match dice.below(3) {
                0 => Selection::In(tag(dice.one_of(&["1", "2", "3", "50", "none"]))),
                _ => Selection::Found(token(dice.one_of(&[1, 2, 3, 7, 40, 290, 999]))),
            })
            .collect();
        match round % 4 {
            0 => parts.push(Selection::Compare(Column::Orders, crm_core::expression::Comparison::Lt, 6)),
            1 => parts.push(Selection::Not(Box::new(Selection::Found(token(3))))),
            2 => parts.push(Selection::Any(vec![Selection::Found(token(40)), Selection::Found(token(7))])),
            _ => {}
        }
        let selection = Selection::All(parts);
        some += usize::from(agree(&shop, &everybody, &selection).await > 0);
        let whole = shop.select(&selection, None, usize::MAX).await;
        let mut pages: Vec<CustomerId> = Vec::new();
        loop {
            let page = shop.select(&selection, pages.last().copied(), 11).await;
            if page.is_empty() {
                break;
            }
            pages.extend(page);
        }
        assert_eq!(pages, whole, "{selection:?}");
    }
    assert!(some > 40, "many find somebody: {some}");
}

/// Every operator on every column, at the ends of the range, at nothing, and past what a float can tell.
pub async fn every_operator_agrees_on_every_column(fixture: &dyn Fixture) {
    let (shop, everybody) = crowd(fixture, &mut Dice(6)).await;
    for (column, turn) in Column::ALL.into_iter().zip(0..) {
        for (is, step) in OPERATORS.into_iter().zip(0..) {
            for at in [0, 5, NUMBERS.len() - 1, (turn + step) % NUMBERS.len()] {
                agree(&shop, &everybody, &Selection::Compare(column, is, NUMBERS[at])).await;
            }
            agree(&shop, &everybody, &Selection::Compare(column, is, 1 << 53)).await;
        }
        agree(&shop, &everybody, &Selection::Missing(column)).await;
        agree(&shop, &everybody, &Selection::OneOf(column, vec![])).await;
        agree(&shop, &everybody, &Selection::OneOf(column, NUMBERS.into())).await;
        agree(&shop, &everybody, &Selection::OneOf(column, vec![i64::MIN, 3, -1, -1, i64::MAX])).await;
    }
    for (plugin, output) in PLUGINS.into_iter().chain([("rfm", "z"), ("", "")]) {
        for is in OPERATORS {
            for value in SCORES.into_iter().chain([-0.0, 0.2, 1e-320]) {
                let (plugin, output) = (plugin.into(), output.into());
                agree(&shop, &everybody, &Selection::Score { plugin, output, is, value }).await;
            }
        }
    }
}

/// A comparison with a missing number is false, whichever it is; so its opposite is true.
pub async fn a_comparison_with_a_missing_number_is_false(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1)).await;
    shop.done(create(2).column(Column::Orders, 0).score(score("p", "o", 1, 0.0))).await;
    for is in OPERATORS {
        for value in [0, 1, -1, i64::MIN, i64::MAX] {
            let compare = Selection::Compare(Column::Orders, is, value);
            let zero: Vec<CustomerId> = if is.holds(0, value) { vec![customer(2)] } else { vec![] };
            assert_eq!(shop.select(&compare, None, 9).await, zero, "{compare:?}");
            let score = Selection::Score { plugin: "p".into(), output: "o".into(), is, value: value as f64 };
            assert_eq!(shop.select(&score, None, 9).await, zero, "{score:?}");
            for selection in [compare, score] {
                let mut others = vec![customer(1)];
                others.extend([customer(2)].into_iter().filter(|_| zero.is_empty()));
                assert_eq!(shop.select(&Selection::Not(Box::new(selection)), None, 9).await, others);
            }
        }
    }
    assert_eq!(shop.select(&Selection::Missing(Column::Orders), None, 9).await, [customer(1)]);
    let listed = Selection::OneOf(Column::Orders, vec![0, 1]);
    assert_eq!(shop.select(&Selection::Not(Box::new(listed)), None, 9).await, [customer(1)]);
}

/// `All` of nothing means everybody, `Any` of nothing nobody.
pub async fn connectives_of_nothing_have_their_meaning(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let (everybody, nobody) = (Selection::EVERYBODY, Selection::Any(Vec::new()));
    assert_eq!((shop.count(&everybody).await, shop.count(&nobody).await), (0, 0));
    shop.done(Commit { writes: vec![create(2), create(1)], ..Commit::default() }).await;
    let not = |selection: &Selection| Selection::Not(Box::new(selection.clone()));
    for selection in [everybody.clone(), not(&nobody), Selection::Any(vec![nobody.clone(), everybody.clone()])] {
        assert_eq!(shop.select(&selection, None, 9).await, [1, 2].map(customer), "{selection:?}");
        assert_eq!(shop.count(&selection).await, 2, "{selection:?}");
    }
    for selection in [nobody.clone(), not(&everybody), Selection::All(vec![everybody, nobody])] {
        assert!(shop.select(&selection, None, 9).await.is_empty(), "{selection:?}");
        assert_eq!(shop.count(&selection).await, 0, "{selection:?}");
    }
}

/// Pages of any size make up the whole; the one after a customer begins behind them, there or not.
pub async fn selected_pages_are_complete(fixture: &dyn Fixture) {
    let (shop, everybody) = crowd(fixture, &mut Dice(7)).await;
    let selection = Selection::Not(Box::new(Selection::Missing(Column::Spend)));
    let whole = shop.select(&selection, None, usize::MAX).await;
    assert!(whole.len() > 20 && whole.len() < everybody.len());
    for page_size in [1, 2, 7, whole.len(), 1000] {
        let mut pages: Vec<CustomerId> = Vec::new();
        loop {
            let page = shop.select(&selection, pages.last().copied(), page_size).await;
            assert!(page.len() <= page_size);
            if page.is_empty() {
                break;
            }
            pages.extend(page);
        }
        assert_eq!(pages, whole, "pages of {page_size}");
    }
    assert_eq!(shop.select(&selection, None, 0).await, whole[..1], "at least one");
    for after in everybody.keys() {
        let behind: Vec<CustomerId> = whole.iter().copied().filter(|id| id > after).take(3).collect();
        assert_eq!(shop.select(&selection, Some(*after), 3).await, behind);
    }
}

/// While others come, go and change, who is meant all the while comes once.
pub async fn selected_pages_are_stable_under_writes(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let vip = || tag("vip");
    let writes = (0..60).map(|number| create(2 * number).set(vip())).collect();
    shop.done(Commit { writes, ..Commit::default() }).await;
    let selection = Selection::In(vip());
    let mut seen: Vec<CustomerId> = Vec::new();
    for round in 0.. {
        let page = shop.select(&selection, seen.last().copied(), 7).await;
        if page.is_empty() {
            break;
        }
        seen.extend(page);
        // Before and behind the page: somebody comes, and somebody is no longer meant. Every third customer
        // (0, 6, 12 …) is written again, and meant as before.
        for new in [2 * round + 1, 119 - 2 * round] {
            shop.commit(create(new).set(vip())).await.ok();
        }
        shop.commit(update(2 + 6 * round, 1)).await.ok();
        shop.commit(update(116 - 6 * round, 1)).await.ok();
        shop.done(update(0, 1 + round).set(vip())).await;
        shop.done(update(60, 1 + round).set(vip())).await;
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "in the order of their ids, and each once: {seen:?}");
    for steady in (0..=19).map(|number| customer(6 * number)) {
        assert!(seen.contains(&steady), "{steady} was meant all the while");
    }
}

/// Too deep, too many clauses, a number that is not finite: refused by both methods, before anything is
/// looked for.
pub async fn a_malformed_selection_is_refused(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1)).await;
    let score = |value| Selection::Score {
        plugin: "p".into(),
        output: "o".into(),
        is: crm_core::expression::Comparison::Lt,
        value,
    };
    let malformed = [
        nested(Selection::DEPTH_MAX + 1),
        Selection::Any(vec![Selection::Any(vec![]); Selection::CLAUSES_MAX]),
        Selection::OneOf(Column::Orders, vec![1; Selection::CLAUSES_MAX]),
        score(f64::NAN),
        score(f64::INFINITY),
        Selection::All(vec![Selection::Any(vec![]), Selection::Not(Box::new(score(f64::NEG_INFINITY)))]),
    ];
    for shop in [&shop, &shop.neighbour("unknown")] {
        for selection in &malformed {
            let selected = shop.store.select(&shop.tenant, selection, None, 9).await;
            assert!(matches!(selected, Err(StorageError::Malformed { .. })), "{selection:?}: {selected:?}");
            let counted = shop.store.count(&shop.tenant, selection).await;
            assert!(matches!(counted, Err(StorageError::Malformed { .. })), "{selection:?}: {counted:?}");
        }
    }
}

/// So many `Not`s and, inside, one comparison.
fn nested(depth: usize) -> Selection {
    let inside = Selection::Compare(Column::Orders, crm_core::expression::Comparison::Ge, 1);
    (1..depth).fold(inside, |inside, _| Selection::Not(Box::new(inside)))
}

/// What is just within the limits has an answer.
pub async fn a_selection_at_its_limits_is_answered(fixture: &dyn Fixture) {
    let (shop, everybody) = crowd(fixture, &mut Dice(8)).await;
    agree(&shop, &everybody, &nested(Selection::DEPTH_MAX)).await;
    let numbers: Vec<i64> = (0..Selection::CLAUSES_MAX as i64 - 1).map(|number| number - 5).collect();
    agree(&shop, &everybody, &Selection::OneOf(Column::Visits, numbers)).await;
    let dice = &mut Dice(9);
    for wide in [Selection::All as fn(Vec<Selection>) -> Selection, Selection::Any] {
        let nobody = |number| Selection::Compare(Column::Orders, crm_core::expression::Comparison::Eq, 1_000 + number);
        let mut parts: Vec<Selection> = (0..Selection::CLAUSES_MAX as i64 - 1).map(nobody).collect();
        agree(&shop, &everybody, &wide(parts.clone())).await;
        parts.truncate(300);
        parts.extend((0..40).map(|_| random_selection(dice, 1)));
        agree(&shop, &everybody, &wide(parts)).await;
        let sets = (0..Selection::CLAUSES_MAX - 1).map(|number| Selection::In(tag(&number.to_string()))).collect();
        agree(&shop, &everybody, &wide(sets)).await;
        let found = (0..Selection::CLAUSES_MAX as u64 - 1).map(|number| Selection::Found(token(number))).collect();
        agree(&shop, &everybody, &wide(found)).await;
    }
    let mut deep = random_selection(dice, 1);
    for _ in 0..14 {
        deep = Selection::Any(vec![random_selection(dice, 0), Selection::All(vec![deep, random_selection(dice, 1)])]);
    }
    agree(&shop, &everybody, &deep).await;
}

/// Sets are compared byte by byte, whatever their names look like to a query language.
pub async fn sets_are_told_apart_by_every_character(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let long = "x".repeat(SetKey::NAME_MAX);
    let names = [
        "vip",
        "VIP",
        "vip ",
        " vip",
        "vi",
        "vip2",
        "v%",
        "%",
        "_ip",
        "v_p",
        "_",
        "'",
        "''",
        "vip'--",
        "\"",
        "\\",
        "\\%",
        "a,b",
        "a",
        "b",
        "a;b",
        "a|b",
        "a/b",
        "a:b",
        ":",
        "{a}",
        "[a]",
        "{a,b}",
        "[\"a\"]",
        "null",
        "NULL",
        "😀",
        "😁",
        "é",
        "e\u{301}",
        "ı",
        "i",
        "ß",
        "ss",
        "店",
        "\u{200b}",
        "\u{fe0f}",
        "*",
        "?",
        "vip*",
        "tag:vip",
        "$1",
        "?1",
        &long,
        &long[1..],
    ];
    let sets: Vec<SetKey> = names
        .iter()
        .map(|name| tag(name))
        .chain([SetKey::new(SetKind::Segment, "vip").expect("a set's name")])
        .collect();
    for (number, set) in (0..).zip(&sets) {
        shop.done(create(number).set(set.clone())).await;
    }
    shop.done(create(900).set(tag("a")).set(tag("😀")).set(tag("vip'--"))).await;
    for (number, set) in (0..).zip(&sets) {
        let mut expected = vec![customer(number)];
        expected.extend(["a", "😀", "vip'--"].contains(&&set.as_str()[4..]).then(|| customer(900)));
        assert_eq!(shop.select(&Selection::In(set.clone()), None, 99).await, expected, "{set:?}");
        assert_eq!(shop.count(&Selection::In(set.clone())).await, expected.len() as u64, "{set:?}");
        let kept = shop.details(customer(number), Parts { traits: true, ..Parts::default() }).await.traits.sets;
        assert_eq!(kept, std::slice::from_ref(set));
    }
    let not = Selection::Not(Box::new(Selection::In(tag("a"))));
    assert_eq!(shop.count(&not).await, sets.len() as u64 - 1);
}

/// All numbers and all sets are those of the latest write with a state; one without a state leaves them.
pub async fn traits_are_replaced_as_a_whole(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let traits = async || shop.details(customer(1), Parts { traits: true, ..Parts::default() }).await.traits;
    let mut first = create(1).set(tag("a")).set(tag("b"));
    for (column, number) in Column::ALL.into_iter().zip(NUMBERS.into_iter().cycle()) {
        first = first.column(column, number);
    }
    shop.done(first.clone()).await;
    assert_eq!(traits().await, first.traits);
    let second = || update(1, 1).column(Column::Orders, 5).set(tag("b")).set(tag("c"));
    shop.done(second()).await;
    assert_eq!(traits().await, second().traits);
    // Traits of a write without a state are not looked at.
    shop.done(touch(1, 2).score(score("p", "o", 1, 1.0)).column(Column::Orders, 9).set(tag("d"))).await;
    shop.done(touch(1, 2).change(1)).await;
    assert_eq!(traits().await, second().traits);
    let orders = |number| Selection::Compare(Column::Orders, crm_core::expression::Comparison::Eq, number);
    for (selection, meant) in [
        (orders(5), true),
        (orders(9), false),
        (Selection::Missing(Column::Spend), true),
        (Selection::In(tag("a")), false),
        (Selection::In(tag("b")), true),
        (Selection::In(tag("c")), true),
        (Selection::In(tag("d")), false),
    ] {
        assert_eq!(shop.count(&selection).await, u64::from(meant), "{selection:?}");
    }
    shop.done(update(1, 2)).await;
    assert_eq!(traits().await, Traits::NONE);
    assert_eq!(shop.count(&Selection::Any(vec![orders(5), Selection::In(tag("b"))])).await, 0);
    let refused = shop.commit(update(1, 2).set(tag("e"))).await;
    assert!(refused.is_err());
    assert_eq!(traits().await, Traits::NONE);
}

/// Of several scores of an output, the one of the latest instant counts, whenever it was written.
pub async fn the_newest_score_is_compared(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let scored = async |expected: f64| {
        for (is, meant) in OPERATORS.into_iter().zip([true, false, false, true, false, true]) {
            let selection = Selection::Score { plugin: "p".into(), output: "o".into(), is, value: expected };
            assert_eq!(shop.count(&selection).await, u64::from(meant), "{selection:?}");
        }
    };
    shop.done(
        create(1).score(score("p", "o", 10, 1.0)).score(score("p", "o2", 99, 7.0)).score(score("p2", "o", 99, 8.0)),
    )
    .await;
    shop.done(create(2).score(score("p", "", 0, 1.0)).score(score("", "o", 0, 1.0))).await;
    scored(1.0).await;
    shop.done(touch(1, 1).score(score("p", "o", -10, 2.0))).await;
    scored(1.0).await;
    shop.done(touch(1, 1).score(score("p", "o", 10, 3.0))).await;
    scored(3.0).await;
    shop.done(touch(1, 1).score(score("p", "o", 11, -0.0))).await;
    scored(0.0).await;
    shop.done(touch(1, 1).score(score("p", "o", 12, 0.1)).score(score("p", "o", 11, 9.0))).await;
    scored(0.1).await;
}
