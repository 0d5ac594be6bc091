//! What a node hears is not what it should have heard: numbers that are missing, begin anew or make no sense, messages that
//! nobody can read, a subscription that is cut. It drops its first level rather than to trust it.
//!
//! The nodes here ask for the last number once in twenty minutes: what they notice they have heard.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use stanchion::cache::{Cache, Namespace, Told};
use stanchion_tests::testbed::{Redis, Server, available, eventually};
use tokio::time::sleep;

use crate::nodes::{link, node, node_that_trusts, numbers, prefix, ready};

const HOUR: Duration = Duration::from_secs(60 * 60);
const SHORT: Duration = Duration::from_millis(100);

/// A node that reads, one that writes, and the server between them.
struct Wire {
    _server: Server,
    prefix: String,
    url: String,
    link: MultiplexedConnection,
    reader: Cache,
    writer: Cache,
}

impl Wire {
    async fn new(max_staleness: Duration) -> Option<Self> {
        let server = available(Redis::start().await)?;
        let (prefix, url) = (prefix(), server.url().to_owned());
        let reader = node_that_trusts(&url, &prefix, max_staleness);
        let writer = node_that_trusts(&url, &prefix, max_staleness);
        ready(&reader).await;
        ready(&writer).await;
        let link = link(&url).await;
        let wire = Self { _server: server, prefix, url, link, reader, writer };
        wire.is_heard().await;
        Some(wire)
    }

    /// Waits until the reader hears what the writer says, one message after the other.
    async fn is_heard(&self) {
        let (reader, writer) = (numbers(&self.reader), numbers(&self.writer));
        for value in 1..4 {
            read(&reader, "heard", 0).await;
            writer.invalidate("heard").await;
            eventually("the reader hears the writer", async || read(&reader, "heard", value).await == value).await;
        }
    }

    fn sequence(&self) -> String {
        format!("{}:{{backplane}}:seq", self.prefix)
    }

    async fn last(&mut self) -> u64 {
        let key = self.sequence();
        redis::cmd("GET").arg(key).query_async(&mut self.link).await.unwrap()
    }

    /// Invalidates as an instance does whose announcement is lost on its way.
    async fn invalidate_unheard(&mut self, key: &str) {
        let keys = ["v", "g", "l"].map(|part| format!("{}:{{numbers:{key}}}:{part}", self.prefix));
        redis::cmd("DEL").arg(&keys).query_async::<()>(&mut self.link).await.unwrap();
        redis::cmd("INCR").arg(self.sequence()).query_async::<()>(&mut self.link).await.unwrap();
    }

    async fn say(&mut self, text: &str) {
        let channel = format!("{}:backplane", self.prefix);
        let heard: u64 = redis::cmd("PUBLISH").arg(channel).arg(text).query_async(&mut self.link).await.unwrap();
        assert_eq!(heard, 2, "both nodes hear it");
    }

    /// The reader holds a value that is invalidated without its hearing of it; `then` happens, and it reads what is newest.
    async fn notices(&mut self, what: &str, then: impl AsyncFnOnce(&mut Self)) {
        let reader = numbers(&self.reader);
        let mut before = reader.statistics();
        // A proof that was asked for a moment ago may come in between.
        eventually("it cannot know", async || {
            reader.invalidate("key").await;
            assert_eq!((read(&reader, "key", 1).await, read(&reader, "other", 1).await), (1, 1));
            before = reader.statistics();
            self.invalidate_unheard("key").await;
            read(&reader, "key", 2).await == 1
        })
        .await;
        then(self).await;
        eventually(what, async || read(&reader, "key", 2).await == 2).await;
        // All was dropped, and what is still good was read from Redis again.
        assert_eq!(read(&reader, "other", 2).await, 1, "{what}");
        let after = reader.statistics();
        assert_eq!((after.loads - before.loads, after.l2_hits - before.l2_hits), (1, 1), "{what}: {after:?}");
        self.is_heard().await;
    }
}

async fn read(numbers: &Namespace<u64>, key: &str, value: u64) -> u64 {
    *numbers.get_or_load(key, move || async move { Ok(value) }).await.unwrap()
}

fn message(number: impl std::fmt::Display) -> String {
    format!("{number}|{{\"origin\":1,\"targets\":[]}}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_number_empties_the_first_level() {
    let Some(mut wire) = Wire::new(HOUR).await else { return };
    wire.notices("the next instance's message shows that one is missing", async |wire| {
        assert_eq!(numbers(&wire.writer).invalidate("third").await, Told::Everywhere);
    })
    .await;
    wire.notices("somebody else's number is further on", async |wire| {
        let number = wire.last().await + 10;
        wire.say(&message(number)).await;
    })
    .await;
    for number in [u64::MAX, u64::MAX - 1, 1 << 63] {
        wire.notices("a number that is as high as any", async |wire| wire.say(&message(number)).await).await;
    }
    wire.notices("a full server has no number", async |wire| wire.say(&message(0)).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_read_empties_the_first_level() {
    let Some(mut wire) = Wire::new(HOUR).await else { return };
    let number = wire.last().await;
    let texts = [
        String::new(),
        "|".to_owned(),
        "hello".to_owned(),
        number.to_string(),
        format!("{}|", number + 1),
        format!("-1|{}", message(1)),
        message("18446744073709551616"),
        format!("{}|{{\"origin\":1,\"targets\":[{{\"planet\":\"mars\"}}]}}", number + 1),
        format!("{}|\u{0}", number + 1),
        "x".repeat(1 << 20),
    ];
    for text in texts {
        wire.notices("nobody can read it", async |wire| wire.say(&text).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_is_killed_empties_the_first_level() {
    let Some(mut wire) = Wire::new(HOUR).await else { return };
    for _ in 0..3 {
        wire.notices("the subscription was killed", async |wire| {
            let mut kill = redis::cmd("CLIENT");
            let killed: u64 = kill.arg("KILL").arg("TYPE").arg("pubsub").query_async(&mut wire.link).await.unwrap();
            assert!(killed > 0);
        })
        .await;
    }
}

/// What tampers with the last number is noticed when it is asked for, whatever stands there then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_was_tampered_with_is_noticed_when_it_is_asked_for() {
    type Tamper = fn(&str, u64) -> Vec<redis::Cmd>;
    let ways: [(&str, Tamper); 10] = [
        ("deleted", |key, _| vec![redis::cmd("DEL").arg(key).clone()]),
        ("of another type", |key, _| {
            vec![redis::cmd("DEL").arg(key).clone(), redis::cmd("LPUSH").arg(key).arg("x").clone()]
        }),
        ("went back", |key, last| vec![redis::cmd("SET").arg(key).arg(last - 3).clone()]),
        ("began anew", |key, _| vec![redis::cmd("SET").arg(key).arg(1).clone()]),
        ("jumped", |key, last| vec![redis::cmd("SET").arg(key).arg(last + 1_000).clone()]),
        ("zero", |key, _| vec![redis::cmd("SET").arg(key).arg(0).clone()]),
        ("negative", |key, _| vec![redis::cmd("SET").arg(key).arg(-5).clone()]),
        ("no number", |key, _| vec![redis::cmd("SET").arg(key).arg("hello").clone()]),
        ("empty", |key, _| vec![redis::cmd("SET").arg(key).arg("").clone()]),
        ("the highest", |key, _| vec![redis::cmd("SET").arg(key).arg(i64::MAX).clone()]),
    ];
    let Some(mut wire) = Wire::new(SHORT).await else { return };
    for (what, tamper) in ways {
        let reader = numbers(&wire.reader);
        reader.invalidate("key").await;
        read(&reader, "key", 1).await;
        wire.invalidate_unheard("key").await;
        let last = wire.last().await;
        for command in tamper(&wire.sequence(), last) {
            command.query_async::<redis::Value>(&mut wire.link).await.unwrap();
        }
        eventually(what, async || read(&reader, "key", 2).await == 2).await;
        // It does not stay without a number: whoever comes now can use Redis, and all hear one another.
        let late = node(&wire.url, &wire.prefix);
        ready(&late).await;
        assert_eq!(numbers(&late).get("key").await.unwrap().as_deref(), Some(&2), "{what}");
        wire.is_heard().await;
        // The first level is trusted again: an entry outlives the time for which it is good by itself.
        eventually("the first level is trusted", async || {
            read(&reader, "key", 3).await;
            let (read_anew, since) = (reader.statistics().l2_hits, Instant::now());
            while since.elapsed() < 2 * SHORT {
                read(&reader, "key", 3).await;
                sleep(SHORT / 20).await;
            }
            reader.statistics().l2_hits == read_anew
        })
        .await;
    }
}
