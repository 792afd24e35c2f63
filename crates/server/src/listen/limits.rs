//! The bounds of the listeners.

use std::time::Duration;

/// What one process lets its clients take. Every bound has a default with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Threads that serve connections; the machine's cores.
    pub workers: usize,
    /// Open connections, all listeners together; further ones are closed at once, and the log says so.
    pub connections: usize,
    /// Unfinished handshakes of one worker; beyond it the oldest is cut, so that idle ones never keep out a new client.
    pub handshakes: usize,
    /// From accept to the end of the handshake (etcd: 10 s since 3.7.1).
    pub handshake_deadline: Duration,
    /// From the first byte of an HTTP/1 request to the end of its headers.
    pub header_deadline: Duration,
    /// Bytes of one request's headers.
    pub header_bytes: u32,
    /// Requests under way on one HTTP/2 connection.
    pub concurrent_streams: u32,
    /// Streams a client has opened and reset that were not yet taken; beyond it the connection ends (CVE-2023-44487).
    pub pending_resets: usize,
    /// How long a connection may be silent before it is asked for a sign of life (etcd: 2 h).
    pub keepalive_interval: Duration,
    /// How long the sign of life may take (etcd: 20 s).
    pub keepalive_timeout: Duration,
    /// Shortest time between two pings of a client that has requests under way (etcd: 5 s); a client that often pings sooner
    /// is told so and cut.
    pub ping_interval_min: Duration,
    /// How often certificates are looked at for changes; zero for never.
    pub reload_interval: Duration,
    /// Log lines about rejected connections in one second; further ones are counted.
    pub rejection_lines_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            connections: types::limits::CONNECTIONS_MAX,
            handshakes: types::limits::HANDSHAKES_MAX,
            handshake_deadline: Duration::from_secs(types::limits::HANDSHAKE_SECONDS_MAX),
            header_deadline: Duration::from_secs(types::limits::HTTP_HEADER_SECONDS_MAX),
            header_bytes: types::limits::HTTP_HEADER_BYTES_MAX,
            concurrent_streams: types::limits::CONCURRENT_STREAMS_MAX,
            pending_resets: types::limits::PENDING_RESETS_MAX,
            keepalive_interval: Duration::from_secs(types::limits::KEEPALIVE_INTERVAL_SECONDS),
            keepalive_timeout: Duration::from_secs(types::limits::KEEPALIVE_TIMEOUT_SECONDS),
            ping_interval_min: Duration::from_secs(types::limits::PING_INTERVAL_SECONDS_MIN),
            reload_interval: Duration::from_secs(types::limits::CERTIFICATE_LOOK_SECONDS),
            rejection_lines_per_second: types::limits::REJECTION_LINES_PER_SECOND,
        }
    }
}
