//! Declarations as JSON objects: the one form of the admin API, of declarative files and of listings. Further metadata
//! of clients comes and goes by its own type, so a new member of it appears here by itself.

use serde_json::{Map, Value, json};
use tokensmith_jose::Algorithm;
use tokensmith_oauth2::ResourceIndicator;
use tokensmith_store::{
    Declaration, DeclarationKind, Permission, Resource, Role, ScopeDeclaration, Timestamp,
    TrustedIssuer,
};

use super::{
    client_document,
    members::{Members, Problem, one_token, own_name},
};
use crate::extract::{check_description, check_name};

/// A JSON object.
pub type Document = Map<String, Value>;

/// What a resource may ask to be told of a user in its access tokens.
const USER_CLAIMS: [&str; 3] = ["email", "roles", "permissions"];

/// The member that is the key of a kind.
pub fn key_member(kind: DeclarationKind) -> &'static str {
    match kind {
        DeclarationKind::Scope | DeclarationKind::Permission | DeclarationKind::Role => "name",
        DeclarationKind::Resource => "identifier",
        DeclarationKind::Client => "client_id",
        DeclarationKind::Issuer => "issuer",
    }
}

/// The declaration as an object, without what the server keeps by itself (times, secrets).
pub fn document(declared: &Declaration) -> Document {
    let object = match declared {
        Declaration::Scope(scope) => json!({
            "name": scope.name, "description": scope.description, "implies": scope.implies,
        }),
        Declaration::Resource(resource) => json!({
            "identifier": resource.identifier, "name": resource.name, "scopes": resource.scopes,
            "signing_algorithm": resource.signing_algorithm,
            "access_token_seconds": resource.access_token_seconds,
            "user_claims": resource.user_claims,
        }),
        Declaration::Permission(permission) => json!({
            "name": permission.name, "description": permission.description,
        }),
        Declaration::Role(role) => json!({
            "name": role.name, "description": role.description,
            "permissions": role.permissions, "includes": role.includes,
        }),
        Declaration::Client(client) => return client_document::document(client),
        Declaration::Issuer(issuer) => json!(issuer),
    };
    without_nulls(object)
}

pub(super) fn without_nulls(object: Value) -> Document {
    let Value::Object(members) = object else {
        return Document::new();
    };
    let present = members.into_iter().filter(|(_, value)| !value.is_null());
    present.collect()
}

/// Reads a declaration. What the server keeps by itself is taken from `before`, or begins now.
///
/// # Errors
/// Every problem there is.
pub fn read(
    kind: DeclarationKind,
    object: Document,
    before: Option<&Declaration>,
    now: Timestamp,
) -> Result<Declaration, Vec<Problem>> {
    let mut members = Members::new(object);
    let read = match kind {
        DeclarationKind::Scope => scope(&mut members).map(Declaration::Scope),
        DeclarationKind::Resource => resource(&mut members, before, now).map(Declaration::Resource),
        DeclarationKind::Permission => permission(&mut members).map(Declaration::Permission),
        DeclarationKind::Role => role(&mut members).map(Declaration::Role),
        DeclarationKind::Client => {
            let client = client_document::read(&mut members, before, now);
            client.map(|client| Declaration::Client(Box::new(client)))
        }
        DeclarationKind::Issuer => {
            issuer(&mut members).map(|issuer| Declaration::Issuer(Box::new(issuer)))
        }
    };
    members.finish(read, kind.word())
}

fn description(members: &mut Members) -> String {
    let check = |text: &str| {
        check_description(text)
            .map(|()| text.to_owned())
            .map_err(|error| error.sentence().trim_end_matches('.').to_owned())
    };
    members.parsed("description", check).unwrap_or_default()
}

/// A name for people.
pub(super) fn name_for_people(text: &str) -> Result<String, String> {
    check_name(text)
        .map(|()| text.to_owned())
        .map_err(|error| error.sentence().trim_end_matches('.').to_owned())
}

fn own(members: &mut Members) -> Option<String> {
    let name = members.parsed("name", own_name);
    members.required("name", name)
}

fn scope(members: &mut Members) -> Option<ScopeDeclaration> {
    let name = own(members);
    Some(ScopeDeclaration {
        description: description(members),
        // What the server's own scopes permit is given by name alone, never by implication.
        implies: members.list("implies", |text| own_name(text).map(drop)),
        name: name?,
    })
}

fn permission(members: &mut Members) -> Option<Permission> {
    let name = own(members);
    Some(Permission {
        description: description(members),
        name: name?,
    })
}

fn role(members: &mut Members) -> Option<Role> {
    let name = own(members);
    Some(Role {
        description: description(members),
        permissions: members.list("permissions", one_token),
        includes: members.list("includes", one_token),
        name: name?,
    })
}

fn resource(
    members: &mut Members,
    before: Option<&Declaration>,
    now: Timestamp,
) -> Option<Resource> {
    let identifier = members.parsed("identifier", |text| {
        ResourceIndicator::parse(text).map(|_| text.to_owned())
    });
    let identifier = members.required("identifier", identifier);
    let name = members.parsed("name", name_for_people);
    let scopes = members.list("scopes", one_token);
    let signing_algorithm = members.parsed("signing_algorithm", |text| {
        Algorithm::from_name(text)
            .map(|_| text.to_owned())
            .ok_or("this server signs with no such algorithm")
    });
    let access_token_seconds = seconds(members);
    let user_claims = user_claims(members);
    let created_at = match before {
        Some(Declaration::Resource(before)) => before.created_at,
        _ => now,
    };
    let identifier = identifier?;
    Some(Resource {
        name: name.unwrap_or_else(|| identifier.clone()),
        identifier,
        scopes,
        signing_algorithm,
        access_token_seconds,
        user_claims,
        created_at,
    })
}

/// `user_claims`: what tokens say of a user. Who asks for permissions is told the roles they come from, so that a change
/// of a role reaches every token that rests on it.
fn user_claims(members: &mut Members) -> Option<Vec<String>> {
    const NAME: &str = "user_claims";
    if !members.has(NAME) {
        return None;
    }
    let mut claims = members.list(NAME, |text| {
        let known = USER_CLAIMS.contains(&text);
        known
            .then_some(())
            .ok_or("it is one of email, roles and permissions")
    });
    let (roles, permissions) = ("roles".to_owned(), "permissions".to_owned());
    if claims.contains(&permissions) && !claims.contains(&roles) {
        claims.push(roles);
    }
    Some(claims)
}

/// `access_token_seconds`: from 1 to a day.
pub(super) fn seconds(members: &mut Members) -> Option<i64> {
    const NAME: &str = "access_token_seconds";
    const FORM: &str = "a number from 1 to 86400";
    let seconds: i64 = members.optional(NAME, FORM)?;
    if !(1..=86_400).contains(&seconds) {
        members.problem(NAME, format!("{NAME} must be {FORM}."));
    }
    Some(seconds)
}

/// By the record's own type; each member is read alone first, so that what is wrong is named.
fn issuer(members: &mut Members) -> Option<TrustedIssuer> {
    let identifier: Option<String> = members.optional("issuer", "a text");
    let identifier = members.required("issuer", identifier)?;
    let mut good = Document::new();
    good.insert("issuer".to_owned(), json!(identifier));
    for (name, value) in members.rest() {
        let mut alone = good.clone();
        alone.insert(name.clone(), value);
        match serde_json::from_value::<TrustedIssuer>(Value::Object(alone.clone())) {
            Ok(_) => good = alone,
            Err(error) if error.to_string().starts_with("unknown field") => {
                members.problem(&name, format!("{name} is no member of an issuer."));
            }
            Err(_) => members.problem(&name, format!("{name} has the wrong type or value.")),
        }
    }
    serde_json::from_value(Value::Object(good)).ok()
}
