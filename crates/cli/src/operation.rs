//! Running a long operation of the engine: progress, problems, the request to stop.

use crate::commands::Context;
use crate::progress::{ProgressMode, ProgressSink};
use std::sync::Arc;
use strongroom_vault::fs::Problem;
use strongroom_vault::monitor::Monitor;
use strongroom_vault::progress::Counters;

/// Runs `operation` under a progress display called `action`; its problems are told as warnings.
pub fn watched<T>(context: &Context, action: &'static str, operation: impl FnOnce(&Monitor<'_>) -> T) -> T {
    let counters = Arc::new(Counters::new());
    let settings = &context.settings;
    let display = ProgressSink::start(
        ProgressMode::choose(settings.json, settings.progress.value, settings.verbosity),
        action,
        Arc::clone(&counters),
        Arc::clone(&context.output),
        Arc::clone(&context.messages),
    );
    let on_problem = |problem: Problem| context.messages.warn(&format!("{problem}: {}", problem.source));
    let monitor = Monitor { counters: &counters, cancel: &context.cancel, on_problem: &on_problem };
    let result = operation(&monitor);
    display.finish();
    result
}
