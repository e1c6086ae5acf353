//! What holds in the end: command line over environment over config file over defaults.

use crate::args::{ColorChoice, Compression, GlobalArgs, KeyFile, parse_key_file};
use crate::config::{ConfigFile, VaultSection};
use crate::env::Env;
use crate::error::{CliError, ErrorKind};
use crate::messages::Verbosity;
use crate::secrets::PassphraseSource;
use crate::suggest;
use crate::units;
use clap::ValueEnum;
use jiff::{Span, SpanRelativeTo};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use strongroom_custody::DEFAULT_LEASE;

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// An option.
    CommandLine,
    /// A variable.
    Environment,
    /// The config file.
    ConfigFile,
    /// Nowhere: the default.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::CommandLine => "command line",
            Self::Environment => "environment",
            Self::ConfigFile => "config file",
            Self::Default => "default",
        })
    }
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

impl<T> Sourced<T> {
    const fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    fn or_default(this: Option<Self>, default: T) -> Self {
        this.unwrap_or(Self::new(default, Origin::Default))
    }
}

/// Everything that is in effect.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the vault is.
    pub location: Option<Sourced<String>>,
    /// The name of the vault in the config file, where it was chosen by name.
    pub vault_name: Option<String>,
    /// The dataset to work on.
    pub dataset: Sourced<String>,
    /// The config file that was read.
    pub config: Option<Sourced<PathBuf>>,
    /// Key files, one for each label.
    pub key_files: Vec<Sourced<KeyFile>>,
    /// age identity files.
    pub identities: Vec<Sourced<PathBuf>>,
    /// A request for keys.
    pub request: Option<PathBuf>,
    /// Its approvals.
    pub approvals: Vec<PathBuf>,
    /// Where a passphrase comes from; without one, the terminal is asked.
    pub passphrase: Sourced<PassphraseSource>,
    /// Why keys are used.
    pub reason: Option<Sourced<String>>,
    /// Where the ledger is, where it is not beside the vault.
    pub ledger: Option<Sourced<String>>,
    /// The key that signs the ledger.
    pub ledger_key: Option<Sourced<PathBuf>>,
    /// Where key uses are kept while the ledger cannot be reached.
    pub ledger_spool: Option<Sourced<PathBuf>>,
    /// How long an unwrapped read key lives.
    pub lease: Sourced<Duration>,
    /// How long a keyholder may go without a test.
    pub test_limit: Sourced<Duration>,
    /// Cache directory; none where there is no home directory.
    pub cache_dir: Option<Sourced<PathBuf>>,
    /// Whether to use the cache.
    pub cache: Sourced<bool>,
    /// Number of worker threads, at least 1.
    pub threads: Sourced<usize>,
    /// Compression.
    pub compression: Sourced<Compression>,
    /// When to use colour.
    pub color: Sourced<ColorChoice>,
    /// Whether to show progress.
    pub progress: Sourced<bool>,
    /// Name of this host in snapshots; `None` means that of the system.
    pub host: Option<Sourced<String>>,
    /// Policies that other policies may name.
    pub policies: BTreeMap<String, String>,
    /// What only `backup` reads from the section of the vault.
    pub section: VaultSection,
    /// Whether programs read our output.
    pub json: bool,
    /// How much is said.
    pub verbosity: Verbosity,
}

fn usage(message: String) -> CliError {
    CliError::new(ErrorKind::Usage, message)
}

fn first<T>(values: [(Option<T>, Origin); 3]) -> Option<Sourced<T>> {
    values.into_iter().find_map(|(value, origin)| value.map(|value| Sourced::new(value, origin)))
}

/// Flag, environment, config, in the order in which they win.
fn layers<T>(flag: Option<T>, env: Option<T>, config: Option<T>) -> Option<Sourced<T>> {
    first([(flag, Origin::CommandLine), (env, Origin::Environment), (config, Origin::ConfigFile)])
}

impl Settings {
    /// Reads the config file and puts all layers together.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a wrong file, [`ErrorKind::Usage`] for a wrong option or variable.
    pub fn load(flags: &GlobalArgs, env: &Env) -> Result<Self, CliError> {
        let home = env.path("HOME");
        let named = layers(flags.config.clone(), env.path("STRONGROOM_CONFIG"), None);
        let must_exist = named.is_some();
        let by_default = env.xdg("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("strongroom/config.toml"));
        let path = named.or(by_default.map(|path| Sourced::new(path, Origin::Default)));
        let file = match &path {
            Some(path) => ConfigFile::read(&path.value, must_exist, home.as_deref())?,
            None => None,
        };
        let path = path.filter(|_| file.is_some());
        Self::resolve(flags, env, file.unwrap_or_default(), path)
    }

    fn resolve(
        flags: &GlobalArgs,
        env: &Env,
        file: ConfigFile,
        config: Option<Sourced<PathBuf>>,
    ) -> Result<Self, CliError> {
        let text = |name: &str| env.text(name).map_err(usage);
        let chosen = layers(flags.vault.clone(), text("STRONGROOM_VAULT")?, file.vault.clone());
        let (location, vault_name) = locate(chosen, &file)?;
        let section = vault_name.as_ref().and_then(|name| file.vaults.get(name)).cloned().unwrap_or_default();

        let threads = match text("STRONGROOM_THREADS")? {
            Some(number) => Some(
                number
                    .parse()
                    .map_err(|_| usage(format!("STRONGROOM_THREADS: `{number}` is not a number")))?,
            ),
            None => None,
        };
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = Sourced::or_default(layers(flags.threads, threads, file.threads), cpus);
        if !(1..=1024).contains(&threads.value) {
            return Err(usage(format!(
                "the number of threads must be from 1 to 1024, not {}",
                threads.value
            )));
        }

        let env_compression = match text("STRONGROOM_COMPRESSION")? {
            Some(mode) => Some(mode.parse().map_err(|why| usage(format!("STRONGROOM_COMPRESSION: {why}")))?),
            None => None,
        };
        let file_compression = match section.compression.as_ref().or(file.compression.as_ref()) {
            Some(toml::Value::String(mode)) => Some(mode.clone()),
            Some(other) => Some(other.to_string()),
            None => None,
        };
        let file_compression = match file_compression {
            Some(mode) => Some(mode.parse().map_err(|why| in_config(&format!("compression: {why}")))?),
            None => None,
        };
        let compression = layers(flags.compression, env_compression, file_compression);

        let color = layers(
            flags.color,
            color_of_env(env)?,
            color_of(file.color.as_deref(), "color").map_err(|why| in_config(&why))?,
        );
        let cache_dir = env.xdg("XDG_CACHE_HOME", ".cache").map(|dir| dir.join("strongroom"));
        let cache_dir = layers(
            flags.cache_dir.clone(),
            env.path("STRONGROOM_CACHE_DIR"),
            section.cache_dir.clone().or(file.cache_dir),
        )
        .or(cache_dir.map(|dir| Sourced::new(dir, Origin::Default)));

        Ok(Self {
            location,
            vault_name,
            dataset: Sourced::or_default(
                layers(flags.dataset.clone(), text("STRONGROOM_DATASET")?, section.dataset.clone()),
                "default".to_owned(),
            ),
            config,
            key_files: key_files(flags, text("STRONGROOM_KEY_FILE")?, &section)?,
            identities: identities(flags, env, &section),
            request: flags.request.clone(),
            approvals: flags.approval.clone(),
            passphrase: passphrase(flags, env, &section)?,
            reason: layers(flags.reason.clone(), text("STRONGROOM_REASON")?, file.reason),
            ledger: layers(None, text("STRONGROOM_LEDGER")?, section.ledger.clone()),
            ledger_key: layers(None, env.path("STRONGROOM_LEDGER_KEY"), section.ledger_key.clone()),
            ledger_spool: layers(
                flags.ledger_spool.clone(),
                env.path("STRONGROOM_LEDGER_SPOOL"),
                section.ledger_spool.clone(),
            ),
            lease: Sourced::or_default(
                span("lease", LEASES, text("STRONGROOM_LEASE")?, file.lease.clone())?,
                DEFAULT_LEASE,
            ),
            test_limit: Sourced::or_default(
                span("test-limit", TEST_LIMITS, text("STRONGROOM_TEST_LIMIT")?, file.test_limit.clone())?,
                DEFAULT_TEST_LIMIT,
            ),
            cache_dir,
            cache: Sourced::or_default(layers(flags.no_cache.then_some(false), None, file.cache), true),
            threads,
            compression: Sourced::or_default(compression, Compression::Auto),
            color: Sourced::or_default(color, ColorChoice::Auto),
            progress: Sourced::or_default(
                layers(flags.no_progress.then_some(false), None, file.progress),
                true,
            ),
            host: layers(None, text("STRONGROOM_HOST")?, file.host),
            policies: file.policies,
            section,
            json: flags.json,
            verbosity: verbosity(flags),
        })
    }

    /// The location of the vault, which most commands need.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where none is set.
    pub fn require_location(&self) -> Result<&str, CliError> {
        self.location.as_ref().map(|location| location.value.as_str()).ok_or_else(|| {
            usage("no vault is given".into()).hint(
                "give --vault LOCATION, set STRONGROOM_VAULT, or write `vault = \"…\"` into the config file",
            )
        })
    }
}

/// How much is said, from the options alone, so that it is known before anything can fail.
#[must_use]
pub fn verbosity(flags: &GlobalArgs) -> Verbosity {
    match (flags.quiet, flags.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    }
}

/// When to use colour, from options and environment alone; for errors before settings are known.
#[must_use]
pub fn early_color(flags: &GlobalArgs, env: &Env) -> ColorChoice {
    flags.color.or(color_of_env(env).ok().flatten()).unwrap_or(ColorChoice::Auto)
}

/// The leases that make sense: shorter ones ask a provider all the time, longer ones are no leases.
const LEASES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
const TEST_LIMITS: RangeInclusive<Duration> =
    Duration::from_secs(3600)..=Duration::from_secs(10 * 365 * 24 * 3600);
/// A quarter of a year, as keys that are never tried are found not to open when they are needed.
const DEFAULT_TEST_LIMIT: Duration = Duration::from_secs(90 * 24 * 3600);

/// A length of time within limits, such as `90s`, `5m` or `30d`.
fn span(
    name: &str,
    limits: RangeInclusive<Duration>,
    env: Option<String>,
    file: Option<String>,
) -> Result<Option<Sourced<Duration>>, CliError> {
    let Some(text) = layers(None, env, file) else { return Ok(None) };
    let hours = SpanRelativeTo::days_are_24_hours();
    let read = text.value.parse::<Span>().ok();
    let duration =
        read.and_then(|span| span.to_duration(hours).ok()).and_then(|span| Duration::try_from(span).ok());
    let wrong = || usage(format!("{name}: `{}` is no length of time such as `5m` or `30d`", text.value));
    let duration = duration.ok_or_else(wrong)?;
    if !limits.contains(&duration) {
        let (least, most) = (units::age(*limits.start()), units::age(*limits.end()));
        return Err(usage(format!("{name} must be from {least} to {most}, not `{}`", text.value)));
    }
    Ok(Some(Sourced::new(duration, text.origin)))
}

fn in_config(why: &str) -> CliError {
    CliError::new(ErrorKind::Config, format!("the config file is wrong: {why}"))
}

fn color_of(text: Option<&str>, name: &str) -> Result<Option<ColorChoice>, String> {
    let read = |text| ColorChoice::from_str(text, false);
    text.map(read).transpose().map_err(|_| format!("{name} is none of auto, always, never"))
}

fn color_of_env(env: &Env) -> Result<Option<ColorChoice>, CliError> {
    let ours = env.text("STRONGROOM_COLOR").map_err(usage)?;
    let ours = color_of(ours.as_deref(), "STRONGROOM_COLOR").map_err(usage)?;
    let off = env.os("NO_COLOR").is_some() || env.os("TERM").is_some_and(|term| term == "dumb");
    Ok(ours.or(off.then_some(ColorChoice::Never)))
}

type Located = (Option<Sourced<String>>, Option<String>);

/// A value with a `/` is a location; one without is a name if the config file has it.
fn locate(chosen: Option<Sourced<String>>, file: &ConfigFile) -> Result<Located, CliError> {
    let Some(chosen) = chosen else { return Ok((None, None)) };
    if chosen.value.contains('/') {
        return Ok((Some(chosen), None));
    }
    match file.vaults.get(&chosen.value) {
        Some(VaultSection { location: Some(location), .. }) => {
            Ok((Some(Sourced::new(location.clone(), Origin::ConfigFile)), Some(chosen.value)))
        }
        Some(_) => Err(in_config(&format!("[vaults.{}] has no location", chosen.value))),
        None => match suggest::nearest(&chosen.value, file.vaults.keys().map(String::as_str)) {
            // A directory of that very name is meant by it, whatever the config file is near to.
            Some(meant) if !std::path::Path::new(&chosen.value).exists() => {
                let message =
                    format!("`{}` is neither a vault in the config file nor a directory", chosen.value);
                let hint = format!("did you mean `{meant}`? For a new directory, write ./{}", chosen.value);
                Err(usage(message).hint(hint))
            }
            _ => Ok((Some(chosen), None)),
        },
    }
}

fn key_files(
    flags: &GlobalArgs,
    env: Option<String>,
    section: &VaultSection,
) -> Result<Vec<Sourced<KeyFile>>, CliError> {
    let mut all: Vec<Sourced<KeyFile>> = Vec::new();
    let env = match env {
        Some(text) => {
            Some(parse_key_file(&text).map_err(|why| usage(format!("STRONGROOM_KEY_FILE: {why}")))?)
        }
        None => None,
    };
    for file in &flags.key_file {
        if flags.key_file.iter().filter(|other| other.label == file.label).count() > 1 {
            return Err(usage(format!("two key files are given for `{}`", file.label)));
        }
    }
    let flags = flags.key_file.iter().cloned().map(|file| Sourced::new(file, Origin::CommandLine));
    let env = env.into_iter().map(|file| Sourced::new(file, Origin::Environment));
    let section = section.key_files.iter().map(|(label, path)| {
        Sourced::new(KeyFile { label: label.clone(), path: path.clone() }, Origin::ConfigFile)
    });
    for file in flags.chain(env).chain(section) {
        if all.iter().all(|other| other.value.label != file.value.label) {
            all.push(file);
        }
    }
    Ok(all)
}

fn identities(flags: &GlobalArgs, env: &Env, section: &VaultSection) -> Vec<Sourced<PathBuf>> {
    let flags = flags.identity.iter().cloned().map(|path| Sourced::new(path, Origin::CommandLine));
    let env = env.path("STRONGROOM_IDENTITY").map(|path| Sourced::new(path, Origin::Environment));
    let section = section.identities.iter().cloned().map(|path| Sourced::new(path, Origin::ConfigFile));
    flags.chain(env).chain(section).collect()
}

fn passphrase(
    flags: &GlobalArgs,
    env: &Env,
    section: &VaultSection,
) -> Result<Sourced<PassphraseSource>, CliError> {
    use PassphraseSource::{Command, Environment, File, Prompt};
    let one = |sources: Vec<PassphraseSource>, origin: Origin| match sources.len() {
        0 | 1 => Ok(sources.into_iter().next().map(|source| Sourced::new(source, origin))),
        _ => Err(usage(format!("the {origin} gives more than one source for the passphrase"))),
    };
    let flags = flags
        .passphrase_file
        .clone()
        .map(File)
        .into_iter()
        .chain(flags.passphrase_command.clone().map(Command));
    if let Some(source) = one(flags.collect(), Origin::CommandLine)? {
        return Ok(source);
    }
    let file = env.path("STRONGROOM_PASSPHRASE_FILE").map(File);
    let command = env.text("STRONGROOM_PASSPHRASE_COMMAND").map_err(usage)?.map(Command);
    let itself = env.os("STRONGROOM_PASSPHRASE").map(|_| Environment);
    if let Some(source) = one(file.into_iter().chain(command).chain(itself).collect(), Origin::Environment)? {
        return Ok(source);
    }
    let file = section.passphrase_file.clone().map(File);
    let command = section.passphrase_command.clone().map(Command);
    let source = one(file.into_iter().chain(command).collect(), Origin::ConfigFile)?;
    Ok(Sourced::or_default(source, Prompt))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
