use super::*;
use rustls::AlertDescription;

fn roots(ca: &Authority) -> ClientRoots {
    ClientRoots::from_pem(ca.pem().as_bytes()).unwrap()
}

fn asking(ca: &Authority, client_auth: ClientAuth) -> Acceptor {
    let acceptor = acceptor(ca, &[]);
    acceptor.set_client_auth(client_auth).unwrap();
    acceptor
}

#[tokio::test]
async fn who_has_to_show_a_certificate_is_known_by_it() {
    let ca = Authority::new("ca");
    let alice = ca.client("alice");
    for versions in [TLS12, TLS13] {
        for auth in [
            ClientAuth::Required(roots(&ca)),
            ClientAuth::Optional(roots(&ca)),
        ] {
            let acceptor = asking(&ca, auth);
            let client = Client::of(&ca).versions(versions).identity(&alice);
            let (info, _) = talk(&acceptor, &client.config(), "localhost").await;
            assert_eq!(info.client.as_deref(), Some("CN=alice"));
        }
    }
}

#[tokio::test]
async fn a_long_name_is_cut() {
    let ca = Authority::new("ca");
    let acceptor = asking(&ca, ClientAuth::Required(roots(&ca)));
    let client = Client::of(&ca).identity(&ca.client(&"ü".repeat(1000)));
    let (info, _) = talk(&acceptor, &client.config(), "localhost").await;
    let name = info.client.unwrap();
    // The 256th byte is in the middle of a letter.
    assert_eq!((name.len(), name.starts_with("CN=üü")), (255, true));
}

#[tokio::test]
async fn who_shows_none_is_let_in_only_where_it_may() {
    let ca = Authority::new("ca");
    for versions in [TLS12, TLS13] {
        let client = Client::of(&ca).versions(versions).config();
        let optional = asking(&ca, ClientAuth::Optional(roots(&ca)));
        let (info, _) = talk(&optional, &client, "localhost").await;
        assert_eq!(info.client, None);
        let required = asking(&ca, ClientAuth::Required(roots(&ca)));
        let (server, client) = meet(&required, &client, "localhost").await;
        let error = server.unwrap_err().error;
        assert_eq!(error, HandshakeError::ClientCertificateRequired);
        let told = told(client).await;
        let alert = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        assert_eq!(told, alert);
    }
}

#[tokio::test]
async fn who_shows_a_wrong_one_is_not_let_in_even_where_none_would_do() {
    let (ca, other) = (Authority::new("ca"), Authority::new("ca"));
    let mallory = other.client("alice");
    for versions in [TLS12, TLS13] {
        for auth in [
            ClientAuth::Required(roots(&ca)),
            ClientAuth::Optional(roots(&ca)),
        ] {
            let acceptor = asking(&ca, auth);
            let client = Client::of(&ca).versions(versions).identity(&mallory);
            let (server, client) = meet(&acceptor, &client.config(), "localhost").await;
            let error = server.unwrap_err().error;
            assert_eq!(error.as_str(), "client_certificate", "{error}");
            let told = told(client).await;
            assert!(matches!(told, rustls::Error::AlertReceived(_)), "{told:?}");
        }
    }
}

#[tokio::test]
async fn a_servers_certificate_is_not_a_clients() {
    let ca = Authority::new("ca");
    let acceptor = asking(&ca, ClientAuth::Required(roots(&ca)));
    let client = Client::of(&ca).identity(&ca.server(&["localhost"]));
    let (server, _) = meet(&acceptor, &client.config(), "localhost").await;
    assert_eq!(server.unwrap_err().error.as_str(), "client_certificate");
}

#[tokio::test]
async fn no_session_from_before_gets_past_a_new_rule() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    for versions in [TLS12, TLS13] {
        let acceptor = acceptor(&ca, &[]);
        let nobody = Client::of(&ca).versions(versions).config();
        talk(&acceptor, &nobody, "localhost").await;
        let (info, _) = talk(&acceptor, &nobody, "localhost").await;
        assert!(info.resumed);
        let required = ClientAuth::Required(roots(&ca));
        acceptor.set_client_auth(required.clone()).unwrap();
        let (server, _) = meet(&acceptor, &nobody, "localhost").await;
        let error = server.unwrap_err().error;
        assert_eq!(error, HandshakeError::ClientCertificateRequired);

        let alice = Client::of(&ca)
            .versions(versions)
            .identity(&ca.client("alice"));
        let alice = alice.config();
        talk(&acceptor, &alice, "localhost").await;
        // The same rule again is no new rule.
        acceptor.set_client_auth(required).unwrap();
        let (info, _) = talk(&acceptor, &alice, "localhost").await;
        assert!(info.resumed);
        assert_eq!(info.client.as_deref(), Some("CN=alice"));
        acceptor
            .set_client_auth(ClientAuth::Required(roots(&other)))
            .unwrap();
        let (server, _) = meet(&acceptor, &alice, "localhost").await;
        assert_eq!(server.unwrap_err().error.as_str(), "client_certificate");
    }
}
