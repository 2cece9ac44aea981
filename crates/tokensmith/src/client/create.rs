//! Registering a client from the command line, under the rules for redirect URIs, resources and keys.

use anyhow::{Result, anyhow, ensure};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use tokensmith_oauth2::{ClientId, GrantType, RedirectUri, ResourceIndicator, Scope, Secret};
use tokensmith_server::registry::BUILT_IN;
use tokensmith_server::{
    client_auth::{hash_secret, new_secret, seal_secret},
    extract::check_name,
    keys::sealing_key,
    password::Hashing,
};
use tokensmith_store::{AuthMethod, Client, ClientSecret, RegisterClient, Registered};

use super::{certificate::CertificateOptions, metadata::MetadataOptions, tell};
use crate::{data::Data, secret_input};

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The client id; it may not look like a UUID, because users are UUIDs
    client_id: String,
    /// A name for people; the client id when left out
    #[arg(long)]
    name: Option<String>,
    /// What it may ask for, space separated
    #[arg(long, default_value = "")]
    scope: String,
    /// A public client: an app or web page that can keep no secret
    #[arg(long, conflicts_with_all = ["secret_stdin", "auth_method"])]
    public: bool,
    /// Register it with a secret of your own, read from standard input, instead of a generated one
    #[arg(long)]
    secret_stdin: bool,
    /// How it authenticates
    #[arg(long, value_name = "METHOD", default_value = "client_secret_basic", value_parser = auth_methods())]
    auth_method: AuthMethod,
    #[command(flatten)]
    metadata: MetadataOptions,
    /// A grant it may use; may be repeated. client_credentials, or for public clients authorization_code and refresh_token
    #[arg(long = "grant", value_name = "GRANT_TYPE")]
    grants: Vec<GrantType>,
    /// A redirect URI; may be repeated
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// A resource it may ask tokens for (RFC 8707), the first is its default; may be repeated
    #[arg(long = "resource", value_name = "URI")]
    resources: Vec<String>,
    /// The role its tokens carry for older services
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    certificate: CertificateOptions,
}

impl Create {
    pub(super) async fn run(self, data: &Data) -> Result<()> {
        self.check(data).await?;
        let secret = match (self.auth_method().has_secret(), self.secret_stdin) {
            (true, true) => Some(secret_input::from_stdin()?),
            (true, false) => Some(new_secret(&data.entropy)),
            (false, true) => {
                return Err(anyhow!("{} knows no secret", self.auth_method().as_str()));
            }
            (false, false) => None,
        };
        let is_off = !data.config.client_auth.client_secret_jwt;
        if self.auth_method() == AuthMethod::ClientSecretJwt && is_off {
            eprintln!(
                "note: the server takes client_secret_jwt only with client_auth.client_secret_jwt = true"
            );
        }
        let client = self.record(data, secret.as_ref()).await?;
        let registered = data
            .store
            .write(RegisterClient {
                client,
                context: data.context(),
            })
            .await?;
        ensure!(
            registered == Registered::Created,
            "there is a client {:?} already",
            self.client_id
        );
        println!("registered client {}", self.client_id);
        if let Some(secret) = secret.filter(|_| !self.secret_stdin) {
            tell(&secret);
        }
        Ok(())
    }

    async fn check(&self, data: &Data) -> Result<()> {
        check_name(self.name.as_deref().unwrap_or(&self.client_id))
            .map_err(|error| anyhow!("{}", error.sentence()))?;
        for uri in &self.redirect_uris {
            RedirectUri::parse(uri).map_err(|error| anyhow!("redirect URI {uri:?}: {error}"))?;
        }
        if let Ok(id) = ClientId::parse(&self.client_id) {
            let known = data.store.client(&id).await?;
            ensure!(known.is_none(), "there is a client {id} already");
        }
        let declared = data.store.resources().await?;
        for uri in &self.resources {
            ResourceIndicator::parse(uri).map_err(|error| anyhow!("resource {uri:?}: {error}"))?;
            let is_known = data.config.audience() == uri
                || declared.iter().any(|resource| resource.identifier == *uri);
            ensure!(is_known, "there is no resource {uri:?}");
        }
        let scopes = data.store.scopes().await?;
        for token in self
            .scope()?
            .iter()
            .filter(|token| !BUILT_IN.contains(token))
            .filter(|token| scopes.iter().all(|scope| scope.name != **token))
        {
            eprintln!(
                "note: the scope {token} is declared nowhere; it implies nothing and metadata does not list it"
            );
        }
        Ok(())
    }

    fn scope(&self) -> Result<Scope> {
        match self.scope.trim() {
            "" => Ok(Scope::empty()),
            tokens => Scope::parse(tokens).map_err(|error| anyhow!("{error}")),
        }
    }

    fn auth_method(&self) -> AuthMethod {
        if self.public {
            AuthMethod::None
        } else {
            self.auth_method
        }
    }

    fn grants(&self) -> Vec<GrantType> {
        match (self.grants.as_slice(), self.public) {
            ([], true) => vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            ([], false) => vec![GrantType::ClientCredentials],
            (chosen, _) => chosen.to_vec(),
        }
    }

    async fn record(&self, data: &Data, secret: Option<&Secret>) -> Result<Client> {
        let client_id = ClientId::parse(&self.client_id)
            .map_err(|error| anyhow!("{:?}: {error}", self.client_id))?;
        let method = self.auth_method();
        let metadata = self.metadata.read(data, method)?;
        let metadata = self.certificate.complete(method, metadata)?;
        let mut secrets = Vec::new();
        if let Some(secret) = secret {
            secrets.push(data.client_secret(&client_id, method, secret).await?);
        }
        Ok(Client {
            metadata,
            client_id,
            name: self.name.clone().unwrap_or_else(|| self.client_id.clone()),
            auth_method: method,
            secrets,
            grant_types: self.grants(),
            scope: self.scope()?,
            resources: self.resources.clone(),
            redirect_uris: self.redirect_uris.clone(),
            role: self.role.clone(),
            access_token_seconds: None,
            rotates_refresh_tokens: true,
            is_active: true,
            created_at: data.now,
            updated_at: data.now,
        })
    }
}

/// The methods of confidential clients.
fn auth_methods() -> impl TypedValueParser<Value = AuthMethod> {
    let methods = AuthMethod::ALL
        .iter()
        .filter(|method| !matches!(method, AuthMethod::None))
        .map(|method| method.as_str());
    PossibleValuesParser::new(methods).try_map(|word| word.parse::<AuthMethod>())
}

impl Data {
    /// What is kept of a client secret.
    pub(super) async fn client_secret(
        &self,
        client: &ClientId,
        method: AuthMethod,
        secret: &Secret,
    ) -> Result<ClientSecret> {
        let hash = if method == AuthMethod::ClientSecretJwt {
            let is_key = secret.expose().len() >= 32;
            ensure!(is_key, "a secret for client_secret_jwt needs 32 bytes");
            seal_secret(&sealing_key(&self.config)?, client, secret)?
        } else {
            let hashing = Hashing::start(&self.config.hashing)?;
            hash_secret(&hashing, &self.entropy, secret).await?
        };
        let id = self.entropy.identifier()[..8].to_owned();
        Ok(ClientSecret {
            id,
            hash,
            created_at: self.now.as_millis(),
            expires_at: None,
        })
    }
}
