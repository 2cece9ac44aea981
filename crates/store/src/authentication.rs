//! How somebody proved who they are: the methods in the words of RFC 8176, the level they reach, and when.
//! The level is `aal1` or `aal2`, after one factor or two; it is the `acr` of tokens (RFC 9068 §2.2.1).

use std::{fmt, str::FromStr};

use crate::{Row, StoreError, Timestamp};

/// How far a proof of identity reaches. A higher level stands for the lower ones.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum AssuranceLevel {
    /// One factor.
    #[serde(rename = "aal1")]
    One,
    /// Two factors, or a passkey whose authenticator verified its user.
    #[serde(rename = "aal2")]
    Two,
}

impl AssuranceLevel {
    /// Every level, the lowest first.
    pub const ALL: [Self; 2] = [Self::One, Self::Two];

    /// The word in `acr`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::One => "aal1",
            Self::Two => "aal2",
        }
    }
}

impl fmt::Display for AssuranceLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AssuranceLevel {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let level = Self::ALL.into_iter().find(|level| level.as_str() == word);
        level.ok_or_else(|| format!("`{word}` is not a level of assurance"))
    }
}

/// A proof of identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// How far it reaches.
    pub level: AssuranceLevel,
    /// `amr`: the methods (RFC 8176 §2).
    pub methods: Vec<String>,
    /// `auth_time`.
    pub at: Timestamp,
}

impl Authentication {
    /// By password alone.
    pub fn password(at: Timestamp) -> Self {
        Self::by(AssuranceLevel::One, &["pwd"], at)
    }

    /// By a passkey alone, whose authenticator verified its user.
    pub fn passkey(at: Timestamp) -> Self {
        Self::by(AssuranceLevel::Two, &["pop", "user", "mfa"], at)
    }

    fn by(level: AssuranceLevel, methods: &[&str], at: Timestamp) -> Self {
        let methods = methods.iter().map(|&method| method.to_owned()).collect();
        Self { level, methods, at }
    }

    /// The same, and a second factor of this method at this instant.
    #[must_use]
    pub fn and(mut self, method: &str, at: Timestamp) -> Self {
        for method in [method, "mfa"] {
            if self.methods.iter().all(|known| known != method) {
                self.methods.push(method.to_owned());
            }
        }
        self.level = AssuranceLevel::Two;
        self.at = at;
        self
    }

    /// Reads it from three columns that stand together.
    pub(crate) fn read(row: &Row<'_>, column: usize) -> Result<Self, StoreError> {
        Ok(Self {
            level: row.word(column)?,
            methods: row.json(column + 1)?,
            at: row.time(column + 2)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_factor_raises_the_level_and_is_named_once() {
        let (first, later) = (Timestamp::from_seconds(1), Timestamp::from_seconds(2));
        let proved = Authentication::password(first).and("otp", later);
        assert_eq!(proved.methods, ["pwd", "otp", "mfa"]);
        assert_eq!((proved.level, proved.at), (AssuranceLevel::Two, later));
        assert_eq!(proved.clone().and("otp", later), proved);
        assert!(AssuranceLevel::One < AssuranceLevel::Two);
    }
}
