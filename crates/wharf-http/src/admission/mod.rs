//! Requests that one process can bear: an adaptive limit of what is worked on at a time, and a line by importance before it.
//!
//! [`Admission`] is the limit; [`Admission::around`] puts it around an application. How many, and whose, is decided in
//! [`wharf_control::overload`]; here is what the decision is made of (`gate.rs`), how a request takes part (`entry.rs`, `permit.rs`) and what
//! those are told who do not get in (`refusal.rs`).
//!
//! **What is limited** are handlers at work: from the head of a request to the head of its answer. Not to its last byte, as
//! `Flight` counts: how fast an answer is taken is the peer's affair, and a limit that slow readers fill would be theirs. For the
//! same reason a handler that waits for the peer's body holds no place meanwhile, and what is forwarded none while
//! another server works on it (`absence.rs`, [`Rank::forwarded`]).
//!
//! **Refuses to know:** routes and users. A [`Rank`] says how important a request is; a [`Ranking`] makes one of where it comes from and what
//! its fields say.

mod absence;
mod around;
mod entry;
mod gate;
mod permit;
mod rank;
mod ranking;
mod refusal;
mod report;
mod settings;
mod stripes;

pub(crate) use absence::Absent;
pub use around::{Admitted, Admitting, AnswerBody};
pub use permit::Permit;
pub use rank::Rank;
pub use ranking::Ranking;
pub use refusal::{Refused, Why};
pub use report::AdmissionReport;
pub use settings::{AdmissionMode, AdmissionSettings};
pub use wharf_control::overload::Class;

use std::fmt;
use std::sync::Arc;

use http::Request;

use crate::body::RequestBody;
use entry::Entry;
use gate::Gate;

/// A limit of the requests that are worked on at a time. Cheap to clone; all clones are one limit.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use wharf_http::admission::{Admission, AdmissionSettings};
///
/// let app = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
/// let admission = Admission::new(AdmissionSettings::default());
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// wharf_http::serve(listener, admission.around(app)).await
/// # }
/// ```
#[derive(Clone)]
pub struct Admission {
    gate: Arc<Gate>,
}

impl Admission {
    /// A limit that has seen nothing. Its clock is tokio's: where a test pauses that, it stands.
    pub fn new(settings: AdmissionSettings) -> Self {
        Self {
            gate: Gate::new(settings),
        }
    }

    /// Puts other settings in force; the limit begins anew. Whoever is being worked on stays, and whoever waits is let in or waits on.
    pub fn set(&self, settings: AdmissionSettings) {
        self.gate.set(settings);
    }

    /// How it stands.
    pub fn report(&self) -> AdmissionReport {
        self.gate.report()
    }

    /// The application behind this limit. Everybody is [`Class::Normal`], and a user is a source (IPv4 address, IPv6 /64).
    pub fn around<S>(&self, app: S) -> Admitted<S, fn(&Request<RequestBody>) -> Rank> {
        self.ranked(app, |_| Rank::default())
    }

    /// The same with requests by importance: `rank` looks at each, and has to be quick.
    pub fn ranked<S, R>(&self, app: S, rank: R) -> Admitted<S, R>
    where
        R: Fn(&Request<RequestBody>) -> Rank,
    {
        Admitted::new(self.clone(), app, rank)
    }

    /// Takes a place for work that is no request, or is one of another server's; `user` is a hash of who asks.
    ///
    /// # Errors
    ///
    /// [`Refused`], if there is none in time.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it holds no place and stands in no line.
    pub async fn admit(&self, class: Class, user: u64) -> Result<Permit, Refused> {
        match self.gate.enter(class) {
            Entry::Open(permit) => Ok(permit),
            Entry::Later(later) => later.pass(user, None).await,
        }
    }

    pub(crate) fn enter(&self, class: Class) -> Entry {
        self.gate.enter(class)
    }

    /// Whether it limits, or counts what it would do.
    pub(crate) fn is_on(&self) -> bool {
        self.gate.is_on()
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admission").field(&self.report()).finish()
    }
}
