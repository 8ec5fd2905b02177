//! The schema and its history: version N is what the first N steps make.

use rusqlite::Connection;

use super::StoreError;

/// Appended to, never changed: a step that has run anywhere is history.
const STEPS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
];

/// Brings the database to the newest schema, each step in a transaction of its own.
pub(super) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    for (step, to) in STEPS.iter().zip(1..).skip(found as usize) {
        let migrate = |source| StoreError::Migrate { to, source };
        let transaction = connection.transaction().map_err(migrate)?;
        transaction.execute_batch(step).map_err(migrate)?;
        transaction
            .pragma_update(None, "user_version", to)
            .map_err(migrate)?;
        transaction.commit().map_err(migrate)?;
    }
    Ok(())
}
