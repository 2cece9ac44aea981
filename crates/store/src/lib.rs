//! Records, operations, and the two engines that run them: SQLite and PostgreSQL.
//!
//! The only crate that knows SQL. A caller reads with `store.client(&id)` and changes the world with
//! `store.write(Operation)`: one operation is one named struct, one domain event and one transaction.
//! No transaction ever leaves this crate.

mod audit;
mod client;
mod engine;
mod epoch;
mod error;
// mod group;
mod lease;
mod operation;
// mod organization;
mod resource;
mod schema;
// mod refresh_token;
// mod revocation;
// mod session;
mod signing_key;
mod store;
mod timestamp;
mod tx;
// mod user;
// mod verify;

pub use audit::{
    AppendAudit, AuditCheckpoint, AuditContext, AuditEvent, AuditFault, AuditPage, AuditRecord,
    ChainHead, RecordCheckpoint,
};
pub use client::{
    AuthMethod, ChangeClient, Client, ClientChange, ClientSecret, PutClient, RegisterClient,
    Registered, RemoveClient, SecretHash,
};
pub use error::StoreError;
// pub use group::{AddGroupMember, CreateGroup, Group, GroupMember, RemoveGroup, RemoveGroupMember, UpdateGroup};
pub use lease::{Lease, ReleaseLease, TakeLease};
pub use operation::{Durability, Operation};
// pub use organization::{
//     AddMember, ChangeMemberRole, CreateOrganization, Membership, MembershipChange, Organization, OrganizationMember,
//     OrganizationRole, RemoveMember,
// };
// pub use refresh_token::{
//     EndFamilies, FamilyId, FamilyScope, OpenFamily, RefreshFamily, Rotation, RotateRefreshToken,
// };
pub use resource::{PutResource, PutScope, Resource, ScopeDeclaration};
// pub use revocation::{RevocationKind, RevocationRecord, Revoke};
pub use schema::SCHEMA_VERSION;
// pub use session::{EndSession, EndSessionsOf, OpenSession, Session, SessionId};
pub use signing_key::{AddSigningKey, EraseSigningKey, RetireSigningKey, SigningKeyRecord};
pub use store::{Options, Store, Target};
pub use timestamp::Timestamp;
pub use tx::{Row, Tx, Value};
// pub use user::{ChangePassword, RegisterUser, SetUserActive, UpgradePasswordHash, User, UserId, UserRegistration};
// pub use verify::BrokenInvariant;
