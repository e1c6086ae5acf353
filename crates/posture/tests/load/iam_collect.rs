//! A directory of iam-collect, as its documentation lays it out.

use strongroom_posture::evaluate::{Decision, Evaluator, Principal, Request};

use super::*;

const AT: &str = "data/aws/aws/accounts/111122223333";
const ORG: &str = "data/aws/aws/organizations/o-aaaaaaaaaa";
const ALL: &str =
    r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

fn files() -> Vec<(String, String)> {
    let key = format!("{AT}/kms/eu-west-1/key/{ID}");
    let trust = r#"{"Version": "2012-10-17", "Statement": []}"#;
    let key_policy = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"}]}"#;
    let role = format!("{AT}/iam/role/ops%2frestore");
    [
        (
            format!("{role}/metadata.json"),
            r#"{"arn": "arn:aws:iam::111122223333:role/ops/restore", "name": "restore",
            "id": "AROAEXAMPLE1", "path": "/ops/", "created": "2024-01-01T00:00:00.000Z",
            "permissionBoundary": "arn:aws:iam::111122223333:policy/edge"}"#
                .to_owned(),
        ),
        (format!("{role}/trust-policy.json"), trust.to_owned()),
        (
            format!("{role}/inline-policies.json"),
            format!(r#"[{{"PolicyName": "own", "PolicyDocument": {ALL}}}]"#),
        ),
        (format!("{role}/managed-policies.json"), r#"["arn:aws:iam::aws:policy/ReadOnlyAccess"]"#.to_owned()),
        (format!("{role}/tags.json"), r#"{"team": "backup"}"#.to_owned()),
        (
            format!("{AT}/iam/policy/edge/metadata.json"),
            r#"{"arn": "arn:aws:iam::111122223333:policy/edge",
            "name": "edge", "id": "ANPAEXAMPLE1", "defaultVersionId": "v3", "path": "/"}"#
                .to_owned(),
        ),
        (format!("{AT}/iam/policy/edge/current-policy.json"), ALL.to_owned()),
        (
            format!("{AT}/iam/aws/policy/readonlyaccess/metadata.json"),
            r#"{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess",
            "name": "ReadOnlyAccess", "defaultVersionId": "v9", "path": "/"}"#
                .to_owned(),
        ),
        (format!("{AT}/iam/aws/policy/readonlyaccess/current-policy.json"), ALL.to_owned()),
        (
            format!("{AT}/iam/user/host-a/metadata.json"),
            r#"{"arn": "arn:aws:iam::111122223333:user/host-a",
            "name": "host-a", "id": "AIDAEXAMPLE1", "path": "/"}"#
                .to_owned(),
        ),
        (
            format!("{AT}/iam/user/host-a/groups.json"),
            r#"["arn:aws:iam::111122223333:group/ops/operators"]"#.to_owned(),
        ),
        (format!("{key}/metadata.json"), format!(r#"{{"id": "{ID}", "arn": "{KEY}"}}"#)),
        (format!("{key}/policy.json"), key_policy.to_owned()),
        (
            format!("{AT}/s3/logs-444455556666/metadata.json"),
            r#"{"name": "logs-444455556666", "region": "eu-west-1",
            "arn": "arn:aws:s3:::logs-444455556666"}"#
                .to_owned(),
        ),
        (format!("{AT}/s3/logs-444455556666/policy.json"), key_policy.to_owned()),
        (
            format!("{AT}/lambda/eu-west-1/function/restore/metadata.json"),
            r#"{"name": "restore",
            "arn": "arn:aws:lambda:eu-west-1:111122223333:function:restore",
            "role": "arn:aws:iam::111122223333:role/ops/restore"}"#
                .to_owned(),
        ),
        (format!("{AT}/dynamodb/eu-west-1/table/t/metadata.json"), r#"{"arn": "x"}"#.to_owned()),
        (
            format!("{ORG}/metadata.json"),
            r#"{"id": "o-aaaaaaaaaa", "rootOu": "r-ab12", "rootAccountId": "999999999999",
            "features": {"SERVICE_CONTROL_POLICY": true, "RESOURCE_CONTROL_POLICY": false}}"#
                .to_owned(),
        ),
        (
            format!("{ORG}/accounts.json"),
            r#"{"111122223333": {"ou": "r-ab12", "rcps": [], "scps":
            ["arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess"]}}"#
                .to_owned(),
        ),
        (
            format!("{ORG}/ous.json"),
            r#"{"r-ab12": {"rcps": [], "scps":
            ["arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess"]}}"#
                .to_owned(),
        ),
        (format!("{ORG}/structure.json"), r#"{"r-ab12": {"children": {}, "accounts": []}}"#.to_owned()),
        (
            format!("{ORG}/scps/p-fullawsaccess/metadata.json"),
            r#"{"name": "FullAWSAccess", "awsManaged": true,
            "arn": "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess"}"#
                .to_owned(),
        ),
        (format!("{ORG}/scps/p-fullawsaccess/policy.json"), ALL.to_owned()),
        (format!("{ORG}/delegated-admins.json"), r#"{"backup.amazonaws.com": ["111122223333"]}"#.to_owned()),
        (
            "data/aws/aws/indexes/accounts-to-orgs.json".to_owned(),
            r#"{"111122223333": "o-aaaaaaaaaa"}"#.to_owned(),
        ),
    ]
    .into()
}

fn load_it(files: &[(String, String)]) -> Estate {
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    load_whole(&files)
}

#[test]
fn what_iam_collect_stores_is_read() {
    let estate = load_it(&files());
    let held = &estate.accounts[&account("111122223333")];
    let role = &held.roles["restore"];
    assert_eq!((&*role.path, role.inline.len(), role.attached.len()), ("/ops/", 1, 1));
    assert_eq!(role.boundary.as_deref(), Some("arn:aws:iam::111122223333:policy/edge"));
    assert_eq!(role.tags, [("team".into(), "backup".into())]);
    assert_eq!(role.inline[0].document.origin.line, 1);
    assert_eq!(held.users["host-a"].groups, ["operators".into()]);
    assert!(held.policies["arn:aws:iam::aws:policy/ReadOnlyAccess"].document().is_some());
    assert!(held.keys[KEY].policies.contains_key("default"));
    assert_eq!((&held.keys[KEY].grants, &held.keys[KEY].policy_names), (&None, &None));
    assert!(held.buckets["logs-444455556666"].policy.as_ref().unwrap().is_some());
    assert!(
        !estate.accounts.contains_key(&account("444455556666")),
        "a number in a bucket's name is no account"
    );
    let organisation = &estate.organisations["o-aaaaaaaaaa"];
    let member = &organisation.members[&account("111122223333")];
    assert_eq!((member.parent.as_deref(), member.scps.as_ref().map(Vec::len)), (Some("r-ab12"), Some(1)));
    assert_eq!(organisation.delegations.as_ref().unwrap()[0].services.as_ref().unwrap().len(), 1);
}

#[test]
fn what_it_does_not_store_is_not_taken_for_absent() {
    let estate = load_it(&files());
    for kind in [Kind::Grants, Kind::KeyDescriptions, Kind::Aliases, Kind::Groups] {
        assert_ne!(extent(&estate, "111122223333", kind), Extent::Whole, "{kind:?}");
    }
    let role = "arn:aws:iam::111122223333:role/ops/restore";
    let who = Principal::Role { role: role.into(), session: Some("s".into()) };
    let request = Request::new(who, "kms:Decrypt", KEY);
    let answer = Evaluator::new(&estate).decide(&request);
    assert!(matches!(answer, Decision::Unknown(_)), "a second key policy may deny: {answer:?}");
}

#[test]
fn grants_beside_it_are_read_with_it() {
    let mut all = files();
    let grants = format!(
        r#"{{"Grants": [{{"KeyId": "{KEY}", "GrantId": "g-1", "Operations": ["Decrypt"],
        "GranteePrincipal": "arn:aws:iam::111122223333:role/ops/restore", "IssuingAccount": "arn:aws:iam::111122223333:root"}}]}}"#
    );
    all.push(("data/extra/list-grants.json".into(), grants));
    let estate = load_it(&all);
    assert_eq!(estate.accounts[&account("111122223333")].keys[KEY].grants.as_ref().unwrap().len(), 1);
}

#[test]
fn a_role_without_its_trust_policy_is_named_and_left_out() {
    let files: Vec<(String, String)> =
        files().into_iter().filter(|(path, _)| !path.ends_with("trust-policy.json")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    let estate = load(&files);
    assert_eq!(estate.problems.len(), 1, "{:?}", estate.problems);
    assert!(estate.accounts[&account("111122223333")].roles.is_empty());
    assert_eq!(extent(&estate, "111122223333", Kind::Roles), Extent::Partial);
}
