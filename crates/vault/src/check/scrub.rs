//! Comparing objects with their names: whoever holds the storage can do it, the provider included.

use super::{Counts, Defect, Finding, Report, report::Findings};
use crate::{
    error::{Result, VaultError},
    monitor::Monitor,
    pool,
    snapshots::is_spoilt,
    store::{Blocking, ObjectInfo},
};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use strongroom_format::{Damage, DatasetId, ObjectHash, names};

/// Objects are read in pieces of this length, in bytes: memory stays small whatever lies in the vault.
const PIECE: u64 = 4 << 20;

/// What a name below `datasets/` promises about the object's bytes.
enum Promise {
    Hash(ObjectHash),
    /// Named by a number, or random: only a key can tell.
    Nothing,
    Foreign,
}

fn promise(name: &str) -> Promise {
    let parse = || {
        let mut parts = name.strip_prefix("datasets/")?.split('/');
        let dataset = names::DatasetNames(DatasetId::from_hex(parts.next()?)?);
        let hash = names::hash_of(name);
        Some(match parts.next()? {
            "packs" if dataset.pack(&hash?) == name => Promise::Hash(hash?),
            "index" if dataset.segment(&hash?) == name => Promise::Hash(hash?),
            "condemned" if dataset.condemnation(&hash?) == name => Promise::Hash(hash?),
            "snapshots" => {
                let (epoch, hash) = names::parse_snapshot(name)?;
                if dataset.snapshot(epoch, &hash) != name {
                    return None;
                }
                Promise::Hash(hash)
            }
            "epochs" if names::parse_epoch(name).is_some() => Promise::Nothing,
            "sessions" if names::parse_session(name).is_some() => Promise::Nothing,
            _ => return None,
        })
    };
    parse().unwrap_or(Promise::Foreign)
}

/// Hashes every object below `datasets/` whose name is a hash, and compares. Needs no key; memory is
/// bounded by 4 MiB for each thread.
///
/// # Errors
/// Where the vault cannot be listed or read. Damage is no error but a finding.
pub fn scrub(store: &Blocking, threads: usize, monitor: &Monitor<'_>) -> Result<Report> {
    let objects = store.list("datasets/")?;
    let findings = Findings::default();
    let mut hashed = Vec::new();
    for object in objects {
        match promise(&object.name) {
            Promise::Hash(hash) => {
                monitor.counters.found(1, object.size);
                hashed.push((object, hash));
            }
            Promise::Nothing => {}
            Promise::Foreign => findings.add(Finding { object: object.name, defect: Defect::Foreign }),
        }
    }
    monitor.counters.totals_final();
    let (count, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    pool::for_each_with(
        threads,
        &hashed,
        monitor.cancel,
        || (),
        |(), (object, expected)| {
            monitor.counters.set_current(&object.name);
            match hash(store, object, monitor) {
                Ok(found) => {
                    count.fetch_add(1, Relaxed);
                    bytes.fetch_add(object.size, Relaxed);
                    if found != *expected {
                        let defect = Finding::damage("object", Damage::Hash);
                        findings.add(Finding { object: object.name.clone(), defect });
                    }
                }
                // Forget or prune was faster.
                Err(VaultError::Store(error)) if error.is_not_found() => {}
                Err(error) if is_spoilt(&error) => {
                    findings.add(Finding::of_error(object.name.clone(), error))
                }
                Err(error) => return Err(error),
            }
            monitor.counters.file_done();
            Ok(())
        },
    )?;
    let counts =
        Counts { objects_hashed: count.into_inner(), bytes_hashed: bytes.into_inner(), ..Counts::default() };
    let (findings, findings_left_off) = findings.into_list();
    Ok(Report { findings, findings_left_off, counts, ..Report::default() })
}

fn hash(store: &Blocking, object: &ObjectInfo, monitor: &Monitor<'_>) -> Result<ObjectHash> {
    let mut hasher = blake3::Hasher::new();
    let mut offset = 0;
    while offset < object.size {
        if monitor.cancel.is_requested() {
            return Err(VaultError::Cancelled);
        }
        let len = PIECE.min(object.size - offset);
        hasher.update(&store.get_range(&object.name, offset, len)?);
        monitor.counters.bytes_done(len);
        offset += len;
    }
    Ok(ObjectHash(*hasher.finalize().as_bytes()))
}
