//! Fetches a path from several servers as if they were one, and says what each of them did.
//!
//! ```text
//! cargo run -p wharf-upstream --example fetch -- /hello http://127.0.0.1:8080 http://127.0.0.1:8081
//! ```

#![expect(clippy::print_stdout, reason = "it is a program")]

use std::time::Duration;

use http_body_util::BodyExt;
use wharf_upstream::{EndpointAddress, SendBody, SendOptions, Upstream, UpstreamSetup};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "/".to_owned());
    let mut endpoints = arguments
        .map(|it| it.parse())
        .collect::<Result<Vec<EndpointAddress>, _>>()?;
    if endpoints.is_empty() {
        endpoints.push("http://127.0.0.1:8080".parse()?);
    }
    let upstream = Upstream::start(UpstreamSetup::new("example".parse()?, endpoints))?;
    let warmth = upstream.ready().await;
    println!("{} of {} endpoints are warm", warmth.warm, warmth.endpoints);

    let mut options = SendOptions::default();
    options.retries = 1;
    for _ in 0..100 {
        let request = http::Request::get(&path).body(SendBody::default())?;
        match upstream.send(request, &options).await {
            Ok(answer) => drop(answer.into_body().collect().await?),
            Err(error) => println!("{}: {error}", error.kind()),
        }
    }
    for endpoint in upstream.endpoints() {
        println!(
            "{} is {}: {} answers, {} failures, {} connections, {:?}",
            endpoint.address,
            endpoint.state.as_str(),
            endpoint.metrics.answers,
            endpoint.failures,
            endpoint.active,
            endpoint.latency,
        );
    }
    upstream.close(Duration::from_secs(5)).await;
    Ok(())
}
