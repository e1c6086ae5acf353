//! Importing key material into a KMS key that was made without any (`Origin=EXTERNAL`), and challenges of such keys.

use super::{
    Access, KeyArn,
    classify::classify,
    connections::{Connections, Session},
    no_answer,
};
use crate::{
    ceremony::{Algorithm, MaterialKind},
    holder::HolderError,
};
use aws_sdk_kms::{
    Client,
    operation::RequestId,
    primitives::Blob,
    types::{AlgorithmSpec, EncryptionAlgorithmSpec, ExpirationModelType, WrappingKeySpec},
};
use zeroize::Zeroizing;

/// What an import needs of KMS. Good for 24 hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportParameters {
    /// The public key to wrap under, in DER.
    pub wrapping_key: Vec<u8>,
    /// What the import must bring back.
    pub import_token: Vec<u8>,
}

/// What KMS said of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What KMS calls the material.
    pub material_id: Option<String>,
    /// The id of the request in CloudTrail.
    pub request_id: Option<String>,
}

/// One key in KMS, given by its ARN, for its import.
pub struct ImportedKey {
    arn: KeyArn,
    access: Access,
    connections: Connections,
}

impl ImportedKey {
    /// Asks nothing of AWS yet.
    ///
    /// # Errors
    /// [`HolderError::Malformed`] where that is no ARN of a key: an alias can be pointed at another key meanwhile.
    pub fn new(arn: &str, access: &Access) -> Result<Self, HolderError> {
        let connections = Connections::new(access.clone());
        Ok(Self { arn: KeyArn::parse(arn)?, access: access.clone(), connections })
    }

    async fn call<T, F>(&self, call: impl FnOnce(Client, String) -> F) -> Result<T, HolderError>
    where
        F: Future<Output = Result<T, HolderError>>,
    {
        let asked = async {
            let client = self.connections.client(self.arn.region(), Session::Manage).await?;
            call(client, self.arn.to_string()).await
        };
        match tokio::time::timeout(self.access.patience, asked).await {
            Ok(result) => result.map_err(|error| self.connections.explained(error)),
            Err(_) => Err(HolderError::Unreachable(no_answer(self.access.patience))),
        }
    }

    /// A wrapping key of 4096 bits for material of this kind, and the token that belongs to it.
    ///
    /// # Errors
    /// As KMS answers.
    pub async fn parameters(&self, kind: MaterialKind) -> Result<ImportParameters, HolderError> {
        let algorithm = match Algorithm::for_aws_kms(kind) {
            Algorithm::RsaesOaepSha256 => AlgorithmSpec::RsaesOaepSha256,
            Algorithm::RsaAesKeyWrapSha256 => AlgorithmSpec::RsaAesKeyWrapSha256,
        };
        self.call(|client, arn| async move {
            let call = client.get_parameters_for_import().key_id(arn).wrapping_algorithm(algorithm);
            let output = call.wrapping_key_spec(WrappingKeySpec::Rsa4096).send().await;
            let output = output.map_err(|error| classify(&error))?;
            match (output.public_key, output.import_token) {
                (Some(key), Some(token)) => {
                    Ok(ImportParameters { wrapping_key: key.into_inner(), import_token: token.into_inner() })
                }
                _ => Err(HolderError::Malformed("AWS KMS gave no wrapping key".into())),
            }
        })
        .await
    }

    /// Imports material, which never expires.
    ///
    /// # Errors
    /// As KMS answers: it refuses other material than the key had before.
    pub async fn import(&self, token: &[u8], wrapped: &[u8]) -> Result<Imported, HolderError> {
        self.call(|client, arn| async move {
            let call = client
                .import_key_material()
                .key_id(arn)
                .import_token(Blob::new(token))
                .encrypted_key_material(Blob::new(wrapped))
                .expiration_model(ExpirationModelType::KeyMaterialDoesNotExpire);
            let output = call.send().await.map_err(|error| classify(&error))?;
            let request_id = output.request_id().map(str::to_owned);
            Ok(Imported { material_id: output.key_material_id, request_id })
        })
        .await
    }

    /// Encrypts a challenge under a symmetric key, bound to the ceremony.
    ///
    /// # Errors
    /// As KMS answers.
    pub async fn encrypt(&self, ceremony: &str, secret: &[u8]) -> Result<Vec<u8>, HolderError> {
        self.call(|client, arn| async move {
            let call = client.encrypt().key_id(arn).plaintext(Blob::new(secret));
            let output = call.encryption_context("strongroom:ceremony", ceremony).send().await;
            let output = output.map_err(|error| classify(&error))?;
            Ok(output.ciphertext_blob.map(Blob::into_inner).unwrap_or_default())
        })
        .await
    }

    /// Opens a challenge: of a symmetric key, or of an RSA key, which takes no context.
    ///
    /// # Errors
    /// As KMS answers.
    pub async fn decrypt(
        &self,
        kind: MaterialKind,
        ceremony: &str,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, HolderError> {
        self.call(|client, arn| async move {
            let call = client.decrypt().key_id(arn).ciphertext_blob(Blob::new(ciphertext));
            let call = match kind {
                MaterialKind::Aes256 => call.encryption_context("strongroom:ceremony", ceremony),
                MaterialKind::Rsa4096 => call.encryption_algorithm(EncryptionAlgorithmSpec::RsaesOaepSha256),
            };
            let output = call.send().await.map_err(|error| classify(&error))?;
            Ok(super::plaintext(output))
        })
        .await
    }

    /// The public half of an RSA key, in DER.
    ///
    /// # Errors
    /// As KMS answers.
    pub async fn public_key(&self) -> Result<Vec<u8>, HolderError> {
        self.call(|client, arn| async move {
            let output = client.get_public_key().key_id(arn).send().await;
            let output = output.map_err(|error| classify(&error))?;
            Ok(output.public_key.map(Blob::into_inner).unwrap_or_default())
        })
        .await
    }
}

impl std::fmt::Debug for ImportedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportedKey").field("arn", &self.arn).finish_non_exhaustive()
    }
}
