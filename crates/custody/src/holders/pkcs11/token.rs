//! An open session with one token: finding the token, logging in, finding the key.

use super::{
    access::{Door, PinSource},
    error::{classify, is_absent, is_wrong_pin},
    module::Module,
    spec::KeyName,
};
use crate::holder::{Answer, HolderError};
use cryptoki::{
    context::Pkcs11,
    error::{Error, RvError},
    mechanism::MechanismType,
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::{Session, SessionState, UserType},
    slot::{Slot, TokenInfo},
    types::AuthPin,
};
use std::sync::Arc;

/// What a session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Use keys.
    Use,
    /// Make keys and change them.
    Change,
}

/// An open session.
pub(super) struct Token {
    pub(super) session: Session,
    module: Arc<Module>,
    slot: Slot,
    label: String,
    login_required: bool,
}

impl Token {
    /// Opens a session with the token `label` and logs in where it must.
    pub(super) fn open(door: &Door, label: &str, access: Access) -> Result<Self, HolderError> {
        let module = Module::load(door)?;
        let (slot, info) = find(&module.context, label)?;
        let opened = match access {
            Access::Use => module.context.open_ro_session(slot),
            Access::Change => module.context.open_rw_session(slot),
        };
        let session = opened.map_err(classify)?;
        let token =
            Self { session, module, slot, label: label.to_owned(), login_required: info.login_required() };
        if !token.is_alive() {
            token.login(door, &info)?;
        }
        Ok(token)
    }

    /// Looks whether the token is there, without a login.
    pub(super) fn look(door: &Door, label: &str) -> Result<(), HolderError> {
        find(&Module::load(door)?.context, label).map(drop)
    }

    /// Whether keys can be used in the session: the login is one of all sessions of the process with the token.
    pub(super) fn is_alive(&self) -> bool {
        match self.session.get_session_info() {
            Ok(info) => {
                let state = info.session_state();
                !self.login_required || matches!(state, SessionState::RoUser | SessionState::RwUser)
            }
            Err(_) => false,
        }
    }

    /// Whether the token still answers, and says nothing of a failure of its own.
    pub(super) fn is_well(&self) -> bool {
        let info = self.module.context.get_token_info(self.slot);
        self.is_alive() && info.is_ok_and(|info| !info.error_state() && info.label() == self.label)
    }

    fn login(&self, door: &Door, info: &TokenInfo) -> Result<(), HolderError> {
        let name = &self.label;
        if info.user_pin_locked() {
            return Err(self.locked());
        }
        let mut logins = self.module.logins();
        if self.is_alive() {
            // Another thread was faster.
            return Ok(());
        }
        let serial = info.serial_number();
        if info.protected_authentication_path() && matches!(door.access.pin, PinSource::Person) {
            return match self.session.login(UserType::User, None) {
                Err(error) if is_wrong_pin(&error) => Err(self.wrong_pin("The token was not asked again.")),
                other => self.logged_in(other),
            };
        }
        if info.user_pin_final_try() && !matches!(door.access.pin, PinSource::Person) {
            return Err(HolderError::Denied(Answer::said(format!(
                "token `{name}` locks its PIN at the next wrong one, so it is not tried unattended; \
                 log in to it once by hand, which resets the count"
            ))));
        }
        let pin = door.pin(name)?;
        if logins.was_refused(serial, &pin) {
            return Err(self.wrong_pin("It was refused before, and the token was not asked again."));
        }
        match self.session.login(UserType::User, Some(&AuthPin::new(pin.as_str().into()))) {
            Err(error) if is_wrong_pin(&error) => {
                logins.refused(serial, &pin);
                Err(self.wrong_pin("It is not tried again."))
            }
            other => self.logged_in(other),
        }
    }

    fn logged_in(&self, result: cryptoki::error::Result<()>) -> Result<(), HolderError> {
        match result {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(Error::Pkcs11(RvError::PinLocked, _)) => Err(self.locked()),
            Err(error) => Err(classify(error)),
        }
    }

    fn wrong_pin(&self, what: &str) -> HolderError {
        HolderError::WrongSecret(format!(
            "the PIN is not that of token `{}`. {what} A token locks its PIN after a few wrong ones, \
             and then only its security officer can set a new one",
            self.label
        ))
    }

    fn locked(&self) -> HolderError {
        HolderError::Denied(Answer {
            code: Some("CKR_PIN_LOCKED".into()),
            said: format!(
                "the PIN of token `{}` is locked; its security officer can set a new one",
                self.label
            ),
            request_id: None,
        })
    }

    /// The one secret key of that name.
    pub(super) fn key(&self, name: &KeyName) -> Result<Key<'_>, HolderError> {
        match self.keys(name)?.as_slice() {
            [] => Err(HolderError::Deleted(Answer::said(format!(
                "token `{}` has no secret key {name}",
                self.label
            )))),
            [handle] => self.read(*handle),
            several => Err(HolderError::Malformed(format!(
                "token `{}` has {} secret keys {name}: name the right one by `key_id`",
                self.label,
                several.len()
            ))),
        }
    }

    /// All secret keys of that name.
    pub(super) fn keys(&self, name: &KeyName) -> Result<Vec<ObjectHandle>, HolderError> {
        let mut template = vec![Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Token(true)];
        template.extend(name.label.as_ref().map(|label| Attribute::Label(label.clone().into_bytes())));
        template.extend(name.id.as_ref().map(|id| Attribute::Id(id.clone())));
        self.session.find_objects(&template).map_err(classify)
    }

    fn read(&self, handle: ObjectHandle) -> Result<Key<'_>, HolderError> {
        use AttributeType as T;
        let wanted = [
            T::KeyType,
            T::ValueLen,
            T::Sensitive,
            T::Extractable,
            T::Encrypt,
            T::Decrypt,
            T::Wrap,
            T::Unwrap,
        ];
        let mut key = Key {
            token: self,
            handle,
            is_aes: false,
            len: None,
            sensitive: false,
            extractable: true,
            encrypt: false,
            decrypt: false,
            wrap: false,
            unwrap: false,
        };
        for attribute in self.session.get_attributes(handle, &wanted).map_err(classify)? {
            match attribute {
                Attribute::KeyType(kind) => key.is_aes = kind == KeyType::AES,
                Attribute::ValueLen(len) => key.len = Some(*len as usize),
                Attribute::Sensitive(yes) => key.sensitive = yes,
                Attribute::Extractable(yes) => key.extractable = yes,
                Attribute::Encrypt(yes) => key.encrypt = yes,
                Attribute::Decrypt(yes) => key.decrypt = yes,
                Attribute::Wrap(yes) => key.wrap = yes,
                Attribute::Unwrap(yes) => key.unwrap = yes,
                _ => {}
            }
        }
        Ok(key)
    }

    /// The mechanisms that the token has.
    pub(super) fn mechanisms(&self) -> Result<Vec<MechanismType>, HolderError> {
        self.module.context.get_mechanism_list(self.slot).map_err(classify)
    }
}

/// A secret key on a token, and what its token says of it.
pub(super) struct Key<'a> {
    pub(super) token: &'a Token,
    pub(super) handle: ObjectHandle,
    pub(super) is_aes: bool,
    /// In bytes, where the token tells.
    pub(super) len: Option<usize>,
    pub(super) sensitive: bool,
    pub(super) extractable: bool,
    pub(super) encrypt: bool,
    pub(super) decrypt: bool,
    pub(super) wrap: bool,
    pub(super) unwrap: bool,
}

/// The slot with the token `label`.
fn find(context: &Pkcs11, label: &str) -> Result<(Slot, TokenInfo), HolderError> {
    let mut found = None;
    let mut failure = None;
    for slot in context.get_slots_with_token().map_err(classify)? {
        match context.get_token_info(slot) {
            Ok(info) if info.token_initialized() && info.label() == label => {
                if found.replace((slot, info)).is_some() {
                    return Err(HolderError::Malformed(format!("two tokens are called `{label}`")));
                }
            }
            Ok(_) => {}
            Err(error) if is_absent(&error) => {}
            Err(error) => failure = Some(error),
        }
    }
    found.ok_or_else(|| match failure {
        Some(error) => classify(error),
        None => HolderError::Unreachable(Answer::said(format!("there is no token `{label}` in any slot"))),
    })
}
