//! The keyholder itself.

use super::{
    KIND,
    access::Access,
    classify::{self, NEVER_MADE},
    client::{Answered, json_body},
    describe::metadata,
    parameters::Parameters,
    session::Session,
};
use crate::{
    holder::{Effort, HolderError, HolderState, Keyholder, Operation, Reply, Switch, SwitchError},
    secrets::Secrets,
};
use async_trait::async_trait;
use data_encoding::BASE64;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use strongroom_format::{Secret32, context::Context, keyring::KeyholderSpec};
use zeroize::Zeroizing;

/// The version of the wraps that this program makes.
const VERSION: u8 = 1;
/// A version byte, `vault:v`, ten digits, a colon, and the base64 of 72 bytes.
const BLOB_MAX: usize = 1 + 7 + 10 + 1 + 96;
/// Nonce, key and tag: AES-GCM and ChaCha20-Poly1305, and XChaCha20-Poly1305.
const CIPHERTEXT_LENS: [usize; 2] = [12 + 32 + 16, 24 + 32 + 16];
/// A key in base64.
const KEY_BASE64_LEN: usize = 44;

#[derive(Serialize)]
struct EncryptRequest<'a> {
    plaintext: &'a str,
    associated_data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct DecryptRequest<'a> {
    ciphertext: &'a str,
    associated_data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a str>,
}

#[derive(Deserialize)]
struct Envelope<T> {
    request_id: Option<String>,
    data: T,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: String,
}

#[derive(Serialize)]
struct CapabilitiesRequest<'a> {
    paths: [&'a str; 1],
}

#[derive(Deserialize)]
struct Capabilities {
    capabilities: Vec<String>,
}

/// The server's text in a wrap, where the wrap has the form of one.
fn ciphertext(blob: &[u8]) -> Result<&str, HolderError> {
    let malformed = |what: &str| Err(HolderError::Malformed(what.into()));
    if blob.len() > BLOB_MAX {
        return malformed("the wrapped key is too long for one by Transit");
    }
    match blob.split_first() {
        None => malformed("the wrapped key is empty"),
        Some((&VERSION, text)) => match std::str::from_utf8(text) {
            Ok(text) if is_ciphertext(text) => Ok(text),
            _ => malformed("the wrapped key is no `vault:vN:...` with a key in it"),
        },
        Some((version, _)) => malformed(&format!("wrapped key of version {version}, not known here")),
    }
}

/// Whether `text` is `vault:vN:` and the base64 of as many bytes as a key has when it is encrypted.
fn is_ciphertext(text: &str) -> bool {
    let Some((version, sealed)) = text.strip_prefix("vault:v").and_then(|rest| rest.split_once(':')) else {
        return false;
    };
    let version_is_good = !version.starts_with('0')
        && version.bytes().all(|b| b.is_ascii_digit())
        && version.parse::<u32>().is_ok();
    let len = BASE64.decode(sealed.as_bytes()).map(|bytes| bytes.len());
    version_is_good && len.is_ok_and(|len| CIPHERTEXT_LENS.contains(&len))
}

/// A keyholder of the kind `transit`.
pub struct TransitKeyholder {
    label: String,
    parameters: Parameters,
    access: Access,
    /// None where this client has no login for the server.
    session: Option<Session>,
}

impl TransitKeyholder {
    /// The keyholder `label` as the keyring describes it. Asks nothing of the server yet.
    ///
    /// # Errors
    /// [`HolderError::Malformed`] for parameters that this kind does not allow.
    pub fn new(label: &str, spec: &KeyholderSpec, secrets: &Secrets) -> Result<Self, HolderError> {
        let parameters = Parameters::read(spec)?;
        let access = secrets.transit.clone();
        let session = Session::new(&parameters, &access).ok();
        Ok(Self { label: label.to_owned(), parameters, access, session })
    }

    fn session(&self) -> Result<&Session, HolderError> {
        match &self.session {
            Some(session) => Ok(session),
            None => match self.access.server(&self.parameters.address) {
                Err(error) => Err(error),
                Ok(_) => Err(HolderError::NoSecret("no login was given for it".into())),
            },
        }
    }

    /// A call whose answer must be a success.
    async fn ask(&self, method: Method, path: &str, body: Option<&[u8]>) -> Result<Answered, HolderError> {
        let answered = self.session()?.call(method, path, body).await?;
        if answered.is_success() { Ok(answered) } else { Err(classify::failure(&self.parameters, &answered)) }
    }

    fn path_of(&self, operation: &str) -> String {
        format!("{}/{operation}/{}", self.parameters.mount, self.parameters.key)
    }

    /// The canonical context as associated data, and once more as the context of a derived key.
    fn bound<'a>(&self, associated: &'a str) -> (&'a str, Option<&'a str>) {
        (associated, self.parameters.derived.then_some(associated))
    }

    /// Whether this caller may decrypt; nothing where the server does not say.
    async fn may_decrypt(&self) -> Result<Option<bool>, HolderError> {
        let path = self.path_of("decrypt");
        let body = json_body(&CapabilitiesRequest { paths: [&path] }, 512)?;
        let answered = match self.ask(Method::POST, "sys/capabilities-self", Some(&body)).await {
            Ok(answered) => answered,
            Err(HolderError::Denied(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let held = answered.json::<Capabilities>().ok_or_else(|| classify::unexpected(&self.parameters))?;
        Ok(Some(held.capabilities.iter().any(|held| held == "update" || held == "root")))
    }

    async fn find_state(&self) -> Result<HolderState, HolderError> {
        let may_decrypt = self.may_decrypt().await?;
        let metadata = match metadata(self.session()?, &self.parameters).await {
            Ok(metadata) => Some(metadata),
            Err(HolderError::Denied(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(match (metadata, may_decrypt) {
            (Some(metadata), _) if metadata.soft_deleted => HolderState::Disabled,
            (_, Some(false)) => HolderState::Denied("it may not decrypt with this key".into()),
            (_, Some(true)) => HolderState::CanOpen,
            (_, None) => {
                HolderState::Unknown("the server does not say whether this caller may decrypt".into())
            }
        })
    }

    /// What a person with the right can run to the same end.
    fn command(&self, to: Switch, has_soft_delete: bool) -> String {
        let (address, path) = (&self.parameters.address, self.parameters.key_path());
        let program = if has_soft_delete { "bao" } else { "vault" };
        let mut options = format!("-address={address}");
        if let Some(namespace) = &self.parameters.namespace {
            options.push_str(&format!(" -namespace={namespace}"));
        }
        match (to, has_soft_delete) {
            (Switch::Off, true) => format!("{program} delete {options} {path}/soft-delete"),
            (Switch::On, true) => format!("{program} write {options} -f {path}/soft-delete-restore"),
            // A key without soft-delete has no switch. This closes all that is wrapped so far, and nothing new.
            (Switch::Off, false) => format!(
                "{program} write {options} -f {path}/rotate && {program} write {options} {path}/config \
                 min_decryption_version=$({program} read {options} -field=latest_version {path})"
            ),
            (Switch::On, false) => {
                format!("{program} write {options} {path}/config min_decryption_version=1")
            }
        }
    }
}

impl std::fmt::Debug for TransitKeyholder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransitKeyholder")
            .field("label", &self.label)
            .field("parameters", &self.parameters)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Keyholder for TransitKeyholder {
    fn label(&self) -> &str {
        &self.label
    }

    fn kind(&self) -> &str {
        KIND
    }

    fn effort(&self) -> Effort {
        Effort::Service
    }

    fn ready(&self, _: Operation) -> Result<(), HolderError> {
        self.session()?.ready()
    }

    async fn wrap(&self, context: &Context, key: &Secret32) -> Result<Reply<Vec<u8>>, HolderError> {
        let associated = BASE64.encode(&context.canonical());
        let (associated_data, context) = self.bound(&associated);
        let plaintext = Zeroizing::new(BASE64.encode(key.expose()));
        let request = EncryptRequest { plaintext: &plaintext, associated_data, context, kind: NEVER_MADE };
        let body = json_body(&request, 256 + KEY_BASE64_LEN + 2 * associated.len())?;
        let answered = self.ask(Method::POST, &self.path_of("encrypt"), Some(&body)).await?;
        let unexpected = || classify::unexpected(&self.parameters);
        let envelope: Envelope<Encrypted> = answered.json().ok_or_else(unexpected)?;
        let mut blob = vec![VERSION];
        blob.extend_from_slice(envelope.data.ciphertext.as_bytes());
        // What this program could not open must not be kept.
        ciphertext(&blob).map_err(|_| unexpected())?;
        Ok(Reply::from_provider(blob, envelope.request_id))
    }

    async fn unwrap(&self, context: &Context, blob: &[u8]) -> Result<Reply<Secret32>, HolderError> {
        let ciphertext = ciphertext(blob)?;
        let associated = BASE64.encode(&context.canonical());
        let (associated_data, context) = self.bound(&associated);
        let request = DecryptRequest { ciphertext, associated_data, context };
        let body = json_body(&request, 256 + blob.len() + 2 * associated.len())?;
        let answered = self.ask(Method::POST, &self.path_of("decrypt"), Some(&body)).await?;
        let unexpected = || classify::unexpected(&self.parameters);
        let Envelope { request_id, data } = answered.json::<Envelope<Decrypted>>().ok_or_else(unexpected)?;
        let plaintext = Zeroizing::new(data.plaintext);
        if plaintext.len() != KEY_BASE64_LEN {
            return Err(unexpected());
        }
        let mut bytes = Zeroizing::new([0; 33]);
        let len = BASE64.decode_mut(plaintext.as_bytes(), bytes.as_mut_slice()).map_err(|_| unexpected())?;
        let key = bytes.get(..len).and_then(Secret32::from_slice).ok_or_else(unexpected)?;
        Ok(Reply::from_provider(key, request_id))
    }

    async fn state(&self) -> HolderState {
        let found = match self.ready(Operation::Unwrap) {
            Ok(()) => self.find_state().await,
            Err(error) => Err(error),
        };
        match found {
            Ok(state) => state,
            Err(HolderError::Deleted(_)) => HolderState::Deleted,
            Err(HolderError::Denied(answer)) => HolderState::Denied(answer.to_string()),
            Err(HolderError::NoSecret(what)) => HolderState::Away(what),
            Err(HolderError::Unreachable(answer)) => HolderState::Unreachable(answer.to_string()),
            Err(error) => HolderState::Unknown(error.to_string()),
        }
    }

    async fn switch(&self, to: Switch) -> Result<(), SwitchError> {
        let path = self.parameters.key_path();
        let asked = match to {
            Switch::Off => self.ask(Method::DELETE, &format!("{path}/soft-delete"), None).await,
            Switch::On => self.ask(Method::POST, &format!("{path}/soft-delete-restore"), None).await,
        };
        asked.map(drop).map_err(|source| {
            let text = source.to_string();
            let has_soft_delete =
                !text.contains("unsupported path") && !text.contains("unsupported operation");
            let source = if has_soft_delete {
                source
            } else {
                HolderError::Denied("this server has no soft-delete, as HashiCorp Vault has none".into())
            };
            SwitchError::Refused { command: self.command(to, has_soft_delete), source }
        })
    }

    fn custodian(&self) -> Option<String> {
        let server = format!("transit server {}", self.parameters.address.authority());
        Some(match &self.parameters.namespace {
            Some(namespace) => format!("{server}, namespace {namespace}"),
            None => server,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use strongroom_format::keyring::Parameter;

    fn blob(version: u8, key_version: &str, len: usize) -> Vec<u8> {
        let mut blob = vec![version];
        blob.extend_from_slice(format!("vault:v{key_version}:{}", BASE64.encode(&vec![7; len])).as_bytes());
        blob
    }

    #[test]
    fn only_wraps_of_a_key_are_sent() {
        for len in CIPHERTEXT_LENS {
            assert!(ciphertext(&blob(1, "1", len)).is_ok());
            assert!(ciphertext(&blob(1, "4294967295", len)).is_ok());
        }
        assert_eq!(blob(1, "4294967295", 72).len(), BLOB_MAX);
        for version in ["0", "01", "", "+1", "1 ", "4294967296", "x"] {
            assert!(ciphertext(&blob(1, version, 60)).is_err(), "{version:?}");
        }
        for len in [0, 28, 59, 61, 71, 73, 4096] {
            assert!(ciphertext(&blob(1, "1", len)).is_err(), "{len}");
        }
        assert!(ciphertext(&blob(2, "1", 60)).is_err());
        assert!(ciphertext(b"\x01vault:v1:\xff").is_err());
        assert!(ciphertext(b"\x01").is_err());
        assert!(ciphertext(b"").is_err());
    }

    fn holder(namespace: Option<&str>) -> TransitKeyholder {
        let text = |value: &str| Parameter::Text(value.to_owned());
        let mut parameters = BTreeMap::from([
            ("address".to_owned(), text("https://bao.example.org:8200")),
            ("key".to_owned(), text("office")),
        ]);
        parameters.extend(namespace.map(|namespace| ("namespace".to_owned(), text(namespace))));
        let spec = KeyholderSpec { kind: KIND.into(), parameters };
        TransitKeyholder::new("office", &spec, &Secrets::none()).unwrap()
    }

    #[test]
    fn a_server_is_one_custodian() {
        assert_eq!(holder(None).custodian().unwrap(), "transit server bao.example.org:8200");
        assert_eq!(
            holder(Some("team-a")).custodian().unwrap(),
            "transit server bao.example.org:8200, namespace team-a"
        );
    }

    #[test]
    fn without_a_login_it_is_not_ready() {
        for operation in [Operation::Wrap, Operation::Unwrap] {
            assert!(matches!(holder(None).ready(operation), Err(HolderError::NoSecret(_))));
        }
    }

    #[test]
    fn commands_for_a_person() {
        let holder = holder(Some("team-a"));
        assert_eq!(
            holder.command(Switch::Off, true),
            "bao delete -address=https://bao.example.org:8200 -namespace=team-a transit/keys/office/soft-delete"
        );
        assert_eq!(
            holder.command(Switch::On, false),
            "vault write -address=https://bao.example.org:8200 -namespace=team-a transit/keys/office/config \
             min_decryption_version=1"
        );
    }
}
