use sea_orm::DbBackend;

/// The statements that create the tables of locks, for a service that does not run Stanchion's migrations: `fences`, which
/// `LockOptions::fenced` needs, and `locks`, where leases are kept in rows. They are what
/// the migrations make, word for word of the catalog, and fail when the tables are there already.
///
/// ```
/// use stanchion::lock;
/// use stanchion::sea_orm::DbBackend;
///
/// for statement in lock::tables(DbBackend::Postgres) {
///     println!("{statement};");
/// }
/// ```
#[must_use]
pub fn tables(backend: DbBackend) -> [String; 2] {
    [
        table(backend, "fences", &["token bigint", &format!("updated_at {}", time(backend))]),
        table(
            backend,
            "locks",
            &[
                &format!("owner {}", text(backend)),
                "version bigint",
                "ttl_ms bigint",
                &format!("acquired_at {}", time(backend)),
                &format!("renewed_at {}", time(backend)),
            ],
        ),
    ]
}

fn table(backend: DbBackend, name: &str, columns: &[&str]) -> String {
    let mut items = vec![format!("name {} NOT NULL", text(backend))];
    items.extend(columns.iter().map(|column| format!("{column} NOT NULL")));
    items.push(format!("CONSTRAINT pk_{name} PRIMARY KEY (name)"));
    let options = match backend {
        DbBackend::Postgres => "",
        DbBackend::Sqlite => " WITHOUT ROWID",
        // Names differ by case and by blanks at their end: MariaDB reads the first comment, MySQL 8 the second.
        _ => {
            " ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 /*M! COLLATE utf8mb4_nopad_bin */ /*!80000 COLLATE utf8mb4_0900_bin */"
        }
    };
    format!("CREATE TABLE {name} (\n  {}\n){options}", items.join(",\n  "))
}

const fn text(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "varchar(200) COLLATE \"C\"",
        _ => "varchar(200)",
    }
}

const fn time(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "timestamptz",
        DbBackend::Sqlite => "text",
        _ => "datetime(6)",
    }
}

/// The database's own time, for people who look at the tables: nothing is decided by it.
pub(super) const fn now(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "clock_timestamp()",
        DbBackend::Sqlite => "strftime('%Y-%m-%d %H:%M:%f', 'now')",
        _ => "UTC_TIMESTAMP(6)",
    }
}
