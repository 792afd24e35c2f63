//! Both clocks and both generators keep the same promises.

use env::real::{SystemClock, SystemRandom};
use env::sim::{SimClock, SimRandom};
use env::{Clock, Random, WallTime};
use std::time::{Duration, SystemTime};

fn keeps_time(clock: &dyn Clock) {
    let (wall, monotonic) = (clock.wall(), clock.monotonic());
    assert!(wall > WallTime::from_unix_nanos(1_700_000_000 * 1_000_000_000), "{wall:?} is this century");
    assert!(clock.monotonic() >= monotonic);
    assert_eq!(monotonic.after(Duration::from_secs(3)).since(monotonic), Duration::from_secs(3));
    assert_eq!(monotonic.since(monotonic.after(Duration::from_secs(3))), Duration::ZERO);
    assert_eq!(WallTime::from(SystemTime::from(wall)), wall);
}

/// The monotonic clock never goes back and the wall clock shows a plausible time, in both worlds.
#[test]
fn both_clocks_keep_time() {
    keeps_time(&SystemClock::new());
    keeps_time(&SimClock::new());
}

/// Simulated time passes only by hand, the same for all clones; the wall clock can be set, the monotonic one cannot.
#[test]
fn simulated_time_passes_by_hand() {
    let clock = SimClock::new();
    let (seen, wall) = (clock.clone().monotonic(), clock.wall());
    clock.advance(Duration::from_millis(1500));
    assert_eq!((clock.monotonic().since(seen).as_millis(), clock.monotonic().millis()), (1500, 1500));
    assert_eq!(clock.wall().since(wall), Duration::from_millis(1500));
    clock.set_wall(WallTime::from_unix_nanos(7));
    assert_eq!((clock.wall().unix_nanos(), clock.monotonic().millis()), (7, 1500));
}

fn fills(random: &dyn Random) {
    for len in [0, 1, 7, 8, 9, 32, 100] {
        let mut bytes = vec![0; len];
        random.fill(&mut bytes);
        assert!(
            len < 16 || bytes.windows(8).all(|eight| eight != [0; 8]),
            "{len} bytes are filled to the end"
        );
    }
    assert_ne!(random.number(), random.number());
}

/// All bytes are filled, in both worlds: a salt with zeros at its end would be a weaker one.
#[test]
fn both_generators_fill_all_bytes() {
    fills(&SystemRandom);
    fills(&SimRandom::new(1));
}

/// The simulated generator repeats itself by seed: a failing seed must fail again.
#[test]
fn a_seed_repeats() {
    let draw =
        |seed| std::array::from_fn::<u64, 8, _>(|_| seed).map(SimRandom::new).map(|random| random.number());
    assert_eq!(draw(3), draw(3));
    assert_ne!(draw(3), draw(4));
}
