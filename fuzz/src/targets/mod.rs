//! The list of targets.

mod dpop;
mod jwt;
mod signing;
mod words;

/// A parser under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line, and of its folder in `corpus/`.
    pub name: &'static str,
    /// Plays one input; panics when a rule is broken.
    pub play: fn(&[u8]),
}

/// Every target.
pub const TARGETS: [Target; 9] = [
    Target {
        name: "jwt",
        play: jwt::any_text,
    },
    Target {
        name: "jwt_signed",
        play: jwt::signed,
    },
    Target {
        name: "json",
        play: jwt::json,
    },
    Target {
        name: "dpop",
        play: dpop::proof,
    },
    Target {
        name: "form",
        play: words::form,
    },
    Target {
        name: "basic",
        play: words::basic,
    },
    Target {
        name: "scope",
        play: words::scope,
    },
    Target {
        name: "resource",
        play: words::resource,
    },
    Target {
        name: "redirect_uri",
        play: words::redirect_uri,
    },
];
