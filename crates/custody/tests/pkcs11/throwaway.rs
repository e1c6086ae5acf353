//! Tokens and keys that a test makes and spoils, past the code under test.

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    mechanism::Mechanism,
    object::{Attribute, KeyType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::{Slot, TokenInfo},
    types::AuthPin,
};
use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};
use strongroom_testkit::services;

pub(crate) const PIN: &str = "right-pin";

/// The module, loaded beside the one of the code under test: both share its state.
pub(crate) fn module(path: &Path) -> Pkcs11 {
    let module = Pkcs11::new(path).unwrap();
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => module,
        Err(error) => panic!("{error}"),
    }
}

fn pin(text: &str) -> AuthPin {
    AuthPin::new(text.into())
}

/// A token of one test.
pub(crate) struct Throwaway {
    pub(crate) label: String,
    pub(crate) module: PathBuf,
    folder: tempfile::TempDir,
    context: Pkcs11,
}

impl Throwaway {
    /// A token whose label starts with `name`; earlier runs may have left theirs.
    pub(crate) fn new(service: &services::Pkcs11, name: &str) -> Self {
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self::named(service, &format!("{name} {:x} {count}", since_1970.as_micros()))
    }

    pub(crate) fn named(service: &services::Pkcs11, label: &str) -> Self {
        // A new token changes the numbers of slots.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let context = module(&service.module);
        let slots = context.get_slots_with_token().unwrap();
        let free = slots.into_iter().find(|slot| !context.get_token_info(*slot).unwrap().token_initialized());
        context.init_token(free.expect("a free slot"), &pin("so-pin-123"), label).unwrap();
        let new = Self {
            label: label.to_owned(),
            module: service.module.clone(),
            folder: tempfile::tempdir().unwrap(),
            context,
        };
        let session = new.context.open_rw_session(new.slot()).unwrap();
        session.login(UserType::So, Some(&pin("so-pin-123"))).unwrap();
        session.init_pin(&pin(PIN)).unwrap();
        session.logout().unwrap();
        new
    }

    fn slot(&self) -> Slot {
        let slots = self.context.get_slots_with_token().unwrap();
        let mine = |slot: &Slot| self.context.get_token_info(*slot).unwrap().label() == self.label;
        slots.into_iter().find(mine).unwrap()
    }

    pub(crate) fn info(&self) -> TokenInfo {
        self.context.get_token_info(self.slot()).unwrap()
    }

    /// A file with this PIN.
    pub(crate) fn pin_file(&self, pin: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        // A name that does not show the PIN, so that tests can look for it in what is printed.
        let path = self.folder.path().join(pin.chars().rev().collect::<String>());
        std::fs::write(&path, format!("{pin}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub(crate) fn change_pin(&self, old: &str, new: &str) {
        let session = login(&self.context, self.slot(), old);
        session.set_pin(&pin(old), &pin(new)).unwrap();
    }

    /// Tries wrong PINs until the token locks; `false` where it never does.
    pub(crate) fn lock_pin(&self) -> bool {
        let session = self.context.open_rw_session(self.slot()).unwrap();
        (0..20).any(|_| {
            let refused = session.login(UserType::User, Some(&pin("no-such-pin"))).unwrap_err();
            matches!(refused, Error::Pkcs11(RvError::PinLocked, _))
        })
    }

    /// A session in which the user is logged in, as long as it lives.
    pub(crate) fn session(&self) -> Session {
        login(&self.context, self.slot(), PIN)
    }
}

fn login(context: &Pkcs11, slot: Slot, user_pin: &str) -> Session {
    let session = context.open_rw_session(slot).unwrap();
    match session.login(UserType::User, Some(&pin(user_pin))) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => session,
        Err(error) => panic!("{error}"),
    }
}

/// A token of its own with the same module: SoftHSM fails now and then where several threads make and destroy
/// keys on one token.
pub(crate) fn own(name: &str) -> Option<(Throwaway, services::Pkcs11)> {
    let service = services::pkcs11()?;
    let token = Throwaway::new(&service, name);
    let pin_file = token.pin_file(PIN);
    let own = services::Pkcs11 { token: token.label.clone(), pin_file, ..service };
    Some((token, own))
}

/// A session with the token in which the user is logged in.
pub(crate) fn service_session(service: &services::Pkcs11) -> Session {
    let context = module(&service.module);
    let slots = context.get_slots_with_token().unwrap();
    let slot = slots.into_iter().find(|slot| context.get_token_info(*slot).unwrap().label() == service.token);
    let pin = std::fs::read_to_string(&service.pin_file).unwrap();
    login(&context, slot.unwrap(), pin.trim())
}

/// The keys with this label.
pub(crate) fn find(session: &Session, label: &str) -> Vec<ObjectHandle> {
    session
        .find_objects(&[
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::Token(true),
            Attribute::Label(label.as_bytes().to_vec()),
        ])
        .unwrap()
}

/// A key that differs in `change` from one that may be used.
pub(crate) fn odd_key(session: &Session, label: &str, len: u64, change: &[Attribute]) {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(len.into()),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    for (usual, name) in [
        (Attribute::Sensitive(true), "sensitive"),
        (Attribute::Extractable(false), "extractable"),
        (Attribute::Encrypt(true), "encrypt"),
        (Attribute::Decrypt(true), "decrypt"),
    ] {
        let same = |other: &Attribute| format!("{other:?}").to_lowercase().starts_with(name);
        template.push(change.iter().find(|other| same(other)).cloned().unwrap_or(usual));
    }
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
}
