//! `strongroom posture blast`: the fewest credentials that close every way of a vault's policy.

use super::source;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::session::Session;
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use strongroom_custody::holders::aws_kms;
use strongroom_custody::policy;
use strongroom_format::keyring::{Parameter, PolicyTree};
use strongroom_posture::analysis::harm_word;
use strongroom_posture::estate::Arn;
use strongroom_posture::facts::Harm;
use strongroom_posture::graph::cover::{Cover, KeyPolicy, smallest};
use strongroom_posture::graph::{Actor, Graph, Reach, Target};

const HARMS: [Harm; 4] = [Harm::Destroy, Harm::Disable, Harm::Hijack, Harm::DenyRestore];

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom posture blast aws/ --vault s3://backups/main\n\
    \x20 strongroom posture blast aws/ --policy 'any(kms, 2 of (alice, bob, carol))' \\\n\
    \x20   --keyholder kms=arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// Tell the fewest credentials that close every way of a policy
///
/// The blast radius of a policy, not of a key: which sets of credentials, captured together, destroy, disable or take over
/// so many of its keys that nobody opens by it any more. The policy is that of the dataset in the vault, where none is
/// given; no key is used.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct BlastArgs {
    /// Directory with what was collected
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// The policy [default: the read policy of the dataset in the vault]
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<String>,

    /// ARN of a keyholder's key, with --policy; may be repeated: keyholders without one are held by no provider
    #[arg(long, value_name = "NAME=ARN", value_parser = keyholder, requires = "policy")]
    pub keyholder: Vec<(String, String)>,

    /// Leave root users out
    #[arg(long)]
    pub without_root: bool,
}

fn keyholder(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, arn)) if Arn::parse(arn).is_some_and(|arn| arn.service == "kms") => {
            Ok((name.into(), arn.into()))
        }
        _ => Err("expected NAME=ARN, such as kms=arn:aws:kms:eu-west-1:111122223333:key/1234abcd-…".into()),
    }
}

/// The policy, and the keys of its keyholders.
fn wanted(args: &BlastArgs, context: &Context) -> Result<(PolicyTree, BTreeMap<String, String>), CliError> {
    if let Some(text) = &args.policy {
        return Ok((policy::parse(text)?, args.keyholder.iter().cloned().collect()));
    }
    let vault = Session::open_unpinned(context)?;
    let keyring = vault.keyring();
    let name = &context.settings.dataset.value;
    let dataset = keyring.dataset(name).ok_or_else(|| {
        CliError::new(ErrorKind::Usage, format!("the vault has no dataset `{}`", escape::text(name)))
    })?;
    let key = |(label, spec): (&String, &strongroom_format::keyring::KeyholderSpec)| match spec
        .parameters
        .get("key")
    {
        Some(Parameter::Text(key)) if spec.kind == aws_kms::KIND => Some((label.clone(), key.clone())),
        _ => None,
    };
    Ok((dataset.read_policy.clone(), keyring.keyholders.iter().filter_map(key).collect()))
}

fn key_policy(tree: &PolicyTree, keys: &BTreeMap<String, String>) -> KeyPolicy {
    let of = tree.children().iter().map(|child| key_policy(child, keys)).collect::<Vec<_>>();
    match tree {
        PolicyTree::Keyholder(name) => KeyPolicy::Leaf {
            name: name.as_str().into(),
            key: keys.get(name).map(|key| Arc::from(key.as_str())),
        },
        PolicyTree::Any(_) => KeyPolicy::Threshold { needed: 1, of },
        PolicyTree::All(_) => KeyPolicy::Threshold { needed: of.len(), of },
        PolicyTree::Threshold { needed, .. } => KeyPolicy::Threshold { needed: usize::from(*needed), of },
    }
}

/// Finds and tells them.
///
/// # Errors
/// Where the policy makes no sense, or the input cannot be read or had problems.
pub(super) fn run(args: &BlastArgs, context: &Context) -> Result<(), CliError> {
    let (tree, keys) = wanted(args, context)?;
    let policy = key_policy(&tree, &keys);
    let estate = source::load(&args.directory, context)?;
    let graph = Graph::new(&estate);
    let targets: Vec<Target> = policy.keys().into_iter().map(Target::Key).collect();
    let unknown: Vec<&str> =
        targets.iter().map(Target::name).filter(|key| estate.key(key).is_none()).collect();
    for key in &unknown {
        context
            .messages
            .warn(&format!("nothing was collected of {}: who can hurt it is not known", escape::text(key)));
    }
    let reach = graph.reach(&targets);
    let counts = |actor: &Actor| !args.without_root || !matches!(actor, Actor::Root(_));
    let covers: Vec<(Harm, Cover)> =
        HARMS.into_iter().map(|harm| (harm, smallest(&policy, harm, &reach, &counts))).collect();
    if context.output.is_json() {
        let covers: Vec<_> = covers.iter().map(|(harm, cover)| json(*harm, cover)).collect();
        context.output.json(&serde_json::json!({
            "message_type": "blast_radius", "policy": tree.to_string(), "covers": covers, "gaps": reach.gaps,
        }))?;
    } else {
        tell(context, &tree, &covers, &reach)?;
    }
    if unknown.is_empty() && estate.problems.is_empty() {
        return Ok(());
    }
    Err(CliError::new(
        ErrorKind::Problems,
        "parts of what was needed were not collected, or could not be read",
    )
    .hint("the warnings name the keys; `strongroom posture analyse --format json` lists the problems"))
}

fn tell(
    context: &Context,
    tree: &PolicyTree,
    covers: &[(Harm, Cover)],
    reach: &Reach,
) -> Result<(), CliError> {
    let output = &context.output;
    output.line(&format!("Policy {}", escape::text(&tree.to_string())))?;
    for (harm, cover) in covers {
        let harm = harm_word(*harm);
        match cover {
            Cover::Never => output.line(&format!("  {harm}: no set of credentials in AWS closes it"))?,
            Cover::MoreThan(most) if reach.gaps.is_empty() => {
                output.line(&format!("  {harm}: no set of up to {most} credentials closes it"))?;
            }
            Cover::MoreThan(most) => {
                output.line(&format!(
                    "  {harm}: no set of up to {most} credentials in what was collected: unproven"
                ))?;
            }
            Cover::Sets(sets) => {
                let size = sets.first().map_or(0, |(set, _)| set.len());
                output.line(&format!("  {harm}: {size} captured, {} ways", sets.len()))?;
                for (set, certainty) in sets {
                    let actors: Vec<String> =
                        set.iter().map(|actor| escape::text(&actor.to_string())).collect();
                    output.line(&format!("    {} ({})", actors.join(", and "), certainty.as_str()))?;
                }
            }
        }
    }
    for gap in &reach.gaps {
        output.line(&format!("  not known: {}", escape::text(gap)))?;
    }
    Ok(())
}

fn json(harm: Harm, cover: &Cover) -> serde_json::Value {
    let (result, sets) = match cover {
        Cover::Never => ("never", Vec::new()),
        Cover::MoreThan(_) => ("more-than-looked-for", Vec::new()),
        Cover::Sets(sets) => ("sets", sets.clone()),
    };
    let sets: Vec<_> = sets
        .iter()
        .map(|(set, certainty)| {
            let actors: Vec<String> = set.iter().map(ToString::to_string).collect();
            serde_json::json!({"credentials": actors, "certainty": certainty.as_str()})
        })
        .collect();
    serde_json::json!({"harm": harm_word(harm), "result": result, "sets": sets})
}
