//! `strongroom key suspend` and `key resume`: the provider's own switch.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::session::Session;
use clap::Args;
use strongroom_custody::{ReasonCode, Switch, SwitchError};

/// Options of `key suspend` and `key resume`.
#[derive(Args, Clone, Debug)]
pub struct SwitchArgs {
    /// The keyholder
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Why a key was not switched, and who can do it.
pub(super) fn not_switched(name: &str, error: SwitchError) -> CliError {
    let made =
        CliError::new(ErrorKind::CustodyRefused, format!("`{name}` was not switched")).caused_by(&error);
    match error {
        SwitchError::ByHand(_) => made.hint("this kind of keyholder has no switch at a provider"),
        SwitchError::Refused { command, .. } => made.hint(format!("somebody who may can run: {command}")),
    }
}

/// Switches a keyholder's key on or off at its provider.
///
/// # Errors
/// [`ErrorKind::CustodyRefused`] with the command that somebody with the right can run.
pub(super) fn run(args: &SwitchArgs, to: Switch, context: &Context) -> Result<(), CliError> {
    let session = Session::open(context, ReasonCode::Admin)?;
    let Some(holder) = session.custody.holder(&args.name) else {
        let known: Vec<&str> = session.custody.labels().collect();
        return Err(CliError::new(ErrorKind::Usage, format!("there is no usable keyholder `{}`", args.name))
            .hint(format!("there are: {}", known.join(", "))));
    };
    context.ledgers.detail("keyholder", args.name.clone());
    session.block_on(holder.switch(to)).map_err(|error| not_switched(&args.name, error))?;
    let state = session.block_on(session.custody.state(&args.name));
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "switched",
            "keyholder": args.name,
            "state": super::status::state_name(&state),
            "state_text": state.to_string(),
        }));
    }
    context.output.line(&format!("{}: {state}", args.name))
}
