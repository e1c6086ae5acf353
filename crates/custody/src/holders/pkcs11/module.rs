//! The modules of this process: each is loaded and initialised once, and stays.

use super::{access::Door, error::classify};
use crate::holder::HolderError;
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};
use strongroom_format::{Entropy, SystemEntropy};

static MODULES: LazyLock<Mutex<BTreeMap<PathBuf, Arc<Module>>>> = LazyLock::new(Mutex::default);

/// A loaded module.
pub(super) struct Module {
    pub(super) context: Pkcs11,
    logins: Mutex<Logins>,
}

impl Module {
    /// The module of `door`. Only the client's own path is ever loaded.
    pub(super) fn load(door: &Door) -> Result<Arc<Self>, HolderError> {
        let shown = door.access.module.display();
        let path = match door.access.module.canonicalize() {
            Ok(path) => path,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(door.no_module()),
            Err(error) => {
                return Err(HolderError::io(format!("cannot reach PKCS#11 module `{shown}`"), error));
            }
        };
        // Held while loading, so that threads that come at the same time initialise it once.
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(&path) {
            return Ok(Arc::clone(module));
        }
        let unusable =
            |error: Error| HolderError::NoSecret(format!("`{shown}` is no usable PKCS#11 module: {error}"));
        let context = Pkcs11::new(&path).map_err(unusable)?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error @ Error::Pkcs11(RvError::CantLock | RvError::NeedToCreateThreads, _)) => {
                return Err(unusable(error));
            }
            Err(error) => return Err(classify(error)),
        }
        let module = Arc::new(Self { context, logins: Mutex::new(Logins::new()) });
        modules.insert(path, Arc::clone(&module));
        Ok(module)
    }

    /// One login at a time, so that two threads do not both try one wrong PIN.
    pub(super) fn logins(&self) -> MutexGuard<'_, Logins> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which PINs were refused in this process, as keyed hashes under a key that nobody else has.
pub(super) struct Logins {
    key: [u8; 32],
    refused: BTreeSet<[u8; 32]>,
}

impl Logins {
    fn new() -> Self {
        Self { key: SystemEntropy.array(), refused: BTreeSet::new() }
    }

    fn hash(&self, token: &str, pin: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&(token.len() as u64).to_le_bytes());
        hasher.update(token.as_bytes());
        hasher.update(pin.as_bytes());
        *hasher.finalize().as_bytes()
    }

    /// Whether `token`, by its serial number, refused this PIN before.
    pub(super) fn was_refused(&self, token: &str, pin: &str) -> bool {
        self.refused.contains(&self.hash(token, pin))
    }

    pub(super) fn refused(&mut self, token: &str, pin: &str) {
        self.refused.insert(self.hash(token, pin));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_pin_is_remembered_for_its_token_only() {
        let mut logins = Logins::new();
        logins.refused("0001", "1234");
        assert!(logins.was_refused("0001", "1234"));
        assert!(!logins.was_refused("0002", "1234"));
        assert!(!logins.was_refused("0001", "12345"));
        assert!(!logins.was_refused("00011", "234"));
    }
}
