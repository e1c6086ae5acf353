//! What the keyring says of a Transit key, checked before any of it becomes part of a URL.

use super::{
    super::{known_parameters, text},
    KIND,
};
use crate::holder::HolderError;
use reqwest::Url;
use std::{collections::BTreeMap, net::IpAddr};
use strongroom_format::keyring::{KeyholderSpec, Parameter};

const ADDRESS: &str = "address";
const DERIVED: &str = "derived";
const KEY: &str = "key";
const MOUNT: &str = "mount";
const NAMESPACE: &str = "namespace";
/// Where a Transit engine is mounted unless somebody chose otherwise.
pub(super) const DEFAULT_MOUNT: &str = "transit";
const ADDRESS_MAX: usize = 512;
const PATH_MAX: usize = 256;
const KEY_MAX: usize = 128;

/// A server: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address(Url);

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, HolderError> {
        let refused = |what: &str| Err(HolderError::Malformed(format!("parameter `{ADDRESS}` {what}")));
        if text.len() > ADDRESS_MAX {
            return refused("is too long");
        }
        let Ok(url) = Url::parse(text) else {
            return refused("is no URL, such as https://bao.example.org:8200");
        };
        let Some(host) = url.host_str() else {
            return refused("has no host");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refused("may hold no credentials");
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return refused("must end after the host and the port");
        }
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if is_loopback(host) => Ok(Self(url)),
            "http" => refused("is not on this machine and has no TLS: use https://"),
            _ => refused("must begin with https://"),
        }
    }

    /// Whether it is spoken to without TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// `HOST` or `HOST:PORT`.
    pub(super) fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// The URL of an API path, all of whose characters [`valid_path`] lets through.
    pub(super) fn api(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("/v1/{path}"));
        url
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn valid_segment(segment: &str) -> bool {
    !segment.is_empty()
        && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && segment.bytes().any(|b| b != b'.')
}

/// Whether `path` can be a mount or a namespace: segments of letters, digits, `.`, `_` and `-`, and `/` between them.
pub(crate) fn valid_path(path: &str) -> bool {
    path.len() <= PATH_MAX && path.split('/').all(valid_segment)
}

/// Whether `name` can name a Transit key or a role.
pub(crate) fn valid_key(name: &str) -> bool {
    name.len() <= KEY_MAX && valid_segment(name)
}

/// A Transit key, as the keyring describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) address: Address,
    pub(super) mount: String,
    pub(super) key: String,
    pub(super) namespace: Option<String>,
    pub(super) derived: bool,
}

impl Parameters {
    pub(super) fn read(spec: &KeyholderSpec) -> Result<Self, HolderError> {
        known_parameters(spec, &[ADDRESS, DERIVED, KEY, MOUNT, NAMESPACE])?;
        let optional = |name: &str| spec.parameters.contains_key(name).then(|| text(spec, name)).transpose();
        let derived = match optional(DERIVED)? {
            None => false,
            Some("yes") => true,
            Some(_) => {
                return Err(HolderError::Malformed(format!("parameter `{DERIVED}` can only be `yes`")));
            }
        };
        Self {
            address: Address::parse(text(spec, ADDRESS)?)?,
            mount: optional(MOUNT)?.unwrap_or(DEFAULT_MOUNT).to_owned(),
            key: text(spec, KEY)?.to_owned(),
            namespace: optional(NAMESPACE)?.map(str::to_owned),
            derived,
        }
        .checked()
    }

    /// The same, once every name in it can be part of a URL or a header.
    pub(super) fn checked(self) -> Result<Self, HolderError> {
        let refused =
            |name: &str| Err(HolderError::Malformed(format!("parameter `{name}` is no valid name")));
        if !valid_path(&self.mount) {
            refused(MOUNT)
        } else if !valid_key(&self.key) {
            refused(KEY)
        } else if self.namespace.as_deref().is_some_and(|namespace| !valid_path(namespace)) {
            refused(NAMESPACE)
        } else {
            Ok(self)
        }
    }

    pub(super) fn to_spec(&self) -> KeyholderSpec {
        let text = |value: &str| Parameter::Text(value.to_owned());
        let mut parameters = BTreeMap::from([
            (ADDRESS.to_owned(), text(&self.address.to_string())),
            (KEY.to_owned(), text(&self.key)),
            (MOUNT.to_owned(), text(&self.mount)),
        ]);
        if let Some(namespace) = &self.namespace {
            parameters.insert(NAMESPACE.to_owned(), text(namespace));
        }
        if self.derived {
            parameters.insert(DERIVED.to_owned(), text("yes"));
        }
        KeyholderSpec { kind: KIND.into(), parameters }
    }

    /// The API path of the key itself.
    pub(super) fn key_path(&self) -> String {
        format!("{}/keys/{}", self.mount, self.key)
    }

    /// Key, mount and server, for messages.
    pub(super) fn place(&self) -> String {
        let place = format!("key `{}` in `{}` of {}", self.key, self.mount, self.address.authority());
        match &self.namespace {
            Some(namespace) => format!("{place}, namespace `{namespace}`"),
            None => place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(parameters: &[(&str, &str)]) -> KeyholderSpec {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), Parameter::Text((*value).to_owned()));
        KeyholderSpec { kind: KIND.into(), parameters: parameters.iter().map(text).collect() }
    }

    #[test]
    fn only_this_machine_goes_without_tls() {
        for good in [
            "https://bao.example.org",
            "https://bao.example.org:8200/",
            "http://127.0.0.1:8200",
            "http://[::1]:8200",
            "http://localhost:8200",
        ] {
            assert!(Address::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://bao.example.org:8200",
            "http://10.0.0.1",
            "http://127.0.0.1.example.org",
            "http://localhost.example.org",
            "https://bao.example.org/v1",
            "https://bao.example.org/?a",
            "https://user@bao.example.org",
            "ftp://127.0.0.1",
            "unix:/run/bao.sock",
            "bao.example.org",
            "",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_cannot_leave_their_place_in_a_url() {
        for bad in ["", "/", "a/", "/a", "a//b", "..", "a/../b", "a b", "a?b", "a#b", "a%2fb", "a\nb", "ä"] {
            assert!(!valid_path(bad), "{bad:?}");
        }
        assert!(valid_path("team-a/backup_1/transit.x"));
        assert!(!valid_key("a/b"));
        assert!(!valid_key(&"k".repeat(KEY_MAX + 1)));
    }

    #[test]
    fn parameters_survive_the_keyring() {
        let full = [
            ("address", "https://bao.example.org:8200"),
            ("derived", "yes"),
            ("key", "office"),
            ("mount", "backup/transit"),
            ("namespace", "team-a"),
        ];
        let parameters = Parameters::read(&spec(&full)).unwrap();
        assert_eq!(parameters.to_spec(), spec(&full));
        assert_eq!(Parameters::read(&parameters.to_spec()).unwrap(), parameters);

        let least = Parameters::read(&spec(&[("address", "https://[2001:db8::1]"), ("key", "k")])).unwrap();
        assert_eq!((least.mount.as_str(), least.derived), ("transit", false));
        assert_eq!(least.address.authority(), "[2001:db8::1]");
    }

    #[test]
    fn what_a_later_version_may_mean_is_refused() {
        let with = |name, value| {
            Parameters::read(&spec(&[("address", "https://bao.example.org"), ("key", "k"), (name, value)]))
        };
        assert!(with("derived", "no").is_err());
        assert!(with("mount", "").is_err());
        assert!(with("namespace", "a/../b").is_err());
        assert!(with("prefix", "x").is_err());
        assert!(Parameters::read(&spec(&[("key", "k")])).is_err());
    }
}
