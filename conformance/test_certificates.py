"""Certificates: they change under load and no request fails, and faults are named before they are served."""

import itertools
import ssl
import subprocess
import threading

import pytest

from harness import (
    Authority, Server, StartFailed, TlsPeer, binary, in_threads, serial_of, tls_client,
)

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def test_a_reload_shows_the_new_certificate_and_leaves_connections_alone(serve_tls, tmp_path, authority):
    with serve_tls() as server, TlsPeer(server.address) as old:
        assert old.request().status == 200
        pair = authority.issue("localhost")
        pair.write(tmp_path)
        assert server.write("/reload", "POST")[0] == 200
        assert old.request().status == 200
        with TlsPeer(server.address, tls_client(trust=authority)) as new:
            assert serial_of(new.socket) == pair.serial
            assert new.request().status == 200


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_a_session_from_before_a_change_is_resumed_or_begun_anew(serve_tls, tmp_path, authority, version):
    context = tls_client(version=version)
    with serve_tls() as server:
        with TlsPeer(server.address, context) as peer:
            assert peer.request().status == 200
            session = peer.socket.session
        with TlsPeer(server.address, context, session=session) as peer:
            assert peer.request().status == 200 and peer.socket.session_reused
        authority.issue("localhost").write(tmp_path)
        assert server.write("/reload", "POST")[0] == 200
        with TlsPeer(server.address, context, session=session) as peer:
            assert peer.request().status == 200


def test_a_session_does_not_outlive_the_authority_that_let_it_in(serve_tls, tmp_path, mutual):
    keys, client = mutual
    context = client("known", TLS13)
    with serve_tls(tls=keys) as server:
        with TlsPeer(server.address, context) as peer:
            assert peer.request().status == 200
            session = peer.socket.session
        (tmp_path / "ca.crt").write_bytes(Authority("Yet another CA").chain_pem())
        assert server.write("/reload", "POST")[0] == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with TlsPeer(server.address, context, session=session) as peer:
                peer.request()


BROKEN = ["no such file", "empty", "garbage", "another's key", "expired", "a cut chain"]


def break_files(folder, authority, how):
    dates = {"begins": -9, "ends": -2} if how == "expired" else {}
    pair = authority.issue("localhost", **dates)
    pair.write(folder)
    chain, key = folder / "server.crt", folder / "server.key"
    if how == "no such file":
        key.unlink()
    elif how == "empty":
        chain.write_bytes(b"")
    elif how == "garbage":
        chain.write_bytes(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
    elif how == "another's key":
        key.write_bytes(authority.issue("localhost").key_pem())
    elif how == "a cut chain":
        chain.write_bytes(chain.read_bytes()[:-200])


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_certificate_is_not_taken_and_the_old_one_goes_on(serve_tls, tmp_path, authority, how):
    with serve_tls() as server, TlsPeer(server.address) as old:
        serial = serial_of(old.socket)
        break_files(tmp_path, authority, how)
        status, _, body = server.write("/reload", "POST")
        assert status == 422, body
        assert b"server.crt" in body or b"server.key" in body or b"tls" in body
        with TlsPeer(server.address) as new:
            assert serial_of(new.socket) == serial
        assert old.request().status == 200


@pytest.mark.heavy
@pytest.mark.parametrize("seconds", [6, pytest.param(60, marks=pytest.mark.long)])
def test_certificates_change_each_second_under_load_and_no_request_fails(
        serve_tls, tmp_path, authority, seconds):
    with serve_tls() as server:
        serials, shown = set(), set()
        over = threading.Event()

        def load(n, still):
            served = 0
            context = tls_client(["http/1.1"], trust=authority)
            session = None
            while still() and not over.is_set():
                with TlsPeer(server.address, context, session=session) as peer:
                    for _ in range(5):
                        assert peer.request().status == 200
                        served += 1
                    shown.add(serial_of(peer.socket))
                    session = peer.socket.session if n % 2 else None
            return served

        failures = []

        def change():
            for turn in itertools.count(1):
                if over.wait(1.0):
                    return
                if turn % 5 == 0:
                    break_files(tmp_path, authority, BROKEN[turn // 5 % len(BROKEN)])
                    wanted = 422
                else:
                    pair = authority.issue("localhost")
                    pair.write(tmp_path)
                    serials.add(pair.serial)
                    wanted = 200
                status, _, body = server.write("/reload", "POST")
                if status != wanted:
                    failures.append((turn, status, body[:300]))

        changer = threading.Thread(target=change)
        changer.start()
        try:
            served = sum(in_threads(4, load, seconds))
        finally:
            over.set()
            changer.join(10)
        assert not failures
        assert served > 50 * seconds
        assert len(shown & serials) >= len(serials) - 1


# What is wrong in the file is said before it is served.


def check(folder, tls):
    server = Server(folder, listener={"protocols": ["https", "http2"], "tls": tls})
    server.address, server.admin = ("127.0.0.1", 1), ("127.0.0.1", 2)
    file = folder / "wharf.toml"
    file.write_text(server.text())
    ran = subprocess.run([binary(), "check", file], capture_output=True, text=True, timeout=10,
                         cwd=folder, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def test_a_good_pair_is_accepted_by_check(tmp_path, authority):
    assert check(tmp_path, authority.issue("localhost").write(tmp_path))[0] == 0


FAULTS = {
    "no such file": "server.key", "empty": "server.crt", "garbage": "server.crt",
    "another's key": "server.key", "expired": "expired", "a cut chain": "server.crt",
}


@pytest.mark.parametrize("how", FAULTS)
def test_what_is_wrong_with_a_pair_is_named_by_check(tmp_path, authority, how):
    keys = authority.issue("localhost").write(tmp_path)
    break_files(tmp_path, authority, how)
    code, said = check(tmp_path, keys)
    assert code == 1 and FAULTS[how] in said and "wharf.toml:" in said, said


def test_an_encrypted_key_is_named_with_what_to_do(tmp_path, authority):
    keys = authority.issue("localhost").write(tmp_path, password=b"secret")
    code, said = check(tmp_path, keys)
    assert code == 1 and "encrypted" in said and "openssl pkey" in said, said


@pytest.mark.parametrize("tls", [
    {"certificate": "server.crt"}, {"key": "server.key"},
    {"self_signed": True, "certificate": "server.crt", "key": "server.key"}, {"self_signed": False},
    {"certificate": 1, "key": 2}, {"certficate": "server.crt", "key": "server.key"},
    {"certificate": "server.crt", "key": "server.key", "client_auth": "optional"},
    {"certificate": "server.crt", "key": "server.key", "client_ca": "none.crt"},
], ids=["no key", "no certificate", "both ways", "neither", "numbers", "a misspelt key",
        "optional without a CA", "a CA that is not there"])
def test_a_tls_section_that_cannot_be_meant_is_an_error(tmp_path, authority, tls):
    authority.issue("localhost").write(tmp_path)
    code, said = check(tmp_path, tls)
    assert code == 1 and "wharf.toml:" in said, said


@pytest.mark.parametrize("protocols, tls", [(["https"], None), (["http"], {"self_signed": True})],
                         ids=["https without tls", "http with tls"])
def test_protocols_and_tls_have_to_fit(serve, protocols, tls):
    listener = {"protocols": protocols} | ({"tls": tls} if tls else {})
    with pytest.raises(StartFailed) as failed:
        with serve(listener=listener):
            pass
    assert failed.value.code == 1 and "tls" in failed.value.errors
