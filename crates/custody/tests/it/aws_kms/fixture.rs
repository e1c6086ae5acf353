//! HTTP servers on loopback that answer as a test wants, for what no stand-in of AWS does on demand.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Longest request or answer that is relayed, in bytes.
const MESSAGE_MAX: usize = 1 << 20;

/// A request or an answer, as it came.
#[derive(Clone)]
pub(super) struct Message(Vec<u8>);

impl Message {
    fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            if let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n")
                && bytes.len()
                    >= head + 4 + Self(bytes.clone()).header("content-length")?.parse::<usize>().ok()?
            {
                return Some(Self(bytes));
            }
            match stream.read(&mut buffer) {
                Ok(read) if read > 0 && bytes.len() < MESSAGE_MAX => bytes.extend_from_slice(&buffer[..read]),
                _ => return None,
            }
        }
    }

    fn head(&self) -> String {
        let end = self.0.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(self.0.len());
        String::from_utf8_lossy(&self.0[..end]).into_owned()
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        let head = self.head();
        let line = head.lines().find(|line| {
            line.split_once(':').is_some_and(|(found, _)| found.trim().eq_ignore_ascii_case(name))
        })?;
        Some(line.split_once(':')?.1.trim().to_owned())
    }

    pub(super) fn body(&self) -> String {
        String::from_utf8_lossy(&self.0[self.head().len() + 4..]).into_owned()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body()).unwrap()
    }

    /// Whose key signed it.
    pub(super) fn signed_by(&self) -> String {
        let header = self.header("authorization").unwrap();
        header.split_once("Credential=").unwrap().1.split_once('/').unwrap().0.to_owned()
    }

    /// What KMS is asked to do, such as `Decrypt`.
    pub(super) fn operation(&self) -> String {
        self.header("x-amz-target").unwrap().rsplit('.').next().unwrap().to_owned()
    }

    fn answer(status: u16, content_type: &str, body: &str) -> Self {
        let head = format!(
            "HTTP/1.1 {status} Said\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\
             x-amzn-requestid: fixture-1\r\nconnection: close\r\n\r\n",
            body.len()
        );
        Self(format!("{head}{body}").into_bytes())
    }

    /// As KMS answers.
    pub(super) fn kms(status: u16, body: &serde_json::Value) -> Self {
        Self::answer(status, "application/x-amz-json-1.1", &body.to_string())
    }

    /// As KMS refuses.
    pub(super) fn refusal(code: &str, said: &str) -> Self {
        Self::kms(400, &serde_json::json!({"__type": code, "message": said}))
    }

    /// As some proxies and stand-ins refuse.
    pub(super) fn xml(status: u16, body: &str) -> Self {
        Self::answer(status, "text/xml", body)
    }
}

/// A server that answers, and remembers what it was asked.
pub(super) struct Fixture {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Message>>>,
}

impl Fixture {
    pub(super) fn answering(answer: impl Fn(&Message) -> Option<Message> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (asked, answer) = (Arc::clone(&seen), Arc::new(answer));
        // Ends with the test's process.
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                thread::spawn(move || {
                    let Some(request) = Message::read(&mut stream) else { return };
                    asked.lock().unwrap().push(request.clone());
                    if let Some(answer) = answer(&request) {
                        // Who asked may be gone.
                        let _ = stream.write_all(&answer.0);
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// Takes every call and says nothing.
    pub(super) fn silent() -> Self {
        Self::answering(|_| {
            loop {
                thread::park();
            }
        })
    }

    /// Passes everything on to `upstream`, but hangs up on calls for `region`.
    pub(super) fn outage(upstream: &str, region: &'static str) -> Self {
        let upstream = upstream.strip_prefix("http://").unwrap().to_owned();
        Self::answering(move |request| {
            if request.header("authorization")?.contains(&format!("/{region}/kms/")) {
                return None;
            }
            let mut stream = TcpStream::connect(&upstream).unwrap();
            stream.write_all(&request.0).unwrap();
            let answer = Message::read(&mut stream)?;
            // The relay has one answer for a connection.
            let text = String::from_utf8_lossy(&answer.0).replacen("\r\n", "\r\nconnection: close\r\n", 1);
            Some(Message(text.into_bytes()))
        })
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Message> {
        self.seen.lock().unwrap().clone()
    }
}

/// An address at which nobody listens.
pub(super) fn nobody() -> String {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", taken.local_addr().unwrap())
}
