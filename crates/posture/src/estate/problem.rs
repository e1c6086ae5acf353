//! What was wrong with the input.

use std::fmt;
use std::sync::Arc;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line, from 1.
    pub line: u32,
    /// The byte in the line, from 1.
    pub column: u32,
}

/// Something in the input that could not be used, or that contradicts something else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as given to the loader; empty if it is about the input as a whole.
    pub file: Arc<str>,
    /// Where in the file.
    pub place: Option<Place>,
    /// What sort of problem.
    pub kind: ProblemKind,
    /// What exactly, for a person.
    pub detail: Box<str>,
}

/// How much a problem costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing was lost that an answer hangs on.
    Note,
    /// Something was left out: answers that would need it are unproven.
    Loss,
}

/// The sorts of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// The file or directory could not be read.
    Unreadable,
    /// A link, device, socket or pipe: never opened.
    NotAFile,
    /// Larger than the limit.
    TooLarge,
    /// More files, values or directories than the limit.
    TooMany,
    /// Nested deeper than the limit.
    TooDeep,
    /// Not UTF-8 (nor UTF-16 with a byte-order mark).
    NotText,
    /// Not JSON from here on. What came before was read.
    Syntax,
    /// JSON, but nothing that is known here.
    Unrecognised,
    /// A field is of another type than AWS writes.
    WrongType,
    /// A field that is needed is absent.
    Missing,
    /// The document does not say what it is about, and neither does its place.
    Unattributed,
    /// A list goes on, and its next page was not found.
    MorePages,
    /// Two documents say different things about the same.
    Contradiction,
    /// A name is used twice in one object. The last one counts, as with AWS.
    DuplicateField,
    /// Something is referred to that is not there.
    Dangling,
    /// The collector was refused, or failed.
    NotCollected,
}

impl ProblemKind {
    /// How much problems of this sort cost.
    pub fn severity(self) -> Severity {
        match self {
            Self::Unrecognised | Self::DuplicateField | Self::NotAFile => Severity::Note,
            _ => Severity::Loss,
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "cannot be read",
            Self::NotAFile => "is not a plain file",
            Self::TooLarge => "is too large",
            Self::TooMany => "is too many",
            Self::TooDeep => "is nested too deeply",
            Self::NotText => "is not text",
            Self::Syntax => "is not JSON",
            Self::Unrecognised => "is not recognised",
            Self::WrongType => "has a field of the wrong type",
            Self::Missing => "lacks a field",
            Self::Unattributed => "does not say what it is about",
            Self::MorePages => "goes on in a page that is not here",
            Self::Contradiction => "contradicts another file",
            Self::DuplicateField => "has a field twice",
            Self::Dangling => "refers to what is not here",
            Self::NotCollected => "was not collected",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(place) = self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        if !self.file.is_empty() {
            f.write_str(": ")?;
        }
        write!(f, "{}: {}", self.kind, self.detail)
    }
}
