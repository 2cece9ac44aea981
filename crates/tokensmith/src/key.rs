//! `tokensmith key`: signing keys.

mod import;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, Subcommand};
use serde_json::json;
use tokensmith_jose::{Algorithm, MAX_KEYS};
use tokensmith_server::keys::{self, NewKey, Rotation};
use tokensmith_store::{RetireSigningKey, SigningKeyRecord, Timestamp};

use crate::{
    data::{Data, Place},
    listing::Listing,
};

/// In this time every node publishes a new key.
const EVERY_NODE_KNOWS: Duration = Duration::from_secs(2);

/// Signing keys: list, rotate, retire.
///
/// Keys also rotate by themselves (`tokens.signing_key_lifetime`). A key is published before it signs and stays
/// published until its last token has expired, so nobody who follows the JWK set ever meets an unknown key.
#[derive(Debug, Args)]
pub(crate) struct KeyCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List signing keys, the oldest first
    List(Listing),
    /// Add a successor: published now, signing after the notice (`tokens.signing_key_notice`, 1 day)
    Rotate(Rotate),
    /// Add a successor from a file: PEM (PKCS#8, SEC1, PKCS#1) or a private JWK. It is sealed under the master key
    Import(import::Import),
    /// Add a successor that the external signer holds (`external_signer.socket`)
    External(import::External),
    /// Take a key out of use at once because it leaked: tokens it signed are refused from now on
    Retire(Retire),
}

#[derive(Debug, Args)]
struct Rotate {
    /// Sign with the new key in 2 seconds, when every node publishes it. Verifiers that cache the JWK set and do
    /// not fetch it again when they meet an unknown key fail until they do; so this is for emergencies
    #[arg(long)]
    now: bool,
    /// The algorithm of the key; the one of access tokens when left out
    #[arg(long, value_name = "ALG", value_parser = algorithm)]
    algorithm: Option<Algorithm>,
}

#[derive(Debug, Args)]
struct Retire {
    /// The key's id, as `key list` shows it
    kid: String,
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    let known = Algorithm::from_name(name).filter(|algorithm| *algorithm != Algorithm::Hs256);
    known.ok_or_else(|| "must be ES256, RS256, PS256 or EdDSA".to_owned())
}

impl KeyCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let action = self.action;
        self.place.run(async |data| match action {
            Action::List(listing) => list(data, &listing).await,
            Action::Rotate(rotate) => rotate.run(data).await,
            Action::Import(import) => import.run(data).await,
            Action::External(external) => external.run(data).await,
            Action::Retire(retire) => retire.run(data).await,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(data: &Data, listing: &Listing) -> Result<()> {
    let keys = data.store.signing_keys().await?;
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            json!({ "kid": key.kid, "algorithm": key.algorithm, "state": state(key, data.now),
                    "created_at": key.created_at, "signs_from": key.signs_from, "signs_until": key.signs_until,
                    "published_until": key.published_until, "private_half": key.sealed_private.is_some() })
        })
        .collect();
    listing.print_whole(
        &rows,
        &[
            "kid",
            "algorithm",
            "state",
            "signs_from",
            "signs_until",
            "published_until",
        ],
    )
}

fn state(key: &SigningKeyRecord, now: Timestamp) -> &'static str {
    let is_over = |until: Option<Timestamp>| until.is_some_and(|until| until <= now);
    match () {
        () if is_over(key.published_until) => "retired",
        () if is_over(key.signs_until) => "verifies",
        () if key.signs_from > now => "waits",
        () => "signs",
    }
}

impl Rotate {
    async fn run(self, data: &Data) -> Result<()> {
        let algorithm = self
            .algorithm
            .unwrap_or(data.config.tokens.signing_algorithm);
        succeed(data, algorithm, NewKey::Generated(algorithm), self.now).await
    }
}

/// Publishes a successor, which signs after its notice, or as soon as every node publishes it.
async fn succeed(data: &Data, algorithm: Algorithm, key: NewKey, now: bool) -> Result<()> {
    if now {
        retire_waiting(data, algorithm).await?;
    }
    refuse_a_set_too_large(data).await?;
    let notice = now.then_some(EVERY_NODE_KNOWS);
    match keys::rotate(&data.config, &data.store, key, notice, data.context()).await? {
        Rotation::Added { kid, signs_from } => {
            println!("key {kid} is published and signs from {signs_from}");
        }
        Rotation::AlreadyAdded => bail!(
            "a successor waits already (`key list`); --now replaces it by one that signs at once"
        ),
    }
    Ok(())
}

/// Verifiers refuse a JWK set with more than so many keys.
async fn refuse_a_set_too_large(data: &Data) -> Result<()> {
    let keys = data.store.signing_keys().await?;
    let published = keys
        .iter()
        .filter(|key| state(key, data.now) != "retired")
        .count();
    ensure!(
        published < MAX_KEYS,
        "{published} keys are published already: wait until the tokens of the oldest have expired"
    );
    Ok(())
}

/// A key that waits for its time has signed nothing yet, so nobody misses it.
async fn retire_waiting(data: &Data, algorithm: Algorithm) -> Result<()> {
    let keys = data.store.signing_keys().await?;
    let waits = |key: &&SigningKeyRecord| {
        key.algorithm == algorithm.as_str() && state(key, data.now) == "waits"
    };
    for key in keys.iter().filter(waits) {
        data.store
            .write(RetireSigningKey {
                kid: key.kid.clone(),
                context: data.context(),
            })
            .await?;
    }
    Ok(())
}

impl Retire {
    async fn run(self, data: &Data) -> Result<()> {
        let keys = data.store.signing_keys().await?;
        let key = keys.iter().find(|key| key.kid == self.kid);
        let key = key.with_context(|| format!("there is no signing key {:?}", self.kid))?;
        ensure!(
            state(key, data.now) != "retired",
            "the key is retired already"
        );
        let signs = |other: &&SigningKeyRecord| {
            other.algorithm == key.algorithm && state(other, data.now) == "signs"
        };
        if state(key, data.now) == "signs" && keys.iter().filter(signs).count() == 1 {
            return Err(anyhow!(
                "no other {} key signs now: run `tokensmith key rotate --now` first and wait 2 seconds",
                key.algorithm
            ));
        }
        let retired = data
            .store
            .write(RetireSigningKey {
                kid: self.kid.clone(),
                context: data.context(),
            })
            .await?;
        ensure!(
            retired,
            "the key was retired by somebody else at the same moment"
        );
        println!(
            "key {} is retired; every node refuses its tokens within a second",
            self.kid
        );
        Ok(())
    }
}
