//! A level of the grid has one order, whatever dies: instances, and the Redis of their locks.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;

use stanchion::App;
use stanchion::config::{Config, Database};
use stanchion::domain::trading::OrderFilter;
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::{Redis, Server, TestDatabase, available, eventually};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

on_every_backend! {
    a_level_has_one_order_though_instances_and_redis_are_killed,
}

const LEVELS: usize = 40;
const INSTANCES: usize = 3;
/// Lines of all instances between two faults.
const BETWEEN: usize = 12;
const FAULTS: usize = 8;

/// What the instances have said, all of them.
type Said = Arc<Mutex<Vec<String>>>;

fn start(database: &TestDatabase, redis: &Server, number: usize, said: &Said) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actor"));
    command.arg("placer");
    command.args([format!("node-{number}"), LEVELS.to_string()]);
    command.env("DATABASE_URL", database.url()).env("REDIS_URL", redis.url());
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = Arc::clone(said);
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            said.lock().unwrap().push(line);
        }
    });
    child
}

async fn a_level_has_one_order_though_instances_and_redis_are_killed(database: TestDatabase) {
    // It forgets every lock when it goes down: the worst that a Redis can do.
    let Some(redis) = available(Redis::start_with(&[("appendonly", "no")]).await) else { return };
    let said = Said::default();
    let lines = || said.lock().unwrap().len();
    let done = || said.lock().unwrap().iter().filter(|line| *line == "done").count();
    let mut started = INSTANCES;
    let mut children: Vec<Child> = (0..INSTANCES).map(|number| start(&database, &redis, number, &said)).collect();
    let (mut kills, mut outages) = (0, 0);
    for fault in 0..FAULTS {
        let before = lines();
        eventually("they go on", async || lines() >= before + BETWEEN || done() > 0).await;
        if done() > 0 {
            break;
        }
        if fault % 2 == 0 {
            // Another one starts in its place, from the beginning.
            let victim = fault / 2 % INSTANCES;
            children[victim].kill().await.unwrap();
            children[victim] = start(&database, &redis, started, &said);
            (started, kills) = (started + 1, kills + 1);
        } else {
            redis.kill();
            redis.restart().await.unwrap();
            outages += 1;
        }
    }
    for child in &mut children {
        assert!(child.wait().await.unwrap().success());
    }
    eventually("all have said so", async || done() == INSTANCES).await;

    let app = App::start(Config::new(Database::new(database.url().parse().unwrap()))).await.unwrap();
    let orders = app.trading().orders(&OrderFilter::new().limit(1_000)).await.unwrap().items;
    let mut of_level: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for order in &orders {
        let level = order.price_level.unwrap().to_string().split('.').next().unwrap().parse::<u32>().unwrap() / 10;
        of_level.entry(level).or_default().push(order.client_order_id.to_string());
    }
    let duplicates = orders.len() - of_level.len();
    // Whoever was told of an order finds it: what was acknowledged is there, and it is the level's.
    let said = said.lock().unwrap().clone();
    let told = said.iter().filter_map(|line| line.split_once(' ')).map(|(what, rest)| {
        let (level, id) = rest.split_once(' ').unwrap();
        (what, level.parse::<u32>().unwrap(), id)
    });
    let lost = told.clone().filter(|(_, level, id)| of_level.get(level).is_none_or(|ids| ids[0] != *id)).count();
    let placed = told.filter(|(what, ..)| *what == "placed").count();
    println!(
        "  {LEVELS} levels, {INSTANCES} instances, {kills} killed, {outages} outages of Redis: {} orders, {placed} told to be \
         placed, {duplicates} duplicates, {lost} lost",
        orders.len()
    );
    assert_eq!((of_level.len(), duplicates, lost), (LEVELS, 0, 0));
    assert!(kills > 0 && outages > 0 && placed <= LEVELS);
    app.close().await;
}
