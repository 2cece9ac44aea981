//! Many managers, one for each issuer, client, scope and audience.
//! It refuses to grow beyond 256 managers in use.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::{ServiceClient, ServiceTokenManager, SettingsError, http_client, service_client::Key};

const MAX_MANAGERS: usize = 256;

/// Hands out the one manager for a [`ServiceClient`], so that equal settings share a token and different ones
/// never do. Managers share one HTTP client, save those with a certificate or authorities of their own.
#[derive(Debug)]
pub struct ServiceTokenSet {
    http: reqwest::Client,
    managers: Mutex<HashMap<Key, ServiceTokenManager>>,
}

impl ServiceTokenSet {
    /// An empty set.
    ///
    /// # Errors
    /// [`SettingsError::HttpClient`].
    pub fn new() -> Result<Self, SettingsError> {
        Ok(Self {
            http: http_client::build()?,
            managers: Mutex::default(),
        })
    }

    /// The manager for these settings; another secret for the same client replaces the manager.
    ///
    /// # Errors
    /// [`SettingsError::TooMany`] when 256 managers are in use elsewhere, [`SettingsError::HttpClient`] for a certificate
    /// that is not usable, [`SettingsError::ClientKey`] for such a key.
    pub fn manager(&self, client: ServiceClient) -> Result<ServiceTokenManager, SettingsError> {
        let mut managers = self.managers.lock();
        let known = managers
            .get(&client.key)
            .filter(|known| known.client().secret == client.secret);
        if let Some(known) = known {
            return Ok(known.clone());
        }
        if managers.len() >= MAX_MANAGERS {
            managers.retain(|_, manager| manager.is_held_elsewhere());
        }
        if managers.len() >= MAX_MANAGERS && !managers.contains_key(&client.key) {
            return Err(SettingsError::TooMany(MAX_MANAGERS));
        }
        let http = match client.has_own_tls() {
            true => http_client::build_for(&client)?,
            false => self.http.clone(),
        };
        let manager = ServiceTokenManager::with_http(client.clone(), http)?;
        managers.insert(client.key, manager.clone());
        Ok(manager)
    }
}
