//! The Cluster service: who is in the cluster, and the refusals of changing that.
//!
//! One member alone answers what etcd answers where etcd refuses; where etcd would change the cluster, it refuses and says
//! what to do.

use super::Services;
use super::requests::Act;
use super::status::Failure;
use proto::etcdserverpb as pb;
use state::membership::{Member, Membership};
use std::borrow::Cow;
use tonic::{Code, Request, Response, Status};
use types::{MemberId, Revision};

/// The Cluster service.
#[derive(Clone)]
pub(super) struct Cluster(pub Services);

impl Cluster {
    /// etcd leaves the revision out of these headers.
    fn header(&self) -> Option<pb::ResponseHeader> {
        Some(self.0.header(Revision::ZERO))
    }

    fn membership_for_change<T>(&self, request: &Request<T>) -> Result<Membership, Failure> {
        let principal = self.0.principal(request);
        let change = self.0.admit(&principal, Act::MembershipChange)?;
        Ok(self.0.inspect(&change).membership())
    }
}

fn members(membership: &Membership) -> Vec<pb::Member> {
    membership.members().map(member).collect()
}

fn member(member: &Member) -> pb::Member {
    pb::Member {
        id: member.id.0,
        name: member.name.clone(),
        peer_ur_ls: member.peer_urls.clone(),
        client_ur_ls: member.client_urls.clone(),
        is_learner: member.is_learner,
    }
}

/// What a change of the cluster is answered until there are clusters.
fn alone(what: &str) -> Failure {
    let text = format!(
        "strongroom: {what} needs a cluster of several members, which comes with a later version; this member runs \
         alone and stays as it is"
    );
    Failure::Other(Code::FailedPrecondition, Cow::Owned(text))
}

#[tonic::async_trait]
impl pb::cluster_server::Cluster for Cluster {
    async fn member_list(
        &self,
        request: Request<pb::MemberListRequest>,
    ) -> Result<Response<pb::MemberListResponse>, Status> {
        let principal = self.0.principal(&request);
        let list = self.0.admit(&principal, Act::MemberList)?;
        if request.into_inner().linearizable {
            self.0.barrier().await?;
        }
        let members = members(&self.0.inspect(&list).membership());
        Ok(Response::new(pb::MemberListResponse { header: self.header(), members }))
    }

    async fn member_add(
        &self,
        request: Request<pb::MemberAddRequest>,
    ) -> Result<Response<pb::MemberAddResponse>, Status> {
        let membership = self.membership_for_change(&request)?;
        let urls = request.into_inner().peer_ur_ls;
        if urls.is_empty() || !urls.iter().all(|url| is_peer_url(url.trim())) {
            return Err(Failure::MemberBadUrls.into());
        }
        if membership.members().any(|member| member.peer_urls.iter().any(|url| urls.contains(url))) {
            return Err(Failure::PeerUrlExists.into());
        }
        Err(alone("adding a member").into())
    }

    async fn member_remove(
        &self,
        request: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        let membership = self.membership_for_change(&request)?;
        let id = MemberId(request.into_inner().id);
        Err(match membership.member(id) {
            None => Failure::MemberNotFound.into(),
            // Whoever is left could not elect anybody.
            Some(_) if membership.members().count() == 1 => Failure::NotEnoughStartedMembers.into(),
            Some(_) => alone("removing a member").into(),
        })
    }

    async fn member_update(
        &self,
        request: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        let membership = self.membership_for_change(&request)?;
        let request = request.into_inner();
        let id = MemberId(request.id);
        let Some(member) = membership.member(id) else { return Err(Failure::MemberNotFound.into()) };
        if member.peer_urls == request.peer_ur_ls {
            let members = members(&membership);
            return Ok(Response::new(pb::MemberUpdateResponse { header: self.header(), members }));
        }
        let mut others = membership.members().filter(|other| other.id != id);
        if others.any(|other| other.peer_urls.iter().any(|url| request.peer_ur_ls.contains(url))) {
            return Err(Failure::PeerUrlExists.into());
        }
        Err(alone("changing a member's peer URLs").into())
    }

    async fn member_promote(
        &self,
        request: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        let membership = self.membership_for_change(&request)?;
        Err(match membership.member(MemberId(request.into_inner().id)) {
            None => Failure::MemberNotFound.into(),
            Some(member) if !member.is_learner => Failure::MemberNotLearner.into(),
            Some(_) => alone("promoting a member").into(),
        })
    }
}

/// Whether etcd takes this for a member's URL: a scheme it knows, host and port, no path.
fn is_peer_url(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    match scheme {
        "http" | "https" => {
            let host_port = rest.split(['?', '#']).next().unwrap_or(rest);
            let Some((host, port)) = host_port.rsplit_once(':') else { return false };
            let bracketed = host.starts_with('[') && host.ends_with(']');
            !host_port.contains('/')
                && !host_port.contains(char::is_whitespace)
                && (bracketed || !host.contains([':', '[', ']']))
                && port.bytes().all(|byte| byte.is_ascii_digit())
        }
        "unix" | "unixs" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A URL that etcd refuses must be refused with its error, before anything else is said about the cluster.
    #[test]
    fn peer_urls_are_checked_as_etcd_checks_them() {
        for url in
            ["http://127.0.0.1:2380", "https://node.example:2380", "http://[::1]:2380", "unix://localhost:1"]
        {
            assert!(is_peer_url(url), "{url}");
        }
        for url in [
            "",
            "x",
            "http://127.0.0.1",
            "http://127.0.0.1:1/x",
            "ftp://127.0.0.1:1",
            "http://::1:1",
            "http://a:b",
        ] {
            assert!(!is_peer_url(url), "{url}");
        }
    }
}
