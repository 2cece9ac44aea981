//! Which features the built program does not have, each with its proof: not in its metadata and not at its path (404),
//! not a grant (`unsupported_grant_type`), not a setting.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokensmith_xtask::{
    http::Request,
    process::{Scratch, Server, free_port},
};

/// What a row needs that is measured on a machine of its own, and never here.
pub(crate) const ALONE: &str = "alone";

/// Something rows attack, and the signs by which it would show itself.
#[derive(Debug, Default)]
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    /// A member of the metadata.
    member: Option<&'static str>,
    /// A word in a list of the metadata.
    word: Option<(&'static str, &'static str)>,
    paths: &'static [&'static str],
    grant: Option<&'static str>,
    /// Parts of the name of its environment variable.
    setting: &'static [&'static str],
}

const NONE: Feature = Feature {
    name: "",
    member: None,
    word: None,
    paths: &[],
    grant: None,
    setting: &[],
};

/// What rows of the list need.
pub(crate) const FEATURES: [Feature; 18] = [
    Feature {
        name: "authorize",
        member: Some("authorization_endpoint"),
        paths: &["/oauth/authorize"],
        ..NONE
    },
    Feature {
        name: "par",
        member: Some("pushed_authorization_request_endpoint"),
        paths: &["/oauth/par"],
        ..NONE
    },
    Feature {
        name: "device",
        member: Some("device_authorization_endpoint"),
        paths: &["/oauth/device_authorization"],
        grant: Some("urn:ietf:params:oauth:grant-type:device_code"),
        ..NONE
    },
    Feature {
        name: "userinfo",
        member: Some("userinfo_endpoint"),
        paths: &["/oauth/userinfo"],
        ..NONE
    },
    Feature {
        name: "register",
        member: Some("registration_endpoint"),
        paths: &["/oauth/register"],
        ..NONE
    },
    Feature {
        name: "logout",
        member: Some("end_session_endpoint"),
        paths: &["/oauth/logout"],
        ..NONE
    },
    Feature {
        name: "assertions",
        word: Some(("token_endpoint_auth_methods_supported", "private_key_jwt")),
        ..NONE
    },
    Feature {
        name: "exchange",
        grant: Some("urn:ietf:params:oauth:grant-type:token-exchange"),
        ..NONE
    },
    Feature {
        name: "jwt_bearer",
        grant: Some("urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ..NONE
    },
    Feature {
        name: "dpop",
        member: Some("dpop_signing_alg_values_supported"),
        ..NONE
    },
    Feature {
        name: "providers",
        paths: &[
            "/api/v1/oauth/providers",
            "/api/v1/oauth/callback",
            "/api/v1/oauth/integrations",
        ],
        ..NONE
    },
    Feature {
        name: "social",
        paths: &[
            "/api/oauth2/oauth2/authorize",
            "/api/oauth2/oauth2/callback",
        ],
        ..NONE
    },
    Feature {
        name: "pages",
        paths: &["/login", "/account", "/consent"],
        ..NONE
    },
    Feature {
        name: "mail",
        paths: &[
            "/api/auth/request-password-reset",
            "/api/auth/reset-password",
        ],
        ..NONE
    },
    Feature {
        name: "mfa",
        paths: &["/api/auth/2fa/setup", "/api/auth/login/2fa"],
        ..NONE
    },
    Feature {
        name: "factor_reset",
        paths: &["/api/admin/v1/users/01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f/factors"],
        ..NONE
    },
    Feature {
        name: "tls",
        setting: &["TLS"],
        ..NONE
    },
    Feature {
        name: "scope_limits",
        setting: &["RATE_LIMIT", "SCOPE"],
        ..NONE
    },
];

/// The absent features, and how that was seen.
pub(crate) fn prove(binary: &Path) -> Result<BTreeMap<&'static str, String>> {
    let scratch = Scratch::new("attack")?;
    let port = free_port()?;
    let mut command = Command::new(binary);
    command.args(["dev", "--port", &port.to_string(), "--data"]);
    command.arg(scratch.path("data"));
    let mut server = Server::start(&mut command, &scratch.path("log"))?;
    server.wait_for(&Request::new("GET", port, "/ready"))?;
    let metadata = Request::new("GET", port, "/.well-known/oauth-authorization-server").send()?;
    let probe = Probe {
        port,
        metadata: metadata.json(),
        settings: settings(binary)?,
    };
    ensure!(
        probe.metadata["token_endpoint"].is_string(),
        "the program serves no metadata"
    );
    let absent = FEATURES
        .iter()
        .map(|feature| Ok((feature.name, probe.absence_of(feature)?)));
    let absent: Result<Vec<_>> = absent.collect();
    Ok(absent?
        .into_iter()
        .filter_map(|(name, proof)| Some((name, proof?)))
        .collect())
}

/// The page about every setting.
fn settings(binary: &Path) -> Result<String> {
    let output = Command::new(binary).args(["config", "reference"]).output();
    let output = output.context("running config reference")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

struct Probe {
    port: u16,
    metadata: Value,
    settings: String,
}

impl Probe {
    /// `None` when there is any sign of it.
    fn absence_of(&self, feature: &Feature) -> Result<Option<String>> {
        let mut seen = Vec::new();
        if let Some(member) = feature.member {
            if !self.metadata[member].is_null() {
                return Ok(None);
            }
            seen.push(format!("no {member} in the metadata"));
        }
        if let Some((list, word)) = feature.word {
            if self.metadata[list].to_string().contains(word) {
                return Ok(None);
            }
            seen.push(format!("no {word} in {list}"));
        }
        for path in feature.paths {
            for method in ["GET", "POST"] {
                if Request::new(method, self.port, *path).send()?.status != 404 {
                    return Ok(None);
                }
            }
            seen.push(format!("404 at {path}"));
        }
        if let Some(grant) = feature.grant {
            if self.metadata["grant_types_supported"]
                .to_string()
                .contains(grant)
                || self.takes(grant)?
            {
                return Ok(None);
            }
            seen.push(format!("unsupported_grant_type for {grant}"));
        }
        if !feature.setting.is_empty() {
            if self
                .settings
                .lines()
                .any(|line| feature.setting.iter().all(|part| line.contains(part)))
            {
                return Ok(None);
            }
            seen.push(format!("no setting named {}", feature.setting.join(" … ")));
        }
        Ok(Some(seen.join(", ")))
    }

    /// Whether the token endpoint knows the grant type.
    fn takes(&self, grant: &str) -> Result<bool> {
        let form = [
            ("grant_type", grant),
            ("client_id", "test_client"),
            ("client_secret", "test_secret"),
        ];
        let answer = Request::new("POST", self.port, "/oauth/token")
            .form(&form)
            .send()?;
        Ok(answer.json()["error"] != "unsupported_grant_type")
    }
}
