//! Compute that carries a role: whoever controls it is that role.

use std::sync::Arc;

use super::PolicyText;

/// The services whose compute is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComputeKind {
    /// A Lambda function.
    LambdaFunction,
    /// An EC2 instance; its role comes through an instance profile.
    Ec2Instance,
    /// An ECS task definition.
    EcsTaskDefinition,
    /// A CodeBuild project.
    CodeBuildProject,
    /// A Glue job.
    GlueJob,
    /// A Glue development endpoint.
    GlueDevEndpoint,
    /// A SageMaker notebook instance.
    SageMakerNotebook,
    /// A CloudFormation stack with a service role.
    CloudFormationStack,
    /// An App Runner service.
    AppRunnerService,
}

/// Something that runs with roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compute {
    /// ARN, or a name within the account and region where AWS tells no ARN.
    pub arn: Arc<str>,
    /// What it is.
    pub kind: ComputeKind,
    /// Name.
    pub name: Arc<str>,
    /// Region, where it is known.
    pub region: Option<Arc<str>>,
    /// ARNs of the roles that code in it can take. For EC2 these come from its instance profile.
    pub roles: Vec<Arc<str>>,
    /// ARN of its instance profile; EC2 only.
    pub instance_profile: Option<Arc<str>>,
    /// Who else may call or change it; Lambda only; `None` if it was not collected.
    pub policy: Option<PolicyText>,
}

/// An instance profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceProfile {
    /// ARN.
    pub arn: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// ARNs of its roles: none or one.
    pub roles: Vec<Arc<str>>,
}

/// A CloudFormation stack set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackSet {
    /// ARN.
    pub arn: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Whether Organizations' own permissions deploy it; `None` if it was not described.
    pub service_managed: Option<bool>,
    /// ARN of the role that administers it; with self-managed permissions only.
    pub administration_role: Option<Arc<str>>,
    /// Name of the role in the targets; with self-managed permissions only.
    pub execution_role: Option<Arc<str>>,
    /// Ids of the OUs or root that it reaches.
    pub targets: Vec<Arc<str>>,
}
