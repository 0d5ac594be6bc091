use std::process::Stdio;

use stanchion::domain::mall::PointsMove;
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::TestDatabase;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use uuid::Uuid;

use super::{key, money, nothing_is_lost, patient, users_with};

on_every_backend! {
    a_process_that_is_killed_while_it_moves_points_loses_none,
}

const KILLS: usize = 5;

async fn a_process_that_is_killed_while_it_moves_points_loses_none(database: TestDatabase) {
    let stage = patient(database).await;
    let users = users_with(&stage.app, 4, "100").await;
    for kill in 0..KILLS {
        let mut child = Command::new(env!("CARGO_BIN_EXE_actor"))
            .arg("points_mover")
            .arg(stage.database.url())
            .args(users.iter().map(Uuid::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut acknowledged = Vec::new();
        // After some movement or other, wherever the four that run at that moment are.
        let last = 1 + Uuid::new_v4().as_u128() % 40;
        loop {
            let mut line = String::new();
            // What was cut off by the kill was not said.
            if output.read_line(&mut line).await.unwrap() == 0 || !line.ends_with('\n') {
                break;
            }
            acknowledged.push(line.trim().to_owned());
            if acknowledged.len() as u128 == last {
                child.start_kill().unwrap();
            }
        }
        assert!(!child.wait().await.unwrap().success());
        assert!(acknowledged.len() as u128 >= last, "it ended by itself");
        nothing_is_lost(&stage, &format!("{}", 400 + kill * 4)).await;
        for text in acknowledged {
            let made = stage.app.mall().points_movement(&key(text)).await.unwrap();
            assert!(made.is_some_and(|made| made.debit.is_some() && made.credit.is_some()));
        }
        // No lock of the dead is left.
        for user in &users {
            let recharge = PointsMove::recharge(*user, money("1"), key(format!("{kill}-{user}")));
            stage.app.mall().move_points(&recharge).await.unwrap();
        }
    }
}
