//! The `strongroom` command.

fn main() -> std::process::ExitCode {
    strongroom_cli::main()
}
