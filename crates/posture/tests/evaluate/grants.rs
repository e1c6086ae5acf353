//! Grants of KMS keys, rule by rule as the KMS Developer Guide and API Reference state them.

use strongroom_posture::conditions::Source;
use strongroom_posture::evaluate::Context;

use super::*;

const ROOT: &str = r#"{"AWS":"arn:aws:iam::111122223333:root"}"#;

fn decide(setting: &Setting, principal: Principal, action: &str, context: Context) -> Decision {
    let mut request = Request::new(principal, action, KEY);
    request.context = context;
    setting.decide(&request)
}

fn with_context(pairs: &[(&str, &str)]) -> Context {
    let pairs = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let mut context = Context::default();
    context.encryption_context = Some(pairs);
    context
}

fn pairs(list: &[(&str, &str)]) -> Option<Vec<(Arc<str>, Arc<str>)>> {
    Some(list.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
}

// https://docs.aws.amazon.com/kms/latest/developerguide/grants.html: a grant allows and never denies.
#[test]
fn a_grant_adds_to_policies_and_a_denial_beats_it() {
    let granted = || grant(ROLE, &["Decrypt"], None);
    assert_eq!(
        Setting::new(&[], &[]).granting(granted()).ask(session(ROLE), "kms:Decrypt"),
        Decision::Allowed
    );
    for (key, identity, layer) in [
        (vec![deny(r#""*""#, "kms:Decrypt", "")], vec![], Layer::Resource),
        (vec![], vec![deny("", "kms:Decrypt", "")], Layer::Identity),
    ] {
        let refs = |list: &[String]| list.iter().map(|text| text.clone().leak() as &str).collect::<Vec<_>>();
        let setting = Setting::new(&refs(&key), &refs(&identity)).granting(granted());
        assert_eq!(setting.ask(session(ROLE), "kms:Decrypt"), explicit(layer));
    }
    let scp =
        Setting::new(&[], &[]).granting(granted()).hang(A, OrgPolicyKind::Scp, &[&deny("", "kms:*", "")]);
    assert_eq!(scp.ask(session(ROLE), "kms:Decrypt"), explicit(Layer::Scp));
    let rcp = Setting::new(&[], &[]).granting(granted()).hang(
        A,
        OrgPolicyKind::Rcp,
        &[&deny(r#""*""#, "kms:*", "")],
    );
    assert_eq!(rcp.ask(session(ROLE), "kms:Decrypt"), explicit(Layer::Rcp));
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html#KMS-CreateGrant-request-GranteePrincipal
#[test]
fn the_grantee_is_a_user_a_role_a_session_or_an_account() {
    let to = |grantee: &str| {
        Setting::new(&[], &[&allow("", "kms:Decrypt", "")]).granting(grant(grantee, &["Decrypt"], None))
    };
    assert_eq!(to(USER).ask(alice(), "kms:Decrypt"), Decision::Allowed);
    assert!(is_denied(&to(USER).ask(session(ROLE), "kms:Decrypt")));
    assert_eq!(to(ROLE).ask(session(ROLE), "kms:Decrypt"), Decision::Allowed);
    let this = to("arn:aws:sts::111122223333:assumed-role/worker/s");
    assert_eq!(this.ask(session(ROLE), "kms:Decrypt"), Decision::Allowed);
    let that = to("arn:aws:sts::111122223333:assumed-role/worker/t");
    assert!(is_denied(&that.ask(session(ROLE), "kms:Decrypt")));
    let whole = to("arn:aws:iam::111122223333:root");
    assert_eq!(
        whole.ask(session(ROLE), "kms:Decrypt"),
        Decision::Allowed,
        "its identity policies pass it on"
    );
    assert!(is_denied(&whole.ask(session(OTHER), "kms:Decrypt")));
    let without =
        Setting::new(&[], &[]).granting(grant("arn:aws:iam::111122223333:root", &["Decrypt"], None));
    assert!(is_denied(&without.ask(session(ROLE), "kms:Decrypt")));
    assert_eq!(without.ask(Principal::Root(account(A)), "kms:Decrypt"), Decision::Allowed);
}

// https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html does not say whether a grantee of
// another account needs an identity policy as well.
#[test]
fn a_grant_to_another_account_is_certain_only_with_an_identity_policy() {
    let granted = grant(OTHER, &["Decrypt"], None);
    let with = Setting::new(&[], &[&allow("", "kms:Decrypt", "")]).granting(granted.clone());
    assert_eq!(with.ask(session(OTHER), "kms:Decrypt"), Decision::Allowed);
    let without = Setting::new(&[], &[]).granting(granted);
    assert!(matches!(without.ask(session(OTHER), "kms:Decrypt"), Decision::Unknown(_)));
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html: the service stands in a field of its own.
#[test]
fn a_grantee_may_be_a_service() {
    let mut to_service = grant(ROLE, &["Decrypt"], None);
    to_service.grantee = None;
    to_service.grantee_service = Some("backup.amazonaws.com".into());
    let setting = Setting::new(&[], &[]).granting(to_service);
    let backup = || Principal::Service("backup.amazonaws.com".into());
    assert_eq!(setting.ask(backup(), "kms:Decrypt"), Decision::Allowed);
    assert!(is_denied(&setting.ask(backup(), "kms:Encrypt")));
    assert!(is_denied(&setting.ask(Principal::Service("s3.amazonaws.com".into()), "kms:Decrypt")));
    assert!(is_denied(&setting.ask(session(ROLE), "kms:Decrypt")));
    let mut as_principal = grant("rds.eu-west-1.amazonaws.com", &["Decrypt"], None);
    as_principal.grantee_service = None;
    let setting = Setting::new(&[], &[]).granting(as_principal);
    let rds = Principal::Service("rds.eu-west-1.amazonaws.com".into());
    assert_eq!(setting.ask(rds, "kms:Decrypt"), Decision::Allowed);
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantConstraints.html#KMS-Type-GrantConstraints-SourceArn
#[test]
fn a_source_arn_binds_the_grant_to_what_the_service_acts_for() {
    let source = "arn:aws:backup:eu-west-1:111122223333:backup-vault:main";
    let constraints = Constraints { source_arn: Some(source.into()), ..Constraints::default() };
    let mut to_service = grant(ROLE, &["Decrypt"], Some(constraints));
    to_service.grantee = None;
    to_service.grantee_service = Some("backup.amazonaws.com".into());
    let setting = Setting::new(&[], &[]).granting(to_service);
    let ask = |context: Context| {
        decide(&setting, Principal::Service("backup.amazonaws.com".into()), "kms:Decrypt", context)
    };
    let Decision::AllowedIf(residual) = ask(Context::default()) else { panic!("it depends on the source") };
    assert_eq!(residual.sources(), [Source::ServiceSupplied]);
    assert_eq!(ask(Context::default().value("aws:SourceArn", source)), Decision::Allowed);
    let other = "arn:aws:backup:eu-west-1:111122223333:backup-vault:other";
    assert!(is_denied(&ask(Context::default().value("aws:SourceArn", other))));
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantConstraints.html: names without regard to case, values
// with, and every pair has to be there.
#[test]
fn an_encryption_context_has_to_hold_every_pair_of_the_constraint() {
    let two = [("Department", "IT"), ("Project", "Vault")];
    let subset = Constraints { subset: pairs(&two), ..Constraints::default() };
    let equals = Constraints { equals: pairs(&two), ..Constraints::default() };
    let ask = |constraints: &Constraints, context: &[(&str, &str)]| {
        let setting =
            Setting::new(&[], &[]).granting(grant(ROLE, &["GenerateDataKey"], Some(constraints.clone())));
        decide(&setting, session(ROLE), "kms:GenerateDataKey", with_context(context)) == Decision::Allowed
    };
    let more = [("Department", "IT"), ("Project", "Vault"), ("Purpose", "write")];
    assert!(ask(&subset, &two) && ask(&equals, &two));
    assert!(ask(&subset, &more) && !ask(&equals, &more));
    for constraints in [&subset, &equals] {
        assert!(ask(constraints, &[("PROJECT", "Vault"), ("department", "IT")]));
        assert!(!ask(constraints, &[("Department", "IT")]));
        assert!(!ask(constraints, &[("Department", "IT"), ("Project", "vault")]));
    }
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantConstraints.html: whoever asks chooses the context.
#[test]
fn a_constrained_grant_is_usable_by_whoever_knows_the_context() {
    let constraints = Constraints { subset: pairs(&[("a", "b")]), ..Constraints::default() };
    let setting = Setting::new(&[], &[]).granting(grant(ROLE, &["Decrypt"], Some(constraints)));
    let Decision::AllowedIf(residual) = setting.ask(session(ROLE), "kms:Decrypt") else {
        panic!("the context is open")
    };
    assert_eq!(residual.sources(), [Source::AttackerChosen]);
}

// https://docs.aws.amazon.com/kms/latest/developerguide/create-grant-overview.html#grant-creategrant
#[test]
fn a_grant_with_create_grant_passes_on_only_what_it_holds() {
    let setting = Setting::new(&[], &[]).granting(grant(ROLE, &["CreateGrant", "Decrypt"], None));
    let with = |operations: &[&str]| {
        let values = operations.iter().map(|name| Arc::from(*name)).collect();
        Context::default().with("kms:GrantOperations", strongroom_posture::evaluate::Given::Values(values))
    };
    let ask = |operations: &[&str]| decide(&setting, session(ROLE), "kms:CreateGrant", with(operations));
    assert_eq!(ask(&["Decrypt"]), Decision::Allowed);
    assert_eq!(ask(&["CreateGrant", "Decrypt"]), Decision::Allowed);
    assert!(is_denied(&ask(&["Encrypt"])));
    assert!(is_denied(&ask(&["Decrypt", "Encrypt"])));
    let without = Setting::new(&[], &[]).granting(grant(ROLE, &["Decrypt"], None));
    assert!(is_denied(&decide(&without, session(ROLE), "kms:CreateGrant", with(&["Decrypt"]))));
}

// https://docs.aws.amazon.com/kms/latest/developerguide/create-grant-overview.html#grant-creategrant: constrained as
// strictly, or more so.
#[test]
fn a_grant_made_from_a_constrained_grant_is_constrained_too() {
    let ask = |parent: Constraints, kind: Option<&str>| {
        let setting = Setting::new(&[], &[]).granting(grant(ROLE, &["CreateGrant", "Decrypt"], Some(parent)));
        let context = Context::default().value("kms:GrantOperations", "Decrypt");
        let context = match kind {
            Some(kind) => context.value("kms:GrantConstraintType", kind),
            None => context.absent("kms:GrantConstraintType"),
        };
        decide(&setting, session(ROLE), "kms:CreateGrant", context).may_allow()
    };
    let subset = || Constraints { subset: pairs(&[("a", "b")]), ..Constraints::default() };
    let equals = || Constraints { equals: pairs(&[("a", "b")]), ..Constraints::default() };
    assert!(ask(subset(), Some("EncryptionContextSubset")));
    assert!(ask(subset(), Some("EncryptionContextEquals")));
    assert!(ask(equals(), Some("EncryptionContextEquals")));
    assert!(!ask(equals(), Some("EncryptionContextSubset")));
    assert!(!ask(subset(), None) && !ask(equals(), None));
    assert!(ask(Constraints::default(), None));
}

// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-grant-operations
#[test]
fn a_policy_limits_which_operations_a_grant_may_hold() {
    let condition =
        r#","Condition":{"ForAllValues:StringEquals":{"kms:GrantOperations":["Decrypt","DescribeKey"]}}"#;
    let setting = Setting::new(&[&allow(&aws(ROLE), "kms:CreateGrant", condition)], &[]);
    let ask = |operations: &[&str]| {
        let values = operations.iter().map(|name| Arc::from(*name)).collect();
        let context = Context::default()
            .with("kms:GrantOperations", strongroom_posture::evaluate::Given::Values(values));
        decide(&setting, session(ROLE), "kms:CreateGrant", context)
    };
    assert_eq!(ask(&["Decrypt"]), Decision::Allowed);
    assert!(is_denied(&ask(&["Decrypt", "GenerateDataKey"])));
}

// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-grantee-principal
#[test]
fn a_policy_limits_to_whom_a_grant_may_be_given() {
    let condition = format!(r#","Condition":{{"StringEquals":{{"kms:GranteePrincipal":"{OTHER}"}}}}"#);
    let setting = Setting::new(&[&allow(&aws(ROLE), "kms:CreateGrant", &condition)], &[]);
    let ask = |context: Context| decide(&setting, session(ROLE), "kms:CreateGrant", context);
    assert!(matches!(ask(Context::default()), Decision::AllowedIf(_)), "who asks chooses the grantee");
    assert_eq!(ask(Context::default().value("kms:GranteePrincipal", OTHER)), Decision::Allowed);
    assert!(is_denied(&ask(Context::default().value("kms:GranteePrincipal", USER))));
}

// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-grant-is-for-aws-resource
#[test]
fn grants_for_aws_resources_are_made_through_their_services_alone() {
    let condition = r#","Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}"#;
    let setting = Setting::new(&[&allow(&aws(ROLE), "kms:*", condition)], &[]);
    let ask = |action: &str, context: Context| decide(&setting, session(ROLE), action, context);
    for action in ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"] {
        assert!(is_denied(&ask(action, Context::default())), "{action}");
        assert!(ask(action, Context::default().through("ec2")).may_allow(), "{action}");
    }
    assert!(
        is_denied(&ask("kms:Decrypt", Context::default().through("ec2"))),
        "no other operation has the key"
    );
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_RetireGrant.html
#[test]
fn a_grant_is_retired_by_whom_it_names_by_its_grantee_with_the_operation_or_by_its_account() {
    let retire = allow("", "kms:RetireGrant", "");
    let mut granted = grant(OTHER, &["Decrypt"], None);
    granted.retiring = Some(USER.into());
    let by_name = Setting::new(&[], &[]).granting(granted.clone());
    assert_eq!(by_name.ask(alice(), "kms:RetireGrant"), Decision::Allowed);
    assert!(is_denied(&by_name.ask(session(OTHER), "kms:RetireGrant")));
    let by_grantee = Setting::new(&[], &[]).granting(grant(OTHER, &["Decrypt", "RetireGrant"], None));
    assert_eq!(by_grantee.ask(session(OTHER), "kms:RetireGrant"), Decision::Allowed);
    let by_account = Setting::new(&[], &[&retire]).granting(granted);
    assert_eq!(by_account.ask(session(ROLE), "kms:RetireGrant"), Decision::Allowed, "of the issuing account");
    assert!(is_denied(&by_account.ask(session(OTHER), "kms:RetireGrant")));
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_RetireGrant.html: one grant is named.
#[test]
fn the_right_to_retire_one_grant_is_none_to_retire_another() {
    let mut mine = grant(OTHER, &["Decrypt"], None);
    mine.retiring = Some(USER.into());
    let mut theirs = grant(OTHER, &["Decrypt"], None);
    theirs.id = "g-2".into();
    let setting = Setting::new(&[], &[]).granting(mine).granting(theirs);
    let ask = |grant: &str| {
        let mut request = Request::new(alice(), "kms:RetireGrant", KEY);
        request.grant = Some(grant.into());
        setting.decide(&request)
    };
    assert_eq!(ask("g-1"), Decision::Allowed);
    assert!(is_denied(&ask("g-2")));
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_RevokeGrant.html: revoking follows policies as usual.
#[test]
fn a_grant_is_revoked_by_policies_and_across_accounts() {
    let key = [allow(ROOT, "kms:RevokeGrant", ""), allow(&aws(OTHER), "kms:RevokeGrant", "")];
    let setting = Setting::new(&[&key[0], &key[1]], &[&allow("", "kms:RevokeGrant", "")]);
    assert_eq!(setting.ask(alice(), "kms:RevokeGrant"), Decision::Allowed);
    assert_eq!(setting.ask(session(OTHER), "kms:RevokeGrant"), Decision::Allowed);
    let granted = Setting::new(&[], &[]).granting(grant(ROLE, &["RevokeGrant"], None));
    assert!(is_denied(&granted.ask(session(ROLE), "kms:RevokeGrant")), "no grant can hold it");
}

// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html: a grant never gives
// another account what does not work across accounts, and DescribeKey, GetPublicKey are no exception to needing one.
#[test]
fn unread_grants_prove_nothing() {
    let mut setting = Setting::new(&[], &[]);
    setting.key().grants = None;
    assert!(matches!(setting.ask(session(ROLE), "kms:Decrypt"), Decision::Unknown(_)));
    assert!(is_denied(&setting.ask(session(ROLE), "kms:ScheduleKeyDeletion")), "no grant can hold it");
}
