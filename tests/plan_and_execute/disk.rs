//! What lies on the disk, before and after.

use pycstore::host::directory::Resolver;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a tree is: of each path its kind, inode and contents.
pub type Tree = BTreeMap<PathBuf, (fs::FileType, u64, Vec<u8>)>;

/// The kernel's way, where it has one, and the other.
pub const RESOLVERS: [Option<Resolver>; 2] = [None, Some(Resolver::Components)];

/// Gives a place a hard link of each file of a directory, and those below it.
pub fn link_all(directory: &Path, outside: &Path) {
    for entry in walkdir::WalkDir::new(directory).min_depth(1) {
        let entry = entry.unwrap();
        let path = outside.join(entry.path().strip_prefix(directory).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::hard_link(entry.path(), path).unwrap();
        }
    }
}

pub fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1) {
        let entry = entry.unwrap();
        let contents = match entry.file_type() {
            kind if kind.is_file() => fs::read(entry.path()).unwrap(),
            kind if kind.is_symlink() => {
                fs::read_link(entry.path()).unwrap().into_os_string().into_encoded_bytes()
            }
            _ => Vec::new(),
        };
        let inode = entry.metadata().unwrap().ino();
        tree.insert(entry.path().to_path_buf(), (entry.file_type(), inode, contents));
    }
    tree
}
