//! What a client registered beyond the columns of its record: one JSON text, members named as in RFC 7591 §2 and its
//! extensions. An unknown member is refused, so that a newer program's declaration is never half understood.

use serde::{Deserialize, Serialize};

/// Further metadata of a client. A member that is absent has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientMetadata {}
