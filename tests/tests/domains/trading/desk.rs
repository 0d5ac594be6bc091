//! The running part of the assignment of symbols: every symbol has one holder that knows it, and a dead one's go to the
//! standby.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Statement};
use stanchion::config::{Config, Database, Domain, TradingRole};
use stanchion::domain::trading::{Desk, Held, NewInstance, NewOrder, check_fence, register};
use stanchion::entity::trading::InstanceRole;
use stanchion::types::Timestamp;
use stanchion::{App, Clock, Error};
use stanchion_tests::testbed::{Backend, Proxy, TestDatabase, eventually};
use stanchion_tests::{HandClock, on_every_backend};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::orders::draft;
use super::patient;

on_every_backend! {
    the_symbols_of_an_instance_that_died_go_to_the_standby_and_back,
    a_desk_that_ends_hands_its_symbols_over_without_waiting_for_their_leases,
    clocks_that_are_set_move_no_symbol,
    what_cannot_be_proved_is_lost_by_its_deadline_and_never_silently_taken_back,
    a_run_that_is_dropped_holds_nothing,
    two_processes_under_one_id_do_not_take_turns,
    many_instances_that_died_long_ago_hide_none_that_lives,
    an_instance_of_another_exchange_serves_none_of_this_one,
    many_symbols_are_held_under_fences_of_their_own,
    a_database_that_hangs_holds_up_no_end,
}

const SYMBOLS: [&str; 4] = ["BTCUSDT", "DOTUSDT", "ETHUSDT", "XRPETH"];
const LEASE: Duration = Duration::from_secs(2);

/// A lease that outlasts what a busy machine may stop for, where none is to end.
fn calm(config: &mut Config) {
    config.trading.lease = LEASE * 3;
}

/// An instance, its clock, and how it is told to end.
struct Instance {
    app: App,
    clock: Arc<HandClock>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), Error>>,
}

impl Instance {
    async fn start(database: &TestDatabase, id: &str, index: u32, configure: impl FnOnce(&mut Config)) -> Self {
        let (app, clock) = app(database, id, index, configure).await;
        let (stop, stopped) = oneshot::channel();
        let desk = app.trading_desk().clone();
        let running = tokio::spawn(async move { desk.run(async { drop(stopped.await) }).await });
        Self { app, clock, stop, running }
    }

    fn desk(&self) -> &Desk {
        self.app.trading_desk()
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap().unwrap();
    }
}

async fn app(
    database: &TestDatabase,
    id: &str,
    index: u32,
    configure: impl FnOnce(&mut Config),
) -> (App, Arc<HandClock>) {
    let mut config = Config::new(Database::new(database.url().parse().unwrap()));
    patient(&mut config);
    config.database.max_open_conns = 8;
    config.instance.id = id.to_owned();
    (config.instance.index, config.instance.total) = (index, 2);
    config.trading.symbols = SYMBOLS.map(str::to_owned).to_vec();
    config.trading.lease = LEASE;
    configure(&mut config);
    let clock = Arc::new(HandClock::at(Timestamp::from_millis(1_772_366_400_000).unwrap()));
    (App::start_with(config, Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap(), clock)
}

fn standby(config: &mut Config) {
    config.trading.role = TradingRole::Standby;
}

/// The same instance as a process of its own.
fn process(database: &TestDatabase, id: &str, index: u32) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actor"));
    command.arg("grid");
    let (index, lease) = (index.to_string(), LEASE.as_millis().to_string());
    command.args([id, &index, "2", "active", &lease, &SYMBOLS.join(",")]).env("DATABASE_URL", database.url());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap()
}

/// What it holds, as soon as it holds all of these.
async fn holds(desk: &Desk, symbols: &[&str]) -> Vec<Held> {
    let mut held = desk.symbols();
    let all = held.wait_for(|held| symbols.iter().all(|symbol| held.contains_key(*symbol)));
    let held = tokio::time::timeout(Duration::from_secs(60), all).await.expect("the symbols are held").unwrap();
    assert_eq!(held.len(), symbols.len(), "{held:?}");
    symbols.iter().map(|symbol| held[*symbol].clone()).collect()
}

/// Who holds a symbol, and under what fence.
async fn holder(app: &App, symbol: &str) -> (String, i64) {
    let rows = app.trading().assignments("binance", &[symbol.parse().unwrap()]).await.unwrap();
    rows.first().map_or_else(Default::default, |row| (row.instance_id.to_string(), row.fence))
}

async fn order(app: &App, held: &Held, id: &str) -> Result<bool, Error> {
    let order = held.order(NewOrder { client_order_id: id.parse().unwrap(), ..draft("", "10") });
    Ok(app.trading().place_order(order).await?.is_new)
}

async fn the_symbols_of_an_instance_that_died_go_to_the_standby_and_back(database: TestDatabase) {
    let mut first = process(&database, "node-0", 0);
    let second = Instance::start(&database, "node-1", 1, calm).await;
    let spare = Instance::start(&database, "spare", 0, standby).await;
    // Share and share alike: 0 has the first and third, 1 the others.
    let others = holds(second.desk(), &["DOTUSDT", "XRPETH"]).await;
    eventually("the process holds its share", async || holder(&spare.app, "ETHUSDT").await.0 == "node-0").await;
    let (_, fence) = holder(&spare.app, "ETHUSDT").await;
    assert!(spare.desk().symbols().borrow().is_empty());

    let died = Instant::now();
    first.kill().await.unwrap();
    let taken = holds(spare.desk(), &["BTCUSDT", "ETHUSDT"]).await;
    println!("  taken over {:?} after the kill, of a lease of {LEASE:?}", died.elapsed());
    assert!(taken[1].fence() > fence && taken[1].is_held());
    assert!(order(&spare.app, &taken[1], "a").await.unwrap());
    // What the dead one still had on its way is refused.
    let late = NewOrder { instance_id: "node-0".parse().unwrap(), fence: Some(fence), ..draft("b", "10") };
    let refused = spare.app.trading().place_order(late).await.unwrap_err();
    assert!(refused.is_conflict() && refused.to_string().contains("held by spare"), "{refused}");

    // It comes back, and so do its symbols.
    let again = Instance::start(&database, "node-0", 0, |_| {}).await;
    let back = holds(again.desk(), &["BTCUSDT", "ETHUSDT"]).await;
    assert!(back[1].fence() > taken[1].fence() && taken.iter().all(|held| held.lost().is_cancelled()));
    assert!(spare.desk().holding("ETHUSDT").is_none() && again.desk().holding("ETHUSDT").is_some());
    assert!(order(&spare.app, &taken[1], "c").await.unwrap_err().is_conflict());
    assert!(order(&again.app, &back[1], "c").await.unwrap());
    // The other one has not noticed any of it.
    assert!(others.iter().all(|held| held.is_held() && held.fence() == 1));
}

async fn a_desk_that_ends_hands_its_symbols_over_without_waiting_for_their_leases(database: TestDatabase) {
    let long = |config: &mut Config| config.trading.lease = Duration::from_secs(3_600);
    let active = Instance::start(&database, "node-0", 0, long).await;
    let held = holds(active.desk(), &["BTCUSDT", "ETHUSDT"]).await;
    let soon = |config: &mut Config| (standby(config), config.trading.lease = LEASE / 4).1;
    let spare = Instance::start(&database, "spare", 0, soon).await;
    active.end().await;
    assert!(held.iter().all(|held| held.lost().is_cancelled() && !held.is_held()));
    let taken = spare.desk().symbols().wait_for(|held| held.contains_key("ETHUSDT")).await.unwrap()["ETHUSDT"].clone();
    assert_eq!(taken.fence(), held[1].fence() + 1);
    spare.end().await;
}

async fn clocks_that_are_set_move_no_symbol(database: TestDatabase) {
    let active = Instance::start(&database, "node-0", 0, calm).await;
    let spare = Instance::start(&database, "spare", 0, |config| (standby(config), calm(config)).1).await;
    let second = Instance::start(&database, "node-1", 1, calm).await;
    let held = holds(active.desk(), &["BTCUSDT", "ETHUSDT"]).await;
    holds(second.desk(), &["DOTUSDT", "XRPETH"]).await;
    let start = active.clock.now();
    let (ahead, behind) =
        (start.plus(Duration::from_secs(600)).unwrap(), start.minus(Duration::from_secs(600)).unwrap());
    for (mine, theirs) in [(start, ahead), (behind, start), (ahead, behind)] {
        active.clock.set(mine);
        spare.clock.set(theirs);
        // Through more than a lease.
        let deadline = held[1].deadline();
        eventually("it is renewed again and again", async || held[1].deadline() > deadline + LEASE * 3).await;
        assert!(held.iter().all(Held::is_held));
        assert!(spare.desk().symbols().borrow().is_empty());
    }
    for instance in [active, second, spare] {
        instance.end().await;
    }
}

async fn what_cannot_be_proved_is_lost_by_its_deadline_and_never_silently_taken_back(database: TestDatabase) {
    let active = Instance::start(&database, "node-0", 0, |config| config.trading.lease = LEASE / 2).await;
    let other = app(&database, "other", 0, |_| {}).await.0;
    let held = holds(active.desk(), &["BTCUSDT", "ETHUSDT"]).await;
    // A transaction that does not end keeps the database from answering.
    let stuck = other.transaction(Domain::Trading, async |tx| {
        for held in &held {
            check_fence(tx, "binance", held.symbol(), "node-0", held.fence()).await?;
        }
        held[1].lost().cancelled().await;
        let late = Instant::now().saturating_duration_since(held[1].deadline());
        println!("  known to be lost {late:?} after its deadline");
        assert!(Instant::now() >= held[1].deadline() && !held[1].is_held());
        assert!(active.desk().holding("ETHUSDT").is_none());
        Ok(())
    });
    stuck.await.unwrap();
    // It is its own again: by another fence, and as another holding.
    let again = holds(active.desk(), &["BTCUSDT", "ETHUSDT"]).await;
    assert!(again[1].fence() > held[1].fence() && again[1].is_held() && !held[1].is_held());
    assert!(order(&active.app, &held[1], "a").await.unwrap_err().is_conflict());
    assert!(order(&active.app, &again[1], "a").await.unwrap());
    active.end().await;
}

async fn a_run_that_is_dropped_holds_nothing(database: TestDatabase) {
    let active = Instance::start(&database, "node-0", 0, |_| {}).await;
    let held = holds(active.desk(), &["BTCUSDT", "ETHUSDT"]).await;
    active.running.abort();
    held[0].lost().cancelled().await;
    eventually("nothing is held", async || active.desk().symbols().borrow().is_empty()).await;
    // The next run takes up what this life of the instance had.
    let again = Instance::start(&database, "node-0", 0, |_| {}).await;
    assert_eq!(holds(again.desk(), &["BTCUSDT", "ETHUSDT"]).await[0].fence(), held[0].fence() + 1);
    let nonsense = app(&database, "node-0", 0, |config| config.trading.exchange = " ".to_owned()).await.0;
    assert!(nonsense.trading_desk().run(std::future::pending()).await.unwrap_err().is_invalid());
}

async fn two_processes_under_one_id_do_not_take_turns(database: TestDatabase) {
    let first = Instance::start(&database, "node-0", 0, calm).await;
    let held = holds(first.desk(), &["BTCUSDT", "ETHUSDT"]).await;
    let second = Instance::start(&database, "node-0", 0, calm).await;
    let taken = holds(second.desk(), &["BTCUSDT", "ETHUSDT"]).await;
    held[0].lost().cancelled().await;
    let deadline = taken[0].deadline();
    eventually("the second is left alone", async || taken[0].deadline() > deadline + LEASE * 3).await;
    assert!(taken.iter().all(Held::is_held) && first.desk().symbols().borrow().is_empty());
    second.end().await;
    holds(first.desk(), &["BTCUSDT", "ETHUSDT"]).await;
    first.end().await;
}

async fn many_instances_that_died_long_ago_hide_none_that_lives(database: TestDatabase) {
    // As pods leave them behind, whose names never come again.
    let (left, _) = app(&database, "left", 0, |_| {}).await;
    left.transaction(Domain::Trading, async |tx| {
        for number in 0..1_001 {
            let instance = NewInstance {
                id: format!("gone-{number}").parse().unwrap(),
                exchange: "binance".parse().unwrap(),
                slot: 0,
                slots: 2,
                role: InstanceRole::Active,
                address: "10.0.0.1:9000".parse().unwrap(),
            };
            register(tx, instance, Timestamp::from_millis(1_772_300_000_000).unwrap()).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
    let spare = Instance::start(&database, "spare", 0, standby).await;
    holds(spare.desk(), &SYMBOLS).await;
    let second = Instance::start(&database, "node-1", 1, |_| {}).await;
    holds(second.desk(), &["DOTUSDT", "XRPETH"]).await;
    assert!(spare.desk().holding("XRPETH").is_none() && spare.desk().holding("ETHUSDT").is_some());
    for instance in [second, spare] {
        instance.end().await;
    }
}

async fn an_instance_of_another_exchange_serves_none_of_this_one(database: TestDatabase) {
    let elsewhere = |config: &mut Config| config.trading.exchange = "okx".to_owned();
    let other = Instance::start(&database, "okx-0", 0, elsewhere).await;
    holds(other.desk(), &["BTCUSDT", "ETHUSDT"]).await;
    let spare = Instance::start(&database, "spare", 0, standby).await;
    holds(spare.desk(), &SYMBOLS).await;
    let row = other.app.trading().instance("okx-0").await.unwrap();
    assert_eq!(row.exchange.as_deref(), Some("okx"));
    // One that an earlier version has registered, which did not say where it trades, may be of this exchange.
    let forgotten = "UPDATE instances SET exchange = NULL WHERE id = 'okx-0'";
    other.app.db(Domain::Trading).writer().execute_unprepared(forgotten).await.unwrap();
    let given_back = async || spare.desk().symbols().borrow().keys().eq(["DOTUSDT", "XRPETH"]);
    eventually("its slot counts as served", given_back).await;
    for instance in [other, spare] {
        instance.end().await;
    }
}

async fn many_symbols_are_held_under_fences_of_their_own(database: TestDatabase) {
    let symbols: Vec<String> = (1..=1_200).map(|number| format!("S{number:04}")).collect();
    let names: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let many = |config: &mut Config| {
        config.instance.total = 1;
        config.trading.symbols.clone_from(&symbols);
        config.trading.lease = LEASE * 10;
    };
    let first = Instance::start(&database, "node-0", 0, many).await;
    holds(first.desk(), &names).await;
    let db = first.app.db(Domain::Trading).clone();
    first.running.abort();
    // No two have had as many holders.
    let number = if database.backend() == Backend::MariaDb { "signed" } else { "bigint" };
    let sql = format!("UPDATE symbol_assignments SET fence = fence + CAST(substr(symbol, 2) AS {number})");
    db.writer().execute_unprepared(&sql).await.unwrap();
    let again = Instance::start(&database, "node-0", 0, many).await;
    let held = holds(again.desk(), &names).await;
    assert!(held.iter().zip(3..).all(|(held, fence)| held.fence() == fence));
    let deadlines: Vec<Instant> = held.iter().map(Held::deadline).collect();
    eventually("all are renewed", async || {
        held.iter().zip(&deadlines).all(|(held, deadline)| held.deadline() > *deadline)
    })
    .await;
    again.end().await;
    let free = db.reader().query_one_raw(Statement::from_string(
        db.backend(),
        "SELECT count(*) FROM symbol_assignments WHERE expires_at <= updated_at",
    ));
    assert_eq!(free.await.unwrap().unwrap().try_get_by_index::<i64>(0).unwrap(), 1_200, "all are given back");
}

async fn a_database_that_hangs_holds_up_no_end(database: TestDatabase) {
    if database.backend() == Backend::Sqlite {
        // There is no wire to it.
        return;
    }
    let port = url::Url::parse(database.url()).unwrap().port().unwrap();
    let proxy = Proxy::to(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.unwrap();
    let url = proxy.url(database.url()).unwrap();
    let slow = |config: &mut Config| {
        config.database.url = url.parse().unwrap();
        config.trading.lease = LEASE * 30;
    };
    let active = Instance::start(&database, "node-0", 0, slow).await;
    let held = holds(active.desk(), &["BTCUSDT", "ETHUSDT"]).await;
    proxy.stall();
    let pool = active.app.db(Domain::Trading).writer();
    eventually("it is in the middle of a round", async || {
        let (open, idle) = pool.size();
        usize::try_from(open).unwrap() > idle
    })
    .await;
    let ended = tokio::time::timeout(LEASE * 30, active.end());
    ended.await.expect("it ends well before its lease");
    assert!(held.iter().all(|held| held.lost().is_cancelled()));
}
