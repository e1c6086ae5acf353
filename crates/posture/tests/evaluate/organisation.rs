//! Policies of the organisation: whom they bind, and what each level has to say.

use super::*;

const ROOT: &str = r#"{"AWS":"arn:aws:iam::111122223333:root"}"#;

fn open() -> Setting {
    Setting::new(&[&allow(ROOT, "kms:*", ""), &allow(&aws(OTHER), "kms:*", "")], &[&allow("", "*", "")])
}

/// Replaces the policies on an account.
fn only(mut setting: Setting, number: &str, statements: &[&str]) -> Setting {
    let member = setting.organisation().members.get_mut(&account(number)).unwrap();
    member.scps = Some(Vec::new());
    setting.hang(number, OrgPolicyKind::Scp, statements)
}

// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
#[test]
fn every_level_has_to_allow() {
    let allowed = only(open(), A, &[&allow("", "kms:Decrypt", "")]);
    assert_eq!(allowed.ask(alice(), "kms:Decrypt"), Decision::Allowed);
    assert_eq!(allowed.ask(alice(), "kms:Encrypt"), Decision::Denied(Denial::Implicit(Layer::Scp)));
    assert_eq!(
        allowed.ask(Principal::Root(account(A)), "kms:Encrypt"),
        Decision::Denied(Denial::Implicit(Layer::Scp)),
        "the root user of a member account is bound"
    );
    assert_eq!(
        allowed.ask(session(OTHER), "kms:Encrypt"),
        Decision::Allowed,
        "it is the caller's that count"
    );
}

// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_syntax.html
#[test]
fn conditions_and_resources_count_in_what_a_level_allows() {
    let region =
        |name: &str| format!(r#","Condition":{{"StringEquals":{{"aws:RequestedRegion":"{name}"}}}}"#);
    let here = only(open(), A, &[&allow("", "*", &region("eu-west-1"))]);
    assert_eq!(here.ask(alice(), "kms:Decrypt"), Decision::Allowed);
    let elsewhere = only(open(), A, &[&allow("", "*", &region("us-east-1"))]);
    assert_eq!(elsewhere.ask(alice(), "kms:Decrypt"), Decision::Denied(Denial::Implicit(Layer::Scp)));
    let network = r#","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#;
    let inside = only(open(), A, &[&allow("", "*", network)]);
    assert!(matches!(inside.ask(alice(), "kms:Decrypt"), Decision::AllowedIf(_)));
    let other = r#"{"Effect":"Allow","Action":"*","NotResource":"arn:aws:kms:*:*:key/*"}"#;
    assert!(is_denied(&only(open(), A, &[other]).ask(alice(), "kms:Decrypt")));
    let all_but = r#"{"Effect":"Allow","NotAction":"kms:Schedule*","Resource":"*"}"#;
    let setting = only(open(), A, &[all_but]);
    assert_eq!(setting.ask(alice(), "kms:Decrypt"), Decision::Allowed);
    assert!(is_denied(&setting.ask(alice(), "kms:ScheduleKeyDeletion")));
}

// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html#not-restricted-by-scp
#[test]
fn service_linked_roles_and_the_management_account_are_exempt() {
    let linked =
        "arn:aws:iam::111122223333:role/aws-service-role/backup.amazonaws.com/AWSServiceRoleForBackup";
    let mut setting = open().hang(A, OrgPolicyKind::Scp, &[&deny("", "*", "")]);
    let mut service = role(linked, &[&allow("", "kms:*", "")]);
    service.path = "/aws-service-role/backup.amazonaws.com/".into();
    setting.account(A).roles.insert("AWSServiceRoleForBackup".into(), service);
    assert_eq!(setting.ask(session(linked), "kms:Decrypt"), Decision::Allowed);
    assert_eq!(setting.ask(alice(), "kms:Decrypt"), explicit(Layer::Scp));
    setting.organisation().management = Some(account(A));
    assert_eq!(setting.ask(alice(), "kms:Decrypt"), Decision::Allowed);
    setting.organisation().management = None;
    assert!(
        matches!(setting.ask(alice(), "kms:Decrypt"), Decision::Unknown(_)),
        "it may be the management's"
    );
}

// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html#actions-not-restricted-by-rcps
#[test]
fn resource_control_policies_leave_service_linked_roles_and_keys_of_aws_alone() {
    let linked =
        "arn:aws:iam::111122223333:role/aws-service-role/backup.amazonaws.com/AWSServiceRoleForBackup";
    let mut setting = open().hang(A, OrgPolicyKind::Rcp, &[&deny(r#""*""#, "kms:*", "")]);
    let mut service = role(linked, &[&allow("", "kms:*", "")]);
    service.path = "/aws-service-role/backup.amazonaws.com/".into();
    setting.account(A).roles.insert("AWSServiceRoleForBackup".into(), service);
    assert_eq!(setting.ask(session(linked), "kms:Decrypt"), Decision::Allowed);
    assert_eq!(setting.ask(alice(), "kms:Decrypt"), explicit(Layer::Rcp));
    assert_eq!(setting.ask(Principal::Root(account(A)), "kms:Decrypt"), explicit(Layer::Rcp));
    setting.key().manager = Some(KeyManager::Aws);
    assert_eq!(setting.ask(alice(), "kms:Decrypt"), Decision::Allowed);
    setting.key().manager = None;
    assert!(matches!(setting.ask(alice(), "kms:Decrypt"), Decision::Unknown(_)));
    // They bind resources of their accounts, not principals.
    let other = open().hang(B, OrgPolicyKind::Rcp, &[&deny(r#""*""#, "kms:*", "")]);
    assert_eq!(other.ask(session(OTHER), "kms:Decrypt"), Decision::Allowed);
}

// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html#rcp-supported-services
#[test]
fn what_is_not_known_of_resource_control_policies_is_not_taken_for_permission() {
    let all = allow("", "*", "");
    let ask = |setting: &Setting, action: &str, resource: &str| {
        setting.decide(&Request::new(alice(), action, resource))
    };
    let budgets = "arn:aws:budgets::111122223333:budget/b";
    let user = "arn:aws:iam::111122223333:user/alice";
    let denied =
        |action: &str| Setting::new(&[], &[&all]).hang(A, OrgPolicyKind::Rcp, &[&deny(r#""*""#, action, "")]);
    assert_eq!(ask(&denied("budgets:*"), "budgets:ModifyBudget", budgets), explicit(Layer::Rcp));
    // IAM was not on AWS's list when it was read. A policy that names it says that the list has grown, or means nothing.
    assert!(matches!(ask(&denied("iam:*"), "iam:CreateAccessKey", user), Decision::Unknown(_)));
    let tomorrow = "arn:aws:tomorrow:eu-west-1:111122223333:thing/t";
    assert!(matches!(ask(&denied("tomorrow:*"), "tomorrow:Do", tomorrow), Decision::Unknown(_)));
    let mut unread = Setting::new(&[], &[&all]);
    unread.organisation().members.get_mut(&account(A)).unwrap().rcps = None;
    assert!(matches!(ask(&unread, "budgets:ModifyBudget", budgets), Decision::Unknown(_)));
    assert!(matches!(ask(&unread, "tomorrow:Do", tomorrow), Decision::Unknown(_)));
    assert_eq!(ask(&unread, "iam:CreateAccessKey", user), Decision::Allowed);
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalorgid
#[test]
fn the_organisation_and_its_tree_are_known() {
    let condition = |key: &str, operator: &str, value: &str| {
        format!(r#","Condition":{{"{operator}":{{"{key}":"{value}"}}}}"#)
    };
    let ask = |rest: &str| {
        let key = allow(r#""*""#, "kms:Decrypt", rest);
        Setting::new(&[&key], &[&allow("", "kms:*", "")]).ask(session(OTHER), "kms:Decrypt")
    };
    assert_eq!(ask(&condition("aws:PrincipalOrgID", "StringEquals", "o-example")), Decision::Allowed);
    assert!(is_denied(&ask(&condition("aws:PrincipalOrgID", "StringEquals", "o-other"))));
    let paths = condition("aws:PrincipalOrgPaths", "ForAnyValue:StringLike", "o-example/r-root/*");
    assert_eq!(ask(&paths), Decision::Allowed);
    assert!(is_denied(&ask(&condition("aws:PrincipalAccount", "StringNotEquals", B))));
}
