//! Audit words in plain language. A word that is not listed is shown as it is, so a new event is never hidden.

use super::Entry;

/// What an event says happened.
pub(super) fn what(entry: &Entry) -> String {
    let member = |name| entry.member(name);
    match entry.event() {
        "login_success" => "signed in: a session began".to_owned(),
        "refresh_family_opened" => "a refresh token family was opened".to_owned(),
        "token_issued" => format!(
            "an access token was issued ({}) for {}",
            member("grant_type"),
            member("aud")
        ),
        "token_exchanged" => format!(
            "an access token was exchanged for one for {} held by {}",
            member("aud"),
            member("client_id")
        ),
        "refresh_token_rotated" => {
            format!(
                "the refresh token was rotated to generation {}",
                member("generation")
            )
        }
        "refresh_token_repeated" => format!(
            "a spent refresh token was presented again within the grace time: generation {} was handed out again",
            member("generation")
        ),
        "refresh_token_reuse" => format!(
            "refused: the spent refresh token of generation {} was presented again (reuse): the family was ended",
            member("presented")
        ),
        "token_revoked" => revoked(entry),
        "session_ended" => format!("the session was ended: {}", reason(member("reason"))),
        "sessions_ended" => format!("every session was ended: {}", reason(member("reason"))),
        "password_changed" => "the password was changed".to_owned(),
        "user_disabled" => "the user was disabled".to_owned(),
        "user_enabled" => "the user was enabled".to_owned(),
        event if is_refusal(event) => format!("refused: {}", rule(member("outcome"))),
        event => match member("outcome") {
            "" => event.replace('_', " "),
            outcome => format!("{}: {outcome}", event.replace('_', " ")),
        },
    }
}

fn revoked(entry: &Entry) -> String {
    match (entry.member("kind"), entry.member("reason")) {
        ("token", _) => "an access token was revoked".to_owned(),
        ("grant", "") => "the family was revoked".to_owned(),
        ("grant", word) => format!("the family was ended: {}", reason(word)),
        ("session", _) => "every token of the session was revoked".to_owned(),
        ("user", _) => "every token of the user was revoked".to_owned(),
        ("client", _) => "every token of the client was revoked".to_owned(),
        (kind, _) => format!("revoked: {kind}"),
    }
}

/// Whether an event tells of something that was asked for and not given.
pub(super) fn is_refusal(event: &str) -> bool {
    matches!(
        event,
        "refresh_token_invalid"
            | "token_refused"
            | "token_invalid"
            | "client_auth_failed"
            | "rate_limit_exceeded"
            | "revocation_refused"
            | "introspection_refused"
            | "authorization_refused"
            | "login_failure"
    )
}

/// Why something was ended, after "because".
pub(super) fn reason(word: &str) -> &str {
    match word {
        "reuse" | "refresh_token_reuse" => {
            "a spent refresh token was presented again, so two parties held it"
        }
        "logout" => "the user signed out",
        "ended_by_user" => "the user ended the session",
        "password_changed" => "the password was changed",
        "user_disabled" => "the user was disabled",
        "revoked_by_client" => "its client gave the token up (RFC 7009)",
        "revoked_by_operator" => "an operator revoked it",
        "revoked_by_administrator" => "an administrator revoked it",
        "" => "no reason was recorded",
        other => other,
    }
}

/// The rule that refused, with its word.
pub(super) fn rule(word: &str) -> String {
    let sentence = match word {
        "expired" | "refresh_token_expired" => "the family had reached its longest life",
        "idle_expired" => "the refresh token had lain unused for too long",
        "revoked" | "refresh_token_revoked" => "the family had been ended before",
        "refresh_token_over" => "the family was over",
        "user_disabled" => "the user was disabled",
        "unknown" | "refresh_token_unknown" => "there is no such family any more",
        "unknown_generation" => "the family never had such a token",
        "wrong_client" | "refresh_token_of_another_client" => {
            "another client presented the refresh token"
        }
        "refresh_token_of_another_key" => "the refresh token was made under another master key",
        "refresh_token_reuse" => "the refresh token was spent before",
        "user_or_session_over" => "the user was not active or the session was over",
        "membership_over" => "the user was no longer a member of the organization",
        "nothing_left_of_grant" => "the client may no longer ask for anything that was granted",
        "scope_not_allowed" => "the request asked for a scope that was not granted",
        "scope_not_of_resource" => "the request asked for a scope the resource does not know",
        "resource_not_allowed" => "the request asked for a resource that was not granted",
        "session_over" => "the session was over",
        "client_disabled" => "the client was disabled",
        "client_unknown" => "the client was not registered",
        "secret_wrong" => "the client's secret was wrong",
        "auth_method_not_registered" => {
            "the client authenticated in a way it is not registered for"
        }
        "token_expired" => "the access token had expired",
        "token_revoked" => "the access token was revoked or its session was over",
        "user_not_active" => "the user was not active",
        "other_audience" => "the access token was for another service",
        "" => "no rule was recorded",
        _ => return word.to_owned(),
    };
    format!("{sentence} ({word})")
}
