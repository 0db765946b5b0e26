//! What real interpreters recorded, for the unit tests: `tests/data/recorded.txt`, made as the README beside it says.

use super::Magic;

/// One fact of one interpreter.
pub struct Fact {
    /// Its cache tag.
    pub tag: &'static str,
    /// The magic that it writes.
    pub magic: Magic,
    /// The words after `what`; a lone `-` stands for nothing.
    pub words: Vec<&'static str>,
}

/// The facts of this kind; never none.
pub fn facts(what: &str) -> Vec<Fact> {
    let lines = include_str!("../../tests/data/recorded.txt").lines();
    let facts = lines.map(|line| {
        let words: Vec<&str> = line.split(' ').map(|word| if word == "-" { "" } else { word }).collect();
        (
            words[2],
            Fact { tag: words[0], magic: Magic::of(words[1].parse().unwrap()), words: words[3..].to_vec() },
        )
    });
    let facts: Vec<Fact> = facts.filter(|(of, _)| *of == what).map(|(_, fact)| fact).collect();
    assert!(!facts.is_empty(), "{what}");
    facts
}

/// The bytes of hexadecimal digits.
pub fn bytes(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}
