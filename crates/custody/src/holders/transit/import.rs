//! Importing key material into a Transit key, and challenges of such keys.

use super::{
    access::Access,
    classify,
    client::json_body,
    describe::{TransitKey, parameters},
    parameters::Parameters,
    session::Session,
};
use crate::holder::HolderError;
use data_encoding::BASE64;
use reqwest::Method;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use zeroize::Zeroizing;

#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(default)]
    request_id: Option<String>,
    data: T,
}

#[derive(Deserialize)]
struct PublicKey {
    public_key: String,
}

#[derive(Deserialize)]
struct Ciphertext {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Plaintext {
    plaintext: String,
}

/// A Transit key that does not exist yet, or was imported before.
pub struct ImportedKey {
    parameters: Parameters,
    session: Session,
}

impl ImportedKey {
    /// Asks nothing of the server yet.
    ///
    /// # Errors
    /// [`HolderError::Malformed`] for names that no server has, [`HolderError::NoSecret`] without a login.
    pub fn new(key: &TransitKey, access: &Access) -> Result<Self, HolderError> {
        let parameters = parameters(key)?;
        let session = Session::new(&parameters, access)?;
        Ok(Self { parameters, session })
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Said, HolderError> {
        let path = format!("{}/{path}", self.parameters.mount);
        let body = body.map(|body| json_body(body, 64 << 10)).transpose()?;
        let answered = self.session.call(method, &path, body.as_deref().map(Vec::as_slice)).await?;
        if !answered.is_success() {
            return Err(classify::failure(&self.parameters, &answered));
        }
        Ok(Said(answered))
    }

    /// The wrapping key of the engine: PEM, RSA of 4096 bits.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn wrapping_key(&self) -> Result<String, HolderError> {
        let said = self.call(Method::GET, "wrapping_key", None).await?;
        Ok(said.data::<PublicKey>(&self.parameters)?.data.public_key)
    }

    /// Imports material as a key that is never let out, rotated or deleted. Returns the id of the request.
    ///
    /// # Errors
    /// As the server answers: it refuses where there is a key of this name.
    pub async fn import(&self, wrapped: &[u8]) -> Result<Option<String>, HolderError> {
        let body = json!({
            "type": "aes256-gcm96",
            "hash_function": "SHA256",
            "ciphertext": BASE64.encode(wrapped),
            "allow_rotation": false,
            "derived": false,
            "exportable": false,
            "allow_plaintext_backup": false,
        });
        let path = format!("keys/{}/import", self.parameters.key);
        let said = self.call(Method::POST, &path, Some(&body)).await?;
        Ok(said.0.json::<Envelope<Value>>().and_then(|envelope| envelope.request_id))
    }

    /// Encrypts a challenge, bound to the ceremony.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn encrypt(&self, ceremony: &str, secret: &[u8]) -> Result<String, HolderError> {
        let body = json!({
            "plaintext": BASE64.encode(secret),
            "associated_data": BASE64.encode(&associated(ceremony)),
        });
        let path = format!("encrypt/{}", self.parameters.key);
        let said = self.call(Method::POST, &path, Some(&body)).await?;
        Ok(said.data::<Ciphertext>(&self.parameters)?.data.ciphertext)
    }

    /// Opens a challenge.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn decrypt(&self, ceremony: &str, ciphertext: &str) -> Result<Zeroizing<Vec<u8>>, HolderError> {
        let body = json!({
            "ciphertext": ciphertext,
            "associated_data": BASE64.encode(&associated(ceremony)),
        });
        let path = format!("decrypt/{}", self.parameters.key);
        let said = self.call(Method::POST, &path, Some(&body)).await?;
        let plain = Zeroizing::new(said.data::<Plaintext>(&self.parameters)?.data.plaintext);
        let bytes = BASE64.decode(plain.as_bytes()).map_err(|_| classify::unexpected(&self.parameters))?;
        Ok(Zeroizing::new(bytes))
    }
}

struct Said(super::client::Answered);

impl Said {
    fn data<T: DeserializeOwned>(&self, parameters: &Parameters) -> Result<Envelope<T>, HolderError> {
        self.0.json().ok_or_else(|| classify::unexpected(parameters))
    }
}

/// What a challenge of a ceremony is bound to.
#[must_use]
pub fn associated(ceremony: &str) -> Vec<u8> {
    format!("strongroom:ceremony={ceremony}\n").into_bytes()
}

impl std::fmt::Debug for ImportedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportedKey").field("key", &self.parameters.place()).finish_non_exhaustive()
    }
}
