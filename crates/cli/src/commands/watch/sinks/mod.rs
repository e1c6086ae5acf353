//! Who is told, beside standard output.

mod mail;
mod syslog;
mod webhook;

use super::alert::Alert;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use clap::Args;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest time that one delivery may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);
/// Largest file with a secret, in bytes.
const SECRET_MAX: u64 = 4 << 10;

/// Who is told, beside standard output.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Receivers")]
pub struct SinkArgs {
    /// Send each alert as JSON to this URL, signed
    ///
    /// The header X-Strongroom-Signature is `t=TIME,v1=HMAC`: HMAC-SHA256 in hexadecimal, under the secret, of the time
    /// in seconds, a full stop, and the body.
    #[arg(long, value_name = "URL", requires = "webhook_secret")]
    pub webhook: Option<String>,

    /// File whose first line is the secret that signs: at least 16 characters, readable by its owner only
    #[arg(long, value_name = "FILE")]
    pub webhook_secret: Option<PathBuf>,

    /// Send each alert to a syslog server: udp://HOST[:514] or tcp://HOST[:601], RFC 5424
    #[arg(long, value_name = "URL")]
    pub syslog: Option<String>,

    /// Mail server: smtps://[USER@]HOST[:465] or smtp://[USER@]HOST[:587], which must offer STARTTLS
    #[arg(long, value_name = "URL", requires = "mail_to")]
    pub smtp: Option<String>,

    /// File whose first line is the password at the mail server, readable by its owner only
    #[arg(long, value_name = "FILE", requires = "smtp")]
    pub smtp_password: Option<PathBuf>,

    /// Mail alerts to this address; may be repeated
    #[arg(long, value_name = "ADDRESS", requires = "smtp")]
    pub mail_to: Vec<String>,

    /// Mail alerts from this address [default: the first of --mail-to]
    #[arg(long, value_name = "ADDRESS", requires = "smtp")]
    pub mail_from: Option<String>,
}

/// The receivers.
pub(super) struct Sinks {
    webhook: Option<webhook::Webhook>,
    syslog: Option<syslog::Syslog>,
    mail: Option<mail::Mail>,
}

impl Sinks {
    pub(super) fn open(args: &SinkArgs, context: &Context) -> Result<Self, CliError> {
        let webhook = match (&args.webhook, &args.webhook_secret) {
            (Some(url), Some(secret)) => Some(webhook::Webhook::new(url, &secret_in(secret)?)?),
            _ => None,
        };
        let syslog = args.syslog.as_deref().map(|url| syslog::Syslog::new(url, context)).transpose()?;
        let mail = match &args.smtp {
            Some(url) => {
                let password = args.smtp_password.as_deref().map(secret_in).transpose()?;
                Some(mail::Mail::new(
                    url,
                    password.as_ref().map(|text| text.as_str()),
                    &args.mail_to,
                    args.mail_from.as_deref(),
                )?)
            }
            None => None,
        };
        Ok(Self { webhook, syslog, mail })
    }

    /// Of those that are there.
    pub(super) fn names(&self) -> Vec<String> {
        let all = [
            ("webhook", self.webhook.is_some()),
            ("syslog", self.syslog.is_some()),
            ("mail", self.mail.is_some()),
        ];
        all.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name.to_owned()).collect()
    }

    /// Delivers an alert. One for a receiver that is there no more is dropped.
    pub(super) async fn deliver(&self, name: &str, alert: &Alert) -> Result<(), String> {
        match name {
            "webhook" => match &self.webhook {
                Some(webhook) => webhook.send(alert).await,
                None => Ok(()),
            },
            "syslog" => match &self.syslog {
                Some(syslog) => syslog.send(alert).await,
                None => Ok(()),
            },
            _ => match &self.mail {
                Some(mail) => mail.send(alert).await,
                None => Ok(()),
            },
        }
    }
}

fn usage(message: impl Into<String>) -> CliError {
    CliError::new(ErrorKind::Usage, message)
}

fn secret_in(path: &Path) -> Result<Zeroizing<String>, CliError> {
    use std::io::Read as _;
    use std::os::unix::fs::MetadataExt as _;
    let failed = |error: &std::io::Error| CliError::file("read", path, error);
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    if metadata.mode() & 0o077 != 0 {
        return Err(usage(format!("{} can be read by others", path.display()))
            .hint("make the file readable by its owner only: chmod 600"));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(SECRET_MAX).read_to_string(&mut text).map_err(|error| failed(&error))?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// Whether a host is this machine.
fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
