//! TLS to endpoints: what ALPN chooses is spoken, names are checked, certificates are shown, sessions resumed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use wharf_pool::CloseReason;
use wharf_pool::config::Count;
use wharf_testkit::certificates::{Authority, Identity};
use wharf_upstream::{SendOptions, Upstream};

use crate::servers::{Server, ask, get, serve, until, upstream};

fn chain(identity: &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let key = PrivateKeyDer::Pkcs8(identity.key.clone().into());
    (
        vec![CertificateDer::from(identity.certificate.clone())],
        key,
    )
}

fn roots(authority: &Authority) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.der())).unwrap();
    Arc::new(roots)
}

/// A server for `localhost` that offers these protocols, and counts resumed sessions.
async fn secured(
    authority: &Authority,
    protocols: &[&[u8]],
    mutual: bool,
) -> (Server, Arc<AtomicUsize>) {
    let (certificates, key) = chain(&authority.server(&["localhost"]));
    let config = ServerConfig::builder();
    let config = if mutual {
        let verifier = WebPkiClientVerifier::builder(roots(authority))
            .build()
            .unwrap();
        config.with_client_cert_verifier(verifier)
    } else {
        config.with_no_client_auth()
    };
    let mut config = config.with_single_cert(certificates, key).unwrap();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let resumed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&resumed);
    let server = Server::raw(move |_, socket| {
        let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
        async move {
            let Ok(stream) = acceptor.accept(socket).await else {
                return;
            };
            if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
                count.fetch_add(1, Ordering::SeqCst);
            }
            serve(stream, Arc::default()).await;
        }
    });
    (server.await, resumed)
}

fn trusting(server: &Server, config: ClientConfig) -> Upstream {
    upstream(
        &[format!("https://localhost:{}", server.address.port())],
        |setup| {
            setup.settings.pool.protocol.min_idle = None;
            setup.tls = Some(Arc::new(config));
        },
    )
}

fn anonymous(authority: &Authority) -> ClientConfig {
    let config = ClientConfig::builder().with_root_certificates(roots(authority));
    config.with_no_client_auth()
}

#[tokio::test]
async fn what_alpn_chooses_is_spoken() {
    let authority = Authority::new("test");
    for (protocols, one) in [
        (&[&b"h2"[..], b"http/1.1"][..], true),
        (&[b"http/1.1"], false),
    ] {
        let (server, _) = secured(&authority, protocols, false).await;
        let upstream = trusting(&server, anonymous(&authority));
        let all = futures_util::future::join_all((0..10).map(|_| ask(&upstream, "/?300"))).await;
        assert!(
            all.iter().all(|it| it.as_ref().unwrap().0 == 200),
            "{all:?}"
        );
        assert_eq!(server.connections() == 1, one, "{protocols:?}");
    }
}

#[tokio::test]
async fn another_name_or_authority_is_an_error_and_nothing_was_sent() {
    let (authority, stranger) = (Authority::new("test"), Authority::new("stranger"));
    let (server, _) = secured(&authority, &[b"http/1.1"], false).await;
    let error = ask(&trusting(&server, anonymous(&stranger)), "/")
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.nothing_was_sent()),
        ("tls_failed", true)
    );

    let address = format!("https://127.0.0.1:{}", server.address.port());
    let named = |name: Option<&str>| {
        upstream(std::slice::from_ref(&address), |setup| {
            setup.tls = Some(Arc::new(anonymous(&authority)));
            setup.server_name = name.map(|it| it.to_owned().try_into().unwrap());
        })
    };
    assert_eq!(
        ask(&named(None), "/").await.unwrap_err().kind(),
        "tls_failed"
    );
    assert_eq!(ask(&named(Some("localhost")), "/").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_certificate_of_ours_is_shown_to_who_asks_for_it() {
    let authority = Authority::new("test");
    let (server, _) = secured(&authority, &[b"h2"], true).await;
    let error = ask(&trusting(&server, anonymous(&authority)), "/")
        .await
        .unwrap_err();
    assert_ne!(error.kind(), "no_endpoint", "{error:?}");
    let (certificates, key) = chain(&authority.client("gateway"));
    let config = ClientConfig::builder().with_root_certificates(roots(&authority));
    let config = config.with_client_auth_cert(certificates, key).unwrap();
    assert_eq!(ask(&trusting(&server, config), "/").await.unwrap().0, 200);
}

#[tokio::test]
async fn later_connections_resume_the_session_of_the_first() {
    let authority = Authority::new("test");
    let (server, resumed) = secured(&authority, &[b"http/1.1"], false).await;
    let upstream = trusting(&server, anonymous(&authority));
    assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
    // Both at once, so that at least one of them is a new connection.
    let both = futures_util::future::join_all((0..4).map(|_| ask(&upstream, "/?200"))).await;
    assert!(both.iter().all(Result::is_ok), "{both:?}");
    until("a session was resumed", || {
        resumed.load(Ordering::SeqCst) > 0
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_gets_a_connection_of_http1_beside_those_of_http2() {
    let authority = Authority::new("test");
    let (server, _) = secured(&authority, &[b"h2", b"http/1.1"], false).await;
    let upstream = trusting(&server, anonymous(&authority));
    assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
    let mut options = SendOptions::default();
    options.upgrade = true;
    let answer = upstream.send(get("/version"), &options).await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_11);
    let answer = upstream
        .send(get("/version"), &SendOptions::default())
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn an_upgrade_waits_its_turn_and_no_longer_than_its_deadline() {
    let authority = Authority::new("test");
    let (server, _) = secured(&authority, &[b"http/1.1"], false).await;
    let upstream = trusting(&server, anonymous(&authority));
    let mut settings = upstream.settings();
    settings.pool.protocol.max_connections_per_endpoint = Count::new(1).unwrap();
    settings.pool.protocol.wait_timeout = Duration::from_secs(30);
    upstream.apply(settings).unwrap();
    assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
    let mut options = SendOptions::default();
    options.upgrade = true;
    let patient = async {
        until("it is busy", || upstream.endpoints()[0].in_flight == 1).await;
        upstream.send(get("/"), &options).await
    };
    let mut hurried = options.clone();
    let hasty = async {
        until("both are there", || upstream.endpoints()[0].in_flight == 2).await;
        hurried.deadline = Some(Instant::now() + Duration::from_millis(300));
        let begun = Instant::now();
        let answered = upstream.send(get("/"), &hurried).await;
        (answered, begun.elapsed())
    };
    let (busy, patient, (hasty, took)) = tokio::join!(ask(&upstream, "/?3000"), patient, hasty);
    assert_eq!(busy.unwrap().0, 200);
    assert_eq!(patient.unwrap().status(), 200);
    let kind = hasty.unwrap_err().kind();
    assert!(["deadline", "wait_timeout"].contains(&kind), "{kind}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_connection_that_awaits_its_successor_hears_that_its_time_is_over() {
    let authority = Authority::new("test");
    let (certificates, key) = chain(&authority.server(&["localhost"]));
    let config = ServerConfig::builder().with_no_client_auth();
    let mut config = config.with_single_cert(certificates, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    // Only the first is ever greeted.
    let server = Server::raw(move |nth, socket| {
        let acceptor = acceptor.clone();
        async move {
            if nth == 0 {
                serve(acceptor.accept(socket).await.unwrap(), Arc::default()).await;
            } else {
                let _open = socket;
                std::future::pending::<()>().await;
            }
        }
    })
    .await;
    let upstream = trusting(&server, anonymous(&authority));
    let mut settings = upstream.settings();
    settings.pool.common.max_age = Some(Duration::from_secs(1));
    settings.pool.protocol.connect_timeout = Duration::from_mins(1);
    upstream.apply(settings).unwrap();
    assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
    let all = upstream.pool().connections();
    let old = &all[0];
    until("its successor is on its way", || server.connections() == 2).await;
    old.abort(CloseReason::Admin);
    let is_there = |it: &wharf_pool::ConnectionHandle<_>| it.id() == old.id();
    until("it is gone", || {
        !upstream.pool().connections().iter().any(is_there)
    })
    .await;
}
