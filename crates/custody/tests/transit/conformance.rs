use crate::{access, admin::Admin, fixture, holder, spec};
use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use strongroom_custody::{Keyholder, Switch, holders::transit::Login};
use strongroom_testkit::holder::{Fault, ProviderUnderTest, suite};

struct Transit {
    admin: Admin,
    derived: bool,
}

impl Transit {
    fn at(&self, address: &str) -> Arc<dyn Keyholder> {
        let spec = spec(&[("address", address), ("key", "suite"), ("mount", &self.admin.mount)]);
        // What the time-out is without being told is tested elsewhere.
        let access = access(Login::token(&self.admin.service.token)).with_timeout(Duration::from_secs(2));
        Arc::new(holder(&spec, access))
    }

    fn with_token(&self, token: &str) -> Arc<dyn Keyholder> {
        let (address, mount) = (self.admin.service.address.as_str(), self.admin.mount.as_str());
        let mut parameters = vec![("address", address), ("key", "suite"), ("mount", mount)];
        if self.derived {
            parameters.push(("derived", "yes"));
        }
        Arc::new(holder(&spec(&parameters), access(Login::token(token))))
    }

    fn quota(&self) -> String {
        format!("sys/quotas/rate-limit/{}", self.admin.mount)
    }
}

#[async_trait]
impl ProviderUnderTest for Transit {
    async fn holder(&self) -> Arc<dyn Keyholder> {
        self.with_token(&self.admin.service.token)
    }

    async fn enter(&self, fault: Fault) -> Option<Arc<dyn Keyholder>> {
        let root = self.holder().await;
        match fault {
            Fault::Disabled => root.switch(Switch::Off).await.unwrap(),
            Fault::Denied => {
                let path = format!("{}/encrypt/suite", self.admin.mount);
                let policy = format!("path \"{path}\" {{ capabilities = [\"update\"] }}");
                return Some(self.with_token(&self.admin.token(&policy).await));
            }
            // Transit has no such state: a soft-deleted key waits for nothing.
            Fault::PendingDeletion => return None,
            Fault::Deleted => self.admin.delete_key("suite").await,
            Fault::Throttled => {
                let one = json!({"path": format!("{}/", self.admin.mount), "rate": 1, "interval": "1h"});
                self.admin.done(Method::POST, &self.quota(), one).await;
                root.state().await;
            }
            Fault::Unreachable => return Some(self.at(&fixture::nobody())),
            Fault::Slow => return Some(self.at(&fixture::silent())),
        }
        Some(root)
    }

    async fn leave(&self, fault: Fault) {
        match fault {
            Fault::Disabled => self.holder().await.switch(Switch::On).await.unwrap(),
            Fault::Throttled => {
                self.admin.done(Method::DELETE, &self.quota(), Value::Null).await;
            }
            _ => {}
        }
    }
}

async fn run(test: &str, settings: Value) {
    let Some(admin) = Admin::new(test).await else { return };
    let derived = settings["derived"] == true;
    admin.make_key("suite", settings).await;
    suite(&Transit { admin, derived }).await;
}

#[tokio::test]
async fn aes() {
    run("suite-aes", json!({"type": "aes256-gcm96"})).await;
}

#[tokio::test]
async fn chacha20() {
    run("suite-chacha", json!({"type": "chacha20-poly1305"})).await;
}

#[tokio::test]
async fn xchacha20() {
    run("suite-xchacha", json!({"type": "xchacha20-poly1305"})).await;
}

#[tokio::test]
async fn derived() {
    run("suite-derived", json!({"type": "aes256-gcm96", "derived": true})).await;
}
