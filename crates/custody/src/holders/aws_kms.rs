//! Keyholders of the kind `aws-kms`: a key of AWS KMS, which never leaves it.
//!
//! Public parameters: `key`, the ARN of the key; perhaps `replicas`, the ARNs of its multi-Region replicas, which are
//! asked in this order where those before them cannot be reached; perhaps `rsa_public_key`, where the key is an RSA
//! key (`SubjectPublicKeyInfo` in base64).
//!
//! A wrap is version 1, then a ciphertext of KMS `[V-4.5]`. A symmetric key wraps and unwraps by calls of KMS, with the
//! context as encryption context, so that key policies can tell purposes apart. An RSA key is wrapped to without any
//! call; KMS unwraps, or the private key that was imported into KMS, where this machine has it.
//!
//! Limit: copies of a key in the SDK's buffers of requests and answers are freed, not wiped.

mod access;
mod arn;
mod classify;
mod connections;
mod describe;
pub mod import;
mod in_clear;
mod key_state;
mod operation;
mod rescue;
mod rsa;

pub use access::{Access, Role};
pub use describe::{create_rsa, describe};
pub use rescue::Rescued;

pub(crate) use arn::KeyArn;

use self::{
    classify::{INVALID_STATE, classify},
    connections::{Connections, Session},
};
use super::{blocking, known_parameters, text};
use crate::{
    holder::{Answer, Effort, HolderError, HolderState, Keyholder, Operation, Reply, Switch, SwitchError},
    secrets::Secrets,
};
use async_trait::async_trait;
use aws_sdk_kms::{
    Client,
    operation::{RequestId, decrypt::DecryptOutput},
    primitives::Blob,
    types::EncryptionAlgorithmSpec,
};
use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};
use strongroom_format::{
    Secret32,
    context::Context,
    keyring::{KeyholderSpec, Parameter},
};
use zeroize::Zeroizing;

/// The kind's name in keyrings.
pub const KIND: &str = "aws-kms";

const KEY: &str = "key";
const REPLICAS: &str = "replicas";
const RSA_PUBLIC_KEY: &str = "rsa_public_key";
/// Most replicas of one key; each shortens the time that the others are waited for.
const REPLICAS_MAX: usize = 8;
const VERSION: u8 = 1;
/// Longest ciphertext that KMS takes, in bytes.
const CIPHERTEXT_MAX: usize = 6144;
/// Longest wait for the state of a key that could not be used.
const EXPLANATION_MAX: Duration = Duration::from_secs(3);

/// A keyholder of the kind `aws-kms`.
#[derive(Debug)]
pub struct AwsKmsKeyholder {
    label: String,
    /// The pinned key, then its replicas.
    keys: Vec<KeyArn>,
    rsa: Option<RsaKey>,
    connections: Connections,
}

struct RsaKey {
    public: rsa::PublicKey,
    /// The file with the private key, where this machine has it.
    private: Option<PathBuf>,
}

impl std::fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RsaKey").field("private", &self.private).finish_non_exhaustive()
    }
}

impl AwsKmsKeyholder {
    /// The keyholder `label` as the keyring describes it. Asks nothing of AWS yet.
    ///
    /// # Errors
    /// [`HolderError::Malformed`] for parameters that this kind does not allow.
    pub fn new(label: &str, spec: &KeyholderSpec, secrets: &Secrets) -> Result<Self, HolderError> {
        known_parameters(spec, &[KEY, REPLICAS, RSA_PUBLIC_KEY])?;
        let rsa = match spec.parameters.get(RSA_PUBLIC_KEY) {
            None => None,
            Some(_) => Some(RsaKey {
                public: rsa::PublicKey::parse(text(spec, RSA_PUBLIC_KEY)?)?,
                private: secrets.key_files.get(label).cloned(),
            }),
        };
        let connections = Connections::new(secrets.aws_access(label).clone());
        Ok(Self { label: label.to_owned(), keys: keys(spec)?, rsa, connections })
    }

    fn pinned(&self) -> &KeyArn {
        // `keys` is made with the pinned key in it.
        &self.keys[0]
    }

    fn private_key_file(&self) -> Option<&PathBuf> {
        self.rsa.as_ref()?.private.as_ref()
    }

    /// Calls KMS for the first of the keys that can be reached.
    async fn call<T, F>(
        &self,
        session: Session,
        call: impl Fn(Client, KeyArn) -> F + Send + Sync,
    ) -> Result<T, HolderError>
    where
        F: Future<Output = Result<T, HolderError>> + Send,
        T: Send,
    {
        let deadline = Instant::now() + self.connections.patience();
        let mut unreached = Vec::new();
        for (asked, key) in self.keys.iter().enumerate() {
            let left = u32::try_from(self.keys.len() - asked).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            let attempt = async {
                let client = self.connections.client(key.region(), session).await?;
                call(client, key.clone()).await
            };
            match tokio::time::timeout(share, attempt).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) if error.is_passing() => unreached.push((key.region(), error)),
                Ok(Err(error)) => return Err(self.explained(error, key, session).await),
                Err(_) => unreached.push((key.region(), HolderError::Unreachable(no_answer(share)))),
            }
        }
        Err(together(unreached))
    }

    /// Which state it is that a key cannot be used in: KMS has one code for many.
    async fn explained(&self, error: HolderError, key: &KeyArn, session: Session) -> HolderError {
        let (HolderError::PendingDeletion(answer) | HolderError::Disabled(answer)) = &error else {
            return self.connections.explained(error);
        };
        if answer.code.as_deref() != Some(INVALID_STATE) {
            return error;
        }
        let describe = async {
            let client = self.connections.client(key.region(), session).await.ok()?;
            client.describe_key().key_id(key.as_str()).send().await.ok()?.key_metadata
        };
        match tokio::time::timeout(EXPLANATION_MAX, describe).await {
            Ok(Some(metadata)) => key_state::obstacle(&metadata, answer.clone()).unwrap_or(error),
            Ok(None) | Err(_) => error,
        }
    }

    async fn encrypt(&self, context: &Context, key: &Secret32) -> Result<Reply<Vec<u8>>, HolderError> {
        let pairs = encryption_context(context);
        self.call(Session::of(context), |client, arn| {
            let call = client
                .encrypt()
                .key_id(arn.as_str())
                .plaintext(Blob::new(key.expose().to_vec()))
                .set_encryption_context(Some(pairs.clone()));
            async move {
                let output = call.send().await.map_err(|error| classify(&error))?;
                if !answers_for(&arn, output.key_id()) {
                    let other = output.key_id().unwrap_or_default().escape_debug();
                    return Err(HolderError::Malformed(format!(
                        "AWS KMS wrapped by `{other}`, not by `{arn}`"
                    )));
                }
                let request_id = output.request_id().map(str::to_owned);
                let ciphertext = output.ciphertext_blob.map(Blob::into_inner).unwrap_or_default();
                if ciphertext.is_empty() || ciphertext.len() > CIPHERTEXT_MAX {
                    let len = ciphertext.len();
                    return Err(HolderError::Malformed(format!(
                        "AWS KMS answered a ciphertext of {len} bytes"
                    )));
                }
                Ok(Reply::from_provider(in_version(&ciphertext), request_id))
            }
        })
        .await
    }

    /// What `ciphertext` was made of. `pairs` for a symmetric key, none for an RSA key.
    async fn decrypt(
        &self,
        session: Session,
        ciphertext: &[u8],
        pairs: Option<HashMap<String, String>>,
    ) -> Result<Reply<Zeroizing<Vec<u8>>>, HolderError> {
        let algorithm = match pairs {
            Some(_) => EncryptionAlgorithmSpec::SymmetricDefault,
            None => EncryptionAlgorithmSpec::RsaesOaepSha256,
        };
        self.call(session, |client, arn| {
            let call = client
                .decrypt()
                .key_id(arn.as_str())
                .ciphertext_blob(Blob::new(ciphertext))
                .encryption_algorithm(algorithm.clone())
                .set_encryption_context(pairs.clone());
            async move {
                let output = call.send().await.map_err(|error| classify(&error))?;
                let request_id = output.request_id().map(str::to_owned);
                let answered = answers_for(&arn, output.key_id());
                let plain = plaintext(output);
                if answered {
                    Ok(Reply::from_provider(plain, request_id))
                } else {
                    Err(HolderError::Tampered)
                }
            }
        })
        .await
    }

    /// Switches one of the keys.
    async fn switch_one(&self, key: &KeyArn, to: Switch) -> Result<(), HolderError> {
        let asked = async {
            let client = self.connections.client(key.region(), Session::Manage).await?;
            match to {
                Switch::Off => {
                    client.disable_key().key_id(key.as_str()).send().await.map(drop).map_err(|e| classify(&e))
                }
                Switch::On => {
                    client.enable_key().key_id(key.as_str()).send().await.map(drop).map_err(|e| classify(&e))
                }
            }
        };
        let patience = self.connections.patience();
        match tokio::time::timeout(patience, asked).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.explained(error, key, Session::Manage).await),
            Err(_) => Err(HolderError::Unreachable(no_answer(patience))),
        }
    }
}

/// Whether the keyring describes an RSA key, which takes no encryption context.
pub(crate) fn is_rsa(spec: &KeyholderSpec) -> bool {
    spec.parameters.contains_key(RSA_PUBLIC_KEY)
}

/// The pinned key and its replicas.
pub(crate) fn keys(spec: &KeyholderSpec) -> Result<Vec<KeyArn>, HolderError> {
    let pinned = KeyArn::parse(text(spec, KEY)?)?;
    let replicas: &[String] = match spec.parameters.get(REPLICAS) {
        None => &[],
        Some(Parameter::List(list)) if (1..=REPLICAS_MAX).contains(&list.len()) => list,
        Some(_) => {
            let what = format!("parameter `{REPLICAS}` is no list of 1 to {REPLICAS_MAX} keys");
            return Err(HolderError::Malformed(what));
        }
    };
    let mut keys = vec![pinned];
    for replica in replicas {
        let replica = KeyArn::parse(replica)?;
        if keys.contains(&replica) || !keys.iter().all(|key| key.is_same_key(&replica)) {
            let what = format!("`{replica}` is no replica of `{}` in another Region", keys[0]);
            return Err(HolderError::Malformed(what));
        }
        keys.push(replica);
    }
    Ok(keys)
}

fn encryption_context(context: &Context) -> HashMap<String, String> {
    context.pairs().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Whether an answer is for the key that was asked for.
fn answers_for(asked: &KeyArn, answered: Option<&str>) -> bool {
    answered.and_then(|answered| KeyArn::parse(answered).ok()).is_some_and(|key| key.is_same_key(asked))
}

fn plaintext(output: DecryptOutput) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(output.plaintext.map(Blob::into_inner).unwrap_or_default())
}

fn in_version(ciphertext: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + ciphertext.len());
    out.push(VERSION);
    out.extend_from_slice(ciphertext);
    out
}

/// Checks the form of a wrap, before KMS is troubled with it.
fn parse(blob: &[u8]) -> Result<&[u8], HolderError> {
    match blob.split_first() {
        Some((&VERSION, ciphertext)) if (1..=CIPHERTEXT_MAX).contains(&ciphertext.len()) => Ok(ciphertext),
        Some((&VERSION, ciphertext)) => Err(HolderError::Malformed(format!(
            "the wrapped key has a ciphertext of {} bytes, not 1 to {CIPHERTEXT_MAX}",
            ciphertext.len()
        ))),
        Some((version, _)) => {
            Err(HolderError::Malformed(format!("wrapped key of version {version}, not known here")))
        }
        None => Err(HolderError::Malformed("the wrapped key is empty".into())),
    }
}

fn no_answer(within: Duration) -> Answer {
    Answer::said(format!("no answer in {:.1} s", within.as_secs_f32()))
}

/// One failure for a key that could be reached in none of its Regions.
fn together(mut failures: Vec<(&str, HolderError)>) -> HolderError {
    let throttled = failures.iter().any(|(_, error)| matches!(error, HolderError::Throttled(_)));
    let answer = |error| match error {
        HolderError::Throttled(answer) | HolderError::Unreachable(answer) => answer,
        other => Answer::said(other.to_string()),
    };
    let all = match (failures.len(), failures.pop()) {
        (1, Some((_, only))) => answer(only),
        (_, last) => {
            let all: Vec<(&str, Answer)> =
                failures.into_iter().chain(last).map(|(region, error)| (region, answer(error))).collect();
            let said: Vec<String> =
                all.iter().map(|(region, answer)| format!("{region}: {}", in_words(answer))).collect();
            let request_id = all.into_iter().rev().find_map(|(_, answer)| answer.request_id);
            Answer { code: None, said: said.join("; "), request_id }
        }
    };
    if throttled { HolderError::Throttled(all) } else { HolderError::Unreachable(all) }
}

fn in_words(answer: &Answer) -> String {
    Answer { request_id: None, ..answer.clone() }.to_string()
}

/// What a person with the right can run. An ARN holds nothing that a shell would change.
fn command(keys: &[&KeyArn], to: Switch, pending_deletion: bool) -> String {
    let call = |verb: &str, key: &KeyArn| format!("aws kms {verb} --key-id {key} --region {}", key.region());
    let commands = keys.iter().flat_map(|key| match to {
        Switch::Off => vec![call("disable-key", key)],
        Switch::On if pending_deletion => vec![call("cancel-key-deletion", key), call("enable-key", key)],
        Switch::On => vec![call("enable-key", key)],
    });
    commands.collect::<Vec<_>>().join(" && ")
}

#[async_trait]
impl Keyholder for AwsKmsKeyholder {
    fn label(&self) -> &str {
        &self.label
    }

    fn kind(&self) -> &str {
        KIND
    }

    fn effort(&self) -> Effort {
        if self.private_key_file().is_some() { Effort::Local } else { Effort::Service }
    }

    /// Whether AWS gives credentials is only seen when they are needed: some come from the network.
    fn ready(&self, operation: Operation) -> Result<(), HolderError> {
        match (operation, self.private_key_file()) {
            (Operation::Unwrap, Some(path)) if matches!(path.try_exists(), Ok(false)) => {
                Err(HolderError::NoSecret(format!("there is no key file `{}`", path.display())))
            }
            _ => Ok(()),
        }
    }

    async fn wrap(&self, context: &Context, key: &Secret32) -> Result<Reply<Vec<u8>>, HolderError> {
        match &self.rsa {
            Some(rsa) => Ok(Reply::local(in_version(&rsa.public.seal(context, key)?))),
            None => self.encrypt(context, key).await,
        }
    }

    async fn unwrap(&self, context: &Context, blob: &[u8]) -> Result<Reply<Secret32>, HolderError> {
        let ciphertext = parse(blob)?;
        let session = Session::of(context);
        let Some(rsa) = &self.rsa else {
            let reply = self.decrypt(session, ciphertext, Some(encryption_context(context))).await?;
            let key = Secret32::from_slice(&reply.value).ok_or(HolderError::Tampered)?;
            return Ok(reply.map(|_| key));
        };
        if ciphertext.len() != rsa.public.ciphertext_len() {
            return Err(HolderError::Malformed(format!(
                "the wrapped key has a ciphertext of {} bytes, not {}",
                ciphertext.len(),
                rsa.public.ciphertext_len()
            )));
        }
        if let Some(path) = rsa.private.clone() {
            let (public, context, ciphertext) = (rsa.public.clone(), context.clone(), ciphertext.to_vec());
            let open = move || rsa::open(rsa::read_private(&path, &public)?, &context, &ciphertext);
            return blocking(open).await.map(Reply::local);
        }
        let reply = self.decrypt(session, ciphertext, None).await?;
        let key = rsa::opened(context, &reply.value)?;
        Ok(reply.map(|_| key))
    }

    async fn state(&self) -> HolderState {
        if self.private_key_file().is_some() && self.ready(Operation::Unwrap).is_ok() {
            return HolderState::CanOpen;
        }
        let described = self.call(Session::Manage, |client, arn| async move {
            let output = client.describe_key().key_id(arn.as_str()).send().await;
            let metadata = output.map_err(|error| classify(&error))?.key_metadata;
            metadata.ok_or_else(|| HolderError::Malformed("AWS KMS says nothing about the key".into()))
        });
        match described.await {
            Ok(metadata) => key_state::state(&metadata),
            Err(error) => key_state::state_from(error),
        }
    }

    /// Each replica has a switch of its own, and all of them open the same wraps: all are switched.
    async fn switch(&self, to: Switch) -> Result<(), SwitchError> {
        let mut failed = Vec::new();
        let mut first = None;
        for key in &self.keys {
            if let Err(error) = self.switch_one(key, to).await {
                failed.push(key);
                first.get_or_insert(error);
            }
        }
        match first {
            None => Ok(()),
            Some(source) => {
                let pending_deletion = matches!(source, HolderError::PendingDeletion(_));
                Err(SwitchError::Refused { command: command(&failed, to, pending_deletion), source })
            }
        }
    }

    fn custodian(&self) -> Option<String> {
        Some(format!("aws account {}", self.pinned().account()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: &str = "arn:aws:kms:us-east-1:123456789012:key/mrk-1";
    const REPLICA: &str = "arn:aws:kms:eu-west-1:123456789012:key/mrk-1";

    fn spec(parameters: &[(&str, Parameter)]) -> KeyholderSpec {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        KeyholderSpec { kind: KIND.into(), parameters }
    }

    fn holder(parameters: &[(&str, Parameter)]) -> Result<AwsKmsKeyholder, HolderError> {
        AwsKmsKeyholder::new("cloud", &spec(parameters), &Secrets::none())
    }

    fn key(arn: &str) -> (&'static str, Parameter) {
        (KEY, Parameter::Text(arn.into()))
    }

    fn replicas(arns: &[&str]) -> (&'static str, Parameter) {
        (REPLICAS, Parameter::List(arns.iter().map(|arn| (*arn).to_owned()).collect()))
    }

    #[test]
    fn parameters_are_checked() {
        let good = holder(&[key(PRIMARY), replicas(&[REPLICA])]).unwrap();
        assert_eq!(good.custodian().as_deref(), Some("aws account 123456789012"));
        assert_eq!((good.keys.len(), good.effort()), (2, Effort::Service));
        let other = REPLICA.replace("mrk-1", "mrk-2");
        let many: Vec<String> =
            (0..9).map(|i| REPLICA.replace("eu-west-1", &format!("eu-west-{i}"))).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for bad in [
            vec![],
            vec![key("alias/backup")],
            vec![key(PRIMARY), replicas(&[])],
            vec![key(PRIMARY), replicas(&[PRIMARY])],
            vec![key(PRIMARY), replicas(&[REPLICA, REPLICA])],
            vec![key(PRIMARY), replicas(&[&other])],
            vec![key(PRIMARY), replicas(&many)],
            vec![key(PRIMARY), (REPLICAS, Parameter::Text(REPLICA.into()))],
            vec![key(PRIMARY), ("endpoint", Parameter::Text("https://evil.example".into()))],
            vec![key(PRIMARY), (RSA_PUBLIC_KEY, Parameter::Text("AAAA".into()))],
            vec![key(PRIMARY), (RSA_PUBLIC_KEY, Parameter::Number(1))],
        ] {
            assert!(matches!(holder(&bad), Err(HolderError::Malformed(_))), "{bad:?}");
        }
    }

    #[test]
    fn wraps_of_another_form_are_refused_before_anyone_is_asked() {
        assert_eq!(parse(&[VERSION, 7]).unwrap(), [7]);
        assert!(parse(&[&[VERSION][..], &[7; CIPHERTEXT_MAX]].concat()).is_ok());
        for bad in [&[][..], &[VERSION], &[2, 7], &[&[VERSION][..], &[7; CIPHERTEXT_MAX + 1]].concat()] {
            assert!(matches!(parse(bad), Err(HolderError::Malformed(_))));
        }
    }

    #[test]
    fn only_answers_for_the_pinned_key_count() {
        let pinned = KeyArn::parse(PRIMARY).unwrap();
        assert!(answers_for(&pinned, Some(PRIMARY)));
        assert!(answers_for(&pinned, Some(REPLICA)));
        for other in [None, Some(""), Some("mrk-1"), Some("arn:aws:kms:us-east-1:123456789012:key/mrk-2")] {
            assert!(!answers_for(&pinned, other), "{other:?}");
        }
    }

    #[test]
    fn commands_for_a_person() {
        let [primary, replica] = [PRIMARY, REPLICA].map(|arn| KeyArn::parse(arn).unwrap());
        assert_eq!(
            command(&[&primary], Switch::Off, false),
            format!("aws kms disable-key --key-id {PRIMARY} --region us-east-1")
        );
        assert_eq!(
            command(&[&primary, &replica], Switch::On, false),
            format!(
                "aws kms enable-key --key-id {PRIMARY} --region us-east-1 && \
                 aws kms enable-key --key-id {REPLICA} --region eu-west-1"
            )
        );
        assert_eq!(
            command(&[&replica], Switch::On, true),
            format!(
                "aws kms cancel-key-deletion --key-id {REPLICA} --region eu-west-1 && \
                 aws kms enable-key --key-id {REPLICA} --region eu-west-1"
            )
        );
    }

    #[test]
    fn failures_of_all_regions_are_told_together() {
        let unreachable = |said: &str| HolderError::Unreachable(said.into());
        let one = together(vec![("us-east-1", unreachable("refused"))]);
        assert_eq!(one.to_string(), "it could not be reached: refused");
        let busy = Answer {
            code: Some("ThrottlingException".into()),
            said: "slow".into(),
            request_id: Some("id-1".into()),
        };
        let two = together(vec![
            ("us-east-1", unreachable("refused")),
            ("eu-west-1", HolderError::Throttled(busy)),
        ]);
        assert!(matches!(two, HolderError::Throttled(_)));
        assert_eq!(two.request_id(), Some("id-1"));
        let text = two.to_string();
        assert!(text.contains("us-east-1: refused; eu-west-1: ThrottlingException: slow"), "{text}");
    }
}
