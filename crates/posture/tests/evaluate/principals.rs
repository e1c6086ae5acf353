//! Sessions, endpoints, services and federated users.

use strongroom_posture::conditions::Source;
use strongroom_posture::evaluate::Residual;

use super::*;

const ROOT: &str = r#"{"AWS":"arn:aws:iam::111122223333:root"}"#;
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/worker/s";

fn in_session(principal: Principal, statements: &[&str]) -> Request {
    let mut request = Request::new(principal, "kms:Decrypt", KEY);
    request.session_policies = vec![policy(statements)];
    request
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session
#[test]
fn a_session_policy_takes_away_and_never_adds() {
    let decrypt = allow("", "kms:Decrypt", "");
    let encrypt = allow("", "kms:Encrypt", "");
    let delegated = Setting::new(&[&allow(ROOT, "kms:*", "")], &[&decrypt]);
    assert_eq!(delegated.decide(&in_session(session(ROLE), &[&decrypt])), Decision::Allowed);
    assert_eq!(
        delegated.decide(&in_session(session(ROLE), &[&encrypt])),
        Decision::Denied(Denial::Implicit(Layer::Session))
    );
    let nothing = Setting::new(&[&allow(ROOT, "kms:*", "")], &[]);
    assert!(is_denied(&nothing.decide(&in_session(session(ROLE), &[&decrypt]))));
    let refuse = deny("", "kms:Decrypt", "");
    assert_eq!(delegated.decide(&in_session(session(ROLE), &[&decrypt, &refuse])), explicit(Layer::Session));
    let mut two = in_session(session(ROLE), &[&encrypt]);
    two.session_policies.push(policy(&[&decrypt]));
    assert_eq!(delegated.decide(&two), Decision::Allowed, "each of several adds to what the others allow");
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html
#[test]
fn a_policy_that_names_the_session_is_not_limited_by_its_session_policy() {
    let encrypt = allow("", "kms:Encrypt", "");
    let to_session = Setting::new(&[&allow(&aws(SESSION), "kms:Decrypt", "")], &[]);
    assert_eq!(to_session.decide(&in_session(session(ROLE), &[&encrypt])), Decision::Allowed);
    let to_role = Setting::new(&[&allow(&aws(ROLE), "kms:Decrypt", "")], &[]);
    assert!(is_denied(&to_role.decide(&in_session(session(ROLE), &[&encrypt]))));
    let refuse = deny("", "kms:Decrypt", "");
    assert_eq!(
        to_session.decide(&in_session(session(ROLE), &[&encrypt, &refuse])),
        explicit(Layer::Session),
        "a denial counts however the session is named"
    );
}

// https://docs.aws.amazon.com/kms/latest/developerguide/vpce-policy.html
#[test]
fn the_policy_of_the_vpc_endpoint_has_to_allow_as_well() {
    let setting = Setting::new(&[&allow(ROOT, "kms:*", "")], &[&allow("", "kms:*", "")]);
    let through = |statements: &[&str]| {
        let mut request = Request::new(alice(), "kms:Decrypt", KEY);
        request.endpoint_policy = Some(policy(statements));
        setting.decide(&request)
    };
    assert_eq!(through(&[&allow(r#""*""#, "*", "")]), Decision::Allowed);
    assert_eq!(through(&[&allow(&aws(USER), "kms:Decrypt", "")]), Decision::Allowed);
    assert_eq!(
        through(&[&allow(&aws(ROLE), "kms:Decrypt", "")]),
        Decision::Denied(Denial::Implicit(Layer::Endpoint))
    );
    assert_eq!(
        through(&[&allow(r#""*""#, "*", ""), &deny(&aws(USER), "kms:*", "")]),
        explicit(Layer::Endpoint)
    );
    // It limits who has the key's own word, too.
    let named = Setting::new(&[&allow(&aws(USER), "kms:*", "")], &[]);
    let mut request = Request::new(alice(), "kms:Decrypt", KEY);
    request.endpoint_policy = Some(policy(&[&allow(r#""*""#, "kms:Encrypt", "")]));
    assert_eq!(named.decide(&request), Decision::Denied(Denial::Implicit(Layer::Endpoint)));
}

#[test]
fn what_is_wrong_with_policies_of_a_request_is_told() {
    let setting = Setting::new(&[&allow(ROOT, "kms:*", "")], &[]);
    let mut request = in_session(alice(), &[&allow("", "kms:Decript", "")]);
    request.endpoint_policy = Some(text("{"));
    let evaluator = Evaluator::new(&setting.estate);
    assert_eq!(evaluator.problems().count(), 0);
    let problems = evaluator.problems_of(&request);
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert_eq!(evaluator.explain(&request).problems, problems);
    let misspelt = Setting::new(&[&allow(ROOT, "kms:Decript", "")], &[&allow("", "kms:Encript", "")]);
    let plain = Request::new(alice(), "kms:Decrypt", KEY);
    let evaluator = Evaluator::for_request(&misspelt.estate, &plain);
    assert_eq!(
        evaluator.problems_of(&plain).len(),
        2,
        "of the key and of the user, not of the other account"
    );
    assert_eq!(evaluator.decide(&plain), Evaluator::new(&misspelt.estate).decide(&plain));
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-services
#[test]
fn a_service_acts_only_where_it_is_named() {
    let backup = Principal::Service("backup.amazonaws.com".into());
    let named = Setting::new(&[&allow(r#"{"Service":"backup.amazonaws.com"}"#, "kms:Decrypt", "")], &[]);
    assert_eq!(named.ask(backup.clone(), "kms:Decrypt"), Decision::Allowed);
    assert!(is_denied(&named.ask(backup.clone(), "kms:ScheduleKeyDeletion")));
    assert!(is_denied(&named.ask(Principal::Service("s3.amazonaws.com".into()), "kms:Decrypt")));
    assert!(is_denied(&named.ask(alice(), "kms:Decrypt")));
    // Service control policies do not bind services
    // (https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html).
    let bound = named.hang(A, OrgPolicyKind::Scp, &[&deny("", "kms:*", "")]);
    assert_eq!(bound.ask(backup.clone(), "kms:Decrypt"), Decision::Allowed);
    // Resource control policies do
    // (https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html).
    let rcp = bound.hang(A, OrgPolicyKind::Rcp, &[&deny(r#""*""#, "kms:*", "")]);
    assert_eq!(rcp.ask(backup, "kms:Decrypt"), explicit(Layer::Rcp));
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
#[test]
fn on_whose_behalf_a_service_acts_is_the_services_word() {
    let condition =
        r#","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:backup:*:111122223333:backup-vault:*"}}"#;
    let setting =
        Setting::new(&[&allow(r#"{"Service":"backup.amazonaws.com"}"#, "kms:Decrypt", condition)], &[]);
    let mut request = Request::new(Principal::Service("backup.amazonaws.com".into()), "kms:Decrypt", KEY);
    let Decision::AllowedIf(residual) = setting.decide(&request) else { panic!("it depends") };
    assert_eq!(residual.sources(), [Source::ServiceSupplied]);
    request.context =
        request.context.value("aws:SourceArn", "arn:aws:backup:eu-west-1:444455556666:backup-vault:main");
    assert!(is_denied(&setting.decide(&request)));
    request.context =
        request.context.value("aws:SourceArn", "arn:aws:backup:eu-west-1:111122223333:backup-vault:main");
    assert_eq!(setting.decide(&request), Decision::Allowed);
    // A direct call of a role has no such key.
    let to_role = Setting::new(&[&allow(&aws(ROLE), "kms:Decrypt", condition)], &[]);
    assert!(is_denied(&to_role.ask(session(ROLE), "kms:Decrypt")));
}

// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html
#[test]
fn a_federated_user_has_what_its_user_and_its_session_policy_both_allow() {
    let federated = || Principal::FederatedUser { user: USER.into(), name: "carol".into() };
    let decrypt = allow("", "kms:Decrypt", "");
    let setting = Setting::new(&[&allow(ROOT, "kms:*", "")], &[&decrypt]);
    assert_eq!(setting.decide(&in_session(federated(), &[&decrypt])), Decision::Allowed);
    assert!(is_denied(&setting.decide(&in_session(federated(), &[&allow("", "kms:Encrypt", "")]))));
    assert_eq!(
        setting.ask(federated(), "kms:Decrypt"),
        Decision::Denied(Denial::Implicit(Layer::Session)),
        "without a policy the session has no permissions of its own"
    );
    let named = aws("arn:aws:sts::111122223333:federated-user/carol");
    let by_key = Setting::new(&[&allow(&named, "kms:Decrypt", "")], &[]);
    assert_eq!(by_key.ask(federated(), "kms:Decrypt"), Decision::Allowed);
    let other = Principal::FederatedUser { user: USER.into(), name: "dave".into() };
    assert!(is_denied(&by_key.ask(other, "kms:Decrypt")));
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-anonymous
#[test]
fn without_credentials_only_what_everybody_may_is_allowed() {
    let open = Setting::new(&[&allow(r#""*""#, "kms:Decrypt", "")], &[]);
    assert_eq!(open.ask(Principal::Anonymous, "kms:Decrypt"), Decision::Allowed);
    let closed = Setting::new(&[&allow(ROOT, "kms:Decrypt", "")], &[]);
    assert!(is_denied(&closed.ask(Principal::Anonymous, "kms:Decrypt")));
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
#[test]
fn tags_of_a_session_are_chosen_by_who_takes_the_role_unless_they_are_known() {
    let condition = r#","Condition":{"StringEquals":{"aws:PrincipalTag/team":"backup"}}"#;
    let setting = Setting::new(&[&allow(&aws(ROLE), "kms:Decrypt", condition)], &[]);
    let Decision::AllowedIf(Residual { missing, .. }) = setting.ask(session(ROLE), "kms:Decrypt") else {
        panic!("who takes the role may tag the session")
    };
    assert!(missing.is_empty());
    let mut request = Request::new(session(ROLE), "kms:Decrypt", KEY);
    request.context.session_tags = Some(Vec::new());
    assert!(is_denied(&setting.decide(&request)));
    request.context.session_tags = Some(vec![("Team".into(), "backup".into())]);
    assert_eq!(setting.decide(&request), Decision::Allowed, "names of tags are compared without case");
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-no-value
#[test]
fn a_variable_without_a_value_equals_nothing() {
    let ask = |operator: &str, values: &str| {
        let rest = format!(r#","Condition":{{"{operator}":{{"aws:PrincipalAccount":{values}}}}}"#);
        Setting::new(&[&allow(&aws(USER), "kms:Decrypt", &rest)], &[]).ask(alice(), "kms:Decrypt")
    };
    let tag = r#""${aws:PrincipalTag/team}""#;
    assert!(is_denied(&ask("StringEquals", tag)));
    assert!(matches!(ask("StringNotEquals", tag), Decision::Unknown(_)));
    assert!(is_denied(&ask("StringNotEquals", &format!(r#"["111122223333",{tag}]"#))));
    assert_eq!(ask("StringEquals", &format!(r#"["111122223333",{tag}]"#)), Decision::Allowed);
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_IPAddress
#[test]
fn an_address_of_the_other_family_is_outside_of_a_range() {
    let rest = r#","Condition":{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#;
    let setting = Setting::new(&[&allow(&aws(USER), "kms:Decrypt", rest)], &[]);
    let mut request = Request::new(alice(), "kms:Decrypt", KEY);
    request.context = request.context.value("aws:SourceIp", "2001:db8::1");
    assert_eq!(setting.decide(&request), Decision::Allowed);
    request.context = request.context.value("aws:SourceIp", "10.1.2.3");
    assert!(is_denied(&setting.decide(&request)));
}
