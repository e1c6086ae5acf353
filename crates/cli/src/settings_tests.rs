use super::*;
use clap::{Args as _, Command as ClapCommand, FromArgMatches as _};

fn flags(args: &[&str]) -> GlobalArgs {
    let command = GlobalArgs::augment_args(ClapCommand::new("strongroom").no_binary_name(true));
    GlobalArgs::from_arg_matches(&command.try_get_matches_from(args).unwrap()).unwrap()
}

fn env(pairs: &[(&str, &str)]) -> Env {
    Env::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.into())))
}

const FILE: &str = r#"
vault = "main"
threads = 3
compression = "max"
color = "never"
[vaults.main]
location = "s3://bucket/main"
dataset = "servers"
compression = 7
passphrase-file = "/run/pass"
key-files = { office = "/c/office", home = "/c/home" }
[vaults.other]
location = "/srv/other"
"#;

fn resolve(args: &[&str], variables: &[(&str, &str)], file: &str) -> Result<Settings, CliError> {
    let file = ConfigFile::parse(file, "config.toml").unwrap();
    Settings::resolve(&flags(args), &env(variables), file, None)
}

#[test]
fn the_command_line_wins_then_the_environment_then_the_file() {
    let threads = |args: &[&str], variables: &[(&str, &str)], file| {
        let threads = resolve(args, variables, file).unwrap().threads;
        (threads.value, threads.origin)
    };
    let variable = [("STRONGROOM_THREADS", "2")];
    assert_eq!(threads(&["--threads", "1"], &variable, FILE), (1, Origin::CommandLine));
    assert_eq!(threads(&[], &variable, FILE), (2, Origin::Environment));
    assert_eq!(threads(&[], &[], FILE), (3, Origin::ConfigFile));
    assert_eq!(threads(&[], &[], "").1, Origin::Default);
    assert!(resolve(&["--threads", "0"], &[], "").is_err());
    assert!(resolve(&[], &[("STRONGROOM_THREADS", "two")], "").is_err());
}

#[test]
fn a_name_selects_its_section() {
    let settings = resolve(&[], &[], FILE).unwrap();
    assert_eq!(settings.require_location().unwrap(), "s3://bucket/main");
    assert_eq!(settings.vault_name.as_deref(), Some("main"));
    assert_eq!(settings.dataset, Sourced::new("servers".into(), Origin::ConfigFile));
    assert_eq!(settings.compression.value, Compression::Level(7));

    let settings = resolve(&["-r", "other"], &[], FILE).unwrap();
    assert_eq!(settings.require_location().unwrap(), "/srv/other");
    assert_eq!(settings.dataset.value, "default");
    assert_eq!(settings.compression.value, Compression::Max);

    let settings = resolve(&["-r", "./main"], &[], FILE).unwrap();
    assert_eq!((settings.require_location().unwrap(), settings.vault_name.clone()), ("./main", None));
}

#[test]
fn a_misspelt_name_is_told() {
    let error = resolve(&["-r", "othre"], &[], FILE).unwrap_err();
    assert_eq!(
        error.render(false),
        "error: `othre` is neither a vault in the config file nor a directory [SR-0101]\n\
         hint: did you mean `other`? For a new directory, write ./othre\n"
    );
    let error = resolve(&[], &[], "").unwrap().require_location().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn key_files_add_up_and_the_stronger_place_wins() {
    let variable = [("STRONGROOM_KEY_FILE", "home=/e/home")];
    let settings = resolve(&["--key-file", "office=/f/office"], &variable, FILE).unwrap();
    let files: Vec<String> = settings
        .key_files
        .iter()
        .map(|file| format!("{} {} {}", file.value.label, file.value.path.display(), file.origin))
        .collect();
    assert_eq!(files, ["office /f/office command line", "home /e/home environment"]);
    assert!(resolve(&["--key-file", "a=b", "--key-file", "a=c"], &[], "").is_err());
}

#[test]
fn one_source_of_the_passphrase() {
    let source = |args: &[&str], variables: &[(&str, &str)], file| {
        resolve(args, variables, file).map(|settings| (settings.passphrase.value, settings.passphrase.origin))
    };
    let secret = ("STRONGROOM_PASSPHRASE", "hunter2");
    assert_eq!(source(&[], &[], "").unwrap(), (PassphraseSource::Prompt, Origin::Default));
    assert_eq!(
        source(&[], &[], FILE).unwrap(),
        (PassphraseSource::File("/run/pass".into()), Origin::ConfigFile)
    );
    assert_eq!(source(&[], &[secret], FILE).unwrap(), (PassphraseSource::Environment, Origin::Environment));
    let expected = (PassphraseSource::Command("pass x".into()), Origin::CommandLine);
    assert_eq!(source(&["--passphrase-command", "pass x"], &[secret], FILE).unwrap(), expected);
    let error = source(&[], &[secret, ("STRONGROOM_PASSPHRASE_FILE", "/x")], "").unwrap_err();
    assert!(error.message().contains("more than one source"));
    let settings = resolve(&[], &[secret], "").unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn colour() {
    let color = |args: &[&str], variables: &[(&str, &str)], file| {
        resolve(args, variables, file).map(|s| s.color.value)
    };
    assert_eq!(color(&[], &[], ""), Ok(ColorChoice::Auto));
    assert_eq!(color(&[], &[("NO_COLOR", "1")], ""), Ok(ColorChoice::Never));
    assert_eq!(color(&[], &[("NO_COLOR", "")], ""), Ok(ColorChoice::Auto));
    assert_eq!(color(&["--color", "always"], &[("NO_COLOR", "1")], FILE), Ok(ColorChoice::Always));
    assert!(color(&[], &[("STRONGROOM_COLOR", "blue")], "").is_err());
    assert!(color(&[], &[], "color = \"blue\"").is_err());
}

#[test]
fn every_option_of_the_table_exists_and_names_its_variable() {
    let command = GlobalArgs::augment_args(ClapCommand::new("strongroom"));
    for setting in crate::settings_table::SETTINGS {
        let Some(flag) = setting.flag else { continue };
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(flag)).expect(flag);
        if let Some(variable) = setting.env {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(variable), "--{flag} does not name {variable}");
        }
    }
}

#[test]
fn lengths_of_time_have_limits() {
    let lease = |text: &str| resolve(&[], &[("STRONGROOM_LEASE", text)], "").map(|s| s.lease.value.as_secs());
    assert_eq!(lease("90s").unwrap(), 90);
    assert_eq!(lease("2m").unwrap(), 120);
    for wrong in ["0s", "2h", "soon", "-5m"] {
        assert!(lease(wrong).is_err(), "{wrong}");
    }
    let limit = |text: &str| resolve(&[], &[("STRONGROOM_TEST_LIMIT", text)], "").map(|s| s.test_limit.value);
    assert_eq!(limit("30d").unwrap().as_secs(), 30 * 86_400);
    assert!(limit("1s").is_err());
}
