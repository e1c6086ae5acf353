//! What AWS says of an organisation: documents, policies, and everything that is worked out of them.

use std::sync::Arc;
use strongroom_posture::{
    analysis::{Analysis, Subject},
    estate::Estate,
    evaluate::{Evaluator, Principal, Request},
    fixes,
    load::{Limits, load_documents},
};

const KEY: &str = "arn:aws:kms:eu-west-1:200000000002:key/1a2b3c4d-0001-4001-8001-000000000001";
const ROLE: &str = "arn:aws:iam::200000000002:role/break-glass";

/// Documents as the AWS CLI prints them: identities, a key's policy, its grants, a control policy.
pub(super) const SEEDS: [&[u8]; 5] = [
    include_bytes!("../../../../examples/organisation/200000000002/global/iam/get-account-authorization-details.json"),
    include_bytes!(
        "../../../../examples/organisation/200000000002/eu-west-1/kms/1a2b3c4d-0001-4001-8001-000000000001/get-key-policy.default.json"
    ),
    include_bytes!("../../../../examples/organisation/100000000001/organizations/describe-organization.json"),
    include_bytes!("../../../../examples/organisation/100000000001/organizations/policies/p-keyguard.json"),
    br#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","NotPrincipal":{"AWS":"*"},"NotAction":"kms:*","Resource":"*","Condition":{"ForAllValues:StringLikeIfExists":{"aws:PrincipalTag/${aws:username}":["a*","?"]},"NumericLessThan":{"aws:MultiFactorAuthAge":"3600"}}}]}"#,
];

fn with(more: Vec<(String, Vec<u8>)>) -> Estate {
    let name = |number: usize| format!("200000000002/eu-west-1/{number}.json");
    let mut documents: Vec<_> =
        (0..).zip(&SEEDS[..3]).map(|(number, seed)| (name(number), seed.to_vec())).collect();
    documents.extend(more);
    load_documents(documents, &Limits::default())
}

/// A document among others: everything that is told of them.
pub fn posture_documents(bytes: &[u8]) {
    let estate = with(vec![("200000000002/eu-west-1/any.json".into(), bytes.to_vec())]);
    let analysis = Analysis::of(&estate, &Subject::default());
    let _ = (analysis.to_text(), analysis.to_page(), analysis.to_sarif(), analysis.to_threat_model());
    if bytes.len() < 4096 {
        let found = fixes::find(&estate, &Subject::default(), &[]);
        assert!(found.broken.is_empty(), "a fix denies what it must not");
    }
}

/// A policy of a key. Where one more statement denies everything, nobody may do anything.
///
/// # Panics
/// Where somebody may.
pub fn posture_policy(bytes: &[u8]) {
    let policy = String::from_utf8_lossy(bytes);
    let decide = |policy: &str| {
        let mut estate = with(Vec::new());
        let account = estate.accounts.values_mut().find(|account| account.keys.contains_key(KEY));
        let text = account
            .and_then(|account| account.keys.get_mut(KEY))
            .and_then(|key| key.policies.get_mut("default"));
        if let Some(text) = text {
            text.text = Arc::from(policy);
        }
        let evaluator = Evaluator::new(&estate);
        let request =
            |action| Request::new(Principal::Role { role: ROLE.into(), session: None }, action, KEY);
        ["kms:Decrypt", "kms:ScheduleKeyDeletion"].map(|action| evaluator.decide(&request(action)))
    };
    let _ = decide(&policy);
    let Ok(mut parsed) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let Some(statements) = parsed.get_mut("Statement").and_then(|list| list.as_array_mut()) else { return };
    statements.push(serde_json::json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}));
    for decision in decide(&parsed.to_string()) {
        let sure = matches!(
            decision,
            strongroom_posture::evaluate::Decision::Allowed
                | strongroom_posture::evaluate::Decision::AllowedIf(_)
        );
        assert!(!sure, "allowed against a denial of everything");
    }
}
