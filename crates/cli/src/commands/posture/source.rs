//! What was collected of AWS, and what was wrong with it.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use serde_json::{Value, json};
use std::path::Path;
use strongroom_posture::estate::{Estate, Problem, Severity};
use strongroom_posture::load::{Limits, LoadError, load_directory};
use strongroom_posture::policy::{PolicyProblem, ProblemOfPolicy};

/// Problems that are named one by one; the rest is counted.
pub(super) const SHOWN: usize = 20;

/// Reads a directory of answers of AWS.
///
/// # Errors
/// Where it cannot be listed.
pub(super) fn load(directory: &Path, context: &Context) -> Result<Estate, CliError> {
    let limits = Limits { threads: context.settings.threads.value, ..Limits::default() };
    load_directory(directory, &limits).map_err(|error| match error {
        LoadError::Directory(source) => CliError::file("listed", directory, &source),
    })
}

/// What is wrong with the input.
pub(super) struct Troubles {
    /// One sentence each.
    lines: Vec<String>,
    json: Vec<Value>,
    /// How many of them may change an answer.
    losses: usize,
}

impl Troubles {
    /// Of the files, and of the policies in them.
    pub(super) fn of<'p>(estate: &Estate, policies: impl IntoIterator<Item = &'p PolicyProblem>) -> Self {
        let mut troubles = Self { lines: Vec::new(), json: Vec::new(), losses: 0 };
        estate.problems.iter().for_each(|problem| troubles.file(problem));
        policies.into_iter().for_each(|problem| troubles.policy(problem));
        troubles
    }

    fn file(&mut self, problem: &Problem) {
        let lost = problem.kind.severity() == Severity::Loss;
        self.losses += usize::from(lost);
        self.lines.push(problem.to_string());
        self.json.push(json!({
            "file": &*problem.file,
            "line": problem.place.map(|place| place.line),
            "column": problem.place.map(|place| place.column),
            "problem": format!("{}: {}", problem.kind, problem.detail),
            "loss": lost,
        }));
    }

    fn policy(&mut self, problem: &PolicyProblem) {
        // Whoever asks is taken to choose a key that is not known, and nobody can ask for an action that there is not.
        let lost = !matches!(problem.kind, ProblemOfPolicy::UnknownKey | ProblemOfPolicy::UnknownAction);
        self.losses += usize::from(lost);
        self.lines.push(problem.to_string());
        self.json.push(json!({
            "file": &*problem.file, "line": problem.line, "column": null,
            "problem": &*problem.detail, "loss": lost,
        }));
    }

    /// For programs.
    pub(super) fn json(&self) -> &[Value] {
        &self.json
    }

    /// Names them on standard error.
    pub(super) fn tell(&self, context: &Context) {
        for line in self.lines.iter().take(SHOWN) {
            context.messages.warn(line);
        }
        if let Some(more) = self.lines.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            context.messages.warn(&format!("{more} more problems; --json lists all"));
        }
    }

    /// Ends a command that gave its answer from input that had problems.
    ///
    /// # Errors
    /// [`ErrorKind::Problems`] if something was lost.
    pub(super) fn end(&self, directory: &Path) -> Result<(), CliError> {
        match self.losses {
            0 => Ok(()),
            count => {
                let shown = crate::escape::path(directory.as_os_str().as_encoded_bytes());
                let problems = if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
                Err(CliError::new(ErrorKind::Problems, format!("{problems} in {shown}")).hint(
                    "the answer counts what was left out as unknown; mend or collect those files again",
                ))
            }
        }
    }
}
