//! One edit: a statement that denies, where it goes, and what it stops.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::estate::{
    AccountId, Arn, Estate, Form, NamedPolicy, OrgPolicy, OrgPolicyKind, Origin, PolicyText, Role, User,
};
use crate::evaluate::Principal;
use crate::graph::Asked;

/// Name of the policies that are added whole.
pub(super) const NAME: &str = "strongroom-fix";

/// Where a statement goes. The narrowest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The trust policy of a role, by its ARN.
    Trust(Arc<str>),
    /// An inline policy of a user or role, by its ARN.
    Identity(Arc<str>),
    /// The policy of a key, by its ARN.
    KeyPolicy(Arc<str>),
    /// A new service control policy on an account.
    Scp(AccountId),
}

/// Whom a statement denies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    /// Whoever has the policy.
    Bearer,
    /// A user, role or root user, by ARN.
    Arn(Arc<str>),
    /// Everybody in an account.
    Account(AccountId),
    /// Whoever an identity provider vouches for, by its ARN.
    Provider(Arc<str>),
    /// Everybody but these users and roles.
    AllBut(BTreeSet<Arc<str>>),
}

/// A statement that denies one action on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edit {
    /// Where it goes.
    pub place: Place,
    /// Whom it denies.
    pub whom: Whom,
    /// The action.
    pub action: Arc<str>,
    /// The resource.
    pub resource: Arc<str>,
}

/// The ARN by which conditions know a principal.
pub(super) fn arn_of(principal: &Principal) -> Option<Arc<str>> {
    match principal {
        Principal::User(arn) | Principal::Role { role: arn, .. } => Some(Arc::clone(arn)),
        Principal::Root(account) => Some(format!("arn:aws:iam::{account}:root").into()),
        _ => None,
    }
}

pub(super) fn account_of(principal: &Principal) -> Option<AccountId> {
    match principal {
        Principal::Root(account) => Some(*account),
        other => Arn::parse(&arn_of(other)?)?.account(),
    }
}

pub(super) fn role_of<'e>(estate: &'e Estate, arn: &str) -> Option<&'e Role> {
    let account = estate.accounts.get(&Arn::parse(arn)?.account()?)?;
    account.roles.values().find(|role| *role.arn == *arn)
}

pub(super) fn user_of<'e>(estate: &'e Estate, arn: &str) -> Option<&'e User> {
    let account = estate.accounts.get(&Arn::parse(arn)?.account()?)?;
    account.users.values().find(|user| *user.arn == *arn)
}

impl Edit {
    /// What it costs: every statement the same, the narrower ones a little less.
    pub(super) fn cost(&self) -> u64 {
        let place = match self.place {
            Place::Trust(_) => 0,
            Place::Identity(_) => 2,
            Place::KeyPolicy(_) => 4,
            Place::Scp(_) => 6,
        };
        1000 + place + u64::from(matches!(self.whom, Whom::AllBut(_)))
    }

    /// Whether it denies this, by its own words. The evaluator has the last one.
    pub(super) fn stops(&self, asked: &Asked) -> bool {
        let about = self.action.eq_ignore_ascii_case(&asked.action)
            && (self.resource == asked.resource || *self.resource == *"*");
        let binds = match &self.place {
            Place::Identity(arn) => {
                !asked.any_policy && arn_of(&asked.principal).is_some_and(|own| own == *arn)
            }
            Place::Scp(account) => !asked.unguarded && account_of(&asked.principal) == Some(*account),
            Place::Trust(arn) | Place::KeyPolicy(arn) => *arn == asked.resource,
        };
        about && binds && self.denies(&asked.principal)
    }

    fn denies(&self, principal: &Principal) -> bool {
        match &self.whom {
            Whom::Bearer => true,
            Whom::Arn(arn) => arn_of(principal).is_some_and(|own| own == *arn),
            Whom::Account(account) => account_of(principal) == Some(*account),
            Whom::Provider(arn) => *principal == Principal::Federated(Arc::clone(arn)),
            Whom::AllBut(these) => arn_of(principal).is_none_or(|own| !these.contains(&own)),
        }
    }

    /// The statement, with its number among the edits.
    pub fn statement(&self, number: usize) -> Value {
        let mut statement = Map::new();
        statement.insert("Sid".into(), json!(format!("StrongroomFix{number}")));
        statement.insert("Effect".into(), json!("Deny"));
        let principal = match (&self.place, &self.whom) {
            (_, Whom::Provider(arn)) => Some(json!({ "Federated": &**arn })),
            (Place::Trust(_) | Place::KeyPolicy(_), _) => Some(json!({ "AWS": "*" })),
            _ => None,
        };
        if let Some(principal) = principal {
            statement.insert("Principal".into(), principal);
        }
        statement.insert("Action".into(), json!(&*self.action));
        match self.place {
            Place::Trust(_) => {}
            Place::KeyPolicy(_) => drop(statement.insert("Resource".into(), json!("*"))),
            _ => drop(statement.insert("Resource".into(), json!(&*self.resource))),
        }
        let condition = match &self.whom {
            Whom::Arn(arn) => Some(json!({ "ArnEquals": { "aws:PrincipalArn": &**arn } })),
            Whom::Account(account) => {
                Some(json!({ "StringEquals": { "aws:PrincipalAccount": account.to_string() } }))
            }
            Whom::AllBut(these) if !these.is_empty() => {
                let these: Vec<&str> = these.iter().map(|arn| &**arn).collect();
                Some(json!({ "ArnNotEquals": { "aws:PrincipalArn": these } }))
            }
            _ => None,
        };
        if let Some(condition) = condition {
            statement.insert("Condition".into(), condition);
        }
        Value::Object(statement)
    }
}

/// All edits of one place: the policy before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where.
    pub place: Place,
    /// The numbers of its edits.
    pub numbers: Vec<usize>,
    /// The file with the policy that is changed; `None` where a new policy is made.
    pub origin: Option<Origin>,
    /// What is done to it, as a JSON patch (RFC 6902); empty for a new policy.
    pub patch: Vec<Value>,
    /// The whole policy afterwards.
    pub policy: Value,
}

/// The changes that these edits are; edits of which a policy cannot be read are left out.
pub(super) fn changes(estate: &Estate, edits: &[Edit]) -> Vec<Change> {
    let mut places: Vec<&Place> = edits.iter().map(|edit| &edit.place).collect();
    places.sort();
    places.dedup();
    places.into_iter().filter_map(|place| change(estate, edits, place)).collect()
}

fn change(estate: &Estate, edits: &[Edit], place: &Place) -> Option<Change> {
    let numbered = (1_usize..).zip(edits).filter(|(_, edit)| edit.place == *place);
    let (numbers, statements): (Vec<usize>, Vec<Value>) =
        numbered.map(|(number, edit)| (number, edit.statement(number))).unzip();
    let old = match place {
        Place::Trust(arn) => Some(&role_of(estate, arn)?.trust),
        Place::KeyPolicy(arn) => Some(estate.key(arn)?.policies.get("default")?),
        Place::Identity(_) | Place::Scp(_) => None,
    };
    let place = place.clone();
    let Some(old) = old else {
        let policy = json!({ "Version": "2012-10-17", "Statement": statements });
        return Some(Change { place, numbers, origin: None, patch: Vec::new(), policy });
    };
    let mut policy: Value = serde_json::from_str(&old.text).ok()?;
    let existing = policy.as_object_mut()?.entry("Statement").or_insert_with(|| json!([]));
    let patch = match existing {
        Value::Array(existing) => {
            existing.extend(statements.iter().cloned());
            let add = |statement| json!({ "op": "add", "path": "/Statement/-", "value": statement });
            statements.iter().map(add).collect()
        }
        // A single statement may stand without a list.
        single => {
            let mut all = vec![single.take()];
            all.extend(statements);
            *single = Value::Array(all.clone());
            vec![json!({ "op": "replace", "path": "/Statement", "value": all })]
        }
    };
    Some(Change { place, numbers, origin: Some(old.origin.clone()), patch, policy })
}

/// The estate after these changes.
pub(super) fn apply(estate: &Estate, changes: &[Change]) -> Estate {
    let mut after = estate.clone();
    for change in changes {
        let text = |policy: &Value| PolicyText {
            text: policy.to_string().into(),
            origin: change.origin.clone().unwrap_or(Origin { file: NAME.into(), line: 1 }),
            form: Form::Text,
        };
        let new = || NamedPolicy { name: NAME.into(), document: text(&change.policy) };
        match &change.place {
            Place::Trust(arn) => {
                if let Some(role) = role_mut(&mut after, arn) {
                    role.trust = text(&change.policy);
                }
            }
            Place::KeyPolicy(arn) => {
                let account = Arn::parse(arn).and_then(|arn| arn.account());
                let account = account.and_then(|account| after.accounts.get_mut(&account));
                if let Some(key) = account.and_then(|account| account.keys.get_mut(arn)) {
                    key.policies.insert("default".into(), text(&change.policy));
                }
            }
            Place::Identity(arn) => {
                if let Some(role) = role_mut(&mut after, arn) {
                    role.inline.push(new());
                } else if let Some(account) = Arn::parse(arn).and_then(|arn| arn.account())
                    && let Some(account) = after.accounts.get_mut(&account)
                    && let Some(user) = account.users.values_mut().find(|user| user.arn == *arn)
                {
                    user.inline.push(new());
                }
            }
            Place::Scp(account) => attach(&mut after, *account, text(&change.policy)),
        }
    }
    after
}

fn role_mut<'e>(estate: &'e mut Estate, arn: &str) -> Option<&'e mut Role> {
    let account = estate.accounts.get_mut(&Arn::parse(arn)?.account()?)?;
    account.roles.values_mut().find(|role| *role.arn == *arn)
}

fn attach(estate: &mut Estate, account: AccountId, document: PolicyText) {
    let of =
        estate.organisations.values_mut().find(|organisation| organisation.members.contains_key(&account));
    let Some(organisation) = of else { return };
    let id: Arc<str> = format!("p-{NAME}-{account}").into();
    let management = organisation.management.unwrap_or(account);
    // With an ARN, so that it can be taken away as any other.
    let arn =
        format!("arn:aws:organizations::{management}:policy/{}/service_control_policy/{id}", organisation.id);
    let policy = OrgPolicy {
        id: Arc::clone(&id),
        kind: OrgPolicyKind::Scp,
        name: Some(NAME.into()),
        arn: Some(arn.into()),
        aws_managed: false,
        document: Some(document),
    };
    organisation.policies.insert(Arc::clone(&id), policy);
    if let Some(scps) = organisation.members.get_mut(&account).and_then(|member| member.scps.as_mut()) {
        scps.push(id);
    }
}
