use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::{Problem, Timestamp, ValueError};

/// A half-open range of time: `from <= t < to`; an end that is `None` is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// The first instant inside.
    pub from: Option<Timestamp>,
    /// The first instant after the range.
    pub to: Option<Timestamp>,
}

/// A new id: a version 7 UUID ([RFC 9562](https://www.rfc-editor.org/rfc/rfc9562#section-5.7)) of now.
///
/// Ids of one process ascend, also within a millisecond.
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// A new id whose time is `at`, to the millisecond; its other bits are random.
///
/// # Errors
/// [`Problem::BeforeEpoch`].
pub fn id_at(at: Timestamp) -> Result<Uuid, ValueError> {
    let random = Uuid::new_v4().into_bytes();
    with_tail(at, &random[6..])
}

/// The id of something that has a natural key: its time is `at`, its 74 free bits a hash of `key`.
///
/// The same instant and key always give the same id, so that a primary key makes saving idempotent without a second
/// index. The parts of the key are hashed with their lengths: `["ab", "c"]` and `["a", "bc"]` differ. Two different keys
/// of the same millisecond collide with a probability of 2^-74.
///
/// # Errors
/// [`Problem::BeforeEpoch`].
pub fn id_for(at: Timestamp, key: &[&str]) -> Result<Uuid, ValueError> {
    let mut hash = Sha256::new();
    for part in key {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    with_tail(at, &hash.finalize()[..10])
}

/// The time that a version 7 UUID carries, to the millisecond. `None` for other versions.
pub fn id_time(id: Uuid) -> Option<Timestamp> {
    if id.get_version_num() != 7 {
        return None;
    }
    let millis = id.as_u128() >> 80;
    i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millis(millis).ok())
}

/// The ids of a range of time: `low <= id < high` holds for the ids made in it, to the millisecond.
///
/// `None` is an open end. A range that ends inside a millisecond takes that whole millisecond in, so these bounds prune
/// (an index, a partition) and the time column decides.
pub fn id_bounds(range: TimeRange) -> (Option<Uuid>, Option<Uuid>) {
    let low = range.from.map(|from| lowest_id(from.millis()));
    let high = range.to.map(|to| lowest_id(if to.micros() % 1_000 == 0 { to.millis() } else { to.millis() + 1 }));
    (low, high)
}

/// The lowest id of a millisecond since the epoch; instants before 1970 have none below the first.
pub fn lowest_id(millis: i64) -> Uuid {
    Uuid::from_u128(u128::try_from(millis).unwrap_or(0) << 80)
}

fn with_tail(at: Timestamp, tail: &[u8]) -> Result<Uuid, ValueError> {
    let millis = u64::try_from(at.millis()).map_err(|_| ValueError::new(Problem::BeforeEpoch))?;
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&tail[..10]);
    Ok(Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_gives_the_same_id_and_its_time() {
        let at = Timestamp::from_millis(1_570_752_011_620).unwrap();
        let id = id_for(at, &["binance", "XRPETH", "13519807"]).unwrap();
        assert_eq!(id, id_for(at, &["binance", "XRPETH", "13519807"]).unwrap());
        assert_ne!(id, id_for(at, &["binance", "XRPETH1", "3519807"]).unwrap());
        assert_eq!(id_time(id), Some(at));
        assert_eq!(id.get_version_num(), 7);
    }

    #[test]
    fn bounds_take_in_the_ids_of_their_range_and_no_others() {
        let at = |millis| Timestamp::from_millis(millis).unwrap();
        let (low, high) = id_bounds(TimeRange { from: Some(at(1_000)), to: Some(at(2_000)) });
        let inside = |id: Uuid| low.is_some_and(|low| id >= low) && high.is_some_and(|high| id < high);
        for _ in 0..100 {
            assert!(inside(id_at(at(1_000)).unwrap()) && inside(id_at(at(1_999)).unwrap()));
            assert!(!inside(id_at(at(999)).unwrap()) && !inside(id_at(at(2_000)).unwrap()));
        }
    }

    #[test]
    fn an_instant_before_1970_has_no_id() {
        let before = Timestamp::from_millis(-1).unwrap();
        assert_eq!(id_at(before).unwrap_err().problem(), &Problem::BeforeEpoch);
    }
}
