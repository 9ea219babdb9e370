use super::*;
use wharf_testkit::tls::hostile::hello;

#[tokio::test]
async fn sessions_are_resumed_also_after_the_certificates_were_replaced() {
    let ca = Authority::new("ca");
    for (versions, version) in [(TLS12, "TLSv1.2"), (TLS13, "TLSv1.3")] {
        let acceptor = acceptor(&ca, &[Alpn::Http1]);
        let client = Client::of(&ca).versions(versions).alpn(&["http/1.1"]);
        let client = client.config();
        let (info, _) = talk(&acceptor, &client, "localhost").await;
        assert_eq!((info.resumed, info.version), (false, version));
        let (info, _) = talk(&acceptor, &client, "localhost").await;
        assert_eq!((info.resumed, info.version), (true, version));
        let new = certificate(&ca.server(&["localhost"]));
        acceptor.certificates().replace(new, vec![]);
        let (info, _) = talk(&acceptor, &client, "localhost").await;
        assert_eq!((info.resumed, info.version), (true, version));
        assert_eq!(info.alpn, Some(Alpn::Http1));
    }
}

#[tokio::test]
async fn a_ticket_of_another_acceptor_is_a_full_handshake() {
    let ca = Authority::new("ca");
    for versions in [TLS12, TLS13] {
        let client = Client::of(&ca).versions(versions).config();
        talk(&acceptor(&ca, &[]), &client, "localhost").await;
        let (info, _) = talk(&acceptor(&ca, &[]), &client, "localhost").await;
        assert!(!info.resumed);
    }
}

#[tokio::test]
async fn nothing_is_taken_before_the_handshake_ends() {
    let ca = Authority::new("ca");
    let acceptor = acceptor(&ca, &[]);
    let mut config = Arc::unwrap_or_clone(Client::of(&ca).config());
    config.enable_early_data = true;
    let config = Arc::new(config);
    talk(&acceptor, &config, "localhost").await;
    let (mut session, _) = hello(&config);
    assert!(session.early_data().is_none());
}
