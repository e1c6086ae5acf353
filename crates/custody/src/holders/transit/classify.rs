//! From a status and a text to what happened: the server tells every failure of a cipher as status 400, with words
//! only.

use super::{client::Answered, parameters::Parameters};
use crate::holder::{Answer, HolderError};
use serde::Deserialize;

/// Sent with every wrap as the type of key that the server should make where there is none: it knows no such type,
/// so that a caller whose rights go too far does not make a new key in the place of a deleted one.
pub(super) const NEVER_MADE: &str = "must-exist-already";
/// Longest text of a server that is repeated.
const SAID_MAX: usize = 300;

#[derive(Deserialize)]
struct Refusal {
    errors: Option<Vec<String>>,
    request_id: Option<String>,
}

/// What the server said, on one line.
fn words(refusal: &Refusal) -> String {
    let joined = refusal.errors.as_deref().unwrap_or_default().join("; ");
    let plain: String =
        joined.split_whitespace().collect::<Vec<_>>().join(" ").replace(|c: char| c.is_control(), "");
    match plain.char_indices().nth(SAID_MAX) {
        Some((end, _)) => format!("{}...", &plain[..end]),
        None => plain,
    }
}

/// What an answer that is no success means for the key.
pub(super) fn failure(parameters: &Parameters, answered: &Answered) -> HolderError {
    let status = answered.status;
    let server = parameters.address.authority();
    let Some(refusal) = answered.json::<Refusal>().filter(|refusal| refusal.errors.is_some()) else {
        return not_transit(&server, status);
    };
    let said = words(&refusal);
    let answer = |explained: Option<String>| {
        let said = match explained {
            Some(explained) if said.is_empty() => explained,
            Some(explained) => format!("{explained} (the server said: {said})"),
            None if said.is_empty() => format!("{server} answered with status {status}"),
            None => said.clone(),
        };
        Answer { code: Some(status.to_string()), said, request_id: refusal.request_id.clone() }
    };
    match status {
        400 => cipher(parameters, &said, answer),
        401 | 403 => HolderError::Denied(answer(None)),
        404 if said.contains("no handler for route") || said.contains("namespace not found") => {
            let (mount, namespace) = (&parameters.mount, parameters.namespace.as_deref().unwrap_or("root"));
            HolderError::Deleted(answer(Some(format!(
                "{server} has no engine at `{mount}` in namespace {namespace}: it was never there, or was \
                 taken away with its keys"
            ))))
        }
        404 if said.is_empty() => {
            HolderError::Deleted(answer(Some(format!("there is no {}", parameters.place()))))
        }
        429 => HolderError::Throttled(answer(None)),
        503 if said.contains("sealed") => HolderError::Unreachable(answer(Some(format!(
            "{server} is sealed: its operators must unseal it"
        )))),
        412 | 472 | 473 | 500..=599 => HolderError::Unreachable(answer(None)),
        _ => HolderError::Malformed(format!("{server} did not take the request: {}", answer(None))),
    }
}

/// Status 400 of the engine itself.
fn cipher(parameters: &Parameters, said: &str, answer: impl Fn(Option<String>) -> Answer) -> HolderError {
    let place = parameters.place();
    let has = |text: &str| said.contains(text);
    if has("message authentication failed") {
        HolderError::Tampered
    } else if has("soft-deleted") {
        HolderError::Disabled(answer(Some("the key is soft-deleted, and can be restored".into())))
    } else if has("encryption key not found") || has(NEVER_MADE) {
        HolderError::Deleted(answer(Some(format!("there is no {place}"))))
    } else if has("too old") {
        HolderError::Denied(answer(Some(
            "the key's `min_decryption_version` is above the version that made this wrap; whoever may configure \
             the key can lower it again, unless that version was trimmed"
                .into(),
        )))
    } else if has("version is too new") {
        HolderError::Malformed(format!(
            "the {place} has no version that made this wrap: it was made anew, or restored from an old backup ({said})"
        ))
    } else if has("key derivation") {
        let what = "the key is a derived one, and the keyholder must say `derived`: `yes`";
        HolderError::Malformed(format!("{what} ({said})"))
    } else if has("missing client token") {
        HolderError::Denied(answer(None))
    } else {
        HolderError::Malformed(format!("{} did not take the request: {said}", parameters.address.authority()))
    }
}

/// An answer that no OpenBao and no Vault gives: of a proxy, a load balancer, another server.
fn not_transit(server: &str, status: u16) -> HolderError {
    let said = match status {
        300..=399 => format!(
            "{server} sends its clients elsewhere (status {status}), which is not followed; give the address of the \
             active server, or of a load balancer before it"
        ),
        _ => format!("what answers at {server} (status {status}) is no OpenBao and no Vault server"),
    };
    let answer = Answer { code: Some(status.to_string()), said, request_id: None };
    if status == 429 { HolderError::Throttled(answer) } else { HolderError::Unreachable(answer) }
}

/// A success whose body is not what the API promises.
pub(super) fn unexpected(parameters: &Parameters) -> HolderError {
    HolderError::Malformed(format!(
        "{} answers with something that Transit does not answer",
        parameters.address.authority()
    ))
}

/// A login that was refused.
pub(super) fn login_failure(parameters: &Parameters, path: &str, answered: &Answered) -> HolderError {
    match failure(parameters, answered) {
        HolderError::Malformed(_) | HolderError::Deleted(_) if answered.status < 500 => {
            let said = answered.json::<Refusal>().map(|refusal| words(&refusal)).unwrap_or_default();
            HolderError::WrongSecret(format!("{} refused `{path}`: {said}", parameters.address.authority()))
        }
        HolderError::Denied(answer) => {
            HolderError::Denied(Answer { said: format!("`{path}` refused: {}", answer.said), ..answer })
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holders::transit::parameters::Address;

    fn parameters() -> Parameters {
        Parameters {
            address: Address::parse("https://bao.example.org").unwrap(),
            mount: "transit".into(),
            key: "office".into(),
            namespace: None,
            derived: false,
        }
    }

    fn classified(status: u16, error: &str) -> HolderError {
        let body = serde_json::json!({"errors": [error]}).to_string();
        failure(&parameters(), &Answered::new(status, &body))
    }

    #[test]
    fn texts_of_openbao_2_7_and_of_vault() {
        use HolderError as E;
        assert!(matches!(classified(400, "cipher: message authentication failed"), E::Tampered));
        assert!(matches!(classified(400, "chacha20poly1305: message authentication failed"), E::Tampered));
        assert!(matches!(classified(400, "refusing to use soft-deleted key"), E::Disabled(_)));
        assert!(matches!(classified(400, "encryption key not found"), E::Deleted(_)));
        assert!(matches!(classified(400, "unknown key type must-exist-already"), E::Deleted(_)));
        let old = classified(400, "ciphertext or signature version is disallowed by policy (too old)");
        assert!(matches!(&old, E::Denied(answer) if answer.said.contains("min_decryption_version")), "{old}");
        assert!(matches!(classified(400, "invalid ciphertext: version is too new"), E::Malformed(_)));
        assert!(matches!(classified(403, "permission denied"), E::Denied(_)));
        assert!(matches!(
            classified(404, "no handler for route \"x/\". route entry not found."),
            E::Deleted(_)
        ));
        assert!(matches!(classified(404, "namespace not found"), E::Deleted(_)));
        assert!(matches!(classified(429, "rate limit quota exceeded"), E::Throttled(_)));
        let sealed = classified(503, "Vault is sealed");
        assert!(matches!(&sealed, E::Unreachable(answer) if answer.said.contains("sealed")), "{sealed}");
        for status in [412, 473, 500, 502, 504] {
            assert!(matches!(classified(status, "x"), E::Unreachable(_)), "{status}");
        }
        assert!(matches!(classified(405, "unsupported operation"), E::Malformed(_)));
    }

    #[test]
    fn another_server_has_no_say_on_the_key() {
        for (status, body) in [
            (404, "<h1>not found</h1>"),
            (403, "no"),
            (400, "{}"),
            (200, "hello"),
            (307, ""),
            (404, "{\"errors\":7}"),
        ] {
            let error = failure(&parameters(), &Answered::new(status, body));
            assert!(matches!(error, HolderError::Unreachable(_)), "{status} {body}: {error}");
        }
        assert!(matches!(failure(&parameters(), &Answered::new(429, "slow")), HolderError::Throttled(_)));
        let missing = failure(&parameters(), &Answered::new(404, "{\"errors\":[]}"));
        assert!(matches!(missing, HolderError::Deleted(_)));
    }

    #[test]
    fn what_a_server_says_cannot_draw_on_the_terminal() {
        let hostile = format!("a\u{1b}[2Jb\nc\0{}", "x".repeat(5000));
        let error = classified(403, &hostile).to_string();
        assert!(!error.contains(char::is_control) && error.len() < 500, "{error:?}");
    }
}
