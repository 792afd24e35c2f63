//! Which cipher suites and key exchanges are offered.
//!
//! The hybrid post-quantum exchange comes first. Of TLS 1.2 only ECDHE with AEAD is known here, so a weak suite cannot be
//! asked for (GHSA-5x4g-q5rc-36jp); names are the registered ones, as etcd's `--cipher-suites` takes them.

use super::Error;
use rustls::CipherSuite;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};

/// The provider that offers the TLS 1.2 suites of this list, or all when the list is empty, and every TLS 1.3 suite.
pub(super) fn provider(names: &[String]) -> Result<CryptoProvider, Error> {
    let mut provider = default_provider();
    provider.kx_groups = vec![
        kx_group::X25519MLKEM768,
        kx_group::SECP256R1MLKEM768,
        kx_group::X25519,
        kx_group::SECP256R1,
        kx_group::SECP384R1,
    ];
    if cfg!(feature = "fips") {
        // Only what the validated module may be asked for.
        provider.kx_groups.retain(|group| group.fips());
        provider.cipher_suites.retain(rustls::SupportedCipherSuite::fips);
    }
    if names.is_empty() {
        return Ok(provider);
    }
    let mut wanted = Vec::new();
    for name in names {
        wanted.push(named(name).ok_or_else(|| Error::Suite { name: name.clone() })?);
    }
    provider.cipher_suites.retain(|suite| suite.tls13().is_some() || wanted.contains(&suite.suite()));
    Ok(provider)
}

fn named(name: &str) -> Option<CipherSuite> {
    // Go also takes the two CHACHA20 names without their hash.
    let name = match name {
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        other => other,
    };
    let offered = [
        ("TLS_AES_128_GCM_SHA256", cipher_suite::TLS13_AES_128_GCM_SHA256),
        ("TLS_AES_256_GCM_SHA384", cipher_suite::TLS13_AES_256_GCM_SHA384),
        ("TLS_CHACHA20_POLY1305_SHA256", cipher_suite::TLS13_CHACHA20_POLY1305_SHA256),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
        (
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
        (
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
    ];
    offered.iter().find(|(offered, _)| *offered == name).map(|(_, suite)| suite.suite())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Suites without forward secrecy or AEAD cannot be switched on, whatever the settings say.
    #[test]
    fn weak_suites_are_refused_by_name() {
        for name in [
            "TLS_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
            "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
            "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
            "nonsense",
        ] {
            assert!(matches!(provider(&[name.to_owned()]), Err(Error::Suite { .. })), "{name}");
        }
    }

    /// A list narrows TLS 1.2 only, as in Go, and the post-quantum exchange stays first.
    #[test]
    fn a_list_narrows_tls12_only() {
        let provider = provider(&["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305".to_owned()]).unwrap();
        let tls12 = provider.cipher_suites.iter().filter(|suite| suite.tls13().is_none()).count();
        assert_eq!((tls12, provider.cipher_suites.len()), (1, 4));
        assert_eq!(provider.kx_groups[0].name(), rustls::NamedGroup::X25519MLKEM768);
    }
}
