//! Every different id of a file, kept once.
//!
//! Half a million rows name a few thousand customers and products, so a row keeps numbers and the texts
//! live here. When the file is read to its end the numbers are given out again in the order of the texts:
//! comparing two numbers then compares two texts, and nothing depends on which row came first.

use std::collections::HashMap;

/// A text of a [`TextsBuilder`] or, after [`Ranks::of`], of a [`Texts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TextId(u32);

/// Collects texts while the file is read.
#[derive(Debug, Default)]
pub(super) struct TextsBuilder {
    ids: HashMap<Box<str>, TextId>,
}

/// The texts in order, so that ids compare as their texts do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Texts {
    sorted: Vec<Box<str>>,
}

/// From the ids of a [`TextsBuilder`] to those of its [`Texts`].
#[derive(Debug)]
pub(super) struct Ranks {
    by_id: Vec<TextId>,
}

impl TextsBuilder {
    /// The id of `text`, old or new. `None` if all of the four thousand million ids are taken.
    pub(super) fn id(&mut self, text: &str) -> Option<TextId> {
        if let Some(id) = self.ids.get(text) {
            return Some(*id);
        }
        let id = TextId(u32::try_from(self.ids.len()).ok()?);
        self.ids.insert(text.into(), id);
        Some(id)
    }

    /// Puts the texts in order.
    pub(super) fn finish(self) -> (Texts, Ranks) {
        let mut pairs: Vec<(Box<str>, TextId)> = self.ids.into_iter().collect();
        pairs.sort_unstable();
        let mut by_id = vec![TextId(0); pairs.len()];
        for (rank, (_, id)) in (0..).zip(&pairs) {
            by_id[id.0 as usize] = TextId(rank);
        }
        let sorted = pairs.into_iter().map(|(text, _)| text).collect();
        (Texts { sorted }, Ranks { by_id })
    }
}

impl Ranks {
    pub(super) fn of(&self, id: TextId) -> TextId {
        self.by_id[id.0 as usize]
    }
}

impl Texts {
    pub(super) fn get(&self, id: TextId) -> &str {
        &self.sorted[id.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_and_ids_end_up_in_the_order_of_the_texts() {
        let mut builder = TextsBuilder::default();
        let ids: Vec<TextId> = ["pear", "apple", "pear", "Ämter"].iter().filter_map(|text| builder.id(text)).collect();
        assert_eq!(ids[0], ids[2]);
        let (texts, ranks) = builder.finish();
        assert_eq!(texts.sorted.len(), 3);
        let [pear, apple, _, offices] = [0, 1, 2, 3].map(|row| ranks.of(ids[row]));
        assert!(apple < pear && pear < offices);
        assert_eq!(texts.get(pear), "pear");
        assert_eq!(texts.get(offices), "Ämter");
    }
}
