use super::*;
use std::{collections::BTreeMap, fs, path::PathBuf};
use strongroom_format::keyring::{KeyholderSpec, Parameter};

const READ: &str = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const SHARED: &str = "arn:aws:kms:us-east-1:123456789012:key/mrk-1";
const REPLICA: &str = "arn:aws:kms:eu-west-1:123456789012:key/mrk-1";

fn key(label: &str, arns: &[&str], reads: &[&str], writes: &[&str], signs: bool) -> PlannedKey {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    PlannedKey {
        label: label.into(),
        arns: arns.iter().map(|arn| KeyArn::parse(arn).unwrap()).collect(),
        rsa: false,
        reads: owned(reads),
        writes: owned(writes),
        signs,
    }
}

fn plan(keys: Vec<PlannedKey>) -> Plan {
    Plan::of_keys(VaultId([7; 16]), keys, None).unwrap()
}

/// A key in two Regions for everything, and an imported RSA key that reads.
fn whole() -> Plan {
    plan(vec![
        key("cloud", &[SHARED, REPLICA], &["home", "mail"], &["home", "mail"], true),
        PlannedKey { rsa: true, ..key("escrow.rsa", &[READ], &["home"], &[], false) },
    ])
}

fn statements(document: &Value) -> &Vec<Value> {
    document["Statement"].as_array().unwrap()
}

fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().map(|item| item.as_str().unwrap()).collect(),
        other => panic!("{other}"),
    }
}

/// The statements with `effect` that name `action` or all actions.
fn about<'a>(document: &'a Value, effect: &str, action: &str) -> Vec<&'a Value> {
    let names = |statement: &&Value| {
        statement["Effect"] == effect
            && list(&statement["Action"]).iter().any(|found| *found == action || found.contains('*'))
    };
    statements(document).iter().filter(names).collect()
}

#[test]
fn every_use_of_a_symmetric_key_names_its_context() {
    let plan = whole();
    let policy = plan.key_policy("cloud").unwrap();
    for action in ["kms:Encrypt", "kms:Decrypt"] {
        for document in [policy.clone(), plan.iam_policy(Role::Writer), plan.iam_policy(Role::Owner)] {
            for statement in about(&document, "Allow", action) {
                let bound = &statement["Condition"]["StringEquals"];
                assert_eq!(
                    bound["kms:EncryptionContext:strongroom:vault"],
                    "07070707070707070707070707070707"
                );
                for pair in ["dataset", "purpose"] {
                    let found = &bound[format!("kms:EncryptionContext:strongroom:{pair}")];
                    assert!(found.is_string() || found.is_array(), "{statement}");
                }
            }
        }
    }
    let opened = |role| {
        let found = about(&policy, "Allow", "kms:Decrypt");
        let by = |statement: &&&Value| statement["Principal"]["AWS"] == plan.principals().of(role);
        found.iter().filter(by).map(|s| s["Condition"]["StringEquals"].clone()).collect::<Vec<_>>()
    };
    let pair = |name: &str| format!("kms:EncryptionContext:strongroom:{name}");
    let [reader] = &opened(Role::Reader)[..] else { panic!() };
    assert_eq!(
        (&reader[pair("purpose")], &reader[pair("dataset")]),
        (&json!("read"), &json!(["home", "mail"]))
    );
    let [writer] = &opened(Role::Writer)[..] else { panic!() };
    assert_eq!((&writer[pair("purpose")], &writer[pair("epoch")]), (&json!("write"), &json!("0")));
    let [owner] = &opened(Role::Owner)[..] else { panic!() };
    assert_eq!((&owner[pair("purpose")], &owner[pair("dataset")]), (&json!("read"), &json!("*")));
    assert!(opened(Role::Custodian).is_empty() && opened(Role::Auditor).is_empty());
}

#[test]
fn the_context_of_the_conditions_is_the_one_that_wraps_bind() {
    let context = strongroom_format::context::Context {
        vault: VaultId([7; 16]),
        dataset: "home".into(),
        purpose: strongroom_format::context::Purpose::Write,
        epoch: 0,
    };
    let policy = plan(vec![key("cloud", &[READ], &[], &["home"], false)]).key_policy("cloud").unwrap();
    let [statement] = about(&policy, "Allow", "kms:Decrypt")[..] else { panic!() };
    let expected: BTreeMap<String, Value> = context
        .pairs()
        .into_iter()
        .map(|(name, value)| (format!("kms:EncryptionContext:{name}"), json!(value)))
        .collect();
    assert_eq!(statement["Condition"]["StringEquals"], json!(expected));
}

#[test]
fn an_rsa_key_is_for_the_reader_alone_and_warned_of() {
    let plan = whole();
    let policy = plan.key_policy("escrow.rsa").unwrap();
    assert!(about(&policy, "Allow", "kms:Encrypt").is_empty());
    let [only] = about(&policy, "Allow", "kms:Decrypt")[..] else { panic!() };
    assert_eq!(only["Principal"]["AWS"], plan.principals().reader);
    assert_eq!(only["Condition"], json!({"StringEquals": {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}}));
    assert!(!policy.to_string().contains("EncryptionContext"));
    let warnings = plan.warnings();
    assert!(
        warnings.iter().any(|text| text.contains("`escrow.rsa`") && text.contains("no encryption context"))
    );
    assert!(!warnings.iter().any(|text| text.contains("several purposes")), "{warnings:?}");
    let both = PlannedKey { rsa: true, ..key("rsa", &[READ], &["home"], &["home"], true) };
    assert!(self::plan(vec![both]).warnings().iter().any(|text| text.contains("several purposes")));
}

#[test]
fn nobody_but_the_custodian_ends_or_changes_a_key_and_nobody_makes_grants() {
    let plan = whole();
    for document in [plan.key_policy("cloud").unwrap(), plan.service_control_policy()] {
        for action in DESTRUCTIVE {
            let refused = about(&document, "Deny", action);
            let others = json!({"ArnNotEquals": {"aws:PrincipalArn": plan.principals().custodian}});
            assert!(refused.iter().any(|statement| statement["Condition"] == others), "{action}");
        }
        let short = about(&document, "Deny", "kms:ScheduleKeyDeletion");
        assert!(short.iter().any(|statement| {
            statement["Condition"]["NumericLessThan"]["kms:ScheduleKeyDeletionPendingWindowInDays"] == "30"
        }));
        let [grants] = about(&document, "Deny", "kms:CreateGrant")[..] else { panic!() };
        assert_eq!(grants.get("Condition"), None);
    }
    for role in Role::ALL {
        let document = plan.iam_policy(role);
        for action in ["kms:CreateGrant", "kms:ReEncryptFrom", "kms:GenerateDataKey"] {
            assert!(about(&document, "Allow", action).is_empty(), "{role:?} {action}");
        }
        let ends = !about(&document, "Allow", "kms:ScheduleKeyDeletion").is_empty();
        assert_eq!(ends, role == Role::Custodian, "{role:?}");
    }
}

#[test]
fn principals_are_arns_and_each_plays_one_role() {
    let keys = || vec![key("cloud", &[READ], &["home"], &["home"], true)];
    let good = Principals::in_account("aws", "123456789012");
    for bad in [
        "",
        "*",
        "123456789012",
        "arn:aws:iam::123456789012:root",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:iam::123456789012:role/*",
        "arn:aws:iam::123456789012:role/${x}",
        "arn:aws:iam::123456789012:role/a\"b",
        "arn:aws:sts::123456789012:assumed-role/a/b",
    ] {
        let principals = Principals { writer: bad.into(), ..good.clone() };
        assert!(Plan::of_keys(VaultId([7; 16]), keys(), Some(principals)).is_err(), "{bad}");
    }
    let twice = Principals { writer: good.reader.clone(), ..good.clone() };
    assert!(Plan::of_keys(VaultId([7; 16]), keys(), Some(twice)).is_err());
    assert!(Plan::of_keys(VaultId([7; 16]), vec![], Some(good)).is_err());
}

#[test]
fn the_resource_control_policy_keeps_strangers_out() {
    let plan = whole();
    let policy = plan.resource_control_policy("o-a1b2c3d4e5").unwrap();
    let [only] = &statements(&policy)[..] else { panic!() };
    assert_eq!(only["Condition"]["StringNotEqualsIfExists"]["aws:PrincipalOrgID"], "o-a1b2c3d4e5");
    assert_eq!(list(&only["Resource"]), [REPLICA, READ, SHARED]);
    for bad in ["", "o-", "a1b2c3d4e5", "o-A1B2C3D4E5", "o-a1b2c3d4e5*"] {
        assert!(plan.resource_control_policy(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_policy_that_aws_would_not_take_is_told() {
    let names: Vec<String> =
        (0..400).map(|n| format!("dataset-{n:03}-with-a-long-name-of-its-own")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let warnings = plan(vec![key("cloud", &[READ], &names, &names, true)]).warnings();
    assert!(warnings.iter().any(|text| text.contains("IAM policy of the writer")), "{warnings:?}");
    assert!(warnings.iter().any(|text| text.contains("key policy of `cloud`")), "{warnings:?}");
    assert_eq!(plan(vec![key("cloud", &[READ], &["home"], &["home"], true)]).warnings(), [""; 0]);
}

/// The documents as a whole, for people to review when they change: `UPDATE_GOLDEN=1` writes them.
#[test]
fn golden_files() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/aws-kms-policy");
    let files = whole().files(Some("o-a1b2c3d4e5")).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(&directory).unwrap();
        for (name, content) in &files {
            fs::write(directory.join(name), content).unwrap();
        }
    }
    let mut there: Vec<String> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    let mut made: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    made.sort_unstable();
    assert_eq!(there, made);
    for (name, content) in &files {
        let kept = fs::read_to_string(directory.join(name)).unwrap();
        if name.ends_with(".json") {
            let [kept, made] = [&kept, content].map(|text| serde_json::from_str::<Value>(text).unwrap());
            assert_eq!(kept, made, "{name}");
        }
        assert_eq!(&kept, content, "{name}");
    }
}

#[test]
fn terraform_has_each_policy_that_is_printed() {
    let plan = whole();
    let terraform = plan.terraform();
    let documents: Vec<Value> = terraform
        .split("policy = <<-POLICY\n")
        .skip(1)
        .map(|rest| serde_json::from_str(rest.split_once("  POLICY\n").unwrap().0).unwrap())
        .collect();
    // A key, its replica, an RSA key; then the roles.
    let cloud = plan.key_policy("cloud").unwrap();
    let mut expected = vec![cloud.clone(), cloud, plan.key_policy("escrow.rsa").unwrap()];
    expected.extend(Role::ALL.map(|role| plan.iam_policy(role)));
    assert_eq!(documents, expected);
    assert_eq!(terraform.matches("deletion_window_in_days = 30").count(), 1);
    assert_eq!(terraform.matches("prevent_destroy = true").count(), 1);
    assert_eq!(terraform.matches("resource \"aws_kms_alias\"").count(), 2);
    assert!(terraform.contains("provider = aws.eu_west_1"));
    assert!(!terraform.contains("${") && !terraform.contains("%{"));
    let same = self::plan(vec![
        key("a.b", &[READ], &["home"], &[], false),
        key("a_b", &[SHARED], &["home"], &[], false),
    ]);
    assert!(
        same.terraform().contains("\"strongroom_a_b\"") && same.terraform().contains("\"strongroom_a_b_1\"")
    );
}

#[test]
fn keyrings_say_which_key_wraps_what() {
    let spec = |kind: &str, arn: &str| KeyholderSpec {
        kind: kind.into(),
        parameters: BTreeMap::from([("key".to_owned(), Parameter::Text(arn.into()))]),
    };
    assert!(keys(&spec(KIND, READ)).is_ok() && !is_rsa(&spec(KIND, READ)));
    assert!(keys(&spec(KIND, "alias/backup")).is_err());
}
