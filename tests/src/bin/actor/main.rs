//! What tests start as a process of its own, to pause it and to kill it: `actor ROLE ARGUMENT...`.
//!
//! One program for all of them, since linking each takes as long as linking all. What a role takes and prints is said in
//! its module.

mod claimant;
mod grid;
mod leader;
mod locker;
mod placer;
mod points_mover;
mod shopper;
mod stampede;
mod unpublished;

use std::io::Read as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((role, arguments)) = arguments.split_first() else { anyhow::bail!("usage: actor ROLE ARGUMENT...") };
    match role.as_str() {
        "claimant" => claimant::run(arguments).await,
        "grid" => grid::run(arguments).await,
        "leader" => leader::run(arguments).await,
        "locker" => locker::run(arguments).await,
        "placer" => placer::run(arguments).await,
        "points_mover" => points_mover::run(arguments).await,
        "shopper" => shopper::run(arguments).await,
        "stampede" => stampede::run(arguments).await,
        "unpublished" => unpublished::run(arguments).await,
        other => anyhow::bail!("no role of an actor: {other}"),
    }
}

/// Ends this process when its standard input ends: none outlives the test that started it, however that ends.
fn end_with_standard_input() {
    std::thread::spawn(|| {
        let _ended = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}
