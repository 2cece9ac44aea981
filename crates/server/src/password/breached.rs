//! A file of passwords that were breached: the first 48 bits of each SHA-1, sorted, six bytes apiece. It is searched
//! where it lies, so it takes no memory; a password that is in no breach is found in it once in 2^48 per entry.

use std::{
    fs::File,
    io::{self, BufRead, BufWriter, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use aws_lc_rs::digest;

const MAGIC: &[u8; 24] = b"tokensmith breached 1  \n";
const HEADER: u64 = 32;
const WIDTH: u64 = 6;
/// The longest line of a list that is read.
const LONGEST_LINE: u64 = 128;

/// An open file.
pub struct Breached {
    file: File,
    count: u64,
}

impl Breached {
    /// Opens a file that [`build`] wrote.
    ///
    /// # Errors
    /// When it cannot be read, was not written by `build` or is not whole.
    pub fn open(path: &Path) -> io::Result<Self> {
        let named = |error: io::Error| {
            let sentence = format!("passwords.breached_file {}: {error}", path.display());
            io::Error::new(error.kind(), sentence)
        };
        Self::read(path).map_err(named)
    }

    fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut header = [0; HEADER as usize];
        let whole = file.read_exact_at(&mut header, 0);
        whole.map_err(|_| unusable("is not a file of `tokensmith passwords build-breached`"))?;
        let (magic, count) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(unusable(
                "is not a file of `tokensmith passwords build-breached`",
            ));
        }
        let count = count.try_into().map_or(0, u64::from_le_bytes);
        let whole = count
            .checked_mul(WIDTH)
            .and_then(|bytes| bytes.checked_add(HEADER));
        if whole != Some(file.metadata()?.len()) {
            return Err(unusable("is not whole; build it again"));
        }
        Ok(Self { file, count })
    }

    /// Whether a password is in it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn contains(&self, password: &str) -> io::Result<bool> {
        let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
        self.has(prefix(sha1.as_ref()))
    }

    /// Hashes are spread evenly, so guessing the place by value finds it in a few reads; halving bounds the rest.
    fn has(&self, wanted: u64) -> io::Result<bool> {
        let (mut low, mut high) = (0, self.count);
        let (mut least, mut most) = (0, 1 << 48);
        let mut halves = false;
        while low < high {
            let at = if halves {
                low + (high - low) / 2
            } else {
                guess((low, high), (least, most), wanted)
            };
            halves = !halves;
            let found = self.entry(at)?;
            match found.cmp(&wanted) {
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Less => (low, least) = (at + 1, found),
                std::cmp::Ordering::Greater => (high, most) = (at, found),
            }
        }
        Ok(false)
    }

    fn entry(&self, at: u64) -> io::Result<u64> {
        let mut bytes = [0; WIDTH as usize];
        self.file.read_exact_at(&mut bytes, HEADER + at * WIDTH)?;
        Ok(prefix(&bytes))
    }

    /// How many it holds.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Where a value lies between two others, of `low..high`.
fn guess((low, high): (u64, u64), (least, most): (u64, u64), wanted: u64) -> u64 {
    let span = u128::from(most.saturating_sub(least).max(1));
    let part = u128::from(wanted.saturating_sub(least)) * u128::from(high - low) / span;
    low + u64::try_from(part).unwrap_or(u64::MAX).min(high - low - 1)
}

/// The first 48 bits.
fn prefix(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .take(WIDTH as usize)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Builds a file from lists of `SHA1:COUNT` lines, each sorted, and says how many entries it has. Passwords counted
/// less often than `at_least` are left out. Takes a few lines of memory, whatever the lists hold.
///
/// # Errors
/// When a list cannot be read, is not sorted or has another form, or the file cannot be written.
pub fn build(
    lists: Vec<Box<dyn BufRead>>,
    at_least: u64,
    out: &mut (impl Write + Seek),
) -> io::Result<u64> {
    let mut lists: Vec<List> = lists
        .into_iter()
        .map(|list| List::new(list, at_least))
        .collect();
    for list in &mut lists {
        list.advance()?;
    }
    let mut out = BufWriter::new(out);
    out.write_all(MAGIC)?;
    out.write_all(&0u64.to_le_bytes())?;
    let (mut count, mut last) = (0u64, None);
    while let Some(list) = lists
        .iter_mut()
        .filter(|list| list.head.is_some())
        .min_by_key(|list| list.head)
    {
        let head = list.head;
        list.advance()?;
        if let Some(value) = head.filter(|_| head != last) {
            out.write_all(&value.to_be_bytes()[2..])?;
            count += 1;
            last = head;
        }
    }
    out.seek(SeekFrom::Start(MAGIC.len() as u64))?;
    out.write_all(&count.to_le_bytes())?;
    out.flush()?;
    Ok(count)
}

/// A list that is being read.
struct List {
    lines: Box<dyn BufRead>,
    at_least: u64,
    number: u64,
    head: Option<u64>,
}

impl List {
    fn new(lines: Box<dyn BufRead>, at_least: u64) -> Self {
        Self {
            lines,
            at_least,
            number: 0,
            head: None,
        }
    }

    /// Goes to the next line that counts.
    fn advance(&mut self) -> io::Result<()> {
        let before = self.head.take();
        loop {
            let mut line = String::new();
            let mut limited = io::Read::take(&mut self.lines, LONGEST_LINE);
            if limited.read_line(&mut line)? == 0 {
                return Ok(());
            }
            self.number += 1;
            if line.trim().is_empty() {
                continue;
            }
            let malformed = || unusable(format!("line {} is not `SHA1:COUNT`", self.number));
            let (value, count) = parse(line.trim()).ok_or_else(malformed)?;
            if before.is_some_and(|before| value < before) {
                return Err(unusable(format!(
                    "line {} is not in order; sort the list first",
                    self.number
                )));
            }
            if count >= self.at_least {
                self.head = Some(value);
                return Ok(());
            }
        }
    }
}

/// `SHA1:COUNT`, or a hash alone.
fn parse(line: &str) -> Option<(u64, u64)> {
    let (hash, count) = line.split_once(':').unwrap_or((line, "1"));
    let is_hash = hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = u64::from_str_radix(hash.get(..12)?, 16).ok()?;
    let count = count.trim().parse().ok()?;
    is_hash.then_some((value, count))
}

fn unusable(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn sha1(password: &str) -> String {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
        hash.as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect()
    }

    fn list(passwords: impl IntoIterator<Item = (String, u64)>) -> Box<dyn BufRead> {
        let mut lines: Vec<String> = passwords
            .into_iter()
            .map(|(password, count)| format!("{}:{count}\r\n", sha1(&password)))
            .collect();
        lines.sort();
        Box::new(Cursor::new(lines.concat()))
    }

    fn built(
        lists: Vec<Box<dyn BufRead>>,
        at_least: u64,
    ) -> (tempfile::TempDir, io::Result<u64>, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("breached");
        let mut file = File::create(&path).unwrap();
        let count = build(lists, at_least, &mut file);
        (directory, count, path)
    }

    #[test]
    fn every_password_of_the_lists_is_found_and_no_other() {
        let name = |number: u64| format!("password {number}");
        let one = list((0..2000).map(|number| (name(number), 1 + number % 10)));
        let two = list((1000..3000).map(|number| (name(number), 5)));
        let (_directory, count, path) = built(vec![one, two], 1);
        assert_eq!(count.unwrap(), 3000);
        let breached = Breached::open(&path).unwrap();
        assert_eq!(breached.count(), 3000);
        for number in 0..3000 {
            assert!(breached.contains(&name(number)).unwrap(), "{number}");
        }
        for number in 3000..9000 {
            assert!(!breached.contains(&name(number)).unwrap(), "{number}");
        }
    }

    #[test]
    fn rare_passwords_can_be_left_out() {
        let all = list([("often".to_owned(), 100), ("rare".to_owned(), 9)]);
        let (_directory, count, path) = built(vec![all], 10);
        assert_eq!(count.unwrap(), 1);
        let breached = Breached::open(&path).unwrap();
        assert!(breached.contains("often").unwrap() && !breached.contains("rare").unwrap());
    }

    #[test]
    fn an_empty_list_holds_nothing() {
        let (_directory, count, path) = built(vec![list([])], 1);
        assert_eq!(count.unwrap(), 0);
        assert!(!Breached::open(&path).unwrap().contains("anything").unwrap());
    }

    #[test]
    fn a_list_that_is_not_sorted_or_has_another_form_is_refused() {
        let unsorted = format!("{}:1\n{}:1\n", "F".repeat(40), "0".repeat(40));
        let lines = [
            "password",
            "0123:1",
            &"G".repeat(40),
            &format!("{}:x", "A".repeat(40)),
            &unsorted,
        ];
        for bad in lines {
            let list: Box<dyn BufRead> = Box::new(Cursor::new(bad.to_owned()));
            let (_directory, built, _) = built(vec![list], 1);
            assert_eq!(
                built.unwrap_err().kind(),
                io::ErrorKind::InvalidData,
                "{bad}"
            );
        }
    }

    #[test]
    fn a_file_that_is_not_whole_is_not_opened() {
        let (_directory, _, path) = built(vec![list([("one".to_owned(), 1)])], 1);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(Breached::open(&path).is_err(), "{length}");
        }
        std::fs::write(&path, [whole, vec![0]].concat()).unwrap();
        assert!(Breached::open(&path).is_err());
    }
}
