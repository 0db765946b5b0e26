//! What each target is: blocks in files, settings of VS Code, or a snippet to copy.

use super::syntax::Syntax;
use super::{git, shell, snippet, vscode};
use crate::cli::args::Target;
use crate::cli::output::complain::Complaint;
use crate::cli::session::Session;
use pycstore::edits::{Block, EditError, EditPlan, Placement, TextPlace};
use std::path::{Path, PathBuf};

/// The name in our markers.
pub const NAME: &str = "pycstore";

/// The variable.
const VARIABLE: &str = "PYTHONPYCACHEPREFIX";

/// A block in a text.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Where.
    pub place: TextPlace,
    /// What begins a comment there.
    pub comment: &'static str,
    /// Where in the text a new block goes.
    pub placement: Placement,
    /// What is in the block.
    pub lines: Vec<u8>,
    /// Why there.
    pub why: String,
}

/// What is to be done for a target.
#[derive(Debug)]
pub enum Work {
    /// Blocks in texts.
    Pieces(Vec<Piece>),
    /// Entries in these settings.json.
    Settings(Vec<PathBuf>),
    /// A text that has no one place.
    Snippet(String),
}

/// A target with its work.
#[derive(Debug)]
pub struct Prepared {
    /// The target.
    pub target: Target,
    /// What is to be done.
    pub work: Work,
}

impl Piece {
    /// The file, if it is one.
    pub fn path(&self) -> Option<PathBuf> {
        match &self.place {
            TextPlace::File(path) => Some(path.clone()),
            TextPlace::Crontab => None,
        }
    }

    /// Its kind of block.
    pub fn block(&self) -> Block {
        Block { name: NAME, comment: self.comment }
    }

    /// Adds it to a plan.
    ///
    /// # Errors
    /// Also when the text sets the variable itself, outside of the block: then two would contradict each other.
    pub fn put(&self, plan: &mut EditPlan) -> Result<(), EditError> {
        let (place, block) = (&self.place, self.block());
        let missing = EditPlan::missing(place)?;
        plan.change(place, |text| {
            let torn = |source| EditError::Block { place: place.clone(), source };
            if sets_variable(&self.lines)
                && let Some(number) = line_that_sets(&block.blanked(text.unwrap_or_default()).map_err(torn)?)
            {
                let why = format!("line {number} sets {VARIABLE} already");
                return Err(EditError::Contents { place: place.clone(), why });
            }
            block.put(text, missing, &self.lines, self.placement).map(Some).map_err(torn)
        })
    }
}

/// The number of the first line that sets the variable, in sh, fish or a list of assignments; one that only asks for it,
/// or a comment, does not.
fn line_that_sets(text: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(text);
    let assignment = format!("{VARIABLE}=");
    let sets = |line: &str| {
        let line = line.trim_start();
        let is_alias = line.starts_with("alias ");
        let assigns = line.starts_with(&assignment) || line.contains(&format!(" {assignment}")) && !is_alias;
        let sets = line.starts_with("set ") && line.split_ascii_whitespace().any(|word| word == VARIABLE);
        !line.starts_with('#') && (assigns || sets)
    };
    text.lines().position(sets).map(|index| index + 1)
}

fn sets_variable(lines: &[u8]) -> bool {
    line_that_sets(lines).is_some()
}

/// Whether a target promises a store.
pub fn promises_store(target: Target) -> bool {
    matches!(
        target,
        Target::Bash | Target::Zsh | Target::Fish | Target::Profile | Target::EnvironmentD | Target::Cron
    )
}

/// How the variable is set for a target.
fn syntax(target: Target) -> Syntax {
    match target {
        Target::Fish => Syntax::Fish,
        Target::EnvironmentD => Syntax::EnvironmentD,
        Target::Cron => Syntax::Crontab,
        _ => Syntax::Shell,
    }
}

/// What a target takes to set the prefix to `store` for the user with this home.
///
/// # Errors
/// When the target's language cannot say the store's path, or nothing is there to be set up.
pub fn prepare(session: &Session, target: Target, store: &Path, home: &Path) -> Result<Prepared, Complaint> {
    let environment = &session.environment;
    let no_configurations =
        || Complaint::new("no directory for configurations", "set HOME or XDG_CONFIG_HOME");
    let work = match target {
        Target::Git => Work::Pieces(vec![git::piece(environment)?]),
        Target::Vscode => Work::Settings(vscode::places(environment)?),
        Target::NvimTree => Work::Snippet(snippet::NVIM_TREE.into()),
        Target::Nerdtree => Work::Snippet(snippet::NERDTREE.into()),
        Target::Docker => Work::Snippet(snippet::DOCKER.into()),
        Target::Make => Work::Snippet(snippet::MAKE.into()),
        _ => {
            let mut pieces = match target {
                Target::Bash => shell::bash(home),
                Target::Zsh => vec![shell::zsh(environment, home)],
                Target::Fish => vec![shell::fish(environment).ok_or_else(no_configurations)?],
                Target::EnvironmentD => {
                    let directory = environment.configurations.as_ref().ok_or_else(no_configurations)?;
                    vec![Piece {
                        place: TextPlace::File(directory.join("environment.d/pycstore.conf")),
                        comment: "#",
                        placement: Placement::End,
                        lines: Vec::new(),
                        why: "the user manager of systemd reads it when it starts, for all that it starts"
                            .into(),
                    }]
                }
                Target::Cron => vec![Piece {
                    place: TextPlace::Crontab,
                    comment: "#",
                    // It holds for the lines below.
                    placement: Placement::Top,
                    lines: Vec::new(),
                    why: "cron reads it before each job".into(),
                }],
                _ => vec![shell::profile(environment, home)],
            };
            let line = syntax(target).line(store, home).map_err(|error| {
                Complaint::new(
                    format!("{}: cannot write {}: {error}", target.name(), store.display()),
                    "choose another directory: pycstore setup --store DIR …",
                )
            })?;
            pieces.iter_mut().for_each(|piece| piece.lines = line.clone());
            Work::Pieces(pieces)
        }
    };
    Ok(Prepared { target, work })
}

/// Where a target may have put a block: what `--undo` looks at. Settings of VS Code are not among them.
pub fn places(session: &Session, target: Target, home: &Path) -> Result<Vec<TextPlace>, Complaint> {
    Ok(match target {
        Target::Git => vec![git::piece(&session.environment)?.place],
        Target::Cron => vec![TextPlace::Crontab],
        Target::EnvironmentD => {
            let directory = session.environment.configurations.iter();
            directory.map(|it| TextPlace::File(it.join("environment.d/pycstore.conf"))).collect()
        }
        _ => shell::candidates(target, &session.environment, home).into_iter().map(TextPlace::File).collect(),
    })
}

/// The targets that are edits: what `--undo` takes back where none is named.
pub const EDITED: [Target; 8] = [
    Target::Bash,
    Target::Zsh,
    Target::Fish,
    Target::Profile,
    Target::EnvironmentD,
    Target::Cron,
    Target::Git,
    Target::Vscode,
];

/// Who has the variable when it is done, and who has not.
pub fn reach(target: Target) -> Option<&'static str> {
    Some(match target {
        Target::Bash => {
            "every bash that you log in to or type in, and what it starts. For what something else starts: \
             pycstore setup profile environment.d cron"
        }
        Target::Zsh | Target::Fish => {
            "every new one, scripts included, and what it starts. For what something else starts: \
             pycstore setup profile environment.d cron"
        }
        Target::Profile => "your next login and what it starts. For the jobs of cron: pycstore setup cron",
        Target::EnvironmentD => {
            "what systemd starts for you (desktop programs, IDEs, user units), from your next login or \
             `systemctl --user daemon-reload` on; not for logins by ssh, not for cron"
        }
        Target::Cron => "the jobs of this crontab; not those in /etc",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_variable_can_follow_for() {
        for target in EDITED.into_iter().filter(|target| promises_store(*target)) {
            let reach = reach(target).unwrap();
            assert!(["every ", "your ", "what ", "the "].iter().any(|it| reach.starts_with(it)), "{reach}");
        }
    }

    #[test]
    fn what_sets_the_variable_is_told_from_what_asks_for_it() {
        for line in [
            "export PYTHONPYCACHEPREFIX=/x",
            "  PYTHONPYCACHEPREFIX=/x; export PYTHONPYCACHEPREFIX",
            "[ -d /x ] && export PYTHONPYCACHEPREFIX=/x",
            "set -gx PYTHONPYCACHEPREFIX /x",
        ] {
            assert_eq!(line_that_sets(format!("a\n{line}\n").as_bytes()), Some(2), "{line}");
        }
        for line in [
            "# export PYTHONPYCACHEPREFIX=/x",
            "echo $PYTHONPYCACHEPREFIX",
            "alias py='env PYTHONPYCACHEPREFIX= python'",
            "export MYPYTHONPYCACHEPREFIX=/x",
            "set -gx OTHER $PYTHONPYCACHEPREFIX",
        ] {
            assert_eq!(line_that_sets(line.as_bytes()), None, "{line}");
        }
    }
}
