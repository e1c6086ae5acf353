//! `strongroom completions`: scripts that teach a shell our options.

use crate::args::Cli;
use crate::commands::Context;
use crate::error::CliError;
use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom completions bash > /etc/bash_completion.d/strongroom\n\
    \x20 strongroom completions zsh > ~/.zfunc/_strongroom\n\
    \x20 strongroom completions fish > ~/.config/fish/completions/strongroom.fish";

/// Print completions for a shell
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// Where standard output cannot be written.
pub fn run(args: &CompletionsArgs, context: &Context) -> Result<(), CliError> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "strongroom", &mut script);
    context.output.raw(&script)
}
