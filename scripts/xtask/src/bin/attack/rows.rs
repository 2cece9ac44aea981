//! The list of rows: number, theme, the feature it attacks, and what is tried.

use anyhow::{Context, Result};

const LIST: &str = include_str!("../../../../../crates/server/tests/it/attack/rows.tsv");

/// One row of the list.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) theme: &'static str,
    /// The feature without which it cannot be played.
    pub(crate) needs: Option<&'static str>,
    pub(crate) tried: &'static str,
}

impl Row {
    /// Every row, in order.
    pub(crate) fn read_all() -> Result<Vec<Self>> {
        let lines = LIST.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| Self::read(line).with_context(|| format!("rows.tsv: {line}")))
            .collect()
    }

    fn read(line: &'static str) -> Option<Self> {
        let mut cells = line.split('\t');
        let (id, theme, needs) = (cells.next()?, cells.next()?, cells.next()?);
        Some(Self {
            id,
            theme,
            needs: Some(needs).filter(|needs| *needs != "-"),
            tried: cells.next()?,
        })
    }
}

/// The rows at the beginning of a test's name: `row_257_row_261_every_route` plays two.
pub(crate) fn named_by(test: &str) -> Vec<&str> {
    let name = test.rsplit("::").next().unwrap_or(test);
    let Some(rest) = name.strip_prefix("row_") else {
        return Vec::new();
    };
    let words = rest.split('_').filter(|word| *word != "row");
    words
        .take_while(|word| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::absence;

    #[test]
    fn every_line_is_a_row_and_names_a_feature_that_is_looked_for() {
        let rows = Row::read_all().unwrap();
        assert_eq!(rows.len(), 194);
        assert!(rows.is_sorted_by_key(|row| row.id));
        for row in rows {
            let needs = row.needs.filter(|needs| *needs != absence::ALONE);
            assert!(
                needs.is_none_or(|needs| absence::FEATURES
                    .iter()
                    .any(|feature| feature.name == needs)),
                "{row:?}"
            );
        }
    }

    #[test]
    fn a_name_begins_with_its_rows() {
        assert_eq!(named_by("input::row_292_a_large_body"), ["292"]);
        assert_eq!(named_by("row_257_row_261_every_route"), ["257", "261"]);
        assert_eq!(named_by("row_007_008_a_key"), ["007", "008"]);
        assert!(named_by("matrix::borrow_123").is_empty());
    }
}
