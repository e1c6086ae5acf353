//! The operators of the test server.

use crate::{access, holder, spec};
use reqwest::Method;
use serde_json::{Value, json};
use strongroom_custody::holders::transit::{Access, Login, TransitKeyholder};
use strongroom_format::keyring::KeyholderSpec;
use strongroom_testkit::services::{self, OpenBao};

/// A Transit engine of a test's own on the real server, with the root token.
pub(crate) struct Admin {
    pub(crate) service: OpenBao,
    pub(crate) mount: String,
    http: reqwest::Client,
}

impl Admin {
    /// `None` where services are skipped.
    pub(crate) async fn new(test: &str) -> Option<Self> {
        let service = services::openbao()?;
        let mount = services::unique_prefix(test).replace('/', "-");
        let admin = Self { service, mount, http: reqwest::Client::builder().no_proxy().build().unwrap() };
        admin.done(Method::POST, &format!("sys/mounts/{}", admin.mount), json!({"type": "transit"})).await;
        Some(admin)
    }

    /// Status and body of a request as root.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        self.call_as(&self.service.token, method, path, body).await
    }

    pub(crate) async fn call_as(&self, token: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/v1/{path}", self.service.address);
        let request = self.http.request(method, url).header("x-vault-token", token);
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    /// The body of a request that must succeed.
    pub(crate) async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    pub(crate) async fn make_key(&self, name: &str, settings: Value) {
        self.done(Method::POST, &format!("{}/keys/{name}", self.mount), settings).await;
    }

    pub(crate) async fn configure_key(&self, name: &str, settings: Value) {
        self.done(Method::POST, &format!("{}/keys/{name}/config", self.mount), settings).await;
    }

    pub(crate) async fn delete_key(&self, name: &str) {
        self.configure_key(name, json!({"deletion_allowed": true})).await;
        self.done(Method::DELETE, &format!("{}/keys/{name}", self.mount), Value::Null).await;
    }

    /// A token with this policy and the default one.
    pub(crate) async fn token(&self, policy: &str) -> String {
        let name = services::unique_prefix("policy").replace('/', "-");
        self.done(Method::POST, &format!("sys/policies/acl/{name}"), json!({"policy": policy})).await;
        let made =
            self.done(Method::POST, "auth/token/create", json!({"policies": [name], "ttl": "1h"})).await;
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn spec(&self, key: &str) -> KeyholderSpec {
        spec(&[("address", &self.service.address), ("key", key), ("mount", &self.mount)])
    }

    pub(crate) fn holder(&self, key: &str, token: &str) -> TransitKeyholder {
        self.holder_with(key, access(Login::token(token)))
    }

    pub(crate) fn holder_with(&self, key: &str, access: Access) -> TransitKeyholder {
        holder(&self.spec(key), access)
    }

    pub(crate) fn root(&self, key: &str) -> TransitKeyholder {
        self.holder(key, &self.service.token)
    }

    /// The lines of the audit log, parsed.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(&self.service.audit_log).unwrap();
        // Another test may be in the middle of a line.
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}
