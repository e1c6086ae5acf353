//! The damage matrix: every kind of object, every kind of damage, every operation.
//!
//! Whatever is damaged: no panic, nothing wrong is ever written, and what is not spoilt is restored. An error
//! or problem says which object it is about, wherever that can be known.

use crate::support::{
    Model, assert_model, changed, forget_caches, list_snapshots, read_model, restore_through, sample,
    write_model,
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};
use strongroom_custody::{CustodyError, HolderError};
use strongroom_format::{
    ObjectHash, SessionId, SystemEntropy,
    control::{Condemnation, SessionMarker},
    names,
    pack::read_header,
    snapshot::Snapshot,
};
use strongroom_testkit::vault::TestVault;
use strongroom_vault::{VaultError, store::Memory};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Vault,
    Keyring,
    Epoch,
    DataPack,
    MetaPack,
    RefsPack,
    Segment,
    Snapshot,
    Session,
    Condemnation,
}

fn kind_of(name: &str, bytes: &[u8]) -> Kind {
    let folder = |folder: &str| name.contains(&format!("/{folder}/"));
    match () {
        () if name == names::VAULT => Kind::Vault,
        () if name.starts_with(names::KEYRING) => Kind::Keyring,
        () if folder("epochs") => Kind::Epoch,
        () if folder("index") => Kind::Segment,
        () if folder("snapshots") => Kind::Snapshot,
        () if folder("sessions") => Kind::Session,
        () if folder("condemned") => Kind::Condemnation,
        () => match read_header(bytes).unwrap().0 as u8 {
            1 => Kind::DataPack,
            2 => Kind::MetaPack,
            _ => Kind::RefsPack,
        },
    }
}

struct Original {
    test: TestVault,
    store: Arc<Memory>,
    root: PathBuf,
    snapshots: Vec<(ObjectHash, Snapshot, Model)>,
    _source: tempfile::TempDir,
}

/// A vault with two snapshots and one object at least of each kind.
fn original() -> Original {
    let store = Arc::new(Memory::new());
    let test = TestVault::create(Arc::clone(&store) as _);
    let source = tempfile::tempdir().unwrap();
    let root = source.path().join("data");
    let mut snapshots = Vec::new();
    for seed in 0..2 {
        write_model(&sample(seed), &root);
        let outcome = test.backup(&root).unwrap();
        snapshots.push((outcome.id.unwrap(), outcome.snapshot, sample(seed)));
    }
    let handle = test.writing(&test.vault).unwrap();
    for nth in 0..2 {
        let id = SessionId([nth; 16]);
        let marker = SessionMarker { started: "2026-01-01T00:00:00Z".into(), host: "host-b".into(), pid: 1 };
        let bytes = marker.seal(&handle.owner, &handle.keys, &mut SystemEntropy);
        handle.put(&handle.names.session(&id, 0), Bytes::from(bytes)).unwrap();
        let packs = vec![ObjectHash([nth; 32])];
        let condemnation = Condemnation { time: "2026-01-01T00:00:00Z".into(), packs };
        let bytes = condemnation.seal(&handle.owner, &handle.keys, &mut SystemEntropy);
        let name = handle.names.condemnation(&ObjectHash::of(&bytes));
        handle.put(&name, Bytes::from(bytes)).unwrap();
    }
    Original { test, store, root, snapshots, _source: source }
}

/// What happened in one cell of the matrix.
#[derive(Debug, Default)]
struct Seen {
    messages: Vec<String>,
    /// Something was reported as damage of the vault.
    integrity: bool,
}

impl Seen {
    fn error(&mut self, what: &str, kind: Kind, error: &VaultError) {
        match error {
            VaultError::Bug(_) | VaultError::Local { .. } => panic!("{what}: {error}"),
            VaultError::NoVault { .. } => assert_eq!(kind, Kind::Vault, "{what}"),
            VaultError::Custody(custody) => {
                // A wrap that was tampered with cannot be told from a wrong key by everybody.
                let tampered = |error: &CustodyError| {
                    let failures = error.failures().iter();
                    matches!(error, CustodyError::Integrity { .. } | CustodyError::Malformed { .. })
                        || failures.clone().any(|failure| {
                            matches!(
                                failure.error,
                                HolderError::Tampered | HolderError::Malformed(_) | HolderError::WrongContext
                            )
                        })
                };
                assert!(tampered(custody) && kind == Kind::Epoch, "{what}: {custody}");
            }
            error => {
                assert!(error.is_integrity(), "{what}: {error:?}");
                self.integrity = true;
            }
        }
        self.messages.push(error.to_string());
    }
}

impl Original {
    /// Does everything with a damaged store.
    fn explore(&mut self, store: &Arc<Memory>, kind: Kind, what: &str) -> Seen {
        let mut seen = Seen::default();
        let test = &mut self.test;
        forget_caches(test);
        let vault = match test.through(Arc::clone(store) as _) {
            Ok(vault) => vault,
            Err(error) => {
                seen.error(what, kind, &error);
                return seen;
            }
        };
        match test.writing(&vault).and_then(|handle| list_snapshots(&handle)) {
            Ok(listed) => {
                for (id, snapshot) in listed {
                    let (_, original, _) = self.snapshots.iter().find(|(known, ..)| *known == id).unwrap();
                    assert_eq!(*original, snapshot, "{what}");
                }
            }
            Err(error) => seen.error(what, kind, &error),
        }
        for (_, snapshot, model) in &self.snapshots {
            let target = tempfile::tempdir().unwrap();
            let (result, problems) = restore_through(test, &vault, snapshot, &self.root, target.path());
            let found = read_model(target.path());
            for (path, content) in &found {
                assert!(model[path] == *content, "{what}: {} is wrong", path.display());
            }
            match result {
                Ok(summary) if problems.is_empty() => {
                    assert!(!summary.lost, "{what}");
                    assert_model(&found, model, what);
                }
                Ok(summary) => {
                    assert!(summary.lost, "{what}: {problems:?}");
                    seen.integrity = true;
                }
                Err(error) => seen.error(what, kind, &error),
            }
            seen.messages.extend(problems);
        }
        // A backup of new content, by a host without caches: right, or an error that says why not.
        let source = Path::new(&self.root);
        match test.backup_through(&vault, source) {
            Ok(outcome) => {
                let target = tempfile::tempdir().unwrap();
                let (_, problems) = restore_through(test, &vault, &outcome.snapshot, source, target.path());
                let model = &self.snapshots[1].2;
                let found = read_model(target.path());
                for (path, content) in &found {
                    assert!(model[path] == *content, "{what}: {} is wrong", path.display());
                }
                if kind != Kind::Epoch && problems.is_empty() && !seen.integrity {
                    assert_model(&found, model, what);
                }
            }
            Err(error) => seen.error(what, kind, &error),
        }
        seen
    }
}

/// Ways to change the bytes of one object.
fn damages(bytes: &Bytes) -> Vec<(String, Option<Bytes>)> {
    let len = bytes.len();
    let mut damages = vec![("deleted".to_owned(), None)];
    for keep in [0, len / 2, len - 1] {
        damages.push((format!("cut to {keep}"), Some(bytes.slice(..keep))));
    }
    for at in [0, 4, 5, 10, len / 3, len / 2, len - 40, len - 9, len - 1] {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << (at % 8);
        damages.push((format!("flipped at {at}"), Some(flipped.into())));
    }
    damages.push(("longer by a byte".to_owned(), Some([&bytes[..], b"\0"].concat().into())));
    damages
}

fn one_of_each(store: &Memory) -> BTreeMap<Kind, Vec<String>> {
    let mut kinds: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
    for (name, bytes) in store.contents() {
        kinds.entry(kind_of(&name, &bytes)).or_default().push(name);
    }
    assert_eq!(kinds.len(), 10, "{:?}", kinds.keys());
    kinds
}

/// Whether the damage to one object of this kind must come to light when everything is restored.
fn must_show(kind: Kind, how: &str) -> bool {
    match kind {
        // Appended bytes harm no group; `check` finds them. Markers are for prune.
        Kind::DataPack | Kind::MetaPack | Kind::RefsPack => !how.contains("longer"),
        Kind::Session => false,
        Kind::Condemnation => how != "deleted",
        // What is deleted, with no trace elsewhere, cannot be missed.
        Kind::Snapshot => how != "deleted",
        Kind::Vault | Kind::Keyring | Kind::Epoch | Kind::Segment => true,
    }
}

fn assert_named(seen: &Seen, kind: Kind, name: &str, how: &str, what: &str) {
    let named = seen.messages.iter().any(|message| message.contains(name));
    // What lay in a pack or segment that is gone is known by chunk only; a vault that is gone is none.
    let unknowable = match kind {
        Kind::Vault => how == "deleted",
        Kind::Segment => true,
        Kind::Epoch => seen.messages.iter().any(|message| message.contains("epoch 1")),
        _ => false,
    };
    assert!(named || unknowable, "{what}: {:?}", seen.messages);
}

#[test]
fn damage_to_any_object_is_contained_and_named() {
    let mut original = original();
    let kinds = one_of_each(&original.store);
    for (kind, objects) in kinds {
        // The first pack of a kind holds what the first snapshot needs.
        let name = &objects[0];
        let bytes = original.store.contents()[name].clone();
        for (how, damaged) in damages(&bytes) {
            let what = format!("{kind:?} {how}");
            let store = changed(&original.store, |objects| match damaged {
                Some(bytes) => drop(objects.insert(name.clone(), bytes)),
                None => drop(objects.remove(name)),
            });
            let seen = original.explore(&store, kind, &what);
            // A flip in a pack may hit padding or a directory that reading does without.
            let flip_in_pack = how.starts_with("flipped")
                && matches!(kind, Kind::DataPack | Kind::MetaPack | Kind::RefsPack)
                || how.starts_with("cut to") && !how.ends_with(" 0") && name.contains("/packs/");
            if must_show(kind, &how) && !flip_in_pack {
                assert!(!seen.messages.is_empty(), "{what}: nobody noticed");
                assert_named(&seen, kind, name, &how, &what);
            }
        }
    }
}

#[test]
fn objects_in_the_place_of_others_are_noticed() {
    let mut original = original();
    let other = self::original();
    let foreign = one_of_each(&other.store);
    let foreign_objects = other.store.contents();
    for (kind, objects) in one_of_each(&original.store) {
        let name = objects[0].clone();
        let foreign = foreign_objects[&foreign[&kind][0]].clone();
        let what = format!("{kind:?} of another vault");
        let store = changed(&original.store, |objects| drop(objects.insert(name.clone(), foreign.clone())));
        let seen = original.explore(&store, kind, &what);
        // Another vault's keyring under its own vault document is another vault, which no policy of ours opens.
        if must_show(kind, "foreign") {
            assert!(!seen.messages.is_empty(), "{what}: nobody noticed");
            assert_named(&seen, kind, &name, "foreign", &what);
        }
        let Some(second) = objects.get(1).cloned() else { continue };
        let what = format!("two {kind:?} swapped");
        let store = changed(&original.store, |objects| {
            let (a, b) = (objects[&name].clone(), objects[&second].clone());
            objects.insert(name.clone(), b);
            objects.insert(second.clone(), a);
        });
        let seen = original.explore(&store, kind, &what);
        if must_show(kind, "swapped") && kind != Kind::Condemnation {
            assert!(!seen.messages.is_empty(), "{what}: nobody noticed");
            // A root that does not open hides what lies below it, so that one of the two may never be read.
            let named =
                if seen.messages.iter().any(|message| message.contains(&second)) { &second } else { &name };
            assert_named(&seen, kind, named, "swapped", &what);
        }
    }
}

#[test]
fn objects_beyond_their_limit_are_refused_before_they_are_read() {
    let mut original = original();
    for (kind, objects) in one_of_each(&original.store) {
        if matches!(kind, Kind::DataPack | Kind::MetaPack | Kind::RefsPack) {
            continue;
        }
        let name = objects[0].clone();
        let limit = if kind == Kind::Segment { 256 << 20 } else { 4 << 20 };
        let mut bytes = original.store.contents()[&name].to_vec();
        bytes.resize(limit + 1, 0);
        let store =
            changed(&original.store, |objects| drop(objects.insert(name.clone(), bytes.clone().into())));
        let what = format!("an oversized {kind:?}");
        let seen = original.explore(&store, kind, &what);
        if must_show(kind, "oversized") {
            assert!(!seen.messages.is_empty(), "{what}: nobody noticed");
            assert_named(&seen, kind, &name, "oversized", &what);
        }
    }
}

#[test]
fn a_damaged_pack_costs_only_the_files_in_it() {
    let mut original = original();
    let kinds = one_of_each(&original.store);
    let mut lost = BTreeSet::new();
    for name in &kinds[&Kind::DataPack] {
        let store = changed(&original.store, |objects| drop(objects.remove(name)));
        forget_caches(&mut original.test);
        let vault = original.test.through(store as _).unwrap();
        let (_, snapshot, model) = &original.snapshots[0];
        let target = tempfile::tempdir().unwrap();
        let (result, problems) =
            restore_through(&original.test, &vault, snapshot, &original.root, target.path());
        let summary = result.unwrap();
        let found = read_model(target.path());
        let missing: Vec<_> = model.keys().filter(|path| !found.contains_key(*path)).cloned().collect();
        assert_eq!(missing.len(), problems.len(), "{problems:?}");
        assert_eq!(summary.lost, !missing.is_empty());
        for path in &missing {
            let path = path.to_str().unwrap();
            assert!(problems.iter().any(|problem| problem.contains(path) && problem.contains(name)));
        }
        assert!(missing.len() < model.len(), "the empty file needs no pack");
        lost.extend(missing);
    }
    let with_content = original.snapshots[0].2.values().filter(|content| !content.is_empty()).count();
    assert_eq!(lost.len(), with_content, "every file with content needs some pack");
}

#[test]
fn damaged_local_caches_cost_time_and_nothing_else() {
    let mut original = original();
    let model = original.snapshots[1].2.clone();
    let root = original.root.clone();
    // While packs are condemned, the change cache is not believed.
    let handle = original.test.writing(&original.test.vault).unwrap();
    for object in handle.store.list(&handle.names.condemned()).unwrap() {
        handle.store.delete(&object.name).unwrap();
    }
    // What changed within two seconds before a backup is not entered in the change cache.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    original.test.backup(&root).unwrap();
    let unchanged = original.test.backup(&root).unwrap().snapshot.summary.files_unchanged;
    assert_eq!(unchanged, model.len() as u64);
    let template = std::mem::replace(&mut original.test.cache, tempfile::tempdir().unwrap());
    let mut files = Vec::new();
    find_files(template.path(), &mut files);
    assert!(files.len() >= 2, "an index run and a change cache");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let mut damages = damages(&Bytes::from(bytes.clone()));
        for at in (0..bytes.len()).step_by(bytes.len() / 12 + 1) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            damages.push((format!("flipped at {at}"), Some(flipped.into())));
        }
        for (how, damaged) in damages {
            let what = format!("{} {how}", file.strip_prefix(template.path()).unwrap().display());
            forget_caches(&mut original.test);
            let copied = std::process::Command::new("cp")
                .arg("-a")
                .arg(template.path().join("."))
                .arg(original.test.cache.path())
                .status();
            assert!(copied.unwrap().success());
            let place = original.test.cache.path().join(file.strip_prefix(template.path()).unwrap());
            match damaged {
                Some(bytes) => std::fs::write(&place, bytes).unwrap(),
                None => std::fs::remove_file(&place).unwrap(),
            }
            let store = Arc::new(original.store.copy());
            let vault = original.test.through(Arc::clone(&store) as _).unwrap();
            let outcome = original.test.backup_through(&vault, &root);
            // A local file that lies may stop a backup, never spoil one.
            let outcome = outcome.unwrap_or_else(|error| panic!("{what}: {error}"));
            forget_caches(&mut original.test);
            let target = tempfile::tempdir().unwrap();
            let (result, problems) =
                restore_through(&original.test, &vault, &outcome.snapshot, &root, target.path());
            result.unwrap();
            assert!(problems.is_empty(), "{what}: {problems:?}");
            assert_model(&read_model(target.path()), &model, &what);
        }
    }
}

fn find_files(at: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { find_files(&path, files) } else { files.push(path) }
    }
}
