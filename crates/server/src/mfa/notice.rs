//! The mails by which users hear of their factors: whoever changes them in somebody's name is noticed.

use tokensmith_store::{Mail, User};

use crate::{
    app::App,
    context::RequestContext,
    error::ApiError,
    mail::{self, Message, SecurityNotice},
};

/// The mail that tells of it, for the operation that does it.
pub(super) fn notice(
    app: &App,
    user: &User,
    what: SecurityNotice,
    context: &RequestContext,
) -> Result<Option<Mail>, ApiError> {
    let message = Message::Security(what);
    let mail = mail::compose(app, &message, &user.email, context.now);
    mail.map(Some).map_err(ApiError::unavailable)
}
