use crate::{access, admin::Admin, context, holder, key, spec};
use data_encoding::{BASE64, HEXLOWER};
use reqwest::Method;
use serde_json::{Value, json};
use strongroom_custody::{
    HolderError, HolderState, Keyholder, Secrets, Switch, SwitchError,
    holders::{
        self,
        transit::{Access, Described, Login, Server, TransitKey, describe},
    },
};
use strongroom_format::{Secret32, SystemEntropy};

fn root_access(admin: &Admin) -> Access {
    access(Login::token(&admin.service.token))
}

async fn described(admin: &Admin, key: &str) -> Result<Described, HolderError> {
    let key = TransitKey {
        address: format!("{}/", admin.service.address),
        mount: format!("{}/", admin.mount),
        key: key.into(),
        namespace: None,
    };
    describe(&key, &root_access(admin)).await
}

#[tokio::test]
async fn set_up_takes_fit_keys_only_and_warns_of_loose_ones() {
    let Some(admin) = Admin::new("describe").await else { return };
    for (name, kind) in [("a", "aes256-gcm96"), ("b", "chacha20-poly1305"), ("c", "xchacha20-poly1305")] {
        admin.make_key(name, json!({"type": kind})).await;
        assert_eq!(
            described(&admin, name).await.unwrap(),
            Described { spec: admin.spec(name), warnings: vec![] }
        );
    }
    for (name, kind) in [("d", "aes128-gcm96"), ("e", "rsa-2048"), ("f", "ed25519"), ("g", "ecdsa-p256")] {
        admin.make_key(name, json!({"type": kind})).await;
        let error = described(&admin, name).await.unwrap_err();
        assert!(matches!(&error, HolderError::Malformed(what) if what.contains(kind)), "{error}");
    }
    admin.make_key("h", json!({"derived": true, "convergent_encryption": true})).await;
    assert!(matches!(described(&admin, "h").await, Err(HolderError::Malformed(_))));
    assert!(matches!(described(&admin, "nothing").await, Err(HolderError::Deleted(_))));

    admin.make_key("i", json!({"exportable": true, "allow_plaintext_backup": true})).await;
    admin.configure_key("i", json!({"deletion_allowed": true})).await;
    let warnings = described(&admin, "i").await.unwrap().warnings;
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings.iter().any(|warning| warning.contains("deletion_allowed=false")), "{warnings:?}");

    admin.make_key("j", json!({"derived": true})).await;
    let spec = described(&admin, "j").await.unwrap().spec;
    let secrets = Secrets::none().with_transit(root_access(&admin));
    let keyholder = holders::build("office", &spec, &secrets).unwrap();
    let blob = keyholder.wrap(&context(), &key()).await.unwrap().value;
    assert_eq!(keyholder.unwrap(&context(), &blob).await.unwrap().value.expose(), key().expose());
    let error = admin.root("j").unwrap(&context(), &blob).await.unwrap_err();
    assert!(error.to_string().contains("derived"), "{error}");

    admin.root("a").switch(Switch::Off).await.unwrap();
    assert!(matches!(described(&admin, "a").await, Err(HolderError::Disabled(_))));
}

#[tokio::test]
async fn a_wrap_never_makes_a_key() {
    let Some(admin) = Admin::new("upsert").await else { return };
    admin.make_key("office", json!({})).await;
    let keyholder = admin.root("office");
    keyholder.wrap(&context(), &key()).await.unwrap();
    admin.delete_key("office").await;
    // Root may make keys, and the server makes one for whoever may when it is told to encrypt.
    let error = keyholder.wrap(&context(), &key()).await.unwrap_err();
    assert!(matches!(error, HolderError::Deleted(_)), "{error}");
    let (status, _) = admin.call(Method::GET, &format!("{}/keys/office", admin.mount), Value::Null).await;
    assert_eq!(status, 404);
    assert_eq!(keyholder.state().await, HolderState::Deleted);
}

#[tokio::test]
async fn versions_that_may_no_longer_decrypt_are_denied_in_words() {
    let Some(admin) = Admin::new("versions").await else { return };
    admin.make_key("office", json!({})).await;
    let keyholder = admin.root("office");
    let old = keyholder.wrap(&context(), &key()).await.unwrap().value;
    admin.done(Method::POST, &format!("{}/keys/office/rotate", admin.mount), json!({})).await;
    let new = keyholder.wrap(&context(), &key()).await.unwrap().value;
    keyholder.unwrap(&context(), &old).await.unwrap();
    admin.configure_key("office", json!({"min_decryption_version": 2})).await;
    let error = keyholder.unwrap(&context(), &old).await.unwrap_err();
    assert!(
        matches!(&error, HolderError::Denied(answer) if answer.said.contains("min_decryption_version")),
        "{error}"
    );
    keyholder.unwrap(&context(), &new).await.unwrap();
    admin.configure_key("office", json!({"min_decryption_version": 1})).await;
    keyholder.unwrap(&context(), &old).await.unwrap();

    admin.delete_key("office").await;
    admin.make_key("office", json!({})).await;
    let error = keyholder.unwrap(&context(), &new).await.unwrap_err();
    assert!(error.to_string().contains("made anew"), "{error}");
    assert!(matches!(keyholder.unwrap(&context(), &old).await, Err(HolderError::Tampered)));
}

#[tokio::test]
async fn an_engine_that_is_gone_is_a_key_that_is_gone() {
    let Some(admin) = Admin::new("mount").await else { return };
    admin.make_key("office", json!({})).await;
    let keyholder = admin.root("office");
    let blob = keyholder.wrap(&context(), &key()).await.unwrap().value;
    admin.done(Method::DELETE, &format!("sys/mounts/{}", admin.mount), Value::Null).await;
    let error = keyholder.unwrap(&context(), &blob).await.unwrap_err();
    assert!(matches!(&error, HolderError::Deleted(answer) if answer.said.contains(&admin.mount)), "{error}");
}

#[tokio::test]
async fn a_key_is_switched_by_those_who_may() {
    let Some(admin) = Admin::new("switch").await else { return };
    admin.make_key("office", json!({})).await;
    let powerless = admin.holder("office", &admin.token("path \"x\" { capabilities = [\"read\"] }").await);
    match powerless.switch(Switch::Off).await {
        Err(SwitchError::Refused { command, source: HolderError::Denied(_) }) => {
            let path = format!("{}/keys/office/soft-delete", admin.mount);
            assert_eq!(command, format!("bao delete -address={} {path}", admin.service.address));
        }
        other => panic!("{other:?}"),
    }
    let keyholder = admin.root("office");
    assert_eq!(keyholder.state().await, HolderState::CanOpen);
    let blob = keyholder.wrap(&context(), &key()).await.unwrap().value;
    keyholder.switch(Switch::Off).await.unwrap();
    assert_eq!(keyholder.state().await, HolderState::Disabled);
    assert!(matches!(keyholder.wrap(&context(), &key()).await, Err(HolderError::Disabled(_))));
    keyholder.switch(Switch::On).await.unwrap();
    keyholder.unwrap(&context(), &blob).await.unwrap();
}

#[tokio::test]
async fn the_servers_log_names_each_request_and_no_secret() {
    let Some(admin) = Admin::new("audit").await else { return };
    admin.make_key("office", json!({})).await;
    let token =
        admin.token(&format!("path \"{}/+/office\" {{ capabilities = [\"update\"] }}", admin.mount)).await;
    let keyholder = admin.holder("office", &token);
    let secret = Secret32::random(&mut SystemEntropy);
    let wrapped = keyholder.wrap(&context(), &secret).await.unwrap();
    let opened = keyholder.unwrap(&context(), &wrapped.value).await.unwrap();
    assert_eq!(opened.value.expose(), secret.expose());

    let log = admin.audit();
    for (operation, id) in [("encrypt", wrapped.request_id), ("decrypt", opened.request_id)] {
        let id = id.unwrap();
        let path = format!("{}/{operation}/office", admin.mount);
        let kinds: Vec<&str> = log
            .iter()
            .filter(|line| line["request"]["id"] == id.as_str() && line["request"]["path"] == path.as_str())
            .map(|line| line["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["request", "response"], "{operation} {id}");
    }
    let text = std::fs::read_to_string(&admin.service.audit_log).unwrap();
    let base64 = BASE64.encode(secret.expose());
    let hex = HEXLOWER.encode(secret.expose());
    for forbidden in [base64.trim_end_matches('='), &hex, &token] {
        assert!(!text.contains(forbidden), "a secret is in the audit log");
    }
}

#[tokio::test]
async fn tls_is_checked_against_the_given_certificates() {
    let Some(admin) = Admin::new("tls").await else { return };
    admin.make_key("office", json!({})).await;
    let spec = spec(&[("address", &admin.service.tls_address), ("key", "office"), ("mount", &admin.mount)]);
    let with = |ca_file| {
        let login = Login::token(&admin.service.token);
        holder(&spec, Access::none().with_server(Server { address: None, login, ca_file }))
    };
    let keyholder = with(Some(admin.service.ca_file.clone()));
    let blob = keyholder.wrap(&context(), &key()).await.unwrap().value;
    assert_eq!(keyholder.unwrap(&context(), &blob).await.unwrap().value.expose(), key().expose());

    let error = with(None).unwrap(&context(), &blob).await.unwrap_err();
    assert!(
        matches!(&error, HolderError::Unreachable(answer) if answer.said.contains("certificate")),
        "{error}"
    );
    let error = with(Some("/nowhere/ca.pem".into())).unwrap(&context(), &blob).await.unwrap_err();
    assert!(matches!(error, HolderError::Io { .. }), "{error}");
    let empty = tempfile::NamedTempFile::new().unwrap();
    let error = with(Some(empty.path().into())).unwrap(&context(), &blob).await.unwrap_err();
    assert!(matches!(error, HolderError::Malformed(_)), "{error}");
}

#[tokio::test]
async fn a_key_lives_in_its_namespace() {
    let Some(admin) = Admin::new("namespace").await else { return };
    let name = format!("{}-ns", admin.mount);
    admin.done(Method::POST, &format!("sys/namespaces/{name}"), json!({})).await;
    admin.done(Method::POST, &format!("{name}/sys/mounts/transit"), json!({"type": "transit"})).await;
    admin.done(Method::POST, &format!("{name}/transit/keys/office"), json!({})).await;
    let key_there = TransitKey {
        address: admin.service.address.clone(),
        mount: String::new(),
        key: "office".into(),
        namespace: Some(format!("{name}/")),
    };
    let spec = describe(&key_there, &root_access(&admin)).await.unwrap().spec;
    let keyholder = holder(&spec, root_access(&admin));
    let blob = keyholder.wrap(&context(), &key()).await.unwrap().value;
    assert_eq!(keyholder.unwrap(&context(), &blob).await.unwrap().value.expose(), key().expose());
    assert!(keyholder.custodian().unwrap().ends_with(&format!(", namespace {name}")));
    assert_eq!(keyholder.state().await, HolderState::CanOpen);

    for namespace in [None, Some("nowhere".to_owned())] {
        let elsewhere = TransitKey { namespace, ..key_there.clone() };
        assert!(matches!(describe(&elsewhere, &root_access(&admin)).await, Err(HolderError::Deleted(_))));
    }
}
