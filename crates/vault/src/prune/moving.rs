//! Moving live groups into new packs, as ciphertext; or, where a group is half dead and the read key is at
//! hand, chunk by chunk.

use super::{
    Compaction,
    survey::{PackUse, Survey, is_before, is_half_dead},
};
use crate::{
    error::{Result, VaultError},
    groups::GroupBuffer,
    handle::DatasetHandle,
    monitor::Monitor,
    packer::Packer,
    sink::Sink,
    snapshots::is_spoilt,
};
use bytes::Bytes;
use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};
use strongroom_format::{
    FormatError, ObjectHash, SystemEntropy,
    limits::PACK_MAX,
    pack::{self, FinishedPack, GroupRecord, PackBuilder, PackDirectory},
    segment::IndexedPack,
};

/// Threads that upload while the next pack is read.
const UPLOADS: usize = 2;

/// What was moved.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// The new packs; none of them is in the index yet.
    pub(super) packs: Vec<IndexedPack>,
    /// Packs that are damaged: they stay as they are.
    pub(super) damaged: Vec<(ObjectHash, FormatError)>,
    /// What was written, in bytes and packs, by compaction too.
    pub(super) written_packs: u64,
    pub(super) written_bytes: u64,
}

/// Moves everything alive out of `packs`. `doomed` are all packs that will go.
pub(super) fn move_groups(
    survey: &Survey,
    packs: &[&PackUse],
    doomed: &HashSet<ObjectHash>,
    compaction: Option<&Compaction>,
    rewrite_before: Option<u32>,
    monitor: &Monitor<'_>,
) -> Result<Moved> {
    if packs.is_empty() {
        return Ok(Moved::default());
    }
    let handle = &survey.handle;
    // New chunks must not be taken for stored where they lie in a pack that goes.
    let sink = compaction.map(|compaction| {
        let known: HashSet<_> = doomed.iter().chain(survey.condemned_packs()).copied().collect();
        Sink::new(handle.clone(), compaction.session.clone(), known, 1, false)
    });
    let (sender, receiver) = sync_channel(0);
    let receiver = Mutex::new(receiver);
    let mut moved = std::thread::scope(|scope| {
        let uploaders: Vec<_> = (0..UPLOADS).map(|_| scope.spawn(|| upload(handle, &receiver))).collect();
        let mut mover =
            Mover { survey, monitor, compaction, rewrite_before, open: Default::default(), uploads: sender };
        let read = read_all(&mut mover, packs, sink.as_ref());
        let Mover { open, uploads, .. } = mover;
        let sent = open.into_iter().flatten().try_for_each(|pack| uploads.send(pack).map_err(drop));
        drop(uploads);
        let mut moved = Moved::default();
        let mut failure = read.map(|damaged| moved.damaged = damaged).err();
        for uploader in uploaders {
            match uploader.join().unwrap_or(Err(VaultError::Bug("an upload thread panicked"))) {
                Ok(packs) => moved.packs.extend(packs),
                // Why an upload failed says more than that the mover found nobody to send to.
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) => Err(error),
            None if sent.is_err() => Err(VaultError::Bug("the upload threads have ended")),
            None => Ok(moved),
        }
    })?;
    moved.written_packs = moved.packs.len() as u64;
    moved.written_bytes = moved.packs.iter().map(|pack| pack.len).sum();
    if let Some(sink) = sink {
        moved.written_bytes += sink.finish()?.stored;
    }
    Ok(moved)
}

fn read_all(
    mover: &mut Mover<'_>,
    packs: &[&PackUse],
    sink: Option<&Sink>,
) -> Result<Vec<(ObjectHash, FormatError)>> {
    let mut packer = match (sink, mover.compaction) {
        (Some(sink), Some(compaction)) => Some(Packer::new(sink, compaction.compression)?),
        _ => None,
    };
    let mut damaged = Vec::new();
    let mut buffer = GroupBuffer::default();
    for pack in packs {
        if mover.monitor.cancel.is_requested() {
            return Err(VaultError::Cancelled);
        }
        if let Err(error) = mover.move_pack(pack, packer.as_mut(), &mut buffer) {
            match error {
                VaultError::Damaged { source, .. } => damaged.push((pack.pack.hash, source)),
                error => return Err(error),
            }
        }
        mover.monitor.counters.bytes_done(pack.live_stored);
        mover.monitor.counters.file_done();
    }
    packer.as_mut().map_or(Ok(()), Packer::flush)?;
    Ok(damaged)
}

struct Mover<'a> {
    survey: &'a Survey,
    monitor: &'a Monitor<'a>,
    compaction: Option<&'a Compaction>,
    rewrite_before: Option<u32>,
    open: [Option<PackBuilder>; 3],
    uploads: SyncSender<PackBuilder>,
}

impl Mover<'_> {
    fn move_pack(
        &mut self,
        pack: &PackUse,
        mut packer: Option<&mut Packer<'_>>,
        buffer: &mut GroupBuffer,
    ) -> Result<()> {
        let handle = &self.survey.handle;
        let name = handle.names.pack(&pack.pack.hash);
        self.monitor.counters.set_current(&name);
        let damaged = |damage| VaultError::damaged(&name, "pack", damage);
        let bytes = match handle.store.get(&name, PACK_MAX as u64).map_err(VaultError::from) {
            Ok(bytes) => bytes,
            Err(VaultError::Store(error)) if error.is_not_found() => return Err(VaultError::Disturbed),
            Err(error) if is_spoilt(&error) => return Err(damaged(strongroom_format::Damage::Truncated)),
            Err(error) => return Err(error),
        };
        // Damaged groups would get a new name that fits them: nobody could find the damage without a key.
        if ObjectHash::of(&bytes) != pack.pack.hash {
            return Err(damaged(strongroom_format::Damage::Hash));
        }
        let directory = pack::open_pack_directory(&handle.keys, &handle.owner, &bytes)
            .map_err(|error| VaultError::format(&name, error))?;
        if directory.groups.len() != pack.pack.groups as usize || directory.kind != pack.pack.kind {
            return Err(damaged(strongroom_format::Damage::Field("group count")));
        }
        for (nth, record) in directory.groups.iter().enumerate() {
            let group = pack.pack.first_group + nth as u32;
            let live = self.survey.live_in(pack.run, group);
            if live == 0 {
                continue;
            }
            let start = record.span.offset as usize;
            let stored = &bytes[start..start + record.span.stored_len as usize];
            let is_old = self.rewrite_before.is_some_and(|limit| {
                directory.keys.get(usize::from(record.span.key)).is_some_and(|key| is_before(key, limit))
            });
            match packer.as_deref_mut() {
                Some(packer) if is_old || is_half_dead(u64::from(live), u64::from(record.span.raw_len)) => {
                    self.compact(&name, pack, group, &directory, record, stored.to_vec(), packer, buffer)?;
                }
                _ => self.move_group(&directory, record, stored)?,
            }
        }
        Ok(())
    }

    fn move_group(&mut self, directory: &PackDirectory, record: &GroupRecord, stored: &[u8]) -> Result<()> {
        let Some(key) = directory.keys.get(usize::from(record.span.key)) else {
            return Err(VaultError::Bug("a checked directory lacks a key"));
        };
        let handle = &self.survey.handle;
        let open = &mut self.open[directory.kind as usize - 1];
        let builder =
            open.get_or_insert_with(|| PackBuilder::for_moved(handle.owner, directory.kind, Vec::new()));
        builder.move_group(key, record, stored);
        let full = builder.len() >= handle.layout.pack_size || !builder.has_room();
        if full && let Some(pack) = open.take() {
            self.uploads.send(pack).map_err(|_| VaultError::Bug("the upload threads have ended"))?;
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "everything about one group")]
    fn compact(
        &self,
        name: &str,
        pack: &PackUse,
        group: u32,
        directory: &PackDirectory,
        record: &GroupRecord,
        mut stored: Vec<u8>,
        packer: &mut Packer<'_>,
        buffer: &mut GroupBuffer,
    ) -> Result<()> {
        let (Some(compaction), Some(key)) =
            (self.compaction, directory.keys.get(usize::from(record.span.key)))
        else {
            return Err(VaultError::Bug("compaction without a key"));
        };
        let handle = &self.survey.handle;
        let key = compaction.keys.group_key(key)?;
        buffer
            .opener
            .open(&key, &handle.owner, directory.kind, &record.span, &mut stored, &mut buffer.raw)
            .map_err(|error| VaultError::format(name, error))?;
        let mut offset = 0;
        for chunk in &record.chunks {
            let content = &buffer.raw[offset as usize..(offset + chunk.len) as usize];
            let is_live = self.survey.health.index.find_all(&chunk.id)?.into_iter().any(|place| {
                (place.run, place.group, place.offset) == (pack.run, group, offset)
                    && self.survey.marks.get(&place)
            });
            if is_live && packer.add(directory.kind, content)?.0 != chunk.id {
                return Err(VaultError::damaged(name, "chunk", strongroom_format::Damage::Hash));
            }
            offset += chunk.len;
        }
        Ok(())
    }
}

fn upload(handle: &DatasetHandle, packs: &Mutex<Receiver<PackBuilder>>) -> Result<Vec<IndexedPack>> {
    let mut done = Vec::new();
    let mut failure = None;
    loop {
        let received = packs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(builder) = received else { break };
        if failure.is_some() {
            continue;
        }
        let FinishedPack { hash, bytes, directory } = builder.finish(&handle.keys, &mut SystemEntropy);
        let len = bytes.len() as u64;
        match handle.put(&handle.names.pack(&hash), Bytes::from(bytes)) {
            Ok(()) => done.push(IndexedPack { hash, len, directory }),
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(done), Err)
}
