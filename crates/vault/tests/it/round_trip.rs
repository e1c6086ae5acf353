//! Backup and restore, byte for byte.

use std::{
    fs,
    io::Write,
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::Command,
    sync::Arc,
};
use strongroom_custody::Operation;
use strongroom_testkit::vault::TestVault;
use strongroom_vault::store::Memory;

fn noise(len: usize, seed: u8) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new_keyed(&[seed; 32]).finalize_xof().fill(&mut out);
    out
}

fn sample(root: &Path) {
    fs::create_dir_all(root.join("a/b/empty")).unwrap();
    fs::write(root.join("a/one"), b"one").unwrap();
    fs::write(root.join("a/nothing"), b"").unwrap();
    fs::write(root.join("a/b/noise"), noise(300_000, 1)).unwrap();
    fs::write(root.join("a/b/same noise"), noise(300_000, 1)).unwrap();
    fs::write(root.join("large"), noise(20 << 20, 2)).unwrap();
    fs::hard_link(root.join("a/one"), root.join("uno")).unwrap();
    symlink("a/b/../one", root.join("link")).unwrap();
    let mut sparse = fs::File::create(root.join("sparse")).unwrap();
    sparse.write_all(&noise(5000, 3)).unwrap();
    sparse.write_all_at(&noise(70_000, 4), 40 << 20).unwrap();
    sparse.set_len(64 << 20).unwrap();
    fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o1750)).unwrap();
    for nth in 0..700 {
        fs::write(root.join(format!("a/b/{nth:04}")), format!("file {nth}\n").repeat(nth % 60)).unwrap();
    }
}

/// An independent comparison: content, and everything that `find` can print.
fn assert_same(a: &Path, b: &Path) {
    let diff = Command::new("diff").args(["-r", "--no-dereference"]).arg(a).arg(b).output().unwrap();
    assert!(diff.status.success(), "{}", String::from_utf8_lossy(&diff.stdout));
    let listing = |root: &Path| {
        let mut find = Command::new("find");
        find.args([".", "-printf", "%p %y %m %U %G %T@ %n %l\n"]).current_dir(root);
        let output = String::from_utf8(find.output().unwrap().stdout).unwrap();
        let mut lines: Vec<_> =
            output.lines().filter(|line| !line.starts_with(". ")).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(listing(a), listing(b));
}

#[test]
fn what_is_backed_up_is_restored() {
    let vault = TestVault::create(Arc::new(Memory::new()));
    let source = tempfile::tempdir().unwrap();
    let root = source.path().join("data");
    sample(&root);
    let first = vault.backup(&root).unwrap();
    assert_eq!(first.snapshot.summary.files, 707);
    assert_eq!(first.snapshot.summary.files_new, 707);

    let target = tempfile::tempdir().unwrap();
    let restored = vault.restore(&first.snapshot, &root, &target.path().join("out")).unwrap();
    assert_eq!(restored.files, 706, "the second name of a file is a link");
    assert_same(&root, &target.path().join("out"));
    let sparse = fs::metadata(target.path().join("out/sparse")).unwrap();
    assert!(sparse.blocks() * 512 < 1 << 20, "holes stay holes");
}

#[test]
fn an_unchanged_tree_stores_nothing_but_a_snapshot_and_a_changed_file_little() {
    let vault = TestVault::create(Arc::new(Memory::new()));
    // The directories above the source are in the snapshot, too: other tests must not change them.
    let source = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let root = source.path().join("data");
    sample(&root);
    // What changed within two seconds before a backup is read again by the next.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let first = vault.backup(&root).unwrap();
    let second = vault.backup(&root).unwrap();
    assert_eq!(second.snapshot.root, first.snapshot.root);
    assert_eq!(second.snapshot.parent, first.id);
    assert_eq!(second.snapshot.summary.files_unchanged, 707);
    assert_eq!(second.snapshot.summary.bytes_stored, 0);

    fs::write(root.join("a/b/0007"), b"changed").unwrap();
    let third = vault.backup(&root).unwrap();
    let summary = &third.snapshot.summary;
    assert_eq!((summary.files_changed, summary.files_new, summary.files_unchanged), (1, 0, 706));
    let target = tempfile::tempdir().unwrap();
    vault.restore(&third.snapshot, &root, &target.path().join("out")).unwrap();
    assert_same(&root, &target.path().join("out"));
    let old = tempfile::tempdir().unwrap();
    vault.restore(&first.snapshot, &root, &old.path().join("out")).unwrap();
    assert_ne!(fs::read(old.path().join("out/a/b/0007")).unwrap(), b"changed");
}

#[test]
fn a_backup_costs_one_key_use_and_a_restore_one_for_its_epoch() {
    let vault = TestVault::create(Arc::new(Memory::new()));
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("file"), noise(100_000, 9)).unwrap();
    vault.observer.reset();
    let outcome = vault.backup(source.path()).unwrap();
    assert_eq!((vault.observer.calls(Operation::Unwrap), vault.observer.calls(Operation::Wrap)), (1, 0));
    vault.observer.reset();
    let target = tempfile::tempdir().unwrap();
    vault.restore(&outcome.snapshot, source.path(), target.path()).unwrap();
    assert_eq!((vault.observer.calls(Operation::Unwrap), vault.observer.calls(Operation::Wrap)), (1, 0));
}
