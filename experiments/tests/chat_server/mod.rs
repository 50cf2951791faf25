//! A chat endpoint on this machine that does what a test tells it to; each request has a thread.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// What the server does with a request.
pub(crate) enum Act {
    /// A completion with this text, 10 prompt tokens and 2 completion tokens.
    Say(String),
    /// A completion that ended for this reason.
    End(&'static str),
    /// A status with this further header line and body.
    Status(u16, &'static str, String),
    /// A whole response of status 200 with this body.
    Body(&'static str),
    /// Nothing, for this long.
    Stall(Duration),
    /// The beginning of a completion, then the end of the connection.
    Cut,
    /// The end of the connection.
    Close,
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Received {
    /// The text of the user turn.
    pub(crate) fn user(&self) -> &str {
        let turns = self.body["messages"].as_array().unwrap();
        let user = turns.iter().find(|turn| turn["role"] == "user");
        user.unwrap()["content"].as_str().unwrap()
    }
}

/// A server that runs until the test ends.
pub(crate) struct ChatServer {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl ChatServer {
    /// Answers each request as `script` says; it gets the request and how often the same question
    /// with the same pieces was asked before.
    pub(crate) fn start(script: impl Fn(&Received, usize) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&received), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    if let Some(request) = read(&mut stream) {
                        let n_before = count(&log, &request);
                        // A client that went away is no fault of the server.
                        let _ = act(&mut stream, script(&request, n_before));
                    }
                });
            }
        });
        Self { address, received }
    }

    /// The argument that names the model behind this endpoint.
    pub(crate) fn model(&self) -> String {
        format!("openai:test/model@http://{}/v1", self.address)
    }

    /// What came in so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

/// How often the same question with the same pieces came before; notes the request.
fn count(log: &Mutex<Vec<Received>>, request: &Received) -> usize {
    let window = |r: &Received| {
        let parts: Vec<&str> = r.user().trim().split("\n\n").take(2).collect();
        parts.join("\n")
    };
    let mut log = log.lock().unwrap();
    let same = |r: &&Received| window(r) == window(request);
    let n_before = log.iter().filter(same).count();
    log.push(request.clone());
    n_before
}

fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    let mut n_bytes = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let lower = line.to_lowercase();
        if let Some(length) = lower.strip_prefix("content-length:") {
            n_bytes = length.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; n_bytes];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap();
    Some(Received { head, body })
}

fn completion(text: &str, finish_reason: &str) -> String {
    json!({
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    })
    .to_string()
}

fn act(stream: &mut TcpStream, act: Act) -> std::io::Result<()> {
    let (status, header, body) = match act {
        Act::Say(text) => (200, "", completion(&text, "stop")),
        Act::End(reason) => (200, "", completion("{\"ranges\": [\"1\"", reason)),
        Act::Status(status, header, body) => (status, header, body),
        Act::Body(body) => (200, "", body.to_owned()),
        Act::Stall(time) => {
            std::thread::sleep(time);
            return Ok(());
        }
        Act::Cut => {
            let body = completion("{\"ranges\": [\"1\"]}", "stop");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            return stream.write_all(format!("{head}{}", &body[..body.len() / 2]).as_bytes());
        }
        Act::Close => return Ok(()),
    };
    let header = match header {
        "" => String::new(),
        header => format!("{header}\r\n"),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\n{header}\
         Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}
