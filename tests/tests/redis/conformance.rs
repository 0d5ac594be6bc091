//! What every topology does alike.

use std::time::Duration;

use stanchion::redis::{Event, Redis, Script};
use stanchion_tests::testbed::eventually;

use crate::places::{key, next};

macro_rules! on_every_topology {
    ($($claim:ident),+ $(,)?) => {
        on_every_topology!(@one single $($claim)+);
        on_every_topology!(@one sentinel $($claim)+);
        on_every_topology!(@one cluster $($claim)+);
    };
    (@one $topology:ident $($claim:ident)+) => {
        mod $topology {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $claim() {
                    if let Some(redis) = crate::places::$topology().await {
                        super::$claim(redis).await;
                    }
                }
            )+
        }
    };
}

on_every_topology! {
    a_key_is_set_read_and_deleted,
    a_key_goes_when_its_time_is_over,
    a_time_of_nothing_and_a_time_of_centuries_are_both_taken,
    of_many_who_set_an_absent_key_one_does,
    any_text_is_a_key,
    fifty_megabytes_come_back_as_they_went,
    a_script_runs_where_it_is_unknown_and_where_it_is_known,
    a_script_is_run_once_a_call,
    what_is_published_is_heard_in_order,
    a_dropped_call_leaves_the_connection_usable,
}

async fn a_key_is_set_read_and_deleted(redis: Redis) {
    let key = key("value");
    assert_eq!(redis.get(&key).await.unwrap(), None);
    assert!(!redis.exists(&key).await.unwrap());
    redis.set(&key, b"one", None).await.unwrap();
    redis.set(&key, b"\0two\r\n\xff", None).await.unwrap();
    assert_eq!(redis.get(&key).await.unwrap().as_deref(), Some(b"\0two\r\n\xff".as_slice()));
    assert!(redis.exists(&key).await.unwrap());
    assert!(redis.delete(&key).await.unwrap());
    assert!(!redis.delete(&key).await.unwrap());
    redis.set(&key, b"", None).await.unwrap();
    assert_eq!(redis.get(&key).await.unwrap(), Some(Vec::new()), "an empty value is a value");
    redis.ping().await.unwrap();
}

async fn a_key_goes_when_its_time_is_over(redis: Redis) {
    let key = key("short");
    redis.set(&key, b"x", Some(Duration::from_millis(40))).await.unwrap();
    eventually("the key is gone", async || redis.get(&key).await.unwrap().is_none()).await;
    assert!(redis.set_if_absent(&key, b"x", Duration::from_millis(40)).await.unwrap());
    eventually("the key is gone again", async || !redis.exists(&key).await.unwrap()).await;
}

async fn a_time_of_nothing_and_a_time_of_centuries_are_both_taken(redis: Redis) {
    let key = key("ttl");
    redis.set(&key, b"x", Some(Duration::ZERO)).await.unwrap();
    eventually("the shortest time is over", async || !redis.exists(&key).await.unwrap()).await;
    let century = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    for ttl in [century, Duration::MAX] {
        redis.set(&key, b"x", Some(ttl)).await.unwrap();
        assert!(redis.exists(&key).await.unwrap());
    }
    redis.delete(&key).await.unwrap();
    assert!(redis.set_if_absent(&key, b"x", Duration::MAX).await.unwrap());
}

async fn of_many_who_set_an_absent_key_one_does(redis: Redis) {
    let key = key("absent");
    let contenders = (0..100_u8).map(|number| {
        let (redis, key) = (redis.clone(), key.clone());
        async move { redis.set_if_absent(&key, &[number], Duration::from_secs(60)).await.unwrap().then_some(number) }
    });
    let winners: Vec<u8> = futures::future::join_all(contenders).await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(redis.get(&key).await.unwrap(), Some(winners));
}

async fn any_text_is_a_key(redis: Redis) {
    let long = "k".repeat(10_000);
    let keys = ["", " ", "a b\tc", ":::a:", "{tag}", "{}", "}{", "\r\n", "🦀 é ñ 漢字", "*", "\0", long.as_str()];
    for (i, name) in keys.into_iter().enumerate() {
        let key = if name.is_empty() { String::new() } else { key(name) };
        redis.set(&key, &[u8::try_from(i).unwrap()], None).await.unwrap();
        assert_eq!(redis.get(&key).await.unwrap(), Some(vec![u8::try_from(i).unwrap()]), "{i}");
        assert!(redis.delete(&key).await.unwrap(), "{i}");
    }
}

async fn fifty_megabytes_come_back_as_they_went(redis: Redis) {
    let key = key("big");
    let value: Vec<u8> = (0..50 * 1024 * 1024_u32).map(|i| i.to_le_bytes()[usize::from(i % 3 == 0)]).collect();
    redis.set(&key, &value, Some(Duration::from_secs(60))).await.unwrap();
    assert!(redis.get(&key).await.unwrap() == Some(value), "the value is the same");
    assert!(redis.delete(&key).await.unwrap());
}

async fn a_script_runs_where_it_is_unknown_and_where_it_is_known(redis: Redis) {
    static SCRIPT: Script =
        Script::new("test.join", "return redis.call('GET', KEYS[1]) .. ARGV[1] .. #KEYS .. #ARGV -- known where");
    let key = key("{script}a");
    redis.set(&key, b"v", None).await.unwrap();
    for _ in 0..3 {
        let answer: Vec<u8> = redis.run(&SCRIPT, &[&key, "{script}b"], &[b"\xff", b""]).await.unwrap();
        assert_eq!(answer, b"v\xff22");
    }
    static KEYLESS: Script = Script::new("test.keyless", "return tonumber(ARGV[1]) + 1");
    assert_eq!(redis.run::<u64>(&KEYLESS, &[], &[b"41"]).await.unwrap(), 42);
}

async fn a_script_is_run_once_a_call(redis: Redis) {
    static SCRIPT: Script = Script::new("test.count", "return redis.call('INCR', KEYS[1])");
    let key = key("counter");
    let keys = [key.as_str()];
    let calls = (0..200).map(|_| redis.run::<u64>(&SCRIPT, &keys, &[]));
    let mut counts: Vec<u64> = futures::future::join_all(calls).await.into_iter().map(Result::unwrap).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=200).collect::<Vec<_>>());
}

async fn what_is_published_is_heard_in_order(redis: Redis) {
    let (news, other) = (key("news"), key("other"));
    let mut subscription = redis.subscribe(vec![news.clone(), other.clone()]);
    assert_eq!(next(&mut subscription).await, Event::Listening);
    for i in 0..50_u8 {
        redis.publish(if i % 2 == 0 { &news } else { &other }, &[i]).await.unwrap();
    }
    redis.publish(&key("elsewhere"), b"not for us").await.unwrap();
    let mut heard = [Vec::new(), Vec::new()];
    for _ in 0..50 {
        let Event::Message { channel, payload } = next(&mut subscription).await else { panic!("no message") };
        heard[usize::from(channel != news)].extend(payload);
    }
    // A cluster's nodes pass messages on side by side: each channel has its order only where one node takes them all.
    heard.iter_mut().for_each(|channel| channel.sort_unstable());
    assert_eq!(heard[0], (0..50).step_by(2).collect::<Vec<_>>());
    assert_eq!(heard[1], (1..50).step_by(2).collect::<Vec<_>>());
}

async fn a_dropped_call_leaves_the_connection_usable(redis: Redis) {
    let key = key("dropped");
    redis.set(&key, b"kept", None).await.unwrap();
    let connection = redis.connection();
    for polls in 0..500 {
        let mut call = std::pin::pin!(redis.get(&key));
        for _ in 0..polls % 4 {
            if futures::poll!(call.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(redis.get(&key).await.unwrap().as_deref(), Some(b"kept".as_slice()), "answers go to whom they belong");
    assert_eq!(redis.connection(), connection);
}
