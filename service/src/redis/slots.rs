use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use redis::{Cmd, FromRedisValue, Value};

/// A cluster's slots, each served by one shard: a master and its replicas.
const SLOTS: u16 = 16_384;
const WORDS: usize = SLOTS as usize / 64;

/// The slots of a cluster that are not asked for: their shard failed a moment ago. The others are served.
#[derive(Debug)]
pub(super) struct Slots {
    words: [AtomicU64; WORDS],
    down: AtomicU32,
}

impl Default for Slots {
    fn default() -> Self {
        Self { words: [const { AtomicU64::new(0) }; WORDS], down: AtomicU32::new(0) }
    }
}

impl Slots {
    /// How many are down.
    pub(super) fn down(&self) -> u32 {
        self.down.load(Ordering::Acquire)
    }

    pub(super) fn is_down(&self, slot: u16) -> bool {
        self.down() > 0 && self.word(slot).is_some_and(|(word, bit)| word.load(Ordering::Acquire) & bit != 0)
    }

    pub(super) fn set_down(&self, slot: u16) {
        if let Some((word, bit)) = self.word(slot)
            && word.fetch_or(bit, Ordering::AcqRel) & bit == 0
        {
            self.down.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(super) fn set_up(&self, slot: u16) {
        if let Some((word, bit)) = self.word(slot)
            && word.fetch_and(!bit, Ordering::AcqRel) & bit != 0
        {
            self.down.fetch_sub(1, Ordering::AcqRel);
        }
    }

    pub(super) fn set_all_up(&self) {
        (0..SLOTS).for_each(|slot| self.set_up(slot));
    }

    fn word(&self, slot: u16) -> Option<(&AtomicU64, u64)> {
        Some((self.words.get(usize::from(slot) / 64)?, 1 << (slot % 64)))
    }
}

/// The slots that one master serves.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shard {
    /// Where it is, as the cluster tells it.
    master: Value,
    ranges: Vec<(u16, u16)>,
}

impl Shard {
    /// Reads the answer to `CLUSTER SLOTS`: ranges, each with its master first.
    pub(super) fn read(answer: Value) -> Vec<Self> {
        let mut shards: Vec<Self> = Vec::new();
        let Value::Array(ranges) = answer else { return Vec::new() };
        for range in ranges {
            let Value::Array(parts) = range else { continue };
            let mut parts = parts.into_iter();
            let (Some(first), Some(last), Some(master)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let (Ok(first), Ok(last)) = (u16::from_redis_value(first), u16::from_redis_value(last)) else { continue };
            match shards.iter_mut().find(|shard| shard.master == master) {
                Some(shard) => shard.ranges.push((first, last)),
                None => shards.push(Self { master, ranges: vec![(first, last)] }),
            }
        }
        shards
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = u16> {
        self.ranges.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// Some key that it serves; a shard has one slot at least.
    pub(super) fn key(&self) -> Option<String> {
        let keys = (0_u32..1_000_000).map(|number| format!("stanchion-probe-{number}"));
        let serves = |slot: u16| self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&slot));
        keys.into_iter().find(|key| serves(of_key(key.as_bytes())))
    }
}

/// The slot of a command's key; `None` for one without a key, which any node can take.
pub(super) fn of_command(command: &Cmd) -> Option<u16> {
    let mut arguments = command.args_iter().map(|argument| match argument {
        redis::Arg::Simple(bytes) => Some(bytes),
        _ => None,
    });
    let key = match arguments.next()?? {
        b"EVAL" | b"EVALSHA" => match arguments.nth(1)?? {
            b"0" => return None,
            _ => arguments.next()??,
        },
        b"PING" | b"PUBLISH" | b"INFO" | b"TIME" | b"CLUSTER" | b"CONFIG" | b"SCRIPT" | b"CLIENT" | b"DBSIZE"
        | b"FLUSHALL" | b"FLUSHDB" => return None,
        _ => arguments.next()??,
    };
    Some(of_key(key))
}

/// <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model>
pub(super) fn of_key(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|byte| *byte == b'}').filter(|close| *close > 0)?;
        rest.get(..close)
    });
    let crc = tag.unwrap_or(key).iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_slot_that_the_specification_gives_it() {
        assert_eq!(of_key(b"123456789"), 0x31C3);
        assert_eq!(of_key(b"{user1000}.following"), of_key(b"{user1000}.followers"));
        assert_eq!(of_key(b"foo{{bar}}zap"), of_key(b"{bar"));
        assert_ne!(of_key(b"foo{}{bar}"), of_key(b"bar"), "an empty tag is none");
    }

    #[test]
    fn a_command_goes_to_the_slot_of_its_key() {
        let slot = Some(of_key(b"k"));
        assert_eq!(of_command(redis::cmd("GET").arg("k")), slot);
        assert_eq!(of_command(redis::cmd("EVALSHA").arg("digest").arg(1).arg("k").arg("x")), slot);
        assert_eq!(of_command(redis::cmd("EVALSHA").arg("digest").arg(0).arg("x")), None);
        assert_eq!(of_command(redis::cmd("PUBLISH").arg("k").arg("x")), None);
    }

    #[test]
    fn a_slot_goes_down_and_up_alone() {
        let slots = Slots::default();
        slots.set_down(100);
        slots.set_down(100);
        assert!(slots.is_down(100) && !slots.is_down(101));
        assert_eq!(slots.down(), 1);
        slots.set_up(101);
        slots.set_all_up();
        assert_eq!((slots.down(), slots.is_down(100)), (0, false));
    }

    #[test]
    fn a_shard_names_a_key_of_its_own() {
        let shard = Shard { master: Value::Nil, ranges: vec![(0, 5), (16_000, 16_383)] };
        let slot = of_key(shard.key().unwrap().as_bytes());
        assert!(shard.slots().any(|own| own == slot));
    }
}
