//! Alerts as signed HTTP requests.

use super::{Alert, PATIENCE, is_local, usage};
use crate::error::CliError;
use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use jiff::Timestamp;

/// Shortest secret, in bytes.
const SECRET_MIN: usize = 16;

pub(super) struct Webhook {
    url: reqwest::Url,
    key: hmac::Key,
    http: reqwest::Client,
}

impl Webhook {
    pub(super) fn new(url: &str, secret: &str) -> Result<Self, CliError> {
        let url: reqwest::Url = url.parse().map_err(|_| usage("--webhook is no URL"))?;
        let host = url.host_str().unwrap_or_default();
        if url.scheme() != "https" && !(url.scheme() == "http" && is_local(host)) {
            return Err(usage("--webhook must be https, or http on this machine"));
        }
        if secret.len() < SECRET_MIN {
            return Err(usage(format!("the webhook's secret has fewer than {SECRET_MIN} characters")));
        }
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| usage("the webhook cannot be set up").caused_by(&error))?;
        Ok(Self { url, key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), http })
    }

    fn signature(&self, time: i64, body: &[u8]) -> String {
        let tag = hmac::sign(&self.key, &[format!("{time}.").as_bytes(), body].concat());
        format!("t={time},v1={}", HEXLOWER.encode(tag.as_ref()))
    }

    pub(super) async fn send(&self, alert: &Alert) -> Result<(), String> {
        let body = serde_json::to_vec(&alert.document).map_err(|error| error.to_string())?;
        let signature = self.signature(Timestamp::now().as_second(), &body);
        let request = self
            .http
            .post(self.url.clone())
            .header("Content-Type", "application/json")
            .header("X-Strongroom-Signature", signature)
            .body(body);
        let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("it answers {}", answer.status())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_the_time_and_the_body() {
        let webhook = Webhook::new("http://127.0.0.1/in", "0123456789abcdef").unwrap();
        // printf '7.{}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let expected = "3cd0ad802237a2c96b7ee3b06705b7350cc8cf0ba4123033d13eda91ad9c4ec2";
        assert_eq!(webhook.signature(7, b"{}"), format!("t=7,v1={expected}"));
        for (url, secret) in [
            ("http://example.com/in", "0123456789abcdef"),
            ("https://example.com/in", "short"),
            ("ftp://127.0.0.1/in", "0123456789abcdef"),
            ("nowhere", "0123456789abcdef"),
        ] {
            assert!(Webhook::new(url, secret).is_err(), "{url}");
        }
    }
}
