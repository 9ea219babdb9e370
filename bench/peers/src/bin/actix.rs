//! actix-web, HTTP/1: one application for each of its threads.

use std::convert::Infallible;

use actix_web::body::SizedStream;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Result;
use clap::Parser;
use futures_util::{StreamExt as _, stream};
use wharf_bench_peers::{ANSWER, Arguments, BACKLOG, Pieces};

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let app = || {
        App::new()
            .route("/hello", web::get().to(answer))
            .route("/bytes", web::get().to(bytes))
            .route("/count", web::post().to(count))
    };
    let server = HttpServer::new(app)
        .workers(arguments.workers)
        .backlog(BACKLOG)
        .bind(arguments.address)?;
    actix_web::rt::System::new().block_on(server.run())?;
    Ok(())
}

async fn answer() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body(ANSWER)
}

async fn bytes(request: HttpRequest) -> HttpResponse {
    let mut pieces = Pieces::asked(request.uri().query());
    let left = pieces.left();
    let pieces = std::iter::from_fn(move || pieces.piece().map(Ok::<_, Infallible>));
    let pieces = stream::iter(pieces);
    HttpResponse::Ok().body(SizedStream::new(left, pieces))
}

async fn count(mut body: web::Payload) -> actix_web::Result<HttpResponse> {
    let mut came = 0;
    while let Some(piece) = body.next().await {
        came += piece?.len();
    }
    Ok(HttpResponse::Ok().body(format!("{came}\n")))
}
