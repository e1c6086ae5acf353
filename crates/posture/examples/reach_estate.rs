//! Measures finding everybody who can hurt a key: `cargo run --release -p strongroom-posture --example reach_estate -- DIRECTORY`.

use std::error::Error;
use std::time::Instant;

use strongroom_posture::graph::Graph;
use strongroom_posture::load::{Limits, load_directory};

#[expect(clippy::print_stdout, reason = "this is a program, and its output is for people")]
fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("give a directory")?;
    let started = Instant::now();
    let estate = load_directory(directory.as_ref(), &Limits::default())?;
    println!("load     {:8.2} s, {} principals", started.elapsed().as_secs_f64(), estate.principal_count());
    let started = Instant::now();
    let graph = Graph::new(&estate);
    println!(
        "compile  {:8.2} s, {} policies",
        started.elapsed().as_secs_f64(),
        graph.evaluator().policy_count()
    );
    let targets = graph.targets();
    let started = Instant::now();
    let reach = graph.reach(&targets);
    let actors: usize = reach.reached.iter().map(|reached| reached.actors().count()).sum();
    println!(
        "reach    {:8.2} s, {} targets, {} steps, {} accounts, {actors} who do harm",
        started.elapsed().as_secs_f64(),
        targets.len(),
        reach.steps,
        reach.accounts.len()
    );
    Ok(())
}
