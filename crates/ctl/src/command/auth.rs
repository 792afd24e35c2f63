//! `auth`: turns access control on and off, and says which it is.

use super::user::All;
use super::{say, show};
use crate::connect::Client;
use crate::connect::refused::shown;
use crate::exit::Failure;
use crate::print::Answer;
use crate::settings::Settings;
use clap::Subcommand;
use proto::etcdserverpb as pb;
use std::sync::Arc;

/// Name of the first administrator, and of the role that makes one.
pub(super) const ROOT: &str = "root";

/// `auth <subcommand>`
#[derive(Subcommand, Clone, Debug)]
pub enum Auth {
    /// Ask everybody who they are, and let them do what their roles may; the user root must be there
    #[command(override_usage = "strongroom auth enable [OPTIONS]")]
    Enable(All),
    /// Let everybody do everything again
    #[command(override_usage = "strongroom auth disable [OPTIONS]")]
    Disable(All),
    /// Whether access control is on
    #[command(override_usage = "strongroom auth status [OPTIONS]")]
    Status(All),
}

impl Auth {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        match self {
            Self::Enable(all) => {
                all.check("auth enable command does not accept any arguments")?;
                let client = Client::connect(settings).await?;
                enable(&client).await?;
                say("Authentication Enabled")?;
                eprintln!("  next:   {}", afterwards(client.shown_name()));
                Ok(())
            }
            Self::Disable(all) => {
                all.check("auth disable command does not accept any arguments")?;
                let client = Client::connect(settings).await?;
                let request = client.request(pb::AuthDisableRequest {});
                client.call(client.auth().auth_disable(request)).await?;
                say("Authentication Disabled")
            }
            Self::Status(all) => {
                all.check("auth status command does not accept any arguments")?;
                let client = Client::connect(settings).await?;
                let request = client.request(pb::AuthStatusRequest {});
                let answer = client.call(client.auth().auth_status(request)).await?;
                show(&client, &Answer::AuthStatus(&answer))
            }
        }
    }
}

/// Enables access control; where the user root lacks its role, makes that and grants it, as etcdctl does.
async fn enable(client: &Client) -> Result<(), Failure> {
    let ask = || async {
        let request = client.request(pb::AuthEnableRequest {});
        client.call(client.auth().auth_enable(request)).await
    };
    match ask().await {
        Err(failure) if failure.message == "etcdserver: root user does not have root role" => {}
        answer => return answer.map(|_| ()),
    }
    let request = client.request(pb::AuthRoleAddRequest { name: ROOT.into() });
    client.call(client.auth().role_add(request)).await.map_err(|failure| {
        let hint =
            "give the role to the user: strongroom user grant-role root root; then strongroom auth enable";
        if failure.message == "etcdserver: role name already exists" {
            failure.hinting(hint)
        } else {
            failure
        }
    })?;
    let request = client.request(pb::AuthUserGrantRoleRequest { user: ROOT.into(), role: ROOT.into() });
    client.call(client.auth().user_grant_role(request)).await?;
    ask().await.map(|_| ())
}

/// How one goes on once it is enabled, with this name in the certificate.
fn afterwards(name: Option<&str>) -> String {
    let now = "from now on each request is somebody's, and may do what that user's roles may";
    match name {
        Some(ROOT) => format!("{now}; this certificate's name is root, so its holder stays an administrator"),
        Some(name) => format!(
            "{now}; this certificate counts as the user {}, an administrator is --user root or a certificate with the name (CN) root",
            shown(name)
        ),
        None => format!("{now}: log in with --user root, or show a certificate whose name (CN) is a user's"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who enables it must know whether the next command is still theirs to give.
    #[test]
    fn who_enables_it_learns_who_counts_as_root() {
        assert!(afterwards(Some("root")).contains("stays an administrator"));
        assert!(afterwards(Some("app")).contains("counts as the user app, an administrator is --user root"));
        assert!(afterwards(None).contains("--user root"));
    }
}
