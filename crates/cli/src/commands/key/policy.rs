//! `strongroom key policy`: the least rights at a provider, as text for people to review and apply.

use super::policy_aws_kms::{self, AwsKmsArgs};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::session::Session;
use clap::{Args, Subcommand, ValueEnum};
use strongroom_custody::hardening::transit::{Plan, Role, Scope};
use strongroom_custody::{HolderError, ReasonCode};

/// Options of `key policy`.
#[derive(Args, Clone, Debug)]
pub struct PolicyArgs {
    /// Of which provider.
    #[command(subcommand)]
    pub provider: Provider,
}

/// A kind of provider.
#[derive(Clone, Debug, Subcommand)]
pub enum Provider {
    /// Key policies, IAM policies and Terraform for AWS KMS
    AwsKms(AwsKmsArgs),
    /// ACL policies and keys for OpenBao and HashiCorp Vault
    Transit(TransitArgs),
}

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Policies in HCL.
    Hcl,
    /// Commands that make the keys and forbid their deletion.
    Commands,
    /// Terraform.
    Terraform,
}

/// Options of `key policy transit`.
#[derive(Args, Clone, Debug)]
pub struct TransitArgs {
    /// The Transit key that wraps read keys
    #[arg(long, value_name = "NAME")]
    pub read_key: String,

    /// The Transit key that wraps write keys
    #[arg(long, value_name = "NAME")]
    pub write_key: String,

    /// Where the engine is mounted
    #[arg(long, value_name = "PATH", default_value = "transit")]
    pub mount: String,

    /// Only this role: auditor, custodian, owner, reader or writer
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,

    /// In which form
    #[arg(long, value_name = "FORM", default_value = "hcl")]
    pub form: Form,

    /// The program in the commands: bao or vault
    #[arg(long, value_name = "PROGRAM", default_value = "bao", value_parser = ["bao", "vault"])]
    pub program: String,
}

const ROLES: [Role; 5] = [Role::Auditor, Role::Custodian, Role::Owner, Role::Reader, Role::Writer];

/// Prints the rights, limited to the datasets of the vault. Uses no key.
///
/// # Errors
/// Where the vault cannot be opened, or a name makes no sense at the provider.
pub(super) fn run(args: &PolicyArgs, context: &Context) -> Result<(), CliError> {
    let args = match &args.provider {
        Provider::AwsKms(args) => return policy_aws_kms::run(args, context),
        Provider::Transit(args) => args,
    };
    let session = Session::open(context, ReasonCode::Admin)?;
    let keyring = session.vault.keyring();
    let plan = Plan {
        mount: args.mount.clone(),
        read_key: args.read_key.clone(),
        write_key: args.write_key.clone(),
        scope: Some(Scope {
            vault: keyring.vault,
            datasets: keyring.datasets.iter().map(|dataset| dataset.name.clone()).collect(),
        }),
    };
    let wrong =
        |error: HolderError| CliError::new(ErrorKind::Usage, "these names make no policy").caused_by(&error);
    plan.check().map_err(wrong)?;
    let roles: Vec<Role> = ROLES
        .into_iter()
        .filter(|role| args.role.as_deref().is_none_or(|name| name == role.as_str()))
        .collect();
    if roles.is_empty() {
        let names = ROLES.map(Role::as_str).join(", ");
        return Err(
            CliError::new(ErrorKind::Usage, "there is no such role").hint(format!("there are: {names}"))
        );
    }
    if context.output.is_json() {
        let policies = roles.iter().map(|role| {
            let policy = plan.policy(*role).map_err(wrong)?;
            Ok((plan.policy_name(*role), policy))
        });
        return context.output.json(&serde_json::json!({
            "message_type": "provider_policy",
            "provider": "transit",
            "policies": policies.collect::<Result<std::collections::BTreeMap<_, _>, CliError>>()?,
            "commands": plan.commands(&args.program).map_err(wrong)?,
            "terraform": plan.terraform().map_err(wrong)?,
        }));
    }
    match args.form {
        Form::Hcl => roles.iter().try_for_each(|role| {
            context.output.line(&format!("# {}", plan.policy_name(*role)))?;
            context.output.line(&plan.policy(*role).map_err(wrong)?)
        }),
        Form::Commands => {
            plan.commands(&args.program).map_err(wrong)?.iter().try_for_each(|line| context.output.line(line))
        }
        Form::Terraform => context.output.line(&plan.terraform().map_err(wrong)?),
    }
}
