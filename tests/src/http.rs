//! A small blocking client for JSON over HTTP on this machine.

use std::time::Duration;

use serde_json::Value;
use ureq::http::Request;

/// Longer than any long poll of the tests.
const TIMEOUT: Duration = Duration::from_secs(90);
/// The largest answer that is read.
const LARGEST: u64 = 256 << 20;

/// An answer of any status.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The answer, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.body))
    }
}

/// Talks to one server, with a bearer token where one is set.
#[derive(Clone)]
pub struct Client {
    http: ureq::Agent,
    base: String,
    token: Option<String>,
}

impl Client {
    /// `base` is without a trailing slash.
    pub fn new(base: impl Into<String>, token: Option<String>) -> Client {
        Client::within(TIMEOUT, base, token)
    }

    /// The same with another timeout for each request.
    pub fn within(timeout: Duration, base: impl Into<String>, token: Option<String>) -> Client {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(timeout))
            // No proxy of the environment: everything is on this machine.
            .proxy(None)
            .build();
        Client {
            http: config.into(),
            base: base.into(),
            token,
        }
    }

    /// The answer, or why there was none.
    pub fn try_send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, String> {
        let url = format!("{}{path}", self.base);
        let mut request = Request::builder().method(method).uri(&url);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let text = body.map(Value::to_string);
        if text.is_some() {
            request = request.header("content-type", "application/json");
        }
        let failed = |error: ureq::Error| format!("{method} {url}: {error}");
        let built = "the request is well formed";
        let answer = match text {
            Some(text) => self.http.run(request.body(text).expect(built)),
            None => self.http.run(request.body(()).expect(built)),
        };
        let mut answer = answer.map_err(failed)?;
        let headers = answer.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        });
        Ok(Answer {
            status: answer.status().as_u16(),
            headers: headers.collect(),
            body: answer
                .body_mut()
                .with_config()
                .limit(LARGEST)
                .read_to_string()
                .map_err(failed)?,
        })
    }

    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.try_send(method, path, body).unwrap_or_else(|why| panic!("{why}"))
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(body))
    }

    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, Some(body))
    }
}
