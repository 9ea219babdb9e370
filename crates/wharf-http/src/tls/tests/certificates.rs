use super::*;
use wharf_testkit::certificates::KeyKind;

/// The certificate that a client gets to see who wishes for `name`.
async fn shown(acceptor: &Acceptor, client: &Client, name: &str) -> Vec<u8> {
    let mut config = Arc::unwrap_or_clone(client.config());
    // What is shown is to be seen, fitting or not.
    config
        .dangerous()
        .set_certificate_verifier(Arc::new(anything::Goes));
    let (_, client) = talk(acceptor, &Arc::new(config), name).await;
    let certificates = client.get_ref().1.peer_certificates().unwrap();
    certificates[0].to_vec()
}

#[tokio::test]
async fn the_name_chooses_the_certificate() {
    let ca = Authority::new("ca");
    let default = ca.server(&["default.test"]);
    let example = ca.server(&["example.com", "www.example.com"]);
    let wild = ca.server(&["*.example.com", "10.0.0.1"]);
    let set = [&default, &example, &wild].map(certificate);
    let [first, others @ ..] = set;
    let certificates = Certificates::new(first, others.to_vec());
    let acceptor = acceptor_of(&certificates, &[]);
    let table = [
        ("default.test", &default),
        ("example.com", &example),
        ("EXAMPLE.com", &example),
        ("www.example.com", &example),
        ("Api.Example.Com", &wild),
        ("a.b.example.com", &default),
        ("com", &default),
        ("unknown.test", &default),
        // Addresses are never wished for: the client names nobody.
        ("127.0.0.1", &default),
        ("10.0.0.1", &default),
    ];
    for (name, expected) in table {
        let shown = shown(&acceptor, &Client::of(&ca), name).await;
        assert!(shown == expected.certificate, "{name}");
    }
    let choices = Choices {
        exact: 4,
        wildcard: 1,
        no_name: 2,
        unknown_name: 3,
    };
    assert_eq!(certificates.choices(), choices);
}

#[tokio::test]
async fn a_hello_that_has_to_be_said_twice_is_counted_once() {
    use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
    let ca = Authority::new("ca");
    let mut provider = default_provider();
    // The client bets on the first, which we do not speak.
    provider.kx_groups = vec![kx_group::MLKEM1024, kx_group::X25519];
    let client = Client::of(&ca).provider(provider).config();
    let acceptor = acceptor(&ca, &[]);
    let (info, stream) = talk(&acceptor, &client, "localhost").await;
    let kind = stream.get_ref().1.handshake_kind();
    assert_eq!(kind, Some(rustls::HandshakeKind::FullWithHelloRetryRequest));
    assert!(!info.resumed);
    assert_eq!(acceptor.certificates().choices().exact, 1);
}

#[tokio::test]
async fn of_two_kinds_of_key_the_one_is_shown_that_the_client_can_check() {
    let ca = Authority::new("ca");
    let rsa = ca.server_with(KeyKind::Rsa, &["localhost"]);
    let p384 = ca.server_with(KeyKind::P384, &["localhost"]);
    let ed25519 = ca.server_with(KeyKind::Ed25519, &["localhost"]);
    let [first, others @ ..] = [&ed25519, &rsa, &p384].map(certificate);
    let acceptor = acceptor_of(&Certificates::new(first, others.to_vec()), &[]);
    for (offer, expected) in [
        (rustls::SignatureScheme::RSA_PSS_SHA256, &rsa),
        (rustls::SignatureScheme::ECDSA_NISTP384_SHA384, &p384),
        (rustls::SignatureScheme::ED25519, &ed25519),
    ] {
        for name in ["localhost", "unknown.test"] {
            let mut config = Arc::unwrap_or_clone(Client::of(&ca).config());
            config
                .dangerous()
                .set_certificate_verifier(Arc::new(anything::Signed(offer)));
            let (_, client) = talk(&acceptor, &Arc::new(config), name).await;
            let certificates = client.get_ref().1.peer_certificates().unwrap();
            assert!(
                certificates[0].as_ref() == expected.certificate,
                "{offer:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_replaced_is_shown_from_the_next_handshake_on() {
    let ca = Authority::new("ca");
    let (old, new) = (ca.server(&["localhost"]), ca.server(&["localhost"]));
    let certificates = Certificates::new(certificate(&old), vec![]);
    let acceptor = acceptor_of(&certificates, &[]);
    let client = Client::of(&ca);
    let (server, stream) = meet(&acceptor, &client.config(), "localhost").await;
    let (mut server, mut stream) = (server.unwrap().stream, stream.unwrap());
    certificates.replace(certificate(&new), vec![]);
    assert!(shown(&acceptor, &client, "localhost").await == new.certificate);
    // Who was there before goes on.
    stream.write_all(b"still here").await.unwrap();
    stream.flush().await.unwrap();
    let mut read = [0; 10];
    server.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"still here");
    assert_eq!(
        certificates.current()[0].serial(),
        certificate(&new).serial()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_under_load_fails_no_handshake() {
    const CLIENTS: usize = 4;
    const EACH: usize = 60;
    let ca = Authority::new("ca");
    let generations: Vec<_> = (0..4).map(|_| ca.server(&["localhost"])).collect();
    let certificates = Certificates::new(certificate(&generations[0]), vec![]);
    let acceptor = acceptor_of(&certificates, &[Alpn::Http2, Alpn::Http1]);
    let mut clients = tokio::task::JoinSet::new();
    for index in 0..CLIENTS {
        let acceptor = acceptor.clone();
        let versions = if index % 2 == 0 { TLS13 } else { TLS12 };
        // Half of the handshakes bring a ticket from before.
        let config = Client::of(&ca).versions(versions);
        let keen = config.config();
        let known: Vec<_> = generations
            .iter()
            .map(|it| it.certificate.clone())
            .collect();
        clients.spawn(async move {
            let mut resumed = 0;
            for turn in 0..EACH {
                let client = if turn % 2 == 0 {
                    &keen
                } else {
                    &config.config()
                };
                let (info, stream) = talk(&acceptor, client, "localhost").await;
                let shown = stream.get_ref().1.peer_certificates().unwrap();
                assert!(known.iter().any(|it| *it == *shown[0]));
                resumed += usize::from(info.resumed);
            }
            resumed
        });
    }
    let mut resumed = 0;
    let mut swaps = 0;
    while !clients.is_empty() {
        swaps += 1;
        certificates.replace(certificate(&generations[swaps % generations.len()]), vec![]);
        tokio::select! {
            done = clients.join_next() => resumed += done.unwrap().unwrap(),
            () = tokio::time::sleep(std::time::Duration::from_millis(2)) => {}
        }
    }
    assert!(swaps > CLIENTS, "{swaps}");
    // All but each client's first.
    assert_eq!(resumed, CLIENTS * (EACH / 2 - 1));
}

/// Verifiers that let see what they would refuse.
mod anything {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    #[derive(Debug)]
    pub(super) struct Goes;

    /// Which knows one scheme only.
    #[derive(Debug)]
    pub(super) struct Signed(pub(super) SignatureScheme);

    macro_rules! verifier {
        ($type:ty, $self:ident => $schemes:expr) => {
            impl ServerCertVerifier for $type {
                fn verify_server_cert(
                    &self,
                    _: &CertificateDer<'_>,
                    _: &[CertificateDer<'_>],
                    _: &ServerName<'_>,
                    _: &[u8],
                    _: UnixTime,
                ) -> Result<ServerCertVerified, Error> {
                    Ok(ServerCertVerified::assertion())
                }

                fn verify_tls12_signature(
                    &self,
                    _: &[u8],
                    _: &CertificateDer<'_>,
                    _: &DigitallySignedStruct,
                ) -> Result<HandshakeSignatureValid, Error> {
                    Ok(HandshakeSignatureValid::assertion())
                }

                fn verify_tls13_signature(
                    &self,
                    _: &[u8],
                    _: &CertificateDer<'_>,
                    _: &DigitallySignedStruct,
                ) -> Result<HandshakeSignatureValid, Error> {
                    Ok(HandshakeSignatureValid::assertion())
                }

                fn supported_verify_schemes(&$self) -> Vec<SignatureScheme> {
                    $schemes
                }
            }
        };
    }

    verifier!(Goes, self => vec![SignatureScheme::ECDSA_NISTP256_SHA256]);
    verifier!(Signed, self => vec![self.0]);
}
