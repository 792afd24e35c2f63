//! What the first bytes of a connection say it speaks, and what to answer when it speaks the wrong thing.
//!
//! Pure functions over bytes. A client that speaks clear text to a TLS port, or TLS to a clear one, gets an answer it can
//! read instead of silence.

use super::Facts;

/// As many bytes as are ever needed to tell: HTTP/2's preface.
pub const BYTES_MAX: usize = 24;

/// What a connection opens with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A TLS record with a handshake message.
    Tls,
    /// HTTP/1 in clear text.
    Http1,
    /// HTTP/2 in clear text, as gRPC without TLS speaks.
    Http2,
    /// None of these.
    Unknown,
    /// Too little to tell.
    Undecided,
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const METHODS: [&[u8]; 9] =
    [b"GET ", b"PUT ", b"POST ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE "];

/// Looks at the first bytes.
#[must_use]
pub fn opening(bytes: &[u8]) -> Opening {
    match bytes {
        [] | [0x16] => return Opening::Undecided,
        [0x16, 0x03, ..] => return Opening::Tls,
        _ => {}
    }
    if bytes.starts_with(PREFACE) {
        return Opening::Http2;
    }
    if METHODS.iter().any(|method| bytes.starts_with(method)) {
        return Opening::Http1;
    }
    let may_become = |whole: &[u8]| bytes.len() < whole.len() && whole.starts_with(bytes);
    if may_become(PREFACE) || METHODS.iter().any(|method| may_become(method)) {
        return Opening::Undecided;
    }
    Opening::Unknown
}

/// A fatal alert `unexpected_message`, in the clear, for who spoke something else to a TLS port.
pub const UNEXPECTED_MESSAGE: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0a];

/// The answer to clear HTTP/1 on a TLS port. The first sentence is the one Go's server gives, which people search for.
#[must_use]
pub fn clear_on_tls(facts: &Facts) -> String {
    format!(
        "Client sent an HTTP request to an HTTPS server.\n\
         This port speaks TLS only. Use https:// in the address and give the client this member's CA \
         (curl: --cacert; etcdctl: --cacert with an https:// endpoint{}).\n",
        facts.or_run()
    )
}

/// The answer to clear gRPC on a TLS port.
#[must_use]
pub fn clear_grpc_on_tls(facts: &Facts) -> String {
    format!(
        "clear text sent to a port that speaks TLS only: use an https:// endpoint and give the client this member's CA \
         (etcdctl: --endpoints=https://... --cacert{})",
        facts.or_run()
    )
}

/// The answer to TLS on a clear port; clients of Go show its first line.
pub const TLS_ON_CLEAR: &str = "Client sent a TLS handshake to a port without TLS.\n\
    Use http:// in the address, or the address on which this member speaks TLS.\n";

/// A whole HTTP/1 response that ends the connection.
#[must_use]
pub fn http1_refusal(body: &str) -> Vec<u8> {
    let mut response = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    response.extend_from_slice(body.as_bytes());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The opening decides which answer a mistaken client gets, and must be told from as few bytes as arrive.
    #[test]
    fn openings_are_told_apart() {
        for (bytes, expected) in [
            (&b""[..], Opening::Undecided),
            (b"\x16", Opening::Undecided),
            (b"\x16\x03\x01\x02", Opening::Tls),
            (b"\x16\x00", Opening::Unknown),
            (b"P", Opening::Undecided),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", Opening::Undecided),
            (PREFACE, Opening::Http2),
            (b"PRI * HTTP/2.1", Opening::Unknown),
            (b"POST /", Opening::Http1),
            (b"GET / HTTP/1.1", Opening::Http1),
            (b"\x00\x00", Opening::Unknown),
            (b"SSH-2.0", Opening::Unknown),
        ] {
            assert_eq!(opening(bytes), expected, "{bytes:?}");
        }
        assert_eq!(PREFACE.len(), BYTES_MAX);
    }
}
