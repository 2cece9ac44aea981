//! `GET /account/activity`: the last lines of the audit log about the user, in words.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::Deserialize;
use tokensmith_store::AuditRecord;

use super::{
    account,
    frame::{Frame, page},
    language::Language,
    viewer::SignedInViewer,
    when::When,
};
use crate::{app::App, error::PageError};

/// So many lines are read, and those shown that have words.
const MOST: i64 = 100;

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    frame: Frame,
    events: Vec<Event>,
}

struct Event {
    words: &'static str,
    is_warning: bool,
    when: When,
    ip: String,
}

/// `GET /account/activity`
pub(super) async fn show(
    State(app): State<App>,
    SignedInViewer { viewer, signed_in }: SignedInViewer,
) -> Result<Response, PageError> {
    let user = signed_in.user;
    let records = app.store().audit_of_user(user.id.as_str(), MOST).await?;
    let frame = account::frame(&app, &viewer, &user, "activity");
    let event = |record: AuditRecord| {
        Some(Event {
            words: words(&record.event, viewer.language)?,
            is_warning: is_warning(&record.event),
            when: When::new(record.at, viewer.context.now, frame.t),
            ip: address(&record.body),
        })
    };
    let events = records.into_iter().filter_map(event).collect();
    page(&viewer, StatusCode::OK, &ActivityPage { events, frame })
}

/// The address in the line; whoever wrote the line checked it.
fn address(body: &str) -> String {
    #[derive(Deserialize)]
    struct Line {
        #[serde(default)]
        ip: String,
    }
    let line = serde_json::from_str(body);
    line.map_or_else(|_| String::new(), |line: Line| line.ip)
}

fn is_warning(event: &str) -> bool {
    matches!(
        event,
        "login_failure" | "rate_limit_exceeded" | "refresh_token_reuse"
    )
}

/// An event's words. What people would not know from what they did, such as a renewed token, has none.
fn words(event: &str, language: Language) -> Option<&'static str> {
    let [en, de, fr] = match event {
        "login_success" => ["Signed in", "Anmeldung", "Connexion"],
        "login_failure" => [
            "A sign-in failed",
            "Eine Anmeldung ist fehlgeschlagen",
            "Échec d’une connexion",
        ],
        "rate_limit_exceeded" => [
            "Too many failed sign-ins",
            "Zu viele fehlgeschlagene Anmeldungen",
            "Trop d’échecs de connexion",
        ],
        "refresh_token_reuse" => [
            "A stolen token was stopped",
            "Ein gestohlener Schlüssel wurde gestoppt",
            "Un jeton volé a été bloqué",
        ],
        "user_registered" => ["Account created", "Konto angelegt", "Compte créé"],
        "password_changed" => [
            "Password changed",
            "Passwort geändert",
            "Mot de passe modifié",
        ],
        "session_ended" => [
            "A device was signed out",
            "Ein Gerät wurde abgemeldet",
            "Un appareil a été déconnecté",
        ],
        "user_disabled" => ["Account disabled", "Konto gesperrt", "Compte désactivé"],
        "user_enabled" => ["Account enabled", "Konto freigegeben", "Compte activé"],
        _ => return None,
    };
    Some(match language {
        Language::English => en,
        Language::German => de,
        Language::French => fr,
    })
}
