//! Policies as they are given on the command line, with the names of the config file.

use crate::commands::Context;
use crate::error::CliError;
use std::collections::BTreeMap;
use strongroom_custody::{policy, review};
use strongroom_format::keyring::{KeyholderSpec, PolicyTree};

/// Reads a policy, in which the names of `[policies]` may stand, and checks it against the keyholders there are.
///
/// # Errors
/// [`crate::error::ErrorKind::Usage`], with the column.
pub fn read<'a>(
    context: &Context,
    text: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Result<PolicyTree, CliError> {
    let tree = policy::parse_with(text, &context.settings.policies)?;
    policy::validate(&tree, known)?;
    Ok(tree)
}

/// Refuses policies in which one custodian has two seats.
///
/// # Errors
/// [`crate::error::ErrorKind::Usage`], with both names.
pub fn check_seats<'p>(
    policies: impl IntoIterator<Item = &'p PolicyTree>,
    keyholders: &BTreeMap<String, KeyholderSpec>,
) -> Result<(), CliError> {
    for policy in policies {
        review::check_seats(policy, keyholders)?;
    }
    Ok(())
}
