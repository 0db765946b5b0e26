//! Names the machine: figures of another are other figures.

use pycstore::host::volumes::Mounts;
use std::fs;
use std::path::Path;

/// One line on the machine and the file system that a path is on.
pub fn describe(path: &Path) -> anyhow::Result<String> {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|it| it.trim() == name));
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_string()))
    };
    let cores = std::thread::available_parallelism()?;
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.into());
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|total| total.trim_end_matches(" kB").parse::<f64>().ok())
        .map_or_else(|| "?".into(), |kibibytes| format!("{:.1}", kibibytes / f64::from(1 << 20)));
    let system = rustix::system::uname();
    let mounts = Mounts::read()?;
    let (kind, options) =
        mounts.of(path).map_or(("?", "?"), |mount| (mount.kind.as_str(), mount.options.as_str()));
    Ok(format!(
        "{cores} cores ({model}), {memory} GiB of memory, {} {}, {kind} ({options})",
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
    ))
}

/// How busy the machine has been, as `/proc/loadavg` tells it.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
