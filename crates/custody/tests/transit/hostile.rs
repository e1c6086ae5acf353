use crate::{access, at, context, fixture, holder, key, spec};
use std::{
    io::Write,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use strongroom_custody::{HolderError, HolderState, Keyholder, Switch, SwitchError, holders::transit::Login};

fn sealed_blob() -> Vec<u8> {
    let mut blob = vec![1];
    blob.extend_from_slice(b"vault:v1:");
    blob.extend_from_slice("A".repeat(80).as_bytes());
    blob
}

async fn unwrapping(status: u16, body: impl Into<Vec<u8>>) -> HolderError {
    let body = body.into();
    let (address, _) = fixture::serve(move |_| (status, body.clone()));
    at(&address).unwrap(&context(), &sealed_blob()).await.unwrap_err()
}

#[tokio::test]
async fn a_sealed_server_is_out_of_reach_and_says_so() {
    let (address, _) = fixture::serve(|_| (503, br#"{"errors":["Vault is sealed"]}"#.to_vec()));
    let error = at(&address).wrap(&context(), &key()).await.unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("sealed"), "{error}");
    let state = at(&address).state().await;
    assert!(matches!(&state, HolderState::Unreachable(what) if what.contains("sealed")), "{state}");
}

#[tokio::test]
async fn a_standby_is_out_of_reach_and_its_redirect_is_not_followed() {
    let error = unwrapping(307, "").await;
    assert!(
        matches!(&error, HolderError::Unreachable(answer) if answer.said.contains("elsewhere")),
        "{error}"
    );
}

#[tokio::test]
async fn a_fog_of_other_servers_decides_nothing() {
    for (status, body) in [(404, "<html>not found</html>"), (403, "blocked by policy"), (502, "bad gateway")]
    {
        let error = unwrapping(status, body).await;
        assert!(matches!(error, HolderError::Unreachable(_)), "{status}: {error}");
    }
    assert!(matches!(unwrapping(429, "slow down").await, HolderError::Throttled(_)));
}

#[tokio::test]
async fn a_large_answer_is_not_read() {
    let error = unwrapping(200, vec![b' '; (1 << 20) + 1]).await;
    assert!(matches!(&error, HolderError::Malformed(what) if what.contains("1024 KiB")), "{error}");
    // Without saying how long it will be, and without an end.
    let (address, _) = fixture::raw(|stream| {
        fixture::read(stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        while stream.write_all(&[b' '; 4096]).is_ok() {}
    });
    let error = at(&address).unwrap(&context(), &sealed_blob()).await.unwrap_err();
    assert!(matches!(&error, HolderError::Malformed(what) if what.contains("1024 KiB")), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_none_is_told() {
    let short = r#"{"request_id":"r","data":{"plaintext":"QUJD"}}"#;
    for body in ["", "null", "{}", r#"{"data":{}}"#, r#"{"data":{"plaintext":""}}"#, short, "[1"] {
        let error = unwrapping(200, body).await;
        assert!(matches!(error, HolderError::Malformed(_)), "{body}: {error}");
    }
    // What could never be opened again is not kept.
    for ciphertext in ["", "vault:v1:AAAA", "other:v1:AAAA"] {
        let body = serde_json::json!({"request_id": "r", "data": {"ciphertext": ciphertext}}).to_string();
        let (address, _) = fixture::serve(move |_| (200, body.clone().into_bytes()));
        let error = at(&address).wrap(&context(), &key()).await.unwrap_err();
        assert!(matches!(error, HolderError::Malformed(_)), "{ciphertext:?}: {error}");
    }
}

#[tokio::test]
async fn a_drip_of_bytes_does_not_hold_it_for_ever() {
    let (address, _) = fixture::raw(|stream| {
        fixture::read(stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let started = Instant::now();
    let error = at(&address).unwrap(&context(), &sealed_blob()).await.unwrap_err();
    assert!(matches!(error, HolderError::Unreachable(_)), "{error}");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_silent_server_is_given_up_within_15_seconds() {
    let silent = spec(&[("address", &fixture::silent()), ("key", "office")]);
    let started = Instant::now();
    let error = holder(&silent, access(Login::token("t"))).wrap(&context(), &key()).await.unwrap_err();
    assert!(matches!(error, HolderError::Unreachable(_)), "{error}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[tokio::test]
async fn garbage_is_not_sent() {
    let (address, count) = fixture::serve(|_| (200, Vec::new()));
    for blob in [&b""[..], b"\x01", b"\x02vault:v1:AAAA", b"\x01vault:v1:AAAA", &[0xa5; 4096]] {
        assert!(at(&address).unwrap(&context(), blob).await.is_err());
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_server_without_soft_delete_gives_a_command_instead() {
    let (address, _) = fixture::serve(|request| {
        let said = if request.line.contains("soft-delete") {
            "1 error occurred:\\n\\t* unsupported path\\n\\n"
        } else {
            "?"
        };
        (404, format!(r#"{{"errors":["{said}"]}}"#).into_bytes())
    });
    match at(&address).switch(Switch::Off).await {
        Err(SwitchError::Refused { command, source: HolderError::Denied(_) }) => {
            assert!(command.starts_with("vault write -address=http://127.0.0.1"), "{command}");
            assert!(command.contains("/config min_decryption_version=$(vault read"), "{command}");
            assert!(!command.contains("token"), "{command}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_with_a_line_feed_is_not_sent() {
    let (address, count) = fixture::serve(|_| (200, Vec::new()));
    let keyholder = holder(&spec(&[("address", &address), ("key", "office")]), access(Login::token("a\nb")));
    let error = keyholder.wrap(&context(), &key()).await.unwrap_err();
    assert!(matches!(error, HolderError::WrongSecret(_)), "{error}");
    assert_eq!(count.load(Ordering::SeqCst), 0);
}
