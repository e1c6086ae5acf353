//! Alerts for syslog servers: RFC 5424, over UDP (RFC 5426) or TCP with counted octets (RFC 6587).
//!
//! Limit: neither is encrypted nor authenticated. Where that matters, send to a relay on this machine.

use super::{Alert, PATIENCE, usage};
use crate::commands::Context;
use crate::error::CliError;
use crate::whoami;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};

/// `security/authorization messages`.
const FACILITY: u8 = 10;
/// What every receiver takes in one datagram (RFC 5426, section 3.2).
const DATAGRAM_MAX: usize = 2048;

pub(super) struct Syslog {
    tcp: bool,
    target: String,
    host: String,
}

impl Syslog {
    pub(super) fn new(url: &str, context: &Context) -> Result<Self, CliError> {
        let wrong = || usage("--syslog is neither udp://HOST[:PORT] nor tcp://HOST[:PORT]");
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let (tcp, port) = match scheme {
            "udp" => (false, "514"),
            "tcp" => (true, "601"),
            _ => return Err(wrong()),
        };
        let rest = rest.trim_end_matches('/');
        if rest.is_empty() || rest.contains(['/', '@', ' ']) {
            return Err(wrong());
        }
        let has_port = rest.rsplit_once(':').is_some_and(|(host, port)| {
            port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
        });
        let target = if has_port { rest.to_owned() } else { format!("{rest}:{port}") };
        let host = context.settings.host.as_ref().map_or_else(whoami::host, |host| host.value.clone());
        Ok(Self { tcp, target, host })
    }

    pub(super) async fn send(&self, alert: &Alert) -> Result<(), String> {
        let message = message(alert, &self.host);
        let work = async {
            if self.tcp {
                let mut stream = TcpStream::connect(&self.target).await?;
                stream.write_all(format!("{} {message}", message.len()).as_bytes()).await?;
                stream.shutdown().await
            } else {
                let local = if self.target.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
                let socket = UdpSocket::bind(local).await?;
                let mut end = message.len().min(DATAGRAM_MAX);
                while !message.is_char_boundary(end) {
                    end -= 1;
                }
                socket.send_to(&message.as_bytes()[..end], &self.target).await.map(drop)
            }
        };
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(sent) => sent.map_err(|error: std::io::Error| error.to_string()),
            Err(_) => Err("no answer in time".into()),
        }
    }
}

fn message(alert: &Alert, host: &str) -> String {
    let severity = match alert.severity.as_str() {
        "critical" => 2,
        "high" => 3,
        "medium" => 4,
        "low" => 5,
        _ => 6,
    };
    let host: String = host.chars().filter(char::is_ascii_graphic).take(255).collect();
    let host = if host.is_empty() { "-" } else { &host };
    // 32473 is for examples and documentation (RFC 5612): there is no number of our own.
    let data = [("rule", &alert.rule), ("severity", &alert.severity), ("key", &alert.key)]
        .map(|(name, value)| format!(" {name}=\"{}\"", escaped(value)))
        .concat();
    format!(
        "<{}>1 {:.6} {host} strongroom {} watch [strongroom@32473{data}] {}",
        FACILITY * 8 + severity,
        alert.time,
        std::process::id(),
        alert.text.replace('\n', " |")
    )
}

/// A value of structured data.
fn escaped(value: &str) -> String {
    let mut out = String::new();
    for c in value.chars() {
        match c {
            '"' | '\\' | ']' => out.extend(['\\', c]),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_the_rfc() {
        let alert = Alert {
            document: serde_json::Value::Null,
            text: "one\ntwo".into(),
            title: "one".into(),
            severity: "critical".into(),
            rule: "key-deletion".into(),
            key: "a]\"\\b".into(),
            time: "2026-03-01T12:00:00Z".parse().unwrap(),
        };
        let expected = format!(
            "<82>1 2026-03-01T12:00:00.000000Z host-a strongroom {} watch [strongroom@32473 rule=\"key-deletion\" \
             severity=\"critical\" key=\"a\\]\\\"\\\\b\"] one |two",
            std::process::id()
        );
        assert_eq!(message(&alert, "host-a"), expected);
    }
}
