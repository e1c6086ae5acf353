//! Something that went wrong with one path and does not stop the run.

use std::{fmt, io};

use thiserror::Error;

/// One path could not be read, written or given an attribute; everything else goes on.
#[derive(Debug, Error)]
#[error("cannot {operation} `{}`", DisplayPath(.path))]
pub struct Problem {
    /// The path, as the user knows it; bytes, because names need not be UTF-8.
    pub path: Vec<u8>,
    /// What was tried, as a verb: `read`, `set the owner of`.
    pub operation: &'static str,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl Problem {
    /// A problem with `path`.
    #[must_use]
    pub fn new(path: &[u8], operation: &'static str, source: impl Into<io::Error>) -> Self {
        Self { path: path.to_vec(), operation, source: source.into() }
    }
}

/// Shows a path on one line: control characters could otherwise forge lines of a log.
struct DisplayPath<'a>(&'a [u8]);

impl fmt::Display for DisplayPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_stays_on_one_line_whatever_the_name() {
        let problem = Problem::new(b"/a\nb\xff\xc3\xa9", "read", io::Error::other("x"));
        assert_eq!(problem.to_string(), "cannot read `/a\\nb\\xffé`");
    }
}
