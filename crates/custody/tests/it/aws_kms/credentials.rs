//! Where credentials come from: the tests run themselves again with another environment.

use super::{Fixture, Message, NO_KEY, PATIENCE, holder, spec};
use crate::{context, key};
use serde_json::json;
use std::{fs, process::Command};
use strongroom_custody::{HolderError, holders::aws_kms::Access};

const ENDPOINT: &str = "STRONGROOM_TEST_FIXTURE";

fn obliging() -> Fixture {
    Fixture::answering(|request| {
        Some(Message::kms(200, &json!({"CiphertextBlob": request.json()["Plaintext"], "KeyId": NO_KEY})))
    })
}

/// Runs `test` with these variables and no other that AWS knows, and `config` as the configuration of the AWS tools.
fn run(test: &str, config: &str, variables: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    fs::write(&file, config).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("aws_kms::credentials::{test}"), "--ignored", "--nocapture"]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command.env("HOME", folder.path()).env("AWS_CONFIG_FILE", &file).env("AWS_EC2_METADATA_DISABLED", "true");
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn signed_by(fixture: &Fixture) -> Vec<String> {
    fixture.seen().iter().map(Message::signed_by).collect()
}

const CONFIG: &str = "[profile backup]\naws_access_key_id = FROMPROFILE\naws_secret_access_key = secret\n\
                      [default]\naws_access_key_id = FROMDEFAULT\naws_secret_access_key = secret\n";

#[test]
fn by_default_the_environment_goes_before_the_files() {
    let fixture = obliging();
    let endpoint = fixture.endpoint();
    run("inside_default", CONFIG, &[(ENDPOINT, &endpoint)]);
    let environment = [("AWS_ACCESS_KEY_ID", "FROMENV"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    run("inside_default", CONFIG, &[(ENDPOINT, &endpoint), environment[0], environment[1]]);
    assert_eq!(signed_by(&fixture), ["FROMDEFAULT", "FROMENV"]);
}

#[test]
fn a_profile_that_was_named_goes_before_the_environment() {
    let fixture = obliging();
    let environment = [("AWS_ACCESS_KEY_ID", "FROMENV"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    run("inside_profile", CONFIG, &[(ENDPOINT, &fixture.endpoint()), environment[0], environment[1]]);
    assert_eq!(signed_by(&fixture), ["FROMPROFILE"]);
}

#[test]
fn no_credentials_are_no_outage() {
    let fixture = obliging();
    run("inside_no_credentials", "", &[(ENDPOINT, &fixture.endpoint())]);
    run("inside_no_such_profile", "", &[(ENDPOINT, &fixture.endpoint())]);
    assert!(fixture.seen().is_empty());
}

fn here() -> Access {
    Access { endpoint: Some(std::env::var(ENDPOINT).unwrap()), patience: PATIENCE, ..Access::default() }
}

fn with_profile() -> Access {
    Access { profile: Some("backup".to_owned()), ..here() }
}

#[tokio::test]
#[ignore = "run by others with another environment"]
async fn inside_default() {
    holder(&spec(NO_KEY), here()).wrap(&context(), &key()).await.unwrap();
}

#[tokio::test]
#[ignore = "run by others with another environment"]
async fn inside_profile() {
    holder(&spec(NO_KEY), with_profile()).wrap(&context(), &key()).await.unwrap();
}

#[tokio::test]
#[ignore = "run by others with another environment"]
async fn inside_no_credentials() {
    let error = holder(&spec(NO_KEY), here()).wrap(&context(), &key()).await.unwrap_err();
    assert!(
        matches!(&error, HolderError::NoSecret(text) if text.contains("no AWS credentials")),
        "{error:?}"
    );
}

#[tokio::test]
#[ignore = "run by others with another environment"]
async fn inside_no_such_profile() {
    let error = holder(&spec(NO_KEY), with_profile()).wrap(&context(), &key()).await.unwrap_err();
    assert!(matches!(&error, HolderError::NoSecret(text) if text.contains("backup")), "{error:?}");
}
