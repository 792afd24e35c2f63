//! Counting gRPC calls: started, handled by code, messages each way, time taken.
//!
//! The methods are known before the first call, from the interface's descriptors; a path that is not among them is not
//! counted, so a client cannot make the number of series grow.

use super::text::{Kind, Text, whole};
use super::value::{Counter, Histogram};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Names of the seventeen status codes, by number, as the Go library spells them.
pub const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];
/// The number of `Unknown`.
const UNKNOWN: usize = 2;
/// The defaults of the Go library, in seconds.
const HANDLING_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How messages flow in a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One request, one answer.
    Unary,
    /// Many requests, one answer.
    ClientStream,
    /// One request, many answers.
    ServerStream,
    /// Many of both.
    BidiStream,
}

impl Shape {
    fn label(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ClientStream => "client_stream",
            Self::ServerStream => "server_stream",
            Self::BidiStream => "bidi_stream",
        }
    }
}

/// One method of the interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodName {
    /// The full name of the service.
    pub service: String,
    /// The method's own name.
    pub method: String,
    /// How its messages flow.
    pub shape: Shape,
}

/// The methods of the interface that these descriptors describe. Locks and elections are shown once they were called, as
/// in etcd, which registers them after counting began; so are our own services, which etcd's dashboards do not know.
///
/// # Errors
/// When the descriptors cannot be read.
pub fn methods(descriptors: &[u8]) -> Result<Vec<MethodName>, prost_reflect::DescriptorError> {
    let pool = prost_reflect::DescriptorPool::decode(descriptors)?;
    let counted = |service: &prost_reflect::ServiceDescriptor| {
        matches!(
            service.package_name(),
            "etcdserverpb" | "grpc.health.v1" | "v3lockpb" | "v3electionpb" | "strongroom.v1"
        )
    };
    let services: Vec<_> = pool.services().filter(counted).collect();
    let methods = services.iter().flat_map(prost_reflect::ServiceDescriptor::methods);
    Ok(methods
        .map(|method| MethodName {
            service: method.parent_service().full_name().to_owned(),
            method: method.name().to_owned(),
            shape: match (method.is_client_streaming(), method.is_server_streaming()) {
                (false, false) => Shape::Unary,
                (true, false) => Shape::ClientStream,
                (false, true) => Shape::ServerStream,
                (true, true) => Shape::BidiStream,
            },
        })
        .collect())
}

/// The counts of one method.
#[derive(Debug)]
pub struct Method {
    name: MethodName,
    started: Counter,
    received: Counter,
    sent: Counter,
    handled: [AtomicU64; 17],
    handling: Histogram,
}

impl Method {
    /// A call began.
    pub fn started(&self) {
        self.started.inc();
    }

    /// Calls that began and have not ended.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        let handled = self.handled.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        self.started.value().saturating_sub(handled)
    }

    /// A message came in.
    pub fn received(&self, messages: u64) {
        self.received.add(messages);
    }

    /// A message went out.
    pub fn sent(&self, messages: u64) {
        self.sent.add(messages);
    }

    /// Whether it is shown before it was called.
    fn shown_unused(&self) -> bool {
        !self.name.service.starts_with("v3") && !self.name.service.starts_with("strongroom.")
    }

    /// A call ended with this status code after this time. A unary call's refusal counts as a message sent, and the end of
    /// a client's stream as one received: that is how the Go library counts.
    pub fn handled(&self, code: u16, elapsed: Duration) {
        match self.name.shape {
            Shape::Unary if code != 0 => self.sent.inc(),
            Shape::BidiStream | Shape::ClientStream => self.received.inc(),
            Shape::Unary | Shape::ServerStream => {}
        }
        if let Some(count) = self.handled.get(usize::from(code)).or(self.handled.get(UNKNOWN)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.handling.observe_duration(elapsed);
    }
}

/// The counts of every method.
#[derive(Debug, Default)]
pub struct Calls {
    by_path: HashMap<String, Arc<Method>>,
    ordered: Vec<Arc<Method>>,
}

impl Calls {
    /// Counts these methods, and no others.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = MethodName>) -> Self {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_by(|a, b| (&a.method, &a.service).cmp(&(&b.method, &b.service)));
        let ordered: Vec<_> = names
            .into_iter()
            .map(|name| {
                Arc::new(Method {
                    name,
                    started: Counter::default(),
                    received: Counter::default(),
                    sent: Counter::default(),
                    handled: std::array::from_fn(|_| AtomicU64::new(0)),
                    handling: Histogram::new(HANDLING_SECONDS),
                })
            })
            .collect();
        let path = |method: &Arc<Method>| format!("/{}/{}", method.name.service, method.name.method);
        Self { by_path: ordered.iter().map(|method| (path(method), method.clone())).collect(), ordered }
    }

    /// The method behind a request path, if there is one.
    #[must_use]
    pub fn method(&self, path: &str) -> Option<&Arc<Method>> {
        self.by_path.get(path)
    }

    pub(super) fn encode(&self, text: &mut Text, detail: super::Detail) {
        text.family("grpc_server_handled_total", "gRPC calls that ended, by status code.", Kind::Counter);
        let mut codes: Vec<_> = CODES.iter().enumerate().collect();
        codes.sort_by_key(|(_, name)| **name);
        for (number, code) in codes {
            for method in &self.ordered {
                let count = method.handled.get(number).map_or(0, |count| count.load(Ordering::Relaxed));
                let [m, s, t] = method.labels();
                if count > 0 || method.shown_unused() {
                    text.sample("grpc_server_handled_total", &[("grpc_code", code), m, s, t], whole(count));
                }
            }
        }
        if detail == super::Detail::Extensive {
            text.family("grpc_server_handling_seconds", "How long gRPC calls took.", Kind::Histogram);
            for method in self.ordered.iter().filter(|method| method.started.value() > 0) {
                text.histogram("grpc_server_handling_seconds", &method.labels(), &method.handling.read());
            }
        }
        self.counters(text, "grpc_server_msg_received_total", "Messages received.", |method| {
            &method.received
        });
        self.counters(text, "grpc_server_msg_sent_total", "Messages sent.", |method| &method.sent);
        self.counters(text, "grpc_server_started_total", "gRPC calls that began.", |method| &method.started);
    }

    fn counters(&self, text: &mut Text, name: &str, help: &str, pick: fn(&Method) -> &Counter) {
        text.family(name, help, Kind::Counter);
        for method in &self.ordered {
            if method.started.value() > 0 || method.shown_unused() {
                text.sample(name, &method.labels(), whole(pick(method).value()));
            }
        }
    }
}

impl Method {
    fn labels(&self) -> [(&str, &str); 3] {
        [
            ("grpc_method", &self.name.method),
            ("grpc_service", &self.name.service),
            ("grpc_type", self.name.shape.label()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls() -> Calls {
        Calls::new([MethodName { service: "p.S".into(), method: "M".into(), shape: Shape::Unary }])
    }

    /// A made-up path must not become a series: that is how label memory is exhausted from outside (CVE-2023-47108).
    #[test]
    fn only_known_methods_are_counted() {
        let calls = calls();
        assert!(calls.method("/p.S/M").is_some());
        for path in ["/p.S/N", "p.S/M", "//p.S/M", "/p.S/M/", ""] {
            assert!(calls.method(path).is_none(), "{path}");
        }
    }

    /// Dashboards and etcd's tests know these methods from the first scrape on; a fresh etcd 3.7.3 shows as many.
    #[test]
    fn the_methods_counted_are_etcds() {
        let methods = methods(proto::DESCRIPTORS).unwrap();
        let has = |service: &str, method: &str, shape| {
            methods.contains(&MethodName { service: service.into(), method: method.into(), shape })
        };
        assert!(has("etcdserverpb.KV", "RangeStream", Shape::ServerStream));
        assert!(has("etcdserverpb.Watch", "Watch", Shape::BidiStream));
        assert!(has("etcdserverpb.Auth", "Authenticate", Shape::Unary));
        assert!(has("grpc.health.v1.Health", "Watch", Shape::ServerStream));
        let (ours, etcds): (Vec<_>, Vec<_>) =
            methods.iter().partition(|method| method.service.starts_with("strongroom."));
        let (late, shown): (Vec<_>, Vec<_>) =
            etcds.into_iter().partition(|method| method.service.starts_with("v3"));
        assert_eq!((shown.len(), late.len()), (45, 7), "{methods:?}");
        assert!(ours.iter().any(|method| method.service == "strongroom.v1.Access"), "{ours:?}");
        let calls = Calls::new(methods.clone());
        let encoded = || {
            let mut text = Text::default();
            calls.encode(&mut text, super::super::Detail::Basic);
            text.finish()
        };
        assert!(!encoded().contains("v3lockpb"), "not before it was called");
        assert!(!encoded().contains("strongroom"), "nor what etcd has not");
        let own = calls.method("/strongroom.v1.Access/SetRole").unwrap();
        own.started();
        own.handled(3, Duration::from_millis(1));
        let refused = "grpc_server_handled_total{grpc_code=\"InvalidArgument\",grpc_method=\"SetRole\",grpc_service=\"strongroom.v1.Access\"";
        assert!(encoded().contains(refused), "what our own services refuse is counted by its code");
        let lock = calls.method("/v3lockpb.Lock/Lock").unwrap();
        lock.started();
        lock.handled(0, Duration::from_millis(1));
        assert_eq!(
            encoded().matches("v3lockpb").count(),
            4,
            "started, handled with one code, two of messages"
        );
    }

    /// A call shows up under its code with etcd's label names, which alerts match on.
    #[test]
    fn a_call_is_shown_under_its_code() {
        let calls = calls();
        let method = calls.method("/p.S/M").unwrap();
        method.started();
        method.handled(14, Duration::from_millis(7));
        let mut text = Text::default();
        calls.encode(&mut text, super::super::Detail::Extensive);
        let text = text.finish();
        assert!(text.contains(
            "grpc_server_handled_total{grpc_code=\"Unavailable\",grpc_method=\"M\",grpc_service=\"p.S\",grpc_type=\"unary\"} 1\n"
        ));
        assert!(text.contains("grpc_server_handling_seconds_bucket{grpc_method=\"M\",grpc_service=\"p.S\",grpc_type=\"unary\",le=\"0.01\"} 1\n"));
    }
}
