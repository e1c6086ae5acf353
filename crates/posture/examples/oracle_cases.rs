//! Random requests with random policies, and our answers to them, for another evaluator to answer too.
//!
//! ```text
//! cargo run --release -p strongroom-posture --example oracle_cases -- CASES SEED > cases.jsonl
//! ```
//!
//! One JSON object on a line: the request and its policies in the form that `tools/posture-oracle` hands to the other
//! evaluator, and our decision. The context of every request is whole: each key that a policy may name has a value or
//! is absent. On standard error stands how long our answers took. The same arguments give the same cases.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use strongroom_posture::estate::{
    AccountId, Bucket, Estate, Form, Key, KeyManager, KeyState, ManagedPolicy, Member, MemberState,
    NamedPolicy, Node, NodeKind, OrgPolicy, OrgPolicyKind, Organisation, Origin, PolicyText, PolicyVersion,
    Role, User,
};
use strongroom_posture::evaluate::{Decision, Denial, Evaluator, Given, Layer, Principal, Request};

const HOME: &str = "111122223333";
const AWAY: &str = "444455556666";
const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OBJECT: &str = "arn:aws:s3:::archive/2026/a";
const TAKEN: &str = "arn:aws:iam::111122223333:role/taken";
const ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// Numbers that look random (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }

    fn one_in(&mut self, most: usize) -> bool {
        self.below(most) == 0
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// Who may ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    User,
    Session,
    AwaySession,
    AwayUser,
    Root,
}

impl Who {
    fn account(self) -> &'static str {
        if matches!(self, Self::AwaySession | Self::AwayUser) { AWAY } else { HOME }
    }

    fn arn(self) -> String {
        let account = self.account();
        match self {
            Self::User | Self::AwayUser => format!("arn:aws:iam::{account}:user/alice"),
            Self::Session | Self::AwaySession => format!("arn:aws:sts::{account}:assumed-role/worker/s"),
            Self::Root => format!("arn:aws:iam::{account}:root"),
        }
    }

    fn identity(self) -> String {
        match self {
            Self::Session | Self::AwaySession => format!("arn:aws:iam::{}:role/worker", self.account()),
            _ => self.arn(),
        }
    }
}

/// A policy being made: which elements it may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Identity,
    Resource,
    Trust,
    Scp,
    Rcp,
    Endpoint,
}

const KMS: &[&str] = &[
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:CreateGrant",
    "kms:ScheduleKeyDeletion",
    "kms:PutKeyPolicy",
    "kms:DescribeKey",
    "kms:RetireGrant",
    "kms:DisableKey",
];
const S3: &[&str] = &["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"];

/// Everything about one request.
struct Case {
    who: Who,
    action: &'static str,
    resource: &'static str,
    context: BTreeMap<&'static str, Vec<&'static str>>,
    policies: BTreeMap<&'static str, Vec<String>>,
}

/// Keys that policies may name, with values that they may have in a request.
const KEYS: &[(&str, &[&str])] = &[
    ("aws:SourceIp", &["10.1.2.3", "192.0.2.7", "2001:db8::1"]),
    ("aws:MultiFactorAuthPresent", &["true", "false"]),
    ("aws:PrincipalTag/team", &["backup", "Backup", "web"]),
    ("aws:CurrentTime", &["2026-05-01T10:00:00Z", "2024-01-01T00:00:00Z"]),
    ("aws:SourceVpc", &["vpc-1a2b3c4d", "vpc-other"]),
    ("kms:EncryptionContext:app", &["vault", "Vault", "other"]),
    ("kms:EncryptionContextKeys", &["app", "purpose"]),
    ("kms:ScheduleKeyDeletionPendingWindowInDays", &["7", "30"]),
    ("kms:GrantOperations", &["Decrypt", "Encrypt", "DescribeKey"]),
    ("aws:PrincipalArn", &[]),
    ("aws:PrincipalAccount", &[]),
    ("aws:PrincipalOrgID", &[]),
];

fn condition(dice: &mut Dice) -> String {
    let (key, _) = dice.pick(KEYS);
    let not = dice.one_in(4);
    let if_exists = if dice.one_in(4) { "IfExists" } else { "" };
    if dice.one_in(8) {
        return format!(r#""Null":{{"{key}":"{}"}}"#, dice.pick(&["true", "false"]));
    }
    let (operator, values): (String, &[&str]) = match key {
        "aws:SourceIp" => {
            let name = if not { "NotIpAddress" } else { "IpAddress" };
            (format!("{name}{if_exists}"), &["10.0.0.0/8", "192.0.2.0/24", "10.1.2.3", "2001:db8::/32"])
        }
        "aws:MultiFactorAuthPresent" => (format!("Bool{if_exists}"), &["true", "false"]),
        "aws:CurrentTime" => {
            let name = dice.pick(&["DateLessThan", "DateGreaterThan", "DateLessThanEquals"]);
            (format!("{name}{if_exists}"), &["2025-01-01T00:00:00Z", "2026-05-01T10:00:00Z"])
        }
        "kms:ScheduleKeyDeletionPendingWindowInDays" => {
            let name = dice.pick(&["NumericLessThan", "NumericGreaterThanEquals", "NumericNotEquals"]);
            (format!("{name}{if_exists}"), &["7", "14", "30"])
        }
        "aws:PrincipalArn" => {
            let name = if not { "ArnNotLike" } else { "ArnLike" };
            let values = &[
                "arn:aws:iam::111122223333:role/worker",
                "arn:aws:iam::*:role/*",
                "arn:aws:iam::111122223333:user/*",
                "arn:aws:iam::444455556666:*",
            ];
            (format!("{name}{if_exists}"), values)
        }
        "kms:EncryptionContextKeys" | "kms:GrantOperations" => {
            let quantifier = dice.pick(&["ForAllValues", "ForAnyValue"]);
            let values = &["app", "purpose", "Decrypt", "DescribeKey", "Encrypt"];
            (format!("{quantifier}:String{}Equals", if not { "Not" } else { "" }), values)
        }
        _ => {
            let name = match (dice.below(3), not) {
                (0, false) => "StringEquals",
                (0, true) => "StringNotEquals",
                (1, false) => "StringLike",
                (1, true) => "StringNotLike",
                (_, false) => "StringEqualsIgnoreCase",
                (_, true) => "StringNotEqualsIgnoreCase",
            };
            let values = &[
                "backup",
                "va*",
                "Vault",
                "?ault",
                "vpc-1a2b3c4d",
                HOME,
                AWAY,
                "o-exampleorg",
                "o-other",
                "*",
                "${aws:PrincipalTag/team}",
                "${aws:PrincipalAccount}",
            ];
            (format!("{name}{if_exists}"), values)
        }
    };
    let first = dice.pick(values);
    let value = if dice.one_in(3) {
        format!(r#"["{first}","{}"]"#, dice.pick(values))
    } else {
        format!(r#""{first}""#)
    };
    format!(r#""{operator}":{{"{key}":{value}}}"#)
}

fn principal(dice: &mut Dice, denies: bool) -> String {
    let list = [
        "arn:aws:iam::111122223333:root",
        HOME,
        "arn:aws:iam::111122223333:role/worker",
        "arn:aws:iam::111122223333:user/alice",
        "arn:aws:sts::111122223333:assumed-role/worker/s",
        "arn:aws:sts::111122223333:assumed-role/worker/t",
        "arn:aws:iam::444455556666:root",
        "arn:aws:iam::444455556666:role/worker",
        "arn:aws:sts::444455556666:assumed-role/worker/s",
        "arn:aws:iam::444455556666:user/alice",
        "*",
    ];
    if denies && dice.one_in(8) {
        // A session is excepted for certain only where it, its role and its account are named.
        return concat!(
            r#""NotPrincipal":{"AWS":["arn:aws:iam::111122223333:root","#,
            r#""arn:aws:iam::111122223333:role/worker","#,
            r#""arn:aws:sts::111122223333:assumed-role/worker/s"]}"#
        )
        .into();
    }
    match dice.below(4) {
        0 => r#""Principal":"*""#.into(),
        1 => format!(r#""Principal":{{"AWS":["{}","{}"]}}"#, dice.pick(&list[..10]), dice.pick(&list[..10])),
        _ => format!(r#""Principal":{{"AWS":"{}"}}"#, dice.pick(&list)),
    }
}

fn statement(dice: &mut Dice, sort: Sort, action: &str, resource: &str) -> String {
    let service = action.split(':').next().unwrap_or_default();
    let denies = match sort {
        Sort::Rcp => true,
        Sort::Scp | Sort::Identity | Sort::Endpoint => dice.one_in(4),
        Sort::Resource | Sort::Trust => dice.one_in(5),
    };
    let mut text = format!(r#"{{"Effect":"{}""#, if denies { "Deny" } else { "Allow" });
    match sort {
        Sort::Resource | Sort::Trust | Sort::Endpoint => {
            // Another principal than everybody is refused by the other evaluator.
            let who = if sort == Sort::Endpoint {
                r#""Principal":"*""#.into()
            } else {
                principal(dice, denies && sort == Sort::Resource)
            };
            let _ = write!(text, ",{who}");
        }
        Sort::Rcp => text.push_str(r#","Principal":"*""#),
        Sort::Identity | Sort::Scp => {}
    }
    let others = match service {
        "kms" => KMS,
        "s3" => S3,
        _ => &["sts:AssumeRole", "sts:TagSession"],
    };
    let pattern = match dice.below(7) {
        0 | 1 => format!("{service}:*"),
        2 if sort != Sort::Rcp && sort != Sort::Trust => "*".into(),
        3 => dice.pick(others).into(),
        4 => {
            let name = action.split(':').nth(1).unwrap_or_default();
            format!("{service}:{}*", &name[..3.min(name.len())])
        }
        5 => action.to_ascii_uppercase().replacen(&service.to_ascii_uppercase(), service, 1),
        _ => action.to_owned(),
    };
    let element =
        if dice.one_in(10) && !matches!(sort, Sort::Rcp | Sort::Trust) { "NotAction" } else { "Action" };
    let _ = write!(text, r#","{element}":"{pattern}""#);
    if sort != Sort::Trust {
        let pattern = match dice.below(6) {
            0 => resource.to_owned(),
            1 if resource == OBJECT => "arn:aws:s3:::archive/*".into(),
            1 if resource == KEY => "arn:aws:kms:*:111122223333:key/*".into(),
            2 if resource == OBJECT => "arn:aws:s3:::archive/${aws:PrincipalTag/team}/*".into(),
            3 => "arn:aws:kms:us-east-1:111122223333:key/*".into(),
            _ => "*".into(),
        };
        let element = if dice.one_in(12) && sort != Sort::Rcp { "NotResource" } else { "Resource" };
        let _ = write!(text, r#","{element}":"{pattern}""#);
    }
    if dice.one_in(3) {
        let mut conditions = BTreeMap::new();
        for _ in 0..=dice.below(2) {
            let one = condition(dice);
            let operator =
                one.split(':').take(if one.starts_with("\"For") { 2 } else { 1 }).collect::<String>();
            conditions.insert(operator, one);
        }
        let list: Vec<String> = conditions.into_values().collect();
        let _ = write!(text, r#","Condition":{{{}}}"#, list.join(","));
    }
    text.push('}');
    text
}

fn policy(dice: &mut Dice, sort: Sort, most: usize, action: &str, resource: &str) -> String {
    let count = 1 + dice.below(most);
    let list: Vec<String> = (0..count).map(|_| statement(dice, sort, action, resource)).collect();
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, list.join(","))
}

fn case(dice: &mut Dice) -> Case {
    let who = match dice.below(12) {
        0..=3 => Who::Session,
        4..=6 => Who::User,
        7..=8 => Who::AwaySession,
        9..=10 => Who::AwayUser,
        _ => Who::Root,
    };
    let (action, resource) = match dice.below(8) {
        0..=4 => (dice.pick(KMS), KEY),
        5..=6 => (dice.pick(S3), OBJECT),
        _ => ("sts:AssumeRole", TAKEN),
    };
    let mut context = BTreeMap::new();
    for (key, values) in KEYS.iter().filter(|(_, values)| !values.is_empty()) {
        if dice.one_in(2) {
            continue;
        }
        let several = matches!(*key, "kms:EncryptionContextKeys" | "kms:GrantOperations");
        let mut chosen = vec![dice.pick(values)];
        if several && dice.one_in(2) {
            chosen.push(dice.pick(values));
            chosen.sort_unstable();
            chosen.dedup();
        }
        context.insert(*key, chosen);
    }
    let mut policies = BTreeMap::new();
    let mut put = |name: &'static str, texts: Vec<String>| policies.insert(name, texts);
    let sort = if resource == TAKEN { Sort::Trust } else { Sort::Resource };
    if resource != OBJECT || !dice.one_in(3) {
        put("resource", vec![policy(dice, sort, 3, action, resource)]);
    }
    if who != Who::Root {
        let count = dice.below(3);
        put("identity", (0..count).map(|_| policy(dice, Sort::Identity, 3, action, resource)).collect());
        if dice.one_in(4) {
            put("boundary", vec![policy(dice, Sort::Identity, 2, action, resource)]);
        }
    }
    if matches!(who, Who::Session | Who::AwaySession) && dice.one_in(4) {
        put("session", vec![policy(dice, Sort::Identity, 2, action, resource)]);
    }
    if dice.one_in(8) {
        put("endpoint", vec![policy(dice, Sort::Endpoint, 2, action, resource)]);
    }
    for name in ["scp-root", "scp-account"] {
        let own = dice.one_in(3);
        let mut texts = if own && dice.one_in(2) { Vec::new() } else { vec![ALL.to_owned()] };
        if own {
            texts.push(policy(dice, Sort::Scp, 2, action, resource));
        }
        put(name, texts);
    }
    if dice.one_in(4) {
        put("rcp", vec![policy(dice, Sort::Rcp, 2, action, resource)]);
    }
    Case { who, action, resource, context, policies }
}

fn text_of(text: &str) -> PolicyText {
    let origin = Origin { file: "case.json".into(), line: 1 };
    PolicyText { text: text.into(), origin, form: Form::Object }
}

fn account(number: &str) -> Result<AccountId, Box<dyn Error>> {
    number.parse().map_err(|_| format!("{number} is no account").into())
}

fn role(arn: &str, name: &str, inline: Vec<NamedPolicy>) -> Role {
    Role {
        arn: arn.into(),
        name: name.into(),
        path: "/".into(),
        id: "AROAEXAMPLE".into(),
        trust: text_of(r#"{"Version":"2012-10-17","Statement":[]}"#),
        inline,
        attached: Vec::new(),
        boundary: None,
        tags: Vec::new(),
        created: None,
        last_used: None,
    }
}

impl Case {
    fn texts(&self, name: &str) -> &[String] {
        self.policies.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// An organisation with two accounts, in which the policies of the case hang where they belong.
    fn estate(&self) -> Result<Estate, Box<dyn Error>> {
        let mut estate = Estate::default();
        for number in [HOME, AWAY] {
            estate.accounts.entry(account(number)?).or_default();
        }
        let own = account(self.who.account())?;
        let held = estate.accounts.entry(own).or_default();
        let inline: Vec<NamedPolicy> = self
            .texts("identity")
            .iter()
            .enumerate()
            .map(|(at, text)| NamedPolicy { name: format!("own-{at}").into(), document: text_of(text) })
            .collect();
        let boundary = self.texts("boundary").first().map(|text| {
            let arn: Arc<str> = format!("arn:aws:iam::{}:policy/edge", self.who.account()).into();
            let version = PolicyVersion { id: "v1".into(), document: text_of(text) };
            let policy = ManagedPolicy {
                arn: Arc::clone(&arn),
                name: "edge".into(),
                path: "/".into(),
                id: None,
                default_version: "v1".into(),
                versions: vec![version],
            };
            held.policies.insert(Arc::clone(&arn), policy);
            arn
        });
        match self.who {
            Who::Session | Who::AwaySession => {
                let mut worker = role(&self.who.identity(), "worker", inline);
                worker.boundary = boundary;
                held.roles.insert("worker".into(), worker);
            }
            Who::User | Who::AwayUser => {
                let user = User {
                    arn: self.who.identity().into(),
                    name: "alice".into(),
                    path: "/".into(),
                    id: "AIDAEXAMPLE".into(),
                    groups: Vec::new(),
                    inline,
                    attached: Vec::new(),
                    boundary,
                    tags: self.tags(),
                    created: None,
                };
                held.users.insert("alice".into(), user);
            }
            Who::Root => {}
        }
        let home = estate.accounts.entry(account(HOME)?).or_default();
        let resource = self.texts("resource").first().map(|text| text_of(text));
        match (self.resource, resource) {
            (KEY, Some(policy)) => {
                home.keys.insert(KEY.into(), key(account(HOME)?, policy));
            }
            (TAKEN, Some(trust)) => {
                home.roles.insert("taken".into(), Role { trust, ..role(TAKEN, "taken", Vec::new()) });
            }
            (_, policy) => {
                let bucket = Bucket { name: "archive".into(), policy: Some(policy), ..Bucket::default() };
                home.buckets.insert("archive".into(), bucket);
            }
        }
        estate.organisations.insert("o-exampleorg".into(), self.organisation(own)?);
        Ok(estate)
    }

    fn organisation(&self, of_principal: AccountId) -> Result<Organisation, Box<dyn Error>> {
        let mut organisation = Organisation {
            id: "o-exampleorg".into(),
            management: Some(account("999999999999")?),
            feature_set: Some("ALL".into()),
            ..Organisation::default()
        };
        let mut hang = |name: &str, kind: OrgPolicyKind, texts: &[String]| -> Vec<Arc<str>> {
            let mut ids = Vec::new();
            for (at, text) in texts.iter().enumerate() {
                let id: Arc<str> = format!("p-{name}-{at}").into();
                let policy = OrgPolicy {
                    id: Arc::clone(&id),
                    kind: kind.clone(),
                    name: None,
                    arn: None,
                    aws_managed: false,
                    document: Some(text_of(text)),
                };
                organisation.policies.insert(Arc::clone(&id), policy);
                ids.push(id);
            }
            ids
        };
        let everything = [ALL.to_owned()];
        let root_scps = hang("root", OrgPolicyKind::Scp, self.texts("scp-root"));
        let own_scps = hang("own", OrgPolicyKind::Scp, self.texts("scp-account"));
        let full = hang("full", OrgPolicyKind::Scp, &everything);
        let mut rcps = hang("rcp", OrgPolicyKind::Rcp, self.texts("rcp"));
        rcps.push("p-RCPFullAWSAccess".into());
        let none = vec![Arc::from("p-RCPFullAWSAccess")];
        let root = Node {
            id: "r-root".into(),
            kind: NodeKind::Root,
            name: None,
            arn: None,
            parent: None,
            scps: Some(root_scps),
            rcps: Some(none.clone()),
            policy_types: Vec::new(),
        };
        organisation.nodes.insert("r-root".into(), root);
        for number in [HOME, AWAY] {
            let id = account(number)?;
            let member = Member {
                id,
                name: None,
                email: None,
                state: MemberState::Active,
                joined: None,
                parent: Some("r-root".into()),
                scps: Some(if id == of_principal { own_scps.clone() } else { full.clone() }),
                rcps: Some(if number == HOME { rcps.clone() } else { none.clone() }),
            };
            organisation.members.insert(id, member);
        }
        Ok(organisation)
    }

    fn tags(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let team = self.context.get("aws:PrincipalTag/team").and_then(|values| values.first());
        team.map(|team| ("team".into(), (*team).into())).into_iter().collect()
    }

    fn request(&self) -> Result<Request, Box<dyn Error>> {
        let who = match self.who {
            Who::User | Who::AwayUser => Principal::User(self.who.arn().into()),
            Who::Session | Who::AwaySession => {
                Principal::Role { role: self.who.identity().into(), session: Some("s".into()) }
            }
            Who::Root => Principal::Root(account(HOME)?),
        };
        let mut request = Request::new(who, self.action, self.resource);
        request.context.session_tags = Some(self.tags());
        for (key, values) in KEYS.iter().filter(|(_, values)| !values.is_empty()) {
            // Tags of principals follow from the estate and the session. Root has none.
            if *key == "aws:PrincipalTag/team" || values.is_empty() {
                continue;
            }
            let given = match self.context.get(key) {
                Some(values) => Given::Values(values.iter().map(|value| Arc::from(*value)).collect()),
                None => Given::Absent,
            };
            // What an operation does not have it does not have whatever is given.
            let kms = key.starts_with("kms:");
            if !kms || has(self.action, key) {
                request.context = request.context.with(key, given);
            }
        }
        request.session_policies = self.texts("session").iter().map(|text| text_of(text)).collect();
        request.endpoint_policy = self.texts("endpoint").first().map(|text| text_of(text));
        Ok(request)
    }

    /// Where the other evaluator is known to depart from AWS's documents: see docs/posture-waivers.md.
    fn marks(&self) -> Vec<&'static str> {
        let mut marks = Vec::new();
        let away = self.who.account() == AWAY;
        let works =
            ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"];
        if self.resource == KEY && away && !works.contains(&self.action) {
            marks.push("operation-across-accounts");
        }
        if self.who == Who::Root {
            marks.push("root-user");
        }
        if self.action == "kms:RetireGrant" {
            marks.push("retire-grant");
        }
        let named = |arn: &str| self.texts("resource").iter().any(|text| text.contains(arn));
        if matches!(self.who, Who::Session | Who::AwaySession) && named(&self.who.arn()) {
            marks.push("session-named");
        }
        let says = |what: &str| self.policies.values().flatten().any(|text| text.contains(what));
        if self.context.contains_key("kms:EncryptionContext:app") && says("kms:EncryptionContext:app") {
            marks.push("encryption-context");
        }
        let six = self.context.get("aws:SourceIp").is_some_and(|values| values[0].contains(':'));
        if six && says("NotIpAddress") {
            marks.push("address-families");
        }
        if self.who == Who::Root && self.resource == TAKEN {
            marks.push("root-takes-role");
        }
        marks
    }

    /// The line for the other evaluator.
    fn line(&self, number: usize, ours: &str) -> String {
        let mut out = format!(r#"{{"case":{number},"ours":"{ours}","marks":["#);
        for (at, mark) in self.marks().iter().enumerate() {
            let _ = write!(out, "{}\"{mark}\"", if at > 0 { "," } else { "" });
        }
        let _ = write!(
            out,
            r#"],"simulation":{{"request":{{"principal":"{}","action":"{}","resource":{{"resource":"{}","accountId":"{HOME}"}},"contextVariables":{{"#,
            self.who.arn(),
            self.action,
            self.resource
        );
        let _ = write!(
            out,
            r#""aws:PrincipalArn":"{}","aws:PrincipalAccount":"{}","aws:PrincipalOrgID":"o-exampleorg""#,
            self.who.identity(),
            self.who.account()
        );
        for (key, values) in &self.context {
            if *key == "aws:PrincipalTag/team" && self.who == Who::Root {
                continue;
            }
            let several = matches!(*key, "kms:EncryptionContextKeys" | "kms:GrantOperations");
            let list: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
            let value = if several { format!("[{}]", list.join(",")) } else { list.join(",") };
            let _ = write!(out, r#","{key}":{value}"#);
        }
        out.push_str("}}");
        let named = |texts: &[String]| {
            let list: Vec<String> = texts
                .iter()
                .enumerate()
                .map(|(at, text)| format!(r#"{{"name":"p{at}","policy":{text}}}"#))
                .collect();
            format!("[{}]", list.join(","))
        };
        let _ = write!(out, r#","identityPolicies":{}"#, named(self.texts("identity")));
        let _ = write!(
            out,
            r#","serviceControlPolicies":[{{"orgIdentifier":"r-root","policies":{}}},{{"orgIdentifier":"own","policies":{}}}]"#,
            named(self.texts("scp-root")),
            named(self.texts("scp-account"))
        );
        let _ = write!(
            out,
            r#","resourceControlPolicies":[{{"orgIdentifier":"own","policies":{}}}]"#,
            named(self.texts("rcp"))
        );
        if let Some(text) = self.texts("resource").first() {
            let _ = write!(out, r#","resourcePolicy":{text}"#);
        }
        for (field, name) in [("permissionBoundaryPolicies", "boundary"), ("vpcEndpointPolicies", "endpoint")]
        {
            if !self.texts(name).is_empty() {
                let _ = write!(out, r#","{field}":{}"#, named(self.texts(name)));
            }
        }
        if let Some(text) = self.texts("session").first() {
            let _ = write!(out, r#","sessionPolicy":{text}"#);
        }
        out.push_str("}}");
        out
    }
}

/// Whether requests for an action have a key of KMS.
fn has(action: &str, key: &str) -> bool {
    match key {
        "kms:ScheduleKeyDeletionPendingWindowInDays" => action == "kms:ScheduleKeyDeletion",
        "kms:GrantOperations" => action == "kms:CreateGrant",
        _ => ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:CreateGrant"].contains(&action),
    }
}

fn key(account: AccountId, policy: PolicyText) -> Key {
    Key {
        arn: KEY.into(),
        id: "1234abcd-12ab-34cd-56ef-1234567890ab".into(),
        account,
        region: "eu-west-1".into(),
        state: Some(KeyState::Enabled),
        origin: None,
        manager: Some(KeyManager::Customer),
        spec: Some("SYMMETRIC_DEFAULT".into()),
        usage: Some("ENCRYPT_DECRYPT".into()),
        description: None,
        created: None,
        deletion: None,
        pending_window_days: None,
        material_expires: None,
        key_store: None,
        multi_region: None,
        tags: Some(Vec::new()),
        rotation: None,
        policies: [(Arc::from("default"), policy)].into(),
        policy_names: Some(vec!["default".into()]),
        grants: Some(Vec::new()),
        aliases: Some(Vec::new()),
    }
}

fn word(decision: &Decision) -> String {
    match decision {
        Decision::Allowed => "Allowed".into(),
        Decision::Denied(Denial::Explicit(_)) => "ExplicitlyDenied".into(),
        Decision::Denied(Denial::Implicit(Layer::Operation)) => "ImplicitlyDenied operation".into(),
        Decision::Denied(_) => "ImplicitlyDenied".into(),
        Decision::AllowedIf(residual) => format!("AllowedIf {}", residual.when).replace('"', "'"),
        Decision::Unknown(missing) => {
            let what: Vec<String> = missing.iter().map(ToString::to_string).collect();
            format!("Unknown {}", what.join("; ")).replace('"', "'")
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let usage = "usage: oracle_cases CASES SEED";
    let count: usize = arguments.next().ok_or(usage)?.parse()?;
    let mut dice = Dice(arguments.next().ok_or(usage)?.parse()?);
    let mut out = BufWriter::new(io::stdout().lock());
    let (mut compiling, mut deciding) = (Duration::ZERO, Duration::ZERO);
    for number in 0..count {
        let case = case(&mut dice);
        let (estate, request) = (case.estate()?, case.request()?);
        let start = Instant::now();
        let evaluator = Evaluator::new(&estate);
        let compiled = start.elapsed();
        let decision = evaluator.decide(&request);
        let decided = start.elapsed();
        compiling += compiled;
        deciding += decided - compiled;
        writeln!(out, "{}", case.line(number, &word(&decision)))?;
    }
    out.flush()?;
    let rate = |time: Duration| count as f64 / time.as_secs_f64();
    writeln!(
        io::stderr(),
        "ours: {:.0} decisions/s with compiling the policies of each, {:.0} once they are compiled",
        rate(compiling + deciding),
        rate(deciding)
    )?;
    Ok(())
}
