//! `strongroom config`: what is in effect, and where each value comes from.

use crate::commands::Context;
use crate::error::CliError;
use crate::escape;
use crate::output::{Align, Table};
use crate::secrets::PassphraseSource;
use crate::settings::{Origin, Settings, Sourced};
use crate::units;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::Path;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom config show\n\
    \x20 strongroom config show --vault main --json";

/// Show what is configured, and where it comes from
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: ConfigAction,
}

/// What to do with the configuration.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ConfigAction {
    /// Print every setting that is in effect, never a secret
    Show,
}

/// Prints the settings.
///
/// # Errors
/// Where standard output cannot be written.
pub fn run(args: &ConfigArgs, context: &Context) -> Result<(), CliError> {
    match args.action {
        ConfigAction::Show => show(context),
    }
}

#[derive(Serialize)]
struct Row {
    setting: &'static str,
    value: String,
    origin: Origin,
}

fn show(context: &Context) -> Result<(), CliError> {
    let rows = rows(&context.settings);
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({"message_type": "config", "settings": rows}));
    }
    let mut table = Table::new(&[("Setting", Align::Left), ("Value", Align::Left), ("From", Align::Left)]);
    for row in rows {
        table.row([row.setting.to_owned(), row.value, row.origin.to_string()]);
    }
    context.output.table(&table)
}

fn rows(settings: &Settings) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |setting, value: String, origin| rows.push(Row { setting, value, origin });
    let shown = |path: &Path| escape::path(path.as_os_str().as_encoded_bytes());
    match &settings.location {
        Some(location) => add("vault", redacted(&location.value), location.origin),
        None => add("vault", "none".into(), Origin::Default),
    }
    add("dataset", escape::text(&settings.dataset.value), settings.dataset.origin);
    match &settings.config {
        Some(config) => add("config", shown(&config.value), config.origin),
        None => add("config", "none".into(), Origin::Default),
    }
    for Sourced { value, origin } in &settings.key_files {
        add("key-files", format!("{}={}", escape::text(&value.label), shown(&value.path)), *origin);
    }
    for Sourced { value, origin } in &settings.identities {
        add("identities", shown(value), *origin);
    }
    let passphrase = match &settings.passphrase.value {
        PassphraseSource::Command(_) => "from a command".into(),
        PassphraseSource::Environment => "in STRONGROOM_PASSPHRASE".into(),
        PassphraseSource::File(path) => format!("in {}", shown(path)),
        PassphraseSource::Prompt => "asked for on the terminal".into(),
    };
    add("passphrase", passphrase, settings.passphrase.origin);
    add("lease", units::age(settings.lease.value), settings.lease.origin);
    add("test-limit", units::age(settings.test_limit.value), settings.test_limit.origin);
    if let Some(reason) = &settings.reason {
        add("reason", escape::text(&reason.value), reason.origin);
    }
    if let Some(ledger) = &settings.ledger {
        add("ledger", redacted(&ledger.value), ledger.origin);
    }
    for (name, path) in [("ledger-key", &settings.ledger_key), ("ledger-spool", &settings.ledger_spool)] {
        if let Some(path) = path {
            add(name, shown(&path.value), path.origin);
        }
    }
    if let Some(dir) = &settings.cache_dir {
        add("cache-dir", shown(&dir.value), dir.origin);
    }
    add("cache", settings.cache.value.to_string(), settings.cache.origin);
    add("threads", settings.threads.value.to_string(), settings.threads.origin);
    add("compression", settings.compression.value.to_string(), settings.compression.origin);
    add("color", settings.color.value.to_string(), settings.color.origin);
    add("progress", settings.progress.value.to_string(), settings.progress.origin);
    if let Some(host) = &settings.host {
        add("host", escape::text(&host.value), host.origin);
    }
    let section = &settings.section;
    for pattern in &section.excludes {
        add("excludes", escape::text(pattern), Origin::ConfigFile);
    }
    for file in &section.exclude_files {
        add("exclude-files", shown(file), Origin::ConfigFile);
    }
    for (name, value) in
        [("exclude-caches", section.exclude_caches), ("one-file-system", section.one_file_system)]
    {
        let origin = value.map_or(Origin::Default, |_| Origin::ConfigFile);
        add(name, value.unwrap_or(false).to_string(), origin);
    }
    for tag in &section.tags {
        add("tags", escape::text(tag), Origin::ConfigFile);
    }
    rows
}

/// A location without the credentials and query that a URL may carry.
fn redacted(location: &str) -> String {
    let location = escape::text(location);
    let Some((scheme, rest)) = location.split_once("://") else { return location };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://***@{}", &rest[at + 1..]),
        None => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_a_location_do_not_show() {
        assert_eq!(redacted("/srv/a@b"), "/srv/a@b");
        assert_eq!(redacted("s3://bucket/a@b"), "s3://bucket/a@b");
        assert_eq!(redacted("s3://key:secret@bucket/a"), "s3://***@bucket/a");
        assert_eq!(redacted("https://a:p@ss@host"), "https://***@host");
        assert_eq!(redacted("https://host/a?sig=secret"), "https://host/a");
    }
}
