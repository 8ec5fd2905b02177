//! What happened in a run, numbered: `ctl` follows from any number on.

use brine_model::time::Timestamp;
use brine_wire::job::RunId;
use brine_wire::run::{Event, Happening};
use rusqlite::{Connection, params};

use super::decode::{collect, from_bytes, signed, to_bytes, unsigned};
use super::{Store, StoreError};

impl Store {
    /// Appends a note for people.
    pub(crate) async fn note(
        &self,
        run: RunId,
        text: String,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |db| append(db, run, at, &Happening::Note(text)))
            .await
    }

    /// At most `limit` events of a run, from a sequence number on.
    pub(crate) async fn events(
        &self,
        run: RunId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<Event>, StoreError> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT * FROM events WHERE run = ? AND sequence >= ? ORDER BY sequence LIMIT ?",
            )?;
            let mut rows = statement.query(params![signed(run.0), signed(from), limit])?;
            collect(&mut rows, |row| {
                Ok(Event {
                    sequence: unsigned(row.get("sequence")?),
                    at: Timestamp(row.get("at")?),
                    what: from_bytes("event", &row.get::<_, Vec<u8>>("what")?)?,
                })
            })
        })
        .await
    }
}

pub(super) fn append(
    db: &Connection,
    run: RunId,
    at: Timestamp,
    what: &Happening,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO events (run, sequence, at, what)
         VALUES (?1, 1 + (SELECT coalesce(max(sequence), 0) FROM events WHERE run = ?1), ?2, ?3)",
    )?
    .execute(params![signed(run.0), at.0, to_bytes("event", what)?])?;
    Ok(())
}
