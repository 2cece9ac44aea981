//! `tokensmith user`: people who may sign in.

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, Subcommand};
use serde::Serialize;
use tokensmith_oauth2::Secret;
use tokensmith_server::account::rules;
use tokensmith_store::{
    ChangePassword, PasswordHash, RegisterUser, SetUserActive, Timestamp, User, UserId,
    UserRegistration,
};

use crate::{
    data::{Data, Place},
    listing::Listing,
    role, secret_input,
};

/// People who may sign in: list, create, disable, set a password.
#[derive(Debug, Args)]
pub(crate) struct UserCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List users
    List(Listing),
    /// Create a user. Without --password-stdin a random password is made and printed once
    Create(Create),
    /// Disable a user: every session and token ends now
    Disable(Whom),
    /// Enable a disabled user
    Enable(Whom),
    /// Set a password and end every session. Without --password-stdin a random one is made and printed once
    Password(Password),
}

#[derive(Debug, Args)]
struct Create {
    /// The e-mail address
    email: String,
    /// A name to sign in with besides the address
    #[arg(long)]
    username: Option<String>,
    /// A role over the whole server, such as `admin`; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
struct Whom {
    /// E-mail address, username or id
    who: String,
}

#[derive(Debug, Args)]
struct Password {
    /// E-mail address, username or id
    who: String,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Serialize)]
struct UserRow {
    id: UserId,
    email: String,
    username: Option<String>,
    roles: Vec<String>,
    is_active: bool,
    created_at: Timestamp,
    last_login_at: Option<Timestamp>,
}

impl From<User> for UserRow {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            username: user.username,
            roles: user.roles,
            is_active: user.is_active,
            created_at: user.created_at,
            last_login_at: user.last_login_at,
        }
    }
}

impl UserCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let action = self.action;
        self.place.run(async |data| match action {
            Action::List(listing) => list(data, &listing).await,
            Action::Create(create) => create.run(data).await,
            Action::Disable(whom) => set_active(data, &whom.who, false).await,
            Action::Enable(whom) => set_active(data, &whom.who, true).await,
            Action::Password(password) => password.run(data).await,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(data: &Data, listing: &Listing) -> Result<()> {
    let users = data.store.users(&listing.after, listing.limit).await?;
    let rows: Vec<UserRow> = users.into_iter().map(UserRow::from).collect();
    listing.print(
        &rows,
        &[
            "id",
            "email",
            "username",
            "roles",
            "is_active",
            "last_login_at",
        ],
    )
}

impl Create {
    async fn run(self, data: &Data) -> Result<()> {
        rules::check_email(&self.email).map_err(|error| anyhow!("{}", error.sentence()))?;
        if let Some(username) = &self.username {
            rules::check_username(username).map_err(|error| anyhow!("{}", error.sentence()))?;
        }
        role::require_declared(data, &self.roles).await?;
        let password = chosen_or_random(data, self.password_stdin)?;
        let id = UserId::from(data.entropy.uuid(data.now));
        let register = RegisterUser {
            id: id.clone(),
            email: self.email.clone(),
            username: self.username,
            password_hash: Some(PasswordHash::new(data.hash(&password).await?)),
            roles: self.roles,
            context: data.context(),
        };
        match data.store.write(register).await? {
            UserRegistration::Created => println!("created user {id}"),
            UserRegistration::EmailTaken => bail!("{} has an account already", self.email),
            UserRegistration::UsernameTaken => bail!("another user has this username"),
        }
        tell(&password, self.password_stdin);
        Ok(())
    }
}

fn chosen_or_random(data: &Data, from_stdin: bool) -> Result<Secret> {
    if !from_stdin {
        return Ok(data.entropy.secret());
    }
    let password = secret_input::from_stdin()?;
    rules::check_password(&password).map_err(|error| anyhow!("{}", error.sentence()))?;
    Ok(password)
}

fn tell(password: &Secret, from_stdin: bool) {
    if !from_stdin {
        println!("password (shown once): {}", password.expose());
    }
}

/// The user that an address, a username or an id names.
pub(crate) async fn find(data: &Data, who: &str) -> Result<User> {
    let found = match who.parse::<UserId>() {
        Ok(id) => data.store.user(&id).await?,
        Err(_) => data.store.user_by_login(who).await?,
    };
    found.with_context(|| format!("there is no user {who:?}"))
}

async fn set_active(data: &Data, who: &str, is_active: bool) -> Result<()> {
    let user = find(data, who).await?;
    let (user_id, context, revoked_until) = (user.id, data.context(), data.revoked_until());
    let changed = data
        .store
        .write(SetUserActive {
            user_id,
            is_active,
            revoked_until,
            context,
        })
        .await?;
    let state = if is_active { "enabled" } else { "disabled" };
    let before = if changed { "" } else { "already " };
    println!("{} is {before}{state}", user.email);
    Ok(())
}

impl Password {
    async fn run(self, data: &Data) -> Result<()> {
        let user = find(data, &self.who).await?;
        ensure!(
            user.is_active,
            "{} is disabled: enable the account first",
            user.email
        );
        let password = chosen_or_random(data, self.password_stdin)?;
        let change = ChangePassword {
            user_id: user.id.clone(),
            old_hash: user.password_hash.clone(),
            new_hash: PasswordHash::new(data.hash(&password).await?),
            except: None,
            revoked_until: data.revoked_until(),
            context: data.context(),
        };
        let ended = data.store.write(change).await?;
        let ended = ended
            .context("the password was changed by somebody else at the same moment; try again")?;
        println!(
            "password of {} set, {} sessions ended",
            user.email, ended.sessions
        );
        tell(&password, self.password_stdin);
        Ok(())
    }
}
