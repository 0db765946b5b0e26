//! Spellings: several paths to one owner, through symbolic links, become one.
//!
//! Python spells a source as it was told to; the store has one mirror for each spelling.

use super::Owner;
use std::collections::HashMap;
use std::path::PathBuf;

/// Which path stands for an owner that has several.
#[derive(Debug, Default)]
pub struct Spellings(HashMap<PathBuf, PathBuf>);

impl Spellings {
    /// Those of these owners. The real path stands for all where it is among them, else the first in order.
    pub fn of<'a>(owners: impl Iterator<Item = &'a Owner> + Clone) -> Spellings {
        let mut heads: HashMap<PathBuf, PathBuf> = HashMap::new();
        for owner in owners.clone() {
            let Some(real) = &owner.real_root else { continue };
            let head = heads.entry(real.clone()).or_insert_with(|| owner.root.clone());
            if owner.root < *head {
                head.clone_from(&owner.root);
            }
        }
        for owner in owners.filter(|owner| owner.real_root.is_none()) {
            if let Some(head) = heads.get_mut(&owner.root) {
                head.clone_from(&owner.root);
            }
        }
        Spellings(heads)
    }

    /// The owner as it is shown: by the path that stands for all of its spellings, with all of its environments.
    pub fn head(&self, owner: &Owner) -> Owner {
        let real = owner.real_root.as_ref().unwrap_or(&owner.root);
        let root = self.0.get(real).unwrap_or(&owner.root).clone();
        let real_root = owner.real_root.clone().filter(|real| *real != root);
        Owner { root, environment: None, real_root, ..owner.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Life, OwnerKind};
    use super::*;

    fn owner(root: &str, real_root: Option<&str>) -> Owner {
        Owner {
            root: root.into(),
            kind: OwnerKind::Project,
            life: Life::Alive,
            environment: Some(format!("{root}/.venv").into()),
            real_root: real_root.map(PathBuf::from),
        }
    }

    #[test]
    fn one_path_stands_for_all_spellings() {
        let owners = [
            owner("/a/link", Some("/h/p")),
            owner("/h/p", None),
            owner("/z/one", Some("/var/q")),
            owner("/z/other", Some("/var/q")),
            owner("/alone", None),
        ];
        let spellings = Spellings::of(owners.iter());
        let heads = owners.iter().map(|owner| spellings.head(owner).root.display().to_string());
        assert_eq!(heads.collect::<Vec<_>>(), ["/h/p", "/h/p", "/z/one", "/z/one", "/alone"]);
        assert_eq!(spellings.head(&owners[0]), spellings.head(&owners[1]));
        assert_eq!(spellings.head(&owners[3]), spellings.head(&owners[2]));
    }
}
