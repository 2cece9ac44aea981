//! A page that says one thing and leads on.

use askama::Template;

use super::frame::Frame;

#[derive(Template)]
#[template(path = "notice.html")]
pub(super) struct NoticePage {
    pub(super) frame: Frame,
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    pub(super) action: &'static str,
    pub(super) address: &'static str,
}
