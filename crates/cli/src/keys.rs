//! What this machine has to open keys: key files and where they lie by default, passphrases, prompts.

use crate::commands::Context;
use crate::env::Env;
use crate::error::{CliError, ErrorKind};
use crate::messages::Messages;
use crate::secrets::{self, PassphraseSource, Use};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use strongroom_custody::holders::{aws_kms, file, pkcs11, transit};
use strongroom_custody::observer::{KeyUse, Observer, Outcome, Refusal};
use strongroom_custody::{Prompts, Secrets};
use strongroom_format::VaultId;
use strongroom_format::keyring::{KeyholderSpec, Keyring};
use zeroize::Zeroizing;

/// The directory of all key files that have no other place.
///
/// # Errors
/// [`ErrorKind::Usage`] where there is no home directory.
pub fn key_directory(env: &Env) -> Result<PathBuf, CliError> {
    env.xdg("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("strongroom/keys")).ok_or_else(|| {
        CliError::new(ErrorKind::Usage, "there is no home directory to keep key files in")
            .hint("set HOME or XDG_CONFIG_HOME, or give a PATH: --keyholder NAME=file:PATH")
    })
}

/// Where the key file of a keyholder lies by default.
#[must_use]
pub fn default_key_file(env: &Env, vault: &VaultId, label: &str) -> Option<PathBuf> {
    Some(key_directory(env).ok()?.join(vault.to_hex()).join(format!("{label}.key")))
}

/// Everything that the keyholders of a vault may use here.
#[must_use]
pub fn secrets(context: &Context, vault: &VaultId, holders: &BTreeMap<String, KeyholderSpec>) -> Secrets {
    let mut secrets = given(context);
    for (label, _) in holders.iter().filter(|(_, spec)| spec.kind == file::KIND) {
        if !secrets.key_files.contains_key(label)
            && let Some(path) = default_key_file(&context.env, vault, label)
        {
            secrets.key_files.insert(label.clone(), path);
        }
    }
    secrets
}

/// What options, environment and config file give, for any vault.
#[must_use]
pub fn given(context: &Context) -> Secrets {
    let settings = &context.settings;
    let mut secrets = Secrets::none().with_prompts(Terminal(Arc::clone(&context.messages)));
    for file in &settings.key_files {
        secrets = secrets.with_key_file(file.value.label.clone(), file.value.path.clone());
    }
    for identity in &settings.identities {
        secrets = secrets.with_identity(identity.value.clone());
    }
    secrets = secrets.with_transit(transit::Access::from_env(|name| context.env.os(name).cloned()));
    let text = |name: &str| context.env.text(name).ok().flatten();
    if let Some(arn) = text("STRONGROOM_AWS_ROLE") {
        let role = aws_kms::Role { arn, external_id: text("STRONGROOM_AWS_EXTERNAL_ID") };
        secrets = secrets.with_aws(aws_kms::Access { role: Some(role), ..aws_kms::Access::default() });
    }
    if let Some(module) = context.env.path("STRONGROOM_PKCS11_MODULE") {
        let pin = match context.env.path("STRONGROOM_PKCS11_PIN_FILE") {
            Some(path) => pkcs11::PinSource::File(path),
            None => pkcs11::PinSource::Person,
        };
        secrets = secrets.with_pkcs11(pkcs11::Access::everywhere(pkcs11::TokenAccess { module, pin }));
    }
    let source = settings.passphrase.value.clone();
    if source != PassphraseSource::Prompt || io::stdin().is_terminal() {
        let env = context.env.clone();
        secrets = secrets.with_passphrases(move |holder: &str, attempt: u32| {
            // A file, a command or a variable gives the same again.
            if attempt > 1 && source != PassphraseSource::Prompt {
                return Ok(None);
            }
            secrets::passphrase(&source, holder, Use::Open, &env).map(Some).map_err(io::Error::other)
        });
    }
    secrets.with_operation(&context.ledgers.operation().to_string())
}

/// Warns of what endangers a vault's backups for as long as it lasts.
pub fn standing_warnings(context: &Context, keyring: &Keyring, dataset: &str, say: &dyn Fn(&str)) {
    let Some(record) = keyring.dataset(dataset) else { return };
    let readers: Vec<&str> = record.read_policy.leaves().collect();
    if let [only] = readers[..] {
        say(&format!(
            "`{only}` is the only keyholder that opens the backups of `{dataset}`: if it is lost, they are lost; \
             add a second one that does not share its place"
        ));
    }
    for label in readers {
        let path = default_key_file(&context.env, &keyring.vault, label);
        let writes_too = record.write_policy.leaves().any(|writer| writer == label);
        if let Some(path) = path.filter(|path| path.exists()) {
            let why = if writes_too { ", and the write policy needs it here" } else { "" };
            say(&format!(
                "the read key of `{label}` is on this host ({}){why}: whoever takes over the host can read all \
                 backups; move it to a safe place",
                path.display()
            ));
        }
    }
}

/// Tells of key uses with `--verbose`.
#[must_use]
pub fn observer(context: &Context) -> Arc<dyn Observer> {
    Arc::new(Narrator(Arc::clone(&context.messages)))
}

struct Narrator(Arc<Messages>);

#[async_trait::async_trait]
impl Observer for Narrator {
    async fn before(&self, _: &KeyUse) -> Result<(), Refusal> {
        Ok(())
    }

    async fn after(&self, key_use: &KeyUse, outcome: &Outcome<'_>) -> Result<(), Refusal> {
        let KeyUse { operation, holder, context, reason, .. } = key_use;
        let ended = match outcome.failure {
            Some(error) => format!("failed: {error}"),
            None => "done".to_owned(),
        };
        let epoch = if context.epoch > 0 { format!(", epoch {}", context.epoch) } else { String::new() };
        self.0.detail(&format!(
            "key use: {operation} of the {} key of `{}`{epoch} by `{holder}` for {}: {ended}",
            context.purpose, context.dataset, reason.code
        ));
        Ok(())
    }
}

/// Speaks for identities and plugins on the terminal.
struct Terminal(Arc<Messages>);

impl Terminal {
    fn line(&self, text: &str) -> Option<String> {
        if !io::stdin().is_terminal() {
            return None;
        }
        self.0.warn(text);
        let mut line = String::new();
        io::stdin().read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

impl Prompts for Terminal {
    fn message(&self, text: &str) {
        self.0.warn(text);
    }

    fn confirm(&self, text: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let no = no.unwrap_or("no");
        let answer = self.line(&format!("{text} ({yes}/{no})"))?;
        if answer == yes {
            Some(true)
        } else if answer == no {
            Some(false)
        } else {
            None
        }
    }

    fn public(&self, text: &str) -> Option<String> {
        self.line(text)
    }

    fn secret(&self, text: &str) -> Option<Zeroizing<String>> {
        if !io::stdin().is_terminal() {
            return None;
        }
        let prompt = format!("{}: ", crate::escape::text(text));
        rpassword::prompt_password(prompt).ok().map(Zeroizing::new)
    }
}
