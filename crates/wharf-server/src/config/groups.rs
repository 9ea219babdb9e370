//! The settings of the server itself, as tables: keys, defaults, and what each means.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use wharf_http::admission::{AdmissionMode, AdmissionSettings, Ranking};
use wharf_pool::config::{
    AdmissionDryRun, Applies, ByteSize, Count, Key, PerSecond, ProcessDryRun,
};
use wharf_pool::{Cidr, ScopeLimits, settings};

use super::word::{
    AdminAddress, Auto, Delay, FieldName, FilePath, HostNames, LimitMode, LogFormat, LogLevel,
    Priority,
};
use crate::room::Room;

settings! {
    /// `[server]`: the process and its end.
    pub struct ServerSettings, ServerPatch {
        /// How long readiness fails before listeners close, so that balancers look elsewhere.
        drain_delay: Delay = Delay(Duration::ZERO), Now;
        /// How long open HTTP/1 connections may still bring a request, which is then their last;
        /// inside drain_timeout.
        drain_linger: Delay = Delay(Duration::from_millis(1500)), Now;
        /// How long requests in flight may take to end; what is left then is cut.
        drain_timeout: Duration = Duration::from_secs(30), Now;
        /// Threads that serve connections; found: one for each core.
        workers: Auto<Count> = Auto::Found, Restart;
        /// Whether answers that an upstream did not give say why, in x-wharf-reason.
        reason_header: bool = true, Now;
    }
}

settings! {
    /// `[admin]`: the door for operators.
    pub struct AdminSettings, AdminPatch {
        /// Where it listens; anything but loopback and a unix socket needs token_file.
        address: AdminAddress = AdminAddress::Tcp(SocketAddr::V4(
            SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9900))), Restart;
        /// A file with the token that requests must bear, or env:NAME.
        token_file: Option<FilePath> = None, Now;
        /// Host names that requests may be for, besides localhost and loopback addresses.
        allowed_hosts: HostNames = HostNames(Vec::new()), Now;
    }
}

settings! {
    /// `[log]`: what is written, and how.
    pub struct LogSettings, LogPatch {
        /// One line for each request, on standard output.
        access: bool = true, Now;
        /// Which other lines are written, on standard error.
        level: LogLevel = LogLevel::Info, Now;
        /// How lines look: auto is pretty on a terminal and JSON elsewhere.
        format: LogFormat = LogFormat::Auto, Now;
    }
}

settings! {
    /// `[limits]`: the whole process.
    pub struct ProcessLimits, ProcessLimitsPatch {
        /// How many connections the process may hold; found: all descriptors but 5 %, at least 32,
        /// and one for each 64 KiB of half of the memory.
        max_connections: Auto<Count> = Auto::Found, Now;
        /// How many connections one source (IPv4 address, IPv6 /64) may hold.
        max_connections_per_ip: Option<Count> = None, Now;
        /// How many connections a second may enter, in bursts of at most one second's worth.
        accept_rate: Option<PerSecond> = None, Now;
        /// Address ranges that max_connections_per_ip and accept_rate do not apply to.
        exempt: Vec<Cidr> = Vec::new(), Now;
        /// Which of max_connections, max_connections_per_ip, accept_rate and accept_ramp are only counted
        /// and told.
        dry_run: ProcessDryRun = ProcessDryRun::default(), Now;
        /// Over which time after the start max_connections grows to the full, from a tenth of it.
        accept_ramp: Option<Duration> = None, Now;
        /// How many TLS handshakes may be under way at once; the others wait their turn.
        max_tls_handshakes: Count = HANDSHAKES, Now;
        /// How much memory the process may use; found: the limit of its control group, else what the
        /// machine has.
        memory: Auto<ByteSize> = Auto::Found, Now;
        /// What is done when memory runs short: off; dry_run, which only tells; or on, which gives up
        /// connections before there is none left, idle ones first.
        pressure: LimitMode = LimitMode::On, Now;
    }
}

settings! {
    /// `[limits.requests]`: how many requests are worked on at a time, in all listeners together.
    pub struct RequestLimits, RequestLimitsPatch {
        /// Whether there is a limit: off; dry_run, which only counts who would have had to wait; or on.
        mode: LimitMode = LimitMode::Off, Now;
        /// The limit at first; it follows what is measured.
        initial_limit: Count = INITIAL, Now;
        /// The least that it becomes; found: 2, or half the processors if that is more.
        min_limit: Auto<Count> = Auto::Found, Now;
        /// The most that it becomes.
        max_limit: Count = MOST, Now;
        /// What nine of ten requests are to take at most; not where they wait for something else.
        target_latency: Option<Duration> = None, Now;
        /// A field by which requests say their priority: trusted peers any, others only a lower one.
        priority_header: Option<FieldName> = None, Now;
        /// A field by which trusted peers say whose a request is; else users are sources.
        user_header: Option<FieldName> = None, Now;
        /// Peers whose priority_header and user_header are believed: proxies that write them.
        trusted: Vec<Cidr> = Vec::new(), Now;
    }
}

settings! {
    /// `[limits.requests.sources]`: priorities of whole networks; of several ranges the narrowest counts.
    pub struct SourcePriorities, SourcePrioritiesPatch {
        /// Ranges whose requests are what the service is there for.
        critical: Vec<Cidr> = Vec::new(), Now;
        /// Ranges where people wait.
        interactive: Vec<Cidr> = Vec::new(), Now;
        /// Ranges that say nothing else.
        normal: Vec<Cidr> = Vec::new(), Now;
        /// Ranges whose requests can be sent again later.
        background: Vec<Cidr> = Vec::new(), Now;
        /// Ranges whose requests can be left out.
        sheddable: Vec<Cidr> = Vec::new(), Now;
        /// Ranges whose requests are let in whatever happens.
        exempt: Vec<Cidr> = Vec::new(), Now;
    }
}

const INITIAL: Count = count(1_000);
const MOST: Count = count(4_096);

impl RequestLimits {
    /// The limit as the library takes it.
    pub(crate) fn admission(&self) -> AdmissionSettings {
        let mut settings = AdmissionSettings::default();
        settings.mode = match self.mode {
            LimitMode::Off => AdmissionMode::Off,
            LimitMode::DryRun => AdmissionMode::DryRun,
            LimitMode::On => AdmissionMode::On,
        };
        if let Auto::Set(least) = self.min_limit {
            settings.least = least.into();
        }
        settings.most = self.max_limit.into();
        settings.initial = self.initial_limit.into();
        settings.target_latency = self.target_latency;
        settings
    }

    /// What requests' fields and sources say of their priority.
    pub(crate) fn ranking(&self, sources: &SourcePriorities) -> Ranking {
        let mut ranking = Ranking::default().trusted(self.trusted.clone());
        if let Some(FieldName(name)) = &self.priority_header {
            ranking = ranking.priority_field(name.clone());
        }
        if let Some(FieldName(name)) = &self.user_header {
            ranking = ranking.user_field(name.clone());
        }
        let ranges = [
            (Priority::Critical, &sources.critical),
            (Priority::Interactive, &sources.interactive),
            (Priority::Normal, &sources.normal),
            (Priority::Background, &sources.background),
            (Priority::Sheddable, &sources.sheddable),
            (Priority::Exempt, &sources.exempt),
        ];
        for (priority, ranges) in ranges {
            let add = |ranking: Ranking, range: &Cidr| ranking.source(*range, priority.rank());
            ranking = ranges.iter().fold(ranking, add);
        }
        ranking
    }
}

/// `[[listener]]`: where it listens.
pub(crate) const ADDRESS: Key = Key::new("address", Applies::NewListener, "Where it listens.");

/// `[[listener]]`: what it speaks.
pub(crate) const PROTOCOLS: Key = Key::new(
    "protocols",
    Applies::NextConnection,
    "What its connections may speak.",
);

/// `[[listener]]`: whose PROXY headers are believed.
pub(crate) const PROXY_PROTOCOL: Key = Key::new(
    "proxy_protocol",
    Applies::NextConnection,
    "Every connection must come from one of these proxies and begin with a PROXY header.",
);

/// `[[route]]`, all of them: their order is part of what they mean.
pub(crate) const ROUTES: Key = Key::new("route", Applies::Now, "Which application answers.");

/// `[[listener]]`: its certificates, and whether clients must show one.
pub(crate) const TLS: Key = Key::new(
    "tls",
    Applies::NextConnection,
    "What secures its connections.",
);

const HANDSHAKES: Count = count(256);

const fn count(n: u32) -> Count {
    match Count::new(n) {
        Some(count) => count,
        // Evaluated by the compiler.
        None => unreachable!(),
    }
}

settings! {
    /// The limits of one `[[listener]]`.
    pub struct ListenerLimits, ListenerLimitsPatch {
        /// How many connections the listener may hold.
        max_connections: Option<Count> = None, Now;
        /// How many connections one source (IPv4 address, IPv6 /64) may hold.
        max_connections_per_ip: Option<Count> = None, Now;
        /// How many connections a second may enter, in bursts of at most one second's worth.
        accept_rate: Option<PerSecond> = None, Now;
        /// Address ranges that max_connections_per_ip and accept_rate do not apply to.
        exempt: Vec<Cidr> = Vec::new(), Now;
        /// Which of max_connections, max_connections_per_ip and accept_rate are only counted and told.
        dry_run: AdmissionDryRun = AdmissionDryRun::default(), Now;
        /// How important requests are of which neither a route nor their source says anything.
        priority: Priority = Priority::Normal, Now;
    }
}

impl ProcessLimits {
    /// The limits, with as many connections as there is room for if the file does not say how many.
    pub(crate) fn scope(&self, room: &Room) -> ScopeLimits {
        let mut limits = ScopeLimits::default();
        limits.max_connections = match self.max_connections {
            Auto::Found => room.connections(self.memory),
            Auto::Set(count) => Some(count),
        };
        limits.max_connections_per_ip = self.max_connections_per_ip;
        limits.accept_rate = self.accept_rate;
        limits.accept_ramp = self.accept_ramp;
        limits.exempt.clone_from(&self.exempt);
        limits.dry_run = self.dry_run.into();
        limits
    }
}

impl ListenerLimits {
    /// The limits as the pools take them.
    pub(crate) fn scope(&self) -> ScopeLimits {
        let mut limits = ScopeLimits::default();
        limits.max_connections = self.max_connections;
        limits.max_connections_per_ip = self.max_connections_per_ip;
        limits.accept_rate = self.accept_rate;
        limits.exempt.clone_from(&self.exempt);
        limits.dry_run = self.dry_run.into();
        limits
    }
}
