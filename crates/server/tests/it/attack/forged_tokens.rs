//! Theme 01: forged tokens at the server's own APIs. What is signed here is signed with the server's real key, so only
//! the attack can be the reason for the refusal.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_jose::{Algorithm, SigningKey};
use tokensmith_server::{audit, keys};
use tokensmith_store::AuditContext;
use tokio::net::TcpListener;

use super::{
    assert_alive,
    forging::{Forge, b64, mac, public_key_encodings, signed_text},
};

#[tokio::test]
async fn row_001_the_servers_apis_take_no_unsigned_token() {
    let forge = Forge::start().await;
    let signed = &forge.alice.access_token;
    let payload = signed.split('.').nth(1).unwrap();
    let signature = signed.split('.').nth(2).unwrap();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = b64(json!({"alg": alg, "typ": "at+jwt", "kid": forge.key.kid()}).to_string());
        forge.refuses(&format!("{header}.{payload}.")).await;
        forge.refuses(&format!("{header}.{payload}")).await;
        forge
            .refuses(&format!("{header}.{payload}.{signature}"))
            .await;
        let without_kid = b64(json!({"alg": alg, "typ": "at+jwt"}).to_string());
        forge.refuses(&format!("{without_kid}.{payload}.")).await;
    }
    assert_alive(&forge.server).await;
}

#[tokio::test]
async fn row_003_the_servers_public_key_is_no_shared_secret() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
        let forge = Forge::start_with(|config| config.tokens.signing_algorithm = algorithm).await;
        let encodings = public_key_encodings(&forge.key);
        assert!(encodings.len() >= 5);
        for secret in encodings {
            let named = json!({"alg": "HS256", "typ": "at+jwt", "kid": forge.key.kid()});
            forge.refuses(&mac(&secret, &named, &forge.claims())).await;
            let unnamed = json!({"alg": "HS256", "typ": "at+jwt"});
            forge
                .refuses(&mac(&secret, &unnamed, &forge.claims()))
                .await;
        }
        assert_alive(&forge.server).await;
    }
}

#[tokio::test]
async fn row_005_a_key_id_is_looked_up_and_never_opened() {
    let forge = Forge::start().await;
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "file:///dev/null",
        "' UNION SELECT ''--",
        "\0",
        "",
        &"k".repeat(600),
    ] {
        let header = json!({"alg": "HS256", "typ": "at+jwt", "kid": kid});
        forge.refuses(&mac(b"", &header, &forge.claims())).await;
        forge.refuses(&forge.with_header("kid", json!(kid))).await;
    }
    assert_alive(&forge.server).await;
}

#[tokio::test]
async fn row_007_an_address_in_a_token_is_never_visited() {
    let forge = Forge::start().await;
    let evil = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let address = format!("http://{}/jwks", evil.local_addr().unwrap());
    let attacker = SigningKey::generate(Algorithm::Es256).unwrap();
    for member in ["jku", "x5u"] {
        for kid in [attacker.kid(), forge.key.kid()] {
            let mut header = forge.header();
            header["kid"] = json!(kid);
            header[member] = json!(address);
            let token = signed_text(&attacker, &header.to_string(), &forge.claims().to_string());
            forge.refuses(&token).await;
        }
    }
    let visited = tokio::time::timeout(Duration::from_millis(300), evil.accept()).await;
    assert!(
        visited.is_err(),
        "the server visited an address from a token"
    );
    assert_alive(&forge.server).await;
}

#[tokio::test]
async fn row_008_a_key_inside_a_token_is_never_used() {
    let forge = Forge::start().await;
    let attacker = SigningKey::generate(Algorithm::Es256).unwrap();
    let mut jwk = serde_json::to_value(attacker.public_jwk()).unwrap();
    for kid in [attacker.kid(), forge.key.kid()] {
        jwk["kid"] = json!(kid);
        let header =
            json!({"alg": "ES256", "typ": "at+jwt", "kid": kid, "jwk": jwk, "x5c": ["MIIB"]});
        let token = signed_text(&attacker, &header.to_string(), &forge.claims().to_string());
        forge.refuses(&token).await;
    }
    let unnamed = json!({"alg": "ES256", "typ": "at+jwt", "jwk": jwk});
    let token = signed_text(&attacker, &unnamed.to_string(), &forge.claims().to_string());
    forge.refuses(&token).await;
    assert_alive(&forge.server).await;
}

#[tokio::test]
async fn row_010_a_critical_extension_refuses_a_token_that_is_signed_correctly() {
    let forge = Forge::start().await;
    let mut header = forge.header();
    header["x-policy"] = json!("1");
    forge.accepts(&forge.signed(&header, &forge.claims())).await;
    for crit in [
        json!(["x-policy"]),
        json!([]),
        json!("x-policy"),
        json!(null),
        json!(["exp"]),
    ] {
        header["crit"] = crit;
        forge.refuses(&forge.signed(&header, &forge.claims())).await;
    }
    forge.refuses(&forge.with_header("b64", json!(false))).await;
    assert_alive(&forge.server).await;
}

#[tokio::test]
async fn row_012_only_access_tokens_are_taken_though_the_same_key_signed() {
    let forge = Forge::start().await;
    let mut id_token = forge.claims();
    id_token["aud"] = json!(["tokensmith-account"]);
    id_token["nonce"] = json!("n");
    for typ in ["JWT", "id+jwt", "logout+jwt", "jwt", "at+jwt2"] {
        forge.refuses(&forge.with_header("typ", json!(typ))).await;
        let mut header = forge.header();
        header["typ"] = json!(typ);
        forge.refuses(&forge.signed(&header, &id_token)).await;
    }
    forge
        .refuses(&forge.signed(&forge.header(), &id_token))
        .await;
    let mut header = forge.header();
    header.as_object_mut().unwrap().remove("typ");
    forge.refuses(&forge.signed(&header, &forge.claims())).await;
    forge
        .refuses(&forge.with_claim("type", json!("refresh")))
        .await;
    assert_alive(&forge.server).await;
}

#[tokio::test]
async fn row_013_what_else_the_server_writes_or_reads_is_no_bearer_token() {
    let forge = Forge::start().await;
    forge.refuses(&forge.alice.refresh_token).await;
    audit::checkpoint_all(forge.server.app()).await.unwrap();
    let checkpoints = forge
        .server
        .app()
        .store()
        .audit_checkpoints()
        .await
        .unwrap();
    forge.refuses(&checkpoints[0].statement).await;
    for typ in ["client-authentication+jwt", "dpop+jwt", "secevent+jwt"] {
        forge.refuses(&forge.with_header("typ", json!(typ))).await;
    }
    let service = forge.server.service("service", "groups:read").await;
    forge.refuses(&service.secret).await;
    assert_alive(&forge.server).await;
}

#[tokio::test]
async fn row_015_a_member_named_twice_refuses_a_token_that_is_signed_correctly() {
    let forge = Forge::start().await;
    let (header, claims) = (forge.header().to_string(), forge.claims().to_string());
    for name in ["sub", "exp", "iss", "aud", "scope", "extra"] {
        let value = forge.claims().get(name).cloned().unwrap_or(json!("x"));
        let twice = claims.replacen('{', &format!("{{\"{name}\":{value},\"{name}\":{value},"), 1);
        forge
            .refuses(&signed_text(&forge.key, &header, &twice))
            .await;
        let escaped = format!("\\u{:04x}{}", u32::from(name.as_bytes()[0]), &name[1..]);
        let hidden = claims.replacen(
            '{',
            &format!("{{\"{escaped}\":{value},\"{name}\":{value},"),
            1,
        );
        forge
            .refuses(&signed_text(&forge.key, &header, &hidden))
            .await;
    }
    let nested = claims.replacen('{', r#"{"deep":{"a":1,"a":2},"#, 1);
    forge
        .refuses(&signed_text(&forge.key, &header, &nested))
        .await;
    let header = header.replacen('{', r#"{"alg":"none","#, 1);
    forge
        .refuses(&signed_text(&forge.key, &header, &claims))
        .await;
    assert_alive(&forge.server).await;
}

#[tokio::test]
async fn row_017_an_altered_signature_is_refused() {
    let forge = Forge::start().await;
    let (signed, signature) = forge.alice.access_token.rsplit_once('.').unwrap();
    let bytes = decode(signature);
    for bit in (0..bytes.len() * 8).step_by(37) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        forge.refuses(&format!("{signed}.{}", b64(flipped))).await;
    }
    let short = b64(&bytes[..bytes.len() - 1]);
    let long = b64([bytes.as_slice(), &[0]].concat());
    let padded = format!("{signature}=");
    let mut high_s_bits = signature.to_owned();
    let last = high_s_bits.pop().unwrap();
    // The last character of 64 bytes carries four bits that mean nothing; another spelling is another token.
    high_s_bits.push(char::from(last as u8 + 1));
    for other in [&short, &long, &padded, &high_s_bits, "", "AAAA"] {
        forge.refuses(&format!("{signed}.{other}")).await;
    }
    forge.accepts(&forge.alice.access_token).await;
    assert_alive(&forge.server).await;
}

fn decode(text: &str) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[tokio::test]
async fn row_018_a_claim_of_the_wrong_type_refuses_and_is_never_taken_for_absent() {
    let forge = Forge::start().await;
    for exp in [
        json!("9999999999"),
        json!(null),
        json!(-1),
        json!(0),
        json!(1.0e10),
        json!(true),
        json!([9_999_999_999_i64]),
    ] {
        forge.refuses(&forge.with_claim("exp", exp)).await;
    }
    let odd = [
        json!(null),
        json!(true),
        json!(1),
        json!(-1),
        json!(1.5),
        json!("x"),
        json!([]),
        json!([1]),
        json!({}),
        json!({"a": "b"}),
    ];
    for name in [
        "iss",
        "sub",
        "aud",
        "client_id",
        "jti",
        "scope",
        "type",
        "iat",
        "nbf",
        "exp",
        "sid",
        "org_id",
    ] {
        for value in &odd {
            let is_of_its_type = match name {
                "iat" | "nbf" => value.is_i64(),
                "jti" | "scope" | "org_id" | "client_id" => value.is_string(),
                _ => false,
            };
            if !is_of_its_type {
                forge.refuses(&forge.with_claim(name, value.clone())).await;
            }
        }
    }
    for name in [
        "iss",
        "sub",
        "aud",
        "client_id",
        "exp",
        "iat",
        "jti",
        "scope",
        "type",
    ] {
        forge.refuses(&forge.without_claim(name)).await;
    }
    assert_alive(&forge.server).await;
}

#[tokio::test]
async fn row_020_an_enormous_token_is_refused_at_once() {
    let forge = Forge::start().await;
    let header = forge.header().to_string();
    let large_header = header.replacen('{', &format!("{{\"x\":\"{}\",", "y".repeat(256 << 10)), 1);
    let payload = forge.claims().to_string();
    for token in [
        "a".repeat(1 << 20),
        signed_text(&forge.key, &large_header, &payload),
    ] {
        let started = Instant::now();
        let answer = forge.shows(&token).await;
        assert_eq!(answer.status, 431, "{}", answer.body);
        assert!(
            started.elapsed() < Duration::from_secs(1),
            "{:?}",
            started.elapsed()
        );
    }
    // What fits into the header of a request is looked at, and no further than its limits.
    let wide = header.replacen('{', &format!("{{\"x\":\"{}\",", "y".repeat(2 << 10)), 1);
    forge
        .refuses(&signed_text(&forge.key, &wide, &payload))
        .await;
    forge.refuses(&".".repeat(12 << 10)).await;
    forge
        .refuses(&format!("{}.{}.x", b64(&header), "A".repeat(10 << 10)))
        .await;
    assert_alive(&forge.server).await;
}

#[tokio::test]
async fn row_024_a_token_of_a_retired_key_is_refused() {
    let forge = Forge::start().await;
    let app = forge.server.app();
    let mut claims = forge.claims();
    claims["exp"] = json!(claims["exp"].as_i64().unwrap() + 10 * 86_400);
    let long_lived = forge.signed(&forge.header(), &claims);
    let context = AuditContext::operator(forge.server.now());
    let none = Some(Duration::ZERO);
    keys::rotate(
        app.config(),
        app.store(),
        keys::NewKey::Generated(Algorithm::Es256),
        none,
        context,
    )
    .await
    .unwrap();
    forge.server.reload().await;
    // Retired, and still published for the tokens it has signed.
    forge.accepts(&long_lived).await;
    let new = forge.alice.signed_in_again(&forge.server).await;
    assert_ne!(
        new.access_token.split('.').next(),
        long_lived.split('.').next()
    );
    forge.accepts(&new.access_token).await;
    let bound = app.config().tokens.access_token_lifetime + Duration::from_secs(5 * 60);
    forge.server.advance(bound + Duration::from_secs(1));
    forge.server.reload().await;
    forge.refuses(&long_lived).await;
    let published = forge.server.anonymous();
    let jwks = published
        .send(published.request(Method::GET, "/.well-known/jwks.json"))
        .await
        .expect(200);
    assert!(!jwks.body.contains(forge.key.kid()));
    assert_alive(&forge.server).await;
}

#[tokio::test]
async fn row_026_null_signatures_and_keys_of_another_kind_are_refused() {
    let forge = Forge::start().await;
    let signed = forge.alice.access_token.rsplit_once('.').unwrap().0;
    let der_zero = [0x30, 6, 2, 1, 0, 2, 1, 0];
    let order = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25,
        0x51_u8,
    ];
    for signature in [
        vec![0; 64],
        der_zero.to_vec(),
        [order, order].concat(),
        [[0; 32], order].concat(),
        Vec::new(),
    ] {
        forge.refuses(&format!("{signed}.{}", b64(signature))).await;
    }
    let rsa = SigningKey::generate(Algorithm::Rs256).unwrap();
    for alg in ["RS256", "PS256", "EdDSA", "ES384", "es256"] {
        let header = json!({"alg": alg, "typ": "at+jwt", "kid": forge.key.kid()}).to_string();
        forge
            .refuses(&signed_text(&rsa, &header, &forge.claims().to_string()))
            .await;
        forge
            .refuses(&signed_text(
                &forge.key,
                &header,
                &forge.claims().to_string(),
            ))
            .await;
    }
    assert_alive(&forge.server).await;
}

#[tokio::test]
async fn row_028_the_issuer_is_one_exact_string() {
    let forge = Forge::start().await;
    let issuer = forge.claims()["iss"].as_str().unwrap().to_owned();
    let others: [Value; 6] = [
        json!([issuer, "https://evil.test"]),
        json!([issuer]),
        json!(format!("{issuer}/")),
        json!(issuer.to_uppercase()),
        json!(issuer.replace("localhost", "127.0.0.1")),
        json!(""),
    ];
    for other in others {
        forge.refuses(&forge.with_claim("iss", other)).await;
    }
    forge.refuses(&forge.without_claim("iss")).await;
    assert_alive(&forge.server).await;
}

#[tokio::test]
async fn row_029_the_audience_holds_our_exact_identifier() {
    let forge = Forge::start().await;
    let ours = forge.server.app().config().audience().to_owned();
    forge.accepts(&forge.with_claim("aud", json!(ours))).await;
    let others: [Value; 8] = [
        json!([]),
        json!("other"),
        json!(["https://chat.example.com"]),
        json!(format!("{ours}-evil")),
        json!(format!("{ours}/")),
        json!(ours.strip_suffix("com").unwrap()),
        json!([[ours]]),
        json!({"aud": ours}),
    ];
    for other in others {
        forge.refuses(&forge.with_claim("aud", other)).await;
    }
    forge.refuses(&forge.without_claim("aud")).await;
    assert_alive(&forge.server).await;
}

#[tokio::test]
async fn a_forged_subject_or_session_gains_nothing() {
    // Nobody but the server can sign these; still each names somebody who is not there, or not as it says.
    let forge = Forge::start().await;
    let service = forge.server.service("service", "groups:read").await;
    let nobody = "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f";
    let odd_spelling = forge.alice.id.as_str().to_uppercase();
    for sub in [
        nobody,
        &odd_spelling,
        "service",
        "",
        " ",
        "tokensmith-account",
    ] {
        let answer = forge.shows(&forge.with_claim("sub", json!(sub))).await;
        assert!(
            [401, 403].contains(&answer.status),
            "{sub}: {}",
            answer.body
        );
    }
    forge.refuses(&forge.with_claim("sid", json!(nobody))).await;
    let mut claims = forge.claims();
    claims["sub"] = json!(service.client_id);
    claims["client_id"] = json!(service.client_id);
    forge
        .shows(&forge.signed(&forge.header(), &claims))
        .await
        .expect_problem(403);
    claims["client_id"] = json!("gone");
    claims["sub"] = json!("gone");
    forge.refuses(&forge.signed(&forge.header(), &claims)).await;
    assert_alive(&forge.server).await;
}
