//! The questions of AuthZEN 1.0 §5 to §7. A known member of the wrong type, an empty or overlong name and a question
//! without one of its parts are refused; members that are not known are not looked at.

use axum::extract::Request;
use http::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tokensmith_store::OrganizationId;

use crate::{
    app::App,
    error::{ApiError, json_body},
};

/// Questions of one request.
const MOST: usize = 100;
const LONGEST_NAME: usize = 512;

/// A question, or what several have in common.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[schema(as = AccessEvaluation)]
pub(super) struct Evaluation {
    subject: Option<Entity>,
    action: Option<Action>,
    resource: Option<Entity>,
    #[schema(value_type = Option<serde_json::Value>)]
    context: Option<Map<String, Value>>,
}

/// A subject (§5.1) or a resource (§5.2).
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = AccessEntity)]
pub(super) struct Entity {
    pub(super) r#type: String,
    pub(super) id: String,
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    pub(super) properties: Map<String, Value>,
}

/// An action (§5.3).
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = AccessAction)]
pub(super) struct Action {
    pub(super) name: String,
    #[serde(default, rename = "properties")]
    #[schema(value_type = Option<serde_json::Value>)]
    _properties: Map<String, Value>,
}

/// Several questions (§7.1).
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = AccessEvaluations)]
pub(super) struct Batch {
    subject: Option<Entity>,
    action: Option<Action>,
    resource: Option<Entity>,
    #[schema(value_type = Option<serde_json::Value>)]
    context: Option<Map<String, Value>>,
    #[serde(default)]
    evaluations: Vec<Evaluation>,
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    options: Map<String, Value>,
}

/// When to stop (§7.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

/// A question with all its parts.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) subject: Entity,
    pub(super) action: Action,
    pub(super) resource: Entity,
    /// The organization that the resource belongs to.
    pub(super) org_id: Option<OrganizationId>,
}

/// Reads a body. What is no question is a bad request here (§10.1.2), of whatever kind.
pub(super) async fn read<T: DeserializeOwned>(request: Request, app: &App) -> Result<T, ApiError> {
    let read = json_body(request, app, &["application/json"]).await;
    read.map_err(|error: ApiError| match error.status() {
        StatusCode::UNPROCESSABLE_ENTITY => {
            ApiError::bad_request(error.refusal(), error.sentence().to_owned())
        }
        _ => error,
    })
}

impl Evaluation {
    /// The question, if nothing of it is missing.
    pub(super) fn complete(self) -> Result<Question, ApiError> {
        let (Some(subject), Some(action), Some(resource)) =
            (self.subject, self.action, self.resource)
        else {
            let sentence = "A question needs a subject, an action and a resource.";
            return Err(ApiError::bad_request("question_incomplete", sentence));
        };
        let names = [
            &subject.r#type,
            &subject.id,
            &action.name,
            &resource.r#type,
            &resource.id,
        ];
        let is_name = |name: &&String| {
            (1..=LONGEST_NAME).contains(&name.len()) && !name.contains(char::is_control)
        };
        if !names.iter().all(is_name) {
            let sentence = "Types, ids and names have 1 to 512 bytes and no control characters.";
            return Err(ApiError::bad_request("name_malformed", sentence));
        }
        let org_id = organization(&resource, self.context.as_ref())?;
        Ok(Question {
            subject,
            action,
            resource,
            org_id,
        })
    }

    fn or(self, defaults: &Self) -> Self {
        Self {
            subject: self.subject.or_else(|| defaults.subject.clone()),
            action: self.action.or_else(|| defaults.action.clone()),
            resource: self.resource.or_else(|| defaults.resource.clone()),
            context: self.context.or_else(|| defaults.context.clone()),
        }
    }
}

/// `org_id` among the properties of the resource, or in the context; two that differ are no question.
fn organization(
    resource: &Entity,
    context: Option<&Map<String, Value>>,
) -> Result<Option<OrganizationId>, ApiError> {
    let read = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    let mut named = [
        resource.properties.get("org_id"),
        context.and_then(|context| context.get("org_id")),
    ]
    .into_iter()
    .flatten()
    .map(|value| {
        let sentence = "org_id must be the UUID of an organization.";
        read(value).ok_or_else(|| ApiError::bad_request("org_id_malformed", sentence))
    });
    let first: Option<OrganizationId> = named.next().transpose()?;
    match named.next().transpose()? {
        Some(second) if first.as_ref() != Some(&second) => {
            let sentence = "The resource and the context name different organizations.";
            Err(ApiError::bad_request("two_organizations", sentence))
        }
        _ => Ok(first),
    }
}

impl Batch {
    /// Whether it asks one thing, at the top.
    pub(super) fn is_single(&self) -> bool {
        self.evaluations.is_empty()
    }

    /// What the questions have in common.
    pub(super) fn defaults(&self) -> Evaluation {
        Evaluation {
            subject: self.subject.clone(),
            action: self.action.clone(),
            resource: self.resource.clone(),
            context: self.context.clone(),
        }
    }

    /// The questions in their order, each with what it leaves to the defaults (§7.1.1).
    pub(super) fn questions(&self) -> Result<Vec<Evaluation>, ApiError> {
        if self.evaluations.len() > MOST {
            let sentence = "Ask 100 questions at most.";
            return Err(ApiError::bad_request("too_many_questions", sentence));
        }
        let defaults = self.defaults();
        let questions = self.evaluations.iter().cloned();
        Ok(questions.map(|question| question.or(&defaults)).collect())
    }

    pub(super) fn semantic(&self) -> Result<Semantic, ApiError> {
        match self.options.get("evaluations_semantic") {
            None => Ok(Semantic::ExecuteAll),
            Some(Value::String(word)) => match word.as_str() {
                "execute_all" => Ok(Semantic::ExecuteAll),
                "deny_on_first_deny" => Ok(Semantic::DenyOnFirstDeny),
                "permit_on_first_permit" => Ok(Semantic::PermitOnFirstPermit),
                _ => Err(unknown_semantic()),
            },
            Some(_) => Err(unknown_semantic()),
        }
    }
}

fn unknown_semantic() -> ApiError {
    let sentence =
        "evaluations_semantic is execute_all, deny_on_first_deny or permit_on_first_permit.";
    ApiError::bad_request("semantic_unknown", sentence)
}
