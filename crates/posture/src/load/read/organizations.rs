//! AWS Organizations.

use std::sync::Arc;

use super::reading::{Reading, present};
use crate::estate::{
    AccountId, Arn, Delegation, Kind, Member, MemberState, Node, NodeKind, OrgPolicy, OrgPolicyKind,
    PolicyTypeState,
};
use crate::load::json::Value;
use crate::load::record::Record;

/// The organisation of an ARN of Organizations, such as `arn:aws:organizations::111122223333:ou/o-…/ou-…`, and its
/// management account.
fn organisation_of(arn: &str) -> Option<(Arc<str>, Option<AccountId>)> {
    let arn = Arn::parse(arn).filter(|arn| arn.service == "organizations")?;
    let id = arn.resource.split('/').nth(1).filter(|id| id.starts_with("o-"))?;
    Some((id.into(), arn.account()))
}

/// Notes the organisation that an ARN names.
fn note(reading: &mut Reading<'_>, at: Value<'_, '_>, arn: Option<&str>) -> Option<Arc<str>> {
    let (id, management) = organisation_of(arn?)?;
    let record = Record::Organisation { id: Arc::clone(&id), management, feature_set: None };
    reading.push(at, record);
    Some(id)
}

/// `organizations describe-organization`.
pub(super) fn organisation(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Organisation);
    let Some(value) = present(root, "Organization") else { return };
    let Some(id) = reading.needed(value, "Id") else { return };
    let management = reading.account_id(value, "MasterAccountId").or_else(|| {
        let arn = value.get("MasterAccountArn")?.string()?;
        organisation_of(&arn)?.1
    });
    let feature_set = reading.shared(value, "FeatureSet");
    reading.push(root, Record::Organisation { id, management, feature_set });
}

/// `organizations list-roots`.
pub(super) fn roots(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Tree);
    for item in reading.objects_of(root, "Roots") {
        let Some(mut node) = node(reading, item, NodeKind::Root) else { continue };
        let organisation = note(reading, item, node.arn.as_deref());
        for state in reading.objects_of(item, "PolicyTypes") {
            let (Some(kind), Some(status)) = (reading.shared(state, "Type"), reading.shared(state, "Status"))
            else {
                continue;
            };
            node.policy_types.push(PolicyTypeState { kind: policy_kind(kind), status });
        }
        node.policy_types.sort_by(|a, b| a.kind.cmp(&b.kind));
        reading.push(item, Record::Node { organisation, node });
    }
    reading.expect_whole(root);
}

fn node(reading: &mut Reading<'_>, value: Value<'_, '_>, kind: NodeKind) -> Option<Node> {
    Some(Node {
        id: reading.needed(value, "Id")?,
        kind,
        name: reading.own(value, "Name"),
        arn: reading.own(value, "Arn"),
        parent: None,
        scps: None,
        rcps: None,
        policy_types: Vec::new(),
    })
}

/// `organizations list-organizational-units-for-parent`: the parent stands in the units' paths, or in the file's.
pub(super) fn units(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Tree);
    let parent = reading.own(root, "ParentId").or_else(|| reading.hints.node().cloned());
    let mut children = Vec::new();
    for item in reading.objects_of(root, "OrganizationalUnits") {
        if let Some(id) = one_unit(reading, item, parent.as_ref()) {
            children.push(id);
        }
    }
    reading.expect_whole(root);
    if let Some(parent) = parent {
        reading.push(root, Record::Children { parent, children });
    }
}

/// `organizations describe-organizational-unit`.
pub(super) fn unit(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Tree);
    if let Some(value) = present(root, "OrganizationalUnit") {
        one_unit(reading, value, None);
    }
}

fn one_unit(reading: &mut Reading<'_>, value: Value<'_, '_>, parent: Option<&Arc<str>>) -> Option<Arc<str>> {
    let mut node = node(reading, value, NodeKind::Unit)?;
    let organisation = note(reading, value, node.arn.as_deref());
    let id = Arc::clone(&node.id);
    // A file named by the unit itself does not make it its own parent.
    node.parent = reading
        .string(value, "Path")
        .and_then(|path| above(&path, Some(&id)))
        .or_else(|| parent.filter(|parent| **parent != id).cloned());
    reading.push(value, Record::Node { organisation, node });
    Some(id)
}

/// The last root or unit of a path such as `o-…/r-…/ou-…/`, but for `own`.
fn above(path: &str, own: Option<&str>) -> Option<Arc<str>> {
    path.split('/')
        .rfind(|part| (part.starts_with("ou-") || part.starts_with("r-")) && Some(*part) != own)
        .map(Arc::from)
}

/// `organizations list-accounts`, or `list-accounts-for-parent` where the file's path names the parent.
pub(super) fn accounts(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Members);
    let parent = reading.own(root, "ParentId").or_else(|| reading.hints.node().cloned());
    let mut children: Vec<Arc<str>> = Vec::new();
    let mut of = None;
    for item in reading.objects_of(root, "Accounts") {
        let Some(id) = reading.account_id(item, "Id") else { continue };
        let arn = reading.own(item, "Arn");
        let Some(organisation) = note(reading, item, arn.as_deref()) else {
            reading.wrong(item, "an account with an ARN of its organisation");
            continue;
        };
        let path =
            present(item, "Paths").and_then(|paths| paths.items().next()).and_then(|path| path.string());
        let member = Member {
            id,
            name: reading.own(item, "Name"),
            email: reading.own(item, "Email"),
            state: state(reading, item),
            joined: reading.shared(item, "JoinedMethod"),
            parent: path.and_then(|path| above(&path, None)).or_else(|| parent.clone()),
            scps: None,
            rcps: None,
        };
        children.push(id.to_string().into());
        of = Some(Arc::clone(&organisation));
        reading.push(item, Record::Member { organisation, member });
    }
    match parent {
        Some(parent) => {
            reading.expect_whole(root);
            reading.push(root, Record::Children { parent, children });
        }
        None => {
            let whole = reading.is_whole(root);
            reading.push(root, Record::MembersListed { organisation: of, whole });
        }
    }
}

fn state(reading: &mut Reading<'_>, value: Value<'_, '_>) -> MemberState {
    // `State` takes the place of `Status`.
    let state = reading.string(value, "State").or_else(|| reading.string(value, "Status"));
    match state.as_deref() {
        Some("ACTIVE") => MemberState::Active,
        Some("SUSPENDED") => MemberState::Suspended,
        Some("PENDING_CLOSURE") => MemberState::PendingClosure,
        Some("CLOSED") => MemberState::Closed,
        _ => MemberState::Unknown,
    }
}

/// `organizations list-children`: the file's path names the parent.
pub(super) fn children(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Tree);
    let Some(parent) = reading.own(root, "ParentId").or_else(|| reading.hints.node().cloned()) else {
        return reading.trouble(
            root.offset(),
            crate::estate::ProblemKind::Unattributed,
            "children of a parent that is not named",
        );
    };
    let mut children = Vec::new();
    for item in reading.objects_of(root, "Children") {
        children.extend(reading.needed(item, "Id"));
    }
    reading.expect_whole(root);
    reading.push(root, Record::Children { parent, children });
}

/// `organizations list-parents`: the file's path names the child.
pub(super) fn parents(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Tree);
    let child = reading.own(root, "ChildId").or_else(|| reading.hints.target());
    let parent = reading.objects_of(root, "Parents").first().and_then(|item| reading.needed(*item, "Id"));
    match (child, parent) {
        (Some(child), Some(parent)) if child != parent => {
            reading.push(root, Record::Children { parent, children: vec![child] });
        }
        _ => {
            let detail = "the parent of a child that is not named";
            reading.trouble(root.offset(), crate::estate::ProblemKind::Unattributed, detail);
        }
    }
}

fn policy_kind(kind: Arc<str>) -> OrgPolicyKind {
    match &*kind {
        "SERVICE_CONTROL_POLICY" => OrgPolicyKind::Scp,
        "RESOURCE_CONTROL_POLICY" => OrgPolicyKind::Rcp,
        _ => OrgPolicyKind::Other(kind),
    }
}

fn summary(reading: &mut Reading<'_>, value: Value<'_, '_>) -> Option<OrgPolicy> {
    let id = reading.needed(value, "Id")?;
    let kind = reading.needed(value, "Type").map(policy_kind)?;
    Some(OrgPolicy {
        id,
        kind,
        name: reading.own(value, "Name"),
        arn: reading.own(value, "Arn"),
        aws_managed: reading.bool(value, "AwsManaged").unwrap_or(false),
        document: None,
    })
}

/// `organizations list-policies-for-target` where the file's path names a target, else `list-policies`. Both have the
/// same form. A root or unit in the path is a target; an account is one only where the file itself is named by it, or
/// the path speaks of targets: files of one account lie below its number.
pub(super) fn policies(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Scps);
    let mut policies = Vec::new();
    for item in reading.objects_of(root, "Policies") {
        let Some(policy) = summary(reading, item) else { continue };
        let organisation = note(reading, item, policy.arn.as_deref());
        policies.push(Arc::clone(&policy.id));
        reading.push(item, Record::OrgPolicy { organisation, policy });
    }
    let whole = reading.is_whole(root);
    let target = reading.own(root, "TargetId").or_else(|| reading.hints.policy_target());
    reading.push(root, Record::OrgTarget { target, policies, whole });
}

/// `organizations describe-policy`.
pub(super) fn policy(reading: &mut Reading<'_>, value: Value<'_, '_>) {
    reading.kind = Some(Kind::Scps);
    let Some(value_of) = present(value, "PolicySummary") else { return };
    let Some(mut policy) = summary(reading, value_of) else { return };
    policy.document = reading.policy_of(value, "Content");
    let organisation = note(reading, value, policy.arn.as_deref());
    reading.push(value, Record::OrgPolicy { organisation, policy });
}

/// `organizations list-targets-for-policy`: the file's path names the policy.
pub(super) fn targets(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Scps);
    let policy = reading.own(root, "PolicyId").or_else(|| reading.hints.org_policy().cloned());
    let mut targets = Vec::new();
    for item in reading.objects_of(root, "Targets") {
        targets.extend(reading.needed(item, "TargetId"));
    }
    reading.expect_whole(root);
    reading.push(root, Record::OrgTargets { policy, targets });
}

/// `organizations list-delegated-administrators`.
pub(super) fn delegated_administrators(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Delegations);
    let mut organisation = None;
    let mut delegations = Vec::new();
    for item in reading.objects_of(root, "DelegatedAdministrators") {
        let Some(account) = reading.account_id(item, "Id") else { continue };
        let arn = reading.own(item, "Arn");
        organisation = note(reading, item, arn.as_deref()).or(organisation);
        delegations.push(Delegation { account, services: None });
    }
    let whole = reading.is_whole(root);
    reading.push(root, Record::Delegations { organisation, delegations, whole });
}

/// `organizations list-delegated-services-for-account`: the file's path names the account.
pub(super) fn delegated_services(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Delegations);
    let services = service_principals(reading, root, "DelegatedServices");
    reading.expect_whole(root);
    let account = reading.account_id(root, "AccountId").or(reading.hints.account());
    reading.push(root, Record::DelegatedServices { account, services });
}

/// `organizations list-aws-service-access-for-organization`.
pub(super) fn trusted_services(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Organisation);
    let services = service_principals(reading, root, "EnabledServicePrincipals");
    reading.expect_whole(root);
    reading.push(root, Record::TrustedServices(services));
}

fn service_principals(reading: &mut Reading<'_>, root: Value<'_, '_>, list: &str) -> Vec<Arc<str>> {
    let mut services = Vec::new();
    for item in reading.objects_of(root, list) {
        services.extend(reading.shared(item, "ServicePrincipal"));
    }
    services.sort();
    services
}

/// `organizations describe-resource-policy`.
pub(super) fn resource_policy(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::OrganisationPolicy);
    let Some(value) = present(root, "ResourcePolicy") else { return };
    if let Some(summary) = present(value, "ResourcePolicySummary") {
        let arn = reading.own(summary, "Arn");
        note(reading, value, arn.as_deref());
    }
    let policy = reading.policy_of(value, "Content");
    reading.push(root, Record::OrgResourcePolicy(policy));
}
