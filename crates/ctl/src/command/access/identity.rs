//! `access identity`: rules that recognize a certificate by its URI, a DNS name or its organization, and a token by a claim.

use super::super::show;
use super::terms::read;
use crate::connect::Client;
use crate::connect::refused::shown;
use crate::exit::Failure;
use crate::print::{Answer, Rule};
use crate::settings::Settings;
use clap::{Args, Subcommand};
use proto::etcdserverpb::AuthUserListRequest;
use proto::strongroom::v1::identity_rule::Matcher;
use proto::strongroom::v1::{IdentityRule, OidcClaim, RemoveIdentityRequest, SetIdentityRequest};
use std::sync::Arc;

/// `access identity <subcommand>`
#[derive(Subcommand, Clone, Debug)]
pub enum Identity {
    /// Set a rule: whose certificate has this name, or whose token says this, is this user
    Add(Add),
    /// Remove a rule
    Remove(Remove),
    /// List the rules
    List(List),
}

/// `access identity add <name> --uri|--dns|--organization|--oidc-claim <value> --as <user>`
#[derive(Args, Clone, Debug)]
pub struct Add {
    /// The rule's name
    name: String,
    #[command(flatten)]
    by: By,
    /// Whose tokens --oidc-claim is about [default: the issuer that the member is set to]
    #[arg(long, value_name = "URL")]
    oidc_issuer: Option<String>,
    /// The user that whoever shows such a certificate or token is
    #[arg(long = "as", value_name = "USER", required = true)]
    holder: String,
}

/// What of the certificate or token counts.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct By {
    /// The only URI among its names, as spiffe://cluster/app
    #[arg(long)]
    uri: Option<String>,
    /// One of its DNS names
    #[arg(long)]
    dns: Option<String>,
    /// The only organization (O) of its subject
    #[arg(long)]
    organization: Option<String>,
    /// A claim of an OpenID Connect token, as groups=admins: its text, or one of the texts of its list
    #[arg(long, value_name = "CLAIM=VALUE", value_parser = claim)]
    oidc_claim: Option<(String, String)>,
}

/// Reads `CLAIM=VALUE`; names of claims that are URLs hold no equals sign, values may.
pub(super) fn claim(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("write a claim and its value, as groups=admins".to_owned()),
    }
}

/// `access identity remove <name>`
#[derive(Args, Clone, Debug)]
pub struct Remove {
    /// The rule's name
    name: String,
}

/// `access identity list`
#[derive(Args, Clone, Copy, Debug)]
pub struct List;

impl By {
    fn matcher(self, issuer: Option<String>) -> Option<Matcher> {
        if let Some((name, value)) = self.oidc_claim {
            let issuer = issuer.unwrap_or_default();
            return Some(Matcher::OidcClaim(OidcClaim { issuer, name, value }));
        }
        let uri = self.uri.map(Matcher::Uri);
        uri.or(self.dns.map(Matcher::Dns)).or(self.organization.map(Matcher::Organization))
    }
}

impl Identity {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(settings).await,
            Self::Remove(Remove { name }) => {
                let client = Client::connect(settings).await?;
                let request = client.request(RemoveIdentityRequest { name: name.clone() });
                let answer = client.call(client.access().remove_identity(request)).await?;
                let done = format!("Rule {} is gone", shown(&name));
                show(&client, &Answer::Changed(&done, answer.auth_revision))
            }
            Self::List(List) => {
                let client = Client::connect(settings).await?;
                let mut all = read(&client).await?;
                all.identities.sort_by(|one, other| one.name.cmp(&other.name));
                show(&client, &Answer::Identities(&all.identities, all.auth_revision))
            }
        }
    }
}

impl Add {
    fn rule(self) -> Result<IdentityRule, Failure> {
        // The parser lets it pass beside the other three, which exclude the claim that it needs.
        if self.oidc_issuer.is_some() && self.by.oidc_claim.is_none() {
            return Err(Failure::arguments("--oidc-issuer is about --oidc-claim")
                .hinting("leave it out: certificates are of the authorities that the member is set to"));
        }
        let rule =
            IdentityRule { name: self.name, matcher: self.by.matcher(self.oidc_issuer), user: self.holder };
        if Rule::of(&rule).value.is_empty() || rule.name.is_empty() || rule.user.is_empty() {
            return Err(Failure::arguments("a rule has a name, what of a certificate counts, and a user")
                .hinting(
                    "none of them is empty: strongroom access identity add web --dns web.example.org --as web",
                ));
        }
        Ok(rule)
    }

    async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let rule = self.rule()?;
        let told = Rule::of(&rule);
        let done = format!(
            "Rule {}: {} with the {} is the user {}",
            shown(&rule.name),
            if told.issuer.is_some() { "a token" } else { "a certificate" },
            told.told(),
            shown(&rule.user)
        );
        let client = Client::connect(settings).await?;
        let users = client.request(AuthUserListRequest {});
        let users = client.call(client.auth().user_list(users)).await?.users;
        if !users.contains(&rule.user) {
            let user = shown(&rule.user);
            eprintln!(
                "warning: there is no user {user}, and whoever the rule fits can do nothing until there is"
            );
            eprintln!("  next:   strongroom user add {user} --no-password");
        }
        let request = client.bounded(SetIdentityRequest { rule: Some(rule) })?;
        let answer = client.call(client.access().set_identity(request)).await?;
        show(&client, &Answer::Changed(&done, answer.auth_revision))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An issuer that is passed over makes a rule about other people than was meant.
    #[test]
    fn an_issuer_is_about_a_claim() {
        let by = |claim: Option<&str>| By {
            uri: None,
            dns: claim.is_none().then(|| "a.example".to_owned()),
            organization: None,
            oidc_claim: claim.map(|text| super::claim(text).unwrap()),
        };
        let add = |claim: Option<&str>| Add {
            name: "n".into(),
            by: by(claim),
            oidc_issuer: Some("https://i.example".into()),
            holder: "u".into(),
        };
        assert_eq!(add(None).rule().unwrap_err().code, 128);
        let claim = add(Some("groups=a=b")).rule().unwrap().matcher;
        let (issuer, name, value) = ("https://i.example".into(), "groups".into(), "a=b".into());
        assert_eq!(claim, Some(Matcher::OidcClaim(OidcClaim { issuer, name, value })));
    }
}
