//! What services do about policies of resources and of the organisation.

/// Services whose resources resource control policies bind
/// (<https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html#rcp-supported-services>,
/// as of 2026-09-26).
const BOUND_BY_RCPS: &[&str] = &[
    "aoss",
    "appconfig",
    "appstream",
    "autoscaling",
    "autoscaling-plans",
    "budgets",
    "clouddirectory",
    "cloudfront",
    "cloudsearch",
    "cloudtrail-data",
    "codeartifact",
    "codebuild",
    "codecommit",
    "codepipeline",
    "cognito-identity",
    "cognito-idp",
    "comprehend",
    "comprehendmedical",
    "compute-optimizer",
    "cost-optimization-hub",
    "dax",
    "dsql",
    "dynamodb",
    "ecr",
    "ecr-public",
    "events",
    "firehose",
    "fis",
    "fms",
    "gamelift",
    "health",
    "inspector-scan",
    "kendra",
    "kinesisvideo",
    "kms",
    "logs",
    "memorydb",
    "networkmonitor",
    "notifications",
    "opensearch",
    "pca-connector-ad",
    "personalize",
    "polly",
    "pricing",
    "resource-groups",
    "rolesanywhere",
    "s3",
    "secretsmanager",
    "servicediscovery",
    "signin",
    "sqs",
    "sts",
    "support",
    "swf",
    "textract",
    "timestream-influxdb",
    "transcribe",
    "transfer",
    "translate",
    "wafv2",
    "workspaces",
    "xray",
];

/// Services that the same page did not name on that day. AWS adds to the page, so a policy that was read and denies
/// their actions makes the answer unknown; one that was not collected is taken not to be about them.
const NOT_BOUND_BY_RCPS: &[&str] = &[
    "account",
    "apprunner",
    "backup",
    "batch",
    "bedrock",
    "bedrock-agentcore",
    "cloudformation",
    "cloudhsm",
    "cloudtrail",
    "codestar",
    "datapipeline",
    "ec2",
    "ec2-instance-connect",
    "ecs",
    "eks",
    "elasticmapreduce",
    "glue",
    "iam",
    "identitystore",
    "imagebuilder",
    "lambda",
    "organizations",
    "ram",
    "rds",
    "sagemaker",
    "sns",
    "ssm",
    "sso",
    "states",
];

/// Services whose resources may have a policy of their own, which is not collected
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html>).
const WITH_RESOURCE_POLICIES: &[&str] = &[
    "acm-pca",
    "apigateway",
    "aps",
    "cloudtrail",
    "codeartifact",
    "codebuild",
    "dynamodb",
    "ecr",
    "ecr-public",
    "elasticfilesystem",
    "es",
    "events",
    "execute-api",
    "glacier",
    "glue",
    "iot",
    "kafka",
    "kinesis",
    "lex",
    "logs",
    "mediastore",
    "redshift",
    "redshift-serverless",
    "rekognition",
    "s3",
    "s3-object-lambda",
    "s3-outposts",
    "s3express",
    "s3tables",
    "schemas",
    "secretsmanager",
    "serverlessrepo",
    "ses",
    "sns",
    "sqs",
    "vpc-lattice",
];

/// Whether resource control policies bind the resources of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BoundByRcps {
    /// AWS says so.
    Yes,
    /// AWS did not name the service when its page was read.
    NotWhenRead,
    /// The service is not known here.
    Unknown,
}

pub(super) fn bound_by_rcps(service: &str) -> BoundByRcps {
    if BOUND_BY_RCPS.binary_search(&service).is_ok() {
        BoundByRcps::Yes
    } else if NOT_BOUND_BY_RCPS.binary_search(&service).is_ok() {
        BoundByRcps::NotWhenRead
    } else {
        BoundByRcps::Unknown
    }
}

/// Whether a resource, by its service and what follows the account in its ARN, may have a policy that is not
/// collected.
pub(super) fn may_have_a_policy(service: &str, resource: &str) -> bool {
    match service {
        // https://docs.aws.amazon.com/glue/latest/dg/security_iam_service-with-iam.html: the Data Catalog alone.
        "glue" => ["catalog", "database/", "table/", "userDefinedFunction/", "connection/"]
            .iter()
            .any(|start| resource.starts_with(start)),
        _ => WITH_RESOURCE_POLICIES.binary_search(&service).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_as_the_search_needs() {
        for list in [BOUND_BY_RCPS, NOT_BOUND_BY_RCPS, WITH_RESOURCE_POLICIES] {
            assert!(list.is_sorted());
        }
        assert_eq!(bound_by_rcps("dsql"), BoundByRcps::Yes);
        assert_eq!(bound_by_rcps("iam"), BoundByRcps::NotWhenRead);
        assert_eq!(bound_by_rcps("tomorrow"), BoundByRcps::Unknown);
    }
}
