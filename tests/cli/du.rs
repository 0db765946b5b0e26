//! `pycstore du`

use crate::support::{World, answer, interpreters};

#[test]
fn the_total_is_what_gnu_du_says() {
    let world = World::new();
    let project = world.project("one", &["a.py", "b.py", "sub/c.py"]);
    for interpreter in interpreters() {
        world.compile(interpreter, &[], &[&project]);
    }
    let document = world.pycstore(["du", "--json"]).exits(0).json();
    let du = answer(world.command("du").args(["-s", "-B1"]).arg(&world.store)).exits(0);
    let expected: u64 = du.stdout.split_whitespace().next().unwrap().parse().unwrap();
    assert_eq!(document["total"]["disk"], expected);
    assert_eq!(document["total"]["files"], 3 * interpreters().len());
}
