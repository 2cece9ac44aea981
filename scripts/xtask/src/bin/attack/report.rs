//! A verdict for each row, the table by theme, and the same as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::absence::ALONE;
use crate::rows::Row;
use crate::suites::Played;

/// What came of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Played, and it held.
    Passed,
    /// Played, and it did not hold, or its control was missing: why.
    Failed(String),
    /// What it attacks is not there: the proof.
    NotApplicable(String),
    /// What it attacks is there, and no test plays it.
    Missing,
    /// Measured on a machine of its own, or not asked for.
    NotRun,
}

/// A row and what came of it.
#[derive(Debug)]
pub(crate) struct Judged<'a> {
    row: &'a Row,
    verdict: Verdict,
    played: Vec<&'a Played>,
}

impl Judged<'_> {
    pub(crate) fn is_well(&self) -> bool {
        !matches!(self.verdict, Verdict::Failed(_) | Verdict::Missing)
    }
}

/// Judges every row.
pub(crate) fn judge<'a>(
    rows: &'a [Row],
    absent: &BTreeMap<&'static str, String>,
    played: &'a [Played],
    wanted: &[String],
) -> Vec<Judged<'a>> {
    let judge = |row: &'a Row| {
        let tests: Vec<_> = played
            .iter()
            .filter(|test| test.rows.iter().any(|id| id == row.id))
            .collect();
        let is_wanted = wanted.is_empty() || wanted.iter().any(|id| id == row.id);
        let proof = row.needs.and_then(|needs| absent.get(needs));
        let verdict = match (tests.is_empty(), proof) {
            _ if !is_wanted => Verdict::NotRun,
            (false, _) => verdict(&tests),
            (true, Some(proof)) => Verdict::NotApplicable(proof.clone()),
            (true, None) if row.needs == Some(ALONE) => Verdict::NotRun,
            (true, None) => Verdict::Missing,
        };
        Judged {
            row,
            verdict,
            played: tests,
        }
    };
    rows.iter().map(judge).collect()
}

fn verdict(tests: &[&Played]) -> Verdict {
    let failed = tests.iter().find(|test| !test.passed);
    let uncontrolled = tests.iter().find(|test| !test.has_control());
    match (failed, uncontrolled) {
        (Some(test), _) => Verdict::Failed(format!("{} failed", test.test)),
        (None, Some(test)) => Verdict::Failed(format!("{} has no control", test.test)),
        (None, None) => Verdict::Passed,
    }
}

/// The table by theme, and the rows that are not well.
pub(crate) fn print(judged: &[Judged<'_>]) {
    let mut themes: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for row in judged {
        let sums = themes.entry(row.row.theme).or_default();
        match row.verdict {
            Verdict::Passed => (sums[0], sums[1]) = (sums[0] + 1, sums[1] + 1),
            Verdict::Failed(_) => sums[1] += 1,
            Verdict::NotApplicable(_) => sums[2] += 1,
            Verdict::Missing | Verdict::NotRun => sums[3] += 1,
        }
    }
    println!("\n{:<46} passed / run   not applicable   not run", "theme");
    let mut all = [0; 4];
    for (theme, sums) in &themes {
        line(theme, sums);
        all.iter_mut().zip(sums).for_each(|(all, sum)| *all += sum);
    }
    line("all", &all);
    for row in judged.iter().filter(|row| !row.is_well()) {
        let why = match &row.verdict {
            Verdict::Failed(why) => why.as_str(),
            _ => "what it attacks is there, and no test names it",
        };
        println!("row {} ({}): {why}", row.row.id, row.row.tried);
    }
}

fn line(name: &str, [passed, run, absent, not_run]: &[usize; 4]) {
    println!("{name:<46} {passed:>6} / {run:<3}   {absent:>14}   {not_run:>7}");
}

/// Every row with its verdict, its tests and what their servers told.
pub(crate) fn write(path: &Path, judged: &[Judged<'_>]) -> Result<()> {
    let rows: Vec<Value> = judged.iter().map(entry).collect();
    let text = serde_json::to_string_pretty(&json!({ "rows": rows }))?;
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

fn entry(row: &Judged<'_>) -> Value {
    let (verdict, why) = match &row.verdict {
        Verdict::Passed => ("passed", None),
        Verdict::Failed(why) => ("failed", Some(why)),
        Verdict::NotApplicable(proof) => ("not applicable", Some(proof)),
        Verdict::Missing => ("missing", None),
        Verdict::NotRun => ("not run", None),
    };
    let tests = row.played.iter().map(|test| {
        json!({"test": test.test, "against": test.against, "passed": test.passed, "servers": test.servers})
    });
    json!({
        "row": row.row.id, "theme": row.row.theme, "tried": row.row.tried, "verdict": verdict, "why": why,
        "tests": tests.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(row: &str, passed: bool, control: bool) -> Played {
        Played {
            test: format!("row_{row}_it_holds"),
            rows: vec![row.to_owned()],
            against: "program",
            passed,
            servers: Some(vec![json!({ "control": control })]),
        }
    }

    fn verdict_of(id: &str, absent: &[&'static str], played: &[Played]) -> Verdict {
        let rows = Row::read_all().unwrap();
        let absent = absent
            .iter()
            .map(|name| (*name, "404".to_owned()))
            .collect();
        let judged = judge(&rows, &absent, played, &[]);
        judged
            .into_iter()
            .find(|row| row.row.id == id)
            .unwrap()
            .verdict
    }

    #[test]
    fn a_row_passes_when_its_tests_do_and_had_their_control() {
        assert_eq!(
            verdict_of("078", &[], &[played("078", true, true)]),
            Verdict::Passed
        );
        let failed = [played("078", true, true), played("078", false, true)];
        assert!(matches!(
            verdict_of("078", &[], &failed),
            Verdict::Failed(_)
        ));
        let blind = [played("078", true, false)];
        assert!(matches!(verdict_of("078", &[], &blind), Verdict::Failed(_)));
    }

    #[test]
    fn a_row_that_nobody_plays_is_missing_unless_its_feature_is_proved_absent() {
        assert_eq!(verdict_of("078", &[], &[]), Verdict::Missing);
        assert_eq!(verdict_of("031", &[], &[]), Verdict::Missing);
        assert!(matches!(
            verdict_of("031", &["authorize"], &[]),
            Verdict::NotApplicable(_)
        ));
        assert_eq!(verdict_of("219", &[], &[]), Verdict::NotRun);
    }
}
