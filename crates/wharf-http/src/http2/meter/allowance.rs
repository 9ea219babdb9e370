//! [`Allowance`]: how much of each abuse is no abuse, and where the number comes from.

use super::abuse::Http2Abuse;

/// A budget: so much at once, so much more with time, and what requests and data earn on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// What a connection has at its start, and what time gives back to it. When three quarters of
    /// it are spent, the peer is warned.
    pub(crate) burst: u32,
    /// What flows back in a second.
    pub(crate) per_second: u32,
    /// What the budget can grow to by earning; at least `burst`. A bound, so that hours of honest
    /// work do not pay for a flood.
    pub(crate) most: u32,
}

/// What is allowed of every kind of abuse, by [`Http2Abuse::index`].
pub(crate) type Allowances = [Allowance; Http2Abuse::COUNT];

/// The allowances in force.
pub(crate) static ALLOWANCES: Allowances = {
    let mut all = [Allowance::new(0, 0); Http2Abuse::COUNT];
    let mut index = 0;
    while index < Http2Abuse::COUNT {
        all[index] = Allowance::of(Http2Abuse::ALL[index]);
        index += 1;
    }
    all
};

/// What the peers of one connection are held to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// `SETTINGS_MAX_CONCURRENT_STREAMS` as it is announced. Default 100: Envoy's advice
    /// for the edge, and the least that RFC 9113 6.5.2 recommends.
    pub(crate) max_streams: u32,
    /// Default [`ALLOWANCES`].
    pub(crate) allowances: &'static Allowances,
}

impl Limits {
    /// The limits of a connection that is let have so many streams.
    pub(crate) fn of(max_streams: u32) -> Self {
        Self {
            max_streams,
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_streams: 100,
            allowances: &ALLOWANCES,
        }
    }
}

impl Allowance {
    const fn new(burst: u32, per_second: u32) -> Self {
        Self {
            burst,
            per_second,
            most: burst,
        }
    }

    const fn up_to(mut self, most: u32) -> Self {
        self.most = most;
        self
    }

    /// The default of each kind. What costs and earns how much is in [`price`].
    const fn of(kind: Http2Abuse) -> Self {
        match kind {
            // grpc-java's and grpc-go's bandwidth probes were seen at 100 a second, for which
            // Haskell's http2 was raised from 4 to 10 to 100; they earn more where data flows.
            // swift-nio allows 200 control frames in 30 s, which is too strict for them.
            Http2Abuse::PingFlood | Http2Abuse::UnknownFlood => Self::new(1000, 100),
            // Nobody acknowledges what was not sent; nginx, too, counts in hundreds.
            Http2Abuse::PingAckFlood => Self::new(100, 10),
            // A probing gRPC client announces a new window each time that its estimate grows.
            Http2Abuse::SettingsFlood => Self::new(200, 10),
            // Envoy: 100 for each stream. Firefox and nghttp send five at the start.
            Http2Abuse::PriorityFlood => Self::new(200, 10).up_to(10_000),
            // Envoy: 1 + 2 * (streams + 10 * DATA sent); more at the start for those that open
            // their windows before they ask.
            Http2Abuse::WindowUpdateFlood => Self::new(1000, 100).up_to(20_000),
            // One stream in four may be cancelled just as its answer ends: whoever resets every
            // stream after its end is found at 134.
            Http2Abuse::ResetFlood => Self::new(400, 40),
            // A client leaves once; Envoy bears one empty frame in a row, h2 a hundred in all.
            Http2Abuse::GoAwayFlood | Http2Abuse::EmptyHeadersFlood => Self::new(100, 1),
            // nghttp2 bears 8 for each header block, h2 six that do not end it.
            Http2Abuse::ContinuationFlood => Self::new(128, 10).up_to(1000),
            // A hundred empty ones, as h2; ten thousand tiny ones.
            Http2Abuse::TinyDataFlood => Self::new(10_000, 100),
            // Envoy: half of all; Netty: 200 in 30 s. Less at once, since no honest peer takes
            // back a hundred requests in a row as soon as it has asked.
            Http2Abuse::RapidReset => Self::new(100, 7),
            // h2's advice is 100 to 1024 in a connection's life; long lives are honest.
            Http2Abuse::MadeYouReset => Self::new(200, 1),
            // A client may ask for many streams before it has read how many it may have.
            Http2Abuse::RefusedStreams => Self::new(REFUSED, 1),
            // nginx: total / 8 > payload + 1 MiB, which is to say: overhead > 7 payload + 8 MiB.
            Http2Abuse::Overhead => Self::new(8 << 20, 1024).up_to(64 << 20),
        }
    }
}

/// Streams over the announced number that a connection may ask for: nginx closes after as many as
/// it allows at once, at least 100.
pub(crate) const REFUSED: u32 = 256;

/// What costs or earns more than one.
pub(crate) mod price {
    /// SETTINGS entries that cost as much as a frame: nghttp2 bears 32 in one.
    pub(crate) const ENTRIES_PER_SETTINGS: u32 = 32;

    /// What a stream earns for PRIORITY (Envoy).
    pub(crate) const PRIORITIES_PER_STREAM: u32 = 100;

    /// What a stream, and each DATA frame or 16 KiB that we send, earn for `WINDOW_UPDATE` (Envoy).
    pub(crate) const UPDATES_PER_STREAM: u32 = 2;
    pub(crate) const UPDATES_PER_DATA: u32 = 20;
    pub(crate) const DATA: u32 = 16 << 10;

    /// Chrome sends frames of unknown types beside its requests, to keep us used to them.
    pub(crate) const UNKNOWN_PER_STREAM: u32 = 4;

    /// What `RST_STREAM` costs on a closed stream; a new stream earns one.
    pub(crate) const RESET: u32 = 4;

    /// What a stream earns for CONTINUATION.
    pub(crate) const CONTINUATIONS_PER_STREAM: u32 = 2;

    /// So much received content earns a PING.
    pub(crate) const CONTENT_PER_PING: u32 = 4 << 10;

    /// DATA that carries less costs one, and earns nothing: the smallest gRPC message has 5 bytes.
    pub(crate) const TINY: u32 = 5;

    /// What DATA costs that neither carries nor ends anything.
    pub(crate) const EMPTY_DATA: u32 = 100;

    /// So much received content earns a tiny DATA.
    pub(crate) const CONTENT_PER_TINY: u32 = 16;

    /// A byte of content pays for so many bytes of overhead (nginx).
    pub(crate) const OVERHEAD_PER_CONTENT: u32 = 7;

    /// A stream that has been open for so long is not reset rapidly: with the number of streams
    /// that may be open at once, that bounds how often it can happen. Envoy has a second; calls
    /// have shorter deadlines, and where a server is slow they expire one and all.
    pub(crate) const RAPID_MS: u32 = 250;
}
