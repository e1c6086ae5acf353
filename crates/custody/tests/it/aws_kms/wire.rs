//! What goes over the wire, and answers that no stand-in gives.

use super::{
    NO_KEY, answer, anyone,
    fixture::{self, Fixture, Message},
    holder, spec,
};
use crate::{context, key};
use data_encoding::BASE64;
use serde_json::json;
use std::time::{Duration, Instant};
use strongroom_custody::{
    HolderError, HolderState, Switch, SwitchError,
    holders::aws_kms::{Access, Role},
};
use strongroom_format::context::{Context, Purpose};

const OTHER_KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111111";

/// Does as KMS does, for no cryptography at all.
fn obliging(arn: &'static str) -> Fixture {
    Fixture::answering(move |request| {
        Some(Message::kms(
            200,
            &match request.operation().as_str() {
                "Encrypt" => json!({"CiphertextBlob": request.json()["Plaintext"], "KeyId": arn}),
                _ => json!({"Plaintext": request.json()["CiphertextBlob"], "KeyId": arn}),
            },
        ))
    })
}

#[tokio::test]
async fn the_context_is_the_encryption_context_and_the_key_is_pinned() {
    let fixture = obliging(NO_KEY);
    let holder = holder(&spec(NO_KEY), anyone(&fixture.endpoint()));
    let made = holder.wrap(&context(), &key()).await.unwrap();
    assert_eq!(made.request_id.as_deref(), Some("fixture-1"));
    assert_eq!(made.value, [&[1], &key().expose()[..]].concat(), "version 1, then the ciphertext");
    let opened = holder.unwrap(&context(), &made.value).await.unwrap();
    assert_eq!(opened.request_id.as_deref(), Some("fixture-1"));

    let vault = context().vault.to_hex();
    let pairs = json!({
        "strongroom:vault": vault, "strongroom:dataset": "home", "strongroom:purpose": "read", "strongroom:epoch": "7",
    });
    let seen = fixture.seen();
    assert_eq!(seen.iter().map(Message::operation).collect::<Vec<_>>(), ["Encrypt", "Decrypt"]);
    for request in seen {
        let body = request.json();
        assert_eq!((&body["EncryptionContext"], &body["KeyId"]), (&pairs, &json!(NO_KEY)));
        let agent = request.header("user-agent").unwrap();
        let name = request.header("x-amz-user-agent").unwrap_or_default();
        assert!(format!("{agent} {name}").contains("app/strongroom"), "{agent}");
        assert!(request.header("authorization").unwrap().contains("/us-east-1/kms/"), "the ARN's Region");
    }
}

#[tokio::test]
async fn a_role_is_assumed_once_for_each_purpose_and_named_after_it() {
    let assumed = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIATEMPORARY</AccessKeyId>\
                   <SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
                   <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
    let sts = Fixture::answering(move |_| Some(Message::xml(200, assumed)));
    let kms = obliging(NO_KEY);
    let role = Role {
        arn: "arn:aws:iam::210987654321:role/backup".to_owned(),
        external_id: Some("agreed-id".to_owned()),
    };
    let access = Access { role: Some(role), sts_endpoint: Some(sts.endpoint()), ..anyone(&kms.endpoint()) };
    let holder = holder(&spec(NO_KEY), access);
    let writing = Context { purpose: Purpose::Write, ..context() };
    for context in [context(), writing.clone(), context(), writing] {
        holder.wrap(&context, &key()).await.unwrap();
    }
    holder.state().await;

    let asked = sts.seen();
    let names = asked.iter().map(|request| {
        let body = request.body();
        assert!(body.contains("ExternalId=agreed-id") && body.contains("role%2Fbackup"), "{body}");
        assert_eq!(request.signed_by(), "TESTANYONE");
        body.split_once("RoleSessionName=").unwrap().1.split('&').next().unwrap().to_owned()
    });
    assert_eq!(names.collect::<Vec<_>>(), ["strongroom-read", "strongroom-write", "strongroom-manage"]);
    let calls = kms.seen();
    assert_eq!(calls.len(), 5);
    assert!(calls.iter().all(|request| request.signed_by() == "ASIATEMPORARY"));
}

#[tokio::test]
async fn an_answer_for_another_key_is_not_taken() {
    let fixture = obliging(OTHER_KEY);
    let holder = holder(&spec(NO_KEY), anyone(&fixture.endpoint()));
    let error = holder.wrap(&context(), &key()).await.unwrap_err();
    assert!(matches!(&error, HolderError::Malformed(text) if text.contains(OTHER_KEY)), "{error:?}");
    let blob = [&[1], &key().expose()[..]].concat();
    assert!(matches!(holder.unwrap(&context(), &blob).await, Err(HolderError::Tampered)));
}

#[tokio::test]
async fn answers_of_a_wrong_size_are_not_taken() {
    for len in [0, 1, 31, 33, 4096] {
        let plain = BASE64.encode(&vec![7; len]);
        let cipher = BASE64.encode(&vec![7; if len == 0 { 0 } else { 6144 + len }]);
        let fixture = Fixture::answering(move |_| {
            Some(Message::kms(200, &json!({"Plaintext": plain, "CiphertextBlob": cipher, "KeyId": NO_KEY})))
        });
        let holder = holder(&spec(NO_KEY), anyone(&fixture.endpoint()));
        assert!(matches!(holder.unwrap(&context(), &[1, 7]).await, Err(HolderError::Tampered)), "{len}");
        assert!(matches!(holder.wrap(&context(), &key()).await, Err(HolderError::Malformed(_))), "{len}");
    }
}

#[tokio::test]
async fn wraps_of_another_form_cost_no_call() {
    let fixture = obliging(NO_KEY);
    let holder = holder(&spec(NO_KEY), anyone(&fixture.endpoint()));
    for blob in [&[][..], &[1], &[2, 7], &[7; 70 << 10], &[1; 6146]] {
        assert!(matches!(holder.unwrap(&context(), blob).await, Err(HolderError::Malformed(_))));
    }
    assert!(fixture.seen().is_empty());
}

#[tokio::test]
async fn a_refusal_in_xml_is_a_refusal() {
    let body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not for you</Message></Error></ErrorResponse>";
    let fixture = Fixture::answering(move |_| Some(Message::xml(403, body)));
    let holder = holder(&spec(NO_KEY), anyone(&fixture.endpoint()));
    let error = holder.unwrap(&context(), &[1, 7]).await.unwrap_err();
    assert!(matches!(error, HolderError::Denied(_)), "{error:?}");
    assert_eq!(answer(&error), "AccessDenied: not for you (request fixture-1)");
    assert!(matches!(holder.state().await, HolderState::Denied(_)));
}

#[tokio::test]
async fn a_state_that_only_describe_key_tells() {
    for (state, passing, words) in [
        ("PendingImport", false, "import it again"),
        ("Unavailable", true, "cannot be reached by AWS KMS"),
        ("Updating", true, "is being changed"),
    ] {
        let fixture = Fixture::answering(move |request| {
            Some(match request.operation().as_str() {
                "DescribeKey" => Message::kms(
                    200,
                    &json!({"KeyMetadata": {"KeyId": "1", "Arn": NO_KEY, "KeyState": state, "Enabled": false}}),
                ),
                _ => Message::refusal("KMSInvalidStateException", "the key is not in a valid state"),
            })
        });
        let holder = holder(&spec(NO_KEY), anyone(&fixture.endpoint()));
        let error = holder.unwrap(&context(), &[1, 7]).await.unwrap_err();
        assert_eq!(error.is_passing(), passing, "{state}: {error:?}");
        assert!(answer(&error).contains(words), "{state}: {error}");
        assert!(matches!(holder.state().await, HolderState::Unknown(_)), "{state}");
    }
}

#[tokio::test]
async fn a_key_that_waits_for_its_deletion_is_first_to_be_kept() {
    let fixture = Fixture::answering(move |request| {
        Some(match request.operation().as_str() {
            "DescribeKey" => {
                let state =
                    json!({"KeyId": "1", "KeyState": "PendingDeletion", "DeletionDate": 1_800_000_000});
                Message::kms(200, &json!({ "KeyMetadata": state }))
            }
            _ => Message::refusal("KMSInvalidStateException", "the key is pending deletion."),
        })
    });
    let holder = holder(&spec(NO_KEY), anyone(&fixture.endpoint()));
    let Err(SwitchError::Refused { command, source }) = holder.switch(Switch::On).await else { panic!() };
    let (cancel, enable) = command.split_once(" && ").unwrap();
    assert_eq!(cancel, format!("aws kms cancel-key-deletion --key-id {NO_KEY} --region us-east-1"));
    assert_eq!(enable, format!("aws kms enable-key --key-id {NO_KEY} --region us-east-1"));
    assert!(matches!(source, HolderError::PendingDeletion(_)), "{source:?}");
    assert!(answer(&source).contains("2027-01-15T08:00:00Z"), "{source}");
    assert_eq!(holder.state().await, HolderState::PendingDeletion(Some("2027-01-15T08:00:00Z".to_owned())));
}

#[tokio::test]
async fn without_leave_to_describe_the_refusal_stands() {
    let fixture = Fixture::answering(move |request| {
        Some(match request.operation().as_str() {
            "DescribeKey" => Message::refusal("AccessDeniedException", "no"),
            _ => Message::refusal("KMSInvalidStateException", "the key is pending deletion."),
        })
    });
    let holder = holder(&spec(NO_KEY), anyone(&fixture.endpoint()));
    assert!(matches!(holder.unwrap(&context(), &[1, 7]).await, Err(HolderError::PendingDeletion(_))));
}

#[tokio::test]
async fn the_sdk_retries_nothing_by_itself() {
    for answer in [Message::refusal("ThrottlingException", "Rate exceeded"), Message::kms(503, &json!({}))] {
        let fixture = Fixture::answering(move |_| Some(answer.clone()));
        let holder = holder(&spec(NO_KEY), anyone(&fixture.endpoint()));
        let error = holder.unwrap(&context(), &[1, 7]).await.unwrap_err();
        assert!(error.is_passing(), "{error:?}");
        assert_eq!(fixture.seen().len(), 1, "who calls the keyholder records every attempt");
    }
}

#[tokio::test]
async fn a_silent_provider_is_given_up_within_fifteen_seconds() {
    let fixture = Fixture::silent();
    let patient = Access { patience: Access::default().patience, ..anyone(&fixture.endpoint()) };
    let started = Instant::now();
    let error = holder(&spec(NO_KEY), patient).unwrap(&context(), &[1, 7]).await.unwrap_err();
    assert!(matches!(error, HolderError::Unreachable(_)), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[tokio::test]
async fn keys_do_not_cross_a_network_in_clear() {
    for endpoint in ["http://192.0.2.1:4566", "http://kms.us-east-1.amazonaws.com"] {
        let started = Instant::now();
        let error = holder(&spec(NO_KEY), anyone(endpoint)).wrap(&context(), &key()).await.unwrap_err();
        assert!(matches!(&error, HolderError::Malformed(text) if text.contains("in clear")), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(1), "nobody was called");
    }
    assert!(
        holder(&spec(NO_KEY), anyone(&fixture::nobody()))
            .wrap(&context(), &key())
            .await
            .unwrap_err()
            .is_passing()
    );
}
