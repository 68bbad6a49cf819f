//! Random selections, and random rows for them to choose from. Both draw from a few values, so that they
//! meet.

use crm_core::expression::Comparison::{self, Eq, Ge, Gt, Le, Lt, Ne};
use crm_core::{Column, SetKey, SetKind};

use super::dice::Dice;
use super::sample::token;
use crate::commit::Traits;
use crate::selection::Selection;

pub(super) const OPERATORS: [Comparison; 6] = [Eq, Ne, Lt, Le, Gt, Ge];

/// Numbers at which a store could stumble.
pub(super) const NUMBERS: [i64; 12] =
    [i64::MIN, i64::MIN + 1, -1_000_000, -2, -1, 0, 1, 2, 10, (1 << 53) + 1, i64::MAX - 1, i64::MAX];

/// Scores at which a store could stumble.
pub(super) const SCORES: [f64; 9] = [f64::MIN, -1.5, -f64::MIN_POSITIVE, 0.0, 5e-324, 0.1, 0.3, 1.5, f64::MAX];

const NAMES: [&str; 6] = ["vip", "VIP", "v%", "v_p", "a,b", "a"];
const KINDS: [SetKind; 4] = [SetKind::Tag, SetKind::Segment, SetKind::Tier, SetKind::List];
pub(super) const PLUGINS: [(&str, &str); 3] = [("rfm", "x"), ("rfm", "y"), ("rfm/x", "y")];

fn set(dice: &mut Dice) -> SetKey {
    SetKey::new(dice.one_of(&KINDS), dice.one_of(&NAMES)).expect("a set's name")
}

/// Some columns without a number, some with one; a few sets.
pub(super) fn random_traits(dice: &mut Dice) -> Traits {
    let mut traits = Traits::NONE;
    for column in Column::ALL {
        let number = if dice.once_in(3) { None } else { Some(dice.one_of(&NUMBERS)) };
        traits.columns.set(column, number);
    }
    traits.sets = (0..dice.below(5)).map(|_| set(dice)).collect();
    traits.sets.sort_unstable();
    traits.sets.dedup();
    traits
}

/// A selection nested at most so deep.
pub(super) fn random_selection(dice: &mut Dice, depth: u64) -> Selection {
    let column = dice.one_of(&Column::ALL);
    match dice.below(if depth == 0 { 7 } else { 12 }) {
        0 | 1 => Selection::Compare(column, dice.one_of(&OPERATORS), dice.one_of(&NUMBERS)),
        2 => Selection::OneOf(column, (0..dice.below(4)).map(|_| dice.one_of(&NUMBERS)).collect()),
        3 => Selection::Missing(column),
        4 => Selection::In(set(dice)),
        5 => {
            let (plugin, output) = dice.one_of(&PLUGINS);
            let (is, value) = (dice.one_of(&OPERATORS), dice.one_of(&SCORES));
            Selection::Score { plugin: plugin.into(), output: output.into(), is, value }
        }
        6 => Selection::Found(token(dice.below(8))),
        7 | 8 => Selection::All(parts(dice, depth)),
        9 | 10 => Selection::Any(parts(dice, depth)),
        _ => Selection::Not(Box::new(random_selection(dice, depth - 1))),
    }
}

fn parts(dice: &mut Dice, depth: u64) -> Vec<Selection> {
    (0..dice.below(4)).map(|_| random_selection(dice, depth - 1)).collect()
}
