//! What a keyring says of a key that AWS KMS has already.

use super::{
    Access, KEY, KIND, REPLICAS, REPLICAS_MAX, RSA_PUBLIC_KEY,
    arn::{self, KeyArn},
    classify::classify,
    connections::{Connections, Session},
    key_state, rsa,
};
use crate::holder::{Answer, HolderError};
use aws_config::default_provider::region::DefaultRegionChain;
use aws_sdk_kms::{
    Client,
    operation::RequestId,
    types::{KeyManagerType, KeyMetadata, KeySpec, KeyUsageType},
};
use std::collections::BTreeMap;
use strongroom_format::keyring::{KeyholderSpec, Parameter};

/// Asks AWS KMS about a key, given by its ARN, its id, or an alias (`alias/NAME` or its ARN), and returns what a
/// keyring says of its keyholder: its ARN, those of its multi-Region replicas, and the public key where it is an RSA key.
///
/// The Region of an id or an alias without ARN is that of the environment or the profile.
///
/// # Errors
/// [`HolderError::Malformed`] where the key cannot encrypt, or belongs to an AWS service; [`HolderError::Disabled`] and
/// others where it cannot be used now, or cannot be asked about.
pub async fn describe(key_or_alias: &str, access: &Access) -> Result<KeyholderSpec, HolderError> {
    let connections = Connections::new(access.clone());
    let asked = async {
        let region = region_of(key_or_alias, access).await?;
        let client = connections.client(&region, Session::Manage).await?;
        let output =
            client.describe_key().key_id(key_or_alias).send().await.map_err(|error| classify(&error))?;
        let request_id = output.request_id().map(str::to_owned);
        let metadata = output.key_metadata.ok_or_else(|| malformed("AWS KMS says nothing about the key"))?;
        if let Some(obstacle) = key_state::obstacle(&metadata, Answer { request_id, ..Answer::default() }) {
            return Err(obstacle);
        }
        let public_key = match kind_of_key(&metadata)? {
            Sort::Symmetric => None,
            Sort::Rsa => Some(public_key(&client, &metadata).await?),
        };
        spec(&metadata, public_key.as_ref())
    };
    match tokio::time::timeout(access.patience, asked).await {
        Ok(result) => result.map_err(|error| connections.explained(error)),
        Err(_) => Err(HolderError::Unreachable(super::no_answer(access.patience))),
    }
}

/// What a keyring says of an RSA key in AWS KMS, told without asking anyone: for a machine that never reaches AWS.
/// The public key is PEM (`BEGIN PUBLIC KEY`), or the same in base64 alone.
///
/// # Errors
/// [`HolderError::Malformed`] where one of the two is not what it must be.
pub fn create_rsa(key_arn: &str, public_key: &str) -> Result<KeyholderSpec, HolderError> {
    let key = KeyArn::parse(key_arn)?;
    Ok(build(&key, Vec::new(), Some(&rsa::PublicKey::parse(public_key)?)))
}

enum Sort {
    Symmetric,
    Rsa,
}

fn kind_of_key(metadata: &KeyMetadata) -> Result<Sort, HolderError> {
    if metadata.key_manager() == Some(&KeyManagerType::Aws) {
        return Err(malformed(
            "the key belongs to an AWS service, which alone can use it; make a key of your own",
        ));
    }
    match (metadata.key_usage(), metadata.key_spec()) {
        (Some(KeyUsageType::EncryptDecrypt), Some(KeySpec::SymmetricDefault)) => Ok(Sort::Symmetric),
        (Some(KeyUsageType::EncryptDecrypt), Some(KeySpec::Rsa3072 | KeySpec::Rsa4096)) => Ok(Sort::Rsa),
        (usage, spec) => Err(HolderError::Malformed(format!(
            "the key is {} for {}; SYMMETRIC_DEFAULT, RSA_3072 or RSA_4096 for ENCRYPT_DECRYPT can be used",
            spec.map_or("of an unknown kind", KeySpec::as_str),
            usage.map_or("an unknown use", KeyUsageType::as_str),
        ))),
    }
}

async fn public_key(client: &Client, metadata: &KeyMetadata) -> Result<rsa::PublicKey, HolderError> {
    let output = client
        .get_public_key()
        .key_id(metadata.arn().unwrap_or_else(|| metadata.key_id()))
        .send()
        .await
        .map_err(|error| classify(&error))?;
    let der = output.public_key().ok_or_else(|| malformed("AWS KMS does not tell the public key"))?;
    rsa::PublicKey::from_der(der.as_ref())
}

fn spec(metadata: &KeyMetadata, public_key: Option<&rsa::PublicKey>) -> Result<KeyholderSpec, HolderError> {
    let arn = metadata.arn().ok_or_else(|| malformed("AWS KMS does not tell the ARN of the key"))?;
    let key = KeyArn::parse(arn)?;
    let mut others = Vec::new();
    if let Some(regions) = metadata.multi_region_configuration() {
        for other in regions.primary_key().into_iter().chain(regions.replica_keys()) {
            let Some(other) = other.arn() else { continue };
            let other = KeyArn::parse(other)?;
            if !key.is_same_key(&other) {
                return Err(HolderError::Malformed(format!("AWS KMS calls `{other}` a replica of `{key}`")));
            }
            if other != key && !others.contains(&other) {
                others.push(other);
            }
        }
    }
    others.truncate(REPLICAS_MAX);
    Ok(build(&key, others, public_key))
}

fn build(key: &KeyArn, replicas: Vec<KeyArn>, public_key: Option<&rsa::PublicKey>) -> KeyholderSpec {
    let mut parameters = BTreeMap::from([(KEY.to_owned(), Parameter::Text(key.to_string()))]);
    if !replicas.is_empty() {
        let list = replicas.iter().map(KeyArn::to_string).collect();
        parameters.insert(REPLICAS.to_owned(), Parameter::List(list));
    }
    if let Some(public_key) = public_key {
        parameters.insert(RSA_PUBLIC_KEY.to_owned(), Parameter::Text(public_key.to_base64()));
    }
    KeyholderSpec { kind: KIND.into(), parameters }
}

async fn region_of(key_or_alias: &str, access: &Access) -> Result<String, HolderError> {
    if let Some(region) = arn::region(key_or_alias) {
        return Ok(region.to_owned());
    }
    let mut chain = DefaultRegionChain::builder();
    if let Some(profile) = &access.profile {
        chain = chain.profile_name(profile);
    }
    match chain.build().region().await {
        Some(region) => Ok(region.to_string()),
        None => Err(HolderError::Malformed(format!(
            "the Region of key `{}` is not known: give its ARN, or set AWS_REGION",
            key_or_alias.escape_debug()
        ))),
    }
}

fn malformed(what: &str) -> HolderError {
    HolderError::Malformed(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_kms::types::{MultiRegionConfiguration, MultiRegionKey};

    const KEY_ARN: &str = "arn:aws:kms:us-east-1:123456789012:key/mrk-1";

    fn metadata(usage: &str, spec: &str, manager: &str) -> KeyMetadata {
        KeyMetadata::builder()
            .key_id("mrk-1")
            .arn(KEY_ARN)
            .key_usage(usage.into())
            .key_spec(spec.into())
            .key_manager(manager.into())
            .build()
            .unwrap()
    }

    #[test]
    fn keys_that_cannot_hold_a_backup_are_refused() {
        assert!(kind_of_key(&metadata("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "CUSTOMER")).is_ok());
        assert!(kind_of_key(&metadata("ENCRYPT_DECRYPT", "RSA_4096", "CUSTOMER")).is_ok());
        for (usage, spec, manager) in [
            ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "AWS"),
            ("ENCRYPT_DECRYPT", "RSA_2048", "CUSTOMER"),
            ("SIGN_VERIFY", "RSA_4096", "CUSTOMER"),
            ("GENERATE_VERIFY_MAC", "HMAC_256", "CUSTOMER"),
            ("ENCRYPT_DECRYPT", "SM2", "CUSTOMER"),
        ] {
            let refused = kind_of_key(&metadata(usage, spec, manager));
            assert!(matches!(refused, Err(HolderError::Malformed(_))), "{usage} {spec} {manager}");
        }
    }

    #[test]
    fn replicas_are_pinned_without_the_key_itself() {
        let key = |arn: &str| MultiRegionKey::builder().arn(arn).build();
        let regions = MultiRegionConfiguration::builder()
            .primary_key(key(KEY_ARN))
            .replica_keys(key("arn:aws:kms:eu-west-1:123456789012:key/mrk-1"))
            .replica_keys(key(KEY_ARN))
            .build();
        let mut metadata = metadata("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "CUSTOMER");
        metadata.multi_region_configuration = Some(regions);
        let spec = spec(&metadata, None).unwrap();
        assert_eq!(spec.parameters[KEY], Parameter::Text(KEY_ARN.into()));
        let replica = "arn:aws:kms:eu-west-1:123456789012:key/mrk-1".to_owned();
        assert_eq!(spec.parameters[REPLICAS], Parameter::List(vec![replica]));

        let stranger = MultiRegionConfiguration::builder()
            .replica_keys(key("arn:aws:kms:eu-west-1:210987654321:key/mrk-1"))
            .build();
        metadata.multi_region_configuration = Some(stranger);
        assert!(matches!(super::spec(&metadata, None), Err(HolderError::Malformed(_))));
    }
}
