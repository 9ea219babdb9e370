//! [`Group`]: the control group whose limit the process meets first.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{places, tightest};

/// More than any of the files is long.
const LONGEST: usize = 16 << 10;

/// The control group whose limit the process meets first, of its own and those around it. Its files are opened
/// once, so that they can be read when descriptors are gone.
#[derive(Debug)]
pub(super) struct Group {
    limit: u64,
    usage: File,
    stat: File,
    /// What `stat` calls the pages of files that nobody has used for a while.
    inactive: &'static str,
    pressure: Option<File>,
}

impl Group {
    /// That of this process; `None` if no group has a limit below what the `machine` has. Descriptors are few: none is
    /// open for a group that does not matter.
    pub(super) fn of_this_process(machine: Option<u64>) -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let all = places(&groups).filter_map(|(root, group, file)| {
            let (limit, folder) = tightest(root, group, file)?;
            Some((limit, folder, file))
        });
        let limited = all.filter(|(limit, ..)| machine.is_none_or(|machine| *limit < machine));
        let (limit, folder, file) = limited.min_by_key(|(limit, ..)| *limit)?;
        Self::open(&folder, file, limit)
    }

    /// That of the folder, whose limit is in `file`.
    fn open(folder: &Path, file: &str, limit: u64) -> Option<Self> {
        let open = |name: &str| File::open(folder.join(name)).ok();
        let first = file == "memory.limit_in_bytes";
        let (usage, inactive) = if first {
            ("memory.usage_in_bytes", "total_inactive_file")
        } else {
            ("memory.current", "inactive_file")
        };
        Some(Self {
            limit,
            usage: open(usage)?,
            stat: open("memory.stat")?,
            inactive,
            pressure: open("memory.pressure"),
        })
    }

    /// What is used, without what the kernel can take back at once.
    pub(super) fn used(&self) -> Option<u64> {
        let usage: u64 = read(&self.usage)?.trim().parse().ok()?;
        let stat = read(&self.stat)?;
        let inactive = stat.lines().find_map(|line| {
            let (name, bytes) = line.split_once(' ')?;
            (name == self.inactive).then(|| bytes.trim().parse().ok())?
        });
        Some(usage.saturating_sub(inactive.unwrap_or(0)))
    }

    /// What may be used.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// For what share of the last ten seconds nobody in it could go on for want of memory; zero where the
    /// kernel does not tell.
    pub(super) fn stalled(&self) -> f64 {
        let text = self.pressure.as_ref().and_then(read);
        text.and_then(|text| full(&text)).unwrap_or(0.0)
    }
}

/// The line of all tasks, of the kernel's `accounting/psi`.
fn full(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("full "))?;
    let percent = line.split(' ').find_map(|it| it.strip_prefix("avg10="))?;
    percent.parse().ok().map(|percent: f64| percent / 100.0)
}

fn read(file: &File) -> Option<String> {
    let mut bytes = vec![0; LONGEST];
    let read = file.read_at(&mut bytes, 0).ok()?;
    bytes.truncate(read);
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files, and the group in it.
    fn group(name: &str, files: &[(&str, &str)]) -> Option<Group> {
        let folder = std::env::temp_dir().join(format!("wharf-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in files {
            fs::write(folder.join(file), text).unwrap();
        }
        let group = Group::open(&folder, files[0].0, 4096);
        fs::remove_dir_all(folder).unwrap();
        group
    }

    #[test]
    fn what_is_used_is_without_the_pages_of_files_that_can_be_taken_back() {
        let second = group(
            "second",
            &[
                ("memory.max", "268435456\n"),
                ("memory.current", "100000\n"),
                (
                    "memory.stat",
                    "anon 5\ninactive_file 40000\nactive_file 7\n",
                ),
                (
                    "memory.pressure",
                    "some avg10=30.00 avg60=0.00 avg300=0.00 total=9\n\
                     full avg10=12.50 avg60=0.00 avg300=0.00 total=9\n",
                ),
            ],
        )
        .unwrap();
        assert_eq!((second.limit(), second.used()), (4096, Some(60_000)));
        assert!((second.stalled() - 0.125).abs() < 1e-9);
    }

    #[test]
    fn the_first_kind_of_hierarchy_has_other_names_and_tells_no_stalls() {
        let first = group(
            "first",
            &[
                ("memory.limit_in_bytes", "4096\n"),
                ("memory.usage_in_bytes", "4000\n"),
                ("memory.stat", "inactive_file 1\ntotal_inactive_file 1000\n"),
            ],
        )
        .unwrap();
        assert_eq!((first.limit(), first.used()), (4096, Some(3000)));
        assert!(first.stalled().abs() < 1e-9);
    }

    #[test]
    fn a_group_that_does_not_tell_what_is_used_is_none() {
        assert!(group("none", &[("memory.max", "4096\n")]).is_none());
    }
}
