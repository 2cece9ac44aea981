//! Figures of the process itself, read from `/proc` at each scrape. Elsewhere than on Linux: none.

use std::fs;

/// Name, kind and value.
pub(super) fn figures() -> impl Iterator<Item = (&'static str, &'static str, f64)> {
    [
        ("process_resident_memory_bytes", "gauge", resident_bytes()),
        ("process_open_fds", "gauge", open_files()),
        ("process_start_time_seconds", "gauge", start_time()),
        ("process_cpu_seconds_total", "counter", cpu_seconds()),
    ]
    .into_iter()
    .filter_map(|(name, kind, value)| Some((name, kind, value?)))
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

fn open_files() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    u32::try_from(count.saturating_sub(1)).ok().map(f64::from)
}

/// Linux counts these in hundredths of a second (USER_HZ) on every architecture we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Field `n` of `/proc/self/stat`, counted as in proc(5); the name of the program may hold spaces.
fn stat(n: usize) -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(n - 3)?.parse().ok()
}

fn cpu_seconds() -> Option<f64> {
    Some((stat(14)? + stat(15)?) / TICKS_PER_SECOND)
}

fn start_time() -> Option<f64> {
    let kernel = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = kernel
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .parse()
        .ok()?;
    Some(boot + stat(22)? / TICKS_PER_SECOND)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_all_four_figures() {
        let figures: Vec<_> = figures().collect();
        assert_eq!(figures.len(), 4);
        assert!(figures.iter().all(|(_, _, value)| *value >= 0.0));
        assert!(start_time().unwrap() > 1.5e9 && resident_bytes().unwrap() > 1e5);
    }
}
