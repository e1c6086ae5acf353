//! The suite that every kind of keyholder passes.

use crate::{holder, new_key, service_secrets, throwaway};
use async_trait::async_trait;
use std::sync::Arc;
use strongroom_custody::{HolderState, Keyholder, Switch, holders::pkcs11::WrapMechanism};
use strongroom_format::keyring::{KeyholderSpec, Parameter};
use strongroom_testkit::{
    holder::{Fault, ProviderUnderTest, suite},
    services,
};

struct OnToken {
    service: services::Pkcs11,
    spec: KeyholderSpec,
}

impl OnToken {
    fn open(&self, spec: &KeyholderSpec) -> Arc<dyn Keyholder> {
        holder(spec, &service_secrets(&self.service))
    }
}

#[async_trait]
impl ProviderUnderTest for OnToken {
    async fn holder(&self) -> Arc<dyn Keyholder> {
        self.open(&self.spec)
    }

    async fn enter(&self, fault: Fault) -> Option<Arc<dyn Keyholder>> {
        let holder = self.open(&self.spec);
        match fault {
            Fault::Disabled => holder.switch(Switch::Off).await.unwrap(),
            Fault::Deleted => {
                let Parameter::Text(label) = &self.spec.parameters["key"] else { panic!("no label") };
                let session = throwaway::service_session(&self.service);
                for key in throwaway::find(&session, label) {
                    session.destroy_object(key).unwrap();
                }
            }
            Fault::Unreachable => {
                // The keyholder of a token that somebody took out of its slot.
                let mut elsewhere = self.spec.clone();
                elsewhere.parameters.insert("token".into(), Parameter::Text("taken away".into()));
                return Some(self.open(&elsewhere));
            }
            // This token has no such states: it never locks, never throttles, and is no process that could hang.
            Fault::Denied | Fault::PendingDeletion | Fault::Throttled | Fault::Slow => return None,
        }
        Some(holder)
    }

    async fn leave(&self, fault: Fault) {
        if fault == Fault::Disabled {
            let holder = self.open(&self.spec);
            assert_eq!(holder.state().await, HolderState::Disabled);
            holder.switch(Switch::On).await.unwrap();
            assert_eq!(holder.state().await, HolderState::CanOpen);
        }
    }
}

async fn conforms(mechanism: WrapMechanism) {
    let Some((_token, service)) = throwaway::own("suite") else { return };
    let spec = new_key(&service, "suite", mechanism);
    suite(&OnToken { service, spec }).await;
}

#[tokio::test]
async fn by_aes_gcm() {
    conforms(WrapMechanism::AesGcm).await;
}

#[tokio::test]
async fn by_aes_key_wrap() {
    conforms(WrapMechanism::AesKw).await;
}
