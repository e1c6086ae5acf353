//! A backup host falls into wrong hands, with its write key, its caches and the whole vault: nothing that was
//! backed up can be read, not its content, not its names.

use crate::support::{collecting, restore_with, write_model};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};
use strongroom_custody::{Custody, CustodyError, Reason, ReasonCode, Secrets};
use strongroom_format::{
    Secret32,
    group::{GroupOpener, group_key},
    keys::{ChunkKind, EpochPrivateKey, SealedFor},
    pack::KeyRecord,
    seal::SealKey,
    tree::RefsNode,
};
use strongroom_testkit::vault::TestVault;
use strongroom_vault::{
    VaultError,
    groups::GroupReader,
    index::Index,
    store::Memory,
    tree::{read_directory, read_refs},
};

/// What must be found nowhere.
const MARKERS: [&[u8]; 4] =
    [b"MARKER-OF-CONTENT", b"MARKER-OF-FILE", b"MARKER-OF-FOLDER", b"MARKER-OF-TARGET"];

struct Stolen {
    test: TestVault,
    store: Arc<Memory>,
    _source: tempfile::TempDir,
}

/// A host that has backed up, and whose custody has the write key file only.
fn stolen() -> Stolen {
    let store = Arc::new(Memory::new());
    let mut test = TestVault::create(Arc::clone(&store) as _);
    let source = tempfile::tempdir().unwrap();
    let root = source.path().join("data");
    let content = b"MARKER-OF-CONTENT and more of it ".repeat(2000);
    let model = [
        ("MARKER-OF-FOLDER/MARKER-OF-FILE", content.clone()),
        ("MARKER-OF-FOLDER/small", b"MARKER-OF-CONTENT".to_vec()),
        ("large", [content, crate::support::noise(9 << 20, 1)].concat()),
    ];
    write_model(&model.map(|(path, content)| (PathBuf::from(path), content)).into(), &root);
    std::os::unix::fs::symlink("MARKER-OF-TARGET", root.join("link")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2100));
    for _ in 0..2 {
        test.backup(&root).unwrap();
    }
    let specs = test.vault.keyring().keyholders.clone();
    let secrets = Secrets::none().with_key_file("write", test.key_file("write"));
    test.custody = Arc::new(Custody::new(&specs, secrets, Arc::clone(&test.observer) as _));
    Stolen { test, store, _source: source }
}

fn assert_no_marker(bytes: &[u8], what: &str) {
    for marker in MARKERS {
        let found = bytes.windows(marker.len()).any(|window| window == marker);
        assert!(!found, "{what} holds {}", String::from_utf8_lossy(marker));
    }
}

#[test]
fn vault_and_caches_hold_no_name_and_no_content() {
    let stolen = stolen();
    for (name, bytes) in stolen.store.contents() {
        assert_no_marker(&bytes, &name);
        assert_no_marker(name.as_bytes(), "an object's name");
    }
    let mut files = Vec::new();
    find_files(stolen.test.cache.path(), &mut files);
    assert!(files.iter().any(|file| file.to_string_lossy().contains("/changes/")), "{files:?}");
    assert!(files.iter().any(|file| file.to_string_lossy().contains("/index/")), "{files:?}");
    for file in files {
        let name = file.to_string_lossy().into_owned();
        assert_no_marker(&std::fs::read(&file).unwrap(), &name);
        assert_no_marker(name.as_bytes(), "a cache file's name");
    }
}

fn find_files(at: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { find_files(&path, files) } else { files.push(path) }
    }
}

#[test]
fn what_the_write_key_opens_holds_no_name_and_no_content() {
    let stolen = stolen();
    let handle = stolen.test.writing(&stolen.test.vault).unwrap();
    let (reader, _) = GroupReader::open(&handle, None).unwrap();
    // Snapshot headers and refs nodes open: that is what they are for.
    let snapshots = stolen.test.snapshots().unwrap();
    let mut seen = HashSet::new();
    let mut open = vec![snapshots[1].1.root];
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = read_refs(&reader, &id).unwrap();
        assert_no_marker(&node.encode(), "a refs node");
        match node {
            RefsNode::Page { directories, lists, .. } => open.extend(directories.into_iter().chain(lists)),
            RefsNode::Fan { pages } => open.extend(pages),
            RefsNode::List { .. } => {}
        }
    }
    assert!(seen.len() >= 4, "the tree was walked");
    for (_, snapshot) in &snapshots {
        assert_no_marker(format!("{snapshot:?}").as_bytes(), "a snapshot header");
    }
}

#[test]
fn no_group_of_content_or_names_opens_with_what_the_host_has() {
    let stolen = stolen();
    let test = &stolen.test;
    let handle = test.writing(&test.vault).unwrap();
    let (index, _) = Index::load(&handle, Default::default()).unwrap();
    let refs_secret = handle.keys.refs_secret();
    let mut tried = [0; 4];
    for (ordinal, run) in index.runs().iter().enumerate() {
        for (nth, pack) in run.packs().iter().enumerate() {
            let bytes = &stolen.store.contents()[&handle.names.pack(&pack.hash)];
            for group in pack.first_group..pack.first_group + pack.groups {
                let span = run.group(group).unwrap();
                let record = &run.keys(nth as u32).unwrap()[usize::from(span.key)];
                let stored = &bytes[span.offset as usize..][..span.stored_len as usize];
                // Everything that is derived from the write key, and the write key itself.
                let salt = record.salt();
                let keys: Vec<SealKey> = vec![
                    group_key(&refs_secret, salt),
                    group_key(handle.keys.secret(), salt),
                    SealKey::new(handle.keys.secret()),
                    group_key(&Secret32::new(handle.keys.local_key()), salt),
                ];
                let opened = keys.iter().any(|key| {
                    let mut raw = Vec::new();
                    let opener = GroupOpener::new().open(
                        key,
                        &handle.owner,
                        pack.kind,
                        &span,
                        &mut stored.to_vec(),
                        &mut raw,
                    );
                    opener.is_ok()
                });
                assert_eq!(opened, pack.kind == ChunkKind::Refs, "run {ordinal}, {:?}", pack.kind);
                tried[pack.kind as usize] += 1;
                if let KeyRecord::Session { sealed, epoch, .. } = record {
                    let (vault, dataset) = (handle.owner.vault, handle.owner.dataset);
                    let to = SealedFor { vault, dataset, epoch: *epoch };
                    // The private read key is none of the host's secrets.
                    for secret in [handle.keys.secret().clone(), refs_secret.clone()] {
                        assert!(EpochPrivateKey::from_secret(secret).open_session_key(sealed, &to).is_err());
                    }
                }
            }
        }
    }
    assert!(tried[1..].iter().all(|count| *count > 0), "groups of all three kinds: {tried:?}");
}

#[test]
fn reading_is_refused_whatever_is_asked() {
    let stolen = stolen();
    let test = &stolen.test;
    let reason = Reason::new(ReasonCode::Restore);
    let reading = test.vault.open_for_reading("default", None, Arc::clone(&test.custody), &reason, None);
    let error = test.runtime.block_on(reading).unwrap_err();
    assert!(matches!(error, VaultError::Custody(CustodyError::Refused { .. })), "{error:?}");
    let handle = test.writing(&test.vault).unwrap();
    let (reader, _) = GroupReader::open(&handle, None).unwrap();
    let snapshot = &test.snapshots().unwrap()[0].1;
    assert!(read_directory(&reader, &snapshot.root).is_err());
    let target = tempfile::tempdir().unwrap();
    let (restored, _) =
        collecting(|monitor| restore_with(&reader, snapshot, Path::new("/"), target.path(), monitor));
    assert!(restored.is_err());
    assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0);
}
