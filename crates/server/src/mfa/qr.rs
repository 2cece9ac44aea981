//! A text as a QR code in SVG: dark on white whatever the page's colours are, because that is what cameras read.

use std::fmt::Write;

use qrcodegen::{QrCode, QrCodeEcc};

/// Empty modules around the code (ISO/IEC 18004 §9.1).
const QUIET: i32 = 4;

/// The picture; `None` for a text that is too long for a QR code.
pub(super) fn svg(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|&x| code.get_module(x, y)) {
            let _ = write!(path, "M{},{}h1v1h-1z", x + QUIET, y + QUIET);
        }
    }
    let size = code.size() + 2 * QUIET;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" role=\"img\" \
        shape-rendering=\"crispEdges\"><rect width=\"{size}\" height=\"{size}\" fill=\"#fff\"/>\
        <path fill=\"#000\" d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::svg;

    #[test]
    fn a_picture_is_square_and_has_the_three_corners() {
        let picture = svg("otpauth://totp/x").expect("short enough");
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>"));
        // The upper left corner of the finder pattern, inside the quiet zone.
        assert!(picture.contains("M4,4h1v1h-1z") && !picture.contains("M3,"));
        assert!(svg(&"x".repeat(5000)).is_none());
    }
}
