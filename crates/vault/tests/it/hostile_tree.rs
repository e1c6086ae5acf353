//! Snapshots that a hostile host with the write key may leave: a restore never leaves its target, never runs
//! out of stack or memory, and says what is wrong.

use crate::support::{collecting, no_filter, noise, read_model, restore_with};
use std::{collections::BTreeMap, fs, os::unix::fs::symlink, path::Path, sync::Arc};
use strongroom_custody::{Reason, ReasonCode};
use strongroom_format::{
    ChunkId, RefsId,
    keys::ChunkKind,
    snapshot::{Snapshot, Summary as SnapshotSummary},
    tree::{self, Content, Entry, EntryKind, LinkId, RefsNode, Timestamp},
};
use strongroom_testkit::vault::TestVault;
use strongroom_vault::{
    Result, VaultError,
    backup::write_snapshot,
    check,
    groups::GroupReader,
    packer::{Compression, Packer},
    restore::Summary,
    sink::Sink,
    store::Memory,
};

/// A vault, and a way to put any nodes into it.
struct Forge {
    test: TestVault,
    sink: Sink,
}

fn entry(name: &[u8], kind: EntryKind) -> Entry {
    Entry {
        name: name.to_vec(),
        kind,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: Timestamp { secs: 1_700_000_000, nanos: 0 },
        hard_link: None,
        xattrs: Vec::new(),
    }
}

fn file(name: &[u8], size: u64, chunks: u32) -> Entry {
    entry(name, EntryKind::File { size, content: Content::Chunks(chunks), data_ranges: None })
}

fn directory(name: &[u8]) -> Entry {
    entry(name, EntryKind::Directory)
}

impl Forge {
    fn new() -> Self {
        let test = TestVault::create(Arc::new(Memory::new()));
        let handle = test.writing(&test.vault).unwrap();
        let reason = Reason::new(ReasonCode::Backup);
        let (key, _) =
            test.runtime.block_on(test.vault.session_key(&handle, &test.custody, &reason)).unwrap();
        let sink = Sink::new(handle, key, Default::default(), 1, false);
        Self { test, sink }
    }

    /// Stores nodes and content through one packer.
    fn store<T>(&self, work: impl FnOnce(&mut Packer<'_>) -> T) -> T {
        let mut packer = Packer::new(&self.sink, Compression::default()).unwrap();
        let result = work(&mut packer);
        packer.flush().unwrap();
        result
    }

    /// Makes everything durable and restores the tree below `root` into `target`.
    fn restore(self, root: RefsId, target: &Path) -> (Result<Summary>, Vec<String>) {
        let handle = self.sink.handle().clone();
        self.sink.finish().unwrap();
        let snapshot = Snapshot {
            time: "2026-01-01T00:00:00.000000000Z".into(),
            host: "host-x".into(),
            user: "nobody".into(),
            paths: vec!["/".into()],
            tags: Vec::new(),
            root,
            parent: None,
            original: None,
            program: "test".into(),
            summary: SnapshotSummary::default(),
        };
        write_snapshot(&handle, 1, &snapshot).unwrap();
        // A check comes to an end, whatever it finds.
        let (report, _) = collecting(|monitor| check::structure(&handle, 2, monitor));
        let _ = report.unwrap();
        let (handle, keys) = self.test.reading(&self.test.vault).unwrap();
        let (reader, _) = GroupReader::open(&handle, Some(keys)).unwrap();
        collecting(|monitor| restore_with(&reader, &snapshot, Path::new("/"), target, monitor))
    }
}

/// A page of entries and the references that go with them.
fn page(
    packer: &mut Packer<'_>,
    entries: &[Entry],
    directories: Vec<RefsId>,
    lists: Vec<RefsId>,
    chunks: Vec<ChunkId>,
) -> RefsId {
    let mut bytes = tree::meta_page();
    entries.iter().for_each(|entry| entry.encode_into(&mut bytes));
    let meta = packer.add(ChunkKind::Meta, &bytes).unwrap().0;
    node(packer, &RefsNode::Page { meta, directories, lists, chunks })
}

fn node(packer: &mut Packer<'_>, node: &RefsNode) -> RefsId {
    packer.add(ChunkKind::Refs, &node.encode()).unwrap().0
}

fn data(packer: &mut Packer<'_>, content: &[u8]) -> ChunkId {
    packer.add(ChunkKind::Data, content).unwrap().0
}

/// A target with a sibling that must stay as it is.
struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        fs::write(folder.path().join("outside/file"), b"keep").unwrap();
        fs::create_dir(folder.path().join("target")).unwrap();
        Self { folder }
    }

    fn target(&self) -> std::path::PathBuf {
        self.folder.path().join("target")
    }

    fn assert_untouched(&self) {
        let outside: Vec<_> = fs::read_dir(self.folder.path().join("outside")).unwrap().collect();
        assert_eq!(outside.len(), 1, "something was written outside the target");
        assert_eq!(fs::read(self.folder.path().join("outside/file")).unwrap(), b"keep");
        assert_eq!(fs::read_dir(self.folder.path()).unwrap().count(), 2);
    }
}

#[test]
fn no_name_leads_out_of_the_target() {
    let names: &[&[u8]] = &[
        b"",
        b".",
        b"..",
        b"../outside/evil",
        b"/tmp/strongroom-evil",
        b"a/b",
        b"/",
        b"..\0",
        b"evil\0.txt",
        b"a/../../outside/evil",
        &[b'n'; 5000],
    ];
    for name in names {
        for kind in ["file", "directory", "link"] {
            let ground = Ground::new();
            let forge = Forge::new();
            let root = forge.store(|packer| {
                let chunk = data(packer, b"evil");
                let inner = page(packer, &[file(b"f", 4, 1)], vec![], vec![], vec![chunk]);
                match kind {
                    "file" => page(packer, &[file(name, 4, 1)], vec![], vec![], vec![chunk]),
                    "directory" => page(packer, &[directory(name)], vec![inner], vec![], vec![]),
                    _ => {
                        let link = entry(name, EntryKind::Symlink { target: b"/etc".to_vec() });
                        page(packer, &[link], vec![], vec![], vec![])
                    }
                }
            });
            let (result, problems) = forge.restore(root, &ground.target());
            ground.assert_untouched();
            assert!(read_model(&ground.target()).is_empty(), "{name:?}");
            assert!(result.unwrap().lost, "{name:?}");
            assert!(problems[0].contains("meta page"), "{name:?}: {problems:?}");
        }
    }
    assert!(!Path::new("/tmp/strongroom-evil").exists());
}

#[test]
fn links_of_the_snapshot_and_of_the_target_are_not_followed() {
    let ground = Ground::new();
    // The target already has a link where the snapshot has a directory.
    symlink(ground.folder.path().join("outside"), ground.target().join("d")).unwrap();
    symlink(ground.folder.path().join("outside/file"), ground.target().join("f")).unwrap();
    let forge = Forge::new();
    let root = forge.store(|packer| {
        let chunk = data(packer, b"evil");
        let inner = page(packer, &[file(b"file", 4, 1)], vec![], vec![], vec![chunk]);
        let outside = EntryKind::Symlink { target: b"../outside".to_vec() };
        // A link, and hard links whose first name lies "behind" it in name order.
        let shared = LinkId { device: 1, inode: 2 };
        let mut first = entry(b"a", outside);
        first.hard_link = Some(shared);
        let mut second = file(b"file2", 4, 1);
        second.hard_link = Some(shared);
        let entries = [first, directory(b"d"), file(b"f", 4, 1), second];
        page(packer, &entries, vec![inner], vec![], vec![chunk, chunk])
    });
    let (result, problems) = forge.restore(root, &ground.target());
    ground.assert_untouched();
    assert!(!result.unwrap().lost, "{problems:?}");
    assert_eq!(fs::read(ground.target().join("d/file")).unwrap(), b"evil");
    assert_eq!(fs::read(ground.target().join("f")).unwrap(), b"evil");
    assert!(fs::symlink_metadata(ground.target().join("d")).unwrap().is_dir());
}

#[test]
fn a_link_and_a_file_below_it_cannot_share_a_name() {
    for same in [[0, 1], [1, 0]] {
        let ground = Ground::new();
        let forge = Forge::new();
        let root = forge.store(|packer| {
            let chunk = data(packer, b"evil");
            let inner = page(packer, &[file(b"file", 4, 1)], vec![], vec![], vec![chunk]);
            let link = entry(b"d", EntryKind::Symlink { target: b"../outside".to_vec() });
            let both = [link, directory(b"d")];
            let entries: Vec<Entry> = same.iter().map(|nth: &usize| both[*nth].clone()).collect();
            page(packer, &entries, vec![inner], vec![], vec![])
        });
        let (result, problems) = forge.restore(root, &ground.target());
        ground.assert_untouched();
        assert!(result.unwrap().lost);
        assert!(problems[0].contains("name order"), "{problems:?}");
    }
}

#[test]
fn names_that_come_twice_in_two_pages_are_refused() {
    let ground = Ground::new();
    let forge = Forge::new();
    let root = forge.store(|packer| {
        let chunk = data(packer, b"evil");
        let inner = page(packer, &[file(b"file", 4, 1)], vec![], vec![], vec![chunk]);
        let link = entry(b"d", EntryKind::Symlink { target: b"../outside".to_vec() });
        let one = page(packer, &[link], vec![], vec![], vec![]);
        let two = page(packer, &[directory(b"d")], vec![inner], vec![], vec![]);
        node(packer, &RefsNode::Fan { pages: vec![one, two] })
    });
    let (result, problems) = forge.restore(root, &ground.target());
    ground.assert_untouched();
    assert!(result.unwrap().lost);
    assert!(problems[0].contains("name order"), "{problems:?}");
}

#[test]
fn references_to_the_wrong_kind_of_node_are_damage() {
    type Make = fn(&mut Packer<'_>) -> RefsId;
    let cases: [(&str, Make); 8] = [
        ("a list as root", |packer| node(packer, &RefsNode::List { chunks: vec![] })),
        ("a chunk of content as root", |packer| data(packer, b"no node")),
        ("a fan of a list", |packer| {
            let list = node(packer, &RefsNode::List { chunks: vec![] });
            node(packer, &RefsNode::Fan { pages: vec![list] })
        }),
        ("a fan of fans", |packer| {
            let page = page(packer, &[], vec![], vec![], vec![]);
            let fan = node(packer, &RefsNode::Fan { pages: vec![page] });
            node(packer, &RefsNode::Fan { pages: vec![fan] })
        }),
        ("a directory that is a list", |packer| {
            let list = node(packer, &RefsNode::List { chunks: vec![] });
            page(packer, &[directory(b"d")], vec![list], vec![], vec![])
        }),
        ("a file whose list is a directory", |packer| {
            let inner = page(packer, &[], vec![], vec![], vec![]);
            let kind = EntryKind::File { size: 1, content: Content::Lists(1), data_ranges: None };
            page(packer, &[entry(b"f", kind)], vec![], vec![inner], vec![])
        }),
        ("a meta page that is content", |packer| {
            let meta = data(packer, b"no page");
            node(packer, &RefsNode::Page { meta, directories: vec![], lists: vec![], chunks: vec![] })
        }),
        ("content that is a node", |packer| {
            let inner = node(packer, &RefsNode::List { chunks: vec![] });
            page(packer, &[file(b"f", 2, 1)], vec![], vec![], vec![inner])
        }),
    ];
    for (what, make) in cases {
        let ground = Ground::new();
        let forge = Forge::new();
        let root = forge.store(make);
        let (result, problems) = forge.restore(root, &ground.target());
        match result {
            Ok(summary) => assert!(summary.lost && !problems.is_empty(), "{what}: {problems:?}"),
            Err(error) => assert!(error.is_integrity(), "{what}: {error}"),
        }
        assert!(read_model(&ground.target()).is_empty(), "{what}");
    }
}

#[test]
fn counts_and_lengths_that_lie_are_damage() {
    let max = u64::MAX;
    let sparse = |size, ranges: Vec<(u64, u64)>, count| {
        let content = Content::Chunks(count);
        entry(b"f", EntryKind::File { size, content, data_ranges: Some(ranges) })
    };
    let cases: Vec<(&str, Entry, usize)> = vec![
        ("longer than its chunks", file(b"f", 5, 1), 1),
        ("shorter than its chunks", file(b"f", 3, 1), 1),
        ("as long as can be", file(b"f", max, 1), 1),
        ("more chunks than there are", file(b"f", 4, 2), 1),
        ("far more chunks than there are", file(b"f", 4, u32::MAX), 1),
        ("fewer chunks than there are", file(b"f", 4, 0), 1),
        ("empty with a chunk", file(b"f", 0, 1), 1),
        ("sparse with too little data", sparse(100, vec![(0, 3)], 1), 1),
        ("sparse with too much data", sparse(100, vec![(0, 3), (50, 2)], 1), 1),
        ("sparse beyond its end", sparse(100, vec![(97, 4)], 1), 1),
        ("sparse beyond everything", sparse(100, vec![(max - 10, 4)], 1), 1),
    ];
    for (what, hostile, chunks) in cases {
        let ground = Ground::new();
        let forge = Forge::new();
        let root = forge.store(|packer| {
            let chunk = data(packer, b"four");
            page(packer, &[hostile], vec![], vec![], vec![chunk; chunks])
        });
        let (result, problems) = forge.restore(root, &ground.target());
        assert!(result.unwrap().lost, "{what}");
        assert_eq!(problems.len(), 1, "{what}: {problems:?}");
        assert!(read_model(&ground.target()).is_empty(), "{what}");
    }
}

#[test]
fn sparse_files_of_any_length_are_a_problem_of_their_own() {
    for size in [1 << 40, u64::MAX] {
        let ground = Ground::new();
        let forge = Forge::new();
        let root = forge.store(|packer| {
            let chunk = data(packer, b"four");
            let content = Content::Chunks(1);
            let data_ranges = Some(vec![(size - 4, 4)]);
            let huge = entry(b"huge", EntryKind::File { size, content, data_ranges });
            page(packer, &[huge, file(b"small", 4, 1)], vec![], vec![], vec![chunk, chunk])
        });
        let (result, problems) = forge.restore(root, &ground.target());
        let summary = result.unwrap();
        assert!(!summary.lost, "{problems:?}");
        assert_eq!(fs::read(ground.target().join("small")).unwrap(), b"four");
        if size == u64::MAX {
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(!ground.target().join("huge").exists());
        }
    }
}

#[test]
fn lists_that_repeat_each_other_take_no_memory() {
    // 4096 references to one list of 4096 chunks of nothing, or of one byte: 16 million chunks from 300 KiB.
    for content in [&b""[..], b"x"] {
        let ground = Ground::new();
        let forge = Forge::new();
        let root = forge.store(|packer| {
            let chunk = data(packer, content);
            let list = node(packer, &RefsNode::List { chunks: vec![chunk; 4096] });
            let kind = EntryKind::File { size: 4096, content: Content::Lists(4096), data_ranges: None };
            page(packer, &[entry(b"f", kind)], vec![], vec![list; 4096], vec![])
        });
        let started = std::time::Instant::now();
        let (result, problems) = forge.restore(root, &ground.target());
        assert!(result.unwrap().lost, "{problems:?}");
        assert!(read_model(&ground.target()).is_empty());
        assert!(started.elapsed().as_secs() < 10, "it took {:?}", started.elapsed());
    }
}

#[test]
fn a_tree_nested_beyond_the_limit_is_refused_without_running_out_of_stack() {
    let ground = Ground::new();
    let forge = Forge::new();
    let root = forge.store(|packer| {
        let chunk = data(packer, b"four");
        let mut at = page(packer, &[file(b"f", 4, 1)], vec![], vec![], vec![chunk]);
        for _ in 0..20_000 {
            at = page(packer, &[directory(b"d")], vec![at], vec![], vec![]);
        }
        page(packer, &[directory(b"deep"), file(b"z", 4, 1)], vec![at], vec![], vec![chunk])
    });
    let (result, problems) = forge.restore(root, &ground.target());
    match result {
        Ok(summary) => {
            assert!(!problems.is_empty() && summary.problems > 0);
            assert_eq!(fs::read(ground.target().join("z")).unwrap(), b"four", "the rest is restored");
        }
        Err(error) => assert!(matches!(error, VaultError::Invalid(_)), "{error}"),
    }
    remove_deep(&ground.target());
}

/// Removes what is too deep for paths.
fn remove_deep(path: &Path) {
    let removed = std::process::Command::new("rm").arg("-rf").arg(path).status().unwrap();
    assert!(removed.success());
}

#[test]
fn directories_that_repeat_each_other_can_be_cancelled() {
    // Each level has the next one twice: 2^40 directories from 41 nodes.
    let ground = Ground::new();
    let forge = Forge::new();
    let root = forge.store(|packer| {
        let mut at = page(packer, &[], vec![], vec![], vec![]);
        for _ in 0..40 {
            at = page(packer, &[directory(b"a"), directory(b"b")], vec![at, at], vec![], vec![]);
        }
        at
    });
    let handle = forge.sink.handle().clone();
    forge.sink.finish().unwrap();
    let (reader, keys) = (handle, forge.test.reading(&forge.test.vault).unwrap().1);
    let (reader, _) = GroupReader::open(&reader, Some(keys)).unwrap();
    let cancel = strongroom_vault::progress::Cancel::new();
    let counters = strongroom_vault::progress::Counters::new();
    let on_problem = |_| {};
    let monitor =
        strongroom_vault::monitor::Monitor { counters: &counters, cancel: &cancel, on_problem: &on_problem };
    let options = strongroom_vault::restore::Options {
        target: ground.target(),
        overwrite: strongroom_vault::fs::Overwrite::Always,
        delete: false,
        dry_run: true,
        verify: false,
        threads: 1,
    };
    let selected = strongroom_vault::restore::Selected::Directory(root);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(300));
            cancel.request();
        });
        strongroom_vault::restore::run(&reader, &selected, &no_filter(), &options, &monitor)
    });
    assert!(matches!(result, Err(VaultError::Cancelled)), "{result:?}");
}

#[test]
fn hostile_attributes_are_problems_and_no_more() {
    let ground = Ground::new();
    let forge = Forge::new();
    let root = forge.store(|packer| {
        let chunk = data(packer, b"four");
        let mut odd = file(b"odd", 4, 1);
        odd.mtime = Timestamp { secs: i64::MAX, nanos: 999_999_999 };
        odd.uid = u32::MAX;
        odd.mode = 0o7777;
        odd.xattrs = vec![
            (b"user.".to_vec(), noise(70_000, 1)),
            (b"user.a\0b".to_vec(), b"x".to_vec()),
            (b"nonsense".to_vec(), b"x".to_vec()),
            (b"system.posix_acl_access".to_vec(), b"nonsense".to_vec()),
            (b"security.capability".to_vec(), noise(20, 2)),
        ];
        let device = EntryKind::CharDevice { major: u32::MAX, minor: u32::MAX };
        let empty_link = EntryKind::Symlink { target: Vec::new() };
        let nul_link = EntryKind::Symlink { target: b"a\0b".to_vec() };
        let entries = [
            entry(b"dev", device),
            entry(b"link", empty_link),
            entry(b"nul", nul_link),
            odd,
            file(b"z", 4, 1),
        ];
        page(packer, &entries, vec![], vec![], vec![chunk, chunk])
    });
    let (result, problems) = forge.restore(root, &ground.target());
    ground.assert_untouched();
    assert!(!result.unwrap().lost, "{problems:?}");
    assert!(!problems.is_empty());
    let found = read_model(&ground.target());
    assert_eq!(found[Path::new("z")], b"four");
    let expected: BTreeMap<_, _> = found.keys().map(|path| (path.clone(), b"four".to_vec())).collect();
    assert_eq!(found, expected);
}
