//! `pycstore sweep` on a file system that ignores the case of names: `Widget.pyc` is not the bytecode of `widget.py`.

use crate::support::{World, answer, compile_in_tree, newest};

#[test]
#[ignore = "needs root and FUSE"]
fn bytecode_of_a_name_in_another_case_stays() {
    let world = World::new();
    let modules = ["widget.py", "gadget.py", "pkg/Ünder.py", "pkg/plain.py"];
    modules.iter().for_each(|path| drop(world.write(format!("shown/{path}"), "NAME = __name__\n")));
    let shown = world.home.join("shown");
    compile_in_tree(&world, newest(), &["-b"], &[&shown]);
    compile_in_tree(&world, newest(), &[], &[&shown]);
    // Modules of their own: the sources that they were compiled from are not there.
    for (from, to) in [("widget.pyc", "Widget.pyc"), ("pkg/plain.pyc", "pkg/PLAIN.pyc")] {
        std::fs::rename(shown.join(from), shown.join(to)).unwrap();
    }
    world.write("server.py", include_str!("case_insensitive.py"));
    std::fs::create_dir(world.home.join("mounted")).unwrap();
    let script = format!(
        "cd \"$HOME\"; '{0}' -I server.py shown mounted & server=$!
        trap 'kill $server' EXIT
        while ! test -e mounted/GADGET.PY; do kill -0 $server; sleep 0.05; done
        test mounted/WIDGET.py -ef mounted/widget.py
        cd mounted; '{0}' -B -c 'import Widget; print(Widget.NAME)'; cd ..
        pycstore sweep mounted
        cd mounted; '{0}' -B -c 'import Widget; print(Widget.NAME)'; cd ..
        umount mounted; trap - EXIT; wait $server",
        newest().path.display()
    );
    let told = answer(&mut world.in_namespace("", &script)).exits(0);
    let left: Vec<String> = crate::support::files(&shown)
        .iter()
        .map(|path| path.strip_prefix(&shown).unwrap().to_str().unwrap().to_string())
        .filter(|path| !path.ends_with(".py"))
        .collect();
    assert_eq!(left, ["Widget.pyc", "pkg/PLAIN.pyc"], "{told:?}");
    assert_eq!(told.stdout.matches("Widget\n").count(), 2, "Python imports it, before and after: {told:?}");
    assert_eq!(told.stderr.matches("there is no source beside it").count(), 2, "{told:?}");
}
