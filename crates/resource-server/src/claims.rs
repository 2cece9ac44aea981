//! The claims of an access token (RFC 9068 section 2.2, RFC 7519 section 4.1) and what is asked of them.
//! Refuses a claim of the wrong JSON type, `null` included, and never reads a number or a list out of a string.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use tokensmith_oauth2::{Actor, ClientId, Confirmation, Lineage, Scope};

use crate::principal::{AccessToken, Principal, ServicePrincipal, UserPrincipal};
use crate::refusal::TokenError;

/// How far in the future `nbf` and `iat` may lie, in seconds: clocks differ.
const LEEWAY: u64 = 60;

/// What the token must say.
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) now: u64,
}

#[derive(Deserialize)]
pub(crate) struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: NumericDate,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    iat: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    jti: Option<String>,
    #[serde(default, deserialize_with = "present")]
    grant_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    client_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    scope: Option<Scope>,
    #[serde(default, deserialize_with = "present")]
    scopes: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present", rename = "type")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "present")]
    email: Option<String>,
    #[serde(default, deserialize_with = "present")]
    org_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    sid: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default, deserialize_with = "present")]
    role: Option<String>,
    #[serde(default)]
    permissions: Vec<String>,
    #[serde(default, deserialize_with = "present")]
    acr: Option<String>,
    #[serde(default)]
    amr: Vec<String>,
    #[serde(default, deserialize_with = "present")]
    auth_time: Option<NumericDate>,
    /// RFC 8693 §4.1: who acts for the subject.
    #[serde(default, deserialize_with = "present")]
    act: Option<Actor>,
    /// The tokens it was made of.
    #[serde(default)]
    derived_from: Lineage,
    /// RFC 7800: the token is bound to a key.
    #[serde(default, deserialize_with = "present")]
    cnf: Option<Confirmation>,
}

impl Claims {
    /// The token these claims describe, when it is an access token for this service at this moment.
    pub(crate) fn accept(self, expected: &Expected<'_>) -> Result<AccessToken, TokenError> {
        self.check(expected)?;
        let (jti, issued_at) = (self.jti.clone(), self.iat.map(|iat| iat.0));
        let grant_id = self.grant_id.clone();
        let (expires_at, confirmation) = (self.exp.0, self.cnf);
        let (actor, client_id) = (self.act.clone(), self.client_id.clone());
        let derived_from = self.derived_from.clone();
        let (acr, amr) = (self.acr.clone(), self.amr.clone());
        let auth_time = self.auth_time.map(|at| at.0);
        Ok(AccessToken {
            principal: self.principal()?,
            client_id,
            actor,
            derived_from,
            jti,
            grant_id,
            acr,
            amr,
            auth_time,
            confirmation,
            issued_at,
            expires_at,
        })
    }

    fn check(&self, expected: &Expected<'_>) -> Result<(), TokenError> {
        if self.iss != expected.issuer {
            return Err(TokenError::Issuer);
        }
        if !self
            .aud
            .0
            .iter()
            .any(|audience| audience == expected.audience)
        {
            return Err(TokenError::Audience);
        }
        if self.kind.as_deref().is_some_and(|kind| kind != "access") {
            return Err(TokenError::Type);
        }
        self.check_times(expected.now)
    }

    fn check_times(&self, now: u64) -> Result<(), TokenError> {
        if self.exp.0 <= now {
            return Err(TokenError::Expired);
        }
        let latest = now.saturating_add(LEEWAY);
        if [self.nbf, self.iat]
            .into_iter()
            .flatten()
            .any(|date| date.0 > latest)
        {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }

    fn principal(self) -> Result<Principal, TokenError> {
        let scope = self.scope()?;
        let mut roles = self.roles;
        roles.extend(self.role.filter(|role| !roles.contains(role)));
        if is_user_id(&self.sub) {
            return Ok(Principal::User(UserPrincipal {
                sub: self.sub,
                email: self.email,
                org_id: self.org_id,
                sid: self.sid,
                client_id: self.client_id,
                scope,
                roles,
                permissions: self.permissions,
            }));
        }
        let is_acted_for = self.act.is_some();
        let client_id = client_id(&self.sub, self.client_id.as_deref(), is_acted_for)?;
        Ok(Principal::Service(ServicePrincipal {
            client_id,
            org_id: self.org_id,
            scope,
            roles,
            permissions: self.permissions,
        }))
    }

    /// `scope` (RFC 8693 section 4.2); the older `scopes` counts only where `scope` is absent.
    fn scope(&self) -> Result<Scope, TokenError> {
        match (&self.scope, &self.scopes) {
            (Some(scope), _) => Ok(scope.clone()),
            (None, Some(tokens))
                if tokens
                    .iter()
                    .any(|token| token.is_empty() || token.contains(' ')) =>
            {
                Err(TokenError::Claims)
            }
            (None, Some(tokens)) if !tokens.is_empty() => {
                Scope::parse(&tokens.join(" ")).map_err(|_| TokenError::Claims)
            }
            (None, _) => Ok(Scope::empty()),
        }
    }
}

/// The spelling that the authorization server issues: lower case, 8-4-4-4-12.
fn is_user_id(sub: &str) -> bool {
    sub.len() == 36
        && sub.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// A service is its own subject (RFC 9068 section 2.2.1), unless the token says who acts for it (RFC 8693 section 4.1).
/// A client id that looks like a UUID in any spelling is refused.
fn client_id(sub: &str, client_id: Option<&str>, is_acted_for: bool) -> Result<String, TokenError> {
    let is_client = |id: &str| ClientId::parse(id).is_ok();
    let may_hold = |id: &str| id == sub || (is_acted_for && is_client(id));
    if !client_id.is_some_and(may_hold) || !is_client(sub) {
        return Err(TokenError::Subject);
    }
    Ok(sub.to_owned())
}

/// A member that is there must have its type; serde alone would read `null` as absent.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// One string or a list of strings.
struct Audience(Vec<String>);

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        Ok(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(audience) => Self(vec![audience]),
            OneOrMany::Many(audiences) => Self(audiences),
        })
    }
}

/// Seconds since 1970 as a JSON number (RFC 7519 section 2); a fraction is cut off.
#[derive(Clone, Copy)]
struct NumericDate(u64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumericDateVisitor)
    }
}

struct NumericDateVisitor;

impl Visitor<'_> for NumericDateVisitor {
    type Value = NumericDate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of seconds since 1970")
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<NumericDate, E> {
        Ok(NumericDate(seconds))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<NumericDate, E> {
        Err(E::custom("a date before 1970"))
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<NumericDate, E> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if (0.0..=EXACT).contains(&seconds) {
            // In range, so the cast only cuts the fraction.
            Ok(NumericDate(seconds as u64))
        } else {
            Err(E::custom("a date out of range"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tokensmith_jose::strict_json;

    use super::*;

    const USER: &str = "0197a5c2-7d31-7aa0-9c7e-0123456789ab";
    const EXPECTED: Expected<'static> = Expected {
        issuer: "https://as.test",
        audience: "chat",
        now: 1_000_000,
    };

    fn good() -> Value {
        json!({"iss": "https://as.test", "aud": ["chat"], "sub": USER, "exp": 1_000_900, "iat": 1_000_000})
    }

    fn accept(claims: &Value) -> Result<AccessToken, TokenError> {
        let text = claims.to_string();
        let claims: Claims =
            strict_json::from_slice(text.as_bytes()).map_err(|_| TokenError::Claims)?;
        claims.accept(&EXPECTED)
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = good();
        claims[name] = value;
        claims
    }

    /// Values that this claim may not have.
    fn wrong_values(name: &str) -> Vec<Value> {
        match name {
            "roles" | "permissions" | "scopes" => vec![
                json!("a"),
                json!([1]),
                json!(null),
                json!({}),
                json!(["a", null]),
            ],
            "aud" => vec![
                json!(1),
                json!(null),
                json!({}),
                json!(["chat", 1]),
                json!([["chat"]]),
            ],
            "exp" | "nbf" | "iat" | "auth_time" => {
                vec![
                    json!("1000900"),
                    json!(null),
                    json!([1_000_900]),
                    json!(-1),
                    json!(true),
                    json!(-0.5),
                    json!(1e300),
                ]
            }
            "derived_from" => vec![
                json!("t"),
                json!(null),
                json!({}),
                json!(["t"]),
                json!([{"jti": "t"}]),
                json!(vec![
                    json!({"jti": "t", "client_id": "c"});
                    Lineage::MOST + 1
                ]),
            ],
            "act" => vec![
                json!("svc"),
                json!(null),
                json!([{"sub": "svc"}]),
                json!({"sub": 1}),
                json!({"sub": "svc", "act": null}),
                json!({"sub": "1", "act": {"sub": "2", "act": {"sub": "3", "act": {"sub": "4", "act": {"sub": "5"}}}}}),
            ],
            "amr" => vec![
                json!(1),
                json!("pwd"),
                json!([1]),
                json!([["pwd"]]),
                json!({}),
            ],
            _ => vec![json!(1), json!(null), json!([USER]), json!({}), json!(true)],
        }
    }

    #[test]
    fn every_claim_of_a_wrong_type_is_a_refusal() {
        for name in [
            "iss",
            "sub",
            "aud",
            "exp",
            "nbf",
            "iat",
            "jti",
            "grant_id",
            "client_id",
            "scope",
            "scopes",
            "type",
            "email",
            "org_id",
            "sid",
            "roles",
            "role",
            "permissions",
            "acr",
            "amr",
            "auth_time",
            "act",
            "derived_from",
        ] {
            for value in wrong_values(name) {
                assert_eq!(
                    accept(&with(name, value.clone())),
                    Err(TokenError::Claims),
                    "{name} = {value}"
                );
            }
        }
        assert!(accept(&good()).is_ok());
    }

    #[test]
    fn dates_are_numbers_and_a_fraction_is_cut_off() {
        assert_eq!(
            accept(&with("exp", json!(1_000_000.9))),
            Err(TokenError::Expired)
        );
        assert_eq!(
            accept(&with("exp", json!(1_000_001.9))).unwrap().expires_at,
            1_000_001
        );
    }

    #[test]
    fn a_token_ends_at_its_expiry_to_the_second() {
        assert_eq!(
            accept(&with("exp", json!(1_000_000))),
            Err(TokenError::Expired)
        );
        assert!(accept(&with("exp", json!(1_000_001))).is_ok());
    }

    #[test]
    fn row_326_nbf_and_iat_may_lie_a_minute_in_the_future_and_no_more() {
        for name in ["nbf", "iat"] {
            for (ahead, accepted) in [(0, true), (30, true), (60, true), (61, false), (300, false)]
            {
                let outcome = accept(&with(name, json!(1_000_000 + ahead)));
                assert_eq!(outcome.is_ok(), accepted, "{name} +{ahead}");
            }
        }
    }

    #[test]
    fn a_subject_is_a_user_id_or_the_client_and_nothing_between() {
        for sub in [
            USER.to_uppercase(),
            USER.replace('-', ""),
            format!("urn:uuid:{USER}"),
            format!("{{{USER}}}"),
        ] {
            let mut claims = with("sub", json!(sub));
            claims["client_id"] = json!(sub);
            assert_eq!(accept(&claims), Err(TokenError::Subject), "{sub}");
        }
        assert_eq!(accept(&with("sub", json!("svc"))), Err(TokenError::Subject));
        let mut claims = with("sub", json!("svc"));
        claims["client_id"] = json!("other");
        assert_eq!(accept(&claims), Err(TokenError::Subject));
        claims["client_id"] = json!("svc");
        assert!(
            matches!(accept(&claims).unwrap().principal, Principal::Service(service) if service.client_id == "svc")
        );
    }

    #[test]
    fn a_service_that_is_acted_for_stays_the_subject_and_the_actors_are_told() {
        let mut claims = with("sub", json!("svc"));
        claims["client_id"] = json!("gateway");
        assert_eq!(accept(&claims), Err(TokenError::Subject));
        claims["act"] = json!({"sub": "gateway", "act": {"sub": "edge"}});
        let token = accept(&claims).unwrap();
        assert_eq!(token.principal.subject(), "svc");
        assert_eq!(token.client_id.as_deref(), Some("gateway"));
        let actors: Vec<_> = token.actors().map(|actor| actor.sub.as_str()).collect();
        assert_eq!(actors, ["gateway", "edge"]);
        claims["client_id"] = json!(USER);
        assert_eq!(accept(&claims), Err(TokenError::Subject));
        assert_eq!(accept(&good()).unwrap().actors().count(), 0);
    }

    #[test]
    fn scopes_as_a_list_count_only_without_scope() {
        let scope = |claims: &Value| accept(claims).unwrap().principal.scope().to_string();
        assert_eq!(
            scope(&with("scopes", json!(["read", "write"]))),
            "read write"
        );
        let mut both = with("scopes", json!(["admin"]));
        both["scope"] = json!("read");
        assert_eq!(scope(&both), "read");
        assert_eq!(
            accept(&with("scopes", json!(["read write"]))),
            Err(TokenError::Claims)
        );
        assert_eq!(
            accept(&with("scope", json!("re\"ad"))),
            Err(TokenError::Claims)
        );
    }

    #[test]
    fn another_kind_of_token_is_refused() {
        assert!(accept(&with("type", json!("access"))).is_ok());
        for kind in ["refresh", "Access", "id", ""] {
            assert_eq!(accept(&with("type", json!(kind))), Err(TokenError::Type));
        }
    }

    #[test]
    fn role_joins_roles_once() {
        let mut claims = with("roles", json!(["owner", "admin"]));
        claims["role"] = json!("admin");
        assert_eq!(
            accept(&claims).unwrap().principal.roles(),
            ["owner", "admin"]
        );
        claims["role"] = json!("member");
        assert_eq!(
            accept(&claims).unwrap().principal.roles(),
            ["owner", "admin", "member"]
        );
    }

    proptest! {
        #[test]
        fn reading_claims_never_panics(name in "[a-z_]{2,9}", text in "[\\[\\]{}\",:0-9eE.+a-c -]{0,20}") {
            let base = good().to_string();
            let spliced = format!("{},\"{name}\":{text}}}", &base[..base.len() - 1]);
            let _ = strict_json::from_slice::<Claims>(spliced.as_bytes()).map(|claims| claims.accept(&EXPECTED));
        }
    }
}
