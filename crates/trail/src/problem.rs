//! What could not be read, and where.

use std::{fmt, sync::Arc};

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file, relative to where reading began; control characters are escaped.
    pub file: Arc<str>,
    /// Bytes from the beginning of the inflated file.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.file, self.offset)
    }
}

/// What is wrong with a file, or with a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// The file cannot be opened or read.
    Unreadable,
    /// It ends in the middle: what came before was read.
    Truncated,
    /// Its compression is damaged: what came before was read.
    Inflate,
    /// It becomes longer than the limits allow: what came before was read.
    TooLong,
    /// A record is longer than [`crate::limits::RECORD_MAX`], and was left out.
    RecordTooLong,
    /// Bytes that belong to no record were left out.
    Garbage,
    /// A record is not what it should be, and was left out.
    Record,
    /// A record was made by a version of the format that this program does not know. It was read.
    Version,
    /// A record is later than the clock of the reader. It was read.
    Future,
    /// The provider left out parameters of a record. What is there was read.
    Omitted,
    /// The file, or its kind, is none that holds records, and was left out.
    NotATrail,
    /// More problems than are kept.
    More,
}

impl ProblemKind {
    /// Whether records may be missing: then absence proves nothing.
    #[must_use]
    pub fn hides_records(self) -> bool {
        !matches!(self, Self::Version | Self::Future | Self::Omitted | Self::NotATrail)
    }

    /// A stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Truncated => "truncated",
            Self::Inflate => "inflate",
            Self::TooLong => "too-long",
            Self::RecordTooLong => "record-too-long",
            Self::Garbage => "garbage",
            Self::Record => "record",
            Self::Version => "version",
            Self::Future => "future",
            Self::Omitted => "omitted",
            Self::NotATrail => "not-a-trail",
            Self::More => "more",
        }
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What kind.
    pub kind: ProblemKind,
    /// In words.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// A text with control characters escaped and cut to [`crate::limits::QUOTE_MAX`] characters: fit for a message.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut short: String =
        text.chars().take(crate::limits::QUOTE_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(crate::limits::QUOTE_MAX).is_some() {
        short.push('…');
    }
    short
}
