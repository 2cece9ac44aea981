//! docs/testing.md says of every row whether a test names it; this compares that with the tests there are, and prints
//! the sums by theme (`cargo test -p tokensmith-server --test it attack::table -- --nocapture`).

use std::{collections::BTreeSet, fs, path::Path};

type Rows = BTreeSet<u16>;

/// A line of the table: theme, rows with a test, rows without one, and why.
struct Theme {
    name: String,
    tested: Rows,
    waiting: Rows,
}

#[test]
fn the_table_of_rows_says_what_is_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guide = fs::read_to_string(root.join("docs/testing.md")).unwrap();
    let mut named = Rows::new();
    for folder in ["crates", "examples"] {
        collect(&root.join(folder), &mut named);
    }
    let themes = themes(&guide);
    let mut seen = Rows::new();
    for theme in &themes {
        println!(
            "{:<50} {:>3} tested {:>3} not yet",
            theme.name,
            theme.tested.len(),
            theme.waiting.len()
        );
        let all: Vec<u16> = theme.tested.union(&theme.waiting).copied().collect();
        assert!(
            theme.tested.is_disjoint(&theme.waiting),
            "{}: a row stands twice",
            theme.name
        );
        assert!(
            all.iter().all(|row| seen.insert(*row)),
            "{}: a row stands in two themes",
            theme.name
        );
        let missing: Vec<_> = theme.tested.difference(&named).collect();
        assert!(
            missing.is_empty(),
            "{}: no test names {missing:?}",
            theme.name
        );
        let done: Vec<_> = theme.waiting.intersection(&named).collect();
        assert!(
            done.is_empty(),
            "{}: {done:?} have a test by now: move them",
            theme.name
        );
    }
    let unlisted: Vec<_> = named.difference(&seen).collect();
    assert!(
        unlisted.is_empty(),
        "rows {unlisted:?} have a test and no line in docs/testing.md"
    );
    let sums = |of: fn(&Theme) -> &Rows| themes.iter().map(|theme| of(theme).len()).sum::<usize>();
    let (tested, waiting) = (sums(|theme| &theme.tested), sums(|theme| &theme.waiting));
    println!("{tested} tested, {waiting} not yet");
    let sentence = format!("{tested} of {} rows have a test", tested + waiting);
    assert!(
        guide.contains(&sentence),
        "docs/testing.md should say: {sentence}"
    );
}

/// The lines of the table below "Attack rows".
fn themes(guide: &str) -> Vec<Theme> {
    let section = guide.split("## Attack rows").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit());
    let themes: Vec<Theme> = lines.map(theme).collect();
    assert!(!themes.is_empty());
    themes
}

fn theme(line: &str) -> Theme {
    let mut cells = line.trim_matches('|').split('|').map(str::trim);
    let name = cells.next().unwrap().to_owned();
    Theme {
        name,
        tested: rows(cells.next().unwrap()),
        waiting: rows(cells.next().unwrap()),
    }
}

/// The numbers of three digits in a cell.
fn rows(cell: &str) -> Rows {
    let words = cell.split(|c: char| !c.is_ascii_digit());
    words
        .filter(|word| word.len() == 3)
        .map(|word| word.parse().unwrap())
        .collect()
}

/// The rows that begin the name of a test function in this folder or below.
fn collect(folder: &Path, named: &mut Rows) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, named);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            for name in source.split("fn row_").skip(1) {
                named.extend(leading_rows(name));
            }
        }
    }
}

fn leading_rows(name: &str) -> impl Iterator<Item = u16> {
    let words = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| *word != "row");
    words.map_while(|word| (word.len() == 3).then(|| word.parse().ok()).flatten())
}

#[test]
fn rows_are_read_from_the_beginning_of_a_name_alone() {
    let read = |name| leading_rows(name).collect::<Vec<_>>();
    assert_eq!(read("292_a_large_body_is_413_before(x)"), [292]);
    assert_eq!(read("007_008_a_key()"), [7, 8]);
    assert_eq!(read("257_row_261_every()"), [257, 261]);
}
