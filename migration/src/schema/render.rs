use super::column::Kind;
use super::table::{ForeignKey, PartialUnique};
use super::{Dialect, OnDelete, Table};

impl Table {
    /// The statements that create the table and its indexes, in order.
    ///
    /// MySQL commits each statement by itself, so there the whole table is one statement, and one that can be repeated
    /// after a migration stopped half way. The others create everything in one transaction.
    pub fn statements(&self, dialect: Dialect) -> Vec<String> {
        let mut items: Vec<String> = Vec::new();
        if self.has_docid(dialect) {
            items.push("\"docid\" integer PRIMARY KEY AUTOINCREMENT".into());
        }
        items.extend(self.columns.iter().map(|column| column.sql(dialect)));
        items.push(self.primary_key_sql(dialect));
        items.extend(self.all_uniques().map(|columns| self.unique_sql(&columns, dialect)));
        items.extend(self.foreign_keys.iter().map(|key| self.foreign_key_sql(key, dialect)));
        items.extend(self.checks_sql(dialect));

        let indexes = self.all_indexes();
        if dialect.is_mysql() {
            items.extend(self.partial_uniques.iter().flat_map(|unique| self.generated_unique_sql(unique, dialect)));
            items.extend(indexes.iter().map(|columns| {
                format!(
                    "INDEX {} ({})",
                    dialect.quote(&self.index_name(columns)),
                    dialect.quote_all(columns.iter().copied())
                )
            }));
            return vec![self.create_sql(&items, dialect)];
        }
        let mut statements = vec![self.create_sql(&items, dialect)];
        statements.extend(self.partial_uniques.iter().map(|unique| self.partial_unique_sql(unique, dialect)));
        statements.extend(indexes.iter().map(|columns| {
            format!(
                "CREATE INDEX {} ON {} ({})",
                dialect.quote(&self.index_name(columns)),
                dialect.quote(self.name),
                dialect.quote_all(columns.iter().copied())
            )
        }));
        statements
    }

    /// The statements after which no row of the table refers to another one of it.
    pub(super) fn detach_statements(&self, dialect: Dialect) -> Vec<String> {
        let to_itself = self.foreign_keys.iter().filter(|key| key.table == self.name);
        let detach =
            |key: &ForeignKey| format!("UPDATE {} SET {} = NULL", dialect.quote(self.name), dialect.quote(key.column));
        to_itself.map(detach).collect()
    }

    fn create_sql(&self, items: &[String], dialect: Dialect) -> String {
        let items = items.join(",\n  ");
        let table = dialect.quote(self.name);
        match dialect {
            Dialect::Postgres if self.big => {
                format!("CREATE TABLE {table} (\n  {items}\n) PARTITION BY RANGE (\"id\")")
            }
            Dialect::Postgres => format!("CREATE TABLE {table} (\n  {items}\n)"),
            // A table whose key is not a row id is stored by its key: one tree to look up and to write, not two.
            Dialect::Sqlite if self.has_docid(dialect) => format!("CREATE TABLE {table} (\n  {items}\n)"),
            Dialect::Sqlite => format!("CREATE TABLE {table} (\n  {items}\n) WITHOUT ROWID"),
            Dialect::MariaDb | Dialect::MySql => format!(
                "CREATE TABLE IF NOT EXISTS {table} (\n  {items}\n) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE {}",
                dialect.binary_collation()
            ),
        }
    }

    fn primary_key_sql(&self, dialect: Dialect) -> String {
        let columns = dialect.quote_all(self.primary_key.iter().copied());
        // SQLite's one primary key is then `docid`; what the entity calls the key is unique all the same.
        let word = if self.has_docid(dialect) { "UNIQUE" } else { "PRIMARY KEY" };
        format!("CONSTRAINT {} {word} ({columns})", dialect.quote(&format!("pk_{}", self.name)))
    }

    fn unique_sql(&self, columns: &[&str], dialect: Dialect) -> String {
        let name = dialect.quote(&format!("uq_{}_{}", self.name, columns.join("_")));
        format!("CONSTRAINT {name} UNIQUE ({})", dialect.quote_all(columns.iter().copied()))
    }

    fn foreign_key_sql(&self, key: &ForeignKey, dialect: Dialect) -> String {
        let action = match key.on_delete {
            OnDelete::Cascade => "CASCADE",
            OnDelete::Restrict => "RESTRICT",
            OnDelete::SetNull => "SET NULL",
        };
        format!(
            "CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {action}",
            dialect.quote(&format!("fk_{}_{}", self.name, key.column)),
            dialect.quote(key.column),
            dialect.quote(key.table),
            dialect.quote(key.target),
        )
    }

    fn checks_sql(&self, dialect: Dialect) -> Vec<String> {
        let name = |end: &str| dialect.quote(&format!("ck_{}_{end}", self.name));
        let words = self.columns.iter().filter_map(|column| match column.kind {
            Kind::Enumeration(values) => {
                let values = values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>().join(", ");
                let condition = format!("{} IN ({values})", dialect.quote(column.name));
                Some(format!("CONSTRAINT {} CHECK ({condition})", name(column.name)))
            }
            _ => None,
        });
        let checks =
            self.checks.iter().map(|check| format!("CONSTRAINT {} CHECK ({})", name(check.name), check.condition));
        words.chain(checks).collect()
    }

    fn partial_unique_sql(&self, unique: &PartialUnique, dialect: Dialect) -> String {
        format!(
            "CREATE UNIQUE INDEX {} ON {} ({}) WHERE {}",
            dialect.quote(&format!("uq_{}_{}", self.name, unique.name)),
            dialect.quote(self.name),
            dialect.quote_all(unique.columns.iter().copied()),
            unique.condition,
        )
    }

    fn generated_unique_sql(&self, unique: &PartialUnique, dialect: Dialect) -> [String; 2] {
        let generated = format!("{}_key", unique.name);
        let (kind, value, key) = match unique.columns.as_slice() {
            [column] => {
                let kind = self.columns.iter().find(|known| known.name == *column).map(|known| known.kind.sql(dialect));
                (kind.unwrap_or_default(), dialect.quote(column), vec![generated.as_str()])
            }
            columns => (
                Kind::Boolean.sql(dialect),
                "1".to_owned(),
                columns.iter().copied().chain([generated.as_str()]).collect(),
            ),
        };
        [
            format!(
                "{} {kind} GENERATED ALWAYS AS (CASE WHEN {} THEN {value} END) VIRTUAL INVISIBLE",
                dialect.quote(&generated),
                unique.condition,
            ),
            format!(
                "CONSTRAINT {} UNIQUE ({})",
                dialect.quote(&format!("uq_{}_{}", self.name, unique.name)),
                dialect.quote_all(key),
            ),
        ]
    }

    fn has_docid(&self, dialect: Dialect) -> bool {
        self.full_text && dialect == Dialect::Sqlite
    }

    fn all_uniques(&self) -> impl Iterator<Item = Vec<&'static str>> {
        let single = self.columns.iter().filter(|column| column.unique).map(|column| vec![column.name]);
        single.chain(self.uniques.iter().map(|columns| columns.to_vec()))
    }

    /// The indexes asked for, and one for each foreign key whose column leads no index yet.
    fn all_indexes(&self) -> Vec<Vec<&'static str>> {
        let mut indexes: Vec<Vec<&'static str>> = self.indexes.iter().map(|columns| columns.to_vec()).collect();
        let keys: Vec<Vec<&'static str>> = self.all_uniques().chain([self.primary_key.clone()]).collect();
        for key in &self.foreign_keys {
            let leads = |columns: &Vec<&str>| columns.first() == Some(&key.column);
            if !indexes.iter().any(leads) && !keys.iter().any(leads) {
                indexes.push(vec![key.column]);
            }
        }
        indexes
    }

    fn index_name(&self, columns: &[&str]) -> String {
        format!("idx_{}_{}", self.name, columns.join("_"))
    }
}
