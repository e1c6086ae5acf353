//! Who acts.

use std::fmt;
use std::sync::Arc;

use crate::estate::{AccountId, Arn};
use crate::evaluate::Principal;

/// Somebody who acts, with what stands behind them at that moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// A user of IAM, by ARN.
    User(Arc<str>),
    /// Whoever has a session of a role, by ARN.
    Role(Arc<str>),
    /// A user or role that has given itself any policy. Its boundary still binds it.
    Empowered(Arc<str>),
    /// The root user of an account.
    Root(AccountId),
    /// Whoever can make a role in an account, or take any.
    AnyRole(AccountId),
    /// Code that runs somewhere, by the ARN of that.
    Code(Arc<str>),
    /// Whoever an identity provider vouches for, by the ARN of the provider.
    Provider(Arc<str>),
    /// A member of a group of the directory, by the id of the group.
    DirectoryGroup(Arc<str>),
    /// A user of the directory, by id.
    DirectoryUser(Arc<str>),
    /// Somebody in an account that nothing is known of.
    Foreign(AccountId),
    /// Anybody at all.
    Anybody,
}

impl Actor {
    /// The account that the actor stands in.
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::User(arn)
            | Self::Role(arn)
            | Self::Empowered(arn)
            | Self::Code(arn)
            | Self::Provider(arn) => Arn::parse(arn)?.account(),
            Self::Root(account) | Self::AnyRole(account) | Self::Foreign(account) => Some(*account),
            Self::DirectoryGroup(_) | Self::DirectoryUser(_) | Self::Anybody => None,
        }
    }

    /// What the evaluator knows the actor as; `None` for those who never ask AWS themselves.
    pub fn principal(&self) -> Option<Principal> {
        let role = |role: Arc<str>| Principal::Role { role, session: None };
        Some(match self {
            Self::User(arn) => Principal::User(Arc::clone(arn)),
            Self::Role(arn) => role(Arc::clone(arn)),
            Self::Empowered(arn) if arn.contains(":user/") => Principal::User(Arc::clone(arn)),
            Self::Empowered(arn) => role(Arc::clone(arn)),
            Self::Root(account) => Principal::Root(*account),
            Self::AnyRole(account) => role(format!("arn:aws:iam::{account}:role/any-new-role").into()),
            Self::Foreign(account) => Principal::User(format!("arn:aws:iam::{account}:user/unknown").into()),
            Self::Provider(arn) => Principal::Federated(Arc::clone(arn)),
            Self::Anybody => Principal::Anonymous,
            Self::Code(_) | Self::DirectoryGroup(_) | Self::DirectoryUser(_) => return None,
        })
    }

    /// Whether identity policies are as the actor likes.
    pub fn has_any_policy(&self) -> bool {
        matches!(self, Self::Empowered(_) | Self::AnyRole(_))
    }

    /// Whether an attack can begin here: whether it is somebody, or something, that can be captured.
    pub fn can_be_captured(&self) -> bool {
        !matches!(self, Self::Empowered(_) | Self::AnyRole(_))
    }

    /// What it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Role(_) => "role",
            Self::Empowered(_) => "principal with any policy",
            Self::Root(_) => "root user",
            Self::AnyRole(_) => "any role",
            Self::Code(_) => "code",
            Self::Provider(_) => "identity provider",
            Self::DirectoryGroup(_) => "directory group",
            Self::DirectoryUser(_) => "directory user",
            Self::Foreign(_) => "unknown account",
            Self::Anybody => "anybody",
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(arn) | Self::Role(arn) => f.write_str(arn),
            Self::Empowered(arn) => write!(f, "{arn}, with any policy of its own"),
            Self::Root(account) => write!(f, "the root user of {account}"),
            Self::AnyRole(account) => write!(f, "any role of {account}"),
            Self::Code(arn) => write!(f, "code in {arn}"),
            Self::Provider(arn) => write!(f, "whoever {arn} vouches for"),
            Self::DirectoryGroup(id) => write!(f, "members of the directory group {id}"),
            Self::DirectoryUser(id) => write!(f, "the directory user {id}"),
            Self::Foreign(account) => write!(f, "somebody in account {account}, of which nothing is known"),
            Self::Anybody => f.write_str("anybody"),
        }
    }
}
