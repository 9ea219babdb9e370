//! [`MemoryGauge`]: how much memory is used, of how much.

use std::fs;

use wharf_pool::config::ByteSize;

use super::group::Group;
use super::total;
use crate::config::Auto;

/// How much memory is used, of how much, where the end is nearest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct MemoryReading {
    /// Bytes that are used.
    pub(crate) used: u64,
    /// Bytes that may be.
    pub(crate) limit: u64,
    /// For what share of the last ten seconds nobody could go on for want of memory.
    pub(crate) stalled: f64,
}

impl MemoryReading {
    /// Bytes that are left.
    pub(crate) fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// What is used of what may be: 1 is the end.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a byte matters to nobody after 2^53 of them"
    )]
    pub(crate) fn ratio(&self) -> f64 {
        self.used as f64 / self.limit.max(1) as f64
    }
}

/// Reads it, by files that are opened once.
#[derive(Debug)]
pub(crate) struct MemoryGauge {
    group: Option<Group>,
    machine: Option<u64>,
}

impl MemoryGauge {
    /// That of this process.
    pub(crate) fn open() -> Self {
        let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let machine = total(&machine);
        Self {
            group: Group::of_this_process(machine),
            machine,
        }
    }

    /// The reading of now, where so much is `resident` of what is `configured`; `None` if the kernel
    /// tells nothing.
    ///
    /// What a control group holds counts as a whole: its limit is that of all who are in it. Of a machine only
    /// what the process holds itself, since what others do there is not for us to answer with refusals.
    pub(crate) fn read(
        &self,
        configured: Auto<ByteSize>,
        resident: Option<u64>,
    ) -> Option<MemoryReading> {
        let group = self.group.as_ref().and_then(|group| {
            Some(MemoryReading {
                used: group.used()?,
                limit: group.limit(),
                stalled: group.stalled(),
            })
        });
        let budget = match configured {
            Auto::Found => self.machine,
            Auto::Set(size) => Some(size.get()),
        };
        let own = resident.zip(budget).map(|(used, limit)| MemoryReading {
            used,
            limit,
            stalled: 0.0,
        });
        let all = [own, group].into_iter().flatten();
        all.max_by(|a, b| a.ratio().total_cmp(&b.ratio()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearest_to_its_end_is_read() {
        let gauge = MemoryGauge {
            group: None,
            machine: Some(1000),
        };
        let read = |configured, resident| {
            let reading = gauge.read(configured, resident);
            reading.map(|reading| (reading.used, reading.limit))
        };
        assert_eq!(read(Auto::Found, Some(10)), Some((10, 1000)));
        let set = Auto::Set(ByteSize::bytes(20));
        assert_eq!(read(set, Some(10)), Some((10, 20)));
        assert_eq!(read(set, None), None);
    }

    #[test]
    fn this_process_is_far_from_the_end_of_this_machine() {
        let gauge = MemoryGauge::open();
        let reading = gauge.read(Auto::Found, Some(1 << 20)).unwrap();
        assert!(reading.ratio() < 1.0, "{reading:?}");
    }
}
