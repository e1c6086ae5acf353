//! Every option, variable and config key, once. `docs/configuration.md` is written from here.

use std::fmt::Write as _;

/// One thing that can be set.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in `config show`.
    pub name: &'static str,
    /// The long option, without dashes.
    pub flag: Option<&'static str>,
    /// The environment variable.
    pub env: Option<&'static str>,
    /// The key at the top of the config file.
    pub key: Option<&'static str>,
    /// The key in a `[vaults.NAME]` section.
    pub vault_key: Option<&'static str>,
    /// What holds when nothing is set.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
}

const fn setting(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting { name, flag: None, env: None, key: None, vault_key: None, default, doc }
}

impl Setting {
    const fn flag(self, flag: &'static str) -> Self {
        Self { flag: Some(flag), ..self }
    }
    const fn env(self, env: &'static str) -> Self {
        Self { env: Some(env), ..self }
    }
    const fn key(self, key: &'static str) -> Self {
        Self { key: Some(key), ..self }
    }
    const fn vault_key(self, key: &'static str) -> Self {
        Self { vault_key: Some(key), ..self }
    }
}

/// Everything that can be set, in the order of the documentation.
pub const SETTINGS: &[Setting] = &[
    setting("vault", "none", "Where the vault is: a directory, `s3://bucket/prefix`, or the NAME of a `[vaults.NAME]` section. A value with a `/` is never a NAME, so `./main` is a directory.")
        .flag("vault").env("STRONGROOM_VAULT").key("vault"),
    setting("location", "none", "Where the named vault is.").vault_key("location"),
    setting("dataset", "`default`", "The dataset to work on.")
        .flag("dataset").env("STRONGROOM_DATASET").vault_key("dataset"),
    setting("config", "`$XDG_CONFIG_HOME/strongroom/config.toml`", "The config file. One that is named must exist.")
        .flag("config").env("STRONGROOM_CONFIG"),
    setting("key-files", "none", "A key file and the label of its keyholder, `LABEL=PATH`; in the config file a table of them. All places add up; for the same label, the command line wins over the environment, and that over the config file.")
        .flag("key-file").env("STRONGROOM_KEY_FILE").vault_key("key-files"),
    setting("identities", "none", "An age identity file; in the config file a list. All places add up.")
        .flag("identity").env("STRONGROOM_IDENTITY").vault_key("identities"),
    setting("request", "none", "A request for keys, from `quorum request`. Its private key, FILE`.key`, is used up.").flag("request"),
    setting("approvals", "those in the vault", "An approval of the request, from `quorum approve`. All add up.").flag("approval"),
    setting("passphrase-file", "none", "A file whose first line is the passphrase.")
        .flag("passphrase-file").env("STRONGROOM_PASSPHRASE_FILE").vault_key("passphrase-file"),
    setting("passphrase-command", "none", "A command, run by `sh -c`, whose first line of output is the passphrase.")
        .flag("passphrase-command").env("STRONGROOM_PASSPHRASE_COMMAND").vault_key("passphrase-command"),
    setting("passphrase", "a prompt on the terminal", "The passphrase itself. Other processes of the same user, and crash reports, may see the environment: prefer a file or a command. There is no option for it, because every user of the machine sees command lines.")
        .env("STRONGROOM_PASSPHRASE"),
    setting("aws-role", "none", "The ARN of a role that is assumed for AWS KMS. Credentials, profile, Region and endpoint come from `AWS_*` and `~/.aws`, as for the tools of AWS.").env("STRONGROOM_AWS_ROLE"),
    setting("aws-external-id", "none", "The external id that the role's account asks for.").env("STRONGROOM_AWS_EXTERNAL_ID"),
    setting("transit-role-id", "none", "Log in to Transit servers by AppRole, with this role id. Address, CA file and token come from `BAO_*` or `VAULT_*`, as for the tools of the servers.").env("STRONGROOM_TRANSIT_ROLE_ID"),
    setting("transit-secret-id-file", "none", "The file with the secret id of the role.").env("STRONGROOM_TRANSIT_SECRET_ID_FILE"),
    setting("transit-approle-mount", "`approle`", "Where AppRole is mounted.").env("STRONGROOM_TRANSIT_APPROLE_MOUNT"),
    setting("transit-kubernetes-role", "none", "Log in to Transit servers by Kubernetes, with this role.").env("STRONGROOM_TRANSIT_KUBERNETES_ROLE"),
    setting("transit-kubernetes-mount", "`kubernetes`", "Where Kubernetes auth is mounted.").env("STRONGROOM_TRANSIT_KUBERNETES_MOUNT"),
    setting("transit-kubernetes-jwt-file", "that of the pod", "The token of the service account.").env("STRONGROOM_TRANSIT_KUBERNETES_JWT_FILE"),
    setting("transit-token-file", "`~/.vault-token`", "A file with a token for Transit servers, which only its owner can read.").env("STRONGROOM_TRANSIT_TOKEN_FILE"),
    setting("pkcs11-module", "none", "The PKCS#11 library of the hardware token: a path, which never comes from a vault.").env("STRONGROOM_PKCS11_MODULE"),
    setting("pkcs11-pin-file", "a prompt on the terminal", "A file whose first line is the token's PIN, which only its owner can read.").env("STRONGROOM_PKCS11_PIN_FILE"),
    setting("reason", "none", "Why keys are used, for the record of key uses: a ticket, an incident, a name of a job.")
        .flag("reason").env("STRONGROOM_REASON").key("reason"),
    setting("ledger", "`ledger` beside the vault", "Where the ledger of key uses is: a directory or a bucket, best in another trust domain than the vault.")
        .env("STRONGROOM_LEDGER").vault_key("ledger"),
    setting("ledger-key", "`$XDG_CONFIG_HOME/strongroom/ledgers/`", "The key that signs the ledger, which only its owner can read. `init` makes it; every host that uses keys needs it.")
        .env("STRONGROOM_LEDGER_KEY").vault_key("ledger-key"),
    setting("ledger-spool", "none", "A file in which key uses are kept while the ledger is out of reach. Without it, no key is used then. Until a spool is merged, whoever takes over the host can delete it.")
        .flag("ledger-spool").env("STRONGROOM_LEDGER_SPOOL").vault_key("ledger-spool"),
    setting("lease", "`5m`", "How long an unwrapped read key lives in memory, from `1s` to `1h`. What takes longer asks the keyholders again, which shows in their logs, and which they can refuse.")
        .env("STRONGROOM_LEASE").key("lease"),
    setting("test-limit", "`90d`", "How long a keyholder may go without having opened its part in `key test` before `key status` calls it overdue.")
        .env("STRONGROOM_TEST_LIMIT").key("test-limit"),
    setting("cache-dir", "`$XDG_CACHE_HOME/strongroom`", "Where indexes and change caches are kept. It holds nothing that opens a backup, and may be deleted.")
        .flag("cache-dir").env("STRONGROOM_CACHE_DIR").key("cache-dir").vault_key("cache-dir"),
    setting("cache", "`true`", "Whether to use the cache; `--no-cache` turns it off.").flag("no-cache").key("cache"),
    setting("threads", "the number of CPUs", "How many threads do the work.")
        .flag("threads").env("STRONGROOM_THREADS").key("threads"),
    setting("compression", "`auto`", "`auto`, `off`, `fastest`, `better`, `max`, or a zstd level from 1 to 22.")
        .flag("compression").env("STRONGROOM_COMPRESSION").key("compression").vault_key("compression"),
    setting("color", "`auto`", "`auto`, `always` or `never`. With `auto`, a non-empty `NO_COLOR` or `TERM=dumb` turns colour off.")
        .flag("color").env("STRONGROOM_COLOR").key("color"),
    setting("progress", "`true`", "Whether to show progress; `--no-progress` turns it off.").flag("no-progress").key("progress"),
    setting("host", "the host name", "The name of this host in snapshots.").env("STRONGROOM_HOST").key("host"),
    setting("policies", "none", "Policies that other policies may name: in the config file a table of them, such as `officers = \"2 of (alice, bob, carol)\"`, for `--read-policy 'any(kms, officers)'`.")
        .key("policies"),
    setting("excludes", "none", "Patterns that `backup` leaves out, beside those of its options.").vault_key("excludes"),
    setting("exclude-files", "none", "Files with such patterns, one a line.").vault_key("exclude-files"),
    setting("exclude-caches", "`false`", "Leave out directories that are marked with a `CACHEDIR.TAG`.").vault_key("exclude-caches"),
    setting("one-file-system", "`false`", "Stay on the file systems of the given paths.").vault_key("one-file-system"),
    setting("tags", "none", "Tags for new snapshots, beside those of the options.").vault_key("tags"),
];

/// The text of `docs/configuration.md`.
#[must_use]
pub fn docs() -> String {
    let mut out = String::from(
        "# Configuration\n\n\
         <!-- Written from crates/cli/src/settings_table.rs; a test fails when it is stale. -->\n\n\
         A setting comes from the command line, else from the environment, else from the config file,\n\
         else it has a default. `strongroom config show` prints each with the place that it came from.\n\n\
         The config file is TOML. An unknown key is an error. Relative paths in it start at its own\n\
         directory, and `~/` is the home directory.\n\n\
         ```toml\n\
         vault = \"main\"               # what to use without --vault\n\
         compression = \"better\"\n\n\
         [vaults.main]                # --vault main\n\
         location = \"s3://backups/main\"\n\
         dataset = \"laptops\"\n\
         passphrase-command = \"pass show strongroom/main\"\n\
         excludes = [\"*.tmp\", \"/home/*/.cache\"]\n\n\
         [vaults.main.key-files]\n\
         office = \"~/.config/strongroom/office.key\"\n\
         ```\n",
    );
    for setting in SETTINGS {
        let _ = write!(out, "\n## {}\n\n{}\n\n| place | name |\n|---|---|\n", setting.name, setting.doc);
        if let Some(flag) = setting.flag {
            let _ = writeln!(out, "| option | `--{flag}` |");
        }
        if let Some(env) = setting.env {
            let _ = writeln!(out, "| environment | `{env}` |");
        }
        if let Some(key) = setting.vault_key {
            let _ = writeln!(out, "| config file | `vaults.NAME.{key}` |");
        }
        if let Some(key) = setting.key {
            let _ = writeln!(out, "| config file | `{key}` |");
        }
        let _ = writeln!(out, "| default | {} |", setting.default);
    }
    out
}
