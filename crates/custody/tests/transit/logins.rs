use crate::{access, admin::Admin, context, fixture, holder, key, spec};
use data_encoding::BASE64URL_NOPAD;
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};
use strongroom_custody::{
    HolderError, HolderState, Keyholder, Operation,
    holders::transit::{Access, Login},
};
use zeroize::Zeroizing;

fn secret_file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// An AppRole method of a test's own, with one role that may use the key `office`.
struct AppRole {
    admin: Admin,
    folder: tempfile::TempDir,
    role_id: String,
}

impl AppRole {
    async fn new(test: &str) -> Option<Self> {
        let admin = Admin::new(test).await?;
        let mount = admin.mount.clone();
        admin.make_key("office", json!({})).await;
        let policy = format!(
            "path \"{mount}/encrypt/office\" {{ capabilities = [\"update\"] }}\n\
             path \"{mount}/decrypt/office\" {{ capabilities = [\"update\"] }}"
        );
        admin.done(Method::POST, &format!("sys/policies/acl/{mount}"), json!({"policy": policy})).await;
        admin.done(Method::POST, &format!("sys/auth/{mount}"), json!({"type": "approle"})).await;
        let role = format!("auth/{mount}/role/agent");
        admin.done(Method::POST, &role, json!({"token_policies": [mount], "token_ttl": "1h"})).await;
        let id = admin.done(Method::GET, &format!("{role}/role-id"), Value::Null).await;
        let role_id = id["data"]["role_id"].as_str().unwrap().to_owned();
        Some(Self { admin, folder: tempfile::tempdir().unwrap(), role_id })
    }

    async fn new_secret_id(&self) -> String {
        let path = format!("auth/{}/role/agent/secret-id", self.admin.mount);
        let made = self.admin.done(Method::POST, &path, json!({})).await;
        made["data"]["secret_id"].as_str().unwrap().to_owned()
    }

    fn access(&self, secret_id: &str) -> Access {
        access(Login::AppRole {
            mount: self.admin.mount.clone(),
            role_id: Zeroizing::new(self.role_id.clone()),
            secret_id_file: Some(secret_file(self.folder.path(), "secret-id", secret_id)),
        })
    }

    /// The accessors of the tokens that this method gave.
    async fn accessors(&self) -> Vec<String> {
        let listed =
            self.admin.done(Method::from_bytes(b"LIST").unwrap(), "auth/token/accessors", Value::Null).await;
        let mut own = Vec::new();
        for accessor in listed["data"]["keys"].as_array().unwrap() {
            let asked = json!({"accessor": accessor});
            let (status, found) = self.admin.call(Method::POST, "auth/token/lookup-accessor", asked).await;
            if status == 200 && found["data"]["path"] == format!("auth/{}/login", self.admin.mount) {
                own.push(accessor.as_str().unwrap().to_owned());
            }
        }
        own
    }
}

#[tokio::test]
async fn an_approle_logs_in_once_and_again_when_its_token_is_revoked() {
    let Some(role) = AppRole::new("approle").await else { return };
    let access = role.access(&role.new_secret_id().await);
    let one = role.admin.holder_with("office", access.clone());
    let other = role.admin.holder_with("office", access);
    assert!(role.accessors().await.is_empty(), "no login before it is needed");

    let blob = one.wrap(&context(), &key()).await.unwrap().value;
    let context = context();
    let (a, b) = tokio::join!(one.unwrap(&context, &blob), other.unwrap(&context, &blob));
    assert_eq!(a.unwrap().value.expose(), b.unwrap().value.expose());
    let accessors = role.accessors().await;
    assert_eq!(accessors.len(), 1, "two keyholders share one login");

    for accessor in accessors {
        let accessor = json!({"accessor": accessor});
        role.admin.done(Method::POST, "auth/token/revoke-accessor", accessor).await;
    }
    assert_eq!(one.unwrap(&context, &blob).await.unwrap().value.expose(), key().expose());
    assert_eq!(role.accessors().await.len(), 1);
}

#[tokio::test]
async fn an_approle_whose_role_is_gone_is_told() {
    let Some(role) = AppRole::new("approle-gone").await else { return };
    let keyholder = role.admin.holder_with("office", role.access(&role.new_secret_id().await));
    let blob = keyholder.wrap(&context(), &key()).await.unwrap().value;
    let mount = &role.admin.mount;
    role.admin.done(Method::DELETE, &format!("auth/{mount}/role/agent"), Value::Null).await;
    for accessor in role.accessors().await {
        let accessor = json!({"accessor": accessor});
        role.admin.done(Method::POST, "auth/token/revoke-accessor", accessor).await;
    }
    let error = keyholder.unwrap(&context(), &blob).await.unwrap_err();
    assert!(matches!(&error, HolderError::Denied(answer) if answer.said.contains("new login")), "{error}");
}

#[tokio::test]
async fn a_wrong_secret_id_is_a_wrong_secret() {
    let Some(role) = AppRole::new("approle-wrong").await else { return };
    let wrong = "00000000-0000-4000-8000-000000000000";
    let error =
        role.admin.holder_with("office", role.access(wrong)).wrap(&context(), &key()).await.unwrap_err();
    assert!(matches!(error, HolderError::WrongSecret(_)), "{error}");
    assert!(!error.to_string().contains(wrong), "{error}");
}

#[tokio::test]
async fn a_method_that_is_not_there_is_told() {
    let Some(role) = AppRole::new("approle-mount").await else { return };
    let login = Login::AppRole {
        mount: "nowhere".into(),
        role_id: Zeroizing::new(role.role_id.clone()),
        secret_id_file: None,
    };
    let error = role.admin.holder_with("office", access(login)).wrap(&context(), &key()).await.unwrap_err();
    assert!(error.to_string().contains("auth/nowhere/login") && !error.is_passing(), "{error:?}");
}

#[tokio::test]
async fn a_token_file_is_private_and_read_again_when_its_token_is_refused() {
    let Some(admin) = Admin::new("token-file").await else { return };
    admin.make_key("office", json!({})).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".vault-token");
    let keyholder = admin.holder_with("office", access(Login::TokenFile(path.clone())));
    assert!(matches!(keyholder.ready(Operation::Unwrap), Err(HolderError::NoSecret(_))));
    assert!(matches!(keyholder.state().await, HolderState::Away(_)));

    let policy = format!("path \"{}/encrypt/office\" {{ capabilities = [\"update\"] }}", admin.mount);
    let (first, second) = (admin.token(&policy).await, admin.token(&policy).await);
    secret_file(folder.path(), ".vault-token", &format!("{first}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = keyholder.wrap(&context(), &key()).await.unwrap_err();
    assert!(matches!(error, HolderError::Exposed { mode: 0o640, .. }), "{error}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    keyholder.wrap(&context(), &key()).await.unwrap();

    admin.done(Method::POST, "auth/token/revoke", json!({"token": first})).await;
    let error = keyholder.wrap(&context(), &key()).await.unwrap_err();
    assert!(matches!(error, HolderError::Denied(_)), "{error}");
    secret_file(folder.path(), ".vault-token", &second);
    keyholder.wrap(&context(), &key()).await.unwrap();
}

#[tokio::test]
async fn a_token_that_may_not_is_asked_once() {
    let (address, count) = fixture::serve(|_| (403, br#"{"errors":["permission denied"]}"#.to_vec()));
    let keyholder = holder(&spec(&[("address", &address), ("key", "office")]), access(Login::token("t")));
    let error = keyholder.wrap(&context(), &key()).await.unwrap_err();
    assert!(matches!(error, HolderError::Denied(_)), "{error}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_pod_logs_in_by_its_service_account() {
    let ciphertext = format!("vault:v1:{}", "A".repeat(80));
    let (address, _) = fixture::serve(move |request| {
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let logs_in =
            body == json!({"role": "backup", "jwt": "a.b.c"}) && !request.headers.contains("x-vault-token");
        let answer = match request.line.as_str() {
            "POST /v1/auth/cluster-1/login HTTP/1.1" if logs_in => {
                json!({"request_id": "r1", "auth": {"client_token": "t-pod", "lease_duration": 60}})
            }
            "POST /v1/transit/encrypt/office HTTP/1.1"
                if request.headers.contains("x-vault-token: t-pod\r\n") =>
            {
                json!({"request_id": "r2", "data": {"ciphertext": ciphertext}})
            }
            _ => return (403, br#"{"errors":["permission denied"]}"#.to_vec()),
        };
        (200, answer.to_string().into_bytes())
    });
    let folder = tempfile::tempdir().unwrap();
    let jwt_file = folder.path().join("token");
    fs::write(&jwt_file, "a.b.c\n").unwrap();
    let login = Login::Kubernetes { mount: "cluster-1".into(), role: "backup".into(), jwt_file };
    let keyholder = holder(&spec(&[("address", &address), ("key", "office")]), access(login));
    let reply = keyholder.wrap(&context(), &key()).await.unwrap();
    assert_eq!(reply.request_id.as_deref(), Some("r2"));
}

/// A token of the service account `default/agent`, as a cluster makes it. Nobody here checks its signature: a server
/// asks the cluster whether a token is good.
fn service_account_token(uid: &str) -> String {
    let claims = json!({
        "iss": "https://cluster.example",
        "iat": 1_000_000_000,
        "nbf": 1_000_000_000,
        "exp": 4_000_000_000_u64,
        "kubernetes.io": {"namespace": "default", "serviceaccount": {"name": "agent", "uid": uid}},
        "sub": "system:serviceaccount:default:agent",
    });
    let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    format!("{}.{}.{}", part(r#"{"alg":"RS256","typ":"JWT"}"#), part(&claims.to_string()), part("signature"))
}

#[tokio::test]
async fn a_pod_logs_in_at_a_real_server_and_a_stranger_does_not() {
    let Some(admin) = Admin::new("pod").await else { return };
    let (mount, good) = (admin.mount.clone(), service_account_token("u-1"));
    let known = good.clone();
    let (cluster, reviews) = fixture::serve(move |request| {
        let asked: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let status = if asked["spec"]["token"] == known.as_str() {
            json!({"authenticated": true, "user": {"username": "system:serviceaccount:default:agent", "uid": "u-1",
                   "groups": ["system:serviceaccounts"]}})
        } else {
            json!({"authenticated": false})
        };
        let review =
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status});
        (201, review.to_string().into_bytes())
    });
    admin.make_key("office", json!({})).await;
    let policy = format!("path \"{mount}/encrypt/office\" {{ capabilities = [\"update\"] }}");
    admin.done(Method::POST, &format!("sys/policies/acl/{mount}"), json!({"policy": policy})).await;
    admin.done(Method::POST, &format!("sys/auth/{mount}"), json!({"type": "kubernetes"})).await;
    // The server insists on a certificate, though this cluster has no TLS.
    let certificate = fs::read_to_string(&admin.service.ca_file).unwrap();
    let config = json!({
        "kubernetes_host": cluster,
        "kubernetes_ca_cert": certificate,
        "token_reviewer_jwt": good,
        "disable_local_ca_jwt": true,
    });
    admin.done(Method::POST, &format!("auth/{mount}/config"), config).await;
    let role = json!({
        "bound_service_account_names": ["agent"],
        "bound_service_account_namespaces": ["default"],
        "token_policies": [mount],
    });
    admin.done(Method::POST, &format!("auth/{mount}/role/backup"), role).await;

    let folder = tempfile::tempdir().unwrap();
    let jwt_file = folder.path().join("token");
    let login = Login::Kubernetes { mount, role: "backup".into(), jwt_file: jwt_file.clone() };
    fs::write(&jwt_file, service_account_token("u-2")).unwrap();
    let keyholder = admin.holder_with("office", access(login));
    let error = keyholder.wrap(&context(), &key()).await.unwrap_err();
    assert!(matches!(error, HolderError::Denied(_)), "{error}");
    fs::write(&jwt_file, &good).unwrap();
    keyholder.wrap(&context(), &key()).await.unwrap();
    assert_eq!(reviews.load(Ordering::SeqCst), 2);
}
