//! What the README and `docs/` show, as it stands there: compiled, and where it serves, run once.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Extension;
use axum::extract::ConnectInfo;
use axum::{Router, response::IntoResponse, routing::any};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::service::Routes;
use wharf_http::grpc::beside;
use wharf_http::pool::ScopeLimits;
use wharf_http::pool::config::{Count, PoolConfig};
use wharf_http::pool::events::EventKind;
use wharf_http::tls::{Certificates, ClientAuth};
use wharf_http::websocket::{WebSocket, WebSocketUpgrade};
use wharf_http::{Connected, ListenerSetup, Protocol, Running, Server};

type Outcome = Result<(), Box<dyn std::error::Error>>;

// docs/embed-in-axum.md

async fn before(listener: TcpListener, app: Router) -> std::io::Result<()> {
    axum::serve(listener, app).await
}

async fn now(listener: TcpListener, app: Router) -> std::io::Result<()> {
    wharf_http::serve(listener, app).await
}

async fn peer(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    format!("you are {peer}\n")
}

async fn report(Extension(connection): Extension<Connected>) -> String {
    connection.set_request_timeout(None);
    let info = connection.info();
    format!(
        "connection {}, request {}, open for {:?}\n",
        info.id, info.requests, info.age
    )
}

async fn limited(listener: TcpListener, app: Router) -> std::io::Result<()> {
    let mut config = PoolConfig::default();
    config.common.max_connections = Count::new(1_000);
    config.common.max_connections_per_ip = Count::new(100);
    config.common.keep_alive_timeout = Duration::from_secs(20);

    wharf_http::serve(listener, app).pool(config).await
}

#[expect(clippy::print_stdout, reason = "the page shows it so")]
async fn listens(server: &Running) {
    let _alarm = server.events().on(|event| {
        if let EventKind::PoolLimitReached { reason, rejected } = event.kind {
            println!("{rejected} newcomers turned away: {reason}");
        }
    });

    let mut events = server.events().subscribe();
    while let Some(event) = events.next().await {
        println!("{}", event.kind.as_str());
    }
}

async fn several(limits: ScopeLimits, app: Router) -> Outcome {
    let config = Protocol::Http.defaults();
    let public =
        ListenerSetup::new("web".parse()?, "0.0.0.0:8080".parse()?).pool(Protocol::Http, config);
    let server = Server::builder()
        .limits(limits)
        .listener(public, app)
        .start()
        .await?;
    server.drain().await;
    Ok(())
}

// README.md

async fn secured(certificates: Certificates, router: Router, services: Routes) -> Outcome {
    let tonic_routes = services.prepare();
    let setup = ListenerSetup::new("web".parse()?, "0.0.0.0:8443".parse()?)
        .tls(certificates, ClientAuth::Off)
        .pool(Protocol::Https, Protocol::Https.defaults())
        .pool(Protocol::Http2, Protocol::Http2.defaults())
        .pool(Protocol::Grpc, Protocol::Grpc.defaults());
    let server = Server::builder()
        .listener(setup, beside(router, tonic_routes))
        .start()
        .await?;
    server.drain().await;
    Ok(())
}

// docs/websocket.md

fn app() -> Router {
    Router::new().route("/ws", any(echo))
}

async fn echo(upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade
        .protocols(["chat.v2", "chat"])
        .on_upgrade(async |mut session: WebSocket| {
            while let Some(Ok(message)) = session.recv().await {
                if session.send(message).await.is_err() {
                    break;
                }
            }
        })
}

#[tokio::test]
async fn handlers_of_the_pages_answer() -> Outcome {
    let router = app()
        .route("/peer", any(peer))
        .route("/report", any(report));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = wharf_http::serve(listener, router).start().await?;
    let (_, address) = server.addresses().remove(0);
    let mut client = TcpStream::connect(address).await?;
    let requests = "GET /peer HTTP/1.1\r\nHost: t\r\n\r\n\
                    GET /report HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    client.write_all(requests.as_bytes()).await?;
    let mut answers = String::new();
    client.read_to_string(&mut answers).await?;
    assert!(answers.contains(&format!("you are {}", client.local_addr()?)));
    assert!(answers.contains(", request 2, open for "), "{answers}");
    server.drain().await;
    Ok(())
}

/// They serve until they are stopped: that they compile is what is asked of them.
#[test]
fn servers_of_the_pages_are_futures() {
    fn futures(listeners: [TcpListener; 3], certificates: Certificates, routes: Routes) {
        let [first, second, third] = listeners;
        drop((
            before(first, app()),
            now(second, app()),
            limited(third, app()),
        ));
        drop(several(ScopeLimits::default(), app()));
        drop(secured(certificates, app(), routes));
    }
    let _: fn([TcpListener; 3], Certificates, Routes) = futures;
    let _: fn(&Running) -> _ = |server| drop(listens(server));
}
