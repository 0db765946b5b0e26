//! `pycstore` without a command.

use crate::support::{World, answer};

#[test]
fn the_overview_names_the_next_command() {
    let world = World::of_projects(&["gone.py"], &["a.py"]);
    let overview = || world.pycstore([] as [&str; 0]).exits(0).shown();
    insta::assert_snapshot!(overview(), @r"
    exit: 0
    ----- stdout -----
    Store  ~/.cache/cpython
    Disk usage SIZE in 2 files
    Reclaimable SIZE in 1 file
    Schedule  none
    Next  pycstore prune --dry-run  shows what prune removes
    ----- stderr -----
    ");
    let store = world.store.to_str().unwrap();
    let mut command = world.program();
    let named = answer(command.args(["--store", store])).exits(0).stdout;
    assert!(named.contains(&format!("pycstore prune --store {store} --dry-run")), "{named}");
    world.pycstore(["prune", "--dry-run"]).exits(0);
    world.pycstore(["prune"]).exits(0);
    insta::assert_snapshot!(overview(), @r"
    exit: 0
    ----- stdout -----
    Store  ~/.cache/cpython
    Disk usage SIZE in 1 file
    Reclaimable  nothing
    Last run  today, removed SIZE in 1 file
    Schedule  none
    Next  pycstore schedule install  prunes every night
    ----- stderr -----
    ");
    let mut command = world.program();
    command.env("PYTHONPYCACHEPREFIX", world.home.join("missing"));
    insta::assert_snapshot!(answer(&mut command).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: no store at /home/me/missing
    hint: the path comes from PYTHONPYCACHEPREFIX; Python creates it when it first compiles a module. To use another store: pycstore --store DIR …
    ");
    insta::assert_snapshot!(world.pycstore(["--nonsense"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: unexpected argument '--nonsense' found
    hint: pycstore [OPTIONS] [COMMAND]; more: pycstore --help
    ");
}
