//! Access evaluation (OpenID AuthZEN Authorization API 1.0): `POST /access/v1/evaluation`, `/access/v1/evaluations` and
//! `/.well-known/authzen-configuration`, answered from the roles and permissions that tokens are made of.
//!
//! Callers authenticate as clients that are registered for a resource. What a request claims of its subject is never
//! believed: `properties` of a subject are not looked at.

mod evaluate;
mod request;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;
use serde_json::json;
use tokensmith_oauth2::{ErrorCode, Form};
use tokensmith_store::{AuditEvent, AuthMethod};

use self::{
    evaluate::{Decision, Evaluator},
    request::{Batch, Evaluation, Semantic},
};
use crate::{
    app::App,
    client_auth::authenticate,
    context::RequestContext,
    error::{ApiError, OAuthError, no_store},
};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(metadata, evaluation, evaluations))]
pub(crate) struct Api;

/// What a caller names its request by; answered as it came (§10.1.3).
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_REQUEST_ID: usize = 128;

/// The answer to several questions (§7.2).
#[derive(Serialize, utoipa::ToSchema)]
struct Decisions {
    evaluations: Vec<Decision>,
}

/// `GET /.well-known/authzen-configuration`: where decisions are asked for (§9).
#[utoipa::path(get, path = "/.well-known/authzen-configuration", responses((status = 200, body = serde_json::Value)), operation_id = "authzen_metadata")]
pub async fn metadata(State(app): State<App>) -> impl IntoResponse {
    const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");
    let issuer = &app.config().issuer;
    let document = json!({
        "policy_decision_point": issuer.as_str(),
        "access_evaluation_endpoint": issuer.endpoint("/access/v1/evaluation"),
        "access_evaluations_endpoint": issuer.endpoint("/access/v1/evaluations"),
    });
    ([(header::CACHE_CONTROL, CACHE)], Json(document))
}

/// `POST /access/v1/evaluation`: whether a subject may do something (§6).
///
/// # Errors
/// 400 for what is no question, 401, 403 for a client of no resource, 503.
#[utoipa::path(post, path = "/access/v1/evaluation", request_body = Evaluation, responses((status = 200, body = Decision), (status = 400), (status = 401), (status = 403), (status = 503)), security(("client" = [])), operation_id = "evaluate")]
pub async fn evaluation(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Response> {
    admit(&app, &headers, &context).await?;
    let answer = async {
        let question: Evaluation = request::read(request, &app).await?;
        let mut evaluator = Evaluator::new(&app);
        evaluator.decide(&question.complete()?).await
    };
    Ok(answered(&headers, answer.await))
}

/// `POST /access/v1/evaluations`: several decisions (§7). Without questions it is a single one (§7.1).
///
/// # Errors
/// As [`evaluation`].
#[utoipa::path(post, path = "/access/v1/evaluations", request_body = Batch, responses((status = 200, body = Decisions), (status = 400), (status = 401), (status = 403), (status = 503)), security(("client" = [])), operation_id = "evaluate_several")]
pub async fn evaluations(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Response> {
    admit(&app, &headers, &context).await?;
    let answer = async {
        let batch: Batch = request::read(request, &app).await?;
        let mut evaluator = Evaluator::new(&app);
        if batch.is_single() {
            let decision = evaluator.decide(&batch.defaults().complete()?).await?;
            return Ok(Json(decision).into_response());
        }
        let evaluations = all(&mut evaluator, &batch).await?;
        Ok(Json(Decisions { evaluations }).into_response())
    };
    Ok(answered(&headers, answer.await))
}

/// One after the other, as far as the semantic goes. A question that is not complete is denied with its error (§7.2.1).
async fn all(evaluator: &mut Evaluator<'_>, batch: &Batch) -> Result<Vec<Decision>, ApiError> {
    let (semantic, mut decisions) = (batch.semantic()?, Vec::new());
    for question in batch.questions()? {
        let decision = match question.complete() {
            Ok(question) => evaluator.decide(&question).await?,
            Err(error) => Decision::error(&error),
        };
        let is_last = match semantic {
            Semantic::ExecuteAll => false,
            Semantic::DenyOnFirstDeny => !decision.is_permit(),
            Semantic::PermitOnFirstPermit => decision.is_permit(),
        };
        decisions.push(decision);
        if is_last {
            break;
        }
    }
    Ok(decisions)
}

/// Only clients that prove themselves and speak for a resource learn what users may do.
async fn admit(app: &App, headers: &HeaderMap, context: &RequestContext) -> Result<(), Response> {
    let admitted = async {
        // Credentials in the URL are never looked at.
        let no_form = Form::parse(b"").map_err(|error| OAuthError::from(error).into_response())?;
        let client = authenticate(app, headers, &no_form, context).await;
        let client = client.map_err(|error| {
            let error = match error.code() {
                ErrorCode::InvalidClient => error.challenge_basic(),
                _ => error,
            };
            error.into_response()
        })?;
        let client = &client.client;
        if client.auth_method != AuthMethod::None && !client.resources.is_empty() {
            return Ok(());
        }
        let refusal = "evaluation_without_resource";
        let event = AuditEvent::new("evaluation_refused")
            .client(&client.client_id)
            .outcome(refusal);
        let by = context.audit(Some(format!("client:{}", client.client_id)));
        let audited = app.audit(by, event).await;
        audited.map_err(|error| ApiError::from(error).into_response())?;
        let sentence =
            "Evaluation is for clients that authenticate and are registered for a resource.";
        Err(ApiError::forbidden(refusal, sentence).into_response())
    };
    admitted.await.map_err(|refused| named(headers, refused))
}

fn answered(headers: &HeaderMap, answer: Result<impl IntoResponse, ApiError>) -> Response {
    let response = match answer {
        Ok(answer) => {
            let mut response = answer.into_response();
            no_store(response.headers_mut());
            response
        }
        Err(error) => error.into_response(),
    };
    named(headers, response)
}

fn named(headers: &HeaderMap, mut response: Response) -> Response {
    let id = headers.get(REQUEST_ID);
    let id = id.filter(|id| id.len() <= LONGEST_REQUEST_ID && id.to_str().is_ok());
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id.clone());
    }
    response
}

impl IntoResponse for Decision {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}
