//! How a client proves to Transit servers who it is.

use super::parameters::Address;
use crate::holder::HolderError;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use zeroize::Zeroizing;

/// Longest time that one request may take.
const TIMEOUT_MAX: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where Kubernetes puts the token of a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A way to a token.
#[derive(Clone)]
pub enum Login {
    /// An AppRole.
    AppRole {
        /// Where the auth method is mounted, below `auth/`; `approle` by default.
        mount: String,
        /// The role id.
        role_id: Zeroizing<String>,
        /// The file with the secret id, readable by its owner only; none for a role that needs none. It is read
        /// at each login.
        secret_id_file: Option<PathBuf>,
    },
    /// The service account of a pod.
    Kubernetes {
        /// Where the auth method is mounted, below `auth/`; `kubernetes` by default.
        mount: String,
        /// The role.
        role: String,
        /// The file with the service account's token. It is read at each login.
        jwt_file: PathBuf,
    },
    /// This token.
    Token(Zeroizing<String>),
    /// The token in a file that only its owner can read. It is read again when the server refuses the token, because
    /// an agent may have renewed it.
    TokenFile(PathBuf),
}

impl Login {
    /// This token.
    #[must_use]
    pub fn token(token: &str) -> Self {
        Self::Token(Zeroizing::new(token.to_owned()))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppRole { mount, secret_id_file, .. } => f
                .debug_struct("AppRole")
                .field("mount", mount)
                .field("secret_id_file", secret_id_file)
                .finish_non_exhaustive(),
            Self::Kubernetes { mount, role, jwt_file } => f
                .debug_struct("Kubernetes")
                .field("mount", mount)
                .field("role", role)
                .field("jwt_file", jwt_file)
                .finish(),
            Self::Token(_) => f.write_str("Token(..)"),
            Self::TokenFile(path) => f.debug_tuple("TokenFile").field(path).finish(),
        }
    }
}

/// A Transit server, and who this client is to it.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its address. A login that is bound to an address is sent to no other server; none for a
    /// login that any server in the keyring may get.
    pub address: Option<String>,
    /// How to get a token. The auth method is the one in the namespace of the key.
    pub login: Login,
    /// A file with the certificates (PEM) that its own must descend from; none for those of this machine.
    pub ca_file: Option<PathBuf>,
}

/// A token that a login gave, shared by every keyholder at the same server and namespace.
pub(super) type Slot = Arc<tokio::sync::Mutex<Option<Arc<Zeroizing<String>>>>>;
type Slots = BTreeMap<(Address, Option<String>), Slot>;

/// Everything that the `transit` keyholders of one client may use. Clones share their logins.
#[derive(Clone)]
pub struct Access {
    servers: Vec<Server>,
    timeout: Duration,
    slots: Arc<Mutex<Slots>>,
    operation: Option<Arc<str>>,
}

impl Access {
    /// No login at all.
    #[must_use]
    pub fn none() -> Self {
        Self { servers: Vec::new(), timeout: TIMEOUT, slots: Arc::default(), operation: None }
    }

    /// The same, telling servers the id of the operation that keys are used for.
    #[must_use]
    pub fn with_operation(self, id: &str) -> Self {
        Self { operation: Some(id.into()), ..self }
    }

    pub(super) fn operation(&self) -> Option<&str> {
        self.operation.as_deref()
    }

    /// As an environment says, in which `get` looks up a variable. Of each pair the first counts that is set:
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `BAO_ADDR`, `VAULT_ADDR` | the only server that gets the login; none: each that the keyring names |
    /// | `BAO_CACERT`, `VAULT_CACERT` | [`Server::ca_file`] |
    /// | `BAO_CLIENT_TIMEOUT`, `VAULT_CLIENT_TIMEOUT` | seconds for one request, at most 15 |
    /// | `STRONGROOM_TRANSIT_ROLE_ID` | log in by AppRole, with this role id |
    /// | `STRONGROOM_TRANSIT_SECRET_ID_FILE` | the file with its secret id |
    /// | `STRONGROOM_TRANSIT_APPROLE_MOUNT` | where AppRole is mounted |
    /// | `STRONGROOM_TRANSIT_KUBERNETES_ROLE` | log in by Kubernetes, with this role |
    /// | `STRONGROOM_TRANSIT_KUBERNETES_MOUNT` | where it is mounted |
    /// | `STRONGROOM_TRANSIT_KUBERNETES_JWT_FILE` | the service account's token, where it is not in its usual place |
    /// | `BAO_TOKEN`, `VAULT_TOKEN` | this token |
    /// | `STRONGROOM_TRANSIT_TOKEN_FILE` | the token in this file; else in `$HOME/.vault-token` |
    ///
    /// The order is that of the table: AppRole, Kubernetes, token, token file.
    #[must_use]
    pub fn from_env(get: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| get(name).filter(|value| !value.is_empty());
        let either = |name: &str| set(&format!("BAO_{name}")).or_else(|| set(&format!("VAULT_{name}")));
        let own = |name: &str| set(&format!("STRONGROOM_TRANSIT_{name}"));
        let mount = |name: &str, default: &str| own(name).map_or_else(|| default.to_owned(), lossy);
        let login = if let Some(role_id) = own("ROLE_ID") {
            Login::AppRole {
                mount: mount("APPROLE_MOUNT", "approle"),
                role_id: Zeroizing::new(lossy(role_id)),
                secret_id_file: own("SECRET_ID_FILE").map(PathBuf::from),
            }
        } else if let Some(role) = own("KUBERNETES_ROLE") {
            Login::Kubernetes {
                mount: mount("KUBERNETES_MOUNT", "kubernetes"),
                role: lossy(role),
                jwt_file: own("KUBERNETES_JWT_FILE").map_or_else(|| SERVICE_ACCOUNT.into(), PathBuf::from),
            }
        } else if let Some(token) = either("TOKEN") {
            Login::Token(Zeroizing::new(lossy(token)))
        } else if let Some(file) = own("TOKEN_FILE") {
            Login::TokenFile(file.into())
        } else if let Some(home) = set("HOME") {
            Login::TokenFile(PathBuf::from(home).join(".vault-token"))
        } else {
            return Self::none();
        };
        let server = Server {
            address: either("ADDR").map(lossy),
            login,
            ca_file: either("CACERT").map(PathBuf::from),
        };
        let access = Self::none().with_server(server);
        match either("CLIENT_TIMEOUT").and_then(|value| seconds(&lossy(value))) {
            Some(timeout) => access.with_timeout(timeout),
            None => access,
        }
    }

    /// With a server.
    #[must_use]
    pub fn with_server(mut self, server: Server) -> Self {
        self.servers.push(server);
        self
    }

    /// With a longest time for one request: 10 seconds unless given, at most 15.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: timeout.min(TIMEOUT_MAX), ..self }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The server at `address`: one that was given for it, else one that was given for any.
    pub(super) fn server(&self, address: &Address) -> Result<&Server, HolderError> {
        let is_at = |server: &&Server| {
            server.address.as_deref().is_some_and(|text| Address::parse(text).is_ok_and(|at| at == *address))
        };
        let for_it = self.servers.iter().find(is_at);
        let found = for_it.or_else(|| self.servers.iter().find(|server| server.address.is_none()));
        found.ok_or_else(|| {
            let others: Vec<&str> = self.servers.iter().filter_map(|s| s.address.as_deref()).collect();
            HolderError::NoSecret(if others.is_empty() {
                format!("no token and no role was given for the Transit server {address}")
            } else {
                let others = others.join("`, `");
                format!("the login that was given is for `{others}`, and is not sent to {address}")
            })
        })
    }

    /// Where the token for a server and a namespace is kept.
    pub(super) fn slot(&self, address: &Address, namespace: Option<&str>) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry((address.clone(), namespace.map(str::to_owned))).or_default().clone()
    }
}

fn lossy(value: OsString) -> String {
    value.into_string().unwrap_or_else(|value| value.to_string_lossy().into_owned())
}

/// `30` or `30s`.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: u64 = text.strip_suffix('s').unwrap_or(text).parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

impl Default for Access {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("servers", &self.servers)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Access {
        let variables: BTreeMap<String, OsString> =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Access::from_env(|name| variables.get(name).cloned())
    }

    fn login(variables: &[(&str, &str)]) -> Login {
        from(variables).servers[0].login.clone()
    }

    fn at(address: &str) -> Address {
        Address::parse(address).unwrap()
    }

    #[test]
    fn the_environment_is_read_in_the_order_of_the_table() {
        let home = ("HOME", "/home/x");
        let token = ("VAULT_TOKEN", "t-vault");
        let role = ("STRONGROOM_TRANSIT_ROLE_ID", "r");
        let pod = ("STRONGROOM_TRANSIT_KUBERNETES_ROLE", "backup");
        assert!(from(&[]).servers.is_empty());
        assert!(matches!(login(&[home]), Login::TokenFile(path) if path.ends_with(".vault-token")));
        let file = ("STRONGROOM_TRANSIT_TOKEN_FILE", "/run/t");
        assert!(matches!(login(&[home, file]), Login::TokenFile(path) if path.ends_with("run/t")));
        assert!(matches!(login(&[home, file, token]), Login::Token(text) if *text == "t-vault"));
        let bao = ("BAO_TOKEN", "t-bao");
        assert!(matches!(login(&[token, bao]), Login::Token(text) if *text == "t-bao"));
        assert!(matches!(login(&[token, ("BAO_TOKEN", "")]), Login::Token(text) if *text == "t-vault"));
        assert!(matches!(login(&[token, pod]), Login::Kubernetes { mount, .. } if mount == "kubernetes"));
        assert!(
            matches!(login(&[token, pod, role]), Login::AppRole { secret_id_file: None, mount, .. } if mount == "approle")
        );
    }

    #[test]
    fn a_login_goes_to_its_own_server_only() {
        let bound = from(&[("BAO_TOKEN", "t"), ("BAO_ADDR", "https://bao.example.org:8200/")]);
        assert!(bound.server(&at("https://bao.example.org:8200")).is_ok());
        for other in ["https://bao.example.org", "https://bao.example.com:8200", "http://127.0.0.1:8200"] {
            assert!(matches!(bound.server(&at(other)), Err(HolderError::NoSecret(_))), "{other}");
        }
        let nonsense = from(&[("BAO_TOKEN", "t"), ("BAO_ADDR", "bao.example.org")]);
        assert!(nonsense.server(&at("https://bao.example.org")).is_err());
        let unbound = from(&[("BAO_TOKEN", "t")]);
        assert!(unbound.server(&at("https://bao.example.com")).is_ok());
        assert!(Access::none().server(&at("https://bao.example.com")).is_err());
    }

    #[test]
    fn the_time_for_a_request_has_a_bound() {
        assert_eq!(from(&[("BAO_TOKEN", "t")]).timeout, TIMEOUT);
        assert_eq!(from(&[("BAO_TOKEN", "t"), ("BAO_CLIENT_TIMEOUT", "7s")]).timeout.as_secs(), 7);
        assert_eq!(from(&[("BAO_TOKEN", "t"), ("VAULT_CLIENT_TIMEOUT", "600")]).timeout, TIMEOUT_MAX);
        assert_eq!(from(&[("BAO_TOKEN", "t"), ("BAO_CLIENT_TIMEOUT", "soon")]).timeout, TIMEOUT);
    }

    #[test]
    fn nothing_secret_is_shown() {
        let access = from(&[("BAO_TOKEN", "hunter2")]);
        assert!(!format!("{access:?}").contains("hunter2"));
        let access = from(&[("STRONGROOM_TRANSIT_ROLE_ID", "hunter2")]);
        assert!(!format!("{access:?}").contains("hunter2"));
    }
}
