//! What several modules need: trees as data, and restores whose problems are looked at.

use bytes::Bytes;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use strongroom_format::{ObjectHash, limits::DOCUMENT_MAX, names, snapshot::Snapshot};
use strongroom_testkit::vault::TestVault;
use strongroom_vault::{
    Result, VaultError,
    access::Vault,
    backup::{self, Source},
    check,
    fs::{Filter, Overwrite},
    groups::GroupReader,
    handle::DatasetHandle,
    monitor::Monitor,
    packer::Compression,
    progress::{Cancel, Counters},
    prune,
    restore::{self, Selected, Summary},
    store::{Memory, Store},
    tree::{EntryRefs, find_path},
};
use tempfile::TempDir;

/// Bytes that do not compress and do not repeat.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

/// Regular files by their paths below the root of a source.
pub(crate) type Model = BTreeMap<PathBuf, Vec<u8>>;

/// A model with small and large files in some directories; another `seed` gives other content in part of them.
pub(crate) fn sample(seed: u64) -> Model {
    let mut model = Model::new();
    model.insert("empty".into(), Vec::new());
    model.insert("constant".into(), noise(90_000, 1));
    model.insert("large".into(), noise(500_000, 100 + seed));
    model.insert("text".into(), format!("the state is {seed}\n").repeat(4000).into_bytes());
    for nth in 0..12 {
        let changing = if nth % 3 == 0 { seed } else { 0 };
        model.insert(format!("many/d{}/f{nth}", nth % 3).into(), noise(700 * nth, 1000 + 17 * changing));
    }
    model.insert(format!("only in {seed}").into(), noise(3000, 50 + seed));
    model
}

/// Makes a directory hold exactly the model.
pub(crate) fn write_model(model: &Model, root: &Path) {
    let _ = fs::remove_dir_all(root);
    fs::create_dir_all(root).unwrap();
    for (path, content) in model {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// The regular files below a directory.
pub(crate) fn read_model(root: &Path) -> Model {
    fn walk(at: &Path, root: &Path, found: &mut Model) {
        for entry in fs::read_dir(at).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), root, found);
            } else if entry.file_type().unwrap().is_file() {
                let path = entry.path().strip_prefix(root).unwrap().to_owned();
                found.insert(path, fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut found = Model::new();
    walk(root, root, &mut found);
    found
}

/// Panics where two models differ, without printing their content.
pub(crate) fn assert_model(found: &Model, expected: &Model, what: &str) {
    let paths = |model: &Model| model.keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(found), paths(expected), "{what}");
    for (path, content) in expected {
        assert!(found[path] == *content, "{what}: {} has other content", path.display());
    }
}

/// An independent copy of a store's objects, changed.
pub(crate) fn changed(store: &Memory, change: impl FnOnce(&mut BTreeMap<String, Bytes>)) -> Arc<Memory> {
    let mut objects = store.contents();
    change(&mut objects);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let changed = Memory::new();
    for (name, bytes) in objects {
        runtime.block_on(changed.put(&name, bytes)).unwrap();
    }
    Arc::new(changed)
}

/// Gives a vault empty local caches, as a new host has.
pub(crate) fn forget_caches(vault: &mut TestVault) {
    vault.cache = TempDir::new().unwrap();
}

/// How a test backs up.
pub(crate) fn backup_options() -> backup::Options {
    backup::Options {
        host: "host-a".into(),
        user: "operator".into(),
        tags: Vec::new(),
        time: None,
        compression: Compression::default(),
        threads: 2,
        uploads: 1,
        force: false,
        dry_run: false,
        program: "test".into(),
    }
}

/// No rules.
pub(crate) fn no_filter() -> Filter {
    Filter::builder().build().unwrap()
}

/// Runs an operation and collects its problems, each with its cause.
pub(crate) fn collecting<T>(operation: impl FnOnce(&Monitor<'_>) -> T) -> (T, Vec<String>) {
    let problems = Mutex::new(Vec::new());
    let (counters, cancel) = (Counters::new(), Cancel::new());
    let on_problem = |problem: strongroom_vault::fs::Problem| {
        problems.lock().unwrap().push(format!("{problem}: {}", problem.source));
    };
    let result = operation(&Monitor { counters: &counters, cancel: &cancel, on_problem: &on_problem });
    (result, problems.into_inner().unwrap())
}

/// Backs up any source with any filter; problems are returned beside the outcome.
pub(crate) fn backup_source(
    vault: &TestVault,
    source: Source,
    filter: &Filter,
    options: &backup::Options,
) -> (Result<backup::Outcome>, Vec<String>) {
    let handle = vault.writing(&vault.vault).unwrap();
    let reason = strongroom_custody::Reason::new(strongroom_custody::ReasonCode::Backup);
    let (key, _) = vault.runtime.block_on(vault.vault.session_key(&handle, &vault.custody, &reason)).unwrap();
    collecting(|monitor| backup::run(&handle, key, source, filter, options, monitor))
}

/// Restores `path` of a snapshot; problems are returned beside the summary.
pub(crate) fn restore_through(
    test: &TestVault,
    vault: &Vault,
    snapshot: &Snapshot,
    path: &Path,
    target: &Path,
) -> (Result<Summary>, Vec<String>) {
    collecting(|monitor| {
        let (handle, keys) = test.reading(vault)?;
        let (reader, _) = GroupReader::open(&handle, Some(keys))?;
        restore_with(&reader, snapshot, path, target, monitor)
    })
}

/// Restores `path` of a snapshot with an open reader.
pub(crate) fn restore_with(
    reader: &GroupReader,
    snapshot: &Snapshot,
    path: &Path,
    target: &Path,
    monitor: &Monitor<'_>,
) -> Result<Summary> {
    let path = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    let selected = match find_path(reader, &snapshot.root, path)? {
        None => Selected::Directory(snapshot.root),
        Some(entry) => match entry.refs {
            EntryRefs::Directory(refs) => Selected::Directory(refs),
            _ => Selected::Entry(Box::new(entry)),
        },
    };
    let options = restore::Options {
        target: target.to_owned(),
        overwrite: Overwrite::Always,
        delete: false,
        dry_run: false,
        verify: true,
        threads: 2,
    };
    restore::run(reader, &selected, &no_filter(), &options, monitor)
}

/// Prunes down to the last dead byte.
pub(crate) fn prune(handle: &DatasetHandle) -> Result<prune::PruneOutcome> {
    let options = prune::PruneOptions { max_unused: prune::Limit::Bytes(0), ..Default::default() };
    let (outcome, problems) =
        collecting(|monitor| prune::plan(handle, &options, monitor)?.execute(None, monitor));
    assert!(problems.is_empty(), "{problems:?}");
    outcome
}

/// Panics where a check of the structure finds anything.
pub(crate) fn assert_checked(handle: &DatasetHandle, what: &str) {
    let (report, _) = collecting(|monitor| check::structure(handle, 2, monitor));
    let report = report.unwrap_or_else(|error| panic!("{what}: check: {error}"));
    assert!(report.findings.is_empty(), "{what}: {:?}", report.findings);
}

/// Every snapshot in the store, read one by one; an error names the object.
pub(crate) fn list_snapshots(handle: &DatasetHandle) -> Result<Vec<(ObjectHash, Snapshot)>> {
    let mut found = Vec::new();
    for object in handle.store.list(&handle.names.snapshots())? {
        let bytes = handle.store.get(&object.name, DOCUMENT_MAX as u64)?;
        let (_, id) = names::parse_snapshot(&object.name).unwrap();
        if ObjectHash::of(&bytes) != id {
            let damage = strongroom_format::Damage::Hash;
            return Err(VaultError::damaged(&object.name, "snapshot", damage));
        }
        let (_, snapshot) = Snapshot::open(&bytes, &handle.owner, &handle.keys)
            .map_err(|error| VaultError::format(&object.name, error))?;
        found.push((id, snapshot));
    }
    Ok(found)
}

/// Opens the vault through `store` as a new process would and checks that every snapshot of `expected` that is
/// in the store restores byte for byte. Returns how many there were.
pub(crate) fn assert_whole(
    test: &mut TestVault,
    store: Arc<dyn Store>,
    root: &Path,
    expected: &BTreeMap<ObjectHash, Model>,
    what: &str,
) -> usize {
    test.vault = test.through(store).unwrap_or_else(|error| panic!("{what}: {error}"));
    let handle = test.writing(&test.vault).unwrap();
    let snapshots = list_snapshots(&handle).unwrap_or_else(|error| panic!("{what}: {error}"));
    for (id, snapshot) in &snapshots {
        let model = expected.get(id).unwrap_or_else(|| panic!("{what}: an unknown snapshot {id}"));
        let target = TempDir::new().unwrap();
        let summary = test.restore(snapshot, root, target.path());
        summary.unwrap_or_else(|error| panic!("{what}: snapshot {id}: {error}"));
        assert_model(&read_model(target.path()), model, what);
    }
    snapshots.len()
}
