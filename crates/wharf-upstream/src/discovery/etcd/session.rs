//! [`session`]: one member asked, until it can be asked no more.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tonic::{Status, Streaming};

use super::Etcd;
use super::keys::{Applied, Keys};
use super::member::{Member, Page, Unanswered};
use super::proto::WatchResponse;
use crate::address::{EndpointAddress, Scheme};
use crate::discovery::Findings;

/// How long what happens is gathered after the first of it, so that a deployment of many is few changes.
const SETTLE: Duration = Duration::from_millis(20);

/// How long what is too much to be followed is left alone before it is asked for again.
const CROWDED: Duration = Duration::from_millis(500);

/// How many keys are asked for at once.
const PAGE: i64 = 256;

/// How a session ended.
pub(super) struct Ended {
    pub(super) why: Why,
    /// Whether the member has told its keys.
    pub(super) listed: bool,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Why {
    /// The member did not answer a call.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// The watch was ended by etcd.
    #[error("the watch was ended: {0}")]
    Cancelled(String),
    /// The watch came to its end.
    #[error("the watch came to its end")]
    Over,
}

/// Why all keys have to be asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// What happened since is forgotten.
    Compacted,
    /// There are more keys than are known.
    Crowded,
}

/// Tells all keys of a member, and then whatever happens to them, until it does not answer any more.
pub(super) async fn session(etcd: &Etcd, member: &EndpointAddress, findings: &Findings) -> Ended {
    let mut listed = false;
    let why = follow(etcd, member, findings, &mut listed).await;
    Ended { why, listed }
}

async fn follow(
    etcd: &Etcd,
    member: &EndpointAddress,
    findings: &Findings,
    listed: &mut bool,
) -> Why {
    let member = match Member::of(etcd, member).await {
        Ok(member) => member,
        Err(why) => return why.into(),
    };
    loop {
        let mut keys = match list(&member, etcd.scheme).await {
            Ok(keys) => keys,
            Err(why) => return why.into(),
        };
        *listed = true;
        findings.found(keys.set());
        // From the revision after that at which they were listed, so that nothing is missed in between.
        let watch = match member.watch(keys.revision() + 1).await {
            Ok(watch) => watch,
            Err(why) => return why.into(),
        };
        match happenings(watch, &mut keys, findings).await {
            Ok(Again::Compacted | Again::Crowded) => sleep(CROWDED).await,
            Err(why) => return why,
        }
    }
}

/// All keys of a member, as they were at one moment. They are told in pages: values may be of a mebibyte and more.
async fn list(member: &Member, scheme: Scheme) -> Result<Keys, Unanswered> {
    let mut page = Page {
        limit: PAGE,
        ..Page::default()
    };
    let mut keys: Option<Keys> = None;
    loop {
        let response = match member.range(page.clone()).await {
            Err(why) if why.is_too_large() && page.limit > 1 => {
                page.limit = (page.limit / 8).max(1);
                continue;
            }
            response => response?,
        };
        let last = response.kvs.last().map(|pair| pair.key.clone());
        let more = response.more;
        let keys = match &mut keys {
            None => keys.insert(Keys::listed(response, scheme)),
            Some(keys) => {
                keys.go_on(response);
                keys
            }
        };
        let (Some(mut next), true, false) = (last, more, keys.are_enough()) else {
            break;
        };
        // The least key that is greater.
        next.push(0);
        page.from = Some(next);
        page.revision = keys.revision();
    }
    keys.ok_or_else(|| Status::internal("no keys were told").into())
}

/// Follows a watch for as long as the keys are known by it.
async fn happenings(
    mut watch: Streaming<WatchResponse>,
    keys: &mut Keys,
    findings: &Findings,
) -> Result<Again, Why> {
    // When what has happened is told.
    let mut due: Option<Instant> = None;
    loop {
        let told = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let message = tokio::select! {
            () = told => {
                due = None;
                findings.found(keys.set());
                continue;
            }
            message = watch.message() => message.map_err(Unanswered::from)?,
        };
        let response = message.ok_or(Why::Over)?;
        if response.canceled && response.compact_revision > 0 {
            return Ok(Again::Compacted);
        }
        if response.canceled {
            return Err(Why::Cancelled(response.cancel_reason));
        }
        let revision = response.header.map_or(0, |it| it.revision);
        let happened = !response.events.is_empty();
        if keys.apply(revision, response.events) == Applied::Crowded && happened {
            findings.found(keys.set());
            return Ok(Again::Crowded);
        }
        if happened {
            due.get_or_insert_with(|| Instant::now() + SETTLE);
        }
    }
}

#[cfg(test)]
mod tests;
