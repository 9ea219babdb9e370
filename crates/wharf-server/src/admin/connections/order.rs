//! [`Order`]: by which figure connections are sorted.

use std::cmp::{Ordering, Reverse};

use wharf_pool::ConnectionInfo;

/// What connections can be sorted by, and which of them come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    by: By,
    from: From,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Smallest,
    Largest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Id,
    Peer,
    Pool,
    State,
    Age,
    Idle,
    Requests,
    InFlight,
    BytesReceived,
    BytesSent,
}

impl By {
    const ALL: [(&'static str, Self); 10] = [
        ("id", Self::Id),
        ("peer", Self::Peer),
        ("pool", Self::Pool),
        ("state", Self::State),
        ("age_ms", Self::Age),
        ("idle_ms", Self::Idle),
        ("requests", Self::Requests),
        ("in_flight", Self::InFlight),
        ("bytes_received", Self::BytesReceived),
        ("bytes_sent", Self::BytesSent),
    ];
}

impl Order {
    /// Reads the name of a figure, with `-` before it for the largest first.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (from, name) = match text.strip_prefix('-') {
            Some(name) => (From::Largest, name),
            None => (From::Smallest, text),
        };
        let by = By::ALL.into_iter().find(|(known, _)| *known == name)?.1;
        Some(Self { by, from })
    }

    /// The first `limit` of `connections` in this order.
    pub(super) fn first<T>(
        self,
        mut connections: Vec<(ConnectionInfo, T)>,
        limit: usize,
    ) -> Vec<(ConnectionInfo, T)> {
        let order = |(a, _): &(ConnectionInfo, T), (b, _): &(ConnectionInfo, T)| self.compare(a, b);
        if connections.len() > limit {
            // Thousands that nobody will see need no order among themselves.
            connections.select_nth_unstable_by(limit, order);
            connections.truncate(limit);
        }
        connections.sort_unstable_by(order);
        connections
    }

    /// Equal ones stay as they came, so that a list that is asked for again does not shuffle.
    fn compare(self, a: &ConnectionInfo, b: &ConnectionInfo) -> Ordering {
        let order = match self.by {
            By::Id => a.id.cmp(&b.id),
            By::Peer => a.peer.0.cmp(&b.peer.0),
            By::Pool => (a.listener.as_str(), &a.protocol).cmp(&(b.listener.as_str(), &b.protocol)),
            By::State => a.phase.as_str().cmp(b.phase.as_str()),
            By::Age => Reverse(a.opened).cmp(&Reverse(b.opened)),
            By::Idle => a.idle.cmp(&b.idle),
            By::Requests => a.requests.cmp(&b.requests),
            By::InFlight => a.in_flight.cmp(&b.in_flight),
            By::BytesReceived => a.bytes_received.cmp(&b.bytes_received),
            By::BytesSent => a.bytes_sent.cmp(&b.bytes_sent),
        };
        let order = match self.from {
            From::Smallest => order,
            From::Largest => order.reverse(),
        };
        order.then(a.id.cmp(&b.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_named_as_it_is_shown_with_a_dash_for_the_largest_first() {
        let largest = Order::read("-bytes_sent").unwrap();
        assert_eq!((largest.by, largest.from), (By::BytesSent, From::Largest));
        assert_eq!(Order::read("age_ms").unwrap().from, From::Smallest);
        for wrong in ["", "-", "--id", "age", "ID", "id ", "user_agent"] {
            assert!(Order::read(wrong).is_none(), "{wrong}");
        }
    }
}
