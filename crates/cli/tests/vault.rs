//! The built command on real vaults: the ways that people go, and some that they should not.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

use serde_json::Value;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A home directory, a vault and some files, in one directory that goes away with it.
struct World {
    dir: tempfile::TempDir,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl World {
    /// With a vault.
    fn new() -> Self {
        let world = Self::empty();
        world.ok(&["init", "-q"]);
        world
    }

    /// With a vault in which nothing waits.
    fn hasty() -> Self {
        let world = Self::empty();
        world.ok(&["init", "-q", "--time-lock", "0"]);
        world
    }

    fn empty() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        for name in ["home", "src/sub"] {
            std::fs::create_dir_all(world.path(name)).unwrap();
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn src(&self) -> String {
        self.path("src").to_str().unwrap().to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/bin:/bin")
            .env("STRONGROOM_VAULT", self.path("vault"))
            .env("STRONGROOM_HOST", "host-a")
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn fails(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        said
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn json(&self, args: &[&str]) -> Vec<Value> {
        let args: Vec<&str> = args.iter().copied().chain(["--json", "--no-progress", "-q"]).collect();
        self.ok(&args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn backup(&self) -> String {
        let summary = self.json(&["backup", &self.src()]).pop().unwrap();
        summary["snapshot_id"].as_str().unwrap().to_owned()
    }

    fn key_file(&self, label: &str) -> PathBuf {
        let keys = self.path("home/.config/strongroom/keys");
        let vault = std::fs::read_dir(keys).unwrap().next().unwrap().unwrap();
        vault.path().join(format!("{label}.key"))
    }
}

#[test]
fn init_makes_keys_that_only_the_owner_can_read_and_warns() {
    let world = World::empty();
    let output = world.run(&["init"]);
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("`read` is the only keyholder"), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("is on this host"));
    for label in ["read", "write"] {
        let path = world.key_file(label);
        assert!(text(&output.stdout).contains(path.to_str().unwrap()));
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(world.fails(&["init"], 1).contains("SR-0302"));
    assert!(world.fails(&["init", "--keyholder", "a=kms:x", "-r", "./other"], 2).contains("SR-0101"));
    assert!(world.fails(&["init", "--read-policy", "nobody", "-r", "./other"], 2).contains("nobody"));
    assert!(!world.path("other").exists());
    assert_eq!(std::fs::read_dir(world.path("home/.config/strongroom/keys")).unwrap().count(), 1);
}

#[test]
fn what_was_backed_up_comes_back() {
    let world = World::new();
    std::fs::write(world.path("src/one"), "first").unwrap();
    std::fs::hard_link(world.path("src/one"), world.path("src/sub/link")).unwrap();
    symlink("one", world.path("src/soft")).unwrap();
    let big: Vec<u8> = (0..3_000_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(world.path("src/sub/big"), &big).unwrap();
    let hostile = "a\n\x1b[31mhint: rm";
    std::fs::write(world.path("src").join(hostile), "x").unwrap();

    let first = world.backup();
    assert_eq!(world.ok(&["dump", &format!("latest:{}/one", world.src())]), "first");
    let dumped = world.run(&["dump", &format!("{}:{}/sub/big", &first[..8], world.src())]);
    assert!(dumped.stdout == big);
    let listed = world.ok(&["ls", "-lR", "latest"]);
    assert!(!listed.contains('\x1b') && listed.contains("a%0A%1B[31mhint: rm"), "{listed}");
    assert!(listed.contains("/soft -> one"));

    std::fs::write(world.path("src/two"), "second").unwrap();
    std::fs::remove_file(world.path("src/soft")).unwrap();
    std::fs::write(world.path("src/sub/big"), "small").unwrap();
    let second = world.json(&["backup", &world.src()]).pop().unwrap();
    // Files that are this young are read again, because a change might not show in their times.
    let known = second["files_changed"].as_u64().unwrap() + second["files_unmodified"].as_u64().unwrap();
    assert_eq!((&second["files_new"], known), (&1.into(), 4), "{second}");
    let diff = world.ok(&["diff", &first, "latest", "-q"]);
    let expected: String = ["-    S/soft", "M    S/sub/big", "+    S/two"]
        .map(|line| line.replace('S', &world.src()) + "\n")
        .concat();
    assert_eq!(diff, expected);
    let found = world.json(&["find", "b?g"]);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["size"], 5);

    let tar = world.path("out.tar");
    world.ok(&["dump", &format!("latest:{}", world.src()), "--target", tar.to_str().unwrap()]);
    assert!(
        Command::new("tar").arg("-xf").arg(&tar).current_dir(world.path("home")).status().unwrap().success()
    );
    let inode = |name: &str| std::fs::metadata(world.path("home/src").join(name)).unwrap().ino();
    assert_eq!(inode("one"), inode("sub/link"));
    assert_eq!(std::fs::read(world.path("home/src").join(hostile)).unwrap(), b"x");
}

#[test]
fn wrong_input_is_told_with_its_own_code() {
    let world = World::new();
    assert!(world.fails(&["backup", "/does/not/exist"], 1).contains("SR-0201"));
    assert!(world.fails(&["ls", "latest"], 1).contains("SR-0305"));
    world.backup();
    assert!(world.fails(&["ls", "latest:/nowhere"], 1).contains("SR-0307"));
    assert!(world.fails(&["ls", "abcdef"], 1).contains("SR-0305"));
    assert!(world.fails(&["snapshots", "--dataset", "other"], 1).contains("the vault has: default"));
    assert!(world.fails(&["snapshots", "--since", "soon"], 2).contains("SR-0101"));
    assert!(world.fails(&["snapshots", "-r", "./none"], 1).contains("SR-0301"));
    assert!(world.fails(&["snapshots", "-r", "ftp://x/y"], 2).contains("SR-0101"));
    let partly = world.fails(&["backup", &world.src(), "/nonexistent"], 3);
    assert!(partly.contains("cannot read `/nonexistent`") && partly.contains("SR-0601"), "{partly}");
}

#[test]
fn a_host_that_writes_cannot_read() {
    let world = World::new();
    world.backup();
    let away = world.path("read.key");
    std::fs::rename(world.key_file("read"), &away).unwrap();
    world.backup();
    assert_eq!(world.json(&["snapshots"])[0].as_array().unwrap().len(), 2);
    for args in [["ls", "latest"], ["find", "x"], ["dump", "latest"], ["diff", "latest"]] {
        let args: Vec<&str> = args.into_iter().chain((args[0] == "diff").then_some("latest~1")).collect();
        let said = world.fails(&args, 5);
        assert!(said.contains("SR-0402") && said.contains("--key-file read=FILE"), "{said}");
    }
    let given = format!("read={}", away.display());
    assert!(world.ok(&["ls", "-R", "latest", "--key-file", &given]).contains("/src/sub\n"));
    // A reader sees snapshots without the write key, and cannot write.
    std::fs::remove_file(world.key_file("write")).unwrap();
    assert!(world.ok(&["snapshots", "--key-file", &given]).contains("host-a"));
    world.fails(&["backup", &world.src(), "--key-file", &given], 5);
    std::fs::set_permissions(&away, PermissionsExt::from_mode(0o644)).unwrap();
    assert!(world.fails(&["ls", "latest", "--key-file", &given], 5).contains("chmod 600"));
}

#[test]
fn a_command_that_fails_leaves_no_snapshot() {
    let world = World::new();
    let failing = ["backup", "--stdin-from-command", "--", "sh", "-c", "echo half; exit 3"];
    assert!(world.fails(&failing, 1).contains("SR-0206"));
    assert_eq!(world.json(&["snapshots"]), [Value::Array(Vec::new())]);
    world.ok(&["backup", "--stdin-from-command", "--stdin-name", "/db.sql", "--", "echo", "whole"]);
    assert_eq!(world.ok(&["dump", "latest:/db.sql"]), "whole\n");
}

#[test]
fn forget_asks_for_clear_words() {
    let world = World::new();
    for _ in 0..3 {
        world.backup();
    }
    assert!(world.fails(&["forget"], 2).contains("SR-0104"));
    assert!(world.fails(&["forget", "--keep-tag", "none"], 2).contains("--allow-removing-all"));
    world.ok(&["forget", "--keep-last", "2", "--dry-run"]);
    let count = || world.json(&["snapshots"])[0].as_array().unwrap().len();
    assert_eq!(count(), 3);
    world.ok(&["forget", "--keep-last", "2"]);
    assert_eq!(count(), 2);
    world.ok(&["forget", "latest"]);
    assert_eq!(count(), 1);
}

#[test]
fn copies_are_made_once_and_hold_the_same() {
    let world = World::new();
    std::fs::write(world.path("src/one"), "first").unwrap();
    world.backup();
    std::fs::write(world.path("src/sub/two"), vec![7; 2_000_000]).unwrap();
    world.backup();
    let second = world.path("second");
    let second = second.to_str().unwrap();
    world.ok(&["init", "-q", "-r", second]);
    assert_eq!(world.json(&["copy", "--to-vault", second, "--dry-run"]).len(), 2);
    let copied = world.json(&["copy", "--to-vault", second]);
    assert_eq!(copied.len(), 2, "{copied:?}");
    assert!(world.json(&["copy", "--to-vault", second]).is_empty());
    let file = format!("latest:{}/sub/two", world.src());
    assert!(world.ok(&["dump", &file, "-r", second]).bytes().eq(std::iter::repeat_n(7, 2_000_000)));
    let one = format!("latest~1:{}/one", world.src());
    assert_eq!(world.ok(&["dump", &one, "-r", second]), "first");
    assert!(
        world
            .fails(&["copy", "--to-vault", world.path("vault").to_str().unwrap()], 2)
            .contains("same dataset")
    );
}

#[test]
fn changed_bytes_are_an_integrity_violation() {
    let world = World::new();
    std::fs::write(world.path("src/one"), "first").unwrap();
    world.backup();
    let mut waiting = vec![world.path("vault/datasets")];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.to_str().unwrap().contains("/packs/") {
            spoil(&path);
        }
    }
    assert!(world.fails(&["ls", "-R", "latest"], 4).contains("SR-0501"));
}

fn spoil(path: &Path) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 1);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_backup_stops_on_request() {
    let world = World::new();
    let mut child =
        world.command(&["backup", "--stdin"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Waiting for the child would close its input, and an input that ends is a backup that is done.
    let input = child.stdin.take();
    // The session's marker shows that it is under way, and so that it listens.
    let deadline = Instant::now() + Duration::from_secs(60);
    let running = || -> bool {
        let datasets = std::fs::read_dir(world.path("vault/datasets")).unwrap();
        datasets.flatten().any(|dataset| {
            std::fs::read_dir(dataset.path().join("sessions"))
                .is_ok_and(|mut sessions| sessions.next().is_some())
        })
    };
    while !running() {
        assert!(Instant::now() < deadline, "the backup did not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(input);
    assert_eq!(world.json(&["snapshots"]), [Value::Array(Vec::new())]);
    assert!(!running(), "the marker is gone");
}

#[test]
fn datasets_are_added_and_listed() {
    let world = World::new();
    world.ok(&["dataset", "add", "laptops", "--write-policy", "any(write, read)"]);
    assert!(world.fails(&["dataset", "add", "laptops"], 1).contains("SR-0308"));
    assert!(world.fails(&["dataset", "add", "UP"], 2).contains("cannot name a dataset"));
    let list = world.json(&["dataset", "list"]);
    assert_eq!(list[1]["write_policy"], "any(write, read)");
    world.ok(&["backup", &world.src(), "--dataset", "laptops", "-q"]);
    assert_eq!(world.json(&["snapshots"]), [Value::Array(Vec::new())]);
}

#[test]
fn a_mounted_snapshot_reads_like_the_files() {
    if !Path::new("/dev/fuse").exists() || !rustix::process::geteuid().is_root() {
        return;
    }
    let world = World::new();
    let big: Vec<u8> = (0..500_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(world.path("src/sub/big"), &big).unwrap();
    world.backup();
    let mount = world.path("mnt");
    std::fs::create_dir(&mount).unwrap();
    let mut child = world.command(&["mount", mount.to_str().unwrap()]).stderr(Stdio::null()).spawn().unwrap();
    let file = mount.join("snapshots/latest").join(world.src().trim_start_matches('/')).join("sub/big");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !file.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    let read = std::fs::read(&file);
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(read.unwrap() == big);
    assert!(!file.exists(), "it is unmounted");
}

#[test]
fn the_process_is_kept_out_of_core_dumps_and_swap() {
    let world = World::new();
    let mut child = world
        .command(&["backup", "--stdin", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let proc =
        |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap_or_default();
    let core = |limits: &str| {
        let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
        line.split_whitespace().nth(4).map(str::to_owned)
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while core(&proc("limits")).as_deref() != Some("0") {
        assert!(Instant::now() < deadline, "core dumps are still allowed: {}", proc("limits"));
        std::thread::sleep(Duration::from_millis(10));
    }
    if rustix::process::geteuid().is_root() {
        let locked = |status: &str| {
            let line = status.lines().find(|line| line.starts_with("VmLck:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        while locked(&proc("status")).unwrap_or(0) == 0 {
            assert!(Instant::now() < deadline, "no memory is locked: {}", proc("status"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_swapped_vault_and_an_older_keyring_are_refused() {
    let world = World::new();
    let vault = world.path("vault");
    let old = world.path("old");
    let copy = |from: &Path, to: &Path| {
        let _ = std::fs::remove_dir_all(to);
        assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    };
    copy(&vault, &old);
    world.ok(&["dataset", "add", "other", "-q"]);
    let id = world.json(&["key", "status"]).last().unwrap()["vault"].as_str().unwrap().to_owned();

    copy(&old, &vault);
    let said = world.fails(&["snapshots"], 5);
    assert!(said.contains("SR-0405") && said.contains("rolled back"), "{said}");
    let said = world.fails(&["backup", &world.src()], 5);
    assert!(said.contains("rolled back"), "{said}");

    let said = world.fails(&["key", "trust", "00000000000000000000000000000000"], 2);
    assert!(said.contains(&id), "{said}");
    world.ok(&["key", "trust", &id]);
    world.ok(&["snapshots"]);

    let elsewhere = world.path("elsewhere");
    world.ok(&["init", "-q", "-r", elsewhere.to_str().unwrap()]);
    copy(&elsewhere, &vault);
    let said = world.fails(&["snapshots"], 5);
    assert!(said.contains("swapped"), "{said}");
}

#[test]
fn keyholders_come_and_go() {
    let world = World::hasty();
    std::fs::write(world.path("src/file"), "worth a company").unwrap();
    world.ok(&["backup", "-q", &world.src()]);
    let added = world.ok(&["key", "add", "safe=file:safe.key", "--read"]);
    assert!(added.contains("read policy    any(read, safe)"), "{added}");
    let status = world.json(&["key", "status"]);
    let names: Vec<&str> = status.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(names, ["read", "safe", "write"]);
    assert!(status[0]["overdue"].as_bool().unwrap(), "it was never tested");
    assert!(world.fails(&["key", "status", "--check"], 3).contains("not seen to open anything for 90 days"));
    let explained = world.ok(&["key", "explain", "--key-file", "safe=safe.key"]);
    assert!(explained.contains("├─ ✓ read: can open\n"), "{explained}");
    let tested = world.ok(&["key", "test", "--key-file", "safe=safe.key"]);
    assert_eq!(tested.matches("opened").count(), 3, "{tested}");
    assert!(world.fails(&["key", "test", "safe"], 5).contains("safe"));
    assert!(!world.json(&["key", "status"])[1]["overdue"].as_bool().unwrap(), "it was just tested");

    let removed = world.ok(&["key", "remove", "read"]);
    assert!(removed.contains("read policy    safe"), "{removed}");
    let target = world.path("out");
    let restore = ["restore", "latest", "--target", target.to_str().unwrap()];
    world.fails(&restore, 5);
    world.ok(&[restore.as_slice(), &["--key-file", "safe=safe.key"]].concat());
    let said = world.fails(&["key", "remove", "safe", "--key-file", "safe=safe.key"], 2);
    assert!(said.contains("nobody could open"), "{said}");

    for name in ["alice", "bob", "carol"] {
        let keyholder = format!("{name}=file:{name}.key");
        world.ok(&["key", "add", &keyholder, "--read", "--key-file", "safe=safe.key"]);
    }
    let rewrap = ["key", "rewrap", "--read-policy", "2 of (alice, bob, carol)", "--delete-old"];
    let rewrapped = world.ok(&[rewrap.as_slice(), &["--key-file", "safe=safe.key"]].concat());
    assert!(rewrapped.contains("Removed, because nothing names them: safe"), "{rewrapped}");
    let one = ["--key-file", "alice=alice.key"];
    let two = ["--key-file", "alice=alice.key", "--key-file", "carol=carol.key"];
    let said = world.fails(&[restore.as_slice(), &one].concat(), 5);
    assert!(said.contains("bob") && said.contains("not asked"), "{said}");
    world.ok(&[restore.as_slice(), &two].concat());
    let said = world.fails(&["key", "remove", "bob", "--key-file", "alice=alice.key"], 2);
    assert!(said.contains("needs together"), "{said}");
    assert!(world.fails(&["key", "suspend", "alice"], 5).contains("cannot switch"), "no provider");
    assert_eq!(world.json(&["key", "rotate"])[0]["epoch"], 2);
}

#[test]
fn forget_prunes_where_it_is_told_to() {
    let world = World::new();
    for nth in 0..3 {
        std::fs::write(world.path("src/file"), vec![nth; 3 << 20]).unwrap();
        world.ok(&["backup", "-q", "--force", &world.src()]);
    }
    let count = || world.json(&["snapshots"])[0].as_array().unwrap().len();
    assert_eq!(count(), 3);
    let said = world.ok(&["forget", "--keep-last", "1", "--prune"]);
    assert_eq!(count(), 1, "{said}");
    assert!(said.contains("packs"), "{said}");
    let target = world.path("out");
    world.ok(&["restore", "latest", "--target", target.to_str().unwrap()]);
    world.ok(&["check", "--read-data"]);
}

#[test]
fn a_quorum_reads_without_meeting() {
    let world = World::empty();
    let mut init = vec!["init".to_owned(), "-q".into()];
    for name in ["host", "alice", "bob", "carol"] {
        init.extend(["--keyholder".into(), format!("{name}=file:{name}.key")]);
    }
    init.extend(["--write-policy", "host", "--read-policy", "2 of (alice, bob, carol)"].map(str::to_owned));
    world.ok(&init.iter().map(String::as_str).collect::<Vec<_>>());
    std::fs::write(world.path("src/file"), "worth a company").unwrap();
    world.ok(&["backup", "-q", "--key-file", "host=host.key", &world.src()]);

    assert!(world.fails(&["quorum", "request", "-o", "r"], 2).contains("reason"));
    let shown = world.ok(&["quorum", "request", "-o", "r", "--reason", "ticket 7"]);
    assert!(shown.contains("ticket 7") && shown.contains("2 of (alice, bob, carol)"), "{shown}");
    assert_eq!(std::fs::metadata(world.path("r.key")).unwrap().permissions().mode() & 0o777, 0o600);
    world.fails(&["quorum", "request", "-o", "r", "--reason", "again"], 1);

    // A custodian needs neither the vault nor anything else of the requester.
    let approve = |name: &str| {
        let key = format!("{name}={}", world.path(&format!("{name}.key")).display());
        let out = format!("{name}.approval");
        let args = ["quorum", "approve", "r", "--as", name, "-o", &out, "--yes", "--key-file", &key];
        let output = world.command(&args).env_remove("STRONGROOM_VAULT").output().unwrap();
        (output.status.code(), text(&output.stderr))
    };
    let unasked = ["quorum", "approve", "r", "--as", "bob", "-o", "x", "--key-file", "bob=bob.key"];
    assert!(world.fails(&unasked, 2).contains("yes"));
    assert_eq!(approve("bob").0, Some(0));
    let status = ["quorum", "status", "r", "bob.approval"];
    assert!(world.fails(&status, 5).contains("do not satisfy"));
    assert_eq!(approve("carol").0, Some(0));
    let both = [status.as_slice(), &["carol.approval"]].concat();
    assert!(world.ok(&both).contains("suffice"));

    let restore = ["restore", "latest", "--target", "out", "--request", "r", "--approval", "bob.approval"];
    assert!(world.fails(&restore, 5).contains("do not satisfy"));
    assert!(world.path("r.key").exists(), "what opened nothing is not used up");
    let restore = [restore.as_slice(), &["--approval", "carol.approval"]].concat();
    world.ok(&restore);
    let found = Command::new("grep").args(["-r", "worth a company"]).arg(world.path("out")).status().unwrap();
    assert!(found.success());
    assert!(!world.path("r.key").exists());
    assert!(world.fails(&restore, 5).contains("private key"), "it opens once");

    let mut changed = std::fs::read_to_string(world.path("r")).unwrap();
    changed = changed.replace("ticket 7", "ticket 8");
    std::fs::write(world.path("r"), changed).unwrap();
    assert_eq!(world.fails(&["quorum", "show", "nothing"], 1).lines().count(), 2);
    assert!(world.ok(&["quorum", "show", "r"]).contains("ticket 8"));
}

#[test]
fn a_quorum_meets_in_the_vault() {
    let world = World::empty();
    let mut init = vec!["init".to_owned(), "-q".into()];
    for name in ["host", "alice", "bob", "carol"] {
        init.extend(["--keyholder".into(), format!("{name}=file:{name}.key")]);
    }
    init.extend(["--write-policy", "host", "--read-policy", "2 of (alice, bob, carol)"].map(str::to_owned));
    world.ok(&init.iter().map(String::as_str).collect::<Vec<_>>());
    std::fs::write(world.path("src/file"), "worth a company").unwrap();
    world.ok(&["backup", "-q", "--key-file", "host=host.key", &world.src()]);

    assert!(world.ok(&["quorum", "list"]).contains("No request waits"));
    world.ok(&["quorum", "request", "-o", "r", "--reason", "ticket 9", "--publish"]);
    assert!(world.ok(&["quorum", "list"]).contains("ticket 9"));
    let listed = world.json(&["quorum", "list"]);
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(listed[0]["unverified_approvals"].as_array().unwrap().len(), 0);

    assert!(world.fails(&["quorum", "fetch", "abc", "-o", "f"], 2).contains("8 digits"));
    assert!(world.fails(&["quorum", "fetch", "0123456789", "-o", "f"], 2).contains("no request"));
    world.ok(&["quorum", "fetch", &listed[0]["spoken_id"].as_str().unwrap()[..14], "-o", "f"]);
    assert_eq!(std::fs::read(world.path("f")).unwrap(), std::fs::read(world.path("r")).unwrap());
    let approve = |name: &str| {
        let key = format!("{name}={name}.key");
        world.ok(&["quorum", "approve", "f", "--as", name, "--publish", "--yes", "--key-file", &key]);
    };
    approve("alice");
    assert!(world.fails(&["quorum", "status", "r"], 5).contains("do not satisfy"));
    let restore = ["restore", "latest", "--target", "out", "--request", "r"];
    assert!(world.fails(&restore, 5).contains("do not satisfy"));
    // Whoever can write to the store can put anything there: it is told, and holds nobody up.
    let folder = world.path("vault").join("approvals").join(&id);
    let real = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let forged = std::fs::read_to_string(&real).unwrap().replace("\"alice\"", "\"carol\"");
    std::fs::write(folder.join("0".repeat(64)), forged).unwrap();
    std::fs::write(folder.join("1".repeat(64)), "nonsense").unwrap();
    approve("bob");
    assert!(world.ok(&["quorum", "status", "r"]).contains("suffice"));
    // The requester cannot be given another request under the id.
    std::fs::write(world.path("vault").join("requests").join("2".repeat(64)), "{}").unwrap();
    assert!(world.fails(&["quorum", "list"], 3).contains("of no use"));
    world.ok(&["check", "--key-file", "host=host.key"]);
    let told = world.command(&restore).output().unwrap();
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    assert!(text(&told.stderr).contains("left out"), "{}", text(&told.stderr));
    assert!(!world.path("r.key").exists(), "it opens once");
}

#[test]
fn a_recovery_kit_brings_back_what_the_vault_lost() {
    let world = World::new();
    std::fs::write(world.path("src/file"), "worth a company").unwrap();
    world.ok(&["backup", "-q", &world.src()]);
    world.ok(&["recovery-kit", "kit"]);
    assert!(world.fails(&["recovery-kit", "kit"], 1).contains("kit"));
    let paper = std::fs::read_to_string(world.path("kit/INSTRUCTIONS.txt")).unwrap();
    let keyring = &world.json(&["key", "status"]).pop().unwrap();
    assert!(paper.contains(keyring["vault"].as_str().unwrap()) && paper.contains("reading needs read"));
    let spec = std::fs::read_to_string(world.path("kit/specification/vault.md")).unwrap();
    assert!(spec.contains("[V-4.3]"));
    let version = Command::new(world.path("kit/strongroom")).arg("version").output().unwrap();
    assert!(version.status.success());

    let file = text(&std::fs::read(world.key_file("read")).unwrap());
    let secret = file.lines().rfind(|line| !line.is_empty() && !line.starts_with('#')).unwrap();
    let holds = |folder: &std::path::Path| {
        let found = Command::new("grep").arg("-rqaF").arg(secret).arg(folder).status().unwrap();
        found.success()
    };
    assert!(holds(world.key_file("read").parent().unwrap()), "the search finds nothing");
    assert!(!holds(&world.path("kit")), "the kit holds a key");

    // The storage loses every document that says which keys open what.
    std::fs::remove_dir_all(world.path("vault/keyring")).unwrap();
    for dataset in std::fs::read_dir(world.path("vault/datasets")).unwrap() {
        std::fs::remove_dir_all(dataset.unwrap().path().join("epochs")).unwrap();
    }
    let restore = ["restore", "latest", "--target", "out"];
    assert_ne!(world.command(&restore).output().unwrap().status.code(), Some(0));
    let copied = Command::new("cp")
        .arg("-r")
        .arg(world.path("kit/vault-documents/."))
        .arg(world.path("vault"))
        .status();
    assert!(copied.unwrap().success());
    world.ok(&restore);
}

#[test]
fn a_revoked_keyholder_opens_nothing_that_comes_after() {
    let world = World::hasty();
    std::fs::write(world.path("src/file"), "worth a company").unwrap();
    world.ok(&["backup", "-q", &world.src()]);
    world.ok(&["key", "add", "stolen=file:stolen.key", "--read"]);
    world.ok(&["dataset", "add", "second"]);
    let restore = ["restore", "latest", "--target", "out", "--key-file", "stolen=stolen.key"];
    let own = world.key_file("read");
    let aside = world.path("read.aside");
    std::fs::rename(&own, &aside).unwrap();
    world.ok(&restore);
    std::fs::rename(&aside, &own).unwrap();

    let revoked = world.ok(&["key", "revoke", "stolen"]);
    assert!(
        revoked.contains("Opened epoch 2 of dataset default") && revoked.contains("dataset second"),
        "{revoked}"
    );
    world.ok(&["backup", "-q", &world.src()]);
    let last: Vec<_> = world.json(&["key", "status"]);
    assert!(last.iter().all(|row| row["name"] != "stolen"), "{last:?}");
    std::fs::rename(&own, &aside).unwrap();
    world.fails(&restore, 5);
    std::fs::rename(&aside, &own).unwrap();
    world.ok(&["restore", "latest", "--target", "back"]);
    world.fails(&["key", "revoke", "stolen"], 2);
}

#[test]
fn dangerous_changes_wait_and_every_keyholder_can_stop_them() {
    let world = World::new();
    std::fs::write(world.path("src/file"), "worth a company").unwrap();
    world.ok(&["backup", "-q", &world.src()]);
    world.ok(&["key", "add", "safe=file:safe.key", "--read"]);
    let proposed = world.run(&["key", "remove", "safe", "--reason", "it is old"]);
    assert!(proposed.status.success(), "{}", text(&proposed.stderr));
    assert!(text(&proposed.stderr).contains("waits 72 hours"), "{}", text(&proposed.stderr));
    assert!(text(&proposed.stdout).contains("read policy becomes read"), "{}", text(&proposed.stdout));
    let listed = world.json(&["key", "changes"]);
    assert_eq!(listed[0]["stage"], "waiting");
    assert_eq!(listed[0]["reason"], "it is old");
    assert_eq!(listed[0]["can_cancel"].as_array().unwrap().len(), 3);
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    let status = world.json(&["key", "status"]);
    assert!(status.iter().any(|row| row["name"] == "safe"), "nothing was changed");
    assert_eq!(status.last().unwrap()["waiting_changes"], 1);

    // Every later command says so.
    let backed_up = world.run(&["backup", &world.src()]);
    assert!(text(&backed_up.stderr).contains("a change waits"), "{}", text(&backed_up.stderr));
    assert!(world.fails(&["key", "apply", &id], 5).contains("SR-0406"));
    assert!(world.fails(&["key", "apply", "00000000"], 2).contains("no change has an id"));

    let aside = world.path("aside");
    std::fs::rename(world.path("home/.config/strongroom/keys"), &aside).unwrap();
    let alone = ["--key-file", "safe=safe.key"];
    assert!(world.fails(&["key", "cancel", &id], 5).contains("SR-0402"));
    let cancel = ["key", "cancel", &id[..12], "--as", "safe", "--reason", "I still need it"];
    assert!(world.fails(&["key", "cancel", &id, "--as", "nobody"], 2).contains("cannot cancel"));
    assert!(world.ok(&[cancel.as_slice(), &alone].concat()).contains("as `safe`"));
    std::fs::rename(&aside, world.path("home/.config/strongroom/keys")).unwrap();
    let said = world.fails(&["key", "apply", &id], 5);
    assert!(said.contains("cancelled by `safe`: I still need it"), "{said}");
    assert!(world.ok(&["key", "changes"]).contains("cancelled by safe"));
    let quiet = world.run(&["snapshots"]);
    assert!(!text(&quiet.stderr).contains("a change waits"));

    // A revocation is at once for what is stored from now on; what it destroys waits.
    let revoked = world.ok(&["key", "revoke", "safe"]);
    assert!(revoked.contains("Opened epoch 2") && revoked.contains("delete what `safe` held"), "{revoked}");
    assert!(world.ok(&["key", "time-lock", "100"]).contains("100 hours"));
    assert!(world.ok(&["key", "time-lock", "1"]).contains("time lock becomes 1 hours"));
}

#[test]
fn a_shredded_epoch_is_gone_and_the_rest_is_not() {
    let world = World::hasty();
    std::fs::write(world.path("src/file"), vec![7; 300_000]).unwrap();
    world.ok(&["backup", "-q", &world.src()]);
    world.ok(&["key", "rotate"]);
    std::fs::write(world.path("src/later"), "more").unwrap();
    world.ok(&["backup", "-q", &world.src()]);
    assert!(world.fails(&["key", "shred"], 2).contains("--epoch"));
    assert!(world.fails(&["key", "shred", "--epoch", "9"], 2).contains("it has: 1, 2"));
    let preview = world.ok(&["key", "shred", "--epoch", "1", "--dry-run"]);
    assert!(preview.contains("1 snapshots of these epochs die, and 1 of others"), "{preview}");
    assert!(world.ok(&["key", "changes"]).contains("No change"));

    let rekeyed = world.run(&["key", "rekey", "--rewrite"]);
    assert!(text(&rekeyed.stdout).contains("epoch 3 (new)"), "{}", text(&rekeyed.stdout));
    assert!(
        text(&rekeyed.stderr).contains("open nothing that is in the vault now"),
        "{}",
        text(&rekeyed.stderr)
    );
    let preview = world.ok(&["key", "shred", "--epoch", "1", "--epoch", "2", "--dry-run"]);
    assert!(preview.contains("0 snapshots of these epochs die, and 0 of others"), "{preview}");

    let proposed = world.json(&["key", "shred", "--epoch", "1", "--epoch", "2"]).pop().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let id = proposed["id"].as_str().unwrap();
    world.ok(&["key", "apply", id, "--output", "certificate"]);
    let vault = std::fs::read(world.path("vault/vault")).unwrap();
    let vault: String = vault[8..24].iter().map(|byte| format!("{byte:02x}")).collect();
    let shown = world.ok(&["key", "certificate", "certificate", &vault]);
    assert!(shown.contains("shred epochs 1, 2 of dataset default"), "{shown}");
    assert!(world.fails(&["key", "certificate", "certificate", &"0".repeat(32)], 4).contains("SR-0501"));
    world.ok(&["restore", "latest", "--target", "out"]);
    world.ok(&["check", "--read-data"]);

    let proposed = world.json(&["key", "shred", "--whole-vault"]).pop().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    world.ok(&["key", "apply", proposed["id"].as_str().unwrap()]);
    let said = world.fails(&["snapshots"], 1);
    assert!(said.contains("was shredded"), "{said}");
}

#[test]
fn custodians_who_are_elsewhere_answer_a_drill() {
    let world = World::new();
    world.ok(&["key", "add", "safe=file:safe.key", "--read"]);
    let asked = world.ok(&["key", "test", "safe", "--ask", "drill"]);
    assert!(asked.contains("nothing: this is a drill") && !asked.contains("4294967295"), "{asked}");
    let overdue = |world: &World| {
        let rows = world.json(&["key", "status"]);
        rows.iter().find(|row| row["name"] == "safe").unwrap()["overdue"].as_bool().unwrap()
    };
    assert!(overdue(&world));
    // The custodian has the request, a key, and nothing else.
    let approve = ["quorum", "approve", "drill", "--as", "safe", "--key-file", "safe=safe.key"];
    let approve = [approve.as_slice(), &["--yes", "-o", "answer"]].concat();
    world.ok(&approve);
    let shown = world.ok(&["key", "test", "--asked", "drill", "--answer", "answer"]);
    assert!(shown.contains("safe") && shown.contains("opened"), "{shown}");
    assert!(!overdue(&world));
    world.fails(&["key", "test", "--asked", "answer"], 2);
    world.fails(&["key", "test", "nobody", "--ask", "other"], 2);
}

#[test]
fn a_proof_of_what_has_no_switch_ends_and_changes_nothing() {
    let world = World::new();
    std::fs::write(world.path("src/file"), "worth a company").unwrap();
    world.ok(&["backup", "-q", &world.src()]);
    world.ok(&["key", "add", "safe=file:safe.key", "--read"]);
    world.ok(&["key", "rotate"]);
    std::fs::write(world.path("src/file"), "worth two").unwrap();
    world.ok(&["backup", "-q", &world.src()]);
    let prove = ["key", "revoke", "safe", "--key-file", "safe=safe.key", "--prove"];
    assert!(world.fails(&[prove.as_slice(), &["proof"]].concat(), 5).contains("was not switched"));
    assert!(!world.path("proof").exists());
    std::fs::write(world.path("taken"), "").unwrap();
    assert!(world.fails(&[prove.as_slice(), &["taken"]].concat(), 1).contains("taken"));
    assert!(world.json(&["key", "status"]).iter().any(|row| row["name"] == "safe"), "still there");
}
