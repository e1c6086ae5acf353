//! Keys of KMS.

use strongroom_posture::evaluate::{Context, operations::OPERATIONS};

use super::*;

const ROOT: &str = r#"{"AWS":"arn:aws:iam::111122223333:root"}"#;

// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
#[test]
fn identity_policies_count_only_where_the_key_policy_names_the_account() {
    let identity = allow("", "kms:*", "");
    let delegated = Setting::new(&[&allow(ROOT, "kms:*", "")], &[&identity]);
    assert_eq!(delegated.ask(session(ROLE), "kms:ScheduleKeyDeletion"), Decision::Allowed);
    assert_eq!(delegated.ask(Principal::Root(account(A)), "kms:PutKeyPolicy"), Decision::Allowed);
    let alone = Setting::new(&[&allow(&aws(USER), "kms:*", "")], &[&identity]);
    assert!(is_denied(&alone.ask(session(ROLE), "kms:ScheduleKeyDeletion")));
    assert!(is_denied(&alone.ask(Principal::Root(account(A)), "kms:PutKeyPolicy")));
    assert_eq!(alone.ask(alice(), "kms:PutKeyPolicy"), Decision::Allowed);
}

// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html
#[test]
fn both_sides_allow_across_accounts_and_only_what_works_there() {
    let key = allow(&aws(OTHER), "kms:*", "");
    let both = Setting::new(&[&key], &[&allow("", "kms:*", "")]);
    for operation in OPERATIONS.iter().filter(|operation| operation.name != "RetireGrant") {
        let decision = both.ask(session(OTHER), &format!("kms:{}", operation.name));
        assert_eq!(decision == Decision::Allowed, operation.cross_account, "{}", operation.name);
    }
    let one = Setting::new(&[&key], &[]);
    assert!(is_denied(&one.ask(session(OTHER), "kms:Decrypt")));
}

// https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
#[test]
fn a_grant_allows_each_operation_it_holds_and_no_other() {
    for held in OPERATIONS.iter().filter(|operation| operation.in_grants && operation.name != "CreateGrant") {
        let setting = Setting::new(&[], &[]).granting(grant(ROLE, &[held.name], None));
        for asked in OPERATIONS.iter().filter(|operation| operation.name != "RetireGrant") {
            let decision = setting.ask(session(ROLE), &format!("kms:{}", asked.name));
            assert_eq!(decision == Decision::Allowed, held == asked, "{} {}", held.name, asked.name);
        }
        assert!(is_denied(&setting.ask(alice(), &format!("kms:{}", held.name))));
    }
    let never = Setting::new(&[], &[]).granting(grant(ROLE, &["ScheduleKeyDeletion"], None));
    assert!(is_denied(&never.ask(session(ROLE), "kms:ScheduleKeyDeletion")));
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantConstraints.html
#[test]
fn constraints_bind_operations_with_an_encryption_context() {
    let pair = || Some(vec![("Department".into(), "IT".into())]);
    let subset = Constraints { subset: pair(), ..Constraints::default() };
    let equals = Constraints { equals: pair(), ..Constraints::default() };
    let ask = |constraints: &Constraints, context: &[(&str, &str)], action: &str| {
        let operations = ["Decrypt", "DescribeKey"];
        let setting = Setting::new(&[], &[]).granting(grant(ROLE, &operations, Some(constraints.clone())));
        let mut request = Request::new(session(ROLE), action, KEY);
        let pairs = context.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        request.context.encryption_context = Some(pairs);
        setting.decide(&request) == Decision::Allowed
    };
    let (right, more) = ([("department", "IT")], [("Department", "IT"), ("b", "c")]);
    assert!(ask(&subset, &right, "kms:Decrypt") && ask(&subset, &more, "kms:Decrypt"));
    assert!(ask(&equals, &right, "kms:Decrypt") && !ask(&equals, &more, "kms:Decrypt"));
    for constraints in [&subset, &equals] {
        assert!(!ask(constraints, &[("Department", "it")], "kms:Decrypt"));
        assert!(!ask(constraints, &[], "kms:Decrypt"));
        assert!(ask(constraints, &[], "kms:DescribeKey"));
    }
}

// https://docs.aws.amazon.com/kms/latest/developerguide/grant-delete.html
#[test]
fn the_grant_says_who_retires_it_and_key_policies_and_rcps_do_not() {
    let everyone = allow(r#""*""#, "kms:*", "");
    let mut retired = grant(OTHER, &["Decrypt"], None);
    retired.retiring = Some(ROLE.into());
    let setting = Setting::new(&[&everyone, &deny(r#""*""#, "kms:RetireGrant", "")], &[])
        .hang(A, OrgPolicyKind::Rcp, &[&deny(r#""*""#, "kms:*", "")])
        .granting(retired);
    assert_eq!(setting.ask(session(ROLE), "kms:RetireGrant"), Decision::Allowed);
    assert!(is_denied(&setting.ask(alice(), "kms:RetireGrant")));
    assert!(is_denied(&setting.ask(session(OTHER), "kms:RetireGrant")));
    let denied =
        Setting::new(&[], &[&deny("", "kms:RetireGrant", "")]).granting(grant(ROLE, &["RetireGrant"], None));
    assert_eq!(denied.ask(session(ROLE), "kms:RetireGrant"), explicit(Layer::Identity));
}

// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
#[test]
fn keys_that_services_set_are_false_for_direct_calls() {
    let via = r#","Condition":{"StringEquals":{"kms:ViaService":"backup.eu-west-1.amazonaws.com"}}"#;
    let caller = r#","Condition":{"StringEquals":{"kms:CallerAccount":"111122223333"}}"#;
    let resource = r#","Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}"#;
    let by_service = Setting::new(&[&allow(&aws(ROLE), "kms:*", via)], &[]);
    assert!(is_denied(&by_service.ask(session(ROLE), "kms:Decrypt")));
    let mut request = Request::new(session(ROLE), "kms:Decrypt", KEY);
    request.context = Context::default().through("backup");
    assert_eq!(by_service.decide(&request), Decision::Allowed);
    let anybody = Setting::new(&[&allow(&aws("*"), "kms:Decrypt", caller)], &[&allow("", "*", "")]);
    assert_eq!(anybody.ask(alice(), "kms:Decrypt"), Decision::Allowed);
    assert!(is_denied(&anybody.ask(session(OTHER), "kms:Decrypt")));
    let for_resource = Setting::new(&[&allow(&aws(ROLE), "kms:CreateGrant", resource)], &[]);
    assert!(is_denied(&for_resource.ask(session(ROLE), "kms:CreateGrant")));
}

// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-encryption-context
#[test]
fn who_asks_chooses_the_encryption_context_but_not_two_values_at_once() {
    let is =
        |value: &str| format!(r#","Condition":{{"StringEquals":{{"kms:EncryptionContext:app":"{value}"}}}}"#);
    let setting = Setting::new(&[&allow(&aws(ROLE), "kms:*", &is("a"))], &[]);
    assert!(matches!(setting.ask(session(ROLE), "kms:Decrypt"), Decision::AllowedIf(_)));
    assert!(is_denied(&setting.ask(session(ROLE), "kms:ScheduleKeyDeletion")));
    let both = Setting::new(&[&allow(ROOT, "kms:*", &is("a"))], &[&allow("", "kms:*", &is("b"))]);
    assert_eq!(both.ask(session(ROLE), "kms:Decrypt"), Decision::Denied(Denial::Contradiction));
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html
#[test]
fn boundaries_limit_what_a_role_is_given_and_not_a_user_or_session() {
    let to =
        |arn: &str| Setting::new(&[&allow(&aws(arn), "kms:*", "")], &[]).bounded(&[&allow("", "s3:*", "")]);
    assert!(is_denied(&to(ROLE).ask(session(ROLE), "kms:Decrypt")));
    assert_eq!(to(USER).ask(alice(), "kms:Decrypt"), Decision::Allowed);
    let arn = "arn:aws:sts::111122223333:assumed-role/worker/s";
    assert_eq!(to(arn).ask(session(ROLE), "kms:Decrypt"), Decision::Allowed);
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
#[test]
fn a_denial_by_not_principal_binds_who_has_a_boundary() {
    let others = format!(
        r#"{{"Effect":"Deny","NotPrincipal":{{"AWS":["{USER}","{A}"]}},"Action":"*","Resource":"*"}}"#
    );
    let setting = || Setting::new(&[&allow(&aws(USER), "kms:*", ""), &others], &[]);
    assert_eq!(setting().ask(alice(), "kms:Decrypt"), Decision::Allowed);
    let bounded = setting().bounded(&[&allow("", "*", "")]);
    assert_eq!(bounded.ask(alice(), "kms:Decrypt"), explicit(Layer::Resource));
}

// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html
#[test]
fn policies_of_the_organisation_bind_members_and_not_the_management_account() {
    let key = [allow(ROOT, "kms:*", ""), allow(&aws(OTHER), "kms:*", "")];
    let setting = || Setting::new(&[&key[0], &key[1]], &[&allow("", "kms:*", "")]);
    let scp = setting().hang(A, OrgPolicyKind::Scp, &[&deny("", "kms:*", "")]);
    assert_eq!(scp.ask(Principal::Root(account(A)), "kms:Decrypt"), explicit(Layer::Scp));
    assert_eq!(scp.ask(session(OTHER), "kms:Decrypt"), Decision::Allowed);
    let mut rcp = setting().hang(A, OrgPolicyKind::Rcp, &[&deny(r#""*""#, "kms:*", "")]);
    assert_eq!(rcp.ask(session(OTHER), "kms:Decrypt"), explicit(Layer::Rcp));
    rcp.organisation().management = Some(account(A));
    assert_eq!(rcp.ask(session(OTHER), "kms:Decrypt"), Decision::Allowed);
}

// https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html: every key has a policy.
#[test]
fn what_was_not_collected_makes_answers_unknown() {
    let mut setting = Setting::new(&[&allow(ROOT, "kms:*", "")], &[&allow("", "kms:*", "")]);
    setting.key().policy_names = None;
    assert!(matches!(setting.ask(alice(), "kms:Decrypt"), Decision::Unknown(_)));
    setting.key().policy_names = Some(vec!["default".into()]);
    setting.organisation().members.get_mut(&account(A)).unwrap().scps = None;
    assert!(matches!(setting.ask(alice(), "kms:Decrypt"), Decision::Unknown(_)));
}

#[test]
fn an_explanation_names_file_and_line() {
    let setting = Setting::new(&[&allow(ROOT, "kms:*", ""), &deny(r#""*""#, "kms:Decrypt", "")], &[]);
    let evaluator = Evaluator::new(&setting.estate);
    let explained = evaluator.explain(&Request::new(alice(), "kms:Decrypt", KEY));
    assert_eq!(explained.decision, explicit(Layer::Resource));
    let step = explained.steps.iter().find(|step| step.layer == Layer::Resource && step.line == 2).unwrap();
    assert_eq!(&*step.file, "a.json");
}
