//! Groups and their members as the auth service knows them, asked for with this service's own token.
//! A cached answer lets a member in for five seconds, and for a minute while the auth service is down.
//! It never keeps anyone out, and without an answer nobody gets in.

use std::{fmt::Display, sync::Arc, time::Duration};

use quick_cache::sync::Cache;
use reqwest::{Client, StatusCode, redirect};
use serde::{Deserialize, de::DeserializeOwned};
use tokensmith_client::{Authorized, ServiceTokenManager};
use tokio::time::Instant;
use uuid::Uuid;

use crate::observe::{CORRELATION_ID, CorrelationId};
use crate::problem::Problem;

const FRESH: Duration = Duration::from_secs(5);
const USABLE_WHILE_DOWN: Duration = Duration::from_secs(60);
const MAX_GROUPS: usize = 10_000;

pub(crate) struct Groups {
    api: Authorized<Client, ServiceTokenManager>,
    http: Client,
    url: String,
    known: Cache<Uuid, Arc<Known>>,
}

struct Known {
    group: Group,
    members: Vec<Member>,
    at: Instant,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Group {
    pub(crate) id: Uuid,
    pub(crate) org_id: String,
}

#[derive(Deserialize)]
struct Members {
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    user_id: String,
}

impl Groups {
    pub(crate) fn new(auth_url: &str, tokens: ServiceTokenManager) -> reqwest::Result<Self> {
        let http = Client::builder().redirect(redirect::Policy::none());
        let http = http.timeout(Duration::from_secs(5)).build()?;
        Ok(Self {
            api: Authorized::new(http.clone(), tokens),
            http,
            url: format!("{auth_url}/api/auth/groups"),
            known: Cache::new(MAX_GROUPS),
        })
    }

    /// The group, once it is sure that it exists (404) and that the user is in it (403).
    pub(crate) async fn admit(
        &self,
        id: &str,
        user: &str,
        trace: &CorrelationId,
    ) -> Result<Group, Problem> {
        let id = Uuid::parse_str(id).map_err(|_| absent())?;
        if let Some(group) = self.known_to_hold(id, user, FRESH) {
            return Ok(group);
        }
        match self.ask(id, trace).await {
            Ok(known) => {
                self.known.insert(id, Arc::new(known));
                let group = self.known_to_hold(id, user, USABLE_WHILE_DOWN);
                let detail = "only members of the group may do this";
                group.ok_or(Problem::forbidden(detail))
            }
            Err(down) if down.is_down() => {
                let group = self.known_to_hold(id, user, USABLE_WHILE_DOWN);
                group.ok_or(down)
            }
            Err(absent) => {
                self.known.remove(&id);
                Err(absent)
            }
        }
    }

    fn known_to_hold(&self, id: Uuid, user: &str, age: Duration) -> Option<Group> {
        let known = self
            .known
            .get(&id)
            .filter(|known| known.at.elapsed() < age)?;
        let is_member = known.members.iter().any(|member| member.user_id == user);
        is_member.then(|| known.group.clone())
    }

    async fn ask(&self, id: Uuid, trace: &CorrelationId) -> Result<Known, Problem> {
        let at = Instant::now();
        let (group, Members { members }) = tokio::try_join!(
            self.get::<Group>(format!("{}/{id}", self.url), trace),
            self.get::<Members>(format!("{}/{id}/members", self.url), trace),
        )?;
        Ok(Known { group, members, at })
    }

    async fn get<T: DeserializeOwned>(
        &self,
        url: String,
        trace: &CorrelationId,
    ) -> Result<T, Problem> {
        let request = self.http.get(url).header(CORRELATION_ID, &trace.0);
        let request = request.build().map_err(down)?;
        let response = self.api.send(request).await.map_err(down)?;
        match response.status() {
            StatusCode::OK => response.json().await.map_err(down),
            StatusCode::NOT_FOUND => Err(absent()),
            status => Err(down(status)),
        }
    }
}

fn absent() -> Problem {
    Problem::absent("there is no such group")
}

fn down(reason: impl Display) -> Problem {
    tracing::warn!(%reason, "the auth service gave no usable answer");
    Problem::down("the auth service does not answer")
}
