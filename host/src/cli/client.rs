//! Talks to a host's API: where it is, with which token, and in which words it can't be reached.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use reqwest::{Method, Response, StatusCode, Url};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time;

use super::{
    Global,
    exit::{Exit, Failure},
};
use crate::app::{
    api::{token, types::ErrorBody},
    config::Config,
    plain_http,
};
use crate::domain::secret::Secret;

/// For a request that the host answers at once.
const TIMEOUT: Duration = Duration::from_secs(10);

/// For files that are being written.
const SETTLING: Duration = Duration::from_secs(60);

/// For a host's metrics: one that takes longer can't be watched.
const SCRAPE: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
pub struct HostArgs {
    /// The host to ask, such as `http://127.0.0.1:9090`; without it the one that the configuration describes.
    #[arg(long, value_name = "URL")]
    host: Option<String>,
}

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    /// What there is to say if a call needs the token and this command has none.
    token: Result<Secret, String>,
}

impl Client {
    pub fn new(global: &Global, args: &HostArgs) -> Result<Client, Failure> {
        let config = global.load()?.config;
        let base = args.host.clone().unwrap_or_else(|| own_address(&config));
        Ok(Client {
            http: plain_http::client()?,
            base: address_of(&base)?,
            // Most calls need none on loopback, so that whoever may not read it can still ask.
            token: match token::load(&config) {
                Ok(Some(token)) => Ok(token),
                Ok(None) => Err(format!("there is no {}", config.token_file().display())),
                Err(error) => Err(format!("{error:#}")),
            },
        })
    }

    /// The same, of another host of the cluster.
    pub fn at(&self, address: &str) -> Result<Client, Failure> {
        Ok(Client {
            base: address_of(address)?,
            ..self.clone()
        })
    }

    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// What the host exports to Prometheus.
    pub async fn metrics(&self) -> Result<String, Failure> {
        let mut url = self.base.clone();
        url.set_path("metrics");
        let response = self.answered(self.http.get(url).timeout(SCRAPE)).await?;
        response.text().await.map_err(|error| self.unreachable(&error))
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &[&str], wait: Duration) -> Result<T, Failure> {
        let mut url = self.url(path)?;
        if !wait.is_zero() {
            url.query_pairs_mut().append_pair("wait", &wait.as_secs().to_string());
        }
        self.send(self.http.request(Method::GET, url).timeout(TIMEOUT + wait))
            .await
    }

    /// With further parameters.
    pub async fn ask<T: DeserializeOwned>(&self, path: &[&str], params: &[(&str, String)]) -> Result<T, Failure> {
        let mut url = self.url(path)?;
        add(&mut url, params);
        self.send(self.http.request(Method::GET, url).timeout(TIMEOUT)).await
    }

    /// An answer that is read while it comes. `seen` is the last event that was.
    pub async fn stream(
        &self,
        path: &[&str],
        params: &[(&str, String)],
        seen: Option<u64>,
    ) -> Result<Response, Failure> {
        let mut url = self.url(path)?;
        add(&mut url, params);
        let mut request = self.http.request(Method::GET, url);
        if let Some(seen) = seen {
            request = request.header("last-event-id", seen);
        }
        match time::timeout(TIMEOUT, self.answered(request)).await {
            Ok(response) => response,
            Err(_) => Err(self.no_answer("no answer in time")),
        }
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<T, Failure> {
        self.post_for(path, body, Duration::ZERO).await
    }

    /// A change that the host needs up to so much time for.
    pub async fn post_for<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
        takes: Duration,
    ) -> Result<T, Failure> {
        let request = self.http.request(Method::POST, self.url(path)?);
        self.send(request.timeout(TIMEOUT + takes).json(body)).await
    }

    /// A change that parameters describe; the host may have to wait for a file that is being written.
    pub async fn command<T: DeserializeOwned>(&self, path: &[&str], params: &[(&str, String)]) -> Result<T, Failure> {
        let mut url = self.url(path)?;
        add(&mut url, params);
        let request = self.http.request(Method::POST, url);
        self.send(request.timeout(TIMEOUT + SETTLING)).await
    }

    /// Segments are encoded: a name is never a path.
    fn url(&self, path: &[&str]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        // Which URLs leave out, and then name something else.
        if let Some(segment) = path.iter().find(|segment| matches!(**segment, "" | "." | "..")) {
            return Err(Failure::new(Exit::NotFound, format!("{segment:?} is no name")));
        }
        url.path_segments_mut()
            .map_err(|()| Failure::new(Exit::Usage, format!("{} is no address of a host", self.base)))?
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path);
        Ok(url)
    }

    async fn answered(&self, request: reqwest::RequestBuilder) -> Result<Response, Failure> {
        let request = match &self.token {
            Ok(token) => request.bearer_auth(token.expose()),
            Err(_) => request,
        };
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.refused(response).await)
        }
    }

    async fn send<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, Failure> {
        let response = self.answered(request).await?;
        let text = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&text).map_err(|error| {
            Failure::new(
                Exit::Failed,
                format!(
                    "{} answered what this command can't read ({error}): is it a Warren host of this version?",
                    self.base
                ),
            )
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let why = if error.is_timeout() {
            "no answer in time".to_owned()
        } else {
            cause.to_string()
        };
        self.no_answer(&why)
    }

    fn no_answer(&self, why: &str) -> Failure {
        Failure::new(
            Exit::Unreachable,
            format!(
                "no host answers at {} ({why}): start one with `warren dev` or `warren run`, or name another with --host",
                self.base
            ),
        )
        .passing(true)
    }

    async fn refused(&self, response: Response) -> Failure {
        let status = response.status();
        let message = match response.json::<ErrorBody>().await {
            Ok(body) => body.error.message,
            Err(_) => format!("{} answered {status}: is it a Warren host?", self.base),
        };
        let message = match &self.token {
            Err(why) if status == StatusCode::UNAUTHORIZED => format!("{message}; this command has no token: {why}"),
            _ => message,
        };
        let exit = match status {
            StatusCode::NOT_FOUND => Exit::NotFound,
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYLOAD_TOO_LARGE => Exit::Usage,
            _ => Exit::Failed,
        };
        Failure::new(exit, message).passing(status.is_server_error())
    }
}

fn add(url: &mut Url, params: &[(&str, String)]) {
    if !params.is_empty() {
        url.query_pairs_mut().extend_pairs(params);
    }
}

fn address_of(base: &str) -> Result<Url, Failure> {
    let url = Url::parse(base).ok();
    url.filter(|url| url.scheme() == "http" && url.has_host())
        .ok_or_else(|| {
            let message = format!("{base:?} is no address of a host: http://NAME:PORT is");
            Failure::new(Exit::Usage, message)
        })
}

/// Where this machine's host listens; one that listens everywhere is asked on loopback.
fn own_address(config: &Config) -> String {
    let mut listen = config.api.listen;
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{listen}")
}
