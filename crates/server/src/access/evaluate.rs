//! The decision: whether the subject holds the permission `type:action`, or one that is named as the action itself, in
//! the organization of the resource. Read anew for each request; whoever is not there holds nothing.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, json};
use tokensmith_oauth2::{ClientId, Scope};
use tokensmith_store::{OrganizationId, UserId};

use super::request::{Entity, Question};
use crate::{app::App, error::ApiError, registry::Authority, roles};

/// An answer (§6.2).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AccessDecision)]
pub(super) struct Decision {
    decision: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Value>,
}

impl Decision {
    /// Denied, because it is no question.
    pub(super) fn error(error: &ApiError) -> Self {
        let told = json!({"status": error.status().as_u16(), "message": error.sentence()});
        Self {
            decision: false,
            context: Some(json!({ "error": told })),
        }
    }

    pub(super) fn is_permit(&self) -> bool {
        self.decision
    }
}

/// What a subject holds.
#[derive(Clone)]
enum Held {
    Nothing,
    Permissions(Authority),
    Scope(Scope),
}

/// Decides the questions of one request; a subject is looked up once.
pub(super) struct Evaluator<'a> {
    app: &'a App,
    known: HashMap<(String, String, Option<OrganizationId>), Held>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(app: &'a App) -> Self {
        Self {
            app,
            known: HashMap::new(),
        }
    }

    /// # Errors
    /// When the store does not answer.
    pub(super) async fn decide(&mut self, question: &Question) -> Result<Decision, ApiError> {
        let held = self.held(&question.subject, &question.org_id).await?;
        let action = &question.action.name;
        let of_type = format!("{}:{action}", question.resource.r#type);
        let decision = match held {
            Held::Nothing => false,
            Held::Permissions(authority) => {
                authority.permits(&of_type) || authority.permits(action)
            }
            Held::Scope(scope) => scope.contains(&of_type) || scope.contains(action),
        };
        let context = None;
        Ok(Decision { decision, context })
    }

    async fn held(
        &mut self,
        subject: &Entity,
        org: &Option<OrganizationId>,
    ) -> Result<Held, ApiError> {
        let key = (subject.r#type.clone(), subject.id.clone(), org.clone());
        if let Some(held) = self.known.get(&key) {
            return Ok(held.clone());
        }
        let held = match subject.r#type.as_str() {
            "user" => self.of_user(&subject.id, org.as_ref()).await?,
            "client" => self.of_client(&subject.id).await?,
            _ => Held::Nothing,
        };
        self.known.insert(key, held.clone());
        Ok(held)
    }

    /// A user by id, or by the address or the name of the sign-in.
    async fn of_user(&self, id: &str, org: Option<&OrganizationId>) -> Result<Held, ApiError> {
        let user = match id.parse::<UserId>() {
            Ok(id) => self.app.store().user(&id).await?,
            Err(_) => self.app.store().user_by_login(id).await?,
        };
        match user.filter(|user| user.is_active) {
            Some(user) => {
                let authority = roles::authority_of(self.app, &user, org).await?;
                Ok(Held::Permissions(authority))
            }
            None => Ok(Held::Nothing),
        }
    }

    /// A client holds the scope it is registered for.
    async fn of_client(&self, id: &str) -> Result<Held, ApiError> {
        let Ok(id) = ClientId::parse(id) else {
            return Ok(Held::Nothing);
        };
        let client = self.app.registry().client(self.app.store(), &id).await?;
        let active = client.filter(|client| client.client.is_active);
        Ok(active.map_or(Held::Nothing, |client| {
            Held::Scope(client.allowed_scope.clone())
        }))
    }
}
