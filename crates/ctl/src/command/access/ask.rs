//! `access explain` and `access whoami`: questions about who may do what, and who one is.

use super::super::show;
use super::identity::claim;
use super::terms::{Keys, Right};
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::Answer;
use crate::settings::Settings;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use proto::strongroom::v1::identity_rule::Matcher;
use proto::strongroom::v1::{ExplainRequest, IdentityRule, OidcClaim, WhoAmIRequest};
use std::net::IpAddr;
use std::sync::Arc;

/// `access explain <user> <operation> [key] [end]`
#[derive(Args, Clone, Debug)]
pub struct Explain {
    /// The user; or whoever has uri=URI, dns=NAME, organization=NAME or oidc-claim=CLAIM=VALUE, which identity rules are about
    /// (user=USER where a user's name looks like one)
    #[arg(value_name = "USER", value_parser = Who::parse)]
    who: Who,
    /// What the user would do; the last eight are administrative rights and take no key
    #[arg(value_parser = Operation::parser())]
    operation: Operation,
    #[command(flatten)]
    keys: Keys<0>,
    /// The address that the user would come from; without it conditions are taken as met
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    from: Option<IpAddr>,
    /// Whose tokens an oidc-claim is of [default: the issuer that the member is set to]
    #[arg(long, value_name = "URL")]
    oidc_issuer: Option<String>,
}

/// `access whoami`
#[derive(Args, Clone, Copy, Debug)]
pub struct Whoami;

/// About whom one asks.
#[derive(Clone, Debug, PartialEq)]
enum Who {
    User(String),
    Identity(Matcher),
}

impl Who {
    fn parse(text: &str) -> Result<Self, String> {
        let Some((kind, value)) = text.split_once('=') else { return Ok(Self::User(text.to_owned())) };
        let matcher = match kind {
            "user" => return Ok(Self::User(value.to_owned())),
            "uri" => Matcher::Uri(value.to_owned()),
            "dns" => Matcher::Dns(value.to_owned()),
            "organization" => Matcher::Organization(value.to_owned()),
            "oidc-claim" => {
                let (name, value) = claim(value)?;
                Matcher::OidcClaim(OidcClaim { issuer: String::new(), name, value })
            }
            _ => return Ok(Self::User(text.to_owned())),
        };
        if value.is_empty() {
            Err(format!("write what {kind} is, as {kind}=…"))
        } else {
            Ok(Self::Identity(matcher))
        }
    }

    /// As a request has it: the user's name, or an identity.
    fn asked(&self, issuer: Option<&str>) -> Result<(String, Option<IdentityRule>), Failure> {
        let mut matcher = match self {
            Self::User(name) => return no_issuer(issuer).map(|()| (name.clone(), None)),
            Self::Identity(matcher) => matcher.clone(),
        };
        match (&mut matcher, issuer) {
            (Matcher::OidcClaim(claim), Some(issuer)) => claim.issuer = issuer.to_owned(),
            _ => no_issuer(issuer)?,
        }
        Ok((String::new(), Some(IdentityRule { matcher: Some(matcher), ..IdentityRule::default() })))
    }
}

fn no_issuer(issuer: Option<&str>) -> Result<(), Failure> {
    match issuer {
        None => Ok(()),
        Some(_) => Err(Failure::arguments("--oidc-issuer is about an oidc-claim")
            .hinting("strongroom access explain oidc-claim=groups=staff get <key> --oidc-issuer <url>")),
    }
}

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Keys(Touch),
    Right(Right),
}

/// What a user may do with keys.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Touch {
    Get,
    Watch,
    Put,
    Delete,
}

/// Reads an address; what is asked about is one sender, and no network.
fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "write an address, as 10.1.2.3 or 2001:db8::1".to_owned())
}

impl Operation {
    fn parser() -> impl TypedValueParser<Value = Self> {
        PossibleValuesParser::new(Self::all().map(Self::name))
            .try_map(|name| Self::all().find(|each| each.name() == name).ok_or("no operation of this name"))
    }

    fn all() -> impl Iterator<Item = Self> {
        let touches = Touch::value_variants().iter().copied().map(Self::Keys);
        touches.chain(Right::value_variants().iter().copied().map(Self::Right))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Keys(Touch::Get) => "get",
            Self::Keys(Touch::Watch) => "watch",
            Self::Keys(Touch::Put) => "put",
            Self::Keys(Touch::Delete) => "delete",
            Self::Right(right) => right.name(),
        }
    }
}

impl Explain {
    fn request(&self) -> Result<ExplainRequest, Failure> {
        let name = self.operation.name();
        let (key, range_end) = match self.operation {
            Operation::Keys(_) if self.keys.keys.is_empty() => {
                return Err(Failure::arguments(format!("{name} needs a key"))
                    .hinting("name the key behind it; all keys are \"\" --prefix"));
            }
            Operation::Keys(_) => self.keys.range()?,
            Operation::Right(_) if self.keys.are_named() => {
                return Err(Failure::arguments(format!("{name} is about no key"))
                    .hinting("leave out the key, --prefix and --from-key: it is a right on its own"));
            }
            Operation::Right(_) => Default::default(),
        };
        let source = self.from.map(|address| address.to_string()).unwrap_or_default();
        let (user, identity) = self.who.asked(self.oidc_issuer.as_deref())?;
        Ok(ExplainRequest { user, operation: name.to_owned(), key, range_end, source, identity })
    }

    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let request = self.request()?;
        let client = Client::connect(settings).await?;
        let answer = client.call(client.access().explain(client.bounded(request)?)).await?;
        show(&client, &Answer::Explained(&answer))?;
        if answer.allowed { Ok(()) } else { Err(Failure::silent(1)) }
    }
}

impl Whoami {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let client = Client::connect(settings).await?;
        let answer = client.call(client.access().who_am_i(client.request(WhoAmIRequest {}))).await?;
        show(&client, &Answer::WhoAmI(&answer))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::role::Reach;
    use super::*;
    use std::ffi::OsString;

    fn asked(operation: Operation, keys: &[&str], prefix: bool) -> Result<ExplainRequest, Failure> {
        let reach = Reach { prefix, from_key: false };
        let keys = Keys { keys: keys.iter().map(OsString::from).collect(), reach };
        let who = Who::parse("u").unwrap();
        Explain { who, operation, keys, from: None, oidc_issuer: None }.request()
    }

    /// A name that is taken for an identity, or the other way round, is an answer about somebody else.
    #[test]
    fn a_user_is_no_identity() {
        for (text, user) in [("u", "u"), ("user=dns=u", "dns=u"), ("user=", ""), ("cn=u", "cn=u"), ("=", "=")]
        {
            assert_eq!(Who::parse(text), Ok(Who::User(user.to_owned())));
        }
        let identity =
            |text| Who::parse(text).map(|who| who.asked(None).unwrap().1.unwrap().matcher.unwrap());
        assert_eq!(identity("uri=spiffe://c/a=b"), Ok(Matcher::Uri("spiffe://c/a=b".into())));
        assert_eq!(identity("dns=w.example"), Ok(Matcher::Dns("w.example".into())));
        assert_eq!(identity("organization=o"), Ok(Matcher::Organization("o".into())));
        let claim =
            |issuer: &str| OidcClaim { issuer: issuer.into(), name: "groups".into(), value: "a=b".into() };
        assert_eq!(identity("oidc-claim=groups=a=b"), Ok(Matcher::OidcClaim(claim(""))));
        let of_another = Who::parse("oidc-claim=groups=a=b").unwrap().asked(Some("https://i")).unwrap().1;
        assert_eq!(of_another.unwrap().matcher, Some(Matcher::OidcClaim(claim("https://i"))));
        for text in ["uri=", "oidc-claim=groups", "oidc-claim="] {
            assert!(Who::parse(text).is_err(), "{text}");
        }
        for text in ["u", "dns=w.example"] {
            assert_eq!(Who::parse(text).unwrap().asked(Some("https://i")).unwrap_err().code, 128, "{text}");
        }
    }

    /// An answer about another question than was meant is worse than none: rights have no keys, keys have a range.
    #[test]
    fn the_question_is_the_one_that_was_meant() {
        let request = asked(Operation::Keys(Touch::Get), &["a"], true).unwrap();
        let said = (request.operation.as_str(), request.key.as_ref(), request.range_end.as_ref());
        assert_eq!(said, ("get", &b"a"[..], &b"b"[..]));
        assert_eq!(asked(Operation::Right(Right::MoveLeader), &[], false).unwrap().operation, "move-leader");
        for (operation, keys, prefix) in [
            (Operation::Keys(Touch::Put), &[][..], false),
            (Operation::Right(Right::Hash), &["a"], false),
            (Operation::Right(Right::Hash), &[], true),
            (Operation::Keys(Touch::Get), &["a", "b"], true),
        ] {
            assert_eq!(asked(operation, keys, prefix).unwrap_err().code, 128, "{operation:?} {keys:?}");
        }
    }
}
