//! Answers on their way from the member's threads to the threads that serve: one wake-up for many.
//!
//! Owns a box for each serving thread. The member answers many requests at once, on its own threads; waking a serving
//! thread for each of them costs more than the answer. So an answer goes into the box of the thread that asked, and only
//! the first one in an empty box wakes that thread, which then hands out all that lie there.
//!
//! Invariant: what was posted is handed out once and in order, as long as the thread serves; what comes later is dropped,
//! and whoever waits for it sees that.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// An answer that knows its way from here.
type Letter = Box<dyn FnOnce() + Send>;

thread_local! {
    static HERE: RefCell<Option<Arc<Letterbox>>> = const { RefCell::new(None) };
}

/// The box of one serving thread.
#[derive(Default)]
pub(crate) struct Letterbox {
    letters: Mutex<Vec<Letter>>,
    bell: Notify,
}

impl Letterbox {
    /// Puts up the box of this thread, on whose runtime it is called, and hands out what comes until the runtime ends.
    pub(crate) fn put_up() {
        let own = Arc::new(Self::default());
        HERE.with_borrow_mut(|here| *here = Some(own.clone()));
        tokio::spawn(async move {
            loop {
                own.bell.notified().await;
                own.hand_out();
            }
        });
    }

    /// The box of this thread, if it serves.
    pub(crate) fn here() -> Option<Arc<Self>> {
        HERE.with_borrow(Option::clone)
    }

    /// Leaves a letter for this box's thread; on that thread itself it is opened at once.
    pub(crate) fn post(&self, letter: Letter) {
        let is_here =
            |here: &Option<Arc<Self>>| here.as_ref().is_some_and(|here| std::ptr::eq(&**here, self));
        if HERE.with_borrow(is_here) {
            return letter();
        }
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        letters.push(letter);
        let is_first = letters.len() == 1;
        drop(letters);
        if is_first {
            self.bell.notify_one();
        }
    }

    fn hand_out(&self) {
        let letters = std::mem::take(&mut *self.letters.lock().unwrap_or_else(PoisonError::into_inner));
        letters.into_iter().for_each(|letter| letter());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    /// Everything posted by other threads is handed out in order, on the box's own thread; a lost letter would be a request
    /// without an answer.
    #[test]
    fn letters_are_handed_out_on_their_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (told, heard) = channel();
        let served = std::thread::current().id();
        runtime.block_on(async {
            assert!(Letterbox::here().is_none());
            Letterbox::put_up();
            let own = Letterbox::here().unwrap();
            let (here, opened) = channel();
            own.post(Box::new(move || here.send(()).unwrap()));
            opened.try_recv().expect("its own thread need not wait");
            let posting = std::thread::spawn(move || {
                assert!(Letterbox::here().is_none(), "each thread has its own");
                for i in 0..10_000 {
                    let told = told.clone();
                    own.post(Box::new(move || told.send((i, std::thread::current().id())).unwrap()));
                }
            });
            let mut all = Vec::new();
            while all.len() < 10_000 {
                all.extend(heard.try_iter());
                tokio::task::yield_now().await;
            }
            posting.join().unwrap();
            assert!(all.iter().enumerate().all(|(i, letter)| *letter == (i, served)));
        });
    }
}
