//! Logins, right and wrong ones: what a storm of them does to others is measured by another run beside this one.
//!
//! A refusal is an answer here: a wrong password, too many of them, too many logins at once. Each client pauses after each
//! try, as somebody who tries again does.

use super::Unary;
use crate::call::Error;
use bytes::Bytes;
use proto::etcdserverpb as pb;
use std::time::Duration;

/// One client that logs in again and again, as any of the users `user-0`, `user-1` and so on.
pub(super) struct Login {
    users: u64,
    password: String,
    wrong_percent: u64,
    pause: Duration,
}

impl Login {
    pub(super) fn new(users: u64, password: &str, wrong_percent: u64, pause: Duration) -> Self {
        Self { users: users.max(1), password: password.to_owned(), wrong_percent, pause }
    }
}

impl Unary for Login {
    type Request = pb::AuthenticateRequest;

    fn request(&mut self) -> Option<pb::AuthenticateRequest> {
        let is_wrong = fastrand::u64(..100) < self.wrong_percent;
        let password = if is_wrong { "not the password at all".to_owned() } else { self.password.clone() };
        Some(pb::AuthenticateRequest { name: format!("user-{}", fastrand::u64(..self.users)), password })
    }

    fn answer(&mut self, _: &Bytes) -> Result<(), String> {
        Ok(())
    }

    fn is_answer(&self, refusal: &Error) -> bool {
        // A wrong password; too many wrong ones; too many logins under way, in etcd's words and code.
        matches!(refusal, Error::Status(code, text)
            if ["3", "8"].contains(&code.as_str()) || (code == "2" && text.contains("too%20many%20requests")))
    }

    fn pause(&self) -> Duration {
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A storm of which all were right, or all wrong, would show only half of what a server does with one.
    #[test]
    fn right_and_wrong_ones_are_mixed() {
        let mut login = Login::new(3, "right", 50, Duration::ZERO);
        let asked: Vec<_> = (0..1_000).filter_map(|_| login.request()).collect();
        let right = asked.iter().filter(|ask| ask.password == "right").count();
        assert!((400..600).contains(&right), "{right}");
        assert!(asked.iter().all(|ask| ["user-0", "user-1", "user-2"].contains(&ask.name.as_str())));
        let refused = |code: &str| Error::Status(code.to_owned(), String::new());
        assert!(login.is_answer(&refused("3")) && login.is_answer(&refused("8")));
        let busy = Error::Status("2".to_owned(), "etcdserver:%20too%20many%20requests".to_owned());
        assert!(login.is_answer(&busy));
        assert!(!login.is_answer(&refused("14")) && !login.is_answer(&refused("2")));
    }
}
