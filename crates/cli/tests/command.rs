//! The built command, from outside.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn strongroom(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.env_clear().env("HOME", home).stdin(Stdio::null());
    command
}

fn run(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let home = tempfile::tempdir().unwrap();
    strongroom(home.path()).args(args).envs(variables.iter().copied()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const WORKING: [&str; 32] = [
    "backup",
    "ceremony",
    "check",
    "completions",
    "config",
    "copy",
    "dataset",
    "demo",
    "diff",
    "dump",
    "find",
    "forget",
    "init",
    "key",
    "ledger",
    "ls",
    "man",
    "mount",
    "posture",
    "prune",
    "quorum",
    "reconcile",
    "recovery-kit",
    "repair",
    "restore",
    "snapshots",
    "stats",
    "tag",
    "trail",
    "version",
    "watch",
    "help",
];

#[test]
fn help_lists_exactly_the_commands_that_work() {
    let help = stdout(&run(&["--help"], &[]));
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(commands, WORKING, "{help}");
    assert_eq!(run(&["prune-everything"], &[]).status.code(), Some(2));
}

#[test]
fn no_option_takes_a_secret() {
    let output = run(&["version", "--password", "x"], &[]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn usage_errors_as_json() {
    let output = run(&["--json", "version", "--bogus"], &[]);
    assert_eq!(output.status.code(), Some(2));
    let error: serde_json::Value = serde_json::from_str(&stderr(&output)).unwrap();
    assert_eq!(error["message_type"], "error");
    assert_eq!(error["code"], "SR-0101");
    assert_eq!(error["message"], "unexpected argument '--bogus' found");
    assert!(output.stdout.is_empty());
}

#[test]
fn version_as_json() {
    let output = run(&["version", "--json"], &[]);
    let version: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn config_show_tells_origins_and_no_secrets() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join(".config/strongroom");
    std::fs::create_dir_all(&directory).unwrap();
    let config = "vault = \"main\"\n[vaults.main]\nlocation = \"s3://id:hunter2@bucket/x\"\nidentities = [\"id.txt\"]\n";
    std::fs::write(directory.join("config.toml"), config).unwrap();
    let output = strongroom(home.path())
        .args(["config", "show", "--threads", "3", "--passphrase-command", "echo hunter2"])
        .env("STRONGROOM_REASON", "TICKET-1")
        .env("STRONGROOM_PASSPHRASE", "hunter2")
        .output()
        .unwrap();
    let text = stdout(&output);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!text.contains("hunter2") && !stderr(&output).contains("hunter2"), "{text}");
    let row = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("vault"), "vault s3://***@bucket/x config file");
    assert_eq!(row("threads"), "threads 3 command line");
    assert_eq!(row("reason"), "reason TICKET-1 environment");
    assert_eq!(row("compression"), "compression auto default");
    assert!(row("identities").ends_with("/.config/strongroom/id.txt config file"));
}

#[test]
fn a_wrong_config_file_is_told_with_its_line() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("c.toml");
    std::fs::write(&config, "\ncompresion = 3\n").unwrap();
    let output = strongroom(home.path()).args(["config", "show", "--config"]).arg(&config).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("c.toml, line 2: unknown key `compresion` [SR-0102]"), "{text}");
    assert!(text.contains("hint: did you mean `compression`?"), "{text}");
}

#[test]
fn a_misspelt_variable_is_told() {
    let output = run(&["version"], &[("STRONGROOM_VUALT", "/x")]);
    assert_eq!(
        stderr(&output),
        "warning: STRONGROOM_VUALT is set and means nothing; did you mean STRONGROOM_VAULT?\n"
    );
}

#[test]
fn completions_and_manual_pages_are_written() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell], &[]);
        assert!(stdout(&output).contains("passphrase-file"), "{shell}");
    }
    let home = tempfile::tempdir().unwrap();
    let pages = home.path().join("share/man1");
    assert!(strongroom(home.path()).arg("man").arg(&pages).status().unwrap().success());
    let page = std::fs::read_to_string(pages.join("strongroom-config-show.1")).unwrap();
    assert!(page.contains("never a secret"));
    assert!(pages.join("strongroom.1").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_error_to_talk_about() {
    let home = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = strongroom(home.path()).args(["completions", "bash"]).stdout(writer).output().unwrap();
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(141));
}
