//! What declarations refer to must be there: checked for what changes, and for what goes away, in the transaction that
//! changes it.

use std::collections::BTreeMap;

use super::{
    Declaration, DeclarationChange, DeclarationKind,
    rows::{self, MOST},
};
use crate::{
    Permission, Resource, Role, ScopeDeclaration, StoreError, Tx, client::json, tx::values,
};

/// Every declaration but the clients, by kind and key, as it will be.
type Names = BTreeMap<DeclarationKind, BTreeMap<String, Declaration>>;

pub(super) async fn problems(
    tx: &mut Tx<'_>,
    changes: &[DeclarationChange],
    built_in: &[String],
) -> Result<Vec<String>, StoreError> {
    let mut names = read(tx).await?;
    for change in changes {
        apply(&mut names, change);
    }
    let mut found = Vec::new();
    for (kind, of_kind) in &names {
        if of_kind.len() as i64 > MOST {
            found.push(format!("There may be {MOST} {} at most.", kind.plural()));
        }
    }
    let is_known = |kind: DeclarationKind, key: &str| {
        names
            .get(&kind)
            .is_some_and(|of_kind| of_kind.contains_key(key))
            || built_in.iter().any(|known| known == key)
    };
    for after in changes.iter().filter_map(|change| change.after.as_ref()) {
        let missing = references(after).into_iter();
        let missing = missing.filter(|(kind, key)| !is_known(*kind, key));
        found.extend(missing.map(|(kind, key)| {
            format!(
                "The {} {} names the {} {key}, which is not declared.",
                after.kind().word(),
                after.key(),
                kind.word()
            )
        }));
    }
    found.extend(circles(&names));
    let gone = changes.iter().filter(|change| change.after.is_none());
    for gone in gone.filter_map(|change| change.before.as_ref()) {
        found.extend(still_named(&names, gone));
        found.extend(named_by_rows(tx, gone, changes).await?);
    }
    Ok(found)
}

async fn read(tx: &mut Tx<'_>) -> Result<Names, StoreError> {
    let mut names = Names::new();
    let mut keep = |declared: Declaration| {
        let of_kind = names.entry(declared.kind()).or_default();
        of_kind.insert(declared.key().to_owned(), declared);
    };
    let scopes: Vec<ScopeDeclaration> = rows::all(tx, DeclarationKind::Scope).await?;
    scopes
        .into_iter()
        .map(Declaration::Scope)
        .for_each(&mut keep);
    let resources: Vec<Resource> = rows::all(tx, DeclarationKind::Resource).await?;
    resources
        .into_iter()
        .map(Declaration::Resource)
        .for_each(&mut keep);
    let permissions: Vec<Permission> = rows::all(tx, DeclarationKind::Permission).await?;
    permissions
        .into_iter()
        .map(Declaration::Permission)
        .for_each(&mut keep);
    let roles: Vec<Role> = rows::all(tx, DeclarationKind::Role).await?;
    roles.into_iter().map(Declaration::Role).for_each(&mut keep);
    Ok(names)
}

fn apply(names: &mut Names, change: &DeclarationChange) {
    let of_kind = |kind| !matches!(kind, DeclarationKind::Client | DeclarationKind::Issuer);
    if let Some(before) = change.before.as_ref().filter(|it| of_kind(it.kind())) {
        names.entry(before.kind()).or_default().remove(before.key());
    }
    if let Some(after) = change.after.as_ref().filter(|it| of_kind(it.kind())) {
        let of_kind = names.entry(after.kind()).or_default();
        of_kind.insert(after.key().to_owned(), after.clone());
    }
}

/// What a declaration names of others.
fn references(declared: &Declaration) -> Vec<(DeclarationKind, String)> {
    let all = |kind: DeclarationKind, keys: &[String]| -> Vec<(DeclarationKind, String)> {
        keys.iter().map(|key| (kind, key.clone())).collect()
    };
    match declared {
        Declaration::Scope(scope) => all(DeclarationKind::Scope, &scope.implies),
        Declaration::Resource(resource) => all(DeclarationKind::Scope, &resource.scopes),
        Declaration::Permission(_) => Vec::new(),
        Declaration::Role(role) => {
            let permissions = all(DeclarationKind::Permission, &role.permissions);
            [permissions, all(DeclarationKind::Role, &role.includes)].concat()
        }
        Declaration::Client(client) => {
            let scopes: Vec<String> = client.scope.iter().map(str::to_owned).collect();
            let scopes = all(DeclarationKind::Scope, &scopes);
            [scopes, all(DeclarationKind::Resource, &client.resources)].concat()
        }
        // A rule for a client that is not there stands for nobody.
        Declaration::Issuer(_) => Vec::new(),
    }
}

/// Roles that include themselves, by whatever way.
fn circles(names: &Names) -> Vec<String> {
    let roles = names.get(&DeclarationKind::Role);
    let includes = |key: &str| match roles.and_then(|roles| roles.get(key)) {
        Some(Declaration::Role(role)) => role.includes.clone(),
        _ => Vec::new(),
    };
    let reaches_itself = |start: &String| {
        let (mut open, mut seen) = (includes(start), Vec::new());
        while let Some(next) = open.pop() {
            if next == *start {
                return true;
            }
            if !seen.contains(&next) {
                open.extend(includes(&next));
                seen.push(next);
            }
        }
        false
    };
    let keys = roles.into_iter().flat_map(BTreeMap::keys);
    keys.filter(|key| reaches_itself(key))
        .map(|key| format!("The role {key} includes itself."))
        .collect()
}

fn still_named(names: &Names, gone: &Declaration) -> Vec<String> {
    let left = names.values().flat_map(BTreeMap::values);
    let naming = left.filter(|other| {
        let mut named = references(other).into_iter();
        named.any(|(kind, key)| kind == gone.kind() && key == gone.key())
    });
    naming
        .map(|other| {
            still(
                gone,
                &format!("the {} {}", other.kind().word(), other.key()),
            )
        })
        .collect()
}

fn still(gone: &Declaration, by: &str) -> String {
    format!(
        "The {} {} is still named by {by}.",
        gone.kind().word(),
        gone.key()
    )
}

/// Clients and users are many, so the database is asked which of them name what goes away.
async fn named_by_rows(
    tx: &mut Tx<'_>,
    gone: &Declaration,
    changes: &[DeclarationChange],
) -> Result<Vec<String>, StoreError> {
    const LITE_SCOPE: &str = "SELECT client_id FROM clients WHERE instr(' ' || scope || ' ', $1) > 0 ORDER BY 1 LIMIT $2";
    const PG_SCOPE: &str = "SELECT client_id FROM clients WHERE strpos(' ' || scope || ' ', $1) > 0 ORDER BY 1 LIMIT $2";
    const LITE_RESOURCE: &str =
        "SELECT client_id FROM clients WHERE instr(resources, $1) > 0 ORDER BY 1 LIMIT $2";
    const PG_RESOURCE: &str =
        "SELECT client_id FROM clients WHERE strpos(resources, $1) > 0 ORDER BY 1 LIMIT $2";
    const LITE_ROLE: &str = "SELECT email FROM users WHERE instr(roles, $1) > 0 OR id IN
            (SELECT user_id FROM memberships WHERE instr(roles, $1) > 0) ORDER BY 1 LIMIT $2";
    const PG_ROLE: &str = "SELECT email FROM users WHERE strpos(roles, $1) > 0 OR id IN
            (SELECT user_id FROM memberships WHERE strpos(roles, $1) > 0) ORDER BY 1 LIMIT $2";
    let key = gone.key();
    let (sql, needle, who) = match gone.kind() {
        DeclarationKind::Scope => (
            tx.by_engine(LITE_SCOPE, PG_SCOPE),
            format!(" {key} "),
            "client",
        ),
        DeclarationKind::Resource => (
            tx.by_engine(LITE_RESOURCE, PG_RESOURCE),
            json(&key)?,
            "client",
        ),
        DeclarationKind::Role => (tx.by_engine(LITE_ROLE, PG_ROLE), json(&key)?, "user"),
        DeclarationKind::Permission | DeclarationKind::Client | DeclarationKind::Issuer => {
            return Ok(Vec::new());
        }
    };
    let found: Vec<String> = tx
        .all(sql, values![&needle, 20 + changes.len() as i64])
        .await?;
    // A client that is changed or removed beside it is checked as it will be.
    let is_changed = |id: &String| {
        who == "client"
            && changes
                .iter()
                .any(|change| match (&change.before, &change.after) {
                    (Some(Declaration::Client(client)), _) => client.client_id.as_str() == id,
                    _ => false,
                })
    };
    let left = found.iter().filter(|id| !is_changed(id));
    Ok(left
        .map(|id| still(gone, &format!("the {who} {id}")))
        .collect())
}
