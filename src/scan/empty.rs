//! An empty directory of the store: whether the directory of sources that it mirrors is definitely deleted.
//!
//! Elsewhere entries tell: one that was written after the last deletion belongs to a source that is only out of sight. An
//! empty directory has none, so its own age tells. CPython makes one and only then writes into it, and some it needs only
//! as the way to others (`STORE/p/tests/../src`): also for sources in a container or on a volume that we do not see.

use crate::directory::Directory;
use crate::owner::Presence;
use crate::source::Ground;
use crate::units::Moment;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What became of the directory of sources at a path where nothing is, given the empty directory that mirrors it. In
/// doubt it cannot be told.
pub(super) fn presence(ground: &Ground, directory: &Directory, sources: &Path) -> Presence {
    if ground.is_assumed_gone(sources) {
        return Presence::Absent;
    }
    match (directory.made(), last_change(sources)) {
        (Ok(Some(made)), Some(change)) if made <= change => Presence::Absent,
        _ => Presence::Unreachable,
    }
}

/// When a name was last deleted on the way to a path: the last change of the nearest directory that exists, and of all
/// symbolic links on the way.
fn last_change(path: &Path) -> Option<Moment> {
    let changed = |metadata: std::fs::Metadata| Moment {
        seconds: metadata.ctime(),
        nanoseconds: metadata.ctime_nsec() as u32,
    };
    let nearest = path.ancestors().find_map(|ancestor| ancestor.metadata().ok())?;
    let links = path.ancestors().filter_map(|ancestor| ancestor.symlink_metadata().ok());
    let links = links.filter(std::fs::Metadata::is_symlink).map(changed);
    links.chain([changed(nearest)]).max()
}
