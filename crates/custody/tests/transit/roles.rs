//! Each role with exactly the policy that this crate prints: what it can do, and what it is refused.

use crate::{admin::Admin, key};
use data_encoding::BASE64;
use reqwest::Method;
use serde_json::{Value, json};
use strongroom_custody::{
    HolderError, HolderState, Keyholder, Switch,
    hardening::transit::{Plan, Role, Scope},
    holders::transit::TransitKeyholder,
};
use strongroom_format::{
    VaultId,
    context::{Context, Purpose, WHOLE_VAULT},
};

const VAULT: VaultId = VaultId([5; 16]);

fn context(dataset: &str, purpose: Purpose, epoch: u32) -> Context {
    Context { vault: VAULT, dataset: dataset.into(), purpose, epoch }
}

struct Roles {
    admin: Admin,
    plan: Plan,
}

/// The keyholders of the two purposes, as one role.
struct As {
    token: String,
    read: TransitKeyholder,
    write: TransitKeyholder,
}

impl Roles {
    async fn new(test: &str, scope: Option<Scope>) -> Option<Self> {
        let admin = Admin::new(test).await?;
        for name in ["office-read", "office-write"] {
            admin.make_key(name, json!({})).await;
        }
        let mount = admin.mount.clone();
        let plan = Plan { mount, read_key: "office-read".into(), write_key: "office-write".into(), scope };
        Some(Self { admin, plan })
    }

    fn of(&self, token: &str) -> As {
        As {
            token: token.to_owned(),
            read: self.admin.holder("office-read", token),
            write: self.admin.holder("office-write", token),
        }
    }

    async fn play(&self, role: Role) -> As {
        self.of(&self.admin.token(&self.plan.policy(role).unwrap()).await)
    }

    fn root(&self) -> As {
        self.of(&self.admin.service.token)
    }

    /// The status that a request of a role gets.
    async fn status(&self, role: &As, method: Method, path: &str, body: Value) -> u16 {
        let path = format!("{}/{path}", self.admin.mount);
        self.admin.call_as(&role.token, method, &path, body).await.0
    }
}

async fn wraps(keyholder: &TransitKeyholder, context: &Context) -> Vec<u8> {
    keyholder.wrap(context, &key()).await.unwrap_or_else(|error| panic!("{context:?}: {error}")).value
}

async fn opens(keyholder: &TransitKeyholder, context: &Context, blob: &[u8]) {
    let opened = keyholder.unwrap(context, blob).await.unwrap_or_else(|error| panic!("{context:?}: {error}"));
    assert_eq!(opened.value.expose(), key().expose());
}

async fn is_denied(keyholder: &TransitKeyholder, context: &Context, blob: &[u8]) {
    match keyholder.unwrap(context, blob).await {
        Err(HolderError::Denied(_)) => {}
        other => panic!("{context:?}: {other:?}"),
    }
}

async fn may_not_wrap(keyholder: &TransitKeyholder, context: &Context) {
    match keyholder.wrap(context, &key()).await {
        Err(HolderError::Denied(_)) => {}
        other => panic!("{context:?}: {other:?}"),
    }
}

/// What holds with and without a scope.
async fn writer_writes_and_reader_reads(roles: &Roles) {
    let read = context("home", Purpose::Read, 3);
    let write = context("home", Purpose::Write, 0);
    let (writer, reader) = (roles.play(Role::Writer).await, roles.play(Role::Reader).await);

    let epoch = wraps(&writer.read, &read).await;
    let written = wraps(&writer.write, &write).await;
    opens(&writer.write, &write, &written).await;
    is_denied(&writer.read, &read, &epoch).await;
    assert!(matches!(writer.read.state().await, HolderState::Denied(_)));
    assert_eq!(writer.write.state().await, HolderState::CanOpen);

    opens(&reader.read, &read, &epoch).await;
    is_denied(&reader.write, &write, &written).await;
    may_not_wrap(&reader.read, &read).await;
    may_not_wrap(&reader.write, &write).await;
    assert_eq!(reader.read.state().await, HolderState::CanOpen);
    assert!(matches!(reader.write.state().await, HolderState::Denied(_)));

    // Ways around it.
    let text = std::str::from_utf8(&epoch[1..]).unwrap();
    let associated = BASE64.encode(&read.canonical());
    let item = json!({"ciphertext": text, "associated_data": associated});
    for (path, body) in [
        ("decrypt/office-read", json!({"batch_input": [item]})),
        ("rewrap/office-read", item.clone()),
        ("datakey/plaintext/office-read", json!({})),
        ("keys/office-read/rotate", json!({})),
        ("keys/office-read/config", json!({"deletion_allowed": true})),
        ("encrypt/office-new", json!({"plaintext": "AAAA", "associated_data": associated})),
    ] {
        assert_eq!(roles.status(&writer, Method::POST, path, body).await, 403, "{path}");
    }
    for path in ["export/encryption-key/office-read", "backup/office-read"] {
        assert_eq!(roles.status(&reader, Method::GET, path, Value::Null).await, 403, "{path}");
    }
    for role in [&writer, &reader] {
        assert!(role.read.switch(Switch::Off).await.is_err());
        assert_eq!(roles.status(role, Method::DELETE, "keys/office-read", Value::Null).await, 403);
    }
}

#[tokio::test]
async fn keys_of_two_purposes() {
    let Some(roles) = Roles::new("roles", None).await else { return };
    writer_writes_and_reader_reads(&roles).await;
}

#[tokio::test]
async fn a_scope_separates_datasets_and_the_signing_key() {
    let scope = Scope { vault: VAULT, datasets: vec!["home".into()] };
    let Some(roles) = Roles::new("roles-scope", Some(scope)).await else { return };
    writer_writes_and_reader_reads(&roles).await;

    let root = roles.root();
    let (writer, reader) = (roles.play(Role::Writer).await, roles.play(Role::Reader).await);
    for epoch in [1, 10, 12345] {
        let context = context("home", Purpose::Read, epoch);
        opens(&reader.read, &context, &wraps(&writer.read, &context).await).await;
    }
    let foreign = [
        context("home2", Purpose::Read, 3),
        context("hom", Purpose::Read, 3),
        context(WHOLE_VAULT, Purpose::Read, 0),
    ];
    for foreign in foreign {
        let blob = wraps(&root.read, &foreign).await;
        is_denied(&reader.read, &foreign, &blob).await;
        may_not_wrap(&writer.read, &foreign).await;
    }
    for foreign in [
        context("mail", Purpose::Write, 0),
        Context { vault: VaultId([6; 16]), ..context("home", Purpose::Write, 0) },
    ] {
        let blob = wraps(&root.write, &foreign).await;
        is_denied(&writer.write, &foreign, &blob).await;
    }

    let read = context("home", Purpose::Read, 3);
    let text = String::from_utf8(wraps(&root.read, &read).await[1..].to_vec()).unwrap();
    let associated = BASE64.encode(&read.canonical());
    let item = json!({"ciphertext": text, "associated_data": associated});
    for body in [
        json!({"batch_input": [item]}),
        json!({"ciphertext": text}),
        json!({"ciphertext": text, "associated_data": [associated]}),
        json!({"ciphertext": text, "Associated_Data": associated}),
        json!({"ciphertext": text, "associated_data": "AAAA"}),
    ] {
        let status = roles.status(&reader, Method::POST, "decrypt/office-read", body.clone()).await;
        assert_ne!(status, 200, "{body}");
    }
    assert_eq!(roles.status(&reader, Method::POST, "decrypt/office-read", item).await, 200);
}

#[tokio::test]
async fn an_owner_opens_the_signing_key_only() {
    let scope = Scope { vault: VAULT, datasets: vec!["home".into()] };
    let Some(roles) = Roles::new("roles-owner", Some(scope)).await else { return };
    let (root, owner) = (roles.root(), roles.play(Role::Owner).await);
    let (signing, read) = (context(WHOLE_VAULT, Purpose::Read, 0), context("home", Purpose::Read, 1));
    opens(&owner.read, &signing, &wraps(&owner.read, &signing).await).await;
    is_denied(&owner.read, &read, &wraps(&owner.read, &read).await).await;
    let write = context("home", Purpose::Write, 0);
    wraps(&owner.write, &write).await;
    is_denied(&owner.write, &write, &wraps(&root.write, &write).await).await;
}

#[tokio::test]
async fn a_custodian_switches_and_rotates_and_uses_nothing() {
    let Some(roles) = Roles::new("roles-custodian", None).await else { return };
    let (root, custodian) = (roles.root(), roles.play(Role::Custodian).await);
    let read = context("home", Purpose::Read, 1);
    let blob = wraps(&root.read, &read).await;

    custodian.read.switch(Switch::Off).await.unwrap();
    assert!(matches!(root.read.unwrap(&read, &blob).await, Err(HolderError::Disabled(_))));
    assert_eq!(custodian.read.state().await, HolderState::Disabled);
    custodian.read.switch(Switch::On).await.unwrap();
    opens(&root.read, &read, &blob).await;
    is_denied(&custodian.read, &read, &blob).await;
    may_not_wrap(&custodian.read, &read).await;

    let config = "keys/office-read/config";
    assert!(roles.status(&custodian, Method::POST, "keys/office-read/rotate", json!({})).await < 300);
    let versions = json!({"min_decryption_version": 2});
    assert!(roles.status(&custodian, Method::POST, config, versions).await < 300);
    assert!(matches!(root.read.unwrap(&read, &blob).await, Err(HolderError::Denied(_))));
    for body in [
        json!({"deletion_allowed": true}),
        json!({"exportable": true}),
        json!({"allow_plaintext_backup": true}),
        json!({"min_decryption_version": 1, "deletion_allowed": true}),
    ] {
        assert_eq!(roles.status(&custodian, Method::POST, config, body.clone()).await, 403, "{body}");
    }
    assert_eq!(roles.status(&custodian, Method::DELETE, "keys/office-read", Value::Null).await, 403);
    let trim = json!({"min_available_version": 2});
    assert_eq!(roles.status(&custodian, Method::POST, "keys/office-read/trim", trim).await, 403);
}

#[tokio::test]
async fn an_auditor_sees_and_touches_nothing() {
    let Some(roles) = Roles::new("roles-auditor", None).await else { return };
    let (root, auditor) = (roles.root(), roles.play(Role::Auditor).await);
    let read = context("home", Purpose::Read, 1);
    let blob = wraps(&root.read, &read).await;
    assert_eq!(roles.status(&auditor, Method::GET, "keys/office-read", Value::Null).await, 200);
    is_denied(&auditor.read, &read, &blob).await;
    may_not_wrap(&auditor.read, &read).await;
    assert!(auditor.read.switch(Switch::Off).await.is_err());
    assert!(matches!(auditor.read.state().await, HolderState::Denied(_)));
    root.read.switch(Switch::Off).await.unwrap();
    assert_eq!(auditor.read.state().await, HolderState::Disabled);
}

#[tokio::test]
async fn the_commands_do_what_they_say() {
    let Some(admin) = Admin::new("commands").await else { return };
    let plan = Plan {
        mount: admin.mount.clone(),
        read_key: "office-read".into(),
        write_key: "office-write".into(),
        scope: None,
    };
    let commands = plan.commands("bao").unwrap();
    let mut written = 0;
    for command in &commands {
        // `bao write PATH NAME=VALUE...` is a POST of these values.
        let Some(arguments) = command.strip_prefix("bao write ") else { continue };
        let mut words = arguments.split(' ');
        let path = words.next().unwrap();
        let values: serde_json::Map<String, Value> =
            words.map(|word| word.split_once('=').unwrap()).map(|(k, v)| (k.to_owned(), json!(v))).collect();
        admin.done(Method::POST, path, Value::Object(values)).await;
        written += 1;
    }
    assert_eq!(written, 5, "{commands:?}");
    for name in ["office-read", "office-write"] {
        let path = format!("{}/keys/{name}", admin.mount);
        let found = admin.done(Method::GET, &path, Value::Null).await;
        for setting in ["exportable", "allow_plaintext_backup", "deletion_allowed"] {
            assert_eq!(found["data"][setting], false, "{name} {setting}");
        }
        assert_eq!(admin.call(Method::DELETE, &path, Value::Null).await.0, 400);
    }
    let upsert = json!({"plaintext": "AAAA"});
    let path = format!("{}/encrypt/another", admin.mount);
    assert_eq!(admin.call(Method::POST, &path, upsert).await.0, 400);
}
