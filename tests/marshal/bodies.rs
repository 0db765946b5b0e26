//! Bodies to ask about: mutations of real ones, and invented ones in which every rule of the format is in play.

use crate::support::random::Random;

/// All type codes of all versions, and one that none has.
const TYPE_CODES: &[u8] = b"0NFTS.iIgyflxstuaAzZr()[<>{}:c?";

/// A mutation of a body; `other` is another one, to take bytes from.
pub fn mutated(random: &mut Random, body: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = body.to_vec();
    for _ in 0..=random.below(3) {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(64)).min(bytes.len());
        match random.below(9) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.number() as u8,
            2 => bytes[at] = random.pick(TYPE_CODES) | (random.number() as u8 & 0x80),
            3 => bytes.truncate(at),
            4 => bytes[at..end].fill(0),
            5 => drop(bytes.drain(at..end)),
            6 => {
                let from = random.below(other.len());
                let until = (from + 1 + random.below(64)).min(other.len());
                bytes.splice(at..end, other[from..until].iter().copied());
            }
            // A power cut leaves whole blocks of zeros, and what is behind them.
            7 => {
                let block = at & !511;
                let end = (block + 512).min(bytes.len());
                bytes[block..end].fill(0);
            }
            _ => {
                // A length or reference that is slightly wrong.
                if let Some(number) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
                    let value = i32::from_le_bytes(*number).wrapping_add(random.below(5) as i32 - 2);
                    *number = value.to_le_bytes();
                }
            }
        }
    }
    bytes
}

/// Writes objects that are mostly right.
pub struct Inventor<'a> {
    pub random: &'a mut Random,
    /// Python 3.x.
    pub minor: u8,
    pub is_pypy: bool,
}

/// What an object should be.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    Anything,
    Text,
    Bytes(usize),
    Names(usize),
    Tuple,
}

impl Inventor<'_> {
    /// A code object with all sorts of constants.
    pub fn body(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.code(&mut bytes, 4);
        if self.random.one_in(20) {
            bytes.extend(b"more");
        }
        bytes
    }

    fn tag(&mut self, bytes: &mut Vec<u8>, code: u8) {
        bytes.push(code | if self.random.one_in(2) { 0x80 } else { 0 });
    }

    fn number(&mut self, bytes: &mut Vec<u8>, value: i32) {
        let value =
            if self.random.one_in(150) { self.random.pick(&[-1, i32::MIN, i32::MAX, 7]) } else { value };
        bytes.extend(value.to_le_bytes());
    }

    fn code(&mut self, bytes: &mut Vec<u8>, depth: usize) {
        self.tag(bytes, b'c');
        let arguments = self.random.below(3);
        let locals = arguments + self.random.below(2);
        let positional = self.random.below(2).min(arguments) as i32;
        self.number(bytes, arguments as i32);
        self.number(bytes, positional);
        self.number(bytes, 0);
        let is_old = self.is_pypy || self.minor < 11;
        if is_old {
            self.number(bytes, locals as i32);
        }
        let stack = self.random.below(9) as i32;
        self.number(bytes, stack);
        let flags = self.random.pick(&[0, 0, 0, 0x40, 0x04, 0x08, 0x0c]);
        self.number(bytes, flags);
        let length = 2 * self.random.below(4) + usize::from(self.random.one_in(30));
        self.wanted(bytes, Wanted::Bytes(length), depth);
        self.wanted(bytes, Wanted::Tuple, depth);
        let names = self.random.below(3);
        self.wanted(bytes, Wanted::Names(names), depth);
        self.wanted(bytes, Wanted::Names(locals), depth);
        if is_old {
            let (free, cells) = (self.random.below(2), self.random.below(2));
            self.wanted(bytes, Wanted::Names(free), depth);
            self.wanted(bytes, Wanted::Names(cells), depth);
        } else if self.random.one_in(50) {
            self.wanted(bytes, Wanted::Anything, depth);
        } else {
            self.tag(bytes, b's');
            let kinds = if self.random.one_in(40) { locals + 1 } else { locals };
            bytes.extend((kinds as u32).to_le_bytes());
            for _ in 0..kinds {
                let kind = self.random.pick(&[0x20, 0x20, 0x20, 0x60, 0x26, 0x40, 0x80]);
                bytes.push(kind);
            }
        }
        let is_until_3_10 = self.minor < 11;
        let texts = if is_until_3_10 { 2 } else { 3 };
        for _ in 0..texts {
            self.wanted(bytes, Wanted::Text, depth);
        }
        self.number(bytes, 1);
        let tables = if is_until_3_10 { 1 } else { 2 };
        for _ in 0..tables {
            let length = self.random.below(5);
            self.wanted(bytes, Wanted::Bytes(length), depth);
        }
    }

    fn wanted(&mut self, bytes: &mut Vec<u8>, wanted: Wanted, depth: usize) {
        let depth = depth.saturating_sub(1);
        if self.random.one_in(60) {
            return self.anything(bytes, depth);
        }
        match wanted {
            Wanted::Anything => self.anything(bytes, depth),
            Wanted::Text => self.text(bytes),
            Wanted::Bytes(length) => {
                self.tag(bytes, b's');
                self.number(bytes, length as i32);
                for _ in 0..length {
                    let byte = self.random.number() as u8;
                    // Instructions that need no space after them.
                    bytes.push(byte % 2);
                }
            }
            Wanted::Names(count) => {
                self.tag(bytes, b')');
                bytes.push(count as u8);
                for _ in 0..count {
                    self.wanted(bytes, Wanted::Text, depth);
                }
            }
            Wanted::Tuple => {
                self.tag(bytes, b')');
                let count = self.random.below(4);
                bytes.push(count as u8);
                for _ in 0..count {
                    self.anything(bytes, depth);
                }
            }
        }
    }

    fn text(&mut self, bytes: &mut Vec<u8>) {
        let code = self.random.pick(b"uzZaAt");
        self.tag(bytes, code);
        let text: &[u8] = self.random.pick(&[
            &b"a"[..],
            b"name",
            b"",
            b"\xc3\xa9",
            b"\xed\xb3\xbf",
            b"\xf0\x9d\x84\x9e",
            b"x1",
            b"<module>",
        ]);
        let text = if self.random.one_in(100) { b"\xff\xc0" } else { text };
        match code {
            b'z' | b'Z' => bytes.push(text.len() as u8),
            _ => bytes.extend((text.len() as u32).to_le_bytes()),
        }
        bytes.extend(text);
    }

    fn float(&mut self, bytes: &mut Vec<u8>) {
        let text: &[u8] = self.random.pick(&[
            &b"1.5"[..],
            b"-0.0",
            b"1e400",
            b"inf",
            b"-nan",
            b"infinity",
            b".5",
            b"5.",
            b"",
            b" 1",
            b"1 ",
            b"1_0",
            b"0x10",
            b"1\x002",
            b"1e",
            b".",
            b"+7",
            b"1\n",
        ]);
        // Most of the rare ones fail, and nothing after them counts.
        let text = if self.random.one_in(3) { text } else { b"2.5e-3" };
        bytes.push(text.len() as u8);
        bytes.extend(text);
    }

    fn anything(&mut self, bytes: &mut Vec<u8>, depth: usize) {
        let simple = b"NFTS.iIgyflxsuzZaAtrr";
        let nested = b"()[<>{:}c)((";
        let code = match depth > 0 && self.random.one_in(2) {
            _ if self.random.one_in(200) => self.random.pick(b"0?Rq"),
            true => self.random.pick(nested),
            false => self.random.pick(simple),
        };
        match code {
            b'c' => self.code(bytes, depth),
            b'u' | b'z' | b'Z' | b'a' | b'A' | b't' => self.text(bytes),
            b':' | b'}' if self.minor < 14 && !self.random.one_in(30) => self.tag(bytes, b'N'),
            _ => {
                self.tag(bytes, code);
                self.rest(bytes, code, depth);
            }
        }
    }

    /// What follows a type code.
    fn rest(&mut self, bytes: &mut Vec<u8>, code: u8, depth: usize) {
        match code {
            b'i' => bytes.extend(5_i32.to_le_bytes()),
            b'I' | b'g' => bytes.extend([1, 2, 3, 4, 5, 6, 7, 8]),
            b'y' => bytes.extend([0; 16]),
            b'f' => self.float(bytes),
            b'x' => {
                self.float(bytes);
                self.float(bytes);
            }
            b'l' => {
                let digits = self.random.below(4) as i32;
                let sign = if self.random.one_in(2) { -1 } else { 1 };
                self.number(bytes, sign * digits);
                for _ in 0..digits {
                    let digit: u16 = if self.random.one_in(15) {
                        self.random.pick(&[0x8000, 0xffff, 0])
                    } else {
                        self.random.pick(&[1, 2, 0x7fff])
                    };
                    bytes.extend(digit.to_le_bytes());
                }
            }
            b's' => {
                bytes.extend(3_u32.to_le_bytes());
                bytes.extend(b"abc");
            }
            b'r' => {
                let index = self.random.below(12) as i32;
                self.number(bytes, index);
            }
            b')' => {
                let count = self.random.below(4);
                bytes.push(count as u8);
                (0..count).for_each(|_| self.anything(bytes, depth - 1));
            }
            b'(' | b'[' | b'<' | b'>' => {
                let count = self.random.below(4);
                self.number(bytes, count as i32);
                (0..count).for_each(|_| self.anything(bytes, depth - 1));
            }
            b'{' | b'}' => {
                let count = self.random.below(6);
                (0..count).for_each(|_| self.anything(bytes, depth - 1));
                bytes.push(b'0');
            }
            b':' => (0..3).for_each(|_| self.anything(bytes, depth - 1)),
            _ => {}
        }
    }
}
