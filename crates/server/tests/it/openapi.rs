//! The document of the API against the router: what answers is described, and what is described answers.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::Value;
use tokensmith_server::{openapi, router};
use tokensmith_testkit::TestServer;

const HOW: &str = "ARCHITECTURE.md says how under \"How to add\": an endpoint";

type Methods = BTreeMap<String, BTreeSet<String>>;

fn described() -> Methods {
    let paths = openapi::whole()["paths"].as_object().unwrap().iter();
    let methods = |item: &Value| {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| method.to_uppercase()).collect()
    };
    paths
        .map(|(path, item)| (path.clone(), methods(item)))
        .collect()
}

/// What a path takes, as its refusal of another method says.
async fn allowed(server: &TestServer, path: &str) -> BTreeSet<String> {
    let path = path.replace(['{', '}'], "");
    let anonymous = server.anonymous();
    let method = Method::from_bytes(b"PROPFIND").unwrap();
    let answer = anonymous
        .send(anonymous.request(method, &path))
        .await
        .expect(405);
    let allow = answer.header("allow").unwrap().split(',').map(str::trim);
    allow
        .filter(|method| *method != "HEAD")
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn every_route_is_described_and_every_description_is_a_route() {
    let server = TestServer::start().await;
    let described = described();
    let routes = router::routes(server.app().clone());
    for path in routes.paths() {
        assert!(
            described.contains_key(path),
            "{path} is a route and not in the document of the API. {HOW}."
        );
    }
    for (path, methods) in &described {
        assert!(
            routes.paths().contains(path),
            "{path} is in the document of the API and no route. {HOW}."
        );
        assert_eq!(
            &allowed(&server, path).await,
            methods,
            "{path}: routed, described. {HOW}."
        );
    }
}

#[tokio::test]
async fn what_needs_no_token_in_the_document_is_answered_without_one_and_the_rest_is_not() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    for (path, item) in openapi::whole()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let filled = path.replace(['{', '}'], "");
            let request = anonymous
                .request(method.clone(), &filled)
                .json(&serde_json::json!({}));
            let answer = anonymous.send(request).await;
            let asks = answer.header("www-authenticate").unwrap_or_default();
            let takes_token = operation["security"].to_string().contains("bearer");
            assert_eq!(
                answer.status == 401 && asks.contains("Bearer"),
                takes_token,
                "{method} {path}: {}",
                answer.status
            );
        }
    }
}

#[tokio::test]
async fn the_pages_and_all_they_load_come_from_this_server_under_a_strict_policy() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    let read = async |path: &str| {
        anonymous
            .send(anonymous.request(Method::GET, path))
            .await
            .expect(200)
    };
    let page = read("/docs").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'")
            && !policy.contains("unsafe")
            && !policy.contains("http"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(
        !page.body.contains("://")
            && !page.body.contains("<style")
            && !page.body.contains("onclick")
    );
    for (path, kind) in [
        ("/docs/page.js", "text/javascript"),
        ("/docs/page.css", "text/css"),
        ("/openapi.json", "application/json"),
    ] {
        assert!(page.body.contains(path), "{path}");
        let part = read(path).await;
        assert!(
            part.header("content-type").unwrap().starts_with(kind),
            "{path}"
        );
        assert!(!part.body.contains("innerHTML"), "{path}");
    }
    let document = read("/openapi.json").await.json();
    assert_eq!(&document, openapi::whole());
}
