//! `strongroom version`: which build this is.

use crate::commands::Context;
use crate::error::CliError;
use clap::Args;
use serde::Serialize;

/// Print the version and what this build is for
#[derive(Args, Clone, Debug)]
pub struct VersionArgs {}

#[derive(Serialize)]
struct Version {
    message_type: &'static str,
    version: &'static str,
    os: &'static str,
    arch: &'static str,
}

/// Prints the version.
///
/// # Errors
/// Where standard output cannot be written.
pub fn run(_: &VersionArgs, context: &Context) -> Result<(), CliError> {
    let version = Version {
        message_type: "version",
        version: env!("CARGO_PKG_VERSION"),
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
    };
    if context.output.is_json() {
        context.output.json(&version)
    } else {
        context.output.line(&format!("strongroom {} {}-{}", version.version, version.arch, version.os))
    }
}
