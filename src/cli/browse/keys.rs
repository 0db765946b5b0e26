//! The keys, and the screen that lists them. They are those of dua and ncdu where the two agree.

use super::state::TreeView;
use pycstore::verdict::view::Order;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key, whatever the terminal calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A letter, digit or sign.
    Character(char),
    /// The arrow upwards, and so on.
    Up,
    /// See [`Key::Up`].
    Down,
    /// See [`Key::Up`].
    Left,
    /// See [`Key::Up`].
    Right,
    /// See [`Key::Up`].
    PageUp,
    /// See [`Key::Up`].
    PageDown,
    /// See [`Key::Up`].
    Home,
    /// See [`Key::Up`].
    End,
    /// See [`Key::Up`].
    Enter,
    /// See [`Key::Up`].
    Escape,
    /// See [`Key::Up`].
    Backspace,
    /// See [`Key::Up`].
    Tab,
    /// Ctrl+R: removes what is shown for review.
    Confirm,
    /// Ctrl+C.
    Interrupt,
    /// Ctrl+Z.
    Suspend,
}

impl Key {
    /// The key of an event; none if it means nothing here.
    pub fn of(event: KeyEvent) -> Option<Key> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let is_control = event.modifiers.contains(KeyModifiers::CONTROL);
        Some(match event.code {
            KeyCode::Char('c') if is_control => Key::Interrupt,
            KeyCode::Char('z') if is_control => Key::Suspend,
            KeyCode::Char('r') if is_control => Key::Confirm,
            KeyCode::Char('d') if is_control => Key::PageDown,
            KeyCode::Char('u') if is_control => Key::PageUp,
            KeyCode::Char('n') if is_control => Key::Down,
            KeyCode::Char('p') if is_control => Key::Up,
            KeyCode::Char('h') if is_control => Key::Backspace,
            KeyCode::Char(_) if is_control || event.modifiers.contains(KeyModifiers::ALT) => return None,
            KeyCode::Char(character) => Key::Character(character),
            KeyCode::Up => Key::Up,
            KeyCode::Down => Key::Down,
            KeyCode::Left => Key::Left,
            KeyCode::Right => Key::Right,
            KeyCode::PageUp => Key::PageUp,
            KeyCode::PageDown => Key::PageDown,
            KeyCode::Home => Key::Home,
            KeyCode::End => Key::End,
            KeyCode::Enter => Key::Enter,
            KeyCode::Esc => Key::Escape,
            KeyCode::Backspace => Key::Backspace,
            KeyCode::Tab => Key::Tab,
            _ => return None,
        })
    }
}

/// What a key does in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKey {
    /// Moves by rows.
    Move(isize),
    /// Moves by screens.
    Page(isize),
    /// Moves to the first row.
    First,
    /// Moves to the last row.
    Last,
    /// Opens the row.
    Open,
    /// Returns to the place above.
    Leave,
    /// Ends the filter, or returns to the place above.
    Escape,
    /// Sorts; the same key again reverses.
    Sort(Order),
    /// Shows the next tree.
    NextTree,
    /// Shows this tree.
    Tree(TreeView),
    /// Begins the filter.
    Filter,
    /// Opens or closes the side pane.
    Pane,
    /// Shows the keys.
    Help,
    /// Marks the row.
    Mark,
    /// Marks all that is reclaimable.
    MarkReclaimable,
    /// Asks for a status to mark.
    MarkStatus,
    /// Removes all marks.
    Unmark,
    /// Shows what would be removed.
    Remove,
    /// Scans again.
    Rescan,
    /// Ends.
    Quit,
}

/// What a key does in the list; none if it does nothing.
pub fn list_key(key: Key) -> Option<ListKey> {
    Some(match key {
        Key::Up | Key::Character('k') => ListKey::Move(-1),
        Key::Down | Key::Character('j') => ListKey::Move(1),
        Key::PageUp => ListKey::Page(-1),
        Key::PageDown => ListKey::Page(1),
        Key::Home | Key::Character('H' | 'g') => ListKey::First,
        Key::End | Key::Character('G') => ListKey::Last,
        Key::Enter | Key::Right | Key::Character('l' | 'o') => ListKey::Open,
        Key::Left | Key::Backspace | Key::Character('h' | 'u' | '<') => ListKey::Leave,
        Key::Escape => ListKey::Escape,
        Key::Character('s') => ListKey::Sort(Order::Size),
        Key::Character('c' | 'C') => ListKey::Sort(Order::Files),
        Key::Character('e') => ListKey::Sort(Order::Reclaimable),
        Key::Character('m' | 'M') => ListKey::Sort(Order::LastUsed),
        Key::Character('n') => ListKey::Sort(Order::Name),
        Key::Tab | Key::Character('v') => ListKey::NextTree,
        Key::Character('1') => ListKey::Tree(TreeView::Owners),
        Key::Character('2') => ListKey::Tree(TreeView::Statuses),
        Key::Character('3') => ListKey::Tree(TreeView::Tags),
        Key::Character('/') => ListKey::Filter,
        Key::Character('i') => ListKey::Pane,
        Key::Character('?') => ListKey::Help,
        Key::Character(' ') => ListKey::Mark,
        Key::Character('a') => ListKey::MarkReclaimable,
        Key::Character('t') => ListKey::MarkStatus,
        Key::Character('U') => ListKey::Unmark,
        Key::Character('d') => ListKey::Remove,
        Key::Character('r') => ListKey::Rescan,
        Key::Character('q') | Key::Interrupt => ListKey::Quit,
        Key::Character(_) | Key::Confirm | Key::Suspend => return None,
    })
}

/// The keys and what they do. A line without a key is a heading.
pub const HELP: [(&str, &str); 30] = [
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
    ("a", "all that is reclaimable, or unmark it"),
    ("t, then f s o c", "fresh, stale, orphan or corrupt entries here"),
    ("t, then t", "temporaries here"),
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
