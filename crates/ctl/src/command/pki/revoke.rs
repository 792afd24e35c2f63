//! `pki revoke`: a certificate that is not to be trusted any more, before its time.

use super::list;
use crate::command::show;
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::{Answer, Sheet};
use crate::settings::Settings;
use clap::Args;
use proto::strongroom::v1 as own;
use serde_json::json;
use std::sync::Arc;

/// `pki revoke SERIAL… | --name NAME`
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct Revoke {
    /// Serial numbers, as pki list shows them
    serial: Vec<String>,
    /// All certificates of this name
    #[arg(long)]
    name: Option<String>,
}

impl Revoke {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let client = Client::connect(settings).await?;
        let serials = match &self.name {
            None => self.serial,
            Some(name) => {
                let all = list::all(&client, false).await?.certificates.into_iter();
                let of_name: Vec<_> = all
                    .filter(|each| each.name == *name && each.revoked == 0)
                    .map(|each| each.serial)
                    .collect();
                if of_name.is_empty() {
                    return Err(Failure::error(format!("no certificate of {name:?} is good"))
                        .hinting("strongroom pki list shows all"));
                }
                of_name
            }
        };
        let mut text = String::new();
        for serial in &serials {
            let request = client.request(own::RevokeRequest { serial: serial.clone() });
            client.call(client.pki().revoke(request)).await?;
            text += &format!("{serial} is revoked\n");
        }
        show(&client, &Answer::Sheet(&Sheet { text, json: json!({"revoked": serials}), table: None }))
    }
}
