//! Evaluating policies: each rule with the page of AWS that states it, and properties that no rule may break.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

mod grants;
mod kms;
mod organisation;
mod principals;
mod properties;
mod resources;

use std::sync::Arc;

use strongroom_posture::estate::{
    Account, AccountId, Constraints, Coverage, Estate, Form, Grant, Key, KeyManager, KeyState, ManagedPolicy,
    Member, MemberState, NamedPolicy, Node, NodeKind, OrgPolicy, OrgPolicyKind, Organisation, Origin,
    PolicyText, PolicyVersion, Role, User,
};
use strongroom_posture::evaluate::{Decision, Denial, Evaluator, Layer, Principal, Request};

const A: &str = "111122223333";
const B: &str = "444455556666";
const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ROLE: &str = "arn:aws:iam::111122223333:role/worker";
const OTHER: &str = "arn:aws:iam::444455556666:role/other";
const USER: &str = "arn:aws:iam::111122223333:user/alice";
const ALL: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;

fn account(number: &str) -> AccountId {
    number.parse().unwrap()
}

fn origin() -> Origin {
    Origin { file: "a.json".into(), line: 1 }
}

fn text(text: &str) -> PolicyText {
    PolicyText { text: text.into(), origin: origin(), form: Form::Object }
}

/// A policy of these statements.
fn policy(statements: &[&str]) -> PolicyText {
    text(&format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(",\n")))
}

fn allow(principal: &str, action: &str, rest: &str) -> String {
    let principal = if principal.is_empty() { String::new() } else { format!(r#""Principal":{principal},"#) };
    format!(r#"{{"Effect":"Allow",{principal}"Action":"{action}","Resource":"*"{rest}}}"#)
}

fn deny(principal: &str, action: &str, rest: &str) -> String {
    allow(principal, action, rest).replace("Allow", "Deny")
}

fn aws(arn: &str) -> String {
    format!(r#"{{"AWS":"{arn}"}}"#)
}

fn role(arn: &str, identity: &[&str]) -> Role {
    Role {
        arn: arn.into(),
        name: arn.rsplit('/').next().unwrap().into(),
        path: "/".into(),
        id: "AROAEXAMPLEEXAMPLE".into(),
        trust: policy(&[]),
        inline: vec![NamedPolicy { name: "own".into(), document: policy(identity) }],
        attached: Vec::new(),
        boundary: None,
        tags: Vec::new(),
        created: None,
        last_used: None,
    }
}

fn user(identity: &[&str]) -> User {
    User {
        arn: USER.into(),
        name: "alice".into(),
        path: "/".into(),
        id: "AIDAEXAMPLE".into(),
        groups: Vec::new(),
        inline: vec![NamedPolicy { name: "own".into(), document: policy(identity) }],
        attached: Vec::new(),
        boundary: None,
        tags: Vec::new(),
        created: None,
    }
}

fn grant(grantee: &str, operations: &[&str], constraints: Option<Constraints>) -> Grant {
    Grant {
        id: "g-1".into(),
        name: None,
        grantee: Some(grantee.into()),
        grantee_service: None,
        retiring: None,
        retiring_service: None,
        issuing_account: Some(format!("arn:aws:iam::{A}:root").into()),
        operations: operations.iter().map(|name| (*name).into()).collect(),
        constraints,
        created: None,
        origin: origin(),
    }
}

/// Two member accounts of one organisation, whose only policies allow everything; a key, a role and a user in the
/// first, a role in the second.
struct Setting {
    estate: Estate,
}

impl Setting {
    fn new(key_policy: &[&str], identity: &[&str]) -> Self {
        let mut estate = Estate { coverage: Coverage::default(), ..Estate::default() };
        let first = estate.accounts.entry(account(A)).or_default();
        first.roles.insert("worker".into(), role(ROLE, identity));
        first.users.insert("alice".into(), user(identity));
        first.keys.insert(KEY.into(), key(key_policy));
        estate.accounts.entry(account(B)).or_default().roles.insert("other".into(), role(OTHER, identity));
        let mut organisation = Organisation {
            id: "o-example".into(),
            management: Some(account("999999999999")),
            feature_set: Some("ALL".into()),
            ..Organisation::default()
        };
        let full = Some(vec![Arc::from("p-FullAWSAccess")]);
        let rcp = Some(vec![Arc::from("p-RCPFullAWSAccess")]);
        let root = Node {
            id: "r-root".into(),
            kind: NodeKind::Root,
            name: None,
            arn: None,
            parent: None,
            scps: full.clone(),
            rcps: rcp.clone(),
            policy_types: Vec::new(),
        };
        organisation.nodes.insert("r-root".into(), root);
        for number in [A, B] {
            let member = Member {
                id: account(number),
                name: None,
                email: None,
                state: MemberState::Active,
                joined: None,
                parent: Some("r-root".into()),
                scps: full.clone(),
                rcps: rcp.clone(),
            };
            organisation.members.insert(account(number), member);
        }
        let everything = OrgPolicy {
            id: "p-FullAWSAccess".into(),
            kind: OrgPolicyKind::Scp,
            name: None,
            arn: None,
            aws_managed: true,
            document: Some(text(ALL)),
        };
        organisation.policies.insert("p-FullAWSAccess".into(), everything);
        estate.organisations.insert("o-example".into(), organisation);
        Self { estate }
    }

    fn organisation(&mut self) -> &mut Organisation {
        self.estate.organisations.get_mut("o-example").unwrap()
    }

    /// Puts a policy on an account.
    fn hang(mut self, number: &str, kind: OrgPolicyKind, statements: &[&str]) -> Self {
        let id: Arc<str> = format!("p-{kind:?}").into();
        let document = Some(policy(statements));
        let hung = OrgPolicy {
            id: id.clone(),
            kind: kind.clone(),
            name: None,
            arn: None,
            aws_managed: false,
            document,
        };
        let organisation = self.organisation();
        organisation.policies.insert(id.clone(), hung);
        let member = organisation.members.get_mut(&account(number)).unwrap();
        let ids = if kind == OrgPolicyKind::Scp { &mut member.scps } else { &mut member.rcps };
        ids.as_mut().unwrap().push(id);
        self
    }

    fn account(&mut self, number: &str) -> &mut Account {
        self.estate.accounts.get_mut(&account(number)).unwrap()
    }

    fn key(&mut self) -> &mut Key {
        self.estate.accounts.get_mut(&account(A)).unwrap().keys.get_mut(KEY).unwrap()
    }

    fn granting(mut self, grant: Grant) -> Self {
        self.key().grants.as_mut().unwrap().push(grant);
        self
    }

    /// Gives the role and the user a boundary.
    fn bounded(mut self, statements: &[&str]) -> Self {
        let arn: Arc<str> = "arn:aws:iam::111122223333:policy/boundary".into();
        let version = PolicyVersion { id: "v1".into(), document: policy(statements) };
        let managed = ManagedPolicy {
            arn: arn.clone(),
            name: "boundary".into(),
            path: "/".into(),
            id: None,
            default_version: "v1".into(),
            versions: vec![version],
        };
        let first = self.estate.accounts.get_mut(&account(A)).unwrap();
        first.policies.insert(arn.clone(), managed);
        first.roles.get_mut("worker").unwrap().boundary = Some(arn.clone());
        first.users.get_mut("alice").unwrap().boundary = Some(arn);
        self
    }

    fn ask(&self, principal: Principal, action: &str) -> Decision {
        self.decide(&Request::new(principal, action, KEY))
    }

    fn decide(&self, request: &Request) -> Decision {
        Evaluator::new(&self.estate).decide(request)
    }
}

fn key(statements: &[&str]) -> Key {
    Key {
        arn: KEY.into(),
        id: "1234abcd-12ab-34cd-56ef-1234567890ab".into(),
        account: account(A),
        region: "eu-west-1".into(),
        state: Some(KeyState::Enabled),
        origin: None,
        manager: Some(KeyManager::Customer),
        spec: Some("SYMMETRIC_DEFAULT".into()),
        usage: Some("ENCRYPT_DECRYPT".into()),
        description: None,
        created: None,
        deletion: None,
        pending_window_days: None,
        material_expires: None,
        key_store: None,
        multi_region: None,
        tags: Some(Vec::new()),
        rotation: None,
        policies: [(Arc::from("default"), policy(statements))].into(),
        policy_names: Some(vec!["default".into()]),
        grants: Some(Vec::new()),
        aliases: Some(Vec::new()),
    }
}

fn session(role: &str) -> Principal {
    Principal::Role { role: role.into(), session: Some("s".into()) }
}

fn alice() -> Principal {
    Principal::User(USER.into())
}

fn explicit(layer: Layer) -> Decision {
    Decision::Denied(Denial::Explicit(layer))
}

fn is_denied(decision: &Decision) -> bool {
    matches!(decision, Decision::Denied(_))
}
