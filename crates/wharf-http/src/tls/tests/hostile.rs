//! Bytes that no client sends.

use std::sync::LazyLock;

use super::*;
use proptest::prelude::*;
use wharf_testkit::tls::hostile::hello;

static CA: LazyLock<Authority> = LazyLock::new(|| Authority::new("ca"));
static ACCEPTOR: LazyLock<Acceptor> = LazyLock::new(|| acceptor(&CA, &[Alpn::Http1]));
static HELLO: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let client = Client::of(&CA).alpn(&["http/1.1"]).config();
    hello(&client).1
});

/// What becomes of these bytes, the first `early` of which somebody else has read, and then the
/// end; and what was answered.
fn end_of(bytes: &[u8], early: usize) -> (HandshakeError, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (near, mut far) = duplex(256 * 1024);
        let (early, late) = bytes.split_at(early.min(bytes.len()));
        far.write_all(late).await.unwrap();
        far.shutdown().await.unwrap();
        let refused = ACCEPTOR.accept(near, early.to_vec()).await.unwrap_err();
        let error = refused.error.clone();
        drop(refused);
        let mut told = Vec::new();
        far.read_to_end(&mut told).await.unwrap();
        (error, told)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn noise_is_refused_whatever_it_is(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        early in 0_usize..300,
    ) {
        let (error, told) = end_of(&bytes, early);
        prop_assert_eq!(error == HandshakeError::Silent, bytes.is_empty());
        prop_assert!(told.len() < 1024);
    }

    #[test]
    fn a_hello_with_flaws_is_refused_or_left_unanswered(
        flaws in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        early in 0_usize..300,
    ) {
        let mut bytes = HELLO.clone();
        for (place, byte) in flaws {
            *place.get_mut(&mut bytes) = byte;
        }
        // The peer leaves in any case, so no handshake comes to its end.
        end_of(&bytes, early);
        bytes.truncate(cut.index(bytes.len()));
        end_of(&bytes, early);
    }
}
