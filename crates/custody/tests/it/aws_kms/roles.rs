//! Each role with exactly the policies that this crate prints, at MiniStack, which knows who may do what.
//!
//! MiniStack does not know `kms:EncryptionContext:*` and `kms:EncryptionAlgorithm`: a statement with such a condition
//! never counts there. These conditions, and nothing else, are taken out before the policies are put in, and what they
//! add is not shown here. So that the purposes stay apart without them, each has a key of its own. Nor does it know
//! `kms:ScheduleKeyDeletionPendingWindowInDays`, whose refusal it never applies.

use super::{REGION, access, admin, holder, spec, symmetric_key};
use crate::key;
use aws_sdk_kms::{Client, error::ProvideErrorMetadata};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};
use strongroom_custody::{
    HolderError, Keyholder, Switch,
    hardening::aws_kms::{Plan, Principals, Role},
    holders::aws_kms::{Access, Role as Assumed},
};
use strongroom_format::{
    Secret32, VaultId,
    context::{Context, Purpose},
    ids::DatasetId,
    keyring::{DatasetRecord, Keyring, PolicyTree, SigningPublicKey, WrappedKey},
};
use strongroom_testkit::services::{self, MiniStack};

const ACCOUNT: &str = "123456789012";
const VAULT: VaultId = VaultId([5; 16]);
/// What MiniStack cannot judge.
const NOT_KNOWN: [&str; 2] = ["kms:EncryptionContext:", "kms:EncryptionAlgorithm"];

fn context(purpose: Purpose, epoch: u32) -> Context {
    Context { vault: VAULT, dataset: "home".into(), purpose, epoch }
}

/// A vault of one dataset, whose purposes have a key each.
fn keyring(read: &str, write: &str) -> Keyring {
    let leaf = |label: &str| PolicyTree::Keyholder(label.into());
    let nothing = |label: &str| WrappedKey { policy: leaf(label), commitment: [0; 32], wraps: Vec::new() };
    let created = "2026-03-01T12:00:00Z".to_owned();
    Keyring {
        version: 1,
        previous: None,
        vault: VAULT,
        signing_key: SigningPublicKey::of_seed(&Secret32::new([1; 32])),
        created: created.clone(),
        keyholders: BTreeMap::from([("read".into(), spec(read)), ("write".into(), spec(write))]),
        read_policy: leaf("read"),
        write_policy: leaf("write"),
        signing: nothing("read"),
        datasets: vec![DatasetRecord {
            name: "home".into(),
            id: DatasetId([2; 16]),
            created,
            read_policy: leaf("read"),
            write_policy: leaf("write"),
            epoch_days: 30,
            chunk_min: 65_536,
            chunk_max: 1_048_576,
            pack_size: 33_554_432,
            write_key: nothing("write"),
        }],
        time_lock: None,
        change: None,
    }
}

/// Without the conditions that MiniStack cannot judge. A refusal that has no other condition is none any more.
fn without_what_is_not_known(policy: &Value) -> Value {
    let mut policy = policy.clone();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        let Some(condition) = statement.get_mut("Condition").and_then(Value::as_object_mut) else { continue };
        let before = condition.len();
        for pairs in condition.values_mut() {
            pairs
                .as_object_mut()
                .unwrap()
                .retain(|name, _| !NOT_KNOWN.iter().any(|unknown| name.starts_with(unknown)));
        }
        condition.retain(|_, pairs| !pairs.as_object().unwrap().is_empty());
        assert!(
            statement["Effect"] == "Allow" || before == statement["Condition"].as_object().unwrap().len()
        );
    }
    policy
}

/// IAM as its owner. MiniStack looks whose key a request names, and not at the signature.
async fn iam(stack: &MiniStack, form: &[(&str, &str)]) -> String {
    let body = form.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    let body = body.collect::<Vec<_>>().join("&");
    let id = &stack.kms.admin.0;
    let signed = format!(
        "AWS4-HMAC-SHA256 Credential={id}/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=00"
    );
    let answered = reqwest::Client::new()
        .post(&stack.kms.endpoint)
        .header("authorization", signed)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("{body}&Version=2010-05-08"))
        .send()
        .await
        .unwrap();
    let (status, text) = (answered.status(), answered.text().await.unwrap());
    assert!(status.is_success(), "{form:?}: {text}");
    text
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn between<'a>(text: &'a str, tag: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("<{tag}>")).unwrap();
    rest.split_once(&format!("</{tag}>")).unwrap().0
}

/// Two keys under the printed policies, and the identities that play the roles.
struct Stage {
    stack: MiniStack,
    plan: Plan,
    read: String,
    write: String,
    users: BTreeMap<Role, (String, String)>,
}

impl Stage {
    async fn new(test: &str) -> Option<Self> {
        let stack = services::ministack()?;
        let owner = admin(&stack.kms, REGION);
        let (read, write) = (symmetric_key(&owner).await, symmetric_key(&owner).await);
        // The writer and the reader assume roles. For a session of a role MiniStack tells `aws:PrincipalArn` as that of
        // the session, where AWS tells that of the role, so that whom the key policy excepts by it is a user.
        let name = |role: Role| format!("{test}-{}-{}", role.as_str(), read.rsplit('/').next().unwrap());
        let arn = |role: Role, kind: &str| format!("arn:aws:iam::{ACCOUNT}:{kind}/{}", name(role));
        let principals = Principals {
            auditor: arn(Role::Auditor, "user"),
            custodian: arn(Role::Custodian, "user"),
            owner: arn(Role::Owner, "user"),
            reader: arn(Role::Reader, "role"),
            writer: arn(Role::Writer, "role"),
        };
        let plan = Plan::new(&keyring(&read, &write), Some(principals)).unwrap();
        assert_eq!(plan.warnings(), [""; 0]);
        let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;
        let mut users = BTreeMap::new();
        for role in Role::ALL {
            let name = name(role);
            let policy = without_what_is_not_known(&plan.iam_policy(role)).to_string();
            let document = [("PolicyName", "printed"), ("PolicyDocument", policy.as_str())];
            if matches!(role, Role::Reader | Role::Writer) {
                let made =
                    [("Action", "CreateRole"), ("RoleName", &name), ("AssumeRolePolicyDocument", trust)];
                iam(&stack, &made).await;
                iam(&stack, &[&[("Action", "PutRolePolicy"), ("RoleName", &*name)][..], &document].concat())
                    .await;
            } else {
                iam(&stack, &[("Action", "CreateUser"), ("UserName", &name)]).await;
                iam(&stack, &[&[("Action", "PutUserPolicy"), ("UserName", &*name)][..], &document].concat())
                    .await;
                let made = iam(&stack, &[("Action", "CreateAccessKey"), ("UserName", &name)]).await;
                let pair = (between(&made, "AccessKeyId"), between(&made, "SecretAccessKey"));
                users.insert(role, (pair.0.to_owned(), pair.1.to_owned()));
            }
        }
        for (label, arn) in [("read", &read), ("write", &write)] {
            let policy = without_what_is_not_known(&plan.key_policy(label).unwrap()).to_string();
            owner.put_key_policy().key_id(arn).policy(policy).send().await.unwrap();
        }
        Some(Self { stack, plan, read, write, users })
    }

    fn access(&self, role: Role) -> Access {
        let endpoint = &self.stack.kms.endpoint;
        match self.users.get(&role) {
            Some(user) => access(endpoint, user),
            None => Access {
                role: Some(Assumed { arn: self.plan.principals().of(role).to_owned(), external_id: None }),
                ..access(endpoint, &self.stack.kms.admin)
            },
        }
    }

    /// The keyholders of the two purposes, as one role.
    fn of(&self, role: Role) -> (Arc<dyn Keyholder>, Arc<dyn Keyholder>) {
        let access = self.access(role);
        (holder(&spec(&self.read), access.clone()), holder(&spec(&self.write), access))
    }

    /// KMS as a user.
    fn kms(&self, role: Role) -> Client {
        let kms = services::Kms { admin: self.users[&role].clone(), ..self.stack.kms.clone() };
        admin(&kms, REGION)
    }
}

fn denied<T: std::fmt::Debug>(answer: Result<T, HolderError>) {
    assert!(matches!(answer, Err(HolderError::Denied(_))), "{answer:?}");
}

fn refused<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(answer: Result<T, E>) {
    match answer {
        Err(error) if error.code().is_some_and(|code| code.contains("AccessDenied")) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_writer_writes_and_a_reader_reads() {
    let Some(stage) = Stage::new("uses").await else { return };
    let (read, write) = (context(Purpose::Read, 3), context(Purpose::Write, 0));
    let (writer, writer_write) = stage.of(Role::Writer);
    let (reader, reader_write) = stage.of(Role::Reader);

    let epoch = writer.wrap(&read, &key()).await.unwrap().value;
    let written = writer_write.wrap(&write, &key()).await.unwrap().value;
    writer_write.unwrap(&write, &written).await.unwrap();
    denied(writer.unwrap(&read, &epoch).await);

    assert_eq!(reader.unwrap(&read, &epoch).await.unwrap().value.expose(), key().expose());
    denied(reader.wrap(&read, &key()).await);
    denied(reader_write.wrap(&write, &key()).await);
    denied(reader_write.unwrap(&write, &written).await);
    for role in [&writer, &reader] {
        assert!(role.switch(Switch::Off).await.is_err());
    }
}

#[tokio::test]
async fn nobody_but_the_custodian_ends_or_changes_a_key_whatever_iam_allows() {
    let Some(stage) = Stage::new("ends").await else { return };
    // An administrator of the account gives everything to a user who is none of the roles, and to the owner.
    let all = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let owner = stage.plan.principals().owner.rsplit('/').next().unwrap().to_owned();
    let put =
        [("Action", "PutUserPolicy"), ("UserName", &*owner), ("PolicyName", "all"), ("PolicyDocument", all)];
    iam(&stage.stack, &put).await;
    let owner = stage.kms(Role::Owner);
    // IAM alone gives nothing: the key policies do not hand the keys to the account.
    let (opens, _) = stage.of(Role::Owner);
    let (writer, _) = stage.of(Role::Writer);
    let read = context(Purpose::Read, 3);
    let epoch = writer.wrap(&read, &key()).await.unwrap().value;
    refused(owner.enable_key().key_id(&stage.read).send().await);
    // Even where a key policy handed them over, its refusals would stand.
    let mut loose = without_what_is_not_known(&stage.plan.key_policy("read").unwrap());
    loose["Statement"].as_array_mut().unwrap().push(serde_json::json!({
        "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}, "Action": "kms:*", "Resource": "*",
    }));
    let custodian = stage.kms(Role::Custodian);
    custodian.put_key_policy().key_id(&stage.read).policy(loose.to_string()).send().await.unwrap();
    owner.enable_key().key_id(&stage.read).send().await.unwrap();
    opens.unwrap(&read, &epoch).await.unwrap();
    refused(owner.schedule_key_deletion().key_id(&stage.read).pending_window_in_days(30).send().await);
    refused(owner.disable_key().key_id(&stage.read).send().await);
    refused(owner.delete_imported_key_material().key_id(&stage.read).send().await);
    refused(owner.put_key_policy().key_id(&stage.read).policy(all).send().await);
    let grantee = &stage.plan.principals().writer;
    let grant = owner.create_grant().key_id(&stage.read).grantee_principal(grantee);
    refused(grant.operations(aws_sdk_kms::types::GrantOperation::Decrypt).send().await);

    let grant = custodian.create_grant().key_id(&stage.read).grantee_principal(grantee);
    refused(grant.operations(aws_sdk_kms::types::GrantOperation::Decrypt).send().await);
    custodian.disable_key().key_id(&stage.read).send().await.unwrap();
    custodian.enable_key().key_id(&stage.read).send().await.unwrap();
    let policy = custodian.get_key_policy().key_id(&stage.read).send().await.unwrap().policy.unwrap();
    custodian.put_key_policy().key_id(&stage.read).policy(policy).send().await.unwrap();
    custodian.schedule_key_deletion().key_id(&stage.read).pending_window_in_days(30).send().await.unwrap();
    custodian.cancel_key_deletion().key_id(&stage.read).send().await.unwrap();
    custodian.enable_key().key_id(&stage.read).send().await.unwrap();
    let (as_custodian, _) = stage.of(Role::Custodian);
    denied(as_custodian.wrap(&context(Purpose::Read, 1), &key()).await);
}

#[tokio::test]
async fn an_auditor_sees_and_touches_nothing() {
    let Some(stage) = Stage::new("audit").await else { return };
    let auditor = stage.kms(Role::Auditor);
    auditor.describe_key().key_id(&stage.read).send().await.unwrap();
    auditor.get_key_policy().key_id(&stage.read).send().await.unwrap();
    auditor.list_grants().key_id(&stage.read).send().await.unwrap();
    refused(auditor.disable_key().key_id(&stage.read).send().await);
    refused(auditor.enable_key().key_id(&stage.read).send().await);
    let (holder, _) = stage.of(Role::Auditor);
    let read = context(Purpose::Read, 3);
    denied(holder.wrap(&read, &key()).await);
    let (writer, _) = stage.of(Role::Writer);
    let epoch = writer.wrap(&read, &key()).await.unwrap().value;
    denied(holder.unwrap(&read, &epoch).await);
}
