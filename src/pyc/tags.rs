//! Cache tags in order of their versions, and as text.

use super::name::python_of_tag;
use std::cmp::Ordering;
use std::ops::Deref;
use std::sync::Arc;

/// A cache tag that is ordered as [`order`] says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag(Arc<str>);

impl Ord for Tag {
    fn cmp(&self, other: &Tag) -> Ordering {
        order(self).cmp(&order(other))
    }
}

impl PartialOrd for Tag {
    fn partial_cmp(&self, other: &Tag) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Deref for Tag {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Tag {
    fn from(tag: &str) -> Tag {
        Tag(tag.into())
    }
}

/// The key to sort tags by: implementation, version, and the tag itself. So `cpython-39` comes before `cpython-310`, and
/// `pypy39` after both.
pub fn order(tag: &str) -> (&str, Option<(u8, u8)>, &str) {
    (implementation(tag), python_of_tag(tag), tag)
}

/// The tags in order of implementation and version.
pub fn ordered<'a>(tags: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    let mut tags: Vec<&str> = tags.into_iter().map(String::as_str).collect();
    tags.sort_by_key(|tag| order(tag));
    tags
}

fn implementation(tag: &str) -> &str {
    tag.trim_end_matches(|character: char| character.is_ascii_digit())
}

/// How often the name of an implementation is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagNames {
    /// With every tag, for programs that look for one: `cpython-39 cpython-311`.
    Each,
    /// Before the first of its tags: `cpython-39 311 312`.
    Once,
}

/// Cache tags in order of their versions.
pub fn shown<'a>(tags: impl IntoIterator<Item = &'a String>, names: TagNames) -> String {
    let mut shown = String::new();
    let mut last = "";
    for tag in ordered(tags) {
        let name = implementation(tag);
        let is_repeated = names == TagNames::Once && name == last && !name.is_empty();
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(if is_repeated { &tag[name.len()..] } else { tag });
        last = name;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_in_order_of_their_versions() {
        let tags = ["pypy39", "cpython-312", "cpython-39", "cpython-311", "7"].map(String::from);
        assert_eq!(shown(&tags, TagNames::Once), "7 cpython-39 311 312 pypy39");
        assert_eq!(shown(&tags, TagNames::Each), "7 cpython-39 cpython-311 cpython-312 pypy39");
        assert_eq!(shown(&[], TagNames::Once), "");
        assert!(Tag::from("cpython-39") < Tag::from("cpython-310"));
        assert!(Tag::from("cpython-315") < Tag::from("pypy311"));
    }
}
