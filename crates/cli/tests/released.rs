//! Every released format stays readable: the vaults in `testdata/vaults`, which are never made again.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct World {
    dir: tempfile::TempDir,
}

impl World {
    /// A copy of a released vault, with key files that only their owner can read.
    fn of(format: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let released = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vaults").join(format);
        let copied = Command::new("cp").arg("-R").arg(released).arg(dir.path().join("it")).status().unwrap();
        assert!(copied.success());
        for entry in std::fs::read_dir(dir.path().join("it/keys")).unwrap() {
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(entry.unwrap().path(), mode).unwrap();
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, keys: &[&str], args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.env_clear().env("HOME", self.path("home")).env("STRONGROOM_VAULT", self.path("it/vault"));
        for key in keys {
            let file = self.path("it/keys").join(format!("{key}.key"));
            command.arg("--key-file").arg(format!("{key}={}", file.display()));
        }
        command.args(args).output().unwrap()
    }

    fn ok(&self, keys: &[&str], args: &[&str]) -> String {
        let output = self.run(keys, args);
        assert!(output.status.success(), "{keys:?} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Restores the newest snapshot and compares it with the list of what it was made of.
    fn restores(&self, keys: &[&str], target: &str) {
        let target = self.path(target);
        let shown = self.ok(keys, &["snapshots", "--json"]);
        let snapshots: serde_json::Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
        let root = snapshots[0]["paths"][0].as_str().unwrap().to_owned();
        let from = format!("latest:{root}");
        self.ok(keys, &["restore", &from, "--target", target.to_str().unwrap(), "--verify"]);
        let compared = Command::new("sha256sum")
            .args(["--check", "--strict", "--quiet"])
            .arg(self.path("it/SHA256SUMS"))
            .current_dir(&target)
            .output()
            .unwrap();
        assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stderr));
        assert!(target.join("deep/er").is_dir() && !target.join("empty").exists());
        assert_eq!(std::fs::read_link(target.join("link")).unwrap(), Path::new("one"));
    }
}

#[test]
fn format_1_is_read() {
    let world = World::of("format-1");
    assert_eq!(world.ok(&["host"], &["snapshots"]).matches("host-a").count(), 2);
    world.restores(&["office"], "by-office");
    world.restores(&["alice", "carol"], "by-two");
    assert_eq!(world.run(&["bob", "carol"], &["ls", "latest"]).status.code(), Some(5));
    world.ok(&["host", "office"], &["check", "--read-data"]);
    let listed = world.ok(&["host"], &["dataset", "list"]);
    assert!(listed.contains("any(office, all(alice, 1 of (bob, carol)))"), "{listed}");
}

#[test]
fn format_1_is_written_to() {
    let world = World::of("format-1");
    std::fs::write(world.path("more"), "more").unwrap();
    world.ok(&["host"], &["backup", "-q", world.path("more").to_str().unwrap()]);
    world.ok(&["office"], &["dump", &format!("latest:{}", world.path("more").display())]);
    let policy = "any(all(alice, any(carol, bob)), office)";
    world.ok(&["office", "host"], &["key", "rewrap", "--read-policy", policy, "--delete-old"]);
    world.ok(&["alice", "carol"], &["ls", "latest"]);
    // It names no time lock, so the format's own holds.
    let lower = ["key", "rewrap", "--read-policy", "2 of (alice, bob, carol)", "--delete-old"];
    let proposed = world.run(&["office", "host"], &lower);
    let said = String::from_utf8_lossy(&proposed.stderr).into_owned();
    assert!(proposed.status.success() && said.contains("waits 72 hours"), "{said}");
    world.ok(&["office"], &["ls", "latest"]);
}
