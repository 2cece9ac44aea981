//! The difference, for people: what is added, changed and removed, member by member. Secrets appear by the names of
//! their records alone.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Value, json};
use tokensmith_server::registry::Step;

use crate::listing::{printable, write_out};

pub(super) fn show(steps: &[Step], as_json: bool) -> Result<()> {
    if as_json {
        let steps: Vec<Value> = steps.iter().map(step_json).collect();
        return write_out(&format!("{:#}\n", Value::Array(steps)));
    }
    let mut text = String::new();
    for step in steps {
        write_step(&mut text, step)?;
    }
    let count = |word| steps.iter().filter(|step| action(step) == word).count();
    let (added, changed, removed) = (count("add"), count("change"), count("remove"));
    if steps.is_empty() {
        text.push_str("nothing differs\n");
    } else {
        writeln!(
            text,
            "{added} to add, {changed} to change, {removed} to remove"
        )?;
    }
    write_out(&text)
}

fn action(step: &Step) -> &'static str {
    match (&step.before, &step.after) {
        (None, _) => "add",
        (Some(_), Some(_)) => "change",
        (Some(_), None) => "remove",
    }
}

fn write_step(text: &mut String, step: &Step) -> Result<()> {
    let Some(record) = step.record() else {
        return Ok(());
    };
    let sign = match action(step) {
        "add" => '+',
        "change" => '~',
        _ => '-',
    };
    writeln!(
        text,
        "{sign} {} {}",
        record.kind().word(),
        printable(record.key())
    )?;
    for member in &step.members {
        let shown = |value: &Option<Value>| match value {
            Some(value) => printable(&value.to_string()),
            None => "(none)".to_owned(),
        };
        let difference = match sign {
            '+' => shown(&member.after),
            _ => format!("{} -> {}", shown(&member.before), shown(&member.after)),
        };
        writeln!(text, "    {}: {difference}", printable(&member.name))?;
    }
    Ok(())
}

fn step_json(step: &Step) -> Value {
    let members = step.members.iter().map(|member| {
        let values = json!({ "before": member.before, "after": member.after });
        (member.name.clone(), values)
    });
    let members: serde_json::Map<String, Value> = members.collect();
    json!({
        "action": action(step),
        "kind": step.record().map(|record| record.kind().word()),
        "key": step.record().map(|record| record.key()),
        "members": members,
    })
}
