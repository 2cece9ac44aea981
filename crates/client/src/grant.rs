//! One client_credentials request (RFC 6749 §4.4) and the strict reading of its answer.
//! It refuses another token type, a bearer token where a bound one was asked for, a token that is no token, a lifetime of zero or less, and an answer in
//! which a member appears twice.

use std::time::Duration;

use http::{Method, header};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tokensmith_jose::strict_json;
use tokensmith_oauth2::{ErrorCode, basic, form};
use url::Url;

use crate::{
    AccessToken, ClientAuthentication, DpopKey, ServiceClient, TokenErrorKind,
    assertion::{self, Asserter},
    dpop::PROOF,
    http_client,
    pace::{DEFAULT_LIFETIME, Failure, MAX_LIFETIME},
};

/// A usable answer.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) token: AccessToken,
    pub(crate) lifetime: Duration,
}

/// An attempt that yielded no token; `detail` is for the log only.
#[derive(Debug)]
pub(crate) struct Denied {
    pub(crate) kind: TokenErrorKind,
    pub(crate) failure: Failure,
    pub(crate) detail: String,
}

impl Denied {
    pub(crate) fn passing(kind: TokenErrorKind, detail: impl ToString) -> Self {
        Self {
            kind,
            failure: Failure::Passing { retry_after: None },
            detail: detail.to_string(),
        }
    }

    pub(crate) fn unreachable(detail: impl ToString) -> Self {
        Self::passing(TokenErrorKind::Unreachable, detail)
    }
}

/// Who asks, and with what it signs that it does.
#[derive(Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub(crate) client: &'a ServiceClient,
    pub(crate) asserter: Option<&'a Asserter>,
}

/// Asks once.
pub(crate) async fn request(
    http: &Client,
    endpoint: &Url,
    sender: Sender<'_>,
) -> Result<Granted, Denied> {
    let client = sender.client;
    let (response, has_new_nonce) = send(http, endpoint, sender).await?;
    match outcome(response, client).await {
        // The server wants its nonce repeated and has just sent it (RFC 9449 §8): once more, not for ever.
        Err(denied) if has_new_nonce && denied.kind.is(ErrorCode::UseDpopNonce) => {
            let (response, _) = send(http, endpoint, sender).await?;
            outcome(response, client).await
        }
        outcome => outcome,
    }
}

/// The answer, and whether it brought a new nonce for proofs.
async fn send(
    http: &Client,
    endpoint: &Url,
    sender: Sender<'_>,
) -> Result<(Response, bool), Denied> {
    let request = prepare(http, endpoint, sender)?;
    let response = request.send().await.map_err(Denied::unreachable)?;
    let key = sender.client.key.dpop.as_ref();
    let has_new_nonce = key.is_some_and(|key| key.learn(endpoint.as_str(), response.headers()));
    Ok((response, has_new_nonce))
}

async fn outcome(response: Response, client: &ServiceClient) -> Result<Granted, Denied> {
    if response.status() != StatusCode::OK {
        return Err(refusal(response).await);
    }
    let body = http_client::body(response)
        .await
        .map_err(Denied::unreachable)?;
    read(&body, client.key.dpop.as_ref())
        .map_err(|reason| Denied::passing(TokenErrorKind::Answer(reason), reason))
}

fn prepare(http: &Client, endpoint: &Url, sender: Sender<'_>) -> Result<RequestBuilder, Denied> {
    let (client, key) = (sender.client, &sender.client.key);
    let unsigned = || Denied::passing(TokenErrorKind::Unsigned, "no assertion");
    let assertion = sender.asserter.map(Asserter::assertion);
    let assertion = assertion
        .map(|signed| signed.ok_or_else(unsigned))
        .transpose()?;
    let mut parameters = vec![("grant_type", "client_credentials")];
    parameters.extend(key.scope.iter().map(|scope| ("scope", scope.as_str())));
    parameters.extend(
        key.resources
            .iter()
            .map(|resource| ("resource", resource.as_str())),
    );
    let mut request = http
        .post(endpoint.clone())
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let dpop = key.dpop.as_ref();
    if let Some(proof) = dpop.and_then(|dpop| dpop.proof(&Method::POST, endpoint.as_str(), None)) {
        request = request.header(PROOF, proof);
    }
    let request = match key.authentication {
        ClientAuthentication::PrivateKeyJwt => {
            let assertion = assertion.as_deref().ok_or_else(unsigned)?;
            parameters.extend([
                ("client_id", key.id.as_str()),
                ("client_assertion_type", assertion::TYPE),
                ("client_assertion", assertion),
            ]);
            request
        }
        ClientAuthentication::Basic => request.header(
            header::AUTHORIZATION,
            sensitive(basic::header(&key.id, &client.secret).expose()),
        ),
        ClientAuthentication::Certificate => {
            parameters.push(("client_id", key.id.as_str()));
            request
        }
        ClientAuthentication::Post => {
            parameters.extend([
                ("client_id", key.id.as_str()),
                ("client_secret", client.secret.expose()),
            ]);
            request
        }
    };
    Ok(request.body(form::encode(parameters)))
}

fn sensitive(text: &str) -> http::HeaderValue {
    let mut value = http::HeaderValue::from_str(text).expect("base64 is always a header value");
    value.set_sensitive(true);
    value
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    #[serde(default)]
    expires_in: Value,
}

fn read(body: &[u8], key: Option<&DpopKey>) -> Result<Granted, &'static str> {
    let answer: Answer =
        strict_json::from_slice(body).map_err(|_| "it is not a JSON token response")?;
    let is = |token_type| answer.token_type.eq_ignore_ascii_case(token_type);
    let token = match key {
        Some(key) if is("dpop") => AccessToken::bound(&answer.access_token, key.clone()),
        None if is("bearer") => AccessToken::new(&answer.access_token),
        // A bearer token in the place of a bound one would protect nobody (RFC 9449 §5).
        Some(_) => return Err("the token type is not DPoP"),
        None => return Err("the token type is not Bearer"),
    };
    let token = token.ok_or("the access token is empty or malformed")?;
    Ok(Granted {
        token,
        lifetime: lifetime(&answer.expires_in)?,
    })
}

/// `expires_in` in seconds. A string of digits is taken as the number it plainly is; some servers send it so.
fn lifetime(expires_in: &Value) -> Result<Duration, &'static str> {
    let seconds = match expires_in {
        Value::Null => return Ok(DEFAULT_LIFETIME),
        Value::Number(number) => number.as_u64(),
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    match seconds {
        None => Err("expires_in is not a whole number of seconds"),
        Some(0) => Err("the token has expired already"),
        Some(seconds) => Ok(Duration::from_secs(seconds).min(MAX_LIFETIME)),
    }
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
    #[serde(default)]
    error_description: String,
}

async fn refusal(response: Response) -> Denied {
    let status = response.status();
    let retry_after = retry_after(&response);
    let body = http_client::body(response).await.unwrap_or_default();
    let answer = strict_json::from_slice::<ErrorAnswer>(&body).ok();
    match answer.filter(|answer| is_about_the_client(status, &answer.error)) {
        Some(answer) => Denied {
            detail: printable(&answer.error_description, 256),
            kind: TokenErrorKind::Refused {
                error: printable(&answer.error, 64),
            },
            failure: Failure::Refused,
        },
        None => Denied {
            detail: format!("status {status}"),
            kind: TokenErrorKind::Unavailable {
                status: status.as_u16(),
            },
            failure: Failure::Passing { retry_after },
        },
    }
}

fn is_about_the_client(status: StatusCode, error: &str) -> bool {
    matches!(status.as_u16(), 400 | 401 | 403)
        && !matches!(
            error,
            "temporarily_unavailable" | "server_error" | "slow_down"
        )
}

/// Only the seconds form; a date would need the wall clock, and the pause without it is good enough.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    value.parse().ok().map(Duration::from_secs)
}

/// What a stranger wrote, cut and without anything that could forge a log line.
fn printable(text: &str, max: usize) -> String {
    text.chars()
        .filter(|character| matches!(character, ' '..='~'))
        .take(max)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_text(text: &str) -> Result<Granted, &'static str> {
        read(text.as_bytes(), None)
    }

    fn lifetime_of(expires_in: &str) -> Result<u64, &'static str> {
        let body = format!(r#"{{"access_token":"t","token_type":"Bearer"{expires_in}}}"#);
        read_text(&body).map(|granted| granted.lifetime.as_secs())
    }

    #[test]
    fn row_325_odd_lifetimes_are_read_or_refused_but_never_zero() {
        assert_eq!(lifetime_of(r#","expires_in":900"#), Ok(900));
        assert_eq!(lifetime_of(r#","expires_in":"3600""#), Ok(3600));
        assert_eq!(lifetime_of(""), Ok(60));
        assert_eq!(lifetime_of(r#","expires_in":null"#), Ok(60));
        assert_eq!(
            lifetime_of(r#","expires_in":18446744073709551615"#),
            Ok(86_400)
        );
        for odd in [
            "0",
            "-1",
            "\"0\"",
            "\"\"",
            "\"-5\"",
            "\"1h\"",
            "1.5",
            "1e3",
            "true",
            "[]",
            "\"99999999999999999999\"",
        ] {
            assert!(
                lifetime_of(&format!(r#","expires_in":{odd}"#)).is_err(),
                "{odd}"
            );
        }
    }

    #[test]
    fn the_token_type_is_bearer_in_any_case() {
        assert!(read_text(r#"{"access_token":"t","token_type":"bEARER"}"#).is_ok());
        assert!(read_text(r#"{"access_token":"t","token_type":"DPoP"}"#).is_err());
        assert!(read_text(r#"{"access_token":"t"}"#).is_err());
    }

    #[test]
    fn a_bound_token_is_wanted_or_refused() {
        let key = DpopKey::generate().unwrap();
        let body = |token_type| format!(r#"{{"access_token":"t","token_type":"{token_type}"}}"#);
        let granted = read(body("dpop").as_bytes(), Some(&key)).unwrap();
        assert_eq!(granted.token.header_value(), "DPoP t");
        assert!(read(body("Bearer").as_bytes(), Some(&key)).is_err());
    }

    #[test]
    fn an_answer_without_exactly_one_plain_token_is_refused() {
        let bodies = [
            "",
            "<html>",
            "[]",
            r#"{"access_token":"","token_type":"Bearer"}"#,
            r#"{"access_token":"a b","token_type":"Bearer"}"#,
            r#"{"access_token":7,"token_type":"Bearer"}"#,
            r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#,
        ];
        for body in bodies {
            assert!(read_text(body).is_err(), "{body}");
        }
    }

    #[test]
    fn what_a_stranger_wrote_cannot_forge_a_log_line() {
        assert_eq!(printable("a\r\nlevel=info\u{1b}[0m", 64), "alevel=info[0m");
        assert_eq!(printable(&"x".repeat(100), 64).len(), 64);
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_never_yields_a_zero_lifetime(body in any::<Vec<u8>>(), expires_in in "[-0-9.eE\"]{0,8}") {
            let _ = read(&body, None);
            let text = format!(r#"{{"access_token":"t","token_type":"Bearer","expires_in":{expires_in}}}"#);
            if let Ok(granted) = read(text.as_bytes(), None) {
                prop_assert!(granted.lifetime >= Duration::from_secs(1));
            }
        }
    }
}
