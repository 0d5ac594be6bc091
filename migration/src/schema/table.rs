use super::Column;
use super::column::{timestamp, uuid};

/// A table: its columns, keys, checks and indexes.
///
/// Constraints are named by what they are about: `pk_t`, `uq_t_a_b`, `fk_t_a`, `ck_t_name`, `idx_t_a_b`.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) name: &'static str,
    pub(super) columns: Vec<Column>,
    pub(super) primary_key: Vec<&'static str>,
    pub(super) uniques: Vec<&'static [&'static str]>,
    pub(super) partial_uniques: Vec<PartialUnique>,
    pub(super) foreign_keys: Vec<ForeignKey>,
    pub(super) checks: Vec<Check>,
    pub(super) indexes: Vec<&'static [&'static str]>,
    pub(super) big: bool,
    pub(super) full_text: bool,
}

/// What happens to a row when the row that it refers to is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDelete {
    /// It is deleted too.
    Cascade,
    /// The deletion is refused.
    Restrict,
    /// Its reference becomes null.
    SetNull,
}

#[derive(Clone, Debug)]
pub(super) struct ForeignKey {
    pub(super) column: &'static str,
    pub(super) table: &'static str,
    pub(super) target: &'static str,
    pub(super) on_delete: OnDelete,
}

#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) condition: &'static str,
}

#[derive(Clone, Debug)]
pub(super) struct PartialUnique {
    pub(super) name: &'static str,
    pub(super) columns: Vec<&'static str>,
    pub(super) condition: &'static str,
}

/// Starts a table without columns.
pub const fn table(name: &'static str) -> Table {
    Table {
        name,
        columns: Vec::new(),
        primary_key: Vec::new(),
        uniques: Vec::new(),
        partial_uniques: Vec::new(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        indexes: Vec::new(),
        big: false,
        full_text: false,
    }
}

impl Table {
    /// The table's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether PostgreSQL partitions it.
    pub const fn is_big(&self) -> bool {
        self.big
    }

    /// The column `id`, a UUID, as the primary key.
    pub fn id(self) -> Self {
        self.column(uuid("id")).primary_key(&["id"])
    }

    /// One more column.
    pub fn column(mut self, column: Column) -> Self {
        self.columns.push(column);
        self
    }

    /// More columns, in this order.
    pub fn columns(mut self, columns: impl IntoIterator<Item = Column>) -> Self {
        self.columns.extend(columns);
        self
    }

    /// The column `created_at`.
    pub fn created_at(self) -> Self {
        self.column(timestamp("created_at"))
    }

    /// The columns `created_at` and `updated_at`.
    pub fn timestamps(self) -> Self {
        self.created_at().column(timestamp("updated_at"))
    }

    /// The columns of the primary key.
    pub fn primary_key(mut self, columns: &[&'static str]) -> Self {
        self.primary_key = columns.to_vec();
        self
    }

    /// No two rows have the same values in all of these columns.
    pub fn unique(mut self, columns: &'static [&'static str]) -> Self {
        self.uniques.push(columns);
        self
    }

    /// No two rows that meet `condition` have the same value in `column`. `name` is the end of the constraint's name.
    ///
    /// MySQL has no partial index: there a generated, invisible column that is null elsewhere carries the key.
    pub fn unique_where(mut self, name: &'static str, column: &'static str, condition: &'static str) -> Self {
        self.partial_uniques.push(PartialUnique { name, columns: vec![column], condition });
        self
    }

    /// No two rows that meet `condition` have the same values in all of these columns, two or more; a row with a null among
    /// them is like no other. `name` is the end of the constraint's name.
    ///
    /// MySQL has no partial index: there a generated, invisible column that is 1 for those rows and null elsewhere is part of
    /// the key.
    pub fn unique_together_where(
        mut self,
        name: &'static str,
        columns: &[&'static str],
        condition: &'static str,
    ) -> Self {
        self.partial_uniques.push(PartialUnique { name, columns: columns.to_vec(), condition });
        self
    }

    /// `column` refers to the column `id` of `table`.
    pub fn references(self, column: &'static str, table: &'static str, on_delete: OnDelete) -> Self {
        self.references_column(column, table, "id", on_delete)
    }

    /// `column` refers to the column `target` of `table`.
    pub fn references_column(
        mut self,
        column: &'static str,
        table: &'static str,
        target: &'static str,
        on_delete: OnDelete,
    ) -> Self {
        self.foreign_keys.push(ForeignKey { column, table, target, on_delete });
        self
    }

    /// Every row meets `condition`, an expression that all engines read alike. `name` is the end of its name.
    pub fn check(mut self, name: &'static str, condition: &'static str) -> Self {
        self.checks.push(Check { name, condition });
        self
    }

    /// An index of these columns, in this order. Foreign keys need one of their own only where they are filtered by
    /// together with other columns: [`Table::references`] indexes its column.
    pub fn index(mut self, columns: &'static [&'static str]) -> Self {
        self.indexes.push(columns);
        self
    }

    /// The table grows without end: PostgreSQL partitions it by RANGE of its id, a month a partition. Its only unique key
    /// is `id`.
    pub const fn big(mut self) -> Self {
        self.big = true;
        self
    }

    /// The table gets a full-text index later. SQLite's is tied to a whole number that never changes, which a table with
    /// a UUID as its key does not have: there it gets the column `docid`.
    pub const fn full_text(mut self) -> Self {
        self.full_text = true;
        self
    }
}
