//! The effects on the register as bytes of the store's records (`crate::record` has the formats' table).

use super::{Authority, Effect, Holder, Issued, Kind, Role, SealedKey, Token};
use crate::record::{Input, Unknown, put_bytes, put_len, put_string, put_strings, put_u64};
use bytes::Bytes;

const AUTHORITY: u8 = 20;
const AUTHORITY_GONE: u8 = 21;
const HOLDER: u8 = 22;
const HOLDER_GONE: u8 = 23;
const ISSUED: u8 = 24;
const ISSUED_GONE: u8 = 25;
const TOKEN: u8 = 26;
const TOKEN_GONE: u8 = 27;

impl Effect {
    /// The kinds of its records.
    pub(crate) const KINDS: std::ops::RangeInclusive<u8> = AUTHORITY..=TOKEN_GONE;

    /// Writes it; answers its kind.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> u8 {
        match self {
            Self::Authority(authority) => {
                put_string(out, &authority.id);
                out.push(kind_number(authority.kind));
                out.push(u8::from(authority.is_former));
                put_len(out, authority.certificates.len());
                authority.certificates.iter().for_each(|der| put_bytes(out, der));
                put_len(out, authority.keys.len());
                for SealedKey { holder, sealed } in &authority.keys {
                    put_string(out, holder);
                    put_bytes(out, sealed);
                }
                AUTHORITY
            }
            Self::Holder(holder) => {
                put_string(out, &holder.id);
                put_string(out, &holder.name);
                out.push(u8::from(holder.is_recovery));
                put_bytes(out, &holder.public_key);
                HOLDER
            }
            Self::Issued(issued) => {
                put_string(out, &issued.serial);
                put_string(out, &issued.authority);
                out.push(role_number(issued.role));
                put_string(out, &issued.name);
                put_strings(out, &issued.names);
                [issued.not_before, issued.not_after].iter().for_each(|n| put_u64(out, *n));
                put_string(out, &issued.by);
                put_u64(out, issued.revoked);
                ISSUED
            }
            Self::Token(token) => {
                put_string(out, &token.id);
                put_bytes(out, &token.secret_hash);
                put_bytes(out, &token.roles.iter().map(|role| role_number(*role)).collect::<Vec<_>>());
                put_string(out, &token.name);
                put_strings(out, &token.names);
                [token.life_seconds, token.not_after].iter().for_each(|n| put_u64(out, *n));
                put_string(out, &token.by);
                TOKEN
            }
            Self::AuthorityGone(id) => gone(out, id, AUTHORITY_GONE),
            Self::HolderGone(id) => gone(out, id, HOLDER_GONE),
            Self::IssuedGone(serial) => gone(out, serial, ISSUED_GONE),
            Self::TokenGone(id) => gone(out, id, TOKEN_GONE),
        }
    }

    /// Reads one.
    pub(crate) fn decode(kind: u8, input: &mut Input<'_>) -> Result<Self, Unknown> {
        Ok(match kind {
            AUTHORITY => Self::Authority(Authority {
                id: input.string()?,
                kind: kind_of(input.array()?)?,
                is_former: input.flag()?,
                certificates: input.list(|input| Ok(Bytes::copy_from_slice(input.bytes()?)))?,
                keys: input.list(|input| {
                    let holder = input.string()?;
                    Ok(SealedKey { holder, sealed: Bytes::copy_from_slice(input.bytes()?) })
                })?,
            }),
            HOLDER => Self::Holder(Holder {
                id: input.string()?,
                name: input.string()?,
                is_recovery: input.flag()?,
                public_key: Bytes::copy_from_slice(input.bytes()?),
            }),
            ISSUED => Self::Issued(Issued {
                serial: input.string()?,
                authority: input.string()?,
                role: role_of(input.array()?)?,
                name: input.string()?,
                names: input.strings()?,
                not_before: input.u64()?,
                not_after: input.u64()?,
                by: input.string()?,
                revoked: input.u64()?,
            }),
            TOKEN => Self::Token(Token {
                id: input.string()?,
                secret_hash: input.bytes()?.try_into().map_err(|_| "a hash of another length")?,
                roles: input.bytes()?.iter().map(|role| role_of([*role])).collect::<Result<_, _>>()?,
                name: input.string()?,
                names: input.strings()?,
                life_seconds: input.u64()?,
                not_after: input.u64()?,
                by: input.string()?,
            }),
            AUTHORITY_GONE => Self::AuthorityGone(input.string()?),
            HOLDER_GONE => Self::HolderGone(input.string()?),
            ISSUED_GONE => Self::IssuedGone(input.string()?),
            TOKEN_GONE => Self::TokenGone(input.string()?),
            _ => return Err("unknown kind"),
        })
    }
}

fn gone(out: &mut Vec<u8>, name: &str, kind: u8) -> u8 {
    put_string(out, name);
    kind
}

fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Root => 1,
        Kind::Clients => 2,
        Kind::Peers => 3,
    }
}

fn kind_of(number: [u8; 1]) -> Result<Kind, Unknown> {
    match number {
        [1] => Ok(Kind::Root),
        [2] => Ok(Kind::Clients),
        [3] => Ok(Kind::Peers),
        _ => Err("an unknown kind of authority"),
    }
}

fn role_number(role: Role) -> u8 {
    match role {
        Role::Server => 1,
        Role::Peer => 2,
        Role::Client => 3,
        Role::Administrator => 4,
    }
}

fn role_of(number: [u8; 1]) -> Result<Role, Unknown> {
    match number {
        [1] => Ok(Role::Server),
        [2] => Ok(Role::Peer),
        [3] => Ok(Role::Client),
        [4] => Ok(Role::Administrator),
        _ => Err("an unknown role"),
    }
}
