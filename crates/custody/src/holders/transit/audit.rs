//! What an audit device of a server writes in the place of a text: `sys/audit-hash/<device>`.

use super::{classify, client::json_body, parameters::Parameters, parameters::valid_path, session::Session};
use crate::{holder::HolderError, secrets::Secrets};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use strongroom_format::keyring::KeyholderSpec;

#[derive(Serialize)]
struct Request<'a> {
    input: &'a str,
}

#[derive(Deserialize)]
struct Envelope {
    data: Hashed,
}

#[derive(Deserialize)]
struct Hashed {
    hash: String,
}

/// Asks the server of a keyholder.
pub struct AuditHash {
    parameters: Parameters,
    session: Session,
}

impl std::fmt::Debug for AuditHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditHash").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

impl PartialEq for AuditHash {
    /// Whether it is the same server.
    fn eq(&self, other: &Self) -> bool {
        self.parameters.address.authority() == other.parameters.address.authority()
    }
}

impl AuditHash {
    /// The server of the keyholder that `spec` describes. Audit devices are of the whole server: its namespace is left
    /// aside.
    ///
    /// # Errors
    /// [`HolderError::Malformed`] for parameters that the kind does not allow; [`HolderError::NoSecret`] where no login
    /// was given.
    pub fn new(spec: &KeyholderSpec, secrets: &Secrets) -> Result<Self, HolderError> {
        let parameters = Parameters { namespace: None, ..Parameters::read(spec)? };
        let session = Session::new(&parameters, &secrets.transit)?;
        Ok(Self { parameters, session })
    }

    /// What `device` writes in the place of `text`.
    ///
    /// # Errors
    /// [`HolderError`]: the server refuses, does not answer, or knows no such device.
    pub async fn hash(&self, device: &str, text: &str) -> Result<String, HolderError> {
        if !valid_path(device) {
            return Err(HolderError::Malformed(format!("`{}` is no audit device", device.escape_debug())));
        }
        let body = json_body(&Request { input: text }, 64 + 2 * text.len())?;
        let path = format!("sys/audit-hash/{device}");
        let answered = self.session.call(Method::POST, &path, Some(&body)).await?;
        if !answered.is_success() {
            return Err(classify::failure(&self.parameters, &answered));
        }
        let envelope: Envelope = answered.json().ok_or_else(|| classify::unexpected(&self.parameters))?;
        Ok(envelope.data.hash)
    }
}
