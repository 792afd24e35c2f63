//! What of a listener's material ends when, and when that is worth a warning.
//!
//! Pure: time is given. The steps are 30, 7 and 1 days before the end, and the end. What lives short has them at a third, a
//! ninth and a 27th of its life instead, whichever is later: a certificate of seven days that is renewed at half its life is
//! warned of only when its renewal did not happen, one of a year at 30 days.

use super::Validity;
use std::collections::BTreeMap;

const DAY: i64 = 24 * 60 * 60;
/// Before the end, with the part of the life that counts where that is less.
const STEPS: [(i64, i64); 3] = [(30 * DAY, 3), (7 * DAY, 9), (DAY, 27)];

/// What ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The certificate that a listener shows.
    Serving,
    /// A CA of its clients.
    ClientCa,
    /// A revocation list, which is stale then.
    RevocationList,
}

impl Kind {
    /// The word for it in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::ClientCa => "client_ca",
            Self::RevocationList => "revocation_list",
        }
    }
}

/// Something with an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// What it is.
    pub kind: Kind,
    /// The certificate's file, the CA's subject, the list's issuer.
    pub name: String,
    /// Its life.
    pub life: Validity,
    /// Whether the member renews it by itself.
    pub is_renewed_here: bool,
}

/// How near an end is: 0 far, 1 to 3 the steps before it, 4 past it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step(u8);

impl Step {
    pub(crate) const PAST: Self = Self(4);

    fn at(life: Validity, now: i64) -> Self {
        let left = life.ends.saturating_sub(now);
        if left <= 0 {
            return Self::PAST;
        }
        let whole = life.ends.saturating_sub(life.begins).max(0);
        let near =
            STEPS.iter().filter(|(days, part)| left <= (*days).min(whole.checked_div(*part).unwrap_or(0)));
        Self(u8::try_from(near.count()).unwrap_or(3))
    }
}

/// What was warned of, so that each step is said once.
#[derive(Debug, Default)]
pub(crate) struct Warnings(BTreeMap<(Kind, String, i64), Step>);

impl Warnings {
    /// Of these, those that have come a step nearer to their end since they were last warned of.
    pub(crate) fn due(&mut self, ends: Vec<End>, now: i64) -> Vec<(End, Step)> {
        let mut told = BTreeMap::new();
        let mut due = Vec::new();
        for end in ends {
            let step = Step::at(end.life, now);
            let key = (end.kind, end.name.clone(), end.life.ends);
            // Two listeners may have the same.
            let before = self.0.get(&key).max(told.get(&key)).copied().unwrap_or(Step(0));
            told.insert(key, step.max(before));
            if step > before {
                due.push((end, step));
            }
        }
        self.0 = told;
        due
    }
}

impl End {
    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match (self.kind, self.is_renewed_here) {
            (Kind::Serving, true) => {
                "the member renews it by itself and did not: look for \"cannot renew a certificate\" in the log, and at the rights on its directory"
            }
            (Kind::Serving, false) => {
                "renew it and put certificate and key in place; they are read again within seconds (kubeadm certs renew all; cert-manager: look at the Certificate)"
            }
            (Kind::ClientCa, _) => {
                "make a new CA, put it into the bundle beside this one, give the clients certificates of it, then take this one out"
            }
            (Kind::RevocationList, _) => {
                "have the CA make a new list (openssl ca -gencrl) and put it in place"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * 60;

    fn end(days: i64) -> End {
        let life = Validity { begins: 0, ends: days * DAY };
        End { kind: Kind::Serving, name: "a.crt".into(), life, is_renewed_here: false }
    }

    /// The hours before the end of a life of so many days at which it is warned of, on a clock that goes by the hour.
    fn warned(days: i64) -> Vec<(i64, u8)> {
        let mut warnings = Warnings::default();
        let mut found = Vec::new();
        for hour in 0..(days + 3) * 24 {
            for (end, step) in warnings.due(vec![end(days), end(days)], hour * HOUR) {
                found.push(((end.life.ends / HOUR) - hour, step.0));
            }
        }
        found
    }

    /// An end that nobody was told of in time takes a cluster down: each step is told, once, whoever's certificate it is, also
    /// if two listeners have it. What lives a week is not a reason to warn from its first day.
    #[test]
    fn an_end_is_told_at_30_7_and_1_days_and_at_the_end_once_each() {
        assert_eq!(warned(365), [(30 * 24, 1), (7 * 24, 2), (24, 3), (0, 4)]);
        assert_eq!(warned(90), [(30 * 24, 1), (7 * 24, 2), (24, 3), (0, 4)]);
        assert_eq!(warned(9), [(3 * 24, 1), (24, 2), (8, 3), (0, 4)]);
        let week = warned(7);
        assert!(week[0].0 < 7 * 24 / 2, "a renewal at half of the life comes before every warning: {week:?}");
    }

    /// A member that was stopped over a step says where it is, not all that it missed; one whose certificate was renewed begins
    /// anew, and says nothing.
    #[test]
    fn steps_that_were_missed_are_one_and_a_renewal_begins_anew() {
        let mut warnings = Warnings::default();
        let steps = |due: Vec<(End, Step)>| due.into_iter().map(|(_, step)| step.0).collect::<Vec<_>>();
        assert_eq!(steps(warnings.due(vec![end(365)], 364 * DAY + HOUR)), [3]);
        assert_eq!(steps(warnings.due(vec![end(365)], 366 * DAY)), [4]);
        assert_eq!(steps(warnings.due(vec![end(365)], 367 * DAY)), [0_u8; 0]);
        assert_eq!(steps(warnings.due(vec![end(800)], 367 * DAY)), [0_u8; 0]);
        assert_eq!(steps(warnings.due(vec![end(365)], 367 * DAY)), [4], "the old one put back is told again");
        let nonsense = Validity { begins: i64::MAX, ends: i64::MIN };
        assert_eq!(Step::at(nonsense, 0), Step::PAST);
    }
}
