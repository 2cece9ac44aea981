//! `GET` and `POST /account/devices`: where a user is signed in; ending one session, or all others.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::StatusCode;
use tokensmith_store::{EndSession, EndSessionsOf, Session, SessionId};

use super::{
    account,
    form::{SignedInForm, field},
    frame::{Frame, page},
    messages::Messages,
    viewer::{SignedIn, SignedInViewer, Viewer},
    when::{When, device},
};
use crate::{app::App, error::PageError, token::longest_user_token};

const MOST: i64 = 100;
const ENDED: &str = "/account/devices?done=one";
const ALL_ENDED: &str = "/account/devices?done=others";

#[derive(Template)]
#[template(path = "devices.html")]
struct DevicesPage {
    frame: Frame,
    devices: Vec<Device>,
    has_others: bool,
    notice: &'static str,
}

struct Device {
    id: SessionId,
    name: String,
    ip: String,
    signed_in: When,
    last_used: When,
    is_this: bool,
}

/// `GET /account/devices`
pub(super) async fn show(
    State(app): State<App>,
    SignedInViewer { viewer, signed_in }: SignedInViewer,
    uri: http::Uri,
) -> Result<Response, PageError> {
    let now = viewer.context.now;
    let sessions = app.store().sessions_of(&signed_in.user.id, now, MOST);
    let sessions = sessions.await?;
    let frame = account::frame(&app, &viewer, &signed_in.user, "devices");
    let t = frame.t;
    let mut devices: Vec<_> = sessions
        .into_iter()
        .map(|session| shown(session, &signed_in.session.id, &viewer, t))
        .collect();
    devices.sort_by_key(|device| !device.is_this);
    let notice = match uri.query() {
        Some("done=one") => t.session_ended,
        Some("done=others") => t.others_ended,
        _ => "",
    };
    let shown = DevicesPage {
        has_others: devices.iter().any(|device| !device.is_this),
        devices,
        notice,
        frame,
    };
    page(&viewer, StatusCode::OK, &shown)
}

fn shown(session: Session, this: &SessionId, viewer: &Viewer, t: &Messages) -> Device {
    let now = viewer.context.now;
    Device {
        name: device(&session.device, t),
        ip: session.ip.unwrap_or_default(),
        signed_in: When::new(session.created_at, now, t),
        last_used: When::new(session.last_used_at, now, t),
        is_this: session.id == *this,
        id: session.id,
    }
}

/// `POST /account/devices`
pub(super) async fn end(
    State(app): State<App>,
    SignedInForm { page, form }: SignedInForm,
) -> Result<Response, PageError> {
    let SignedInViewer { viewer, signed_in } = page;
    let session = field(&form, "session")?;
    if session == "others" {
        end_others(&app, &viewer, &signed_in).await?;
        return Ok(Redirect::to(ALL_ENDED).into_response());
    }
    let id = session.parse().map_err(|_| PageError::not_found())?;
    let user = signed_in.user.id;
    let end = EndSession {
        id,
        reason: "ended_by_user",
        revoked_until: viewer.context.now + longest_user_token(&app),
        context: viewer.context.audit(Some(format!("user:{user}"))),
        user_id: Some(user),
    };
    if app.store().write(end).await?.sessions == 0 {
        return Err(PageError::not_found());
    }
    Ok(Redirect::to(ENDED).into_response())
}

async fn end_others(app: &App, viewer: &Viewer, signed_in: &SignedIn) -> Result<(), PageError> {
    let user = signed_in.user.id.clone();
    let end = EndSessionsOf {
        except: Some(signed_in.session.id.clone()),
        reason: "ended_by_user",
        revoked_until: viewer.context.now + longest_user_token(app),
        context: viewer.context.audit(Some(format!("user:{user}"))),
        user_id: user,
    };
    app.store().write(end).await?;
    Ok(())
}
