//! What the operating system says of this process: memory, descriptors, processor time.
//!
//! Reads /proc at each scrape; a value that cannot be read is left out rather than shown as zero.

use super::text::{Kind, Text, whole};
use std::fs;

/// Clock ticks a second in /proc/self/stat; Linux shows user space 100 on every architecture it runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Open descriptors of this process and how many it may have.
#[must_use]
pub fn descriptors() -> Option<(u64, u64)> {
    let used = fs::read_dir("/proc/self/fd").ok()?.count();
    // The directory listing itself holds one while it is read.
    let used = u64::try_from(used).ok()?.saturating_sub(1);
    Some((used, limit("Max open files")?))
}

/// Writes the `os_fd_*` and `process_*` families.
pub(super) fn encode(text: &mut Text) {
    let descriptors = descriptors();
    if let Some((used, max)) = descriptors {
        gauge(text, "os_fd_limit", "File descriptors this process may have open.", whole(max));
        gauge(text, "os_fd_used", "File descriptors this process has open.", whole(used));
    }
    let stat = stat();
    if let Some(stat) = &stat {
        text.family("process_cpu_seconds_total", "Processor time used, user and system.", Kind::Counter);
        text.sample("process_cpu_seconds_total", &[], stat.cpu_seconds);
    }
    if let Some((used, max)) = descriptors {
        gauge(text, "process_max_fds", "File descriptors this process may have open.", whole(max));
        gauge(text, "process_open_fds", "File descriptors this process has open.", whole(used));
    }
    if let Some(stat) = &stat {
        gauge(text, "process_resident_memory_bytes", "Memory held in RAM.", stat.resident_bytes);
        if let Some(booted) = boot_seconds() {
            let started = booted + stat.started_after_boot_seconds;
            gauge(text, "process_start_time_seconds", "When the process started, Unix time.", started);
        }
        gauge(text, "process_virtual_memory_bytes", "Address space in use.", stat.virtual_bytes);
    }
    if let Some(max) = limit("Max address space") {
        gauge(text, "process_virtual_memory_max_bytes", "Address space allowed.", whole(max));
    }
}

fn gauge(text: &mut Text, name: &str, help: &str, value: f64) {
    text.family(name, help, Kind::Gauge);
    text.sample(name, &[], value);
}

struct Stat {
    cpu_seconds: f64,
    started_after_boot_seconds: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

/// Fields of proc(5) stat, counted from 1; the name in field 2 may hold anything, so counting starts behind it.
fn stat() -> Option<Stat> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let field = |number: usize| -> Option<f64> { fields.get(number.checked_sub(3)?)?.parse().ok() };
    #[allow(clippy::cast_precision_loss)]
    let page_bytes = rustix::param::page_size() as f64;
    Some(Stat {
        cpu_seconds: (field(14)? + field(15)?) / TICKS_PER_SECOND,
        started_after_boot_seconds: field(22)? / TICKS_PER_SECOND,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * page_bytes,
    })
}

fn boot_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn limit(name: &str) -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Dashboards draw memory and descriptors of the process; zeros would look like a dead member.
    #[test]
    fn the_process_reports_itself() {
        let (used, max) = descriptors().unwrap();
        assert!(used >= 3 && max >= used, "{used} of {max}");
        let mut text = Text::default();
        encode(&mut text);
        let text = text.finish();
        for name in [
            "process_resident_memory_bytes",
            "process_start_time_seconds",
            "os_fd_used",
            "process_cpu_seconds_total",
        ] {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
            let value: f64 = line.split(' ').nth(1).unwrap().parse().unwrap();
            assert!(value >= 0.0 && (name.contains("cpu") || value > 0.0), "{line}");
        }
    }
}
