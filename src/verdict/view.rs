//! Views: the files grouped by something else than their owner, or only some of them.
//!
//! Nothing here is computed unless a view is requested. Each worker groups the files that it finds; steps that need all
//! groups (a tree of directories, the order, the rest that is not shown) are done once at the end.
//!
//! # Invariants
//!
//! * Every file that the [`Focus`] admits is in exactly one group: with what several groups share ([`shared`]), their
//!   tallies sum to the total of the [`super::usage::Usage`], and so do the shown groups and the rest. In a tree a directory includes everything below it,
//!   so the topmost one has the total.

use super::share::{LinkedFiles, Share};
use crate::pyc::name::Name;
use crate::pyc::tags::Tag;
use crate::source::owner::{Owner, OwnerKind, Spellings};
use crate::source::package::{PackagePlace, Packages};
use crate::store::entry::Entry;
use crate::store::scan::Visit;
use crate::units::Moment;
use crate::verdict::status::Status;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What files are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// Their owner.
    Owner,
    /// The distribution that their source belongs to.
    Package,
    /// Their cache tag.
    Tag,
    /// Their status.
    Status,
    /// The kind of their owner.
    Kind,
    /// The directory of their source.
    Directory,
    /// Their source.
    Source,
}

impl Dimension {
    /// The name in headings and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Dimension::Owner => "owner",
            Dimension::Package => "package",
            Dimension::Tag => "tag",
            Dimension::Status => "status",
            Dimension::Kind => "kind",
            Dimension::Directory => "directory",
            Dimension::Source => "source",
        }
    }
}

/// What a group has in common in one dimension.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The owner.
    Owner(Arc<Owner>),
    /// The package; none for files outside packages.
    Package(Option<Arc<str>>),
    /// The cache tag; none for foreign files.
    Tag(Option<Tag>),
    /// The status, by name.
    Status(&'static str),
    /// The kind of owner.
    Kind(OwnerKind),
    /// The directory of sources.
    Directory(PathBuf),
    /// The source; of a foreign file, where its source would be if it were an entry of that name.
    Source(PathBuf),
    /// A directory of sources outside any site-packages: becomes a package when all environments are known.
    Unpackaged(PathBuf),
}

/// Which files are counted.
#[derive(Debug, Clone, Default)]
pub struct Focus {
    /// Only those whose source is at or below one of these paths; everywhere when empty.
    pub under: Vec<PathBuf>,
    /// Only those of the owner at one of these paths; those of all owners when empty.
    pub owners: Vec<PathBuf>,
}

impl Focus {
    /// Whether the directory of a visit counts, with its own disk usage.
    pub(crate) fn admits_directory(&self, visit: &Visit<'_>) -> bool {
        (self.owners.is_empty() || self.admits_owner(&visit.owner()))
            && (self.under.is_empty() || is_under(&visit.source_directory(), &self.under))
    }

    pub(crate) fn admits_owner(&self, owner: &Owner) -> bool {
        self.owners.is_empty() || self.owners.iter().any(|wanted| owner.is_at(wanted))
    }

    pub(crate) fn admits_entry(&self, entry: &Entry<'_>, sources: &Path) -> bool {
        self.under.is_empty() || is_under(&source_of(entry, sources), &self.under)
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.under.is_empty() && self.owners.is_empty()
    }
}

fn is_under(path: &Path, places: &[PathBuf]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

fn source_of(entry: &Entry<'_>, sources: &Path) -> PathBuf {
    match entry.source_path(sources) {
        Some(source) => source,
        None => sources.join(OsStr::from_bytes(entry.name)),
    }
}

/// What the groups are made by.
#[derive(Debug, Default)]
pub struct View {
    /// The dimensions, in the order in which they are shown.
    pub dimensions: Vec<Dimension>,
    /// What is known of packages.
    pub packages: Packages,
}

/// The groups of one worker.
pub(crate) type Groups = HashMap<Vec<Key>, Share>;

impl View {
    /// The keys of an entry in a visited directory.
    pub(crate) fn keys(&self, visit: &Visit<'_>, entry: &Entry<'_>, status: Status) -> Vec<Key> {
        let key = |dimension: &Dimension| match dimension {
            Dimension::Owner => Key::Owner(visit.owner()),
            Dimension::Kind => Key::Kind(visit.owner().kind),
            Dimension::Status => Key::Status(status.name()),
            Dimension::Tag => Key::Tag(match entry.parsed {
                Name::Foreign => None,
                Name::Bytecode(slot) | Name::Temporary(slot) => Some(slot.tag.into()),
            }),
            Dimension::Directory => Key::Directory(visit.source_directory()),
            Dimension::Source => Key::Source(source_of(entry, &visit.source_directory())),
            Dimension::Package => match entry.source_name() {
                None => Key::Package(None),
                Some(name) => {
                    let sources = visit.source_directory();
                    match self.packages.place(&sources, &name, &visit.owner()) {
                        PackagePlace::In(package) => Key::Package(Some(package)),
                        PackagePlace::Elsewhere => Key::Unpackaged(sources),
                    }
                }
            },
        };
        self.dimensions.iter().map(key).collect()
    }

    /// Joins the workers' groups.
    pub(crate) fn collect(&self, parts: Vec<Groups>, spellings: &Spellings) -> Vec<Group> {
        let mut packages: HashMap<PathBuf, Option<Arc<str>>> = HashMap::new();
        let mut groups: BTreeMap<Vec<Key>, Share> = BTreeMap::new();
        for (mut keys, share) in parts.into_iter().flatten() {
            for key in &mut keys {
                match key {
                    Key::Owner(owner) => *owner = Arc::new(spellings.head(owner)),
                    Key::Unpackaged(directory) => {
                        let find = || self.packages.editable(directory);
                        let package = packages.entry(directory.clone()).or_insert_with(find).clone();
                        *key = Key::Package(package);
                    }
                    _ => {}
                }
            }
            groups.entry(keys).or_default().join(share);
        }
        groups.into_iter().map(|(keys, share)| Group { keys, share, depth: 0, is_rest: None }).collect()
    }
}

/// A group of files, a row of a view.
#[derive(Debug, Clone)]
pub struct Group {
    /// What they have in common, one key a dimension; none for the rest.
    pub keys: Vec<Key>,
    /// Their disk usage.
    pub share: Share,
    /// The depth in the tree; zero if there is no tree.
    pub depth: usize,
    /// The number of groups in it, if it is the rest that is not shown.
    pub is_rest: Option<usize>,
}

/// The files of which several of these groups have links. In a tree the topmost directory has all links.
pub fn shared(groups: &[Group]) -> LinkedFiles {
    let mut shared = LinkedFiles::default();
    groups.iter().filter(|group| group.depth == 0).for_each(|group| shared.extend(&group.share.links));
    shared
}

/// What comes first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The largest first, with what others have too.
    #[default]
    Size,
    /// Those with the most files first.
    Files,
    /// Those with the most reclaimable disk usage first.
    Reclaimable,
    /// The most recently used first.
    LastUsed,
    /// By name.
    Name,
}

impl Order {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Order::Size => "size",
            Order::Files => "files",
            Order::Reclaimable => "reclaimable",
            Order::LastUsed => "last-used",
            Order::Name => "name",
        }
    }
}

/// What counts as size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Disk usage.
    Disk,
    /// Apparent size.
    Length,
}

/// Directories of a tree that contain only one directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chains {
    /// They share the row and level of that directory.
    Folded,
    /// Each has its own row and level.
    Whole,
}

/// How groups are arranged.
#[derive(Debug, Clone, Copy)]
pub struct Arrangement {
    /// What comes first.
    pub order: Order,
    /// What counts as size.
    pub measure: Measure,
    /// How many groups are shown, in a tree of each directory; all without a number. The others become one, the rest.
    pub top: Option<usize>,
    /// How many levels of directories are told apart.
    pub depth: Option<usize>,
    /// Whether each directory of a tree has its row.
    pub chains: Chains,
}

impl Arrangement {
    /// The groups as they are shown. With directories alone they are a tree.
    ///
    /// `base` is where its levels are counted from; none: the deepest directory that has everything in it.
    pub fn arrange(&self, groups: Vec<Group>, base: Option<&Path>) -> Vec<Group> {
        let directory_at = |group: &Group| group.keys.iter().position(|key| matches!(key, Key::Directory(_)));
        let Some(at) = groups.first().and_then(directory_at) else { return self.ordered(groups) };
        let directories = groups.iter().filter_map(|group| match &group.keys[at] {
            Key::Directory(path) => Some(path.as_path()),
            _ => None,
        });
        let common = common_ancestor(directories);
        let base = match base {
            // A path that is a source itself has its directory for a base.
            Some(base) if common.starts_with(base) => base.to_path_buf(),
            _ => common,
        };
        if groups[0].keys.len() == 1 {
            return self.tree(groups, &base);
        }
        let mut folded: BTreeMap<Vec<Key>, Share> = BTreeMap::new();
        for Group { mut keys, share, .. } in groups {
            let Key::Directory(path) = &mut keys[at] else { continue };
            let depth = path.components().count().saturating_sub(base.components().count());
            for _ in self.depth.unwrap_or(usize::MAX).min(depth)..depth {
                path.pop();
            }
            folded.entry(keys).or_default().join(share);
        }
        let groups = folded.into_iter().map(|(keys, share)| Group { keys, share, depth: 0, is_rest: None });
        self.ordered(groups.collect())
    }

    /// The directories from `base` downwards, each with everything below it.
    fn tree(&self, groups: Vec<Group>, base: &Path) -> Vec<Group> {
        let mut sums: BTreeMap<PathBuf, Share> = BTreeMap::new();
        for group in groups {
            if let Some(Key::Directory(path)) = group.keys.into_iter().next() {
                sums.entry(path).or_default().join(group.share);
            }
        }
        let mut below: HashMap<Option<PathBuf>, Vec<Group>> = HashMap::new();
        // A directory comes before all that is below it, so the last is complete.
        while let Some((path, share)) = sums.pop_last() {
            let parent = path.parent().filter(|_| path != base).map(Path::to_path_buf);
            if let Some(parent) = &parent {
                sums.entry(parent.clone()).or_default().join(share.clone());
            }
            let keys = vec![Key::Directory(path)];
            below.entry(parent).or_default().push(Group { keys, share, depth: 0, is_rest: None });
        }
        let mut waiting = below.remove(&None).unwrap_or_default();
        let mut children = |group: &Group| match group.keys.as_slice() {
            [Key::Directory(path)] => below.remove(&Some(path.clone())).unwrap_or_default(),
            _ => Vec::new(),
        };
        let mut tree = Vec::new();
        while let Some(mut group) = waiting.pop() {
            let mut inside = children(&group);
            while self.chains == Chains::Folded
                && let [only] = inside.as_slice()
                && only.share.tally.files == group.share.tally.files
            {
                group.keys.clone_from(&only.keys);
                inside = children(&group);
            }
            if self.depth.is_none_or(|depth| group.depth < depth) {
                let inside = self.ordered(inside).into_iter();
                waiting.extend(inside.map(|child| Group { depth: group.depth + 1, ..child }).rev());
            }
            tree.push(group);
        }
        tree
    }

    /// Returns the groups in order, with those beyond the top joined into one.
    fn ordered(&self, mut groups: Vec<Group>) -> Vec<Group> {
        groups.sort_by_cached_key(|group| (Reverse(self.rank(&group.share)), group.keys.clone()));
        let Some(rest) = self.top.filter(|&top| top < groups.len()).map(|top| groups.split_off(top)) else {
            return groups;
        };
        let count = rest.len();
        let mut share = Share::default();
        for group in rest {
            share.join(group.share);
        }
        groups.push(Group { keys: Vec::new(), share, depth: 0, is_rest: Some(count) });
        groups
    }

    fn rank(&self, share: &Share) -> (u64, Option<Moment>) {
        let room = |tally: crate::units::Tally| match self.measure {
            Measure::Disk => tally.disk,
            Measure::Length => tally.bytes,
        };
        match self.order {
            Order::Size => (room(share.held()), None),
            Order::Files => (share.tally.files, None),
            Order::Reclaimable => (room(share.reclaimable), None),
            Order::LastUsed => (0, share.last_used),
            Order::Name => (0, None),
        }
    }
}

fn common_ancestor<'a>(mut paths: impl Iterator<Item = &'a Path>) -> PathBuf {
    let mut common = paths.next().unwrap_or(Path::new("/")).to_path_buf();
    for path in paths {
        while !path.starts_with(&common) {
            common.pop();
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Tally;
    use proptest::prelude::*;

    fn directory(path: &str, disk: u64) -> Group {
        let share = Share { tally: Tally::file(1, disk), ..Share::default() };
        Group { keys: vec![Key::Directory(path.into())], share, depth: 0, is_rest: None }
    }

    fn arrangement(top: Option<usize>, depth: Option<usize>) -> Arrangement {
        Arrangement { order: Order::Size, measure: Measure::Disk, top, depth, chains: Chains::Whole }
    }

    /// `depth path disk`, `+n` for the rest.
    fn lines(groups: &[Group]) -> Vec<String> {
        let name = |group: &Group| match group.keys.first() {
            Some(Key::Directory(path)) => path.display().to_string(),
            _ => format!("+{}", group.is_rest.unwrap()),
        };
        groups
            .iter()
            .map(|group| format!("{} {} {}", group.depth, name(group), group.share.tally.disk))
            .collect()
    }

    #[test]
    fn directories_are_a_tree_in_which_each_has_what_is_below_it() {
        let groups = vec![
            directory("/h/a/x", 1),
            directory("/h/a", 2),
            directory("/h/b/y/z", 9),
            directory("/h/c", 4),
        ];
        let tree = |top, depth, base: Option<&str>| {
            lines(&arrangement(top, depth).arrange(groups.clone(), base.map(Path::new)))
        };
        assert_eq!(
            tree(None, None, None),
            ["0 /h 16", "1 /h/b 9", "2 /h/b/y 9", "3 /h/b/y/z 9", "1 /h/c 4", "1 /h/a 3", "2 /h/a/x 1"]
        );
        assert_eq!(tree(Some(1), Some(1), None), ["0 /h 16", "1 /h/b 9", "1 +2 7"]);
        assert_eq!(tree(None, Some(1), Some("/")), ["0 / 16", "1 /h 16"]);
        assert_eq!(tree(None, Some(0), None), ["0 /h 16"]);
        let folded = |depth, base: &str| {
            let arrangement = Arrangement { chains: Chains::Folded, ..arrangement(None, depth) };
            lines(&arrangement.arrange(groups.clone(), Some(Path::new(base))))
        };
        assert_eq!(folded(Some(1), "/"), ["0 /h 16", "1 /h/b/y/z 9", "1 /h/c 4", "1 /h/a 3"]);
        assert_eq!(folded(None, "/h/b"), folded(None, "/"), "only what is above everything is a base");
    }

    #[test]
    fn every_order_has_its_first() {
        let used = |seconds| Some(Moment { seconds, nanoseconds: 0 });
        let group = |path: &str, files, disk, gone, last_used| {
            let tally = Tally { files, bytes: 100 - disk, disk };
            let share = Share { tally, reclaimable: Tally::file(gone, gone), last_used, ..Share::default() };
            Group { share, keys: vec![Key::Source(path.into())], ..directory("/", 0) }
        };
        let groups = vec![
            group("/e", 1, 9, 1, used(1)),
            group("/d", 9, 2, 2, used(2)),
            group("/c", 2, 3, 9, used(3)),
            group("/b", 3, 4, 4, used(9)),
            group("/a", 4, 1, 3, None),
        ];
        for (order, measure, first) in [
            (Order::Size, Measure::Disk, "/e"),
            (Order::Size, Measure::Length, "/a"),
            (Order::Files, Measure::Disk, "/d"),
            (Order::Reclaimable, Measure::Disk, "/c"),
            (Order::LastUsed, Measure::Disk, "/b"),
            (Order::Name, Measure::Disk, "/a"),
        ] {
            let arrangement = Arrangement { order, measure, ..arrangement(None, None) };
            let arranged = arrangement.arrange(groups.clone(), None);
            assert_eq!(arranged[0].keys, [Key::Source(first.into())], "{order:?} {measure:?}");
        }
    }

    proptest! {
        #[test]
        fn the_rest_and_the_tree_keep_the_total(
            files in proptest::collection::vec(("(/[ab]){0,4}", 1_u64..99), 1..20),
            top in proptest::option::of(0_usize..5),
            depth in proptest::option::of(0_usize..5),
        ) {
            let total: u64 = files.iter().map(|(_, disk)| disk).sum();
            let groups = files.iter().map(|(path, disk)| directory(&format!("/{path}"), *disk)).collect();
            let tree = arrangement(top, depth).arrange(groups, None);
            prop_assert_eq!(tree[0].share.tally.disk, total);
            let flat = files.iter().map(|(path, disk)| Group {
                keys: vec![Key::Source(path.into())],
                ..directory("/", *disk)
            });
            let flat = arrangement(top, depth).arrange(flat.collect(), None);
            prop_assert_eq!(flat.iter().map(|group| group.share.tally.disk).sum::<u64>(), total);
            prop_assert!(flat.len() <= top.map_or(files.len(), |top| top + 1));
        }
    }
}
