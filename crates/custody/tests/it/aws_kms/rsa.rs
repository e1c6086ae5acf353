//! RSA keys: wrapped to without AWS, opened by KMS or by the private key that was imported into it.

use super::{NO_KEY, REGION, access, admin, anyone, fixture, holder, make_key};
use crate::{context, key, other_contexts};
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{KeySize, PrivateDecryptingKey},
};
use aws_sdk_kms::types::KeySpec;
use data_encoding::BASE64;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};
use strongroom_custody::{
    Effort, HolderError, HolderState, Keyholder, Operation, Secrets,
    holders::{
        aws_kms::{create_rsa, describe},
        build,
    },
};
use strongroom_format::keyring::KeyholderSpec;
use strongroom_testkit::services;

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A new key: its public half, and a file with its private half.
fn generated(folder: &Path, name: &str, size: KeySize) -> (String, std::path::PathBuf) {
    let private = PrivateDecryptingKey::generate(size).unwrap();
    let public: PublicKeyX509Der<'_> = private.public_key().as_der().unwrap();
    let der: Pkcs8V1Der<'_> = private.as_der().unwrap();
    let path = folder.join(name);
    fs::write(&path, pem("PRIVATE KEY", der.as_ref())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    (pem("PUBLIC KEY", public.as_ref()), path)
}

/// A holder on a machine that reaches nobody.
fn offline(spec: &KeyholderSpec, private: Option<&Path>) -> Arc<dyn Keyholder> {
    let mut secrets = Secrets::none().with_aws(anyone(&fixture::nobody()));
    if let Some(path) = private {
        secrets = secrets.with_key_file("cloud", path);
    }
    build("cloud", spec, &secrets).unwrap()
}

#[tokio::test]
async fn the_private_key_opens_without_aws() {
    let folder = tempfile::tempdir().unwrap();
    for size in [KeySize::Rsa3072, KeySize::Rsa4096] {
        let (public, path) = generated(folder.path(), "private.pem", size);
        let spec = create_rsa(NO_KEY, &public).unwrap();
        let blob = offline(&spec, None).wrap(&context(), &key()).await.unwrap().value;
        assert_eq!(blob.len(), 1 + size.len());
        let holder = offline(&spec, Some(&path));
        holder.ready(Operation::Unwrap).unwrap();
        assert_eq!((holder.effort(), holder.state().await), (Effort::Local, HolderState::CanOpen));
        assert_eq!(holder.unwrap(&context(), &blob).await.unwrap().value.expose(), key().expose());
        for other in other_contexts() {
            assert!(matches!(holder.unwrap(&other, &blob).await, Err(HolderError::WrongContext)));
        }
        for position in (0..blob.len()).step_by(37) {
            let mut changed = blob.clone();
            changed[position] ^= 1;
            let error = holder.unwrap(&context(), &changed).await.unwrap_err();
            let right = matches!(error, HolderError::Tampered | HolderError::Malformed(_));
            assert!(right, "byte {position}: {error:?}");
            assert!(holder.unwrap(&context(), &blob[..position]).await.is_err(), "cut at {position}");
        }
        assert_ne!(blob, holder.wrap(&context(), &key()).await.unwrap().value, "wraps are randomised");
    }
}

#[tokio::test]
async fn wraps_open_with_openssl_alone() {
    let Ok(version) = std::process::Command::new("openssl").arg("version").output() else { return };
    assert!(version.status.success());
    let folder = tempfile::tempdir().unwrap();
    let (public, path) = generated(folder.path(), "private.pem", KeySize::Rsa3072);
    let spec = create_rsa(NO_KEY, &public).unwrap();
    let blob = offline(&spec, None).wrap(&context(), &key()).await.unwrap().value;
    let sealed = folder.path().join("sealed");
    fs::write(&sealed, &blob[1..]).unwrap();
    let mut command = std::process::Command::new("openssl");
    command.args([
        "pkeyutl",
        "-decrypt",
        "-pkeyopt",
        "rsa_padding_mode:oaep",
        "-pkeyopt",
        "rsa_oaep_md:sha256",
    ]);
    let output = command.arg("-inkey").arg(&path).arg("-in").arg(&sealed).output().unwrap();
    let hash = blake3::hash(&context().canonical());
    assert_eq!(output.stdout, [&hash.as_bytes()[..], key().expose()].concat(), "{output:?}");
}

#[tokio::test]
async fn private_keys_that_do_not_fit_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (public, right) = generated(folder.path(), "right.pem", KeySize::Rsa3072);
    let (_, wrong) = generated(folder.path(), "wrong.pem", KeySize::Rsa3072);
    let spec = create_rsa(NO_KEY, &public).unwrap();
    let blob = offline(&spec, None).wrap(&context(), &key()).await.unwrap().value;
    let fails = async |path: &Path| offline(&spec, Some(path)).unwrap(&context(), &blob).await.unwrap_err();

    assert!(matches!(fails(&wrong).await, HolderError::WrongSecret(text) if text.contains("wrong.pem")));
    let gone = folder.path().join("gone.pem");
    assert!(matches!(fails(&gone).await, HolderError::NoSecret(text) if text.contains("gone.pem")));
    assert!(matches!(offline(&spec, Some(&gone)).ready(Operation::Unwrap), Err(HolderError::NoSecret(_))));
    for text in [pem("RSA PRIVATE KEY", &[7; 64]), pem("PRIVATE KEY", &[7; 64]), String::new()] {
        let other = folder.path().join("other.pem");
        fs::write(&other, text).unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(fails(&other).await, HolderError::Malformed(text) if text.contains("other.pem")));
    }
    fs::set_permissions(&right, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(fails(&right).await, HolderError::Exposed { mode: 0o640, .. }));
}

/// moto does not know OAEP.
#[tokio::test]
async fn kms_opens_what_was_wrapped_without_it() {
    let Some(services::MiniStack { kms, .. }) = services::ministack() else { return };
    let kms = &kms;
    let arn = make_key(&admin(kms, REGION), KeySpec::Rsa3072, false).await;
    let spec = describe(&arn, &access(&kms.endpoint, &kms.admin)).await.unwrap();
    let blob = offline(&spec, None).wrap(&context(), &key()).await.unwrap().value;
    let error = offline(&spec, None).unwrap(&context(), &blob).await.unwrap_err();
    assert!(matches!(error, HolderError::Unreachable(_)), "{error:?}");

    let holder = holder(&spec, access(&kms.endpoint, &kms.admin));
    assert_eq!(holder.effort(), Effort::Service);
    let opened = holder.unwrap(&context(), &blob).await.unwrap();
    assert_eq!(opened.value.expose(), key().expose());
    assert!(opened.request_id.is_some());
    for other in other_contexts() {
        assert!(matches!(holder.unwrap(&other, &blob).await, Err(HolderError::WrongContext)));
    }
    let mut changed = blob.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(holder.unwrap(&context(), &changed).await.is_err());
    admin(kms, REGION).disable_key().key_id(&arn).send().await.unwrap();
    assert!(matches!(holder.unwrap(&context(), &blob).await, Err(HolderError::Disabled(_))));
    holder.wrap(&context(), &key()).await.expect("a new epoch needs no leave of KMS");
}
