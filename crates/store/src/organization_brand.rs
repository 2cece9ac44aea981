//! How an organization looks on the pages its people see: a name, a colour, a logo. Nothing of it is secret.

use crate::{
    AuditContext, AuditEvent, Operation, OrganizationId, Row, Store, StoreError, Tx, UserId,
    tx::{FromRow, values},
};

/// The look of an organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrganizationBrand {
    /// The name on its pages; left out, the organization's own.
    pub name: Option<String>,
    /// Red, green and blue as six lower-case hexadecimal digits.
    pub colour: Option<String>,
    /// Media type of the logo.
    pub logo_type: Option<String>,
    /// The logo's bytes.
    pub logo: Option<Vec<u8>>,
}

impl FromRow for OrganizationBrand {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let logo_type = row.opt_text(2)?;
        let logo = logo_type.as_ref().map(|_| row.bytes(3)).transpose()?;
        Ok(Self {
            name: row.opt_text(0)?,
            colour: row.opt_text(1)?,
            logo_type,
            logo,
        })
    }
}

impl Store {
    /// The look of an active organization; `None` when it has none of its own or there is no such organization.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn organization_brand(
        &self,
        org: &OrganizationId,
    ) -> Result<Option<OrganizationBrand>, StoreError> {
        const READ: &str = "SELECT COALESCE(b.name, o.name), b.colour, b.logo_type, b.logo
            FROM organization_brands AS b JOIN organizations AS o ON o.id = b.org_id
            WHERE b.org_id = $1 AND o.is_active = 1";
        self.first(READ, values![org]).await
    }
}

/// Gives an organization its look.
#[derive(Debug)]
pub struct PutOrganizationBrand {
    /// Whose.
    pub org_id: OrganizationId,
    /// The look from now on.
    pub brand: OrganizationBrand,
    /// The user who must be its owner or admin; `None` when the caller may change any.
    pub actor: Option<UserId>,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for PutOrganizationBrand {
    /// Whether there is such an organization and the actor may change it.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const PUT: &str = "INSERT INTO organization_brands (org_id, name, colour, logo_type, logo)
            SELECT id, $1, $2, $3, $4 FROM organizations WHERE id = $5 AND is_active = 1
                AND ($6 = '' OR EXISTS (SELECT 1 FROM memberships AS m
                    WHERE m.org_id = organizations.id AND m.user_id = $6 AND m.role IN ('owner', 'admin')))
            ON CONFLICT (org_id) DO UPDATE SET name = EXCLUDED.name, colour = EXCLUDED.colour,
                logo_type = EXCLUDED.logo_type, logo = EXCLUDED.logo";
        let brand = &self.brand;
        let row = values![
            brand.name.as_ref(),
            brand.colour.as_ref(),
            brand.logo_type.as_ref(),
            brand.logo.as_deref(),
            &self.org_id,
            self.actor.as_ref().map_or("", UserId::as_str),
        ];
        let won = tx.won(PUT, row).await?;
        if won {
            let mut event = AuditEvent::new("organization_brand_changed");
            event.org_id = Some(self.org_id.to_string());
            tx.audit(&self.context, event);
        }
        Ok(won)
    }
}
