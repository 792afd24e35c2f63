//! The ids of a cluster and its members, computed as etcd does.
//!
//! They come from the peer URLs and the cluster token, so every member of a new cluster computes the same ones without
//! talking to the others. Source: etcdserver/api/membership (`computeMemberID`, `genID`). SHA-1 is used as a name here,
//! nothing rests on its strength.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use types::{ClusterId, MemberId};

/// A founding member's id: its peer URLs, sorted, and the token.
#[must_use]
pub fn member_id(peer_urls: &[String], token: &str) -> MemberId {
    MemberId(first_bytes(&member_text(peer_urls, token)))
}

/// The id of a member added later, which also depends on the second it was added in.
#[must_use]
pub fn added_member_id(peer_urls: &[String], token: &str, unix_seconds: u64) -> MemberId {
    let mut text = member_text(peer_urls, token);
    text.extend_from_slice(unix_seconds.to_string().as_bytes());
    MemberId(first_bytes(&text))
}

/// A new cluster's id: the ids of its founding members.
#[must_use]
pub fn cluster_id(members: &[MemberId]) -> ClusterId {
    let mut ids: Vec<u64> = members.iter().map(|member| member.0).collect();
    ids.sort_unstable();
    let text: Vec<u8> = ids.iter().flat_map(|id| id.to_be_bytes()).collect();
    ClusterId(first_bytes(&text))
}

fn member_text(peer_urls: &[String], token: &str) -> Vec<u8> {
    let mut urls: Vec<&str> = peer_urls.iter().map(String::as_str).collect();
    urls.sort_unstable();
    let mut text = urls.concat().into_bytes();
    text.extend_from_slice(token.as_bytes());
    text
}

fn first_bytes(text: &[u8]) -> u64 {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text);
    hash.as_ref().iter().take(8).fold(0, |id, byte| (id << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(urls: &[&str]) -> Vec<String> {
        urls.iter().map(|url| (*url).to_owned()).collect()
    }

    /// The ids are those of etcd 3.7.3 on the same settings (read from its log), so that dashboards, peers and backups
    /// agree about who is who.
    #[test]
    fn ids_are_those_of_a_real_etcd() {
        let member = member_id(&urls(&["http://localhost:2380"]), "etcd-cluster");
        assert_eq!(member.to_string(), "8e9e05c52164694d");
        assert_eq!(cluster_id(&[member]).to_string(), "cdf818194e3a8c32");

        let two = urls(&["http://127.0.0.1:33802", "http://127.0.0.1:33801"]);
        let member = member_id(&two, "tok");
        assert_eq!(member.to_string(), "2019900bbb603bc3");
        assert_eq!(cluster_id(&[member]).to_string(), "fa7d8ec463100852");

        let first = member_id(&urls(&["http://127.0.0.1:33801"]), "etcd-cluster");
        let second = member_id(&urls(&["http://127.0.0.1:33811"]), "etcd-cluster");
        assert_eq!(first.to_string(), "cc4ac920d46ff089");
        assert_eq!(cluster_id(&[second, first]).to_string(), "514fd7b711ea9fad", "whatever their order");
    }

    /// Somebody who adds the same URLs again gets a new id, so that an old member cannot come back under it.
    #[test]
    fn an_added_member_has_an_id_of_its_own() {
        let urls = urls(&["http://127.0.0.1:1"]);
        assert_ne!(added_member_id(&urls, "t", 1), member_id(&urls, "t"));
        assert_ne!(added_member_id(&urls, "t", 1), added_member_id(&urls, "t", 2));
    }
}
