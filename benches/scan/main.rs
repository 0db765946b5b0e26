//! `cargo bench --bench scan`: the program against GNU `du`, `rm` and a floor, on a large synthetic store.
//!
//! Builds the store (`synthetic.rs`), runs every command in turn in each round, and prints medians and ratios with
//! their bars. The machine is named; ratios within one run say more than times, and processor time says more than
//! wall time where others use the machine. Every answer of every run is compared with what is true of the store:
//! a wrong one ends the bench with an error. A missed bar is only reported.
//!
//! * *Warm*: each command has run before.
//! * *Cold*: the kernel's caches are dropped before each command; only root may do that.
//! * *Bodies* (`bodies.rs`): what headers cannot tell, against CPython's own `marshal.loads`.
//! * The *floor* (`floor.rs`) makes the fewest system calls that answer the same question.

#![allow(missing_docs, reason = "a bench has no callers")]

mod bodies;
mod floor;
mod machine;
mod measure;
mod options;
mod process;
mod report;
mod scale;
mod subjects;
mod synthetic;

use anyhow::{Context, bail, ensure};
use floor::Question;
use measure::{Bar, Subject};
use options::{Cold, Options, Section, Task};
use process::Runner;
use report::Report;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::process::{Command, ExitCode};
use subjects::{BUDGET, DELETE, DU, GNU_DU, PRUNE, RM, Room, Subjects, floor_name};
use synthetic::{Synthetic, Truth};

const VERSION: &str = "pycstore --version";
const INSPECT: &str = "pycstore inspect ENTRY";

const WARM: [Bar; 4] = [
    Bar { subject: DU, over: &["floor du, 2 threads", "floor du, 16 threads"], most: 1.25 },
    Bar { subject: DU, over: &[GNU_DU], most: 1.6 },
    Bar { subject: PRUNE, over: &["floor orphans, 2 threads", "floor orphans, 16 threads"], most: 0.75 },
    Bar { subject: PRUNE, over: &[GNU_DU], most: 0.55 },
];
const COLD: [Bar; 3] = [
    Bar { subject: DU, over: &["floor du, 64 threads"], most: 1.25 },
    Bar { subject: DU, over: &[GNU_DU], most: 1.5 },
    Bar { subject: PRUNE, over: &[GNU_DU], most: 0.4 },
];
const DELETING: [Bar; 1] = [Bar { subject: DELETE, over: &[RM], most: 1.1 }];
/// Peak memory in units of 10⁶ bytes.
const MEMORY: [(&str, f64); 4] = [(DU, 64.0), (PRUNE, 96.0), (BUDGET, 96.0), (DELETE, 96.0)];
/// Milliseconds that a command may take which needs no scan.
const START: f64 = 5.0;
const STARTS: usize = 50;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let result = if arguments.first().is_some_and(|first| first == "--floor") {
        floor::main(arguments.into_iter().skip(1))
    } else if arguments.first().is_some_and(|first| first == "--walk") {
        bodies::main(arguments.into_iter().skip(1))
    } else if arguments.iter().any(|argument| argument == "--bench") {
        Options::parse(arguments.into_iter()).and_then(|options| bench(&options))
    } else {
        // `cargo bench` says `--bench`, `cargo test` does not.
        eprintln!("nothing is measured outside of `cargo bench --bench scan`");
        Ok(())
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(options: &Options) -> anyhow::Result<()> {
    if options.task == Task::Clean {
        let _lock = options.directory.is_dir().then(|| lock(options)).transpose()?;
        return synthetic::clean(&options.directory);
    }
    let may_drop = options.cold != Cold::No
        && rustix::process::geteuid().is_root()
        && File::options().write(true).open("/proc/sys/vm/drop_caches").is_ok();
    if options.cold == Cold::Yes && !may_drop {
        bail!("--cold: only root may drop the caches");
    }
    std::fs::create_dir_all(&options.directory)?;
    let _lock = lock(options)?;
    let synthetic = Synthetic::prepare(&options.directory, options.shape)?;
    let runner = Runner { directory: options.directory.canonicalize()? };
    let subjects = Subjects { synthetic, runner, floor: std::env::current_exe()? };
    let bench = Bench { options, subjects, gnu_du: finds_gnu_du() };
    bench.introduce(may_drop)?;
    let mut report = Report::default();
    let mut peaks = Vec::new();
    bench.scans(Caches::Warm, &mut report, &mut peaks)?;
    if may_drop {
        bench.scans(Caches::Cold, &mut report, &mut peaks)?;
    }
    bench.deletions(&mut report, &mut peaks)?;
    bench.memory(&mut report, peaks)?;
    bench.start(&mut report)?;
    if options.wants(Section::Bodies) {
        bodies::measure(&bench.subjects, &options.directory, options.rounds, &mut report)?;
    }
    if options.wants(Section::Scale) {
        scale::measure(&bench.subjects, options.rounds, bench.gnu_du)?;
    }
    report.end();
    Ok(())
}

/// One bench at a time in a directory.
fn lock(options: &Options) -> anyhow::Result<File> {
    let directory = File::open(&options.directory)?;
    match directory.try_lock() {
        Ok(()) => Ok(directory),
        Err(TryLockError::WouldBlock) => bail!("another bench uses {}", options.directory.display()),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Whether `du` is GNU's: others take another time.
fn finds_gnu_du() -> bool {
    let version = Command::new("du").arg("--version").output();
    version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("GNU coreutils"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Caches {
    Warm,
    Cold,
}

/// The most memory that subjects of this name had.
type Peaks = Vec<(String, u64)>;

fn keep_peaks(peaks: &mut Peaks, subjects: &[Subject<'_>]) {
    peaks.extend(subjects.iter().map(|subject| (subject.name().to_string(), subject.memory())));
}

struct Bench<'a> {
    options: &'a Options,
    subjects: Subjects,
    gnu_du: bool,
}

impl Bench<'_> {
    fn introduce(&self, may_drop: bool) -> anyhow::Result<()> {
        let Truth { fresh, stale, orphans, directories, .. } = self.subjects.synthetic.truth;
        let entries = self.subjects.synthetic.truth.entries();
        println!("machine  {}", machine::describe(&self.subjects.synthetic.store().canonicalize()?)?);
        println!("load     {}", machine::load());
        println!(
            "store    {entries} entries in {directories} directories: {fresh} fresh, {stale} stale, {orphans} orphans"
        );
        if !may_drop {
            println!("caches   warm only");
        }
        if !self.gnu_du {
            println!("du       not GNU's, and not measured");
        }
        Ok(())
    }

    /// `du` and `prune --orphans --dry-run`, on the store as it is.
    fn scans(&self, caches: Caches, report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
        let sections = [(Section::Du, DU), (Section::Prune, PRUNE)];
        let wanted: Vec<&str> = sections
            .iter()
            .filter(|(section, _)| self.options.wants(*section))
            .map(|(_, name)| *name)
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let (title, bars): (_, &[Bar]) = match caches {
            Caches::Warm => ("warm", &WARM),
            Caches::Cold => ("cold", &COLD),
        };
        let bars: Vec<Bar> = bars.iter().filter(|bar| wanted.contains(&bar.subject)).copied().collect();
        let room = Room::default();
        let mut subjects = Vec::new();
        if self.gnu_du {
            subjects.push(self.subjects.gnu_du(&room));
        }
        for question in [Question::Du, Question::Orphans] {
            for threads in [2, 16, 64] {
                let name = floor_name(question, threads);
                if bars.iter().any(|bar| bar.over.contains(&name.as_str())) {
                    subjects.push(self.subjects.floor(question, threads));
                }
            }
        }
        if wanted.contains(&DU) {
            subjects.push(self.subjects.du(DU, &[], &room));
        }
        if wanted.contains(&PRUNE) {
            subjects.push(self.subjects.prune(PRUNE, &["--dry-run"]));
        }
        let mut subjects = match caches {
            Caches::Warm => subjects,
            Caches::Cold => subjects.into_iter().map(|it| it.after(process::drop_caches)).collect(),
        };
        if caches == Caches::Warm {
            process::sync();
            eprintln!("{title}: each command once");
            subjects.iter().try_for_each(|subject| subject.try_out(&self.subjects.runner))?;
        }
        measure::run(&self.subjects.runner, &mut subjects, self.options.rounds, title)?;
        report.times(title, &subjects, &bars);
        keep_peaks(peaks, &subjects);
        Ok(())
    }

    /// `prune --orphans` and `rm -rf`, each on orphans made again.
    fn deletions(&self, report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
        if self.options.wants(Section::Delete) {
            let mut subjects = [self.subjects.rm(), self.subjects.deletion()];
            measure::run(&self.subjects.runner, &mut subjects, self.options.rounds, "delete")?;
            self.subjects.synthetic.restore_orphans()?;
            let title = format!("deleting {} orphans", self.subjects.synthetic.truth.orphans);
            report.times(&title, &subjects, &DELETING);
            keep_peaks(peaks, &subjects);
        }
        Ok(())
    }

    fn memory(&self, report: &mut Report, mut peaks: Peaks) -> anyhow::Result<()> {
        if !self.options.wants(Section::Memory) {
            return Ok(());
        }
        let room = Room::default();
        // As many threads as a scan with cold caches grows to, each with its own room.
        for threads in [&["--threads", "64"][..], &[]] {
            let mut subjects = [
                self.subjects.du(DU, threads, &room),
                self.subjects.prune(PRUNE, &[threads, &["--dry-run"]].concat()),
                self.subjects.budget(threads),
            ];
            measure::run(&self.subjects.runner, &mut subjects, 1, "memory")?;
            keep_peaks(&mut peaks, &subjects);
        }
        if !peaks.iter().any(|(name, _)| name == DELETE) {
            let mut subjects = [self.subjects.deletion()];
            measure::run(&self.subjects.runner, &mut subjects, 1, "memory")?;
            self.subjects.synthetic.restore_orphans()?;
            keep_peaks(&mut peaks, &subjects);
        }
        let own = process::own_memory()?;
        report.heading("peak memory", "10⁶ bytes");
        for (name, most) in MEMORY {
            let peak = peaks.iter().filter(|(it, _)| it == name).map(|(_, peak)| *peak).max().unwrap_or(0);
            ensure!(peak > own, "{name}: its peak cannot be told, for the bench itself had {own} bytes");
            report.value(name, peak as f64 / 1e6, Some(most));
        }
        Ok(())
    }

    fn start(&self, report: &mut Report) -> anyhow::Result<()> {
        if !self.options.wants(Section::Start) {
            return Ok(());
        }
        let entry = self.subjects.synthetic.fresh_entry()?;
        let inspect = entry.clone();
        let shown = entry.to_str().context("a path that is not UTF-8")?.to_string();
        let version = concat!("pycstore ", env!("CARGO_PKG_VERSION"));
        let mut subjects = [
            Subject::new("true, which does nothing", || Command::new("true"), |_| Ok(())),
            Subject::new(
                VERSION,
                || self.subjects.program(&["--version"]),
                move |finished| {
                    ensure!(finished.stdout.trim() == version, "{}", finished.stdout);
                    Ok(())
                },
            ),
            Subject::new(
                INSPECT,
                move || {
                    let mut command = self.subjects.program(&["inspect"]);
                    command.arg(&inspect);
                    command
                },
                move |finished| {
                    let is_it = finished.stdout.contains(&shown) && finished.stdout.contains("fresh");
                    ensure!(is_it, "{}", finished.stdout);
                    Ok(())
                },
            ),
        ];
        subjects.iter().try_for_each(|subject| subject.try_out(&self.subjects.runner))?;
        measure::run(&self.subjects.runner, &mut subjects, STARTS, "start")?;
        report.heading(&format!("from start to end, median of {STARTS}"), "ms");
        for subject in &subjects {
            let bar = [VERSION, INSPECT].contains(&subject.name()).then_some(START);
            report.value(subject.name(), subject.wall().as_secs_f64() * 1e3, bar);
        }
        Ok(())
    }
}
