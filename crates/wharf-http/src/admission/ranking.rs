//! [`Ranking`]: what its source and its fields say of a request's importance.

use std::cmp::Reverse;
use std::net::IpAddr;

use http::header::HeaderName;
use http::{HeaderMap, Request};
use wharf_control::overload::Class;
use wharf_pool::Cidr;

use super::rank::{Rank, hash_of};
use crate::info::Connected;

/// What its source and its fields say of a request's importance.
///
/// A request may say of itself that it is less important than others are. That it is more important, and whose it is, is believed of
/// trusted peers only: else everybody would be critical, and who is turned away would come again as somebody else.
///
/// ```
/// use wharf_http::admission::{Class, Rank, Ranking};
///
/// let ranking = Ranking::default()
///     .source("10.0.0.0/8".parse()?, Rank::new(Class::Interactive))
///     .trusted(vec!["10.0.0.7".parse()?])
///     .priority_field(http::HeaderName::from_static("x-priority"));
/// // admission.ranked(app, move |request| ranking.rank(request, None, Rank::default()))
/// # Ok::<(), wharf_http::pool::InvalidCidr>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranking {
    /// The first that contains a peer is the one that counts.
    sources: Vec<(Cidr, Rank)>,
    trusted: Vec<Cidr>,
    priority_field: Option<HeaderName>,
    user_field: Option<HeaderName>,
}

impl Ranking {
    /// Requests from this range have this rank. Of several ranges that contain a peer the narrowest counts; of one that is there twice, the
    /// less important rank.
    #[must_use]
    pub fn source(mut self, range: Cidr, rank: Rank) -> Self {
        self.sources.push((range, rank));
        // The narrowest first, and of equals the least important.
        self.sources.sort_by_key(|(range, rank)| {
            (
                Reverse(range.prefix()),
                rank.is_exempt(),
                Reverse(rank.class()),
            )
        });
        self
    }

    /// Whose fields are believed: proxies that write them, whatever their clients have written. Behind the PROXY protocol a peer is who was
    /// announced. Default: nobody's.
    #[must_use]
    pub fn trusted(mut self, ranges: Vec<Cidr>) -> Self {
        self.trusted = ranges;
        self
    }

    /// The field by which a request says its class, by the word for it ([`Class::as_str`]). Of several the least important counts, other
    /// words are ignored. From peers that are not trusted it can only make a request less important.
    #[must_use]
    pub fn priority_field(mut self, name: HeaderName) -> Self {
        self.priority_field = Some(name);
        self
    }

    /// The field by which trusted peers say whose a request is, such as an account's. Without it the source of the connection is its user.
    #[must_use]
    pub fn user_field(mut self, name: HeaderName) -> Self {
        self.user_field = Some(name);
        self
    }

    /// The rank of a request: what is `said` of what it asks for, else what is said of its source, else `otherwise`; and then what
    /// its fields say. What is exempt stays so.
    pub fn rank<B>(&self, request: &Request<B>, said: Option<Rank>, otherwise: Rank) -> Rank {
        let peer = request.extensions().get::<Connected>();
        let peer = peer.map(|connected| connected.peer().ip());
        let rank = said.or_else(|| self.of_source(peer?)).unwrap_or(otherwise);
        self.heed(rank, request.headers(), peer)
    }

    fn of_source(&self, peer: IpAddr) -> Option<Rank> {
        let mut sources = self.sources.iter();
        let found = sources.find(|(range, _)| range.contains(peer));
        found.map(|(_, rank)| *rank)
    }

    /// The rank with what the request's fields say.
    fn heed(&self, mut rank: Rank, fields: &HeaderMap, peer: Option<IpAddr>) -> Rank {
        if rank.is_exempt() || (self.priority_field.is_none() && self.user_field.is_none()) {
            return rank;
        }
        let contains = |peer| self.trusted.iter().any(|range| range.contains(peer));
        let is_trusted = peer.is_some_and(contains);
        let asked = self.priority_field.as_ref();
        if let Some(asked) = asked.and_then(|name| asked_class(fields, name)) {
            let class = if is_trusted {
                asked
            } else {
                asked.max(rank.class())
            };
            rank = rank.with_class(class);
        }
        let user = self.user_field.as_ref().filter(|_| is_trusted);
        match user.and_then(|name| fields.get(name)) {
            Some(user) => rank.of_user(hash_of(user.as_bytes())),
            None => rank,
        }
    }
}

/// The class that fields of this name ask for. Where a proxy has added one to its client's, the client's cannot raise it.
fn asked_class(fields: &HeaderMap, name: &HeaderName) -> Option<Class> {
    let class = |word: &[u8]| {
        let mut classes = Class::ALL.into_iter();
        classes.find(|class| class.as_str().as_bytes() == word)
    };
    let asked = fields.get_all(name).iter();
    asked.filter_map(|value| class(value.as_bytes())).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.7";
    const STRANGER: &str = "192.0.2.1";

    fn ranking() -> Ranking {
        let range = |text: &str| text.parse().unwrap();
        Ranking::default()
            .source(range("0.0.0.0/0"), Rank::new(Class::Background))
            .source(range("10.0.0.0/8"), Rank::new(Class::Interactive))
            .source(range("10.1.0.0/16"), Rank::new(Class::Sheddable))
            .source(range("2001:db8::/32"), Rank::exempt())
            .trusted(vec![range(PROXY)])
            .priority_field(HeaderName::from_static("x-priority"))
            .user_field(HeaderName::from_static("x-account"))
    }

    fn source(peer: &str) -> Option<Rank> {
        ranking().of_source(peer.parse().unwrap())
    }

    fn heeded(base: Class, peer: &str, fields: &[(&'static str, &'static str)]) -> Rank {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, value.parse().unwrap());
        }
        ranking().heed(Rank::new(base), &map, Some(peer.parse().unwrap()))
    }

    #[test]
    fn the_narrowest_range_that_contains_a_peer_says_its_class() {
        assert_eq!(source("10.1.2.3"), Some(Rank::new(Class::Sheddable)));
        assert_eq!(source("10.2.2.3"), Some(Rank::new(Class::Interactive)));
        assert_eq!(source("::ffff:10.2.2.3"), source("10.2.2.3"));
        assert_eq!(source(STRANGER), Some(Rank::new(Class::Background)));
        assert_eq!(source("2001:db8::1"), Some(Rank::exempt()));
        assert_eq!(source("2001:db9::1"), None);
    }

    #[test]
    fn of_a_range_that_is_there_twice_the_less_important_rank_counts() {
        let range: Cidr = "10.0.0.0/8".parse().unwrap();
        let ranks = [
            Rank::new(Class::Critical),
            Rank::new(Class::Background),
            Rank::exempt(),
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]] {
            let add = |ranking: Ranking, n: usize| ranking.source(range, ranks[n]);
            let ranking = order.into_iter().fold(Ranking::default(), add);
            let found = ranking.of_source("10.0.0.1".parse().unwrap());
            assert_eq!(found, Some(ranks[1]), "{order:?}");
        }
    }

    #[test]
    fn what_is_asked_for_comes_before_who_asks_and_who_asks_before_the_rest() {
        let request = Request::new(());
        let (critical, otherwise) = (Rank::new(Class::Critical), Rank::new(Class::Sheddable));
        let ranking = ranking();
        assert_eq!(ranking.rank(&request, Some(critical), otherwise), critical);
        // Of whom nothing is known, no range says anything.
        assert_eq!(ranking.rank(&request, None, otherwise), otherwise);
    }

    #[test]
    fn a_stranger_lowers_his_request_and_never_raises_it() {
        for base in Class::ALL {
            for asked in Class::ALL {
                let fields = [("x-priority", asked.as_str())];
                let told = heeded(base, STRANGER, &fields).class();
                assert_eq!(told, base.max(asked), "{base:?} {asked:?}");
                assert_eq!(heeded(base, PROXY, &fields).class(), asked);
            }
        }
    }

    #[test]
    fn a_client_behind_a_trusted_proxy_that_adds_its_word_cannot_raise_it() {
        for fields in [["critical", "normal"], ["normal", "critical"]] {
            let fields = fields.map(|word| ("x-priority", word));
            assert_eq!(
                heeded(Class::Background, PROXY, &fields).class(),
                Class::Normal
            );
        }
        for word in ["exempt", "CRITICAL", "critical, normal", ""] {
            let told = heeded(Class::Background, PROXY, &[("x-priority", word)]);
            assert_eq!(told, Rank::new(Class::Background), "{word:?}");
        }
    }

    #[test]
    fn whose_a_request_is_is_believed_of_trusted_peers_only() {
        let user = |peer, account| {
            let request = Request::new(());
            heeded(Class::Normal, peer, &[("x-account", account)]).user(&request)
        };
        assert_eq!(user(PROXY, "a"), user(PROXY, "a"));
        assert_ne!(user(PROXY, "a"), user(PROXY, "b"));
        assert_eq!(user(STRANGER, "a"), user(STRANGER, "b"));
        assert_ne!(user(STRANGER, "a"), user(PROXY, "a"));
    }

    #[test]
    fn what_is_exempt_stays_so() {
        let mut fields = HeaderMap::new();
        fields.insert("x-priority", "sheddable".parse().unwrap());
        let rank = ranking().heed(Rank::exempt(), &fields, Some(PROXY.parse().unwrap()));
        assert_eq!(rank, Rank::exempt());
        assert_eq!(Rank::exempt().forwarded(), Rank::exempt());
    }
}
