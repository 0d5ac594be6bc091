//! Functions and warm-ups of two instances over one Redis: what one has done, the other finds.

use std::future::{Ready, ready as ready_now};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stanchion::Error;
use stanchion::cache::{Cache, Cached, Namespace, Progress, Told, cached};
use stanchion_tests::testbed::{eventually, redis_url};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

use crate::nodes::{node, numbers, prefix, ready};

async fn two() -> Option<[Cache; 2]> {
    let (url, prefix) = (redis_url()?, prefix());
    let nodes = [node(&url, &prefix), node(&url, &prefix)];
    for node in &nodes {
        ready(node).await;
    }
    Some(nodes)
}

/// A function of a node that counts how often it runs.
fn square(
    node: &Cache,
    runs: &Arc<AtomicUsize>,
) -> Cached<u64, u64, impl Fn(u64) -> Ready<Result<u64, Error>> + Send + Sync + use<>> {
    let runs = Arc::clone(runs);
    cached(&numbers(node), move |n: u64| {
        runs.fetch_add(1, Ordering::SeqCst);
        ready_now(Ok(n * n))
    })
}

fn count(runs: &AtomicUsize) -> usize {
    runs.load(Ordering::SeqCst)
}

#[tokio::test]
async fn what_a_function_gave_on_one_node_is_found_on_the_other() {
    let Some([here, there]) = two().await else { return };
    let (my_runs, their_runs) = (Arc::default(), Arc::default());
    let (mine, theirs) = (square(&here, &my_runs), square(&there, &their_runs));
    for n in 0..20 {
        assert_eq!(*mine.call(n).await.unwrap(), n * n);
        assert_eq!(*theirs.call(n).await.unwrap(), n * n);
    }
    assert_eq!((count(&my_runs), count(&their_runs)), (20, 0));

    // An invalidation by the one holds for the other.
    assert_eq!(here.invalidate((0..10).map(|n| mine.target(&n))).await, Told::Everywhere);
    eventually("the other node has heard of all ten", async || {
        for n in 0..10 {
            theirs.call(n).await.unwrap();
        }
        count(&their_runs) == 10
    })
    .await;
    for n in 0..20 {
        assert_eq!(*mine.call(n).await.unwrap(), n * n);
    }
    assert_eq!((count(&my_runs), count(&their_runs)), (20, 10), "nobody runs it again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_runs_once_for_all_who_call_it_on_both_nodes() {
    let Some([here, there]) = two().await else { return };
    let runs = Arc::new(AtomicUsize::new(0));
    let calls = [&here, &there].into_iter().flat_map(|node| {
        let ran = Arc::clone(&runs);
        let slow = cached(&numbers(node), move |n: u64| {
            let ran = Arc::clone(&ran);
            async move {
                ran.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(n + 1)
            }
        });
        (0..50).map(move |_| {
            let slow = slow.clone();
            tokio::spawn(async move { *slow.call(6).await.unwrap() })
        })
    });
    for call in futures::future::join_all(calls).await {
        assert_eq!(call.unwrap(), 7);
    }
    assert_eq!(count(&runs), 1);
}

/// Loads keys that are numbers, and counts it.
async fn warm(numbers: &Namespace<u64>, keys: std::ops::Range<u64>, loads: &Arc<AtomicUsize>) -> Progress {
    let loads = Arc::clone(loads);
    let load = move |key: String| {
        loads.fetch_add(1, Ordering::SeqCst);
        async move { Ok(key.parse().unwrap()) }
    };
    let mut told = Vec::new();
    let end = numbers.warm_up(keys.map(|n| n.to_string()), 8, load, |progress| told.push(progress)).await;
    let steps = told.iter().map(|progress| (progress.loaded + progress.failed, progress.total));
    assert!(steps.eq((1..=end.total).map(|step| (step, end.total))), "each key is told of, one after the other");
    assert_eq!(told.iter().filter(|progress| progress.is_done()).count(), 1);
    end
}

#[tokio::test]
async fn what_one_node_has_warmed_up_the_other_finds() {
    let Some([here, there]) = two().await else { return };
    let (mine, theirs) = (Arc::default(), Arc::default());
    let end = warm(&numbers(&here), 0..50, &mine).await;
    assert_eq!((end.total, end.loaded, end.failed, count(&mine)), (50, 50, 0, 50));
    // Half of it is there already.
    let end = warm(&numbers(&there), 25..75, &theirs).await;
    assert_eq!((end.total, end.loaded, end.failed, count(&theirs)), (50, 50, 0, 25));
    for n in 0..75 {
        assert_eq!(numbers(&here).get(n.to_string()).await.unwrap().as_deref(), Some(&n));
    }
    // Warm as it is, it costs no load.
    assert!(warm(&numbers(&here), 0..75, &mine).await.is_done());
    assert_eq!(count(&mine), 50);
}

#[tokio::test]
async fn an_invalidation_of_another_node_during_a_warm_up_is_not_undone() {
    let Some([here, there]) = two().await else { return };
    let (all_begun, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (begun, wait) = (Arc::clone(&all_begun), Arc::clone(&go));
    let load = move |_: String| {
        let (begun, wait) = (Arc::clone(&begun), Arc::clone(&wait));
        async move {
            begun.add_permits(1);
            wait.acquire().await.unwrap().forget();
            Ok(1)
        }
    };
    let warmed = numbers(&here);
    let warm = tokio::spawn(async move { warmed.warm_up((0..10).map(|n| n.to_string()), 10, load, drop).await });
    // All have read what is old before it is invalidated, by the node that does not load it.
    all_begun.acquire_many(10).await.unwrap().forget();
    let targets = (0..5).map(|n| numbers(&there).target(n.to_string()));
    assert_eq!(there.invalidate(targets).await, Told::Everywhere);
    go.add_permits(10);
    let end = timeout(Duration::from_secs(60), warm).await.unwrap().unwrap();
    assert_eq!((end.loaded, end.failed), (10, 0));
    for n in 0..10 {
        let expected = if n < 5 { 2 } else { 1 };
        for node in [&there, &here] {
            let read = numbers(node);
            eventually("both read what is newest", async || {
                *read.get_or_load(n.to_string(), || async { Ok(2) }).await.unwrap() == expected
            })
            .await;
        }
    }
    assert_eq!(numbers(&here).statistics().rejected_stores, 5);
}

#[tokio::test]
async fn a_key_that_cannot_be_warmed_up_keeps_no_other_node_from_loading_it() {
    let Some([here, there]) = two().await else { return };
    let fail = |key: String| async move {
        match key.as_str() {
            "0" => Err(Error::not_found("number", 0)),
            "1" => panic!("a loader that is wrong"),
            _ => Ok(1),
        }
    };
    let end = numbers(&here).warm_up((0..4).map(|n| n.to_string()), 2, fail, drop).await;
    assert_eq!((end.total, end.loaded, end.failed), (4, 2, 2));
    assert!(end.is_done());
    assert_eq!(numbers(&here).statistics().load_errors, 2);
    // Nothing of it is kept, and nobody waits for it.
    let end = numbers(&there).warm_up((0..4).map(|n| n.to_string()), 2, |_| async { Ok(2) }, drop).await;
    assert_eq!((end.loaded, end.failed, numbers(&there).statistics().loads), (4, 0, 2));
    for (n, value) in [(0, 2), (1, 2), (2, 1), (3, 1)] {
        assert_eq!(numbers(&here).get(n.to_string()).await.unwrap().as_deref(), Some(&value), "{n}");
    }
}

#[tokio::test]
async fn a_warm_up_that_is_cancelled_ends_what_it_has_begun_and_begins_no_more() {
    let Some([here, there]) = two().await else { return };
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let loads = Arc::new(AtomicUsize::new(0));
    let (entered, wait, counted) = (Arc::clone(&begun), Arc::clone(&go), Arc::clone(&loads));
    let load = move |_: String| {
        let (entered, wait) = (Arc::clone(&entered), Arc::clone(&wait));
        if counted.fetch_add(1, Ordering::SeqCst) == 2 {
            entered.notify_one();
        }
        async move {
            wait.acquire().await.unwrap().forget();
            Ok(1)
        }
    };
    let values = numbers(&here);
    let keys = (0..20).map(|n| n.to_string());
    let warm = values.warm_up(keys, 3, load, |_| panic!("nothing has come to its end"));
    tokio::select! {
        _ = warm => panic!("it is cancelled before its end"),
        () = begun.notified() => {}
    }
    go.add_permits(100);
    // The three that had begun are kept, for the other node too.
    for n in 0..3 {
        eventually("it is kept", async || numbers(&there).get(n.to_string()).await.unwrap().as_deref() == Some(&1))
            .await;
    }
    for n in 3..20 {
        assert_eq!(numbers(&there).get(n.to_string()).await.unwrap(), None);
    }
    assert_eq!(count(&loads), 3);
    // It can be begun again, and finds what is there.
    let end = warm_rest(&values).await;
    assert_eq!((end.loaded, values.statistics().loads), (20, 20));
}

async fn warm_rest(values: &Namespace<u64>) -> Progress {
    values.warm_up((0..20).map(|n| n.to_string()), 3, |_| async { Ok(1) }, drop).await
}
