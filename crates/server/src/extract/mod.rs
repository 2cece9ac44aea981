//! What the JSON APIs read of a request alike: ids in the path, the page of a list, names. Nothing is guessed: an id in
//! another spelling names nothing, a limit out of range is refused, a name is kept as it is or refused.

mod name;
mod page;
mod path_id;

pub use name::{check_description, check_name};
pub(crate) use page::PageQuery;
pub use page::{Page, next_after};
pub use path_id::{PathId, PathIds, PathText};
