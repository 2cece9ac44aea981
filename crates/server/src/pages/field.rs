//! One field of a form: its label, what was typed, and what is wrong with it, next to it.

/// A field. The template `field.html` shows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    /// The type of the input.
    pub(crate) kind: &'static str,
    /// The token of HTML's autofill.
    pub(crate) autocomplete: &'static str,
    /// What was typed; never a secret.
    pub(crate) value: String,
    pub(crate) hint: &'static str,
    pub(crate) problem: &'static str,
    pub(crate) has_focus: bool,
    pub(crate) is_optional: bool,
}

impl Field {
    pub(crate) fn text(name: &'static str, label: &'static str) -> Self {
        Self {
            name,
            label,
            kind: "text",
            autocomplete: "off",
            ..Self::default()
        }
    }

    pub(crate) fn email(label: &'static str) -> Self {
        Self {
            kind: "email",
            autocomplete: "email",
            ..Self::text("email", label)
        }
    }

    /// `autocomplete` says whether it is the present password or a new one.
    pub(crate) fn password(
        name: &'static str,
        label: &'static str,
        autocomplete: &'static str,
    ) -> Self {
        Self {
            kind: "password",
            autocomplete,
            ..Self::text(name, label)
        }
    }
}

/// Puts the text of a refusal beside the field that it is about. `None` when it is about no field.
pub(crate) fn blame(fields: &mut [&mut Field], refusal: &str, text: &'static str) -> Option<()> {
    let is_about = |field: &&mut &mut Field| {
        let rest = refusal.strip_prefix(field.name);
        rest.is_some_and(|rest| rest.starts_with('_'))
    };
    let field = fields.iter_mut().find(is_about)?;
    field.problem = text;
    field.has_focus = true;
    Some(())
}
