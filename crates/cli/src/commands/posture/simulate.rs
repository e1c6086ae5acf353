//! `strongroom posture simulate`: one request, answered and explained.

use super::principal;
use super::show;
use super::source::{self, Troubles};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use clap::Args;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use strongroom_posture::estate::{Form, Origin, PolicyText};
use strongroom_posture::evaluate::{Evaluator, Given, Request};
use strongroom_posture::policy::MOST_BYTES;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom posture simulate aws/ --principal arn:aws:iam::111122223333:role/restore \\\n\
    \x20   --action kms:Decrypt --resource arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\n\
    \x20 strongroom posture simulate aws/ --principal backup.amazonaws.com --action kms:CreateGrant \\\n\
    \x20   --resource arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab \\\n\
    \x20   --context aws:SourceAccount=111122223333\n\
    \n\
    Exit codes: 0 where an answer is given, whatever it is; 3 where it is given and files had problems.";

/// Tell whether a request would be allowed, and by which statements
///
/// Reads what the AWS CLI printed, as `scripts/posture-collect` collects it, from a directory: policies of
/// identities, keys, buckets, vaults and roles, permissions boundaries, service and resource control
/// policies, and grants. The answer is ALLOWED, DENIED, ALLOWED IF what then follows holds, or UNKNOWN
/// where it hangs on what was not collected. A key of the context that is not given is what whoever asks,
/// or the surroundings, make of it.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SimulateArgs {
    /// Directory with what was collected
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// Who asks: an ARN, an account number for its root user, a service, or `anonymous`
    #[arg(long, value_name = "ARN")]
    pub principal: String,

    /// What is asked for, such as kms:Decrypt
    #[arg(long, value_name = "ACTION", value_parser = action)]
    pub action: String,

    /// ARN of what it is asked for; * for actions without one
    #[arg(long, value_name = "ARN", default_value = "*", value_parser = resource)]
    pub resource: String,

    /// A key of the context and its value; several times for several values
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub context: Vec<(String, String)>,

    /// A key that is not in the context; may be repeated
    #[arg(long, value_name = "KEY")]
    pub absent: Vec<String>,

    /// Where the request comes from: aws:SourceIp
    #[arg(long, value_name = "ADDRESS")]
    pub source_ip: Option<IpAddr>,

    /// Part of the encryption context; may be repeated [default: whoever asks chooses it]
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub encryption_context: Vec<(String, String)>,

    /// A tag of the session; may be repeated [default: whoever takes the role chooses them]
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub session_tag: Vec<(String, String)>,

    /// Service through which the request comes with the principal's permissions, such as backup
    #[arg(long, value_name = "SERVICE")]
    pub through: Option<String>,

    /// File with a session policy; may be repeated
    #[arg(long, value_name = "FILE")]
    pub session_policy: Vec<PathBuf>,

    /// File with the policy of the VPC endpoint
    #[arg(long, value_name = "FILE")]
    pub endpoint_policy: Option<PathBuf>,

    /// User whose rights a federated user has
    #[arg(long, value_name = "ARN")]
    pub federated_by: Option<String>,

    /// Key that an alias points to, before or after; may be repeated
    #[arg(long, value_name = "ARN")]
    pub alias_key: Vec<String>,

    /// The grant, for kms:RetireGrant [default: any of the key]
    #[arg(long, value_name = "ID")]
    pub grant: Option<String>,

    /// Show statements about other actions too
    #[arg(long)]
    pub all: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("expected KEY=VALUE, such as aws:SourceVpc=vpc-1a2b3c4d".into()),
    }
}

fn action(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((service, name))
            if !service.is_empty() && !name.is_empty() && !text.contains(['*', '?', ' ']) =>
        {
            Ok(text.into())
        }
        _ => Err("expected one action without wildcards, such as kms:Decrypt".into()),
    }
}

fn resource(text: &str) -> Result<String, String> {
    if text == "*" || strongroom_posture::estate::Arn::parse(text).is_some() {
        Ok(text.into())
    } else {
        Err("expected an ARN, or *".into())
    }
}

/// Answers one request.
///
/// # Errors
/// Where an argument makes no sense, the input cannot be read, or parts of it could not be used.
pub(super) fn run(args: &SimulateArgs, context: &Context) -> Result<(), CliError> {
    let estate = source::load(&args.directory, context)?;
    let principal = principal::parse(&args.principal, args.federated_by.as_deref(), &estate)
        .map_err(|message| CliError::new(ErrorKind::Usage, format!("--principal: {message}")))?;
    let request = request(args, principal)?;
    let explanation = Evaluator::for_request(&estate, &request).explain(&request);
    let troubles = Troubles::of(&estate, &explanation.problems);
    if context.output.is_json() {
        let asked = json!({"principal": args.principal, "action": args.action, "resource": args.resource});
        context.output.json(&show::document(&explanation, asked, troubles.json()))?;
    } else {
        troubles.tell(context);
        show::text(&explanation, args.all, &context.output)?;
    }
    troubles.end(&args.directory)
}

fn request(
    args: &SimulateArgs,
    principal: strongroom_posture::evaluate::Principal,
) -> Result<Request, CliError> {
    let mut request = Request::new(principal, &args.action, &args.resource);
    let mut given: BTreeMap<String, Vec<Arc<str>>> = BTreeMap::new();
    for (key, value) in &args.context {
        given.entry(key.to_ascii_lowercase()).or_default().push(value.as_str().into());
    }
    if let Some(address) = args.source_ip {
        given.entry("aws:sourceip".into()).or_default().push(address.to_string().into());
    }
    for (key, values) in given {
        if args.absent.iter().any(|absent| absent.eq_ignore_ascii_case(&key)) {
            let message = format!("{key} is both given and --absent");
            return Err(CliError::new(ErrorKind::Usage, message));
        }
        request.context = request.context.with(&key, Given::Values(values));
    }
    for key in &args.absent {
        request.context = request.context.absent(key);
    }
    let tags = |pairs: &[(String, String)]| {
        let tags: Vec<(Arc<str>, Arc<str>)> =
            pairs.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
        (!tags.is_empty()).then_some(tags)
    };
    request.context.encryption_context = tags(&args.encryption_context);
    request.context.session_tags = tags(&args.session_tag);
    if let Some(service) = &args.through {
        request.context = request.context.through(service.trim_end_matches(".amazonaws.com"));
    }
    for file in &args.session_policy {
        request.session_policies.push(policy(file)?);
    }
    request.endpoint_policy = args.endpoint_policy.as_deref().map(policy).transpose()?;
    request.alias_keys = args.alias_key.iter().map(|key| key.as_str().into()).collect();
    request.grant = args.grant.as_deref().map(Arc::from);
    Ok(request)
}

/// A file that holds one policy.
fn policy(path: &Path) -> Result<PolicyText, CliError> {
    use std::io::Read as _;
    let unreadable = |error: std::io::Error| CliError::file("read", path, &error);
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    // One byte more than any policy may have tells the evaluator that it is too large.
    file.take(MOST_BYTES as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    let origin = Origin { file: path.to_string_lossy().into(), line: 1 };
    Ok(PolicyText { text: text.into(), origin, form: Form::Object })
}
