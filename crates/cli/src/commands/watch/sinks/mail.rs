//! Alerts by mail: SMTP with TLS, except to this machine.

use super::{Alert, PATIENCE, is_local, usage};
use crate::error::CliError;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{SmtpTransport, Transport as _};

pub(super) struct Mail {
    transport: SmtpTransport,
    from: Mailbox,
    to: Vec<Mailbox>,
}

fn mailbox(text: &str) -> Result<Mailbox, CliError> {
    text.parse().map_err(|_| usage(format!("`{}` is no mail address", crate::escape::text(text))))
}

impl Mail {
    pub(super) fn new(
        url: &str,
        password: Option<&str>,
        to: &[String],
        from: Option<&str>,
    ) -> Result<Self, CliError> {
        let wrong = || usage("--smtp is neither smtps://[USER@]HOST[:PORT] nor smtp://[USER@]HOST[:PORT]");
        let url: reqwest::Url = url.parse().map_err(|_| wrong())?;
        if url.password().is_some() {
            return Err(usage(
                "a password on the command line can be seen by others: give --smtp-password FILE",
            ));
        }
        let host = url.host_str().ok_or_else(wrong)?;
        let failed =
            |error: lettre::transport::smtp::Error| usage("the mail server cannot be used").caused_by(&error);
        let mut builder = match url.scheme() {
            "smtps" => SmtpTransport::relay(host).map_err(failed)?,
            "smtp" if is_local(host) => SmtpTransport::builder_dangerous(host).port(25),
            "smtp" => SmtpTransport::starttls_relay(host).map_err(failed)?,
            _ => return Err(wrong()),
        };
        if let Some(port) = url.port() {
            builder = builder.port(port);
        }
        match (url.username(), password) {
            ("", None) => {}
            (user, Some(password)) if !user.is_empty() => {
                let user = user.replace("%40", "@");
                builder = builder.credentials(Credentials::new(user, password.to_owned()));
            }
            _ => {
                return Err(usage(
                    "a user needs --smtp-password FILE, and a password needs smtps://USER@HOST",
                ));
            }
        }
        let to = to.iter().map(|text| mailbox(text)).collect::<Result<Vec<_>, _>>()?;
        let from = match (from, to.first()) {
            (Some(from), _) => mailbox(from)?,
            (None, Some(first)) => first.clone(),
            (None, None) => return Err(usage("--smtp needs --mail-to")),
        };
        Ok(Self { transport: builder.timeout(Some(PATIENCE)).build(), from, to })
    }

    pub(super) async fn send(&self, alert: &Alert) -> Result<(), String> {
        let mut message = Message::builder().from(self.from.clone());
        for to in &self.to {
            message = message.to(to.clone());
        }
        let message = message
            .subject(format!("Strongroom: {}", alert.title))
            .header(ContentType::TEXT_PLAIN)
            .body(format!("{}\n", alert.text))
            .map_err(|error| error.to_string())?;
        let transport = self.transport.clone();
        let sent = tokio::task::spawn_blocking(move || transport.send(&message)).await;
        match sent {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}
