//! A short run of every fuzz target: `fuzz_smoke SECONDS`, so long for each.

use std::time::{Duration, Instant};
use strongroom_testkit::fuzz::{Mutator, TARGETS, seeds};

#[expect(clippy::print_stdout, reason = "this is a program, and its output is for people")]
fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2.0);
    let corpus = seeds();
    for (number, (name, target)) in TARGETS.iter().enumerate() {
        for seed in &corpus {
            target(seed);
        }
        let mut mutator = Mutator::new(number as u64 + 1);
        let (end, mut runs) = (Instant::now() + Duration::from_secs_f64(seconds), 0u64);
        while Instant::now() < end {
            target(&mutator.next(&corpus));
            runs += 1;
        }
        println!("{name:<18}{runs:>10} inputs");
    }
}
