//! Calls of a server with a token: a login when the first one is needed, and a new login once when the server refuses
//! the token.

use super::{
    access::{Access, Login, Slot},
    classify,
    client::{Answered, Client, json_body},
    parameters::{Parameters, valid_path},
};
use crate::holder::HolderError;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

/// Largest file with a token or a secret id, in bytes.
const FILE_MAX: u64 = 64 << 10;

type Token = Arc<Zeroizing<String>>;

#[derive(Serialize)]
struct AppRoleLogin<'a> {
    role_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_id: Option<&'a str>,
}

#[derive(Serialize)]
struct KubernetesLogin<'a> {
    role: &'a str,
    jwt: &'a str,
}

#[derive(Deserialize)]
struct LoggedIn {
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    client_token: String,
}

/// One server, as one caller.
pub(super) struct Session {
    client: Client,
    login: Login,
    slot: Slot,
}

impl Session {
    pub(super) fn new(parameters: &Parameters, access: &Access) -> Result<Self, HolderError> {
        let server = access.server(&parameters.address)?;
        Ok(Self {
            client: Client::new(parameters, access, server.ca_file.clone()),
            login: server.login.clone(),
            slot: access.slot(&parameters.address, parameters.namespace.as_deref()),
        })
    }

    /// Whether the files of the login are there.
    pub(super) fn ready(&self) -> Result<(), HolderError> {
        let there = |path: &Path, what: &str| match path.try_exists() {
            Ok(false) => Err(missing(path, what)),
            _ => Ok(()),
        };
        match &self.login {
            Login::AppRole { secret_id_file: Some(path), .. } => there(path, "secret id"),
            Login::AppRole { secret_id_file: None, .. } | Login::Token(_) => Ok(()),
            Login::Kubernetes { jwt_file, .. } => there(jwt_file, "service-account token"),
            Login::TokenFile(path) => there(path, "token"),
        }
    }

    fn parameters(&self) -> &Parameters {
        self.client.parameters()
    }

    /// Sends a request with a token, and returns the answer of whatever status.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Answered, HolderError> {
        let (token, is_new) = self.token(None).await?;
        let answered = self.client.send(method.clone(), path, Some(token.as_str()), body).await?;
        if answered.status != 403 || is_new {
            return Ok(answered);
        }
        // The server does not tell a token that is no more from one that may not do this.
        let renewed = match self.token(Some(&token)).await {
            Ok((renewed, _)) => renewed,
            Err(error) if error.is_passing() => return Err(error),
            Err(error) => return Err(also(classify::failure(self.parameters(), &answered), &error)),
        };
        if *renewed == *token {
            return Ok(answered);
        }
        self.client.send(method, path, Some(renewed.as_str()), body).await
    }

    /// The token, and whether it was fetched just now. `refused` is one that the server no longer takes.
    async fn token(&self, refused: Option<&Token>) -> Result<(Token, bool), HolderError> {
        // Held during the login, so that tasks that need a token at the same time log in once.
        let mut slot = self.slot.lock().await;
        if let Some(token) = slot.as_ref()
            && refused.is_none_or(|refused| **refused != **token)
        {
            return Ok((token.clone(), false));
        }
        let token = Arc::new(self.fetch().await?);
        *slot = Some(token.clone());
        Ok((token, true))
    }

    async fn fetch(&self) -> Result<Zeroizing<String>, HolderError> {
        match &self.login {
            Login::AppRole { mount, role_id, secret_id_file } => {
                let secret_id = match secret_id_file {
                    Some(path) => Some(secret_in(path, "secret id", true).await?),
                    None => None,
                };
                let secret_id = secret_id.as_deref().map(String::as_str);
                let capacity = 256 + 2 * (role_id.len() + secret_id.map_or(0, str::len));
                let body = json_body(&AppRoleLogin { role_id, secret_id }, capacity)?;
                self.log_in(mount, &body).await
            }
            Login::Kubernetes { mount, role, jwt_file } => {
                // Kubernetes itself makes the file readable for all users of the pod.
                let jwt = secret_in(jwt_file, "service-account token", false).await?;
                let body =
                    json_body(&KubernetesLogin { role, jwt: &jwt }, 256 + 2 * (role.len() + jwt.len()))?;
                self.log_in(mount, &body).await
            }
            Login::Token(token) => Ok(token.clone()),
            Login::TokenFile(path) => secret_in(path, "token", true).await,
        }
    }

    async fn log_in(&self, mount: &str, body: &[u8]) -> Result<Zeroizing<String>, HolderError> {
        if !valid_path(mount) {
            return Err(HolderError::Malformed(format!("`{mount}` is no mount of an auth method")));
        }
        let path = format!("auth/{mount}/login");
        let answered = self.client.send(Method::POST, &path, None, Some(body)).await?;
        if !answered.is_success() {
            return Err(classify::login_failure(self.parameters(), &path, &answered));
        }
        match answered.json::<LoggedIn>() {
            Some(LoggedIn { auth: Some(Auth { client_token }) }) if !client_token.is_empty() => {
                Ok(Zeroizing::new(client_token))
            }
            Some(_) => Err(HolderError::Denied(format!("`{path}` gave no token").into())),
            None => Err(classify::unexpected(self.parameters())),
        }
    }
}

/// A refusal, and why a new login did not help.
fn also(refusal: HolderError, login: &HolderError) -> HolderError {
    match refusal {
        HolderError::Denied(mut answer) => {
            answer.said = format!("{}; nor did a new login help: {login}", answer.said);
            HolderError::Denied(answer)
        }
        other => other,
    }
}

fn missing(path: &Path, what: &str) -> HolderError {
    HolderError::NoSecret(format!("there is no {what} file `{}`", path.display()))
}

/// The text in a file, without white space around it.
async fn secret_in(path: &Path, what: &'static str, private: bool) -> Result<Zeroizing<String>, HolderError> {
    let path: PathBuf = path.to_owned();
    super::super::blocking(move || read(&path, what, private)).await
}

fn read(path: &Path, what: &str, private: bool) -> Result<Zeroizing<String>, HolderError> {
    let shown = path.display();
    let failed = |error| HolderError::io(format!("cannot read {what} file `{shown}`"), error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing(path, what)),
        Err(error) => return Err(failed(error)),
    };
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(HolderError::Malformed(format!("`{shown}` is a folder, not a {what} file")));
    }
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::MetadataExt::mode(&metadata) & 0o7777;
        if private && mode & 0o077 != 0 {
            return Err(HolderError::Exposed { path: path.to_owned(), mode });
        }
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 << 10));
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(HolderError::Malformed(format!("{what} file `{shown}` is too large")));
    }
    let text = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
    if text.is_empty() {
        return Err(HolderError::Malformed(format!("{what} file `{shown}` holds no {what}")));
    }
    Ok(Zeroizing::new(text.to_owned()))
}
