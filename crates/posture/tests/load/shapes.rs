//! Every shape that is recognised.

use strongroom_posture::estate::{
    AssociationKind, ComputeKind, Extent, Form, Holder, KeyOrigin, KeyState, Kind, LockMode, NodeKind,
    Period, Scope, Selectors, Versioning,
};

use super::{KEY, POLICY, account, extent, key_metadata, load, load_whole};

const DETAILS: &str = r#"{
    "UserDetailList": [
        {
            "Path": "/people/", "UserName": "host-a", "UserId": "AIDAEXAMPLE1",
            "Arn": "arn:aws:iam::111122223333:user/people/host-a",
            "CreateDate": "2024-01-01T00:00:00+00:00",
            "UserPolicyList": [
                {
                    "PolicyName": "own",
                    "PolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [
                            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
                        ]
                    }
                }
            ],
            "GroupList": ["operators"],
            "AttachedManagedPolicies": [],
            "PermissionsBoundary": {"PermissionsBoundaryType": "PermissionsBoundaryPolicy",
                                    "PermissionsBoundaryArn": "arn:aws:iam::111122223333:policy/edge"},
            "Tags": [{"Key": "team", "Value": "storage"}]
        }
    ],
    "GroupDetailList": [
        {"Path": "/", "GroupName": "operators", "GroupId": "AGPAEXAMPLE1", "CreateDate": "2024-01-01T00:00:00+00:00",
         "Arn": "arn:aws:iam::111122223333:group/operators", "GroupPolicyList": [],
         "AttachedManagedPolicies": [{"PolicyName": "ReadOnlyAccess", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}]}
    ],
    "RoleDetailList": [
        {"Path": "/", "RoleName": "deploy", "RoleId": "AROAEXAMPLE1", "CreateDate": "2024-01-01T00:00:00+00:00",
         "Arn": "arn:aws:iam::111122223333:role/deploy",
         "AssumeRolePolicyDocument": "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D",
         "InstanceProfileList": [
            {"Path": "/", "InstanceProfileName": "web", "InstanceProfileId": "AIPAEXAMPLE1",
             "Arn": "arn:aws:iam::111122223333:instance-profile/web",
             "Roles": [{"Arn": "arn:aws:iam::111122223333:role/deploy"}]}
         ],
         "RolePolicyList": [], "AttachedManagedPolicies": [], "Tags": [],
         "RoleLastUsed": {"LastUsedDate": "2025-01-01T00:00:00+00:00", "Region": "eu-west-1"}}
    ],
    "Policies": [
        {"PolicyName": "edge", "PolicyId": "ANPAEXAMPLE1", "Arn": "arn:aws:iam::111122223333:policy/edge", "Path": "/",
         "DefaultVersionId": "v2", "AttachmentCount": 0, "IsAttachable": true,
         "PolicyVersionList": [
            {"VersionId": "v2", "IsDefaultVersion": true, "Document": {"Version": "2012-10-17", "Statement": []}},
            {"VersionId": "v1", "IsDefaultVersion": false, "Document": {"Version": "2012-10-17", "Statement": [{}]}}
         ]},
        {"PolicyName": "ReadOnlyAccess", "PolicyId": "ANPAEXAMPLE2", "Arn": "arn:aws:iam::aws:policy/ReadOnlyAccess",
         "Path": "/", "DefaultVersionId": "v7",
         "PolicyVersionList": [{"VersionId": "v7", "IsDefaultVersion": true, "Document": {"Statement": []}}]}
    ]
}"#;

#[test]
fn authorization_details_are_read_whole() {
    let estate = load_whole(&[("anything.txt", DETAILS)]);
    let held = &estate.accounts[&account("111122223333")];
    let user = &held.users["host-a"];
    assert_eq!((&*user.path, &*user.id), ("/people/", "AIDAEXAMPLE1"));
    assert_eq!(user.boundary.as_deref(), Some("arn:aws:iam::111122223333:policy/edge"));
    assert_eq!(user.groups, ["operators".into()]);
    assert_eq!(user.tags, [("team".into(), "storage".into())]);
    let policy = &user.inline[0].document;
    assert_eq!((policy.origin.line, policy.form), (10, Form::Object));
    assert_eq!(policy.line_of(4), 13, "the line of the statement in the file");
    assert!(policy.text.lines().nth(3).unwrap().starts_with("{\"Effect\""));
    let role = &held.roles["deploy"];
    assert_eq!(&*role.trust.text, r#"{"Version":"2012-10-17","Statement":[]}"#);
    assert_eq!(role.trust.form, Form::Text);
    assert_eq!(role.last_used.as_deref(), Some("2025-01-01T00:00:00+00:00"));
    let edge = &held.policies["arn:aws:iam::111122223333:policy/edge"];
    assert_eq!(edge.versions.len(), 2);
    assert!(edge.document().unwrap().text.contains("\"Statement\": []"));
    let other = account("444455556666");
    assert!(
        estate.managed_policy(other, "arn:aws:iam::aws:policy/ReadOnlyAccess").is_some(),
        "AWS's are everywhere"
    );
    assert!(estate.managed_policy(other, "arn:aws:iam::111122223333:policy/edge").is_none());
    assert_eq!(held.instance_profiles["arn:aws:iam::111122223333:instance-profile/web"].roles.len(), 1);
    for kind in [Kind::Users, Kind::Groups, Kind::Roles, Kind::ManagedPolicies, Kind::InstanceProfiles] {
        assert_eq!(extent(&estate, "111122223333", kind), Extent::Whole, "{kind:?}");
    }
    assert_eq!(extent(&estate, "111122223333", Kind::Keys), Extent::Absent);
}

#[test]
fn pages_are_put_together_and_a_missing_last_page_is_a_gap() {
    let first = DETAILS.replacen('{', r#"{"IsTruncated": true, "Marker": "m","#, 1);
    let second = r#"{"RoleDetailList": [{"Path": "/", "RoleName": "other", "RoleId": "AROAEXAMPLE2",
        "Arn": "arn:aws:iam::111122223333:role/other", "AssumeRolePolicyDocument": {}}],
        "UserDetailList": [], "GroupDetailList": [], "Policies": [], "IsTruncated": false}"#;
    let estate = load_whole(&[("1", &first), ("2", second)]);
    assert_eq!(estate.accounts[&account("111122223333")].roles.len(), 2);
    assert_eq!(extent(&estate, "111122223333", Kind::Roles), Extent::Whole);
    let one_after_the_other = format!("{first}\n{second}");
    assert_eq!(load_whole(&[("1", &one_after_the_other)]).accounts[&account("111122223333")].roles.len(), 2);
    let estate = load(&[("1", &first)]);
    assert_eq!(extent(&estate, "111122223333", Kind::Roles), Extent::Partial);
    assert!(estate.coverage.gaps().iter().any(|gap| gap.why.contains("last page")));
}

#[test]
fn a_key_policy_finds_its_key_by_path_by_neighbour_or_by_itself() {
    let describe = key_metadata(KEY, "");
    let policy = format!(r#"{{"Policy": "{POLICY}", "PolicyName": "default"}}"#);
    let named = format!(r#"{{"KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab", "Policy": "{POLICY}"}}"#);
    let by_path = "111122223333/eu-west-1/1234abcd-12ab-34cd-56ef-1234567890ab/policy.json";
    for files in [
        [("k/describe-key.json", describe.as_str()), ("k/get-key-policy.json", policy.as_str())],
        [("k/prod.describe-key.json", &describe), ("k/prod.get-key-policy.json", &policy)],
        [("a.json", &describe), ("b/c-1234abcd-12ab-34cd-56ef-1234567890ab.json", &policy)],
        [("a.json", &describe), ("b/x.json", &named)],
        [("111122223333/readme.txt", "[]"), (by_path, &policy)],
    ] {
        let estate = load_whole(&files);
        let key = estate.key(KEY).unwrap();
        let policy = &key.policies["default"];
        assert_eq!(policy.form, Form::Text);
        assert!(policy.text.starts_with("{\n  \"Version\""), "{}", policy.text);
    }
}

#[test]
fn a_key_policy_that_nothing_places_is_named_and_is_a_gap() {
    let policy = format!(r#"{{"Policy": "{POLICY}", "PolicyName": "default"}}"#);
    let other = KEY.replace("1234abcd", "ffffabcd");
    let estate = load(&[
        ("k/a.json", &key_metadata(KEY, "")),
        ("k/b.json", &key_metadata(&other, "")),
        ("k/policy.json", &policy),
    ]);
    let problem =
        estate.problems.iter().find(|problem| problem.to_string().contains("describe-key")).unwrap();
    assert_eq!(&*problem.file, "k/policy.json");
    assert!(estate.key(KEY).unwrap().policies.is_empty());
    assert_eq!(extent(&estate, "111122223333", Kind::KeyPolicies), Extent::Absent);
}

#[test]
fn replicas_with_one_id_are_told_apart_by_region() {
    let id = "mrk-0123456789abcdef0123456789abcdef";
    let arn = |region: &str| format!("arn:aws:kms:{region}:111122223333:key/{id}");
    let (here, there) = (arn("eu-west-1"), arn("us-east-1"));
    let config = format!(
        r#", "MultiRegion": true, "MultiRegionConfiguration": {{"MultiRegionKeyType": "REPLICA",
        "PrimaryKey": {{"Arn": "{here}", "Region": "eu-west-1"}}, "ReplicaKeys": [{{"Arn": "{there}", "Region": "us-east-1"}}]}}"#
    );
    let replica = key_metadata(&there, &config).replacen("\"MultiRegion\": false, ", "", 1);
    let policy = format!(r#"{{"Policy": "{POLICY}", "PolicyName": "default"}}"#);
    let path = format!("us-east-1/{id}/get-key-policy.json");
    let estate = load_whole(&[("a", &key_metadata(&here, "")), ("b", &replica), (&path, &policy)]);
    assert!(estate.key(&here).unwrap().policies.is_empty());
    let replica = estate.key(&there).unwrap();
    assert_eq!(replica.policies.len(), 1);
    assert!(!replica.multi_region.as_ref().unwrap().primary);
}

#[test]
fn everything_else_about_keys_is_read() {
    let list = format!(r#"{{"Keys": [{{"KeyId": "x", "KeyArn": "{KEY}"}}]}}"#);
    let described = key_metadata(KEY, r#", "DeletionDate": "2026-01-01", "ValidTo": "2027-01-01", "ExpirationModel": "KEY_MATERIAL_EXPIRES""#)
        .replace("AWS_KMS", "EXTERNAL")
        .replace("\"KeyState\": \"Enabled\"", "\"KeyState\": \"PendingDeletion\"");
    let grants = format!(
        r#"{{"Grants": [{{"KeyId": "{KEY}", "GrantId": "g1", "Name": "", "CreationDate": 1.5,
        "GranteePrincipal": "arn:aws:iam::444455556666:role/app", "RetiringPrincipal": "AROADELETED",
        "IssuingAccount": "arn:aws:iam::111122223333:root", "Operations": ["Decrypt", "CreateGrant"],
        "Constraints": {{"EncryptionContextSubset": {{"a": "b"}}, "SourceArn": "arn:aws:s3:::x"}}}}], "Truncated": false}}"#
    );
    let aliases = r#"{"Aliases": [
        {"AliasName": "alias/backup", "AliasArn": "arn:aws:kms:eu-west-1:111122223333:alias/backup", "TargetKeyId": "1234abcd-12ab-34cd-56ef-1234567890ab"},
        {"AliasName": "alias/aws/s3", "AliasArn": "arn:aws:kms:eu-west-1:111122223333:alias/aws/s3"}]}"#;
    let dir = "111122223333/eu-west-1/kms/1234abcd-12ab-34cd-56ef-1234567890ab";
    let path = |name: &str| format!("{dir}/{name}");
    let ram = format!(r#"{{"Policy": "{POLICY}", "PolicyName": "AWS_RAM"}}"#);
    let default = format!(r#"{{"Policy": "{POLICY}", "PolicyName": "default"}}"#);
    let estate = load_whole(&[
        (
            "111122223333/ec2.json",
            r#"{"Regions": [{"RegionName": "eu-west-1", "OptInStatus": "opt-in-not-required"}]}"#,
        ),
        ("111122223333/eu-west-1/keys.json", &list),
        ("111122223333/eu-west-1/aliases.json", aliases),
        (&path("1"), &described),
        (&path("2"), &grants),
        (&path("3"), r#"{"Tags": [{"TagKey": "use", "TagValue": "backup"}], "Truncated": false}"#),
        (&path("4"), r#"{"KeyRotationEnabled": true, "RotationPeriodInDays": 365}"#),
        (&path("5"), r#"{"PolicyNames": ["default", "AWS_RAM"], "Truncated": false}"#),
        (&path("6"), &ram),
        (&path("7"), &default),
    ]);
    let key = estate.key(KEY).unwrap();
    assert_eq!((&key.state, &key.origin), (&Some(KeyState::PendingDeletion), &Some(KeyOrigin::External)));
    assert_eq!(key.material_expires.as_deref(), Some("2027-01-01"));
    assert_eq!(key.created.as_deref(), Some("1700000000.5"));
    let grant = &key.grants.as_ref().unwrap()[0];
    assert_eq!(grant.operations, ["CreateGrant".into(), "Decrypt".into()]);
    let constraints = grant.constraints.as_ref().unwrap();
    assert_eq!(constraints.subset, Some(vec![("a".into(), "b".into())]));
    assert_eq!(
        (constraints.equals.as_ref(), constraints.source_arn.as_deref()),
        (None, Some("arn:aws:s3:::x"))
    );
    assert_eq!(key.aliases.as_ref().unwrap()[0].name.as_ref(), "alias/backup");
    assert_eq!(key.tags.as_ref().unwrap().len(), 1);
    assert_eq!(key.rotation.as_ref().unwrap().period_days, Some(365));
    assert_eq!(key.policies.len(), 2);
    for kind in [
        Kind::Keys,
        Kind::KeyDescriptions,
        Kind::KeyPolicies,
        Kind::Grants,
        Kind::KeyTags,
        Kind::KeyRotation,
        Kind::Aliases,
    ] {
        assert_eq!(extent(&estate, "111122223333", kind), Extent::Whole, "{kind:?}");
    }
}

#[test]
fn a_key_without_grants_is_told_from_one_that_was_not_asked() {
    let described = key_metadata(KEY, "");
    let none = r#"{"Grants": [], "Truncated": false}"#;
    let estate = load_whole(&[("k/d.json", &described), ("k/g.json", none)]);
    assert_eq!(estate.key(KEY).unwrap().grants, Some(vec![]));
    assert_eq!(load_whole(&[("k/d.json", &described)]).key(KEY).unwrap().grants, None);
    let more = r#"{"Grants": [], "Truncated": true, "NextMarker": "m"}"#;
    let listed = format!(r#"{{"Keys": [{{"KeyId": "x", "KeyArn": "{KEY}"}}]}}"#);
    let estate = load(&[("k/d.json", &described), ("k/g.json", more), ("k/l.json", &listed)]);
    assert_eq!(extent(&estate, "111122223333", Kind::Grants), Extent::Absent, "its last page is missing");
}

const ACCOUNTS: &str = r#"{"Accounts": [
    {"Id": "111122223333", "Arn": "arn:aws:organizations::111122223333:account/o-exampleorgid/111122223333", "Email": "management@example.com", "Name": "management", "Status": "ACTIVE", "JoinedMethod": "INVITED", "JoinedTimestamp": 1.0},
    {"Id": "444455556666", "Arn": "arn:aws:organizations::111122223333:account/o-exampleorgid/444455556666", "Email": "keys@example.com", "Name": "keys", "State": "ACTIVE", "Paths": ["o-exampleorgid/r-ab12/ou-ab12-11111111/"], "JoinedMethod": "CREATED"}]}"#;

fn organisation(extra: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    let mut files = vec![
        ("org.json", r#"{"Organization": {"Id": "o-exampleorgid", "Arn": "arn:aws:organizations::111122223333:organization/o-exampleorgid", "FeatureSet": "ALL", "MasterAccountId": "111122223333"}}"#.to_owned()),
        ("roots.json", r#"{"Roots": [{"Id": "r-ab12", "Arn": "arn:aws:organizations::111122223333:root/o-exampleorgid/r-ab12", "Name": "Root", "PolicyTypes": [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}]}]}"#.to_owned()),
        ("units-of/r-ab12.json", r#"{"OrganizationalUnits": [{"Id": "ou-ab12-11111111", "Arn": "arn:aws:organizations::111122223333:ou/o-exampleorgid/ou-ab12-11111111", "Name": "Backup"}]}"#.to_owned()),
        ("units-of/ou-ab12-11111111.json", r#"{"OrganizationalUnits": []}"#.to_owned()),
        ("accounts.json", ACCOUNTS.to_owned()),
        ("accounts-of/r-ab12.json", ACCOUNTS.lines().next().unwrap().to_owned() + ACCOUNTS.lines().nth(1).unwrap().trim_end_matches(',') + "]}"),
    ];
    let full = r#"{"Id": "p-FullAWSAccess", "Arn": "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess", "Name": "FullAWSAccess", "Type": "SERVICE_CONTROL_POLICY", "AwsManaged": true}"#;
    let own = r#"{"Id": "p-examplescp1", "Arn": "arn:aws:organizations::111122223333:policy/o-exampleorgid/service_control_policy/p-examplescp1", "Name": "guard", "Type": "SERVICE_CONTROL_POLICY", "AwsManaged": false}"#;
    for target in ["policies/r-ab12.json", "policies/444455556666.json", "policies/111122223333.json"] {
        files.push((target, format!(r#"{{"Policies": [{full}]}}"#)));
    }
    files.push(("policies/ou-ab12-11111111.json", format!(r#"{{"Policies": [{full}, {own}]}}"#)));
    files.push(("policy-1.json", format!(r#"{{"Policy": {{"PolicySummary": {full}, "Content": "{{}}"}}}}"#)));
    files.push((
        "policy-2.json",
        format!(r#"{{"Policy": {{"PolicySummary": {own}, "Content": "{{\"Statement\": []}}"}}}}"#),
    ));
    files.extend(extra.iter().cloned());
    files
}

fn borrowed<'a>(files: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    files.iter().map(|(path, text)| (*path, text.as_str())).collect()
}

#[test]
fn an_organisation_is_put_together() {
    let files = organisation(&[
        ("deleg.json", r#"{"DelegatedAdministrators": [{"Id": "444455556666", "Arn": "arn:aws:organizations::111122223333:account/o-exampleorgid/444455556666"}]}"#.into()),
        ("deleg/444455556666.json", r#"{"DelegatedServices": [{"ServicePrincipal": "backup.amazonaws.com", "DelegationEnabledDate": 1.0}]}"#.into()),
        ("rp.json", r#"{"ResourcePolicy": {"ResourcePolicySummary": {"Id": "rp-x", "Arn": "arn:aws:organizations::111122223333:resourcepolicy/o-exampleorgid/rp-x"}, "Content": "{}"}}"#.into()),
        ("trusted.json", r#"{"EnabledServicePrincipals": [{"ServicePrincipal": "sso.amazonaws.com"}]}"#.into()),
        ("features.json", r#"{"OrganizationId": "o-exampleorgid", "EnabledFeatures": ["RootSessions"]}"#.into()),
    ]);
    let estate = load_whole(&borrowed(&files));
    let organisation = &estate.organisations["o-exampleorgid"];
    assert_eq!(organisation.management, Some(account("111122223333")));
    let above: Vec<_> =
        organisation.ancestors(account("444455556666")).iter().map(|node| (&*node.id, node.kind)).collect();
    assert_eq!(above, [("ou-ab12-11111111", NodeKind::Unit), ("r-ab12", NodeKind::Root)]);
    assert!(organisation.place_is_known(account("111122223333")));
    assert_eq!(organisation.nodes["ou-ab12-11111111"].scps.as_ref().unwrap().len(), 2);
    assert_eq!(
        &*organisation.policies["p-examplescp1"].document.as_ref().unwrap().text,
        r#"{"Statement": []}"#
    );
    assert_eq!(
        organisation.delegations.as_ref().unwrap()[0].services,
        Some(vec!["backup.amazonaws.com".into()])
    );
    assert!(organisation.resource_policy.as_ref().unwrap().is_some());
    assert_eq!(estate.accounts[&account("111122223333")].root_features, Some(vec!["RootSessions".into()]));
    let scope = Scope::Organisation("o-exampleorgid".into());
    for kind in [
        Kind::Organisation,
        Kind::Tree,
        Kind::Members,
        Kind::Scps,
        Kind::Rcps,
        Kind::Delegations,
        Kind::OrganisationPolicy,
    ] {
        assert_eq!(estate.coverage.extent(&scope, kind), Extent::Whole, "{kind:?}");
    }
    assert_eq!(estate.coverage.extent(&scope, Kind::SsoInstances), Extent::Absent);
}

#[test]
fn a_target_whose_policies_are_not_there_leaves_a_gap() {
    let files: Vec<_> =
        organisation(&[]).into_iter().filter(|(path, _)| !path.contains("policies/ou-")).collect();
    let estate = load_whole(&borrowed(&files));
    let scope = Scope::Organisation("o-exampleorgid".into());
    assert_eq!(estate.coverage.extent(&scope, Kind::Scps), Extent::Partial);
    let gap = estate.coverage.gaps_of(&scope, Kind::Scps).next().unwrap();
    assert_eq!(gap.resource.as_deref(), Some("ou-ab12-11111111"));
}

#[test]
fn buckets_are_found_by_their_policy_and_by_the_path() {
    let list = r#"{"Buckets": [{"Name": "log-archive", "CreationDate": 1, "BucketRegion": "eu-west-1"}, {"Name": "log", "CreationDate": 1}], "Owner": {"ID": "x"}}"#;
    let policy = r#"{"Policy": "{\"Statement\":[{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"s3:*\",\"Resource\":[\"arn:aws:s3:::log-archive\",\"arn:aws:s3:::log-archive/*\"]}]}"}"#;
    let estate = load_whole(&[
        ("111122223333/buckets.json", list),
        ("111122223333/whatever.json", policy),
        ("111122223333/versioning-log-archive.json", r#"{"Status": "Enabled", "MFADelete": "Enabled"}"#),
        ("111122223333/log/versioning.json", r#"{"Status": "Suspended"}"#),
        (
            "111122223333/log-archive/lock.json",
            r#"{"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}}}"#,
        ),
        (
            "111122223333/log-archive/block.json",
            r#"{"PublicAccessBlockConfiguration": {"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": false}}"#,
        ),
        (
            "111122223333/log-archive/enc.json",
            r#"{"ServerSideEncryptionConfiguration": {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/logs"}}]}}"#,
        ),
    ]);
    let held = &estate.accounts[&account("111122223333")];
    let bucket = &held.buckets["log-archive"];
    assert!(bucket.policy.as_ref().unwrap().is_some());
    assert_eq!(bucket.versioning, Some(Versioning::Enabled { mfa_delete: true }));
    assert_eq!(bucket.lock.unwrap().unwrap().default, Some((LockMode::Compliance, Period::Days(30))));
    assert!(!bucket.public_access.unwrap().unwrap().restrict);
    assert_eq!(bucket.encryption_keys, Some(vec!["alias/logs".into()]));
    assert_eq!(held.buckets["log"].versioning, Some(Versioning::Suspended));
    assert_eq!(held.buckets["log"].policy, None, "not asked");
}

#[test]
fn backup_vaults_are_read() {
    let arn = "arn:aws:backup:eu-west-1:111122223333:backup-vault:main";
    let described = format!(
        r#"{{"BackupVaultName": "main", "BackupVaultArn": "{arn}", "VaultType": "BACKUP_VAULT", "EncryptionKeyArn": "{KEY}",
        "CreationDate": 1.0, "NumberOfRecoveryPoints": 2, "Locked": true, "MinRetentionDays": 7, "MaxRetentionDays": 365, "LockDate": "2026-02-01"}}"#
    );
    let policy = format!(r#"{{"BackupVaultName": "main", "BackupVaultArn": "{arn}", "Policy": "{{}}"}}"#);
    let points = format!(
        r#"{{"RecoveryPoints": [{{"RecoveryPointArn": "arn:aws:ec2:eu-west-1::snapshot/s", "BackupVaultName": "main", "BackupVaultArn": "{arn}",
        "ResourceArn": "arn:aws:ec2:eu-west-1:111122223333:volume/v", "Status": "COMPLETED", "CalculatedLifecycle": {{"DeleteAt": "2026-05-01"}}}}]}}"#
    );
    let estate = load_whole(&[("1", &described), ("2", &policy), ("3", &points)]);
    let vault = &estate.accounts[&account("111122223333")].vaults[arn];
    assert_eq!((vault.locked, vault.min_retention_days), (Some(true), Some(7)));
    assert!(vault.policy.as_ref().unwrap().is_some());
    assert_eq!(vault.recovery_points.as_ref().unwrap()[0].deletes_at.as_deref(), Some("2026-05-01"));
}

#[test]
fn identity_center_is_read() {
    let (instance, set) = (
        "arn:aws:sso:::instance/ssoins-0123456789abcdef",
        "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef",
    );
    let files = organisation(&[]);
    let mut files: Vec<(&str, &str)> = borrowed(&files);
    let instances = format!(
        r#"{{"Instances": [{{"InstanceArn": "{instance}", "IdentityStoreId": "d-1234567890", "OwnerAccountId": "111122223333"}}]}}"#
    );
    let sets = format!(r#"{{"PermissionSets": ["{set}"]}}"#);
    let described = format!(r#"{{"PermissionSet": {{"Name": "Admin", "PermissionSetArn": "{set}"}}}}"#);
    let assignments = format!(
        r#"{{"AccountAssignments": [{{"AccountId": "444455556666", "PermissionSetArn": "{set}", "PrincipalType": "GROUP", "PrincipalId": "9067-group"}}]}}"#
    );
    let users = r#"{"Users": [{"UserName": "host-a", "UserId": "u1", "IdentityStoreId": "d-1234567890"}]}"#;
    files.extend([
        ("i.json", instances.as_str()),
        ("111122223333/sets.json", &sets),
        ("d.json", &described),
        ("a.json", &assignments),
        ("111122223333/u.json", users),
        ("111122223333/g.json", r#"{"Groups": [{"GroupId": "9067-group", "DisplayName": "admins", "IdentityStoreId": "d-1234567890"}]}"#),
        ("m.json", r#"{"GroupMemberships": [{"IdentityStoreId": "d-1234567890", "MembershipId": "m", "GroupId": "9067-group", "MemberId": {"UserId": "u1"}}]}"#),
        ("ps-0123456789abcdef/1.json", r#"{"AttachedManagedPolicies": [{"Name": "AdministratorAccess", "Arn": "arn:aws:iam::aws:policy/AdministratorAccess"}]}"#),
        ("ps-0123456789abcdef/2.json", r#"{"CustomerManagedPolicyReferences": [{"Name": "extra", "Path": "/x/"}]}"#),
        ("ps-0123456789abcdef/3.json", r#"{"InlinePolicy": ""}"#),
        ("ps-0123456789abcdef/4.json", r#"{"PermissionsBoundary": {"ManagedPolicyArn": "arn:aws:iam::aws:policy/PowerUserAccess"}}"#),
        ("ps-0123456789abcdef/5.json", r#"{"AccountIds": ["444455556666"]}"#),
    ]);
    let estate = load_whole(&files);
    let sso = &estate.accounts[&account("111122223333")].sso[instance];
    let permission_set = &sso.permission_sets[set];
    assert_eq!(permission_set.name.as_deref(), Some("Admin"));
    assert_eq!(permission_set.inline, Some(None), "asked, and there is none");
    assert_eq!(permission_set.customer_managed, Some(vec!["/x/extra".into()]));
    assert!(permission_set.boundary.as_ref().unwrap().is_some());
    assert_eq!(sso.assignments[0].holder, Holder::Group("9067-group".into()));
    assert_eq!(sso.groups["9067-group"].members, Some(vec!["u1".into()]));
    let scope = Scope::Organisation("o-exampleorgid".into());
    for kind in [Kind::SsoInstances, Kind::PermissionSets, Kind::Assignments, Kind::Directory] {
        assert_eq!(estate.coverage.extent(&scope, kind), Extent::Whole, "{kind:?}");
    }
}

#[test]
fn shares_providers_and_compute_are_read() {
    let share = "arn:aws:ram:eu-west-1:111122223333:resource-share/1";
    let shares = format!(
        r#"{{"resourceShares": [{{"resourceShareArn": "{share}", "name": "keys", "owningAccountId": "111122223333", "allowExternalPrincipals": true, "status": "ACTIVE"}}]}}"#
    );
    let associations = format!(
        r#"{{"resourceShareAssociations": [{{"resourceShareArn": "{share}", "associatedEntity": "444455556666", "associationType": "PRINCIPAL", "status": "ASSOCIATED", "external": false}}]}}"#
    );
    let resources = format!(
        r#"{{"resources": [{{"arn": "{KEY}", "type": "kms:Key", "resourceShareArn": "{share}", "status": "AVAILABLE"}}]}}"#
    );
    let estate = load_whole(&[
        ("111122223333/eu-west-1/1.json", &shares),
        ("111122223333/eu-west-1/2.json", &associations),
        ("111122223333/eu-west-1/3.json", &resources),
        (
            "4",
            r#"{"OpenIDConnectProviderList": [{"Arn": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"}]}"#,
        ),
        (
            "111122223333/5",
            r#"{"Url": "token.actions.githubusercontent.com", "ClientIDList": ["sts.amazonaws.com"], "ThumbprintList": [], "CreateDate": 1}"#,
        ),
        (
            "6",
            r#"{"SAMLProviderList": [{"Arn": "arn:aws:iam::111122223333:saml-provider/idp", "ValidUntil": "2030-01-01", "CreateDate": 1}]}"#,
        ),
        (
            "7",
            r#"{"Functions": [{"FunctionName": "f", "FunctionArn": "arn:aws:lambda:eu-west-1:111122223333:function:f", "Role": "arn:aws:iam::111122223333:role/deploy"}]}"#,
        ),
        (
            "8",
            r#"{"Policy": "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"lambda:InvokeFunction\",\"Resource\":\"arn:aws:lambda:eu-west-1:111122223333:function:f\"}]}", "RevisionId": "r"}"#,
        ),
        (
            "9",
            r#"{"Reservations": [{"OwnerId": "111122223333", "Instances": [{"InstanceId": "i-1", "Placement": {"AvailabilityZone": "eu-west-1a"}, "State": {"Name": "running"}, "IamInstanceProfile": {"Arn": "arn:aws:iam::111122223333:instance-profile/web", "Id": "x"}}]}]}"#,
        ),
        ("10", super::shapes::DETAILS),
        (
            "11",
            r#"{"taskDefinition": {"taskDefinitionArn": "arn:aws:ecs:eu-west-1:111122223333:task-definition/t:1", "family": "t", "taskRoleArn": "arn:aws:iam::111122223333:role/deploy", "containerDefinitions": []}}"#,
        ),
        (
            "12",
            r#"{"projects": [{"name": "p", "arn": "arn:aws:codebuild:eu-west-1:111122223333:project/p", "serviceRole": "arn:aws:iam::111122223333:role/deploy"}]}"#,
        ),
        ("111122223333/eu-west-1/13.json", r#"{"Jobs": [{"Name": "j", "Role": "deploy"}]}"#),
        (
            "14",
            r#"{"NotebookInstanceArn": "arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/n", "NotebookInstanceName": "n", "RoleArn": "arn:aws:iam::111122223333:role/deploy"}"#,
        ),
        (
            "15",
            r#"{"StackSet": {"StackSetName": "s", "StackSetARN": "arn:aws:cloudformation:eu-west-1:111122223333:stackset/s:1", "PermissionModel": "SERVICE_MANAGED", "OrganizationalUnitIds": ["r-ab12"]}}"#,
        ),
        (
            "16",
            r#"{"Stacks": [{"StackId": "arn:aws:cloudformation:eu-west-1:111122223333:stack/a/1", "StackName": "a", "RoleARN": "arn:aws:iam::111122223333:role/deploy"}]}"#,
        ),
    ]);
    let held = &estate.accounts[&account("111122223333")];
    let kinds: Vec<_> = held.shares[share].associations.iter().map(|association| association.kind).collect();
    assert_eq!(kinds, [AssociationKind::Principal, AssociationKind::Resource]);
    let oidc = &held.providers["arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"];
    assert_eq!(oidc.audiences, Some(vec!["sts.amazonaws.com".into()]));
    assert_eq!(held.providers.len(), 2);
    assert!(held.compute["arn:aws:lambda:eu-west-1:111122223333:function:f"].policy.is_some());
    let role: Vec<std::sync::Arc<str>> = vec!["arn:aws:iam::111122223333:role/deploy".into()];
    let instance = &held.compute["arn:aws:ec2:eu-west-1:111122223333:instance/i-1"];
    assert_eq!(
        (instance.kind, &instance.roles),
        (ComputeKind::Ec2Instance, &role),
        "through its instance profile"
    );
    assert_eq!(
        held.compute["arn:aws:glue:eu-west-1:111122223333:job/j"].roles, role,
        "by the name of the role"
    );
    assert_eq!(held.compute.len(), 7);
    assert!(held.compute.values().all(|compute| compute.roles == role));
    assert_eq!(held.stack_sets.values().next().unwrap().service_managed, Some(true));
}

#[test]
fn trails_are_read() {
    let arn = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/main";
    let trails = format!(
        r#"{{"trailList": [{{"Name": "main", "TrailARN": "{arn}", "S3BucketName": "logs", "HomeRegion": "eu-west-1", "IsMultiRegionTrail": true, "IsOrganizationTrail": true, "LogFileValidationEnabled": true, "KmsKeyId": "{KEY}"}}]}}"#
    );
    let basic = format!(
        r#"{{"TrailARN": "{arn}", "EventSelectors": [{{"ReadWriteType": "All", "IncludeManagementEvents": true, "DataResources": [], "ExcludeManagementEventSources": ["kms.amazonaws.com"]}}]}}"#
    );
    let estate = load_whole(&[
        ("111122223333/eu-west-1/a.json", &trails),
        ("b.json", &basic),
        ("111122223333/main/c.json", r#"{"IsLogging": true, "LatestDeliveryTime": 1.0}"#),
        (
            "111122223333/summary.json",
            r#"{"SummaryMap": {"AccountAccessKeysPresent": 1, "AccountMFAEnabled": 0, "Users": 3}}"#,
        ),
    ]);
    let held = &estate.accounts[&account("111122223333")];
    let trail = &held.trails[arn];
    let Some(Selectors::Basic(selectors)) = &trail.selectors else { panic!("{:?}", trail.selectors) };
    assert_eq!(selectors[0].excluded_sources, ["kms.amazonaws.com".into()]);
    assert!(trail.status.as_ref().unwrap().logging);
    assert_eq!((held.root.access_keys, held.root.mfa, held.root.password), (Some(true), Some(false), None));
}

#[test]
fn the_caller_in_the_nearest_directory_above_tells_the_account() {
    let estate = load_whole(&[
        (
            "prod/caller.json",
            r#"{"UserId": "x", "Account": "111122223333", "Arn": "arn:aws:sts::111122223333:assumed-role/r/s"}"#,
        ),
        ("prod/s3/list.json", r#"{"Buckets": [{"Name": "b", "CreationDate": 1}]}"#),
    ]);
    assert!(estate.accounts[&account("111122223333")].buckets.contains_key("b"));
}

#[test]
fn notes_of_the_collector_tell_nothing_there_from_refused() {
    let note = |call: &str, resource: &str, outcome: &str| {
        format!(
            r#"{{"StrongroomCollection": {{"Call": "{call}", "Account": "111122223333", "Region": "eu-west-1", "Resource": "{resource}", "Outcome": "{outcome}", "Message": "AccessDenied"}}}}"#
        )
    };
    let none = note("s3api get-bucket-policy", "b", "nothing");
    let refused = note("kms list-grants", KEY, "failed");
    let estate = load(&[
        ("111122223333/l.json", r#"{"Buckets": [{"Name": "b", "CreationDate": 1}]}"#),
        ("1", &none),
        ("2", &refused),
    ]);
    assert_eq!(estate.accounts[&account("111122223333")].buckets["b"].policy, Some(None));
    assert_eq!(estate.problems.len(), 1);
    assert!(estate.problems[0].to_string().contains("`kms list-grants`: AccessDenied"));
    let scope = Scope::Account(account("111122223333"));
    assert!(estate.coverage.gaps_of(&scope, Kind::Grants).count() >= 1);
}

fn members(organisation: &str, account: &str) -> String {
    format!(
        r#"{{"Accounts": [{{"Id": "{account}", "Arn": "arn:aws:organizations::{account}:account/{organisation}/{account}",
        "Name": "a", "Status": "ACTIVE"}}]}}"#
    )
}

#[test]
fn each_organisation_has_its_own_list_of_accounts() {
    let one = members("o-aaaaaaaaaa", "111122223333");
    let described =
        r#"{"Organization": {"Id": "o-bbbbbbbbbb", "MasterAccountId": "444455556666", "FeatureSet": "ALL"}}"#;
    let estate = load_whole(&[("a/accounts.json", &one), ("b/organisation.json", described)]);
    let of = |id: &str| estate.coverage.extent(&Scope::Organisation(id.into()), Kind::Members);
    assert_eq!(of("o-aaaaaaaaaa"), Extent::Whole);
    assert_ne!(of("o-bbbbbbbbbb"), Extent::Whole);
}

#[test]
fn a_list_of_all_policies_below_an_account_number_hangs_on_nothing() {
    let list = r#"{"Policies": [{"Id": "p-12345678", "Arn": "arn:aws:organizations::111122223333:policy/o-aaaaaaaaaa/service_control_policy/p-12345678",
        "Name": "guard", "Type": "SERVICE_CONTROL_POLICY", "AwsManaged": false}]}"#;
    let accounts = members("o-aaaaaaaaaa", "111122223333");
    let scps = |path: &str| {
        let estate = load_whole(&[("accounts.json", &accounts), (path, list)]);
        estate.organisations["o-aaaaaaaaaa"].members[&account("111122223333")].scps.clone()
    };
    assert_eq!(scps("111122223333/organizations/list-policies.json"), None);
    assert_eq!(
        scps("111122223333/organizations/list-policies-for-target/111122223333.json").unwrap().len(),
        1
    );
}

#[test]
fn empty_lists_of_users_and_groups_are_answers_too() {
    for text in [r#"{"Users": []}"#, r#"{"Groups": []}"#] {
        let estate = load_whole(&[("111122223333/identitystore/list.json", text)]);
        assert!(estate.accounts.contains_key(&account("111122223333")), "{text}");
        load_whole(&[("111122223333/iam/list.json", text)]);
    }
    load_whole(&[("x.json", r#"{"Users": [{"UserName": "a", "Arn": "arn:aws:iam::111122223333:user/a"}]}"#)]);
}

#[test]
fn services_of_app_runner_are_a_kind_of_their_own() {
    let arn = "arn:aws:apprunner:eu-west-1:111122223333:service/web/8fe1e10304f84fd2b0df550fe98a71fa";
    let list = format!(r#"{{"ServiceSummaryList": [{{"ServiceArn": "{arn}", "ServiceName": "web"}}]}}"#);
    let service = format!(
        r#"{{"Service": {{"ServiceArn": "{arn}", "ServiceName": "web", "InstanceConfiguration":
        {{"InstanceRoleArn": "arn:aws:iam::111122223333:role/deploy"}}}}}}"#
    );
    let regions = r#"{"Regions": [{"RegionName": "eu-west-1", "OptInStatus": "opt-in-not-required"}]}"#;
    let estate =
        load_whole(&[("111122223333/r.json", regions), ("111122223333/l.json", &list), ("s.json", &service)]);
    assert_eq!(extent(&estate, "111122223333", Kind::AppRunnerServices), Extent::Whole);
    assert_eq!(estate.accounts[&account("111122223333")].compute[arn].roles.len(), 1);
    assert_eq!(extent(&estate, "111122223333", Kind::Stacks), Extent::Absent);
}

#[test]
fn a_function_that_was_asked_and_has_no_policy_has_one_that_allows_nobody() {
    let list = r#"{"Functions": [{"FunctionArn": "arn:aws:lambda:eu-west-1:111122223333:function:restore",
        "FunctionName": "restore", "Role": "arn:aws:iam::111122223333:role/deploy"}]}"#;
    let none = r#"{"StrongroomCollection": {"Call": "lambda get-policy", "Account": "111122223333",
        "Region": "eu-west-1", "Resource": "restore", "Outcome": "nothing"}}"#;
    let estate = load_whole(&[("l.json", list), ("n.json", none)]);
    let function = &estate.accounts[&account("111122223333")].compute["arn:aws:lambda:eu-west-1:111122223333:function:restore"];
    assert!(function.policy.as_ref().unwrap().text.contains("\"Statement\":[]"));
}
