//! Trusted issuers with their keys, and which of their tokens meet the conditions of a rule.

use serde_json::{Map, Value};
use tokensmith_store::{TrustedIssuer, WorkloadRule};

use crate::{assertion::Keys, fetch::Policy};

/// The longest that a token of an issuer may be declared to live.
const LONGEST_SECONDS: i64 = 24 * 3600;
/// The most rules of one issuer, and conditions and values in each.
const MOST: usize = 256;

/// An issuer as requests use it.
#[derive(Debug)]
pub struct RegisteredIssuer {
    /// The record.
    pub record: TrustedIssuer,
    /// Its public keys.
    pub keys: Keys,
}

impl RegisteredIssuer {
    /// What follows from a record. An unusable one verifies nothing.
    pub(super) fn new(record: TrustedIssuer) -> Self {
        let keys = Keys::of(record.jwks.as_ref(), record.jwks_uri.as_deref(), None);
        let keys = keys.unwrap_or_else(|error| {
            tracing::warn!(issuer = record.issuer, %error, "the keys of a trusted issuer cannot be used");
            Keys::Absent
        });
        Self { record, keys }
    }

    /// The rules that a token with these claims meets, in the order of their declaration.
    pub fn rules_for<'a>(
        &'a self,
        claims: &'a Map<String, Value>,
    ) -> impl Iterator<Item = &'a WorkloadRule> {
        let rules = self.record.rules.iter();
        rules.filter(|rule| meets(rule, claims))
    }
}

/// Every condition must hold, and a rule without conditions is met by nothing.
fn meets(rule: &WorkloadRule, claims: &Map<String, Value>) -> bool {
    let holds = |(name, values): (&String, &Vec<String>)| {
        let claim = claims.get(name).and_then(Value::as_str);
        claim.is_some_and(|claim| values.iter().any(|value| is_meant(value, claim)))
    };
    !rule.claims.is_empty() && rule.claims.iter().all(holds)
}

/// By code points; a value that ends in `/*` or `:*` means everything that begins like it.
fn is_meant(value: &str, claim: &str) -> bool {
    match beginning(value) {
        Some(beginning) => claim.len() > beginning.len() && claim.starts_with(beginning),
        None => value == claim,
    }
}

fn beginning(value: &str) -> Option<&str> {
    let beginning = value.strip_suffix('*')?;
    beginning.ends_with(['/', ':']).then_some(beginning)
}

/// Whether an issuer may be declared so.
///
/// # Errors
/// What is wrong, as the end of a sentence.
pub fn check_issuer(issuer: &TrustedIssuer, policy: &Policy) -> Result<(), String> {
    if !(1..=2048).contains(&issuer.issuer.len()) {
        return Err("the issuer must have 1 to 2048 bytes".to_owned());
    }
    if !(1..=LONGEST_SECONDS).contains(&issuer.assertion_seconds) {
        return Err(format!(
            "the life of its tokens must be 1 to {LONGEST_SECONDS} seconds"
        ));
    }
    let keys = Keys::of(issuer.jwks.as_ref(), issuer.jwks_uri.as_deref(), None);
    match keys.map_err(|error| error.to_string())? {
        Keys::Absent => return Err("it needs jwks or jwks_uri".to_owned()),
        Keys::Fixed(_) => {}
        Keys::At(address) => {
            let checked = policy.check(&address.url);
            checked.map_err(|error| format!("jwks_uri {:?} is refused: {error}", address.url))?;
        }
    }
    if issuer.rules.len() > MOST {
        return Err(format!("it has more than {MOST} rules"));
    }
    issuer.rules.iter().try_for_each(check_rule)
}

fn check_rule(rule: &WorkloadRule) -> Result<(), String> {
    let client = &rule.client_id;
    if rule.claims.is_empty() || rule.claims.len() > MOST {
        return Err(format!(
            "the rule for {client} needs 1 to {MOST} conditions on claims"
        ));
    }
    for (name, values) in &rule.claims {
        if values.is_empty() || values.len() > MOST || values.iter().any(String::is_empty) {
            return Err(format!(
                "the claim {name} in the rule for {client} needs 1 to {MOST} values, none of them empty"
            ));
        }
        let is_wild = |value: &&String| {
            value.contains('*') && beginning(value).is_none_or(|text| text.contains('*'))
        };
        if let Some(value) = values.iter().find(is_wild) {
            return Err(format!(
                "the value {value:?} of the claim {name} has a `*` elsewhere than at its end after `/` or `:`"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Fetch;

    fn issuer(claims: Value) -> TrustedIssuer {
        let rule = json!({"client_id": "deploy", "claims": claims});
        let record = json!({"issuer": "https://ci.test", "jwks_uri": "https://ci.test/jwks", "rules": [rule]});
        serde_json::from_value(record).unwrap()
    }

    fn meets(conditions: Value, claims: Value) -> bool {
        let issuer = RegisteredIssuer::new(issuer(conditions));
        let Value::Object(claims) = claims else {
            unreachable!("the test passes an object")
        };
        issuer.rules_for(&claims).next().is_some()
    }

    #[test]
    fn every_condition_must_hold_by_code_points() {
        let both = json!({"repository": ["acme/app"], "ref": ["refs/heads/main", "refs/tags/*"]});
        let claims = |repository: Value, r#ref: Value| json!({"repository": repository, "ref": r#ref, "other": 1});
        assert!(meets(
            both.clone(),
            claims(json!("acme/app"), json!("refs/heads/main"))
        ));
        assert!(meets(
            both.clone(),
            claims(json!("acme/app"), json!("refs/tags/v1"))
        ));
        for (repository, r#ref) in [
            (json!("acme/app"), json!("refs/heads/main2")),
            (json!("acme/app"), json!("refs/tags/")),
            (json!("acme/app"), json!("refs/tags")),
            (json!("acme/App"), json!("refs/heads/main")),
            (json!("acme/app "), json!("refs/heads/main")),
            (json!(["acme/app"]), json!("refs/heads/main")),
            (json!(null), json!("refs/heads/main")),
        ] {
            assert!(!meets(both.clone(), claims(repository, r#ref)));
        }
        assert!(!meets(both, json!({"repository": "acme/app"})));
        assert!(
            !meets(json!({}), json!({"repository": "acme/app"})),
            "no condition is met by nothing"
        );
    }

    #[test]
    fn a_star_stands_for_the_rest_after_a_separator_and_nowhere_else() {
        assert!(meets(
            json!({"sub": ["repo:acme/*"]}),
            json!({"sub": "repo:acme/app:ref:x"})
        ));
        assert!(!meets(
            json!({"sub": ["repo:acme/*"]}),
            json!({"sub": "repo:acme-evil/app"})
        ));
        for value in ["*", "repo:acme*", "a*b", "**", "/**", "*/*"] {
            assert!(
                !meets(json!({"sub": [value]}), json!({"sub": "repo:acme/app"})),
                "{value}"
            );
            let refused = check_issuer(&issuer(json!({"sub": [value]})), &Policy::new(&fetch()));
            assert!(refused.unwrap_err().contains('*'), "{value}");
        }
    }

    fn fetch() -> Fetch {
        Fetch {
            allowed_addresses: Vec::new(),
            plain_http_to_loopback: false,
        }
    }

    #[test]
    fn an_issuer_is_declared_with_keys_a_life_and_conditions() {
        let policy = Policy::new(&fetch());
        let good = issuer(json!({"sub": ["a"]}));
        assert_eq!(check_issuer(&good, &policy), Ok(()));
        let with = |change: fn(&mut TrustedIssuer)| {
            let mut issuer = good.clone();
            change(&mut issuer);
            check_issuer(&issuer, &policy)
        };
        let refused = [
            with(|issuer| issuer.issuer.clear()),
            with(|issuer| issuer.jwks_uri = None),
            with(|issuer| issuer.jwks = Some(json!({"keys": []}))),
            with(|issuer| issuer.jwks_uri = Some("http://ci.test/jwks".to_owned())),
            with(|issuer| issuer.jwks_uri = Some("https://10.0.0.1/jwks".to_owned())),
            with(|issuer| issuer.assertion_seconds = 0),
            with(|issuer| issuer.assertion_seconds = 86_401),
            with(|issuer| issuer.rules[0].claims.clear()),
            with(|issuer| issuer.rules[0].claims.values_mut().for_each(Vec::clear)),
            with(|issuer| issuer.rules = vec![issuer.rules[0].clone(); 257]),
        ];
        for (number, refused) in refused.into_iter().enumerate() {
            assert!(refused.is_err(), "number {number}");
        }
    }
}
