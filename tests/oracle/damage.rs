//! What becomes of entries after they were written.

use crate::support::random::Random;
use pycstore::pyc::{Loads, Magic};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Numbers of magics that other Pythons write: every feature release, a pre-release, 2.7, PyPy, none at all.
const MAGICS: [u16; 17] =
    [3379, 3394, 3413, 3425, 3439, 3495, 3530, 3531, 3550, 3571, 3600, 3627, 3666, 336, 62211, 0, u16::MAX];

/// What becomes of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// Nothing.
    Nothing,
    /// So many bytes are left.
    Truncated(usize),
    /// Another magic number.
    Magic(u16),
    /// Bytes 2–3 are these.
    NotBytecode([u8; 2]),
    /// A flag is flipped.
    Flag(u32),
    /// The flags are these.
    Flags(u32),
    /// A bit of the pin is flipped: its byte and its bit.
    Pin(u64, u8),
    /// Several tests would fail, that of the magic among them if it is given.
    Several(Option<u16>),
    /// A header of chance.
    Chance([u8; 16]),
    /// All bytes are zero: a power cut.
    Zeroed,
    /// The body alone is garbled.
    Body,
}

/// Every damage that the header of an entry of this tag and magic can take.
pub fn every_damage(tag: &str, magic: Magic, random: &mut Random) -> Vec<Damage> {
    let mut all = vec![Damage::Several(None), Damage::Zeroed, Damage::Body, Damage::Nothing];
    all.extend((0..=16).map(Damage::Truncated));
    let own = magic.number();
    let numbers = MAGICS.into_iter().chain([own - 16, own - 1, own + 1, own + 16, own + 50]);
    let numbers: Vec<u16> = numbers.filter(|&number| number != own && is_decided(tag, number)).collect();
    all.push(Damage::Several(Some(random.pick(&numbers))));
    all.extend(numbers.into_iter().map(Damage::Magic));
    all.extend([[b'\n', b'\r'], [0, 0], [b'\r', 0], [0, b'\n']].map(Damage::NotBytecode));
    all.extend((0..32).map(|bit| Damage::Flag(1 << bit)));
    all.extend([0, 1, 2, 3, 4, 7].map(Damage::Flags));
    all.extend((8..16).map(|byte| Damage::Pin(byte, random.below(8) as u8)));
    // Never with the mark of bytecode, for the tag might not decide the number before it.
    all.extend((0..4).map(|_| {
        Damage::Chance(std::array::from_fn(|at| random.below(if at == 2 { 10 } else { 256 }) as u8))
    }));
    all
}

/// Whether the tag alone tells that its interpreter does not load this magic.
///
/// It does for every released CPython and for the PyPys in the tables of `pyc/magic.rs`. PyPy raises its number without a
/// new tag: of a number that may come nothing is known, and of several under one tag each PyPy loads one.
fn is_decided(tag: &str, number: u16) -> bool {
    Magic::of(number).is_loaded_by(tag) == Loads::No
}

impl Damage {
    /// Whether a source that is too large to be hashed can bear it.
    pub fn leaves_timestamp(&self) -> bool {
        matches!(
            self,
            Damage::Nothing | Damage::Truncated(_) | Damage::Magic(_) | Damage::Pin(..) | Damage::Body
        )
    }

    /// Does it to an entry.
    pub fn strike(&self, entry: &Path, random: &mut Random) {
        let file = File::options().read(true).write(true).open(entry).unwrap();
        let length = file.metadata().unwrap().len();
        let write = |bytes: &[u8], at| file.write_all_at(bytes, at).unwrap();
        let byte = |at| {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            byte[0]
        };
        match *self {
            Damage::Nothing => {}
            Damage::Truncated(length) => file.set_len(length as u64).unwrap(),
            Damage::Magic(number) => write(&number.to_le_bytes(), 0),
            Damage::NotBytecode(bytes) => write(&bytes, 2),
            Damage::Flag(flag) => {
                let flags = u32::from_le_bytes([byte(4), byte(5), byte(6), byte(7)]);
                write(&(flags ^ flag).to_le_bytes(), 4);
            }
            Damage::Flags(flags) => write(&flags.to_le_bytes(), 4),
            Damage::Pin(at, bit) => write(&[byte(at) ^ (1 << bit)], at),
            Damage::Several(number) => {
                number.inspect(|number| write(&number.to_le_bytes(), 0));
                (4..16).filter(|_| random.one_in(3)).for_each(|at| write(&[byte(at) ^ 0x55], at));
            }
            Damage::Chance(bytes) => write(&bytes, 0),
            Damage::Zeroed => write(&vec![0; length as usize], 0),
            Damage::Body => fs::write(entry, [&fs::read(entry).unwrap()[..16], b"garbled"].concat()).unwrap(),
        }
    }

    /// Whether the name of the source can still be read from the body.
    pub fn leaves_body(&self) -> bool {
        !matches!(self, Damage::Truncated(_) | Damage::Body | Damage::Zeroed)
    }
}
