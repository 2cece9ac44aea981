//! An answer, read to its end.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// Status, header and body of an answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request, for failure messages.
    pub request: String,
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    pub(crate) async fn read(request: String, response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = response.text().await.expect("the body arrives as text");
        Self {
            request,
            status,
            headers,
            body,
        }
    }

    /// Requires a status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status, status,
            "{} answered {}",
            self.request, self.body
        );
        self
    }

    /// Requires a JSON problem (RFC 9457) with this status, and `detail` as one sentence.
    #[track_caller]
    pub fn expect_problem(self, status: u16) -> Self {
        let answer = self.expect(status);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        let problem = answer.json();
        assert_eq!(problem["status"], status, "{problem}");
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.ends_with('.')),
            "{problem}"
        );
        answer
    }

    /// Requires an OAuth error (RFC 6749 §5.2) with this code.
    #[track_caller]
    pub fn expect_oauth_error(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.json()["error"], code, "{}", answer.body);
        answer
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|_| panic!("{} answered no JSON: {}", self.request, self.body))
    }

    /// A member of the body that is a text.
    #[track_caller]
    pub fn text(&self, member: &str) -> String {
        let json = self.json();
        let text = json[member].as_str().map(str::to_owned);
        text.unwrap_or_else(|| panic!("{} answered no text {member}: {json}", self.request))
    }

    /// A header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
