//! Watches the raw bytes of a request header for `Content-Length`, because the HTTP parser drops
//! that field silently when `Transfer-Encoding` stands beside it (RFC 9112 section 6.3).
//! It follows lines only; framing itself is the parser's work.

const CONTENT_LENGTH: &[u8] = b"content-length";

/// Follows one header through any number of reads.
#[derive(Debug, Default)]
pub(super) struct HeadWatch {
    /// The first bytes of the line at hand, as far as the name of interest is long.
    line: [u8; CONTENT_LENGTH.len()],
    line_length: usize,
    names_length: bool,
    /// A line with content went by; empty lines before the request line do not end the header.
    begun: bool,
    ended: bool,
}

impl HeadWatch {
    /// Whether a header field named `Content-Length` went by.
    pub(super) fn names_length(&self) -> bool {
        self.names_length
    }

    /// Takes the next bytes from the socket; what follows the end of the header is not looked at.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while !self.ended && !bytes.is_empty() {
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                return self.begin_line(bytes);
            };
            self.begin_line(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
    }

    fn begin_line(&mut self, bytes: &[u8]) {
        let kept = self.line_length.min(self.line.len());
        let room = bytes.len().min(self.line.len() - kept);
        self.line[kept..kept + room].copy_from_slice(&bytes[..room]);
        self.line_length += bytes.len();
    }

    fn end_line(&mut self) {
        let kept = self.line_length.min(self.line.len());
        let line = &self.line[..kept];
        self.names_length |= line.eq_ignore_ascii_case(CONTENT_LENGTH);
        let is_empty = line.is_empty() || line == b"\r";
        self.ended = is_empty && self.begun;
        self.begun |= !is_empty;
        self.line_length = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names_length(reads: &[&[u8]]) -> bool {
        let mut head = HeadWatch::default();
        reads.iter().for_each(|read| head.follow(read));
        head.names_length()
    }

    #[test]
    fn the_field_is_seen_in_any_case_and_place_and_never_in_the_body() {
        assert!(names_length(&[
            b"POST / HTTP/1.1\r\ncontent-LENGTH: 3\r\n\r\nabc"
        ]));
        assert!(names_length(&[
            b"POST / HTTP/1.1\nA: b\nContent-Length:3\n\n"
        ]));
        assert!(!names_length(&[
            b"POST / HTTP/1.1\r\nX: content-length: 3\r\n\r\n\ncontent-length: 3\r\n"
        ]));
        assert!(names_length(&[
            b"\r\n\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"
        ]));
        assert!(!names_length(&[b"POST /content-length HTTP/1.1\r\n\r\n"]));
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_does_not_matter(cuts in proptest::collection::vec(0usize..80, 0..6), with in any::<bool>()) {
            let name = if with { "Content-Length" } else { "Content-Lengths"};
            let head = format!("POST / HTTP/1.1\r\nHost: x\r\n{name}: 3\r\nA: b\r\n\r\nxyz");
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= head.len()).collect();
            cuts.extend([0, head.len()]);
            cuts.sort_unstable();
            let reads: Vec<&[u8]> = cuts.windows(2).map(|w| &head.as_bytes()[w[0]..w[1]]).collect();
            // A longer name that begins the same is seen too: refusing it beside chunked coding is harmless.
            prop_assert!(names_length(&reads));
            prop_assert!(!names_length(&[head.replace("Content", "Kontent").as_bytes()]));
        }
    }
}
