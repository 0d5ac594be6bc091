//! The audit chain: one, however many append, and what is done to it is found.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::json;
use stanchion::config::Domain;
use stanchion::domain::journal::{self, AuditFilter, AuditHead, ChainFault, NewAudit};
use stanchion::entity::journal::{audit_entry, audit_head};
use stanchion::sea_orm::sea_query::Expr;
use stanchion::sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, Value};
use stanchion::types::{Json, Timestamp};
use stanchion::{App, Error};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::HOUR;

on_every_backend! {
    what_is_appended_verifies_with_every_kind_of_value,
    appenders_of_several_instances_make_one_chain,
    what_is_rolled_back_is_not_in_the_chain,
    a_changed_value_is_found_whichever_it_is,
    a_removed_an_exchanged_and_an_added_entry_are_found,
    the_removal_of_the_last_entries_is_found,
    a_known_head_is_where_verifying_begins,
    entries_are_found_by_who_did_what_to_what_and_when,
    bad_entries_are_refused,
    round_trips_are_as_documented,
}

fn audit(at: Timestamp, number: u64) -> NewAudit {
    NewAudit {
        actor_id: Some(Uuid::from_u128(u128::from(number % 3))),
        action: "refund".parse().unwrap(),
        resource: "order".parse().unwrap(),
        resource_id: Some(format!("ZX{number}").parse().unwrap()),
        granted: true,
        before: Some(Json::try_from(json!({"status": "paid", "n": number})).unwrap()),
        after: Some(Json::try_from(json!({"status": "refunded"})).unwrap()),
        ip: Some("2001:db8::1".parse().unwrap()),
        occurred_at: at,
    }
}

/// A stage with a chain of so many entries.
async fn stage_with(database: TestDatabase, entries: u64) -> (Stage, Vec<audit_entry::Model>) {
    let stage = Stage::on(database).await.unwrap();
    let now = stage.app.clock().now();
    stage.app.journal().append((1..=entries).map(|number| audit(now, number))).await.unwrap();
    let entries = audit_entry::Entity::find().order_by_asc(audit_entry::Column::ChainNo);
    let entries = entries.all(stage.app.db(Domain::Journal).reader()).await.unwrap();
    assert!(stage.app.journal().verify(None).await.unwrap().is_intact());
    (stage, entries)
}

async fn set(app: &App, chain_no: i64, column: audit_entry::Column, value: impl Into<Value>) {
    let update = audit_entry::Entity::update_many()
        .col_expr(column, Expr::val(value.into()))
        .filter(audit_entry::Column::ChainNo.eq(chain_no));
    assert_eq!(update.exec(app.db(Domain::Journal).writer()).await.unwrap().rows_affected, 1);
}

async fn remove(app: &App, chain_no: i64) {
    let delete = audit_entry::Entity::delete_many().filter(audit_entry::Column::ChainNo.eq(chain_no));
    assert_eq!(delete.exec(app.db(Domain::Journal).writer()).await.unwrap().rows_affected, 1);
}

async fn set_head(app: &App, head: &AuditHead) {
    let update = audit_head::Entity::update_many()
        .col_expr(audit_head::Column::ChainNo, Expr::val(head.chain_no))
        .col_expr(audit_head::Column::Hash, Expr::val(head.hash.as_str()));
    update.exec(app.db(Domain::Journal).writer()).await.unwrap();
}

async fn fault(app: &App) -> ChainFault {
    app.journal().verify(None).await.unwrap().fault.expect("a fault")
}

async fn what_is_appended_verifies_with_every_kind_of_value(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let journal = stage.app.journal();
    assert_eq!(journal.head().await.unwrap().chain_no, 0);
    assert!(journal.verify(None).await.unwrap().is_intact());
    let values = [
        json!(null),
        json!({"z": 1, "a": {"c": [], "b": {}}, "é": "🦀", "": "\u{202e}right to left"}),
        json!([0, -0.0, 1.0, 1e2, 100, 0.1, 1e-7, 1e21, 1.5e300, -2.5e-300, 12_345_678_901_234_567_000_u64]),
        json!([i64::MIN, i64::MAX, u64::MAX, 9_007_199_254_740_993_i64, 0.300_000_000_000_000_04, 5e-324, 1e300]),
        json!([1.234_567_890_123_456_7e19, f64::MAX, f64::MIN_POSITIVE]),
        json!("\u{1}\t\n\"\\"),
    ];
    let times = ["1970-01-01T00:00:00Z", "2026-03-01T12:00:00.123456789Z", "2300-01-01T00:00:00.000001Z"];
    for at in times {
        let at: Timestamp = at.parse().unwrap();
        let entries = values.iter().map(|value| {
            let value = Json::try_from(value.clone()).unwrap();
            NewAudit { before: Some(value.clone()), after: Some(value), ip: None, ..audit(at, 1) }
        });
        let bare = NewAudit { actor_id: None, resource_id: None, before: None, after: None, ip: None, ..audit(at, 2) };
        journal.append(entries.chain([bare])).await.unwrap();
    }
    let report = journal.verify(None).await.unwrap();
    assert_eq!((report.verified, report.fault), (21, None));
    assert_eq!(report.head, journal.head().await.unwrap());
}

async fn appenders_of_several_instances_make_one_chain(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let other = App::start(stage.app.config().clone()).await.unwrap();
    let now = stage.app.clock().now();
    let mut appenders = JoinSet::new();
    for appender in 0..16_u64 {
        let app = if appender % 2 == 0 { stage.app.clone() } else { other.clone() };
        appenders.spawn(async move {
            for number in 0..5 {
                app.journal().append([audit(now, appender * 5 + number)]).await.unwrap();
            }
        });
    }
    // Verified while it grows, again and again, it is never found broken.
    let verifying = async {
        loop {
            let report = stage.app.journal().verify(None).await.unwrap();
            assert_eq!(report.fault, None);
            if report.verified == 80 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let (_, ()) =
        tokio::join!(async { while appenders.join_next().await.is_some_and(|done| done.is_ok()) {} }, verifying);
    let entries = audit_entry::Entity::find().all(other.db(Domain::Journal).reader()).await.unwrap();
    let things: HashSet<_> = entries.iter().map(|entry| entry.resource_id.clone()).collect();
    assert_eq!((entries.len(), things.len()), (80, 80));
    other.close().await;
}

async fn what_is_rolled_back_is_not_in_the_chain(database: TestDatabase) {
    let (stage, _) = stage_with(database, 2).await;
    let now = stage.app.clock().now();
    let rolled_back = stage
        .app
        .transaction(Domain::Journal, async |tx| {
            journal::append(tx, [audit(now, 9)], now).await?;
            Err::<(), _>(Error::Invalid("changed my mind".into()))
        })
        .await;
    assert!(rolled_back.unwrap_err().is_invalid());
    let head = stage.app.journal().append([audit(now, 3)]).await.unwrap();
    assert_eq!(head.chain_no, 3);
    assert_eq!(stage.app.journal().append([]).await.unwrap(), head);
    assert_eq!(stage.app.journal().verify(None).await.unwrap().verified, 3);
}

async fn a_changed_value_is_found_whichever_it_is(database: TestDatabase) {
    use audit_entry::Column;

    let (stage, entries) = stage_with(database, 5).await;
    let entry = &entries[2];
    let json = |value| Value::Json(Some(Box::new(value)));
    let nobody: Option<Uuid> = None;
    let changes: Vec<(Column, Value, Value)> = vec![
        (Column::ActorId, nobody.into(), entry.actor_id.into()),
        (Column::Action, "Refund".into(), entry.action.clone().into()),
        (Column::Resource, "orders".into(), entry.resource.clone().into()),
        (Column::ResourceId, "ZX4".into(), entry.resource_id.clone().into()),
        (Column::Granted, false.into(), true.into()),
        (Column::StateBefore, json(json!({"status": "paid", "n": 3.5})), json(json!({"status": "paid", "n": 3}))),
        (Column::StateAfter, json(json!({"status": null})), json(json!({"status": "refunded"}))),
        (Column::Ip, "2001:db8::2".into(), entry.ip.clone().into()),
        (Column::OccurredAt, entry.occurred_at.plus(HOUR).unwrap().into(), entry.occurred_at.into()),
        (Column::CreatedAt, entry.created_at.plus(HOUR).unwrap().into(), entry.created_at.into()),
        (Column::PrevHash, entries[0].hash.clone().into(), entry.prev_hash.clone().into()),
        (Column::Hash, entries[0].hash.clone().into(), entry.hash.clone().into()),
    ];
    for (column, changed, restored) in changes {
        set(&stage.app, 3, column, changed).await;
        assert_eq!(fault(&stage.app).await, ChainFault::Changed { chain_no: 3, id: entry.id }, "{column:?}");
        set(&stage.app, 3, column, restored).await;
        assert!(stage.app.journal().verify(None).await.unwrap().is_intact(), "{column:?}");
    }
}

async fn a_removed_an_exchanged_and_an_added_entry_are_found(database: TestDatabase) {
    let (stage, entries) = stage_with(database, 6).await;
    let app = &stage.app;
    let number = audit_entry::Column::ChainNo;
    // Two change places.
    set(app, 2, number, 100_i64).await;
    set(app, 3, number, 2_i64).await;
    set(app, 100, number, 3_i64).await;
    assert_eq!(fault(app).await, ChainFault::Changed { chain_no: 2, id: entries[2].id });
    set(app, 3, number, 100_i64).await;
    set(app, 2, number, 3_i64).await;
    set(app, 100, number, 2_i64).await;
    assert!(app.journal().verify(None).await.unwrap().is_intact());
    // One is put in at the end.
    let mut added = entries[5].clone();
    (added.id, added.chain_no) = (Uuid::now_v7(), 7);
    let added_id = added.id;
    let insert = audit_entry::Entity::insert(audit_entry::ActiveModel::from(added));
    insert.exec_without_returning(app.db(Domain::Journal).writer()).await.unwrap();
    assert_eq!(fault(app).await, ChainFault::Changed { chain_no: 7, id: added_id });
    remove(app, 7).await;
    // The head is set back, so that the last entry is beyond it; or it has another hash.
    let head = app.journal().head().await.unwrap();
    set_head(app, &AuditHead { chain_no: 5, hash: entries[4].hash.to_string() }).await;
    assert_eq!(fault(app).await, ChainFault::BeyondHead { chain_no: 6, id: entries[5].id });
    set_head(app, &AuditHead { chain_no: 6, hash: entries[4].hash.to_string() }).await;
    assert_eq!(fault(app).await, ChainFault::AnotherHead { chain_no: 6 });
    set_head(app, &head).await;
    // One is removed, and the others close the gap.
    remove(app, 3).await;
    let report = app.journal().verify(None).await.unwrap();
    assert_eq!((report.verified, report.fault), (2, Some(ChainFault::Missing { chain_no: 3 })));
    for chain_no in 4..=6_i64 {
        set(app, chain_no, number, chain_no - 1).await;
    }
    assert_eq!(fault(app).await, ChainFault::Changed { chain_no: 3, id: entries[3].id });
}

async fn the_removal_of_the_last_entries_is_found(database: TestDatabase) {
    let (stage, _) = stage_with(database, 4).await;
    remove(&stage.app, 4).await;
    assert_eq!(fault(&stage.app).await, ChainFault::Missing { chain_no: 4 });
    for chain_no in 1..=3 {
        remove(&stage.app, chain_no).await;
    }
    assert_eq!(fault(&stage.app).await, ChainFault::Missing { chain_no: 1 });
    // The chain goes on where its head is, and the gap stays.
    let now = stage.app.clock().now();
    assert_eq!(stage.app.journal().append([audit(now, 5)]).await.unwrap().chain_no, 5);
    assert_eq!(fault(&stage.app).await, ChainFault::Missing { chain_no: 1 });
}

async fn a_known_head_is_where_verifying_begins(database: TestDatabase) {
    let (stage, entries) = stage_with(database, 1_203).await;
    let app = &stage.app;
    let head_at = |number: usize| AuditHead { chain_no: number as i64, hash: entries[number - 1].hash.to_string() };
    let report = app.journal().verify(Some(head_at(700))).await.unwrap();
    assert_eq!((report.verified, report.head, report.fault), (503, head_at(1_203), None));
    // What is before it is taken for granted, what is after it is not.
    set(app, 10, audit_entry::Column::Granted, false).await;
    assert!(app.journal().verify(Some(head_at(700))).await.unwrap().is_intact());
    assert_eq!(fault(app).await, ChainFault::Changed { chain_no: 10, id: entries[9].id });
    // A head of another chain does not fit.
    let wrong = AuditHead { chain_no: 700, hash: entries[0].hash.to_string() };
    let report = app.journal().verify(Some(wrong)).await.unwrap();
    assert_eq!(report.fault, Some(ChainFault::Unlinked { chain_no: 701, id: entries[700].id }));
    // Whoever cuts the chain off and sets its head back is found by a head noted before.
    let delete = audit_entry::Entity::delete_many().filter(audit_entry::Column::ChainNo.gt(800));
    delete.exec(app.db(Domain::Journal).writer()).await.unwrap();
    set_head(app, &head_at(800)).await;
    let report = app.journal().verify(Some(head_at(1_000))).await.unwrap();
    assert_eq!(report.fault, Some(ChainFault::CutOff { known: 1_000, chain_no: 800 }));
}

async fn entries_are_found_by_who_did_what_to_what_and_when(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let now = stage.app.clock().now();
    let entries = (0..30_u64).map(|number| NewAudit {
        action: if number % 2 == 0 { "refund" } else { "ship" }.parse().unwrap(),
        resource: if number < 20 { "order" } else { "user" }.parse().unwrap(),
        ..audit(now.plus(HOUR * number as u32).unwrap(), number)
    });
    stage.app.journal().append(entries).await.unwrap();
    let found = async |filter: AuditFilter| {
        let page = stage.app.journal().audit_entries(&filter).await.unwrap();
        page.items.iter().map(|entry| entry.chain_no - 1).collect::<Vec<_>>()
    };
    assert_eq!(found(AuditFilter::new().limit(2)).await, [29, 28]);
    assert_eq!(found(AuditFilter::new().actor(Uuid::from_u128(2)).limit(2)).await, [29, 26]);
    assert_eq!(found(AuditFilter::new().action("ship").resource("order").limit(2)).await, [19, 17]);
    assert_eq!(found(AuditFilter::new().thing("order", "ZX7")).await, [7]);
    assert!(found(AuditFilter::new().thing("user", "ZX7")).await.is_empty());
    let range = AuditFilter::new().from(now.plus(HOUR * 3).unwrap()).to(now.plus(HOUR * 5).unwrap());
    assert_eq!(found(range).await, [4, 3]);
    let page = stage.app.journal().audit_entries(&AuditFilter::new().limit(1)).await.unwrap();
    let other = AuditFilter::new().action("ship").after(page.next);
    assert!(stage.app.journal().audit_entries(&other).await.unwrap_err().is_invalid());
    assert!(stage.app.journal().audit_entries(&AuditFilter::new().action("\0")).await.unwrap_err().is_invalid());
    assert!(stage.app.journal().audit_entry(Uuid::nil()).await.unwrap_err().is_not_found());
}

async fn bad_entries_are_refused(database: TestDatabase) {
    let (stage, _) = stage_with(database, 1).await;
    let now = stage.app.clock().now();
    for (bad, column) in [
        (NewAudit { action: "".parse().unwrap(), ..audit(now, 1) }, "audit_entries.action"),
        (NewAudit { resource: " \n".parse().unwrap(), ..audit(now, 1) }, "audit_entries.resource"),
        (audit(Timestamp::from_millis(-1).unwrap(), 1), "audit_entries.occurred_at"),
    ] {
        let refused = stage.app.journal().append([audit(now, 2), bad]).await.unwrap_err();
        assert!(refused.is_invalid() && refused.to_string().starts_with(column), "{refused}");
    }
    let report = stage.app.journal().verify(None).await.unwrap();
    assert_eq!((report.verified, report.fault), (1, None));
}

async fn round_trips_are_as_documented(database: TestDatabase) {
    let (stage, _) = stage_with(database, 1).await;
    let now = stage.app.clock().now();
    let journal = stage.app.journal();
    let clock = Arc::clone(&stage.clock);
    clock.advance(HOUR);
    assert_eq!(stage.counted(journal.append((0..10).map(|number| audit(now, number)))).await.1, 5);
    assert_eq!(stage.counted(journal.head()).await.1, 1);
    // The entries, none after them, and the head.
    assert_eq!(stage.counted(journal.verify(None)).await.1, 3);
    let (page, trips) = stage.counted(journal.audit_entries(&AuditFilter::new())).await;
    assert_eq!(trips, 1);
    assert_eq!(stage.counted(journal.audit_entry(page.unwrap().items[0].id)).await.1, 1);
}
