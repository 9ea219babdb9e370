//! actix-web, HTTP/1: one application for each of its threads.

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Result;
use clap::Parser;
use wharf_bench_peers::{ANSWER, Arguments, BACKLOG};

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let server = HttpServer::new(|| App::new().route("/hello", web::get().to(answer)))
        .workers(arguments.workers)
        .backlog(BACKLOG)
        .bind(arguments.address)?;
    actix_web::rt::System::new().block_on(server.run())?;
    Ok(())
}

async fn answer() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body(ANSWER)
}
