//! The lines that etcd's own tests, and people's scripts, wait for: their texts and fields are an interface.

use crate::config::Severity;

/// The member takes requests now.
pub fn ready() {
    tracing::info!("ready to serve client requests");
}

/// A client listener serves; `traffic` is `grpc+http`, `grpc` or `http`.
pub fn serving(address: &str, traffic: &str, secured: Secured) {
    match secured {
        Secured::ByTls => tracing::info!(traffic, address, "serving client traffic securely"),
        Secured::NotAtAll => {
            tracing::info!(
                traffic,
                address,
                "serving client traffic insecurely; this is strongly discouraged!"
            );
        }
    }
}

/// Whether a listener is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secured {
    /// It is.
    ByTls,
    /// It is not.
    NotAtAll,
}

/// A listener for scrapers and probes serves.
pub fn serving_metrics(address: &str) {
    tracing::info!(address, "serving metrics");
}

/// The peer listener serves.
pub fn listening_for_peers(address: &str) {
    tracing::info!(address, "serving peer traffic");
}

/// The last line of a start that failed, of the level that etcd gives it.
pub fn fatal<'a>(message: &str, fields: impl IntoIterator<Item = (&'a str, serde_json::Value)>) {
    let spliced = spliced(fields);
    tracing::error!(name: super::format::FATAL, spliced = spliced.as_str(), "{message}");
}

/// A line whose fields are known only while running: the notes of the settings, and etcd's line of all settings.
pub fn with_fields<'a>(
    severity: Severity,
    message: &str,
    fields: impl IntoIterator<Item = (&'a str, serde_json::Value)>,
) {
    let spliced = spliced(fields);
    let spliced = spliced.as_str();
    match severity {
        Severity::Info => tracing::info!(spliced, "{message}"),
        Severity::Warn => tracing::warn!(spliced, "{message}"),
    }
}

fn spliced<'a>(fields: impl IntoIterator<Item = (&'a str, serde_json::Value)>) -> String {
    let fields: serde_json::Map<_, _> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    serde_json::Value::Object(fields).to_string()
}
