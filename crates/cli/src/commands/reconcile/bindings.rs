//! Whether what an audit device hides is what the ledger says: its server is asked.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::{keys, session};
use std::collections::HashMap;
use strongroom_custody::holders::transit::{self, AuditHash};
use strongroom_format::keyring::Keyring;
use strongroom_trail::event::Event;
use strongroom_trail::reconcile::{KeyUse, Reconciliation};

/// Checks the contexts of what matched.
pub(super) fn check(
    context: &Context,
    keyring: Option<&Keyring>,
    reconciliation: &mut Reconciliation,
    uses: &[KeyUse],
    events: &[Event],
) -> Result<(), CliError> {
    let keyring = keyring.ok_or_else(|| {
        CliError::new(ErrorKind::Usage, "no vault is given, so nobody knows which server to ask")
    })?;
    let secrets = keys::secrets(context, &keyring.vault, &keyring.keyholders);
    let mut servers = Vec::new();
    for (label, spec) in keyring.keyholders.iter().filter(|(_, spec)| spec.kind == transit::KIND) {
        let server = AuditHash::new(spec, &secrets).map_err(|error| {
            CliError::new(ErrorKind::Usage, format!("the server of `{label}` cannot be asked"))
                .caused_by(&error)
        })?;
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    // Devices of different servers may have the same name, and nothing in their lines tells them apart.
    let [server] = &servers[..] else {
        let message =
            format!("contexts are checked with one Transit server; this vault has {}", servers.len());
        return Err(CliError::new(ErrorKind::Usage, message));
    };
    let runtime = session::runtime()?;
    let mut known: HashMap<(String, String), String> = HashMap::new();
    let mut ask = |device: &str, text: &str| {
        let key = (device.to_owned(), text.to_owned());
        if let Some(hash) = known.get(&key) {
            return Ok(hash.clone());
        }
        let hash = runtime.block_on(server.hash(device, text)).map_err(|error| error.to_string())?;
        known.insert(key, hash.clone());
        Ok(hash)
    };
    let bindings = reconciliation.check_bindings(uses, events, &mut ask).map_err(|error| {
        CliError::new(ErrorKind::KeyholderUnreachable, format!("the server cannot say what it hid: {error}"))
            .hint("the token needs `update` on sys/audit-hash/DEVICE; the name before = in --audit is the device's")
    })?;
    context.messages.note(&format!(
        "contexts: {} as the ledger says, {} not, {} that the log does not tell",
        bindings.same, bindings.other, bindings.unknown
    ));
    Ok(())
}
