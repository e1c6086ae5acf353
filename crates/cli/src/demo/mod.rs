//! The demonstration: what it does, step by step.
//!
//! Each step is the real command, run as a process of its own with its own configuration directory, so that
//! what is shown is what a user would type, and no setting of the user's is touched.

mod example;
mod search;
mod stage;

pub use stage::Stage;

use crate::error::{CliError, ErrorKind};
use search::Needles;
use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Performs the demonstration on `directory`.
///
/// # Errors
/// Where a command fails that should not, or what is restored differs.
pub fn perform(stage: &Stage<'_>, directory: &Path) -> Result<(), CliError> {
    let path = directory.as_os_str();
    stage.title("A vault, and two keys: one that writes, one that reads")?;
    stage.command(&["init".as_ref()])?;

    stage.title("Back up")?;
    stage.command(&["backup".as_ref(), path])?;

    stage.title("Restore a copy, and compare it byte for byte")?;
    let copy = stage.work().join("copy");
    let latest = |path: &Path| {
        let mut latest = std::ffi::OsString::from("latest:");
        latest.push(path);
        latest
    };
    stage.command(&[
        "restore".as_ref(),
        &latest(directory),
        "--target".as_ref(),
        copy.as_os_str(),
        "--verify".as_ref(),
    ])?;
    let compared = search::compare(directory, &copy)?;
    stage.say(&format!("{compared} files read from both sides: they are the same."))?;

    stage.title("Change the copy, and back that up: only the change is stored")?;
    change(&copy)?;
    stage.command(&["backup".as_ref(), copy.as_os_str()])?;
    stage.command(&["snapshots".as_ref()])?;

    stage.title("Verify every byte of the vault")?;
    stage.command(&["check".as_ref(), "--read-data".as_ref()])?;

    stage.title("Restore the second snapshot")?;
    let second = stage.work().join("second");
    stage.command(&["restore".as_ref(), &latest(&copy), "--target".as_ref(), second.as_os_str()])?;
    let compared = search::compare(&copy, &second)?;
    stage.say(&format!("{compared} files read from both sides: they are the same."))?;

    stage
        .title("The backup host is stolen: it has the vault and the write key, the read key is elsewhere")?;
    stage.hide_read_key()?;
    stage.command(&["snapshots".as_ref()])?;
    let stolen = stage.work().join("stolen");
    stage.refused(
        &["restore".as_ref(), "latest".as_ref(), "--target".as_ref(), stolen.as_os_str()],
        ErrorKind::CustodyRefused,
    )?;
    let needles = Needles::collect(directory)?;
    let found = search::search(&stage.vault(), &needles)?;
    stage.say(&format!(
        "{} file names and {} pieces of content looked for in {} of the vault: {} found.",
        needles.names(),
        needles.pieces(),
        crate::units::bytes(found.bytes),
        found.hits,
    ))?;
    if found.hits > 0 {
        return Err(CliError::new(ErrorKind::Bug, "the vault shows plaintext"));
    }
    stage.show_read_key()?;

    stage.title("Every key use so far is in the ledger; it is whole, and nobody bent it")?;
    stage.command(&["ledger".as_ref(), "verify".as_ref()])?;

    posture(stage)?;
    stage.title("Done: what was backed up is back, and only the read key opens it")
}

/// Who can hurt the keys of the example organisation, and what closes that.
fn posture(stage: &Stage<'_>) -> Result<(), CliError> {
    stage.title("Keys in AWS: who could hurt them? An example organisation of six accounts")?;
    let organisation = stage.work().join("organisation");
    let files = example::write(&organisation)?;
    stage.say(&format!("{files} files, as `scripts/posture-collect` brings them home."))?;
    let look = |what: &str, name: &str, meant: &dyn Fn(&str) -> bool| {
        let report = stage.work().join(name);
        stage.command(&[
            "posture".as_ref(),
            what.as_ref(),
            organisation.as_os_str(),
            "--output".as_ref(),
            report.as_os_str(),
        ])?;
        let text =
            std::fs::read_to_string(&report).map_err(|error| CliError::file("read", &report, &error))?;
        text.lines().filter(|line| meant(line)).try_for_each(|line| stage.say(line))
    };
    let verdicts = ["  PASS ", "  FAIL ", "  UNPROVEN "];
    look("analyse", "posture.txt", &|line| verdicts.iter().any(|verdict| line.starts_with(verdict)))?;
    stage.title("The fewest statements that close the ways from outside")?;
    look("fix", "fixes.txt", &|line| line.contains(" ways from outside") || line.starts_with("In "))
}

/// Adds a file, and a line to the first file that takes one.
fn change(copy: &Path) -> Result<(), CliError> {
    let new = copy.join("added-by-strongroom-demo.txt");
    std::fs::write(&new, "a new file\n").map_err(|error| CliError::file("written", &new, &error))?;
    let mut files: Vec<_> = search::files(copy)?.into_iter().filter(|(_, len)| *len > 0).collect();
    files.sort();
    let changed = files.iter().find(|(path, _)| path.as_os_str().as_bytes() != new.as_os_str().as_bytes());
    if let Some((path, _)) = changed {
        let append = std::fs::File::options().append(true).open(path);
        append
            .and_then(|mut file| file.write_all(b"one more line\n"))
            .map_err(|error| CliError::file("written", path, &error))?;
    }
    Ok(())
}
