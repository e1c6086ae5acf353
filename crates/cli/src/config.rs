//! The config file: TOML, checked key by key, so that a misspelt key never goes unheard.

use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::settings_table::SETTINGS;
use crate::suggest;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Largest config file that is read, in bytes.
const SIZE_LIMIT: u64 = 1 << 20;

/// The top of the file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case", default)]
pub struct ConfigFile {
    /// Name or location of the vault to use.
    pub vault: Option<String>,
    /// Why keys are used.
    pub reason: Option<String>,
    /// How long an unwrapped read key lives.
    pub lease: Option<String>,
    /// How long a keyholder may go without a test.
    pub test_limit: Option<String>,
    /// Cache directory.
    pub cache_dir: Option<PathBuf>,
    /// Whether to use the cache.
    pub cache: Option<bool>,
    /// Number of threads.
    pub threads: Option<usize>,
    /// Compression, as on the command line.
    pub compression: Option<toml::Value>,
    /// When to use colour.
    pub color: Option<String>,
    /// Whether to show progress.
    pub progress: Option<bool>,
    /// Name of this host.
    pub host: Option<String>,
    /// Policies that other policies may name.
    pub policies: BTreeMap<String, String>,
    /// The named vaults.
    pub vaults: BTreeMap<String, VaultSection>,
}

/// One `[vaults.NAME]` section.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case", default)]
pub struct VaultSection {
    /// Where the vault is.
    pub location: Option<String>,
    /// The dataset to work on.
    pub dataset: Option<String>,
    /// Key files by the label of their keyholder.
    pub key_files: BTreeMap<String, PathBuf>,
    /// age identity files.
    pub identities: Vec<PathBuf>,
    /// File with the passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// Command that prints the passphrase.
    pub passphrase_command: Option<String>,
    /// Where the ledger is, where it is not beside the vault.
    pub ledger: Option<String>,
    /// The key that signs the ledger.
    pub ledger_key: Option<PathBuf>,
    /// Where key uses are kept while the ledger cannot be reached.
    pub ledger_spool: Option<PathBuf>,
    /// Cache directory.
    pub cache_dir: Option<PathBuf>,
    /// Compression, as on the command line.
    pub compression: Option<toml::Value>,
    /// Patterns to leave out.
    pub excludes: Vec<String>,
    /// Files with patterns to leave out.
    pub exclude_files: Vec<PathBuf>,
    /// Leave out marked cache directories.
    pub exclude_caches: Option<bool>,
    /// Stay on the file systems of the paths.
    pub one_file_system: Option<bool>,
    /// Tags for new snapshots.
    pub tags: Vec<String>,
}

impl ConfigFile {
    /// Reads the file at `path`; `None` where it does not exist and need not.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], with the line and, for a misspelt key, the key that may be meant.
    pub fn read(path: &Path, must_exist: bool, home: Option<&Path>) -> Result<Option<Self>, CliError> {
        let shown = escape::path(path.as_os_str().as_encoded_bytes());
        let fail = |error: &dyn std::error::Error| {
            CliError::new(ErrorKind::Config, format!("the config file {shown} cannot be read"))
                .caused_by(error)
        };
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.len() > SIZE_LIMIT => {
                let message = format!("the config file {shown} is larger than 1 MiB");
                return Err(CliError::new(ErrorKind::Config, message));
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => return Ok(None),
            Err(error) => return Err(fail(&error)),
        }
        let text = std::fs::read_to_string(path).map_err(|error| fail(&error))?;
        let mut config = Self::parse(&text, &shown)?;
        config.anchor(path.parent().unwrap_or(Path::new("")), home);
        Ok(Some(config))
    }

    /// Parses the text of a file that is called `shown` in messages.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(text: &str, shown: &str) -> Result<Self, CliError> {
        let at = |span: Option<std::ops::Range<usize>>| match span {
            Some(span) => {
                let before = text.get(..span.start).unwrap_or(text);
                format!("{shown}, line {}", before.matches('\n').count() + 1)
            }
            None => shown.to_owned(),
        };
        let wrong = |error: &toml::de::Error| {
            CliError::new(ErrorKind::Config, format!("{}: {}", at(error.span()), error.message()))
        };
        let table = DeTable::parse(text).map_err(|error| wrong(&error))?;
        if let Err(unknown) = check_keys(table.get_ref()) {
            let error = CliError::new(
                ErrorKind::Config,
                format!("{}: unknown key `{}`", at(Some(unknown.span)), escape::text(&unknown.key)),
            );
            return Err(match unknown.meant {
                Some(meant) => {
                    error.hint(format!("did you mean `{meant}`? docs/configuration.md lists every key"))
                }
                None => error,
            });
        }
        toml::from_str(text).map_err(|error| wrong(&error))
    }

    /// Relative paths start at the directory of the file; `~/` is the home directory.
    fn anchor(&mut self, base: &Path, home: Option<&Path>) {
        let anchor = |path: &mut PathBuf| {
            *path = match (path.strip_prefix("~"), home) {
                (Ok(rest), Some(home)) => home.join(rest),
                _ => base.join(&*path),
            };
        };
        self.cache_dir.iter_mut().for_each(anchor);
        for vault in self.vaults.values_mut() {
            vault.key_files.values_mut().for_each(anchor);
            vault.identities.iter_mut().for_each(anchor);
            vault.exclude_files.iter_mut().for_each(anchor);
            vault.passphrase_file.iter_mut().chain(&mut vault.cache_dir).for_each(anchor);
            vault.ledger_key.iter_mut().chain(&mut vault.ledger_spool).for_each(anchor);
            // A location is a path where it has no scheme.
            let locations = vault.location.iter_mut().chain(&mut vault.ledger);
            for location in locations.filter(|location| !location.contains("://")) {
                let mut path = PathBuf::from(&*location);
                anchor(&mut path);
                *location = path.to_string_lossy().into_owned();
            }
        }
    }
}

struct UnknownKey {
    key: String,
    span: std::ops::Range<usize>,
    meant: Option<&'static str>,
}

fn check_keys(table: &DeTable<'_>) -> Result<(), UnknownKey> {
    check_table(table, || SETTINGS.iter().filter_map(|setting| setting.key).chain(["vaults"]))?;
    let vaults = table.iter().find(|(key, _)| key.get_ref() == "vaults");
    let Some(DeValue::Table(vaults)) = vaults.map(|(_, value)| value.get_ref()) else { return Ok(()) };
    for (_, vault) in vaults {
        if let DeValue::Table(vault) = vault.get_ref() {
            check_table(vault, || SETTINGS.iter().filter_map(|setting| setting.vault_key))?;
        }
    }
    Ok(())
}

fn check_table<K: Iterator<Item = &'static str>>(
    table: &DeTable<'_>,
    known: impl Fn() -> K,
) -> Result<(), UnknownKey> {
    // The table is sorted by key; a person reads from the top.
    let unknown = table.iter().filter(|(key, _)| !known().any(|known| known == key.get_ref().as_ref()));
    match unknown.min_by_key(|(key, _)| key.span().start) {
        None => Ok(()),
        Some((key, _)) => Err(UnknownKey {
            key: key.get_ref().to_string(),
            span: key.span(),
            meant: suggest::nearest(key.get_ref(), known()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        ConfigFile::parse(text, "config.toml").unwrap_err().render(false)
    }

    #[test]
    fn a_full_file() {
        let mut config = ConfigFile::parse(
            r#"
            vault = "main"
            compression = 3
            cache = false
            [vaults.main]
            location = "../vault"
            dataset = "laptops"
            identities = ["id.txt"]
            passphrase-file = "/run/pass"
            one-file-system = true
            [vaults.main.key-files]
            office = "~/office.key"
            [vaults.far]
            location = "s3://bucket/x"
            "#,
            "config.toml",
        )
        .unwrap();
        config.anchor(Path::new("/etc/strongroom"), Some(Path::new("/home/a")));
        let main = &config.vaults["main"];
        assert_eq!(main.location.as_deref(), Some("/etc/strongroom/../vault"));
        assert_eq!(main.identities, [PathBuf::from("/etc/strongroom/id.txt")]);
        assert_eq!(main.passphrase_file, Some(PathBuf::from("/run/pass")));
        assert_eq!(main.key_files["office"], PathBuf::from("/home/a/office.key"));
        assert_eq!(config.vaults["far"].location.as_deref(), Some("s3://bucket/x"));
    }

    #[test]
    fn unknown_keys_are_told_with_line_and_suggestion() {
        assert_eq!(
            wrong("vault = \"a\"\n\n[vaults.a]\nlocaton = \"/x\"\n"),
            "error: config.toml, line 4: unknown key `localton` [SR-0102]\n".replace("localton", "locaton")
                + "hint: did you mean `location`? docs/configuration.md lists every key\n"
        );
        assert!(wrong("pasword = 1\n").contains("line 1: unknown key `pasword`"));
        assert!(wrong("excludes = []\n").contains("unknown key `excludes`"));
    }

    #[test]
    fn wrong_types_and_syntax_are_told_with_line() {
        assert!(wrong("\nthreads = \"many\"\n").contains("config.toml, line 2: invalid type"));
        assert!(wrong("\n\nvault = \n").contains("config.toml, line 3: "));
        assert!(wrong("vaults = 3\n").contains("line 1"));
    }

    #[test]
    fn a_missing_file_is_an_error_only_where_named() {
        let nowhere = Path::new("/nonexistent/config.toml");
        assert_eq!(ConfigFile::read(nowhere, false, None), Ok(None));
        assert_eq!(ConfigFile::read(nowhere, true, None).unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn the_table_and_the_file_know_the_same_keys() {
        let mut text = String::new();
        for key in SETTINGS.iter().filter_map(|setting| setting.key) {
            text += &format!("{key} = {}\n", sample(key));
        }
        text += "[vaults.x]\n";
        for key in SETTINGS.iter().filter_map(|setting| setting.vault_key) {
            text += &format!("{key} = {}\n", sample(key));
        }
        let config = ConfigFile::parse(&text, "all.toml").unwrap();
        let debug = format!("{config:?}");
        assert!(!debug.contains("None"), "a key of the table is not read: {debug}");
        assert!(!debug.contains("[]") && !debug.contains("{}"), "a key of the table is not read: {debug}");
    }

    fn sample(key: &str) -> &'static str {
        match key {
            "threads" => "2",
            "lease" | "test-limit" => "\"1h\"",
            "cache" | "progress" | "exclude-caches" | "one-file-system" => "true",
            "excludes" | "exclude-files" | "identities" | "tags" => "[\"x\"]",
            "key-files" | "policies" => "{ a = \"x\" }",
            _ => "\"x\"",
        }
    }
}
