//! `pki token`: the right to come for certificates, once, carried to another machine by hand.

use super::list;
use crate::command::show;
use crate::command::span;
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::{Answer, Sheet, boxed};
use crate::settings::Settings;
use clap::Args;
use proto::strongroom::v1 as own;
use serde_json::{Value, json};
use std::sync::Arc;

/// `pki token [--role ROLE]… --name NAME [--san NAME]… | --list | --remove ID`
#[derive(Args, Clone, Debug)]
pub struct Token {
    /// What its holder becomes: client, administrator, server, peer, or member for both server and peer
    #[arg(long, value_name = "ROLE", default_value = "client", value_delimiter = ',')]
    role: Vec<String>,
    /// The name in the certificate: a user's for a client, a member's for a member
    #[arg(long, default_value = "")]
    name: String,
    /// A host name, an address or, for clients, a URI that it carries beside
    #[arg(long, value_name = "NAME")]
    san: Vec<String>,
    /// How long the certificate lasts, as 30d
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    life: Option<u64>,
    /// How long the token can be used [default: 1h; a week at most]
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    valid: Option<u64>,
    /// List the tokens that were not used yet
    #[arg(long, conflicts_with_all = ["name", "san", "life", "valid"])]
    list: bool,
    /// Take a token back
    #[arg(long, value_name = "ID", conflicts_with_all = ["name", "san", "life", "valid", "list"])]
    remove: Option<String>,
}

impl Token {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let client = Client::connect(settings).await?;
        if let Some(id) = self.remove {
            let request = client.request(own::RemoveTokenRequest { id: id.clone() });
            client.call(client.pki().remove_token(request)).await?;
            let sheet =
                Sheet { text: format!("Token {id} is void\n"), json: json!({"removed": id}), table: None };
            return show(&client, &Answer::Sheet(&sheet));
        }
        if self.list {
            let all = list::all(&client, false).await?;
            return show(&client, &Answer::Sheet(&listed(&all.tokens, all.now)));
        }
        let roles = self.role.iter().flat_map(|role| match role.as_str() {
            "member" => vec!["server".to_owned(), "peer".to_owned()],
            other => vec![other.to_owned()],
        });
        let request = client.request(own::AddTokenRequest {
            roles: roles.collect(),
            name: self.name,
            names: self.san,
            life_seconds: self.life.unwrap_or(0),
            valid_seconds: self.valid.unwrap_or(0),
        });
        let answer = client.call(client.pki().add_token(request)).await?;
        let endpoint = client.endpoint();
        let text = format!(
            "{}\n\nOn the machine that it is for, within {}:\n\n  \
             strongroom enroll --endpoints {endpoint} --token TOKEN\n",
            answer.token,
            span::left(answer.not_after, span::now()),
        );
        let json = json!({"token": answer.token, "id": answer.id, "not_after": answer.not_after});
        show(&client, &Answer::Sheet(&Sheet { text, json, table: None }))
    }
}

fn listed(tokens: &[own::EnrolmentToken], now: u64) -> Sheet {
    let row = |token: &own::EnrolmentToken| {
        let left = span::left(token.not_after, now);
        vec![token.id.clone(), token.roles.join(", "), token.name.clone(), left, token.by.clone()]
    };
    let rows: Vec<_> = tokens.iter().map(row).collect();
    let text = match rows.as_slice() {
        [] => "No token waits to be used\n".to_owned(),
        rows => rows.iter().map(|row| row.join("  ") + "\n").collect(),
    };
    let written: Vec<Value> = tokens
        .iter()
        .map(|token| {
            json!({"id": token.id, "roles": token.roles, "name": token.name, "names": token.names,
                   "not_after": token.not_after, "by": token.by})
        })
        .collect();
    let table = boxed(&["id", "roles", "name", "left", "by"], rows);
    Sheet { text, json: json!({"tokens": written}), table: Some(table) }
}
