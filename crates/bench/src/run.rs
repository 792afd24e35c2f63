//! One run: who may send, what is counted, when measuring begins and ends.
//!
//! Clients ask [`Run::take`] before each request and tell [`Run::done`] after it. The first `warm_up` answers are not measured;
//! then the clock and the processors' times are read, and once more when the last was answered. Nothing is sent
//! beyond the bounds in number and time, and a run with too many errors stops by itself.

use crate::histogram::Histogram;
use crate::processor::{self, Used};
use env::real::SystemClock;
use env::{Clock, Monotonic};
use std::cell::RefCell;
use std::time::Duration;

/// A run that errs this often has shown what it can.
const ERRORS_MAX: u64 = 100;

/// How much and how long.
pub(crate) struct Bounds {
    pub(crate) warm_up: u64,
    pub(crate) requests: u64,
    pub(crate) seconds_max: u64,
    pub(crate) server_pid: Option<u32>,
}

/// The shared state of all clients of the one thread.
pub(crate) struct Run {
    bounds: Bounds,
    clock: SystemClock,
    state: RefCell<State>,
}

struct State {
    taken: u64,
    answered: u64,
    began: Option<Mark>,
    ended: Option<Mark>,
    times: Histogram,
    errors: u64,
    first_error: Option<String>,
}

#[derive(Clone, Copy)]
struct Mark {
    at: Monotonic,
    used: Used,
}

impl Run {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let state = State {
            taken: 0,
            answered: 0,
            began: None,
            ended: None,
            times: Histogram::new(),
            errors: 0,
            first_error: None,
        };
        let run = Self { bounds, clock: SystemClock::new(), state: RefCell::new(state) };
        if run.bounds.warm_up == 0 {
            run.state.borrow_mut().began = Some(run.mark());
        }
        run
    }

    fn mark(&self) -> Mark {
        Mark { at: self.now(), used: processor::used(self.bounds.server_pid) }
    }

    /// Now.
    pub(crate) fn now(&self) -> Monotonic {
        self.clock.monotonic()
    }

    /// How long a run may take.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.bounds.seconds_max)
    }

    /// Whether one more request is to be sent.
    pub(crate) fn take(&self) -> bool {
        let mut state = self.state.borrow_mut();
        let all = self.bounds.warm_up + self.bounds.requests;
        let more = state.taken < all
            && state.errors < ERRORS_MAX
            && state.ended.is_none()
            && self.now().since_origin() < self.limit();
        state.taken += u64::from(more);
        more
    }

    /// Whether nothing is left to send or to wait for.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.state.borrow();
        state.ended.is_some() || state.errors >= ERRORS_MAX || self.now().since_origin() >= self.limit()
    }

    /// One was answered that began then.
    pub(crate) fn done(&self, since: Monotonic) {
        let now = self.now();
        let mut state = self.state.borrow_mut();
        state.answered += 1;
        if state.began.is_some() && state.ended.is_none() {
            let nanos = u64::try_from(now.since(since).as_nanos()).unwrap_or(u64::MAX);
            state.times.add(nanos);
        }
        if state.answered == self.bounds.warm_up {
            state.began = Some(self.mark());
        }
        if state.answered == self.bounds.warm_up + self.bounds.requests {
            state.ended = Some(self.mark());
        }
    }

    /// One failed, with these words.
    pub(crate) fn fail(&self, error: &str) {
        let mut state = self.state.borrow_mut();
        state.errors += 1;
        state.first_error.get_or_insert_with(|| error.to_owned());
    }

    /// Whether the figures are not those that were asked for.
    pub(crate) fn failed(&self) -> bool {
        let state = self.state.borrow();
        state.errors > 0 || state.ended.is_none()
    }

    /// The figures, as one JSON object.
    pub(crate) fn report(&self) -> serde_json::Value {
        let state = self.state.borrow();
        let (began, ended) = match (state.began, state.ended) {
            (Some(began), Some(ended)) => (began, ended),
            (Some(began), None) => (began, self.mark()),
            (None, _) => (self.mark(), self.mark()),
        };
        let count = state.times.total();
        let seconds = ended.at.since(began.at).as_secs_f64();
        let each = |spent: Duration| spent.as_secs_f64() * 1e6 / count.max(1) as f64;
        let server =
            ended.used.server.zip(began.used.server).map(|(end, begin)| each(end.saturating_sub(begin)));
        let milliseconds = |nanos: u64| nanos as f64 / 1e6;
        serde_json::json!({
            "requests": count,
            "seconds": seconds,
            "rate": if seconds > 0.0 { count as f64 / seconds } else { 0.0 },
            "p50_ms": milliseconds(state.times.quantile(0.5)),
            "p90_ms": milliseconds(state.times.quantile(0.9)),
            "p99_ms": milliseconds(state.times.quantile(0.99)),
            "p999_ms": milliseconds(state.times.quantile(0.999)),
            "max_ms": milliseconds(state.times.max()),
            "server_cpu_us": server,
            "own_cpu_us": each(ended.used.own.saturating_sub(began.used.own)),
            "errors": state.errors,
            "first_error": state.first_error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(warm_up: u64, requests: u64, seconds_max: u64) -> Run {
        Run::new(Bounds { warm_up, requests, seconds_max, server_pid: None })
    }

    /// Warm-up is in no figure: the first requests make connections and fill caches.
    #[test]
    fn what_came_before_measuring_is_not_counted() {
        let run = run(3, 2, 60);
        let mut taken = 0;
        while run.take() {
            run.done(run.now());
            taken += 1;
        }
        assert_eq!(taken, 5);
        assert_eq!(run.report()["requests"], 2);
        assert!(run.is_over() && !run.failed());
    }

    /// A run ends when its time is over, and says that it is not what was asked for.
    #[test]
    fn time_bounds_a_run() {
        let run = run(0, 10, 0);
        assert!(!run.take());
        assert!(run.is_over() && run.failed());
    }

    /// A server that refuses everything is not asked without end, and its first words are reported.
    #[test]
    fn errors_bound_a_run() {
        let run = run(0, 1_000_000, 60);
        let mut asked = 0;
        while run.take() {
            run.fail(&format!("refused {asked}"));
            asked += 1;
        }
        assert_eq!(asked, ERRORS_MAX);
        assert_eq!(run.report()["first_error"], "refused 0");
        assert!(run.is_over() && run.failed());
    }
}
