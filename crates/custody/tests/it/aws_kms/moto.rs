//! Against moto, whose ciphertexts are authenticated.

use super::{REGION, UnderTest, access, admin, answer, holder, make_key, spec, symmetric_key};
use crate::{context, key};
use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use strongroom_custody::{HolderError, HolderState, holders::aws_kms::describe};
use strongroom_format::keyring::Parameter;
use strongroom_testkit::{holder::suite, services};

#[tokio::test]
async fn moto_keeps_the_promises() {
    let Some(kms) = services::moto() else { return };
    suite(&UnderTest::new(kms).await).await;
}

#[tokio::test]
async fn an_alias_is_pinned_to_the_key_that_it_stands_for() {
    let Some(kms) = services::moto() else { return };
    let admin = admin(&kms, REGION);
    let access = access(&kms.endpoint, &kms.admin);
    let first = symmetric_key(&admin).await;
    let second = symmetric_key(&admin).await;
    let alias = format!("alias/{}", services::unique_prefix("pinned"));
    admin.create_alias().alias_name(&alias).target_key_id(&first).send().await.unwrap();

    let alias_arn = format!("{}:{alias}", first.rsplit_once(':').unwrap().0);
    let described = describe(&alias_arn, &access).await.unwrap();
    assert_eq!(described, spec(&first), "the key, and nothing of the alias");
    assert_eq!(describe(&first, &access).await.unwrap(), spec(&first));

    let before = holder(&described, access.clone());
    let blob = before.wrap(&context(), &key()).await.unwrap().value;
    admin.update_alias().alias_name(&alias).target_key_id(&second).send().await.unwrap();
    let opened = holder(&described, access.clone()).unwrap(&context(), &blob).await.unwrap();
    assert_eq!(opened.value.expose(), key().expose());
    assert!(opened.request_id.is_some_and(|id| !id.is_empty()), "AWS has a name for every request");
}

#[tokio::test]
async fn what_another_key_wrapped_does_not_open() {
    let Some(kms) = services::moto() else { return };
    let admin = admin(&kms, REGION);
    let (mine, other) = (symmetric_key(&admin).await, symmetric_key(&admin).await);
    let own = access(&kms.endpoint, &kms.admin);
    let blob = holder(&spec(&other), own.clone()).wrap(&context(), &key()).await.unwrap().value;
    let error = holder(&spec(&mine), own).unwrap(&context(), &blob).await.unwrap_err();
    // AWS says IncorrectKeyException, which is Tampered.
    assert!(matches!(error, HolderError::Denied(_)), "{error:?}");
}

#[tokio::test]
async fn keys_that_cannot_hold_a_backup_are_refused_when_they_are_described() {
    let Some(kms) = services::moto() else { return };
    let admin = admin(&kms, REGION);
    let access = access(&kms.endpoint, &kms.admin);
    let weak = make_key(&admin, KeySpec::Rsa2048, false).await;
    let error = describe(&weak, &access).await.unwrap_err();
    assert!(matches!(&error, HolderError::Malformed(text) if text.contains("RSA_2048")), "{error}");

    let call = admin.create_key().key_spec(KeySpec::Rsa4096).key_usage(KeyUsageType::SignVerify);
    let signing = call.send().await.unwrap().key_metadata.unwrap().arn.unwrap();
    let error = describe(&signing, &access).await.unwrap_err();
    assert!(matches!(&error, HolderError::Malformed(text) if text.contains("SIGN_VERIFY")), "{error}");

    assert!(matches!(describe(super::NO_KEY, &access).await, Err(HolderError::Deleted(_))));
    let disabled = symmetric_key(&admin).await;
    admin.disable_key().key_id(&disabled).send().await.unwrap();
    assert!(matches!(describe(&disabled, &access).await, Err(HolderError::Disabled(_))));

    let rsa = make_key(&admin, KeySpec::Rsa4096, false).await;
    let described = describe(&rsa, &access).await.unwrap();
    assert!(matches!(&described.parameters["rsa_public_key"], Parameter::Text(text) if text.len() > 700));
}

#[tokio::test]
async fn a_pending_deletion_is_told_with_its_date() {
    let Some(kms) = services::moto() else { return };
    let admin = admin(&kms, REGION);
    let arn = symmetric_key(&admin).await;
    let holder = holder(&spec(&arn), access(&kms.endpoint, &kms.admin));
    let blob = holder.wrap(&context(), &key()).await.unwrap().value;
    admin.schedule_key_deletion().key_id(&arn).pending_window_in_days(7).send().await.unwrap();

    let HolderState::PendingDeletion(Some(date)) = holder.state().await else { panic!() };
    assert!(date.len() >= 20 && &date[10..11] == "T" && date.ends_with('Z'), "{date}");
    for error in [
        holder.unwrap(&context(), &blob).await.unwrap_err(),
        holder.wrap(&context(), &key()).await.unwrap_err(),
    ] {
        assert!(matches!(error, HolderError::PendingDeletion(_)), "{error:?}");
        let said = answer(&error);
        assert!(said.contains(&date) && said.contains("(request "), "{said}");
    }
    assert!(matches!(
        describe(&arn, &access(&kms.endpoint, &kms.admin)).await,
        Err(HolderError::PendingDeletion(_))
    ));
}
