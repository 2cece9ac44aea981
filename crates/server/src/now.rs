//! Time: a request happens at one instant, taken once at the edge. Below that, time is an argument.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use axum::extract::FromRequestParts;
use http::request::Parts;
use tokensmith_store::Timestamp;

use crate::app::App;

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that tests set, in milliseconds since the Unix epoch.
    Settable(Arc<AtomicI64>),
}

impl Clock {
    /// The instant it is.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Settable(millis) => Timestamp::from_millis(millis.load(Ordering::Relaxed)),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the server reads the machine's clock"
)]
fn system_now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// The instant of a request: the same for everything that the request causes.
#[derive(Clone, Copy, Debug)]
pub struct Now(pub Timestamp);

impl FromRequestParts<App> for Now {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let now = parts
            .extensions
            .get_or_insert_with(|| Now(app.clock().now()));
        Ok(*now)
    }
}
