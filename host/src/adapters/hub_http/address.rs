//! Where the Hub is: the base URL, checked once, and the addresses of its calls.

use reqwest::{Method, Url};

use super::{HubConfigError, failure::Failure};

/// The longest id that is put into a path, in bytes. What the Hub gave us is shorter (`domain::ids`); a guest may make up
/// anything.
const LONGEST_ID: usize = 256;

/// The longest address in bytes: servers commonly stop at 8 KiB (nginx' `large_client_header_buffers`).
const LONGEST_URL: usize = 8 * 1024;

/// The base URL: http or https, without credentials, query and fragment; a path in front of `/api` is kept.
#[derive(Clone, Debug)]
pub(super) struct Base(Url);

impl Base {
    pub(super) fn parse(text: &str) -> Result<Base, HubConfigError> {
        let refuse = |why: String| Err(HubConfigError(why));
        // The text itself is not repeated in an error until it is known to hold no credentials.
        let url = match Url::parse(text.trim()) {
            Ok(url) => url,
            Err(error) => return refuse(format!("the Hub's URL can't be read ({error}): write http://host:port")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse(format!(
                "the Hub's URL ({}) holds credentials: take them out and set the API key instead",
                url.host_str().unwrap_or("no host")
            ));
        }
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return refuse(format!(
                "the Hub's URL has the scheme {:?}: http and https are allowed, as in http://host:port",
                url.scheme()
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse(format!(
                "the Hub's URL for {} has a `?` or `#`: write only scheme, host, port and path",
                url.host_str().unwrap_or_default()
            ));
        }
        Ok(Base(url))
    }

    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether the Hub is on this machine, where a proxy would only be in the way.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    }

    /// The call at these path segments, each of which is percent-encoded.
    pub(super) fn call(&self, method: Method, segments: &[&str]) -> Result<Call, Failure> {
        let mut url = self.0.clone();
        let mut path = match url.path_segments_mut() {
            Ok(path) => path,
            // `parse` let only http and https in, whose paths have segments.
            Err(()) => return Err(Failure::rejected("the Hub's URL has no path".to_owned())),
        };
        path.pop_if_empty().extend(["api", "v1"]);
        for segment in segments {
            // An address can't express `.` and `..` as names: they would name another call.
            if segment.is_empty() || matches!(*segment, "." | "..") || segment.len() > LONGEST_ID {
                let shown: String = segment.chars().take(80).collect();
                return Err(Failure::rejected(format!(
                    "{shown:?} can't be an id of the Hub: 1 to {LONGEST_ID} bytes other than `.` and `..` are allowed"
                )));
            }
            path.push(segment);
        }
        drop(path);
        Ok(Call { method, url })
    }
}

/// One call: its method and address.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
}

impl Call {
    /// The same call with query parameters.
    pub(super) fn query(mut self, parameters: &[(&str, &str)]) -> Result<Call, Failure> {
        self.url.query_pairs_mut().extend_pairs(parameters);
        let length = self.url.as_str().len();
        if length > LONGEST_URL {
            return Err(Failure::rejected(format!(
                "{self}: the parameters make the address {length} bytes long, {LONGEST_URL} are allowed: ask for less"
            )));
        }
        Ok(self)
    }
}

impl std::fmt::Display for Call {
    /// Method and address as errors name them: without the query, which may hold what people search for.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut url = self.url.clone();
        url.set_query(None);
        write!(f, "{} {url}", self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(base: &str, segments: &[&str]) -> String {
        Base::parse(base)
            .unwrap()
            .call(Method::GET, segments)
            .unwrap()
            .url
            .into()
    }

    #[test]
    fn a_path_in_front_is_kept_with_or_without_a_slash() {
        for base in ["http://hub:8000/a/b", "http://hub:8000/a/b/", " http://hub:8000/a/b "] {
            assert_eq!(url(base, &["posts"]), "http://hub:8000/a/b/api/v1/posts");
        }
        assert_eq!(url("https://hub", &["posts"]), "https://hub/api/v1/posts");
    }

    #[test]
    fn ids_stay_one_segment() {
        assert_eq!(
            url("http://hub", &["posts", "a/../b?c#d %2e%2e"]),
            "http://hub/api/v1/posts/a%2F..%2Fb%3Fc%23d%20%252e%252e"
        );
        for bad in ["", ".", "..", &"x".repeat(257)] {
            assert!(
                Base::parse("http://hub").unwrap().call(Method::GET, &[bad]).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn urls_that_cannot_work_are_refused_without_repeating_secrets() {
        for bad in [
            "",
            "hub:8000",
            "ftp://hub",
            "http://u:hunter2@hub",
            "http://hub/?key=hunter2",
            "http://:80",
        ] {
            let error = Base::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && error.contains("Hub"), "{bad}: {error}");
        }
    }

    #[test]
    fn errors_name_the_call_without_its_query() {
        let call = Base::parse("http://hub")
            .unwrap()
            .call(Method::GET, &["search"])
            .unwrap();
        assert_eq!(
            call.clone().query(&[("q", "a b&c")]).unwrap().url.as_str(),
            "http://hub/api/v1/search?q=a+b%26c"
        );
        assert_eq!(
            call.clone().query(&[("q", "x")]).unwrap().to_string(),
            "GET http://hub/api/v1/search"
        );
        assert!(call.query(&[("q", &"x".repeat(LONGEST_URL))]).is_err());
    }
}
