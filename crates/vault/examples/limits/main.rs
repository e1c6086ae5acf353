//! Measures what this machine can do at most, with the libraries that the engine is made of.
//!
//! `limits DATA SCRATCH`: DATA is what `benches/peers/generate` made, SCRATCH a directory on the disk under test that
//! does not exist. Two Markdown tables go to standard output: a rate for each stage, on one thread and on all, and
//! from them the time below which no engine of this design can come on this machine.

mod sample;
mod stages;

use sample::Sample;
use stages::Fault;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;

const MIB: f64 = (1 << 20) as f64;
/// Share of the image that is not a duplicate of what came before it.
const IMAGE_NEW: f64 = 0.75;

/// A rate on one thread and on all, per second.
#[derive(Clone, Copy)]
struct Rate {
    one: f64,
    all: f64,
}

fn both(threads: usize, stage: impl Fn(usize) -> Result<f64, Fault>) -> Result<Rate, Fault> {
    // Once before, for what is not in the page cache and what the processor has yet to learn.
    stage(1)?;
    Ok(Rate { one: stage(1)?, all: stage(threads)? })
}

/// The rates of every stage; bytes per second where nothing else is said.
struct Limits {
    walk_entries: Rate,
    read_files: Rate,
    read_image: Rate,
    chunk: Rate,
    hash_texts: Rate,
    hash_image: Rate,
    compress_texts: Rate,
    compress_image: Rate,
    decompress_texts: Rate,
    decompress_image: Rate,
    seal: Rate,
    open: Rate,
    write_cached: Rate,
    write_durable: Rate,
    create_files: Rate,
    durable_file_ms: f64,
    /// Stored length of a byte of content.
    texts_shrink_to: f64,
    image_shrinks_to: f64,
}

fn shrinkage(groups: &[Vec<u8>], frames: &[Vec<u8>]) -> f64 {
    let len = |pieces: &[Vec<u8>]| pieces.iter().map(Vec::len).sum::<usize>() as f64;
    len(frames) / len(groups).max(1.0)
}

fn measure(sample: &Sample, scratch: &std::path::Path, threads: usize) -> Result<Limits, Fault> {
    let (texts, image) = (&sample.text_groups, &sample.image_groups);
    let (text_frames, image_frames) = (stages::compressed(texts)?, stages::compressed(image)?);
    let longest = texts.iter().chain(image).map(Vec::len).max().unwrap_or(0);
    Ok(Limits {
        walk_entries: both(threads, |n| stages::walk(sample, n))?,
        read_files: both(threads, |n| stages::read_files(sample, n))?,
        read_image: both(threads, |n| stages::read_image(sample, n))?,
        chunk: both(threads, |n| stages::chunk(image, n))?,
        hash_texts: both(threads, |n| stages::hash(&sample.texts, n))?,
        hash_image: both(threads, |n| stages::hash(image, n))?,
        compress_texts: both(threads, |n| stages::compress(texts, n))?,
        compress_image: both(threads, |n| stages::compress(image, n))?,
        decompress_texts: both(threads, |n| stages::decompress(&text_frames, longest, n))?,
        decompress_image: both(threads, |n| stages::decompress(&image_frames, longest, n))?,
        seal: both(threads, |n| stages::seal(image, n))?,
        open: both(threads, |n| stages::open(image, n))?,
        write_cached: both(threads, |n| stages::write_packs(scratch, false, n))?,
        write_durable: both(threads, |n| stages::write_packs(scratch, true, n))?,
        create_files: both(threads, |n| stages::create_files(sample, scratch, n))?,
        durable_file_ms: stages::make_durable(scratch)?.as_secs_f64() * 1e3,
        texts_shrink_to: shrinkage(texts, &text_frames),
        image_shrinks_to: shrinkage(image, &image_frames),
    })
}

/// A step of the benchmark, and the seconds that its parts take one after the other on all threads.
fn floors(limits: &Limits, sample: &Sample) -> [(&'static str, f64); 6] {
    let (a, b) = (sample.bytes as f64, sample.image_bytes as f64);
    let (a_stored, b_stored) = (a * limits.texts_shrink_to, b * IMAGE_NEW * limits.image_shrinks_to);
    let walk = sample.entries as f64 / limits.walk_entries.all;
    let backup_a = walk
        + a / limits.read_files.all
        + a / limits.hash_texts.all
        + a / limits.compress_texts.all
        + a_stored / limits.seal.all;
    let backup_b = b / limits.read_image.all
        + b / limits.chunk.all
        + b / limits.hash_image.all
        + b * IMAGE_NEW / limits.compress_image.all
        + b_stored / limits.seal.all;
    let open_a = a_stored / limits.open.all + a / limits.decompress_texts.all;
    let open_b = b_stored / limits.open.all + b * IMAGE_NEW / limits.decompress_image.all;
    let hash = a / limits.hash_texts.all + b * IMAGE_NEW / limits.hash_image.all;
    let stored = (a_stored + b_stored) / limits.read_image.all;
    // Storing goes on beside the rest and waits for the disk, not for a processor.
    let durable = |bytes: f64| bytes / limits.write_durable.all;
    [
        ("first backup of A", backup_a.max(durable(a_stored))),
        ("A unchanged", walk),
        (
            "restore A",
            open_a + a / limits.hash_texts.all + sample.files.len() as f64 / limits.create_files.all,
        ),
        ("first backup of B", backup_b.max(durable(b_stored))),
        ("restore B", open_b + b * IMAGE_NEW / limits.hash_image.all + b / limits.write_cached.all),
        ("check, all data read", stored + open_a + open_b + hash),
    ]
}

fn print(limits: &Limits, sample: &Sample, threads: usize) -> std::io::Result<()> {
    let rows = [
        ("list and stat, A", "entries/s", 1.0, limits.walk_entries),
        ("open, read, close, A", "MiB/s", MIB, limits.read_files),
        ("read, B", "MiB/s", MIB, limits.read_image),
        ("find cuts (MinCDC), B", "MiB/s", MIB, limits.chunk),
        ("hash (keyed BLAKE3), files of A", "MiB/s", MIB, limits.hash_texts),
        ("hash (keyed BLAKE3), B", "MiB/s", MIB, limits.hash_image),
        ("compress (zstd 3), groups of A", "MiB/s", MIB, limits.compress_texts),
        ("compress (zstd 3), groups of B", "MiB/s", MIB, limits.compress_image),
        ("decompress, groups of A", "MiB/s", MIB, limits.decompress_texts),
        ("decompress, groups of B", "MiB/s", MIB, limits.decompress_image),
        ("seal (AES-256-GCM)", "MiB/s", MIB, limits.seal),
        ("open (AES-256-GCM)", "MiB/s", MIB, limits.open),
        ("write packs of 32 MiB, page cache", "MiB/s", MIB, limits.write_cached),
        ("write packs of 32 MiB, fdatasync each", "MiB/s", MIB, limits.write_durable),
        ("make small files and set their time", "files/s", 1.0, limits.create_files),
    ];
    let mut out = std::io::stdout().lock();
    writeln!(out, "| stage | unit | 1 thread | {threads} threads |\n|---|---|--:|--:|")?;
    for (name, unit, scale, rate) in rows {
        writeln!(out, "| {name} | {unit} | {:.0} | {:.0} |", rate.one / scale, rate.all / scale)?;
    }
    writeln!(out, "\nA small new file is durable after {:.2} ms.", limits.durable_file_ms)?;
    writeln!(
        out,
        "zstd 3 shrinks groups of A to {:.0} %, of B to {:.0} %.\n",
        limits.texts_shrink_to * 1e2,
        limits.image_shrinks_to * 1e2
    )?;
    writeln!(out, "| step | not faster than, s |\n|---|--:|")?;
    for (step, seconds) in floors(limits, sample) {
        writeln!(out, "| {step} | {seconds:.2} |")?;
    }
    out.flush()
}

fn run() -> Result<(), Fault> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(data), Some(scratch), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: limits DATA SCRATCH".into());
    };
    if scratch.exists() {
        return Err(format!("{} exists: name a directory that can be removed", scratch.display()).into());
    }
    let threads = available_parallelism()?.get();
    let sample = Sample::read(&data).map_err(|error| format!("{}: {error}", data.display()))?;
    let limits = measure(&sample, &scratch, threads)?;
    print(&limits, &sample, threads)?;
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "limits: {error}");
            ExitCode::FAILURE
        }
    }
}
