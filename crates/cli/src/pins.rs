//! What this machine remembers of the vaults that it has seen: one small file for each location.

use crate::commands::Context;
use crate::env::Env;
use crate::error::{CliError, ErrorKind};
use crate::local_files;
use std::path::{Path, PathBuf};
use strongroom_format::ObjectHash;
use strongroom_vault::access::Vault;
use strongroom_vault::pins::Pin;
use strongroom_vault::store::Store;

/// Largest file that is read, in bytes.
const SIZE_LIMIT: u64 = 4 << 10;

fn path(env: &Env, store: &dyn Store) -> Option<PathBuf> {
    let place = ObjectHash::of(store.describe().as_bytes()).to_hex();
    let name: String = place.chars().take(32).collect();
    Some(env.xdg("XDG_STATE_HOME", ".local/state")?.join("strongroom/vaults").join(format!("{name}.json")))
}

fn read(path: &Path) -> Result<Option<Pin>, CliError> {
    let Some(bytes) = local_files::read_if_there(path, SIZE_LIMIT)? else { return Ok(None) };
    let unreadable = |error: &std::io::Error| CliError::file("read", path, error);
    let pin = serde_json::from_slice(&bytes).map_err(|error| {
        unreadable(&error.into())
            .hint("if nobody attacked this machine, remove the file: the vault is then trusted as it stands")
    })?;
    Ok(Some(pin))
}

fn write(path: &Path, pin: &Pin) -> std::io::Result<()> {
    local_files::replace_private(path, &serde_json::to_vec(pin)?)
}

/// Remembers a vault that was made or trusted here. Where that fails, a warning says what it means.
pub fn remember(context: &Context, store: &dyn Store, pin: &Pin) {
    let Some(path) = path(&context.env, store) else { return };
    if let Err(error) = write(&path, pin) {
        context.messages.warn(&format!(
            "this machine cannot remember the vault in {}, so a swapped or rolled-back keyring would not be \
             noticed: {error}",
            path.display()
        ));
    }
}

/// Compares an opened vault with what this machine remembers, and remembers what is newer. A vault that was never
/// seen at its place is trusted as it stands.
///
/// # Errors
/// [`ErrorKind::Pinned`] where the vault was swapped, or its keyring rolled back or forked.
pub async fn check(context: &Context, vault: &Vault) -> Result<(), CliError> {
    let store = vault.store().as_ref();
    let Some(path) = path(&context.env, store) else { return Ok(()) };
    let pinned = read(&path)?;
    if let Some(pinned) = &pinned {
        vault.check_pin(pinned).await?;
    }
    if pinned != Some(vault.pin()) {
        remember(context, store, &vault.pin());
    }
    Ok(())
}

/// Remembers the vault at a location as it stands, where it is the one that the user names.
///
/// # Errors
/// [`ErrorKind::Usage`] where it is another one.
pub fn trust(context: &Context, vault: &Vault, id: &str) -> Result<(), CliError> {
    let found = vault.keyring().vault.to_hex();
    if found != id {
        return Err(CliError::new(ErrorKind::Usage, format!("the vault here is {found}, not {id}"))
            .hint("compare the id with the one that was written down when the vault was made"));
    }
    remember(context, vault.store().as_ref(), &vault.pin());
    Ok(())
}
