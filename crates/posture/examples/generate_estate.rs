//! Writes an organisation of any size to a directory, as the AWS CLI would print it: for measuring.
//!
//! ```text
//! cargo run --release -p strongroom-posture --example generate_estate -- DIRECTORY ACCOUNTS [PRINCIPALS] [KEYS] [SEED]
//! ```
//!
//! The same arguments give the same bytes. What repeats does so as in real organisations: policies of AWS and of stack
//! sets are the same in every account, trust policies come in a dozen patterns, and four roles in ten have an inline
//! policy that nobody else has.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A JSON value being made.
enum Json {
    Text(String),
    Raw(&'static str),
    Number(u64),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

use Json::{List, Number, Object, Raw, Text};

fn text(value: impl Into<String>) -> Json {
    Text(value.into())
}

impl Json {
    /// Prints it as the AWS CLI does: with four blanks a level.
    fn print(&self, out: &mut String, level: usize) {
        let indent = |out: &mut String, level: usize| {
            out.push('\n');
            out.extend(std::iter::repeat_n("    ", level));
        };
        match self {
            Text(text) => {
                out.push('"');
                for c in text.chars() {
                    match c {
                        '"' => out.push_str("\\\""),
                        '\\' => out.push_str("\\\\"),
                        '\n' => out.push_str("\\n"),
                        c => out.push(c),
                    }
                }
                out.push('"');
            }
            Raw(raw) => out.push_str(raw),
            Number(number) => {
                let _ = write!(out, "{number}");
            }
            List(items) if items.is_empty() => out.push_str("[]"),
            List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    indent(out, level + 1);
                    item.print(out, level + 1);
                }
                indent(out, level);
                out.push(']');
            }
            Object(fields) => {
                out.push('{');
                for (index, (name, value)) in fields.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    indent(out, level + 1);
                    let _ = write!(out, "\"{name}\": ");
                    value.print(out, level + 1);
                }
                indent(out, level);
                out.push('}');
            }
        }
    }

    fn to_text(&self) -> String {
        let mut out = String::new();
        self.print(&mut out, 0);
        out.push('\n');
        out
    }
}

/// SplitMix64: small, and the same on every machine.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

const REGION: &str = "eu-west-1";
const CREATED: &str = "2024-03-05T09:12:44+00:00";
const SERVICES: [&str; 12] = [
    "ec2",
    "lambda",
    "ecs-tasks",
    "codebuild",
    "glue",
    "sagemaker",
    "states",
    "events",
    "backup",
    "config",
    "rds",
    "eks",
];
const VERBS: [&str; 10] =
    ["Get", "List", "Describe", "Put", "Create", "Delete", "Update", "Tag", "Start", "Stop"];
const THINGS: [&str; 10] =
    ["Object", "Table", "Queue", "Topic", "Stream", "Function", "Instance", "Parameter", "Secret", "Cluster"];
const AREAS: [&str; 8] = ["s3", "dynamodb", "sqs", "sns", "lambda", "ec2", "ssm", "kms"];

struct Size {
    accounts: usize,
    principals: usize,
    keys: usize,
}

fn number(index: usize) -> String {
    format!("{:012}", 100_000_000_000 + index as u64 * 7_919)
}

fn unique(prefix: &str, chance: &mut Chance) -> String {
    format!("{prefix}{:017X}", chance.next())
}

fn policy(statements: Vec<Json>) -> Json {
    Object(vec![("Version", text("2012-10-17")), ("Statement", List(statements))])
}

/// A statement of `count` actions. The same seed gives the same statement.
fn statement(chance: &mut Chance, count: usize, account: &str) -> Json {
    let area = AREAS[chance.below(AREAS.len())];
    let action = |chance: &mut Chance| {
        text(format!("{area}:{}{}", VERBS[chance.below(VERBS.len())], THINGS[chance.below(THINGS.len())]))
    };
    let actions = (0..count).map(|_| action(chance)).collect();
    let resource = format!("arn:aws:{area}:{REGION}:{account}:resource/{:04x}/*", chance.below(65_536));
    let mut fields =
        vec![("Effect", text("Allow")), ("Action", List(actions)), ("Resource", List(vec![text(resource)]))];
    if chance.percent(20) {
        let condition = Object(vec![("aws:RequestedRegion", text(REGION))]);
        fields.push(("Condition", Object(vec![("StringEquals", condition)])));
    }
    Object(fields)
}

fn service_trust(service: &str) -> Json {
    policy(vec![Object(vec![
        ("Effect", text("Allow")),
        ("Principal", Object(vec![("Service", text(format!("{service}.amazonaws.com")))])),
        ("Action", text("sts:AssumeRole")),
    ])])
}

fn account_trust(account: &str, role: Option<usize>) -> Json {
    let principal = match role {
        Some(role) => format!("arn:aws:iam::{account}:role/role-{role:04}"),
        None => format!("arn:aws:iam::{account}:root"),
    };
    policy(vec![Object(vec![
        ("Effect", text("Allow")),
        ("Principal", Object(vec![("AWS", text(principal))])),
        ("Action", text("sts:AssumeRole")),
        ("Condition", Object(vec![("Bool", Object(vec![("aws:MultiFactorAuthPresent", text("true"))]))])),
    ])])
}

/// ARN, name and document of a managed policy that is the same in every account.
fn common_policy(index: usize, account: &str) -> (String, Json) {
    let mut chance = Chance(index as u64 + 1);
    let (arn, statements) = if index < 60 {
        (format!("arn:aws:iam::aws:policy/Service{index:02}Access"), 2 + index % 12)
    } else {
        (format!("arn:aws:iam::{account}:policy/baseline-{index:02}"), 2 + index % 4)
    };
    let document = policy((0..statements).map(|_| statement(&mut chance, 12, "*")).collect());
    (arn, document)
}

fn managed(arn: &str, document: Json, chance: &mut Chance) -> Json {
    Object(vec![
        ("PolicyName", text(arn.rsplit('/').next().unwrap_or_default())),
        ("PolicyId", text(unique("ANPA", chance))),
        ("Arn", text(arn)),
        ("Path", text("/")),
        ("DefaultVersionId", text("v1")),
        ("AttachmentCount", Number(3)),
        ("PermissionsBoundaryUsageCount", Number(0)),
        ("IsAttachable", Raw("true")),
        ("CreateDate", text(CREATED)),
        ("UpdateDate", text(CREATED)),
        (
            "PolicyVersionList",
            List(vec![Object(vec![
                ("Document", document),
                ("VersionId", text("v1")),
                ("IsDefaultVersion", Raw("true")),
                ("CreateDate", text(CREATED)),
            ])]),
        ),
    ])
}

fn attached(arns: &[String], chance: &mut Chance) -> Json {
    let count = 1 + chance.below(3);
    let one = |chance: &mut Chance| {
        let arn = &arns[chance.below(arns.len())];
        let name = arn.rsplit('/').next().unwrap_or_default();
        Object(vec![("PolicyName", text(name)), ("PolicyArn", text(arn))])
    };
    List((0..count).map(|_| one(chance)).collect())
}

fn tags(chance: &mut Chance) -> Json {
    let tag = |key: &str, value: String| Object(vec![("Key", text(key)), ("Value", text(value))]);
    List(vec![
        tag("team", format!("team-{:02}", chance.below(40))),
        tag("environment", ["production", "staging", "development"][chance.below(3)].into()),
        tag("cost-centre", format!("{}", 1000 + chance.below(200))),
    ])
}

fn inline(chance: &mut Chance, account: &str, name: &str) -> Json {
    if !chance.percent(40) {
        return List(Vec::new());
    }
    let statements = (0..1 + chance.below(3)).map(|_| statement(chance, 5, account)).collect();
    List(vec![Object(vec![("PolicyName", text(name)), ("PolicyDocument", policy(statements))])])
}

fn authorization_details(size: &Size, index: usize, chance: &mut Chance) -> Json {
    let account = number(index);
    let mut arns = Vec::new();
    let mut policies = Vec::new();
    for common in (0..80).filter(|common| *common >= 60 || !(common + index).is_multiple_of(3)) {
        let (arn, document) = common_policy(common, &account);
        policies.push(managed(&arn, document, chance));
        arns.push(arn);
    }
    for own in 0..10 {
        let arn = format!("arn:aws:iam::{account}:policy/own-{own}");
        let statements = (0..3).map(|_| statement(chance, 8, &account)).collect();
        policies.push(managed(&arn, policy(statements), chance));
        arns.push(arn);
    }
    let boundary = || {
        Object(vec![
            ("PermissionsBoundaryType", text("Policy")),
            ("PermissionsBoundaryArn", text(format!("arn:aws:iam::{account}:policy/baseline-60"))),
        ])
    };
    let users = size.principals / 10;
    let mut user_list = Vec::new();
    for user in 0..users {
        let name = format!("user-{user:04}");
        user_list.push(Object(vec![
            ("Path", text("/")),
            ("UserName", text(&name)),
            ("UserId", text(unique("AIDA", chance))),
            ("Arn", text(format!("arn:aws:iam::{account}:user/{name}"))),
            ("CreateDate", text(CREATED)),
            ("UserPolicyList", inline(chance, &account, "own")),
            ("GroupList", List(vec![text(format!("group-{}", chance.below(12)))])),
            ("AttachedManagedPolicies", attached(&arns, chance)),
            ("Tags", tags(chance)),
        ]));
    }
    let mut groups = Vec::new();
    for group in 0..12 {
        let name = format!("group-{group}");
        groups.push(Object(vec![
            ("Path", text("/")),
            ("GroupName", text(&name)),
            ("GroupId", text(unique("AGPA", chance))),
            ("Arn", text(format!("arn:aws:iam::{account}:group/{name}"))),
            ("CreateDate", text(CREATED)),
            ("GroupPolicyList", List(Vec::new())),
            ("AttachedManagedPolicies", attached(&arns, chance)),
        ]));
    }
    let mut roles = Vec::new();
    for role in 0..size.principals - users {
        let name = format!("role-{role:04}");
        let trust = match chance.below(10) {
            0 => account_trust(&number(chance.below(size.accounts)), None),
            1 | 2 => account_trust(&account, Some(chance.below(size.principals - users))),
            _ => service_trust(SERVICES[chance.below(SERVICES.len())]),
        };
        let mut fields = vec![
            ("Path", text("/")),
            ("RoleName", text(&name)),
            ("RoleId", text(unique("AROA", chance))),
            ("Arn", text(format!("arn:aws:iam::{account}:role/{name}"))),
            ("CreateDate", text(CREATED)),
            ("AssumeRolePolicyDocument", trust),
            ("InstanceProfileList", List(Vec::new())),
            ("RolePolicyList", inline(chance, &account, "own")),
            ("AttachedManagedPolicies", attached(&arns, chance)),
        ];
        if chance.percent(20) {
            fields.push(("PermissionsBoundary", boundary()));
        }
        fields.push(("Tags", tags(chance)));
        fields
            .push(("RoleLastUsed", Object(vec![("LastUsedDate", text(CREATED)), ("Region", text(REGION))])));
        roles.push(Object(fields));
    }
    Object(vec![
        ("UserDetailList", List(user_list)),
        ("GroupDetailList", List(groups)),
        ("RoleDetailList", List(roles)),
        ("Policies", List(policies)),
    ])
}

fn write(path: PathBuf, json: &Json) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, json.to_text())
}

fn write_keys(root: &Path, size: &Size, index: usize, chance: &mut Chance) -> io::Result<()> {
    let account = number(index);
    let region = root.join(&account).join(REGION);
    let mut keys = Vec::new();
    let mut aliases = Vec::new();
    for key in 0..size.keys {
        let bits = chance.next();
        let id = format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            bits >> 32,
            bits & 0xFFFF,
            key,
            index % 4096,
            bits & 0xFFFF_FFFF
        );
        let arn = format!("arn:aws:kms:{REGION}:{account}:key/{id}");
        let at = |name: &str| region.join("kms").join(&id).join(name);
        write(
            at("describe-key.json"),
            &Object(vec![(
                "KeyMetadata",
                Object(vec![
                    ("AWSAccountId", text(&account)),
                    ("KeyId", text(&id)),
                    ("Arn", text(&arn)),
                    ("CreationDate", text(CREATED)),
                    ("Enabled", Raw("true")),
                    ("KeyUsage", text("ENCRYPT_DECRYPT")),
                    ("KeyState", text("Enabled")),
                    ("Origin", text(if key % 5 == 0 { "EXTERNAL" } else { "AWS_KMS" })),
                    ("KeyManager", text("CUSTOMER")),
                    ("KeySpec", text("SYMMETRIC_DEFAULT")),
                    ("MultiRegion", Raw("false")),
                ]),
            )]),
        )?;
        let delegation = Object(vec![
            ("Sid", text("Administration")),
            ("Effect", text("Allow")),
            ("Principal", Object(vec![("AWS", text(format!("arn:aws:iam::{account}:root")))])),
            ("Action", text("kms:*")),
            ("Resource", text("*")),
        ]);
        let document = policy(vec![delegation]).to_text();
        write(
            at("get-key-policy.json"),
            &Object(vec![("Policy", text(document)), ("PolicyName", text("default"))]),
        )?;
        write(at("list-key-policies.json"), &Object(vec![("PolicyNames", List(vec![text("default")]))]))?;
        let grantee = format!("arn:aws:iam::{account}:role/role-{:04}", chance.below(100));
        let grant = Object(vec![
            ("KeyId", text(&arn)),
            ("GrantId", text(format!("{:016x}", chance.next()))),
            ("GranteePrincipal", text(grantee)),
            ("IssuingAccount", text(format!("arn:aws:iam::{account}:root"))),
            ("Operations", List(vec![text("Decrypt"), text("GenerateDataKey")])),
        ]);
        write(
            at("list-grants.json"),
            &Object(vec![("Grants", List(vec![grant])), ("Truncated", Raw("false"))]),
        )?;
        let tag = Object(vec![("TagKey", text("use")), ("TagValue", text("backup"))]);
        write(
            at("list-resource-tags.json"),
            &Object(vec![("Tags", List(vec![tag])), ("Truncated", Raw("false"))]),
        )?;
        write(at("get-key-rotation-status.json"), &Object(vec![("KeyRotationEnabled", Raw("true"))]))?;
        aliases.push(Object(vec![
            ("AliasName", text(format!("alias/key-{key}"))),
            ("AliasArn", text(format!("arn:aws:kms:{REGION}:{account}:alias/key-{key}"))),
            ("TargetKeyId", text(&id)),
        ]));
        keys.push(Object(vec![("KeyId", text(id)), ("KeyArn", text(arn))]));
    }
    write(region.join("kms/list-keys.json"), &Object(vec![("Keys", List(keys))]))?;
    write(region.join("kms/list-aliases.json"), &Object(vec![("Aliases", List(aliases))]))
}

fn write_organisation(root: &Path, size: &Size) -> io::Result<()> {
    const ID: &str = "o-generated01";
    let management = number(0);
    let at = root.join(&management).join("organizations");
    let arn = |kind: &str, id: &str| format!("arn:aws:organizations::{management}:{kind}/{ID}/{id}");
    write(
        at.join("describe-organization.json"),
        &Object(vec![(
            "Organization",
            Object(vec![
                ("Id", text(ID)),
                ("FeatureSet", text("ALL")),
                ("MasterAccountId", text(&management)),
            ]),
        )]),
    )?;
    let enabled = |kind: &str| Object(vec![("Type", text(kind)), ("Status", text("ENABLED"))]);
    let types = List(vec![enabled("SERVICE_CONTROL_POLICY")]);
    let one_root = Object(vec![
        ("Id", text("r-gen1")),
        ("Arn", text(arn("root", "r-gen1"))),
        ("Name", text("Root")),
        ("PolicyTypes", types),
    ]);
    write(at.join("list-roots.json"), &Object(vec![("Roots", List(vec![one_root]))]))?;
    let units = size.accounts.div_ceil(25);
    let unit_id = |unit: usize| format!("ou-gen1-{unit:08}");
    let unit = |unit: usize| {
        let id = unit_id(unit);
        Object(vec![("Arn", text(arn("ou", &id))), ("Name", text(format!("unit {unit}"))), ("Id", text(id))])
    };
    let list = List((0..units).map(unit).collect());
    write(at.join("units/r-gen1.json"), &Object(vec![("OrganizationalUnits", list)]))?;
    let member = |index: usize| {
        let account = number(index);
        Object(vec![
            ("Arn", text(arn("account", &account))),
            ("Email", text(format!("account-{index}@example.com"))),
            ("Name", text(format!("account {index}"))),
            ("Status", text("ACTIVE")),
            ("JoinedMethod", text("CREATED")),
            ("Id", text(account)),
        ])
    };
    write(
        at.join("list-accounts.json"),
        &Object(vec![("Accounts", List((0..size.accounts).map(member).collect()))]),
    )?;
    let scp = |index: usize| {
        let id = format!("p-gen{index:08}");
        Object(vec![
            ("Arn", text(arn("policy", &format!("service_control_policy/{id}")))),
            ("Name", text(format!("guard {index}"))),
            ("Type", text("SERVICE_CONTROL_POLICY")),
            ("AwsManaged", Raw("false")),
            ("Id", text(id)),
        ])
    };
    for index in 0..10 {
        let mut chance = Chance(index as u64 + 77);
        let content = policy((0..4).map(|_| statement(&mut chance, 10, "*")).collect()).to_text();
        let policy = Object(vec![("PolicySummary", scp(index)), ("Content", text(content))]);
        write(at.join(format!("policies/p-gen{index:08}.json")), &Object(vec![("Policy", policy)]))?;
    }
    let mut targets = vec!["r-gen1".to_owned()];
    targets.extend((0..units).map(unit_id));
    targets.extend((0..size.accounts).map(number));
    for (index, target) in targets.iter().enumerate() {
        let policies = Object(vec![("Policies", List(vec![scp(index % 10)]))]);
        write(at.join(format!("policies-for-target/{target}.json")), &policies)?;
    }
    for index in 0..units {
        let first = index * 25;
        let accounts = (first..size.accounts.min(first + 25)).map(member).collect();
        let path = at.join(format!("accounts/{}.json", unit_id(index)));
        write(path, &Object(vec![("Accounts", List(accounts))]))?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (Some(root), Some(accounts)) = (arguments.first(), arguments.get(1)) else {
        return Err("usage: generate_estate DIRECTORY ACCOUNTS [PRINCIPALS] [KEYS] [SEED]".into());
    };
    let count = |index: usize, default: usize| arguments.get(index).map_or(Ok(default), |text| text.parse());
    let size = Size { accounts: accounts.parse()?, principals: count(2, 500)?, keys: count(3, 20)? };
    let seed = count(4, 1)? as u64;
    let root = Path::new(root);
    write_organisation(root, &size)?;
    for index in 0..size.accounts {
        let mut chance = Chance(seed ^ (index as u64) << 20);
        let at = root.join(number(index));
        let details = authorization_details(&size, index, &mut chance);
        write(at.join("iam/get-account-authorization-details.json"), &details)?;
        let region = Object(vec![("RegionName", text(REGION)), ("OptInStatus", text("opt-in-not-required"))]);
        write(at.join("ec2/describe-regions.json"), &Object(vec![("Regions", List(vec![region]))]))?;
        write_keys(root, &size, index, &mut chance)?;
    }
    writeln!(
        io::stdout(),
        "{} accounts, {} principals and {} keys each",
        size.accounts,
        size.principals,
        size.keys
    )?;
    Ok(())
}
