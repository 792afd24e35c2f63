//! The surface: every method that is served, with what its caller must be at least.
//!
//! Owns the list against which a call is checked before anything else. What a request demands in detail is said by its
//! type (`requests`, `state::auth::Demanding`); this list keeps a new method of the interface from being served before
//! somebody has thought about it. What each field of each request adds to the demand is in `fields.txt` beside this file,
//! and tested there to be so.
//!
//! Invariants: the list and the services of the .proto files name the same methods; it is sorted by path.

/// What a method's caller must be at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Least {
    /// Anybody the transport lets in, even with access control on.
    Anybody,
    /// Somebody known; what the request touches decides whether that is enough.
    Somebody,
    /// An administrator.
    Administrator,
}

/// How a method's messages flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// One request, one answer, soon.
    Unary,
    /// One request, one answer, when somebody else lets go.
    Waiting,
    /// A stream of answers.
    Stream,
}

/// One method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its path on the wire.
    pub path: &'static str,
    /// Who may call it.
    pub least: Least,
    /// How its messages flow.
    pub flow: Flow,
}

macro_rules! methods {
    ($($path:literal $least:ident $flow:ident;)+) => {
        /// All methods, by path.
        pub const METHODS: &[Method] = &[$(Method { path: $path, least: Least::$least, flow: Flow::$flow }),+];
    };
}

methods! {
    "/etcdserverpb.Auth/AuthDisable" Administrator Unary;
    "/etcdserverpb.Auth/AuthEnable" Administrator Unary;
    "/etcdserverpb.Auth/AuthStatus" Anybody Unary;
    "/etcdserverpb.Auth/Authenticate" Anybody Unary;
    "/etcdserverpb.Auth/RoleAdd" Administrator Unary;
    "/etcdserverpb.Auth/RoleDelete" Administrator Unary;
    "/etcdserverpb.Auth/RoleGet" Administrator Unary;
    "/etcdserverpb.Auth/RoleGrantPermission" Administrator Unary;
    "/etcdserverpb.Auth/RoleList" Administrator Unary;
    "/etcdserverpb.Auth/RoleRevokePermission" Administrator Unary;
    "/etcdserverpb.Auth/UserAdd" Administrator Unary;
    "/etcdserverpb.Auth/UserChangePassword" Administrator Unary;
    "/etcdserverpb.Auth/UserDelete" Administrator Unary;
    "/etcdserverpb.Auth/UserGet" Administrator Unary;
    "/etcdserverpb.Auth/UserGrantRole" Administrator Unary;
    "/etcdserverpb.Auth/UserList" Administrator Unary;
    "/etcdserverpb.Auth/UserRevokeRole" Administrator Unary;
    "/etcdserverpb.Cluster/MemberAdd" Administrator Unary;
    "/etcdserverpb.Cluster/MemberList" Somebody Unary;
    "/etcdserverpb.Cluster/MemberPromote" Administrator Unary;
    "/etcdserverpb.Cluster/MemberRemove" Administrator Unary;
    "/etcdserverpb.Cluster/MemberUpdate" Administrator Unary;
    "/etcdserverpb.KV/Compact" Administrator Unary;
    "/etcdserverpb.KV/DeleteRange" Somebody Unary;
    "/etcdserverpb.KV/Put" Somebody Unary;
    "/etcdserverpb.KV/Range" Somebody Unary;
    "/etcdserverpb.KV/RangeStream" Somebody Stream;
    "/etcdserverpb.KV/Txn" Somebody Unary;
    "/etcdserverpb.Lease/LeaseGrant" Somebody Unary;
    "/etcdserverpb.Lease/LeaseKeepAlive" Somebody Stream;
    "/etcdserverpb.Lease/LeaseLeases" Somebody Unary;
    "/etcdserverpb.Lease/LeaseRevoke" Somebody Unary;
    "/etcdserverpb.Lease/LeaseTimeToLive" Somebody Unary;
    "/etcdserverpb.Maintenance/Alarm" Somebody Unary;
    "/etcdserverpb.Maintenance/Defragment" Administrator Unary;
    "/etcdserverpb.Maintenance/Downgrade" Administrator Unary;
    "/etcdserverpb.Maintenance/Hash" Administrator Unary;
    "/etcdserverpb.Maintenance/HashKV" Administrator Unary;
    "/etcdserverpb.Maintenance/MoveLeader" Administrator Unary;
    "/etcdserverpb.Maintenance/Snapshot" Administrator Stream;
    "/etcdserverpb.Maintenance/Status" Somebody Unary;
    "/etcdserverpb.Watch/Watch" Somebody Stream;
    "/grpc.health.v1.Health/Check" Anybody Unary;
    "/grpc.health.v1.Health/List" Anybody Unary;
    "/grpc.health.v1.Health/Watch" Anybody Stream;
    "/strongroom.v1.Access/Explain" Somebody Unary;
    "/strongroom.v1.Access/Learn" Administrator Unary;
    "/strongroom.v1.Access/Learned" Administrator Unary;
    "/strongroom.v1.Access/RemoveIdentity" Administrator Unary;
    "/strongroom.v1.Access/SetIdentity" Administrator Unary;
    "/strongroom.v1.Access/SetRole" Administrator Unary;
    "/strongroom.v1.Access/Show" Administrator Unary;
    "/strongroom.v1.Access/WhoAmI" Somebody Unary;
    "/strongroom.v1.Pki/AddToken" Administrator Unary;
    "/strongroom.v1.Pki/Enroll" Anybody Unary;
    "/strongroom.v1.Pki/Issue" Administrator Unary;
    "/strongroom.v1.Pki/List" Administrator Unary;
    "/strongroom.v1.Pki/RemoveAuthority" Administrator Unary;
    "/strongroom.v1.Pki/RemoveToken" Administrator Unary;
    "/strongroom.v1.Pki/Renew" Anybody Unary;
    "/strongroom.v1.Pki/Revoke" Administrator Unary;
    "/strongroom.v1.Pki/Roots" Anybody Unary;
    "/strongroom.v1.Pki/SetAuthorities" Administrator Unary;
    "/v3electionpb.Election/Campaign" Somebody Waiting;
    "/v3electionpb.Election/Leader" Somebody Unary;
    "/v3electionpb.Election/Observe" Somebody Stream;
    "/v3electionpb.Election/Proclaim" Somebody Unary;
    "/v3electionpb.Election/Resign" Somebody Unary;
    "/v3lockpb.Lock/Lock" Somebody Waiting;
    "/v3lockpb.Lock/Unlock" Somebody Unary;
}

/// The method of a path; none is served without being here.
#[must_use]
pub fn method(path: &str) -> Option<&'static Method> {
    METHODS.binary_search_by(|method| method.path.cmp(path)).ok().and_then(|at| METHODS.get(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A method that comes into the .proto files is refused until it is classified here, and this says so.
    #[test]
    fn every_method_of_the_interface_is_classified() {
        let pool = prost_reflect::DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
        let in_files: BTreeSet<_> = pool
            .services()
            .flat_map(|service| {
                let name = service.full_name().to_owned();
                service.methods().map(move |method| format!("/{name}/{}", method.name())).collect::<Vec<_>>()
            })
            .collect();
        let listed: BTreeSet<_> = METHODS.iter().map(|method| method.path.to_owned()).collect();
        assert_eq!(in_files, listed);
    }

    /// The look-up is by bisection: an unsorted list would hide methods.
    #[test]
    fn the_list_is_sorted_and_found() {
        assert!(METHODS.is_sorted_by_key(|method| method.path));
        for listed in METHODS {
            assert_eq!(method(listed.path), Some(listed));
        }
        for path in ["", "/", "etcdserverpb.KV/Put", "//etcdserverpb.KV/Put", "/etcdserverpb.KV/Put/", "/a/b"]
        {
            assert_eq!(method(path), None, "{path}");
        }
    }

    /// The anonymous surface is exactly etcd's (the state of authentication, logging in, health), the roots, which are public,
    /// and the two ways to a certificate that check their own proof: a token's secret, the certificate that is shown.
    #[test]
    fn the_anonymous_surface_is_small() {
        let open: Vec<_> = METHODS
            .iter()
            .filter(|method| method.least == Least::Anybody)
            .map(|method| method.path)
            .collect();
        assert_eq!(
            open,
            [
                "/etcdserverpb.Auth/AuthStatus",
                "/etcdserverpb.Auth/Authenticate",
                "/grpc.health.v1.Health/Check",
                "/grpc.health.v1.Health/List",
                "/grpc.health.v1.Health/Watch",
                "/strongroom.v1.Pki/Enroll",
                "/strongroom.v1.Pki/Renew",
                "/strongroom.v1.Pki/Roots",
            ]
        );
    }
}
