//! A plugin in shell on a path of its own: the tests run themselves again with another environment.

use crate::{context, data, key};
use std::{path::Path, process::Command, sync::Arc};
use strongroom_custody::{
    HolderError, Keyholder, Prompts, Secrets,
    holders::{age, build},
};
use zeroize::Zeroizing;

const RECIPIENT: &str = "age1strongroomtest1qqqqqqqqxc5pk3";
const MISSING: &str = "age1missingtest1qqqqqqqqxmpjad";
const IDENTITY: &str = "AGE-PLUGIN-STRONGROOMTEST-17QXNT9";

/// Says `1234` to everything.
struct Pin;

impl Prompts for Pin {
    fn message(&self, _: &str) {}

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn public(&self, _: &str) -> Option<String> {
        None
    }

    fn secret(&self, text: &str) -> Option<Zeroizing<String>> {
        assert_eq!(text, "PIN?");
        Some(Zeroizing::new("1234".into()))
    }
}

fn run(test: &str, pin: Option<&str>) {
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("plugin::{test}"), "--ignored", "--nocapture"]);
    command.env("PATH", format!("{}:{path}", data("").display())).env_remove("STRONGROOM_TEST_PIN");
    if let Some(pin) = pin {
        command.env("STRONGROOM_TEST_PIN", pin);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn a_plugin_wraps_and_unwraps() {
    run("inside_round_trip", None);
}

#[test]
fn a_plugin_asks_through_the_prompts() {
    // base64 of `1234`
    run("inside_round_trip", Some("MTIzNA"));
}

#[test]
fn a_plugin_that_says_no_is_a_denial() {
    run("inside_denied", Some("b3RoZXI"));
}

fn holder(folder: &Path) -> Arc<dyn Keyholder> {
    let identity = folder.join("identity");
    std::fs::write(&identity, format!("{IDENTITY}\n")).unwrap();
    let secrets = Secrets::none().with_identity(identity).with_prompts(Pin);
    build("device", &age::create(&[RECIPIENT]).unwrap(), &secrets).unwrap()
}

#[tokio::test]
#[ignore = "run by others with the plugin on the path"]
async fn inside_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let holder = holder(folder.path());
    let blob = holder.wrap(&context(), &key()).await.unwrap().value;
    assert!(blob.windows(17).any(|window| window == b"-> strongroomtest"), "the plugin made the stanza");
    assert_eq!(holder.unwrap(&context(), &blob).await.unwrap().value.expose(), key().expose());
}

#[tokio::test]
#[ignore = "run by others with the plugin on the path"]
async fn inside_denied() {
    let folder = tempfile::tempdir().unwrap();
    let holder = holder(folder.path());
    let blob = holder.wrap(&context(), &key()).await.unwrap().value;
    let error = holder.unwrap(&context(), &blob).await.unwrap_err();
    assert!(matches!(&error, HolderError::Denied(answer) if answer.said.contains("wrong PIN")), "{error:?}");
}

#[tokio::test]
async fn a_missing_plugin_is_named() {
    let holder = build("device", &age::create(&[MISSING]).unwrap(), &Secrets::none()).unwrap();
    let error = holder.wrap(&context(), &key()).await.unwrap_err();
    assert!(
        matches!(&error, HolderError::NoSecret(text) if text.contains("age-plugin-missingtest")),
        "{error}"
    );
}
