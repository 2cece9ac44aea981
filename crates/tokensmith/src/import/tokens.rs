//! The collections `tokens` and `used_refresh_tokens`. A live refresh token becomes the one presentable token of a new
//! family; a used one ends that family when it is shown again. Only hashes are kept.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use serde::Deserialize;
use tokensmith_jose::unverified_claims;
use tokensmith_oauth2::{ClientId, Scope};
use tokensmith_server::token::{digest_of_jti, digest_of_token};
use tokensmith_store::{
    FamilyId, ImportRefreshFamily, ImportSpentRefreshToken, RefreshFamily, Timestamp,
};

use super::{Document, Import, Outcome, Refusal, clients};

const TEXT: [&str; 2] = ["refresh_token", "token"];
const HASH: [&str; 3] = ["refresh_token_hash", "token_hash", "hash"];
const JTI: [&str; 2] = ["refresh_jti", "refresh_token_jti"];
const EXPIRES: [&str; 4] = ["expires_at", "refresh_expires_at", "expires", "exp"];
const MEANINGLESS: [&str; 12] = [
    "access_token",
    "access_jti",
    "access_token_jti",
    "role",
    "ip",
    "ip_address",
    "user_agent",
    "last_used_at",
    "updated_at",
    "revoked_at",
    "used_at",
    "replaced_by",
];

type Digest = [u8; 32];

/// What a token says of itself; who wrote it is not in question, because it stood in the service's own database.
#[derive(Default, Deserialize)]
struct Claims {
    jti: Option<String>,
    exp: Option<i64>,
    sub: Option<String>,
}

/// How a document names its token.
struct Named {
    /// The one it is kept under.
    digest: Digest,
    /// Every one it may be named by elsewhere.
    all: Vec<Digest>,
    claims: Claims,
}

/// Every digest by which a document names a token; none of a document that cannot be read, which is refused later.
pub(super) fn digests(mut document: Document) -> Vec<Digest> {
    let access = document.text(&["access_token"]);
    let mut all = named(&mut document).map_or_else(|_| Vec::new(), |named| named.all);
    all.extend(access.ok().flatten().map(|text| digest_of_token(&text)));
    all
}

fn named(document: &mut Document) -> Result<Named, String> {
    let text = document.text(&TEXT)?;
    let hash = document.text(&HASH)?;
    let jti = document.text(&JTI)?;
    let claims: Claims = text
        .as_deref()
        .and_then(|text| unverified_claims(text).ok())
        .unwrap_or_default();
    let by_text = text.as_deref().map(digest_of_token);
    let by_hash = hash.as_deref().map(sha256_in_hex).transpose()?;
    // Beside a token or its hash, `jti` may name the access token; alone it names the refresh token.
    let alone = document
        .text(&["jti"])?
        .filter(|_| text.is_none() && hash.is_none());
    let jti = jti.or_else(|| claims.jti.clone()).or(alone);
    let by_jti = jti.as_deref().map(digest_of_jti);
    let all: Vec<Digest> = [by_text, by_hash, by_jti].into_iter().flatten().collect();
    let digest = all
        .first()
        .copied()
        .ok_or("it has neither a token nor its hash or jti")?;
    Ok(Named {
        digest,
        all,
        claims,
    })
}

fn sha256_in_hex(text: &str) -> Result<Digest, String> {
    let malformed = || "its token's hash is not SHA-256 in hexadecimal".to_owned();
    if text.len() != 64 || !text.is_ascii() {
        return Err(malformed());
    }
    let mut digest = [0; 32];
    for (at, byte) in digest.iter_mut().enumerate() {
        let pair = &text[2 * at..2 * at + 2];
        *byte = u8::from_str_radix(pair, 16).map_err(|_| malformed())?;
    }
    Ok(digest)
}

/// The families there are, and what is over.
pub(super) struct Families {
    over: HashSet<Digest>,
    new_clients: clients::Known,
    by_lineage: HashMap<(ClientId, String), FamilyId>,
    newest: HashMap<ClientId, (Timestamp, FamilyId)>,
    ended: HashMap<ClientId, FamilyId>,
}

impl Families {
    pub(super) fn new(over: HashSet<Digest>, new_clients: clients::Known) -> Self {
        Self {
            over,
            new_clients,
            by_lineage: HashMap::new(),
            newest: HashMap::new(),
            ended: HashMap::new(),
        }
    }

    /// A document of `tokens`.
    pub(super) async fn live(
        &mut self,
        import: &Import<'_>,
        mut document: Document,
    ) -> Result<Outcome, Refusal> {
        let kind = document.text(&["token_type", "type"])?;
        match kind.as_deref() {
            None | Some("refresh" | "refresh_token" | "bearer" | "Bearer") => {}
            Some("access" | "access_token") => return Ok(Outcome::Skipped),
            Some(_) => return Err("its type is neither access nor refresh".to_owned().into()),
        }
        let named = named(&mut document)?;
        let (client, registered) = self.client(import, &mut document, &named).await?;
        let scope = match document.words(&["scopes", "scope"])? {
            Some(words) => clients::scope(Some(words))?,
            None => registered,
        };
        let lineage = document.text(&["family_id", "family", "token_family"])?;
        let now = import.data.now;
        let created = document.time(&["created_at", "issued_at", "iat"])?;
        let expires = expiry(import, &mut document, &named)?;
        let is_over = document.flag(&["revoked", "is_revoked"])?.unwrap_or(false)
            | document.flag(&["used", "is_used"])?.unwrap_or(false);
        document.drop_all(&MEANINGLESS);
        document.done(import.ignored)?;
        if is_over || expires <= now || named.all.iter().any(|one| self.over.contains(one)) {
            return Ok(Outcome::Skipped);
        }
        let known = import
            .data
            .store
            .imported_refresh_token(&named.digest)
            .await?;
        let (family, outcome) = match known {
            Some(known) => (known.family, Outcome::Known),
            None => {
                let family = new_family(import, client.clone(), scope, expires);
                let id = family.id.clone();
                bring(import, family, Some(named.digest)).await?;
                (id, Outcome::Brought)
            }
        };
        self.remember(client, lineage, created.unwrap_or(now), family);
        Ok(outcome)
    }

    fn remember(
        &mut self,
        client: ClientId,
        lineage: Option<String>,
        created: Timestamp,
        family: FamilyId,
    ) {
        if let Some(lineage) = lineage {
            self.by_lineage
                .insert((client.clone(), lineage), family.clone());
        }
        let is_newest = self
            .newest
            .get(&client)
            .is_none_or(|(at, _)| *at <= created);
        if is_newest {
            self.newest.insert(client, (created, family));
        }
    }

    /// A document of `used_refresh_tokens`.
    pub(super) async fn spent(
        &mut self,
        import: &Import<'_>,
        mut document: Document,
    ) -> Result<Outcome, Refusal> {
        let named = named(&mut document)?;
        let (client, _) = self.client(import, &mut document, &named).await?;
        let lineage = document.text(&["family_id", "family", "token_family"])?;
        let expires = expiry(import, &mut document, &named)?;
        document.drop_all(&[
            "scopes",
            "scope",
            "created_at",
            "issued_at",
            "reason",
            "token_type",
            "type",
        ]);
        document.drop_all(&MEANINGLESS);
        document.done(import.ignored)?;
        if expires <= import.data.now {
            return Ok(Outcome::Skipped);
        }
        if let Some(_known) = import
            .data
            .store
            .imported_refresh_token(&named.digest)
            .await?
        {
            return Ok(Outcome::Known);
        }
        let family = self.family_of_spent(import, client, lineage).await?;
        if !import.dry_run {
            let spent = ImportSpentRefreshToken {
                digest: named.digest,
                family,
            };
            import.data.store.write(spent).await?;
        }
        Ok(Outcome::Brought)
    }

    /// The family of its line if the service kept lines, else the client's newest; without a live one, an ended one.
    async fn family_of_spent(
        &mut self,
        import: &Import<'_>,
        client: ClientId,
        lineage: Option<String>,
    ) -> Result<FamilyId, Refusal> {
        let of_line = lineage.map(|lineage| {
            let key = (client.clone(), lineage);
            self.by_lineage.get(&key).cloned()
        });
        let found = of_line.unwrap_or_else(|| {
            let newest = self.newest.get(&client);
            newest.map(|(_, family)| family.clone())
        });
        if let Some(family) = found.or_else(|| self.ended.get(&client).cloned()) {
            return Ok(family);
        }
        let now = import.data.now;
        let family = RefreshFamily {
            revoked_at: Some(now),
            revoked_reason: Some("spent_before_import".to_owned()),
            ..new_family(import, client.clone(), Scope::empty(), now)
        };
        let id = family.id.clone();
        bring(import, family, None).await?;
        self.ended.insert(client, id.clone());
        Ok(id)
    }

    /// The client a token belongs to, with its scope.
    async fn client(
        &self,
        import: &Import<'_>,
        document: &mut Document,
        named: &Named,
    ) -> Result<(ClientId, Scope), Refusal> {
        let id = document.text(&["client_id", "clientId", "client", "sub"])?;
        let id = id
            .or_else(|| named.claims.sub.clone())
            .ok_or_else(|| "it names no client".to_owned())?;
        let id = ClientId::parse(&id)
            .map_err(|error| format!("its client id cannot be used: {error}"))?;
        if let Some(client) = import.data.store.client(&id).await? {
            return Ok((id, client.scope));
        }
        match self.new_clients.get(&id) {
            Some(scope) => Ok((id, scope.clone())),
            None => Err(format!("there is no client {id}").into()),
        }
    }
}

/// When the token ends: as the document says, as the token itself says, or as tokens of this server do.
fn expiry(
    import: &Import<'_>,
    document: &mut Document,
    named: &Named,
) -> Result<Timestamp, String> {
    let written = document.time(&EXPIRES)?;
    let of_token = named.claims.exp.map(Timestamp::from_seconds);
    let of_server = import.data.now + import.data.config.tokens.refresh_token_lifetime;
    Ok(written.or(of_token).unwrap_or(of_server))
}

async fn bring(
    import: &Import<'_>,
    family: RefreshFamily,
    digest: Option<Digest>,
) -> Result<(), Refusal> {
    if !import.dry_run {
        let context = import.data.context();
        let family = ImportRefreshFamily {
            family,
            digest,
            context,
        };
        import.data.store.write(family).await?;
    }
    Ok(())
}

/// The token is good until its own end; once it is renewed, its family is like any other.
fn new_family(
    import: &Import<'_>,
    client_id: ClientId,
    scope: Scope,
    expires: Timestamp,
) -> RefreshFamily {
    let data = import.data;
    let lifetime: Duration = data.config.tokens.refresh_token_lifetime;
    RefreshFamily {
        id: data.entropy.uuid(data.now).into(),
        root_key: import.refresh_root.id().to_owned(),
        client_id,
        user_id: None,
        session_id: None,
        org_id: None,
        scope,
        resources: vec![data.config.audience().to_owned()],
        generation: 0,
        rotated_at: data.now,
        successor_used_at: None,
        current_jti: None,
        created_at: data.now,
        expires_at: data.now + lifetime,
        idle_expires_at: expires,
        revoked_at: None,
        revoked_reason: None,
        confirmation: None,
    }
}
