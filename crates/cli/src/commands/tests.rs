use super::*;
use clap::{Args, CommandFactory as _, FromArgMatches, error::ErrorKind};

/// The command with the global options around it, as it will be when attached.
fn command<T: Args>(name: &'static str) -> clap::Command {
    let global = crate::args::GlobalArgs::augment_args(clap::Command::new("strongroom"));
    global.subcommand(T::augment_args(clap::Command::new(name)))
}

fn parse<T: Args + FromArgMatches>(line: &str) -> Result<T, ErrorKind> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let name: &'static str = words[0].to_owned().leak();
    let matches = command::<T>(name).try_get_matches_from(["strongroom"].iter().chain(&words));
    let matches = matches.map_err(|error| error.kind())?;
    T::from_arg_matches(matches.subcommand().unwrap().1).map_err(|error| error.kind())
}

macro_rules! well_formed {
    ($($name:literal: $args:ty),* $(,)?) => {
        const FILES: &[&str] = &[$($name),*];

        #[test]
        fn all_definitions_are_well_formed() {
            $(
                let mut whole = command::<$args>($name);
                whole.clone().debug_assert();
                whole.build();
                let help = whole.find_subcommand_mut($name).unwrap().render_long_help().to_string();
                assert!(help.contains("Global options:"), "{help}");
                assert!(help.contains("Examples:") || $name == "version", "{help}");
            )*
        }
    };
}

well_formed! {
    "backup": backup::BackupArgs, "ceremony": ceremony::CeremonyArgs, "check": check::CheckArgs, "completions": completions::CompletionsArgs,
    "config": config::ConfigArgs, "copy": copy::CopyArgs, "dataset": dataset::DatasetArgs,
    "demo": demo::DemoArgs, "diff": diff::DiffArgs, "dump": dump::DumpArgs, "find": find::FindArgs,
    "forget": forget::ForgetArgs, "init": init::InitArgs, "key": key::KeyArgs, "ledger": ledger::LedgerArgs, "ls": ls::LsArgs, "man": man::ManArgs,
    "mount": mount::MountArgs, "posture": posture::PostureArgs, "prune": prune::PruneArgs, "quorum": quorum::QuorumArgs, "reconcile": reconcile::ReconcileArgs, "recovery_kit": recovery_kit::RecoveryKitArgs, "repair": repair::RepairArgs,
    "restore": restore::RestoreArgs, "snapshots": snapshots::SnapshotsArgs, "stats": stats::StatsArgs,
    "tag": tag::TagArgs, "trail": trail::TrailArgs, "version": version::VersionArgs, "watch": watch::WatchArgs,
}

#[test]
fn no_file_is_forgotten() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/commands");
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    for name in names.map(|name| name.into_string().unwrap()) {
        let stem = name.strip_suffix(".rs").unwrap_or(&name);
        assert!(FILES.contains(&stem) || ["mod", "tests"].contains(&stem), "{name} is not in this test");
    }
}

#[test]
fn the_attached_commands_are_well_formed() {
    crate::args::Cli::command().debug_assert();
}

#[test]
fn backup_lines() {
    let args: backup::BackupArgs =
        parse("backup /home -x -e *.tmp --exclude-larger-than 4GiB --tag a,b -n").unwrap();
    assert!(args.one_file_system && args.dry_run);
    assert_eq!(args.exclude_larger_than, Some(crate::units::ByteSize(4 << 30)));
    let args: backup::BackupArgs = parse("backup --stdin-from-command -- pg_dumpall --clean").unwrap();
    assert_eq!(args.command, ["pg_dumpall", "--clean"]);
    for line in [
        "backup",
        "backup --stdin-from-command",
        "backup /home --stdin",
        "backup /home -- command",
        "backup /home --exclude-larger-than huge",
        "backup --password x /home",
    ] {
        assert!(parse::<backup::BackupArgs>(line).is_err(), "{line}");
    }
}

#[test]
fn forget_lines_make_rules() {
    use crate::retention::{KeepCount, Period};
    let line = "forget --keep-daily 7 --keep-yearly unlimited --keep-within 30d --keep-within-weekly 1y --keep-tag a,b";
    let args: forget::ForgetArgs = parse(line).unwrap();
    let rules = args.rules();
    let counts = [(Period::Daily, KeepCount::AtMost(7)), (Period::Yearly, KeepCount::Unlimited)];
    assert_eq!(rules.counts, counts.into());
    assert_eq!(rules.within, Some("30d".parse().unwrap()));
    assert_eq!(rules.within_periods, [(Period::Weekly, "1y".parse().unwrap())].into());
    assert_eq!(rules.tags, [["a", "b"]]);
    assert!(parse::<forget::ForgetArgs>("forget").unwrap().rules().is_empty());
    assert!(parse::<forget::ForgetArgs>("forget --keep-last some").is_err());
    assert!(parse::<forget::ForgetArgs>("forget --group-by hots").is_err());
}

#[test]
fn restore_needs_a_place() {
    assert!(parse::<restore::RestoreArgs>("restore latest").is_err());
    assert!(parse::<restore::RestoreArgs>("restore latest --in-place --target /x").is_err());
    let args: restore::RestoreArgs = parse("restore latest~1:/etc -t /x --overwrite if-newer").unwrap();
    assert_eq!(args.overwrite, restore::Overwrite::IfNewer);
    assert_eq!(args.snapshot.path.as_deref(), Some("/etc"));
}

#[test]
fn init_lines() {
    assert!(parse::<init::InitArgs>("init").unwrap().keyholder.is_empty());
    let args: init::InitArgs = parse("init --keyholder a=file --keyholder b=passphrase").unwrap();
    assert_eq!((args.keyholder.len(), args.epoch_days, args.chunk_size.0), (2, 30, 262_144));
    assert!(parse::<init::InitArgs>("init --epoch-days 0").is_err());
}
