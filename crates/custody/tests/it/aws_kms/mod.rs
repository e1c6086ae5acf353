//! Keyholders in AWS KMS, against stand-ins for it. None of them is right alone: moto authenticates ciphertexts but
//! checks nobody's rights, MiniStack checks rights but opens tampered ciphertexts, LocalStack imports keys but checks
//! no rights, and fixtures do what none of them does.

mod credentials;
mod fixture;
mod localstack;
mod ministack;
mod moto;
mod replicas;
mod roles;
mod rsa;
mod wire;

use self::fixture::{Fixture, Message};
use async_trait::async_trait;
use aws_sdk_kms::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    types::{KeySpec, KeyUsageType},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use strongroom_custody::{
    HolderError, Keyholder, Secrets,
    holders::{
        aws_kms::{self, Access},
        build,
    },
};
use strongroom_format::keyring::{KeyholderSpec, Parameter};
use strongroom_testkit::{
    holder::{Fault, Promise, ProviderUnderTest},
    services::Kms,
};

const REGION: &str = "us-east-1";
/// Nobody has this key.
const NO_KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000000";
/// How long tests wait for a provider that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

fn access(endpoint: &str, (id, secret): &(String, String)) -> Access {
    Access { patience: PATIENCE, ..Access::with_key(endpoint, id, secret) }
}

/// For fixtures, which take any identity.
fn anyone(endpoint: &str) -> Access {
    access(endpoint, &("TESTANYONE".to_owned(), "any-secret".to_owned()))
}

fn spec(arn: &str) -> KeyholderSpec {
    let parameters = BTreeMap::from([("key".to_owned(), Parameter::Text(arn.to_owned()))]);
    KeyholderSpec { kind: aws_kms::KIND.into(), parameters }
}

fn holder(spec: &KeyholderSpec, access: Access) -> Arc<dyn Keyholder> {
    build("cloud", spec, &Secrets::none().with_aws(access)).unwrap()
}

fn pinned(spec: &KeyholderSpec) -> String {
    match &spec.parameters["key"] {
        Parameter::Text(arn) => arn.clone(),
        other => panic!("{other:?}"),
    }
}

/// Who owns the keys of a stand-in.
fn admin(kms: &Kms, region: &'static str) -> Client {
    let (id, secret) = &kms.admin;
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .endpoint_url(&kms.endpoint)
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .build();
    Client::from_conf(config)
}

async fn make_key(admin: &Client, key_spec: KeySpec, multi_region: bool) -> String {
    let call = admin.create_key().key_spec(key_spec).key_usage(KeyUsageType::EncryptDecrypt);
    let made = call.multi_region(multi_region).send().await.unwrap();
    made.key_metadata.unwrap().arn.unwrap()
}

async fn symmetric_key(admin: &Client) -> String {
    make_key(admin, KeySpec::SymmetricDefault, false).await
}

/// A stand-in, with a key for the conformance suite.
struct UnderTest {
    kms: Kms,
    admin: Client,
    arn: String,
    /// An identity without rights, where the stand-in knows what rights are.
    stranger: Option<(String, String)>,
    broken: &'static [Promise],
    /// Whether it looks for the key that a call names, and not only for that in the ciphertext.
    obeys_key_id: bool,
    /// Stay until the suite ends.
    fixtures: Vec<Fixture>,
}

impl UnderTest {
    /// Without rights, with promises kept.
    async fn new(kms: Kms) -> Self {
        let admin = admin(&kms, REGION);
        let arn = symmetric_key(&admin).await;
        let throttling =
            Fixture::answering(|_| Some(Message::refusal("ThrottlingException", "Rate exceeded")));
        let fixtures = vec![throttling, Fixture::silent()];
        Self { kms, admin, arn, stranger: None, broken: &[], obeys_key_id: true, fixtures }
    }

    fn at(&self, endpoint: &str) -> Arc<dyn Keyholder> {
        holder(&spec(&self.arn), anyone(endpoint))
    }
}

#[async_trait]
impl ProviderUnderTest for UnderTest {
    async fn holder(&self) -> Arc<dyn Keyholder> {
        holder(&spec(&self.arn), access(&self.kms.endpoint, &self.kms.admin))
    }

    async fn enter(&self, fault: Fault) -> Option<Arc<dyn Keyholder>> {
        Some(match fault {
            Fault::Disabled => {
                self.admin.disable_key().key_id(&self.arn).send().await.unwrap();
                self.holder().await
            }
            Fault::Denied => holder(&spec(&self.arn), access(&self.kms.endpoint, self.stranger.as_ref()?)),
            Fault::PendingDeletion => {
                let call = self.admin.schedule_key_deletion().key_id(&self.arn);
                call.pending_window_in_days(7).send().await.unwrap();
                self.holder().await
            }
            // No stand-in lets the seven days pass; a key that is gone and one that never was have the same answer.
            Fault::Deleted if !self.obeys_key_id => return None,
            Fault::Deleted => holder(&spec(NO_KEY), access(&self.kms.endpoint, &self.kms.admin)),
            Fault::Throttled => self.at(&self.fixtures[0].endpoint()),
            Fault::Slow => self.at(&self.fixtures[1].endpoint()),
            Fault::Unreachable => self.at(&fixture::nobody()),
        })
    }

    async fn leave(&self, fault: Fault) {
        if fault == Fault::Disabled {
            self.admin.enable_key().key_id(&self.arn).send().await.unwrap();
        }
    }

    fn broken(&self) -> &[Promise] {
        self.broken
    }
}

/// The answer of the provider in a failure that has one.
fn answer(error: &HolderError) -> String {
    match error {
        HolderError::Denied(answer)
        | HolderError::Disabled(answer)
        | HolderError::PendingDeletion(answer)
        | HolderError::Deleted(answer)
        | HolderError::Throttled(answer)
        | HolderError::Unreachable(answer) => answer.to_string(),
        other => panic!("{other:?}"),
    }
}
