//! A vault in memory with what tests of damage need.

use bytes::Bytes;
use std::{fs, path::Path, sync::Arc};
use strongroom_custody::{Reason, ReasonCode};
use strongroom_format::ObjectHash;
use strongroom_testkit::vault::{TestVault, watched};
use strongroom_vault::{
    Result,
    access::Vault,
    backup::{self, Outcome, Source},
    check::{self, Report, Subset},
    fs::Filter,
    groups::GroupReader,
    handle::DatasetHandle,
    prune::{self, Compaction, PruneOptions, PruneOutcome},
    snapshots,
    store::{Blocking, Memory},
    tree::{self, EntryRefs},
};
use tempfile::TempDir;

/// A vault over a store in memory, and a directory to back up.
pub(crate) struct Fixture {
    pub(crate) memory: Arc<Memory>,
    pub(crate) vault: TestVault,
    /// Length of a full pack, in bytes: a pack of the test vault's own layout holds one group.
    pub(crate) pack_size: usize,
    source: TempDir,
}

pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let memory = Arc::new(Memory::new());
        let vault = TestVault::create(Arc::clone(&memory) as _);
        Self { memory, vault, pack_size: 256 << 10, source: TempDir::new().unwrap() }
    }

    /// With packs of many groups.
    pub(crate) fn with_large_packs() -> Self {
        Self { pack_size: 8 << 20, ..Self::new() }
    }

    pub(crate) fn root(&self) -> &Path {
        self.source.path()
    }

    pub(crate) fn write(&self, path: &str, content: &[u8]) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn delete(&self, path: &str) {
        fs::remove_file(self.root().join(path)).unwrap();
    }

    /// Some directories, small files, and one of many chunks.
    pub(crate) fn fill(&self) {
        for nth in 0..40 {
            self.write(&format!("d{}/f{nth}", nth % 4), &noise(2000 + nth * 100, nth as u64));
        }
        self.write("d0/deep/er/text", &b"strongroom ".repeat(5000));
        self.write("big", &noise(3 << 20, 1000));
    }

    pub(crate) fn backup(&self) -> Outcome {
        let handle = self.handle();
        let reason = Reason::new(ReasonCode::Backup);
        let key = self.vault.vault.session_key(&handle, &self.vault.custody, &reason);
        let (key, _) = self.vault.runtime.block_on(key).unwrap();
        let options = backup::Options {
            host: "host-a".into(),
            user: "operator".into(),
            tags: Vec::new(),
            time: None,
            compression: Default::default(),
            threads: 2,
            uploads: 1,
            force: false,
            dry_run: false,
            program: "test".into(),
        };
        let source = Source::Paths(vec![self.root().to_owned()]);
        let filter = Filter::builder().build().unwrap();
        watched(|monitor| backup::run(&handle, key, source, &filter, &options, monitor)).unwrap()
    }

    pub(crate) fn handle(&self) -> DatasetHandle {
        self.handle_of(&self.vault.vault)
    }

    pub(crate) fn handle_of(&self, vault: &Vault) -> DatasetHandle {
        let mut handle = self.vault.writing(vault).unwrap();
        handle.layout.pack_size = self.pack_size;
        handle
    }

    pub(crate) fn structure(&self) -> Report {
        let handle = self.handle();
        watched(|monitor| check::structure(&handle, 2, monitor)).unwrap()
    }

    pub(crate) fn read_data(&self, subset: Subset) -> Report {
        let (handle, keys) = self.vault.reading(&self.vault.vault).unwrap();
        watched(|monitor| check::read_data(&handle, &keys, subset, 2, monitor)).unwrap()
    }

    pub(crate) fn scrub(&self) -> Report {
        let store = Blocking::new(Arc::clone(&self.memory) as _, self.vault.runtime.handle().clone());
        watched(|monitor| check::scrub(&store, 2, monitor)).unwrap()
    }

    pub(crate) fn prune_with(&self, options: &PruneOptions) -> Result<PruneOutcome> {
        let handle = self.handle();
        watched(|monitor| prune::plan(&handle, options, monitor)?.execute(None, monitor))
    }

    pub(crate) fn prune(&self) -> PruneOutcome {
        self.prune_with(&PruneOptions::default()).unwrap()
    }

    pub(crate) fn compaction(&self) -> Compaction {
        let (handle, keys) = self.vault.reading(&self.vault.vault).unwrap();
        let reason = Reason::new(ReasonCode::Admin);
        let session = self.vault.vault.session_key(&handle, &self.vault.custody, &reason);
        let (session, _) = self.vault.runtime.block_on(session).unwrap();
        Compaction { keys, session, compression: Default::default() }
    }

    pub(crate) fn forget(&self, ids: &[ObjectHash]) {
        snapshots::remove(&self.handle(), ids).unwrap();
    }

    /// The names of objects of one kind, such as `packs`.
    pub(crate) fn objects(&self, kind: &str) -> Vec<String> {
        let folder = format!("/{kind}/");
        self.memory.contents().into_keys().filter(|name| name.contains(&folder)).collect()
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        self.memory.contents()[name].to_vec()
    }

    pub(crate) fn set(&self, name: &str, bytes: Vec<u8>) {
        assert!(self.memory.damage(name, Bytes::from(bytes)));
    }

    pub(crate) fn remove(&self, name: &str) {
        let store = Blocking::new(Arc::clone(&self.memory) as _, self.vault.runtime.handle().clone());
        store.delete(name).unwrap();
    }

    pub(crate) fn add(&self, name: &str, bytes: &[u8]) {
        let store = Blocking::new(Arc::clone(&self.memory) as _, self.vault.runtime.handle().clone());
        store.put(name, Bytes::copy_from_slice(bytes)).unwrap();
    }

    /// The packs with chunks of a kind: 1 data, 2 meta, 3 refs.
    pub(crate) fn packs_of(&self, kind: u8) -> Vec<String> {
        self.objects("packs").into_iter().filter(|name| self.bytes(name)[5] == kind).collect()
    }

    /// Every file of a snapshot with its content, read through the trees.
    pub(crate) fn content(&self, id: &ObjectHash) -> Vec<(String, Vec<u8>)> {
        let (handle, keys) = self.vault.reading(&self.vault.vault).unwrap();
        let (reader, damaged) = GroupReader::open(&handle, Some(keys)).unwrap();
        assert!(damaged.is_empty());
        let all = snapshots::load(&handle).unwrap();
        let root = all.find(id).expect("the snapshot is there").snapshot.root;
        let mut files = Vec::new();
        let mut stack = vec![(String::new(), root)];
        while let Some((path, id)) = stack.pop() {
            for entry in tree::read_directory(&reader, &id).unwrap() {
                let path = format!("{path}/{}", String::from_utf8_lossy(&entry.entry.name));
                if let EntryRefs::Directory(id) = entry.refs {
                    stack.push((path, id));
                    continue;
                }
                let mut content = Vec::new();
                for id in tree::file_chunks(&reader, &entry).unwrap() {
                    let kind = strongroom_format::keys::ChunkKind::Data;
                    content.extend(reader.read_chunk(kind, &id).unwrap());
                }
                let relative = path.strip_prefix(self.root().to_str().unwrap()).unwrap_or(&path);
                files.push((relative.trim_start_matches('/').to_owned(), content));
            }
        }
        files.sort();
        files
    }
}
