//! Carries out edits: replaces a text as a whole, or removes it.
//!
//! # Invariants
//!
//! * A text that is not the one that was planned stays unchanged.
//! * A file is removed only if the edit leaves nothing: it was created for our block and holds nothing else. The empty directories
//!   that were created for it are removed too.

use super::error::EditError;
use super::place::TextPlace;
use super::plan::Edit;
use super::text::{Text, may_replace, read_file};
use crate::crontab;
use crate::edits::replace::{KeepOwner, ReplaceError, create, replace_like};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The mode of a new file, reduced by the umask.
const MODE: u32 = 0o644;

/// Carries out an edit.
///
/// # Errors
/// An [`EditError`]: the text is unchanged.
pub fn execute(edit: &Edit) -> Result<(), EditError> {
    let now = Text::read(&edit.place)?;
    if now != edit.text {
        return Err(EditError::Changed(edit.place.clone()));
    }
    now.may_change(&edit.place)?;
    match (&edit.place, &now.real) {
        (TextPlace::File(path), TextPlace::File(real)) => write(edit, real, path),
        _ => Ok(crontab::write(edit.after.as_deref())?),
    }
}

/// Writes or removes the file at `real`, called `path` in errors.
fn write(edit: &Edit, real: &Path, path: &Path) -> Result<(), EditError> {
    let failed = |source| EditError::Write { path: path.to_path_buf(), source };
    let old = match read_file(real, path)? {
        // The file stays open, so this file is the one that is replaced, with the contents that were shown.
        Some((old, contents)) if edit.text.contents.as_ref() == Some(&contents) => Some(old),
        Some(_) => return Err(EditError::Changed(edit.place.clone())),
        None => None,
    };
    if let Some(old) = &old {
        may_replace(&old.file.metadata().map_err(failed)?, path)?;
    }
    match (&edit.after, old) {
        (Some(after), Some(old)) => {
            replace_like(real, after, &old, KeepOwner::Kept).map_err(|error| match error {
                ReplaceError::Io(source) => failed(source),
                ReplaceError::Changed => EditError::Changed(edit.place.clone()),
                ReplaceError::Lost { what, source } => {
                    EditError::Lost { path: path.to_path_buf(), what, source }
                }
            })
        }
        (Some(after), None) => {
            if let Some(directory) = real.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
            }
            create(real, after, MODE).map_err(failed)
        }
        (None, Some(_)) => {
            std::fs::remove_file(real).map_err(failed)?;
            // Stops at the first directory that is not empty or cannot be removed.
            let made = real.ancestors().skip(1).take(edit.directories);
            let _ = made.map(std::fs::remove_dir).find(Result::is_err);
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::{Block, Placement};
    use super::super::plan::EditPlan;
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::PathBuf;

    const BLOCK: Block = Block { name: "pycstore", comment: "#" };

    fn put(path: &Path) -> EditPlan {
        let mut plan = EditPlan::default();
        plan.insert_block(&TextPlace::File(path.to_path_buf()), &BLOCK, b"x\n", Placement::End).unwrap();
        plan
    }

    fn taken(path: &Path) -> EditPlan {
        let mut plan = EditPlan::default();
        plan.remove_block(&TextPlace::File(path.to_path_buf()), &BLOCK).unwrap();
        plan
    }

    fn carry_out(plan: &EditPlan) -> Result<(), EditError> {
        plan.edits().try_for_each(execute)
    }

    struct Home {
        _temporary: tempfile::TempDir,
        root: PathBuf,
    }

    fn home() -> Home {
        let (temporary, root) = crate::temporary::directory();
        Home { _temporary: temporary, root }
    }

    #[test]
    fn a_link_stays_and_its_file_is_replaced_with_its_mode_and_owner() {
        let Home { root, .. } = &home();
        let [file, link] = ["bashrc", "link"].map(|name| root.join(name));
        std::fs::write(&file, "theirs").unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        symlink("bashrc", &link).unwrap();
        if crate::host::directory::effective_user() == 0 {
            std::os::unix::fs::chown(&file, Some(65534), Some(65534)).unwrap();
        }
        let before = file.metadata().unwrap();
        carry_out(&put(&link)).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        let after = file.metadata().unwrap();
        assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
        assert!(std::fs::read_to_string(&file).unwrap().starts_with("theirs\n# >>> pycstore >>>"));
        assert!(put(&link).is_empty(), "the second time there is nothing to do");
        carry_out(&taken(&file)).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"theirs");
    }

    #[test]
    fn a_file_that_was_made_is_removed_and_no_other() {
        let Home { root, .. } = &home();
        let [made, empty] = ["sub/made", "empty"].map(|name| root.join(name));
        std::fs::write(&empty, "").unwrap();
        for path in [&made, &empty] {
            carry_out(&put(path)).unwrap();
            assert!(std::fs::read_to_string(path).unwrap().contains("\nx\n"));
        }
        for path in [&made, &empty] {
            carry_out(&taken(path)).unwrap();
        }
        assert!(!made.exists() && !root.join("sub").exists());
        assert_eq!(std::fs::read(&empty).unwrap(), b"");
        assert!(taken(&made).is_empty());
    }

    #[test]
    fn what_changed_since_it_was_planned_stays() {
        let Home { root, .. } = &home();
        let [file, other, link] = ["file", "other", "link"].map(|name| root.join(name));
        std::fs::write(&file, "a\n").unwrap();
        std::fs::write(&other, "a\n").unwrap();
        symlink("file", &link).unwrap();
        let (plan, linked, new) = (put(&file), put(&link), put(&root.join("new")));
        std::fs::write(&file, "b\n").unwrap();
        assert!(matches!(carry_out(&plan), Err(EditError::Changed(_))));
        assert_eq!(std::fs::read(&file).unwrap(), b"b\n");
        std::fs::write(&file, "a\n").unwrap();
        turn(&link, "other");
        assert!(matches!(carry_out(&linked), Err(EditError::Changed(_))), "the same bytes in another file");
        std::fs::write(root.join("new"), "").unwrap();
        assert!(matches!(carry_out(&new), Err(EditError::Changed(_))));
    }

    /// Lets a link lead elsewhere.
    fn turn(link: &Path, target: &str) {
        std::fs::remove_file(link).unwrap();
        symlink(target, link).unwrap();
    }

    #[test]
    fn edits_of_one_text_add_up_by_whatever_name() {
        let Home { root, .. } = &home();
        let [file, link] = ["file", "link"].map(|name| root.join(name));
        std::fs::write(&file, "a\n").unwrap();
        symlink("file", &link).unwrap();
        let mut plan = put(&file);
        let other = Block { name: "other", comment: "#" };
        plan.insert_block(&TextPlace::File(link.clone()), &other, b"y\n", Placement::End).unwrap();
        plan.insert_block(&TextPlace::File(link), &BLOCK, b"x\n", Placement::Top).unwrap();
        assert_eq!(plan.edits().count(), 1);
        carry_out(&plan).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.matches(">>> pycstore >>>").count(), 1);
        assert_eq!(text.matches(">>> other >>>").count(), 1);
    }

    #[test]
    fn read_only_and_linked_files_stay() {
        let Home { root, .. } = &home();
        let file = root.join("file");
        std::fs::write(&file, "a\n").unwrap();
        let plan = put(&file);
        std::fs::hard_link(&file, root.join("other")).unwrap();
        assert!(matches!(carry_out(&plan), Err(EditError::SeveralNames { names: 2, .. })));
        assert_eq!(std::fs::read(&file).unwrap(), b"a\n");
        let again = EditPlan::default().insert_block(&TextPlace::File(file), &BLOCK, b"x\n", Placement::End);
        assert!(matches!(again, Err(EditError::SeveralNames { .. })), "nor is it planned");
    }
}
