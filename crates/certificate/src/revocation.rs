//! The signed list of what an authority has revoked, in the form that every TLS library reads.

use crate::error::Error;
use crate::issue::{Signer, moment};
use crate::pem;
use crate::request::make;
use env::WallTime;
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use state::pki::Issued;
use types::limits::REVOCATION_LIST_LIFE_SECONDS;

/// The list, PEM, good for a week from now on; a later one has a higher number.
///
/// # Errors
/// [`Error::Make`]
pub fn revocation_list<'a>(
    by: &Signer,
    revoked: impl IntoIterator<Item = &'a Issued>,
    now: WallTime,
) -> Result<String, Error> {
    let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    let revoked = revoked.into_iter().map(|issued| RevokedCertParams {
        serial_number: SerialNumber::from_slice(&bytes(&issued.serial)),
        revocation_time: moment(seconds(issued.revoked)),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: moment(seconds(now.unix_seconds())),
        next_update: moment(seconds(now.unix_seconds().saturating_add(REVOCATION_LIST_LIFE_SECONDS))),
        crl_number: SerialNumber::from_slice(&now.unix_nanos().to_be_bytes()),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = params.signed_by(&by.issuer).map_err(make("a revocation list"))?;
    Ok(pem::text(pem::REVOCATIONS, list.der()).to_string())
}

/// The bytes of a serial number in hexadecimal.
fn bytes(hex: &str) -> Vec<u8> {
    let digits = if hex.len().is_multiple_of(2) { hex.to_owned() } else { format!("0{hex}") };
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or("0"), 16).unwrap_or(0)).collect()
}
