//! The keys, what they ask for, and the screen that lists them. They are those of dua and ncdu where the two agree.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key, whatever the terminal calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PressedKey {
    /// A letter, digit or sign.
    Character(char),
    /// The arrow upwards, and so on.
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    Tab,
    /// Ctrl+R: removes what is shown for review.
    Confirm,
    /// Ctrl+C.
    Interrupt,
    /// Ctrl+Z.
    Suspend,
}

impl PressedKey {
    /// The key of an event; none if it means nothing here.
    pub fn of(event: KeyEvent) -> Option<PressedKey> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let is_control = event.modifiers.contains(KeyModifiers::CONTROL);
        Some(match event.code {
            KeyCode::Char('c') if is_control => PressedKey::Interrupt,
            KeyCode::Char('z') if is_control => PressedKey::Suspend,
            KeyCode::Char('r') if is_control => PressedKey::Confirm,
            KeyCode::Char('d') if is_control => PressedKey::PageDown,
            KeyCode::Char('u') if is_control => PressedKey::PageUp,
            KeyCode::Char('n') if is_control => PressedKey::Down,
            KeyCode::Char('p') if is_control => PressedKey::Up,
            KeyCode::Char('h') if is_control => PressedKey::Backspace,
            KeyCode::Char(_) if is_control || event.modifiers.contains(KeyModifiers::ALT) => return None,
            KeyCode::Char(character) => PressedKey::Character(character),
            KeyCode::Up => PressedKey::Up,
            KeyCode::Down => PressedKey::Down,
            KeyCode::Left => PressedKey::Left,
            KeyCode::Right => PressedKey::Right,
            KeyCode::PageUp => PressedKey::PageUp,
            KeyCode::PageDown => PressedKey::PageDown,
            KeyCode::Home => PressedKey::Home,
            KeyCode::End => PressedKey::End,
            KeyCode::Enter => PressedKey::Enter,
            KeyCode::Esc => PressedKey::Escape,
            KeyCode::Backspace => PressedKey::Backspace,
            KeyCode::Tab => PressedKey::Tab,
            _ => return None,
        })
    }
}

impl PressedKey {
    /// Moves the first line on the screen of a text with this many lines, if the key does that.
    pub fn scroll(self, first: &mut usize, lines: usize) -> Option<()> {
        let by = match self {
            PressedKey::Up | PressedKey::Character('k') => -1,
            PressedKey::Down | PressedKey::Character('j') => 1,
            PressedKey::PageUp => -10,
            PressedKey::PageDown => 10,
            _ => return None,
        };
        *first = first.saturating_add_signed(by).min(lines.saturating_sub(1));
        Some(())
    }
}

/// What the state asks the program to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserTask {
    /// End.
    Quit,
    /// Stop this process, as Ctrl+Z does elsewhere.
    Suspend,
    /// Scan the store again.
    Rescan,
    /// Find out what the removal of the marked entries would do.
    Foresee,
    /// Drop what [`BrowserTask::Foresee`] began.
    Drop,
    /// Remove the marked entries.
    Remove,
    /// Stop the removal.
    Stop,
}

/// The keys and what they do. A line without a key is a heading.
pub const HELP: [(&str, &str); 31] = [
    ("", "Move"),
    ("Up k, Down j", "one row"),
    ("PgUp Ctrl+U, PgDn Ctrl+D", "one screen"),
    ("Home H g, End G", "first and last row"),
    ("Enter Right l o", "open the row"),
    ("Left h u Backspace", "go to the place above"),
    ("", "Show"),
    ("v Tab, 1 2 3", "by owner, by status, by cache tag"),
    ("s", "sort by size on disk"),
    ("c", "sort by number of files"),
    ("e", "sort by what is reclaimable"),
    ("m", "sort by last use"),
    ("n", "sort by name (the same key again reverses)"),
    ("/", "filter by name while typing; Enter keeps, Esc ends"),
    ("i", "show or hide the details of the row"),
    ("r", "scan the store again"),
    ("", "Mark"),
    ("Space", "the row with everything below it, or unmark it"),
    ("a", "all that is reclaimable in the store, or unmark it"),
    ("t, then f s o c", "fresh, stale, orphan or corrupt entries here"),
    ("t, then t", "temporaries here"),
    ("", "  (a and t with a filter: of the rows it shows)"),
    ("U", "remove all marks"),
    ("", "Remove"),
    ("d", "show what would be removed: the marked files, or"),
    ("", "  the row if nothing is marked"),
    ("Ctrl+R", "on that screen: remove it"),
    ("", "Other"),
    ("?", "these keys"),
    ("Ctrl+Z", "suspend"),
    ("q Ctrl+C", "quit"),
];
