//! Where a browser goes after the sign-in: only to pages of this server, each named here. An address from a request is
//! compared with the list and never used itself.

/// What people may want to see next.
const PAGES: [&str; 7] = [
    "/account",
    "/account/password",
    "/account/factors",
    "/account/devices",
    "/account/activity",
    "/account/applications",
    "/account/keys",
];

/// The page of that path, else the account.
pub(super) fn page(asked: Option<&str>) -> &'static str {
    let known = PAGES.into_iter().find(|page| Some(*page) == asked);
    known.unwrap_or(PAGES[0])
}

/// The sign-in that leads to a page.
pub(super) fn sign_in_for(path: &str) -> String {
    match page(Some(path)) {
        "/account" => "/sign-in".to_owned(),
        page => format!("/sign-in?next={page}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_pages_follow_a_sign_in() {
        assert_eq!(page(Some("/account/devices")), "/account/devices");
        for other in [
            "",
            "/",
            "//evil.test",
            "https://evil.test/account",
            "/account/../x",
            "/account/devices?x",
            "/account/devices/",
            "\\\\evil.test",
            "/sign-out",
        ] {
            assert_eq!(page(Some(other)), "/account", "{other}");
        }
        assert_eq!(page(None), "/account");
    }
}
