//! What an error of the SDK means: refused, disabled, gone, too busy, out of reach, tampered with.

use super::in_clear::InClear;
use crate::holder::{Answer, HolderError};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::{
    error::{ConnectorError, ErrorMetadata, ProvideErrorMetadata, SdkError},
    operation::RequestId,
};
use std::error::Error;

/// Longest part of a provider's own words that is repeated, in characters.
const WORDS_MAX: usize = 300;

/// The code of a key in a state in which it cannot be used; which one, only its words and `DescribeKey` tell.
pub(super) const INVALID_STATE: &str = "KMSInvalidStateException";

const DISABLED: [&str; 1] = ["DisabledException"];
const DELETED: [&str; 1] = ["NotFoundException"];
const TAMPERED: [&str; 2] = ["InvalidCiphertextException", "IncorrectKeyException"];
const THROTTLED: [&str; 7] = [
    "LimitExceededException",
    "RequestLimitExceeded",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
];
const UNREACHABLE: [&str; 8] = [
    "DependencyTimeoutException",
    "InternalError",
    "InternalFailure",
    "InternalServiceError",
    "KMSInternalException",
    "KeyUnavailableException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
];
const MALFORMED: [&str; 5] = [
    "InvalidArnException",
    "InvalidKeyUsageException",
    "SerializationException",
    "UnsupportedOperationException",
    "ValidationException",
];

/// The keyholder's error for what the SDK returned.
pub(super) fn classify<E>(error: &SdkError<E>) -> HolderError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let raw = service.raw();
            let body = raw.body().bytes().unwrap_or_default();
            let (code, words) = match service.err().code() {
                Some(code) => (Some(code.to_owned()), service.err().message().unwrap_or_default().to_owned()),
                None => in_xml(&String::from_utf8_lossy(body)),
            };
            let said = if words.is_empty() && code.is_none() {
                format!("HTTP status {}", raw.status().as_u16())
            } else {
                shorten(&words)
            };
            let request_id = error.request_id().map(shorten);
            verdict(raw.status().as_u16(), Answer { code: code.as_deref().map(shorten), said, request_id })
        }
        SdkError::TimeoutError(_) => HolderError::Unreachable("no answer in time".into()),
        SdkError::ResponseError(_) => {
            let said = format!("its answer cannot be read: {}", last_words(error));
            let request_id = error.request_id().map(shorten);
            HolderError::Unreachable(Answer { said, request_id, ..Answer::default() })
        }
        _ => unanswered(error),
    }
}

/// What an answer of KMS means, by its code, or by its HTTP status where the code is missing or not known.
fn verdict(status: u16, answer: Answer) -> HolderError {
    let code = answer.code.as_deref().unwrap_or_default();
    let is = |codes: &[&str]| codes.contains(&code);
    if is(&DISABLED) {
        HolderError::Disabled(answer)
    } else if code == INVALID_STATE {
        let words = answer.said.to_ascii_lowercase().replace([' ', '_'], "");
        match words.contains("pendingdeletion") || words.contains("pendingreplicadeletion") {
            true => HolderError::PendingDeletion(answer),
            false => HolderError::Disabled(answer),
        }
    } else if is(&DELETED) {
        HolderError::Deleted(answer)
    } else if is(&TAMPERED) {
        HolderError::Tampered
    } else if is(&THROTTLED) || status == 429 {
        HolderError::Throttled(answer)
    } else if is(&UNREACHABLE) || status >= 500 {
        HolderError::Unreachable(answer)
    } else if is(&MALFORMED) {
        HolderError::Malformed(answer.to_string())
    } else {
        // Whatever else KMS says, such as AccessDeniedException or ExpiredTokenException, is a no to this caller.
        HolderError::Denied(answer)
    }
}

/// Code and words of an error in XML, which is how some proxies and emulators refuse.
fn in_xml(body: &str) -> (Option<String>, String) {
    let between = |start: &str, end: &str| {
        let (_, rest) = body.split_once(start)?;
        Some(rest.split_once(end)?.0.trim().to_owned())
    };
    (between("<Code>", "</Code>"), between("<Message>", "</Message>").unwrap_or_default())
}

/// The call failed before KMS answered: no credentials, no connection, or it was stopped here.
fn unanswered(error: &(dyn Error + 'static)) -> HolderError {
    if let Some(in_clear) = chain(error).find_map(|error| error.downcast_ref::<InClear>()) {
        return HolderError::Malformed(in_clear.to_string());
    }
    match chain(error).find_map(|error| error.downcast_ref::<CredentialsError>()) {
        Some(credentials) => without_credentials(credentials),
        None => HolderError::Unreachable(last_words(error).into()),
    }
}

fn without_credentials(error: &CredentialsError) -> HolderError {
    let words = || format!("AWS credentials could not be had: {}", last_words(error));
    match error {
        CredentialsError::CredentialsNotLoaded(_) => HolderError::NoSecret(
            "no AWS credentials were found (environment, profile, web identity, container, instance)".into(),
        ),
        CredentialsError::InvalidConfiguration(_) => HolderError::NoSecret(words()),
        CredentialsError::ProviderTimedOut(_) => HolderError::Unreachable(words().into()),
        _ => {
            let refused = chain(error).find_map(|error| error.downcast_ref::<ErrorMetadata>());
            if let Some(metadata) = refused {
                let said = metadata.message().unwrap_or_default();
                return HolderError::Denied(Answer {
                    code: metadata.code().map(shorten),
                    said: format!("AWS credentials could not be had: {}", shorten(said)),
                    request_id: metadata.request_id().map(shorten),
                });
            }
            let unreached = chain(error).any(|error| {
                error.is::<ConnectorError>() || error.to_string().to_ascii_lowercase().contains("timed out")
            });
            match unreached {
                true => HolderError::Unreachable(words().into()),
                false => HolderError::Denied(words().into()),
            }
        }
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn last_words(error: &(dyn Error + 'static)) -> String {
    shorten(&chain(error).last().map(ToString::to_string).unwrap_or_default())
}

fn shorten(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_kms::{
        config::http::HttpResponse,
        operation::{decrypt::DecryptError, describe_key::DescribeKeyError},
    };

    fn answered(status: u16, code: &str, said: &str) -> HolderError {
        let code = (!code.is_empty()).then(|| code.to_owned());
        verdict(status, Answer { code, said: said.into(), request_id: Some("id-1".into()) })
    }

    #[test]
    fn codes_of_kms() {
        type Check = fn(&HolderError) -> bool;
        let disabled: Check = |error| matches!(error, HolderError::Disabled(_));
        let pending: Check = |error| matches!(error, HolderError::PendingDeletion(_));
        let deleted: Check = |error| matches!(error, HolderError::Deleted(_));
        let denied: Check = |error| matches!(error, HolderError::Denied(_));
        let throttled: Check = |error| matches!(error, HolderError::Throttled(_));
        let tampered: Check = |error| matches!(error, HolderError::Tampered);
        let unreachable: Check = |error| matches!(error, HolderError::Unreachable(_));
        let malformed: Check = |error| matches!(error, HolderError::Malformed(_));
        let arn = "arn:aws:kms:eu-central-1:123456789012:key/1";
        for (status, code, said, right) in [
            (400, "DisabledException", format!("{arn} is disabled."), disabled),
            (400, "KMSInvalidStateException", format!("{arn} is pending deletion."), pending),
            (400, "KMSInvalidStateException", format!("{arn} is PendingReplicaDeletion"), pending),
            (400, "KMSInvalidStateException", format!("{arn} is pending import."), disabled),
            (400, "NotFoundException", format!("Key '{arn}' does not exist"), deleted),
            (400, "AccessDeniedException", "User is not authorized".into(), denied),
            (403, "AccessDenied", "no".into(), denied),
            (400, "UnrecognizedClientException", "The security token is invalid".into(), denied),
            (403, "InvalidSignatureException", "The signature does not match".into(), denied),
            (400, "ExpiredTokenException", "The security token is expired".into(), denied),
            (403, "", "HTTP status 403".into(), denied),
            (400, "SomethingNew", "no".into(), denied),
            (400, "ThrottlingException", "Rate exceeded".into(), throttled),
            (400, "LimitExceededException", "Too many".into(), throttled),
            (429, "", String::new(), throttled),
            (400, "InvalidCiphertextException", String::new(), tampered),
            (400, "IncorrectKeyException", "other key".into(), tampered),
            (500, "KMSInternalException", String::new(), unreachable),
            (500, "DependencyTimeoutException", String::new(), unreachable),
            (500, "KeyUnavailableException", String::new(), unreachable),
            (503, "", String::new(), unreachable),
            (502, "SomethingNew", String::new(), unreachable),
            (400, "InvalidKeyUsageException", "key usage is SIGN_VERIFY".into(), malformed),
            (400, "ValidationException", "too long".into(), malformed),
        ] {
            let error = answered(status, code, &said);
            assert!(right(&error), "{status} {code}: {error:?}");
            if !tampered(&error) && !malformed(&error) {
                assert_eq!(error.request_id(), Some("id-1"), "{code}");
            }
        }
    }

    fn response(status: u16, body: &'static str) -> HttpResponse {
        let mut response = HttpResponse::new(status.try_into().unwrap(), body.into());
        response.headers_mut().insert("x-amzn-requestid", "id-2");
        response
    }

    #[test]
    fn a_refusal_in_xml_is_read() {
        let body = "<?xml version=\"1.0\"?><ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                    <Message>User: x is not\nauthorized</Message></Error></ErrorResponse>";
        let error = SdkError::service_error(DecryptError::unhandled("no JSON"), response(403, body));
        let HolderError::Denied(answer) = classify(&error) else { panic!("{error:?}") };
        assert_eq!(answer.code.as_deref(), Some("AccessDenied"));
        assert_eq!(answer.said, "User: x is notauthorized");
        assert_eq!(answer.request_id.as_deref(), Some("id-2"));

        let error = SdkError::service_error(DecryptError::unhandled("no JSON"), response(403, "no"));
        let HolderError::Denied(answer) = classify(&error) else { panic!("{error:?}") };
        assert_eq!(answer.to_string(), "HTTP status 403 (request id-2)");
        let error = SdkError::service_error(DecryptError::unhandled("no JSON"), response(502, "<html>"));
        assert!(matches!(classify(&error), HolderError::Unreachable(_)));
    }

    #[test]
    fn words_of_a_provider_are_cut_and_cleaned() {
        let long = "x\u{1b}[31m".repeat(400);
        let metadata = ErrorMetadata::builder().code("AccessDeniedException").message(long).build();
        let error = SdkError::service_error(DecryptError::generic(metadata), response(400, "{}"));
        let HolderError::Denied(answer) = classify(&error) else { panic!("{error:?}") };
        assert_eq!(answer.said.chars().count(), WORDS_MAX);
        assert!(!answer.said.contains('\u{1b}'));
    }

    fn dispatched(error: impl Into<aws_sdk_kms::error::BoxError>) -> HolderError {
        classify::<DescribeKeyError>(&SdkError::dispatch_failure(ConnectorError::other(error.into(), None)))
    }

    #[test]
    fn missing_credentials_are_no_outage() {
        let absent = dispatched(CredentialsError::not_loaded("nothing in the chain"));
        assert!(matches!(&absent, HolderError::NoSecret(words) if words.contains("profile")), "{absent:?}");
        let wrong = dispatched(CredentialsError::invalid_configuration("profile `x` loops"));
        assert!(matches!(&wrong, HolderError::NoSecret(words) if words.contains("loops")), "{wrong:?}");
        let slow = dispatched(CredentialsError::provider_timed_out(std::time::Duration::from_secs(5)));
        assert!(matches!(slow, HolderError::Unreachable(_)), "{slow:?}");
        let expired = dispatched(CredentialsError::provider_error("the SSO session has expired"));
        assert!(
            matches!(&expired, HolderError::Denied(answer) if answer.said.contains("SSO session has expired")),
            "{expired:?}"
        );
        let metadata = ErrorMetadata::builder().code("AccessDenied").message("not yours").build();
        let role = SdkError::service_error(DecryptError::generic(metadata), response(403, ""));
        let role = dispatched(CredentialsError::provider_error(role));
        let HolderError::Denied(answer) = &role else { panic!("{role:?}") };
        assert_eq!(answer.code.as_deref(), Some("AccessDenied"));
        assert!(answer.said.ends_with("not yours"), "{answer}");
        let io = ConnectorError::io("connection refused".into());
        let away = SdkError::<DecryptError>::dispatch_failure(io);
        let away = dispatched(CredentialsError::provider_error(away));
        assert!(matches!(away, HolderError::Unreachable(_)), "{away:?}");
    }

    #[test]
    fn an_endpoint_in_clear_is_malformed_and_an_outage_is_not() {
        let outage = dispatched("connection refused");
        assert!(matches!(&outage, HolderError::Unreachable(answer) if answer.said.contains("refused")));
        let late = classify::<DecryptError>(&SdkError::timeout_error("late"));
        assert!(matches!(late, HolderError::Unreachable(_)));
    }
}
