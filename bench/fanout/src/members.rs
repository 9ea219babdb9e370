//! [`Members`]: all sessions of the room, and which of them have something to read.

use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;

use crate::SOURCES;
use crate::session::Session;

/// The room; its first member is the speaker.
pub(crate) struct Members {
    sessions: Vec<Session>,
    ready: OwnedFd,
}

/// Events that are taken from the kernel at once.
const AT_ONCE: usize = 256;

impl Members {
    pub(crate) fn connect(address: SocketAddr, path: &str, count: usize) -> Result<Self> {
        let ready = epoll::create(CreateFlags::CLOEXEC)?;
        let mut sessions = Vec::with_capacity(count);
        for number in 0..count {
            let session = Session::connect(address, SOURCES[number % SOURCES.len()], path)?;
            let data = EventData::new_u64(number as u64);
            epoll::add(&ready, session.stream(), data, EventFlags::IN)?;
            sessions.push(session);
        }
        Ok(Self { sessions, ready })
    }

    pub(crate) fn count(&self) -> usize {
        self.sessions.len()
    }

    /// The speaker says the number of a round.
    pub(crate) fn say(&mut self, round: u64) -> Result<()> {
        self.sessions[0].say(round)
    }

    /// Calls `heard` with each round that a member hears of, and the member, until it says that it has
    /// all, or the time is over. Returns whether it has all.
    pub(crate) fn listen(
        &mut self,
        until: Instant,
        mut heard: impl FnMut(usize, u64) -> bool,
    ) -> Result<bool> {
        let mut events = [const { MaybeUninit::<Event>::uninit() }; AT_ONCE];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let timeout = Timespec::try_from(left)?;
            let (came, _) = epoll::wait(&self.ready, &mut events, Some(&timeout))?;
            for event in came {
                let member = usize::try_from(event.data.u64())?;
                if let Some(round) = self.sessions[member].hear()?
                    && heard(member, round)
                {
                    return Ok(true);
                }
            }
        }
    }

    /// Waits until all hear: a session may be answered before it has its seat.
    pub(crate) fn settle(&mut self) -> Result<()> {
        for call in 0..50 {
            self.say(call)?;
            let mut missing = self.count();
            let until = Instant::now() + Duration::from_millis(500);
            let all = self.listen(until, |_, round| {
                missing -= usize::from(round == call);
                missing == 0
            })?;
            if all {
                return Ok(());
            }
        }
        bail!("not everybody hears")
    }
}
