//! What is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::estate::{AccountId, PolicyText, Tags};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// A user of IAM, by ARN.
    User(Arc<str>),
    /// A session of a role.
    Role {
        /// ARN of the role.
        role: Arc<str>,
        /// Name of the session; `None`: whoever assumes the role chooses it.
        session: Option<Arc<str>>,
    },
    /// The root user of an account.
    Root(AccountId),
    /// A session of a user, from `sts:GetFederationToken`.
    FederatedUser {
        /// ARN of the user that asked for it.
        user: Arc<str>,
        /// Its name.
        name: Arc<str>,
    },
    /// A service of AWS that acts for itself: `backup.amazonaws.com`.
    Service(Arc<str>),
    /// Somebody that an identity provider vouches for, by the ARN of the provider.
    Federated(Arc<str>),
    /// Somebody without credentials.
    Anonymous,
}

/// How a request comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Call {
    /// From the principal itself: what services set is absent.
    #[default]
    Direct,
    /// Through a service that acts with the principal's permissions: its name, as `backup`.
    Through(Arc<str>),
}

/// What is known of a context key beyond what follows from the estate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// It has these values.
    Values(Vec<Arc<str>>),
    /// It is not in the request.
    Absent,
    /// It may be anything.
    Open,
}

/// The context of a request. What it does not say follows from the estate, or is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// How the request comes.
    pub call: Call,
    /// Tags of the session; `None`: whoever assumes the role may have chosen some. Without meaning for users.
    pub session_tags: Option<Tags>,
    /// The encryption context; `None`: whoever asks chooses it.
    pub encryption_context: Option<Tags>,
    pub(super) given: BTreeMap<Arc<str>, Given>,
}

impl Context {
    /// Says what is known of a key, in any case.
    #[must_use]
    pub fn with(mut self, key: &str, given: Given) -> Self {
        self.given.insert(key.to_ascii_lowercase().into(), given);
        self
    }

    /// Says that a key has one value.
    #[must_use]
    pub fn value(self, key: &str, value: &str) -> Self {
        self.with(key, Given::Values(vec![value.into()]))
    }

    /// Says that a key is not in the request.
    #[must_use]
    pub fn absent(self, key: &str) -> Self {
        self.with(key, Given::Absent)
    }

    /// Says how the request comes.
    #[must_use]
    pub fn through(mut self, service: &str) -> Self {
        self.call = Call::Through(service.into());
        self
    }
}

/// One question.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks.
    pub principal: Principal,
    /// Session policies; several together allow what each of them or another does. Empty: none.
    pub session_policies: Vec<PolicyText>,
    /// The policy of the VPC endpoint that the request comes through; `None`: no endpoint, or one that allows all.
    pub endpoint_policy: Option<PolicyText>,
    /// The action, as `kms:Decrypt`.
    pub action: Arc<str>,
    /// The ARN of the resource; `*` for actions that have none.
    pub resource: Arc<str>,
    /// For actions on aliases: the keys that the alias points to before and after, by ARN.
    pub alias_keys: Vec<Arc<str>>,
    /// For `kms:RetireGrant`: the grant; `None` for any grant of the key.
    pub grant: Option<Arc<str>>,
    /// Whether the principal may give itself any policy before it asks: then only boundaries and the policies of others
    /// still bind it for sure. Denials in its own make the answer unknown: it may take them away.
    pub any_policy: bool,
    /// Whether service and resource control policies are taken away first.
    pub unguarded: bool,
    /// Its context.
    pub context: Context,
}

impl Request {
    /// A direct request without session policies, in a context of which nothing is known.
    pub fn new(principal: Principal, action: &str, resource: &str) -> Self {
        Self {
            principal,
            session_policies: Vec::new(),
            endpoint_policy: None,
            action: action.into(),
            resource: resource.into(),
            alias_keys: Vec::new(),
            grant: None,
            any_policy: false,
            unguarded: false,
            context: Context::default(),
        }
    }
}
