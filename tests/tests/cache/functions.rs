//! Functions whose results are kept, and values that are loaded before anybody asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stanchion::Error;
use stanchion::cache::{Progress, cached};
use tokio::sync::Barrier;
use tokio::time::timeout;

use crate::nodes::{alone, numbers};

#[tokio::test]
async fn a_cached_function_runs_once_for_each_argument() {
    let (cache, runs) = (alone(), Arc::new(AtomicUsize::new(0)));
    let ran = Arc::clone(&runs);
    let square = cached(&numbers(&cache), move |n: u64| {
        ran.fetch_add(1, Ordering::SeqCst);
        async move { Ok(n * n) }
    });
    for n in [12, 13, 12, 13, 12] {
        assert_eq!(*square.call(n).await.unwrap(), n * n);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    // Its clone is the same, and one result goes alone.
    square.clone().invalidate(&12).await;
    square.call(12).await.unwrap();
    square.call(13).await.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    cache.invalidate([square.target(&13)]).await;
    square.call(13).await.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_cached_function_that_fails_runs_again() {
    let (cache, runs) = (alone(), Arc::new(AtomicUsize::new(0)));
    let ran = Arc::clone(&runs);
    let second = cached(&numbers(&cache), move |n: u64| {
        let run = ran.fetch_add(1, Ordering::SeqCst);
        async move { if run == 0 { Err(Error::not_found("number", n)) } else { Ok(n) } }
    });
    assert!(second.call(7).await.unwrap_err().is_not_found());
    assert_eq!(*second.call(7).await.unwrap(), 7);
    assert_eq!(*second.call(7).await.unwrap(), 7);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn warming_up_loads_what_is_not_there_and_counts_what_fails() {
    let cache = alone();
    let numbers = numbers(&cache);
    numbers.get_or_load("3", || async { Ok(300) }).await.unwrap();
    let mut told = Vec::new();
    let load = |key: String| async move {
        let number: u64 = key.parse().unwrap();
        if number == 5 { Err(Error::not_found("number", number)) } else { Ok(number) }
    };
    let end = numbers.warm_up((0..10).map(|n| n.to_string()), 4, load, |progress| told.push(progress)).await;
    assert_eq!((end.total, end.loaded, end.failed), (10, 9, 1));
    assert!(end.is_done());
    assert_eq!((told.len(), told.last()), (10, Some(&end)));
    assert!(told[..9].iter().all(|progress| !progress.is_done()));
    for n in 0..10_u64 {
        let kept = numbers.get(n.to_string()).await.unwrap().map(|value| *value);
        // What was there is not loaded.
        let expected = match n {
            3 => Some(300),
            5 => None,
            _ => Some(n),
        };
        assert_eq!(kept, expected, "{n}");
    }
    let nothing = numbers.warm_up(Vec::<String>::new(), 4, load, |_| panic!("there is nothing to tell")).await;
    assert_eq!(nothing, Progress::default());
}

#[tokio::test]
async fn warming_up_loads_so_many_at_a_time_and_no_more() {
    const AT_ONCE: usize = 3;
    let cache = alone();
    // So many loads meet before any of them ends, or none ever does.
    let (all_here, now, most) = (Arc::new(Barrier::new(AT_ONCE)), Arc::new(AtomicUsize::new(0)), Arc::default());
    let (running, peak) = (Arc::clone(&now), Arc::clone(&most));
    let load = move |_: String| {
        let (all_here, running, peak): (_, _, Arc<AtomicUsize>) =
            (Arc::clone(&all_here), Arc::clone(&running), Arc::clone(&peak));
        async move {
            peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            all_here.wait().await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(1)
        }
    };
    let keys = (0..4 * AT_ONCE).map(|n| n.to_string());
    let numbers = numbers(&cache);
    let warm = numbers.warm_up(keys, AT_ONCE, load, drop);
    let end = timeout(Duration::from_secs(20), warm).await.expect("fewer loads run at a time than may");
    assert_eq!((end.loaded, end.failed), (4 * AT_ONCE, 0));
    assert_eq!((now.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (0, AT_ONCE));
}
