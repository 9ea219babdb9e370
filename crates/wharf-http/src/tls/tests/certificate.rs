use super::*;
use wharf_testkit::certificates::{KeyKind, pem};

const KEY: &str = include_str!("openssl/key-with-parameters.pem");
const COMMON_NAME_ONLY: &str = include_str!("openssl/common-name-only.pem");
const REQUEST: &str = include_str!("openssl/request.pem");
const PUBLIC_KEY: &str = include_str!("openssl/public-key.pem");

fn read(chain: &str, key: &str) -> Result<Certificate, CertificateError> {
    Certificate::from_pem(chain.as_bytes(), key.as_bytes(), now())
}

fn fault(chain: &str, key: &str) -> (Part, Fault) {
    let error = read(chain, key).unwrap_err();
    (error.part(), error.fault().clone())
}

#[test]
fn keys_are_read_in_each_encoding() {
    let ca = Authority::new("ca");
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519, KeyKind::Rsa] {
        let server = ca.server_with(kind, &["localhost"]);
        read(&server.certificate_pem(), &server.key_pem()).unwrap();
        if let Some(key) = server.traditional_key_pem() {
            read(&server.certificate_pem(), &key).unwrap();
            let windows = key.replace('\n', "\r\n");
            read(&server.certificate_pem(), &windows).unwrap();
        }
    }
}

#[test]
fn a_certificate_tells_its_names_number_and_time() {
    let ca = Authority::new("ca");
    let server = certificate(&ca.server(&["LocalHost", "*.Example.com", "127.0.0.1", "::1"]));
    let names = ["localhost", "*.example.com", "127.0.0.1", "::1"];
    assert_eq!(server.names(), names);
    assert_eq!(server.not_before().to_string(), "2020-01-01T00:00:00Z");
    assert_eq!(server.not_after().to_string(), "2100-01-01T00:00:00Z");
    assert!(!format!("{server:?}").contains("key"));
}

#[test]
fn what_openssl_writes_is_read() {
    let certificate = Certificate::from_pem(
        COMMON_NAME_ONLY.as_bytes(),
        KEY.as_bytes(),
        UtcTime::from_unix_seconds(1_800_000_000),
    )
    .unwrap();
    assert_eq!(certificate.names(), ["example.test"]);
    let serial = "13BD2744F36AD080E8049DFB34B4F5436930216A";
    assert_eq!(certificate.serial(), serial);
    assert_eq!(certificate.not_after().to_string(), "2136-05-30T09:03:17Z");
}

/// A table of files, each with what is wrong with it.
fn assert_faults(table: &[(&str, &str, Part, Fault)]) {
    for (chain, key, part, expected) in table {
        assert_eq!(fault(chain, key), (*part, expected.clone()));
    }
}

#[test]
fn a_file_without_the_key_tells_what_it_holds_instead() {
    let server = Authority::new("ca").server(&["localhost"]);
    let chain = &*server.certificate_pem();
    let (part, no_key) = (Part::Key, |found| Fault::NoKey { found });
    let crl = &*pem("X509 CRL", b"?");
    assert_faults(&[
        (chain, "", part, no_key(Found::Nothing)),
        (chain, "# nothing", part, no_key(Found::Nothing)),
        (chain, chain, part, no_key(Found::Certificate)),
        (chain, PUBLIC_KEY, part, no_key(Found::PublicKey)),
        (chain, REQUEST, part, no_key(Found::Request)),
        (chain, crl, part, no_key(Found::Other)),
    ]);
}

#[test]
fn a_file_without_a_certificate_tells_what_it_holds_instead() {
    let server = Authority::new("ca").server(&["localhost"]);
    let (chain, key) = (&*server.certificate_pem(), &*server.key_pem());
    let (part, none) = (Part::Chain, |found| Fault::NoCertificate { found });
    assert_faults(&[
        ("", key, part, none(Found::Nothing)),
        ("localhost", key, part, none(Found::Nothing)),
        (key, chain, part, none(Found::PrivateKey)),
        (REQUEST, key, part, none(Found::Request)),
        (PUBLIC_KEY, key, part, none(Found::PublicKey)),
    ]);
}

#[test]
fn a_key_that_cannot_be_served_is_told_why() {
    let ca = Authority::new("ca");
    let server = ca.server(&["localhost"]);
    let (chain, key) = (&*server.certificate_pem(), &*server.key_pem());
    let pkcs8 = include_str!("openssl/key-encrypted-pkcs8.pem");
    let legacy = include_str!("openssl/key-encrypted-legacy.pem");
    let elsewhere = |belongs_to| Fault::KeyMismatch { belongs_to };
    let other_way_round = &*format!("{}{chain}", ca.pem());
    let two = &*format!("{key}{KEY}");
    let nonsense = &*pem("PRIVATE KEY", b"?");
    let beside = &*format!("{chain}{key}");
    assert_faults(&[
        (chain, pkcs8, Part::Key, Fault::EncryptedKey),
        (chain, legacy, Part::Key, Fault::EncryptedKey),
        (chain, KEY, Part::Key, elsewhere(None)),
        (other_way_round, key, Part::Key, elsewhere(Some(2))),
        (chain, two, Part::Key, Fault::SeveralKeys { count: 2 }),
        (chain, nonsense, Part::Key, Fault::UnusableKey),
        (beside, key, Part::Chain, Fault::KeyInChain),
    ]);
}

#[test]
fn a_damaged_certificate_is_told_where() {
    let server = Authority::new("ca").server(&["localhost"]);
    let (chain, key) = (server.certificate_pem(), server.key_pem());
    for broken in [&chain.replace("MII", "M!I"), &chain[..chain.len() - 20]] {
        let (part, fault) = fault(broken, &key);
        assert!(matches!(fault, Fault::Pem { .. }), "{fault:?}");
        assert_eq!(part, Part::Chain);
    }
    let nonsense = pem("CERTIFICATE", b"not a certificate");
    let longer = pem("CERTIFICATE", &[&server.certificate[..], &[0]].concat());
    for (broken, place) in [
        (&nonsense, 1),
        (&longer, 1),
        (&format!("{chain}{nonsense}"), 2),
    ] {
        let (part, fault) = fault(broken, &key);
        let there = matches!(fault, Fault::Unreadable { number, .. } if number == place);
        assert!(there, "{fault:?}");
        assert_eq!(part, Part::Chain);
    }
}

#[test]
fn binary_files_are_told_how_to_be_converted() {
    let server = Authority::new("ca").server(&["localhost"]);
    let read = |chain: &[u8], key: &[u8]| Certificate::from_pem(chain, key, now()).unwrap_err();
    let error = read(&server.certificate, server.key_pem().as_bytes());
    assert_eq!((error.part(), error.fault()), (Part::Chain, &Fault::Binary));
    let error = read(server.certificate_pem().as_bytes(), &server.key);
    assert_eq!((error.part(), error.fault()), (Part::Key, &Fault::Binary));
}

#[test]
fn a_certificate_out_of_its_time_is_refused_with_the_time() {
    let ca = Authority::new("ca");
    let old = ca.expired(&["localhost"]);
    let since = UtcTime::from_unix_seconds(1_704_067_200);
    let refused = fault(&old.certificate_pem(), &old.key_pem());
    assert_eq!(refused, (Part::Chain, Fault::Expired { since }));
    let early = ca.not_yet_valid(&["localhost"]);
    let error = read(&early.certificate_pem(), &early.key_pem()).unwrap_err();
    let said = "holds a certificate that is valid only from 2090-01-01T00:00:00Z: \
                is the clock right?";
    assert_eq!(error.to_string(), said);
    // To the second.
    let at = |seconds| {
        let (chain, key) = (old.certificate_pem(), old.key_pem());
        let now = UtcTime::from_unix_seconds(seconds);
        Certificate::from_pem(chain.as_bytes(), key.as_bytes(), now).is_ok()
    };
    assert!(at(1_704_067_200) && !at(1_704_067_201));
    assert!(at(1_577_836_800) && !at(1_577_836_799));
}

#[test]
fn one_file_may_hold_both() {
    let server = Authority::new("ca").server(&["localhost"]);
    let both = format!("{}{}", server.key_pem(), server.certificate_pem());
    read(&both, &both).unwrap();
}

#[test]
fn a_self_signed_certificate_is_for_this_machine_and_six_weeks() {
    let now = UtcTime::from_unix_seconds(1_800_000_000);
    let certificate = Certificate::self_signed(&[], now).unwrap();
    assert_eq!(certificate.names(), Certificate::LOCAL_NAMES);
    assert_eq!(
        certificate.not_before().as_unix_seconds(),
        1_800_000_000 - 86_400
    );
    assert_eq!(
        certificate.not_after().as_unix_seconds(),
        1_800_000_000 + 42 * 86_400
    );
    let named = Certificate::self_signed(&["*.example.com"], now).unwrap();
    assert_eq!(named.names(), ["*.example.com"]);
    assert_ne!(named.serial(), certificate.serial());
    for wrong in ["", "a b", "a/b", "*", "straße.example"] {
        let error = Certificate::self_signed(&[wrong], now).unwrap_err();
        assert!(matches!(error.fault(), Fault::Name { .. }), "{error}");
    }
}

#[test]
fn a_client_that_trusts_a_self_signed_certificate_is_served() {
    let certificate = Certificate::self_signed(&["localhost"], now()).unwrap();
    let client = Client::trusting(certificate.key().cert[0].clone()).config();
    let acceptor = acceptor_of(&Certificates::new(certificate, vec![]), &[]);
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(talk(&acceptor, &client, "localhost"));
}

#[test]
fn the_cas_of_clients_are_checked_too() {
    let fault = |pem: &str| {
        let error = ClientRoots::from_pem(pem.as_bytes()).unwrap_err();
        assert_eq!(error.part(), Part::ClientCa);
        error.fault().clone()
    };
    let found = Found::Nothing;
    assert_eq!(fault(""), Fault::NoCertificate { found });
    let found = Found::PrivateKey;
    assert_eq!(fault(KEY), Fault::NoCertificate { found });
    let second = format!("{COMMON_NAME_ONLY}{}", pem("CERTIFICATE", b"?"));
    assert!(matches!(
        fault(&second),
        Fault::Unreadable { number: 2, .. }
    ));
    let ca = Authority::new("ca").pem();
    let roots = |pem: &str| ClientRoots::from_pem(pem.as_bytes()).unwrap();
    assert_eq!(roots(&ca), roots(&format!("# ours\n{ca}")));
    assert_ne!(roots(&ca), roots(COMMON_NAME_ONLY));
}
