//! The interpreters are the oracle: the walk over a body says what `marshal.loads` of the owning interpreter says.
//!
//! Real entries of the standard library, mutations of them by chance with a seed (a new one each run, printed, and
//! settable by `PYCSTORE_SEED`), every truncation of small ones, and invented code objects are given to both. A body
//! at which an interpreter crashes has no verdict of its; it has to be one that the walk refuses.
//! `PYCSTORE_BODIES` sets how many mutations and how many inventions each interpreter is asked about.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test panics where something is wrong")]

mod bodies;
mod filenames;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod support;

use bodies::{Inventor, mutated};
use pycstore::pyc::marshal::{CodeFault, Dialect, Wrong, last_line, walk};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::random::{self, Random};
use support::{Interpreter, World, implementations};

/// How many modules of each standard library are asked about.
const MODULES: usize = 250;

/// How many mutations of them, and how many invented bodies, each interpreter is asked about unless
/// `PYCSTORE_BODIES` says otherwise.
const BODIES: usize = 1000;

/// How many bodies one child interpreter is given.
const BATCH: usize = 2000;

/// Bodies of at most this many bytes are mutated: much is decided early in them.
const MUTABLE: usize = 6000;

/// What `marshal.loads` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Code,
    Other,
    Error,
    Crash,
}

impl Verdict {
    fn of(body: &[u8], dialect: Dialect) -> Verdict {
        match walk(body, dialect) {
            Ok(_) => Verdict::Code,
            Err(fault) if fault.wrong == Wrong::NotCode => Verdict::Other,
            Err(_) => Verdict::Error,
        }
    }

    /// Whether an import with this answer is what the walk foretold; a crash is the end of it as well.
    fn is_as_foretold(self, walk: Verdict) -> bool {
        self == walk || (self == Verdict::Crash && walk == Verdict::Error)
    }
}

/// Where an interpreter neither loads nor raises, but does what its memory decides. No compiler writes any of these.
///
/// * PyPy, with fewer names than arguments or with a negative number of them, reads past an end of its list of names.
///   The walk refuses.
/// * CPython 3.12 and later, at an opcode of 236 or above (`INSTRUMENTED_…`) in an instruction's place, asks for
///   monitoring data that is not there (`_Py_GetBaseOpcode`, from `_PyCode_Quicken`). The walk does not look at
///   instructions and lets it pass.
fn is_chance(body: &[u8], dialect: Dialect, answer: Verdict) -> bool {
    match (dialect, walk(body, dialect).map_err(|fault| fault.wrong)) {
        (Dialect::PyPy(_), Err(Wrong::Code(CodeFault::Variables | CodeFault::Number))) => true,
        (Dialect::CPython(12..), Ok(_)) => {
            answer == Verdict::Crash && body.iter().any(|byte| matches!(byte, 236..))
        }
        _ => false,
    }
}

#[test]
fn every_body_is_judged_as_its_interpreter_judges_it() {
    let tags: Vec<&str> = implementations().iter().map(|it| it.tag.as_str()).collect();
    let seed = random::seed(&format!("marshal, asking {}", tags.join(" ")));
    let world = World::new();
    let mut disagreements = Vec::new();
    for interpreter in implementations() {
        // A seed of each one's own: what is asked of one does not depend on which others there are.
        let random = &mut Random::new(
            interpreter.tag.bytes().fold(seed, |seed, byte| seed.rotate_left(7) ^ u64::from(byte)),
        );
        let dialect = dialect(interpreter);
        let asked = questions(&world, interpreter, dialect, random);
        let answers = ask(&world, interpreter, &asked);
        let mut counts = BTreeMap::new();
        for (body, &answer) in asked.iter().zip(&answers) {
            *counts.entry(answer).or_insert(0) += 1;
            let verdict = Verdict::of(body, dialect);
            if answer.is_as_foretold(verdict) || is_chance(body, dialect, answer) {
                continue;
            }
            // What another body did to the interpreter's memory is not this one's doing.
            let alone = ask(&world, interpreter, std::slice::from_ref(body))[0];
            if !alone.is_as_foretold(verdict) {
                let (tag, walked) = (&interpreter.tag, walk(body, dialect).map(|it| it.length));
                disagreements
                    .push(format!("{tag}: {alone:?}, but the walk {walked:?}: {}", body.escape_ascii()));
            }
        }
        println!("{}: {} bodies, {counts:?}", interpreter.tag, asked.len());
        let often = MODULES / 2;
        assert!(counts[&Verdict::Code] > often && counts[&Verdict::Error] > often, "{counts:?}");
    }
    let count = disagreements.len();
    disagreements.truncate(20);
    assert!(count == 0, "{count} disagreements, such as\n{}", disagreements.join("\n\n"));
}

/// How many mutations and inventions each interpreter is asked about.
fn bodies() -> usize {
    match std::env::var("PYCSTORE_BODIES") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("PYCSTORE_BODIES is a number, not {text:?}")),
        Err(_) => BODIES,
    }
}

/// All that one interpreter is asked.
fn questions(
    world: &World,
    interpreter: &Interpreter,
    dialect: Dialect,
    random: &mut Random,
) -> Vec<Vec<u8>> {
    let real = compiled(world, interpreter);
    let small: Vec<&Vec<u8>> = real.iter().filter(|body| body.len() < MUTABLE).collect();
    assert!(small.len() > 20, "{}: {} small modules", interpreter.tag, small.len());
    let mut asked = real.clone();
    for body in &small[..3] {
        asked.extend((0..body.len()).map(|length| body[..length].to_vec()));
    }
    for _ in 0..bodies() {
        let (body, other) = (random.pick(&small), random.pick(&small));
        asked.push(mutated(random, body, other));
    }
    let (minor, is_pypy) = match dialect {
        Dialect::CPython(minor) => (minor, false),
        Dialect::PyPy(minor) => (minor, true),
    };
    for index in 0..bodies() {
        let body = Inventor { random, minor, is_pypy }.body();
        let body = if index % 4 == 0 { mutated(random, &body, &body) } else { body };
        asked.push(body);
    }
    asked
}

/// The dialect that an interpreter reads and writes.
fn dialect(interpreter: &Interpreter) -> Dialect {
    let (_, minor) = pycstore::pyc::name::python_of_tag(&interpreter.tag).unwrap();
    let is_pypy = interpreter.tag.starts_with("pypy");
    if is_pypy { Dialect::PyPy(minor) } else { Dialect::CPython(minor) }
}

/// The bodies of modules of the interpreter's own library.
fn compiled(world: &World, interpreter: &Interpreter) -> Vec<Vec<u8>> {
    let script = world.write("compile.py", include_str!("compile.py"));
    let out = world.home.join("compiled");
    let status = isolated(world, interpreter)
        .args([script.as_os_str(), out.as_os_str()])
        .arg(MODULES.to_string())
        .status()
        .unwrap();
    assert!(status.success(), "{}: {status}", interpreter.tag);
    read_bodies(&out)
}

/// The body of one source.
fn compile(world: &World, interpreter: &Interpreter, source: &str) -> Vec<Vec<u8>> {
    const CODE: &str = "
import marshal, sys
body = marshal.dumps(compile(sys.argv[1], '/odd.py', 'exec'))
open(sys.argv[2], 'wb').write(len(body).to_bytes(4, 'little') + body)";
    let out = world.home.join("compiled");
    let status = isolated(world, interpreter).args(["-c", CODE, source]).arg(&out).status().unwrap();
    assert!(status.success(), "{}: {status}", interpreter.tag);
    read_bodies(&out)
}

fn read_bodies(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    let mut rest = &bytes[..];
    let mut bodies = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (body, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
        bodies.push(body.to_vec());
        rest = tail;
    }
    bodies
}

/// A file of bodies, each after its length as four bytes.
fn write_bodies(world: &World, bodies: &[Vec<u8>]) -> PathBuf {
    let mut bytes = Vec::new();
    for body in bodies {
        bytes.extend((body.len() as u32).to_le_bytes());
        bytes.extend(body);
    }
    world.write("bodies", bytes)
}

#[test]
fn a_body_says_what_its_code_objects_say() {
    let world = World::new();
    let script = world.write("says.py", include_str!("says.py"));
    for interpreter in implementations() {
        let dialect = dialect(interpreter);
        let mut bodies = compiled(&world, interpreter);
        // A line far from the one before it, up and down, and lines without any code.
        let odd =
            format!("x = (1,\n{}2)\n{}def f():\n    pass\n\n", "\n".repeat(300), "# no code\n".repeat(700));
        bodies.extend(compile(&world, interpreter, &odd));
        let file = write_bodies(&world, &bodies);
        let output = isolated(&world, interpreter).args([&script, &file]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.lines().count(), bodies.len(), "{}", String::from_utf8_lossy(&output.stderr));
        for (body, said) in bodies.iter().zip(said.lines()) {
            let walked = walk(body, dialect).unwrap();
            let name = String::from_utf8(walked.name.into_owned()).unwrap();
            let last_line = last_line(body, dialect).unwrap();
            let found = format!("{} {} {last_line} {name}", walked.codes, walked.first_line);
            assert_eq!(found, said, "{}: {}", interpreter.tag, String::from_utf8_lossy(&walked.filename));
        }
    }
}

/// What the interpreter says of each body.
fn ask(world: &World, interpreter: &Interpreter, bodies: &[Vec<u8>]) -> Vec<Verdict> {
    bodies.chunks(BATCH).flat_map(|batch| ask_batch(world, interpreter, batch)).collect()
}

fn ask_batch(world: &World, interpreter: &Interpreter, bodies: &[Vec<u8>]) -> Vec<Verdict> {
    let script = world.write("loads.py", include_str!("loads.py"));
    let file = write_bodies(world, bodies);
    let mut verdicts = Vec::new();
    while verdicts.len() < bodies.len() {
        let letters = letters(world, interpreter, &script, &file, verdicts.len());
        verdicts.extend(letters.iter().map(|letter| match letter {
            b'c' => Verdict::Code,
            b'o' => Verdict::Other,
            b'e' => Verdict::Error,
            other => panic!("{}: answered {other}", interpreter.tag),
        }));
        if verdicts.len() < bodies.len() {
            verdicts.push(Verdict::Crash);
        }
    }
    verdicts
}

fn letters(world: &World, interpreter: &Interpreter, script: &Path, file: &Path, first: usize) -> Vec<u8> {
    let mut command = isolated(world, interpreter);
    command.args([script, file]).arg(first.to_string()).stderr(Stdio::null());
    command.output().unwrap().stdout
}

fn isolated(world: &World, interpreter: &Interpreter) -> Command {
    let mut command = world.command(&interpreter.path);
    command.args(["-I", "-S", "-B"]);
    command
}
