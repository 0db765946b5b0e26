//! Packages: which distribution a module in site-packages belongs to.
//!
//! Each installed distribution has a `NAME-VERSION.dist-info` directory: `METADATA` has its name, `RECORD` every file
//! that was installed (the "Recording installed projects" specification of the Python Packaging Authority; PEP 376
//! and 627 before it). An editable installation has its sources elsewhere: `direct_url.json` (PEP 610) says where.
//! Where that is gone, or a module is in no `RECORD`, the name that it is imported by must do.
//!
//! Read only when packages are asked for; each site-packages once.
//!
//! Home of csv (as `RECORD` is) and serde_json (as `direct_url.json` is), beside those of output.

use crate::host::directory;
use crate::source::owner::{Owner, OwnerKind};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The longest `RECORD` that is read, in bytes: some hundred thousand files.
const LONGEST_RECORD: u64 = 16 << 20;

/// The longest `METADATA` or `direct_url.json`, in bytes.
const LONGEST: u64 = 1 << 20;

/// They are read one after another: there may be as many threads at it as there are environments.
static READING: Mutex<()> = Mutex::new(());

/// Where a source is, as far as packages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackagePlace {
    /// In this package.
    In(Arc<str>),
    /// In no site-packages: no package's, unless an editable installation has it.
    Elsewhere,
}

/// What is known of the packages on this machine; shared by the workers of a scan.
#[derive(Debug, Default)]
pub struct Packages {
    sites: Mutex<HashMap<PathBuf, Arc<OnceLock<Site>>>>,
    projects: Mutex<BTreeSet<PathBuf>>,
    editables: OnceLock<Vec<(PathBuf, Arc<str>)>>,
}

/// A site-packages directory.
#[derive(Debug, Default)]
struct Site {
    /// The distribution of each recorded file, by path from the site.
    files: HashMap<Vec<u8>, Arc<str>>,
    /// The distribution of each top-level name; none where several share it.
    tops: HashMap<Vec<u8>, Option<Arc<str>>>,
    /// Where sources of editable installations lie.
    editables: Vec<(PathBuf, Arc<str>)>,
}

/// A directory in a site-packages.
#[derive(Debug)]
pub struct SiteDirectory {
    site: Arc<OnceLock<Site>>,
    /// Its path from there, a slash after each directory.
    prefix: Vec<u8>,
}

impl SiteDirectory {
    /// The package of the source `name` in the directory.
    pub fn package(&self, name: &[u8]) -> Arc<str> {
        let path = [&self.prefix, name].concat();
        let top = path.split(|&byte| byte == b'/').next().unwrap_or_default();
        let known =
            self.site.get().and_then(|site| site.files.get(&path).or_else(|| site.tops.get(top)?.as_ref()));
        known.cloned().unwrap_or_else(|| import_name(top).into())
    }
}

impl Packages {
    /// Where the source `name` in `directory` is, whose owner is known.
    pub fn place(&self, directory: &Path, name: &[u8], owner: &Owner) -> PackagePlace {
        if let Some(site) = self.site_of(directory) {
            return PackagePlace::In(site.package(name));
        }
        if owner.kind == OwnerKind::Project {
            let mut projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
            if !projects.contains(&owner.root) {
                projects.insert(owner.root.clone());
            }
        }
        PackagePlace::Elsewhere
    }

    /// The site-packages that a directory is, or lies in.
    pub fn site_of(&self, directory: &Path) -> Option<SiteDirectory> {
        let root = site_around(directory)?;
        let site = self.site(root);
        site.get_or_init(|| Site::read(root));
        let relative = directory.strip_prefix(root).unwrap_or(Path::new(""));
        // With a slash at the end, if it is not empty.
        let prefix = relative.join("").into_os_string().into_vec();
        Some(SiteDirectory { site, prefix })
    }

    /// The package whose editable installation has its sources in or above this directory. The environments are those
    /// that were met so far, and those where projects have theirs.
    pub fn editable(&self, directory: &Path) -> Option<Arc<str>> {
        let editables = self.editables.get_or_init(|| self.all_editables());
        let around = editables.iter().filter(|(root, _)| directory.starts_with(root));
        around.max_by_key(|(root, _)| root.components().count()).map(|(_, name)| name.clone())
    }

    fn site(&self, root: &Path) -> Arc<OnceLock<Site>> {
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        match sites.get(root) {
            Some(site) => site.clone(),
            None => sites.entry(root.to_path_buf()).or_default().clone(),
        }
    }

    fn all_editables(&self) -> Vec<(PathBuf, Arc<str>)> {
        let projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for environment in projects.iter().flat_map(|root| [root.join(".venv"), root.join("venv")]) {
            for library in std::fs::read_dir(environment.join("lib")).into_iter().flatten().flatten() {
                let root = library.path().join("site-packages");
                if root.is_dir() {
                    self.site(&root).get_or_init(|| Site::read(&root));
                }
            }
        }
        let sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let mut editables: Vec<_> =
            sites.values().filter_map(|site| site.get()).flat_map(|site| site.editables.clone()).collect();
        editables.sort();
        editables.dedup();
        editables
    }
}

impl Site {
    fn read(root: &Path) -> Site {
        let mut site = Site::default();
        let mut directories: Vec<PathBuf> =
            std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        directories.sort();
        for directory in directories {
            if directory.extension() == Some(OsStr::new("dist-info")) {
                site.add(&directory);
            }
        }
        site
    }

    fn add(&mut self, directory: &Path) {
        let _turn = READING.lock().unwrap_or_else(PoisonError::into_inner);
        let stem = directory.file_stem().map(OsStr::to_string_lossy).unwrap_or_default();
        let named = stem.rsplit_once('-').map_or(&*stem, |(name, _)| name);
        let metadata = read(&directory.join("METADATA"), LONGEST).unwrap_or_default();
        let name: Arc<str> = name_in(&metadata).unwrap_or_else(|| named.to_string()).into();
        if let Some(root) =
            read(&directory.join("direct_url.json"), LONGEST).as_deref().and_then(editable_root)
        {
            self.editables.push((root, name.clone()));
        }
        for path in read(&directory.join("RECORD"), LONGEST_RECORD).iter().flat_map(|record| paths_of(record))
        {
            let top = path.split(|&byte| byte == b'/').next().unwrap_or_default().to_vec();
            let shared = self.tops.entry(top).or_insert_with(|| Some(name.clone()));
            if shared.as_ref().is_some_and(|other| *other != name) {
                *shared = None;
            }
            self.files.insert(path, name.clone());
        }
    }
}

/// The site-packages that a directory is, or lies in: the innermost. An archive of uv's cache is laid out like one.
pub fn site_around(directory: &Path) -> Option<&Path> {
    directory.ancestors().find(|ancestor| {
        let is_archive = ancestor.parent().is_some_and(|parent| parent.ends_with("archive-v0"));
        ancestor.ends_with("site-packages")
            || ancestor.ends_with("dist-packages")
            || (is_archive && !ancestor.join("lib").is_dir())
    })
}

/// `yaml` for `yaml/` and for `yaml.py`.
fn import_name(top: &[u8]) -> String {
    let stem = top.split(|&byte| byte == b'.').next().unwrap_or_default();
    String::from_utf8_lossy(stem).into_owned()
}

/// The `Name` among the headers of a `METADATA`.
pub(crate) fn name_in(metadata: &[u8]) -> Option<String> {
    let mut headers = metadata.split(|&byte| byte == b'\n').take_while(|line| !line.trim_ascii().is_empty());
    let name = headers.find_map(|line| line.strip_prefix(b"Name:"))?.trim_ascii();
    Some(String::from_utf8_lossy(name).into_owned()).filter(|name| !name.is_empty())
}

/// The paths of the sources in a `RECORD`, which has a path, a hash and a size a row. Only those below the place of the
/// package, spelled as the scan spells them: what is installed elsewhere (`../../../bin/x.py`) belongs to no module there.
pub(crate) fn paths_of(record: &[u8]) -> Vec<Vec<u8>> {
    let rows = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(record);
    let paths = rows.into_byte_records().flatten().filter_map(|row| Some(row.get(0)?.to_vec()));
    paths.filter(|path| path.ends_with(b".py") && is_below(path)).collect()
}

/// Whether a path stays below the directory that it starts from, and has no component that a scan would not have.
fn is_below(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/').all(|component| !matches!(component, b"" | b"." | b".."))
}

/// Where the sources of an editable installation lie; none for any other.
pub(crate) fn editable_root(direct_url: &[u8]) -> Option<PathBuf> {
    let document: serde_json::Value = serde_json::from_slice(direct_url).ok()?;
    let is_editable = document.get("dir_info")?.get("editable")?.as_bool()?;
    let path = document.get("url")?.as_str()?.strip_prefix("file://")?;
    // A host may stand before the path: `file://localhost/a`.
    let path = percent_decoded(&path.as_bytes()[path.find('/')?..]);
    is_editable.then(|| PathBuf::from(std::ffi::OsString::from_vec(path)))
}

/// `%20` → a space.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let escaped = after
            .get(..2)
            .filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        decoded.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    decoded
}

/// At most so many bytes of a file; nothing of one with holes that claims to be long.
fn read(path: &Path, longest: u64) -> Option<Vec<u8>> {
    // A pipe would be waited for.
    let (file, metadata) = directory::open_file(path).ok()?;
    if metadata.readable_bytes() < metadata.bytes {
        return None;
    }
    let mut contents = Vec::new();
    file.take(longest).read_to_end(&mut contents).ok()?;
    Some(contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::owner::directory_owner;

    fn distribution(site: &Path, name: &str, record: &str) {
        let escaped = name.replace('-', "_");
        let directory = site.join(format!("{escaped}-1.0.dist-info"));
        std::fs::create_dir_all(&directory).unwrap();
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n\nName: no\n");
        std::fs::write(directory.join("METADATA"), metadata).unwrap();
        std::fs::write(directory.join("RECORD"), record).unwrap();
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let temporary = tempfile::tempdir().unwrap();
        let pipe = temporary.path().join("RECORD");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let (sender, answers) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(read(&pipe, LONGEST)));
        assert_eq!(answers.recv_timeout(std::time::Duration::from_secs(30)), Ok(None));
    }

    #[test]
    fn a_module_belongs_to_the_distribution_that_recorded_it() {
        let temporary = tempfile::tempdir().unwrap();
        let site = temporary.path().join("lib/python3.12/site-packages");
        distribution(&site, "PyYAML", "yaml/__init__.py,sha256=x,1\nyaml/loader.py,,\n_yaml.py,,\n");
        distribution(&site, "one-cloud", "cloud/one.py,,\n\"cloud/a,b.py\",,\n");
        distribution(&site, "two-cloud", "cloud/two.py,,\n");
        let packages = Packages::default();
        let of = |directory: &str, name: &str| {
            let directory = site.join(directory);
            match packages.place(&directory, name.as_bytes(), &directory_owner(&directory)) {
                PackagePlace::In(package) => package.to_string(),
                PackagePlace::Elsewhere => "elsewhere".to_string(),
            }
        };
        assert_eq!(of("yaml", "loader.py"), "PyYAML");
        assert_eq!(of("yaml/made/later", "m.py"), "PyYAML");
        assert_eq!(of("", "_yaml.py"), "PyYAML");
        assert_eq!((of("cloud", "one.py"), of("cloud", "two.py")), ("one-cloud".into(), "two-cloud".into()));
        assert_eq!(of("cloud", "a,b.py"), "one-cloud");
        assert_eq!(of("cloud", "nobodys.py"), "cloud");
        assert_eq!((of("gone/deep", "m.py"), of("", "single.py")), ("gone".into(), "single".into()));
        let library = site.parent().unwrap();
        assert_eq!(packages.place(library, b"os.py", &directory_owner(library)), PackagePlace::Elsewhere);
    }

    #[test]
    fn what_a_record_names_outside_of_its_place_belongs_to_no_package() {
        let record = b"/etc/x.py,,\n../y.py,,\na/../b.py,,\n./c.py,,\na//d.py,,\n../../../bin/tool.py,,\na/..b.py,,\na/e.py,,\n";
        assert_eq!(paths_of(record), [b"a/..b.py".to_vec(), b"a/e.py".to_vec()]);
    }

    #[test]
    fn an_editable_installation_says_where_its_sources_are() {
        let root = |text: &str| editable_root(text.as_bytes());
        assert_eq!(
            root(r#"{"url": "file:///h/my%20p", "dir_info": {"editable": true}}"#),
            Some("/h/my p".into())
        );
        assert_eq!(root(r#"{"url": "file:///h/p", "dir_info": {"editable": false}}"#), None);
        assert_eq!(root(r#"{"url": "file:///h/p.whl", "archive_info": {}}"#), None);
        assert_eq!(root("{"), None);
        assert_eq!(percent_decoded(b"100%/%zz/%+f/%e6"), b"100%/%zz/%+f/\xe6");
    }
}
