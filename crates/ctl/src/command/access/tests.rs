//! Terms and policies: what one change leaves alone, and that a policy adds what is missing, once, and takes nothing.

use super::overview::Holder;
use super::policy::{Policy, Present, Step, has_more, registry, steps};
use super::terms::{allow_again, change, deny, grant};
use crate::connect::tests::clear_server;
use crate::settings::{Global, Settings, Surroundings};
use clap::ValueEnum;
use proto::authpb::Permission;
use proto::authpb::permission::Type;
use proto::strongroom::v1 as own;
use proto::strongroom::v1::RoleTerms;
use std::sync::{Arc, Mutex};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

fn permission(kind: Type, key: &'static str, end: &'static str) -> Permission {
    Permission { perm_type: kind.into(), key: key.into(), range_end: end.into() }
}

/// A denial that vanishes with another one opens what was to stay closed: only exactly its range goes.
#[test]
fn denials_widen_and_go_one_by_one() {
    let mut terms = RoleTerms { not_after: 7, ..RoleTerms::default() };
    deny(&mut terms, permission(Type::Read, "a", "b"));
    deny(&mut terms, permission(Type::Read, "a", ""));
    deny(&mut terms, permission(Type::Write, "a", "b"));
    assert_eq!(terms.deny, [permission(Type::Readwrite, "a", "b"), permission(Type::Read, "a", "")]);
    deny(&mut terms, permission(Type::Read, "a", "b"));
    assert_eq!(terms.deny[0], permission(Type::Readwrite, "a", "b"));
    allow_again(&mut terms, &permission(Type::Read, "a", "c"));
    assert_eq!(terms.deny.len(), 2);
    allow_again(&mut terms, &permission(Type::Read, "a", "b"));
    assert_eq!(terms.deny, [permission(Type::Read, "a", "")]);
    assert_eq!(terms.not_after, 7);
}

/// Rights are a set: one that is granted twice must be gone after one revocation.
#[test]
fn a_right_is_there_once() {
    let mut terms = RoleTerms::default();
    grant(&mut terms, ["snapshot", "hash", "hash"]);
    grant(&mut terms, ["hash"]);
    assert_eq!(terms.abilities, ["hash", "snapshot"]);
}

/// What a member makes of the steps.
fn carried_out(policy: Policy, mut present: Present, steps: &[Step]) -> Present {
    for step in steps {
        match step {
            Step::AddRole => present.role = Some(Holder::default()),
            Step::Grant(new) => {
                let role = present.role.as_mut().unwrap();
                role.permissions.retain(|old| (&old.key, &old.range_end) != (&new.key, &new.range_end));
                role.permissions.push(new.clone());
            }
            Step::SetTerms(terms, _) => present.role.as_mut().unwrap().terms = terms.clone(),
            Step::AddUser(user) => drop(present.users.insert(user.clone(), Vec::new())),
            Step::GrantRole(user) => present.users.get_mut(user).unwrap().push(policy.role().to_owned()),
        }
    }
    present
}

const PREFIX: &str = "/registry/";

/// A policy that is applied twice must change nothing the second time, whatever was there before.
#[test]
fn each_policy_is_whole_after_one_time() {
    for policy in Policy::value_variants() {
        let users = [policy.user().unwrap_or("me").to_owned()];
        let first = steps(&policy.wanted(PREFIX), &users, &Present::default());
        assert_eq!(first.first(), Some(&Step::AddRole));
        assert_eq!(first.last(), Some(&Step::GrantRole(users[0].clone())), "the user's role comes last");
        let present = carried_out(*policy, Present::default(), &first);
        assert_eq!(steps(&policy.wanted(PREFIX), &users, &present), []);
        assert!(!has_more(&policy.wanted(PREFIX), &present), "{policy:?}");
    }
}

/// What somebody added to the role by hand stays: a denial above all.
#[test]
fn a_policy_takes_nothing_away() {
    let by_hand = RoleTerms {
        deny: vec![permission(Type::Write, "/registry/secrets/", "/registry/secrets0")],
        abilities: vec!["alarm".into()],
        sources: vec!["10.0.0.0/8".into()],
        not_after: 9,
        requests_per_second: 8,
        write_bytes_max: 7,
    };
    let permissions =
        vec![permission(Type::Read, "/registry/", "/registry0"), permission(Type::Read, "other", "")];
    let role = Holder { permissions, terms: by_hand.clone(), users: Vec::new() };
    let mut present = Present { role: Some(role), ..Present::default() };
    let users = ["me".to_owned()];
    present.users.insert("me".into(), vec!["else".into()]);
    assert!(has_more(&Policy::Kubernetes.wanted(PREFIX), &present));
    let missing = steps(&Policy::Kubernetes.wanted(PREFIX), &users, &present);
    let after = carried_out(Policy::Kubernetes, present, &missing);
    let role = after.role.unwrap();
    assert_eq!(role.terms, RoleTerms { abilities: vec!["alarm".into(), "compact".into()], ..by_hand });
    assert!(role.permissions.contains(&permission(Type::Read, "other", "")));
    assert!(role.permissions.contains(&permission(Type::Readwrite, "/registry/", "/registry0")));
    assert_eq!(after.users["me"], ["else", "kubernetes"]);
}

/// The policies give what their programs ask for and not a key more: these lists are the promise of the book.
#[test]
fn the_policies_give_exactly_this() {
    let given = |policy: Policy| {
        let present =
            carried_out(policy, Present::default(), &steps(&policy.wanted(PREFIX), &[], &Present::default()));
        let role = present.role.unwrap();
        (role.permissions, role.terms)
    };
    let rights = |names: &[&str]| RoleTerms {
        abilities: names.iter().map(|name| (*name).to_owned()).collect(),
        ..RoleTerms::default()
    };
    let keys = vec![
        permission(Type::Readwrite, "/registry/", "/registry0"),
        permission(Type::Readwrite, "compact_rev_key", ""),
    ];
    assert_eq!(given(Policy::Kubernetes), (keys, rights(&["compact"])));
    assert_eq!(given(Policy::Kubeadm), (vec![], rights(&["membership"])));
    assert_eq!(given(Policy::Backup), (vec![], rights(&["hash", "snapshot"])));
    assert_eq!(given(Policy::Metrics), (vec![], rights(&[])));
    assert_eq!(given(Policy::Admin), (vec![], rights(&[])));
}

/// kube-apiserver's prefix as it makes it: a slash too few would open the neighbour's keys.
#[test]
fn a_prefix_has_a_slash_on_both_sides() {
    for (written, meant) in
        [("/registry", "/registry/"), ("registry", "/registry/"), ("/a//b/", "/a/b/"), ("/", "/"), ("", "/")]
    {
        assert_eq!(registry(written), meant);
    }
}

/// A member that keeps roles' terms, and counts how often they are set.
#[derive(Clone, Default)]
struct Keeper(Arc<Mutex<own::ShowResponse>>);

#[tonic::async_trait]
impl own::access_server::Access for Keeper {
    async fn show(&self, _: Request<own::ShowRequest>) -> Result<Response<own::ShowResponse>, Status> {
        Ok(Response::new(self.0.lock().unwrap().clone()))
    }
    async fn set_role(
        &self,
        request: Request<own::SetRoleRequest>,
    ) -> Result<Response<own::SetRoleResponse>, Status> {
        let own::SetRoleRequest { role, terms } = request.into_inner();
        let mut kept = self.0.lock().unwrap();
        kept.roles.insert(role, terms.unwrap());
        kept.auth_revision += 1;
        Ok(Response::new(own::SetRoleResponse { auth_revision: kept.auth_revision }))
    }
    async fn set_identity(
        &self,
        _: Request<own::SetIdentityRequest>,
    ) -> Result<Response<own::SetIdentityResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn remove_identity(
        &self,
        _: Request<own::RemoveIdentityRequest>,
    ) -> Result<Response<own::RemoveIdentityResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn explain(
        &self,
        _: Request<own::ExplainRequest>,
    ) -> Result<Response<own::ExplainResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn learn(&self, _: Request<own::LearnRequest>) -> Result<Response<own::LearnResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn learned(
        &self,
        _: Request<own::LearnedRequest>,
    ) -> Result<Response<own::LearnedResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn who_am_i(
        &self,
        _: Request<own::WhoAmIRequest>,
    ) -> Result<Response<own::WhoAmIResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

/// The service sets terms whole: a change that did not read them first would wipe a denial out. And what is so already is not
/// written again, because each write cuts the streams of the role's holders.
#[tokio::test]
async fn a_change_keeps_what_else_the_role_is() {
    let keeper = Keeper::default();
    let denied = RoleTerms { deny: vec![permission(Type::Read, "a", "")], ..RoleTerms::default() };
    keeper.0.lock().unwrap().roles.insert("r".into(), denied.clone());
    let routes = Routes::new(own::access_server::AccessServer::new(keeper.clone()));
    let global = Global { endpoints: vec![clear_server(routes).await.to_string()], ..Global::default() };
    let settings = Arc::new(Settings::resolve(&global, &Surroundings { variable: &|_| None }).unwrap());
    for _ in 0..2 {
        change(&settings, "r", |terms| grant(terms, ["hash"]), ["done", "nothing"]).await.unwrap();
    }
    let kept = keeper.0.lock().unwrap().clone();
    assert_eq!(kept.roles["r"], RoleTerms { abilities: vec!["hash".into()], ..denied });
    assert_eq!(kept.auth_revision, 1, "set once");
    assert_eq!(change(&settings, "root", |_| (), ["done", "nothing"]).await.unwrap_err().code, 1);
}
