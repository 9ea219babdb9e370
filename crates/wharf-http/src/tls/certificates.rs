//! [`Certificates`]: which certificate a client is shown.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Certificate;

/// The certificates of a listener, of which the client's wish (SNI) chooses one.
///
/// The exact name wins over a wildcard, which stands for one label (`*.example.com` for
/// `a.example.com`, not for `example.com` or `a.b.example.com`); case means nothing. Where several
/// fit, such as one with an RSA and one with an ECDSA key, the first is taken whose key the client
/// can check. Who names nobody, an address, or a name that is not here is shown the first
/// certificate, and is counted: an old client gets on, and a wrong name is told by the certificate.
///
/// A clone is the same set: what is replaced in one is replaced in all.
#[derive(Clone)]
pub struct Certificates(Arc<Shelf>);

struct Shelf {
    table: ArcSwap<Table>,
    counts: [AtomicU64; 4],
}

/// How often which rule has chosen the certificate of a handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choices {
    /// The name that the client wished for is in a certificate.
    pub exact: u64,
    /// A wildcard stands for it.
    pub wildcard: u64,
    /// The client named nobody, or an address: the first certificate.
    pub no_name: u64,
    /// The client named somebody else: the first certificate.
    pub unknown_name: u64,
}

/// The rule that has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Exact,
    Wildcard,
    NoName,
    UnknownName,
}

impl Certificates {
    /// A set of at least one certificate: the first is for those who wish for none of the others.
    pub fn new(first: Certificate, others: Vec<Certificate>) -> Self {
        Self(Arc::new(Shelf {
            table: ArcSwap::from_pointee(Table::new(first, others)),
            counts: Default::default(),
        }))
    }

    /// Replaces all of them, for handshakes that begin after it. Connections that are there keep
    /// what they were shown, and sessions are resumed as before.
    pub fn replace(&self, first: Certificate, others: Vec<Certificate>) {
        self.0.table.store(Arc::new(Table::new(first, others)));
    }

    /// What is in force, the first certificate first.
    pub fn current(&self) -> Vec<Certificate> {
        self.0.table.load().all.clone()
    }

    /// How often which rule has chosen, since the set was made.
    pub fn choices(&self) -> Choices {
        let count = |choice: Choice| self.0.counts[choice as usize].load(Ordering::Relaxed);
        Choices {
            exact: count(Choice::Exact),
            wildcard: count(Choice::Wildcard),
            no_name: count(Choice::NoName),
            unknown_name: count(Choice::UnknownName),
        }
    }

    /// Counts a handshake with this wish. The library asks for a certificate twice where it
    /// renegotiates the key exchange, so it cannot be counted there.
    pub(super) fn count(&self, wish: Option<&str>) {
        let (choice, _) = self.0.table.load().look_up(wish);
        self.0.counts[choice as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::new(Resolver(self.clone()))
    }
}

/// The same set, as rustls asks it.
#[derive(Debug)]
struct Resolver(Certificates);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.0.0.table.load();
        let (_, fitting) = table.look_up(hello.server_name());
        let mut certificates = fitting.iter().filter_map(|&index| table.all.get(index));
        let usable = |certificate: &&Certificate| {
            let offered = hello.signature_schemes();
            certificate.key().key.choose_scheme(offered).is_some()
        };
        let chosen = match fitting {
            [_] => certificates.next(),
            _ => certificates.clone().find(usable).or(certificates.next()),
        };
        chosen.map(|certificate| Arc::clone(certificate.key()))
    }
}

/// Certificates by name. Never changed, only replaced.
struct Table {
    all: Vec<Certificate>,
    /// Which carry the name.
    exact: HashMap<String, Vec<usize>>,
    /// Which carry `*.` before the name.
    wildcards: HashMap<String, Vec<usize>>,
    /// The first, and those made out to the same names.
    default: Vec<usize>,
}

impl Table {
    fn new(first: Certificate, others: Vec<Certificate>) -> Self {
        let mut all = vec![first];
        all.extend(others);
        let mut exact: HashMap<String, Vec<usize>> = HashMap::new();
        let mut wildcards: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, certificate) in all.iter().enumerate() {
            for name in certificate.names() {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcards, parent),
                    None => (&mut exact, name.as_str()),
                };
                map.entry(name.to_owned()).or_default().push(index);
            }
        }
        let alike = |&index: &usize| all[index].names() == all[0].names();
        let default = (0..all.len()).filter(alike).collect();
        Self {
            all,
            exact,
            wildcards,
            default,
        }
    }

    fn look_up(&self, wish: Option<&str>) -> (Choice, &[usize]) {
        let Some(wish) = wish else {
            return (Choice::NoName, &self.default);
        };
        let wish = wish.trim_end_matches('.').to_ascii_lowercase();
        if let Some(found) = self.exact.get(&wish) {
            return (Choice::Exact, found);
        }
        let parent = wish.split_once('.').map(|(_, parent)| parent);
        match parent.and_then(|parent| self.wildcards.get(parent)) {
            Some(found) => (Choice::Wildcard, found),
            None => (Choice::UnknownName, &self.default),
        }
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0.table.load().all).finish()
    }
}
