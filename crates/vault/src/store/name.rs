//! Which names objects may have: those that every kind of store can hold unchanged.

use super::error::{At, Operation, StoreError};

/// The longest name, in bytes. S3 allows 1,024 with the prefix of the vault.
pub const MAX_NAME_LEN: usize = 768;

/// The longest part of a name between slashes, in bytes. File systems allow 255; SeaweedFS, which keeps
/// its objects in one, appends to the names in buckets with versions (and answers 500 at the limit).
pub const MAX_SEGMENT_LEN: usize = 200;

/// The first segment that is reserved for unfinished files in a local store.
pub(super) const TEMPORARY: &str = "tmp";

/// Checks that a name can be an object's: relative, `/`-separated, without empty, `.` or `..`
/// segments, control characters or backslashes, within the length limits, and not in `tmp/`.
///
/// # Errors
/// The rule that the name breaks.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.len() > MAX_NAME_LEN {
        return Err("it is too long");
    }
    for (position, segment) in name.split('/').enumerate() {
        check_segment(segment)?;
        if position == 0 && segment == TEMPORARY {
            return Err("`tmp/` is reserved");
        }
    }
    Ok(())
}

fn check_segment(segment: &str) -> Result<(), &'static str> {
    if segment.is_empty() {
        Err("it has an empty segment")
    } else if segment == "." || segment == ".." {
        Err("it has a relative segment")
    } else if segment.len() > MAX_SEGMENT_LEN {
        Err("it has a segment that is too long")
    } else if segment.chars().any(|c| c.is_control() || c == '\\') {
        Err("it has a control character or a backslash")
    } else {
        Ok(())
    }
}

/// Checks the prefix of a listing: empty, or the beginning of a name.
///
/// # Errors
/// The rule that the prefix breaks.
pub fn check_prefix(prefix: &str) -> Result<(), &'static str> {
    let complete = prefix.strip_suffix('/').unwrap_or(prefix);
    if prefix.is_empty() { Ok(()) } else { check_name(complete) }
}

pub(super) fn checked(
    store: &str,
    operation: Operation,
    name: &str,
    check: impl Fn(&str) -> Result<(), &'static str>,
) -> Result<(), StoreError> {
    check(name).map_err(|reason| StoreError::InvalidName {
        at: Box::new(At { operation, name: name.escape_debug().to_string(), store: store.to_owned() }),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_vault_are_allowed() {
        for name in [
            "vault",
            "keyring/00000001",
            "datasets/ab/packs/cd/ef",
            "a b",
            "ü/雪",
            "a%20b",
            "tmpx/a",
            "a/tmp",
        ] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_some_store_would_change_are_refused() {
        let long = "x".repeat(MAX_SEGMENT_LEN + 1);
        for name in
            ["", "/a", "a/", "a//b", ".", "a/../b", "a/./b", "a\nb", "a\0b", "a\\b", "tmp", "tmp/a", &long]
        {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name(&"abc/".repeat(300)).is_err());
    }

    #[test]
    fn prefixes_may_end_in_a_slash() {
        for prefix in ["", "keyring/", "keyring/0000"] {
            assert_eq!(check_prefix(prefix), Ok(()));
        }
        for prefix in ["/", "../", "a//", "tmp/"] {
            assert!(check_prefix(prefix).is_err(), "{prefix}");
        }
    }
}
