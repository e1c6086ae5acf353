//! Backup and restore of everything that a file system can hold, and of what changes meanwhile.

use crate::support::{
    assert_model, backup_options, backup_source, forget_caches, no_filter, noise, read_model, restore_through,
};
use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};
use strongroom_testkit::vault::TestVault;
use strongroom_vault::{
    backup::{Options, Source},
    fs::Filter,
    store::Memory,
};

fn run(program: &str, arguments: &[&str], folder: &Path) -> bool {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    output.is_ok_and(|output| output.status.success())
}

fn output(program: &str, arguments: &[&str], folder: &Path) -> Vec<u8> {
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

struct Trip {
    test: TestVault,
    _source: tempfile::TempDir,
    root: PathBuf,
    target: tempfile::TempDir,
}

impl Trip {
    fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// In memory where that is possible: for very many files.
    fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        Self::below(if tempfile::tempdir_in(memory).is_ok() { memory } else { Path::new("/tmp") })
    }

    fn below(folder: &Path) -> Self {
        let test = TestVault::create(Arc::new(Memory::new()));
        let source = tempfile::tempdir_in(folder).unwrap();
        let root = source.path().join("data");
        fs::create_dir(&root).unwrap();
        Self { test, _source: source, root, target: tempfile::tempdir_in(folder).unwrap() }
    }

    fn out(&self) -> PathBuf {
        self.target.path().join("out")
    }

    /// There and back without any problem.
    fn go(&self) -> strongroom_format::snapshot::Snapshot {
        let outcome = self.test.backup(&self.root).unwrap();
        self.test.restore(&outcome.snapshot, &self.root, &self.out()).unwrap();
        outcome.snapshot
    }

    fn source(&self) -> Source {
        Source::Paths(vec![self.root.clone()])
    }
}

#[test]
fn pipes_sockets_and_devices_come_back() {
    let trip = Trip::new();
    assert!(run("mkfifo", &["-m", "640", "pipe"], &trip.root));
    let _socket = std::os::unix::net::UnixListener::bind(trip.root.join("socket")).unwrap();
    let devices = run("mknod", &["null", "c", "1", "3"], &trip.root)
        && run("mknod", &["disk", "b", "7", "300"], &trip.root);
    trip.go();
    let kind = |name: &str| fs::symlink_metadata(trip.out().join(name)).unwrap().file_type();
    assert!(kind("pipe").is_fifo() && kind("socket").is_socket());
    assert_eq!(fs::metadata(trip.out().join("pipe")).unwrap().permissions().mode() & 0o7777, 0o640);
    if devices {
        assert!(kind("null").is_char_device() && kind("disk").is_block_device());
        for name in ["null", "disk"] {
            let number = |root: &Path| fs::metadata(root.join(name)).unwrap().rdev();
            assert_eq!(number(&trip.out()), number(&trip.root));
        }
    }
}

#[test]
fn extended_attributes_and_acls_come_back() {
    let trip = Trip::new();
    fs::write(trip.root.join("file"), b"content").unwrap();
    fs::create_dir(trip.root.join("folder")).unwrap();
    assert!(run("setfattr", &["-n", "user.note", "-v", "0x00ff10", "file"], &trip.root));
    assert!(run("setfattr", &["-n", "user.note", "-v", "folder's", "folder"], &trip.root));
    assert!(run("setfacl", &["-m", "u:12345:r,g:23456:rw", "file"], &trip.root));
    assert!(run("setfacl", &["-d", "-m", "u:12345:rwx", "folder"], &trip.root));
    fs::write(trip.root.join("folder/inside"), b"inherits").unwrap();
    std::os::unix::fs::symlink("file", trip.root.join("link")).unwrap();
    // Only root may.
    run("setfattr", &["-h", "-n", "trusted.note", "-v", "x", "link"], &trip.root);
    // A restore leaves the attributes of the target itself alone.
    fs::create_dir(trip.out()).unwrap();
    trip.go();
    for (program, arguments) in [
        ("getfattr", vec!["-R", "-h", "-d", "-m", "-", "-e", "hex", "."]),
        ("getfacl", vec!["-R", "-n", "."]),
    ] {
        let lines = |root: &Path| {
            let mut lines: Vec<String> = String::from_utf8(output(program, &arguments, root))
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(&trip.out()), lines(&trip.root), "{program}");
    }
}

#[test]
fn names_of_any_bytes_come_back() {
    let trip = Trip::new();
    let long = [b'x'; 255];
    let names: &[&[u8]] = &[
        b"\xff\xfe",
        b"new\nline",
        b" ",
        b"-rf",
        b"\x01\x7f",
        b"..a",
        b"\\",
        b"*",
        "\u{e9}".as_bytes(),
        b"e\xcc\x81",
        &long,
    ];
    let mut expected = Vec::new();
    for (nth, name) in names.iter().enumerate() {
        fs::write(trip.root.join(OsStr::from_bytes(name)), [nth as u8]).unwrap();
        expected.push((OsString::from(OsStr::from_bytes(name)), vec![nth as u8]));
    }
    trip.go();
    let found = read_model(&trip.out());
    assert_eq!(found.len(), names.len());
    for (name, content) in expected {
        assert_eq!(found[Path::new(&name)], content);
    }
}

/// Makes nested directories, deeper than any path can say, with a file in the last.
fn make_deep(root: &Path, name: &str, levels: usize) {
    let script = format!(
        "import os\nfor _ in range({levels}):\n os.mkdir('{name}')\n os.chdir('{name}')\nopen('f','w').write('deep')\n"
    );
    assert!(run("python3", &["-c", &script], root));
}

fn read_deep(root: &Path, name: &str, levels: usize) -> String {
    let script = format!(
        "import os\nfor _ in range({levels}):\n os.chdir('{name}')\nprint(open('f').read(), end='')\n"
    );
    String::from_utf8(output("python3", &["-c", &script], root)).unwrap()
}

fn remove_deep(path: &Path) {
    assert!(run("rm", &["-rf", path.to_str().unwrap()], Path::new("/")));
}

#[test]
fn paths_longer_than_any_system_call_takes_come_back() {
    let trip = Trip::new();
    let name = "n".repeat(200);
    make_deep(&trip.root, &name, 40);
    let snapshot = trip.go();
    assert_eq!(snapshot.summary.files, 1);
    assert_eq!(read_deep(&trip.out(), &name, 40), "deep");
    remove_deep(&trip.root);
    remove_deep(&trip.out());
}

#[test]
fn thousands_of_levels_come_back() {
    let trip = Trip::in_memory();
    make_deep(&trip.root, "d", 5000);
    trip.go();
    assert_eq!(read_deep(&trip.out(), "d", 5000), "deep");
    remove_deep(&trip.root);
    remove_deep(&trip.out());
}

#[test]
fn levels_beyond_the_limit_are_a_problem_of_a_backup_that_can_be_restored() {
    let trip = Trip::in_memory();
    let levels = strongroom_format::limits::TREE_DEPTH_MAX + 20;
    make_deep(&trip.root, "d", levels);
    fs::write(trip.root.join("z"), b"beside").unwrap();
    let (outcome, problems) = backup_source(&trip.test, trip.source(), &no_filter(), &backup_options());
    let snapshot = outcome.unwrap().snapshot;
    assert_eq!(problems.len(), 1, "{}", problems.len());
    let (restored, problems) =
        restore_through(&trip.test, &trip.test.vault, &snapshot, &trip.root, &trip.out());
    restored.unwrap();
    assert!(problems.is_empty(), "{}", problems.len());
    assert_eq!(fs::read(trip.out().join("z")).unwrap(), b"beside");
    remove_deep(&trip.root);
    remove_deep(&trip.out());
}

/// The test below, in a process that may have only a few files open.
#[test]
fn few_open_files_are_enough() {
    let this = std::env::current_exe().unwrap();
    let script = format!(
        "ulimit -n 200; exec '{}' --exact file_system::child_with_few_open_files --ignored --test-threads=1",
        this.display()
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by few_open_files_are_enough"]
fn child_with_few_open_files() {
    let trip = Trip::in_memory();
    for nth in 0..600 {
        let folder = trip.root.join(format!("wide/{nth}/a/b"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), noise(5000 + nth, nth as u64)).unwrap();
        fs::write(folder.join("other"), noise(20_000 + nth, nth as u64 + 1000)).unwrap();
    }
    make_deep(&trip.root, "d", 60);
    let expected = {
        let root = trip.root.join("wide");
        read_model(&root)
    };
    trip.go();
    assert_model(&read_model(&trip.out().join("wide")), &expected, "wide");
    assert_eq!(read_deep(&trip.out(), "d", 60), "deep");
    remove_deep(&trip.root);
    remove_deep(&trip.out());
}

#[test]
fn files_that_are_replaced_and_removed_during_a_backup_are_old_or_new_or_told() {
    let trip = Trip::new();
    let old = noise(40_000, 1);
    let new = noise(60_000, 2);
    let names: Vec<PathBuf> = (0..300).map(|nth| trip.root.join(format!("f{nth:03}"))).collect();
    for name in &names {
        fs::write(name, &old).unwrap();
    }
    let stop = AtomicBool::new(false);
    let (snapshot, problems) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let spare = trip._source.path().join("spare");
            for round in 0.. {
                for (nth, name) in names.iter().enumerate() {
                    if stop.load(Relaxed) {
                        return;
                    }
                    match (nth + round) % 4 {
                        0 => drop(fs::remove_file(name)),
                        1 => {
                            let _ = fs::remove_file(name);
                            drop(fs::create_dir(name));
                            drop(fs::remove_dir(name));
                        }
                        _ => {
                            fs::write(&spare, if round % 2 == 0 { &new } else { &old }).unwrap();
                            drop(fs::rename(&spare, name));
                        }
                    }
                }
            }
        });
        let mut last = None;
        for _ in 0..3 {
            forget_caches_of(&trip.test);
            let (outcome, problems) =
                backup_source(&trip.test, trip.source(), &no_filter(), &backup_options());
            last = Some((outcome.unwrap().snapshot, problems));
        }
        stop.store(true, Relaxed);
        last.unwrap()
    });
    trip.test.restore(&snapshot, &trip.root, &trip.out()).unwrap();
    let found = read_model(&trip.out());
    for (path, content) in &found {
        assert!(*content == old || *content == new, "{} is neither", path.display());
    }
    assert!(problems.len() <= 300, "{problems:?}");
}

/// A change cache is of no use while everything changes; this keeps the borrow shared.
fn forget_caches_of(test: &TestVault) {
    let _ = fs::remove_dir_all(test.cache.path());
    fs::create_dir_all(test.cache.path()).unwrap();
}

#[test]
fn a_file_that_grows_and_shrinks_while_it_is_read_is_told_and_read_again_the_next_time() {
    let mut trip = Trip::new();
    let path = trip.root.join("file");
    fs::write(&path, noise(12 << 20, 1)).unwrap();
    let stop = AtomicBool::new(false);
    let first = std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = File::options().write(true).open(&path).unwrap();
            let mut nth = 0u64;
            while !stop.load(Relaxed) {
                file.set_len((4 << 20) + (nth % 7) * (2 << 20)).unwrap();
                file.write_all_at(&nth.to_le_bytes(), 100 + (nth % 1000) * 4096).unwrap();
                nth += 1;
            }
        });
        let outcome = backup_source(&trip.test, trip.source(), &no_filter(), &backup_options());
        stop.store(true, Relaxed);
        outcome
    });
    let snapshot = first.0.unwrap().snapshot;
    assert!(first.1.iter().any(|problem| problem.contains("changed while")), "{:?}", first.1);
    // Whatever was read, it restores as what was read.
    trip.test.restore(&snapshot, &trip.root, &trip.out()).unwrap();
    let last = noise(12 << 20, 9);
    fs::write(&path, &last).unwrap();
    let second = trip.test.backup(&trip.root).unwrap();
    fs::remove_dir_all(trip.out()).unwrap();
    forget_caches(&mut trip.test);
    trip.test.restore(&second.snapshot, &trip.root, &trip.out()).unwrap();
    assert!(fs::read(trip.out().join("file")).unwrap() == last);
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_and_the_rest_is_backed_up() {
    let test = TestVault::create(Arc::new(Memory::new()));
    // Regular files whose content is refused: to everybody in this process, or from some offset on.
    let unreadable = PathBuf::from("/proc/self/mem");
    assert!(File::open(&unreadable).unwrap().read(&mut [0; 16]).is_err());
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good"), b"good").unwrap();
    let paths = vec![unreadable, folder.path().join("good"), folder.path().join("missing")];
    let (outcome, problems) = backup_source(&test, Source::Paths(paths), &no_filter(), &backup_options());
    let outcome = outcome.unwrap();
    assert!(problems.iter().any(|problem| problem.contains("missing")), "{problems:?}");
    // What has length 0 and cannot be read must not become an empty file.
    assert!(problems.iter().any(|problem| problem.contains("/mem")), "{problems:?}");
    assert_eq!(outcome.snapshot.summary.problems, problems.len() as u64);
    let target = tempfile::tempdir().unwrap();
    test.restore(&outcome.snapshot, folder.path(), target.path()).unwrap();
    assert_eq!(fs::read(target.path().join("good")).unwrap(), b"good");
}

#[test]
fn a_link_on_the_way_to_what_is_backed_up_is_followed() {
    let test = TestVault::create(Arc::new(Memory::new()));
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("real/data")).unwrap();
    fs::write(folder.path().join("real/data/file"), b"content").unwrap();
    std::os::unix::fs::symlink("real", folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).unwrap();
    let data = folder.path().join("link/data");
    let outcome = test.backup(&data).unwrap();
    assert_eq!(outcome.snapshot.summary.files, 1);
    let target = tempfile::tempdir().unwrap();
    test.restore(&outcome.snapshot, &data, target.path()).unwrap();
    assert_eq!(fs::read(target.path().join("file")).unwrap(), b"content");

    let paths = vec![data, folder.path().join("dangling/data")];
    let (outcome, problems) = backup_source(&test, Source::Paths(paths), &no_filter(), &backup_options());
    assert_eq!(outcome.unwrap().snapshot.summary.files, 1);
    assert!(problems.len() == 1 && problems[0].contains("dangling"), "{problems:?}");
}

#[test]
fn nothing_that_can_be_read_is_an_error_and_no_snapshot() {
    let test = TestVault::create(Arc::new(Memory::new()));
    let paths = vec![PathBuf::from("/strongroom/is/not/here")];
    let (outcome, _) = backup_source(&test, Source::Paths(paths), &no_filter(), &backup_options());
    assert!(outcome.is_err());
    assert!(test.snapshots().unwrap().is_empty());
}

#[test]
fn sparse_files_keep_their_holes_and_their_bytes() {
    let trip = Trip::new();
    let make = |name: &str, len: u64, pieces: &[(u64, usize)]| {
        let file = File::create(trip.root.join(name)).unwrap();
        for (offset, len) in pieces {
            file.write_all_at(&noise(*len, *offset), *offset).unwrap();
        }
        file.set_len(len).unwrap();
    };
    make("hole at the end", 10 << 20, &[(0, 10_000)]);
    make("hole at the start", 8 << 20, &[((8 << 20) - 5000, 5000)]);
    make("all hole", 100 << 20, &[]);
    make("huge", 1 << 40, &[(1 << 39, 4096)]);
    let many: Vec<(u64, usize)> = (0..500).map(|nth| (nth * 16384, 4096)).collect();
    make("many holes", 500 * 16384, &many);
    make("large data", 60 << 20, &[(4 << 20, 9 << 20), (40 << 20, 1000)]);
    trip.go();
    for entry in fs::read_dir(&trip.root).unwrap() {
        let name = entry.unwrap().file_name();
        let (before, after) = (trip.root.join(&name), trip.out().join(&name));
        let blocks = |path: &Path| fs::metadata(path).unwrap().blocks();
        assert_eq!(fs::metadata(&after).unwrap().len(), fs::metadata(&before).unwrap().len());
        assert!(blocks(&after) <= blocks(&before) + 64, "{name:?}");
        if name == "huge" {
            let mut bytes = vec![0; 4096];
            File::open(&after).unwrap().read_exact_at(&mut bytes, 1 << 39).unwrap();
            assert!(bytes == noise(4096, 1 << 39));
        } else {
            assert!(run("cmp", &[before.to_str().unwrap(), after.to_str().unwrap()], Path::new("/")));
        }
    }
}

#[test]
fn a_directory_of_very_many_entries_comes_back() {
    let trip = Trip::in_memory();
    for nth in 0..100_000u32 {
        File::create(trip.root.join(format!("entry-{nth}"))).unwrap();
    }
    let snapshot = trip.go();
    assert_eq!(snapshot.summary.files, 100_000);
    assert_eq!(fs::read_dir(trip.out()).unwrap().count(), 100_000);
    // One more entry changes one page.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    trip.test.backup(&trip.root).unwrap();
    fs::write(trip.root.join("entry-50000"), b"changed").unwrap();
    let summary = trip.test.backup(&trip.root).unwrap().snapshot.summary;
    assert_eq!((summary.files_changed, summary.files_unchanged), (1, 99_999));
    assert!(summary.bytes_stored < 300_000, "{}", summary.bytes_stored);
}

#[test]
fn files_of_many_chunks_go_through_lists() {
    let trip = Trip::new();
    // At 4 to 28 KiB a chunk: about 400, and exactly at the boundary where lists begin.
    fs::write(trip.root.join("lists"), noise(6 << 20, 1)).unwrap();
    fs::write(trip.root.join("streamed"), noise(30 << 20, 2)).unwrap();
    for kib in (600..1400).step_by(40) {
        fs::write(trip.root.join(format!("about-{kib}")), noise(kib << 10, kib as u64)).unwrap();
    }
    let expected = read_model(&trip.root);
    let snapshot = trip.go();
    assert!(snapshot.summary.chunks_added > 2000);
    assert_model(&read_model(&trip.out()), &expected, "large files");
}

#[test]
fn a_stream_comes_back_as_it_was() {
    for len in [0, 1, 4095, 100_000, 9 << 20, (16 << 20) + 1] {
        let test = TestVault::create(Arc::new(Memory::new()));
        let content = noise(len, len as u64);
        // A pipe gives what it has, in pieces of any length.
        struct Pieces(io::Cursor<Vec<u8>>, usize);
        impl Read for Pieces {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.1 = self.1 * 7 % 65_521 + 1;
                let len = buffer.len().min(self.1);
                self.0.read(&mut buffer[..len])
            }
        }
        let reader = Box::new(Pieces(io::Cursor::new(content.clone()), 1));
        let source = Source::Stream { name: b"dump.sql".to_vec(), reader };
        let (outcome, problems) = backup_source(&test, source, &no_filter(), &backup_options());
        assert!(problems.is_empty());
        let snapshot = outcome.unwrap().snapshot;
        assert_eq!(snapshot.paths, ["/dump.sql"]);
        assert_eq!((snapshot.summary.files, snapshot.summary.bytes), (1, len as u64));
        let target = tempfile::tempdir().unwrap();
        test.restore(&snapshot, Path::new("/"), target.path()).unwrap();
        assert!(fs::read(target.path().join("dump.sql")).unwrap() == content, "{len}");
    }
}

#[test]
fn a_stream_that_breaks_makes_no_snapshot() {
    struct Breaks(usize);
    impl Read for Breaks {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("the pipe broke"));
            }
            let len = buffer.len().min(self.0);
            self.0 -= len;
            Ok(len)
        }
    }
    for len in [0, 100, 10 << 20] {
        let test = TestVault::create(Arc::new(Memory::new()));
        let source = Source::Stream { name: b"dump".to_vec(), reader: Box::new(Breaks(len)) };
        let (outcome, _) = backup_source(&test, source, &no_filter(), &backup_options());
        assert!(outcome.unwrap_err().to_string().contains("standard input"));
        assert!(test.snapshots().unwrap().is_empty());
    }
}

#[test]
fn filters_leave_out_what_they_say_and_nothing_else() {
    let trip = Trip::new();
    for path in ["keep/a.txt", "keep/b.tmp", "cache/x", "cache/CACHEDIR.TAG", "no/.nobackup", "no/y", "big"] {
        fs::create_dir_all(trip.root.join(path).parent().unwrap()).unwrap();
        fs::write(trip.root.join(path), path).unwrap();
    }
    fs::write(trip.root.join("cache/CACHEDIR.TAG"), b"Signature: 8a477f597d28d172789f06886806bc55\n")
        .unwrap();
    fs::write(trip.root.join("big"), noise(10_000, 1)).unwrap();
    let filter = Filter::builder()
        .exclude("*.tmp")
        .exclude_caches()
        .exclude_if_present(".nobackup")
        .exclude_larger_than(5000)
        .build()
        .unwrap();
    let (outcome, problems) = backup_source(&trip.test, trip.source(), &filter, &backup_options());
    assert!(problems.is_empty(), "{problems:?}");
    trip.test.restore(&outcome.unwrap().snapshot, &trip.root, &trip.out()).unwrap();
    let found: Vec<_> = read_model(&trip.out()).into_keys().collect();
    assert_eq!(found, ["cache/CACHEDIR.TAG", "keep/a.txt", "no/.nobackup"].map(PathBuf::from));
    // The same paths without the filter: the change cache must not remember the filter's holes.
    let (outcome, _) = backup_source(&trip.test, trip.source(), &no_filter(), &backup_options());
    fs::remove_dir_all(trip.out()).unwrap();
    trip.test.restore(&outcome.unwrap().snapshot, &trip.root, &trip.out()).unwrap();
    assert_eq!(read_model(&trip.out()).len(), 7);
}

#[test]
fn one_file_system_stops_at_a_mount() {
    let trip = Trip::new();
    let mount = trip.root.join("mounted");
    fs::create_dir(&mount).unwrap();
    if !run("mount", &["-t", "tmpfs", "none", mount.to_str().unwrap()], Path::new("/")) {
        return;
    }
    fs::write(mount.join("inside"), b"inside").unwrap();
    fs::write(trip.root.join("outside"), b"outside").unwrap();
    let filter = Filter::builder().one_file_system().build().unwrap();
    let (one, problems) = backup_source(&trip.test, trip.source(), &filter, &backup_options());
    let (all, _) = backup_source(&trip.test, trip.source(), &no_filter(), &backup_options());
    assert!(run("umount", &[mount.to_str().unwrap()], Path::new("/")));
    assert!(problems.is_empty(), "{problems:?}");
    trip.test.restore(&one.unwrap().snapshot, &trip.root, &trip.out()).unwrap();
    assert!(trip.out().join("mounted").is_dir());
    assert_eq!(read_model(&trip.out()).into_keys().collect::<Vec<_>>(), [PathBuf::from("outside")]);
    fs::remove_dir_all(trip.out()).unwrap();
    trip.test.restore(&all.unwrap().snapshot, &trip.root, &trip.out()).unwrap();
    assert_eq!(fs::read(trip.out().join("mounted/inside")).unwrap(), b"inside");
}

#[test]
fn a_cancelled_backup_leaves_no_snapshot_and_no_session() {
    let trip = Trip::new();
    fs::write(trip.root.join("large"), noise(20 << 20, 1)).unwrap();
    let handle = trip.test.writing(&trip.test.vault).unwrap();
    let reason = strongroom_custody::Reason::new(strongroom_custody::ReasonCode::Backup);
    let session = trip.test.vault.session_key(&handle, &trip.test.custody, &reason);
    let (key, _) = trip.test.runtime.block_on(session).unwrap();
    let cancel = strongroom_vault::progress::Cancel::new();
    let counters = strongroom_vault::progress::Counters::new();
    let monitor =
        strongroom_vault::monitor::Monitor { counters: &counters, cancel: &cancel, on_problem: &|_| {} };
    cancel.request();
    let options = Options { force: true, ..backup_options() };
    let result = strongroom_vault::backup::run(&handle, key, trip.source(), &no_filter(), &options, &monitor);
    assert!(matches!(result, Err(strongroom_vault::VaultError::Cancelled)), "{result:?}");
    assert!(trip.test.snapshots().unwrap().is_empty());
    assert!(handle.store.list(&handle.names.sessions()).unwrap().is_empty());
}

#[test]
fn times_before_1970_and_after_2038_come_back() {
    let trip = Trip::new();
    for (nth, date) in
        ["1901-12-31 12:00:00.5", "1970-01-01 00:00:00", "2106-02-07 06:28:16"].iter().enumerate()
    {
        let mut file = File::create(trip.root.join(format!("f{nth}"))).unwrap();
        file.write_all(b"x").unwrap();
        assert!(run("touch", &["-m", "-d", date, &format!("f{nth}")], &trip.root));
    }
    trip.go();
    for nth in 0..3 {
        let time = |root: &Path| {
            let metadata = fs::metadata(root.join(format!("f{nth}"))).unwrap();
            (metadata.mtime(), metadata.mtime_nsec())
        };
        assert_eq!(time(&trip.out()), time(&trip.root));
    }
}
