//! Mail of a development server: kept in memory, shown at `/dev/mail`, sent to nobody. Answers only to this machine
//! under a loopback name, so that no web page elsewhere can read it through a name that resolves here.

use std::{collections::VecDeque, net::IpAddr, sync::Arc};

use askama::Template;
use axum::{
    Json, Router,
    extract::State,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, header};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::json;
use tokensmith_store::Timestamp;
use tokio::sync::watch;

use super::letter::Rendered;
use crate::{app::App, context::RequestContext, error::ApiError};

/// Older mail is forgotten.
const MOST: usize = 200;
/// Mail brings its own styles; nothing else is loaded or run.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The mail that was "sent".
#[derive(Debug)]
pub struct Screen {
    mails: Mutex<VecDeque<Arc<ShownMail>>>,
    newest: watch::Sender<u64>,
}

/// A mail as it would have been sent.
#[derive(Clone, Debug, Serialize)]
pub struct ShownMail {
    /// Counts from 1.
    pub number: u64,
    /// When it was sent.
    pub at: Timestamp,
    /// The address.
    pub to: String,
    /// Which message it is.
    pub template: String,
    /// The Subject field.
    pub subject: String,
    /// `text/plain`.
    pub text: String,
    /// `text/html`.
    pub html: String,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            mails: Mutex::default(),
            newest: watch::Sender::new(0),
        }
    }
}

impl Screen {
    /// Keeps a mail.
    pub(super) fn show(&self, to: &str, template: &str, rendered: Rendered, at: Timestamp) {
        let mut mails = self.mails.lock();
        let number = mails.back().map_or(0, |mail| mail.number) + 1;
        if mails.len() == MOST {
            mails.pop_front();
        }
        mails.push_back(Arc::new(ShownMail {
            number,
            at,
            to: to.to_owned(),
            template: template.to_owned(),
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
        }));
        drop(mails);
        self.newest.send_replace(number);
    }

    /// Tells of the number of the newest mail.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// What came after this number, oldest first.
    pub fn after(&self, number: u64) -> Vec<Arc<ShownMail>> {
        let mails = self.mails.lock();
        let newer = mails.iter().filter(|mail| mail.number > number);
        newer.cloned().collect()
    }
}

/// `/dev/mail`, on a server that shows its mail.
pub(crate) fn routes(app: &App) -> Router<App> {
    if app.mailer().screen().is_none() {
        return Router::new();
    }
    Router::new()
        .route("/dev/mail", get(list))
        .route("/dev/mail.json", get(list_json))
        .route("/dev/mail/{number}", get(one))
}

#[derive(Template)]
#[template(path = "mail/shown.html")]
struct Page<'a> {
    name: &'a str,
    mails: &'a [Arc<ShownMail>],
}

async fn list(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mails = newest_first(&app, &context, &headers)?;
    let page = Page {
        name: &app.config().mail.name,
        mails: &mails,
    };
    Ok(html(page.render().map_err(ApiError::unavailable)?))
}

async fn list_json(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mails = newest_first(&app, &context, &headers)?;
    let mails: Vec<&ShownMail> = mails.iter().map(Arc::as_ref).collect();
    Ok(Json(json!({ "mail": mails })).into_response())
}

async fn one(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    axum::extract::Path(number): axum::extract::Path<String>,
) -> Result<Response, ApiError> {
    let mails = newest_first(&app, &context, &headers)?;
    let named = |mail: &&Arc<ShownMail>| mail.number.to_string() == number;
    let mail = mails.iter().find(named);
    mail.map(|mail| html(mail.html.clone())).ok_or_else(nothing)
}

fn newest_first(
    app: &App,
    context: &RequestContext,
    headers: &HeaderMap,
) -> Result<Vec<Arc<ShownMail>>, ApiError> {
    let screen = app.mailer().screen().ok_or_else(nothing)?;
    if !is_here(context.ip, headers) {
        return Err(nothing());
    }
    let mut mails = screen.after(0);
    mails.reverse();
    Ok(mails)
}

/// Whether the request comes from this machine and names it as such.
fn is_here(ip: Option<IpAddr>, headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let url = host.and_then(|host| url::Url::parse(&format!("http://{host}")).ok());
    let names_loopback = match url.as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(domain)) => domain == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    names_loopback && ip.is_some_and(|ip| ip.to_canonical().is_loopback())
}

fn nothing() -> ApiError {
    ApiError::not_found("There is nothing at this path.")
}

fn html(page: String) -> Response {
    let mut response = Html(page).into_response();
    let headers = response.headers_mut();
    let fields = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fields {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
