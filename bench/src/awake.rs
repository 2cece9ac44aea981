//! Keeps the processor's cores from halting while something is measured.
//!
//! A core without work halts, and waking it costs whoever wakes it: 8 µs a request in a virtual machine, where it takes
//! two exits to the host. A load generator waits the more, the slower the server it loads, so without this the slower
//! of two programs pays for the other core's sleep on top.

use std::fs::{File, OpenOptions};
use std::io::Write as _;

/// The kernel's interface (PM QoS): the longest wake-up somebody tolerates, in µs, as long as the file is open.
const LATENCY: &str = "/dev/cpu_dma_latency";

/// Cores stay awake until this is dropped; `None` where the kernel or the user's rights do not allow it.
pub(crate) fn hold() -> Option<File> {
    let mut file = OpenOptions::new().write(true).open(LATENCY).ok()?;
    file.write_all(&0_i32.to_ne_bytes()).ok()?;
    Some(file)
}
