//! Putting one thing read twice together.

use std::sync::Arc;

use super::{Assembly, At};
use crate::estate::{Kind, Origin, ProblemKind, Role, Scope};
use crate::load::read::shown;

/// Fills a gap, and tells whether what is new contradicts what is there.
pub(super) fn fill<T: PartialEq>(slot: &mut Option<T>, new: Option<T>) -> bool {
    match (slot.as_ref(), new) {
        (Some(old), Some(new)) => *old != new,
        (None, new) => {
            *slot = new;
            false
        }
        (Some(_), None) => false,
    }
}

/// Whether two readings of a role agree. When it was last used changes from day to day.
pub(super) fn same_role(a: &Role, b: &Role) -> bool {
    a.arn == b.arn
        && a.id == b.id
        && a.trust == b.trust
        && a.inline == b.inline
        && a.attached == b.attached
        && a.boundary == b.boundary
        && a.tags == b.tags
}

impl Assembly {
    /// Names that something was read before and was different then.
    pub(super) fn contradiction(
        &mut self,
        at: At,
        what: &str,
        earlier: Option<&Origin>,
        missing: (Scope, Kind),
    ) {
        let what = shown(what);
        let detail = match earlier {
            Some(origin) => format!("{what} is different at {}:{}", origin.file, origin.line),
            None => format!("{what} is different in a file before this one"),
        };
        let (scope, kind) = missing;
        self.problem(at, ProblemKind::Contradiction, detail, (Some(scope), Some(kind)));
    }
}

/// Sorts and takes away what is there twice.
pub(super) fn tidy(list: &mut Vec<Arc<str>>) {
    list.sort();
    list.dedup();
}
