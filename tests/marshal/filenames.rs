//! Bodies that are equal but for their names are the same code once the interpreter has corrected the names.
//!
//! The interpreter's own correction (`_imp._fix_co_filename`, which every import applies) is the oracle: for modules of the standard
//! library that are compiled by two paths, and for mutations and inventions in which the name is replaced.

use super::bodies::{Inventor, mutated};
use super::support::random::{self, Random};
use super::support::{Interpreter, World, implementations};
use super::{bodies, compiled, dialect, isolated, letters, read_bodies, write_bodies};
use pycstore::pyc::marshal::{Dialect, Filenames, Memory, filenames, walk};

/// How many modules are compiled by two paths.
const MODULES: usize = 20;

fn are_equal(one: &[u8], other: &[u8], dialect: Dialect) -> bool {
    let names = |body: &[u8]| filenames(body, dialect, &mut Memory::default()).ok().flatten();
    let (Some(names), Some(other_names)) = (names(one), names(other)) else { return false };
    Filenames::are_equal((&names, one), (&other_names, other))
}

/// What the interpreter says of each pair; `x` where it crashes.
fn ask(world: &World, interpreter: &Interpreter, pairs: &[[Vec<u8>; 2]]) -> Vec<u8> {
    let script = world.write("corrected.py", include_str!("corrected.py"));
    let file = write_bodies(world, pairs.as_flattened());
    let mut answers = Vec::new();
    while answers.len() < pairs.len() {
        answers.extend(letters(world, interpreter, &script, &file, answers.len()));
        if answers.len() < pairs.len() {
            answers.push(b'x');
        }
    }
    answers
}

#[test]
fn what_differs_in_the_path_alone_is_the_same_when_it_is_corrected() {
    let world = World::new();
    let long = format!("/{}/m.py", "long/".repeat(60));
    for interpreter in implementations() {
        for paths in [["/one/m.py", "/the/other/m.py"], ["/one/m.py", &long], ["/été/m.py", &long]] {
            let script = world.write("pairs.py", include_str!("pairs.py"));
            let out = world.home.join("pairs");
            let mut command = isolated(&world, interpreter);
            command.arg(script).arg(&out).arg(MODULES.to_string()).args(paths);
            assert!(command.status().unwrap().success());
            let pairs = read_bodies(&out)
                .chunks_exact(2)
                .map(|it| [it[0].clone(), it[1].clone()])
                .collect::<Vec<_>>();
            assert!(pairs.len() >= MODULES / 2);
            // How often an object is referred to decides flags in the body (`w_ref`): it may differ from one compilation to the next.
            let equal = pairs
                .iter()
                .filter(|[one, other]| one != other && are_equal(one, other, dialect(interpreter)));
            let equal = equal.count();
            println!("{}: {equal} of {} are equal", interpreter.tag, pairs.len());
            assert!(equal * 10 > pairs.len() * 8, "{}: {equal} of {}", interpreter.tag, pairs.len());
            assert!(!are_equal(&pairs[0][0], &pairs[1][0], dialect(interpreter)));
            assert!(
                ask(&world, interpreter, &pairs).iter().all(|&letter| letter == b's'),
                "{}",
                interpreter.tag
            );
        }
    }
}

/// The body with another name of the same length, wherever the bytes of its name stand.
fn renamed(body: &[u8], dialect: Dialect) -> Option<Vec<u8>> {
    let name = walk(body, dialect).ok()?.filename.into_owned();
    let other: Vec<u8> =
        name.iter().map(|byte| if byte.is_ascii_alphabetic() { byte ^ 1 } else { *byte }).collect();
    let mut renamed = body.to_vec();
    let mut at = 0;
    while !name.is_empty() && at + name.len() <= renamed.len() {
        if renamed[at..].starts_with(&name) {
            renamed[at..at + name.len()].copy_from_slice(&other);
            at += name.len();
        } else {
            at += 1;
        }
    }
    (renamed != body).then_some(renamed)
}

#[test]
fn mutations_that_are_called_equal_are_the_same_when_they_are_corrected() {
    let seed = random::seed("marshal, names");
    let world = World::new();
    for interpreter in implementations() {
        let dialect = dialect(interpreter);
        let random = &mut Random::new(seed ^ interpreter.tag.len() as u64);
        let real = compiled(&world, interpreter);
        let small: Vec<&Vec<u8>> = real.iter().filter(|body| body.len() < super::MUTABLE).collect();
        let (minor, is_pypy) = match dialect {
            Dialect::CPython(minor) => (minor, false),
            Dialect::PyPy(minor) => (minor, true),
        };
        let mut pairs = Vec::new();
        for index in 0..4 * bodies() {
            let body = if index % 2 == 0 {
                let (body, other) = (random.pick(&small), random.pick(&small));
                mutated(random, body, other)
            } else {
                Inventor { random, minor, is_pypy }.body()
            };
            if let Some(other) = renamed(&body, dialect).filter(|other| are_equal(&body, other, dialect)) {
                pairs.push([body, other]);
            }
        }
        let answers = ask(&world, interpreter, &pairs);
        let count = |letter: u8| answers.iter().filter(|&&it| it == letter).count();
        let wrong = answers.iter().position(|&letter| letter == b'd');
        println!("{}: {} pairs, {} the same", interpreter.tag, pairs.len(), count(b's'));
        assert!(wrong.is_none(), "{}: {}", interpreter.tag, pairs[wrong.unwrap()][0].escape_ascii());
        assert!(count(b's') > 50, "{}: {} pairs", interpreter.tag, pairs.len());
    }
}
