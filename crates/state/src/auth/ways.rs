//! By what somebody is a user, as far as it is known here: identity rules, certificates that this cluster issued, a password.
//!
//! Owns the words for it and decides nothing: whom a rule fits is asked of `Accounts::recognize`, so that what is told is what
//! happens. Never knows what a foreign authority issued, nor tokens of an issuer beyond the rules about them.

use super::accounts::{Accounts, ROOT};
use super::terms::{CertificateNames, Claims, IdentityRule, Matcher};
use crate::pki::{Issued, Register, Role};
use std::fmt;

impl Accounts {
    /// The rule by which whoever has this, and nothing else that a rule is about, is somebody.
    #[must_use]
    pub fn rule_about(&self, identity: &Matcher) -> Option<(&str, &IdentityRule)> {
        let none = CertificateNames::default();
        match identity.clone() {
            Matcher::Uri(uri) => self.recognize(&CertificateNames { uri: Some(uri), ..none }),
            Matcher::Dns(dns) => self.recognize(&CertificateNames { dns: vec![dns], ..none }),
            Matcher::Organization(organization) => {
                self.recognize(&CertificateNames { organization: Some(organization), ..none })
            }
            Matcher::Claim { issuer, name, value } => {
                self.recognize_token(&Claims { issuer, texts: [(name, vec![value])].into() })
            }
        }
    }

    /// By what somebody is this user at `now` (Unix seconds), one sentence each.
    #[must_use]
    pub fn ways_to(&self, user: &str, register: &Register, now: u64) -> Vec<String> {
        let in_force = Lately::of(self, register, user, now);
        let mut ways: Vec<String> = self
            .identities()
            .filter(|(_, rule)| rule.user == user)
            .map(|(name, rule)| self.told(name, rule, in_force.by_rule(name)))
            .collect();
        if in_force.by_name() > 0 {
            let what = if user == ROOT { "an administrator's certificate" } else { "the common name" };
            ways.push(format!("{what} makes its holder this user{}", counted(in_force.by_name())));
        }
        let has_password =
            self.user(user).is_some_and(|user| !user.no_password && !user.password.as_bytes().is_empty());
        if has_password {
            ways.push("a password makes whoever knows it this user".to_owned());
        }
        ways
    }

    fn told(&self, name: &str, rule: &IdentityRule, certificates: usize) -> String {
        let what = format!("identity rule {name:?} ({})", rule.matcher);
        if self.rule_about(&rule.matcher).is_some_and(|(first, _)| first == name) {
            format!("{what} makes its holder this user{}", counted(certificates))
        } else {
            format!("{what} does not count: another one about the same comes before it")
        }
    }
}

fn counted(certificates: usize) -> String {
    if certificates == 0 {
        String::new()
    } else {
        format!("; certificates in force that were issued here: {certificates}")
    }
}

/// The certificates that are a user's: for each the rule that says so, or none where its common name does.
struct Lately<'a>(Vec<Option<&'a str>>);

impl<'a> Lately<'a> {
    fn of(accounts: &'a Accounts, register: &Register, user: &str, now: u64) -> Self {
        let is_in_force = |issued: &&Issued| issued.revoked == 0 && issued.not_after > now;
        Self(
            register
                .issued()
                .filter(is_in_force)
                .filter_map(|issued| of_user(accounts, issued, user))
                .collect(),
        )
    }

    fn by_rule(&self, name: &str) -> usize {
        self.0.iter().filter(|rule| **rule == Some(name)).count()
    }

    fn by_name(&self) -> usize {
        self.0.iter().filter(|rule| rule.is_none()).count()
    }
}

/// By which rule, if by any, a certificate that was issued here is this user's; none where it is somebody else's.
fn of_user<'a>(accounts: &'a Accounts, issued: &Issued, user: &str) -> Option<Option<&'a str>> {
    match issued.role {
        Role::Administrator => (user == ROOT).then_some(None),
        Role::Client => match accounts.recognize(&names_of(issued)) {
            Some((name, rule)) => (rule.user == user).then_some(Some(name)),
            // A name that reads root makes nobody an administrator.
            None => (issued.name == user && user != ROOT).then_some(None),
        },
        Role::Server | Role::Peer => None,
    }
}

fn names_of(issued: &Issued) -> CertificateNames {
    let mut uris = issued.uris();
    let uri = uris.next().filter(|_| uris.next().is_none()).map(str::to_owned);
    CertificateNames {
        uri,
        dns: issued.dns_names().map(str::to_owned).collect(),
        ..CertificateNames::default()
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(uri) => write!(f, "uri = {uri:?}"),
            Self::Dns(dns) => write!(f, "dns = {dns:?}"),
            Self::Organization(organization) => write!(f, "organization = {organization:?}"),
            Self::Claim { issuer, name, value } => {
                write!(f, "the claim {name:?} = {value:?} of {issuer:?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{PasswordHash, User};

    fn rule(matcher: Matcher, user: &str) -> IdentityRule {
        IdentityRule { matcher, user: user.to_owned() }
    }

    fn issued(serial: &str, role: Role, name: &str, names: &[&str]) -> Issued {
        Issued {
            serial: serial.into(),
            authority: "a".into(),
            role,
            name: name.into(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            not_before: 0,
            not_after: 100,
            by: "root".into(),
            revoked: 0,
        }
    }

    fn register(certificates: impl IntoIterator<Item = Issued>) -> Register {
        let mut register = Register::default();
        certificates.into_iter().for_each(|issued| register.take(crate::pki::Effect::Issued(issued)));
        register
    }

    /// Whoever looks for who can come in as a user must be told every rule, and no rule that another one has made void: it would
    /// be looked for in the wrong place.
    #[test]
    fn every_rule_that_leads_to_a_user_is_told() {
        let mut accounts = Accounts::default();
        let claim =
            || Matcher::Claim { issuer: "https://i".into(), name: "groups".into(), value: "web".into() };
        for (name, matcher, user) in [
            ("a", Matcher::Dns("Web.example".into()), "other"),
            ("b", Matcher::Dns("web.EXAMPLE".into()), "web"),
            ("c", Matcher::Uri("spiffe://c/web".into()), "web"),
            ("d", Matcher::Organization("web".into()), "web"),
            ("e", claim(), "web"),
            ("f", claim(), "other"),
        ] {
            accounts.set_identity(name.into(), rule(matcher, user));
        }
        let ways = accounts.ways_to("web", &Register::default(), 0);
        assert_eq!(
            ways,
            [
                "identity rule \"b\" (dns = \"web.EXAMPLE\") does not count: another one about the same comes before it",
                "identity rule \"c\" (uri = \"spiffe://c/web\") makes its holder this user",
                "identity rule \"d\" (organization = \"web\") makes its holder this user",
                "identity rule \"e\" (the claim \"groups\" = \"web\" of \"https://i\") makes its holder this user",
            ]
        );
        assert_eq!(accounts.ways_to("other", &Register::default(), 0).len(), 2);
        assert!(accounts.ways_to("nobody", &Register::default(), 0).is_empty());
        let about = |matcher| accounts.rule_about(&matcher).map(|(name, rule)| (name, rule.user.as_str()));
        assert_eq!(about(Matcher::Dns("web.example".into())), Some(("a", "other")));
        assert_eq!(about(Matcher::Uri("spiffe://c/web".into())), Some(("c", "web")));
        assert_eq!(about(claim()), Some(("e", "web")));
        assert_eq!(about(Matcher::Organization("Web".into())), None);
    }

    /// A certificate counts for whom its holder is: by a rule and not by its common name where a rule fits, while it is in force,
    /// and never a server's. A number that is too small leaves a way in that nobody knows of.
    #[test]
    fn the_certificates_that_lead_to_a_user_are_counted() {
        let mut accounts = Accounts::default();
        accounts.set_identity("by-dns".into(), rule(Matcher::Dns("w.example".into()), "web"));
        accounts.set_identity("by-uri".into(), rule(Matcher::Uri("urn:other".into()), "other"));
        accounts.set_user("web".into(), User::new(false, PasswordHash::new(b"$2a$".to_vec()), Vec::new()));
        accounts.set_user("root".into(), User::new(true, PasswordHash::default(), Vec::new()));
        let certificates = register([
            issued("1", Role::Client, "web", &[]),
            issued("2", Role::Client, "web", &["10.0.0.1"]),
            issued("3", Role::Client, "web", &["urn:other"]),
            issued("4", Role::Client, "pod", &["W.example", "x.example"]),
            issued("5", Role::Server, "web", &["w.example"]),
            issued("6", Role::Client, "root", &[]),
            issued("7", Role::Administrator, "root", &[]),
            Issued { revoked: 5, ..issued("8", Role::Client, "web", &[]) },
            Issued { not_after: 50, ..issued("9", Role::Client, "web", &[]) },
        ]);
        let told = |user, now| accounts.ways_to(user, &certificates, now);
        let named = |number| {
            format!(
                "the common name makes its holder this user; certificates in force that were issued here: {number}"
            )
        };
        let by_dns = "identity rule \"by-dns\" (dns = \"w.example\") makes its holder this user; certificates in force that \
                      were issued here: 1";
        let password = "a password makes whoever knows it this user";
        assert_eq!(told("web", 49), [by_dns, &named(3), password]);
        assert_eq!(told("web", 50), [by_dns, &named(2), password]);
        assert_eq!(told("pod", 0), [""; 0], "the rule took it");
        assert_eq!(told("other", 0).len(), 1);
        assert!(told("other", 0)[0].ends_with("issued here: 1"));
        assert_eq!(
            told("root", 0),
            [
                "an administrator's certificate makes its holder this user; certificates in force that were issued here: 1"
            ]
        );
    }
}
