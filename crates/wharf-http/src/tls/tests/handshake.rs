use std::time::Duration;

use super::*;
use rustls::AlertDescription;
use tokio::time::{sleep, timeout};
use wharf_testkit::tls::hostile::{
    endless_hello, finish, hello, in_records_of_one_byte, plain_hello,
};

/// What a peer that sends these bytes, and then waits, is told.
async fn say(acceptor: &Acceptor, bytes: &[u8]) -> (HandshakeError, Vec<u8>) {
    let (near, mut far) = duplex(256 * 1024);
    let server = async {
        let refused = acceptor.accept(near, Vec::new()).await.unwrap_err();
        // Its transport is closed here.
        refused.error
    };
    let peer = async {
        far.write_all(bytes).await.unwrap();
        let mut told = Vec::new();
        far.read_to_end(&mut told).await.unwrap();
        told
    };
    timeout(Duration::from_secs(5), async { tokio::join!(server, peer) })
        .await
        .unwrap()
}

#[tokio::test]
async fn both_versions_are_spoken() {
    let ca = Authority::new("ca");
    let acceptor = acceptor(&ca, &[]);
    let all = Client::of(&ca).config();
    let (info, _) = talk(&acceptor, &all, "localhost").await;
    assert_eq!(
        (info.version, info.cipher),
        ("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    );
    assert_eq!(info.server_name.as_deref(), Some("localhost"));
    assert_eq!((info.resumed, info.alpn, info.client), (false, None, None));
    let old = Client::of(&ca).versions(TLS12).config();
    let (info, _) = talk(&acceptor, &old, "localhost").await;
    let cipher = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    assert_eq!((info.version, info.cipher), ("TLSv1.2", cipher));
}

#[tokio::test]
async fn the_listeners_order_chooses_the_application_protocol() {
    use Alpn::{Http1, Http2};
    let ca = Authority::new("ca");
    let table: [(&[Alpn], &[&'static str], Option<Alpn>); 8] = [
        (&[Http2, Http1], &["http/1.1", "h2"], Some(Http2)),
        (&[Http2, Http1], &["http/1.1"], Some(Http1)),
        (&[Http2, Http1], &["spdy/3", "h2"], Some(Http2)),
        (&[Http2, Http1], &[], None),
        (&[Http1, Http2], &["h2", "http/1.1"], Some(Http1)),
        (&[Http1], &["h2", "http/1.1"], Some(Http1)),
        (&[Http1], &[], None),
        (&[Http2], &[], None),
    ];
    for (ours, theirs, agreed) in table {
        let client = Client::of(&ca).alpn(theirs).config();
        let (info, stream) = talk(&acceptor(&ca, ours), &client, "localhost").await;
        assert_eq!(info.alpn, agreed, "{ours:?} {theirs:?}");
        let theirs = stream.get_ref().1.alpn_protocol();
        assert_eq!(theirs, agreed.map(|alpn| alpn.as_str().as_bytes()));
    }
}

#[tokio::test]
async fn who_offers_only_other_protocols_is_told_so() {
    use Alpn::{Http1, Http2};
    let ca = Authority::new("ca");
    let table: [(&[Alpn], &[&'static str]); 3] = [
        (&[Http1], &["h2"]),
        (&[Http2], &["http/1.1"]),
        (&[Http2, Http1], &["spdy/3", "http/1.0"]),
    ];
    for (ours, theirs) in table {
        for versions in [TLS12, TLS13] {
            let client = Client::of(&ca).alpn(theirs).versions(versions).config();
            let (server, client) = meet(&acceptor(&ca, ours), &client, "localhost").await;
            assert_eq!(server.unwrap_err().error, HandshakeError::NoCommonProtocol);
            let alert = AlertDescription::NoApplicationProtocol;
            assert_eq!(told(client).await, rustls::Error::AlertReceived(alert));
        }
    }
}

#[tokio::test]
async fn a_hello_in_the_smallest_pieces_is_understood() {
    let ca = Authority::new("ca");
    let acceptor = acceptor(&ca, &[Alpn::Http1]);
    for versions in [TLS12, TLS13] {
        let client = Client::of(&ca).versions(versions).config();
        let (mut session, bytes) = hello(&client);
        let (near, mut far) = duplex(64 * 1024);
        let server = acceptor.accept(near, Vec::new());
        let peer = async {
            for byte in in_records_of_one_byte(&bytes) {
                far.write_all(&[byte]).await.unwrap();
                // The server reads it before the next is there.
                tokio::task::yield_now().await;
            }
            finish(&mut session, &mut far).await;
        };
        let (server, ()) = tokio::join!(server, peer);
        server.unwrap();
    }
}

#[tokio::test]
async fn what_was_read_before_comes_first() {
    let ca = Authority::new("ca");
    let acceptor = acceptor(&ca, &[]);
    let client = Client::of(&ca).config();
    let length = hello(&client).1.len();
    for early in [1, 4, 5, 6, length - 1, length] {
        let (mut session, bytes) = hello(&client);
        let (near, mut far) = duplex(64 * 1024);
        let (early, late) = bytes.split_at(early.min(bytes.len()));
        let server = acceptor.accept(near, early.to_vec());
        let peer = async {
            far.write_all(late).await.unwrap();
            finish(&mut session, &mut far).await;
        };
        let (server, ()) = tokio::join!(server, peer);
        server.unwrap();
    }
}

#[tokio::test]
async fn a_hello_of_more_than_16_kib_is_refused_before_it_is_read() {
    let ca = Authority::new("ca");
    let acceptor = acceptor(&ca, &[Alpn::Http1]);
    // From a client that means it: 70 long names of protocols.
    let long: &'static str = "x".repeat(250).leak();
    let client = Client::of(&ca).alpn(&[long; 70]).config();
    assert!(hello(&client).1.len() > 17 * 1024);
    let (server, client) = meet(&acceptor, &client, "localhost").await;
    assert_eq!(server.unwrap_err().error, HandshakeError::HelloTooLarge);
    let alert = rustls::Error::AlertReceived(AlertDescription::IllegalParameter);
    assert_eq!(told(client).await, alert);
    // From one that only announces it, in one message or in one-byte records.
    let endless = endless_hello();
    let (error, told) = say(&acceptor, &endless).await;
    assert_eq!(error, HandshakeError::HelloTooLarge);
    assert_eq!(told, [21, 3, 1, 0, 2, 2, 47]);
    let (error, _) = say(&acceptor, &in_records_of_one_byte(&endless)).await;
    assert_eq!(error, HandshakeError::HelloTooLarge);
}

#[tokio::test]
async fn one_of_just_under_16_kib_is_served() {
    let ca = Authority::new("ca");
    let acceptor = acceptor(&ca, &[Alpn::Http1]);
    let long: &'static str = "x".repeat(250).leak();
    let mut offer = vec![long; 62];
    offer.push("http/1.1");
    let client = Client::of(&ca).alpn(&offer).config();
    let length = hello(&client).1.len();
    assert!((15 * 1024..=16 * 1024).contains(&length), "{length}");
    talk(&acceptor, &client, "localhost").await;
}

#[tokio::test]
async fn plain_http_is_answered_in_plain_http() {
    let ca = Authority::new("ca");
    let acceptor = acceptor(&ca, &[]);
    for request in [
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let (error, told) = say(&acceptor, request.as_bytes()).await;
        assert_eq!(error, HandshakeError::PlainHttp, "{request}");
        let told = String::from_utf8(told).unwrap();
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        assert!(body.contains("https://"));
    }
}

#[tokio::test]
async fn what_is_no_hello_is_told_so_and_named() {
    let ca = Authority::new("ca");
    let acceptor = acceptor(&ca, &[]);
    let (error, told) = say(&acceptor, &[0xff; 100]).await;
    assert_eq!((error, &told[..1]), (HandshakeError::NotTls, &[21][..]));
    let (error, told) = say(&acceptor, b"SSH-2.0-OpenSSH_9.6\r\n").await;
    assert_eq!((error, &told[..1]), (HandshakeError::NotTls, &[21][..]));
    // A handshake message of 64 KiB.
    let (error, told) = say(&acceptor, &[22, 3, 1, 0, 4, 1, 1, 0, 0]).await;
    assert_eq!((error.as_str(), &told[..1]), ("protocol", &[21][..]));
    // Application data where a hello is due.
    let (error, told) = say(&acceptor, &[23, 3, 3, 0, 1, 0]).await;
    assert_eq!((error, &told[..1]), (HandshakeError::NotTls, &[21][..]));
    // A fatal alert, as from a client that changed its mind.
    let (error, told) = say(&acceptor, &[21, 3, 3, 0, 2, 2, 80]).await;
    assert_eq!(
        (error, &told[..]),
        (HandshakeError::Alert("InternalError"), &[][..])
    );
}

#[tokio::test]
async fn who_speaks_only_older_versions_or_other_ciphers_is_told_so() {
    let ca = Authority::new("ca");
    let acceptor = acceptor(&ca, &[]);
    // Signatures with ECDSA on P-256, key exchange on P-256.
    let extensions = [0, 13, 0, 4, 0, 2, 4, 3, 0, 10, 0, 4, 0, 2, 0, 23];
    // TLS 1.0 and 1.1, as such clients say it, and as some say it who know the extensions.
    for minor in [1, 2] {
        for extensions in [&[][..], &extensions] {
            let hello = plain_hello(minor, [0xc0, 0x09], extensions);
            let (error, told) = say(&acceptor, &hello).await;
            assert_eq!(error, HandshakeError::NoCommonVersion);
            assert_eq!((told[0], told[6]), (21, 70));
        }
    }
    // TLS 1.2 with RSA and 3DES only.
    let hello = plain_hello(3, [0, 10], &extensions);
    let (error, told) = say(&acceptor, &hello).await;
    assert_eq!(error, HandshakeError::NoCommonCipher("cipher suite"));
    assert_eq!((told[0], told[6]), (21, 40));
    let hello = plain_hello(3, [0xc0, 0x2b], &[]);
    let (error, told) = say(&acceptor, &hello).await;
    assert_eq!(error, HandshakeError::NoCommonCipher("signature scheme"));
    assert_eq!((told[0], told[6]), (21, 40));
}

#[tokio::test]
async fn a_client_that_breaks_off_says_why() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    for versions in [TLS12, TLS13] {
        let client = Client::of(&other).versions(versions).config();
        let (server, _) = meet(&acceptor(&ca, &[]), &client, "localhost").await;
        let error = server.unwrap_err().error;
        assert_eq!(error, HandshakeError::Alert("UnknownCA"));
        let client = Client::of(&ca).versions(versions).config();
        let (server, _) = meet(&acceptor(&ca, &[]), &client, "elsewhere.test").await;
        let error = server.unwrap_err().error;
        assert_eq!(error.as_str(), "alert", "{error}");
    }
}

#[tokio::test]
async fn a_peer_that_leaves_is_named_by_when_it_left() {
    let ca = Authority::new("ca");
    let acceptor = acceptor(&ca, &[]);
    let left_after = async |bytes: &[u8]| {
        let (near, mut far) = duplex(4096);
        far.write_all(bytes).await.unwrap();
        drop(far);
        acceptor.accept(near, Vec::new()).await.unwrap_err().error
    };
    assert_eq!(left_after(b"").await, HandshakeError::Silent);
    let (_, bytes) = hello(&Client::of(&ca).config());
    assert_eq!(left_after(&bytes[..1]).await, HandshakeError::Closed);
    assert_eq!(
        left_after(&bytes[..bytes.len() - 1]).await,
        HandshakeError::Closed
    );
    // After the whole of it there is nobody who takes the answer.
    let error = left_after(&bytes).await;
    let gone = HandshakeError::Io(io::ErrorKind::BrokenPipe);
    assert_eq!(error, gone);
}

#[tokio::test]
async fn a_refused_transport_is_given_back() {
    let ca = Authority::new("ca");
    let (near, mut far) = duplex(4096);
    far.write_all(&[0xff; 10]).await.unwrap();
    let refused = acceptor(&ca, &[])
        .accept(near, Vec::new())
        .await
        .unwrap_err();
    let mut io = refused.io;
    far.write_all(b"more").await.unwrap();
    let mut chunk = [0; 16];
    // What the library had not asked for is there: the close can wait for it.
    while io.read(&mut chunk).await.unwrap() != 4 {}
}

#[tokio::test]
async fn key_updates_without_data_end_the_connection() {
    let ca = Authority::new("ca");
    let client = Client::of(&ca).config();
    let (server, client) = meet(&acceptor(&ca, &[]), &client, "localhost").await;
    let (mut server, mut client) = (server.unwrap().stream, client.unwrap());
    for _ in 0..40 {
        client.get_mut().1.refresh_traffic_keys().unwrap();
    }
    client.flush().await.unwrap();
    let error = server.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_ended_by_the_callers_deadline_alone_and_holds_no_turn() {
    let ca = Authority::new("ca");
    let handshakes = Handshakes::default();
    let certificates = Certificates::new(certificate(&ca.server(&["localhost"])), vec![]);
    let acceptor = Acceptor::new(&certificates, vec![], ClientAuth::Off, &handshakes).unwrap();
    let (near, mut far) = duplex(4096);
    let (_, bytes) = hello(&Client::of(&ca).config());
    let drip = async {
        for &byte in &bytes[..20] {
            far.write_all(&[byte]).await.unwrap();
            sleep(Duration::from_millis(500)).await;
            assert_eq!((handshakes.active(), handshakes.waiting()), (0, 0));
        }
    };
    let accept = timeout(Duration::from_secs(10), acceptor.accept(near, Vec::new()));
    let (ended, ()) = tokio::join!(accept, drip);
    assert!(ended.is_err());
    assert!(far.write_all(b"?").await.is_err());
}

#[tokio::test]
async fn a_reset_is_an_error_of_the_transport() {
    let ca = Authority::new("ca");
    let acceptor = acceptor(&ca, &[]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = wharf_testkit::Peer::connect(listener.local_addr().unwrap()).await;
    let (near, _) = listener.accept().await.unwrap();
    peer.send(&[22, 3, 1]).await;
    peer.vanish();
    let error = acceptor.accept(near, Vec::new()).await.unwrap_err().error;
    assert_eq!(error, HandshakeError::Io(io::ErrorKind::ConnectionReset));
}

#[test]
fn a_handshake_under_way_is_small_where_it_is_awaited() {
    let ca = Authority::new("ca");
    let acceptor = acceptor(&ca, &[]);
    let (near, _far) = duplex(1);
    let accept = acceptor.accept(near, Vec::new());
    assert!(size_of_val(&accept) <= 256, "{}", size_of_val(&accept));
    assert_eq!(
        size_of::<TlsStream<tokio::net::TcpStream>>(),
        size_of::<usize>()
    );
}
