//! Policies of buckets, vaults, roles, functions, queues and of the organisation itself.

use strongroom_posture::estate::{BackupVault, Bucket, Compute, ComputeKind, RecoveryPoint};
use strongroom_posture::evaluate::{Layer, Residual};

use super::*;

const OBJECT: &str = "arn:aws:s3:::archive/2026/a";
const VAULT: &str = "arn:aws:backup:eu-west-1:111122223333:backup-vault:main";
const POINT: &str = "arn:aws:backup:eu-west-1:111122223333:recovery-point:1EB3B5E7";
const FUNCTION: &str = "arn:aws:lambda:eu-west-1:111122223333:function:restore";

fn with_bucket(policy_of: Option<Option<&[&str]>>, identity: &[&str]) -> Setting {
    let mut setting = Setting::new(&[], identity);
    let bucket = Bucket {
        name: "archive".into(),
        policy: policy_of.map(|statements| statements.map(policy)),
        ..Bucket::default()
    };
    setting.account(A).buckets.insert("archive".into(), bucket);
    setting
}

fn object(setting: &Setting, principal: Principal, action: &str) -> Decision {
    setting.decide(&Request::new(principal, action, OBJECT))
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-policy-language-overview.html
#[test]
fn within_an_account_a_bucket_policy_or_an_identity_policy_is_enough() {
    let read = allow("", "s3:GetObject", "");
    let by_identity = with_bucket(Some(None), &[&read]);
    assert_eq!(object(&by_identity, session(ROLE), "s3:GetObject"), Decision::Allowed);
    assert!(is_denied(&object(&by_identity, session(ROLE), "s3:DeleteObject")));
    let to_alice = allow(&aws(USER), "s3:DeleteObject", "");
    let by_bucket = with_bucket(Some(Some(&[&to_alice])), &[]);
    assert_eq!(object(&by_bucket, alice(), "s3:DeleteObject"), Decision::Allowed);
    assert!(is_denied(&object(&by_bucket, session(ROLE), "s3:DeleteObject")));
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-walkthroughs-managing-access-example2.html
#[test]
fn across_accounts_the_bucket_policy_and_the_identity_policy_both_allow() {
    let to_account = allow(&aws("arn:aws:iam::444455556666:root"), "s3:GetObject", "");
    let read = allow("", "s3:GetObject", "");
    let both = with_bucket(Some(Some(&[&to_account])), &[&read]);
    assert_eq!(object(&both, session(OTHER), "s3:GetObject"), Decision::Allowed);
    let identity_alone = with_bucket(Some(None), &[&read]);
    assert!(is_denied(&object(&identity_alone, session(OTHER), "s3:GetObject")));
    let bucket_alone = with_bucket(Some(Some(&[&to_account])), &[]);
    assert_eq!(
        object(&bucket_alone, session(OTHER), "s3:GetObject"),
        Decision::Denied(Denial::Implicit(Layer::Identity))
    );
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_AccessPolicyLanguage_Interplay.html
#[test]
fn an_explicit_denial_of_the_bucket_beats_every_permission() {
    let refuse = deny(r#""*""#, "s3:Delete*", "");
    let all = allow("", "*", "");
    let setting = with_bucket(Some(Some(&[&refuse])), &[&all]);
    assert_eq!(object(&setting, alice(), "s3:DeleteObjectVersion"), explicit(Layer::Resource));
    assert_eq!(object(&setting, Principal::Root(account(A)), "s3:DeleteObject"), explicit(Layer::Resource));
    assert_eq!(object(&setting, alice(), "s3:GetObject"), Decision::Allowed);
    let unread = with_bucket(None, &[&all]);
    assert!(matches!(object(&unread, alice(), "s3:DeleteObject"), Decision::Unknown(_)));
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-policies.html: an access point has a policy of
// its own, which is not collected.
#[test]
fn access_points_are_not_mistaken_for_buckets() {
    let setting = with_bucket(Some(None), &[&allow("", "*", "")]);
    let request =
        Request::new(alice(), "s3:GetObject", "arn:aws:s3:eu-west-1:111122223333:accesspoint/a/object/x");
    assert!(matches!(setting.decide(&request), Decision::Unknown(_)));
}

fn with_vault(statements: Option<Option<&[&str]>>, points: Option<Vec<RecoveryPoint>>) -> Setting {
    let mut setting = Setting::new(&[], &[&allow("", "backup:*", "")]);
    let vault = BackupVault {
        arn: VAULT.into(),
        name: "main".into(),
        region: "eu-west-1".into(),
        policy: statements.map(|statements| statements.map(policy)),
        recovery_points: points,
        ..BackupVault::default()
    };
    setting.account(A).vaults.insert(VAULT.into(), vault);
    setting
}

fn point(arn: &str) -> RecoveryPoint {
    RecoveryPoint { arn: arn.into(), resource: None, key: None, status: None, deletes_at: None }
}

// https://docs.aws.amazon.com/aws-backup/latest/devguide/create-a-vault-access-policy.html
#[test]
fn the_policy_of_a_vault_guards_the_vault_and_its_recovery_points() {
    let refuse = deny(r#""*""#, "backup:Delete*", "");
    let snapshot = "arn:aws:ec2:eu-west-1::snapshot/snap-0123456789abcdef0";
    let setting = with_vault(Some(Some(&[&refuse])), Some(vec![point(POINT), point(snapshot)]));
    let ask = |setting: &Setting, action: &str, resource: &str| {
        setting.decide(&Request::new(alice(), action, resource))
    };
    assert_eq!(ask(&setting, "backup:DeleteBackupVault", VAULT), explicit(Layer::Resource));
    assert_eq!(ask(&setting, "backup:DeleteRecoveryPoint", POINT), explicit(Layer::Resource));
    assert_eq!(ask(&setting, "backup:DeleteRecoveryPoint", snapshot), explicit(Layer::Resource));
    assert_eq!(ask(&setting, "backup:DescribeRecoveryPoint", POINT), Decision::Allowed);
    let elsewhere = with_vault(Some(Some(&[&refuse])), None);
    assert!(matches!(ask(&elsewhere, "backup:DeleteRecoveryPoint", POINT), Decision::Unknown(_)));
    let unread = with_vault(None, Some(vec![point(POINT)]));
    assert!(matches!(ask(&unread, "backup:DeleteRecoveryPoint", POINT), Decision::Unknown(_)));
    let none = with_vault(Some(None), Some(vec![point(POINT)]));
    assert_eq!(ask(&none, "backup:DeleteRecoveryPoint", POINT), Decision::Allowed);
}

/// Lets the policy of the role decide who may take it.
fn trusting(statements: &[&str], identity: &[&str]) -> Setting {
    let mut setting = Setting::new(&[], identity);
    let trust: Vec<String> =
        statements.iter().map(|statement| statement.replace(r#","Resource":"*""#, "")).collect();
    let trust: Vec<&str> = trust.iter().map(String::as_str).collect();
    setting.account(A).roles.get_mut("worker").unwrap().trust = policy(&trust);
    setting
}

fn assume(setting: &Setting, principal: Principal) -> Decision {
    setting.decide(&Request::new(principal, "sts:AssumeRole", ROLE))
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_update-role-trust-policy.html
#[test]
fn a_trust_policy_that_names_the_account_leaves_it_to_identity_policies() {
    let may = allow("", "sts:AssumeRole", "");
    let to_account = allow(&aws("arn:aws:iam::111122223333:root"), "sts:AssumeRole", "");
    assert_eq!(assume(&trusting(&[&to_account], &[&may]), alice()), Decision::Allowed);
    assert!(is_denied(&assume(&trusting(&[&to_account], &[]), alice())));
    let to_alice = allow(&aws(USER), "sts:AssumeRole", "");
    assert_eq!(assume(&trusting(&[&to_alice], &[]), alice()), Decision::Allowed);
    assert!(is_denied(&assume(&trusting(&[], &[&may]), alice())), "trust is always needed");
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/tutorial_cross-account-with-roles.html
#[test]
fn a_role_of_another_account_is_taken_only_where_both_sides_allow() {
    let may = allow("", "sts:AssumeRole", "");
    let to_other = allow(&aws(OTHER), "sts:AssumeRole", "");
    assert_eq!(assume(&trusting(&[&to_other], &[&may]), session(OTHER)), Decision::Allowed);
    assert!(is_denied(&assume(&trusting(&[&to_other], &[]), session(OTHER))));
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html
#[test]
fn an_external_id_is_chosen_by_who_asks() {
    let condition = r#","Condition":{"StringEquals":{"sts:ExternalId":"12345"}}"#;
    let setting =
        trusting(&[&allow(&aws(OTHER), "sts:AssumeRole", condition)], &[&allow("", "sts:AssumeRole", "")]);
    assert!(matches!(assume(&setting, session(OTHER)), Decision::AllowedIf(_)));
    let mut request = Request::new(session(OTHER), "sts:AssumeRole", ROLE);
    request.context = request.context.value("sts:ExternalId", "54321");
    assert!(is_denied(&setting.decide(&request)));
    request.context = request.context.value("sts:ExternalId", "12345");
    assert_eq!(setting.decide(&request), Decision::Allowed);
}

// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html: not with credentials of the root user.
#[test]
fn the_root_user_takes_no_role() {
    let setting = trusting(&[&allow(r#""*""#, "sts:AssumeRole", "")], &[]);
    assert_eq!(
        assume(&setting, Principal::Root(account(A))),
        Decision::Denied(Denial::Implicit(Layer::Operation))
    );
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
#[test]
fn a_token_of_the_identity_provider_decides_about_web_identities() {
    let provider = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
    let who = format!(r#"{{"Federated":"{provider}"}}"#);
    let condition = r#","Condition":{"StringLike":{"token.actions.githubusercontent.com:sub":"repo:a/b:*"}}"#;
    let setting = trusting(&[&allow(&who, "sts:AssumeRoleWithWebIdentity", condition)], &[]);
    let ask = |who: Principal| setting.decide(&Request::new(who, "sts:AssumeRoleWithWebIdentity", ROLE));
    let Decision::AllowedIf(Residual { when, .. }) = ask(Principal::Federated(provider.into())) else {
        panic!("a token has to be shown")
    };
    assert_eq!(when.literals().len(), 1);
    assert!(is_denied(&ask(Principal::Federated("accounts.google.com".into()))));
    assert!(is_denied(&ask(alice())));
}

fn with_function(statements: Option<&[&str]>, identity: &[&str]) -> Setting {
    let mut setting = Setting::new(&[], identity);
    let function = Compute {
        arn: FUNCTION.into(),
        kind: ComputeKind::LambdaFunction,
        name: "restore".into(),
        region: Some("eu-west-1".into()),
        roles: vec![ROLE.into()],
        instance_profile: None,
        policy: statements.map(policy),
    };
    setting.account(A).compute.insert(FUNCTION.into(), function);
    setting
}

// https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html
#[test]
fn the_policy_of_a_function_lets_others_call_it() {
    let ask = |setting: &Setting, who: Principal, resource: &str| {
        setting.decide(&Request::new(who, "lambda:InvokeFunction", resource))
    };
    let to_other = allow(&aws(OTHER), "lambda:InvokeFunction", "");
    let call = allow("", "lambda:*", "");
    let both = with_function(Some(&[&to_other]), &[&call]);
    assert_eq!(ask(&both, session(OTHER), FUNCTION), Decision::Allowed);
    let closed = with_function(Some(&[]), &[&call]);
    assert!(is_denied(&ask(&closed, session(OTHER), FUNCTION)));
    let unread = with_function(None, &[&call]);
    assert!(matches!(ask(&unread, session(OTHER), FUNCTION), Decision::Unknown(_)));
    assert_eq!(ask(&unread, alice(), FUNCTION), Decision::Allowed, "such a policy only adds");
    let alias = format!("{FUNCTION}:live");
    assert!(matches!(ask(&closed, session(OTHER), &alias), Decision::Unknown(_)), "aliases have their own");
    let by_service = allow(
        r#"{"Service":"s3.amazonaws.com"}"#,
        "lambda:InvokeFunction",
        r#","Condition":{"StringEquals":{"AWS:SourceAccount":"111122223333"}}"#,
    );
    let called = with_function(Some(&[&by_service]), &[]);
    assert!(matches!(
        ask(&called, Principal::Service("s3.amazonaws.com".into()), FUNCTION),
        Decision::AllowedIf(_)
    ));
    assert!(is_denied(&ask(&called, Principal::Service("sns.amazonaws.com".into()), FUNCTION)));
}

// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-using-identity-based-policies.html
// https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html
#[test]
fn policies_of_queues_and_topics_are_not_collected_and_may_deny() {
    let setting = Setting::new(&[], &[&allow("", "*", "")]);
    for (action, resource) in [
        ("sqs:SendMessage", "arn:aws:sqs:eu-west-1:111122223333:queue"),
        ("sns:Publish", "arn:aws:sns:eu-west-1:111122223333:topic"),
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:a-x"),
    ] {
        for who in [alice(), session(OTHER)] {
            let decision = setting.decide(&Request::new(who, action, resource));
            assert!(matches!(decision, Decision::Unknown(_)), "{action}: {decision:?}");
        }
    }
    let job =
        setting.decide(&Request::new(alice(), "glue:UpdateJob", "arn:aws:glue:eu-west-1:111122223333:job/j"));
    assert_eq!(job, Decision::Allowed, "only the catalogue of Glue has a policy");
}

// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_delegate_policies.html
#[test]
fn the_policy_of_the_organisation_lets_a_member_change_policies() {
    let target = "arn:aws:organizations::999999999999:policy/o-example/service_control_policy/p-12345678";
    let ask =
        |setting: &Setting, who: Principal, action: &str| setting.decide(&Request::new(who, action, target));
    let delegated = allow(&aws("arn:aws:iam::444455556666:root"), "organizations:DetachPolicy", "");
    let mut setting = Setting::new(&[], &[&allow("", "organizations:*", "")]);
    setting.organisation().resource_policy = Some(Some(policy(&[&delegated])));
    assert_eq!(ask(&setting, session(OTHER), "organizations:DetachPolicy"), Decision::Allowed);
    assert!(is_denied(&ask(&setting, session(OTHER), "organizations:UpdatePolicy")));
    assert!(is_denied(&ask(&setting, alice(), "organizations:DetachPolicy")));
    assert!(matches!(ask(&setting, alice(), "organizations:DescribePolicy"), Decision::Unknown(_)));
    setting.organisation().resource_policy = None;
    assert!(matches!(ask(&setting, alice(), "organizations:DetachPolicy"), Decision::Unknown(_)));
}

// https://docs.aws.amazon.com/kms/latest/developerguide/alias-access.html
#[test]
fn an_alias_is_moved_only_with_permission_on_it_and_on_both_keys() {
    let second = "arn:aws:kms:eu-west-1:111122223333:key/99999999-12ab-34cd-56ef-1234567890ab";
    let alias = "arn:aws:kms:eu-west-1:111122223333:alias/backup";
    let to_account = allow(&aws("arn:aws:iam::111122223333:root"), "kms:UpdateAlias", "");
    let may = allow("", "kms:UpdateAlias", "");
    let ask = |keys: &[&str], second_policy: &[&str], identity: &[&str]| {
        let mut setting = Setting::new(&[&to_account], identity);
        let mut other = key(second_policy);
        other.arn = second.into();
        setting.account(A).keys.insert(second.into(), other);
        let mut request = Request::new(alice(), "kms:UpdateAlias", alias);
        request.alias_keys = keys.iter().map(|key| Arc::from(*key)).collect();
        setting.decide(&request)
    };
    assert_eq!(ask(&[KEY, second], &[&to_account], &[&may]), Decision::Allowed);
    assert!(is_denied(&ask(&[KEY, second], &[], &[&may])), "the second key does not allow");
    let on_keys = r#"{"Effect":"Allow","Action":"kms:UpdateAlias","Resource":"arn:aws:kms:*:*:key/*"}"#;
    assert!(is_denied(&ask(&[KEY, second], &[&to_account], &[on_keys])), "nothing allows on the alias");
}

// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html: a key that is shared through RAM has
// a second policy, which `PutKeyPolicy` does not set.
#[test]
fn the_policy_of_a_resource_share_counts_beside_the_default_one() {
    let mut setting = Setting::new(&[], &[&allow("", "kms:*", "")]);
    let shared = policy(&[&allow(&aws(OTHER), "kms:Decrypt", "")]);
    setting.key().policies.insert("AWS_RAM".into(), shared);
    setting.key().policy_names = Some(vec!["AWS_RAM".into(), "default".into()]);
    assert_eq!(setting.ask(session(OTHER), "kms:Decrypt"), Decision::Allowed);
    assert!(is_denied(&setting.ask(session(OTHER), "kms:Encrypt")));
    setting.key().policies.remove("AWS_RAM");
    assert!(matches!(setting.ask(session(OTHER), "kms:Decrypt"), Decision::Unknown(_)));
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-no-value
#[test]
fn a_variable_without_a_value_matches_nothing_and_its_negation_is_not_documented() {
    let ask = |element: &str| {
        let statement = format!(
            r#"{{"Effect":"Allow","Action":"s3:GetObject","{element}":"arn:aws:s3:::archive/${{aws:PrincipalTag/team}}/*"}}"#
        );
        object(&with_bucket(Some(None), &[&statement]), alice(), "s3:GetObject")
    };
    assert!(is_denied(&ask("Resource")));
    assert!(matches!(ask("NotResource"), Decision::Unknown(_)));
}
