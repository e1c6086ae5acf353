//! Loads a directory and tells how long it took, what there is, and what was wrong.
//!
//! ```text
//! cargo run --release -p strongroom-posture --example load_estate -- DIRECTORY [THREADS]
//! ```

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

use strongroom_posture::estate::Extent;
use strongroom_posture::load::{Limits, load_directory};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let directory = arguments.next().ok_or("usage: load_estate DIRECTORY [THREADS]")?;
    let threads = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let start = Instant::now();
    let estate = load_directory(Path::new(&directory), &Limits { threads, ..Limits::default() })?;
    let took = start.elapsed();
    let mut out = io::stdout().lock();
    let keys: usize = estate.accounts.values().map(|account| account.keys.len()).sum();
    writeln!(out, "loaded in {:.2} s", took.as_secs_f64())?;
    writeln!(
        out,
        "{} accounts, {} principals, {keys} keys",
        estate.accounts.len(),
        estate.principal_count()
    )?;
    for extent in [Extent::Whole, Extent::Partial, Extent::Absent] {
        let count = estate.coverage.extents().filter(|(.., of)| *of == extent).count();
        writeln!(out, "{extent:?}: {count} kinds of accounts and organisations")?;
    }
    writeln!(out, "{} gaps, {} problems", estate.coverage.gaps().len(), estate.problems.len())?;
    for problem in estate.problems.iter().take(20) {
        writeln!(out, "{problem}")?;
    }
    if let Some(peak) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(peak_line) {
        writeln!(out, "{peak}")?;
    }
    Ok(())
}

/// The line of `/proc/self/status` that tells the most memory that was ever used.
fn peak_line(status: &str) -> Option<&str> {
    status.lines().find(|line| line.starts_with("VmHWM"))
}
