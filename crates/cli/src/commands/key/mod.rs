//! `strongroom key`: who holds the keys of a vault, and the life of those keys.

mod change;
mod changes;
mod drill;
mod drill_by_file;
mod explain;
mod policy;
mod policy_aws_kms;
mod rekey;
mod revoke;
mod rewrap;
mod shred;
mod status;
mod switch;

pub(crate) use changes::warn_of_waiting;

use crate::commands::Context;
use crate::error::CliError;
use crate::session::Session;
use clap::{Args, Subcommand};
use strongroom_custody::ReasonCode;
use strongroom_ledger::entry::Verb;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom key status\n\
    \x20 strongroom key explain\n\
    \x20 strongroom key add safe=file:/media/safe.key --read\n\
    \x20 strongroom key remove laptop\n\
    \x20 strongroom key revoke stolen\n\
    \x20 strongroom key rewrap --read-policy 'any(kms, 2 of (alice, bob, carol))'\n\
    \x20 strongroom key test";

/// See, change, switch and test who holds the keys
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct KeyArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: KeyAction,
}

/// What to do with keys.
#[derive(Clone, Debug, Subcommand)]
pub enum KeyAction {
    /// Add a keyholder, and wrap the keys to it
    Add(change::AddArgs),
    /// Carry out a change whose time has come
    Apply(changes::ApplyArgs),
    /// Stop a change that waits; any keyholder of the policies can
    Cancel(changes::CancelArgs),
    /// Verify and show the certificate of a change that was carried out
    Certificate(changes::CertificateArgs),
    /// List the dangerous changes that wait, and those that are over
    Changes,
    /// Draw the policies of a dataset, with what each keyholder can do now
    Explain,
    /// Print the least rights that the roles of this vault need at a provider
    Policy(policy::PolicyArgs),
    /// Open a new epoch, and tell what older read keys still open; rewrite it where asked
    Rekey(rekey::RekeyArgs),
    /// Take a keyholder out of the policies, and wrap the keys without it
    Remove(change::RemoveArgs),
    /// Let the provider enable a key that was suspended
    Resume(switch::SwitchArgs),
    /// Take a keyholder out of the policies, wrap the keys without it, and open a new epoch everywhere
    Revoke(revoke::RevokeArgs),
    /// Wrap the keys under the policies in force, or under new ones
    Rewrap(rewrap::RewrapArgs),
    /// Open the next epoch now: later backups seal to a new read key
    Rotate,
    /// Destroy every wrap of epochs, a dataset or the vault: nobody can read what they sealed
    Shred(shred::ShredArgs),
    /// Show the keyholders, what each can do now, and what is in danger
    Status(status::StatusArgs),
    /// Let the provider disable a key: nothing opens by it until it is resumed
    Suspend(switch::SwitchArgs),
    /// Challenge the keyholders: each must open what it wrapped
    Test(drill::TestArgs),
    /// Change how long dangerous changes wait
    TimeLock(changes::TimeLockArgs),
    /// Take the vault as it stands for the right one, after a change that you know of
    Trust(TrustArgs),
}

impl KeyArgs {
    /// What the ledger calls this; `None` for what only looks.
    #[must_use]
    pub fn verb(&self) -> Option<Verb> {
        match &self.action {
            KeyAction::Add(_) | KeyAction::Remove(_) | KeyAction::TimeLock(_) => Some(Verb::Policy),
            KeyAction::Apply(_) | KeyAction::Cancel(_) => Some(Verb::Policy),
            KeyAction::Rekey(_) | KeyAction::Rotate => Some(Verb::Rotate),
            KeyAction::Resume(_) => Some(Verb::Resume),
            KeyAction::Revoke(_) => Some(Verb::Revoke),
            KeyAction::Rewrap(_) => Some(Verb::Rewrap),
            KeyAction::Shred(_) => Some(Verb::Shred),
            KeyAction::Suspend(_) => Some(Verb::Suspend),
            KeyAction::Test(_) => Some(Verb::Drill),
            KeyAction::Certificate(_)
            | KeyAction::Changes
            | KeyAction::Explain
            | KeyAction::Policy(_)
            | KeyAction::Status(_)
            | KeyAction::Trust(_) => None,
        }
    }
}

/// Options of `key trust`.
#[derive(Args, Clone, Debug)]
pub struct TrustArgs {
    /// The id of the vault, as it was written down when it was made
    #[arg(value_name = "VAULT-ID")]
    pub id: String,
}

/// Does what was asked.
///
/// # Errors
/// Where custody refuses, the storage fails, or what was asked makes no sense.
pub fn run(args: &KeyArgs, context: &Context) -> Result<(), CliError> {
    match &args.action {
        KeyAction::Add(args) => change::add(args, context),
        KeyAction::Apply(args) => changes::apply(args, context),
        KeyAction::Cancel(args) => changes::cancel(args, context),
        KeyAction::Certificate(args) => changes::certificate(args, context),
        KeyAction::Changes => changes::list(context),
        KeyAction::Rekey(args) => rekey::run(args, context),
        KeyAction::Shred(args) => shred::run(args, context),
        KeyAction::TimeLock(args) => changes::time_lock(args, context),
        KeyAction::Explain => explain::run(context),
        KeyAction::Policy(args) => policy::run(args, context),
        KeyAction::Remove(args) => change::remove(args, context),
        KeyAction::Resume(args) => switch::run(args, strongroom_custody::Switch::On, context),
        KeyAction::Revoke(args) => revoke::run(args, context),
        KeyAction::Rewrap(args) => rewrap::run(args, context),
        KeyAction::Rotate => rotate(context),
        KeyAction::Status(args) => status::run(args, context),
        KeyAction::Suspend(args) => switch::run(args, strongroom_custody::Switch::Off, context),
        KeyAction::Test(args) => drill::run(args, context),
        KeyAction::Trust(args) => trust(args, context),
    }
}

fn rotate(context: &Context) -> Result<(), CliError> {
    let session = Session::open(context, ReasonCode::Admin)?;
    let handle = session.write()?;
    let number = session.block_on(session.vault.rotate(&handle, &session.custody, &session.reason))?;
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "epoch_opened", "dataset": session.dataset, "epoch": number,
        }));
    }
    context.output.line(&format!(
        "Opened epoch {number} of dataset {}: backups from now on seal to its read key",
        session.dataset
    ))
}

fn trust(args: &TrustArgs, context: &Context) -> Result<(), CliError> {
    let vault = Session::open_unpinned(context)?;
    crate::pins::trust(context, &vault, &args.id)?;
    crate::ledger::trust(context, &*crate::session::runtime()?, context.settings.require_location()?)?;
    if context.output.is_json() {
        let keyring = vault.keyring();
        return context.output.json(&serde_json::json!({
            "message_type": "trusted", "vault": keyring.vault, "keyring": keyring.version,
        }));
    }
    context.output.line(&format!(
        "This machine now takes vault {} with version {} of its keyring for the right one",
        args.id,
        vault.keyring().version
    ))
}
