//! What is known of a request: who asks, whose the resource is, and what each context key says.

use std::sync::Arc;

use super::compiled::{Compiled, Identity, not_collected};
use super::operations;
use super::request::{Call, Given, Principal, Request};
use crate::conditions::{Missing, Reason, Source, facts_of};
use crate::estate::{AccountId, Arn, Estate, Key, Kind, Organisation, Scope, Tags};

/// What a context key says.
pub(super) enum Found {
    Values(Vec<Arc<str>>),
    Absent,
    Open(Source, bool),
    Missing(Missing),
}

/// The ARNs by which a principal is named.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The user, session or federated session itself.
    pub(super) itself: Option<Arc<str>>,
    /// The role of a session.
    pub(super) role: Option<Arc<str>>,
    /// What the ARN of a session begins with, where its name is open.
    pub(super) sessions: Option<String>,
}

pub(super) struct World<'a, 'e> {
    pub(super) estate: &'e Estate,
    pub(super) request: &'a Request,
    pub(super) action: String,
    pub(super) service: String,
    pub(super) account: Option<AccountId>,
    pub(super) names: Names,
    pub(super) identity: Option<&'a Identity<'e>>,
    pub(super) resource: &'a str,
    pub(super) owner: Option<AccountId>,
    pub(super) key: Option<&'e Key>,
}

impl<'a, 'e> World<'a, 'e> {
    pub(super) fn new(
        estate: &'e Estate,
        compiled: &'a Compiled<'e>,
        request: &'a Request,
        resource: &'a str,
    ) -> Self {
        let action = request.action.to_ascii_lowercase();
        let service = action.split(':').next().unwrap_or_default().to_owned();
        let account_of = |arn: &str| Arn::parse(arn).and_then(|arn| arn.account());
        let mut names = Names::default();
        let (account, identity) = match &request.principal {
            Principal::User(arn) => {
                names.itself = Some(Arc::clone(arn));
                (account_of(arn), compiled.identities.get(&**arn))
            }
            Principal::FederatedUser { user, name } => {
                let account = account_of(user);
                let of = account.map(|account| account.to_string()).unwrap_or_default();
                let partition = Arn::parse(user).map_or("aws", |arn| arn.partition);
                names.itself = Some(format!("arn:{partition}:sts::{of}:federated-user/{name}").into());
                (account, compiled.identities.get(&**user))
            }
            Principal::Role { role, session } => {
                names.role = Some(Arc::clone(role));
                if let Some(arn) = Arn::parse(role) {
                    let name = arn.resource.rsplit('/').next().unwrap_or_default();
                    let start = format!("arn:{}:sts::{}:assumed-role/{name}/", arn.partition, arn.owner);
                    match session {
                        Some(session) => names.itself = Some(format!("{start}{session}").into()),
                        None => names.sessions = Some(start),
                    }
                }
                (account_of(role), compiled.identities.get(&**role))
            }
            Principal::Root(account) => {
                names.itself = Some(format!("arn:aws:iam::{account}:root").into());
                (Some(*account), None)
            }
            Principal::Service(_) | Principal::Federated(_) | Principal::Anonymous => (None, None),
        };
        let parsed = Arn::parse(resource);
        let owner = match parsed {
            Some(arn) if arn.service == "s3" && arn.owner.is_empty() => {
                let bucket = arn.resource.split('/').next().unwrap_or_default();
                estate
                    .accounts
                    .iter()
                    .find(|(_, account)| account.buckets.contains_key(bucket))
                    .map(|(id, _)| *id)
            }
            Some(arn) => arn.account(),
            None => account,
        };
        let key = estate.key(resource);
        Self { estate, request, action, service, account, names, identity, resource, owner, key }
    }

    pub(super) fn operation(&self) -> Option<&'static operations::Operation> {
        operations::find(self.action.strip_prefix("kms:")?)
    }

    pub(super) fn on_key(&self) -> bool {
        Arn::parse(self.resource).is_some_and(|arn| arn.service == "kms" && arn.resource.starts_with("key/"))
    }

    pub(super) fn missing(&self, kind: Kind, account: Option<AccountId>, what: &str) -> Missing {
        match account {
            Some(account) => not_collected(kind, Scope::Account(account), what),
            None => {
                Missing { reason: Reason::NotCollected, kind: Some(kind), scope: None, what: what.into() }
            }
        }
    }

    /// What a context key, in lower case, says.
    pub(super) fn find(&self, key: &str) -> Found {
        let context = &self.request.context;
        match context.given.get(key) {
            Some(Given::Values(values)) => return Found::Values(values.clone()),
            Some(Given::Absent) => return Found::Absent,
            Some(Given::Open) => {
                let facts = facts_of(key);
                return Found::Open(facts.source, facts.several);
            }
            None => {}
        }
        let facts = facts_of(key);
        if !facts.operations.is_empty() {
            let name = self.action.strip_prefix("kms:").unwrap_or_default();
            if !facts.operations.contains(&name) {
                return if key == "kms:grantisforawsresource" { one("false") } else { Found::Absent };
            }
        }
        if let Some(found) = self.encryption_context(key) {
            return found;
        }
        match facts.source {
            Source::Known => self.known(key),
            Source::ServiceSupplied => self.supplied(key, facts.several),
            Source::Token if !matches!(self.request.principal, Principal::Federated(_)) => Found::Absent,
            source => Found::Open(source, facts.several),
        }
    }

    fn encryption_context(&self, key: &str) -> Option<Found> {
        let name = key.strip_prefix("kms:encryptioncontext")?;
        // https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html: keys of asymmetric and HMAC
        // kinds have none.
        let spec = self.key.and_then(|key| key.spec.as_deref());
        if spec.is_some_and(|spec| spec != "SYMMETRIC_DEFAULT") {
            return Some(Found::Absent);
        }
        let pairs = self.request.context.encryption_context.as_ref()?;
        if name == "keys" {
            let names: Vec<Arc<str>> = pairs.iter().map(|(name, _)| Arc::clone(name)).collect();
            return Some(if names.is_empty() { Found::Absent } else { Found::Values(names) });
        }
        Some(tagged(pairs, name.trim_start_matches(':')))
    }

    fn supplied(&self, key: &str, several: bool) -> Found {
        let open = Found::Open(Source::ServiceSupplied, several);
        match (&self.request.context.call, &self.request.principal) {
            // https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
            (Call::Through(service), _) => match key {
                "kms:viaservice" => {
                    let region = Arn::parse(self.resource).map_or("", |arn| arn.region);
                    if region.is_empty() { open } else { one(&format!("{service}.{region}.amazonaws.com")) }
                }
                "aws:viaawsservice" => one("true"),
                _ => open,
            },
            (Call::Direct, Principal::Service(_)) => match key {
                "aws:viaawsservice" => one("false"),
                "kms:viaservice" => Found::Absent,
                _ => open,
            },
            (Call::Direct, _) => match key {
                "aws:viaawsservice" | "kms:grantisforawsresource" => one("false"),
                _ => Found::Absent,
            },
        }
    }

    fn organisation(&self, account: Option<AccountId>) -> Option<&'e Organisation> {
        self.estate.organisation_of(account?)
    }

    fn organisation_id(&self, account: Option<AccountId>) -> Found {
        match self.organisation(account) {
            Some(organisation) => one(&organisation.id),
            None => Found::Missing(self.missing(Kind::Organisation, account, "the organisation")),
        }
    }

    fn organisation_path(&self, account: Option<AccountId>) -> Found {
        let place = self.organisation(account).zip(account).filter(|(o, account)| o.place_is_known(*account));
        match place {
            Some((organisation, account)) => {
                let mut path = format!("{}/", organisation.id);
                for node in organisation.ancestors(account).iter().rev() {
                    path.push_str(&node.id);
                    path.push('/');
                }
                one(&path)
            }
            None => Found::Missing(self.missing(Kind::Tree, account, "the place in the organisation")),
        }
    }

    /// Keys that follow from what was collected
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>).
    fn known(&self, key: &str) -> Found {
        let of_principal =
            |found: &dyn Fn() -> Found| if self.account.is_some() { found() } else { Found::Absent };
        match key {
            "aws:principalarn" => match (&self.names.role, &self.names.itself) {
                (Some(role), _) => one(role),
                (None, Some(itself)) => one(itself),
                (None, None) => Found::Absent,
            },
            "aws:principalaccount" => of_principal(&|| one(&text(self.account))),
            "kms:calleraccount" => match &self.request.principal {
                Principal::Service(_) => Found::Open(Source::ServiceSupplied, false),
                _ => of_principal(&|| one(&text(self.account))),
            },
            "aws:principalorgid" => of_principal(&|| self.organisation_id(self.account)),
            "aws:principalorgpaths" => of_principal(&|| self.organisation_path(self.account)),
            "aws:resourceaccount" => match self.owner {
                Some(owner) => one(&owner.to_string()),
                None => Found::Missing(self.missing(Kind::Buckets, None, "whose the resource is")),
            },
            "aws:resourceorgid" => self.organisation_id(self.owner),
            "aws:resourceorgpaths" => self.organisation_path(self.owner),
            "aws:principalisawsservice" => {
                one(if matches!(self.request.principal, Principal::Service(_)) { "true" } else { "false" })
            }
            "aws:principalservicename" | "aws:principalservicenameslist" => match &self.request.principal {
                Principal::Service(name) => one(name),
                _ => Found::Absent,
            },
            "aws:assumedroot" => Found::Absent,
            "aws:principaltype" => match &self.request.principal {
                Principal::User(_) => one("User"),
                Principal::Role { .. } => one("AssumedRole"),
                Principal::Root(_) => one("Account"),
                Principal::FederatedUser { .. } => one("FederatedUser"),
                Principal::Anonymous => one("Anonymous"),
                Principal::Service(_) | Principal::Federated(_) => Found::Open(Source::Known, false),
            },
            "aws:username" => match self.identity.and_then(|identity| identity.user) {
                Some(user) if matches!(self.request.principal, Principal::User(_)) => one(&user.name),
                _ => match &self.request.principal {
                    Principal::User(arn) => one(arn.rsplit('/').next().unwrap_or_default()),
                    _ => Found::Absent,
                },
            },
            "aws:userid" => self.user_id(),
            "aws:requestedregion" => match Arn::parse(self.resource) {
                Some(arn) if !arn.region.is_empty() => one(arn.region),
                _ => Found::Open(Source::AttackerChosen, false),
            },
            _ => self.tags_and_key(key),
        }
    }

    fn user_id(&self) -> Found {
        let identity = self.identity;
        match &self.request.principal {
            Principal::User(_) => match identity.and_then(|identity| identity.user) {
                Some(user) => one(&user.id),
                None => Found::Missing(self.missing(Kind::Users, self.account, "the user's unique id")),
            },
            Principal::Role { session: Some(session), .. } => {
                match identity.and_then(|identity| identity.role) {
                    Some(role) => one(&format!("{}:{session}", role.id)),
                    None => Found::Missing(self.missing(Kind::Roles, self.account, "the role's unique id")),
                }
            }
            Principal::Root(account) => one(&account.to_string()),
            _ => Found::Open(Source::AttackerChosen, false),
        }
    }

    fn tags_and_key(&self, key: &str) -> Found {
        if let Some(name) = key.strip_prefix("aws:principaltag/") {
            return self.principal_tag(name);
        }
        if let Some(name) =
            key.strip_prefix("aws:resourcetag/").or_else(|| key.strip_prefix("iam:resourcetag/"))
        {
            return self.resource_tag(name);
        }
        let Some(described) = self.key else {
            return if self.on_key() {
                Found::Missing(self.missing(Kind::KeyDescriptions, self.owner, "the description of the key"))
            } else if key.starts_with("kms:") {
                Found::Open(Source::AttackerChosen, key == "kms:resourcealiases")
            } else {
                Found::Missing(self.missing(Kind::KeyTags, self.owner, "tags of the resource"))
            };
        };
        let undescribed = || {
            Found::Missing(self.missing(
                Kind::KeyDescriptions,
                self.owner,
                &format!("the description of {}", described.arn),
            ))
        };
        use crate::estate::KeyOrigin;
        let told = |value: Option<&str>| value.map_or_else(undescribed, one);
        match key {
            "kms:keyorigin" => told(described.origin.as_ref().map(|origin| match origin {
                KeyOrigin::AwsKms => "AWS_KMS",
                KeyOrigin::External => "EXTERNAL",
                KeyOrigin::CloudHsm => "AWS_CLOUDHSM",
                KeyOrigin::ExternalKeyStore => "EXTERNAL_KEY_STORE",
                KeyOrigin::Other(other) => other,
            })),
            "kms:keyspec" | "kms:customermasterkeyspec" => told(described.spec.as_deref()),
            "kms:keyusage" | "kms:customermasterkeyusage" => told(described.usage.as_deref()),
            "kms:multiregion" | "kms:multiregionkeytype" if described.state.is_none() => undescribed(),
            "kms:multiregion" => one(if described.multi_region.is_some() { "true" } else { "false" }),
            "kms:multiregionkeytype" => match &described.multi_region {
                Some(multi) => one(if multi.primary { "PRIMARY" } else { "REPLICA" }),
                None => Found::Absent,
            },
            "kms:resourcealiases" => match &described.aliases {
                Some(aliases) if aliases.is_empty() => Found::Absent,
                Some(aliases) => Found::Values(aliases.iter().map(|alias| Arc::clone(&alias.name)).collect()),
                None => Found::Missing(self.missing(Kind::Aliases, self.owner, "the aliases of the key")),
            },
            _ => Found::Missing(self.missing(Kind::KeyTags, self.owner, "tags of the resource")),
        }
    }

    /// Tags of a session come before those of its role
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html>).
    fn principal_tag(&self, name: &str) -> Found {
        match (&self.request.principal, self.identity) {
            (Principal::Role { .. } | Principal::FederatedUser { .. }, identity) => {
                let Some(session) = &self.request.context.session_tags else {
                    return Found::Open(Source::AttackerChosen, false);
                };
                if let found @ Found::Values(_) = tagged(session, name) {
                    return found;
                }
                match identity {
                    Some(Identity { role: Some(role), .. }) => tagged(&role.tags, name),
                    Some(Identity { user: Some(user), .. }) => tagged(&user.tags, name),
                    _ => Found::Missing(self.missing(Kind::Roles, self.account, "tags of the principal")),
                }
            }
            (Principal::User(_), Some(Identity { user: Some(user), .. })) => tagged(&user.tags, name),
            (Principal::User(_), _) => {
                Found::Missing(self.missing(Kind::Users, self.account, "tags of the principal"))
            }
            (Principal::Federated(_), _) => Found::Open(Source::Token, false),
            _ => Found::Absent,
        }
    }

    fn resource_tag(&self, name: &str) -> Found {
        if let Some(key) = self.key {
            return match &key.tags {
                Some(tags) => tagged(tags, name),
                None => {
                    Found::Missing(self.missing(Kind::KeyTags, self.owner, &format!("tags of {}", key.arn)))
                }
            };
        }
        let account = self.owner.and_then(|owner| self.estate.accounts.get(&owner));
        let tags = account.and_then(|account| {
            let role = account.roles.values().find(|role| *role.arn == *self.resource).map(|role| &role.tags);
            role.or_else(|| {
                account.users.values().find(|user| *user.arn == *self.resource).map(|user| &user.tags)
            })
        });
        match tags {
            Some(tags) => tagged(tags, name),
            None if self.resource == "*" => Found::Absent,
            None => Found::Missing(Missing {
                reason: Reason::NotCollected,
                kind: None,
                scope: self.owner.map(Scope::Account),
                what: format!("tags of {}", self.resource).into(),
            }),
        }
    }
}

fn one(value: &str) -> Found {
    Found::Values(vec![value.into()])
}

fn text(account: Option<AccountId>) -> String {
    account.map(|account| account.to_string()).unwrap_or_default()
}

/// Names of tags are compared without regard to case in condition keys
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/access_tags.html>).
fn tagged(tags: &Tags, name: &str) -> Found {
    match tags.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(name)) {
        Some((_, value)) => Found::Values(vec![Arc::clone(value)]),
        None => Found::Absent,
    }
}
