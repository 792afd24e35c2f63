//! Which hosts and which other sites' pages may talk to the member over HTTP.
//!
//! Two attacks through a user's browser are met here: DNS rebinding (CVE-2018-5702: a page reaches a loopback listener
//! under a name of its own, so the Host header is a stranger's) and cross-site requests (CVE-2018-1098). As etcd, both
//! lists may hold `*`, etcd's default.

use super::error;
use crate::gate::Connection;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, HOST,
    HeaderValue, ORIGIN,
};
use http::{Request, Response, StatusCode, Uri};
use std::sync::Arc;
use tonic::body::Body;

/// Names that are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// All of them.
    Any,
    /// These.
    Only(Vec<String>),
}

impl Allowed {
    /// From a list as etcd's flags write it: `*` anywhere means all.
    #[must_use]
    pub fn from_list(list: impl IntoIterator<Item = String>) -> Self {
        let list: Vec<_> = list.into_iter().collect();
        if list.iter().any(|name| name == "*") { Self::Any } else { Self::Only(list) }
    }

    fn contains(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(names) => names.iter().any(|allowed| allowed == name),
        }
    }
}

/// The two lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Hosts under which the member may be addressed without TLS.
    pub hosts: Allowed,
    /// Origins whose pages may talk to it.
    pub origins: Allowed,
}

impl Access {
    /// Loopback names and no other origin.
    #[must_use]
    pub fn closed() -> Self {
        let hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        Self { hosts: Allowed::Only(hosts), origins: Allowed::Only(Vec::new()) }
    }

    /// Everything, as etcd's defaults.
    #[must_use]
    pub fn open() -> Self {
        Self { hosts: Allowed::Any, origins: Allowed::Any }
    }

    /// Nothing when the request may pass, else the answer that says why not.
    pub(super) fn refusal<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let via_tls =
            request.extensions().get::<Arc<Connection>>().is_some_and(|connection| connection.via_tls);
        let host = host(request);
        if !via_tls && !self.hosts.contains(&host) {
            tracing::warn!(
                %host,
                hint = "if the name is this member's, add it to the host whitelist (--host-whitelist), or use TLS",
                "rejecting HTTP request to prevent DNS rebinding attacks"
            );
            return Some(error(StatusCode::MISDIRECTED_REQUEST, &stranger(&host)));
        }
        let origin = request.headers().get(ORIGIN)?;
        let allowed =
            self.origins == Allowed::Any || origin.to_str().is_ok_and(|origin| self.origins.contains(origin));
        let text = "requests from other sites' pages are refused; allow the site with --cors";
        (!allowed).then(|| error(StatusCode::FORBIDDEN, text))
    }

    /// The origin that the answer may be shown to, in etcd's way: `*` when all are allowed.
    pub(super) fn origin<B>(&self, request: &Request<B>) -> Option<HeaderValue> {
        match &self.origins {
            Allowed::Any => Some(HeaderValue::from_static("*")),
            Allowed::Only(_) => request.headers().get(ORIGIN).cloned(),
        }
    }
}

/// Puts the CORS headers on an answer.
pub(super) fn mark(response: &mut Response<Body>, origin: Option<HeaderValue>) {
    let Some(origin) = origin else { return };
    let headers = response.headers_mut();
    let allowed = HeaderValue::from_static("accept, content-type, authorization");
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
}

/// etcd's older name for the gateway's paths.
pub(super) fn rewrite_v3beta<B>(request: &mut Request<B>) {
    let Some(rest) = request.uri().path_and_query().and_then(|path| path.as_str().strip_prefix("/v3beta/"))
    else {
        return;
    };
    if let Ok(uri) = format!("/v3/{rest}").parse::<Uri>() {
        *request.uri_mut() = uri;
    }
}

/// The host without its port: HTTP/2 carries it in the URI, HTTP/1 in a header.
fn host<B>(request: &Request<B>) -> String {
    let written = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(),
    };
    let without_port = match written.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') && !host.ends_with(':') => host,
        _ => written,
    };
    without_port.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
}

fn stranger(host: &str) -> String {
    format!(
        "the Host header {host:?} is not one of this member's names, and the connection is not encrypted.\n\
         Use TLS, or an allowed name such as localhost, or add the name: --host-whitelist={host:?}\n\
         (This keeps web pages from reaching the member through DNS rebinding, CVE-2018-5702.)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &str, origin: Option<&str>) -> Request<()> {
        let mut request = Request::builder().uri("/health").header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        request.body(()).unwrap()
    }

    /// A page that rebinds its own name to 127.0.0.1 reaches the port, but not the member (CVE-2018-5702).
    #[test]
    fn a_strangers_host_is_misdirected() {
        let access = Access::closed();
        for host in ["localhost", "localhost:2379", "127.0.0.1:2379", "[::1]:2379", "LOCALHOST"] {
            assert!(access.refusal(&request(host, None)).is_none(), "{host}");
        }
        for host in ["evil.example", "evil.example:2379", "", "localhost.evil.example", "[::2]:2379"] {
            let refused = access.refusal(&request(host, None)).unwrap();
            assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST, "{host}");
        }
        assert!(Access::open().refusal(&request("evil.example", None)).is_none(), "etcd's default");
    }

    /// Another site's page is refused before it changes anything, whatever its content type (CVE-2018-1098).
    #[test]
    fn another_sites_page_is_refused() {
        let access = Access::closed();
        let refused = access.refusal(&request("localhost", Some("https://evil.example"))).unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let listed =
            Access { origins: Allowed::from_list(["https://ui.example".to_owned()]), ..Access::closed() };
        assert!(listed.refusal(&request("localhost", Some("https://ui.example"))).is_none());
        assert!(listed.refusal(&request("localhost", Some("https://evil.example"))).is_some());
        assert!(
            Access::open().refusal(&request("localhost", Some("https://evil.example"))).is_none(),
            "etcd's default"
        );
    }

    /// etcd still answers under /v3beta/.
    #[test]
    fn the_older_prefix_is_rewritten() {
        let mut request = Request::builder().uri("/v3beta/kv/range?x=1").body(()).unwrap();
        rewrite_v3beta(&mut request);
        assert_eq!(request.uri(), "/v3/kv/range?x=1");
    }
}
