//! The same work on many things, on all processors, and its results in the order of the things.
//!
//! Owns the threads, which live no longer than the call. The caller's thread takes the results, one at a time and in order, and
//! works like the others while the next one is not there; with one processor it is the only one. Whatever the interleaving, what
//! is taken is the same, and so is the first failure. At most [`START_SEGMENTS_AHEAD_PER_THREAD`] things for each thread are
//! begun before their turn, so results do not pile up.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use types::limits::{START_SEGMENTS_AHEAD_PER_THREAD, START_THREADS_MAX};

/// Does `work` on the things from 0 to `count`, and hands each result to `take`, in order, until one is refused.
pub(crate) fn in_order<T: Send, E>(
    processors: NonZero<usize>,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let threads = processors.get().min(START_THREADS_MAX);
    let ahead = threads.saturating_mul(START_SEGMENTS_AHEAD_PER_THREAD);
    let progress = Progress { count, ahead, state: Mutex::default(), changed: Condvar::new() };
    std::thread::scope(|scope| {
        let _stop = Stop(&progress);
        for _ in 1..threads.min(count) {
            scope.spawn(|| progress.help(&work));
        }
        (0..count).try_for_each(|thing| take(progress.result_of(thing, &work)))
    })
}

struct Progress<T> {
    count: usize,
    ahead: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// How many were begun.
    begun: usize,
    /// How many results were taken.
    taken: usize,
    done: BTreeMap<usize, T>,
    is_stopped: bool,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self { begun: 0, taken: 0, done: BTreeMap::new(), is_stopped: false }
    }
}

impl<T> Progress<T> {
    /// Works until everything is begun, or nothing more is wanted.
    fn help(&self, work: &impl Fn(usize) -> T) {
        let _stop = StopIfPanicking(self);
        let mut state = self.state();
        while state.begun < self.count && !state.is_stopped {
            state = match self.begin(&mut state) {
                Some(thing) => self.work_on(thing, state, work),
                None => self.wait(state),
            };
        }
    }

    /// The result of the one whose turn it is.
    fn result_of(&self, thing: usize, work: &impl Fn(usize) -> T) -> T {
        let mut state = self.state();
        loop {
            if let Some(result) = state.done.remove(&thing) {
                state.taken = thing.saturating_add(1);
                self.changed.notify_all();
                return result;
            }
            assert!(!state.is_stopped, "a thread that worked ahead has panicked");
            state = match self.begin(&mut state) {
                Some(thing) => self.work_on(thing, state, work),
                None => self.wait(state),
            };
        }
    }

    fn begin(&self, state: &mut State<T>) -> Option<usize> {
        let thing = state.begun;
        let is_due = thing < self.count && thing < state.taken.saturating_add(self.ahead);
        is_due.then(|| {
            state.begun = thing.saturating_add(1);
            thing
        })
    }

    fn work_on<'a>(
        &'a self,
        thing: usize,
        state: MutexGuard<'a, State<T>>,
        work: &impl Fn(usize) -> T,
    ) -> MutexGuard<'a, State<T>> {
        drop(state);
        let result = work(thing);
        let mut state = self.state();
        state.done.insert(thing, result);
        self.changed.notify_all();
        state
    }

    fn stop(&self) {
        self.state().is_stopped = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the other threads end when the caller does, however it does.
struct Stop<'a, T>(&'a Progress<T>);

impl<T> Drop for Stop<'_, T> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Lets the caller hear of a thread's panic instead of waiting for its result for ever.
struct StopIfPanicking<'a, T>(&'a Progress<T>);

impl<T> Drop for StopIfPanicking<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn processors(count: usize) -> NonZero<usize> {
        NonZero::new(count).unwrap()
    }

    /// The results come in the order of the things however many threads there are, and however unlike the work is: the store's
    /// meaning is the order of its records.
    #[test]
    fn results_come_in_order() {
        for threads in [1, 2, 3, 100] {
            for count in [0, 1, 2, 500] {
                let mut taken = Vec::new();
                let work = |thing: usize| (0..thing % 7 * 1000).fold(thing, |a, b| a ^ b ^ b);
                let done = in_order(processors(threads), count, work, |result| {
                    taken.push(result);
                    Ok::<_, ()>(())
                });
                assert_eq!((done, taken), (Ok(()), (0..count).collect()), "{threads} threads");
            }
        }
    }

    /// No more is begun than may wait: what is read before its turn lies in memory.
    #[test]
    fn work_stays_within_its_bound() {
        for threads in [1, 2, 4] {
            let (begun, bound) = (AtomicUsize::new(0), threads * START_SEGMENTS_AHEAD_PER_THREAD);
            let mut taken = 0;
            let work = |_| begun.fetch_add(1, Ordering::SeqCst) + 1;
            let done = in_order(processors(threads), 300, work, |_| {
                taken += 1;
                let begun = begun.load(Ordering::SeqCst);
                assert!(begun <= taken + bound, "{begun} begun where {taken} are taken");
                assert!(threads > 1 || begun == taken, "one processor reads and takes in turns");
                Ok::<_, ()>(())
            });
            assert_eq!(done, Ok(()));
        }
    }

    /// Of many failures the first in the order of things is the answer, not the first in time; and nothing after it is taken.
    #[test]
    fn the_first_failure_in_order_is_the_answer() {
        for threads in [1, 2, 4] {
            for _ in 0..50 {
                let mut taken = Vec::new();
                let work = |thing| if thing >= 20 { Err(thing) } else { Ok(thing) };
                let done = in_order(processors(threads), 100, work, |result| {
                    taken.push(result?);
                    Ok::<_, usize>(())
                });
                assert_eq!((done, taken), (Err(20), (0..20).collect()));
            }
        }
    }

    /// A panic of ours in a thread is a panic of the caller, not a start that hangs.
    #[test]
    #[should_panic]
    fn a_panic_is_heard() {
        let work = |thing| assert!(thing != 50, "as if there were a mistake");
        let _ = in_order(processors(3), 100, work, |()| Ok::<_, ()>(()));
    }
}
