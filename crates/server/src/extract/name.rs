//! Names that people give to organizations and groups.

use crate::error::ApiError;

const LONGEST_NAME: usize = 200;
const LONGEST_DESCRIPTION: usize = 2000;

/// 1 to 200 characters, no control characters, and not just spaces.
///
/// # Errors
/// 422.
pub fn check_name(name: &str) -> Result<(), ApiError> {
    let length = name.chars().count();
    let is_visible = name.chars().any(|c| !c.is_whitespace());
    if length <= LONGEST_NAME && is_visible && !name.contains(char::is_control) {
        return Ok(());
    }
    let sentence = "A name has 1 to 200 characters and no control characters.";
    Err(ApiError::unprocessable("name_malformed", sentence))
}

/// Up to 2000 characters; of the control characters only line breaks and tabs.
///
/// # Errors
/// 422.
pub fn check_description(description: &str) -> Result<(), ApiError> {
    let length = description.chars().count();
    let is_allowed = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    if length <= LONGEST_DESCRIPTION && description.chars().all(is_allowed) {
        return Ok(());
    }
    let sentence = "A description has up to 2000 characters and no control characters.";
    Err(ApiError::unprocessable("description_malformed", sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_visible_and_bounded() {
        for (name, good) in [
            ("Activity", true),
            ("日本", true),
            ("", false),
            ("  ", false),
            ("a\0b", false),
            ("a\nb", false),
        ] {
            assert_eq!(check_name(name).is_ok(), good, "{name:?}");
        }
        assert!(check_name(&"ä".repeat(200)).is_ok() && check_name(&"ä".repeat(201)).is_err());
        assert!(check_description("").is_ok() && check_description("a\nb").is_ok());
        assert!(check_description("a\0").is_err() && check_description(&"x".repeat(2001)).is_err());
    }
}
