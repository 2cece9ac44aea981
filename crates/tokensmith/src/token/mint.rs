//! `tokensmith token mint`: an access token for a client, made by the operator of this store through the one gate.

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use serde_json::json;
use tokensmith_oauth2::{ClientId, GrantType, ResourceIndicator, Scope};
use tokensmith_server::{
    app::App,
    config::Config,
    context::RequestContext,
    entropy::Entropy,
    now::Clock,
    token::{self, Grant, Issued, Subject},
};
use tokensmith_store::{AuditContext, AuditEvent};

use crate::{data::Place, listing::write_out, process};

#[derive(Debug, Args)]
pub(super) struct Mint {
    /// The client; it must be active and registered for client_credentials
    client_id: String,
    /// What the token may do, space separated; at most what the client may ask for
    #[arg(long)]
    scope: String,
    /// The resource it is for (RFC 8707); the client's default when left out
    #[arg(long, value_name = "URI")]
    resource: Option<String>,
    /// With the data of `dev`: the port it runs on, which the token's issuer names
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Print the answer of the token endpoint
    #[arg(long)]
    json: bool,
}

impl Mint {
    pub(super) fn run(self, place: &Place) -> Result<ExitCode> {
        // Refuses data that is not there before anything is opened.
        place.run(async |_| Ok(()))?;
        let mut config = place.config()?;
        if config.demo {
            config.issuer = Config::dev(self.port, &config.data_dir).issuer;
        }
        let issued = process::runtime()?.block_on(self.mint(config))?;
        let response = issued.response;
        write_out(&if self.json {
            format!(
                "{:#}\n",
                json!({
                    "access_token": response.access_token.expose(),
                    "token_type": "Bearer",
                    "expires_in": response.expires_in,
                    "scope": response.scope,
                    "jti": issued.jti,
                    "audience": issued.audience,
                })
            )
        } else {
            format!("{}\n", response.access_token.expose())
        })?;
        Ok(ExitCode::SUCCESS)
    }

    async fn mint(&self, config: Config) -> Result<Issued> {
        let app = App::open(config, Clock::System, Entropy::default()).await?;
        let context = RequestContext::without_request(app.clock().now());
        let id = ClientId::parse(&self.client_id).map_err(|error| anyhow!("{error}"))?;
        let client = app.registry().client(app.store(), &id).await?;
        let client = client.with_context(|| format!("there is no client {:?}", self.client_id))?;
        ensure!(
            client
                .client
                .grant_types
                .contains(&GrantType::ClientCredentials),
            "the client is not registered for client_credentials, so it has no tokens of its own"
        );
        let allowed = client.allowed_scope.clone();
        let grant = Grant {
            requested_scope: Some(Scope::parse(&self.scope)?),
            requested_resource: self
                .resource
                .as_deref()
                .map(ResourceIndicator::parse)
                .transpose()?,
            ..Grant::new("operator", Subject::Client, allowed)
        };
        let issued = token::issue(&app, &client, grant, &context).await;
        let issued = issued.map_err(|error| anyhow!("{}", error.sentence()))?;
        let event = AuditEvent::new("token_minted")
            .client(&id)
            .field("jti", &issued.jti);
        app.audit(AuditContext::operator(context.now), event)
            .await?;
        Ok(issued)
    }
}
