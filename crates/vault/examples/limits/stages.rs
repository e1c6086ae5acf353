//! One measurement for each thing that a backup or a restore must do.

use crate::sample::{EXTENT, Sample};
use std::error::Error;
use std::fs::{self, File, FileTimes};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};
use strongroom_format::keys::WriteKeys;
use strongroom_format::{Secret32, seal::SealKey};
use strongroom_vault::chunker::Chunker;
use strongroom_vault::handle::Layout;

/// What stops a measurement.
pub(crate) type Fault = Box<dyn Error + Send + Sync>;

/// The default compression level of a backup.
const LEVEL: i32 = 3;
/// The default layout of a dataset.
const LAYOUT: Layout = Layout { chunk_min: 64 << 10, chunk_max: 448 << 10, pack_size: 32 << 20 };
/// Times that each stage is run; the best counts, since a limit is sought.
const REPEATS: usize = 3;
/// Packs that are written.
const PACKS: usize = 16;
/// Small files that are made durable one by one.
const DURABLE: usize = 200;

/// Runs `step` on the numbers below `items`, each once, on `threads` threads with a `context` of their own.
/// The result is in what `step` returns, per second.
fn pass<C>(
    threads: usize,
    items: usize,
    context: impl Fn() -> Result<C, Fault> + Sync,
    step: impl Fn(&mut C, usize) -> Result<u64, Fault> + Sync,
) -> Result<f64, Fault> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<u64, Fault> {
        let (mut context, mut amount) = (context()?, 0);
        loop {
            let item = next.fetch_add(1, Relaxed);
            if item >= items {
                return Ok(amount);
            }
            amount += step(&mut context, item)?;
        }
    };
    let start = Instant::now();
    let amount: Result<u64, Fault> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_fold(0, |sum, worker| match worker.join() {
            Ok(amount) => amount.map(|amount| sum + amount),
            Err(panic) => std::panic::resume_unwind(panic),
        })
    });
    Ok(amount? as f64 / start.elapsed().as_secs_f64())
}

/// The best of several passes.
fn rate<C>(
    threads: usize,
    items: usize,
    context: impl Fn() -> Result<C, Fault> + Sync,
    step: impl Fn(&mut C, usize) -> Result<u64, Fault> + Sync,
) -> Result<f64, Fault> {
    let mut best = 0.0_f64;
    for _ in 0..REPEATS {
        best = best.max(pass(threads, items, &context, &step)?);
    }
    Ok(best)
}

fn nothing() -> Result<(), Fault> {
    Ok(())
}

fn buffer() -> Result<Vec<u8>, Fault> {
    Ok(Vec::new())
}

/// Entries per second of listing all directories of A and asking for the attributes of each entry.
pub(crate) fn walk(sample: &Sample, threads: usize) -> Result<f64, Fault> {
    rate(threads, sample.folders.len(), nothing, |(), nth| {
        let mut entries = 0;
        for entry in fs::read_dir(&sample.folders[nth])? {
            std::hint::black_box(entry?.metadata()?.len());
            entries += 1;
        }
        Ok(entries)
    })
}

/// Bytes per second of opening, reading and closing all files of A.
pub(crate) fn read_files(sample: &Sample, threads: usize) -> Result<f64, Fault> {
    rate(threads, sample.files.len(), buffer, |content, nth| {
        content.clear();
        Ok(File::open(&sample.files[nth].0)?.read_to_end(content)? as u64)
    })
}

/// Bytes per second of reading the image in order.
pub(crate) fn read_image(sample: &Sample, threads: usize) -> Result<f64, Fault> {
    let extents = usize::try_from(sample.image_bytes)?.div_ceil(EXTENT);
    let context = || Ok(vec![0; 1 << 20]);
    rate(threads, extents, context, |content, nth| {
        let (begin, mut done) = ((nth * EXTENT) as u64, 0);
        while done < EXTENT as u64 {
            match sample.image.read_at(content, begin + done)? {
                0 => break,
                read => done += read as u64,
            }
        }
        Ok(done)
    })
}

/// Bytes per second of looking for cuts.
pub(crate) fn chunk(groups: &[Vec<u8>], threads: usize) -> Result<f64, Fault> {
    let chunker = Chunker::new(&WriteKeys::new(&Secret32::new([1; 32])), &LAYOUT);
    rate(threads, groups.len(), nothing, |(), nth| {
        let mut rest = groups[nth].as_slice();
        while !rest.is_empty() {
            rest = &rest[chunker.first_len(rest)..];
        }
        Ok(groups[nth].len() as u64)
    })
}

/// Bytes per second of hashing each piece with keyed BLAKE3.
pub(crate) fn hash(pieces: &[Vec<u8>], threads: usize) -> Result<f64, Fault> {
    rate(threads, pieces.len(), nothing, |(), nth| {
        std::hint::black_box(blake3::keyed_hash(&[2; 32], &pieces[nth]));
        Ok(pieces[nth].len() as u64)
    })
}

/// Bytes of content per second of compressing each group.
pub(crate) fn compress(groups: &[Vec<u8>], threads: usize) -> Result<f64, Fault> {
    let context = || Ok((zstd::bulk::Compressor::new(LEVEL)?, Vec::new()));
    rate(threads, groups.len(), context, |(compressor, out), nth| {
        out.clear();
        out.reserve(zstd::zstd_safe::compress_bound(groups[nth].len()));
        compressor.compress_to_buffer(&groups[nth], out)?;
        Ok(groups[nth].len() as u64)
    })
}

/// The groups as they are stored.
pub(crate) fn compressed(groups: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Fault> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    groups.iter().map(|group| Ok(compressor.compress(group)?)).collect()
}

/// Bytes of content per second of decompressing groups; `longest` is the length of the longest one, in bytes.
pub(crate) fn decompress(frames: &[Vec<u8>], longest: usize, threads: usize) -> Result<f64, Fault> {
    let context = || Ok((zstd::bulk::Decompressor::new()?, Vec::with_capacity(longest)));
    rate(threads, frames.len(), context, |(decompressor, out), nth| {
        out.clear();
        Ok(decompressor.decompress_to_buffer(&frames[nth], out)? as u64)
    })
}

fn key() -> SealKey {
    SealKey::new(&Secret32::new([3; 32]))
}

/// Bytes per second of sealing each group with AES-256-GCM, a copy of it included.
pub(crate) fn seal(groups: &[Vec<u8>], threads: usize) -> Result<f64, Fault> {
    let key = key();
    rate(threads, groups.len(), buffer, |out, nth| {
        out.clear();
        out.extend_from_slice(&groups[nth]);
        key.seal(nth as u64, b"limits", out);
        Ok(groups[nth].len() as u64)
    })
}

/// Bytes per second of opening each group, a copy of it included.
pub(crate) fn open(groups: &[Vec<u8>], threads: usize) -> Result<f64, Fault> {
    let key = key();
    let sealed: Vec<Vec<u8>> = groups
        .iter()
        .enumerate()
        .map(|(nth, group)| {
            let mut out = group.clone();
            key.seal(nth as u64, b"limits", &mut out);
            out
        })
        .collect();
    rate(threads, sealed.len(), buffer, |out, nth| {
        out.clear();
        out.extend_from_slice(&sealed[nth]);
        Ok(key.open(nth as u64, b"limits", out)?.len() as u64)
    })
}

/// A directory that goes away with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(path: &Path) -> Result<Self, Fault> {
        fs::create_dir_all(path)?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Bytes per second of writing packs into the page cache, or onto the disk with `durable`.
pub(crate) fn write_packs(scratch: &Path, durable: bool, threads: usize) -> Result<f64, Fault> {
    let scratch = Scratch::new(scratch)?;
    let mut pack = vec![0; LAYOUT.pack_size];
    // Content that no layer below can shorten.
    blake3::Hasher::new().finalize_xof().fill(&mut pack);
    rate(threads, PACKS, nothing, |(), nth| {
        let mut file = File::create(scratch.0.join(nth.to_string()))?;
        file.write_all(&pack)?;
        if durable {
            file.sync_data()?;
        }
        Ok(pack.len() as u64)
    })
}

/// Mean time of making one small new file durable.
pub(crate) fn make_durable(scratch: &Path) -> Result<Duration, Fault> {
    let scratch = Scratch::new(scratch)?;
    let start = Instant::now();
    for nth in 0..DURABLE {
        let mut file = File::create_new(scratch.0.join(nth.to_string()))?;
        file.write_all(&[0; 512])?;
        file.sync_all()?;
    }
    Ok(start.elapsed() / DURABLE as u32)
}

/// Files per second of making small files with the content of A's, and setting their time.
pub(crate) fn create_files(sample: &Sample, scratch: &Path, threads: usize) -> Result<f64, Fault> {
    let mut best = 0.0_f64;
    for _ in 0..REPEATS {
        // Anew each time: replacing files is other work.
        let scratch = Scratch::new(scratch)?;
        let folders = sample.texts.len().div_ceil(100);
        for nth in 0..folders {
            fs::create_dir(scratch.0.join(nth.to_string()))?;
        }
        let files = pass(threads, sample.texts.len(), nothing, |(), nth| {
            let path = scratch.0.join((nth / 100).to_string()).join(nth.to_string());
            let mut file = File::create_new(path)?;
            file.write_all(&sample.texts[nth])?;
            file.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH))?;
            Ok(1)
        })?;
        best = best.max(files);
    }
    Ok(best)
}
