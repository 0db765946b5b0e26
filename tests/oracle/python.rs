//! Asks interpreters: each answers in one process, by `ask.py`.

use crate::support::{Interpreter, World, answer};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A path as `ask.py` takes it.
pub fn hexadecimal(path: &Path) -> String {
    path.as_os_str().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A path as `ask.py` gives it.
#[track_caller]
pub fn path(hexadecimal: &Value) -> PathBuf {
    let digits = hexadecimal.as_str().expect("hexadecimal digits").as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    PathBuf::from(std::ffi::OsString::from_vec(digits.chunks(2).map(byte).collect()))
}

/// Asks one interpreter, started with these flags.
#[track_caller]
pub fn ask(world: &World, interpreter: &Interpreter, flags: &[&str], request: &Value) -> Value {
    let script = world.write("ask.py", include_str!("ask.py"));
    let file = world.write("request.json", request.to_string());
    let mut command = world.command(&interpreter.path);
    command.args(["-I", "-S", "-B"]).args(flags).args([script, file].iter().map(AsRef::<OsStr>::as_ref));
    let answer = answer(&mut command);
    assert!(answer.code == 0, "{}: {}", interpreter.tag, answer.stderr);
    answer.json()
}

/// A request with the world's store in it.
pub fn request(world: &World, what: &str, mut more: Value) -> Value {
    more["do"] = json!(what);
    more["store"] = json!(hexadecimal(&world.store));
    more
}
