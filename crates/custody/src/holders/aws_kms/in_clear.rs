//! Keys never leave this machine without TLS, whichever setting made the endpoint what it is.

use crate::holder::HolderError;
use aws_sdk_kms::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef},
    error::BoxError,
};
use std::net::IpAddr;
use thiserror::Error;

/// A request would have left this machine without TLS.
#[derive(Debug, Error)]
#[error("the endpoint `{0}` is neither https nor on this machine: keys would cross the network in clear")]
pub(super) struct InClear(String);

/// Stops requests that would leave this machine without TLS.
#[derive(Debug)]
pub(super) struct NeverInClear;

impl Intercept for NeverInClear {
    fn name(&self) -> &'static str {
        "NeverInClear"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let uri = context.request().uri();
        if is_private(uri) { Ok(()) } else { Err(InClear(uri.to_owned()).into()) }
    }
}

/// Refuses an endpoint whose answers would cross the network in clear.
pub(super) fn check(endpoint: &str) -> Result<(), HolderError> {
    if is_private(endpoint) {
        return Ok(());
    }
    Err(HolderError::Malformed(InClear(endpoint.to_owned()).to_string()))
}

fn is_private(uri: &str) -> bool {
    if uri.starts_with("https://") {
        return true;
    }
    let Some(rest) = uri.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => host.split(':').next(),
    };
    host.is_some_and(|host| {
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_goes_without_tls() {
        for uri in [
            "https://kms.eu-central-1.amazonaws.com/",
            "http://127.0.0.1:4566/",
            "http://127.0.0.1",
            "http://localhost:4566/",
            "http://[::1]:4566/",
        ] {
            assert!(is_private(uri), "{uri}");
        }
        for uri in [
            "http://kms.eu-central-1.amazonaws.com/",
            "http://10.0.0.1:4566/",
            "http://127.0.0.1@10.0.0.1/",
            "http://localhost.example/",
            "http://127.0.0.1.example/",
            "http:///",
            "ftp://127.0.0.1/",
            "",
        ] {
            assert!(!is_private(uri), "{uri}");
        }
    }
}
