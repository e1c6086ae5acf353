//! One HTTP request at a time, with every bound that an unknown server needs.

use super::{access::Access, parameters::Parameters};
use crate::holder::HolderError;
use bytes::Bytes;
use reqwest::{
    Certificate, Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT},
    redirect,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{path::PathBuf, time::Duration};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

/// Largest answer that is read, in bytes.
const ANSWER_MAX: usize = 1 << 20;
/// Largest file of certificates that is read, in bytes.
const CA_FILE_MAX: u64 = 4 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const NAMESPACE_HEADER: HeaderName = HeaderName::from_static("x-vault-namespace");
/// Without it, an agent between this machine and the server may refuse the request, because a browser could have been
/// tricked into sending it.
const REQUEST_HEADER: HeaderName = HeaderName::from_static("x-vault-request");
const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-vault-token");

/// What a server answered.
pub(super) struct Answered {
    pub(super) status: u16,
    body: Zeroizing<Vec<u8>>,
}

impl Answered {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body, where it is JSON of the form that is asked for.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    #[cfg(test)]
    pub(super) fn new(status: u16, body: &str) -> Self {
        Self { status, body: Zeroizing::new(body.as_bytes().to_vec()) }
    }
}

/// `value` as JSON, in a buffer of `capacity` bytes: where it need not grow, it leaves no copies behind.
pub(super) fn json_body(value: &impl Serialize, capacity: usize) -> Result<Zeroizing<Vec<u8>>, HolderError> {
    let mut body = Zeroizing::new(Vec::with_capacity(capacity));
    match serde_json::to_writer(&mut *body, value) {
        Ok(()) => Ok(body),
        Err(error) => Err(HolderError::Malformed(format!("the request cannot be written: {error}"))),
    }
}

/// Whatever `Bytes` reads is wiped with it. The buffers of the HTTP and TLS layers are not.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A way to one server and namespace.
pub(super) struct Client {
    parameters: Parameters,
    ca_file: Option<PathBuf>,
    timeout: Duration,
    /// What this program calls itself, with the operation at its end.
    agent: String,
    /// Made at the first request: loading the machine's certificates takes time, which most runs of the program
    /// need not spend.
    http: OnceCell<reqwest::Client>,
}

impl Client {
    pub(super) fn new(parameters: &Parameters, access: &Access, ca_file: Option<PathBuf>) -> Self {
        let mut agent = concat!("strongroom/", env!("CARGO_PKG_VERSION")).to_owned();
        if let Some(operation) = access.operation() {
            agent.push_str(" strongroom-op/");
            agent.push_str(operation);
        }
        let (parameters, timeout) = (parameters.clone(), access.timeout());
        Self { parameters, ca_file, timeout, agent, http: OnceCell::new() }
    }

    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn unreachable(&self, what: impl std::fmt::Display) -> HolderError {
        HolderError::Unreachable(format!("{}: {what}", self.parameters.address.authority()).into())
    }

    async fn build(&self) -> Result<reqwest::Client, HolderError> {
        let mut builder = reqwest::Client::builder()
            .timeout(self.timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(self.timeout))
            // A redirect could lead a token to another server.
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .https_only(!self.parameters.address.is_plain());
        if self.parameters.address.is_plain() {
            // A proxy would take what must not leave this machine off it, in the clear.
            builder = builder.no_proxy();
        }
        if let Some(path) = self.ca_file.clone() {
            let certificates = super::super::blocking(move || certificates(&path)).await?;
            builder = builder.tls_certs_only(certificates);
        }
        builder
            .build()
            .map_err(|error| HolderError::Malformed(format!("TLS cannot be set up: {}", chain(&error))))
    }

    fn headers(&self, token: Option<&str>) -> Result<HeaderMap, HolderError> {
        let agent = HeaderValue::from_str(&self.agent)
            .map_err(|_| HolderError::Malformed("the operation's id is no header".into()))?;
        let mut headers = HeaderMap::from_iter([
            (USER_AGENT, agent),
            (REQUEST_HEADER, HeaderValue::from_static("true")),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ]);
        if let Some(namespace) = &self.parameters.namespace {
            let value = HeaderValue::from_str(namespace);
            let value = value.map_err(|_| HolderError::Malformed("the namespace is no header".into()))?;
            headers.insert(NAMESPACE_HEADER, value);
        }
        if let Some(token) = token {
            let value = HeaderValue::from_str(token).map_err(|_| {
                HolderError::WrongSecret("the token holds characters that no token has".into())
            })?;
            headers.insert(TOKEN_HEADER, sensitive(value));
        }
        Ok(headers)
    }

    /// Sends one request to an API path and reads the answer, of whatever status.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&[u8]>,
    ) -> Result<Answered, HolderError> {
        let headers = self.headers(token)?;
        let http = self.http.get_or_try_init(|| self.build()).await?;
        let url: Url = self.parameters.address.api(path);
        let mut request = http.request(method, url).headers(headers);
        if let Some(body) = body {
            request = request.body(Bytes::from_owner(Wiped(Zeroizing::new(body.to_vec()))));
        }
        let mut response = request.send().await.map_err(|error| self.failed(error))?;
        let status = response.status().as_u16();
        let announced = response.content_length().unwrap_or(0);
        let too_large = || {
            HolderError::Malformed(format!(
                "{} answers with more than {} KiB, which no Transit server does",
                self.parameters.address.authority(),
                ANSWER_MAX >> 10
            ))
        };
        if announced > ANSWER_MAX as u64 {
            return Err(too_large());
        }
        // Large enough for an answer with a key, which then is in one place.
        let capacity = usize::try_from(announced).unwrap_or(0).max(16 << 10);
        let mut read = Zeroizing::new(Vec::with_capacity(capacity));
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if read.len() + chunk.len() > ANSWER_MAX {
                return Err(too_large());
            }
            read.extend_from_slice(&chunk);
        }
        Ok(Answered { status, body: read })
    }

    fn failed(&self, error: reqwest::Error) -> HolderError {
        if error.is_timeout() {
            return self.unreachable(format_args!("no answer within {} s", self.timeout.as_secs_f32()));
        }
        self.unreachable(chain(&error.without_url()))
    }
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// An error with its causes, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

fn certificates(path: &std::path::Path) -> Result<Vec<Certificate>, HolderError> {
    use std::io::Read;
    let shown = path.display();
    let failed = |error| HolderError::io(format!("cannot read the certificates in `{shown}`"), error);
    let mut pem = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(CA_FILE_MAX + 1).read_to_end(&mut pem).map_err(failed)?;
    if pem.len() as u64 > CA_FILE_MAX {
        return Err(HolderError::Malformed(format!("`{shown}` is too large for a file of certificates")));
    }
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(HolderError::Malformed(format!("`{shown}` holds no certificate in PEM"))),
    }
}
