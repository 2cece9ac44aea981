//! Colours of organizations: shades that can be read on our light and dark surfaces (WCAG 2.2 §1.4.3: 4.5 to 1).

/// What text and buttons stand on, light and dark.
const LIGHT: Colour = Colour([0xff, 0xff, 0xff]);
const DARK: Colour = Colour([0x1c, 0x1f, 0x26]);
const BLACK: Colour = Colour([0, 0, 0]);
const ENOUGH: f64 = 4.5;

/// Red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colour([u8; 3]);

impl Colour {
    /// Six hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 6 && text.bytes().all(|c| c.is_ascii_hexdigit());
        let number = u32::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
        let [_, red, green, blue] = number.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    /// Six lower-case hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        let [red, green, blue] = self.0;
        format!("{red:02x}{green:02x}{blue:02x}")
    }

    /// A style sheet that makes this the colour of the pages.
    pub(super) fn style_sheet(self) -> String {
        let rule = |surface: Self, toward: Self| {
            let shade = self.readable_on(surface, toward).hex();
            let text = surface.hex();
            format!(":root{{--accent:#{shade};--on-accent:#{text}}}")
        };
        let (light, dark) = (rule(LIGHT, BLACK), rule(DARK, LIGHT));
        format!("{light}@media (prefers-color-scheme:dark){{{dark}}}")
    }

    /// The shade nearest to this, on the way to another colour, that can be read on a surface.
    fn readable_on(self, surface: Self, toward: Self) -> Self {
        (0..=64)
            .map(|step| self.mixed(toward, step))
            .find(|shade| shade.contrast(surface) >= ENOUGH)
            .unwrap_or(toward)
    }

    /// So many 64ths of another colour.
    fn mixed(self, other: Self, part: u16) -> Self {
        let mix = |index: usize| {
            let sum = u16::from(self.0[index]) * (64 - part) + u16::from(other.0[index]) * part;
            (sum / 64) as u8
        };
        Self([mix(0), mix(1), mix(2)])
    }

    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let part = f64::from(channel) / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_six_hexadecimal_digits_are_a_colour() {
        for (text, good) in [
            ("aa3300", true),
            ("AA3300", true),
            ("", false),
            ("a30", false),
            ("+a3300", false),
            ("aa330g", false),
            ("#aa330", false),
            ("aa33001", false),
        ] {
            assert_eq!(Colour::parse(text).is_some(), good, "{text}");
        }
    }

    #[test]
    fn a_colour_that_can_be_read_is_kept() {
        let dark = Colour::parse("7a1f00").unwrap();
        assert_eq!(dark.readable_on(LIGHT, BLACK), dark);
        assert!((LIGHT.contrast(BLACK) - 21.0).abs() < 0.01);
    }

    proptest! {
        #[test]
        fn every_colour_gets_shades_that_can_be_read(channels: [u8; 3]) {
            let colour = Colour(channels);
            prop_assert!(colour.readable_on(LIGHT, BLACK).contrast(LIGHT) >= ENOUGH);
            prop_assert!(colour.readable_on(DARK, LIGHT).contrast(DARK) >= ENOUGH);
            prop_assert_eq!(Colour::parse(&colour.hex()), Some(colour));
        }
    }
}
