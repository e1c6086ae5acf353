//! One event for every provider: what a trail says of one call.

use crate::problem::Place;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// Whose trail it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// AWS CloudTrail.
    Aws,
    /// An audit device of OpenBao or HashiCorp Vault.
    Transit,
    /// Google Cloud Audit Logs.
    Gcp,
    /// Azure Key Vault logs.
    Azure,
}

impl Provider {
    /// A stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Transit => "transit",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
        }
    }
}

/// How well the events of a provider can be joined with ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// No id that a client could know: Google Cloud. Joined by key, operation and time.
    Low,
    /// An id that the client chose, and that anybody may choose again: Azure.
    Medium,
    /// The provider's own id, which its answer told to the client: AWS, OpenBao.
    High,
}

impl Confidence {
    /// A stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What a call did with a key, in the same words for every provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Something is opened.
    Decrypt,
    /// Something is sealed.
    Encrypt,
    /// A fresh key is made and sealed.
    DataKey,
    /// Something is opened and sealed anew, within the provider.
    ReEncrypt,
    /// The key is used in another way: signatures, MACs, key agreement.
    OtherUse,
    /// The key, its policy or the trail is managed, or looked at.
    Management,
}

impl Operation {
    /// Whether the key itself is used.
    #[must_use]
    pub fn is_key_use(self) -> bool {
        self != Self::Management
    }

    /// A stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decrypt => "decrypt",
            Self::Encrypt => "encrypt",
            Self::DataKey => "data-key",
            Self::ReEncrypt => "re-encrypt",
            Self::OtherUse => "other-use",
            Self::Management => "management",
        }
    }
}

/// Who called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Principal {
    /// ARN, entity id, mail address or object id; empty where the trail names none.
    pub name: String,
    /// The provider's word for its kind, such as `AssumedRole`.
    pub kind: String,
    /// Its account.
    pub account: Option<String>,
    /// The role, policy or application that the session was made from.
    pub issuer: Option<String>,
    /// The access key id, the accessor of a token.
    pub access_key: Option<String>,
    /// The service that called for somebody.
    pub invoked_by: Option<String>,
    /// Where the call came from: an address, or the name of a service.
    pub source_ip: Option<String>,
    /// What the caller says it is. Anybody can say anything.
    pub user_agent: Option<String>,
}

/// What a key use was bound to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Context {
    /// The trail says nothing of it.
    #[default]
    None,
    /// Pairs in the clear: an AWS encryption context.
    Pairs(BTreeMap<String, String>),
    /// A keyed hash of associated data, as an audit device writes it: `hmac-sha256:…`.
    Hashed(String),
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Whose trail it is in.
    pub provider: Provider,
    /// The service that was called, such as `kms.amazonaws.com`.
    pub service: String,
    /// The account whose trail it is in: account, namespace, project, subscription.
    pub account: String,
    /// The region; empty where there are none.
    pub region: String,
    /// The event's id, unique within the account.
    pub id: String,
    /// The id that it shares with the events of other accounts about the same call.
    pub shared_id: Option<String>,
    /// When the provider took the request.
    pub time: Timestamp,
    /// The provider's name of the operation, such as `GenerateDataKey`.
    pub name: String,
    /// The same in our words.
    pub operation: Operation,
    /// The keys that it is about, by their full names, the used one first.
    pub keys: Vec<String>,
    /// The name by which the caller asked for the key, where it is another: an alias, a short id.
    pub key_as_given: Option<String>,
    /// The version of the key's material.
    pub key_material: Option<String>,
    /// Who.
    pub principal: Principal,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// What it was bound to.
    pub context: Context,
    /// Whether the key takes no context: an RSA key.
    pub asymmetric: bool,
    /// Why it failed; `None` where it did not.
    pub error: Option<String>,
    /// Whether it changes nothing.
    pub read_only: Option<bool>,
    /// Whether the provider itself did it, and nobody called.
    pub by_provider: bool,
    /// Whether the provider left out parameters.
    pub omitted: bool,
    /// Why it came late, if the provider says so: `DELIVERY_DELAY`, `UPDATED_DATA`, `SERVICE_OUTAGE`.
    pub addendum: Option<String>,
    /// Parameters of management calls, as the provider writes them; null for key uses.
    pub parameters: Value,
    /// An id of one of our operations that the caller's user agent or headers carry. Anybody can write one.
    pub operation_hint: Option<String>,
    /// How well it can be joined.
    pub confidence: Confidence,
    /// Where it was read.
    pub place: Place,
}

impl Event {
    /// An event of which only provider, place and time are known.
    #[must_use]
    pub fn new(provider: Provider, place: Place, time: Timestamp) -> Self {
        let confidence = match provider {
            Provider::Aws | Provider::Transit => Confidence::High,
            Provider::Azure => Confidence::Medium,
            Provider::Gcp => Confidence::Low,
        };
        Self {
            provider,
            service: String::new(),
            account: String::new(),
            region: String::new(),
            id: String::new(),
            shared_id: None,
            time,
            name: String::new(),
            operation: Operation::Management,
            keys: Vec::new(),
            key_as_given: None,
            key_material: None,
            principal: Principal::default(),
            request_id: None,
            context: Context::None,
            asymmetric: false,
            error: None,
            read_only: None,
            by_provider: false,
            omitted: false,
            addendum: None,
            parameters: Value::Null,
            operation_hint: None,
            confidence,
            place,
        }
    }

    /// The key that was used, or that it is about.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.keys.first().map(String::as_str)
    }

    /// Whether it was refused or failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// Whether it was refused for want of a right.
    #[must_use]
    pub fn was_denied(&self) -> bool {
        self.error.as_deref().is_some_and(|error| {
            let error = error.to_ascii_lowercase();
            ["denied", "unauthorized", "forbidden", "permission"].iter().any(|word| error.contains(word))
        })
    }
}

/// The UUID after `strongroom-op/` in a user agent.
pub(crate) fn operation_hint(text: &str) -> Option<String> {
    let rest = text.split_once("strongroom-op/")?.1;
    let id = rest.get(..36)?;
    strongroom_ledger::entry::OperationId::parse(id).map(|id| id.to_string())
}
