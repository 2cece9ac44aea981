//! A browser without a screen: keeps cookies, follows redirects one by one, sends the forms it was shown.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use reqwest::{Method, RequestBuilder, header};

use crate::{Anonymous, Answer};

/// The cookie of the pages' sessions.
pub const SESSION_COOKIE: &str = "__Host-tokensmith-session";

/// A browser.
pub struct Browser {
    anonymous: Anonymous,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Browser {
    pub(crate) fn new(anonymous: Anonymous) -> Self {
        Self {
            anonymous,
            cookies: Mutex::default(),
        }
    }

    /// The value of a cookie it keeps.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().get(name).cloned()
    }

    /// Puts a cookie into it, as somebody who stole it would.
    pub fn set_cookie(&self, name: &str, value: &str) {
        let mut cookies = self.cookies.lock();
        cookies.insert(name.to_owned(), value.to_owned());
    }

    /// A request that is not sent yet.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous.request(method, path)
    }

    /// Sends a request with its cookies and keeps those of the answer. Redirects are not followed.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let pairs: Vec<_> = {
            let cookies = self.cookies.lock();
            let pair = |(name, value): (&String, &String)| format!("{name}={value}");
            cookies.iter().map(pair).collect()
        };
        let request = match pairs.is_empty() {
            true => request,
            false => request.header(header::COOKIE, pairs.join("; ")),
        };
        let answer = self.anonymous.send(request).await;
        for field in answer.headers.get_all(header::SET_COOKIE) {
            let pair = field.to_str().expect("a cookie of ASCII");
            let pair = pair.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie has a name");
            self.set_cookie(name, value);
        }
        answer
    }

    /// Opens a page.
    pub async fn open(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// Opens the page at a path and sends a form there with the token that the page holds.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.open(path).await.expect(200);
        let token = form_token(&page.body);
        self.submit_with(path, &token, fields).await
    }

    /// Sends a form with a token.
    pub async fn submit_with(&self, path: &str, token: &str, fields: &[(&str, &str)]) -> Answer {
        let form = [&[("form_token", token)], fields].concat();
        self.send(self.request(Method::POST, path).form(&form))
            .await
    }

    /// Signs in by password and ends at the account.
    pub async fn signs_in(&self, email: &str, password: &str) {
        let fields = [("email", email), ("password", password)];
        let answer = self.submit("/sign-in", &fields).await.expect(303);
        assert_eq!(answer.header("location"), Some("/account"));
        self.open("/account").await.expect(200);
    }
}

/// The token of the forms of a page.
#[track_caller]
pub fn form_token(page: &str) -> String {
    let start = "name=\"form_token\" value=\"";
    let (_, rest) = page.split_once(start).expect("the page has a form");
    rest.split('"').next().unwrap_or_default().to_owned()
}
