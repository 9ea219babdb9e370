//! [`Etcd`]: endpoints that are keys of an etcd, below a prefix.
//!
//! One member of the cluster is asked at a time: all keys at one revision, then whatever happens after it
//! ([`session`]). When that ends, the next member is asked, and all keys again: what was missed meanwhile, compacted
//! away or rolled back by a restore needs no case of its own.

mod entry;
mod keys;
mod member;
mod proto;
mod session;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::{Instant, sleep};
use wharf_control::jittered;

use super::{Findings, Source};
use crate::address::{EndpointAddress, Scheme};
use session::{Ended, session};

/// Endpoints that are keys of an etcd, below a prefix. A value is `http://host:port`, `host:port` or
/// `{"address": "http://host:port", "weight": 2}`; one that is neither is reported with its key, and the others are
/// followed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Etcd {
    /// The members of the cluster, to be asked one after the other; `http` means gRPC over plain TCP.
    pub members: Vec<EndpointAddress>,
    /// What the keys begin with: `/services/api/`.
    pub prefix: String,
    /// What the endpoints speak whose values do not say it.
    pub scheme: Scheme,
    /// Who asks, where etcd wants to know.
    pub credentials: Option<Credentials>,
    /// How TLS is spoken to members that are `https`.
    pub tls: Option<Arc<ClientConfig>>,
    /// The name that their certificates must have, in place of the one in their address.
    pub server_name: Option<ServerName<'static>>,
}

/// A user of etcd.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl Credentials {
    /// A user and the password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            password: password.into(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// The pause after the first round of members that could not be asked; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest: an etcd that is back is to be followed within a second.
const LONGEST_PAUSE: Duration = Duration::from_millis(600);

/// How much of it chance adds or takes: those who have lost the same etcd must not all come back at once.
const JITTER: f64 = 0.3;

impl Etcd {
    /// Keys below a prefix, in a cluster of these members, for endpoints of `http`.
    pub fn new(
        members: impl IntoIterator<Item = EndpointAddress>,
        prefix: impl Into<String>,
    ) -> Self {
        Self {
            members: members.into_iter().collect(),
            prefix: prefix.into(),
            scheme: Scheme::Http,
            credentials: None,
            tls: None,
            server_name: None,
        }
    }
}

impl Source for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    async fn watch(self, findings: Findings) {
        let mut in_vain = 0_u32;
        let of = u32::try_from(self.members.len().max(1)).unwrap_or(u32::MAX);
        for (nth, member) in (0..).zip(self.members.iter().cycle()) {
            let begun = Instant::now();
            let Ended { why, listed } = session(&self, member, &findings).await;
            // One that lists, and then ends every watch at once, is of no more use than one that is away.
            let of_use = listed && begun.elapsed() >= OF_USE;
            in_vain = if of_use { 0 } else { in_vain.saturating_add(1) };
            tracing::debug!(%member, error = %why, "etcd");
            // Where another member may go on at once, nothing has happened.
            if in_vain >= of || of == 1 {
                findings.failed(&format_args!("{member}: {why}"));
            }
            sleep(pause(in_vain / of, nth)).await;
        }
    }
}

/// How long a member has to be followed to have been of use.
const OF_USE: Duration = Duration::from_secs(1);

/// How long to wait after so many rounds in vain.
fn pause(rounds: u32, seed: u64) -> Duration {
    if rounds == 0 {
        // Between two members, and after one that answers and then does not: never without a breath.
        return jittered(FIRST_PAUSE / 2, JITTER, seed);
    }
    let doubled = FIRST_PAUSE.saturating_mul(1 << rounds.min(8).saturating_sub(1));
    jittered(doubled.min(LONGEST_PAUSE), JITTER, seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pause_is_longer_than_a_second_can_bear() {
        for rounds in 0..100 {
            for seed in 0..100 {
                let pause = pause(rounds, seed);
                assert!(pause >= FIRST_PAUSE / 4 && pause < Duration::from_millis(800));
            }
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = format!("{:?}", Credentials::new("me", "secret"));
        assert!(shown.contains("me") && !shown.contains("secret"), "{shown}");
    }
}
