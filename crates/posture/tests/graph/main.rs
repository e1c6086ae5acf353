//! The attack graph on small estates: each way alone, what closes it, and properties that no estate may break.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

mod example;
mod fixes;

use std::collections::BTreeSet;
use std::sync::Arc;

use strongroom_posture::estate::{
    AccountId, Compute, ComputeKind, Estate, Form, Key, KeyManager, KeyState, ManagedPolicy, Member,
    MemberState, NamedPolicy, Node, NodeKind, OrgPolicy, OrgPolicyKind, Organisation, Origin, PolicyText,
    PolicyVersion, Role, User,
};
use strongroom_posture::facts::Harm;
use strongroom_posture::graph::cover::{Cover, KeyPolicy, smallest};
use strongroom_posture::graph::{Actor, Certainty, Graph, Reach, Target};

const KEYS: &str = "111122223333";
const WORK: &str = "444455556666";
const MANAGEMENT: &str = "999999999999";
const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const DELEGATED: &str = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"}"#;

fn account(number: &str) -> AccountId {
    number.parse().unwrap()
}

fn policy(statements: &[&str]) -> PolicyText {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(",\n"));
    PolicyText { text: text.into(), origin: Origin { file: "a.json".into(), line: 1 }, form: Form::Object }
}

fn allow(action: &str, resource: &str) -> String {
    format!(r#"{{"Effect":"Allow","Action":{action},"Resource":"{resource}"}}"#)
}

fn trust(principal: &str) -> String {
    format!(r#"{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}"#)
}

fn arn(kind: &str, number: &str, name: &str) -> Arc<str> {
    format!("arn:aws:iam::{number}:{kind}/{name}").into()
}

/// Three accounts of one organisation: management, one with a key, one with the work.
struct Setting {
    estate: Estate,
}

impl Setting {
    fn new(key_policy: &[&str]) -> Self {
        let mut estate = Estate::default();
        for number in [KEYS, WORK, MANAGEMENT] {
            estate.accounts.entry(account(number)).or_default();
        }
        let mut organisation = Organisation {
            id: "o-example".into(),
            management: Some(account(MANAGEMENT)),
            feature_set: Some("ALL".into()),
            resource_policy: Some(None),
            ..Organisation::default()
        };
        let full: Arc<str> = "p-FullAWSAccess".into();
        let root = Node {
            id: "r-root".into(),
            kind: NodeKind::Root,
            name: None,
            arn: None,
            parent: None,
            scps: Some(vec![Arc::clone(&full)]),
            rcps: Some(Vec::new()),
            policy_types: Vec::new(),
        };
        organisation.nodes.insert("r-root".into(), root);
        for number in [KEYS, WORK, MANAGEMENT] {
            let member = Member {
                id: account(number),
                name: None,
                email: None,
                state: MemberState::Active,
                joined: None,
                parent: Some("r-root".into()),
                scps: Some(vec![Arc::clone(&full)]),
                rcps: Some(Vec::new()),
            };
            organisation.members.insert(account(number), member);
        }
        let all = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
        organisation.policies.insert(Arc::clone(&full), scp(&full, &[all]));
        estate.organisations.insert("o-example".into(), organisation);
        let mut setting = Self { estate };
        setting.key(KEY, key_policy);
        setting
    }

    fn key(&mut self, arn: &str, statements: &[&str]) {
        let key = Key {
            arn: arn.into(),
            id: arn.rsplit('/').next().unwrap().into(),
            account: account(KEYS),
            region: "eu-west-1".into(),
            state: Some(KeyState::Enabled),
            origin: Some(strongroom_posture::estate::KeyOrigin::AwsKms),
            manager: Some(KeyManager::Customer),
            spec: Some("SYMMETRIC_DEFAULT".into()),
            usage: Some("ENCRYPT_DECRYPT".into()),
            policies: [("default".into(), policy(statements))].into(),
            policy_names: Some(vec!["default".into()]),
            grants: Some(Vec::new()),
            aliases: Some(Vec::new()),
            ..empty_key()
        };
        self.estate.accounts.get_mut(&account(KEYS)).unwrap().keys.insert(arn.into(), key);
    }

    fn user(&mut self, number: &str, name: &str, statements: &[&str]) -> Actor {
        let user = User {
            arn: arn("user", number, name),
            name: name.into(),
            path: "/".into(),
            id: "AIDAEXAMPLE".into(),
            groups: Vec::new(),
            inline: vec![NamedPolicy { name: "own".into(), document: policy(statements) }],
            attached: Vec::new(),
            boundary: None,
            tags: Vec::new(),
            created: None,
        };
        let actor = Actor::User(Arc::clone(&user.arn));
        self.estate.accounts.get_mut(&account(number)).unwrap().users.insert(name.into(), user);
        actor
    }

    fn role(&mut self, number: &str, name: &str, trusts: &str, statements: &[&str]) -> Actor {
        let role = Role {
            arn: arn("role", number, name),
            name: name.into(),
            path: "/".into(),
            id: "AROAEXAMPLE".into(),
            trust: policy(&[&trust(trusts)]),
            inline: vec![NamedPolicy { name: "own".into(), document: policy(statements) }],
            attached: Vec::new(),
            boundary: None,
            tags: Vec::new(),
            created: None,
            last_used: None,
        };
        let actor = Actor::Role(Arc::clone(&role.arn));
        self.estate.accounts.get_mut(&account(number)).unwrap().roles.insert(name.into(), role);
        actor
    }

    fn boundary(&mut self, number: &str, user: &str, statements: &[&str]) {
        let policy_arn: Arc<str> = arn("policy", number, "boundary");
        let managed = ManagedPolicy {
            arn: Arc::clone(&policy_arn),
            name: "boundary".into(),
            path: "/".into(),
            id: None,
            default_version: "v1".into(),
            versions: vec![PolicyVersion { id: "v1".into(), document: policy(statements) }],
        };
        let account = self.estate.accounts.get_mut(&account(number)).unwrap();
        account.policies.insert(Arc::clone(&policy_arn), managed);
        account.users.get_mut(user).unwrap().boundary = Some(policy_arn);
    }

    fn scp(&mut self, number: &str, statements: &[&str]) {
        let organisation = self.estate.organisations.get_mut("o-example").unwrap();
        organisation.policies.insert("p-guard".into(), scp("p-guard", statements));
        organisation.members.get_mut(&account(number)).unwrap().scps.as_mut().unwrap().push("p-guard".into());
    }

    fn reach(&self) -> Reach {
        let graph = Graph::new(&self.estate);
        graph.reach(&graph.targets())
    }

    fn sure(&self, actor: &Actor, harm: Harm) -> Option<Certainty> {
        self.reach().find(&Target::Key(KEY.into()), harm).and_then(|reached| reached.certainty(actor))
    }

    fn steps(&self, actor: &Actor, harm: Harm) -> Vec<&'static str> {
        let reach = self.reach();
        let path = reach.find(&Target::Key(KEY.into()), harm).unwrap().path(actor).unwrap();
        path.edges.iter().map(|edge| edge.step.id).chain([path.deed.step.id]).collect()
    }
}

fn empty_key() -> Key {
    Key {
        arn: "".into(),
        id: "".into(),
        account: account(KEYS),
        region: "".into(),
        state: None,
        origin: None,
        manager: None,
        spec: None,
        usage: None,
        description: None,
        created: None,
        deletion: None,
        pending_window_days: None,
        material_expires: None,
        key_store: None,
        multi_region: None,
        tags: Some(Vec::new()),
        rotation: None,
        policies: [].into(),
        policy_names: None,
        grants: None,
        aliases: None,
    }
}

fn scp(id: &str, statements: &[&str]) -> OrgPolicy {
    OrgPolicy {
        id: id.into(),
        kind: OrgPolicyKind::Scp,
        name: None,
        arn: None,
        aws_managed: false,
        document: Some(policy(statements)),
    }
}

#[test]
fn whoever_may_delete_a_key_destroys_it() {
    let mut setting = Setting::new(&[DELEGATED]);
    let killer = setting.user(KEYS, "killer", &[&allow(r#""kms:ScheduleKeyDeletion""#, "*")]);
    let reader = setting.user(KEYS, "reader", &[&allow(r#""kms:Decrypt""#, "*")]);
    assert_eq!(setting.sure(&killer, Harm::Destroy), Some(Certainty::Proven));
    assert_eq!(setting.steps(&killer, Harm::Destroy), ["kms-schedule-deletion"]);
    assert_eq!(setting.sure(&killer, Harm::Read), None);
    assert_eq!(setting.sure(&reader, Harm::Destroy), None);
    assert_eq!(setting.sure(&reader, Harm::Read), Some(Certainty::Proven));
    let root = Actor::Root(account(KEYS));
    assert_eq!(setting.sure(&root, Harm::Destroy), Some(Certainty::Proven));
    let reach = setting.reach();
    let destroyed = reach.find(&Target::Key(KEY.into()), Harm::Destroy).unwrap();
    let delay = destroyed.path(&killer).unwrap().deed.delay.unwrap();
    assert_eq!((delay.least, delay.most), (7, 30));
    // A key policy that names nobody but one role stops identity policies.
    setting.key(KEY, &[&DELEGATED.replace(":root", ":role/keeper")]);
    assert_eq!(setting.sure(&killer, Harm::Destroy), None);
}

#[test]
fn roles_are_chained_across_accounts() {
    let mut setting = Setting::new(&[DELEGATED]);
    let admin = setting.role(
        KEYS,
        "key-admin",
        r#"{"AWS":"arn:aws:iam::444455556666:root"}"#,
        &[&allow(r#""kms:*""#, "*")],
    );
    let hop = setting.role(
        WORK,
        "deploy",
        r#"{"AWS":"arn:aws:iam::444455556666:user/dev"}"#,
        &[&allow(r#""sts:AssumeRole""#, "arn:aws:iam::111122223333:role/*")],
    );
    let dev = setting.user(WORK, "dev", &[]);
    let other = setting.user(WORK, "other", &[&allow(r#""s3:*""#, "*")]);
    assert_eq!(setting.steps(&dev, Harm::Destroy), ["trust", "trust", "kms-schedule-deletion"]);
    assert_eq!(setting.sure(&hop, Harm::Destroy), Some(Certainty::Proven));
    assert_eq!(setting.sure(&admin, Harm::Destroy), Some(Certainty::Proven));
    assert_eq!(setting.sure(&other, Harm::Destroy), None);
    let reach = setting.reach();
    let path = reach.find(&Target::Key(KEY.into()), Harm::Destroy).unwrap().path(&dev).unwrap();
    let graph = Graph::new(&setting.estate);
    let evidence = graph.evidence(&path.edges[0].step);
    assert!(
        evidence.iter().any(|statement| &*statement.file == "a.json" && statement.line > 0),
        "{evidence:?}"
    );
    assert!(reach.of(&dev).iter().any(|path| path.deed.harm == Harm::Read));
}

#[test]
fn new_policies_are_bound_by_boundaries_and_by_the_organisation() {
    let own = allow(r#""iam:PutUserPolicy""#, "arn:aws:iam::111122223333:user/climber");
    let mut setting = Setting::new(&[DELEGATED]);
    let climber = setting.user(KEYS, "climber", &[&own]);
    assert_eq!(setting.sure(&climber, Harm::Destroy), Some(Certainty::Proven));
    assert_eq!(setting.steps(&climber, Harm::Destroy), ["iam-007", "kms-schedule-deletion"]);

    setting.boundary(KEYS, "climber", &[&allow(r#"["iam:PutUserPolicy","s3:*"]"#, "*")]);
    assert_eq!(setting.sure(&climber, Harm::Destroy), None, "the boundary still binds");

    let mut setting = Setting::new(&[DELEGATED]);
    let climber = setting.user(KEYS, "climber", &[&own]);
    setting.scp(
        KEYS,
        &[r#"{"Effect":"Deny","Action":["kms:ScheduleKeyDeletion","account:CloseAccount"],"Resource":"*"}"#],
    );
    assert_eq!(setting.sure(&climber, Harm::Destroy), None, "the organisation still binds");
    assert_eq!(setting.sure(&climber, Harm::Disable), Some(Certainty::Proven));
    assert_eq!(setting.sure(&Actor::Root(account(KEYS)), Harm::Destroy), None);
}

#[test]
fn a_role_is_passed_to_code_of_ones_own() {
    let mut setting = Setting::new(&[DELEGATED]);
    setting.role(KEYS, "worker", r#"{"Service":"lambda.amazonaws.com"}"#, &[&allow(r#""kms:Decrypt""#, "*")]);
    let passer = setting.user(
        KEYS,
        "passer",
        &[
            &allow(r#""iam:PassRole""#, "arn:aws:iam::111122223333:role/worker"),
            &allow(
                r#"["lambda:CreateFunction","lambda:InvokeFunction"]"#,
                "arn:aws:lambda:eu-west-1:111122223333:function:app-*",
            ),
        ],
    );
    let no_pass = setting.user(KEYS, "no-pass", &[&allow(r#""lambda:*""#, "*")]);
    assert_eq!(setting.steps(&passer, Harm::Read), ["lambda-001", "kms-decrypt"]);
    assert_eq!(setting.sure(&no_pass, Harm::Read), None);
}

#[test]
fn code_is_the_role_that_it_carries() {
    let mut setting = Setting::new(&[DELEGATED]);
    let Actor::Role(role) = setting.role(
        KEYS,
        "worker",
        r#"{"Service":"ec2.amazonaws.com"}"#,
        &[&allow(r#""kms:Decrypt""#, "*")],
    ) else {
        panic!("a role")
    };
    let instance: Arc<str> = "arn:aws:ec2:eu-west-1:111122223333:instance/i-1".into();
    let compute = Compute {
        arn: Arc::clone(&instance),
        kind: ComputeKind::Ec2Instance,
        name: "i-1".into(),
        region: Some("eu-west-1".into()),
        roles: vec![role],
        instance_profile: None,
        policy: None,
    };
    setting.estate.accounts.get_mut(&account(KEYS)).unwrap().compute.insert(Arc::clone(&instance), compute);
    let operator = setting.user(KEYS, "operator", &[&allow(r#""ssm:StartSession""#, "*")]);
    assert_eq!(setting.steps(&operator, Harm::Read), ["ssm-001", "carries", "kms-decrypt"]);
    assert_eq!(setting.sure(&Actor::Code(instance), Harm::Read), Some(Certainty::Proven));
}

#[test]
fn the_management_account_reaches_down() {
    let mut setting = Setting::new(&[DELEGATED]);
    let boss = setting.user(
        MANAGEMENT,
        "boss",
        &[&allow(r#"["cloudformation:CreateStackSet","cloudformation:CreateStackInstances"]"#, "*")],
    );
    let closer = setting.user(MANAGEMENT, "closer", &[&allow(r#""organizations:CloseAccount""#, "*")]);
    let same_elsewhere = setting.user(WORK, "boss", &[&allow(r#""organizations:CloseAccount""#, "*")]);
    assert_eq!(
        setting.steps(&boss, Harm::Destroy),
        ["cloudformation-service-managed", "kms-schedule-deletion"]
    );
    assert_eq!(setting.steps(&closer, Harm::Destroy), ["org-close-account"]);
    assert_eq!(setting.sure(&same_elsewhere, Harm::Destroy), None);
}

#[test]
fn conditions_and_unknown_accounts_are_less_than_proven() {
    let mut setting = Setting::new(&[
        DELEGATED,
        r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::777788889999:root"},"Action":"kms:Decrypt","Resource":"*"}"#,
    ]);
    let tied = r#"{"Effect":"Allow","Action":"kms:DisableKey","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}"#;
    let tied = setting.user(KEYS, "tied", &[tied]);
    assert_eq!(setting.sure(&tied, Harm::Disable), Some(Certainty::Conditional));
    let foreign = Actor::Foreign(account("777788889999"));
    assert_eq!(setting.sure(&foreign, Harm::Read), Some(Certainty::Unproven));
    assert!(!setting.reach().gaps.is_empty(), "nothing says that all was collected");
}

#[test]
fn a_policy_over_two_keys_takes_two_credentials() {
    const SECOND: &str = "arn:aws:kms:eu-west-1:111122223333:key/second";
    let mut setting = Setting::new(&[&DELEGATED.replace(":root", ":user/one")]);
    setting.key(SECOND, &[&DELEGATED.replace(":root", ":user/two")]);
    setting.scp(KEYS, &[r#"{"Effect":"Deny","Action":["account:CloseAccount","iam:*"],"Resource":"*"}"#]);
    let one = setting.user(KEYS, "one", &[]);
    let two = setting.user(KEYS, "two", &[]);
    let leaf = |name: &str, key: &str| KeyPolicy::Leaf { name: name.into(), key: Some(key.into()) };
    let either = KeyPolicy::Threshold { needed: 1, of: vec![leaf("a", KEY), leaf("b", SECOND)] };
    let both = KeyPolicy::Threshold { needed: 2, of: vec![leaf("a", KEY), leaf("b", SECOND)] };
    let reach = setting.reach();
    // Nothing binds the management account: it closes the account with both keys.
    let Cover::Sets(sets) = smallest(&either, Harm::Destroy, &reach, &|_| true) else { panic!() };
    assert_eq!(sets, [(BTreeSet::from([Actor::Root(account(MANAGEMENT))]), Certainty::Proven)]);
    let no_root = |actor: &Actor| !matches!(actor, Actor::Root(_));
    let Cover::Sets(sets) = smallest(&either, Harm::Destroy, &reach, &no_root) else { panic!() };
    assert_eq!(sets, [(BTreeSet::from([one.clone(), two.clone()]), Certainty::Proven)]);
    let Cover::Sets(sets) = smallest(&both, Harm::Destroy, &reach, &no_root) else { panic!() };
    assert_eq!(sets.len(), 2);
    let paper = KeyPolicy::Threshold {
        needed: 1,
        of: vec![leaf("a", KEY), KeyPolicy::Leaf { name: "paper".into(), key: None }],
    };
    assert_eq!(smallest(&paper, Harm::Destroy, &reach, &|_| true), Cover::Never);
}

/// Everybody who gets there, and how sure it is.
fn summary(reach: &Reach) -> BTreeSet<(Target, Harm, Actor, Certainty)> {
    let of = |reached: &strongroom_posture::graph::Reached| {
        let (target, harm) = (reached.target.clone(), reached.harm);
        let actors = reached.actors().map(|(actor, certainty, _)| (actor.clone(), certainty));
        actors.map(move |(actor, certainty)| (target.clone(), harm, actor, certainty)).collect::<Vec<_>>()
    };
    reach.reached.iter().flat_map(of).collect()
}

#[test]
fn a_denial_more_never_adds_anybody() {
    let denials = [
        "kms:*",
        "kms:ScheduleKeyDeletion",
        "sts:AssumeRole",
        "iam:*",
        "iam:PassRole",
        "lambda:*",
        "*",
        "s3:*",
        "organizations:*",
        "account:*",
    ];
    let build = |denial: Option<(&str, usize)>| {
        let mut setting = Setting::new(&[DELEGATED]);
        let deny = |action: &str| format!(r#"{{"Effect":"Deny","Action":"{action}","Resource":"*"}}"#);
        let of = |place: usize, statement: String| {
            let more = denial.filter(|(_, at)| *at == place).map(|(action, _)| deny(action));
            [statement].into_iter().chain(more).collect::<Vec<_>>()
        };
        let refs = |all: &[String]| all.iter().map(|text| text.to_owned()).collect::<Vec<String>>();
        let one = refs(&of(0, allow(r#"["iam:PutUserPolicy","iam:CreateRole"]"#, "*")));
        setting.user(KEYS, "one", &one.iter().map(String::as_str).collect::<Vec<_>>());
        let two = refs(&of(1, allow(r#"["kms:*","iam:PassRole","lambda:*"]"#, "*")));
        setting.role(
            KEYS,
            "two",
            r#"{"AWS":"*","Service":"lambda.amazonaws.com"}"#,
            &two.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        let three = refs(&of(2, allow(r#"["sts:AssumeRole","organizations:*"]"#, "*")));
        setting.user(WORK, "three", &three.iter().map(String::as_str).collect::<Vec<_>>());
        if let Some((action, 3)) = denial {
            setting.scp(KEYS, &[&deny(action)]);
        }
        summary(&setting.reach())
    };
    let whole = build(None);
    assert!(whole.len() > 20, "{whole:?}");
    let mut took_away = 0;
    for action in denials {
        for place in 0..4 {
            let less = build(Some((action, place)));
            for (target, harm, actor, certainty) in &less {
                let before = whole.iter().find(|(t, h, a, _)| (t, h, a) == (target, harm, actor));
                let before = before.unwrap_or_else(|| panic!("{action} at {place} adds {actor} {harm:?}"));
                assert!(before.3 <= *certainty, "{action} at {place} makes {actor} surer");
            }
            took_away += usize::from(less.len() < whole.len());
        }
    }
    assert!(took_away >= 5, "the denials are about something: {took_away}");
}

#[test]
fn less_data_never_takes_a_path_away_for_sure() {
    let mut setting = Setting::new(&[DELEGATED]);
    let killer = setting.user(KEYS, "killer", &[&allow(r#""kms:ScheduleKeyDeletion""#, "*")]);
    setting.scp(KEYS, &[r#"{"Effect":"Deny","Action":"s3:*","Resource":"*"}"#]);
    assert_eq!(setting.sure(&killer, Harm::Destroy), Some(Certainty::Proven));
    let organisation = setting.estate.organisations.get_mut("o-example").unwrap();
    organisation.policies.get_mut("p-guard").unwrap().document = None;
    assert_eq!(setting.sure(&killer, Harm::Destroy), Some(Certainty::Unproven), "the policy may deny it");
    setting.estate.organisations.clear();
    assert_eq!(setting.sure(&killer, Harm::Destroy), Some(Certainty::Unproven));
    setting.estate.accounts.get_mut(&account(KEYS)).unwrap().keys.get_mut(KEY).unwrap().policies.clear();
    assert_eq!(setting.sure(&killer, Harm::Destroy), Some(Certainty::Unproven));
}

#[test]
fn guards_are_looked_behind() {
    let deny = r#"{"Effect":"Deny","Action":["kms:ScheduleKeyDeletion","account:CloseAccount","organizations:LeaveOrganization"],"Resource":"*"}"#;
    let mut setting = Setting::new(&[DELEGATED]);
    setting.scp(KEYS, &[deny]);
    let policies = &mut setting.estate.organisations.get_mut("o-example").unwrap().policies;
    let guard = "arn:aws:organizations::999999999999:policy/o-example/service_control_policy/p-guard";
    policies.get_mut("p-guard").unwrap().arn = Some(guard.into());
    let killer =
        setting.user(KEYS, "killer", &[&allow(r#"["kms:ScheduleKeyDeletion","sts:AssumeRole"]"#, "*")]);
    assert_eq!(setting.sure(&killer, Harm::Destroy), None);
    let reach = setting.reach();
    let alone = |reach: &Reach, actor: &Actor| reach.unguarded.iter().any(|path| path.from == *actor);
    assert!(!alone(&reach, &killer), "the guard stands");
    let pairs = |reach: &Reach| {
        reach
            .together
            .iter()
            .filter(|together| together.does.deed.harm == Harm::Destroy)
            .cloned()
            .collect::<Vec<_>>()
    };
    assert!(pairs(&reach).iter().any(|together| together.lifts.from == Actor::Root(account(MANAGEMENT))));

    // Whoever may do both needs nobody: here, by a role in the management account.
    setting.role(
        MANAGEMENT,
        "policies",
        r#"{"AWS":"arn:aws:iam::111122223333:user/killer"}"#,
        &[&allow(r#""organizations:DetachPolicy""#, "*")],
    );
    let reach = setting.reach();
    assert!(alone(&reach, &killer), "{:?}", reach.unguarded);
    let path =
        reach.unguarded.iter().find(|path| path.from == killer && path.deed.harm == Harm::Destroy).unwrap();
    let steps: Vec<_> = path.edges.iter().map(|edge| edge.step.id).collect();
    assert_eq!(steps, ["trust", "org-detach-policy"]);
    assert_eq!(path.deed.step.id, "kms-schedule-deletion");
}

#[test]
fn a_role_is_passed_to_what_is_there() {
    let job = "arn:aws:glue:eu-west-1:111122223333:job/nightly";
    let build = |update_on: &str, with_job: bool| {
        let mut setting = Setting::new(&[DELEGATED]);
        let decrypt = allow(r#""kms:Decrypt""#, "*");
        setting.role(KEYS, "worker", r#"{"Service":"glue.amazonaws.com"}"#, &[&decrypt]);
        let pass = allow(r#""iam:PassRole""#, "arn:aws:iam::111122223333:role/worker");
        let update = allow(r#"["glue:UpdateJob","glue:StartJobRun"]"#, update_on);
        let passer = setting.user(KEYS, "passer", &[&pass, &update]);
        if with_job {
            let compute = Compute {
                arn: job.into(),
                kind: ComputeKind::GlueJob,
                name: "nightly".into(),
                region: Some("eu-west-1".into()),
                roles: Vec::new(),
                instance_profile: None,
                policy: None,
            };
            setting.estate.accounts.get_mut(&account(KEYS)).unwrap().compute.insert(job.into(), compute);
        }
        setting.sure(&passer, Harm::Read)
    };
    assert_eq!(
        build(job, true),
        Some(Certainty::Proven),
        "the job is what is changed, the role what is passed"
    );
    assert_eq!(build("arn:aws:glue:eu-west-1:111122223333:job/other", true), None);
    assert_eq!(build("*", false), None, "there is no job to change");
}

#[test]
fn a_denial_of_ones_own_proves_nothing_once_policies_can_be_written() {
    let deny = r#"{"Effect":"Deny","Action":"kms:*","Resource":"*"}"#;
    let all = allow(r#""*""#, "*");
    let mut setting = Setting::new(&[DELEGATED]);
    let admin = setting.user(KEYS, "admin", &[&all, deny]);
    let clerk = setting.user(KEYS, "clerk", &[&allow(r#""kms:*""#, "*"), deny]);
    let graph = Graph::new(&setting.estate);
    let target = Target::Key(KEY.into());
    let reach = graph.reach(std::slice::from_ref(&target));
    let destroy = reach.find(&target, Harm::Destroy).unwrap();
    // The administrator writes its policies anew, or makes another; nobody says that it cannot.
    assert!(destroy.certainty(&admin).is_some());
    assert_eq!(destroy.certainty(&clerk), None);
}

#[test]
fn who_can_write_only_its_own_policies_is_unproven_behind_its_own_denial() {
    // Nothing else either, or it makes a role that no denial binds.
    let deny = r#"{"Effect":"Deny","NotAction":"iam:PutUserPolicy","Resource":"*"}"#;
    let mut setting = Setting::new(&[DELEGATED]);
    let own = arn("user", KEYS, "author");
    let author = setting.user(KEYS, "author", &[&allow(r#""iam:PutUserPolicy""#, &own), deny]);
    let graph = Graph::new(&setting.estate);
    let target = Target::Key(KEY.into());
    let reach = graph.reach(std::slice::from_ref(&target));
    let destroy = reach.find(&target, Harm::Destroy).unwrap();
    assert_eq!(destroy.certainty(&author), Some(Certainty::Unproven));
}
