//! Permissions and roles as declared data: a role holds permissions and may include other roles. What a user's roles
//! permit follows from here, never from how a role is called.

use crate::{
    Row, Store, StoreError,
    tx::{FromRow, values},
};

/// Something that may be permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Its name: one token.
    pub name: String,
    /// What it allows, for people.
    pub description: String,
}

/// A set of permissions under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its name: one token.
    pub name: String,
    /// Who should have it, for people.
    pub description: String,
    /// The permissions it holds itself.
    pub permissions: Vec<String>,
    /// The roles whose permissions it holds as well.
    pub includes: Vec<String>,
}

impl FromRow for Permission {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            name: row.text(0)?,
            description: row.text(1)?,
        })
    }
}

impl FromRow for Role {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            name: row.text(0)?,
            description: row.text(1)?,
            permissions: row.json(2)?,
            includes: row.json(3)?,
        })
    }
}

impl Store {
    /// Every declared permission, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn permissions(&self) -> Result<Vec<Permission>, StoreError> {
        self.all(
            "SELECT name, description FROM permissions ORDER BY name",
            values![],
        )
        .await
    }

    /// Every declared role, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn roles(&self) -> Result<Vec<Role>, StoreError> {
        const ALL: &str =
            "SELECT name, description, permissions, includes FROM roles ORDER BY name";
        self.all(ALL, values![]).await
    }
}
