//! Our Pki service: certificates of the cluster's own authority, asked for, given, listed and revoked.
//!
//! Owns the checks of a token and the translation between messages and the house's words. A certificate is recorded through
//! the log before it is handed out, and a token is used up by the same entry, so that of two who come with it one gets
//! nothing. Enrolment is the one act of a stranger; all else passes the gate as every request does.

use super::Services;
use super::requests::{AboutAccess, Act};
use super::status::Failure;
use crate::pki::Authority;
use ::certificate::{Error, Leaf, PublicKey, Token as Secret, Wanted};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use node::certificate_messages as messages;
use proto::strongroom::v1 as own;
use state::auth::{Evidence, Principal};
use state::pki::{Authority as Registered, CertificateChange, Kind, Register, Role, Token};
use state::{Command, Refusal};
use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Request, Response, Status};
use types::limits::{ENROLMENT_TOKEN_SECONDS, ENROLMENT_TOKEN_SECONDS_MAX};

/// The Pki service.
#[derive(Clone)]
pub(super) struct Pki(pub Services);

/// Roles that one token can give: a member's two, and no more are of use.
const ROLES_MAX: usize = 4;

fn refuse(code: Code, what: impl std::fmt::Display) -> Failure {
    Failure::Other(code, Cow::Owned(format!("strongroom: {what}")))
}

fn told(error: &Error) -> Failure {
    let code = match error {
        Error::Request { .. } | Error::Name { .. } | Error::Token { .. } => Code::InvalidArgument,
        _ => Code::FailedPrecondition,
    };
    refuse(code, format_args!("{error}; hint: {}", error.hint()))
}

/// One answer for all that is wrong with a token: who has none learns nothing.
fn no_token() -> Failure {
    Refusal::EnrolmentTokenInvalid.into()
}

fn role(name: &str) -> Result<Role, Failure> {
    Role::named(name).ok_or_else(|| {
        let all: Vec<_> = Role::ALL.iter().map(|role| role.name()).collect();
        refuse(Code::InvalidArgument, format_args!("{name:?} is no role: write one of {}", all.join(", ")))
    })
}

impl Pki {
    fn authority(&self) -> Result<&Authority, Failure> {
        self.0.context.authority.as_deref().ok_or_else(|| {
            refuse(
                Code::FailedPrecondition,
                "this member serves certificates that others made, and has no authority of its own; hint: start it without --tls-cert and --tls-client-ca",
            )
        })
    }

    fn now(&self) -> env::WallTime {
        self.0.context.clock.wall()
    }

    fn register<T>(&self, look: impl FnOnce(&Register) -> T) -> T {
        self.0.member().look_at_certificates(look)
    }

    async fn change(&self, principal: &Principal, change: CertificateChange) -> Result<(), Failure> {
        self.0.propose(principal, Command::Certificates(change)).await.map(drop)
    }

    /// Records certificates, then hands them out.
    async fn hand_out(
        &self,
        by: &Principal,
        leaves: Vec<Leaf>,
        token: Option<String>,
    ) -> Result<Response<own::IssueResponse>, Failure> {
        let issued: Vec<_> = leaves.iter().map(|leaf| leaf.issued.clone()).collect();
        for issued in &issued {
            let (serial, role, name) = (&issued.serial, issued.role.name(), &issued.name);
            tracing::info!(serial, role, name, by = issued.by, "a certificate is issued");
        }
        let now = self.now().unix_seconds();
        self.change(by, CertificateChange::Issue { issued, token, now }).await?;
        let authority = self.authority()?;
        let is_members = leaves.iter().any(|leaf| leaf.issued.role == Role::Peer);
        Ok(Response::new(own::IssueResponse {
            certificates: leaves
                .into_iter()
                .map(|leaf| own::IssuedCertificate {
                    role: leaf.issued.role.name().to_owned(),
                    serial: leaf.issued.serial,
                    chain: leaf.chain,
                    not_after: leaf.issued.not_after,
                })
                .collect(),
            roots: authority.roots(),
            peer_roots: if is_members { authority.peer_roots() } else { String::new() },
        }))
    }

    fn leaf(&self, wanted: &Wanted, request: &[u8]) -> Result<Leaf, Failure> {
        let key = PublicKey::of_request(request).map_err(|error| told(&error))?;
        self.authority()?.issue(wanted, &key, self.now()).map_err(|error| told(&error))
    }

    /// The token of this name, if this is its secret and it is still good.
    fn token(&self, id: &str, secret: &[u8]) -> Result<Token, Failure> {
        let known = self.register(|register| register.token(id).cloned());
        let hash = known.as_ref().map_or([0; 32], |token| token.secret_hash);
        let is_it = verify_slices_are_equal(&hash, &Secret::hash_of(secret)).is_ok();
        known.filter(|token| is_it && token.not_after >= self.now().unix_seconds()).ok_or_else(no_token)
    }

    /// How many connections stand on each certificate, on all listeners of this member.
    fn connections(&self) -> HashMap<String, u64> {
        let mut all: HashMap<String, u64> = HashMap::new();
        for (serial, count) in self.0.context.listeners.iter().flat_map(|listener| listener.connections()) {
            let there = all.entry(serial).or_default();
            *there = there.saturating_add(count);
        }
        all
    }

    /// Says that somebody came with a token that is none.
    fn count(&self, failure: Failure, peer: &str) -> Failure {
        self.0.context.metrics.enrolments_refused.inc();
        let error = Status::from(failure.clone());
        tracing::warn!("remote-addr" = peer, error = error.message(), "refused an enrolment");
        failure
    }

    fn enrolled(&self, asked: &own::EnrollRequest) -> Result<(Token, Vec<Leaf>), Failure> {
        self.authority()?;
        let token = self.token(&asked.id, &asked.secret)?;
        if asked.requests.is_empty() || asked.requests.len() > ROLES_MAX {
            return Err(refuse(Code::InvalidArgument, "a request for each role of the token is wanted"));
        }
        let mut leaves: Vec<Leaf> = Vec::new();
        for own::CertificateRequest { role: name, request } in &asked.requests {
            let role = role(name)?;
            if !token.roles.contains(&role) || leaves.iter().any(|leaf| leaf.issued.role == role) {
                return Err(no_token());
            }
            let wanted = Wanted {
                role,
                name: token.name.clone(),
                names: token.names.clone(),
                life: Duration::from_secs(token.life_seconds),
                by: format!("token {} of {}", token.id, token.by),
            };
            leaves.push(self.leaf(&wanted, request)?);
        }
        Ok((token, leaves))
    }

    /// An authority as it may be set from outside: made of certificates that are ones, of a root that is known or new.
    fn checked(&self, written: own::Authority) -> Result<Registered, Failure> {
        let wrong =
            |why: &str| refuse(Code::InvalidArgument, format_args!("the authority cannot be set: {why}"));
        let authority = messages::authority_from(written).ok_or_else(|| wrong("its kind is none"))?;
        let mut abouts = Vec::new();
        for der in &authority.certificates {
            abouts.push(::certificate::About::of(der).map_err(|why| wrong(&why))?);
        }
        let first = abouts.first().ok_or_else(|| wrong("it has no certificate"))?;
        if !abouts.iter().all(|about| about.is_authority && about.public_key == first.public_key) {
            return Err(wrong("its certificates are not one authority's"));
        }
        if ::certificate::key_id(&first.public_key) != authority.id {
            return Err(wrong("its name is not its key's"));
        }
        let holders: Vec<_> = self.register(|register| {
            let wanted =
                register.holders().filter(|holder| holder.is_recovery || authority.kind != Kind::Root);
            wanted.map(|holder| holder.id.clone()).collect()
        });
        let has = |id: &String| authority.keys.iter().any(|key| key.holder == *id);
        if !holders.iter().all(has) {
            return Err(wrong("its key is not sealed to every holder of such keys"));
        }
        Ok(authority)
    }
}

#[tonic::async_trait]
impl own::pki_server::Pki for Pki {
    async fn roots(&self, _: Request<own::RootsRequest>) -> Result<Response<own::RootsResponse>, Status> {
        Ok(Response::new(own::RootsResponse { roots: self.authority()?.roots() }))
    }

    async fn enroll(
        &self,
        request: Request<own::EnrollRequest>,
    ) -> Result<Response<own::IssueResponse>, Status> {
        let caller = self.0.caller(&request);
        let peer = caller.connection().map_or("", |connection| &connection.peer).to_owned();
        let (token, leaves) =
            self.enrolled(request.get_ref()).map_err(|failure| self.count(failure, &peer))?;
        let member = self.0.gate().member();
        let handed = self.hand_out(&member, leaves, Some(token.id)).await;
        Ok(handed.map_err(|failure| self.count(failure, &peer))?)
    }

    async fn renew(
        &self,
        request: Request<own::RenewRequest>,
    ) -> Result<Response<own::IssueResponse>, Status> {
        let caller = self.0.caller(&request);
        let serial = match caller.connection().map(|connection| &connection.evidence) {
            Some(Evidence::Certificate { names, .. }) => names.serial.clone().unwrap_or_default(),
            _ => String::new(),
        };
        let known = self.register(|register| register.certificate(&serial).cloned());
        let known = known.filter(|known| known.revoked == 0).ok_or_else(|| {
            refuse(
                Code::FailedPrecondition,
                "a certificate is renewed by its holder, who shows it, and only if this cluster issued it; hint: strongroom pki issue, or strongroom enroll with a token",
            )
        })?;
        let life = known.not_after.saturating_sub(known.not_before).saturating_sub(3_600);
        let wanted = Wanted {
            role: known.role,
            name: known.name,
            names: known.names,
            life: Duration::from_secs(life),
            by: format!("renewal of {serial}"),
        };
        let leaf = self.leaf(&wanted, &request.into_inner().request)?;
        Ok(self.hand_out(&self.0.gate().member(), vec![leaf], None).await?)
    }

    async fn issue(
        &self,
        request: Request<own::IssueRequest>,
    ) -> Result<Response<own::IssueResponse>, Status> {
        let principal = self.0.principal(&request);
        self.0.admit(&principal, Act::Certificates)?;
        let asked = request.into_inner();
        let own::CertificateRequest { role: name, request } = asked.request.unwrap_or_default();
        let role = role(&name)?;
        let name = if role == Role::Administrator { "root".to_owned() } else { asked.name };
        let by = principal.name().to_owned();
        let life = Duration::from_secs(asked.life_seconds);
        let leaf = self.leaf(&Wanted { role, name, names: asked.names, life, by }, &request)?;
        Ok(self.hand_out(&principal, vec![leaf], None).await?)
    }

    async fn revoke(
        &self,
        request: Request<own::RevokeRequest>,
    ) -> Result<Response<own::RevokeResponse>, Status> {
        let principal = self.0.principal(&request);
        let serial = request.into_inner().serial.to_lowercase().replace(':', "");
        let now = self.now().unix_seconds();
        self.change(&principal, CertificateChange::Revoke { serial: serial.clone(), now }).await?;
        tracing::warn!(serial, by = principal.name(), "a certificate is revoked");
        Ok(Response::new(own::RevokeResponse {}))
    }

    async fn list(&self, request: Request<own::ListRequest>) -> Result<Response<own::ListResponse>, Status> {
        let _proof = self.0.admit(&self.0.principal(&request), AboutAccess::Names)?;
        let pin = self.authority()?.pin().map_err(|error| told(&error))?.to_string();
        self.0.barrier().await?;
        let with_keys = request.get_ref().with_keys;
        let now = self.now().unix_seconds();
        Ok(Response::new(self.register(|register| {
            own::ListResponse {
                authorities: register
                    .authorities()
                    .map(|authority| {
                        let mut written = messages::authority_to(authority);
                        written.keys.retain(|_| with_keys);
                        written
                    })
                    .collect(),
                holders: register.holders().map(messages::holder_to).collect(),
                certificates: register.issued().map(messages::issued_to).collect(),
                tokens: register
                    .tokens()
                    .map(|token| own::EnrolmentToken {
                        secret_hash: bytes::Bytes::new(),
                        ..messages::token_to(token)
                    })
                    .collect(),
                now,
                pin,
                connections: self.connections(),
            }
        })))
    }

    async fn add_token(
        &self,
        request: Request<own::AddTokenRequest>,
    ) -> Result<Response<own::AddTokenResponse>, Status> {
        let principal = self.0.principal(&request);
        self.0.admit(&principal, Act::Certificates)?;
        let asked = request.into_inner();
        let mut roles = asked.roles.iter().map(|name| role(name)).collect::<Result<Vec<_>, _>>()?;
        roles.sort();
        roles.dedup();
        if roles.is_empty() {
            return Err(refuse(Code::InvalidArgument, "a token needs a role").into());
        }
        for role in &roles {
            let (name, names) = (asked.name.clone(), asked.names.clone());
            let life = Duration::from_secs(asked.life_seconds);
            let wanted = Wanted { role: *role, name, names, life, by: String::new() };
            wanted.check().map_err(|error| told(&error))?;
        }
        let valid = match asked.valid_seconds {
            0 => ENROLMENT_TOKEN_SECONDS,
            seconds if seconds <= ENROLMENT_TOKEN_SECONDS_MAX => seconds,
            _ => return Err(refuse(Code::InvalidArgument, "a token can be used for a week at most").into()),
        };
        let pin = self.authority()?.pin().map_err(|error| told(&error))?;
        let secret = Secret::generate(&roles, pin).map_err(|error| told(&error))?;
        let now = self.now().unix_seconds();
        let not_after = now.saturating_add(valid);
        let token = Token {
            id: secret.id.clone(),
            secret_hash: Secret::hash_of(&*secret.secret),
            roles,
            name: asked.name,
            names: asked.names,
            life_seconds: asked.life_seconds,
            not_after,
            by: principal.name().to_owned(),
        };
        self.change(&principal, CertificateChange::AddToken { token, now }).await?;
        Ok(Response::new(own::AddTokenResponse {
            id: secret.id.clone(),
            token: secret.to_text().to_string(),
            not_after,
        }))
    }

    async fn remove_token(
        &self,
        request: Request<own::RemoveTokenRequest>,
    ) -> Result<Response<own::RemoveTokenResponse>, Status> {
        let principal = self.0.principal(&request);
        let id = request.into_inner().id;
        self.change(&principal, CertificateChange::RemoveToken { id }).await?;
        Ok(Response::new(own::RemoveTokenResponse {}))
    }

    async fn set_authorities(
        &self,
        request: Request<own::SetAuthoritiesRequest>,
    ) -> Result<Response<own::SetAuthoritiesResponse>, Status> {
        let principal = self.0.principal(&request);
        self.0.admit(&principal, Act::Certificates)?;
        let written = request.into_inner().authorities.into_iter();
        let authorities = written.map(|each| self.checked(each)).collect::<Result<Vec<_>, _>>()?;
        self.change(&principal, CertificateChange::Set { authorities, holders: Vec::new() }).await?;
        Ok(Response::new(own::SetAuthoritiesResponse {}))
    }

    async fn remove_authority(
        &self,
        request: Request<own::RemoveAuthorityRequest>,
    ) -> Result<Response<own::RemoveAuthorityResponse>, Status> {
        let principal = self.0.principal(&request);
        self.0.admit(&principal, Act::Certificates)?;
        let id = request.into_inner().id;
        if self.register(|register| register.authority(&id).is_some_and(|authority| !authority.is_former)) {
            let why = "the authority issues now; hint: strongroom pki rollover replaces it first";
            return Err(refuse(Code::FailedPrecondition, why).into());
        }
        self.change(&principal, CertificateChange::RemoveAuthority { id }).await?;
        Ok(Response::new(own::RemoveAuthorityResponse {}))
    }
}
