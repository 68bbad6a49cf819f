//! Long histories that are being read page by page.
//!
//! The index of a customer's entries is in the order of their ids, since it keeps these unique; one more in the
//! order of positions would cost every commit a page. So a page finds its entries by reading all of the
//! customer's index. Who reads a long history to its end would do that for each page: instead, the positions
//! that were found for one page are kept for the ones after it. Entries are only ever appended, so they
//! stay true; what was appended since is found when they come to an end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crm_core::{CustomerId, TenantId};

use crate::row::Entries;

/// So many histories are kept at a time.
const HISTORIES_MAX: usize = 4;

/// So many positions of each, which take a MiB.
pub(super) const POSITIONS_MAX: usize = 131_072;

/// Whose history, and what of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) tenant: TenantId,
    pub(super) customer: CustomerId,
    pub(super) entries: Entries,
}

/// The positions that were found last.
#[derive(Debug, Default)]
pub(super) struct Histories(Mutex<VecDeque<(Wanted, Arc<[i64]>)>>);

impl Histories {
    /// So many positions after one, if there is a next page after them for sure.
    pub(super) fn page(&self, wanted: &Wanted, after: i64, limit: usize) -> Option<Vec<i64>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, positions) = kept.iter().find(|(kept, _)| kept == wanted)?;
        let first = positions.partition_point(|&position| position <= after);
        // From before the first of them nothing is known.
        let known = first > 0;
        let page = positions.get(first..first.checked_add(limit)?)?;
        (known && first + limit < positions.len()).then(|| page.to_vec())
    }

    /// Keeps all positions of a history from one that was seen on, in their order.
    pub(super) fn keep(&self, wanted: Wanted, positions: Vec<i64>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(kept, _)| *kept != wanted);
        kept.truncate(HISTORIES_MAX - 1);
        kept.push_front((wanted, positions.into()));
    }
}

#[cfg(test)]
mod tests {
    use crm_core::Timestamp;

    use super::*;

    fn wanted(number: u8, entries: Entries) -> Wanted {
        Wanted { tenant: TenantId::default(), customer: CustomerId::new(Timestamp::MIN, [number; 10]), entries }
    }

    #[test]
    fn a_page_is_known_when_the_one_after_it_is() {
        let histories = Histories::default();
        let all = wanted(1, Entries::All);
        assert_eq!(histories.page(&all, 0, 1), None);
        histories.keep(all.clone(), vec![2, 5, 6, 9]);
        assert_eq!(histories.page(&all, 2, 2), Some(vec![5, 6]));
        assert_eq!(histories.page(&all, 4, 1), Some(vec![5]));
        assert_eq!(histories.page(&all, 2, 3), None, "more may have come behind the last one");
        assert_eq!(histories.page(&all, 1, 2), None, "more may be before the first one");
        assert_eq!(histories.page(&all, 9, 1), None);
        assert_eq!(histories.page(&all, 2, usize::MAX), None);
        assert_eq!(histories.page(&wanted(1, Entries::Events), 2, 2), None);
        assert_eq!(histories.page(&wanted(2, Entries::All), 2, 2), None);
    }

    #[test]
    fn the_ones_that_were_found_last_are_kept() {
        let histories = Histories::default();
        for number in 0..9 {
            histories.keep(wanted(number, Entries::All), vec![1, 2, 3]);
        }
        let known = |number| histories.page(&wanted(number, Entries::All), 1, 1).is_some();
        assert_eq!((0..9).filter(|&number| known(number)).collect::<Vec<_>>(), [5, 6, 7, 8]);
    }
}
