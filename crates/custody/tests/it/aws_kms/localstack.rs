//! Against LocalStack, whose ciphertexts are authenticated and whose keys can be imported.

use super::{REGION, UnderTest, access, admin, answer, holder, pinned, spec};
use crate::{context, key, other_contexts};
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    key_wrap::{AES_256, AesKek, KeyWrapPadded},
    rsa::{
        KeySize, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
    },
};
use aws_sdk_kms::{
    Client,
    primitives::Blob,
    types::{AlgorithmSpec, ExpirationModelType, KeySpec, KeyUsageType, OriginType, WrappingKeySpec},
};
use data_encoding::BASE64;
use std::{fs, os::unix::fs::PermissionsExt};
use strongroom_custody::{
    HolderError, HolderState, Secrets,
    holders::{
        aws_kms::{create_rsa, describe},
        build,
    },
};
use strongroom_testkit::{holder::suite, services};

#[tokio::test]
async fn localstack_keeps_the_promises() {
    let Some(kms) = services::localstack() else { return };
    suite(&UnderTest::new(kms).await).await;
}

/// A key without key material.
async fn empty_key(admin: &Client, key_spec: KeySpec) -> String {
    let call = admin.create_key().origin(OriginType::External).key_spec(key_spec);
    let made = call.key_usage(KeyUsageType::EncryptDecrypt).send().await.unwrap();
    made.key_metadata.unwrap().arn.unwrap()
}

/// Imports as AWS describes it for long keys: under an AES key (RFC 5649), which is under the RSA key of KMS.
async fn import(admin: &Client, arn: &str, material: &[u8]) {
    let call = admin.get_parameters_for_import().key_id(arn).wrapping_key_spec(WrappingKeySpec::Rsa4096);
    let how = call.wrapping_algorithm(AlgorithmSpec::RsaAesKeyWrapSha256).send().await.unwrap();
    let wrapping = PublicEncryptingKey::from_der(how.public_key.unwrap().as_ref()).unwrap();
    let wrapping = OaepPublicEncryptingKey::new(wrapping).unwrap();
    let aes = [0x5a; 32];
    let mut sealed = vec![0; wrapping.ciphertext_size()];
    let len = wrapping.encrypt(&OAEP_SHA256_MGF1SHA256, &aes, &mut sealed, None).unwrap().len();
    sealed.truncate(len);
    let mut wrapped = vec![0; material.len() + 15];
    let kek = AesKek::new(&AES_256, &aes).unwrap();
    sealed.extend_from_slice(kek.wrap_with_padding(material, &mut wrapped).unwrap());
    let call = admin.import_key_material().key_id(arn).import_token(how.import_token.unwrap());
    let call = call.expiration_model(ExpirationModelType::KeyMaterialDoesNotExpire);
    call.encrypted_key_material(Blob::new(sealed)).send().await.unwrap();
}

#[tokio::test]
async fn an_imported_rsa_key_opens_in_kms_and_survives_it() {
    let Some(kms) = services::localstack() else { return };
    let admin = admin(&kms, REGION);
    let own = access(&kms.endpoint, &kms.admin);
    let private = PrivateDecryptingKey::generate(KeySize::Rsa3072).unwrap();
    let der: Pkcs8V1Der<'_> = private.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = private.public_key().as_der().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.pem");
    let text =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(der.as_ref()));
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();

    let arn = empty_key(&admin, KeySpec::Rsa3072).await;
    import(&admin, &arn, der.as_ref()).await;
    let described = describe(&arn, &own).await.unwrap();
    assert_eq!(
        described,
        create_rsa(&arn, &BASE64.encode(public.as_ref())).unwrap(),
        "told by KMS, or known before"
    );
    assert_eq!(pinned(&described), arn);

    let cloud = holder(&described, own.clone());
    let blob = cloud.wrap(&context(), &key()).await.unwrap().value;
    assert_eq!(cloud.unwrap(&context(), &blob).await.unwrap().value.expose(), key().expose());
    for other in other_contexts() {
        assert!(matches!(cloud.unwrap(&other, &blob).await, Err(HolderError::WrongContext)));
    }
    admin.schedule_key_deletion().key_id(&arn).pending_window_in_days(7).send().await.unwrap();
    assert!(matches!(cloud.unwrap(&context(), &blob).await, Err(HolderError::PendingDeletion(_))));
    let kept =
        build("cloud", &described, &Secrets::none().with_aws(own).with_key_file("cloud", &path)).unwrap();
    assert_eq!(kept.unwrap(&context(), &blob).await.unwrap().value.expose(), key().expose());
}

#[tokio::test]
async fn key_material_that_was_taken_away_is_told_as_such() {
    let Some(kms) = services::localstack() else { return };
    let admin = admin(&kms, REGION);
    let own = access(&kms.endpoint, &kms.admin);
    let arn = empty_key(&admin, KeySpec::SymmetricDefault).await;
    let error = describe(&arn, &own).await.unwrap_err();
    assert!(
        matches!(error, HolderError::Disabled(_)) && answer(&error).contains("import it again"),
        "{error}"
    );
    import(&admin, &arn, &[0x77; 32]).await;
    let holder = holder(&spec(&arn), own);
    let blob = holder.wrap(&context(), &key()).await.unwrap().value;
    assert_eq!(holder.unwrap(&context(), &blob).await.unwrap().value.expose(), key().expose());

    admin.delete_imported_key_material().key_id(&arn).send().await.unwrap();
    let error = holder.unwrap(&context(), &blob).await.unwrap_err();
    assert!(
        matches!(error, HolderError::Disabled(_)) && answer(&error).contains("import it again"),
        "{error:?}"
    );
    assert!(matches!(holder.state().await, HolderState::Unknown(words) if words.contains("import it again")));
}
