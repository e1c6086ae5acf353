//! Standard error is people: warnings, notes, details, and errors at the end.

use crate::error::CliError;
use crate::escape;
use indicatif::ProgressBar;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Warnings and errors.
    Quiet,
    /// What a person wants to know.
    Normal,
    /// Each step.
    Verbose,
}

/// Standard error, shared between threads, and on good terms with the progress bar.
pub struct Messages {
    writer: Mutex<Box<dyn Write + Send>>,
    bar: Mutex<Option<ProgressBar>>,
    verbosity: Verbosity,
    color: bool,
    json: bool,
}

impl Messages {
    /// The real standard error.
    #[must_use]
    pub fn stderr(verbosity: Verbosity, color: bool, json: bool) -> Self {
        Self::to(Box::new(io::stderr()), verbosity, color, json)
    }

    /// Messages to any writer.
    #[must_use]
    pub fn to(writer: Box<dyn Write + Send>, verbosity: Verbosity, color: bool, json: bool) -> Self {
        Self { writer: Mutex::new(writer), bar: Mutex::new(None), verbosity, color, json }
    }

    /// How much is said.
    #[must_use]
    pub const fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Something is wrong and work goes on. Always said.
    pub fn warn(&self, message: &str) {
        self.say("warning", "\x1b[1;33m", message);
    }

    /// Something a person wants to know. Not said with `--quiet`.
    pub fn note(&self, message: &str) {
        if self.verbosity >= Verbosity::Normal {
            self.say("", "", message);
        }
    }

    /// A detail. Said with `--verbose`.
    pub fn detail(&self, message: &str) {
        if self.verbosity >= Verbosity::Verbose {
            self.say("", "", message);
        }
    }

    /// The error that ends the command.
    pub fn error(&self, error: &CliError) {
        let text = if self.json { error.render_json() + "\n" } else { error.render(self.color) };
        self.write(&text);
    }

    /// Lines are printed above `bar` from now on, or plainly again with `None`.
    pub fn attach(&self, bar: Option<ProgressBar>) {
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = bar;
    }

    fn say(&self, label: &str, style: &str, message: &str) {
        let message = escape::text(message);
        if self.json {
            let kind = if label.is_empty() { "note" } else { label };
            self.write(&format!("{}\n", serde_json::json!({"message_type": kind, "message": message})));
        } else if label.is_empty() {
            self.write(&format!("{message}\n"));
        } else if self.color {
            self.write(&format!("{style}{label}:\x1b[0m {message}\n"));
        } else {
            self.write(&format!("{label}: {message}\n"));
        }
    }

    fn write(&self, text: &str) {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let put = || {
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            // There is nowhere left to complain when standard error is closed.
            let _ = writer.write_all(text.as_bytes()).and_then(|()| writer.flush());
        };
        match bar {
            Some(bar) => bar.suspend(put),
            None => put(),
        }
    }
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages").field("verbosity", &self.verbosity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::output::tests::Captured;

    fn said(verbosity: Verbosity, color: bool, json: bool) -> String {
        let captured = Captured::default();
        let messages = Messages::to(Box::new(captured.clone()), verbosity, color, json);
        messages.detail("opening the index");
        messages.note("3 files\x1b[2J");
        messages.warn("one keyholder only");
        messages.error(&CliError::new(ErrorKind::LocalFile, "a cannot be read"));
        captured.text()
    }

    #[test]
    fn quiet_says_only_what_is_wrong() {
        let expected = "warning: one keyholder only\nerror: a cannot be read [SR-0201]\n";
        assert_eq!(said(Verbosity::Quiet, false, false), expected);
    }

    #[test]
    fn verbose_says_all_and_escapes() {
        let expected = "opening the index\n3 files%1B[2J\nwarning: one keyholder only\n\
                        error: a cannot be read [SR-0201]\n";
        assert_eq!(said(Verbosity::Verbose, false, false), expected);
        assert!(said(Verbosity::Normal, true, false).contains("\x1b[1;33mwarning:\x1b[0m one"));
    }

    #[test]
    fn programs_get_objects() {
        for line in said(Verbosity::Verbose, true, true).lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value["message_type"].is_string());
        }
    }
}
