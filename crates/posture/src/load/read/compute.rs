//! Compute that carries roles: Lambda, EC2, ECS, CodeBuild, Glue, SageMaker, CloudFormation, App Runner.

use std::sync::Arc;

use super::reading::{Reading, present};
use crate::estate::{AccountId, Arn, Compute, ComputeKind, Kind, StackSet};
use crate::load::json::Value;
use crate::load::record::Record;

/// Account and region of an ARN.
fn place(arn: &str) -> (Option<AccountId>, Option<Arc<str>>) {
    match Arn::parse(arn) {
        Some(arn) => (arn.account(), (!arn.region.is_empty()).then(|| arn.region.into())),
        None => (None, None),
    }
}

/// What the entries of a list have in common: the account and region of its last ARN.
#[derive(Default)]
struct Common {
    account: Option<AccountId>,
    region: Option<Arc<str>>,
}

fn add(
    reading: &mut Reading<'_>,
    at: Value<'_, '_>,
    kind: ComputeKind,
    (arn, name): (Arc<str>, Arc<str>),
    roles: Vec<Arc<str>>,
    common: &mut Common,
) {
    let (account, region) = place(&arn);
    common.account = account.or(common.account);
    common.region = region.clone().or(common.region.take());
    let compute = Compute { arn, kind, name, region, roles, instance_profile: None, policy: None };
    reading.push(at, Record::Compute { account, compute: Box::new(compute) });
}

/// `lambda list-functions`.
pub(super) fn functions(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Functions);
    let mut common = Common::default();
    for item in reading.objects_of(root, "Functions") {
        let (Some(arn), Some(name)) =
            (reading.needed(item, "FunctionArn"), reading.needed(item, "FunctionName"))
        else {
            continue;
        };
        let roles = reading.shared(item, "Role").into_iter().collect();
        add(reading, item, ComputeKind::LambdaFunction, (arn, name), roles, &mut common);
    }
    reading.listed(root, Kind::Functions, common.account, common.region);
}

/// `ec2 describe-instances`.
pub(super) fn instances(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Instances);
    let mut common = Common::default();
    for reservation in reading.objects_of(root, "Reservations") {
        let owner = reading.account_id(reservation, "OwnerId");
        common.account = owner.or(common.account);
        for item in reading.objects_of(reservation, "Instances") {
            let Some(id) = reading.needed(item, "InstanceId") else { continue };
            let zone = present(item, "Placement").and_then(|place| reading.own(place, "AvailabilityZone"));
            let region: Option<Arc<str>> =
                zone.map(|zone| zone.trim_end_matches(|c: char| c.is_ascii_lowercase()).into());
            common.region = region.clone().or(common.region.take());
            let gone = present(item, "State")
                .and_then(|state| reading.string(state, "Name"))
                .is_some_and(|state| state == "terminated");
            if gone {
                continue;
            }
            let instance_profile =
                present(item, "IamInstanceProfile").and_then(|profile| reading.shared(profile, "Arn"));
            let compute = Compute {
                arn: Arc::clone(&id),
                kind: ComputeKind::Ec2Instance,
                name: id,
                region,
                roles: Vec::new(),
                instance_profile,
                policy: None,
            };
            reading.push(item, Record::Compute { account: owner, compute: Box::new(compute) });
        }
    }
    reading.listed(root, Kind::Instances, common.account, common.region);
}

/// `ecs describe-task-definition`.
pub(super) fn task_definition(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::TaskDefinitions);
    let Some(value) = present(root, "taskDefinition") else { return };
    let (Some(arn), Some(family)) =
        (reading.needed(value, "taskDefinitionArn"), reading.needed(value, "family"))
    else {
        return;
    };
    // Containers can take the task's role only; the execution role is the agent's, and reaches secrets for them.
    let roles = reading.shared(value, "taskRoleArn").into_iter().collect();
    add(reading, root, ComputeKind::EcsTaskDefinition, (arn, family), roles, &mut Common::default());
}

/// `ecs list-task-definitions`: names which there are, not what they are.
pub(super) fn passed_over(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::TaskDefinitions);
    let first =
        present(root, "taskDefinitionArns").and_then(|list| list.items().next()).and_then(|arn| arn.string());
    let (account, region) = first.map(|arn| place(&arn)).unwrap_or_default();
    reading.listed(root, Kind::TaskDefinitions, account, region);
}

/// `codebuild batch-get-projects`; `list-projects` names projects only.
pub(super) fn build_projects(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::BuildProjects);
    let mut common = Common::default();
    let Some(list) = present(root, "projects") else { return };
    if list.items().all(|item| item.string().is_some()) {
        // Names alone: what they are is in the answer to another call.
        return reading.listed(root, Kind::BuildProjects, None, None);
    }
    for item in reading.objects(list) {
        let (Some(arn), Some(name)) = (reading.needed(item, "arn"), reading.needed(item, "name")) else {
            continue;
        };
        let roles = reading.shared(item, "serviceRole").into_iter().collect();
        add(reading, item, ComputeKind::CodeBuildProject, (arn, name), roles, &mut common);
    }
    reading.listed(root, Kind::BuildProjects, common.account, common.region);
}

/// `glue get-jobs`: neither names its account, nor has an ARN.
pub(super) fn glue_jobs(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    glue(reading, root, Kind::GlueJobs, "Jobs", ("Name", "Role"), ComputeKind::GlueJob);
}

/// `glue get-dev-endpoints`.
pub(super) fn glue_endpoints(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    let names = ("EndpointName", "RoleArn");
    glue(reading, root, Kind::GlueDevEndpoints, "DevEndpoints", names, ComputeKind::GlueDevEndpoint);
}

fn glue(
    reading: &mut Reading<'_>,
    root: Value<'_, '_>,
    kind: Kind,
    list: &str,
    (name, role): (&str, &str),
    compute: ComputeKind,
) {
    reading.kind = Some(kind);
    for item in reading.objects_of(root, list) {
        let Some(name) = reading.needed(item, name) else { continue };
        let roles = reading.shared(item, role).into_iter().collect();
        add(reading, item, compute, (Arc::clone(&name), name), roles, &mut Common::default());
    }
    reading.listed(root, kind, None, None);
}

/// `sagemaker describe-notebook-instance`.
pub(super) fn notebook(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Notebooks);
    let (Some(arn), Some(name)) =
        (reading.needed(root, "NotebookInstanceArn"), reading.needed(root, "NotebookInstanceName"))
    else {
        return;
    };
    let roles = reading.shared(root, "RoleArn").into_iter().collect();
    add(reading, root, ComputeKind::SageMakerNotebook, (arn, name), roles, &mut Common::default());
}

/// `sagemaker list-notebook-instances`: names which there are; their roles are in other answers.
pub(super) fn notebooks(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Notebooks);
    let mut common = Common::default();
    for item in reading.objects_of(root, "NotebookInstances") {
        let (Some(arn), Some(name)) =
            (reading.needed(item, "NotebookInstanceArn"), reading.needed(item, "NotebookInstanceName"))
        else {
            continue;
        };
        add(reading, item, ComputeKind::SageMakerNotebook, (arn, name), Vec::new(), &mut common);
    }
    reading.listed(root, Kind::Notebooks, common.account, common.region);
}

/// `cloudformation describe-stacks`. Only stacks with a service role carry one.
pub(super) fn stacks(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Stacks);
    let mut common = Common::default();
    for item in reading.objects_of(root, "Stacks") {
        let (Some(arn), Some(name)) = (reading.needed(item, "StackId"), reading.needed(item, "StackName"))
        else {
            continue;
        };
        let roles: Vec<_> = reading.shared(item, "RoleARN").into_iter().collect();
        add(reading, item, ComputeKind::CloudFormationStack, (arn, name), roles, &mut common);
    }
    reading.listed(root, Kind::Stacks, common.account, common.region);
}

/// `cloudformation describe-stack-set`.
pub(super) fn stack_set(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::StackSets);
    let Some(value) = present(root, "StackSet") else { return };
    let (Some((arn, _)), Some(name)) =
        (reading.arn(value, "StackSetARN"), reading.needed(value, "StackSetName"))
    else {
        return;
    };
    let mut targets = reading.strings(value, "OrganizationalUnitIds").unwrap_or_default();
    targets.sort();
    let set = StackSet {
        arn,
        name,
        service_managed: reading.string(value, "PermissionModel").map(|model| model == "SERVICE_MANAGED"),
        administration_role: reading.own(value, "AdministrationRoleARN"),
        execution_role: reading.own(value, "ExecutionRoleName"),
        targets,
    };
    reading.push(root, Record::StackSet(Box::new(set)));
}

/// `cloudformation list-stack-sets`: names which there are; the rest is in other answers.
pub(super) fn stack_sets(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::StackSets);
    reading.listed(root, Kind::StackSets, None, None);
}

/// `apprunner describe-service`. Its instance role is the one that code takes.
pub(super) fn app_runner(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::AppRunnerServices);
    let Some(value) = present(root, "Service") else { return };
    let (Some((arn, _)), Some(name)) =
        (reading.arn(value, "ServiceArn"), reading.needed(value, "ServiceName"))
    else {
        return;
    };
    let instance = present(value, "InstanceConfiguration");
    let roles =
        instance.and_then(|instance| reading.shared(instance, "InstanceRoleArn")).into_iter().collect();
    add(reading, root, ComputeKind::AppRunnerService, (arn, name), roles, &mut Common::default());
}

/// `apprunner list-services`, which names no roles.
pub(super) fn app_runner_services(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::AppRunnerServices);
    let mut common = Common::default();
    for item in reading.objects_of(root, "ServiceSummaryList") {
        let (Some(arn), Some(name)) =
            (reading.needed(item, "ServiceArn"), reading.needed(item, "ServiceName"))
        else {
            continue;
        };
        add(reading, item, ComputeKind::AppRunnerService, (arn, name), Vec::new(), &mut common);
    }
    reading.listed(root, Kind::AppRunnerServices, common.account, common.region);
}

/// `ec2 describe-regions`.
pub(super) fn regions(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Regions);
    let mut regions = Vec::new();
    for item in reading.objects_of(root, "Regions") {
        let Some(name) = reading.shared(item, "RegionName") else { continue };
        if reading.string(item, "OptInStatus").as_deref() != Some("not-opted-in") {
            regions.push(name);
        }
    }
    regions.sort();
    reading.push(root, Record::Regions(regions));
    reading.listed(root, Kind::Regions, None, None);
}
