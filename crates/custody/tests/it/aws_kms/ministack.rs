//! Against MiniStack, which knows who may do what, and multi-Region keys.

use super::{NO_KEY, REGION, UnderTest, access, admin, answer, holder, spec, symmetric_key};
use crate::{context, key, other_contexts};
use std::{collections::BTreeMap, sync::Arc};
use strongroom_custody::{
    Custody, CustodyError, HolderError, HolderState, Reason, ReasonCode, Secrets, Switch, SwitchError,
    Unobserved,
    holders::aws_kms::{Access, Role},
    policy,
};
use strongroom_testkit::{
    holder::{Promise, suite},
    services,
};

#[tokio::test]
async fn ministack_keeps_the_promises() {
    let Some(ministack) = services::ministack() else { return };
    let provider = UnderTest::new(ministack.kms).await;
    let provider = UnderTest {
        stranger: Some(ministack.stranger),
        // Its ciphertexts are not authenticated: what was changed opens to something else. The next test shows
        // what catches that.
        broken: &[Promise::Tampering],
        // It decrypts by the key that the ciphertext names, whichever the call names, and says that it was the
        // latter. `moto::what_another_key_wrapped_does_not_open` shows that the call names it.
        obeys_key_id: false,
        ..provider
    };
    suite(&provider).await;
}

#[tokio::test]
async fn a_provider_that_opens_another_key_is_caught_by_the_commitment() {
    let Some(ministack) = services::ministack() else { return };
    let arn = symmetric_key(&admin(&ministack.kms, REGION)).await;
    let specs = BTreeMap::from([("cloud".to_owned(), spec(&arn))]);
    let secrets = Secrets::none().with_aws(access(&ministack.kms.endpoint, &ministack.kms.admin));
    let custody = Custody::new(&specs, secrets, Arc::new(Unobserved));
    let reason = Reason::new(ReasonCode::Restore);
    let policy = policy::parse("cloud").unwrap();
    let mut wrapped = custody.wrap_key(&policy, &context(), &key(), &reason).await.unwrap();
    assert_eq!(custody.unwrap_key(&wrapped, &context(), &reason).await.unwrap().expose(), key().expose());

    *wrapped.wraps[0].blob.last_mut().unwrap() ^= 1;
    let error = custody.unwrap_key(&wrapped, &context(), &reason).await.unwrap_err();
    assert!(matches!(&error, CustodyError::Integrity { holder, .. } if holder == "cloud"), "{error:?}");
    for other in other_contexts() {
        assert!(matches!(
            custody.unwrap_key(&wrapped, &other, &reason).await,
            Err(CustodyError::Refused { .. })
        ));
    }
}

#[tokio::test]
async fn a_key_that_does_not_exist_is_gone() {
    let Some(ministack) = services::ministack() else { return };
    let gone = holder(&spec(NO_KEY), access(&ministack.kms.endpoint, &ministack.kms.admin));
    assert!(matches!(gone.wrap(&context(), &key()).await, Err(HolderError::Deleted(_))));
    assert_eq!(gone.state().await, HolderState::Deleted);
}

#[tokio::test]
async fn a_key_is_switched_off_and_on() {
    let Some(ministack) = services::ministack() else { return };
    let arn = symmetric_key(&admin(&ministack.kms, REGION)).await;
    let holder = holder(&spec(&arn), access(&ministack.kms.endpoint, &ministack.kms.admin));
    let blob = holder.wrap(&context(), &key()).await.unwrap().value;
    holder.switch(Switch::Off).await.unwrap();
    assert_eq!(holder.state().await, HolderState::Disabled);
    assert!(matches!(holder.unwrap(&context(), &blob).await, Err(HolderError::Disabled(_))));
    holder.switch(Switch::On).await.unwrap();
    assert_eq!(holder.state().await, HolderState::CanOpen);
    holder.unwrap(&context(), &blob).await.unwrap();
    assert_eq!(holder.custodian().as_deref(), Some("aws account 123456789012"));
}

#[tokio::test]
async fn who_may_not_switch_a_key_is_told_what_somebody_else_can_run() {
    let Some(ministack) = services::ministack() else { return };
    let arn = symmetric_key(&admin(&ministack.kms, REGION)).await;
    let stranger = holder(&spec(&arn), access(&ministack.kms.endpoint, &ministack.stranger));
    let Err(SwitchError::Refused { command, source }) = stranger.switch(Switch::Off).await else { panic!() };
    assert_eq!(command, format!("aws kms disable-key --key-id {arn} --region us-east-1"));
    assert!(matches!(source, HolderError::Denied(_)), "{source:?}");
    assert!(matches!(stranger.state().await, HolderState::Denied(_)));
    assert!(answer(&source).contains("AccessDenied"), "{source}");
}

#[tokio::test]
async fn a_role_is_assumed_with_its_external_id() {
    let Some(ministack) = services::ministack() else { return };
    let arn = symmetric_key(&admin(&ministack.kms, REGION)).await;
    let own = access(&ministack.kms.endpoint, &ministack.kms.admin);
    let as_role = |external_id: Option<&str>| {
        let external_id = external_id.map(str::to_owned);
        Access { role: Some(Role { arn: ministack.role.clone(), external_id }), ..own.clone() }
    };
    let backup = holder(&spec(&arn), as_role(Some(&ministack.external_id)));
    let blob = backup.wrap(&context(), &key()).await.unwrap().value;
    assert_eq!(backup.unwrap(&context(), &blob).await.unwrap().value.expose(), key().expose());
    assert_eq!(backup.state().await, HolderState::CanOpen);
    let Err(SwitchError::Refused { source, .. }) = backup.switch(Switch::Off).await else { panic!() };
    assert!(
        matches!(source, HolderError::Denied(_)),
        "the role may use the key and not switch it: {source:?}"
    );

    for wrong in [None, Some("another")] {
        let error = holder(&spec(&arn), as_role(wrong)).unwrap(&context(), &blob).await.unwrap_err();
        assert!(matches!(error, HolderError::Denied(_)), "{error:?}");
        assert!(answer(&error).contains("credentials"), "{error}");
    }
}
