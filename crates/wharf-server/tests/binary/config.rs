//! A bad file costs nothing: it is refused with all of its faults.

use std::net::TcpListener;

use crate::wharf::{Folder, file, run};

#[test]
fn check_tells_each_fault_with_file_line_and_column() {
    let folder = Folder::new();
    let path = folder.file(
        "bad.toml",
        file("keepalive = 1\n[server]\ndrain_timeout = 30"),
    );
    let path = path.to_str().unwrap();
    let checked = run(["check", path]);
    assert_eq!(checked.status.code(), Some(1));
    let told = String::from_utf8(checked.stderr).unwrap();
    assert!(
        told.contains(&format!("{path}:7:1: listener[0].keepalive: unknown key")),
        "{told}"
    );
    assert!(
        told.contains(&format!("{path}:9:17: server.drain_timeout: 30 is not")),
        "{told}"
    );
    assert!(told.contains("did you mean \"keep_alive\"?"), "{told}");
    assert_eq!(run(["serve", "--config", path]).status.code(), Some(1));
}

#[test]
fn check_accepts_what_can_be_served() {
    let folder = Folder::new();
    let path = folder.file("good.toml", file(""));
    assert!(run(["check", path.to_str().unwrap()]).status.success());
    let crate_folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for example in [
        "../../wharf.example.toml",
        "examples/gateway.toml",
        "examples/behind-1.toml",
        "examples/behind-2.toml",
    ] {
        let example = crate_folder.join(example);
        assert!(run(["check", example.to_str().unwrap()]).status.success());
    }
}

#[test]
fn what_is_no_file_is_refused_with_a_reason() {
    let folder = Folder::new();
    let large = folder.file("large.toml", vec![b'#'; (1 << 20) + 1]);
    let binary = folder.file("binary.toml", b"# fine\n\xff\xfe");
    for (path, reason) in [
        (folder.path().to_owned(), "this is a directory"),
        (folder.path().join("missing"), "cannot read it"),
        (large, "larger than"),
        (binary, ":2:1: this is not UTF-8"),
    ] {
        let checked = run(["check", path.to_str().unwrap()]);
        let told = String::from_utf8(checked.stderr).unwrap();
        assert!(
            checked.status.code() == Some(1) && told.contains(reason),
            "{told}"
        );
    }
}

#[test]
fn a_port_that_is_taken_is_named_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    let listener = file("").replace(
        "name = \"web\"\naddress = \"127.0.0.1:0\"",
        &format!("name = \"web\"\naddress = \"{address}\""),
    );
    let admin = file(&format!("[admin]\naddress = \"{address}\""));
    for (content, key) in [(listener, "listener[0].address"), (admin, "admin.address")] {
        let path = folder.file("taken.toml", content);
        let served = run(["serve", "--config", path.to_str().unwrap()]);
        let told = String::from_utf8(served.stderr).unwrap();
        assert_eq!(served.status.code(), Some(1), "{told}");
        assert!(told.contains(key) && told.contains(&address), "{told}");
        assert!(told.contains("in use"), "{told}");
    }
}

#[test]
fn an_admin_address_that_can_be_reached_needs_a_token() {
    let folder = Folder::new();
    let path = folder.file("open.toml", file("[admin]\naddress = \"0.0.0.0:0\""));
    let served = run(["serve", "--config", path.to_str().unwrap()]);
    let told = String::from_utf8(served.stderr).unwrap();
    assert!(
        served.status.code() == Some(1) && told.contains("admin.token_file"),
        "{told}"
    );
}

#[test]
fn config_prints_settings_with_their_source() {
    let folder = Folder::new();
    let path = folder.file("wharf.toml", file("[server]\ndrain_timeout = \"3s\""));
    let printed = run(["config", "--config", path.to_str().unwrap()]);
    let text = String::from_utf8(printed.stdout).unwrap();
    let line = |key: &str| {
        text.lines()
            .find(|line| line.starts_with(key))
            .unwrap()
            .to_owned()
    };
    assert!(line("drain_timeout").contains("\"3s\"") && line("drain_timeout").contains("# file"));
    assert!(line("drain_linger").ends_with("# default"));
    assert!(run(["config"]).status.success());
    assert!(
        String::from_utf8(run(["--help"]).stdout)
            .unwrap()
            .contains("wharf check")
    );
    assert!(
        String::from_utf8(run(["--version"]).stdout)
            .unwrap()
            .starts_with("wharf ")
    );
}
