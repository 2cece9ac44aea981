//! The registry as a file that `tokensmith apply` reads back to the same registry.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;
use tokensmith_server::registry::{document, key_member};
use tokensmith_store::{Declaration, DeclarationKind};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table};

use super::{plan, secret};
use crate::{data::Data, listing::write_out};

pub(super) async fn export(data: &Data, with_hashes: bool) -> Result<ExitCode> {
    let mut file = DocumentMut::new();
    for kind in DeclarationKind::ALL {
        let every = plan::all(data, kind).await?;
        let every = every.iter().filter(|one| !plan::is_of_the_server(one));
        let mut of_kind = Table::new();
        of_kind.set_implicit(true);
        for declared in every {
            let mut object = document(declared);
            object.remove(key_member(kind));
            if let (Declaration::Client(client), true) = (declared, with_hashes) {
                object.extend(secret::hash_member(data, client));
            }
            let mut table = Table::new();
            for (name, value) in object {
                if let Some(value) = toml(&value) {
                    table.insert(&name, Item::Value(value));
                }
            }
            of_kind.insert(declared.key(), Item::Table(table));
        }
        if !of_kind.is_empty() {
            file.insert(kind.plural(), Item::Table(of_kind));
        }
    }
    write_out(&file.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// TOML has no null: an absent member says the same.
fn toml(value: &Value) -> Option<toml_edit::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64()?.into(),
        },
        Value::String(text) => text.into(),
        Value::Array(values) => values.iter().filter_map(toml).collect::<Array>().into(),
        Value::Object(members) => {
            let members = members.iter();
            let members = members.filter_map(|(name, value)| Some((name.as_str(), toml(value)?)));
            members.collect::<InlineTable>().into()
        }
    })
}
