//! What the process really uses, from the kernel.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Dir, Mode, OFlags};

/// Reads the kernel's figures through files that are opened once, so that it can when descriptors
/// are gone.
#[derive(Debug)]
pub(crate) struct ProcessFigures {
    stat: Option<File>,
    descriptors: Mutex<Option<Dir>>,
}

/// The figures of one moment; what the kernel does not tell is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// Memory that is resident, in bytes.
    pub(crate) resident_bytes: Option<u64>,
    /// Processor time since the start, in seconds.
    pub(crate) cpu_seconds: Option<f64>,
    /// Threads.
    pub(crate) threads: Option<u64>,
    /// Open descriptors.
    pub(crate) open_descriptors: Option<u64>,
}

impl ProcessFigures {
    /// Opens the kernel's files.
    pub(crate) fn open() -> Self {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open("/proc/self/fd", flags, Mode::empty());
        let descriptors = folder.ok().and_then(|folder| Dir::new(folder).ok());
        Self {
            stat: File::open("/proc/self/stat").ok(),
            descriptors: Mutex::new(descriptors),
        }
    }

    /// The figures of now.
    pub(crate) fn now(&self) -> Figures {
        Figures {
            open_descriptors: self.count_descriptors(),
            ..self.without_descriptors()
        }
    }

    /// The same without a look at every descriptor.
    pub(crate) fn without_descriptors(&self) -> Figures {
        let stat = self.stat.as_ref().and_then(read);
        stat.and_then(|stat| parse(&stat)).unwrap_or_default()
    }

    fn count_descriptors(&self) -> Option<u64> {
        let mut folder = self
            .descriptors
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let folder = folder.as_mut()?;
        folder.rewind();
        // The folder shows "." and ".." too.
        Some((folder.count() as u64).saturating_sub(2))
    }
}

fn read(stat: &File) -> Option<String> {
    let mut bytes = [0; 1024];
    let read = stat.read_at(&mut bytes, 0).ok()?;
    Some(String::from_utf8_lossy(&bytes[..read]).into_owned())
}

/// Reads `proc_pid_stat(5)`: the name in parentheses may hold anything, so what follows it counts.
fn parse(stat: &str) -> Option<Figures> {
    let rest = stat.rsplit_once(')')?.1;
    // The first field after the name is number 3 of the manual page.
    let field = |number: usize| {
        rest.split_ascii_whitespace()
            .nth(number - 3)?
            .parse::<u64>()
            .ok()
    };
    let ticks = field(14)? + field(15)?;
    Some(Figures {
        resident_bytes: field(24).map(|pages| pages * rustix::param::page_size() as u64),
        cpu_seconds: Some(seconds(ticks)),
        threads: field(20),
        open_descriptors: None,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a centisecond matters to nobody after 2^53 of them"
)]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_figures_of_this_process() {
        let figures = ProcessFigures::open().now();
        assert!(figures.resident_bytes.is_some_and(|bytes| bytes > 1 << 20));
        assert!(figures.threads.is_some_and(|threads| threads >= 2));
        assert!(figures.open_descriptors.is_some_and(|open| open >= 5));
        assert!(figures.cpu_seconds.is_some());
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 97 0 0 0 150 50 0 0 20 0 9 0 100 1000 3 99";
        let figures = parse(stat).unwrap();
        assert_eq!((figures.cpu_seconds, figures.threads), (Some(2.0), Some(9)));
        assert_eq!(
            figures.resident_bytes,
            Some(3 * rustix::param::page_size() as u64)
        );
    }
}
