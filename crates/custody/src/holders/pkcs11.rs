//! Keyholders of the kind `pkcs11`: an AES-256 key that a hardware security module does not let out.
//!
//! Public parameters: `token` (the token's label), `key` (the key's label) and `key_id` (hexadecimal), at least
//! one of the two, `mechanism` (`aes-gcm` or `aes-kw`), and `module`, a hint for people at the library by its name.
//! Which library is loaded, and the PIN, come from the client's [`Access`] alone: a keyring that somebody swapped
//! must never make this program load code.
//!
//! The key is symmetric: whoever can wrap can open. A host that should write only needs another keyholder for its
//! read keys, such as `age` or `file`.
//!
//! In scope: finding the token and its key, login, wrapping by AES-GCM or AES key wrap, describing and generating
//! keys. Out of scope: initialising tokens, setting PINs, backing up tokens, which their own tools do.
//!
//! Invariant: a PIN that a token refused is not shown to it again by this process, because tokens count.

mod access;
mod blob;
mod error;
mod module;
mod setup;
mod spec;
mod token;

pub use access::{Access, PinSource, TokenAccess};
pub use setup::{Wanted, describe, generate};
pub use spec::{KeyName, WrapMechanism};

use crate::{
    holder::{Answer, Effort, HolderError, HolderState, Keyholder, Operation, Reply, Switch, SwitchError},
    secrets::Secrets,
};
use access::Door;
use async_trait::async_trait;
use blob::Blob;
use cryptoki::object::Attribute;
use spec::Parameters;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use strongroom_format::{Secret32, context::Context, keyring::KeyholderSpec};
use token::{Key, Token};

/// The kind's name in keyrings.
pub const KIND: &str = "pkcs11";
/// After which time a token that does not answer counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(30);

/// A keyholder of the kind `pkcs11`.
#[derive(Clone)]
pub struct Pkcs11Keyholder {
    label: String,
    parameters: Parameters,
    door: Option<Door>,
    /// The open session, if there is one. Its lock keeps calls one after another.
    token: Arc<Mutex<Option<Token>>>,
}

impl Pkcs11Keyholder {
    /// The keyholder `label` as the keyring describes it. Loads nothing yet.
    ///
    /// # Errors
    /// [`HolderError::Malformed`] for parameters that this kind does not allow.
    pub fn new(label: &str, spec: &KeyholderSpec, secrets: &Secrets) -> Result<Self, HolderError> {
        Ok(Self {
            label: label.to_owned(),
            parameters: Parameters::read(spec)?,
            door: Door::find(label, secrets),
            token: Arc::default(),
        })
    }

    fn door(&self) -> Result<&Door, HolderError> {
        self.door.as_ref().ok_or_else(|| {
            let hint = self.parameters.module.as_deref().unwrap_or("unknown");
            HolderError::NoSecret(format!(
                "no PKCS#11 module is configured for token `{}` (it was described with `{hint}`)",
                self.parameters.token
            ))
        })
    }

    /// Runs `work` with the key, on the open session or a new one.
    async fn with_key<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Key<'_>) -> Result<T, HolderError> + Send + 'static,
    ) -> Result<T, HolderError> {
        let door = self.door()?.clone();
        door.ready()?;
        let this = self.clone();
        let patience = if door.asks_somebody() { None } else { Some(PATIENCE) };
        on_its_own_thread(patience, move || {
            let mut open = this.token.lock().unwrap_or_else(PoisonError::into_inner);
            if open.as_ref().is_some_and(|token| !token.is_alive()) {
                *open = None;
            }
            let token = match open.take() {
                Some(token) => token,
                None => Token::open(&door, &this.parameters.token, token::Access::Use)?,
            };
            let result = token.key(&this.parameters.key).and_then(|key| work(&key));
            // A session in which a call failed for an unknown reason may still be in the middle of it.
            if !result.as_ref().is_err_and(HolderError::is_passing) {
                *open = Some(token);
            }
            result
        })
        .await
    }

    fn has_session(&self) -> bool {
        self.token.try_lock().is_ok_and(|open| open.as_ref().is_some_and(Token::is_alive))
    }

    /// Sets whether the key may be used, in a session of its own, and looks whether the token did it.
    fn set_usable(&self, usable: bool) -> Result<(), HolderError> {
        let token = Token::open(self.door()?, &self.parameters.token, token::Access::Change)?;
        let key = token.key(&self.parameters.key)?;
        let change = match self.parameters.mechanism {
            WrapMechanism::AesGcm => [Attribute::Encrypt(usable), Attribute::Decrypt(usable)],
            WrapMechanism::AesKw => [Attribute::Wrap(usable), Attribute::Unwrap(usable)],
        };
        token.session.update_attributes(key.handle, &change).map_err(error::classify)?;
        let changed = token.key(&self.parameters.key)?;
        for operation in [Operation::Wrap, Operation::Unwrap] {
            if switched_on(&changed, self.parameters.mechanism, operation).is_ok() != usable {
                return Err(HolderError::Malformed(
                    "the token says that it changed the key and did not".into(),
                ));
            }
        }
        Ok(())
    }

    /// What a person can run where the token does not let its keys be changed: a new PIN locks every client out.
    fn command(&self) -> String {
        let module = match &self.door {
            Some(door) => door.access.module.display().to_string(),
            None => "MODULE".to_owned(),
        };
        let (module, token) = (quoted(&module), quoted(&self.parameters.token));
        format!("pkcs11-tool --module {module} --token-label {token} --login --change-pin")
    }
}

/// Whether the key may do what it is asked: tokens have many codes for a key that may not.
fn switched_on(key: &Key<'_>, mechanism: WrapMechanism, operation: Operation) -> Result<(), HolderError> {
    let (may, attribute) = match (mechanism, operation) {
        (WrapMechanism::AesGcm, Operation::Wrap) => (key.encrypt, "CKA_ENCRYPT"),
        (WrapMechanism::AesGcm, Operation::Unwrap) => (key.decrypt, "CKA_DECRYPT"),
        (WrapMechanism::AesKw, Operation::Wrap) => (key.wrap, "CKA_WRAP"),
        (WrapMechanism::AesKw, Operation::Unwrap) => (key.unwrap, "CKA_UNWRAP"),
    };
    if may { Ok(()) } else { Err(HolderError::Disabled(Answer::said(format!("{attribute} is false")))) }
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | '=' | ':');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Runs `work`, which may hang in a module for ever, on a thread that nobody has to wait for.
async fn on_its_own_thread<T: Send + 'static>(
    patience: Option<Duration>,
    work: impl FnOnce() -> Result<T, HolderError> + Send + 'static,
) -> Result<T, HolderError> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("pkcs11".into())
        .spawn(move || {
            // Where nobody waits any longer, the result is dropped, which wipes it.
            let _ = sender.send(work());
        })
        .map_err(|error| HolderError::io("cannot start a thread for the PKCS#11 module", error))?;
    let answered = match patience {
        Some(patience) => match tokio::time::timeout(patience, receiver).await {
            Ok(answered) => answered,
            Err(_) => {
                let said = format!("the token did not answer in {} s", patience.as_secs());
                return Err(HolderError::Unreachable(said.into()));
            }
        },
        None => receiver.await,
    };
    answered.unwrap_or_else(|_| {
        Err(HolderError::io("the call of the PKCS#11 module was stopped", std::io::ErrorKind::Other.into()))
    })
}

impl std::fmt::Debug for Pkcs11Keyholder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pkcs11Keyholder")
            .field("label", &self.label)
            .field("parameters", &self.parameters)
            .field("door", &self.door)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Keyholder for Pkcs11Keyholder {
    fn label(&self) -> &str {
        &self.label
    }

    fn kind(&self) -> &str {
        KIND
    }

    fn effort(&self) -> Effort {
        Effort::Device
    }

    fn ready(&self, _: Operation) -> Result<(), HolderError> {
        self.door()?.ready()
    }

    async fn wrap(&self, context: &Context, key: &Secret32) -> Result<Reply<Vec<u8>>, HolderError> {
        let (context, secret) = (context.clone(), key.clone());
        let Parameters { key: name, mechanism, .. } = self.parameters.clone();
        self.with_key(move |key| {
            // Another key may have come under the name since it was described.
            setup::check_key(key, &name)?;
            switched_on(key, mechanism, Operation::Wrap)?;
            blob::wrap(key, mechanism, &context, &secret)
        })
        .await
        .map(Reply::local)
    }

    async fn unwrap(&self, context: &Context, blob: &[u8]) -> Result<Reply<Secret32>, HolderError> {
        let blob = Blob::parse(self.parameters.mechanism, blob)?;
        let (context, mechanism) = (context.clone(), self.parameters.mechanism);
        self.with_key(move |key| {
            switched_on(key, mechanism, Operation::Unwrap)?;
            blob::unwrap(key, blob, &context)
        })
        .await
        .map(Reply::local)
    }

    async fn state(&self) -> HolderState {
        let found = match self.door() {
            // Nobody is troubled for a PIN only to see how things are.
            Ok(door) if door.asks_somebody() && !self.has_session() => {
                let (door, token) = (door.clone(), self.parameters.token.clone());
                let looked = on_its_own_thread(Some(PATIENCE), move || Token::look(&door, &token)).await;
                if looked.is_ok() {
                    let token = &self.parameters.token;
                    return HolderState::Away(format!("token `{token}` asks for its PIN when it is needed"));
                }
                looked
            }
            Ok(_) => {
                let mechanism = self.parameters.mechanism;
                self.with_key(move |key| switched_on(key, mechanism, Operation::Unwrap)).await
            }
            Err(error) => Err(error),
        };
        match found {
            Ok(()) => HolderState::CanOpen,
            Err(HolderError::Disabled(_)) => HolderState::Disabled,
            Err(HolderError::NoSecret(what)) => HolderState::Away(what),
            Err(HolderError::Deleted(_)) => HolderState::Deleted,
            Err(HolderError::Denied(answer)) => HolderState::Denied(answer.to_string()),
            Err(HolderError::WrongSecret(what)) => HolderState::Denied(what),
            Err(HolderError::Unreachable(answer) | HolderError::Throttled(answer)) => {
                HolderState::Unreachable(answer.to_string())
            }
            Err(error) => HolderState::Unknown(error.to_string()),
        }
    }

    /// Sets `CKA_ENCRYPT` and `CKA_DECRYPT` of the key, or `CKA_WRAP` and `CKA_UNWRAP`. Whoever has the token's PIN
    /// can set them back.
    async fn switch(&self, to: Switch) -> Result<(), SwitchError> {
        let refused = |source| SwitchError::Refused { command: self.command(), source };
        let patience = match self.door().and_then(|door| door.ready().map(|()| door)) {
            Ok(door) if door.asks_somebody() => None,
            Ok(_) => Some(PATIENCE),
            Err(error) => return Err(refused(error)),
        };
        let this = self.clone();
        on_its_own_thread(patience, move || this.set_usable(to == Switch::On)).await.map_err(refused)
    }

    fn custodian(&self) -> Option<String> {
        Some(format!("hsm token {}", self.parameters.token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        assert_eq!(quoted("/usr/lib/libsofthsm2.so"), "/usr/lib/libsofthsm2.so");
        assert_eq!(quoted("it's a token"), r"'it'\''s a token'");
        assert_eq!(quoted(""), "''");
    }

    #[tokio::test]
    async fn a_token_that_hangs_is_unreachable() {
        let (keep, wait) = std::sync::mpsc::channel::<()>();
        let hanging = move || wait.recv().map_err(|_| HolderError::Tampered);
        let error = on_its_own_thread(Some(Duration::from_millis(20)), hanging).await.unwrap_err();
        assert!(matches!(error, HolderError::Unreachable(_)), "{error}");
        drop(keep);
    }
}
