//! Names of a directory of sources, found by the slot that they map to.

use super::{Form, Slot, stem_of};

/// An order of names in which those of one slot follow each other.
///
/// A directory may have any number of sources, and its mirror any number of entries: `m.py`, `m.txt` and `m.a.txt` begin alike,
/// and not all of them are looked at for each entry of `m`.
#[derive(Debug, Clone)]
pub struct SourceIndex(Vec<u32>);

impl SourceIndex {
    /// The order of `count` names, at most 2³².
    pub fn new<'n>(count: usize, name: impl Fn(usize) -> &'n [u8]) -> SourceIndex {
        let mut order: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
        order.sort_by(|one, other| stem_of(name(*one as usize)).cmp(&stem_of(name(*other as usize))));
        SourceIndex(order)
    }

    /// The names that a slot holds, of the same names.
    pub fn sources_of<'n>(
        &self,
        slot: &Slot<'_>,
        name: impl Fn(usize) -> &'n [u8],
    ) -> impl Iterator<Item = &'n [u8]> {
        let key: (&[u8], Form) = (slot.stem, slot.form);
        let first = self.0.partition_point(|&at| stem_of(name(at as usize)) < key);
        let names = self.0[first..].iter().map(move |&at| name(at as usize));
        names.take_while(move |name| stem_of(name) == key).filter(|name| slot.holds(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pyc::name::Name;
    use proptest::prelude::*;

    fn slot(name: &str) -> Slot<'_> {
        Name::parse(name.as_bytes()).slot().unwrap()
    }

    #[test]
    fn few_of_many_names_are_looked_at() {
        let mut names: Vec<String> = (0..50_000).map(|number| format!("m{number}.txt")).collect();
        // These begin as the sources of `m5` do, and are none.
        names.extend((0..50_000).map(|number| format!("m5.{number}.txt")));
        let index = SourceIndex::new(names.len(), |at| names[at].as_bytes());
        let looks = std::cell::Cell::new(0);
        let name = |at: usize| {
            looks.set(looks.get() + 1);
            names[at].as_bytes()
        };
        let found: Vec<&[u8]> = index.sources_of(&slot("m5.cpython-312.pyc"), name).collect();
        assert_eq!(found, [b"m5.txt"]);
        assert!(looks.get() < 50, "{looks:?}");
    }

    proptest! {
        /// The index finds what looking at all names finds.
        #[test]
        fn no_name_of_a_source_is_passed_over(
            entry in "\\.?[ab.-]{1,3}\\.?(cpython-312|pypy39)(-pytest-9\\.2)?",
            names in proptest::collection::btree_set("[ab.-]{1,4}(\\.py)?", 0..40),
        ) {
            let entry = format!("{entry}.pyc");
            let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
            if let Some(slot) = Name::parse(entry.as_bytes()).slot() {
                let index = SourceIndex::new(names.len(), |at| names[at]);
                let mut found: Vec<&[u8]> = index.sources_of(&slot, |at| names[at]).collect();
                found.sort_unstable();
                let held: Vec<&[u8]> = names.iter().copied().filter(|name| slot.holds(name)).collect();
                prop_assert_eq!(found, held, "{:?}", slot);
            }
        }
    }
}
