//! The token of one service for one purpose: fetched once for any number of callers, renewed in the background,
//! dropped when a resource server refuses it.
//! A flight is one attempt in a task of its own: callers wait for it but cannot stop it, and while a token is
//! valid nobody waits. It refuses to ask again before the pause after a failure is over.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    AccessToken, ServiceClient, SettingsError, TokenError, TokenErrorKind, TokenSource,
    assertion::Asserter,
    discovery::Discovered,
    grant::{self, Denied, Granted, Sender},
    http_client,
    pace::{self, FREE_REJECTIONS, Failure, YOUNG},
};

/// Fetches, keeps and renews one service token; clones share it. Needs a tokio runtime.
///
/// A token is never used for another purpose: issuer, client, scope and audience belong to the manager. For
/// several purposes use several managers, or a [`ServiceTokenSet`](crate::ServiceTokenSet).
#[derive(Clone)]
pub struct ServiceTokenManager(Arc<Shared>);

struct Shared {
    client: ServiceClient,
    asserter: Option<Asserter>,
    http: reqwest::Client,
    discovered: Discovered,
    held: ArcSwapOption<Held>,
    state: Mutex<State>,
    /// Set by every caller, cleared by every renewal: a token that nobody asks for is not renewed.
    is_wanted: AtomicBool,
}

struct Held {
    token: AccessToken,
    granted_at: Instant,
    renew_at: Instant,
    expires_at: Instant,
}

#[derive(Default)]
struct State {
    flight: Option<Flight>,
    failures: u32,
    rejections: u32,
    pause: Option<TokenError>,
    timer: Option<AbortOnDropHandle<()>>,
}

type Outcome = Result<AccessToken, TokenError>;
type Flight = watch::Receiver<Option<Outcome>>;

impl ServiceTokenManager {
    /// A manager that has no token yet; the first caller fetches it.
    ///
    /// # Errors
    /// [`SettingsError::HttpClient`], or [`SettingsError::ClientKey`].
    pub fn new(client: ServiceClient) -> Result<Self, SettingsError> {
        let http = http_client::build_for(&client)?;
        Self::with_http(client, http)
    }

    /// A manager with the settings of [`ServiceClient::from_env`].
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::new(ServiceClient::from_env()?)
    }

    pub(crate) fn with_http(
        client: ServiceClient,
        http: reqwest::Client,
    ) -> Result<Self, SettingsError> {
        client.warn_when_the_secret_travels_in_clear();
        Ok(Self(Arc::new(Shared {
            asserter: Asserter::of(&client)?,
            client,
            http,
            discovered: Discovered::default(),
            held: ArcSwapOption::empty(),
            state: Mutex::default(),
            is_wanted: AtomicBool::new(false),
        })))
    }

    pub(crate) fn client(&self) -> &ServiceClient {
        &self.0.client
    }

    pub(crate) fn is_held_elsewhere(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// A token that is valid now. Waits only when there is none; then all callers wait for the same flight.
    ///
    /// # Errors
    /// [`TokenError`], at once while the pause after a failure lasts.
    pub async fn token(&self) -> Result<AccessToken, TokenError> {
        self.0.is_wanted.store(true, Ordering::Relaxed);
        if let Some(held) = self.0.valid_token(Instant::now()) {
            if Instant::now() >= held.renew_at {
                self.0.renew();
            }
            return Ok(held.token.clone());
        }
        self.0.fly_along().await
    }

    /// Drops this token, if it is still the held one, because a resource server answered 401 to it.
    pub fn invalidate(&self, token: &AccessToken) {
        let mut state = self.0.state.lock();
        let held = self.0.held.load_full().filter(|held| held.token == *token);
        if let Some(held) = held {
            self.0.held.store(None);
            state.timer = None;
            state.note_rejection(held.granted_at);
            tracing::info!(client_id = %self.0.client.key.id, "a resource server refused the service token");
        }
    }
}

impl TokenSource for ServiceTokenManager {
    async fn token(&self) -> Result<AccessToken, TokenError> {
        Self::token(self).await
    }

    fn invalidate(&self, token: &AccessToken) {
        Self::invalidate(self, token);
    }
}

impl std::fmt::Debug for ServiceTokenManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ServiceTokenManager")
            .field(&self.0.client)
            .finish()
    }
}

enum Boarding {
    Held(Arc<Held>),
    Flight(Flight),
}

impl Shared {
    fn valid_token(&self, now: Instant) -> Option<Arc<Held>> {
        self.held.load_full().filter(|held| now < held.expires_at)
    }

    /// Waits for a flight to land. One that died with the runtime it was started on is replaced once.
    async fn fly_along(self: &Arc<Self>) -> Outcome {
        for _ in 0..2 {
            let landed = match self.board()? {
                Boarding::Held(held) => Some(Ok(held.token.clone())),
                Boarding::Flight(flight) => landing(flight).await,
            };
            if let Some(outcome) = landed {
                return outcome;
            }
        }
        Err(TokenError::new(TokenErrorKind::Stopped, Instant::now()))
    }

    /// Joins the flight in the air, or starts one unless a pause lasts.
    fn board(self: &Arc<Self>) -> Result<Boarding, TokenError> {
        let mut state = self.state.lock();
        // Between the caller's look and this lock a flight may have landed.
        if let Some(held) = self.valid_token(Instant::now()) {
            return Ok(Boarding::Held(held));
        }
        self.depart(&mut state).map(Boarding::Flight)
    }

    /// Starts a flight in the background when the held token is due and none is in the air.
    fn renew(self: &Arc<Self>) {
        let mut state = self.state.lock();
        let is_due = self
            .held
            .load()
            .as_ref()
            .is_some_and(|held| Instant::now() >= held.renew_at);
        if is_due {
            // A pause keeps the old token in use; its timer renews later.
            let _ = self.depart(&mut state);
        }
    }

    fn depart(self: &Arc<Self>, state: &mut State) -> Result<Flight, TokenError> {
        if let Some(flight) = state.flight_in_the_air() {
            return Ok(flight);
        }
        state.check_pause()?;
        let (landed, flight) = watch::channel(None);
        state.flight = Some(flight.clone());
        tokio::spawn(Arc::clone(self).fly(landed));
        Ok(flight)
    }

    async fn fly(self: Arc<Self>, landed: watch::Sender<Option<Outcome>>) {
        // The life of a token counts from before the request: never longer than the server meant.
        let departed = Instant::now();
        let outcome = match self.ask().await {
            Ok(granted) => Ok(self.keep(granted, departed)),
            Err(denied) => Err(self.pause(&denied)),
        };
        landed.send_replace(Some(outcome));
    }

    fn sender(&self) -> Sender<'_> {
        Sender {
            client: &self.client,
            asserter: self.asserter.as_ref(),
        }
    }

    async fn ask(&self) -> Result<Granted, Denied> {
        let endpoint = self
            .discovered
            .endpoint(&self.http, &self.client.key)
            .await?;
        grant::request(&self.http, &endpoint, self.sender())
            .await
            .inspect_err(|_| self.discovered.forget())
    }

    fn keep(self: &Arc<Self>, granted: Granted, granted_at: Instant) -> AccessToken {
        let renew_at = granted_at + pace::renew_after(granted.lifetime);
        let expires_at = granted_at + granted.lifetime;
        let token = granted.token;
        let held = Held {
            token: token.clone(),
            granted_at,
            renew_at,
            expires_at,
        };
        let mut state = self.state.lock();
        self.held.store(Some(Arc::new(held)));
        state.flight = None;
        state.failures = 0;
        state.pause = None;
        state.timer = Some(self.wake_at(renew_at, Renewal::IfWanted));
        token
    }

    fn pause(self: &Arc<Self>, denied: &Denied) -> TokenError {
        let mut state = self.state.lock();
        state.flight = None;
        state.failures = state.failures.saturating_add(1);
        let pause = pace::pause(denied.failure, state.failures, pace::jitter());
        let retry_at = Instant::now() + pause;
        let error = TokenError::new(denied.kind.clone(), retry_at);
        state.pause = Some(error.clone());
        // Without a valid token the next caller asks; nobody asks for nobody.
        state.timer = self
            .valid_token(retry_at)
            .map(|_| self.wake_at(retry_at, Renewal::Always));
        tracing::warn!(client_id = %self.client.key.id, error = %denied.kind, detail = denied.detail,
            failures = state.failures, pause_ms = pause.as_millis(), "no service token");
        error
    }

    fn wake_at(self: &Arc<Self>, at: Instant, renewal: Renewal) -> AbortOnDropHandle<()> {
        let shared = Arc::downgrade(self);
        AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep_until(at).await;
            let Some(shared) = shared.upgrade() else {
                return;
            };
            let is_wanted = shared.is_wanted.swap(false, Ordering::Relaxed);
            if is_wanted || renewal == Renewal::Always {
                shared.renew();
            }
        }))
    }
}

/// Whether the timer renews a token that nobody asked for since the last renewal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Renewal {
    IfWanted,
    Always,
}

impl State {
    /// A flight whose task died with its runtime never lands; it does not count.
    fn flight_in_the_air(&self) -> Option<Flight> {
        self.flight
            .clone()
            .filter(|flight| flight.has_changed().is_ok())
    }

    fn check_pause(&self) -> Result<(), TokenError> {
        match &self.pause {
            Some(error) if !error.retry_after().is_zero() => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// A resource server that refuses every token must not make this service ask for ever more of them.
    fn note_rejection(&mut self, granted_at: Instant) {
        let is_young = granted_at.elapsed() < YOUNG;
        self.rejections = if is_young {
            self.rejections.saturating_add(1)
        } else {
            1
        };
        if self.rejections > FREE_REJECTIONS {
            let passing = Failure::Passing { retry_after: None };
            let pause = pace::pause(passing, self.rejections - FREE_REJECTIONS, pace::jitter());
            self.pause = Some(TokenError::new(
                TokenErrorKind::RejectedTokens,
                Instant::now() + pause,
            ));
        }
    }
}

/// What the flight brought; nothing when its task was stopped.
async fn landing(mut flight: Flight) -> Option<Outcome> {
    flight
        .wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|outcome| outcome.clone())
}
