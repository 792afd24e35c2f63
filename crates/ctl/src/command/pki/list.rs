//! `pki show` and `pki list`: what the cluster's authority is and what it has issued.

use crate::command::show;
use crate::command::span::left;
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::{Answer, Sheet, boxed, columns};
use crate::settings::Settings;
use certificate::About;
use clap::Args;
use proto::strongroom::v1 as own;
use serde_json::{Value, json};
use std::sync::Arc;

/// `pki show`
#[derive(Args, Clone, Copy, Debug)]
pub struct Show;

/// `pki list [--revoked]`
#[derive(Args, Clone, Debug)]
pub struct List {
    /// Only certificates of this role: server, peer, client or administrator
    #[arg(long)]
    role: Option<String>,
    /// Only certificates of this name
    #[arg(long)]
    name: Option<String>,
}

/// Asks for everything that is known.
pub(super) async fn all(client: &Client, with_keys: bool) -> Result<own::ListResponse, Failure> {
    let request = client.request(own::ListRequest { with_keys });
    client.call(client.pki().list(request)).await
}

/// What an authority's first certificate says.
pub(super) fn about(authority: &own::Authority) -> Option<About> {
    authority.certificates.first().and_then(|der| About::of(der).ok())
}

impl Show {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let client = Client::connect(settings).await?;
        let all = all(&client, false).await?;
        let mut authorities = all.authorities.clone();
        authorities.sort_by_key(|each| (order(&each.kind), each.former));
        let mut rows = Vec::new();
        let mut written = Vec::new();
        for authority in &authorities {
            let Some(about) = about(authority) else { continue };
            let end = u64::try_from(about.not_after).unwrap_or(0);
            let state = if authority.former { "former" } else { "issues" };
            rows.push(vec![
                authority.kind.clone(),
                authority.id.clone(),
                about.common_name.clone(),
                state.to_owned(),
                left(end, all.now),
            ]);
            written.push(json!({
                "kind": authority.kind, "id": authority.id, "name": about.common_name, "former": authority.former,
                "not_after": end, "issued": all.certificates.iter().filter(|each| each.authority == authority.id).count(),
            }));
        }
        let holders: Vec<Value> = all
            .holders
            .iter()
            .map(|holder| json!({"id": holder.id, "name": holder.name, "recovery": holder.recovery}))
            .collect();
        let mut text = columns(&rows);
        text += "\nTheir keys are sealed to\n";
        for holder in &all.holders {
            let what =
                if holder.recovery { "the recovery key, which alone opens the root's" } else { "a member" };
            text += &format!("  {}  {}  {what}\n", holder.id, holder.name);
        }
        text += &format!("\nPin of the root  {}\n", all.pin);
        let table = boxed(&["kind", "id", "name", "state", "left"], rows);
        let json = json!({"authorities": written, "holders": holders, "pin": all.pin});
        show(&client, &Answer::Sheet(&Sheet { text, json, table: Some(table) }))
    }
}

fn order(kind: &str) -> usize {
    ["root", "clients", "peers"].iter().position(|known| *known == kind).unwrap_or(3)
}

impl List {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let client = Client::connect(settings).await?;
        let all = all(&client, false).await?;
        let mut certificates = all.certificates;
        certificates.retain(|each| self.role.as_ref().is_none_or(|role| each.role == *role));
        certificates.retain(|each| self.name.as_ref().is_none_or(|name| each.name == *name));
        certificates.sort_by(|one, other| {
            (&one.role, &one.name, one.not_after).cmp(&(&other.role, &other.name, other.not_after))
        });
        let mut rows = Vec::new();
        let mut written = Vec::new();
        for each in &certificates {
            let renewed_by = renewed_by(each);
            let in_use = all.connections.get(&each.serial).copied().unwrap_or(0);
            let state = if each.revoked != 0 { "revoked" } else { "good" };
            rows.push(vec![
                each.role.clone(),
                each.name.clone(),
                each.serial.clone(),
                state.to_owned(),
                left(each.not_after, all.now),
                in_use.to_string(),
                renewed_by.to_owned(),
                each.by.clone(),
            ]);
            written.push(json!({
                "role": each.role, "name": each.name, "names": each.names, "serial": each.serial, "authority": each.authority,
                "not_before": each.not_before, "not_after": each.not_after, "by": each.by,
                "revoked": (each.revoked != 0).then_some(each.revoked), "renewed": renewed_by,
                "connections": in_use,
            }));
        }
        let titles: &'static [&'static str] =
            &["role", "name", "serial", "state", "left", "in use", "renewed", "by"];
        let mut head = vec![titles.iter().map(|title| title.to_uppercase()).collect::<Vec<_>>()];
        let table = boxed(titles, rows.clone());
        head.append(&mut rows);
        let json = json!({"certificates": written, "now": all.now});
        show(&client, &Answer::Sheet(&Sheet { text: columns(&head), json, table: Some(table) }))
    }
}

/// Who sees to it that a certificate is followed by another in time.
fn renewed_by(each: &own::Certificate) -> &'static str {
    if each.revoked != 0 {
        "no"
    } else if each.by.starts_with("member ") {
        "by the member"
    } else if each.role == "administrator" {
        "by the command line"
    } else {
        "by its holder"
    }
}
