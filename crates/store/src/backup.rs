//! A copy of a running SQLite store, as of one instant. Writers go on meanwhile; the copy is complete, checked and
//! readable by its owner alone, or it is not there. PostgreSQL has tools of its own for this.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, backup::Backup};

use crate::{StoreError, engine::unsettled};

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// Its size in bytes.
    pub bytes: u64,
}

/// Copies the SQLite file at `from` into the new file `to`.
///
/// # Errors
/// `Unavailable` if `to` is there already or cannot be written, `Corrupt` if the copy is not whole.
pub fn back_up_sqlite(from: &Path, to: &Path) -> Result<BackedUp, StoreError> {
    create_new(to)?;
    copy(from, to).inspect_err(|_| {
        // A copy that is not whole must not be taken for a backup.
        let _ = std::fs::remove_file(to);
    })
}

fn copy(from: &Path, to: &Path) -> Result<BackedUp, StoreError> {
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    source.busy_timeout(std::time::Duration::from_secs(5))?;
    settle_journal(from, &source)?;
    let mut copy = Connection::open(to)?;
    // All pages in one step: one read transaction, so one instant, however much is written meanwhile.
    Backup::new(&source, &mut copy)?.step(-1)?;
    copy.execute_batch("PRAGMA journal_mode = DELETE;")?;
    let verdict: String = copy.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(StoreError::Corrupt(format!(
            "the copy is not whole: {verdict}"
        )));
    }
    drop(copy);
    let file = std::fs::File::open(to).map_err(StoreError::unavailable)?;
    file.sync_all().map_err(StoreError::unavailable)?;
    let bytes = file.metadata().map_err(StoreError::unavailable)?.len();
    Ok(BackedUp { bytes })
}

/// Lines of the audit journal that were acknowledged before this moment belong into the copy.
fn settle_journal(from: &Path, source: &Connection) -> Result<(), StoreError> {
    const TRIES: u32 = 200;
    let Some(end) = unsettled(from, source)? else {
        return Ok(());
    };
    for _ in 0..TRIES {
        if end.is_reached(source)? {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Ok(())
}

fn create_new(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let refused =
        |error| StoreError::Unavailable(format!("cannot make {}: {error}", path.display()));
    options.open(path).map(drop).map_err(refused)
}
