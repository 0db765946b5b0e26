//! The page of `pycstore report --html` in a real browser: headless Chromium.
//!
//! These tests need Debian's `chromium` and `chromium-driver`, so they run when they are asked for, as `.ci/run` does:
//! `cargo test --test host browser -- --ignored`.

mod driver;

use crate::support::{World, newest};
use driver::Browser;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// One browser at a time is enough for a small machine.
static TURN: Mutex<()> = Mutex::new(());

/// Runs a test on the report of a world's store, and sees to it that the page asks for nothing and complains of nothing.
fn on_page(world: &World, test: impl FnOnce(&Browser, &PathBuf)) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let page = world.home.join("report.html");
    world.pycstore(["report", "--html", "report.html"]).exits(0);
    let browser = Browser::start(world);
    browser.requests(); // the browser's own first page
    browser.open(&page, "");
    test(&browser, &page);
    assert_eq!(browser.console(), [] as [Value; 0]);
    let asked = browser.requests();
    assert!(asked.iter().any(|url| url.ends_with("/report.html")), "{asked:?}");
    let others: Vec<_> =
        asked.iter().filter(|url| !url.contains("/report.html") && *url != "about:blank").collect();
    assert!(others.is_empty(), "the page asks for {others:?}");
}

/// Projects of different sizes, of which one is gone, one has a stale entry and one was compiled twice.
fn store() -> World {
    let world = World::new();
    let big = world.project("big", &["a.py"]);
    world.write("big/b.py", "X = ('x', 'y', 'z')\n".repeat(4000));
    let many = world.project("many", &["a.py", "b.py", "c.py", "d.py", "e.py"]);
    let gone = world.project("gone", &["a.py", "b.py"]);
    world.write("gone/c.py", "X = ('x', 'y', 'z')\n".repeat(1500));
    world.compile(newest(), &[], &[&big, &many, &gone]);
    world.compile(newest(), &["-o", "1"], &[&many]);
    std::fs::remove_dir_all(&gone).unwrap();
    world.write("many/c.py", "NAME = 'another and longer'\n");
    world
}

/// The owners of the rows that are to be seen, from top to bottom.
fn names(browser: &Browser) -> Vec<String> {
    let names = browser.evaluate(
        "return [...document.querySelectorAll('#owners tbody tr')].filter(row => row.offsetParent !== null)
             .map(row => row.cells[0].textContent)",
    );
    names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_string()).collect()
}

fn text(browser: &Browser, selector: &str) -> String {
    let text = browser.evaluate(&format!("return document.querySelector({selector:?}).innerText"));
    text.as_str().unwrap().to_string()
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn it_renders_and_shows_the_totals_of_du() {
    let world = store();
    let du = world.pycstore(["du", "--json"]).exits(0).json();
    on_page(&world, |browser, _| {
        assert_eq!(text(browser, "h1"), "Bytecode in ~/.cache/cpython");
        for (id, value) in [
            ("total-disk", &du["total"]["disk"]),
            ("total-bytes", &du["total"]["bytes"]),
            ("total-files", &du["total"]["files"]),
            ("total-directories", &du["total"]["directories"]),
            ("total-reclaimable", &du["reclaimable"]["disk"]),
            ("status-orphan", &du["statuses"]["orphan"]["disk"]),
            ("status-stale", &du["statuses"]["stale"]["disk"]),
        ] {
            let shown = browser.evaluate(&format!(
                "const data = document.querySelector('#{id} data');
                 return data.checkVisibility() && data.getBoundingClientRect().height > 8 ? data.value : null"
            ));
            assert_eq!(shown, value.to_string(), "{id}");
        }
        // What is to be seen on the map: areas as the sizes are, and no two statuses alike.
        let tiles = browser.evaluate(
            "return [...document.querySelectorAll('.treemap.wide .tile')].map(tile => {
                 const box = tile.querySelector('.edge').getBoundingClientRect();
                 return box.width * box.height;
             })",
        );
        let areas: Vec<f64> = tiles.as_array().unwrap().iter().map(|area| area.as_f64().unwrap()).collect();
        let sizes: Vec<f64> =
            du["owners"].as_array().unwrap().iter().map(|owner| owner["disk"].as_f64().unwrap()).collect();
        assert_eq!(areas.len(), sizes.len());
        let (area, size): (f64, f64) = (areas.iter().sum(), sizes.iter().sum());
        assert!(area > 100_000.0, "{area}");
        for (one, other) in areas.iter().zip(&sizes) {
            assert!((one / area - other / size).abs() < 0.01, "{areas:?} {sizes:?}");
        }
        let fills = browser.evaluate(
            "return [...document.querySelectorAll('.legend .part')].map(part => getComputedStyle(part).fill)",
        );
        let mut fills: Vec<String> = fills.as_array().unwrap().iter().map(Value::to_string).collect();
        fills.sort();
        fills.dedup();
        assert_eq!(fills.len(), 7, "{fills:?}");
        assert_eq!(browser.role(&browser.find("#owners")), "table");
        assert_eq!(browser.role(&browser.find("#owners thead th")), "columnheader");
        assert_eq!(browser.role(&browser.find("#owners tbody th")), "rowheader");
        assert!(["img", "image"].contains(&browser.role(&browser.find(".treemap.wide")).as_str()));
    });
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn it_sorts_by_mouse_and_keyboard() {
    const ENTER: char = '\u{e007}';
    const TAB: char = '\u{e004}';
    let world = store();
    on_page(&world, |browser, page| {
        let order = |key: &str| {
            browser.evaluate(&format!(
                "return document.querySelector('th[data-key={key}]').getAttribute('aria-sort')"
            ))
        };
        assert_eq!(names(browser), ["~/big", "~/many", "~/gone"].map(String::from));
        assert_eq!(order("size"), "descending");
        browser.click(&browser.find("th[data-key=files] button"));
        assert_eq!(names(browser), ["~/many", "~/gone", "~/big"].map(String::from));
        assert_eq!((order("files"), order("size")), (json!("descending"), Value::Null));
        browser.click(&browser.find("th[data-key=files] button"));
        assert_eq!(names(browser), ["~/big", "~/gone", "~/many"].map(String::from));
        assert_eq!(order("files"), "ascending");
        // From the filter to the region that scrolls, to the first heading.
        browser.click(&browser.find("#filter"));
        browser.press(TAB);
        browser.press(TAB);
        assert_eq!(browser.evaluate("return document.activeElement.textContent"), "Owner");
        browser.press(ENTER);
        assert_eq!(names(browser), ["~/big", "~/gone", "~/many"].map(String::from));
        browser.press(ENTER);
        assert_eq!(names(browser), ["~/many", "~/gone", "~/big"].map(String::from));
        assert_eq!(order("owner"), "descending");
        let fragment = browser.evaluate("return location.hash");
        assert_eq!(fragment, "#sort=owner&order=descending");
        browser.open(page, fragment.as_str().unwrap());
        assert_eq!(names(browser), ["~/many", "~/gone", "~/big"].map(String::from));
        for key in ["kind", "share", "reclaimable", "status", "tags", "used"] {
            browser.click(&browser.find(&format!("th[data-key={key}] button")));
            assert_ne!(order(key), Value::Null, "{key}");
            assert_eq!(names(browser).len(), 3, "{key}");
        }
        browser.click(&browser.find("th[data-key=reclaimable] button"));
        assert_eq!(order("reclaimable"), "descending");
        assert_eq!(names(browser), ["~/gone", "~/many", "~/big"].map(String::from));
    });
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn it_filters() {
    let world = store();
    let du = world.pycstore(["du", "--json"]).exits(0).json();
    let of = |name: &str| {
        let root = world.home.join(name);
        let owners = du["owners"].as_array().unwrap();
        owners.iter().find(|owner| owner["root"] == root.to_str().unwrap()).unwrap()["files"].clone()
    };
    on_page(&world, |browser, page| {
        assert!(text(browser, "#shown").starts_with("3 owners: "), "{}", text(browser, "#shown"));
        let input = browser.find("#filter");
        browser.type_into(&input, "GON");
        assert_eq!(names(browser), ["~/gone"]);
        let said = text(browser, "#shown");
        assert!(
            said.starts_with("1 of 3 owners: ") && said.ends_with(&format!(" in {} files", of("gone"))),
            "{said}"
        );
        assert_eq!(
            browser.evaluate("return document.querySelectorAll('.treemap.wide .tile.filtered').length"),
            2
        );
        browser.type_into(&input, " fresh");
        assert_eq!(names(browser), [] as [String; 0], "both words have to be there");
        browser.open(page, "#sort=files&filter=fresh");
        assert_eq!(names(browser), ["~/many", "~/big"].map(String::from));
        assert_eq!(browser.evaluate("return document.querySelector('#filter').value"), "fresh");
        browser.open(page, "#filter=orphan");
        assert_eq!(names(browser), ["~/gone"]);
        // A tile leads to its row, even to one that is filtered out; the total is whole whatever is shown.
        browser.click(&browser.find(".treemap.wide .tile[data-owner='0'] .edge"));
        // The page hears of its new address a moment after the click.
        for _ in 0..600 {
            if names(browser).len() == 3 {
                break;
            }
            sleep(Duration::from_millis(100));
        }
        assert_eq!(names(browser).len(), 3);
        let is_there = "const box = document.querySelector('tr:target').getBoundingClientRect();
                        return box.top >= 0 && box.bottom <= innerHeight ? document.querySelector('tr:target').id : null";
        assert_eq!(browser.evaluate(is_there), "owner-0");
        browser.open(page, "#filter=nothing-is-called-so&sort=constructor");
        assert_eq!(names(browser), [] as [String; 0]);
        assert!(text(browser, "#owners tfoot").contains("total"));
    });
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn hostile_names_run_nothing() {
    let world = World::new();
    let hostile = [
        "a</script><script>document.title='taken'</script>",
        "<img src=x onerror=document.title='taken'>",
        "\"onmouseover=\"document.title='taken'",
        "\u{202e}cod.exe",
        "<svg onload=document.title='taken'>",
    ];
    for name in hostile {
        world.write(format!("{name}/pyproject.toml"), "");
        world.write(format!("{name}/a.py"), "");
        world.compile(newest(), &[], &[&world.home.join(name)]);
    }
    on_page(&world, |browser, _| {
        assert_eq!(browser.evaluate("return document.title"), "Bytecode in ~/.cache/cpython");
        let mut shown = names(browser);
        shown.sort();
        let mut expected = hostile.map(|name| format!("~/{}", name.replace('\u{202e}', "\\u{202e}")));
        expected.sort();
        assert_eq!(shown, expected);
        // What the script takes from the data is text as well.
        browser.type_into(&browser.find("#filter"), "<img");
        assert_eq!(names(browser), ["~/<img src=x onerror=document.title='taken'>"]);
        assert_eq!(browser.evaluate("return document.images.length + document.scripts.length"), 2);
        // And if a name were markup, the policy would stop it.
        let stopped = browser.evaluate(
            "const script = document.createElement('script');
             script.textContent = 'document.title = 1';
             document.body.append(script);
             return document.title",
        );
        assert_eq!(stopped, "Bytecode in ~/.cache/cpython");
        let complaints = browser.console();
        assert!(
            complaints.iter().all(|it| it["message"].as_str().unwrap().contains("Content Security Policy"))
        );
        assert_eq!(complaints.len(), 1, "{complaints:?}");
    });
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn it_can_be_read_in_light_and_dark_on_wide_and_narrow_screens() {
    const CONTRAST: &str = "
        const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
        const rgb = (colour) => {
            canvas.clearRect(0, 0, 1, 1);
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
        };
        const luminance = (colour) => {
            const [r, g, b] = rgb(colour).map(part => part / 255)
                .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const style = getComputedStyle(document.documentElement);
        const of = (name) => luminance(style.getPropertyValue(name));
        const ratio = (one, other) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        const pairs = [['--ink', '--page'], ['--ink', '--panel'], ['--quiet', '--page'], ['--quiet', '--panel'],
                       ['--accent', '--page'], ['--ink', '--mark']];
        for (const status of ['fresh', 'stale', 'orphan', 'corrupt', 'unknown', 'temporary', 'foreign'])
            pairs.push(['--ink', '--' + status]);
        const text = pairs.map(pair => [...pair, ratio(of(pair[0]), of(pair[1]))]).filter(pair => pair[2] < 4.5);
        const lines = ['stale', 'orphan', 'corrupt', 'unknown', 'temporary', 'foreign']
            .map(status => [status, ratio(of('--' + status), of('--' + status + '-line'))]).filter(pair => pair[1] < 2.5);
        return {text, lines, page: rgb(getComputedStyle(document.body).backgroundColor)[0]};";
    let world = store();
    on_page(&world, |browser, page| {
        for (scheme, is_bright) in [("light", true), ("dark", false)] {
            browser.colours(scheme);
            for (width, map) in
                [(1280, "wide"), (1160, "middle"), (800, "middle"), (660, "middle"), (390, "tall")]
            {
                browser.window(width, 800);
                browser.open(page, "");
                let measured = browser.evaluate(CONTRAST);
                assert_eq!(measured["text"], json!([]), "{scheme}: too little contrast");
                assert_eq!(measured["lines"], json!([]), "{scheme}: hatching that is not seen");
                assert_eq!(measured["page"].as_u64().unwrap() > 128, is_bright, "{scheme}");
                let overflow = "return document.documentElement.scrollWidth - innerWidth";
                assert!(browser.evaluate(overflow).as_i64().unwrap() <= 0, "{width}: the page is too wide");
                let maps = browser.evaluate(
                    "return [...document.querySelectorAll('.treemap')].filter(map => map.checkVisibility())
                         .map(map => map.getAttribute('class'))",
                );
                assert_eq!(maps, json!([format!("treemap {map}")]));
            }
        }
    });
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn no_label_is_cut_at_any_width() {
    const CUT: &str = "
        const map = [...document.querySelectorAll('.treemap')].find(map => map.checkVisibility());
        const cut = [...map.querySelectorAll('text')].filter(text => {
            const tile = text.closest('.tile').querySelector('.edge').getBoundingClientRect();
            return text.getBoundingClientRect().right > tile.right + 0.5;
        });
        return {cut: cut.map(text => text.textContent), all: map.querySelectorAll('text:not(.detail)').length};";
    let world = World::new();
    // As many letters as have room in a part of every width.
    let projects: Vec<PathBuf> = (0..18)
        .map(|index| {
            let project =
                world.project(&format!("a-project-number-{index}-{}", "x".repeat(index)), &["a.py"]);
            std::fs::write(project.join("b.py"), "X = ('x', 'y', 'z')\n".repeat(2000 / (index + 1))).unwrap();
            project
        })
        .collect();
    let projects: Vec<&std::path::Path> = projects.iter().map(PathBuf::as_path).collect();
    world.compile(newest(), &[], &projects);
    on_page(&world, |browser, page| {
        for width in [1600, 1280, 1265, 1264, 1160, 1000, 900, 800, 700, 641, 640, 500, 390] {
            browser.window(width, 800);
            browser.open(page, "");
            let measured = browser.evaluate(CUT);
            assert_eq!(measured["cut"], json!([]), "{width}");
            assert!(measured["all"].as_u64().unwrap() >= 5, "{width}: {measured}");
        }
    });
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn five_thousand_owners_are_no_trouble() {
    const OWNERS: usize = 5000;
    let world = World::new();
    let first = world.project("p0000", &["a.py"]);
    world.compile(newest(), &[], &[&first]);
    let entry = world.entry(&first.join("a.py"), newest(), "");
    let bytes = std::fs::read(&entry).unwrap();
    for number in 1..OWNERS {
        // Never there; the larger the number, the more room it takes.
        let mirror = world.mirror(&world.home).join(format!("p{number:04}"));
        std::fs::create_dir_all(&mirror).unwrap();
        let padding = vec![b'N'; number * 10];
        let contents = [bytes.as_slice(), &padding].concat();
        std::fs::write(mirror.join(entry.file_name().unwrap()), contents).unwrap();
    }
    on_page(&world, |browser, page| {
        let begun = Instant::now();
        browser.open(page, "");
        assert_eq!(names(browser).len(), OWNERS);
        browser.click(&browser.find("th[data-key=owner] button"));
        assert_eq!(names(browser)[..2], ["~/p0000", "~/p0001"].map(String::from));
        browser.type_into(&browser.find("#filter"), "p004");
        assert_eq!(names(browser).len(), 10);
        assert!(text(browser, "#shown").starts_with("10 of 5 000 owners: "));
        assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", begun.elapsed());
        let tiles = browser.evaluate("return document.querySelectorAll('.treemap.wide .tile').length");
        assert!((100..=5000).contains(&tiles.as_u64().unwrap()), "{tiles}");
    });
}
