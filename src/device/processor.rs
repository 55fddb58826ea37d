//! What the machine says about its processor and memory.

use std::fs::read_to_string;

/// The processor's name; its architecture where the system keeps no `/proc/cpuinfo`.
pub(super) fn name() -> String {
    let text = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |key: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|name| name.trim() == key))?;
        line.split_once(':').map(|(_, value)| value.trim().to_string()).filter(|value| !value.is_empty())
    };
    field("model name").or_else(|| field("Model")).unwrap_or_else(|| std::env::consts::ARCH.into())
}

/// Threads that run at once; 1 where the system does not say.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Bytes of main memory, within the control group's limit; `None` where the system keeps no `/proc/meminfo`.
pub(super) fn memory() -> Option<u64> {
    let total = meminfo("MemTotal")?;
    Some(group("memory.max").map_or(total, |limit| limit.min(total)))
}

/// Bytes that can be had without swapping, within the control group's limit; `None` where unknown.
pub(super) fn available() -> Option<u64> {
    let free = meminfo("MemAvailable")?;
    let left = group("memory.max").map(|limit| limit.saturating_sub(group("memory.current").unwrap_or(0)));
    Some(left.map_or(free, |left| left.min(free)))
}

fn meminfo(key: &str) -> Option<u64> {
    let text = read_to_string("/proc/meminfo").ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// A number of this process's control group, as a container sees its own; `None` where there is no limit.
fn group(file: &str) -> Option<u64> {
    read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?.trim().parse().ok()
}
