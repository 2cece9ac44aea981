//! Declared data kept in memory: clients (a bounded cache), resources and scopes (whole).
//!
//! Every change moves the store's configuration epoch on; a node that sees it moved drops what it keeps here, so a
//! change is seen everywhere within [`EPOCH_INTERVAL`].

mod account_client;
mod authority;
mod client_document;
mod document;
mod epoch;
mod members;
mod plan;
mod registered_client;
mod rights;
mod trusted_issuer;
mod write;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use quick_cache::sync::Cache;
use tokensmith_jose::Algorithm;
use tokensmith_oauth2::{ClientId, Scope, ScopeHierarchy};
use tokensmith_store::{Resource, Roles, Store, StoreError};

use crate::{app::StartError, config::Config};

pub use account_client::{ACCOUNT_CLIENT, ensure_account_client};
pub use authority::{Authority, InOrganization};
pub use client_document::needs_secret;
pub use document::{Document, document, key_member, read};
pub use epoch::{EPOCH_INTERVAL, follow};
pub use members::Problem;
pub use plan::{MemberChange, Step};
pub use registered_client::{RegisteredClient, assertion_keys};
pub use rights::{ADMIN, ADMIN_ROLE, BUILT_IN, CLIENTS, READ, RESERVED, USERS};
pub use trusted_issuer::{RegisteredIssuer, check_issuer};
pub use write::{WriteRefusal, write};

/// Clients, resources and scopes.
pub struct Registry {
    clients: Cache<ClientId, Arc<RegisteredClient>>,
    /// How often the clients were dropped.
    drops: AtomicU64,
    declared: ArcSwap<Declared>,
}

/// Resources and scopes as declared.
#[derive(Debug)]
pub struct Declared {
    /// What each scope implies.
    pub hierarchy: ScopeHierarchy,
    /// Every scope token there is, in order.
    pub scope_names: Vec<String>,
    resources: Vec<DeclaredResource>,
    issuers: HashMap<String, Arc<RegisteredIssuer>>,
    roles: Roles,
    /// Every declared permission.
    permissions: Vec<String>,
}

/// A resource with what follows from it.
#[derive(Debug)]
pub struct DeclaredResource {
    /// The record.
    pub resource: Resource,
    /// Signature of its access tokens, where it wants another than the server's.
    pub algorithm: Option<Algorithm>,
    /// The scope it knows; `None`: every scope.
    pub scope: Option<Scope>,
}

impl Registry {
    /// Reads resources and scopes.
    ///
    /// # Errors
    /// When the store does not answer or the declarations are not usable.
    pub async fn open(config: &Config, store: &Store) -> Result<Self, StartError> {
        let clients = Cache::new(config.cache.clients.get());
        Ok(Self {
            clients,
            drops: AtomicU64::new(0),
            declared: ArcSwap::from_pointee(Declared::load(store).await?),
        })
    }

    /// Resources and scopes of this moment.
    pub fn declared(&self) -> arc_swap::Guard<Arc<Declared>> {
        self.declared.load()
    }

    /// The client with exactly this id, whether or not it is active.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn client(
        &self,
        store: &Store,
        id: &ClientId,
    ) -> Result<Option<Arc<RegisteredClient>>, StoreError> {
        if let Some(known) = self.clients.get(id) {
            return Ok(Some(known));
        }
        let drops = self.drops.load(Ordering::SeqCst);
        let Some(client) = store.client(id).await? else {
            return Ok(None);
        };
        let allowed_scope = self.declared().hierarchy.closure(&client.scope);
        let registered = Arc::new(RegisteredClient::new(client, allowed_scope));
        self.clients.insert(id.clone(), registered.clone());
        // What was read before a drop and kept after it would stay until the next change.
        if self.drops.load(Ordering::SeqCst) != drops {
            self.clients.remove(id);
        }
        Ok(Some(registered))
    }

    /// Drops what is kept and reads the declarations again.
    ///
    /// # Errors
    /// As [`Registry::open`]; then the declarations in use stay, but no client does.
    pub async fn reload(&self, store: &Store) -> Result<(), StartError> {
        let declared = Declared::load(store)
            .await
            .map(|declared| self.declared.store(Arc::new(declared)));
        self.drops.fetch_add(1, Ordering::SeqCst);
        self.clients.clear();
        declared
    }
}

impl Declared {
    async fn load(store: &Store) -> Result<Self, StartError> {
        let scopes = store.scopes().await?;
        let declared = scopes.iter().map(|scope| {
            let implied: Vec<&str> = scope.implies.iter().map(String::as_str).collect();
            (scope.name.as_str(), implied)
        });
        let built_in = [
            (ADMIN, vec![CLIENTS, USERS]),
            (CLIENTS, vec![READ]),
            (USERS, vec![READ]),
        ];
        let declared = declared.chain(built_in);
        let hierarchy = ScopeHierarchy::new(declared).map_err(|error| {
            StartError::Declared(format!("the declared scopes are not usable: {error}"))
        })?;
        let resources = store
            .resources()
            .await?
            .into_iter()
            .map(DeclaredResource::from_record)
            .collect::<Result<_, _>>()?;
        let permissions = store.permissions().await?.into_iter();
        let issuers = store.trusted_issuers().await?.into_iter();
        let issuers = issuers.map(|record| {
            let id = record.issuer.clone();
            (id, Arc::new(RegisteredIssuer::new(record)))
        });
        Ok(Self {
            hierarchy,
            scope_names: scopes.into_iter().map(|scope| scope.name).collect(),
            resources,
            issuers: issuers.collect(),
            roles: Roles::new(store.roles().await?),
            permissions: permissions.map(|permission| permission.name).collect(),
        })
    }

    /// The trusted issuer with exactly this identifier.
    pub fn issuer(&self, identifier: &str) -> Option<&Arc<RegisteredIssuer>> {
        self.issuers.get(identifier)
    }

    /// Whether a role of this name may be had over the whole server.
    pub fn has_role(&self, name: &str) -> bool {
        name == ADMIN_ROLE || self.roles.has(name)
    }

    /// The resource with exactly this identifier.
    pub fn resource(&self, identifier: &str) -> Option<&DeclaredResource> {
        self.resources
            .iter()
            .find(|declared| declared.resource.identifier == identifier)
    }
}

impl DeclaredResource {
    fn from_record(resource: Resource) -> Result<Self, StartError> {
        let wrong = |what: &str| {
            StartError::Declared(format!("resource {} has {what}", resource.identifier))
        };
        let algorithm = match resource.signing_algorithm.as_deref() {
            Some(name) => Some(
                Algorithm::from_name(name).ok_or_else(|| wrong("an unknown signing algorithm"))?,
            ),
            None => None,
        };
        let scope = match resource.scopes.as_slice() {
            [] => None,
            names => Some(Scope::parse(&names.join(" ")).map_err(|_| wrong("an unusable scope"))?),
        };
        Ok(Self {
            resource,
            algorithm,
            scope,
        })
    }
}
