//! Cache tags for people.

use pycstore::pyc::name::python_of_tag;

/// How often the name of an implementation is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagNames {
    /// With every tag, for programs that look for one: `cpython-39 cpython-311`.
    Each,
    /// Before the first of its tags: `cpython-39 311 312`.
    Once,
}

/// Cache tags in order of their versions.
pub fn shown<'a>(tags: impl Iterator<Item = &'a str>, names: TagNames) -> String {
    let implementation = |tag: &'a str| tag.trim_end_matches(|character: char| character.is_ascii_digit());
    let mut tags: Vec<&str> = tags.collect();
    tags.sort_by_key(|tag| (implementation(tag), python_of_tag(tag)));
    let mut shown = String::new();
    let mut last = "";
    for tag in tags {
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
        let tags = ["pypy39", "cpython-312", "cpython-39", "cpython-311", "7"];
        assert_eq!(shown(tags.into_iter(), TagNames::Once), "7 cpython-39 311 312 pypy39");
        assert_eq!(shown(tags.into_iter(), TagNames::Each), "7 cpython-39 cpython-311 cpython-312 pypy39");
        assert_eq!(shown(std::iter::empty(), TagNames::Once), "");
    }
}
