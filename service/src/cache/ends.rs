use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::time::Tick;

/// What is no longer there is looked for when this many wait.
const SWEEP_AT: usize = 1_024;

/// When each entry leaves for good, the next one first.
///
/// moka could be told of these times, but works them out anew at every read, and that costs as much as all else that a
/// hit does beside moka. Here a read has no part in it.
#[derive(Debug)]
pub(super) struct Ends<T>(Mutex<Queue<T>>);

#[derive(Debug)]
struct Queue<T> {
    ends: BinaryHeap<End<T>>,
    sweep_at: usize,
}

#[derive(Debug)]
struct End<T> {
    at: Tick,
    of: Weak<T>,
}

impl<T> Ends<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Queue { ends: BinaryHeap::new(), sweep_at: SWEEP_AT }))
    }

    /// Something ends at this moment, unless it is gone before. No more wait than twice as many as there are.
    pub(super) fn push(&self, at: Tick, of: &Arc<T>) {
        let mut queue = self.lock();
        if queue.ends.len() >= queue.sweep_at {
            queue.ends.retain(|end| end.of.strong_count() > 0);
            queue.sweep_at = (queue.ends.len() * 2).max(SWEEP_AT);
        }
        queue.ends.push(End { at, of: Arc::downgrade(of) });
    }

    /// What has ended by now, `most` of it at most, by `end` as it is now: what ends later than was said waits on.
    pub(super) fn take(&self, now: Tick, most: usize, end: impl Fn(&T) -> Tick) -> Vec<Arc<T>> {
        // Dropped after the lock is: the last handle of something may be among them.
        let (mut ended, mut waiting) = (Vec::new(), Vec::new());
        let mut queue = self.lock();
        for _ in 0..most {
            if queue.ends.peek().is_none_or(|next| now < next.at) {
                break;
            }
            let Some(of) = queue.ends.pop().and_then(|next| next.of.upgrade()) else { continue };
            let at = end(&of);
            if now < at {
                queue.ends.push(End { at, of: Arc::downgrade(&of) });
                waiting.push(of);
            } else {
                ended.push(of);
            }
        }
        ended
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The greatest is the one that ends first.
impl<T> Ord for End<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl<T> PartialOrd for End<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for End<T> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<T> Eq for End<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(ends: &Ends<u64>, at: u64) -> Arc<u64> {
        let of = Arc::new(at);
        ends.push(Tick(at), &of);
        of
    }

    fn taken(ends: &Ends<u64>, now: u64, most: usize) -> Vec<u64> {
        ends.take(Tick(now), most, |at| Tick(*at)).iter().map(|at| **at).collect()
    }

    #[test]
    fn what_has_ended_is_taken_once_and_in_order() {
        let ends = Ends::new();
        let _kept = [30, 10, 40, 20].map(|at| pushed(&ends, at));
        assert!(taken(&ends, 9, 9).is_empty());
        assert_eq!(taken(&ends, 30, 2), [10, 20]);
        assert_eq!(taken(&ends, 30, 2), [30]);
        assert!(taken(&ends, 30, 2).is_empty());
    }

    #[test]
    fn what_ends_later_than_was_said_waits_on() {
        let ends = Ends::new();
        let _kept = pushed(&ends, 10);
        assert!(ends.take(Tick(10), 9, |_| Tick(20)).is_empty());
        assert!(ends.take(Tick(19), 9, |_| Tick(0)).is_empty(), "it is not looked at before then");
        assert_eq!(taken(&ends, 20, 9), [10]);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let ends = Ends::new();
        let _kept: Vec<_> = (0..10).map(|at| pushed(&ends, at)).collect();
        (0..100_000).for_each(|at| drop(pushed(&ends, at)));
        assert!(ends.lock().ends.len() <= SWEEP_AT);
        assert_eq!(taken(&ends, u64::MAX, usize::MAX), (0..10).collect::<Vec<_>>());
    }
}
