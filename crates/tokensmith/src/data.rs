//! Where the commands find their data: the directory of `dev`, or the configuration of `serve`.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use tokensmith_oauth2::Secret;
use tokensmith_server::{
    app,
    config::{Config, Database, MasterKey},
    entropy::Entropy,
    now::Clock,
    password::Hashing,
};
use tokensmith_store::{AuditContext, Store, Timestamp};

use crate::process;

/// Where `dev` keeps its data unless told otherwise.
pub(crate) const DEV_DIRECTORY: &str = "tokensmith-data";
const MASTER_KEY: &str = "master.key";
/// Access tokens about users live no longer than this, or than the configured time if that is longer.
const A_DAY: Duration = Duration::from_secs(24 * 3600);

/// The environment, without variables that are not text.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Makes the data directory for its owner alone. One that is there keeps its mode.
pub(crate) fn create_directory(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the directory {}", path.display()))
}

/// The configuration of `dev` for this data directory, with the master key kept in it, made at the first start.
pub(crate) fn dev_config(port: u16, data: &Path) -> Result<Config> {
    let mut config = Config::dev(port, data);
    let key = MasterKey::kept_in(&data.join(MASTER_KEY), || Entropy::default().bytes());
    config.master_key = Some(key.context("the master key cannot be used")?);
    Ok(config)
}

/// Which data a command works on. It works while a server runs on the same data; every node sees a change of
/// clients and keys within a second.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct Place {
    /// The data directory of `tokensmith dev`; it wins over --config
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
    /// The configuration file of `tokensmith serve` (its environment variables count too).
    /// With neither option: ./tokensmith-data if it is there
    #[arg(long, value_name = "FILE", global = true, env = "TOKENSMITH_CONFIG")]
    config: Option<PathBuf>,
}

impl Place {
    /// The configuration of that data.
    pub(crate) fn config(&self) -> Result<Config> {
        let is_configured =
            self.config.is_some() || std::env::var_os("TOKENSMITH_ISSUER").is_some();
        match &self.data {
            Some(data) => existing_dev_config(data),
            None if is_configured => Ok(Config::load(self.config.as_deref(), environment())?),
            None if Path::new(DEV_DIRECTORY).is_dir() => {
                existing_dev_config(Path::new(DEV_DIRECTORY))
            }
            None => bail!(
                "name the data: --data DIR for that of `tokensmith dev`, --config FILE for that of `tokensmith serve`"
            ),
        }
    }

    /// Runs a command on that data. A store that is not there is refused, never made.
    pub(crate) fn run<T>(&self, command: impl AsyncFnOnce(&Data) -> Result<T>) -> Result<T> {
        let config = self.config()?;
        if let Database::Sqlite(path) = &config.database
            && !path.exists()
        {
            bail!(
                "there is no database at {}: start `tokensmith dev` or `tokensmith serve` once",
                path.display()
            );
        }
        self.run_on(config, command)
    }

    pub(crate) fn run_on<T>(
        &self,
        config: Config,
        command: impl AsyncFnOnce(&Data) -> Result<T>,
    ) -> Result<T> {
        process::runtime()?.block_on(async {
            let data = Data::open(config).await?;
            command(&data).await
        })
    }
}

/// `dev` takes its port at each start, so it is not known here; nothing but the issuer depends on it.
fn existing_dev_config(data: &Path) -> Result<Config> {
    if !data.join(MASTER_KEY).exists() {
        bail!("{} holds no data of `tokensmith dev`", data.display());
    }
    dev_config(8000, data)
}

/// An open store, and what commands need besides.
pub(crate) struct Data {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) now: Timestamp,
    pub(crate) entropy: Entropy,
}

impl Data {
    async fn open(config: Config) -> Result<Self> {
        let now = Clock::System.now();
        let store = Store::open(&app::store_options(&config), now).await?;
        Ok(Self {
            config,
            store,
            now,
            entropy: Entropy::default(),
        })
    }

    /// The operator did it.
    pub(crate) fn context(&self) -> AuditContext {
        AuditContext::operator(self.now)
    }

    /// When every access token about a user that exists now has expired.
    pub(crate) fn revoked_until(&self) -> Timestamp {
        self.now + self.config.tokens.access_token_lifetime.max(A_DAY)
    }

    /// An argon2id hash with the configured cost.
    pub(crate) async fn hash(&self, password: &Secret) -> Result<String> {
        let hashing = Hashing::start(&self.config.hashing)?;
        Ok(hashing.hash(password.clone(), self.entropy.bytes()).await?)
    }
}
