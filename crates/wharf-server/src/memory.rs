//! How much memory the process may use, and how much it does, as the kernel has it.

mod gauge;
mod group;

pub(crate) use gauge::{MemoryGauge, MemoryReading};

use std::fs;
use std::path::{Path, PathBuf};

use wharf_pool::config::ByteSize;

/// The limit of the process's control group or of one around it, else the machine's memory; `None`
/// if the kernel tells neither.
pub(crate) fn available() -> Option<ByteSize> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let limits = places(&groups).filter_map(|(root, group, file)| tightest(root, group, file));
    let limits = limits.map(|(limit, _)| limit);
    limits.chain(total(&machine)).min().map(ByteSize::bytes)
}

/// Where the limits of the control groups are that `cgroups(7)` says the process is in: the root of
/// the hierarchy, the group below it, and the file in that.
fn places(groups: &str) -> impl Iterator<Item = (&'static str, &str, &'static str)> {
    groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, group) = (fields.next()?, fields.next()?, fields.next()?);
        if number == "0" && controllers.is_empty() {
            Some(("/sys/fs/cgroup", group, "memory.max"))
        } else if controllers.split(',').any(|name| name == "memory") {
            Some(("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"))
        } else {
            None
        }
    })
}

/// The least of the limits of a group and of those around it, and whose it is. In a container the group may
/// be named as it is outside, and only the root is there.
fn tightest(root: &str, group: &str, file: &str) -> Option<(u64, PathBuf)> {
    let group = Path::new(group.trim_start_matches('/'));
    let limit = |group: &Path| {
        let folder = Path::new(root).join(group);
        let text = fs::read_to_string(folder.join(file)).ok()?;
        // "max" is no limit.
        Some((text.trim().parse().ok()?, folder))
    };
    group.ancestors().filter_map(limit).min()
}

/// The machine's memory, of `proc_meminfo(5)`.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_both_kinds_of_hierarchies_are_found() {
        let of = |groups| places(groups).collect::<Vec<_>>();
        let second = ("/sys/fs/cgroup", "/user.slice/a", "memory.max");
        assert_eq!(of("0::/user.slice/a\n"), [second]);
        let first = ("/sys/fs/cgroup/memory", "/b:c", "memory.limit_in_bytes");
        assert_eq!(
            of("9:cpu:/x\n4:hugetlb,memory:/b:c\n1:name=systemd:/\n"),
            [first]
        );
        assert_eq!(of(""), []);
    }

    #[test]
    fn a_machine_has_memory() {
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert_eq!(
            total("MemTotal:       24684412 kB\nMemFree: 1 kB\n"),
            Some(24_684_412 << 10)
        );
        assert!(available().is_some_and(|size| size.get() > 1 << 20));
    }

    #[test]
    fn a_group_that_is_not_there_is_looked_for_in_those_around_it() {
        let folder = std::env::temp_dir().join(format!("wharf-groups-{}", std::process::id()));
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::write(folder.join("limit"), "max\n").unwrap();
        fs::write(folder.join("a/limit"), "4096\n").unwrap();
        fs::write(folder.join("a/b/limit"), "8192\n").unwrap();
        let root = folder.display().to_string();
        let tightest = |group| tightest(&root, group, "limit");
        assert_eq!(tightest("/a/b/c/d"), Some((4096, folder.join("a"))));
        assert_eq!(tightest("/"), None);
        fs::remove_dir_all(folder).unwrap();
    }
}
