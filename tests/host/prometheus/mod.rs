//! The metrics, the alerting rules and the dashboard, by the engines that read them: `promtool`, the node exporter with its
//! textfile collector, and a Prometheus that scrapes it on the loopback interface.

use crate::support::{World, answer};
use pycstore::history::every_user::{self, UserRun};
use pycstore::units::Moment;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// Part of the store's path that each format has to quote.
const HOSTILE: &str = "a \"b\" \\n \n \r é,{}= #\u{1b}";

/// A server that ends with this value.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts a program on a free port and waits until it answers.
    fn start(command: &mut Command) -> Server {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Server { child, port };
        wait("it answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }

    /// The body of the answer to a request.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.split_once("\r\n\r\n").unwrap().1.to_string()
    }

    /// The data of Prometheus' answer.
    #[track_caller]
    fn api(&self, path: &str) -> Value {
        let answer: Value = serde_json::from_str(&self.get(path)).unwrap();
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].clone()
    }

    /// The samples of a query.
    #[track_caller]
    fn query(&self, query: &str) -> Vec<Value> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        self.api(&format!("/api/v1/query?query={encoded}"))["result"].as_array().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn wait(what: &str, mut is_done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_done() {
        assert!(began.elapsed() < Duration::from_secs(120), "it takes too long until {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A store with everything that the rules are about, and the directory of its metrics.
struct Monitored {
    world: World,
    store: PathBuf,
    directory: PathBuf,
}

impl Monitored {
    fn new() -> Monitored {
        let world = World::of_projects(&["a.py", "b.py"], &["c.py"]);
        let directory = world.home.join("metrics");
        fs::create_dir(&directory).unwrap();
        let store = world.home.join(HOSTILE);
        fs::rename(&world.store, &store).unwrap();
        let mirror = store.join(world.home.join("kept").strip_prefix("/").unwrap());
        fs::write(mirror.join("c.a\"{} \\.pyc"), "no bytecode").unwrap();
        // Others can reach it, and write to it.
        world.open_to_all();
        fs::set_permissions(&store, PermissionsExt::from_mode(0o777)).unwrap();
        let monitored = Monitored { world, store, directory };
        monitored.write_metrics();
        monitored
    }

    fn pycstore(&self, file: &str, store: &Path, arguments: &[&str], exit: i32) {
        let mut command = self.world.program();
        command.arg("--store").arg(store).args(arguments).arg("--metrics").arg(self.directory.join(file));
        answer(&mut command).exits(exit);
    }

    fn write_metrics(&self) {
        let (world, store) = (&self.world, &self.store);
        // The last success is years ago, and two runs have found the store locked since.
        world.write(".config/pycstore/config.toml", "[prune]\nmax-size = '1K'\nmax-files = 1\n");
        self.pycstore("pycstore.prom", store, &["prune", "--temporary"], 0);
        let state = fs::read_dir(world.home.join(".local/state/pycstore")).unwrap().next().unwrap().unwrap();
        let history = state.path().join("history.jsonl");
        let mut run: Value = serde_json::from_str(&fs::read_to_string(&history).unwrap()).unwrap();
        run["started"] = "2001-01-01T00:00:00Z".into();
        let mut locked = run.clone();
        locked["locked"] = serde_json::json!({"process": 1, "user": 0, "command": "x", "runs": 3});
        fs::write(&history, format!("{run}\n{locked}\n")).unwrap();
        self.pycstore("pycstore.prom", store, &["du"], 0);
        self.pycstore("missing.prom", &world.home.join("missing"), &["prune"], 2);
        let invalid = world.write("invalid.toml", "threads = 0\n");
        let doctor = ["--config", invalid.to_str().unwrap(), "doctor"];
        self.pycstore("doctor.prom", store, &doctor, 1);
        // The job for every user ran long ago, and the run for a user failed.
        let took = Duration::from_secs(1);
        let runs = [UserRun { user: "a\"b".into(), exit: Some(2), took, metrics: Vec::new() }];
        let (metrics, _) = every_user::metrics(&runs, Moment { seconds: 1_000_000_000, nanoseconds: 0 });
        metrics.write(&self.directory.join("users.prom")).unwrap();
    }

    /// A snippet of `setup`, in a file.
    fn snippet(&self, target: &str) -> String {
        self.world.pycstore_without_prefix(["setup", target]).exits(0).stdout
    }
}

#[test]
#[ignore = "needs promtool"]
fn promtool_accepts_metrics_and_every_rule_fires() {
    let monitored = Monitored::new();
    for name in ["pycstore.prom", "missing.prom", "doctor.prom", "users.prom"] {
        let file = fs::File::open(monitored.directory.join(name)).unwrap();
        let checked =
            answer(monitored.world.command("promtool").args(["check", "metrics"]).stdin(file)).exits(0);
        assert_eq!((checked.stdout, checked.stderr), Default::default(), "{name}");
    }
    let rules = monitored.snippet("prometheus");
    let file = monitored.world.write("rules.yml", &rules);
    answer(monitored.world.command("promtool").args(["check", "rules"]).arg(&file)).exits(0);
    let tests = include_str!("rules-test.yml");
    let test = monitored.world.write("rules-test.yml", tests);
    answer(monitored.world.command("promtool").args(["test", "rules"]).arg(test)).exits(0);
    for name in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname=\"{name}\"")), "no test for {name}");
    }
}

/// Adds what was measured two days ago, when less was reclaimable.
fn backfill(monitored: &Monitored, data: &Path) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let store = HOSTILE.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let store = format!("{}/{store}", monitored.world.home.display());
    let mut text = "# TYPE pycstore_reclaimable_disk_bytes gauge\n".to_string();
    for minute in 0..20 {
        let labels = format!("instance=\"host\",job=\"node\",store=\"{store}\",status=\"orphan\"");
        let then = now - 2 * 86_400 - 300 + 60 * minute;
        text.push_str(&format!("pycstore_reclaimable_disk_bytes{{{labels}}} 1 {then}\n"));
    }
    let file = monitored.world.write("history.txt", text + "# EOF\n");
    let mut command = monitored.world.command("promtool");
    answer(command.args(["tsdb", "create-blocks-from", "openmetrics"]).arg(file).arg(data)).exits(0);
}

/// Every query of the dashboard gets data, and those of its variables.
fn check_dashboard(dashboard: &Value, prometheus: &Server) {
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let all = |query: &str| {
        variables.iter().fold(query.to_string(), |query, variable| {
            let (name, all) = (variable["name"].as_str().unwrap(), variable["allValue"].as_str());
            all.map_or(query.clone(), |all| query.replace(&format!("${name}"), all))
        })
    };
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        queries.extend(
            panel["targets"].as_array().unwrap().iter().map(|target| target["expr"].as_str().unwrap()),
        );
    }
    assert!(queries.len() > 15, "{queries:?}");
    for variable in variables {
        if let Some(query) = variable["query"]["query"].as_str() {
            let values = query.strip_prefix("label_values(").unwrap().rsplit_once(", ").unwrap();
            let label = values.1.trim_end_matches(')');
            queries.push(values.0);
            assert!(prometheus.query(&all(values.0))[0]["metric"][label].is_string());
        }
    }
    for query in queries {
        let query = all(query);
        assert!(!prometheus.query(&query).is_empty(), "no data: {query}");
    }
}

#[test]
#[ignore = "needs Prometheus and its node exporter"]
fn prometheus_scrapes_the_exporter_and_every_alert_that_can_fire_does() {
    let monitored = Monitored::new();
    let world = &monitored.world;
    let exporter = Server::start(
        world
            .command("prometheus-node-exporter")
            .args(["--collector.disable-defaults", "--collector.textfile"])
            .arg(format!("--collector.textfile.directory={}", monitored.directory.display())),
    );
    let exposed = exporter.get("/metrics");
    assert!(exposed.contains("\nnode_textfile_scrape_error 0\n"), "{exposed}");
    // Nothing waits for a day here; promtool tests the times.
    let rules = monitored.snippet("prometheus");
    let now: String = rules
        .lines()
        .filter(|line| !line.trim().starts_with("for: "))
        .fold(String::new(), |text, line| text + line + "\n");
    world.write("rules.yml", now);
    let configuration = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [rules.yml]\nscrape_configs:\n  \
         - job_name: node\n    static_configs:\n      - targets: ['127.0.0.1:{}']\n        labels: {{instance: host}}\n",
        exporter.port
    );
    let configuration = world.write("prometheus.yml", configuration);
    let data = world.home.join("data");
    backfill(&monitored, &data);
    let prometheus = Server::start(
        world
            .command("prometheus")
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", data.display())),
    );
    let expected: BTreeSet<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(expected.len() > 8, "{expected:?}");
    let mut firing = BTreeSet::new();
    let began = Instant::now();
    while firing.len() < expected.len() && began.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(300));
        let ready = prometheus.get("/-/ready");
        if !ready.contains("Ready") {
            continue;
        }
        let alerts = prometheus.api("/api/v1/alerts");
        let alerts = alerts["alerts"].as_array().unwrap().iter().filter(|alert| alert["state"] == "firing");
        firing = alerts.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_string()).collect();
    }
    assert_eq!(firing.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);
    // The names arrive as they are.
    let up = prometheus.query("pycstore_up == 1");
    assert_eq!(up[0]["metric"]["store"], monitored.store.to_str().unwrap());
    let files = prometheus.query("sum by (store) (pycstore_entries)");
    let disk = prometheus.query("sum(pycstore_disk_bytes)");
    let used = world.program().arg("--store").arg(&monitored.store).args(["du", "--json"]).output().unwrap();
    let used: Value = serde_json::from_slice(&used.stdout).unwrap();
    let of = |field: &str| -> u64 {
        used["statuses"].as_object().unwrap().values().map(|sum| sum[field].as_u64().unwrap()).sum()
    };
    let value = |samples: &[Value]| samples[0]["value"][1].as_str().unwrap().parse::<u64>().unwrap();
    assert_eq!((value(&files), value(&disk)), (of("files"), of("disk")));
    let dashboard = serde_json::from_str(&monitored.snippet("grafana")).unwrap();
    check_dashboard(&dashboard, &prometheus);
}
