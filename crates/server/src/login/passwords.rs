//! Passwords: made into hashes, and compared with them, on one thread of their own.
//!
//! Both are slow by design. One thread of low priority does them, one after the other, so that a storm of logins is slow
//! for those who log in and for nobody else. As `etcd` bcrypt, which etcd members read; else argon2id. A user who is not
//! there, or has no password, costs the same time as a wrong password.
//!
//! Invariants: at most `PASSWORDS_WAITING_MAX` wait; passwords are wiped when they are done with, and never printed.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use state::auth::PasswordHash;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::oneshot;
use types::limits::{PASSWORD_BYTES_MAX, PASSWORDS_WAITING_MAX};
use zeroize::Zeroizing;

/// How new passwords are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashing {
    /// bcrypt of this cost, as etcd.
    Bcrypt {
        /// Twice the time for one more.
        cost: u32,
    },
    /// argon2id, for passwords of a least length.
    Argon2id {
        /// Characters that a password needs.
        characters_min: usize,
    },
}

/// Why a password is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unhashable {
    /// Longer than bcrypt looks at. etcd's words.
    #[error("bcrypt: password length exceeds 72 bytes")]
    TooLongForBcrypt,
    /// Longer than we look at.
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// Too easily guessed.
    #[error("the password has fewer than {0} characters")]
    TooShort(usize),
    /// Too many wait.
    #[error("too many logins are under way")]
    Busy,
    /// The hash could not be made.
    #[error("the password could not be hashed: {0}")]
    Failed(String),
}

/// The thread that hashes.
#[derive(Clone)]
pub struct Passwords {
    hashing: Hashing,
    work: SyncSender<Work>,
}

type Password = Zeroizing<String>;

enum Work {
    Hash(Password, oneshot::Sender<Result<PasswordHash, Unhashable>>),
    Compare(Password, PasswordHash, oneshot::Sender<bool>),
}

/// bcrypt looks at no more.
const BCRYPT_BYTES_MAX: usize = 72;
/// Lower than everything that serves requests, so that it runs when these do not.
const NICENESS: i32 = 15;

impl Passwords {
    /// Starts the thread.
    ///
    /// # Errors
    /// There can be no thread.
    pub fn start(hashing: Hashing) -> std::io::Result<Self> {
        let (work, waiting) = sync_channel(PASSWORDS_WAITING_MAX);
        std::thread::Builder::new().name("passwords".to_owned()).spawn(move || run(hashing, &waiting))?;
        Ok(Self { hashing, work })
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// [`Unhashable`] when it is not taken.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, Unhashable> {
        self.hashing.check(&password)?;
        let (done, answer) = oneshot::channel();
        self.work.try_send(Work::Hash(password, done)).map_err(|_| Unhashable::Busy)?;
        answer.await.map_err(|_| Unhashable::Busy)?
    }

    /// Whether a password is the one behind the hash; `None`, of nobody, takes as long and is never right.
    ///
    /// # Errors
    /// [`Unhashable::Busy`] when too many wait.
    pub async fn is_right(&self, password: Password, hash: Option<PasswordHash>) -> Result<bool, Unhashable> {
        let is_somebody = hash.is_some();
        let (done, answer) = oneshot::channel();
        let work = Work::Compare(password, hash.unwrap_or_default(), done);
        self.work.try_send(work).map_err(|_| Unhashable::Busy)?;
        Ok(answer.await.map_err(|_| Unhashable::Busy)? && is_somebody)
    }
}

impl Hashing {
    fn check(self, password: &str) -> Result<(), Unhashable> {
        match self {
            Self::Bcrypt { .. } if password.len() > BCRYPT_BYTES_MAX => Err(Unhashable::TooLongForBcrypt),
            Self::Argon2id { .. } if password.len() > PASSWORD_BYTES_MAX => Err(Unhashable::TooLong),
            Self::Argon2id { characters_min } if password.chars().count() < characters_min => {
                Err(Unhashable::TooShort(characters_min))
            }
            Self::Bcrypt { .. } | Self::Argon2id { .. } => Ok(()),
        }
    }

    fn hash(self, password: &str) -> Result<PasswordHash, Unhashable> {
        let failed = |why: String| Unhashable::Failed(why);
        let text = match self {
            Self::Bcrypt { cost } => bcrypt::hash_with_result(password, cost)
                .map_err(|error| failed(error.to_string()))?
                .format_for_version(bcrypt::Version::TwoA),
            Self::Argon2id { .. } => {
                let mut salt = [0; 16];
                aws_lc_rs::rand::fill(&mut salt).map_err(|_| failed("no randomness".to_owned()))?;
                argon2()
                    .hash_password_with_salt(password.as_bytes(), &salt)
                    .map_err(|error| failed(error.to_string()))?
                    .to_string()
            }
        };
        Ok(PasswordHash::new(text.into_bytes()))
    }
}

/// OWASP's first choice: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

fn run(hashing: Hashing, waiting: &Receiver<Work>) {
    // Without the right to be lower it is as high as others.
    let _ = rustix::process::nice(NICENESS);
    let nobody = hashing.hash("nobody has this password").unwrap_or_default();
    while let Ok(work) = waiting.recv() {
        // Who waited may have left meanwhile.
        match work {
            Work::Hash(password, done) => drop(done.send(hashing.hash(&password))),
            Work::Compare(password, hash, done) => {
                let held = if hash.as_bytes().is_empty() { &nobody } else { &hash };
                let _ = done.send(compare(&password, held) && !hash.as_bytes().is_empty());
            }
        }
    }
}

/// Whether the password is the one behind the hash, whichever way that was made.
fn compare(password: &str, hash: &PasswordHash) -> bool {
    let Ok(text) = std::str::from_utf8(hash.as_bytes()) else { return false };
    if password.len() > PASSWORD_BYTES_MAX {
        return false;
    }
    if text.starts_with("$argon2") {
        argon2().verify_password(password.as_bytes(), text).is_ok()
    } else {
        bcrypt::verify(password, text).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Zeroizing::new(text.to_owned())
    }

    const CHEAP: Hashing = Hashing::Bcrypt { cost: 4 };

    /// The one thing that matters: the right password is right, everything else is not, with both ways of hashing, also for
    /// a hash that the other way made.
    #[tokio::test]
    async fn the_right_password_is_right_and_no_other() {
        for (hashing, begin) in
            [(CHEAP, "$2a$04$"), (Hashing::Argon2id { characters_min: 3 }, "$argon2id$v=19$m=19456,t=2,p=1$")]
        {
            let passwords = Passwords::start(hashing).unwrap();
            let hash = passwords.hash(password("right")).await.unwrap();
            assert!(hash.as_bytes().starts_with(begin.as_bytes()), "{begin}");
            for other in [CHEAP, hashing] {
                let passwords = Passwords::start(other).unwrap();
                assert_eq!(passwords.is_right(password("right"), Some(hash.clone())).await, Ok(true));
                assert_eq!(passwords.is_right(password("wrong"), Some(hash.clone())).await, Ok(false));
                assert_eq!(passwords.is_right(password(""), Some(hash.clone())).await, Ok(false));
            }
            for nobody in
                [None, Some(PasswordHash::default()), Some(PasswordHash::new(b"$2a$broken".to_vec()))]
            {
                let right = passwords.is_right(password("nobody has this password"), nobody.clone()).await;
                assert_eq!(right, Ok(false), "{nobody:?}");
            }
            assert_ne!(passwords.hash(password("right")).await.unwrap(), hash, "salted");
        }
    }

    /// Who is there and who is not must not show in the time that a refusal takes: an etcd takes a hundred times longer to
    /// refuse a user that it has.
    #[tokio::test]
    async fn a_user_who_is_not_there_takes_as_long() {
        for hashing in [Hashing::Bcrypt { cost: 6 }, Hashing::Argon2id { characters_min: 3 }] {
            let passwords = Passwords::start(hashing).unwrap();
            let hash = passwords.hash(password("right")).await.unwrap();
            let clock = env::Env::real().clock;
            let mut times = [const { Vec::new() }; 3];
            for _ in 0..7 {
                // In turns, so that whatever else the machine does meets all alike.
                let somebody = [Some(hash.clone()), None, Some(PasswordHash::default())];
                for (hash, times) in somebody.into_iter().zip(&mut times) {
                    let began = clock.monotonic();
                    assert_eq!(passwords.is_right(password("wrong"), hash).await, Ok(false));
                    times.push(clock.monotonic().since(began));
                }
            }
            let [wrong, absent, without] = times.map(|mut times| {
                times.sort();
                times[times.len() / 2].as_secs_f64()
            });
            for (who, time) in [("absent", absent), ("without a password", without)] {
                assert!((0.5..2.0).contains(&(time / wrong)), "{hashing:?}: {who} {time} s, wrong {wrong} s");
            }
        }
    }

    /// A hash that etcd made is read: its users keep their passwords.
    #[test]
    fn a_hash_of_etcds_is_read() {
        // Made by golang.org/x/crypto/bcrypt, which etcd hashes with.
        let hash = b"$2a$10$V4pelh.ohOdnl4PrQVeuGOz1xxNHT6xtEPf3/5VyGM9jB2hMPmuUy";
        let hash = PasswordHash::new(hash.to_vec());
        assert!(compare("etcd's own", &hash));
        assert!(!compare("etcd's owm", &hash));
    }

    /// What is too long, too short or one too many is refused before anything slow is done.
    #[tokio::test]
    async fn unfit_passwords_are_refused_at_once() {
        let ours = Passwords::start(Hashing::Argon2id { characters_min: 12 }).unwrap();
        assert_eq!(ours.hash(password("short")).await, Err(Unhashable::TooShort(12)));
        assert_eq!(ours.hash(password(&"x".repeat(1_025))).await, Err(Unhashable::TooLong));
        let etcds = Passwords::start(CHEAP).unwrap();
        assert_eq!(etcds.hash(password(&"x".repeat(73))).await, Err(Unhashable::TooLongForBcrypt));
        assert!(etcds.hash(password("")).await.is_ok(), "etcd takes an empty password");
        let full = Passwords { hashing: CHEAP, work: sync_channel(0).0 };
        assert_eq!(full.hash(password("x")).await, Err(Unhashable::Busy));
        assert_eq!(full.is_right(password("x"), None).await, Err(Unhashable::Busy));
    }
}
