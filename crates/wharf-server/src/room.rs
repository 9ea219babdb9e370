//! [`Room`]: how many connections the machine has room for.

use wharf_pool::config::{ByteSize, Count};

use crate::config::Auto;
use crate::memory;

/// What a connection is reckoned to need, with TLS, HTTP/2 and what the kernel holds for it: more
/// than any that is idle, less than one with a large body in both directions.
const EACH: u64 = 64 << 10;

/// The part of the memory that connections may have: the rest is the application's.
const SHARE: u64 = 2;

/// What limits the number of connections if nobody has said how many there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// How many connections the descriptors allow; `None` if they are without limit.
    pub(crate) descriptors: Option<Count>,
    /// The memory that there is.
    memory: Option<ByteSize>,
}

impl Room {
    /// The room of this machine for a process with so many descriptors.
    pub(crate) fn here(descriptors: Option<u64>) -> Self {
        Self {
            descriptors: descriptors.and_then(wharf_http::max_connections_for),
            memory: memory::available(),
        }
    }

    /// The memory that may be used.
    pub(crate) fn memory(&self, configured: Auto<ByteSize>) -> Option<ByteSize> {
        match configured {
            Auto::Found => self.memory,
            Auto::Set(size) => Some(size),
        }
    }

    /// How many connections fit into the descriptors and that memory.
    pub(crate) fn connections(&self, configured: Auto<ByteSize>) -> Option<Count> {
        let by_memory = self.memory(configured).and_then(|memory| {
            let fit = (memory.get() / SHARE / EACH).max(1);
            Count::new(u32::try_from(fit).unwrap_or(u32::MAX))
        });
        [self.descriptors, by_memory].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tighter_of_descriptors_and_memory_decides() {
        let connections = |descriptors, memory: Option<u32>, configured| {
            let room = Room {
                descriptors: Count::new(descriptors),
                memory: memory.map(ByteSize::mib),
            };
            room.connections(configured).map(Count::get)
        };
        assert_eq!(connections(19_000, Some(2048), Auto::Found), Some(16_384));
        assert_eq!(connections(1000, Some(2048), Auto::Found), Some(1000));
        let set = Auto::Set(ByteSize::mib(64));
        assert_eq!(connections(19_000, Some(2048), set), Some(512));
        assert_eq!(connections(0, None, Auto::Found), None);
        assert_eq!(connections(7, Some(0), Auto::Found), Some(1));
    }
}
