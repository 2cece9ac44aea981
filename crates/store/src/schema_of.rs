//! JSON Schemas of the texts that ids and instants are, for documents that describe them.

use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaFormat, Type};

pub(crate) fn text(format: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::Custom(format.to_owned())))
        .build()
}
