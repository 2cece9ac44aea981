//! Who sends the requests of a test.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokensmith_store::UserId;

use crate::{Answer, TestServer, process::Watch};

/// Somebody without a token.
#[derive(Clone)]
pub struct Anonymous {
    base: String,
    http: reqwest::Client,
    watch: Option<Watch>,
}

impl Anonymous {
    pub(crate) fn new(base: String, http: reqwest::Client, watch: Option<Watch>) -> Self {
        Self { base, http, watch }
    }

    /// A request that is not sent yet.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().expect("the test builds a request");
        let name = format!("{} {}", request.method(), request.url().path());
        if let Some(watch) = &self.watch {
            watch.settle().await;
        }
        let response = self
            .http
            .execute(request)
            .await
            .expect("the server answers");
        Answer::read(name, response).await
    }

    /// Sends a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body))
            .await
    }

    /// Sends a form.
    pub async fn form(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(self.request(Method::POST, path).form(form)).await
    }

    /// Signs in.
    pub async fn login(&self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        self.post("/api/auth/login", body).await
    }

    /// Renews tokens at the token endpoint as the account client.
    pub async fn renew(&self, refresh_token: &str, more: &[(&str, &str)]) -> Answer {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "tokensmith-account"),
            ("refresh_token", refresh_token),
        ];
        self.form("/oauth/token", &[&form, more].concat()).await
    }
}

/// What users and services have in common: a token to send.
macro_rules! sends_with_a_token {
    ($actor:ident) => {
        impl $actor {
            /// A request with the token that is not sent yet.
            pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
                self.anonymous
                    .request(method, path)
                    .bearer_auth(&self.access_token)
            }

            /// Sends a request.
            pub async fn send(&self, request: RequestBuilder) -> Answer {
                self.anonymous.send(request).await
            }

            /// `GET`
            pub async fn get(&self, path: &str) -> Answer {
                self.send(self.request(Method::GET, path)).await
            }

            /// `POST` with a JSON body.
            pub async fn post(&self, path: &str, body: Value) -> Answer {
                self.send(self.request(Method::POST, path).json(&body))
                    .await
            }

            /// `PATCH` with a JSON body.
            pub async fn patch(&self, path: &str, body: Value) -> Answer {
                self.send(self.request(Method::PATCH, path).json(&body))
                    .await
            }

            /// `DELETE`
            pub async fn delete(&self, path: &str) -> Answer {
                self.send(self.request(Method::DELETE, path)).await
            }
        }
    };
}

/// A user who is signed in.
#[derive(Clone)]
pub struct User {
    anonymous: Anonymous,
    /// The user's id.
    pub id: UserId,
    /// The user's address.
    pub email: String,
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: String,
}

sends_with_a_token!(User);

impl User {
    /// A user who is there already, signed in.
    pub async fn sign_in(server: &TestServer, email: String, password: &str) -> Self {
        let answer = server.anonymous().login(&email, password).await;
        Self::of(server, &email, &answer.expect(200))
    }

    /// The user of tokens that a sign-in answered with.
    pub fn of(server: &TestServer, email: &str, answer: &Answer) -> Self {
        Self {
            anonymous: server.anonymous(),
            id: answer.text("user_id").parse().expect("user_id is a UUID"),
            email: email.to_owned(),
            access_token: answer.text("access_token"),
            refresh_token: answer.text("refresh_token"),
        }
    }

    /// The same user in the same session, with an access token of now.
    pub async fn renewed(&self) -> Self {
        let renewed = self.anonymous.renew(&self.refresh_token, &[]).await;
        let renewed = renewed.expect(200);
        Self {
            access_token: renewed.text("access_token"),
            refresh_token: renewed.text("refresh_token"),
            ..self.clone()
        }
    }

    /// The same user with a token that knows today's facts, from a new sign-in.
    pub async fn signed_in_again(&self, server: &TestServer) -> Self {
        Self::sign_in(server, self.email.clone(), crate::SIGN_IN_PASSWORD).await
    }

    /// Creates an organization and answers with its id.
    pub async fn creates_organization(&self, name: &str) -> String {
        let created = self.post("/api/auth/organizations", json!({"name": name}));
        created.await.expect(201).text("id")
    }

    /// Adds a member to an organization.
    pub async fn adds(&self, org: &str, user: &User, role: &str) -> Answer {
        let path = format!("/api/auth/organizations/{org}/members");
        let body = json!({"user_id": user.id.as_str(), "role": role});
        self.post(&path, body).await
    }

    /// Creates a group and answers with its id.
    pub async fn creates_group(&self, org: &str, name: &str) -> String {
        let path = format!("/api/auth/organizations/{org}/groups");
        self.post(&path, json!({"name": name}))
            .await
            .expect(201)
            .text("id")
    }

    /// Adds a member to a group.
    pub async fn adds_to_group(&self, group: &str, user: &User) -> Answer {
        let path = format!("/api/auth/groups/{group}/members");
        self.post(&path, json!({"user_id": user.id.as_str()})).await
    }
}

/// A service with an access token of its own.
#[derive(Clone)]
pub struct Service {
    anonymous: Anonymous,
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub secret: String,
    /// The access token.
    pub access_token: String,
}

sends_with_a_token!(Service);

impl Service {
    pub(crate) async fn authorized(
        server: &TestServer,
        client_id: &str,
        secret: String,
        scope: &str,
    ) -> Self {
        let anonymous = server.anonymous();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", &secret),
            ("scope", scope),
        ];
        let answer = anonymous.form("/oauth/token", &form).await.expect(200);
        Self {
            access_token: answer.text("access_token"),
            client_id: client_id.to_owned(),
            anonymous,
            secret,
        }
    }
}
