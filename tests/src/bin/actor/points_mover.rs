//! `actor points_mover URL USER...`: moves points among users, four movements at a time, until it is killed.
//!
//! The key of every movement that was acknowledged is a line on standard output. It ends by itself when its standard input
//! does, so that none outlives the test that started it.

use std::io::Read;

use stanchion::App;
use stanchion::config::{Config, Database};
use stanchion::domain::mall::PointsMove;
use stanchion::types::{Money, new_id};
use uuid::Uuid;

pub(super) async fn run(arguments: &[String]) -> anyhow::Result<()> {
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        // However it ends, there is nobody left to work for.
        let _ended = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(0);
    });
    let [url, users @ ..] = arguments else { anyhow::bail!("points_mover URL USER USER...") };
    let users = users.iter().map(|user| user.parse()).collect::<Result<Vec<Uuid>, _>>()?;
    anyhow::ensure!(users.len() > 1, "points_mover URL USER USER...");

    let app = App::start(Config::new(Database::new(url.parse()?))).await?;
    let movers = (0..4).map(|_| tokio::spawn(move_for_ever(app.clone(), users.clone())));
    for mover in movers.collect::<Vec<_>>() {
        mover.await??;
    }
    Ok(())
}

async fn move_for_ever(app: App, users: Vec<Uuid>) -> anyhow::Result<()> {
    loop {
        let dice = Uuid::new_v4().as_u128();
        let payer = (dice % users.len() as u128) as usize;
        let payee = (payer + 1 + (dice >> 16) as usize % (users.len() - 1)) % users.len();
        let amount: Money = format!("{}.{:04}", (dice >> 32) % 40, (dice >> 48) % 9_999 + 1).parse()?;
        let key = format!("move-{}", new_id());
        let wanted = PointsMove::transfer(users[payer], users[payee], amount, key.parse()?);
        match app.mall().move_points(&wanted).await {
            Ok(_) => println!("{key}"),
            // There are too few points; the next one goes the other way.
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
}
