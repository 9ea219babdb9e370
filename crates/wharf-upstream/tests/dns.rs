//! Endpoints that servers of names know are asked for as long as they say.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use wharf_upstream::{DiscoveryState, Dns, Scheme, Upstream};

use crate::servers::{until, upstream};

/// What a server of names knows: names, kinds, and the records for them with their time to live.
type Zone = Vec<(&'static str, u16, u32, Vec<u8>)>;

/// How a server of names answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Everything,
    /// To questions with more in them than a question that they are malformed.
    NoEdns,
    Nothing,
}

/// A server of names that ends when it is dropped. Without a zone it refuses.
struct Names {
    address: SocketAddr,
    zone: Arc<Mutex<Option<Zone>>>,
    asked: Arc<Mutex<usize>>,
    _tasks: JoinSet<()>,
}

impl Names {
    async fn of(zone: Zone) -> Self {
        Self::with(zone, Says::Everything).await
    }

    async fn with(zone: Zone, says: Says) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let zone = Arc::new(Mutex::new(Some(zone)));
        let asked = Arc::new(Mutex::new(0));
        let (known, count) = (Arc::clone(&zone), Arc::clone(&asked));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut bytes = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
                *count.lock().unwrap() += 1;
                if says == Says::Nothing {
                    continue;
                }
                let known = known.lock().unwrap().clone();
                let mut answer = answer(&bytes[..length], known.as_ref());
                if says == Says::NoEdns && bytes[11] > 0 {
                    answer[3] = 0x81;
                    answer[7] = 0;
                }
                // Somebody else's guess comes first.
                let mut guess = answer.clone();
                guess[0] ^= 1;
                socket.send_to(&guess, from).await.unwrap();
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        Self {
            address,
            zone,
            asked,
            _tasks: tasks,
        }
    }

    fn set(&self, zone: Option<Zone>) {
        *self.zone.lock().unwrap() = zone;
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

fn answer(question: &[u8], zone: Option<&Zone>) -> Vec<u8> {
    let mut name = Vec::new();
    let mut at = 12;
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        name.push(String::from_utf8(question[at + 1..end].to_vec()).unwrap());
        at = end;
    }
    let (name, kind) = (
        name.join("."),
        u16::from_be_bytes([question[at + 1], question[at + 2]]),
    );
    let mut answer = question[..at + 5].to_vec();
    let known: Vec<_> = zone
        .into_iter()
        .flatten()
        .filter(|it| it.0 == name)
        .collect();
    let code = match (zone, known.len()) {
        (None, _) => 2,
        (Some(_), 0) => 3,
        (Some(_), _) => 0,
    };
    (answer[2], answer[3]) = (0x81, 0x80 | code);
    let of_kind = known.iter().filter(|it| it.1 == kind);
    answer[7] = u8::try_from(of_kind.clone().count()).unwrap();
    answer[11] = 0;
    for (_, kind, ttl, data) in of_kind {
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1]);
        answer.extend(ttl.to_be_bytes());
        answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        answer.extend(data);
    }
    answer
}

fn a(name: &'static str, ttl: u32, last: u8) -> (&'static str, u16, u32, Vec<u8>) {
    (name, 1, ttl, vec![127, 0, 0, last])
}

fn srv(
    name: &'static str,
    priority: u8,
    weight: u16,
    port: u16,
    target: &str,
) -> (&'static str, u16, u32, Vec<u8>) {
    let mut data = vec![0, priority];
    data.extend(weight.to_be_bytes());
    data.extend(port.to_be_bytes());
    for label in target.split('.') {
        data.push(u8::try_from(label.len()).unwrap());
        data.extend(label.bytes());
    }
    data.push(0);
    (name, 33, 30, data)
}

fn follow(names: &Names, name: &str, port: Option<u16>) -> Upstream {
    follow_all(&[names], name, port)
}

fn follow_all(names: &[&Names], name: &str, port: Option<u16>) -> Upstream {
    let upstream = upstream(&[], |setup| {
        setup.settings.scheme = Some(Scheme::Http);
        setup.settings.pool.protocol.min_idle = None;
    });
    let mut dns = Dns::new(
        names.iter().map(|it| it.address),
        name,
        port.and_then(NonZeroU16::new),
    );
    dns.min_ttl = Duration::from_millis(200);
    upstream.follow(dns);
    upstream
}

fn found(upstream: &Upstream) -> Vec<(String, u32)> {
    let endpoints = upstream.endpoints();
    endpoints
        .iter()
        .map(|it| (it.address.to_string(), it.weight))
        .collect()
}

fn is(ends: &[(&str, u32)]) -> Vec<(String, u32)> {
    ends.iter()
        .map(|(it, weight)| (format!("http://127.0.0.{it}"), *weight))
        .collect()
}

#[tokio::test]
async fn a_name_is_asked_for_again_when_its_time_to_live_is_over() {
    let names = Names::of(vec![a("api.test", 1, 1), a("api.test", 3600, 2)]).await;
    let upstream = follow(&names, "api.test", Some(80));
    until("found", || {
        found(&upstream) == is(&[("1:80", 1), ("2:80", 1)])
    })
    .await;
    assert_eq!(
        upstream.discovery().unwrap().ttl,
        Some(Duration::from_secs(1))
    );
    names.set(Some(vec![a("api.test", 3600, 3)]));
    until("found again", || found(&upstream) == is(&[("3:80", 1)])).await;
    // Cut to what is the longest here.
    assert_eq!(
        upstream.discovery().unwrap().ttl,
        Some(Duration::from_mins(5))
    );
    let asked = names.asked();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(names.asked(), asked, "nobody asks before it is time");
}

#[tokio::test]
async fn services_of_the_lowest_priority_are_asked_by_their_weight() {
    let zone = vec![
        srv("_http._tcp.test", 1, 3, 8001, "one.test"),
        srv("_http._tcp.test", 1, 0, 8002, "two.test"),
        srv("_http._tcp.test", 2, 9, 8003, "one.test"),
        a("one.test", 30, 1),
        a("two.test", 30, 2),
    ];
    let names = Names::of(zone).await;
    let upstream = follow(&names, "_http._tcp.test", None);
    until("found", || {
        found(&upstream) == is(&[("1:8001", 3), ("2:8002", 1)])
    })
    .await;
}

#[tokio::test]
async fn services_at_one_target_ask_for_it_once() {
    let mut zone: Zone = (0..20)
        .map(|nth| srv("_http._tcp.test", 1, 1, 8000 + nth, "one.test"))
        .collect();
    zone.push(a("one.test", 30, 1));
    let names = Names::of(zone).await;
    let upstream = follow(&names, "_http._tcp.test", None);
    until("found", || found(&upstream).len() == 20).await;
    // The services, and the addresses of both kinds.
    assert_eq!(names.asked(), 3);
}

#[tokio::test]
async fn a_server_that_is_silent_costs_a_moment_once() {
    let silent = Names::with(Vec::new(), Says::Nothing).await;
    let good = Names::of(vec![a("api.test", 0, 1)]).await;
    let upstream = follow_all(&[&silent, &good], "api.test", Some(80));
    until("found", || found(&upstream) == is(&[("1:80", 1)])).await;
    // Whoever has answered is asked first from then on; what is still on its way ends with its question.
    let asked = silent.asked();
    assert!(asked <= 2, "{asked}");
    good.set(Some(vec![a("api.test", 0, 2)]));
    until("found again", || found(&upstream) == is(&[("2:80", 1)])).await;
    assert_eq!(silent.asked(), asked);
}

#[tokio::test]
async fn a_server_that_knows_no_edns_is_asked_without() {
    let old = Names::with(vec![a("api.test", 30, 1)], Says::NoEdns).await;
    let upstream = follow(&old, "api.test", Some(80));
    until("found", || found(&upstream) == is(&[("1:80", 1)])).await;
}

#[tokio::test]
async fn a_name_that_is_gone_and_a_server_that_cannot_say_leave_what_was_known() {
    let names = Names::of(vec![a("api.test", 0, 1)]).await;
    let upstream = follow(&names, "api.test", Some(80));
    until("found", || found(&upstream) == is(&[("1:80", 1)])).await;
    for (zone, why) in [(Some(Vec::new()), "no endpoint"), (None, "code 2")] {
        names.set(zone);
        until(why, || {
            let report = upstream.discovery().unwrap();
            report.state == DiscoveryState::Stale && report.error.unwrap().contains(why)
        })
        .await;
        assert_eq!(found(&upstream), is(&[("1:80", 1)]));
    }
    names.set(Some(vec![a("api.test", 0, 2)]));
    until("back", || found(&upstream) == is(&[("2:80", 1)])).await;
}

#[tokio::test]
async fn no_name_leads_into_the_machines_neighbourhood() {
    let near = (
        "api.test",
        1,
        0,
        Ipv4Addr::new(169, 254, 169, 254).octets().to_vec(),
    );
    let names = Names::of(vec![near, a("api.test", 0, 1)]).await;
    let upstream = follow(&names, "api.test", Some(80));
    until("found", || found(&upstream) == is(&[("1:80", 1)])).await;
    assert_eq!(upstream.discovery().unwrap().skipped, 1);
}
