//! From the arguments of the process to its exit code.

use crate::args::{Cli, ColorChoice, GlobalArgs};
use crate::bug;
use crate::commands::Context;
use crate::env::Env;
use crate::error::{CliError, ErrorKind};
use crate::ledger::Ledgers;
use crate::memory;
use crate::messages::Messages;
use crate::output::Output;
use crate::settings::{self, Settings};
use clap::Parser as _;
use clap::error::ErrorKind as ClapKind;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use strongroom_vault::progress::Cancel;

/// Runs the command of this process.
#[must_use]
pub fn main() -> ExitCode {
    memory::protect();
    let env = Env::of_process();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &env),
    };
    let json = cli.global.json;
    let color = use_color(settings::early_color(&cli.global, &env));
    bug::guard(json, color, std::panic::AssertUnwindSafe(|| run(cli, env, color)))
}

fn use_color(choice: ColorChoice) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => std::io::stderr().is_terminal(),
    }
}

/// Help and version go to standard output, mistakes to standard error, as JSON where asked for.
fn usage(error: &clap::Error, env: &Env) -> ExitCode {
    let help = matches!(error.kind(), ClapKind::DisplayHelp | ClapKind::DisplayVersion);
    let json = std::env::args_os().skip(1).take_while(|arg| arg != "--").any(|arg| arg == "--json");
    if json && !help {
        let text = error.to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let message = lines.next().unwrap_or("wrong usage").trim_start_matches("error: ").to_owned();
        let error = CliError::new(ErrorKind::Usage, message);
        Messages::stderr(settings::verbosity(&GlobalArgs::default()), false, true).error(&error);
    } else if settings::early_color(&GlobalArgs::default(), env) == ColorChoice::Never {
        let text = error.to_string();
        let output =
            if help { Output::stdout(false) } else { Output::to(Box::new(std::io::stderr()), false) };
        let _ = output.raw(text.as_bytes()).and_then(|()| output.flush());
    } else {
        let _ = error.print();
    }
    if help { ExitCode::SUCCESS } else { ExitCode::from(ErrorKind::Usage.exit()) }
}

fn run(cli: Cli, env: Env, early_color: bool) -> ExitCode {
    strongroom_vault::fs::raise_descriptor_limit();
    let settings = match Settings::load(&cli.global, &env) {
        Ok(settings) => settings,
        Err(error) => {
            Messages::stderr(settings::verbosity(&cli.global), early_color, cli.global.json).error(&error);
            return error.exit_code();
        }
    };
    let color = use_color(settings.color.value);
    let messages = Arc::new(Messages::stderr(settings.verbosity, color, settings.json));
    for (name, meant) in env.unknown() {
        let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        messages.warn(&format!("{name} is set and means nothing{meant}"));
    }
    let output = Arc::new(Output::stdout(settings.json));
    let ledgers = Ledgers::default();
    let context = Context { settings, env, output, messages, cancel: Arc::new(Cancel::new()), ledgers };
    let started = Instant::now();
    if let Some(verb) = cli.command.verb() {
        context.ledgers.doing(verb);
    }
    let result = cli.command.run(&context);
    let result = context.ledgers.settle(&context, started, result).and_then(|()| context.output.flush());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What was written before the error is still data.
            let _ = context.output.flush();
            if error.kind() != ErrorKind::BrokenPipe {
                context.messages.error(&error);
            }
            error.exit_code()
        }
    }
}
