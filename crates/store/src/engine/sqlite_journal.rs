//! The audit journal: a file beside the SQLite database that takes the lines of what changes no record, until the
//! writer has moved them into the chain (docs/decisions/0014). One write to the page cache is all that the answer
//! waits for, so a line survives the death of the process as one in the database's own log would.
//!
//! A record is length, time, check sum and text. The check sum covers round and place, so that what an earlier round
//! left behind is never taken for a line. One process holds the journal; others go through the writer.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use aws_lc_rs::digest;
use parking_lot::Mutex;
use rusqlite::Connection;

use crate::{
    Row, StoreError, Timestamp,
    audit::AuditLine,
    engine::sqlite,
    tx::{FromRow, values},
};

/// The file never grows beyond this: one more line is refused, so a stuck writer never fills the disk.
const LIMIT: u64 = 8 << 20;
/// Once so many bytes of the file were moved into the chain, it is written from its start again.
const REWIND_ABOVE: u64 = 1 << 20;
/// Lines that may wait for the writer before callers wait for it too.
pub(crate) const BACKLOG: usize = 4096;
/// Length (4 bytes), time (8), check sum (8), all little-endian.
const HEADER: usize = 20;

/// Which part of the journal is in the chain already; kept in the database, changed in the transaction that moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    round: i64,
    position: u64,
}

impl FromRow for Mark {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            round: row.int(0)?,
            position: u64::try_from(row.int(1)?).map_err(StoreError::corrupt)?,
        })
    }
}

impl Mark {
    fn load(connection: &Connection) -> Result<Option<Self>, StoreError> {
        const LOAD: &str = "SELECT round, position FROM audit_journal WHERE id = 1";
        Ok(sqlite::query(connection, LOAD, &[])?.into_iter().next())
    }

    /// Whether the chain holds everything before this mark.
    pub(crate) fn is_reached(self, connection: &Connection) -> Result<bool, StoreError> {
        let reached = Self::load(connection)?;
        Ok(reached.is_some_and(|mark| (mark.round, mark.position) >= (self.round, self.position)))
    }

    /// Writes the mark, within the transaction of the lines before it.
    pub(crate) fn save(self, connection: &Connection) -> Result<(), StoreError> {
        const SAVE: &str = "INSERT INTO audit_journal (id, round, position) VALUES (1, $1, $2)
            ON CONFLICT (id) DO UPDATE SET round = excluded.round, position = excluded.position";
        let position = i64::try_from(self.position).map_err(StoreError::corrupt)?;
        sqlite::execute(connection, SAVE, values![self.round, position]).map(drop)
    }
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    /// It is in the file; the writer knows that there is something to move.
    Kept,
    /// It is in the file, as the first since the writer last looked: tell it.
    First,
    /// The journal is another process's, or closed: take the way through the writer.
    NotHere,
}

/// The journal of one process.
pub(crate) struct Journal {
    held: Mutex<Option<Held>>,
    /// Lines in the file that are not in the chain yet.
    backlog: AtomicUsize,
}

struct Held {
    file: File,
    round: i64,
    end: u64,
    /// Where the lines begin that are not in the chain yet.
    unmoved: u64,
    /// After a rewind, until the lines of the last round are in the chain: they begin here, so this round ends here.
    ceiling: u64,
    pending: Vec<AuditLine>,
    is_closed: bool,
}

impl Journal {
    /// Takes the journal of the database at `database`, with what a process that died left in it. Without effect when
    /// another process has it. `connection` may write.
    pub(crate) fn open(database: &Path, connection: &Connection) -> Result<Self, StoreError> {
        let held = Held::open(database, connection)?;
        let backlog = held.as_ref().map_or(0, |held| held.pending.len());
        Ok(Self {
            held: Mutex::new(held),
            backlog: AtomicUsize::new(backlog),
        })
    }

    /// Whether this process has it.
    pub(crate) fn is_held(&self) -> bool {
        self.held.lock().is_some()
    }

    /// Puts a line into the file.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written, or when the writer is too far behind.
    pub(crate) fn append(&self, line: AuditLine) -> Result<Appended, StoreError> {
        let mut held = self.held.lock();
        let Some(held) = held.as_mut() else {
            return Ok(Appended::NotHere);
        };
        held.append(line)?;
        self.backlog.fetch_add(1, Ordering::SeqCst);
        Ok(if held.pending.len() == 1 {
            Appended::First
        } else {
            Appended::Kept
        })
    }

    /// Lines in the file that are not in the chain yet.
    pub(crate) fn backlog(&self) -> usize {
        self.backlog.load(Ordering::SeqCst)
    }

    /// Hands the waiting lines over, with the mark that is true once they are in the chain.
    pub(crate) fn take(&self) -> Option<(Vec<AuditLine>, Mark)> {
        let mut held = self.held.lock();
        let held = held.as_mut().filter(|held| !held.pending.is_empty())?;
        let lines = std::mem::take(&mut held.pending);
        let mark = Mark {
            round: held.round,
            position: held.end,
        };
        held.taken();
        Some((lines, mark))
    }

    /// Called once lines that were taken are in the chain.
    pub(crate) fn moved(&self, lines: usize) {
        self.backlog.fetch_sub(lines, Ordering::SeqCst);
        if let Some(held) = self.held.lock().as_mut() {
            held.ceiling = LIMIT;
        }
    }

    /// No more lines: the writer is about to stop.
    pub(crate) fn refuse_more(&self) {
        if let Some(held) = self.held.lock().as_mut() {
            held.is_closed = true;
        }
    }

    /// Lets another process have the journal: the writer has stopped. What is in the file is moved at the next start.
    pub(crate) fn close(&self) {
        *self.held.lock() = None;
    }
}

impl Held {
    fn open(database: &Path, connection: &Connection) -> Result<Option<Self>, StoreError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(beside(database))
            .map_err(StoreError::unavailable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
            Err(std::fs::TryLockError::Error(error)) => return Err(StoreError::unavailable(error)),
        }
        let mark = match Mark::load(connection)? {
            Some(mark) => mark,
            None => first_mark(connection)?,
        };
        let left = left_behind(&file, mark)?;
        Ok(Some(Self {
            file,
            round: left.end.round,
            end: left.end.position,
            // A round is not left before another take, and by then these lines were moved.
            unmoved: 0,
            ceiling: left.ceiling,
            pending: left.lines,
            is_closed: false,
        }))
    }

    /// Called when everything waiting was handed over: the place before it is free, so that a new round may begin
    /// there. What was handed over stays where it is until it is in the chain.
    fn taken(&mut self) {
        if self.unmoved > REWIND_ABOVE && self.ceiling == LIMIT {
            self.ceiling = self.unmoved;
            self.round += 1;
            self.end = 0;
        }
        self.unmoved = self.end;
    }

    fn append(&mut self, line: AuditLine) -> Result<(), StoreError> {
        if self.is_closed {
            return Err(StoreError::unavailable("the writer has stopped"));
        }
        let record = record(self.round, self.end, &line)?;
        if self.end + record.len() as u64 > self.ceiling {
            return Err(StoreError::unavailable(
                "the audit journal is full: the writer is behind",
            ));
        }
        self.file
            .write_all_at(&record, self.end)
            .map_err(StoreError::unavailable)?;
        self.end += record.len() as u64;
        self.pending.push(line);
        Ok(())
    }
}

/// What a journal holds beyond a mark.
struct Left {
    /// Where the next line goes.
    end: Mark,
    /// How far it may go while these lines are not in the chain.
    ceiling: u64,
    lines: Vec<AuditLine>,
}

/// Where the lines end that are in the journal now, whichever process has it; `None` when all are in the chain.
pub(crate) fn unsettled(
    database: &Path,
    connection: &Connection,
) -> Result<Option<Mark>, StoreError> {
    let (Ok(file), Some(mark)) = (File::open(beside(database)), Mark::load(connection)?) else {
        return Ok(None);
    };
    let left = left_behind(&file, mark)?;
    Ok((!left.lines.is_empty()).then_some(left.end))
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-audit");
    name.into()
}

/// A database begins with a round of its own, so that a journal of another database means nothing to it.
fn first_mark(connection: &Connection) -> Result<Mark, StoreError> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(StoreError::unavailable)?;
    let mark = Mark {
        round: i64::from_le_bytes(random) >> 2,
        position: 0,
    };
    mark.save(connection)?;
    Ok(mark)
}

/// The lines after the mark, and those of the next round: it begins before the last lines of a round were moved.
fn left_behind(mut file: &File, mark: Mark) -> Result<Left, StoreError> {
    let mut bytes = Vec::new();
    std::io::Seek::rewind(&mut file).map_err(StoreError::unavailable)?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, LIMIT), &mut bytes)
        .map_err(StoreError::unavailable)?;
    let rewound = Mark {
        round: mark.round + 1,
        position: 0,
    };
    let (end, mut lines) = lines_from(&bytes, mark);
    let (next_end, next_lines) = lines_from(&bytes, rewound);
    if next_lines.is_empty() {
        let ceiling = LIMIT;
        return Ok(Left {
            end,
            ceiling,
            lines,
        });
    }
    let ceiling = if lines.is_empty() {
        LIMIT
    } else {
        mark.position
    };
    lines.extend(next_lines);
    Ok(Left {
        end: next_end,
        ceiling,
        lines,
    })
}

fn lines_from(bytes: &[u8], mut at: Mark) -> (Mark, Vec<AuditLine>) {
    let mut lines = Vec::new();
    while let Some((line, length)) = line_at(bytes, at) {
        lines.push(line);
        at.position += length;
    }
    (at, lines)
}

fn line_at(bytes: &[u8], at: Mark) -> Option<(AuditLine, u64)> {
    let rest = bytes.get(usize::try_from(at.position).ok()?..)?;
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (time, after) = after.split_first_chunk::<8>()?;
    let (sum, after) = after.split_first_chunk::<8>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let body = after.get(..length)?;
    if *sum != check_sum(at.round, at.position, time, body) {
        return None;
    }
    let body = String::from_utf8(body.to_vec()).ok()?;
    let line = AuditLine::from_body(Timestamp::from_millis(i64::from_le_bytes(*time)), body)?;
    Some((line, (HEADER + length) as u64))
}

fn record(round: i64, position: u64, line: &AuditLine) -> Result<Vec<u8>, StoreError> {
    let body = line.body.as_bytes();
    let length = u32::try_from(body.len()).map_err(StoreError::corrupt)?;
    let time = line.at.as_millis().to_le_bytes();
    let mut record = Vec::with_capacity(HEADER + body.len());
    record.extend(length.to_le_bytes());
    record.extend(time);
    record.extend(check_sum(round, position, &time, body));
    record.extend(body);
    Ok(record)
}

fn check_sum(round: i64, position: u64, time: &[u8; 8], body: &[u8]) -> [u8; 8] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&round.to_le_bytes());
    context.update(&position.to_le_bytes());
    context.update(time);
    context.update(body);
    let mut sum = [0; 8];
    sum.copy_from_slice(&context.finish().as_ref()[..8]);
    sum
}
