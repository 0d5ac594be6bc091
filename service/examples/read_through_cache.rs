//! Rows of one's own table, read through a cache: `cargo run -p stanchion --example read_through_cache`, with `REDIS_URL` set
//! to share what was loaded with other instances.
#![expect(clippy::print_stdout, reason = "what an example prints is its result")]

use std::time::Duration;

use stanchion::cache::{Cache, CacheOptions, NamespaceOptions};
use stanchion::config::Database;
use stanchion::db::{Db, Options};
use stanchion::redis::{self, Redis};
use stanchion::sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, Schema, entity::prelude::*};
use stanchion::{Error, sea_orm};

/// A table of the service's own.
#[expect(unreachable_pub, reason = "SeaORM's macros write their items so")]
mod city {
    use super::sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, DeriveEntityModel, serde::Serialize, serde::Deserialize)]
    #[sea_orm(table_name = "cities")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub name: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let database = Database::new("sqlite::memory:".parse().map_err(Error::other)?);
    let db = Db::connect("cities", &database, Options { create: true }).await?;
    db.writer().execute(&Schema::new(db.backend()).create_table_from_entity(city::Entity)).await?;
    let row = city::ActiveModel { id: Set(1), name: Set("Chengdu".to_owned()) }.insert(db.writer()).await?;
    let url = std::env::var("REDIS_URL").ok().map(|url| url.parse()).transpose().map_err(Error::other)?;
    let redis = url.map(|url| Redis::new(url, redis::Options::default()));
    println!("second level: {}", redis.as_ref().map_or("none", |_| "Redis"));
    let cache = Cache::new(CacheOptions { prefix: "example".to_owned(), ..CacheOptions::default() }, redis)?;
    let cities = cache.namespace::<city::Model>("cities", NamespaceOptions::ttl(Duration::from_secs(60)))?;
    cities.invalidate(row.id.to_string()).await; // what an earlier run has left in Redis

    let read = || {
        let (db, id) = (db.clone(), row.id);
        cities.get_or_load(id.to_string(), move || async move {
            println!("  loaded from the database");
            city::Entity::find_by_id(id).one(db.reader()).await?.ok_or_else(|| Error::not_found("city", id))
        })
    };
    for _ in 0..3 {
        println!("{}", read().await?.name); // loads once
    }
    city::ActiveModel { id: Set(1), name: Set("Kunming".to_owned()) }.update(db.writer()).await?;
    cities.invalidate(row.id.to_string()).await;
    println!("{}", read().await?.name); // never the old one
    cache.close().await;
    Ok(())
}
