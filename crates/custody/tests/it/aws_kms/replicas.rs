//! Multi-Region keys: the same key in several Regions, each with a state of its own.

use super::{REGION, access, admin, fixture::Fixture, holder, make_key, pinned};
use crate::{context, key, other_contexts};
use aws_sdk_kms::types::{KeySpec, KeyState};
use strongroom_custody::{
    HolderError, HolderState, Switch,
    holders::aws_kms::{Access, describe},
};
use strongroom_format::keyring::Parameter;
use strongroom_testkit::services::{self, Kms};

#[tokio::test]
async fn replicas_in_ministack() {
    let Some(ministack) = services::ministack() else { return };
    a_replica_stands_in_for_a_region_that_is_out_of_reach(&ministack.kms).await;
}

#[tokio::test]
async fn replicas_in_localstack() {
    let Some(kms) = services::localstack() else { return };
    a_replica_stands_in_for_a_region_that_is_out_of_reach(&kms).await;
}

async fn a_replica_stands_in_for_a_region_that_is_out_of_reach(kms: &Kms) {
    let admin_here = admin(kms, REGION);
    let primary = make_key(&admin_here, KeySpec::SymmetricDefault, true).await;
    admin_here.replicate_key().key_id(&primary).replica_region("eu-west-1").send().await.unwrap();
    let replica = primary.replace(REGION, "eu-west-1");
    let own = access(&kms.endpoint, &kms.admin);

    let mut described = describe(&primary, &own).await.unwrap();
    assert_eq!(pinned(&described), primary);
    let list = Parameter::List(vec![replica.clone()]);
    // MiniStack may not tell of replicas when it is asked about the primary.
    described.parameters.entry("replicas".to_owned()).or_insert_with(|| list.clone());
    assert_eq!(described.parameters["replicas"], list);

    let both = holder(&described, own.clone());
    let blob = both.wrap(&context(), &key()).await.unwrap().value;
    for (down, up) in [(REGION, "eu-west-1"), ("eu-west-1", REGION)] {
        let outage = Fixture::outage(&kms.endpoint, down);
        let holder = holder(&described, Access { endpoint: Some(outage.endpoint()), ..own.clone() });
        let opened = holder.unwrap(&context(), &blob).await.unwrap_or_else(|error| panic!("{down}: {error}"));
        assert_eq!(opened.value.expose(), key().expose());
        assert_eq!(holder.state().await, HolderState::CanOpen, "{up} answers");
        let made = holder.wrap(&context(), &key()).await.unwrap().value;
        both.unwrap(&context(), &made).await.unwrap();
        for other in other_contexts() {
            let error = holder.unwrap(&other, &blob).await.unwrap_err();
            assert!(matches!(error, HolderError::Tampered), "{error:?}");
        }
    }

    both.switch(Switch::Off).await.unwrap();
    for (region, arn) in [(REGION, &primary), ("eu-west-1", &replica)] {
        let described = admin(kms, region).describe_key().key_id(arn).send().await.unwrap();
        let state = described.key_metadata.unwrap().key_state;
        assert_eq!(
            state,
            Some(KeyState::Disabled),
            "a replica that stays on still opens everything: {region}"
        );
    }
    assert!(matches!(both.unwrap(&context(), &blob).await, Err(HolderError::Disabled(_))));
}
