//! [`Streams`]: which of a connection's streams are open, and how far.

use wharf_control::Timestamp;

/// The open streams: a table by number, with linear probing. Numbers that follow each other, as
/// those of streams do, never meet in it.
#[derive(Debug)]
pub(crate) struct Streams {
    /// A power of two of them or none, at most three quarters taken. Number 0 is a free one.
    slots: Vec<Stream>,
    open: u32,
    most: u32,
}

/// What is known of an open stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    number: u32,
    /// Milliseconds, in a circle of 49 days.
    opened: u32,
    sides: u8,
}

/// The table holds as many streams as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Stream {
    const ANSWERED: u8 = 1;
    const PEER_ENDED: u8 = 2;
    const WE_ENDED: u8 = 4;

    /// Whether a response has begun.
    pub(crate) const fn is_answered(self) -> bool {
        self.sides & Self::ANSWERED != 0
    }

    /// For how many milliseconds the stream has been open.
    pub(crate) fn age_ms(self, now: Timestamp) -> u32 {
        millis(now).wrapping_sub(self.opened)
    }

    const fn is_closed(self) -> bool {
        let both = Self::PEER_ENDED | Self::WE_ENDED;
        self.sides & both == both
    }
}

impl Streams {
    /// A table for `most` open streams. It grows as they are opened.
    pub(crate) const fn new(most: u32) -> Self {
        Self {
            slots: Vec::new(),
            open: 0,
            most,
        }
    }

    /// How many are open.
    pub(crate) const fn open(&self) -> u32 {
        self.open
    }

    /// Opens a stream that is not open.
    ///
    /// # Errors
    ///
    /// When as many are open as the table was made for. Then nothing has changed.
    pub(crate) fn open_stream(&mut self, number: u32, now: Timestamp) -> Result<(), Full> {
        if self.open() >= self.most {
            return Err(Full);
        }
        if (self.open as usize + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.place(Stream {
            number,
            opened: millis(now),
            sides: 0,
        });
        self.open += 1;
        Ok(())
    }

    /// Notes that the response has begun. Whether that is news.
    pub(crate) fn answer(&mut self, number: u32) -> bool {
        let Some(at) = self.find(number) else {
            return false;
        };
        let stream = &mut self.slots[at];
        let news = !stream.is_answered();
        stream.sides |= Stream::ANSWERED;
        news
    }

    /// Notes that the peer sends no more on the stream, which closes it if we do not either.
    pub(crate) fn end_of_peer(&mut self, number: u32) {
        self.end(number, Stream::PEER_ENDED);
    }

    /// Notes that we send no more on the stream, which closes it if the peer does not either.
    pub(crate) fn end_of_ours(&mut self, number: u32) {
        self.end(number, Stream::WE_ENDED);
    }

    /// Closes a stream; what it was, if it was open.
    pub(crate) fn close(&mut self, number: u32) -> Option<Stream> {
        let at = self.find(number)?;
        let closed = self.slots[at];
        self.remove(at);
        Some(closed)
    }

    fn end(&mut self, number: u32, side: u8) {
        if let Some(at) = self.find(number) {
            self.slots[at].sides |= side;
            if self.slots[at].is_closed() {
                self.remove(at);
            }
        }
    }

    fn find(&self, number: u32) -> Option<usize> {
        if self.open == 0 || number == 0 {
            return None;
        }
        let mut at = self.home(number);
        // Ends at a free slot: a quarter of them are.
        loop {
            match self.slots[at].number {
                0 => return None,
                found if found == number => return Some(at),
                _ => at = self.next(at),
            }
        }
    }

    fn place(&mut self, stream: Stream) {
        let mut at = self.home(stream.number);
        while self.slots[at].number != 0 {
            at = self.next(at);
        }
        self.slots[at] = stream;
    }

    /// Frees a slot, and moves up those behind it that would not be found any more.
    fn remove(&mut self, mut free: usize) {
        self.open -= 1;
        if self.open == 0 {
            // An idle connection holds no table.
            self.slots = Vec::new();
            return;
        }
        let mut at = free;
        loop {
            at = self.next(at);
            let stream = self.slots[at];
            if stream.number == 0 {
                break;
            }
            let mask = self.slots.len() - 1;
            let from_home = at.wrapping_sub(self.home(stream.number)) & mask;
            let from_free = at.wrapping_sub(free) & mask;
            if from_home >= from_free {
                self.slots[free] = stream;
                free = at;
            }
        }
        self.slots[free] = Stream::default();
    }

    #[cold]
    fn grow(&mut self) {
        let slots = vec![Stream::default(); (self.slots.len() * 2).max(8)];
        for stream in std::mem::replace(&mut self.slots, slots) {
            if stream.number != 0 {
                self.place(stream);
            }
        }
    }

    fn home(&self, number: u32) -> usize {
        (number >> 1) as usize & (self.slots.len() - 1)
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "in a circle")]
const fn millis(now: Timestamp) -> u32 {
    (now.as_nanos() / 1_000_000) as u32
}

#[cfg(test)]
mod tests;
