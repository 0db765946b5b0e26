//! The sums of rows: hard links, removals, and the order of the scan.

use super::*;

/// A file of the property: the number of its directory, its status, its KiB, its inode (none for zero), whether it goes.
type AnyFile = (usize, usize, u64, u64, bool);

/// The store of links: three environments with the same file, of which one is gone, and one link outside the store.
fn linked() -> Vec<ScanBatch> {
    let env = |name: &str, life| {
        let root = format!("/e/{name}");
        owner(&root, OwnerKind::Environment, life, Some(&root))
    };
    let (a, b) = (env("a", Life::Alive), env("b", Life::Gone));
    vec![
        directory("/e/a/x", &a, None, &[("m.cpython-312.pyc", Status::Fresh, 10, (77, 2))]),
        directory("/e/b/x", &b, None, &[("m.cpython-312.pyc", GONE, 10, (77, 2))]),
        directory(
            "/e/b/y",
            &b,
            None,
            &[
                ("n.cpython-312.pyc", GONE, 4, (78, 2)),
                ("o.cpython-312.pyc", GONE, 4, (78, 2)),
                ("p.cpython-312.pyc", GONE, 2, (79, 3)),
            ],
        ),
    ]
}

#[test]
fn the_bytes_of_links_count_once_and_are_freed_with_the_last() {
    let mut browser = browser(linked());
    let kib = |row: usize, browser: &Browser| {
        let row = row_at(browser, row);
        let kib = |tally: Tally| tally.disk / 1024;
        (kib(row.sums.tally), row.shared / 1024, kib(row.sums.reclaimable), row.sums.tally.files)
    };
    press(&mut browser, "n");
    assert_eq!(names(&browser), ["/e/a", "/e/b (gone)"]);
    // What both have is shared; of `p` a link is elsewhere, so that it is not freed.
    assert_eq!((kib(0, &browser), kib(1, &browser)), ((0, 10, 0, 1), (6, 10, 4, 4)));
    assert_eq!(browser.total.disk / 1024, 16);
    // One link frees nothing, both free it.
    press(&mut browser, " ");
    assert_eq!(browser.marked(), Tally { files: 1, bytes: 0, disk: 0 });
    press(&mut browser, " ");
    assert_eq!(browser.marked().disk / 1024, 14);
    // By status the file is in two of them.
    press(&mut browser, "2");
    assert_eq!(names(&browser), ["fresh", "orphan"]);
    let disk: Vec<u64> =
        (0..browser.rows.len()).map(|row| row_at(&browser, row).sums.tally.disk / 1024).collect();
    assert_eq!(disk, [0, 6]);
}

#[test]
fn after_a_removal_the_figures_are_those_of_a_new_scan() {
    let mut browser = browser(linked());
    press(&mut browser, "n>");
    let entry = browser.catalogue.entries.iter().position(|entry| entry.facts.status == Status::Fresh);
    browser.remove(&[entry.unwrap() as u32]);
    assert_eq!(browser.trail(), "owners", "an empty place is left");
    assert_eq!(names(&browser), ["/e/b (gone)"]);
    let row = row_at(&browser, 0);
    assert_eq!((row.sums.tally.disk / 1024, row.shared, row.sums.reclaimable.disk / 1024), (16, 0, 14));
}

/// The sums of all nodes by their names.
fn all_sums(catalogue: &Catalogue) -> std::collections::BTreeMap<String, Sums> {
    let named = |node: u32| {
        let parent = |node: &u32| (*node != ROOT).then(|| catalogue.nodes[*node as usize].parent);
        let chain: Vec<String> = std::iter::successors(Some(node), parent)
            .map(|node| crate::cli::browse::rows::name(catalogue, node, None))
            .collect();
        chain.into_iter().rev().collect::<Vec<_>>().join("|")
    };
    let sums =
        (0..catalogue.nodes.len() as u32).map(|node| (named(node), catalogue.sums(node, Facet::default())));
    sums.filter(|(_, sums)| !sums.tally.is_empty()).collect()
}

/// The directories of those files that are left.
fn batches_of(
    files: &[AnyFile],
    owners: &[Arc<Owner>],
    is_left: &dyn Fn(&AnyFile) -> bool,
) -> Vec<ScanBatch> {
    let statuses = [Status::Fresh, STALE, GONE, Status::Unknown(Why::Io)];
    let left: Vec<(String, &AnyFile)> = files
        .iter()
        .enumerate()
        .filter(|(_, file)| is_left(file))
        .map(|(at, file)| (format!("f{at:02}.cpython-312.pyc"), file))
        .collect();
    // Files that stay have as many links as are left of those that were there.
    let links = |inode: u64| left.iter().filter(|(_, file)| file.3 == inode).count() as u32;
    let file = |(name, file): &'_ (String, &AnyFile)| {
        let (size, number) = if file.3 == 0 { (file.2, 1) } else { (file.3 * 10, links(file.3)) };
        (name.clone(), statuses[file.1], size, (file.3 + 500, number))
    };
    let batches = owners.iter().enumerate().map(|(place, owner)| {
        let here: Vec<_> = left.iter().filter(|(_, file)| file.0 == place).map(file).collect();
        let here: Vec<File<'_>> =
            here.iter().map(|(name, status, size, links)| (name.as_str(), *status, *size, *links)).collect();
        directory(&format!("/o/{}/d{place}", place / 2), owner, None, &here)
    });
    batches.filter(|batch| !batch.files.is_empty()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Batches come in any order, marks change the sums as if all were computed again, and what is removed is as if it had never
    /// been there.
    #[test]
    fn sums_depend_neither_on_the_order_nor_on_what_was_removed(
        files in proptest::collection::vec((0_usize..6, 0_usize..4, 1_u64..50, 0_u64..4, any::<bool>()), 1..40),
        order in any::<u64>(),
        toggled in proptest::collection::vec(any::<u32>(), 0..60),
    ) {
        let owners: Vec<Arc<Owner>> = (0..6)
            .map(|at| owner(&format!("/o/{}", at / 2), OwnerKind::Project, Life::Alive, None))
            .collect();
        let batches = |is_left: &dyn Fn(&AnyFile) -> bool| batches_of(&files, &owners, is_left);
        let may_go = |file: &AnyFile| file.4 && file.1 < 3;
        let scan = |batches: Vec<ScanBatch>| {
            let mut catalogue = Catalogue::new();
            batches.into_iter().for_each(|batch| catalogue.add(batch));
            catalogue.join_spellings();
            catalogue
        };
        let in_order = scan(batches(&|_| true));
        let mut shuffled = batches(&|_| true);
        let length = shuffled.len().max(1);
        shuffled.rotate_left(order as usize % length);
        prop_assert_eq!(all_sums(&in_order), all_sums(&scan(shuffled)));

        let mut catalogue = in_order;
        let unmarked = all_sums(&catalogue);
        for number in toggled {
            let item = if number % 5 == 0 {
                Item::Node(number / 5 % catalogue.nodes.len() as u32)
            } else {
                Item::Entry(number % catalogue.entries.len() as u32)
            };
            catalogue.toggle(&[item], Facet::default());
        }
        let sums = all_sums(&catalogue);
        catalogue.recount();
        prop_assert_eq!(sums, all_sums(&catalogue));
        catalogue.unmark_all();
        prop_assert_eq!(&unmarked, &all_sums(&catalogue));

        let going: Vec<u32> = (0..catalogue.entries.len() as u32)
            .filter(|it| {
                let name = String::from_utf8_lossy(catalogue.name(*it)).into_owned();
                may_go(&files[name[1..3].parse::<usize>().unwrap()])
            })
            .collect();
        going.iter().for_each(|it| catalogue.entries[*it as usize].mark = Mark::Marked);
        catalogue.recount();
        let before = catalogue.sums(ROOT, Facet::default());
        catalogue.remove(&going);
        let after = catalogue.sums(ROOT, Facet::default());
        prop_assert_eq!(before.tally.disk - before.marked.disk, after.tally.disk, "what marks promise is freed");
        prop_assert_eq!(all_sums(&catalogue), all_sums(&scan(batches(&|file| !may_go(file)))));
    }
}
