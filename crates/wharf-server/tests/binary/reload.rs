//! The configuration changes while the process serves: whole, or not at all.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use wharf_testkit::Response;
use wharf_testkit::http1::blocking::{answer, ask, connect};

use crate::wharf::{Folder, Wharf, file, pause};

fn write(wharf: &Wharf, more: &str) {
    wharf.folder.file("wharf.toml", file(more));
}

fn reload(wharf: &Wharf) -> Response {
    wharf.admin("POST /reload")
}

/// The difference that a reload makes.
fn diff(wharf: &Wharf) -> Vec<Value> {
    let answer = reload(wharf);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["diff"].as_array().unwrap().clone()
}

fn setting(wharf: &Wharf, key: &str) -> Value {
    wharf.admin("GET /pools/web/http").json()["config"][key].clone()
}

/// Waits until `holds`, without anybody asking for a reload.
fn eventually(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(8), "it does not come");
        pause(20);
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

fn listener(name: &str, address: SocketAddr) -> String {
    format!("[[listener]]\nname = \"{name}\"\naddress = \"{address}\"\nprotocols = [\"http\"]\n")
}

const POOL: &str = "[listener.pools.http]\n";

#[test]
fn a_reload_answers_with_what_changed_and_what_that_means() {
    let wharf = Wharf::serve(&format!("{POOL}max_connections = 5"));
    let mut kept = connect(wharf.web);
    write(
        &wharf,
        &format!("{POOL}max_connections = 6\nmax_age = \"1h\""),
    );
    let changes = diff(&wharf);
    assert_eq!(
        changes[0],
        json!({
            "key": "listener.web.pools.http.max_connections", "old": 5, "new": 6, "effect": "now",
            "open_connections": "the new value holds for them too", "undoes_patch": false,
        })
    );
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert_eq!(setting(&wharf, "max_age"), "3600s");
    assert_eq!(diff(&wharf), Vec::<Value>::new());
    write!(
        kept,
        "GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    assert_eq!(answer(kept).status, 200);
}

#[test]
fn a_file_that_is_replaced_is_noticed() {
    let wharf = Wharf::serve("");
    let new = wharf
        .folder
        .file("new", file(&format!("{POOL}max_connections = 7")));
    fs::rename(new, wharf.folder.path().join("wharf.toml")).unwrap();
    eventually(|| setting(&wharf, "max_connections") == 7);
    let changed = wharf.message("configuration reloaded");
    assert_eq!(changed["source"], "file");
    write(&wharf, &format!("{POOL}max_connections = 8"));
    eventually(|| setting(&wharf, "max_connections") == 8);
}

#[test]
fn a_mounted_folder_whose_link_is_turned_is_noticed() {
    let folder = Folder::new();
    for (n, version) in ["one", "two"].into_iter().enumerate() {
        fs::create_dir(folder.path().join(version)).unwrap();
        let more = format!("{POOL}max_connections = {}", n + 1);
        folder.file(&format!("{version}/wharf.toml"), file(&more));
    }
    symlink("one", folder.path().join("..data")).unwrap();
    symlink("..data/wharf.toml", folder.path().join("mounted.toml")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command
        .arg("serve")
        .arg("--config")
        .arg(folder.path().join("mounted.toml"));
    let wharf = Wharf::spawn(folder, command);
    assert_eq!(setting(&wharf, "max_connections"), 1);
    symlink("two", wharf.folder.path().join("..data_tmp")).unwrap();
    let (new, old) = ("..data_tmp", "..data");
    fs::rename(wharf.folder.path().join(new), wharf.folder.path().join(old)).unwrap();
    eventually(|| setting(&wharf, "max_connections") == 2);
}

#[test]
fn sighup_reads_the_file_again() {
    let wharf = Wharf::serve("");
    write(&wharf, &format!("{POOL}max_connections = 7"));
    wharf.signal("HUP");
    eventually(|| setting(&wharf, "max_connections") == 7);
    // The watch may have been first; the signal did no harm then.
    wharf.message("configuration reloaded");
}

#[test]
fn a_bad_file_is_told_with_every_fault_and_the_old_one_goes_on() {
    let wharf = Wharf::serve(&format!("{POOL}max_connections = 5"));
    write(
        &wharf,
        &format!("{POOL}max_connections = 0\nmax_agee = \"1h\""),
    );
    let refused = reload(&wharf);
    assert_eq!(refused.status, 422);
    let errors = refused.json()["errors"].as_array().unwrap().clone();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert_eq!(errors[0]["key"], "listener[0].pools.http.max_connections");
    assert_eq!(
        (&errors[0]["line"], &errors[0]["column"]),
        (&json!(8), &json!(19))
    );
    assert_eq!(errors[1]["remedy"], "did you mean \"max_age\"?");
    assert_eq!(setting(&wharf, "max_connections"), 5);
    assert_eq!(
        wharf.admin("GET /health").json()["config"]["status"],
        "rejected"
    );
    let shown = wharf.admin("GET /config").json();
    let problems = shown["last_rejected"]["problems"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        problems.contains("wharf.toml:8:19: listener[0]"),
        "{problems}"
    );
    assert!(
        wharf
            .admin("GET /metrics")
            .text()
            .contains("reloads_total{result=\"rejected\"} ")
    );
    wharf.message("configuration refused: the old one goes on");
    write(&wharf, &format!("{POOL}max_connections = 6"));
    assert_eq!(diff(&wharf).len(), 1);
    assert_eq!(wharf.admin("GET /health").json()["config"]["status"], "ok");
}

#[test]
fn what_is_no_file_to_read_is_refused_at_once() {
    let wharf = Wharf::serve(&format!("{POOL}max_connections = 5"));
    let path = wharf.folder.path().join("wharf.toml");
    let make: [(&str, &dyn Fn()); 5] = [
        ("directory", &|| fs::create_dir(&path).unwrap()),
        ("regular file", &|| {
            assert!(
                Command::new("mkfifo")
                    .arg(&path)
                    .status()
                    .unwrap()
                    .success()
            );
        }),
        ("larger than", &|| {
            fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
        }),
        ("cannot read it", &|| symlink("wharf.toml", &path).unwrap()),
        ("cannot read it", &|| ()),
    ];
    for (reason, make) in make {
        if path.is_dir() {
            fs::remove_dir(&path).unwrap();
        } else {
            fs::remove_file(&path).ok();
        }
        make();
        let begun = Instant::now();
        let refused = reload(&wharf);
        assert!(begun.elapsed() < Duration::from_secs(1), "{reason}");
        assert_eq!(refused.status, 422, "{reason}");
        let told = refused.json()["errors"][0]["reason"].to_string();
        assert!(told.contains(reason), "{told}");
    }
    assert_eq!(setting(&wharf, "max_connections"), 5);
    assert_eq!(wharf.get("/hello").status, 200);
}

#[test]
fn a_file_cut_anywhere_leaves_the_process_as_it_was() {
    let wharf = Wharf::serve(&format!("{POOL}max_connections = 5"));
    let whole = file(&format!(
        "[limits]\nmax_connections = 600\n{}",
        listener("b", free_address())
    ));
    for length in 0..whole.len() {
        wharf.folder.file("wharf.toml", &whole[..length]);
        let answer = reload(&wharf);
        assert!(
            [200, 422].contains(&answer.status),
            "{length}: {}",
            answer.text()
        );
        assert_eq!(wharf.admin("GET /live").status, 200);
    }
    assert_eq!(wharf.get("/hello").status, 200);
}

#[test]
fn a_port_that_is_taken_half_way_undoes_everything() {
    let wharf = Wharf::serve(&format!("{POOL}max_connections = 5"));
    let (free, taken) = (free_address(), TcpListener::bind("127.0.0.1:0").unwrap());
    let [b, c] = [("b", free), ("c", taken.local_addr().unwrap())].map(|(n, a)| listener(n, a));
    write(&wharf, &format!("{POOL}max_connections = 6\n{b}{c}"));
    let refused = reload(&wharf);
    assert_eq!(refused.status, 422);
    let error = &refused.json()["errors"][0];
    assert_eq!(error["key"], "listener[2].address");
    assert!(
        error["reason"].as_str().unwrap().contains("in use"),
        "{error}"
    );
    assert_eq!(setting(&wharf, "max_connections"), 5);
    assert!(TcpStream::connect(free).is_err());
    assert_eq!(
        wharf.admin("GET /pools").json()["pools"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    drop(taken);
    // What was refused is not tried again by itself: somebody has to ask.
    assert!(diff(&wharf).len() >= 3);
    assert!(TcpStream::connect(free).is_ok());
}

#[test]
fn listeners_come_and_go_and_the_others_stay() {
    let wharf = Wharf::serve("");
    let mut kept = connect(wharf.web);
    let address = free_address();
    write(&wharf, &listener("b", address));
    let added = diff(&wharf);
    assert_eq!(added.len(), 1, "{added:?}");
    assert_eq!(
        (
            &added[0]["key"],
            &added[0]["old"],
            &added[0]["new"],
            &added[0]["effect"]
        ),
        (
            &json!("listener.b.address"),
            &Value::Null,
            &json!(address.to_string()),
            &json!("new_listener")
        )
    );
    assert_eq!(ask(address, "GET /hello HTTP/1.0\r\n\r\n").status, 200);
    let idle = connect(address);
    write(&wharf, "");
    let removed = diff(&wharf);
    assert_eq!((removed.len(), &removed[0]["new"]), (1, &Value::Null));
    assert_eq!(removed[0]["open_connections"], "they are asked to finish");
    drop(idle);
    eventually(|| TcpStream::connect(address).is_err());
    eventually(|| {
        wharf.admin("GET /pools").json()["pools"]
            .as_array()
            .unwrap()
            .len()
            == 1
    });
    write!(
        kept,
        "GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    assert_eq!(answer(kept).status, 200);
}

#[test]
fn a_listener_is_renamed_on_the_spot() {
    let wharf = Wharf::serve("");
    let address = free_address();
    write(&wharf, &listener("b", address));
    assert_eq!(diff(&wharf).len(), 1);
    let mut kept = connect(address);
    write(&wharf, &listener("c", address));
    assert_eq!(diff(&wharf).len(), 2);
    assert_eq!(ask(address, "GET /hello HTTP/1.0\r\n\r\n").status, 200);
    // It has never asked for anything, so it is left with nothing.
    assert_eq!(std::io::Read::read(&mut kept, &mut [0]).unwrap(), 0);
    assert_eq!(wharf.admin("GET /pools/c/http").status, 200);
    eventually(|| wharf.admin("GET /pools/b/http").status == 404);
}

#[test]
fn a_reload_says_which_changes_of_the_admin_api_it_undoes() {
    let wharf = Wharf::serve(&format!("{POOL}max_connections = 5"));
    let body = r#"{"max_connections": 9, "max_age": "2h"}"#;
    let patched = wharf.admin_with("PATCH /pools/web/http", "x-wharf-admin: 1\r\n", body);
    assert_eq!(patched.status, 200);
    let shown = wharf.admin("GET /config").json();
    assert_eq!(shown["not_as_in_file"].as_array().unwrap().len(), 2);
    assert_eq!(
        shown["not_as_in_file"][0],
        json!({
            "key": "listener.web.pools.http.max_connections", "file": 5, "in_force": 9,
            "until": "reload",
        })
    );
    write(
        &wharf,
        &format!("{POOL}max_connections = 5\nmax_requests = 100"),
    );
    let changes = diff(&wharf);
    let undone: Vec<_> = changes
        .iter()
        .map(|change| change["undoes_patch"].as_bool().unwrap())
        .collect();
    assert_eq!(undone, [true, true, false], "{changes:?}");
    assert_eq!(
        (
            setting(&wharf, "max_connections"),
            setting(&wharf, "max_age")
        ),
        (5.into(), "off".into())
    );
    let history = wharf.admin("GET /config/history").json();
    let sources: Vec<_> = history["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["source"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(sources, ["api_reload", "api_patch", "start"]);
    assert_eq!(history["changes"][0]["id"], "3");
}

#[test]
fn what_needs_a_restart_says_so_and_keeps_its_value() {
    let wharf = Wharf::serve("[server]\nworkers = 1");
    let next =
        "[server]\nworkers = 3\ndrain_timeout = \"5s\"\n[admin]\naddress = \"unix:/nowhere/w\"";
    write(&wharf, next);
    let changes = diff(&wharf);
    let effects: Vec<_> = changes
        .iter()
        .map(|change| {
            let text = |key: &str| change[key].as_str().unwrap().to_owned();
            (text("key"), text("effect"))
        })
        .collect();
    let expected = [
        ("server.drain_timeout", "now"),
        ("server.workers", "restart"),
        ("admin.address", "restart"),
    ];
    assert_eq!(
        effects,
        expected.map(|(key, effect)| (key.to_owned(), effect.to_owned()))
    );
    let shown = wharf.admin("GET /config").json();
    assert_eq!(shown["config"]["server"]["workers"], 1);
    assert_eq!(shown["config"]["server"]["drain_timeout"], "5s");
    assert_eq!(shown["not_as_in_file"][0]["until"], "restart");
}

#[test]
fn routes_and_logs_change_for_open_connections_too() {
    let wharf = Wharf::serve("[log]\naccess = false");
    let mut kept = connect(wharf.web);
    let mut first = [0; 512];
    write!(kept, "GET /hello HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert!(std::io::Read::read(&mut kept, &mut first).unwrap() > 0);
    write(
        &wharf,
        "[log]\naccess = true\nlevel = \"debug\"\n[[route]]\nrespond = { status = 202, body = \"new\" }",
    );
    assert_eq!(diff(&wharf).len(), 3);
    write!(
        kept,
        "GET /changed HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let answer = answer(kept);
    assert_eq!((answer.status, answer.text()), (202, "new"));
    assert_eq!(wharf.access()["target"], "/changed");
}

#[test]
fn a_token_is_exchanged_and_never_shown() {
    let folder = Folder::new();
    folder.file("token", "the first token of all\n");
    let admin = "[admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"token\"";
    let wharf = Wharf::serve_in(folder, admin);
    let with = |token: &str, request: &str| {
        let headers = format!("authorization: Bearer {token}\r\nx-wharf-admin: 1\r\n");
        wharf.admin_with(request, &headers, "")
    };
    wharf.folder.file("token", "the second token of all\n");
    eventually(|| with("the second token of all", "GET /pools").status == 200);
    assert_eq!(with("the first token of all", "GET /pools").status, 401);
    for request in [
        "GET /config",
        "GET /config/history",
        "GET /health",
        "GET /metrics",
    ] {
        let shown = with("the second token of all", request);
        let shown = shown.text();
        assert!(!shown.contains("token of all"), "{request}: {shown}");
    }
    wharf.folder.file("token", "short");
    let refused = with("the second token of all", "POST /reload");
    assert_eq!(refused.status, 422);
    assert!(!refused.text().contains("\"short\""), "{}", refused.text());
    assert_eq!(with("the second token of all", "GET /pools").status, 200);
}

#[test]
fn the_demo_has_nothing_to_reload() {
    let folder = Folder::new();
    let wharf = Wharf::spawn(folder, Command::new(env!("CARGO_BIN_EXE_wharf")));
    let refused = reload(&wharf);
    assert_eq!(refused.status, 409, "{}", refused.text());
}
