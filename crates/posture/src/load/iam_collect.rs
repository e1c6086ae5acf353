//! The directory that iam-collect writes.

use crate::load::json::Value;
use crate::load::read::Reading;

/// Reads a document of iam-collect's, and tells whether it was one.
pub(crate) fn document(_reading: &mut Reading<'_>, _root: Value<'_, '_>) -> bool {
    false
}
