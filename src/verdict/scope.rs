//! Which part of a store a prune may change. Scopes limit what the selectors match. Home of globset.

use crate::pyc::name;
use crate::source::owner::Owner;
use crate::store::aliases::Aliases;
use crate::store::entry::Entry;
use crate::store::scan::Visit;
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A part of a store. Every condition must hold; an empty list is no condition.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Only entries whose source is at or below one of these absolute paths.
    pub under: Vec<PathBuf>,
    /// Where entries of sources at or below those paths may be mirrored: the paths themselves, and directories that Python
    /// reached through a link and `..`. Everywhere when empty.
    pub mirrored: Vec<PathBuf>,
    /// Only entries that belong to one of these projects, environments or interpreters.
    pub owners: Vec<PathBuf>,
    /// Only entries with one of these cache tags.
    pub tags: Vec<String>,
    /// No entry whose source matches one of these globs.
    pub keep: Keep,
}

/// Globs over absolute source paths. `*` stays within a component, `**` crosses them.
///
/// On macOS the case of ASCII letters does not matter, because most volumes ignore it: a glob keeps rather too much. What
/// selects (`under`, `owners`) is compared as it is spelled everywhere: rather too little is removed.
#[derive(Debug, Clone, Default)]
pub struct Keep {
    globs: GlobSet,
    /// The globs as given; each adds two to the set.
    rules: Vec<String>,
    aliases: Arc<Aliases>,
}

/// An invalid glob.
#[derive(Debug, thiserror::Error)]
pub enum BadGlob {
    /// Its syntax is wrong.
    #[error("cannot understand the glob `{glob}`")]
    Syntax {
        /// The glob.
        glob: String,
        /// What is wrong with it.
        source: globset::Error,
    },
    /// It matches no absolute path.
    #[error("the glob `{glob}` matches nothing: it begins neither with / nor with **")]
    Relative {
        /// The glob.
        glob: String,
    },
    /// It could need too much memory.
    #[error(
        "the glob `{start}…` is longer than any path, or has braces nested more than {DEEPEST_BRACES} deep"
    )]
    Excessive {
        /// How it begins.
        start: String,
    },
    /// All of them together could need too much memory.
    #[error("the globs have more than {MOST_GLOB_BYTES} bytes altogether")]
    TooMany,
}

/// The longest glob in bytes: as long as a path may be (`PATH_MAX`).
const LONGEST_GLOB: usize = 4096;

/// The maximum length of all globs in bytes: building a set takes about two thousand times as much memory.
const MOST_GLOB_BYTES: usize = 64 << 10;

/// How deep braces may be nested in a glob: globset reads them by recursion.
const DEEPEST_BRACES: usize = 32;

/// Whether the case of letters matters in a glob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Matters,
    Ignored,
}

/// On this system.
const CASE: Case = if cfg!(target_os = "macos") { Case::Ignored } else { Case::Matters };

impl Keep {
    /// The set of these globs.
    ///
    /// # Errors
    /// The first invalid one.
    pub fn of<'a>(globs: impl IntoIterator<Item = &'a str>) -> Result<Keep, BadGlob> {
        Keep::built(globs, CASE)
    }

    fn built<'a>(globs: impl IntoIterator<Item = &'a str>, case: Case) -> Result<Keep, BadGlob> {
        let mut set = GlobSetBuilder::new();
        let mut rules = Vec::new();
        let mut bytes = 0;
        for glob in globs {
            for built in built(glob, case)? {
                set.add(built);
            }
            rules.push(glob.to_string());
            bytes += glob.len();
            if bytes > MOST_GLOB_BYTES {
                return Err(BadGlob::TooMany);
            }
        }
        let together = |source| BadGlob::Syntax { glob: "all of them together".into(), source };
        let globs = set.build().map_err(together)?;
        Ok(Keep { globs, rules, aliases: Arc::default() })
    }

    /// Checks that a glob is valid; its memory in a set is not checked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(glob: &str) -> Result<(), BadGlob> {
        built(glob, Case::Matters).map(drop)
    }

    /// The same; a source matches by any of its spellings.
    #[must_use]
    pub fn with_aliases(self, aliases: Arc<Aliases>) -> Keep {
        Keep { aliases, ..self }
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.globs.is_empty()
    }

    /// Whether a source's entries are kept; also if that cannot be determined.
    pub fn matches(&self, source: &Path) -> bool {
        if self.globs.is_empty() || self.globs.is_match(source) {
            return !self.globs.is_empty();
        }
        if self.aliases.is_empty() {
            return false;
        }
        if self.aliases.may_miss(source) {
            return true;
        }
        let real = self.aliases.real(source);
        real.as_ref().is_some_and(|real| self.globs.is_match(real))
            || self
                .aliases
                .spellings(real.as_deref().unwrap_or(source))
                .iter()
                .any(|spelled| self.globs.is_match(spelled))
    }
}

impl Keep {
    /// Returns the first glob that matches a source for which [`Keep::matches`] is true.
    fn rule(&self, source: &Path) -> &str {
        let real = self.aliases.real(source);
        let spellings = self.aliases.spellings(real.as_deref().unwrap_or(source));
        let mut paths =
            std::iter::once(source).chain(real.as_deref()).chain(spellings.iter().map(|it| &**it));
        let index = paths.find_map(|path| self.globs.matches(path).first().copied());
        index.map_or(UNKNOWN_RULE, |index| &self.rules[index / 2])
    }
}

/// Shown instead of a glob if the source may have a path that is not known.
const UNKNOWN_RULE: &str = "(the source may have another path)";

/// The pattern of a glob: a glob that matches a directory also matches everything below it.
fn built(glob: &str, case: Case) -> Result<[Glob; 2], BadGlob> {
    let depth = |(deepest, depth): (usize, usize), byte| match byte {
        b'{' => (deepest.max(depth + 1), depth + 1),
        b'}' => (deepest, depth.saturating_sub(1)),
        _ => (deepest, depth),
    };
    if glob.len() > LONGEST_GLOB || glob.bytes().fold((0, 0), depth).0 > DEEPEST_BRACES {
        return Err(BadGlob::Excessive { start: glob.chars().take(32).collect() });
    }
    if !glob.starts_with('/') && !glob.starts_with("**") {
        return Err(BadGlob::Relative { glob: glob.to_string() });
    }
    let build = |pattern: &str| {
        let mut builder = GlobBuilder::new(pattern);
        builder.literal_separator(true).empty_alternates(true).case_insensitive(case == Case::Ignored);
        builder.build().map_err(|source| BadGlob::Syntax { glob: glob.to_string(), source })
    };
    let clean = without_empty_components(glob);
    Ok([build(&clean)?, build(&format!("{}/**", clean.trim_end_matches('/')))?])
}

/// Where in a class of characters a glob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClassPart {
    /// In none.
    Outside,
    /// Behind its `[`.
    Start,
    /// Behind the `!` or `^` after that: like there, `]` is a member.
    Negated,
    /// Behind a member: `]` ends it.
    Members,
}

/// The glob without what makes no difference in a path, but would match no source: repeated slashes and the component `.`.
fn without_empty_components(glob: &str) -> String {
    let mut components = vec![String::new()];
    let (mut class, mut is_escaped) = (ClassPart::Outside, false);
    for character in glob.chars() {
        let was_escaped = std::mem::take(&mut is_escaped);
        class = match (class, character) {
            (ClassPart::Outside, '[') if !was_escaped => ClassPart::Start,
            (ClassPart::Outside, _) => ClassPart::Outside,
            (ClassPart::Start, '!' | '^') => ClassPart::Negated,
            (ClassPart::Start | ClassPart::Negated, _) => ClassPart::Members,
            (ClassPart::Members, ']') => ClassPart::Outside,
            (ClassPart::Members, _) => ClassPart::Members,
        };
        match components.last_mut() {
            Some(component) if character != '/' || class != ClassPart::Outside => component.push(character),
            Some(component) => {
                if was_escaped {
                    component.pop();
                }
                components.push(String::new());
            }
            None => {}
        }
        is_escaped = character == '\\' && !was_escaped && class == ClassPart::Outside;
    }
    let root = if glob.starts_with('/') { "/" } else { "" };
    components.retain(|component| !component.is_empty() && component != ".");
    root.to_string() + &components.join("/")
}

impl Scope {
    /// Whether nothing is excluded.
    pub fn is_everything(&self) -> bool {
        self.under.is_empty() && self.owners.is_empty() && self.tags.is_empty() && self.keep.is_empty()
    }

    /// Whether an entry of a scanned directory is in the scope.
    pub fn admits_entry(&self, visit: &Visit<'_>, entry: &Entry<'_>) -> bool {
        if self.is_everything() {
            return true;
        }
        let source = entry.source_path(&visit.source_directory());
        let (Some(slot), Some(source)) = (entry.parsed.slot(), source) else { return false };
        self.admits(&source, slot.tag, || visit.owner())
    }

    /// Returns the glob that keeps an entry which the rest of the scope admits, if there is one.
    pub fn kept_by(&self, visit: &Visit<'_>, entry: &Entry<'_>) -> Option<&str> {
        let (slot, source) = (entry.parsed.slot()?, entry.source_path(&visit.source_directory())?);
        let is_kept = self.keep.matches(&source) && self.selects(&source, slot.tag, || visit.owner());
        is_kept.then(|| self.keep.rule(&source))
    }

    /// Whether an empty directory of the store is in the scope. It has no tag and no owner.
    pub fn admits_directory(&self, relative: &[u8]) -> bool {
        let sources = name::source_directory(relative);
        self.owners.is_empty()
            && self.tags.is_empty()
            && !self.keep.matches(&sources)
            && (self.under.is_empty() || self.under.iter().any(|under| sources.starts_with(under)))
    }

    /// Whether an entry with this source, cache tag and owner is in the scope.
    pub fn admits(&self, source: &Path, tag: &str, owner: impl FnOnce() -> Arc<Owner>) -> bool {
        !self.keep.matches(source) && self.selects(source, tag, owner)
    }

    /// The same, without `keep`.
    pub fn selects(&self, source: &Path, tag: &str, owner: impl FnOnce() -> Arc<Owner>) -> bool {
        let is_owned = || {
            let owner = owner();
            self.owners.iter().any(|wanted| owner.is_at(wanted))
        };
        (self.under.is_empty() || self.under.iter().any(|under| source.starts_with(under)))
            && (self.tags.is_empty() || self.tags.iter().any(|wanted| wanted == tag))
            && (self.owners.is_empty() || is_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::owner::directory_owner;

    fn admits(scope: &Scope, source: &str) -> bool {
        scope.admits(Path::new(source), "cpython-312", || Arc::new(directory_owner(Path::new("/a/p"))))
    }

    #[test]
    fn every_condition_narrows() {
        let everything = Scope::default();
        assert!(everything.is_everything() && admits(&everything, "/a/p/m.py"));
        let under = Scope { under: vec!["/a/p".into()], ..Scope::default() };
        assert!(admits(&under, "/a/p/m.py") && admits(&under, "/a/p") && !admits(&under, "/a/pq/m.py"));
        let tag = Scope { tags: vec!["cpython-39".into()], ..Scope::default() };
        assert!(!admits(&tag, "/a/p/m.py"));
        let owner = Scope { owners: vec!["/a/q".into()], ..Scope::default() };
        assert!(!admits(&owner, "/a/p/m.py"));
        let both = Scope { under: vec!["/a".into()], owners: vec!["/a/p".into()], ..Scope::default() };
        assert!(admits(&both, "/a/p/m.py"));
    }

    #[test]
    fn on_macos_globs_keep_in_any_case() {
        let keeps = |case: Case, source: &str| {
            let keep = Keep::built(["/Users/me/Work/**"], case).unwrap();
            keep.matches(Path::new(source))
        };
        for case in [Case::Matters, Case::Ignored] {
            assert!(keeps(case, "/Users/me/Work/m.py") && !keeps(case, "/Users/me/Works/m.py"));
        }
        assert!(keeps(Case::Ignored, "/users/me/work/m.py") && !keeps(Case::Matters, "/users/me/work/m.py"));
    }

    #[test]
    fn globs_keep() {
        let keep = Keep::of(["/a/*/keep", "/b/**/x_*.py"]).unwrap();
        assert!(keep.matches(Path::new("/a/p/keep/deep/m.py")) && keep.matches(Path::new("/b/c/d/x_1.py")));
        assert!(!keep.matches(Path::new("/a/p/q/keep/m.py")) && !keep.matches(Path::new("/b/y.py")));
        assert!(Keep::of(["work/**"]).unwrap_err().to_string().contains("matches nothing"));
        assert!(Keep::of(["/a/[z"]).unwrap_err().to_string().contains("/a/[z"));
        let nested = |depth: usize| format!("/{}b{}", "{a,".repeat(depth), "}".repeat(depth));
        assert!(Keep::of([nested(DEEPEST_BRACES).as_str()]).unwrap().matches(Path::new("/b")));
        // One after another they are not nested.
        assert!(Keep::of([format!("/{}", "{b}".repeat(DEEPEST_BRACES + 1)).as_str()]).is_ok());
        assert!(Keep::check(&format!("/{}", "b".repeat(LONGEST_GLOB - 1))).is_ok());
        assert!(Keep::check(&format!("/{}", "b".repeat(LONGEST_GLOB))).is_err());
        for glob in [
            nested(DEEPEST_BRACES + 1),
            nested(100_000),
            "{".repeat(4000),
            format!("/{{{}", "ab,".repeat(100_000)),
            format!("/{}", "?".repeat(5000)),
            format!("/{}", "[!a]".repeat(5000)),
            format!("/{}", "**/".repeat(5000)),
        ] {
            let error = Keep::of([glob.as_str()]).unwrap_err().to_string();
            assert!(error.contains("longer than any path") && error.len() < 200, "{error}");
            assert!(Keep::check(&glob).is_err());
        }
        let many = vec!["/a*b"; MOST_GLOB_BYTES / 4];
        assert!(Keep::of(many[..100].iter().copied()).is_ok());
        let error = Keep::of(many.into_iter().chain(["/"])).unwrap_err().to_string();
        assert!(error.contains("65536 bytes altogether"), "{error}");
    }

    #[test]
    fn globs_keep_however_their_slashes_are_spelled() {
        for glob in [
            "/a/keep//**",
            "/a//keep/**",
            "//a/keep",
            "/a/./keep/**",
            "/a/keep/.",
            "/./a/k?ep//./**",
            "**//keep/**",
            "/a/[/.k]eep/.//",
            "/a/[!!]eep//./**",
            "/a/keep\\/",
            "/a/keep{,2}/**",
        ] {
            let keep = Keep::of([glob]).unwrap();
            assert!(keep.matches(Path::new("/a/keep/m.py")), "{glob}");
            assert!(!keep.matches(Path::new("/a/other/m.py")), "{glob}");
        }
        assert!(Keep::of(["/a/.keep/..x/*"]).unwrap().matches(Path::new("/a/.keep/..x/m.py")));
    }

    #[test]
    fn the_first_glob_that_keeps_is_named() {
        let keep = Keep::of(["/a/*/keep", "/b/**/x_*.py", "/b"]).unwrap();
        for (source, rule) in [
            ("/a/p/keep", "/a/*/keep"),
            ("/a/p/keep/deep/m.py", "/a/*/keep"),
            ("/b/c/x_1.py", "/b/**/x_*.py"),
            ("/b/m.py", "/b"),
            ("/c", UNKNOWN_RULE),
        ] {
            assert_eq!(keep.rule(Path::new(source)), rule, "{source}");
        }
    }

    #[test]
    fn a_directory_has_no_tag_and_no_owner() {
        let keep = Keep::of(["/a/keep"]).unwrap();
        let under = Scope { under: vec!["/a/p".into(), "/a/keep".into()], ..Scope::default() };
        for (scope, is_everything, admitted) in [
            (Scope::default(), true, ["a/p", "a/p/deep", "a/pq", "a/keep/deep"].as_slice()),
            (under.clone(), false, &["a/p", "a/p/deep", "a/keep/deep"]),
            (Scope { keep: keep.clone(), ..Scope::default() }, false, &["a/p", "a/p/deep", "a/pq"]),
            (Scope { keep, ..under.clone() }, false, &["a/p", "a/p/deep"]),
            (Scope { tags: vec!["cpython-312".into()], ..Scope::default() }, false, &[]),
            (Scope { tags: vec!["cpython-312".into()], ..under.clone() }, false, &[]),
            (Scope { owners: vec!["/a/p".into()], ..Scope::default() }, false, &[]),
            (Scope { owners: vec!["/a/p".into()], ..under }, false, &[]),
        ] {
            assert_eq!(scope.is_everything(), is_everything, "{scope:?}");
            let mut directories = vec!["a/p", "a/p/deep", "a/pq", "a/keep/deep"];
            directories.retain(|directory| scope.admits_directory(directory.as_bytes()));
            assert_eq!(directories, admitted, "{scope:?}");
        }
        assert!(Keep::default().is_empty() && !Keep::of(["/a"]).unwrap().is_empty());
    }
}
