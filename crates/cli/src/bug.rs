//! A panic is a bug, and says so: what to report, no secrets, exit code 70.

use crate::error::{CliError, ErrorKind};
use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// A panic on any thread makes the process end with the exit code of a bug.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// Runs `body` so that a panic in it, or on any thread that it starts, is reported as a bug.
pub fn guard(json: bool, color: bool, body: impl FnOnce() -> ExitCode + std::panic::UnwindSafe) -> ExitCode {
    std::panic::set_hook(Box::new(move |info| report(info, json, color)));
    let code = std::panic::catch_unwind(body);
    match code {
        Ok(code) if !PANICKED.load(SeqCst) => code,
        _ => ExitCode::from(ErrorKind::Bug.exit()),
    }
}

fn report(info: &PanicHookInfo<'_>, json: bool, color: bool) {
    PANICKED.store(true, SeqCst);
    let error = describe(info.location().map(|at| (at.file(), at.line())));
    let text = if json { error.render_json() + "\n" } else { error.render(color) };
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Only the place: the message of a panic may hold data of the user.
fn describe(place: Option<(&str, u32)>) -> CliError {
    let version = env!("CARGO_PKG_VERSION");
    let place = place.map_or_else(String::new, |(file, line)| format!(" at {file}:{line}"));
    CliError::new(ErrorKind::Bug, format!("this is a bug in strongroom {version}{place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_names_its_place_and_nothing_else() {
        let shown = describe(Some(("crates/x.rs", 7))).render(false);
        assert_eq!(
            shown,
            format!(
                "error: this is a bug in strongroom {} at crates/x.rs:7 [SR-0701]\nhint: please report it with the message above and the command that was run; leave out secrets\n",
                env!("CARGO_PKG_VERSION")
            )
        );
    }
}
