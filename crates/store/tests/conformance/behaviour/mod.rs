//! Part one: what each operation does, one caller at a time.

mod accounts;
mod api_keys;
mod audit;
mod browsers;
mod configuration;
mod declarations;
mod factors;
mod groups;
mod imported;
mod invitations;
mod organization_brands;
mod organizations;
mod outbox;
mod refresh_tokens;
mod revocations;
mod role_assignments;
mod sessions;
mod standing;
mod trusted_issuers;
mod used_jtis;
mod users;
