//! How messages with credentials are printed: names yes, passwords, their hashes and tokens as `***`.
//!
//! Owns `Debug` of exactly the messages that `build.rs` leaves it out of; a test finds a forgotten one by its fields'
//! names. Keys and values are printed by the others: comparisons in tests need them, so nothing may log a message.

use crate::strongroom::v1;
use crate::{authpb, etcdserverpb};
use std::fmt;

struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

macro_rules! hide {
    ($($message:path { $($shown:ident),*; $($hidden:ident),+ })+) => {
        $(
            impl fmt::Debug for $message {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    // All fields are named here, so that a new one has to be put on one side or the other.
                    let Self { $($shown,)* $($hidden: _,)+ } = self;
                    f.debug_struct(stringify!($message))
                        $(.field(stringify!($shown), $shown))*
                        $(.field(stringify!($hidden), &Hidden))+
                        .finish()
                }
            }
        )+
    };
}

hide! {
    authpb::User { name, roles, options; password }
    etcdserverpb::AuthenticateRequest { name; password }
    etcdserverpb::AuthenticateResponse { header; token }
    etcdserverpb::AuthUserAddRequest { name, options; password, hashed_password }
    etcdserverpb::AuthUserChangePasswordRequest { name; password, hashed_password }
    etcdserverpb::InternalAuthenticateRequest { name; password, simple_token }
    v1::AddTokenResponse { id, not_after; token }
    v1::EnrollRequest { id, requests; secret }
    v1::EnrolmentToken { id, roles, name, names, life_seconds, not_after, by; secret_hash }
}
