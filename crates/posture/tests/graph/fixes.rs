//! Fixes: they close what they say, deny nobody who is needed, and are the fewest.

use super::*;
use strongroom_posture::analysis::{Function, Subject};
use strongroom_posture::fixes::{Fixes, Need, Place, find};
use strongroom_posture::load::{Limits, load_documents};

const ROOT: &str = "the root user of 999999999999";

fn subject() -> Subject {
    Subject { keys: [KEY.into()].into(), functions: vec![(account(KEYS), Function::Keys)] }
}

fn need(principal: &Actor, action: &str, resource: &str) -> Need {
    Need { principal: principal.to_string().into(), action: action.into(), resource: resource.into() }
}

/// Two from outside take one role, which deletes the key.
fn chained() -> (Setting, Actor, Actor) {
    let mut setting = Setting::new(&[DELEGATED]);
    let trusts = format!(r#"{{"AWS":["{}","{}"]}}"#, arn("user", WORK, "one"), arn("user", WORK, "two"));
    let role = setting.role(KEYS, "operator", &trusts, &[&allow(r#""kms:ScheduleKeyDeletion""#, "*")]);
    let assume = allow(r#""sts:AssumeRole""#, &role.to_string());
    let one = setting.user(WORK, "one", &[&assume]);
    setting.user(WORK, "two", &[&assume]);
    (setting, role, one)
}

fn outside(fixes: &Fixes) -> Vec<&str> {
    fixes.before.iter().map(String::as_str).collect()
}

#[test]
fn one_statement_closes_what_two_come_through() {
    let (setting, role, _) = chained();
    let fixes = find(&setting.estate, &subject(), &[]);
    assert!(outside(&fixes).iter().any(|name| name.contains("user/one")), "{:?}", fixes.before);
    assert!(fixes.fewest && fixes.broken.is_empty(), "{}", fixes.to_text());
    // No policy binds the root user of the management account.
    assert!(fixes.left.keys().all(|name| name.starts_with(ROOT)), "{}", fixes.to_text());
    let of_role: Vec<_> = fixes.edits.iter().filter(|edit| &*edit.action == "sts:AssumeRole").collect();
    assert!(of_role.len() == 1 && of_role[0].place == Place::Scp(account(WORK)), "{}", fixes.to_text());
    // Those inside the account of the key still can.
    assert!(!fixes.before.iter().any(|name| name.starts_with(&role.to_string())));
}

#[test]
fn what_is_needed_is_left_alone() {
    let (setting, role, one) = chained();
    let needs = [need(&one, "sts:AssumeRole", &role.to_string())];
    let fixes = find(&setting.estate, &subject(), &needs);
    assert!(fixes.broken.is_empty(), "{}", fixes.to_text());
    let hit = |place: &Place| matches!(place, Place::Identity(arn) if arn.ends_with("user/one"));
    assert!(!fixes.edits.iter().any(|edit| hit(&edit.place)), "{}", fixes.to_text());
    // The other one is closed out; this one gets to the role, whose right it is, and is told as left.
    assert!(!fixes.left.keys().any(|name| name.contains("user/two")), "{}", fixes.to_text());
    assert!(fixes.left.keys().any(|name| name.contains("user/one")), "{}", fixes.to_text());
    assert!(fixes.denied_before.is_empty());
    let never = [need(&one, "kms:Decrypt", KEY)];
    assert_eq!(find(&setting.estate, &subject(), &never).denied_before, never);
}

#[test]
fn an_administrator_of_the_organisation_is_told_as_left() {
    let mut setting = Setting::new(&[DELEGATED]);
    setting.user(MANAGEMENT, "admin", &[r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#]);
    let fixes = find(&setting.estate, &subject(), &[]);
    assert!(!fixes.left.is_empty(), "{}", fixes.to_text());
    assert!(fixes.left.keys().any(|name| name.contains("user/admin")), "{}", fixes.to_text());
}

#[test]
fn patches_and_terraform_say_the_same() {
    let (setting, ..) = chained();
    let fixes = find(&setting.estate, &subject(), &[]);
    let json = fixes.to_json();
    let change = &json["changes"][0];
    let statement = fixes.edits[0].statement(1);
    assert_eq!(change["policy"]["Statement"].as_array().unwrap().last(), Some(&statement));
    if let Some(patch) = change["patch"].as_array().unwrap().first() {
        assert_eq!((&patch["op"], &patch["path"]), (&"add".into(), &"/Statement/-".into()));
        assert_eq!(patch["value"], statement);
    }
    let terraform = fixes.to_terraform().to_string();
    assert!(terraform.contains("StrongroomFix1"), "{terraform}");
    for import in fixes.to_terraform()["import"].as_array().unwrap() {
        let (kind, name) = import["to"].as_str().unwrap().split_once('.').unwrap();
        assert!(fixes.to_terraform()["resource"][kind][name].is_object());
    }
}

#[test]
fn the_example_is_mended() {
    let estate = load_documents(example::files(), &Limits::default());
    let pipeline = "arn:aws:iam::400000000004:role/deploy-pipeline";
    let fixes = find(&estate, &Subject::default(), &[]);
    let text = fixes.to_text();
    assert!(fixes.broken.is_empty(), "{text}");
    assert!(!fixes.left.keys().any(|name| name.contains(pipeline)), "{text}");
    assert!(fixes.left.keys().any(|name| name.contains("the root user of 100000000001")), "{text}");
    // The pipeline deploys every day.
    let need = Need {
        principal: pipeline.into(),
        action: "sts:AssumeRole".into(),
        resource: "arn:aws:iam::200000000002:role/terraform-deploy".into(),
    };
    let kept = find(&estate, &Subject::default(), &[need]);
    assert!(kept.broken.is_empty() && kept.edits.len() > fixes.edits.len(), "{}", kept.to_text());
}
