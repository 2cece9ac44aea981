//! What operations share, put in once: names, security schemes, path parameters, the refusals that follow from what an
//! operation takes, and older spellings of paths.
//!
//! An operation under `/api/` that says nothing of security needs an access token: forgetting to say so never makes one
//! look open.

use http::StatusCode;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

/// Paths that answer as another does.
const ALIASES: [(&str, &str); 6] = [
    ("/api/oauth2/health", "/health"),
    ("/api/oauth2/logout", "/api/auth/logout"),
    ("/api/oauth2/sessions", "/api/auth/sessions"),
    (
        "/api/oauth2/sessions/{token_hash}",
        "/api/auth/sessions/{session_id}",
    ),
    ("/auth/login", "/api/auth/login"),
    (
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
    ),
];

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

pub(super) fn finish(head: OpenApi, features: Vec<(&'static str, OpenApi)>) -> Value {
    let mut whole = json!(head);
    for (name, feature) in features {
        let mut feature = json!(feature);
        for (path, method, operation) in operations(&mut feature) {
            complete(
                operation,
                &Place {
                    path,
                    method,
                    feature: name,
                },
            );
        }
        for part in ["/paths", "/components/schemas"] {
            let Some(Value::Object(more)) = feature.pointer_mut(part).map(Value::take) else {
                continue;
            };
            if let Some(Value::Object(all)) = whole.pointer_mut(part) {
                all.extend(more);
            }
        }
    }
    alias(&mut whole);
    // A scope has the members of a permission as well: a value may be as several of them say.
    let declaration = &mut whole["components"]["schemas"]["DeclarationDocument"];
    declaration["anyOf"] = declaration["oneOf"].take();
    declaration
        .as_object_mut()
        .map(|schema| schema.remove("oneOf"));
    whole["components"]["securitySchemes"] = security_schemes();
    whole["info"]["license"] =
        json!({ "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" });
    whole
}

/// Where an operation stands.
struct Place {
    path: String,
    method: &'static str,
    feature: &'static str,
}

type Operation = Map<String, Value>;

fn operations(document: &mut Value) -> Vec<(String, &'static str, &mut Operation)> {
    let Some(Value::Object(paths)) = document.get_mut("paths") else {
        return Vec::new();
    };
    let items = paths
        .iter_mut()
        .filter_map(|(path, item)| Some((path, item.as_object_mut()?)));
    let operations = items.flat_map(|(path, item)| {
        item.iter_mut().filter_map(move |(method, operation)| {
            let method = METHODS.into_iter().find(|known| known == method)?;
            Some((path.clone(), method, operation.as_object_mut()?))
        })
    });
    operations.collect()
}

fn complete(operation: &mut Operation, place: &Place) {
    let function = operation.get("operationId").and_then(Value::as_str);
    let id = format!("{}_{}", place.feature, function.unwrap_or(place.method));
    operation.insert("operationId".to_owned(), json!(id));
    operation.insert("tags".to_owned(), json!([place.feature]));
    words(operation);
    if !operation.contains_key("security") {
        operation.insert("security".to_owned(), security(&place.path));
    }
    parameters(operation, &place.path);
    responses(operation, place);
}

/// The comment of a handler begins with its path, which the document says already, and ends with its refusals.
fn words(operation: &mut Operation) {
    let text = |name: &str| {
        operation
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let whole = format!("{}\n\n{}", text("summary"), text("description"));
    let whole = whole.split("# Errors").next().unwrap_or_default().trim();
    let (path, rest) = whole.split_once("`: ").unwrap_or(("", whole));
    let words = if path.starts_with('`') { rest } else { whole };
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut letters = words.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string());
    let words = format!("{}{}", first.unwrap_or_default(), letters.as_str());
    let (summary, rest) = words.split_once(". ").unwrap_or((&words, ""));
    let (summary, rest) = (summary.trim_end_matches('.').to_owned(), rest.to_owned());
    operation.insert("summary".to_owned(), json!(summary));
    operation.remove("description");
    if !rest.is_empty() {
        operation.insert("description".to_owned(), json!(rest));
    }
}

fn security(path: &str) -> Value {
    if path.starts_with("/api/") {
        json!([{ "bearer": [] }])
    } else {
        json!([])
    }
}

/// The parameters of another spelling of the path.
fn own_parameters(operation: &mut Operation, path: &str) {
    if let Some(Value::Array(known)) = operation.get_mut("parameters") {
        known.retain(|parameter| parameter["in"] != "path");
    }
    parameters(operation, path);
}

/// Every name in the path is a parameter.
fn parameters(operation: &mut Operation, path: &str) {
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    let Value::Array(parameters) = parameters else {
        return;
    };
    for name in path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    {
        if parameters.iter().any(|known| known["name"] == name) {
            continue;
        }
        let schema = match name {
            "org_id" | "group_id" | "user_id" | "session_id" | "id" => {
                json!({ "type": "string", "format": "uuid" })
            }
            _ => json!({ "type": "string" }),
        };
        parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
    }
}

/// Refusals that follow from what an operation takes, and a content and a description for each it names itself.
fn responses(operation: &mut Operation, place: &Place) {
    let takes_token = operation["security"].to_string().contains("bearer");
    let takes_json = operation
        .get("requestBody")
        .is_some_and(|body| body["content"].get("application/json").is_some());
    let Some(Value::Object(responses)) = operation.get_mut("responses") else {
        return;
    };
    let mut statuses = vec!["default"];
    statuses.extend(takes_token.then_some(["401", "403"]).into_iter().flatten());
    statuses.extend(place.path.contains('{').then_some("404"));
    statuses.extend(
        takes_json
            .then_some(["413", "415", "422"])
            .into_iter()
            .flatten(),
    );
    for status in statuses {
        responses.entry(status).or_insert_with(|| json!({}));
    }
    let refusal = refusal(&place.path);
    for (status, response) in responses {
        describe(response, status, &refusal);
    }
}

fn describe(response: &mut Value, status: &str, refusal: &Value) {
    let is_said = response["description"]
        .as_str()
        .is_some_and(|text| !text.is_empty());
    if !is_said {
        let code = status
            .parse()
            .ok()
            .and_then(|code: u16| StatusCode::from_u16(code).ok());
        let reason = code.and_then(|code| code.canonical_reason());
        response["description"] = json!(reason.unwrap_or("Refused, or not possible now"));
    }
    let is_refusal = !status.starts_with('2') && !status.starts_with('3');
    if is_refusal && response.get("content").is_none() {
        response["content"] = refusal.clone();
    }
}

fn refusal(path: &str) -> Value {
    if path.starts_with("/oauth/") {
        let schema = json!({ "$ref": "#/components/schemas/OAuthProblem" });
        return json!({ "application/json": { "schema": schema } });
    }
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    json!({ "application/problem+json": { "schema": schema } })
}

fn alias(whole: &mut Value) {
    for (alias, path) in ALIASES {
        let mut item = whole["paths"][path].clone();
        let operations = item.as_object_mut().into_iter().flat_map(Map::values_mut);
        for operation in operations.filter_map(Value::as_object_mut) {
            own_parameters(operation, alias);
            let id = operation["operationId"].as_str().unwrap_or_default();
            let place = alias.replace(['/', '.', '-', '{', '}'], "_");
            let id = format!("{id}_also_at{place}");
            operation.insert("operationId".to_owned(), json!(id));
        }
        whole["paths"][alias] = item;
    }
}

fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "An access token of a user or a service (RFC 6750), or a DPoP-bound one with its proof (RFC 9449).",
        },
        "client": {
            "type": "http", "scheme": "basic",
            "description": "A client's id and secret (RFC 6749 §2.3.1). Other methods are in the server's metadata.",
        },
    })
}
