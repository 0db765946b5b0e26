//! Bytecode in trees of sources, and runs of `pycstore sweep` on it.

use super::{Answer, Interpreter, World, answer, assert_only_gone, implementations};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The same in every optimization, by every interpreter.
pub fn compile_everything(world: &World, paths: &[&Path]) {
    // One process for all: with `-O`, some interpreters compile their own library first.
    const CODE: &str = "
import compileall, os, sys
for optimize in 0, 1, 2:
    for path in sys.argv[1:]:
        compile = compileall.compile_dir if os.path.isdir(path) else compileall.compile_file
        assert compile(path, quiet=1, optimize=optimize)";
    for interpreter in implementations() {
        let mut command = world.command(&interpreter.path);
        answer(command.args(["-B", "-c", CODE]).args(paths)).exits(0);
    }
}

/// The `__pycache__` directories below a path.
pub fn caches(root: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    entries.filter(|it| it.file_name() == "__pycache__").map(walkdir::DirEntry::into_path).collect()
}

pub fn paths(of: &[PathBuf]) -> Vec<&Path> {
    of.iter().map(PathBuf::as_path).collect()
}

/// Where an interpreter keeps the bytecode of a source without a prefix.
pub fn cached(source: &Path, interpreter: &Interpreter, optimization: &str) -> PathBuf {
    let name = pycstore::pyc::name::entry_name(
        source.file_name().unwrap().as_bytes(),
        &interpreter.tag,
        optimization,
    );
    source.parent().unwrap().join("__pycache__").join(OsStr::from_bytes(&name))
}

pub fn sweep<I: AsRef<OsStr>>(world: &World, arguments: impl IntoIterator<Item = I>) -> Answer {
    let mut all: Vec<OsString> = vec!["sweep".into()];
    all.extend(arguments.into_iter().map(|argument| argument.as_ref().to_os_string()));
    world.pycstore(all)
}

/// Asserts that a sweep with these arguments takes exactly these paths of the home.
#[track_caller]
pub fn takes<I: AsRef<OsStr>>(
    world: &World,
    arguments: impl IntoIterator<Item = I>,
    gone: &[&Path],
) -> Answer {
    let before = World::snapshot(&world.home);
    let answer = sweep(world, arguments).exits(0);
    assert_only_gone(&before, &World::snapshot(&world.home), gone);
    answer
}
