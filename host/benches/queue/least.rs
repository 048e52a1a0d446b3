//! The least that a durable queue on SQLite can do: find a row by its key and change it twice.

use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior::Immediate};
use tempfile::TempDir;

use super::store;

const ROWS: usize = 10_000;

pub struct Least {
    db: Connection,
    next: usize,
    _folder: TempDir,
}

impl Least {
    pub fn new() -> Least {
        let folder = store::folder();
        let mut db = Connection::open(folder.path().join("least.db")).unwrap();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        db.pragma_update(None, "synchronous", "FULL").unwrap();
        db.execute_batch("CREATE TABLE items (seq INTEGER PRIMARY KEY, state TEXT NOT NULL, token TEXT) STRICT")
            .unwrap();
        let filling = db.transaction().unwrap();
        for seq in 0..ROWS {
            filling
                .execute("INSERT INTO items (seq, state) VALUES (?1, 'queued')", [seq as i64])
                .unwrap();
        }
        filling.commit().unwrap();
        Least {
            db,
            next: 0,
            _folder: folder,
        }
    }

    /// Both changes in one transaction.
    pub fn once(&mut self, batch: usize) -> Duration {
        let rows = self.rows(batch);
        let began = Instant::now();
        let transaction = self.begin();
        for row in rows {
            claim(&transaction, row);
            complete(&transaction, row);
        }
        transaction.commit().unwrap();
        began.elapsed()
    }

    /// The second change in a transaction of its own: what was claimed has to be run in between.
    pub fn twice(&mut self, batch: usize) -> Duration {
        let rows = self.rows(batch);
        let began = Instant::now();
        for change in [claim, complete] {
            let transaction = self.begin();
            for row in &rows {
                change(&transaction, *row);
            }
            transaction.commit().unwrap();
        }
        began.elapsed()
    }

    fn begin(&mut self) -> Transaction<'_> {
        self.db.transaction_with_behavior(Immediate).unwrap()
    }

    fn rows(&mut self, batch: usize) -> Vec<i64> {
        let first = self.next;
        self.next += batch;
        (first..self.next).map(|row| (row % ROWS) as i64).collect()
    }
}

fn claim(transaction: &Transaction<'_>, row: i64) {
    change(
        transaction,
        "UPDATE items SET state = 'active', token = 't' WHERE seq = ?1",
        row,
    );
}

fn complete(transaction: &Transaction<'_>, row: i64) {
    change(
        transaction,
        "UPDATE items SET state = 'done', token = NULL WHERE seq = ?1",
        row,
    );
}

fn change(transaction: &Transaction<'_>, sql: &str, row: i64) {
    let changed = transaction.prepare_cached(sql).unwrap().execute([row]).unwrap();
    assert_eq!(changed, 1);
}
