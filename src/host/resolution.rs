//! Follows a path as the kernel does (path_resolution(7)), one component at a time, so that each one can be looked at.
//!
//! # Invariants
//!
//! * The paths given for components have no symbolic links in them.
//! * What was passed is not looked at again: who decides by the metadata of a directory, decides by what it had when it was
//!   entered.

use crate::host::directory::link_loop;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The number of symbolic links that the kernel follows in one path.
pub(crate) const MOST_LINKS: usize = 40;

/// A component of a path.
#[derive(Debug, Clone)]
pub struct PathComponent {
    /// Its path, with links resolved.
    pub path: PathBuf,
    /// What `lstat` answered.
    pub metadata: Metadata,
}

/// How far a path has been followed.
#[derive(Debug)]
pub struct Resolution {
    /// The components from `/` to the current one, none of them a link; never empty.
    entered: Vec<PathComponent>,
    /// The names that follow, the next one last.
    ahead: Vec<OsString>,
    links: usize,
}

/// What one step led to.
#[derive(Debug)]
pub enum Advance {
    /// A file or directory that is no link: now the current component.
    Entered,
    /// This link: its target is followed next.
    Link(PathComponent),
    /// The parent of the last component, by `..`.
    Parent,
}

impl Resolution {
    /// Begins at `/` with the absolute path `path` ahead.
    ///
    /// # Errors
    /// What `lstat` answers for `/`.
    pub fn of(path: &Path) -> io::Result<Resolution> {
        let path_of_root = PathBuf::from("/");
        let metadata = path_of_root.symlink_metadata()?;
        let entered = vec![PathComponent { path: path_of_root, metadata }];
        let mut resolution = Resolution { entered, ahead: Vec::new(), links: 0 };
        resolution.put_ahead(path);
        Ok(resolution)
    }

    /// The component that the path has led to so far.
    pub fn current(&self) -> &PathComponent {
        self.entered.last().expect("`/` is never left")
    }

    /// The component in which the current one is; none for `/`.
    pub fn parent(&self) -> Option<&PathComponent> {
        self.entered.len().checked_sub(2).map(|at| &self.entered[at])
    }

    /// The next name, or `..`; none at the end of the path.
    pub fn next_name(&self) -> Option<&OsStr> {
        self.ahead.last().map(OsString::as_os_str)
    }

    /// The current component with all that follows: the resolved path where nothing more exists.
    pub fn rest_in_place(&self) -> PathBuf {
        self.ahead.iter().rev().fold(self.current().path.clone(), |path, name| path.join(name))
    }

    /// Follows the next name; `None` at the end of the path. A name that leads nowhere stays ahead.
    ///
    /// # Errors
    /// What `lstat` or `readlink` answers, `ENOENT` for a missing name among them; `ELOOP` for more links than the kernel
    /// follows.
    pub fn advance(&mut self) -> Option<io::Result<Advance>> {
        let name = self.ahead.last()?;
        if name == ".." {
            self.ahead.pop();
            // The parent of `/` is `/`.
            self.entered.truncate((self.entered.len() - 1).max(1));
            return Some(Ok(Advance::Parent));
        }
        let path = self.current().path.join(name);
        Some(path.symlink_metadata().and_then(|metadata| self.reach(PathComponent { path, metadata })))
    }

    fn reach(&mut self, component: PathComponent) -> io::Result<Advance> {
        if !component.metadata.is_symlink() {
            self.ahead.pop();
            self.entered.push(component);
            return Ok(Advance::Entered);
        }
        if self.links == MOST_LINKS {
            return Err(link_loop());
        }
        self.links += 1;
        let target = component.path.read_link()?;
        self.ahead.pop();
        if target.is_absolute() {
            self.entered.truncate(1);
        }
        self.put_ahead(&target);
        Ok(Advance::Link(component))
    }

    fn put_ahead(&mut self, path: &Path) {
        let is_name =
            |component: &Component<'_>| matches!(component, Component::Normal(_) | Component::ParentDir);
        let names = path.components().filter(is_name).map(|component| component.as_os_str().to_os_string());
        self.ahead.extend(names.rev());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// What a path leads to as far as it exists, the links on the way, and why it leads no further.
    fn followed(path: &Path) -> (PathBuf, Vec<PathBuf>, Option<io::ErrorKind>) {
        let mut resolution = Resolution::of(path).unwrap();
        let mut links = Vec::new();
        loop {
            match resolution.advance() {
                None => return (resolution.current().path.clone(), links, None),
                Some(Ok(Advance::Link(link))) => links.push(link.path),
                Some(Ok(Advance::Entered | Advance::Parent)) => {}
                Some(Err(error)) => return (resolution.rest_in_place(), links, Some(error.kind())),
            }
        }
    }

    #[test]
    fn a_path_leads_to_what_the_kernel_resolves_it_to() {
        let (_temporary, base) = crate::temporary::directory();
        std::fs::create_dir_all(base.join("real/deep")).unwrap();
        std::fs::write(base.join("real/file"), "").unwrap();
        symlink("real/deep", base.join("link")).unwrap();
        symlink(base.join("link"), base.join("absolute")).unwrap();
        symlink("missing/x", base.join("dangling")).unwrap();
        for (path, end, links) in [
            ("real/./file", "real/file", &[][..]),
            ("link/../file", "real/file", &["link"]),
            ("absolute/..", "real", &["absolute", "link"]),
        ] {
            let path = base.join(path);
            let links = links.iter().map(|link| base.join(link)).collect();
            assert_eq!(followed(&path), (base.join(end), links, None));
            assert_eq!(path.canonicalize().unwrap(), base.join(end));
        }
        let missing = Some(io::ErrorKind::NotFound);
        let links = vec![base.join("dangling")];
        assert_eq!(followed(&base.join("dangling/y")), (base.join("missing/x/y"), links, missing));
        assert_eq!(followed(&base.join("real/file/x")).2, Some(io::ErrorKind::NotADirectory));
        assert_eq!(followed(Path::new("/../..")), (PathBuf::from("/"), Vec::new(), None));
    }

    #[test]
    fn as_many_links_are_followed_as_the_kernel_follows() {
        let (_temporary, base) = crate::temporary::directory();
        symlink("loop", base.join("loop")).unwrap();
        let (_, links, why) = followed(&base.join("loop"));
        assert_eq!((links.len(), why), (MOST_LINKS, Some(link_loop().kind())));
        std::fs::write(base.join("0"), "").unwrap();
        for number in 1..=MOST_LINKS + 1 {
            symlink((number - 1).to_string(), base.join(number.to_string())).unwrap();
        }
        for number in [MOST_LINKS, MOST_LINKS + 1] {
            let path = base.join(number.to_string());
            assert_eq!(followed(&path).2.is_none(), path.metadata().is_ok(), "{number}");
        }
    }
}
