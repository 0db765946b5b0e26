//! `pycstore history`

use crate::support::{Answer, World, answer};

/// One line of a history file, as the contract has it.
fn line(started: &str, store: &str, exit: u8) -> String {
    format!(
        concat!(
            r#"{{"schema":1,"started":"{}","duration":75.5,"store":"{}","device":1,"inode":2,"selectors":["orphans","#,
            r#""unused-for 90d"],"removed":{{"files":1234,"directories":5,"bytes":99,"disk":2097152}},"skipped":0,"#,
            r#""failures":0,"left":null,"exit":{}}}"#
        ),
        started, store, exit
    )
}

fn history(world: &World, arguments: &[&str]) -> Answer {
    let mut command = world.program();
    // The history's usual place, wherever other tests keep it.
    answer(command.env_remove("XDG_STATE_HOME").env("TZ", "UTC").arg("history").args(arguments))
}

const PLACE: &str = ".local/state/pycstore/0123456789abcdef/history.jsonl";

#[test]
fn without_a_run_it_says_so() {
    let world = World::new();
    let none = history(&world, &[]).exits(0);
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("no runs are recorded\n", ""));
    assert_eq!(history(&world, &["--json"]).exits(0).stdout, "");
    // Looking makes nothing.
    assert!(!world.home.join(".local").exists());
}

#[test]
fn the_newest_run_comes_first() {
    let world = World::new();
    let old = line("2019-01-01T00:00:00Z", "/s/old", 0);
    let new = line("2020-01-01T13:05:06.500Z", "/s/new", 1);
    world.write(PLACE, format!("{old}\n{new}\n"));
    let shown = history(&world, &[]).exits(0);
    assert_eq!(shown.stderr, "");
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("WHEN ") && lines[0].ends_with("  SELECTORS"), "{}", lines[0]);
    assert!(lines[1].contains(" years ago  2020-01-01 13:05    1 234  2 MiB  1 min 15 s  "), "{}", lines[1]);
    assert!(lines[1].ends_with("  incomplete  /s/new  orphans unused-for 90d"), "{}", lines[1]);
    assert!(lines[2].ends_with("  done        /s/old  orphans unused-for 90d"), "{}", lines[2]);
    // As JSON it is the line that was recorded, byte for byte.
    assert_eq!(history(&world, &["--json"]).exits(0).stdout, format!("{new}\n{old}\n"));
    assert_eq!(history(&world, &["--json", "--top=1"]).exits(0).stdout, format!("{new}\n"));
    assert_eq!(history(&world, &["--json", "--store", "/s/old"]).exits(0).stdout, format!("{old}\n"));
    assert_eq!(history(&world, &["--json", "--store", "/s"]).exits(0).stdout, "");
    assert_eq!(history(&world, &["--json", "--top", "x"]).exits(2).stdout, "");
}

#[test]
fn a_run_of_share_removes_nothing_and_frees_bytes() {
    let world = World::new();
    let shared = r#"{"schema":1,"started":"2020-01-02T00:00:00Z","duration":2,"store":"/s","device":1,"inode":2,"selectors":["share","under /h"],"removed":{"files":0,"directories":0,"bytes":99,"disk":2097152},"skipped":0,"failures":0,"left":null,"exit":0,"shared":1234}"#;
    let stopped = shared.replace(":null", r#":{"files":0,"bytes":0,"disk":0,"directories":0}"#);
    world.write(PLACE, format!("{shared}\n{stopped}\n"));
    let shown = history(&world, &[]).exits(0);
    let rows: Vec<&str> =
        shown.stdout.lines().map(|line| line.split_once("00:00 ").map_or(line, |it| it.1)).collect();
    assert_eq!(
        rows[1..],
        [
            "       -  2 MiB  2.0 s  stopped, 1 234 entries shared  /s     share under /h",
            "       -  2 MiB  2.0 s  done, 1 234 entries shared     /s     share under /h",
        ]
    );
}

#[test]
fn today_begins_at_midnight_in_local_time() {
    use std::time::{SystemTime, UNIX_EPOCH};
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let world = World::new();
    // Half an hour past midnight, and half an hour before the next, where the clock is set so.
    for (time_of_day, ago, expected) in [
        (1800, [60, 2400, 24 * 3600, 26 * 3600], ["today", "yesterday", "yesterday", "2 days ago"]),
        (84_600, [60, 2400, 23 * 3600, 24 * 3600], ["today", "today", "today", "yesterday"]),
    ] {
        // POSIX counts zones to the west.
        let west = (now - time_of_day).rem_euclid(86_400);
        let zone = format!("XXX{}:{:02}:{:02}", west / 3600, west / 60 % 60, west % 60);
        let runs = ago.map(|ago| {
            let mut command = world.command("date");
            let at = format!("@{}", now - ago);
            let moment = answer(command.args(["-u", "-d", &at, "+%Y-%m-%dT%H:%M:%SZ"])).exits(0).stdout;
            line(moment.trim(), "/s", 0)
        });
        world.write(PLACE, runs.join("\n") + "\n");
        let mut command = world.program();
        let shown = answer(command.env("TZ", &zone).arg("history")).exits(0).stdout;
        let days = shown.lines().skip(1).map(|line| line.split("  ").next().unwrap());
        assert_eq!(days.collect::<Vec<_>>(), expected, "{zone}\n{shown}");
    }
}

#[test]
fn a_torn_line_is_passed_over_and_said() {
    let world = World::new();
    let whole = line("2020-01-01T13:05:06Z", "/s", 0);
    let path = world.write(PLACE, format!("{whole}\n{}", &whole[..70]));
    let shown = history(&world, &["--json"]).exits(0);
    assert_eq!(shown.stdout, format!("{whole}\n"));
    assert_eq!(shown.stderr, format!("pycstore: {}:2: skipped a truncated record\n", path.display()));
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_shown() {
    let world = World::new();
    let whole = line("2020-01-01T13:05:06Z", "/s", 0);
    world.write(PLACE, format!("{whole}\n"));
    // A directory in the place of a file cannot be read by root either.
    let broken = world.home.join(".local/state/pycstore/fedcba9876543210/history.jsonl");
    std::fs::create_dir_all(&broken).unwrap();
    let shown = history(&world, &["--json"]).exits(1);
    assert_eq!(shown.stdout, format!("{whole}\n"));
    assert_eq!(
        shown.stderr,
        format!("pycstore: cannot read the history {}: it is not a regular file\n", broken.display())
    );
}

#[test]
fn the_state_directory_can_be_elsewhere() {
    let world = World::new();
    let whole = line("2020-01-01T13:05:06Z", "/s", 0);
    world.write("state/pycstore/0123456789abcdef/history.jsonl", format!("{whole}\n"));
    let with_state = |state: &str| {
        let mut command = world.program();
        answer(command.env("XDG_STATE_HOME", state).args(["history", "--json"])).exits(0).stdout
    };
    assert_eq!(with_state(world.home.join("state").to_str().unwrap()), format!("{whole}\n"));
    assert_eq!(with_state("state"), "", "the specification: a relative path is ignored");
}
