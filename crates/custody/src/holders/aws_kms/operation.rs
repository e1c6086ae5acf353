//! The id of an operation in the user agent, which CloudTrail records.
//!
//! The SDK's own name for an application allows no slash, and no second name.

use aws_sdk_kms::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextMut},
    error::BoxError,
};

/// Not signed, so that it may be changed after signing.
const USER_AGENT: &str = "user-agent";

/// Adds the id at the end of the user agent.
#[derive(Debug)]
pub(super) struct TellsOperation(String);

impl TellsOperation {
    pub(super) fn new(id: &str) -> Self {
        Self(format!("strongroom-op/{id}"))
    }
}

impl Intercept for TellsOperation {
    fn name(&self) -> &'static str {
        "TellsOperation"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        let agent = match headers.get(USER_AGENT) {
            Some(agent) => format!("{agent} {}", self.0),
            None => self.0.clone(),
        };
        headers.try_insert(USER_AGENT, agent)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Secrets,
        holder::Keyholder,
        holders::aws_kms::{Access, AwsKmsKeyholder, KIND},
    };
    use std::{
        io::{Read, Write},
        net::TcpListener,
    };
    use strongroom_format::keyring::{KeyholderSpec, Parameter};

    #[tokio::test]
    async fn the_provider_is_told_the_operation() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let heard = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 8192];
            let read = stream.read(&mut buffer).unwrap();
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .unwrap();
            String::from_utf8_lossy(&buffer[..read]).into_owned()
        });
        let secrets = Secrets::none()
            .with_aws(Access::with_key(&endpoint, "key", "secret"))
            .with_operation("0190a0b0-0000-7000-8000-000000000001");
        let arn = "arn:aws:kms:us-east-1:123456789012:key/1";
        let spec = KeyholderSpec {
            kind: KIND.into(),
            parameters: [("key".to_owned(), Parameter::Text(arn.into()))].into(),
        };
        let _ = AwsKmsKeyholder::new("cloud", &spec, &secrets).unwrap().state().await;
        let heard = heard.join().unwrap();
        let agents: Vec<&str> =
            heard.lines().filter(|line| line.to_ascii_lowercase().starts_with("user-agent:")).collect();
        assert_eq!(agents.len(), 1, "{heard}");
        assert!(agents[0].ends_with(" strongroom-op/0190a0b0-0000-7000-8000-000000000001"), "{heard}");
        assert!(agents[0].contains("aws-sdk-rust/"), "{heard}");
    }
}
