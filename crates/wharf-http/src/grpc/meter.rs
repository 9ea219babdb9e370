//! [`Meter`]: where the messages of a call begin and end, read off its bytes as they go by.

/// A message is preceded by one byte of flags and four of length.
const PREFIX: u8 = 5;

/// Follows the messages in one direction of a call, however its bytes are cut into pieces. It looks
/// at the five bytes before each message, copies nothing and has no buffer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    /// How many bytes of the prefix are there.
    prefix: u8,
    /// The length, as far as its bytes are there.
    length: u32,
    /// How much of the message is not there yet. Only with a whole prefix.
    left: u32,
    messages: u64,
}

/// A message announces that it is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message of {length} bytes is longer than the limit of {limit} bytes")]
#[non_exhaustive]
pub struct TooLong {
    /// What it announces.
    pub length: u32,
    /// What it may have.
    pub limit: u32,
    /// Where in the piece its prefix begins; 0 if it began in one before.
    pub at: usize,
}

impl Meter {
    /// How many messages have gone by whole.
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// Whether no message has been begun that is not whole.
    pub const fn is_between_messages(&self) -> bool {
        self.prefix == 0
    }

    /// Takes the next piece.
    ///
    /// # Errors
    ///
    /// [`TooLong`] once the prefix of a message is there that is longer than `limit`. What follows
    /// is not looked at, and the meter says the same of any further piece.
    pub fn feed(&mut self, piece: &[u8], limit: Option<u32>) -> Result<(), TooLong> {
        let mut rest = piece;
        loop {
            if self.prefix < PREFIX {
                let Some((byte, after)) = rest.split_first() else {
                    return Ok(());
                };
                rest = after;
                self.begin(*byte);
                if self.prefix < PREFIX {
                    continue;
                }
            }
            if let Some(limit) = limit
                && self.length > limit
            {
                let read = piece.len() - rest.len();
                return Err(TooLong {
                    length: self.length,
                    limit,
                    at: read.saturating_sub(usize::from(PREFIX)),
                });
            }
            let taken = rest.len().min(self.left as usize);
            rest = &rest[taken..];
            // At most `left`, so it fits.
            self.left -= u32::try_from(taken).unwrap_or(self.left);
            if self.left > 0 {
                return Ok(());
            }
            self.prefix = 0;
            self.messages += 1;
        }
    }

    /// One byte of the prefix: flags, then the length, its most significant byte first.
    fn begin(&mut self, byte: u8) {
        self.length = if self.prefix == 0 {
            0
        } else {
            self.length << 8 | u32::from(byte)
        };
        self.prefix += 1;
        self.left = self.length;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    fn message(length: usize) -> Vec<u8> {
        wharf_testkit::grpc::message(length).into()
    }

    #[test]
    fn an_empty_message_is_one() {
        let mut meter = Meter::default();
        assert_eq!(meter.feed(&[0; 15], Some(0)), Ok(()));
        assert_eq!(meter.messages(), 3);
        assert!(meter.is_between_messages());
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        let mut meter = Meter::default();
        assert_eq!(meter.feed(&message(10), Some(10)), Ok(()));
        let mut piece = message(10);
        piece.extend(message(11));
        let too_long = TooLong {
            length: 11,
            limit: 10,
            at: 15,
        };
        assert_eq!(meter.feed(&piece, Some(10)), Err(too_long));
        assert_eq!(meter.messages(), 2);
        let again = TooLong { at: 0, ..too_long };
        assert_eq!(meter.feed(b"", Some(10)), Err(again));
    }

    #[test]
    fn a_length_is_refused_before_any_of_it_has_come() {
        let mut meter = Meter::default();
        let prefix = [0, 0xff, 0xff, 0xff, 0xff];
        let limit = Some(4 << 20);
        assert_eq!(meter.feed(&prefix[..4], limit), Ok(()));
        let refused = meter.feed(&prefix[4..], limit).unwrap_err();
        assert_eq!((refused.length, refused.at), (u32::MAX, 0));
    }

    #[test]
    fn without_a_limit_the_longest_message_is_followed() {
        let mut meter = Meter::default();
        let prefix = [1, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(meter.feed(&prefix, None), Ok(()));
        assert_eq!(meter.messages(), 0);
        assert!(!meter.is_between_messages());
        let mut left = u64::from(u32::MAX);
        let piece = vec![0xff; 16 << 20];
        while left > 0 {
            let size = left.min(piece.len() as u64);
            left -= size;
            assert_eq!(
                meter.feed(&piece[..usize::try_from(size).unwrap()], None),
                Ok(())
            );
        }
        assert_eq!(meter.messages(), 1);
        assert!(meter.is_between_messages());
    }

    /// The same said with a buffer: how many whole messages there are, and what is too long.
    fn naive(mut bytes: &[u8], limit: Option<u32>) -> (u64, Option<u32>) {
        let mut messages = 0;
        while let Some((prefix, rest)) = bytes.split_first_chunk::<5>() {
            let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
            if limit.is_some_and(|limit| length > limit) {
                return (messages, Some(length));
            }
            let Some(rest) = rest.get(length as usize..) else {
                break;
            };
            messages += 1;
            bytes = rest;
        }
        (messages, None)
    }

    fn fed(pieces: &[&[u8]], limit: Option<u32>) -> (u64, Option<u32>, bool) {
        let mut meter = Meter::default();
        for piece in pieces {
            if let Err(too_long) = meter.feed(piece, limit) {
                assert!(too_long.at <= piece.len());
                return (meter.messages(), Some(too_long.length), false);
            }
        }
        (meter.messages(), None, meter.is_between_messages())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2048, ..Default::default() })]

        #[test]
        fn where_the_bytes_are_cut_changes_nothing(
            lengths in vec(0..40_usize, 0..12),
            missing in 0..8_usize,
            cuts in vec(any::<Index>(), 0..30),
            limit in prop::option::of(0..50_u32),
        ) {
            let mut bytes: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
            bytes.truncate(bytes.len().saturating_sub(missing));
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            let (messages, too_long) = naive(&bytes, limit);
            let whole = fed(&[&bytes], limit);
            prop_assert_eq!((whole.0, whole.1), (messages, too_long));
            prop_assert_eq!(fed(&pieces, limit), whole);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(fed(&single, limit), whole);
        }

        #[test]
        fn any_bytes_are_followed(
            bytes in vec(prop_oneof![3 => Just(0), 1 => any::<u8>()], 0..200),
            limit in prop::option::of(0..300_u32),
        ) {
            let (messages, too_long) = naive(&bytes, limit);
            let (counted, refused, _) = fed(&[&bytes], limit);
            prop_assert_eq!((counted, refused), (messages, too_long));
        }

        #[test]
        fn the_place_of_the_refusal_is_the_end_of_what_is_allowed(
            before in vec(0..20_usize, 0..5),
            beyond in 21..100_usize,
        ) {
            let allowed: Vec<u8> = before.iter().flat_map(|length| message(*length)).collect();
            let mut bytes = allowed.clone();
            bytes.extend(message(beyond));
            let refused = Meter::default().feed(&bytes, Some(20)).unwrap_err();
            prop_assert_eq!(refused.at, allowed.len());
        }
    }
}
