//! Making keyholders: describing a key that a token has, and making a new one.

use super::{
    access::Door,
    error::classify,
    spec::{KeyName, Parameters, WrapMechanism, is_hint},
    token::{Access, Key, Token},
};
use crate::{
    holder::{Answer, HolderError},
    secrets::Secrets,
};
use cryptoki::{
    mechanism::{Mechanism, MechanismType},
    object::{Attribute, KeyType, ObjectClass},
};
use strongroom_format::{Entropy, SystemEntropy, keyring::KeyholderSpec};

const KEY_LEN: usize = 32;
/// Bytes of the id of a new key.
const ID_LEN: usize = 16;

/// Which key of which token should become a keyholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The token's label: 1 to 32 bytes.
    pub token: String,
    /// The key's name.
    pub key: KeyName,
    /// How it wraps; none where the token may decide: by AES-GCM if it can.
    pub mechanism: Option<WrapMechanism>,
}

impl Wanted {
    fn parameters(&self, door: &Door, mechanism: WrapMechanism) -> Result<Parameters, HolderError> {
        let file_name = door.access.module.file_name().and_then(|name| name.to_str());
        let parameters = Parameters {
            token: self.token.clone(),
            key: self.key.clone(),
            mechanism,
            module: file_name.filter(|name| is_hint(name)).map(str::to_owned),
        };
        parameters.check().map(|()| parameters)
    }
}

/// What a keyring says of the key that `wanted` names, for the keyholder `holder`. Blocks; may ask for a PIN.
///
/// # Errors
/// [`HolderError::Denied`] for a key that can be taken out of its token, [`HolderError::Malformed`] for one of another
/// type or size, for a name that several keys have, or where the token lacks the mechanism,
/// [`HolderError::Disabled`] for one that may not do what is needed; others as [`HolderError`] says.
pub fn describe(holder: &str, wanted: &Wanted, secrets: &Secrets) -> Result<KeyholderSpec, HolderError> {
    let door = door(holder, secrets)?;
    // Before the token is asked, so that nothing odd reaches it.
    wanted.parameters(&door, WrapMechanism::AesGcm)?;
    let token = Token::open(&door, &wanted.token, Access::Use)?;
    describe_on(&token, &door, wanted)
}

/// Makes a new AES-256 key on a token that never lets it out, and describes it. Blocks; may ask for a PIN.
///
/// # Errors
/// [`HolderError::Malformed`] where the token has a key of that name already or lacks the mechanism,
/// [`HolderError::Denied`] where it makes no such keys; others as [`HolderError`] says.
pub fn generate(holder: &str, wanted: &Wanted, secrets: &Secrets) -> Result<KeyholderSpec, HolderError> {
    let door = door(holder, secrets)?;
    let mut wanted = wanted.clone();
    wanted.parameters(&door, WrapMechanism::AesGcm)?;
    let token = Token::open(&door, &wanted.token, Access::Change)?;
    let mechanism = mechanism_of(&token, wanted.mechanism)?;
    if !token.keys(&wanted.key)?.is_empty() {
        return Err(HolderError::Malformed(format!(
            "token `{}` has a secret key {} already",
            wanted.token, wanted.key
        )));
    }
    let id = wanted.key.id.get_or_insert_with(|| SystemEntropy.array::<ID_LEN>().to_vec()).clone();
    let (by_gcm, by_kw) = (mechanism == WrapMechanism::AesGcm, mechanism == WrapMechanism::AesKw);
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen((KEY_LEN as std::ffi::c_ulong).into()),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(by_gcm),
        Attribute::Decrypt(by_gcm),
        Attribute::Wrap(by_kw),
        Attribute::Unwrap(by_kw),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Derive(false),
        Attribute::Id(id),
    ];
    template.extend(wanted.key.label.as_ref().map(|label| Attribute::Label(label.clone().into_bytes())));
    token.session.generate_key(&Mechanism::AesKeyGen, &template).map_err(classify)?;
    wanted.mechanism = Some(mechanism);
    // The token is not believed: the key is found again and looked at.
    describe_on(&token, &door, &wanted)
}

fn door(holder: &str, secrets: &Secrets) -> Result<Door, HolderError> {
    let door = Door::find(holder, secrets)
        .ok_or_else(|| HolderError::NoSecret("no PKCS#11 module is configured for it".into()))?;
    door.ready().map(|()| door)
}

fn describe_on(token: &Token, door: &Door, wanted: &Wanted) -> Result<KeyholderSpec, HolderError> {
    let key = token.key(&wanted.key)?;
    check_key(&key, &wanted.key)?;
    let mechanism = match wanted.mechanism {
        // A key that may do one of the two decides for itself.
        None if !(key.encrypt && key.decrypt) && key.wrap && key.unwrap => Some(WrapMechanism::AesKw),
        chosen => chosen,
    };
    let mechanism = mechanism_of(token, mechanism)?;
    let (may, attributes) = match mechanism {
        WrapMechanism::AesGcm => (key.encrypt && key.decrypt, "CKA_ENCRYPT and CKA_DECRYPT"),
        WrapMechanism::AesKw => (key.wrap && key.unwrap, "CKA_WRAP and CKA_UNWRAP"),
    };
    if !may {
        let said = format!("key {} does not have {attributes}, which {mechanism} needs", wanted.key);
        return Err(HolderError::Disabled(Answer::said(said)));
    }
    Ok(wanted.parameters(door, mechanism)?.write())
}

/// Refuses a key that is no AES-256 key, or that its token would let out.
pub(super) fn check_key(key: &Key<'_>, name: &KeyName) -> Result<(), HolderError> {
    if !key.is_aes {
        return Err(HolderError::Malformed(format!("key {name} is no AES key")));
    }
    if key.len != Some(KEY_LEN) {
        let len = key.len.map_or("unknown".to_owned(), |len| (8 * len).to_string());
        return Err(HolderError::Malformed(format!("key {name} has {len} bits where AES-256 has 256")));
    }
    if key.extractable || !key.sensitive {
        let said =
            format!("key {name} can be taken out of its token (CKA_EXTRACTABLE, or not CKA_SENSITIVE)");
        return Err(HolderError::Denied(Answer::said(said)));
    }
    Ok(())
}

fn mechanism_of(token: &Token, wanted: Option<WrapMechanism>) -> Result<WrapMechanism, HolderError> {
    let has = token.mechanisms()?;
    let offered = |mechanism: &WrapMechanism| match mechanism {
        WrapMechanism::AesGcm => has.contains(&MechanismType::AES_GCM),
        WrapMechanism::AesKw => has.contains(&MechanismType::AES_KEY_WRAP),
    };
    let choice = match wanted {
        Some(mechanism) => Some(mechanism).filter(offered),
        None => [WrapMechanism::AesGcm, WrapMechanism::AesKw].into_iter().find(offered),
    };
    choice.ok_or_else(|| {
        let what = wanted.map_or("CKM_AES_GCM nor CKM_AES_KEY_WRAP".to_owned(), |wanted| wanted.to_string());
        HolderError::Malformed(format!("the token offers no {what}"))
    })
}
