//! How complete a card is for a stage of the life cycle, and what to ask next. Asking for little at a time,
//! as the relationship grows, is called progressive profiling.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::card::{Card, CardValue};
use super::contact_point::ContactKind;
use super::field::Field;
use super::schema::SchemaError;
use crate::lifecycle::Stage;
use crate::text::Remark;

/// What a stage wants to know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// A value of a field; an empty list is none.
    Field(Field),
    /// A contact point of a kind. A mobile telephone is a telephone too.
    Contact(ContactKind),
}

/// Something wanted, how much, and how to ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// What.
    pub want: Want,
    /// How much it counts beside the others.
    pub weight: u16,
    /// The question, as the shop asks it; none if it does not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Remark>,
}

/// What each stage wants to know. A stage that is not named wants nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompletenessRules {
    /// By stage.
    pub stages: BTreeMap<Stage, Vec<Wanted>>,
}

/// How complete a card is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completeness {
    /// The weight of what is there in thousandths of all that is wanted, rounded down; 1,000 if nothing is.
    pub per_mille: u16,
    /// What is missing, the weightiest first; of equal weights in the order of the rules.
    pub missing: Vec<Wanted>,
}

impl Completeness {
    /// The weightiest thing that is missing and that the shop asks for.
    #[must_use]
    pub fn next_best_question(&self) -> Option<&Wanted> {
        self.missing.iter().find(|wanted| wanted.question.is_some())
    }
}

impl CompletenessRules {
    /// The most that one stage may want.
    pub const WANTED_MAX: usize = 128;

    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// `SchemaError` if a stage wants more than [`CompletenessRules::WANTED_MAX`].
    pub fn check(&self) -> Result<(), SchemaError> {
        let longest = self.stages.values().map(Vec::len).max().unwrap_or(0);
        if longest > Self::WANTED_MAX {
            return Err(SchemaError { what: "wanted fields", count: longest, max: Self::WANTED_MAX });
        }
        Ok(())
    }

    /// How complete a card is for a stage. Somebody at no stage is treated as a prospect.
    #[must_use]
    pub fn of(&self, card: &Card, stage: Option<Stage>) -> Completeness {
        let wanted = self.stages.get(&stage.unwrap_or(Stage::Prospect)).map_or(&[][..], Vec::as_slice);
        let weight = |of: &mut dyn Iterator<Item = &Wanted>| of.map(|wanted| u64::from(wanted.weight)).sum::<u64>();
        let total = weight(&mut wanted.iter());
        let mut missing: Vec<Wanted> = wanted.iter().filter(|wanted| !has(card, &wanted.want)).cloned().collect();
        let there = total - weight(&mut missing.iter());
        missing.sort_by_key(|wanted| std::cmp::Reverse(wanted.weight));
        // At most a thousand.
        let per_mille = (there * 1_000).checked_div(total).map_or(1_000, |share| share as u16);
        Completeness { per_mille, missing }
    }
}

fn has(card: &Card, want: &Want) -> bool {
    match want {
        Want::Field(field) => match card.value(field) {
            None => false,
            Some(CardValue::Addresses(list)) => !list.is_empty(),
            Some(CardValue::ContactPoints(list)) => !list.is_empty(),
            Some(CardValue::Lines(list)) => !list.is_empty(),
            Some(CardValue::Preferences(list)) => !list.is_empty(),
            Some(
                CardValue::Name(_)
                | CardValue::Line(_)
                | CardValue::Birthday(_)
                | CardValue::Language(_)
                | CardValue::TimeZone(_)
                | CardValue::Attribute(_),
            ) => true,
        },
        Want::Contact(kind) => card
            .contact_points()
            .iter()
            .any(|point| point.kind() == *kind || (*kind == ContactKind::Phone && point.kind() == ContactKind::Mobile)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Source;
    use crate::profile::{CardUpdate, ContactPoint, Name};
    use crate::time::Timestamp;

    fn wanted(want: Want, weight: u16, question: Option<&str>) -> Wanted {
        Wanted { want, weight, question: question.map(|text| Remark::new(text).unwrap()) }
    }

    #[test]
    fn the_weightiest_gap_is_asked_for_first() {
        let rules = CompletenessRules {
            stages: [(
                Stage::Intent,
                vec![
                    wanted(Want::Field(Field::Name), 3, Some("what may we call you?")),
                    wanted(Want::Field(Field::Language), 4, None),
                    wanted(Want::Contact(ContactKind::Phone), 2, Some("may we call you?")),
                    wanted(Want::Field(Field::Interests), 1, Some("what do you like?")),
                ],
            )]
            .into(),
        };
        rules.check().unwrap();
        let of = |update: CardUpdate, stage| {
            let told = update.check(Timestamp::MIN, &Source::new("shop").unwrap(), None).unwrap();
            rules.of(&Card::new(told), stage)
        };
        let nothing = of(CardUpdate::new(), Some(Stage::Intent));
        assert_eq!((nothing.per_mille, nothing.missing.len()), (0, 4));
        assert_eq!(nothing.missing[0].want, Want::Field(Field::Language));
        assert_eq!(nothing.next_best_question().unwrap().want, Want::Field(Field::Name));
        let phone = ContactPoint::new(ContactKind::Mobile, "+4930123456").unwrap();
        let some = CardUpdate::new().name(Name::full("Ana").unwrap()).contact_points(vec![phone]).interests(Vec::new());
        let some = of(some, Some(Stage::Intent));
        assert_eq!((some.per_mille, some.missing.len()), (500, 2), "an empty list is nothing");
        assert_eq!(some.next_best_question().unwrap().want, Want::Field(Field::Interests));
        let unasked = of(CardUpdate::new(), None);
        assert_eq!((unasked.per_mille, unasked.next_best_question()), (1_000, None));
    }
}
