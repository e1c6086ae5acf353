//! Properties that hold for every policy.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn statement(principal: bool) -> impl Strategy<Value = String> {
    let who = select(vec![aws("*"), aws(ROLE), aws(USER), aws("arn:aws:iam::111122223333:root"), aws(OTHER)]);
    let action = select(vec!["*", "kms:*", "kms:Decrypt", "kms:PutKeyPolicy", "s3:*"]);
    let condition = select(vec![
        "",
        r#","Condition":{"StringEquals":{"kms:EncryptionContext:a":"x"}}"#,
        r#","Condition":{"StringNotEquals":{"kms:EncryptionContext:a":"x"}}"#,
        r#","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}"#,
        r#","Condition":{"StringEqualsIfExists":{"aws:PrincipalTag/a":"x"}}"#,
    ]);
    (who, action, condition, any::<bool>()).prop_map(move |(who, action, condition, allows)| {
        let who = if principal { who } else { String::new() };
        if allows { allow(&who, action, condition) } else { deny(&who, action, condition) }
    })
}

/// How much access an answer gives: none, nobody knows, some, all.
fn access(decision: &Decision) -> u8 {
    match decision {
        Decision::Denied(_) => 0,
        Decision::Unknown(_) => 1,
        Decision::AllowedIf(_) => 2,
        Decision::Allowed => 3,
    }
}

fn setting(key: &[String], identity: &[String]) -> Setting {
    let refs =
        |texts: &[String]| texts.iter().map(|text| Box::from(text.as_str())).collect::<Vec<Box<str>>>();
    let (key, identity) = (refs(key), refs(identity));
    let key: Vec<&str> = key.iter().map(|text| &**text).collect();
    let identity: Vec<&str> = identity.iter().map(|text| &**text).collect();
    Setting::new(&key, &identity)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_denial_adds_no_access_order_does_not_matter_and_gaps_prove_nothing(
        key in prop::collection::vec(statement(true), 0..4),
        identity in prop::collection::vec(statement(false), 0..4),
        more in statement(true),
        who in 0..3usize,
        action in select(vec!["kms:Decrypt", "kms:PutKeyPolicy"]),
    ) {
        let who = [alice(), session(ROLE), session(OTHER)][who].clone();
        let answer = setting(&key, &identity).ask(who.clone(), action);

        let mut denied = key.clone();
        denied.push(more.replace("\"Allow\"", "\"Deny\""));
        prop_assert!(access(&setting(&denied, &identity).ask(who.clone(), action)) <= access(&answer));

        let (mut backwards, mut forwards) = (key.clone(), identity.clone());
        backwards.reverse();
        forwards.reverse();
        prop_assert_eq!(&setting(&backwards, &forwards).ask(who.clone(), action), &answer);

        let mut partial = setting(&key, &identity);
        partial.key().policies.clear();
        let unproven = partial.ask(who.clone(), action);
        prop_assert!(unproven != Decision::Allowed);
        if access(&answer) >= 2 {
            prop_assert!(!is_denied(&unproven));
        }
    }

    #[test]
    fn no_text_makes_the_evaluator_panic(garbage in "[\\[\\]{}:,\"a-zA-Z*?$ ]{0,80}") {
        let mut setting = Setting::new(&[], &[]);
        setting.key().policies.insert("default".into(), text(&garbage));
        let decision = setting.ask(alice(), "kms:Decrypt");
        prop_assert!(decision != Decision::Allowed);
    }
}
