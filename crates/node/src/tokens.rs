//! The tokens that this member has given to users, with the time each is good for.
//!
//! Owns the table. A token is given by an entry, so every member of a cluster gives the same ones; how long each lasts is
//! every member's own clock, as in etcd: its time begins anew whenever it is used. Tokens are in memory only.
//!
//! Invariant: at most `TOKENS_MAX` are kept; for one more, those that have ended go, and else the one that ends first.

use state::changes::TokenChange;
use std::collections::HashMap;
use std::sync::Arc;
use types::limits::TOKENS_MAX;

pub(crate) struct Tokens {
    life_ms: u64,
    good: HashMap<Arc<str>, Good>,
}

struct Good {
    user: Arc<str>,
    until_ms: u64,
}

impl Tokens {
    pub(crate) fn new(life_ms: u64) -> Self {
        Self { life_ms, good: HashMap::new() }
    }

    pub(crate) fn change(&mut self, change: TokenChange, now_ms: u64) {
        match change {
            TokenChange::Given { token, user } => self.give(token, user, now_ms),
            TokenChange::VoidOf(user) => self.good.retain(|_, good| *good.user != *user),
            TokenChange::Void => self.good.clear(),
        }
    }

    fn give(&mut self, token: Arc<str>, user: Arc<str>, now_ms: u64) {
        if self.good.len() >= TOKENS_MAX {
            self.good.retain(|_, good| now_ms < good.until_ms);
        }
        if self.good.len() >= TOKENS_MAX {
            let first =
                self.good.iter().min_by_key(|(_, good)| good.until_ms).map(|(token, _)| token.clone());
            first.and_then(|token| self.good.remove(&token));
        }
        self.good.insert(token, Good { user, until_ms: now_ms.saturating_add(self.life_ms) });
    }

    /// Whose the token is, if it is good; its time begins anew.
    pub(crate) fn user(&mut self, token: &str, now_ms: u64) -> Option<Arc<str>> {
        let good = self.good.get_mut(token)?;
        if now_ms >= good.until_ms {
            self.good.remove(token);
            return None;
        }
        good.until_ms = now_ms.saturating_add(self.life_ms);
        Some(good.user.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(tokens: &mut Tokens, token: &str, user: &str, now_ms: u64) {
        tokens.change(TokenChange::Given { token: token.into(), user: user.into() }, now_ms);
    }

    /// A token that outlived its time, its user's password or access control itself would be a key nobody can take back.
    #[test]
    fn a_token_ends_with_its_time_and_with_what_it_stands_on() {
        let mut tokens = Tokens::new(1_000);
        given(&mut tokens, "a", "alice", 0);
        assert_eq!(tokens.user("a", 999).as_deref(), Some("alice"));
        assert_eq!(tokens.user("a", 1_998).as_deref(), Some("alice"), "used a moment ago");
        assert_eq!(tokens.user("a", 2_998), None);
        assert_eq!(tokens.user("nobody's", 0), None);
        given(&mut tokens, "b", "bob", 0);
        given(&mut tokens, "c", "carol", 0);
        tokens.change(TokenChange::VoidOf("bob".into()), 0);
        assert_eq!((tokens.user("b", 1), tokens.user("c", 1).as_deref()), (None, Some("carol")));
        tokens.change(TokenChange::Void, 0);
        assert_eq!(tokens.user("c", 1), None);
    }

    /// Whoever logs in for ever must not fill the memory: the oldest goes, the newest is good.
    #[test]
    fn the_table_is_bounded() {
        let mut tokens = Tokens::new(1_000_000);
        for n in 0..=TOKENS_MAX {
            given(&mut tokens, &format!("t{n}"), "u", n as u64);
        }
        assert_eq!(tokens.good.len(), TOKENS_MAX);
        assert_eq!(tokens.user("t0", 0), None);
        assert!(tokens.user(&format!("t{TOKENS_MAX}"), 0).is_some());
    }
}
