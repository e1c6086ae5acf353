//! `strongroom posture`, from outside, on a small organisation.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ROLE: &str = "arn:aws:iam::111122223333:role/restore";

const DETAILS: &str = r#"{
  "UserDetailList": [], "GroupDetailList": [], "Policies": [],
  "RoleDetailList": [
    {"Path": "/", "RoleName": "restore", "RoleId": "AROAEXAMPLE1", "Arn": "arn:aws:iam::111122223333:role/restore",
     "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []},
     "RolePolicyList": [{"PolicyName": "own", "PolicyDocument": {"Version": "2012-10-17", "Statement": [
       {"Sid": "Buckets", "Effect": "Allow", "Action": "s3:*", "Resource": "*"},
       {"Sid": "Open", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
        "Condition": {"StringEquals": {"kms:EncryptionContext:purpose": "read"}}}
     ]}}],
     "AttachedManagedPolicies": []}
  ]
}"#;

const ACCOUNTS: &str = r#"{"Accounts": [{"Id": "111122223333", "Status": "ACTIVE",
  "Arn": "arn:aws:organizations::999999999999:account/o-aaaaaaaaaa/111122223333"}]}"#;

const ORGANISATION: &str = r#"{"Organization": {"Id": "o-aaaaaaaaaa", "MasterAccountId": "999999999999", "FeatureSet": "CONSOLIDATED_BILLING"}}"#;

fn estate(home: &Path) -> PathBuf {
    let at = home.join("aws");
    let key = format!(
        r#"{{"KeyMetadata": {{"AWSAccountId": "111122223333", "KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab",
        "Arn": "{KEY}", "Enabled": true, "KeyState": "Enabled", "Origin": "AWS_KMS", "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "MultiRegion": false}}}}"#
    );
    let policy = r#"{"PolicyName": "default", "Policy": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"Account\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::111122223333:root\"},\"Action\":\"kms:*\",\"Resource\":\"*\"}]}"}"#;
    for (name, text) in [
        ("details.json", DETAILS),
        ("accounts.json", ACCOUNTS),
        ("organisation.json", ORGANISATION),
        ("key/describe-key.json", &*key),
        ("key/get-key-policy.json", policy),
        ("key/list-key-policies.json", r#"{"PolicyNames": ["default"], "Truncated": false}"#),
        ("key/list-grants.json", r#"{"Grants": [], "Truncated": false}"#),
    ] {
        let path = at.join("111122223333/eu-west-1").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    at
}

fn simulate(at: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.env_clear().env("HOME", at).stdin(Stdio::null());
    command.args(["posture", "simulate"]).arg(at).args(more).output().unwrap()
}

fn asked(at: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let output =
        simulate(at, &[&["--principal", ROLE, "--action", "kms:Decrypt", "--resource", KEY], more].concat());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_answer_names_statements_with_file_and_line() {
    let home = tempfile::tempdir().unwrap();
    let at = estate(home.path());
    let (code, stdout, stderr) = asked(&at, &[]);
    assert_eq!((code, &*stderr), (Some(0), ""), "{stdout}");
    assert_eq!(
        stdout,
        "ALLOWED IF StringEquals kms:encryptioncontext:purpose read\n  whoever asks chooses it\n\n\
         Layer            Effect  Policy   Statement  Outcome                                                     Where\n\
         resource policy  allow   default  Account    applies                                                     111122223333/eu-west-1/key/get-key-policy.json:1\n\
         identity policy  allow   own      Open       applies if StringEquals kms:encryptioncontext:purpose read  111122223333/eu-west-1/details.json:8\n\n\
         1 statement about another action; --all shows it\n"
    );
}

#[test]
fn the_context_decides() {
    let home = tempfile::tempdir().unwrap();
    let at = estate(home.path());
    let first = |more: &[&str]| asked(&at, more).1.lines().next().unwrap().to_owned();
    assert_eq!(first(&["--encryption-context", "purpose=read"]), "ALLOWED");
    assert_eq!(first(&["--context", "kms:EncryptionContext:purpose=read"]), "ALLOWED");
    assert_eq!(
        first(&["--encryption-context", "purpose=write"]),
        "DENIED: nothing allows it: identity policy"
    );
    let policy = home.path().join("session.json");
    std::fs::write(
        &policy,
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"kms:*","Resource":"*"}}"#,
    )
    .unwrap();
    assert_eq!(
        first(&["--session-policy", policy.to_str().unwrap()]),
        "DENIED by a statement: session policy"
    );
}

#[test]
fn programs_get_everything() {
    let home = tempfile::tempdir().unwrap();
    let at = estate(home.path());
    let (code, stdout, _) = asked(&at, &["--json", "--source-ip", "192.0.2.1"]);
    assert_eq!(code, Some(0));
    let answer: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(answer["decision"], "allowed_if");
    assert_eq!(answer["decided_by"][0], "caller");
    assert_eq!(answer["statements"].as_array().unwrap().len(), 3);
    let other = answer["statements"].as_array().unwrap().iter().find(|one| one["sid"] == "Buckets").unwrap();
    assert_eq!((other["outcome"].as_str(), other["line"].as_u64()), (Some("other_action"), Some(7)));
    assert_eq!(answer["problems"].as_array().unwrap().len(), 0);
}

#[test]
fn problems_of_the_input_are_named_and_end_with_3() {
    let home = tempfile::tempdir().unwrap();
    let at = estate(home.path());
    std::fs::write(at.join("broken.json"), "{\n  \"Grants\": [").unwrap();
    let (code, stdout, stderr) = asked(&at, &[]);
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stdout.starts_with("ALLOWED IF"), "the answer is given all the same: {stdout}");
    assert!(stderr.contains("warning: broken.json:2:"), "{stderr}");
    assert!(stderr.contains("[SR-0601]"), "{stderr}");
    let (code, stdout, _) = asked(&at, &["--json"]);
    let answer: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let problems = answer["problems"].as_array().unwrap();
    assert_eq!(code, Some(3));
    assert!(problems.iter().any(|one| one["file"] == "broken.json" && one["line"] == 2), "{problems:?}");
    assert!(problems.iter().all(|one| one["loss"] == true));
}

#[test]
fn what_was_not_collected_is_told() {
    let home = tempfile::tempdir().unwrap();
    let at = estate(home.path());
    std::fs::remove_file(at.join("111122223333/eu-west-1/key/get-key-policy.json")).unwrap();
    let (code, stdout, _) = asked(&at, &[]);
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with("UNKNOWN: it hangs on what is missing\n"), "{stdout}");
    assert!(stdout.contains("(`kms list-key-policies, get-key-policy`)"), "{stdout}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let at = estate(home.path());
    for (args, part) in [
        (&["--principal", "alice", "--action", "kms:Decrypt"][..], "--principal: expected"),
        (&["--principal", ROLE, "--action", "kms:*"], "without wildcards"),
        (&["--principal", ROLE, "--action", "kms:Decrypt", "--resource", "key"], "expected an ARN"),
        (&["--principal", ROLE, "--action", "kms:Decrypt", "--context", "x"], "expected KEY=VALUE"),
        (
            &["--principal", ROLE, "--action", "kms:Decrypt", "--context", "a:b=c", "--absent", "A:B"],
            "both given and --absent",
        ),
        (
            &["--principal", "arn:aws:sts::111122223333:assumed-role/nobody/s", "--action", "kms:Decrypt"],
            "no role nobody",
        ),
    ] {
        let output = simulate(&at, args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(part), "{stderr}");
    }
    let output = simulate(&at.join("nowhere"), &["--principal", ROLE, "--action", "kms:Decrypt"]);
    assert_eq!(output.status.code(), Some(1));
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/organisation")
}

fn posture(home: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.env_clear().env("HOME", home).current_dir(home).stdin(Stdio::null()).arg("posture").args(args);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_example_is_analysed_in_every_form() {
    let home = tempfile::tempdir().unwrap();
    let at = example();
    let at = at.to_str().unwrap();
    let (code, text, stderr) = posture(home.path(), &["analyse", at]);
    assert_eq!((code, &*stderr), (Some(0), ""));
    assert!(text.contains("FAIL      MIN-6") && text.contains("PASS      MIN-5"), "{text}");
    assert!(
        text.contains("get-account-authorization-details.json:"),
        "statements are named by file and line"
    );

    let (_, json, _) = posture(home.path(), &["analyse", at, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["controls"].as_array().unwrap().len(), 10);
    assert!(json["findings"].as_array().unwrap().len() > 50);
    let (_, sarif, _) = posture(home.path(), &["analyse", at, "--format", "sarif"]);
    let sarif: serde_json::Value = serde_json::from_str(&sarif).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert!(!result["codeFlows"][0]["threadFlows"][0]["locations"].as_array().unwrap().is_empty());
    let (_, csv, _) = posture(home.path(), &["analyse", at, "--format", "csv"]);
    assert!(csv.starts_with("actor,kind,account,harm,target,certainty,steps,path\n"), "{csv}");
    let (_, graph, _) = posture(home.path(), &["analyse", at, "--format", "graphml"]);
    assert!(graph.contains("<graphml") && graph.ends_with("</graphml>\n"));
    let (code, _, _) = posture(home.path(), &["threat-model", at, "-o", "model.md"]);
    assert_eq!(code, Some(0));
    assert!(std::fs::read_to_string(home.path().join("model.md")).unwrap().starts_with("# Threat model"));
    let from = "arn:aws:iam::600000000006:user/helpdesk";
    let (_, text, _) = posture(home.path(), &["analyse", at, "--from", from]);
    assert_eq!(text, format!("{from} reaches none of the keys\n"));
    let (_, text, _) =
        posture(home.path(), &["analyse", at, "--from", "arn:aws:iam::500000000005:user/infra-admin"]);
    assert!(text.contains("cloudformation-service-managed"), "{text}");
}

#[test]
fn a_regression_ends_a_build() {
    let home = tempfile::tempdir().unwrap();
    let at = example();
    let at = at.to_str().unwrap();
    assert_eq!(posture(home.path(), &["analyse", at, "-o", "r", "--save-baseline", "accepted"]).0, Some(0));
    assert_eq!(posture(home.path(), &["analyse", at, "-o", "r", "--baseline", "accepted"]).0, Some(0));
    assert_eq!(posture(home.path(), &["analyse", at, "-o", "r", "--strict"]).0, Some(4));
    let accepted = std::fs::read_to_string(home.path().join("accepted")).unwrap();
    let (first, rest) = accepted.split_once('\n').unwrap();
    std::fs::write(home.path().join("accepted"), format!("{rest}somebody who left | read | a key\n"))
        .unwrap();
    let (code, _, stderr) = posture(home.path(), &["analyse", at, "-o", "r", "--baseline", "accepted"]);
    assert_eq!(code, Some(4), "{stderr}");
    assert!(
        stderr.contains(&format!("new: {first}")) && stderr.contains("no longer: somebody who left"),
        "{stderr}"
    );
    assert_eq!(posture(home.path(), &["analyse", at, "--baseline", "nowhere"]).0, Some(1));
    assert_eq!(posture(home.path(), &["analyse", "nowhere"]).0, Some(1));
    assert_eq!(posture(home.path(), &["analyse", at, "--function", "keys=1"]).0, Some(2));
    assert_eq!(posture(home.path(), &["analyse", at, "--key", "alias/x"]).0, Some(2));
}

/// The data in the page of a directory, and that nothing in it is markup.
fn data_of_page(home: &Path, at: &str) -> serde_json::Value {
    let (_, page, _) = posture(home, &["analyse", at, "--format", "html"]);
    let (_, data) = page.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    let (data, rest) = data.split_once("</script>").unwrap();
    assert!(!data.contains(['<', '>', '&']));
    assert!(rest.contains("textContent") && !page.contains("innerHTML"));
    assert!(!page.contains("http://") && !page.contains(r#"src=""#));
    serde_json::from_str(data).unwrap()
}

#[test]
fn the_page_holds_every_finding() {
    let home = tempfile::tempdir().unwrap();
    let at = example();
    let at = at.to_str().unwrap();
    let data = data_of_page(home.path(), at);
    let (_, json, _) = posture(home.path(), &["analyse", at, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let (rows, findings) = (data["findings"].as_array().unwrap(), json["findings"].as_array().unwrap());
    assert!(rows.len() == findings.len() && !rows.is_empty());
    let word = |number: &serde_json::Value| data["strings"][number.as_u64().unwrap() as usize].clone();
    for (row, finding) in rows.iter().zip(findings) {
        assert_eq!((word(&row[1]), word(&row[2])), (finding["from"].clone(), finding["harm"].clone()));
        assert_eq!(row[5].as_array().map(Vec::len), finding["hops"].as_array().map(Vec::len));
        assert!(data["accounts"][row[0].as_u64().unwrap() as usize]["name"].is_string());
    }
}

#[test]
fn reports_are_safe_against_hostile_names() {
    let home = tempfile::tempdir().unwrap();
    let at = home.path().join("organisation");
    assert!(Command::new("cp").arg("-r").args([example(), at.clone()]).status().unwrap().success());
    let details = at.join("500000000005/global/iam/get-account-authorization-details.json");
    let hostile = r"user/=cmd()\u001b[31m<script>&\u0022";
    let text = std::fs::read_to_string(&details).unwrap().replace("user/infra-admin", hostile);
    std::fs::write(&details, text).unwrap();
    let at = at.to_str().unwrap();
    for format in ["text", "csv", "graphml", "json", "sarif", "html"] {
        let (code, stdout, stderr) = posture(home.path(), &["analyse", at, "--format", format]);
        assert!(matches!(code, Some(0 | 3)), "{format}: {stderr}");
        assert!(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'), "{format}");
        if format == "graphml" {
            assert!(!stdout.contains("<script>") && stdout.contains("&lt;script&gt;"), "{stdout}");
        }
    }
    let data = data_of_page(home.path(), at);
    let strings = data["strings"].as_array().unwrap();
    assert!(strings.iter().any(|text| text.as_str().is_some_and(|text| text.contains("<script>&\""))));
    let (_, model, _) = posture(home.path(), &["threat-model", at]);
    assert!(!model.contains("<script>") || model.contains("\\<script\\>"));
}

#[test]
fn the_blast_radius_is_that_of_a_policy() {
    const BACKUP_KEY: &str = "arn:aws:kms:eu-west-1:200000000002:key/1a2b3c4d-0001-4001-8001-000000000001";
    let home = tempfile::tempdir().unwrap();
    let at = example();
    let at = at.to_str().unwrap();
    let keyholder = format!("kms={BACKUP_KEY}");
    let blast =
        |policy: &str| posture(home.path(), &["blast", at, "--policy", policy, "--keyholder", &keyholder]);
    let (code, text, stderr) = blast("kms");
    assert_eq!((code, &*stderr), (Some(0), ""), "{text}");
    assert!(
        text.contains("destroy: 1 captured")
            && text.contains("    arn:aws:iam::500000000005:user/infra-admin (proven)"),
        "{text}"
    );
    assert!(!text.contains("600000000006"), "{text}");
    let (_, text, _) = blast("any(kms, paper)");
    assert!(text.contains("destroy: no set of credentials in AWS closes it"), "{text}");
    let (_, text, _) = blast("all(kms, paper)");
    assert!(text.contains("destroy: 1 captured"), "{text}");
    assert_eq!(blast("any(").0, Some(2));
    let other = "kms=arn:aws:kms:eu-west-1:200000000002:key/gone";
    let (code, _, stderr) = posture(home.path(), &["blast", at, "--policy", "kms", "--keyholder", other]);
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.contains("nothing was collected of"), "{stderr}");
}

#[test]
fn nothing_collected_proves_nothing() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("empty")).unwrap();
    let (_, text, _) = posture(home.path(), &["analyse", "empty"]);
    assert!(text.contains("UNPROVEN  MIN-5") && !text.contains("PASS"), "{text}");
    let (_, model, _) = posture(home.path(), &["threat-model", "empty"]);
    assert!(model.contains("unproven: there is no path in what was collected"), "{model}");
    assert!(!model.contains("nothing is missing") && !model.contains("Everything"), "{model}");
    let (_, text, _) = posture(home.path(), &["analyse", "empty", "--from", "somebody"]);
    assert_eq!(text, "somebody reaches none of the keys in what was collected\n");
}

#[test]
fn fixes_are_told_in_words_patches_and_terraform() {
    let home = tempfile::tempdir().unwrap();
    let at = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/organisation");
    let pipeline = "arn:aws:iam::400000000004:role/deploy-pipeline";
    let target = "arn:aws:iam::200000000002:role/terraform-deploy";
    let (code, text, stderr) = posture(home.path(), &["fix", at]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(text.contains("Looked for again with all of them in place"), "{text}");
    assert!(text.contains(&format!("deny sts:AssumeRole on {target}")), "{text}");
    std::fs::write(home.path().join("needs"), format!("# daily\n\n{pipeline} sts:AssumeRole {target}\n"))
        .unwrap();
    let (code, json, _) = posture(home.path(), &["fix", at, "--needs", "needs", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, json["broken"].as_array().map(Vec::len)), (Some(0), Some(0)));
    let denies_it = json["edits"].as_array().unwrap().iter().any(|edit| {
        edit["statement"]["Action"] == "sts:AssumeRole"
            && edit["what"].to_string().contains(target)
            && edit["what"].to_string().contains(pipeline)
    });
    assert!(!denies_it, "{json:#}");
    let (code, _, _) = posture(home.path(), &["fix", at, "--format", "terraform", "-o", "fix.tf.json"]);
    assert_eq!(code, Some(0));
    let terraform = std::fs::read(home.path().join("fix.tf.json")).unwrap();
    let terraform: serde_json::Value = serde_json::from_slice(&terraform).unwrap();
    assert!(terraform["resource"].as_object().is_some_and(|kinds| !kinds.is_empty()));
    for (needs, why) in [("a b", "three words"), ("x kms:Decrypt y", "first word")] {
        std::fs::write(home.path().join("needs"), needs).unwrap();
        let (code, _, stderr) = posture(home.path(), &["fix", at, "--needs", "needs"]);
        assert!(code == Some(2) && stderr.contains("needs:1") && stderr.contains(why), "{stderr}");
    }
    assert_eq!(posture(home.path(), &["fix", at, "--trail", "nowhere"]).0, Some(1));
}
