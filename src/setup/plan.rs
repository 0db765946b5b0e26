//! What each target changes: blocks in texts, settings of an editor, or nothing (a snippet to copy).

use super::block_edit::{BLOCK, BlockEdit};
use super::syntax::Syntax;
use super::target::Target;
use super::{git, shell, snippet, vscode};
use crate::complaint::Complaint;
use crate::edits::{EditError, EditPlan, Placement, TextPlace};
use crate::environment::Environment;
use std::path::{Path, PathBuf};

/// What a target changes.
#[derive(Debug)]
pub enum TargetPlan {
    /// Adds blocks to texts.
    Blocks(Vec<BlockEdit>),
    /// Adds entries to these settings.json.
    Settings(Vec<PathBuf>),
    /// Prints a snippet for a place that only the user knows.
    Snippet(&'static str),
}

impl TargetPlan {
    /// Returns what a target changes to set the variable to `store` for the user with this home.
    ///
    /// # Errors
    /// If the target's language cannot express the path of the store, or there is nothing to set up.
    pub fn new(
        environment: &Environment,
        target: Target,
        store: &Path,
        home: &Path,
    ) -> Result<TargetPlan, Complaint> {
        let line = |syntax: Syntax| {
            syntax.line(store, home).map_err(|error| {
                let message = format!("{target}: cannot write {}: {error}", store.display());
                Complaint::new(message, "choose another directory: pycstore setup --store DIR …")
            })
        };
        let no_directory =
            || Complaint::new("no directory for configurations", "set HOME or XDG_CONFIG_HOME");
        Ok(TargetPlan::Blocks(match target {
            Target::Bash => shell::bash(home, &line(Syntax::Shell)?),
            Target::Zsh => vec![shell::zsh(environment, home, line(Syntax::Shell)?)],
            Target::Profile => vec![shell::profile(environment, home, line(Syntax::Shell)?)],
            Target::Fish => {
                let path = shell::fish_file(environment).ok_or_else(no_directory)?;
                vec![shell::fish(path, line(Syntax::Fish)?)]
            }
            Target::EnvironmentD => {
                let path = environment_d_file(environment).ok_or_else(no_directory)?;
                vec![environment_d(path, line(Syntax::EnvironmentD)?)]
            }
            Target::Cron => vec![cron(line(Syntax::Crontab)?)],
            Target::Git => vec![git::block_edit(environment)?],
            Target::Vscode => return Ok(TargetPlan::Settings(vscode::settings_files(environment)?)),
            Target::NvimTree => return Ok(TargetPlan::Snippet(snippet::NVIM_TREE)),
            Target::Nerdtree => return Ok(TargetPlan::Snippet(snippet::NERDTREE)),
            Target::Docker => return Ok(TargetPlan::Snippet(snippet::DOCKER)),
            Target::GithubActions => return Ok(TargetPlan::Snippet(snippet::GITHUB_ACTIONS)),
            Target::Ansible => return Ok(TargetPlan::Snippet(snippet::ANSIBLE)),
            Target::Make => return Ok(TargetPlan::Snippet(snippet::MAKE)),
            Target::Prometheus => return Ok(TargetPlan::Snippet(snippet::PROMETHEUS)),
            Target::Grafana => return Ok(TargetPlan::Snippet(snippet::GRAFANA)),
        }))
    }

    /// Returns the texts that the target changes.
    pub fn places(&self) -> Vec<TextPlace> {
        match self {
            TargetPlan::Blocks(edits) => edits.iter().map(|edit| edit.place.clone()).collect(),
            TargetPlan::Settings(paths) => paths.iter().cloned().map(TextPlace::File).collect(),
            TargetPlan::Snippet(_) => Vec::new(),
        }
    }

    /// Returns what the user would add by hand.
    pub fn snippet(&self) -> Vec<u8> {
        match self {
            TargetPlan::Blocks(edits) => edits.first().map(|edit| edit.lines.clone()).unwrap_or_default(),
            TargetPlan::Settings(_) => vscode::snippet().into_bytes(),
            TargetPlan::Snippet(text) => text.as_bytes().to_vec(),
        }
    }
}

fn environment_d_file(environment: &Environment) -> Option<PathBuf> {
    Some(environment.configurations.as_ref()?.join("environment.d/pycstore.conf"))
}

fn environment_d(path: PathBuf, lines: Vec<u8>) -> BlockEdit {
    let why = "the systemd user manager reads it at its start, for everything that it starts".into();
    BlockEdit { place: TextPlace::File(path), placement: Placement::End, lines, why }
}

fn cron(lines: Vec<u8>) -> BlockEdit {
    // At the top: a variable holds for the jobs below it.
    let (place, placement) = (TextPlace::Crontab, Placement::Top);
    BlockEdit { place, placement, lines, why: "cron reads it before each job".into() }
}

/// Returns the texts that a target may have changed in this environment: where undo looks.
///
/// # Errors
/// If git's ignore file or an editor's settings cannot be found.
pub fn places_to_undo(
    environment: &Environment,
    target: Target,
    home: &Path,
) -> Result<Vec<TextPlace>, Complaint> {
    let files = match target {
        Target::Cron => return Ok(vec![TextPlace::Crontab]),
        Target::Git => return Ok(vec![git::block_edit(environment)?.place]),
        Target::Vscode => vscode::settings_files(environment)?,
        Target::EnvironmentD => environment_d_file(environment).into_iter().collect(),
        _ => shell::files(target, environment, home),
    };
    Ok(files.into_iter().map(TextPlace::File).collect())
}

/// Plans to remove what a target added to a text.
///
/// # Errors
/// Those of the plan.
pub fn undo(plan: &mut EditPlan, target: Target, place: &TextPlace) -> Result<(), EditError> {
    match target {
        Target::Vscode => vscode::plan_removal(plan, place),
        _ => plan.remove_block(place, &BLOCK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edits::execute;
    use std::collections::BTreeMap;

    /// The contents of the files below a directory; `None` for a directory.
    fn tree(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let entries = walkdir::WalkDir::new(root).into_iter().map(|entry| entry.unwrap().into_path());
        entries.map(|path| (path.clone(), std::fs::read(path).ok())).collect()
    }

    #[test]
    fn undo_restores_every_file() {
        let (_temporary, home) = crate::temporary::directory();
        std::fs::create_dir_all(home.join(".config/Code/User")).unwrap();
        std::fs::write(home.join(".config/Code/User/settings.json"), "{\n  \"a\": 1 // one\n}").unwrap();
        std::fs::write(home.join(".bashrc"), "case $- in *i*) ;; *) return;; esac").unwrap();
        let environment = Environment::of_test(home.to_str().unwrap());
        let before = tree(&home);
        let targets =
            Target::EDITED.into_iter().filter(|target| !matches!(target, Target::Cron | Target::Git));
        for target in targets {
            let mut plan = EditPlan::default();
            let target_plan = TargetPlan::new(&environment, target, Path::new("/srv/store"), &home).unwrap();
            match &target_plan {
                TargetPlan::Blocks(edits) => {
                    for edit in edits {
                        edit.add_to(&mut plan).unwrap();
                    }
                }
                TargetPlan::Settings(_) => {
                    for place in target_plan.places() {
                        vscode::plan_entries(&mut plan, &place).unwrap();
                    }
                }
                TargetPlan::Snippet(_) => panic!("{target}"),
            }
            plan.edits().try_for_each(execute).unwrap();
            assert_ne!(tree(&home), before, "{target}");
            let mut removal = EditPlan::default();
            for place in places_to_undo(&environment, target, &home).unwrap() {
                undo(&mut removal, target, &place).unwrap();
            }
            removal.edits().try_for_each(execute).unwrap();
            assert_eq!(tree(&home), before, "{target}");
        }
    }
}
