//! What a new password must pass, and proving the present one before something that cannot be undone.

use tokensmith_oauth2::Secret;
use tokensmith_store::User;

use super::{ask, rules};
use crate::{
    app::App,
    context::RequestContext,
    error::ApiError,
    password::{PasswordRefusal, Verdict},
};

/// Whether this may become the password of somebody with these words about them.
///
/// # Errors
/// 422 with one sentence.
pub(crate) async fn check(app: &App, password: &Secret, words: &[&str]) -> Result<(), ApiError> {
    rules::check_password(password)?;
    let password_rules = app.password_rules();
    password_rules.check(password, words).map_err(refused)?;
    if !password_rules.has_breached() {
        return Ok(());
    }
    let (password_rules, password) = (password_rules.clone(), password.clone());
    let looked = tokio::task::spawn_blocking(move || password_rules.check_breached(&password));
    looked
        .await
        .map_err(ApiError::unavailable)?
        .map_err(refused)
}

fn refused(refusal: PasswordRefusal) -> ApiError {
    ApiError::unprocessable(refusal.word(), refusal.to_string())
}

/// The same for a user.
///
/// # Errors
/// As [`check`].
pub(crate) async fn check_for(app: &App, password: &Secret, user: &User) -> Result<(), ApiError> {
    let username = user.username.as_deref().unwrap_or_default();
    check(app, password, &[&user.email, username]).await
}

/// The hash of a new password.
///
/// # Errors
/// 503.
pub(crate) async fn hashed(app: &App, password: &Secret) -> Result<String, ApiError> {
    let hash = app.hashing().hash(password.clone(), app.entropy().bytes());
    hash.await.map_err(ApiError::unavailable)
}

/// Proves the present password of a user who is signed in.
///
/// # Errors
/// 403 for another one, 429, 503.
pub(crate) async fn prove(
    app: &App,
    user: &User,
    password: &Secret,
    context: &RequestContext,
) -> Result<(), ApiError> {
    let attempt = app.limits().sign_in(context.ip, &user.email);
    let check = || app.limits().check_sign_in(&attempt, context.now);
    check().map_err(ask::limited)?;
    let phc = user
        .password_hash
        .as_ref()
        .map(|hash| hash.as_str().to_owned());
    let salt = app.entropy().bytes();
    let verdict = app.hashing().verify(password.clone(), phc, salt).await;
    let verdict = verdict.map_err(ApiError::unavailable)?;
    check().map_err(ask::limited)?;
    if verdict != Verdict::Wrong {
        return Ok(());
    }
    let counted = app
        .limits()
        .count_failed_sign_in(&attempt, context.now)
        .await;
    counted.map_err(ask::limited)?;
    let sentence = "The current password is wrong.";
    Err(ApiError::forbidden("password_wrong", sentence))
}
