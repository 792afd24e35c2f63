//! `access apply`: carries out the steps of a ready policy, and says what changed and what is left to do.

use super::super::auth::ROOT;
use super::super::show;
use super::overview::Holder;
use super::policy::{Policy, Present, Step, Wanted, has_more, registry, steps};
use super::terms::{read, write};
use crate::connect::Client;
use crate::connect::refused::shown;
use crate::exit::Failure;
use crate::print::{Answer, keys, verb};
use crate::settings::Settings;
use clap::Args;
use proto::{authpb, etcdserverpb as pb};
use std::sync::Arc;

/// `access apply <policy>`
#[derive(Args, Clone, Debug)]
pub struct Apply {
    /// The policy
    #[arg(value_enum)]
    policy: Policy,
    /// A user who gets it, instead of the usual one: the common name (CN) of the certificate; several times for several
    #[arg(long = "for", value_name = "USER")]
    holders: Vec<String>,
    /// kubernetes: kube-apiserver's --etcd-prefix
    #[arg(long, default_value = "/registry")]
    prefix: String,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What came of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) policy: String,
    pub(crate) role: String,
    /// What it gives, in a line.
    pub(crate) gives: String,
    /// Who has it.
    pub(crate) users: Vec<String>,
    /// What changed, or would, in order.
    pub(crate) changes: Vec<String>,
    pub(crate) is_dry_run: bool,
    /// Whether the role has something that the policy does not know, and that was left.
    pub(crate) has_more: bool,
}

impl Apply {
    fn users(&self) -> Result<Vec<String>, Failure> {
        let users = distinct(&self.holders)?;
        match (users.is_empty(), self.policy.user()) {
            (false, _) => Ok(users),
            (true, Some(user)) => Ok(vec![user.to_owned()]),
            (true, None) => Err(Failure::arguments("admin gives everything: name who gets it")
                .hinting("strongroom access apply admin --for <name in the certificate>")),
        }
    }

    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let (users, prefix) = (self.users()?, registry(&self.prefix));
        if self.policy != Policy::Kubernetes && prefix != "/registry/" {
            return Err(Failure::arguments("--prefix is for the policy kubernetes")
                .hinting("leave it out: the other policies give no keys"));
        }
        let client = Client::connect(settings).await?;
        let (policy, gives) = (self.policy.name().to_owned(), self.policy.gives(&prefix));
        let plan =
            Plan { policy, gives, wanted: self.policy.wanted(&prefix), users, is_dry_run: self.dry_run };
        plan.carry_out(&client).await.map(drop)
    }
}

/// The users that `--for` names, each once.
pub(super) fn distinct(holders: &[String]) -> Result<Vec<String>, Failure> {
    let mut users: Vec<String> = Vec::new();
    for user in holders {
        if user.is_empty() {
            return Err(Failure::arguments("empty user name is not allowed")
                .hinting("leave --for out for the usual user, or name the one of the certificate"));
        }
        if !users.contains(user) {
            users.push(user.clone());
        }
    }
    Ok(users)
}

/// A role that is to be there, with its users.
pub(super) struct Plan {
    /// What people call it.
    pub(super) policy: String,
    /// What it gives, in a line.
    pub(super) gives: String,
    pub(super) wanted: Wanted,
    pub(super) users: Vec<String>,
    pub(super) is_dry_run: bool,
}

impl Plan {
    /// Does what is missing, says what it was and what is left to do; answers what there was before.
    pub(super) async fn carry_out(self, client: &Client) -> Result<Present, Failure> {
        let Self { policy, gives, wanted, users, is_dry_run } = self;
        let present = present(client, &wanted.role, &users).await?;
        let missing = steps(&wanted, &users, &present);
        let has_more = has_more(&wanted, &present);
        let role = wanted.role;
        let mut applied = Applied { policy, role, gives, users, changes: Vec::new(), is_dry_run, has_more };
        // A form that cannot say what was done is refused before anything is.
        client.printer.render(&Answer::Applied(&applied))?;
        for step in missing {
            applied.changes.push(told(&step, &applied.role));
            if !is_dry_run {
                carry_out(client, &applied.role, step).await.map_err(|failure| stopped(failure, &applied))?;
            }
        }
        show(client, &Answer::Applied(&applied))?;
        if let Some(next) = left_to_do(client).await? {
            eprintln!("  next:   {next}");
        }
        Ok(present)
    }
}

/// A failure half way names what was done before it.
fn stopped(mut failure: Failure, applied: &Applied) -> Failure {
    if let Some((last, done)) = applied.changes.split_last() {
        let done = if done.is_empty() { "nothing".to_owned() } else { done.join("; ") };
        failure.message = format!("{} (at: {last}; done before it: {done})", failure.message);
    }
    failure
}

async fn present(client: &Client, role: &str, users: &[String]) -> Result<Present, Failure> {
    let mut own = read(client).await?;
    let mut present = Present::default();
    let names = client.call(client.auth().role_list(client.request(pb::AuthRoleListRequest {}))).await?.roles;
    if names.iter().any(|name| name == role) {
        let request = client.request(pb::AuthRoleGetRequest { role: role.to_owned() });
        let permissions = client.call(client.auth().role_get(request)).await?.perm;
        let terms = own.roles.remove(role).unwrap_or_default();
        present.role = Some(Holder { permissions, terms, users: Vec::new() });
    }
    let known = client.call(client.auth().user_list(client.request(pb::AuthUserListRequest {}))).await?.users;
    for user in users.iter().filter(|user| known.contains(user)) {
        present.users.insert(user.clone(), roles_of(client, user).await?);
    }
    Ok(present)
}

async fn roles_of(client: &Client, user: &str) -> Result<Vec<String>, Failure> {
    let request = client.request(pb::AuthUserGetRequest { name: user.to_owned() });
    Ok(client.call(client.auth().user_get(request)).await?.roles)
}

fn told(step: &Step, role: &str) -> String {
    let role = shown(role);
    match step {
        Step::AddRole => format!("role {role} is made"),
        Step::Grant(permission) => format!("role {role} may {} {}", verb(permission), keys(permission)),
        Step::SetTerms(_, new) => format!("role {role} has the right: {}", new.join(", ")),
        Step::AddUser(user) => format!("user {} is made, without a password", shown(user)),
        Step::GrantRole(user) => format!("user {} has the role {role}", shown(user)),
    }
}

async fn carry_out(client: &Client, role: &str, step: Step) -> Result<(), Failure> {
    let role = role.to_owned();
    match step {
        Step::AddRole => {
            let request = client.request(pb::AuthRoleAddRequest { name: role });
            client.call(client.auth().role_add(request)).await.map(|_| ())
        }
        Step::Grant(permission) => {
            let request = pb::AuthRoleGrantPermissionRequest { name: role, perm: Some(permission) };
            client.call(client.auth().role_grant_permission(client.bounded(request)?)).await.map(|_| ())
        }
        Step::SetTerms(terms, _) => write(client, &role, terms).await.map(|_| ()),
        Step::AddUser(name) => {
            let request = client.request(pb::AuthUserAddRequest {
                name,
                options: Some(authpb::UserAddOptions { no_password: true }),
                ..pb::AuthUserAddRequest::default()
            });
            client.call(client.auth().user_add(request)).await.map(|_| ())
        }
        Step::GrantRole(user) => {
            let request = client.request(pb::AuthUserGrantRoleRequest { user, role });
            client.call(client.auth().user_grant_role(request)).await.map(|_| ())
        }
    }
}

/// What is left to do before the policy counts: where access control is off, everybody may do everything.
async fn left_to_do(client: &Client) -> Result<Option<String>, Failure> {
    let status = client.call(client.auth().auth_status(client.request(pb::AuthStatusRequest {}))).await?;
    if status.enabled {
        return Ok(None);
    }
    let users = client.call(client.auth().user_list(client.request(pb::AuthUserListRequest {}))).await?.users;
    let off = "access control is off, and everybody may do everything";
    Ok(Some(if users.iter().any(|user| user == ROOT) {
        format!(
            "{off}; the user root is there: see that you can come in as root (a certificate with that name, or a password: \
             strongroom user passwd root), then turn it on: strongroom auth enable"
        )
    } else {
        format!(
            "{off}; make the administrator: strongroom user add root (with --no-password if a certificate has the \
             name root); then turn it on: strongroom auth enable"
        )
    }))
}
