//! Reading content: whole packs, each compared with its name, each group opened, each chunk verified.

use super::{Defect, Finding, Report, Survey};
use crate::{
    error::{Result, VaultError},
    groups::GroupBuffer,
    handle::DatasetHandle,
    health::PackState,
    index::{Pack, Run},
    monitor::Monitor,
    pool,
    read_keys::ReadKeys,
    snapshots::is_spoilt,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use strongroom_format::{
    Damage, Entropy, FormatError, ObjectHash, SystemEntropy,
    group::GroupSpan,
    keys::ChunkKind,
    limits::PACK_MAX,
    pack::{self, GroupRecord, KeyRecord},
    tree::{self, RefsNode},
};

/// Which packs to read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Subset {
    /// All.
    All,
    /// The `n`th of `of` parts, from 1: all parts together are all packs, whatever is added between them.
    Part {
        /// Which part.
        n: u32,
        /// How many parts there are.
        of: u32,
    },
    /// Random packs that make up this share of the bytes, between 0 and 1.
    Share(f64),
    /// Random packs of at least so many bytes together.
    Bytes(u64),
}

impl Subset {
    fn choose(self, mut packs: Vec<Task>) -> Result<Vec<Task>> {
        let total: u64 = packs.iter().map(|task| task.pack.len).sum();
        let wanted = match self {
            Self::All => return Ok(packs),
            Self::Part { n, of } if (1..=of).contains(&n) => {
                packs.retain(|task| {
                    let [a, b, c, d, e, f, g, h, ..] = *task.pack.hash.as_bytes();
                    u64::from_be_bytes([a, b, c, d, e, f, g, h]) % u64::from(of) == u64::from(n - 1)
                });
                return Ok(packs);
            }
            Self::Part { n, of } => {
                return Err(VaultError::Invalid(format!("there is no part {n} of {of}")));
            }
            Self::Share(share) if (0.0..=1.0).contains(&share) => (total as f64 * share).ceil() as u64,
            Self::Share(_) => return Err(VaultError::Invalid("a share is between 0 % and 100 %".into())),
            Self::Bytes(bytes) => bytes,
        };
        let seed: [u8; 32] = SystemEntropy.array();
        packs.sort_by_cached_key(|task| *blake3::keyed_hash(&seed, task.pack.hash.as_bytes()).as_bytes());
        let mut taken = 0;
        packs.retain(|task| {
            let take = taken < wanted;
            taken += if take { task.pack.len } else { 0 };
            take
        });
        Ok(packs)
    }
}

/// A pack to read.
struct Task {
    run: Arc<Run>,
    ordinal: u32,
    pack: Pack,
}

/// What the workers share.
struct Reading<'a> {
    survey: &'a Survey,
    keys: &'a ReadKeys,
    monitor: &'a Monitor<'a>,
    hashed: AtomicU64,
    bytes_hashed: AtomicU64,
    chunks: AtomicU64,
    bytes: AtomicU64,
}

/// Checks the structure, then reads packs: compares each with its name, opens every group and verifies every
/// chunk id, and decodes the meta pages and refs nodes among them.
///
/// # Errors
/// Where the vault cannot be read at all, or keyholders refuse. Damage is no error but a finding.
pub fn read_data(
    handle: &DatasetHandle,
    keys: &Arc<ReadKeys>,
    subset: Subset,
    threads: usize,
    monitor: &Monitor<'_>,
) -> Result<Report> {
    let mut survey = Survey::take(handle, threads, monitor)?;
    read_packs(&mut survey, keys, subset, threads, monitor)?;
    survey.report(Some(Arc::clone(keys)))
}

/// Reads packs and enters what is lost into the survey.
pub(crate) fn read_packs(
    survey: &mut Survey,
    keys: &Arc<ReadKeys>,
    subset: Subset,
    threads: usize,
    monitor: &Monitor<'_>,
) -> Result<()> {
    let mut tasks = Vec::new();
    for (run_ordinal, run) in survey.health.index.runs().into_iter().enumerate() {
        for (ordinal, pack) in run.packs().iter().enumerate() {
            let (run_ordinal, ordinal) = (run_ordinal as u32, ordinal as u32);
            let state = survey.health.state(run_ordinal, ordinal);
            if matches!(state, PackState::Whole | PackState::Length(_)) {
                tasks.push(Task { run: Arc::clone(&run), ordinal, pack: *pack });
            }
        }
    }
    let mut tasks = subset.choose(tasks)?;
    // The longest first: no worker is left alone with a whole pack in the end.
    tasks.sort_by_key(|task| std::cmp::Reverse(task.pack.len));
    monitor.counters.found(tasks.len() as u64, tasks.iter().map(|task| task.pack.len).sum());
    monitor.counters.totals_final();
    let reading = Reading {
        survey,
        keys,
        monitor,
        hashed: AtomicU64::new(0),
        bytes_hashed: AtomicU64::new(0),
        chunks: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
    };
    pool::for_each_with(threads, &tasks, monitor.cancel, GroupBuffer::default, |buffer, task| {
        reading.read_pack(task, buffer)
    })?;
    let Reading { hashed, bytes_hashed, chunks, bytes, .. } = reading;
    survey.counts.objects_hashed = hashed.into_inner();
    survey.counts.bytes_hashed = bytes_hashed.into_inner();
    survey.counts.chunks_verified = chunks.into_inner();
    survey.counts.bytes_verified = bytes.into_inner();
    Ok(())
}

impl Reading<'_> {
    fn find(&self, object: &str, defect: Defect) {
        self.survey.findings.add(Finding { object: object.to_owned(), defect });
    }

    fn read_pack(&self, task: &Task, buffer: &mut GroupBuffer) -> Result<()> {
        let handle = &self.survey.handle;
        let name = handle.names.pack(&task.pack.hash);
        self.monitor.counters.set_current(&name);
        let bytes = match handle.store.get(&name, PACK_MAX as u64) {
            Ok(bytes) => bytes,
            Err(error) => {
                let error = VaultError::from(error);
                let gone = matches!(&error, VaultError::Store(error) if error.is_not_found());
                if gone {
                    self.lose(task, 0..task.pack.groups);
                    self.find(&name, Defect::Missing);
                    return Ok(());
                } else if is_spoilt(&error) {
                    self.lose(task, 0..task.pack.groups);
                    self.survey.findings.add(Finding::of_error(name, error));
                    return Ok(());
                }
                return Err(error);
            }
        };
        // The store's own buffer where nobody else holds it: groups are decrypted where they lie.
        let mut bytes: Vec<u8> = bytes.into();
        let mut hasher = blake3::Hasher::new();
        let mut hashed = 0;
        match pack::open_pack_directory(&handle.keys, &handle.owner, &bytes) {
            Ok(directory) if self.agrees(task, &directory.groups)? && directory.kind == task.pack.kind => {
                for (nth, record) in directory.groups.iter().enumerate() {
                    let start = record.span.offset as usize;
                    let end = start + record.span.stored_len as usize;
                    // Hashing what is about to be decrypted brings it into the processor's cache.
                    hasher.update(&bytes[hashed..end]);
                    hashed = end;
                    let key = directory.keys.get(usize::from(record.span.key));
                    let stored = &mut bytes[start..end];
                    self.read_group(task, &name, nth as u32, record, key, stored, buffer)?;
                }
            }
            Ok(_) => self.find(&name, Defect::IndexDiffers),
            Err(error) => {
                self.find(&name, Defect::Damaged(error));
                hasher.update(&bytes);
                hashed = bytes.len();
                self.open_by_index(task, &mut bytes, buffer)?;
            }
        }
        hasher.update(&bytes[hashed..]);
        if ObjectHash(*hasher.finalize().as_bytes()) != task.pack.hash {
            self.find(&name, Finding::damage("pack", Damage::Hash));
        }
        self.hashed.fetch_add(1, Relaxed);
        self.bytes_hashed.fetch_add(bytes.len() as u64, Relaxed);
        self.monitor.counters.bytes_done(bytes.len() as u64);
        self.monitor.counters.file_done();
        Ok(())
    }

    /// Takes groups of a pack for lost.
    fn lose(&self, task: &Task, groups: std::ops::Range<u32>) {
        groups.for_each(|nth| self.survey.health.lose_group(&task.pack.hash, nth));
    }

    /// Whether the index has the same groups and chunks as the pack itself.
    fn agrees(&self, task: &Task, groups: &[GroupRecord]) -> Result<bool> {
        if groups.len() != task.pack.groups as usize {
            return Ok(false);
        }
        for (ordinal, record) in (task.pack.first_group..).zip(groups) {
            if task.run.group(ordinal)? != record.span {
                return Ok(false);
            }
            let mut offset = 0;
            for chunk in &record.chunks {
                let found = task.run.find(&chunk.id)?.into_iter().any(|(_, entry)| {
                    (entry.pack, entry.group, entry.offset, entry.len)
                        == (task.ordinal, ordinal, offset, chunk.len)
                });
                if !found {
                    return Ok(false);
                }
                offset += chunk.len;
            }
        }
        Ok(true)
    }

    #[expect(clippy::too_many_arguments, reason = "everything about one group")]
    fn read_group(
        &self,
        task: &Task,
        name: &str,
        nth: u32,
        record: &GroupRecord,
        key: Option<&KeyRecord>,
        stored: &mut [u8],
        buffer: &mut GroupBuffer,
    ) -> Result<()> {
        if let Err(error) = self.open_group(&record.span, task.pack.kind, key, stored, buffer)? {
            self.find(name, Defect::Damaged(error));
            self.lose(task, nth..nth + 1);
            return Ok(());
        }
        let mut offset = 0;
        for chunk in &record.chunks {
            let content = &buffer.raw[offset..offset + chunk.len as usize];
            offset += chunk.len as usize;
            let damage = if self.survey.handle.keys.chunk_id(task.pack.kind, content) != chunk.id {
                Some(FormatError::new("chunk", Damage::Hash))
            } else {
                match task.pack.kind {
                    ChunkKind::Data => None,
                    ChunkKind::Meta => tree::decode_meta_page(content).err(),
                    ChunkKind::Refs => RefsNode::decode(content).err(),
                }
            };
            if let Some(damage) = damage {
                self.find(name, Defect::Damaged(damage));
                self.survey.health.lose_chunk(&chunk.id, &task.pack.hash)?;
            }
        }
        self.chunks.fetch_add(record.chunks.len() as u64, Relaxed);
        self.bytes.fetch_add(offset as u64, Relaxed);
        Ok(())
    }

    /// Opens a group: an error where keyholders refuse, damage where it does not open.
    fn open_group(
        &self,
        span: &GroupSpan,
        kind: ChunkKind,
        key: Option<&KeyRecord>,
        stored: &mut [u8],
        buffer: &mut GroupBuffer,
    ) -> Result<Result<(), FormatError>> {
        let Some(record) = key else {
            return Ok(Err(FormatError::new("group", Damage::Field("key"))));
        };
        let key = match self.keys.group_key(record) {
            Ok(key) => key,
            Err(VaultError::Damaged { source, .. }) => return Ok(Err(source)),
            Err(error) => return Err(error),
        };
        let owner = &self.survey.handle.owner;
        Ok(buffer.opener.open(&key, owner, kind, span, stored, &mut buffer.raw))
    }

    /// The pack's own directory does not open: the index tells which of its groups still do.
    fn open_by_index(&self, task: &Task, bytes: &mut [u8], buffer: &mut GroupBuffer) -> Result<()> {
        let records: BTreeMap<usize, KeyRecord> =
            task.run.keys(task.ordinal)?.into_iter().enumerate().collect();
        for nth in 0..task.pack.groups {
            let span = task.run.group(task.pack.first_group + nth)?;
            let start = span.offset as usize;
            let stored = bytes.get_mut(start..start + span.stored_len as usize);
            let opened = match stored {
                Some(stored) => {
                    let key = records.get(&usize::from(span.key));
                    self.open_group(&span, task.pack.kind, key, stored, buffer)?.is_ok()
                }
                None => false,
            };
            if !opened {
                self.lose(task, nth..nth + 1);
            }
        }
        Ok(())
    }
}
